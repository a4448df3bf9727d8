'use strict'

// The one growing buffer in which every outgoing request and batch is built, and the text primitives over Buffer.
//
// Invariant: nothing in here outlives the synchronous native call that copies it. `begin` refuses to nest, because a getter
// or a toJSON that calls `set` would overwrite the batch it is part of; a buffer grown by a huge value is not kept.
// The core has the last word on the length of a batch: room is asked for by bounds, which exceed what is then written.

const { HybridAuthError, unreadable } = require('../errors.js')

const INITIAL = 64 * 1024
const KEPT = 4 * 1024 * 1024
/** Largest batch of the format. Written here as in the core, because a codec needs no addon; a test compares the two. */
const MAX_BATCH = 512 * 1024 * 1024

// Undocumented but several times faster than toString and write; another runtime than Node may lack them.
const native = ['latin1Slice', 'utf8Slice', 'utf8Write'].every((name) => typeof Buffer.prototype[name] === 'function')
const latin1 = native ? (b, from, to) => b.latin1Slice(from, to) : (b, from, to) => b.toString('latin1', from, to)
const utf8 = native ? (b, from, to) => b.utf8Slice(from, to) : (b, from, to) => b.toString('utf8', from, to)
const writeUtf8 = native ? (b, text, at) => b.utf8Write(text, at) : (b, text, at) => b.write(text, at, 'utf8')

/** Room that is certainly enough for `text` in UTF-8. Long texts are measured, short ones take the bound. */
const roomFor = (text) => (text.length < 16384 ? text.length * 3 : Buffer.byteLength(text))

let busy = false

const encodeBuffer = {
  /** Read `bytes` again after every `reserve`: growing replaces it. */
  bytes: Buffer.allocUnsafeSlow(INITIAL),
  at: 0,

  begin() {
    if (busy) throw new HybridAuthError('INVALID_OPTION', 'set or get was called from a value during its encoding')
    busy = true
    encodeBuffer.at = 0
  },

  /** Ends what `begin` began: the bytes stay valid until the next `begin`. */
  finish() {
    busy = false
    const { bytes, at } = encodeBuffer
    if (bytes.length > KEPT) encodeBuffer.bytes = Buffer.allocUnsafeSlow(INITIAL)
    return { buffer: bytes, length: at }
  },

  /** `build()` between `begin` and `finish`, also when it throws. */
  run(build) {
    encodeBuffer.begin()
    try {
      build()
    } catch (error) {
      encodeBuffer.finish()
      throw unreadable('what was given', error)
    }
    return encodeBuffer.finish()
  },

  reserve(count) {
    const wanted = encodeBuffer.at + count
    if (wanted <= encodeBuffer.bytes.length) return
    if (wanted > MAX_BATCH + INITIAL) {
      throw new HybridAuthError('INVALID_OPTION', `a batch exceeds the limit of ${MAX_BATCH} bytes; set fewer values at once`)
    }
    let size = encodeBuffer.bytes.length
    while (size < wanted) size *= 2
    const grown = Buffer.allocUnsafeSlow(size)
    encodeBuffer.bytes.copy(grown, 0, 0, encodeBuffer.at)
    encodeBuffer.bytes = grown
  },

  /** Leaves room for a field whose content is not known yet; answers where it is. */
  skip(count) {
    encodeBuffer.reserve(count)
    encodeBuffer.at += count
    return encodeBuffer.at - count
  },

  /** Appends one byte. Never `bytes[skip(1)] = …`: that takes the buffer first, and then grows out of it. */
  byte(value) {
    encodeBuffer.reserve(1)
    encodeBuffer.bytes[encodeBuffer.at++] = value
  },

  u16At(position, value) {
    const b = encodeBuffer.bytes
    b[position] = value
    b[position + 1] = value >>> 8
  },

  u32At(position, value) {
    const b = encodeBuffer.bytes
    b[position] = value
    b[position + 1] = value >>> 8
    b[position + 2] = value >>> 16
    b[position + 3] = value >>> 24
  },

  raw(view) {
    encodeBuffer.reserve(view.length)
    encodeBuffer.bytes.set(view, encodeBuffer.at)
    encodeBuffer.at += view.length
  },

  /** Appends `text` as UTF-8. */
  text(text) {
    encodeBuffer.reserve(roomFor(text))
    const b = encodeBuffer.bytes
    const { at } = encodeBuffer
    const length = text.length
    let i = 0
    // A short ASCII id is not worth a call into C++.
    if (length < 20) while (i < length && text.charCodeAt(i) < 128) b[at + i] = text.charCodeAt(i++)
    encodeBuffer.at = at + (i === length ? length : writeUtf8(b, text, at))
  },

  utf16(text) {
    encodeBuffer.reserve(text.length * 2)
    encodeBuffer.at += encodeBuffer.bytes.write(text, encodeBuffer.at, 'utf16le')
  }
}

/** Sets an own property as assignment would, without waking the setter of `__proto__`. */
function setOwn(object, key, value) {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else object[key] = value
}

module.exports = { encodeBuffer, latin1, utf8, writeUtf8, roomFor, setOwn, MAX_BATCH }
