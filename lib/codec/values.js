'use strict'

// Values <-> bytes.
//
//   value := kind:u8 payload
//     1 JSON text, ASCII      2 JSON text, UTF-8      3 raw bytes (the value itself is a Uint8Array)
//     4 tagged binary (tagged.js)                     5 BufferJSON text, UTF-8
//
// Invariant: decode(encode(v)) is what JSON.parse(JSON.stringify(v, BufferJSON.replacer), BufferJSON.reviver) gives, in
// class, content and key order. Kinds 1 to 4 are shortcuts, taken only where neither dialect of BufferJSON could answer
// otherwise; all the rest is kind 5, which asks the installed BufferJSON itself. One exception repairs a loss of the
// original: see `keepMessageKeys`.
//
// Sessions are JSON text because V8 builds objects from JSON faster than any JavaScript can; values with binary leaves are
// tagged because base64 and a reviver cost several times more than copying bytes.

const { HybridAuthError } = require('../errors.js')
const { encodeBuffer, latin1, utf8, writeUtf8, roomFor } = require('./encode-buffer.js')
const { putTagged, readTagged, corrupt, MAX_DEPTH } = require('./tagged.js')

const JSON_ASCII = 1
const JSON_UTF8 = 2
const RAW = 3
const TAGGED = 4
const BUFFER_JSON = 5

// Findings of the survey, or-ed together.
const PLAIN = 0
const BINARY = 1 // has a Uint8Array leaf
const DROPPED = 2 // undefined or a symbol: vanishes from objects, null in arrays
const UNUSUAL = 4 // only BufferJSON itself knows the answer; ends the survey at once, which also bounds it on cycles

/** One pass that decides whether a shortcut is exact for `value`, a container at `depth`. */
function survey(value, depth) {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
      return PLAIN
    case 'object':
      break
    case 'undefined':
    case 'symbol':
      return DROPPED
    default:
      return UNUSUAL // functions may have a toJSON, a bigint must throw
  }
  if (value === null) return PLAIN
  if (value instanceof Uint8Array) return BINARY
  if (depth === MAX_DEPTH) return UNUSUAL
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Array.prototype) return surveyArray(value, depth)
  // else a Date, a Map, another view, a boxed primitive, a protobuf message
  return prototype === Object.prototype || prototype === null ? surveyObject(value, depth) : UNUSUAL
}

function surveyArray(value, depth) {
  let found = value.toJSON === undefined ? PLAIN : UNUSUAL
  for (let i = 0; i < value.length && found < UNUSUAL; i++) {
    const item = value[i]
    if (typeof item !== 'string') found |= survey(item, depth + 1)
  }
  return found
}

/** Keys are compared while walking them: looking up `type` or `toJSON` by name is megamorphic here, and slow. */
function surveyObject(value, depth) {
  let found = PLAIN
  let looksLikeBytes = true
  let members = 0
  const keys = Object.keys(value)
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]
    const member = value[key]
    if (key === 'type') {
      if (member === 'Buffer') return UNUSUAL
    } else if (key === 'buffer') {
      if (member === true) return UNUSUAL // very old files mark bytes so, and the v6 reviver still honours it
    } else if (key === 'toJSON') return UNUSUAL
    if (typeof member === 'string') {
      looksLikeBytes = false
      members++
      continue
    }
    const seen = survey(member, depth + 1)
    found |= seen
    if (found >= UNUSUAL) return UNUSUAL
    if (seen === DROPPED && typeof member !== 'object') continue
    members++
    if (looksLikeBytes && !(typeof member === 'number' && !isNaN(parseInt(key, 10)))) looksLikeBytes = false
  }
  // {"0": 1, "1": 2}: the v7 reviver makes a Buffer of it
  return looksLikeBytes && members > 0 ? UNUSUAL : found
}

function putJson(text, ascii, wide) {
  encodeBuffer.reserve(roomFor(text) + 1)
  const { bytes, at } = encodeBuffer
  const written = writeUtf8(bytes, text, at + 1)
  bytes[at] = written === text.length ? ascii : wide
  encodeBuffer.at = at + 1 + written
}

/**
 * The record structures of 6.x sender keys. Baileys builds the kept keys of skipped messages with the wrong protobuf class,
 * whose toJSON knows neither `iteration` nor `seed`: BufferJSON writes `{}` (or base64 text, which libsignal refuses), and
 * the skipped messages can never be read. All else in the record stays as BufferJSON would have it.
 */
