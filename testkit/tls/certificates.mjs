// Certificates that are made at run time: an authority of its own, and a server that it vouches for. Written as DER by hand, so
// that tests need no other program.
//
// Invariant: nobody else trusts the authority, its key is never written down, and both are valid for a day only.

import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

const DAY = 86_400_000

/** A DER value: tag, length, content. */
function der(tag, ...parts) {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length, ...bytes]), content])
}

const sequence = (...parts) => der(0x30, ...parts)
const octets = (bytes) => der(0x04, bytes)
const bits = (bytes, unused = 0) => der(0x03, Buffer.from([unused]), bytes)
const boolean = (value) => der(0x01, Buffer.from([value ? 0xff : 0]))
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'))

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'))
const COMMON_NAME = oid('550403')
const BASIC_CONSTRAINTS = oid('551d13')
const KEY_USAGE = oid('551d0f')
const EXTENDED_KEY_USAGE = oid('551d25')
const SERVER_AUTH = oid('2b06010505070301')
const ALTERNATIVE_NAMES = oid('551d11')
const SUBJECT_KEY = oid('551d0e')
const AUTHORITY_KEY = oid('551d23')

const nameOf = (text) => sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(text)))))
const timeOf = (at) => der(0x17, Buffer.from(`${new Date(at).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`))
const extension = (id, value, isCritical = false) => sequence(id, ...(isCritical ? [boolean(true)] : []), octets(value))
const keyIdOf = (publicKey) =>
  createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()

const addressBytes = (name) => Buffer.from(isIP(name) === 4 ? name.split('.').map(Number) : [...Array(15).fill(0), 1])
const alternative = (name) => (isIP(name) ? der(0x87, addressBytes(name)) : der(0x82, Buffer.from(name)))

const pemOf = (bytes) => `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`

function certificate({ subject, publicKey, issuer, issuerKey, extensions, from, until }) {
  // A first byte below 0x80 and not 0 makes it a positive number as it stands.
  const serial = randomBytes(16)
  serial[0] = (serial[0] & 0x7f) | 0x40
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ECDSA_WITH_SHA256,
    nameOf(issuer),
    sequence(timeOf(from), timeOf(until)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions))
  )
  return pemOf(sequence(body, ECDSA_WITH_SHA256, bits(sign('sha256', body, issuerKey))))
}

/**
 * A new authority and a server certificate of it for `names`, which may be host names, IPv4 addresses and `::1`: `{ ca, cert,
 * key }`, all in PEM. `expired` makes the server's certificate one of yesterday.
 */
export function makeCertificates(names, { expired = false } = {}) {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = `Test authority ${randomBytes(4).toString('hex')}`
  const vouched = { issuer, issuerKey: authority.privateKey }
  const now = Date.now()
  const authorityKey = extension(AUTHORITY_KEY, sequence(der(0x80, keyIdOf(authority.publicKey))))
  const ca = certificate({
    ...vouched,
    subject: issuer,
    publicKey: authority.publicKey,
    from: now - 3 * DAY,
    until: now + DAY,
    extensions: [
      extension(BASIC_CONSTRAINTS, sequence(boolean(true)), true),
      // keyCertSign and cRLSign.
      extension(KEY_USAGE, bits(Buffer.from([0x06]), 1), true),
      extension(SUBJECT_KEY, octets(keyIdOf(authority.publicKey)))
    ]
  })
  const cert = certificate({
    ...vouched,
    subject: names[0],
    publicKey: server.publicKey,
    from: now - (expired ? 2 * DAY : DAY),
    until: now + (expired ? -DAY : DAY),
    extensions: [
      extension(BASIC_CONSTRAINTS, sequence(), true),
      // digitalSignature.
      extension(KEY_USAGE, bits(Buffer.from([0x80]), 7), true),
      extension(EXTENDED_KEY_USAGE, sequence(SERVER_AUTH)),
      extension(ALTERNATIVE_NAMES, sequence(...names.map(alternative))),
      extension(SUBJECT_KEY, octets(keyIdOf(server.publicKey))),
      authorityKey
    ]
  })
  return { ca, cert, key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}

/**
 * A certificate that a server signed for itself, as `openssl req -x509` makes it: `{ cert, key }`. `isAuthority` says whether it is one
 * of an authority too, as it is by default there; without `names` it has no alternative names.
 */
export function selfSigned(names, { isAuthority = true, expired = false } = {}) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const now = Date.now()
  const cert = certificate({
    subject: 'localhost',
    issuer: 'localhost',
    issuerKey: privateKey,
    publicKey,
    from: now - (expired ? 2 * DAY : DAY),
    until: now + (expired ? -DAY : DAY),
    extensions: [
      extension(SUBJECT_KEY, octets(keyIdOf(publicKey))),
      extension(BASIC_CONSTRAINTS, isAuthority ? sequence(boolean(true)) : sequence(), true),
      ...(names.length === 0 ? [] : [extension(ALTERNATIVE_NAMES, sequence(...names.map(alternative)))])
    ]
  })
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}
