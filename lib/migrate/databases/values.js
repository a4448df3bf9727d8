'use strict'

// The value of a record, out of the wrappings in which other stores keep it.
//
// Invariants: nothing is guessed: a wrapping is taken off by its form, and what is left is JSON or damage. A value that cannot be
// read is told from one that is absent. Messages hold no names and no values.

const { isUtf8 } = require('node:buffer')
const { createDecipheriv } = require('node:crypto')
const { gunzipSync } = require('node:zlib')
const { HybridAuthError } = require('../../errors.js')
const { WHOLE } = require('../../multi-file/names.js')
const { diagnose, isObject, parseValue } = require('../../multi-file/read.js')
const { textOf } = require('../read.js')

/** More than a session has by far: what decompresses to more is refused. */
const MOST = 512 * 1024 * 1024
/** A value within a value within a value; no store goes further. */
const DEEPEST = 5

const corrupt = (what, why) => new HybridAuthError('LOCAL_CORRUPT', `${what} ${what.startsWith('the') ? 'are' : 'is'} damaged (${why})`)

/** Bytes of a record as the driver answers it: some versions parse JSON by themselves. */
function bytesOf(raw) {
  if (raw instanceof Uint8Array) return Buffer.from(raw.buffer, raw.byteOffset, raw.length)
  return Buffer.from(typeof raw === 'object' ? JSON.stringify(raw) : String(raw))
}

/** True for the envelope of Keyv. */
const isKeyv = (value) =>
  isObject(value) && Object.hasOwn(value, 'value') && Object.keys(value).every((name) => name === 'value' || name === 'expires')

/** True for the envelope of baileys-store-core in Redis. */
const isSealed = (value) => isObject(value) && ['ciphertext', 'nonce', 'keyId'].every((name) => typeof value[name] === 'string')

function opened(data, nonce, key) {
  if (data.length < 16) return null
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce)
    decipher.setAuthTag(data.subarray(-16))
    return Buffer.concat([decipher.update(data.subarray(0, -16)), decipher.final()])
  } catch {
    return null
  }
}

function unsealed(data, nonce, keys, what) {
  if (keys.length === 0) throw new HybridAuthError('KEY_UNAVAILABLE', `${what} is encrypted and there is no \`sourceKey\``)
  for (const key of keys) {
    const plain = opened(data, nonce, key)
    if (plain !== null) return plain
  }
  throw new HybridAuthError('KEY_UNAVAILABLE', `${what} is encrypted with another key than the \`sourceKey\``)
}

function inflated(bytes, what) {
  let plain = bytes
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      plain = gunzipSync(bytes, { maxOutputLength: MOST })
    } catch {
      throw corrupt(what, 'its gzip data does not decompress')
    }
  }
  if (!isUtf8(plain))
    throw corrupt(what, 'it is compressed with snappy or in another way that is not read here: store it again with gzip or uncompressed')
  return plain.toString('utf8')
}

const isBase64 = (text) => text.length >= 16 && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text)

/** True for bytes that are gzip data, or JSON: one byte alone would be the first of some nonces too. */
const isPlain = (bytes) => (bytes[0] === 0x1f && bytes[1] === 0x8b) || (bytes[0] === 0x7b && isUtf8(bytes))

/** Text in a field of baileys-store-core in MongoDB: nonce and data in one base64 text, the nonce empty without encryption. */
function packed(text, keys, what) {
  const bytes = Buffer.from(text, 'base64')
  const [nonce, data] = [bytes.subarray(0, 12), bytes.subarray(12)]
  // The tag decides where there is a key: a nonce may begin as gzip data do.
  for (const key of keys) {
    const plain = opened(data, nonce, key)
    if (plain !== null) return { text: inflated(plain, what), key }
  }
  if (isPlain(bytes)) return { text: inflated(bytes, what), key: null }
  return { text: inflated(unsealed(data, nonce, keys, what), what), key: keys[0] }
}

