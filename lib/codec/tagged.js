'use strict'

// The tagged form (value kind 4): plain data with binary leaves.
//
//   tagged := 00 null | 02 false | 03 true | 04 zigzag varint, |n| < 2^30 | 05 f64le | 06 varint length, ASCII
//           | 07 varint length, UTF-8 | 08 varint length, bytes | 09 varint n, n tagged
//           | 0a varint n, n ( varint length<<1|isUtf8, key, tagged )
//
// Invariant: the reader never looks outside the range it was given, never goes deeper than MAX_DEPTH, allocates nothing
// larger than that range, and answers LOCAL_CORRUPT to anything the writer could not have written with such lengths.

const { HybridAuthError } = require('../errors.js')
const { encodeBuffer, latin1, utf8, writeUtf8, roomFor, setOwn } = require('./encode-buffer.js')

/** Containers within containers. Deeper values go as JSON text, whose parser guards its own stack. */
const MAX_DEPTH = 64
/** Below this many bytes a loop is cheaper than a call. */
const SHORT_BYTES = 48
const SHORT_TEXT = 20

// ---------------------------------------------------------------------------------------------------------- writing

const varintSize = (n) => (n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : n < 0x10000000 ? 4 : 5)

/** `n` is below 2^32, and the caller has reserved the room. */
function putVarint(n) {
  const b = encodeBuffer.bytes
  let { at } = encodeBuffer
  while (n >= 0x80) {
    b[at++] = (n & 0x7f) | 0x80
    n >>>= 7
  }
  b[at++] = n
  encodeBuffer.at = at
}

/** False when the text is not short ASCII. */
function putShort(text, isKey) {
  const b = encodeBuffer.bytes
  const length = text.length
  let to = encodeBuffer.at + (isKey ? 1 : 2)
  for (let i = 0; i < length; i++) {
    const c = text.charCodeAt(i)
    if (c > 127) return false
    b[to++] = c
  }
  if (isKey) b[encodeBuffer.at] = length << 1
  else {
    b[encodeBuffer.at] = 6
    b[encodeBuffer.at + 1] = length
  }
  encodeBuffer.at = to
  return true
}

/** False when the text holds a lone surrogate, which UTF-8 cannot carry: JSON text escapes it. */
function putText(text, isKey) {
  const length = text.length
  encodeBuffer.reserve(roomFor(text) + 12)
  if (length < SHORT_TEXT && putShort(text, isKey)) return true
  const b = encodeBuffer.bytes
  const head = encodeBuffer.at + (isKey ? 0 : 1)
  // Written at once where it belongs if it is ASCII; only then is the size of its header known.
  const expected = varintSize(isKey ? length * 2 : length)
  const written = writeUtf8(b, text, head + expected)
  const ascii = written === length
  if (!ascii) {
    if (!text.isWellFormed()) return false
    const actual = varintSize(isKey ? written * 2 + 1 : written)
    if (actual !== expected) b.copyWithin(head + actual, head + expected, head + expected + written)
  }
  if (!isKey) b[encodeBuffer.at++] = ascii ? 6 : 7
  putVarint(isKey ? written * 2 + (ascii ? 0 : 1) : written)
  encodeBuffer.at += written
  return true
}

function putNumber(n) {
  encodeBuffer.reserve(10)
  const b = encodeBuffer.bytes
  if ((n | 0) === n && n < 0x40000000 && n > -0x40000000) {
    b[encodeBuffer.at++] = 4 // -0 becomes 0, as in JSON
    putVarint(((n << 1) ^ (n >> 31)) >>> 0)
  } else if (Number.isFinite(n)) {
    b[encodeBuffer.at++] = 5
    encodeBuffer.at = b.writeDoubleLE(n, encodeBuffer.at)
  } else b[encodeBuffer.at++] = 0 // null, as in JSON
  return true
}

function putBytes(view) {
  const length = view.length
  encodeBuffer.reserve(length + 6)
  const b = encodeBuffer.bytes
  b[encodeBuffer.at++] = 8
  putVarint(length)
  const { at } = encodeBuffer
  // Never by way of `view.buffer`: that moves small arrays off the V8 heap.
  if (length < SHORT_BYTES) for (let i = 0; i < length; i++) b[at + i] = view[i]
  else b.set(view, at)
  encodeBuffer.at = at + length
  return true
}

function putHead(tag, count) {
  encodeBuffer.reserve(6)
  encodeBuffer.bytes[encodeBuffer.at++] = tag
  putVarint(count)
}

