'use strict'

// A session out of the records of a database, in the shape in which `readSession` answers one out of files.
//
// Invariants: no damage is taken for absence, and what was not taken is counted; a digest of names and bytes tells whether anything has
// changed since. Messages hold no names and no values.

const { createHash } = require('node:crypto')
const { HybridAuthError } = require('../../errors.js')
const { CREDS, MOST_WHOLE, WHOLE } = require('../../multi-file/names.js')
const { checkCreds } = require('../../multi-file/read.js')
const { recordsOf } = require('../read.js')
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

/** Two records can mean one key, where a store has changed the way in which it writes names. */
function unique(entries) {
  const seen = new Set()
  for (const { type, id } of entries) {
    const key = `${type}\0${id}`
    if (seen.has(key))
      throw new HybridAuthError('INVALID_OPTION', `two records hold the same "${type}" key: remove the one that is not used`)
    seen.add(key)
  }
  return entries
}

/**
 * Reads a session that a survey found.
 * @param {any} found
 * @param {Buffer[]} keys that may have encrypted it
 * @returns {Promise<any>}
 */
async function readRecords(found, keys) {
  const { creds: credsRecord, records, blobs, others, cut = 0, isDocument = false, wrong = [] } = await found.fetch()
  const hashes = new Map()
  let bytes = 0
  function take({ name, raw }) {
    if (raw === null || raw === undefined) return
    const read = bytesOf(raw)
    hashes.set(name, createHash('sha256').update(read).digest())
    bytes += read.length
  }

  let creds = null
  let encrypted = false
  let isBufferText = false
  const entries = []
  const damaged = wrong.map(({ name, type }) => ({ name, type }))
  const left = []
  function add({ type, id, value }, name) {
    // Baileys takes a falsy value for none.
    if (value) entries.push({ type, id, value, name })
  }
  const addAll = (value, name, of) => {
    for (const { type, id, value: inner } of keysIn(value, of))
      add({ type, id, value: settled(inner, { type, isDocument, isBufferText }) }, name)
  }
  if (credsRecord !== null) {
    take(credsRecord)
    const read = valueOf(credsRecord.raw, { type: 'creds', keys, what: THEM, max: credsRecord.max, isDocument })
    encrypted = read.encrypted
    if (!read.value) throw new HybridAuthError('LOCAL_CORRUPT', `${THEM} are damaged (their record is empty)`)
    const inside = credsIn(read.value)
    creds = inside.creds
    isBufferText = inside.isBufferText
    addAll(inside.keys, CREDS)
  }
  for (const record of records) {
    take(record)
    const { type, id, raw, name, max } = record
    const isTooLarge = type === WHOLE && raw !== null && bytesOf(raw).length > MOST_WHOLE
    try {
      if (isTooLarge) throw new HybridAuthError('LOCAL_CORRUPT', 'a record of an unknown type is too large')
      const read = valueOf(raw, { type, keys, what: `a "${type}" record`, max, isDocument, isBufferText })
      encrypted ||= read.encrypted
      add({ type, id, value: read.value }, name)
    } catch (error) {
      if (error.code !== 'LOCAL_CORRUPT' && type !== WHOLE) throw error
      // Of no known family, it may as well be no key.
      if (type === WHOLE) left.push({ name, type })
      else damaged.push({ name, type, why: error.message })
    }
  }
  for (const blob of blobs) {
    take(blob)
    const read = valueOf(blob.raw, { type: 'keys', keys, what: 'the record of all keys', max: blob.max, isDocument })
    encrypted ||= read.encrypted
    addAll(read.value, blob.name, blob.type)
  }

  const digest = createHash('sha256')
  for (const [name, hash] of [...hashes].sort(([a], [b]) => (a < b ? -1 : 1)))
    digest
      .update(`${Buffer.byteLength(name)}:`)
      .update(name)
      .update(hash)
  const odd = entries.filter(({ type, id }) => isOddId(type, id)).length
  return {
    creds,
    entries: unique(entries),
    damaged,
    left,
    lost: others,
    digest: digest.digest('hex'),
    files: hashes.size,
    bytes,
    encrypted,
    warnings: warningsOf({ cut, odd })
  }
}

module.exports = { readRecords }