/** JSON text in the bytes of a record, decrypted where it is encrypted. */
function jsonOf(bytes, keys, what, max) {
  const text = isUtf8(bytes) ? bytes.toString('utf8') : null
  if (text !== null && isBase64(text) && !/^\d+$/.test(text)) return packed(text, keys, what)
  try {
    return textOf(bytes, keys, what)
  } catch (error) {
    if (error.code !== 'LOCAL_CORRUPT') throw error
    // MySQL counts the bytes of a TEXT, and the characters of a VARCHAR.
    if (max !== null && bytes.length > 0 && (bytes.length >= max || (text !== null && text.length >= max)))
      throw corrupt(what, `it was cut off at the end of its column, which takes ${max} characters: use a longer type, and a backup`)
    throw corrupt(what, diagnose(bytes) || 'it is not JSON: encrypted or compressed by the application')
  }
}

/** Text that some stores write without quotes; a number is one too. */
function bareText(bytes) {
  if (!isUtf8(bytes)) return null
  const text = bytes.toString('utf8')
  if (!/^[\w.@:+-]{1,256}$/.test(text) || text === 'null') return null
  try {
    return typeof JSON.parse(text) === 'string' ? null : text
  } catch {
    return text
  }
}

/** Arrays and texts that MongoDB was given as the fields of a document: {"0": …, "1": …}. */
function gathered(type, value) {
  if (!['device-list', 'lid-mapping'].includes(type) || !isObject(value)) return value
  const members = Object.values(value)
  if (!Object.keys(value).every((name, i) => name === String(i)) || !members.every((member) => typeof member === 'string')) return value
  return type === 'device-list' ? members : members.join('')
}

/** Within a session, no value is null: drivers of MongoDB write that for `undefined`, by which Baileys knows a closed chain. */
function withoutNulls(value) {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([name, member]) => [name, withoutNulls(member)])
  )
}

/** Bytes that were written as text: "Buffer:" and base64. */
function withBuffers(value) {
  if (typeof value === 'string') return value.startsWith('Buffer:') ? Buffer.from(value.slice(7), 'base64') : value
  if (Array.isArray(value)) return value.map(withBuffers)
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withBuffers(member)])) : value
}

/** True for credentials whose bytes are such texts. */
const hasBufferTexts = (creds) => typeof creds?.noiseKey?.private === 'string' && creds.noiseKey.private.startsWith('Buffer:')

/** A value as Baileys gave it to the store. */
function settled(value, { type, isDocument, isBufferText }) {
  const plain = isDocument ? (type === 'session' ? withoutNulls(value) : gathered(type, value)) : value
  return isBufferText ? withBuffers(plain) : plain
}

/**
 * The value of a record; `value` is falsy for one that is absent.
 * @param {unknown} raw text or bytes, null for nothing
 * @param {{ type: string, keys: Buffer[], what: string, max?: number | null, isDocument?: boolean, isBufferText?: boolean }} how `max`: characters that its column takes
 */
function valueOf(raw, { type, keys, what, max = null, isDocument = false, isBufferText = false }) {
  if (raw === null || raw === undefined) return { value: null, encrypted: false }
  const bytes = bytesOf(raw)
  const isText = type === 'lid-mapping'
  const bare = isText ? bareText(bytes) : null
  if (bare !== null) return { value: bare, encrypted: false }
  if (isBufferText && bytes.toString('latin1', 0, 7) === 'Buffer:') return { value: withBuffers(bytes.toString('utf8')), encrypted: false }
  const { text, key } = jsonOf(bytes, keys, what, max)
  let value = parseValue(text, what)
  let encrypted = key !== null
  for (let depth = 0; depth < DEEPEST; depth++) {
    if (type !== WHOLE && isKeyv(value)) value = value.value
    else if (isSealed(value)) {
      const data = Buffer.from(value.ciphertext, 'base64')
      const isOpen = value.keyId === 'none' || value.nonce === ''
      encrypted ||= !isOpen
      value = parseValue(inflated(isOpen ? data : unsealed(data, Buffer.from(value.nonce, 'base64'), keys, what), what), what)
    } else if (typeof value === 'string' && type !== WHOLE && (isText ? value.startsWith('"') : true)) {
      if (!/^\s*(["[{]|null\s*$)/.test(value)) throw corrupt(what, 'it is a text that is not JSON: encrypted by the application')
      value = parseValue(value, what)
    } else break
  }
  return { value: settled(value, { type, isDocument, isBufferText }), encrypted }
}

module.exports = { bytesOf, hasBufferTexts, isObject, settled, valueOf, withBuffers }
