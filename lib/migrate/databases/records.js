'use strict'

// A session out of the records of a database, in the shape in which `readSession` answers one out of files.
//
// Invariants: no damage is taken for absence, and what was not taken is counted; a digest of names and bytes tells whether anything has
// changed since. Messages hold no names and no values.

const { HybridAuthError } = require('../../errors.js')
const { CREDS, MOST_WHOLE, WHOLE } = require('../../multi-file/names.js')
const { checkCreds } = require('../../multi-file/read.js')
const { recordsOf } = require('../read.js')
const { Taken, unique } = require('../taken.js')
const { isOddId } = require('./key-names.js')
const { bytesOf, hasBufferTexts, isObject, settled, valueOf, withBuffers } = require('./values.js')

const THEM = 'the credentials'

/** Credentials in a record, which may be a part of a larger value or have the keys beside them. */
function credsIn(value) {
  const inner = isObject(value) && value.noiseKey === undefined && isObject(value.creds) ? value : null
  const creds = inner === null ? value : inner.creds
  const isText = hasBufferTexts(creds)
  const read = isText ? withBuffers(creds) : creds
  try {
    checkCreds(read)
  } catch {
    throw new HybridAuthError('LOCAL_CORRUPT', `${THEM} are damaged (the record called creds does not contain Baileys credentials)`)
  }
  return { creds: read, keys: inner?.keys, isBufferText: isText }
}

/** All keys of a session in one value, as { type: { id: value } } or { "type-id": value }; of one type, as { id: value }. */
function* keysIn(value, type) {
  if (!value) return
  if (type !== undefined && isObject(value)) return void (yield* recordsOf({ [type]: value }, 'the record of all keys'))
  if (
    isObject(value) &&
    isObject(value.keys) &&
    Object.keys(value).every((name) => ['keys', 'appState', 'version', 'updatedAt'].includes(name))
  )
    yield* keysIn(value.keys)
  else if (isObject(value) && Object.values(value).every((each) => each === null)) return
  else yield* recordsOf(value, 'the record of all keys')
}

function warningsOf({ cut, odd }) {
  const warnings = []
  if (cut > 0) warnings.push(`${cut} names of keys fill their column and may have been cut off, so that Baileys would not find these keys`)
  if (odd > 0) warnings.push(`${odd} keys have ids in a form that Baileys does not use: the old store changed them`)
  return warnings
}

/** One reading of a session out of records. */
class Reading {
  #keys
  #isDocument
  #isBufferText = false
  #taken = new Taken()
  #encrypted = false
  #creds = null
  #entries = []
  #damaged
  #left = []

  constructor({ isDocument = false, wrong = [] }, keys) {
    this.#keys = keys
    this.#isDocument = isDocument
    this.#damaged = wrong.map(({ name, type }) => ({ name, type }))
  }

  /** @returns {any} */
  whole({ creds, records, blobs, others, cut = 0 }) {
    if (creds !== null) this.#readCreds(creds)
    for (const record of records) this.#readKey(record)
    for (const blob of blobs) this.#readKeys(blob)
    const odd = this.#entries.filter(({ type, id }) => isOddId(type, id)).length
    return {
      creds: this.#creds,
      entries: unique(this.#entries, 'records'),
      damaged: this.#damaged,
      left: this.#left,
      lost: others,
      digest: this.#taken.digest(),
      files: this.#taken.files,
      bytes: this.#taken.bytes,
      encrypted: this.#encrypted,
      warnings: warningsOf({ cut, odd })
    }
  }

  #take({ name, raw }) {
    if (raw !== null && raw !== undefined) this.#taken.add(name, bytesOf(raw))
  }

  /** The value of a record, read as `how` says and as all records of the session are. */
  #valueOf(raw, how) {
    const read = valueOf(raw, { keys: this.#keys, isDocument: this.#isDocument, ...how })
    this.#encrypted ||= read.encrypted
    return read.value
  }

  #add({ type, id, value }, name) {
    // Baileys takes a falsy value for none.
    if (value) this.#entries.push({ type, id, value, name })
  }

  #addAll(value, name, of) {
    const how = { isDocument: this.#isDocument, isBufferText: this.#isBufferText }
    for (const { type, id, value: inner } of keysIn(value, of)) this.#add({ type, id, value: settled(inner, { type, ...how }) }, name)
  }

  #readCreds(record) {
    this.#take(record)
    const value = this.#valueOf(record.raw, { type: 'creds', what: THEM, max: record.max })
    if (!value) throw new HybridAuthError('LOCAL_CORRUPT', `${THEM} are damaged (their record is empty)`)
    const inside = credsIn(value)
    this.#creds = inside.creds
    this.#isBufferText = inside.isBufferText
    this.#addAll(inside.keys, CREDS)
  }

  #readKey(record) {
    this.#take(record)
    const { type, id, raw, name, max } = record
    const isTooLarge = type === WHOLE && raw !== null && bytesOf(raw).length > MOST_WHOLE
    try {
      if (isTooLarge) throw new HybridAuthError('LOCAL_CORRUPT', 'a record of an unknown type is too large')
      const value = this.#valueOf(raw, { type, what: `a "${type}" record`, max, isBufferText: this.#isBufferText })
      this.#add({ type, id, value }, name)
    } catch (error) {
      if (error.code !== 'LOCAL_CORRUPT' && type !== WHOLE) throw error
      // Of no known family, it may as well be no key.
      if (type === WHOLE) this.#left.push({ name, type })
      else this.#damaged.push({ name, type, why: error.message })
    }
  }

  /** All keys, or all of one type, in one record. */
  #readKeys(record) {
    this.#take(record)
    this.#addAll(this.#valueOf(record.raw, { type: 'keys', what: 'the record of all keys', max: record.max }), record.name, record.type)
  }
}

/**
 * Reads a session that a survey found.
 * @param {any} found
 * @param {Buffer[]} keys that may have encrypted it
 * @returns {Promise<any>}
 */
async function readRecords(found, keys) {
  const fetched = await found.fetch()
  return new Reading(fetched, keys).whole(fetched)
}

module.exports = { readRecords }
