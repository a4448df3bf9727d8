'use strict'

// Keys and batches <-> the encode buffer: the only place that knows how a request to the core is laid out.
//
//   key   := type_len:u8 type(utf8) form:u8 id        form 0: id in UTF-8; form 1: UTF-16LE, for an id with a lone surrogate
//            or the single byte 00, which is creds
//   entry := key_len:u16le key value_len:u32le value  value_len ffffffff: delete (in a batch) or absent (in an answer)
//
// Invariants: everything a caller passes in is copied before the call returns, since Baileys goes on changing it. Ids come
// from the network and are opaque: any text is a key of its own, and none is looked up on an ordinary object. What is built
// here stays valid only until the next call that builds.

const { isUtf8 } = require('node:buffer')
const { HybridAuthError } = require('../errors.js')
const { encodeBuffer, utf8, setOwn } = require('./encode-buffer.js')

const MAX_KEY = 4096
const MAX_TYPE = 255
const FORM_UTF8 = 0
const FORM_UTF16 = 1
const NOTHING = 0xffffffff
/** Types whose loss costs a contact or the account a message at once, so that they are not held back for the next flush. */
const URGENT = new Set(['pre-key', 'app-state-sync-key'])

/** type -> its bytes in a key, or null for a type that cannot be a key. There are ten types; a caller may invent more. */
const heads = new Map()
const MAX_HEADS = 256

function headOf(type) {
  const cached = heads.get(type)
  if (cached !== undefined) return cached
  const text = Buffer.from(type, 'utf8')
  const valid = text.length >= 1 && text.length <= MAX_TYPE && type.isWellFormed()
  const head = valid ? Buffer.concat([Buffer.from([text.length]), text]) : null
  if (heads.size < MAX_HEADS) heads.set(type, head)
  return head
}

/** Appends key_len and key; false, and nothing appended, when the key would exceed its bound. */
function putKey(head, id) {
  const start = encodeBuffer.at
  // UTF-8 never takes fewer bytes than UTF-16 takes units: a hopelessly long id is not even copied.
  if (id.length > MAX_KEY) return false
  const length = encodeBuffer.skip(2)
  const wellFormed = id.isWellFormed()
  encodeBuffer.raw(head)
  encodeBuffer.byte(wellFormed ? FORM_UTF8 : FORM_UTF16)
  if (wellFormed) encodeBuffer.text(id)
  else encodeBuffer.utf16(id)
  const size = encodeBuffer.at - length - 2
  if (size > MAX_KEY) {
    encodeBuffer.at = start
    return false
  }
  encodeBuffer.u16At(length, size)
  return true
}

const corrupt = (what) => new HybridAuthError('LOCAL_CORRUPT', `stored entries cannot be decoded: ${what}`)

function textOf(buffer, from, to) {
  const text = utf8(buffer, from, to)
  if (text.includes('\ufffd') && !isUtf8(buffer.subarray(from, to))) throw corrupt('a key is not UTF-8')
  return text
}

/** @returns {{type: string, id: string} | {type: null, id: null}} the latter is the key of creds */
function decodeKey(buffer, from = 0, to = buffer.length) {
  if (to - from === 1 && buffer[from] === 0) return { type: null, id: null }
  const form = from + 1 + buffer[from]
  if (to - from < 3 || buffer[from] === 0 || form >= to || buffer[form] > FORM_UTF16) throw corrupt('a malformed key')
  const type = textOf(buffer, from + 1, form)
  if (buffer[form] === FORM_UTF8) return { type, id: textOf(buffer, form + 1, to) }
  if ((to - form) % 2 === 0) throw corrupt('a malformed key')
  return { type, id: buffer.toString('utf16le', form + 1, to) }
}

/** Appends the key of creds. */
function putCredsKey() {
  encodeBuffer.u16At(encodeBuffer.skip(2), 1)
  encodeBuffer.byte(0)
}

/** The parts of a batch and of an answer, with the values of one codec. */
class Batch {
  #codec

  /** @param {ReturnType<typeof import('./values.js').createCodec>} codec */
  constructor(codec) {
    this.#codec = codec
  }