/**
 * Appends a value which the survey of codec.js found to be plain data. False, with the scratch in an undefined position,
 * as soon as a text turns out to need JSON.
 */
function putTagged(value) {
  if (typeof value === 'string') return putText(value, false)
  if (typeof value === 'number') return putNumber(value)
  if (value === null || typeof value === 'boolean') {
    encodeBuffer.reserve(1)
    encodeBuffer.bytes[encodeBuffer.at++] = value === null ? 0 : value ? 3 : 2
    return true
  }
  if (value instanceof Uint8Array) return putBytes(value)
  if (Array.isArray(value)) {
    putHead(9, value.length)
    for (let i = 0; i < value.length; i++) if (!putTagged(value[i])) return false
    return true
  }
  const keys = Object.keys(value)
  putHead(10, keys.length)
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]
    if (!putText(key, true) || !putTagged(value[key])) return false
  }
  return true
}

// ---------------------------------------------------------------------------------------------------------- reading

// Reading never calls back into foreign code, so its state need not be an object.
let source = encodeBuffer.bytes
let base = 0
let next = 0
let end = 0
/** The whole range as one latin1 string: a substring of it costs a fraction of a call into the buffer. */
let flat = ''
const FLAT_LIMIT = 64 * 1024

const corrupt = (what) => new HybridAuthError('LOCAL_CORRUPT', `a stored value cannot be decoded: ${what}`)

function takeByte() {
  if (next >= end) throw corrupt('it ends too early')
  return source[next++]
}

function takeVarint() {
  const first = takeByte()
  if (first < 0x80) return first
  let value = first & 0x7f
  for (let factor = 0x80; factor <= 0x10000000; factor *= 0x80) {
    const c = takeByte()
    value += (c & 0x7f) * factor
    if (c >= 0x80) continue
    if (value <= 0xffffffff) return value
    break
  }
  throw corrupt('a number is too long')
}

/** A length in bytes, or a count of items that take a byte each at least. */
function checked(length) {
  if (length > end - next) throw corrupt('a length exceeds it')
  return length
}

function takeText(length, isUtf8) {
  const from = next
  next += length
  if (isUtf8) return utf8(source, from, next)
  return flat === '' ? latin1(source, from, next) : flat.substring(from - base, next - base)
}

function takeBytes(length) {
  const copy = Buffer.allocUnsafe(length)
  if (length < SHORT_BYTES) for (let i = 0; i < length; i++) copy[i] = source[next + i]
  else source.copy(copy, 0, next, next + length)
  next += length
  return copy
}

function takeArray(depth) {
  const count = checked(takeVarint())
  const items = []
  for (let i = 0; i < count; i++) items.push(takeTagged(depth))
  return items
}

function takeObject(depth) {
  const count = checked(takeVarint())
  const object = {}
  for (let i = 0; i < count; i++) {
    const head = takeVarint()
    const key = takeText(checked(head >>> 1), (head & 1) === 1)
    setOwn(object, key, takeTagged(depth))
  }
  return object
}

function takeTagged(depth) {
  switch (takeByte()) {
    case 0:
      return null
    case 2:
      return false
    case 3:
      return true
    case 4: {
      const zigzag = takeVarint()
      return (zigzag >>> 1) ^ -(zigzag & 1)
    }
    case 5: {
      checked(8)
      const number = source.readDoubleLE(next)
      if (!Number.isFinite(number)) throw corrupt('a number is not finite')
      next += 8
      return number
    }
    case 6:
      return takeText(checked(takeVarint()), false)
    case 7:
      return takeText(checked(takeVarint()), true)
    case 8:
      return takeBytes(checked(takeVarint()))
    case 9:
    case 10:
      if (depth === MAX_DEPTH) throw corrupt('it is nested too deeply')
      return source[next - 1] === 9 ? takeArray(depth + 1) : takeObject(depth + 1)
    default:
      throw corrupt('an unknown tag')
  }
}

/** The value in buffer[from, to), which it must fill exactly. */
function readTagged(buffer, from, to) {
  source = buffer
  base = next = from
  end = to
  flat = to - from <= FLAT_LIMIT ? latin1(buffer, from, to) : ''
  const value = takeTagged(0)
  if (next !== end) throw corrupt('something follows it')
  return value
}

module.exports = { putTagged, readTagged, corrupt, MAX_DEPTH }
