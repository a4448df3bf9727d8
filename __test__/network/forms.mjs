// Looking for a secret in a text, in every form in which it may have got there.
//
// Invariant: a secret is found wherever it stands in what was encoded, not only where it was encoded by itself. `formsOf` is
// checked against texts that hold a secret in each form before anything is said to hold none.

/** Base64 of the secret as part of something longer: at each of the three places it may begin at, without what it shares. */
function base64Forms(bytes) {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replaceAll('=', '')
    const shared = before === 0 ? 0 : before + 1
    const whole = Math.floor(((before + bytes.length) * 8) / 6)
    return text.slice(shared, whole)
  })
}

const url = (text) => text.replaceAll('+', '-').replaceAll('/', '_')
const each = (bytes, form) => [...bytes].map(form).join('')
const hex = (byte) => byte.toString(16).padStart(2, '0')

/** Every form of a secret, text or bytes: `{ form, text }`. */
export function formsOf(secret) {
  const bytes = Buffer.from(secret)
  const isText = typeof secret === 'string'
  const forms = {
    plain: isText ? secret : bytes.toString('latin1'),
    'as UTF-8': bytes.toString(),
    hex: bytes.toString('hex'),
    'list of numbers': [...bytes].join(', '),
    'tight list of numbers': [...bytes].join(','),
    'percent-encoded': encodeURIComponent(bytes.toString('latin1')),
    'percent-encoded in full': each(bytes, (byte) => `%${hex(byte)}`),
    'escaped as in names': each(bytes, (byte) =>
      /[a-z0-9-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `_${hex(byte)}`
    ),
    'escaped as in JSON': JSON.stringify(bytes.toString('latin1')).slice(1, -1),
    'escaped in full': each(bytes, (byte) => `\\u00${hex(byte)}`),
    'escaped bytes': each(bytes, (byte) => `\\x${hex(byte)}`),
    'as in XML': each(bytes, (byte) => `&#${byte};`),
    backwards: [...bytes.toString('latin1')].reverse().join('')
  }
  base64Forms(bytes).forEach((text, at) => Object.assign(forms, { [`base64 at ${at}`]: text, [`base64url at ${at}`]: url(text) }))
  // Hexadecimal digits and escapes are written in either case: they are compared in lower case.
  return Object.entries(forms).map(([form, text]) => ({ form, text }))
}

const INSENSITIVE = /^(hex|percent|escaped)/

/** Secrets in a text, each in the first of its forms that is met: `name (form): what is around it`. */
export function found(text, secrets) {
  const lower = text.toLowerCase()
  const place = ({ form, text: wanted }) => (INSENSITIVE.test(form) ? lower.indexOf(wanted.toLowerCase()) : text.indexOf(wanted))
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const hit = formsOf(secret).find((one) => place(one) >= 0)
    if (hit === undefined) return []
    const at = place(hit)
    return [`${name} (${hit.form}): ${text.slice(Math.max(0, at - 80), at + hit.text.length + 40)}`]
  })
}