function keepMessageKeys(structure) {
  const kept = structure && structure.senderMessageKeys
  if (!Array.isArray(kept) || kept.length === 0) return structure
  const plain = typeof structure.toJSON === 'function' ? structure.toJSON() : { ...structure }
  const chain = plain.senderChainKey
  if (chain && typeof chain.toJSON === 'function') plain.senderChainKey = chain.toJSON()
  plain.senderMessageKeys = kept.map((key) => {
    const seed = key && key.seed
    if (seed instanceof Uint8Array) return { iteration: key.iteration, seed }
    if (typeof seed === 'string') return { iteration: key.iteration, seed: Buffer.from(seed, 'base64') }
    return key
  })
  return plain
}

/** Containers within containers that a reviver, which calls itself for each, surely gets through wherever the text is read. */
const MAX_READABLE_DEPTH = 1024

/** True for text that can only be written, and would overflow the stack of every reader. */
function isTooDeep(text) {
  // Each level takes two characters at the least: most values need no look.
  if (text.length <= 2 * MAX_READABLE_DEPTH) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22: // a string, to its end
        for (i++; text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++
        break
      case 0x5b:
      case 0x7b:
        if (++depth > MAX_READABLE_DEPTH) return true
        break
      case 0x5d:
      case 0x7d:
        depth--
    }
  }
  return false
}

/** No cause is kept: the message of a SyntaxError quotes the text, which is key material. */
function parse(text, reviver) {
  try {
    return JSON.parse(text, reviver)
  } catch {
    throw corrupt('it is not JSON text')
  }
}

/** Appends a value that only BufferJSON can write. */
function putUnusual(value, replacer) {
  /** @type {string | undefined} */
  let text
  try {
    text = JSON.stringify(value, replacer)
  } catch (error) {
    throw new HybridAuthError('INVALID_OPTION', 'a value cannot be written as JSON', error)
  }
  if (text === undefined) throw new HybridAuthError('INVALID_OPTION', `a ${typeof value} cannot be stored`)
  if (isTooDeep(text))
    throw new HybridAuthError(
      'INVALID_OPTION',
      `a value is nested more than ${MAX_READABLE_DEPTH} levels deep and would be unreadable; nothing changed`
    )
  putJson(text, BUFFER_JSON, BUFFER_JSON)
}

function putValue(given, type, replacer) {
  if (given instanceof Uint8Array) {
    encodeBuffer.reserve(given.length + 1)
    encodeBuffer.bytes[encodeBuffer.at++] = RAW
    encodeBuffer.raw(given)
    return
  }
  const value = type === 'sender-key' && Array.isArray(given) ? given.map(keepMessageKeys) : given
  const found = /** @type {any} */ (Object.prototype).toJSON === undefined ? survey(value, 0) : UNUSUAL
  if (found === PLAIN || (found === DROPPED && typeof value === 'object')) {
    putJson(JSON.stringify(value), JSON_ASCII, JSON_UTF8)
    return
  }
  if (found === BINARY) {
    const start = encodeBuffer.at
    encodeBuffer.reserve(1)
    encodeBuffer.bytes[encodeBuffer.at++] = TAGGED
    if (putTagged(value)) return
    encodeBuffer.at = start
  }
  putUnusual(value, replacer)
}

function readValue(buffer, from, to, reviver) {
  if (!(from >= 0 && from < to && to <= buffer.length)) throw corrupt('it is empty')
  const start = from + 1
  switch (buffer[from]) {
    case JSON_ASCII:
      return parse(latin1(buffer, start, to))
    case JSON_UTF8:
      return parse(utf8(buffer, start, to))
    case RAW: {
      const copy = Buffer.allocUnsafe(to - start)
      buffer.copy(copy, 0, start, to)
      return copy
    }
    case TAGGED:
      return readTagged(buffer, start, to)
    case BUFFER_JSON:
      return parse(utf8(buffer, start, to), reviver)
    default:
      throw corrupt('an unknown kind')
  }
}

/**
 * @param {{replacer: (key: string, value: any) => any, reviver: (key: string, value: any) => any}} BufferJSON of the installed Baileys, or a pinned dialect of baileys.js
 * @returns {{encode(value: unknown, type?: string): void, decode(buffer: Buffer, from?: number, to?: number): any}}
 *   `encode` appends to the scratch; INVALID_OPTION when the value has no JSON form (a bigint, a cycle, a function).
 *   `decode` answers a fresh value that shares nothing with `buffer`; LOCAL_CORRUPT when the bytes are malformed.
 */
const createCodec = ({ replacer, reviver }) => ({
  encode: (value, type) => putValue(value, type, replacer),
  decode: (buffer, from = 0, to = buffer.length) => readValue(buffer, from, to, reviver)
})

module.exports = { createCodec, keepMessageKeys }