  #putValue(value, type) {
    const length = encodeBuffer.skip(4)
    if (!value) {
      encodeBuffer.u32At(length, NOTHING) // any falsy value deletes, as in useMultiFileAuthState
      return
    }
    this.#codec.encode(value, type)
    encodeBuffer.u32At(length, encodeBuffer.at - length - 4)
  }

  #putCreds(creds) {
    if (creds === null || typeof creds !== 'object') throw new HybridAuthError('INVALID_OPTION', 'creds must be an object')
    putCredsKey()
    this.#putValue(creds, null)
  }

  /** Appends the `records` of one type (id -> value or null) and counts them in `tally`. */
  #putRecords(type, records, tally) {
    const head = headOf(type)
    if (head === null) throw new HybridAuthError('INVALID_OPTION', 'a key type must be 1 to 255 bytes of text')
    if (typeof records !== 'object') throw new HybridAuthError('INVALID_OPTION', `keys.set: "${type}" must be an object`)
    const presses = URGENT.has(type)
    for (const id of Object.keys(records)) {
      if (!putKey(head, id)) throw new HybridAuthError('INVALID_OPTION', `keys.set: an id of "${type}" is too long`)
      const value = records[id]
      this.#putValue(value, type)
      if (presses && value) tally.urgent = true
      tally.count++
    }
  }

  /** The request for `ids` of one type. `possible[i]` is false for an id that cannot be a key, and so cannot exist. */
  encodeKeys(type, ids) {
    if (!Array.isArray(ids)) throw new HybridAuthError('INVALID_OPTION', 'keys.get takes an array of ids')
    let count = 0
    let possible = null
    const built = encodeBuffer.run(() => {
      const head = headOf(String(type))
      for (let i = 0; i < ids.length; i++) {
        if (head !== null && putKey(head, String(ids[i]))) {
          count++
          continue
        }
        possible ??= new Array(ids.length).fill(true)
        possible[i] = false
      }
    })
    return { buffer: built.buffer, length: built.length, count, possible }
  }

  /**
   * The object `keys.get` answers, from what the core wrote for a request of `encodeKeys`: every id is an own property,
   * null when absent.
   * @param {(value: any) => any} [revive] applied to each present value
   */
  decodeAnswer(ids, possible, answer, length, revive) {
    const result = {}
    let at = 0
    for (let i = 0; i < ids.length; i++) {
      let value = null
      if (possible === null || possible[i]) {
        if (length - at < 4) throw corrupt('an answer ends too early')
        const size = answer.readUInt32LE(at)
        at += 4
        if (size !== NOTHING) {
          if (size > length - at) throw corrupt('an answer ends too early')
          value = this.#codec.decode(answer, at, at + size)
          at += size
          if (revive !== undefined) value = revive(value)
        }
      }
      setOwn(result, ids[i], value)
    }
    if (at !== length) throw corrupt('an answer is too long')
    return result
  }

  /**
   * One atomic batch of everything in `data` (type -> id -> value or null), and of `creds` when given.
   * INVALID_OPTION when an id or a type cannot be a key, or a value cannot be stored; nothing has happened then.
   */
  encodeSet(data, creds) {
    const tally = { count: 0, urgent: false }
    const built = encodeBuffer.run(() => {
      for (const type of Object.keys(data || {})) {
        const records = data[type]
        if (records) this.#putRecords(type, records, tally)
      }
      if (creds) {
        this.#putCreds(creds)
        tally.count++
      }
    })
    return { buffer: built.buffer, length: built.length, count: tally.count, urgent: tally.urgent }
  }

  /** The batch that saves creds alone. */
  encodeCreds(creds) {
    const built = encodeBuffer.run(() => this.#putCreds(creds))
    return { buffer: built.buffer, length: built.length, count: 1, urgent: false }
  }

  /** The request that reads creds: its answer is decoded with `decodeAnswer(['creds'], null, …)`. */
  encodeCredsKey() {
    const built = encodeBuffer.run(putCredsKey)
    return { buffer: built.buffer, length: built.length, count: 1, possible: null }
  }

  /** Each entry of `buffer` as {type, id, value}; creds as type null, id null; a deletion as value null. */
  *readEntries(buffer, length = buffer.length) {
    for (const { type, id, from, to } of walk(buffer, length)) {
      yield { type, id, value: from === to ? null : this.#codec.decode(buffer, from, to) }
    }
  }
}

/** @param {ReturnType<typeof import('./values.js').createCodec>} codec */
const createBatch = (codec) => new Batch(codec)

/**
 * Each entry's key, where its value lies, and what the whole entry takes; values are not decoded. `from === to` for a deletion: no
 * value is empty.
 */
function* walk(buffer, length = buffer.length) {
  let at = 0
  while (at < length) {
    if (length - at < 2) throw corrupt('an entry ends too early')
    const keyFrom = at + 2
    const keyTo = keyFrom + buffer.readUInt16LE(at)
    if (keyTo + 4 > length) throw corrupt('an entry ends too early')
    const { type, id } = decodeKey(buffer, keyFrom, keyTo)
    const size = buffer.readUInt32LE(keyTo)
    const from = keyTo + 4
    const to = size === NOTHING ? from : from + size
    if (size === 0 || to > length) throw corrupt('an entry ends too early')
    yield { type, id, from, to, bytes: to - at }
    at = to
  }
}

/** Keys of an index, each with the bytes of its whole entry. */
function* walkIndex(buffer) {
  for (let at = 0; at < buffer.length;) {
    const to = at + 2 + buffer.readUInt16LE(at)
    yield { ...decodeKey(buffer, at + 2, to), bytes: buffer.readUInt32LE(to) }
    at = to + 4
  }
}

module.exports = { createBatch, decodeKey, walk, walkIndex, MAX_KEY }
