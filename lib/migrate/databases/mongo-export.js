'use strict'

// Sessions in files that mongoexport wrote: a document per key, or a document per session; one file or a folder of them.
//
// Invariants: every document is read, and a line that is none stops the migration; bytes and numbers of MongoDB are what they were. The
// files are only read.

const fs = require('node:fs/promises')
const { basename, join } = require('node:path')
const { refuse } = require('../../checks.js')
const { HybridAuthError } = require('../../errors.js')
const { rolesOf } = require('./columns.js')
const { countOrphans, groupNames, isAllKeys, isCreds, isFamily, isKeyName, keyOf, prefixOf, typedKey } = require('./key-names.js')
const { KEYS, SESSIONS } = require('./layouts.js')

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

const encode = (data) => ({ type: 'Buffer', data })

/** The value of an object of MongoDB's extended JSON, `{ "$…": … }`, of either version; undefined for any other object. */
function plainOf(value) {
  const names = Object.keys(value)
  if (names.length === 0 || names.length > 2 || !names[0].startsWith('$')) return undefined
  const { $binary, $oid, $date, $uuid } = value
  if ($binary !== undefined) return encode(isObject($binary) ? $binary.base64 : $binary)
  for (const name of ['$numberLong', '$numberInt', '$numberDouble', '$numberDecimal'])
    if (typeof value[name] === 'string') return Number(value[name])
  if ($oid !== undefined || $uuid !== undefined) return $oid ?? $uuid
  if ($date !== undefined) return isObject($date) ? new Date(Number($date.$numberLong)).toISOString() : $date
  if (Object.hasOwn(value, '$undefined')) return null
  return undefined
}

const revive = (_, value) => (isObject(value) ? (plainOf(value) ?? value) : value)

/** The documents of a file, as functions that parse them: sessions are read one by one. */
async function documentsIn(path) {
  const bytes = await fs.readFile(path).catch((error) => {
    if (error.code === 'ERR_FS_FILE_TOO_LARGE')
      refuse('a file of the export is larger than 2 GB: export fewer sessions at once, with `--query`')
    throw new HybridAuthError('LOCAL_UNAVAILABLE', `the source cannot be read: ${error.code}`)
  })
  const parse = (text) => {
    try {
      const document = JSON.parse(text, revive)
      if (isObject(document) || Array.isArray(document)) return document
    } catch {
      // Told below: the message of the parser quotes the text.
    }
    return refuse(
      'a file of the export is not what mongoexport writes: one document in each line, or one array; a dump of `mongodump` must be restored and exported'
    )
  }
  const start = bytes.findIndex((byte) => byte > 0x20)
  if (start === -1) return []
  if (bytes[start] === 0x5b) return parse(bytes.toString('utf8')).map((document) => () => document)
  const found = []
  for (let from = 0; from < bytes.length;) {
    const next = bytes.indexOf(0x0a, from)
    const to = next === -1 ? bytes.length : next
    const line = bytes.subarray(from, to)
    if (line.some((byte) => byte > 0x20)) found.push(() => parse(line.toString('utf8')))
    from = to + 1
  }
  return found
}

const columnsOf = (document) =>
  Object.entries(document)
    // The remains of a Buffer whose fields became those of the document.
    .filter(([name, value]) => !(name === 'type' && value === 'Buffer') && !(name === 'data' && document.type === 'Buffer'))
    .map(([name, value]) => ({
      name,
      kind: typeof value === 'string' ? 'text' : typeof value === 'number' ? 'number' : 'other',
      max: null
    }))

/** Fields that MongoDB and its libraries add. */
const ADDED = ['_id', '__v', 'createdAt', 'updatedAt']

const restOfDocument = (document) => Object.fromEntries(Object.entries(document).filter(([name]) => !ADDED.includes(name)))

/** The place of a document: the credentials, a key or all of a session; null for something else. */
function placeOf(document) {
  const columns = columnsOf(document)
  const id = typeof document._id === 'string' ? document._id : ''
  const roles = rolesOf(columns)
  const field = (role) => (roles?.[role] === undefined ? undefined : document[roles[role].name])
  if (prefixOf(id) !== null || isKeyName(id)) {
    // The id names the key; its value is in one field, or is all the others.
    const session = roles?.session === undefined || roles.session.name === '_id' ? '' : String(field('session') ?? '')
    const wrapped = ['value', 'data'].find((name) => columns.some((column) => column.name === name))
    return { session, key: id, value: wrapped === undefined ? restOfDocument(document) : document[wrapped] }
  }
  if (roles === null) return null
  if (roles.creds !== undefined) return { session: String(field('session') ?? id), creds: field('creds'), keys: field('keys') }
  return {
    session: String(field('session') ?? ''),
    type: roles.type === undefined ? undefined : String(field('type')),
    key: String(field('key')),
    value: field('value')
  }
}

const asText = (value) => (value === undefined || value === null ? null : typeof value === 'string' ? value : JSON.stringify(value))

/** Form in which the sessions of a collection are described. */
const sessionOf = (path, parts, layout, fetch) => ({ path, parts, layout, problem: null, fetch: async () => fetch() })

const partsOf = (session) => (session === '' ? [] : [session])

/**
 * Sorts the documents of a collection: sessions in one document each (`whole`), and keys by session, of which a document names the type
 * (`rows`) or not (`named`). `passedOver`: documents that are neither.
 */
function sortDocuments(documents) {
  const sorted = { whole: [], named: new Map(), rows: new Map(), passedOver: 0 }
  documents.forEach((read, index) => {
    const place = placeOf(read())
    if (place === null) {
      sorted.passedOver++
      return
    }
    const { session, type, key } = place
    if (place.creds !== undefined) {
      sorted.whole.push(sessionOf(session, partsOf(session), SESSIONS, () => readWhole(read())))
      return
    }
    const group = type === undefined ? sorted.named : sorted.rows
    if (!group.has(session)) group.set(session, new Map())
    group.get(session).set(type === undefined ? key : JSON.stringify([type, key]), { index, type, key })
  })
  return sorted
}

/** Sessions among keys whose names say all; adds what is none to `counts`. */
function* namedSessions(session, places, documents, counts) {
  const { groups, loose } = groupNames(places.keys())
  for (const { path, creds, members } of groups) {
    const name = [session, path].filter(Boolean).join(':')
    const all = [{ name: creds, rest: 'creds' }, ...members].map(({ name: key, rest }) => ({
      rest,
      read: documents[places.get(key).index]
    }))
    yield sessionOf(name, session === '' ? path.split(':').filter(Boolean) : [name], KEYS, () => readNamed(all))
  }
  counts.passedOver += loose.length
  counts.withoutCreds += session !== '' && groups.length === 0 && loose.some((key) => isFamily(keyOf(key)?.type)) ? 1 : countOrphans(loose)
}

/** The session of keys beside which their type stands, if it is one; adds what is none to `counts`. */
function* typedSession(session, places, documents, counts) {
  const all = [...places.values()]
  if (all.some(({ type, key }) => isCreds(type) || isCreds(key)))
    yield sessionOf(session, partsOf(session), KEYS, () => readTyped(all.map(({ index }) => documents[index])))
  else if (all.some(({ type }) => isFamily(type))) counts.withoutCreds++
  else counts.passedOver += all.length
}

/** Sessions of one collection, and counts of the rest. */
function sessionsIn(documents) {
  const { whole, named, rows, passedOver } = sortDocuments(documents)
  const counts = { passedOver, withoutCreds: 0, empty: documents.length === 0 ? ['*'] : [] }
  const sessions = [...whole]
  for (const [session, places] of named) sessions.push(...namedSessions(session, places, documents, counts))
  for (const [session, places] of rows) sessions.push(...typedSession(session, places, documents, counts))
  return { sessions, ...counts }
}

const empty = () => ({ creds: null, records: [], blobs: [], others: 0, isDocument: true })

function readWhole(document) {
  const { creds, keys } = /** @type {any} */ (placeOf(document))
  const found = { ...empty(), creds: { name: 'creds', raw: asText(creds), max: null } }
  const packed =
    isObject(keys) &&
    Object.values(keys).length > 0 &&
    Object.entries(keys).every(([type, value]) => isFamily(type) && typeof value === 'string')
  // Each type by itself: encoded, and perhaps encrypted.
  if (packed) for (const [type, raw] of Object.entries(keys)) found.blobs.push({ name: type, type, raw, max: null })
  else if (keys !== undefined && keys !== null) found.blobs.push({ name: 'keys', raw: asText(keys), max: null })
  return found
}

function readNamed(all) {
  const found = empty()
  for (const { rest, read } of all) {
    const { key, value } = /** @type {any} */ (placeOf(read()))
    const record = { name: key, raw: asText(value), max: null }
    const place = keyOf(rest)
    if (isCreds(rest)) found.creds = record
    else if (isAllKeys(rest)) found.blobs.push(record)
    else if (place === null) found.others++
    else found.records.push({ ...record, ...place })
  }
  return found
}

function readTyped(documents) {
  const found = empty()
  for (const read of documents) {
    const { type, key, value } = /** @type {any} */ (placeOf(read()))
    const record = { name: JSON.stringify([type, key]), raw: asText(value), max: null }
    const place = typedKey(type, key)
    if (isCreds(type) || isCreds(key)) found.creds ??= record
    else if (place === null) found.others++
    else found.records.push({ ...record, ...place })
  }
  return found
}

/** The sessions of an export. A folder holds one file per collection. */
async function openExport({ path }) {
  const stat = await fs.stat(path).catch(() => refuse('`from` is not an existing file or folder'))
  const files = stat.isDirectory()
    ? (await fs.readdir(path))
        .filter((name) => /\.(json|jsonl|ndjson)$/.test(name))
        .sort()
        .map((name) => join(path, name))
    : [path]
  async function survey() {
    const all = { sessions: [], passedOver: 0, withoutCreds: 0, empty: [] }
    for (const file of files) {
      const found = sessionsIn(await documentsIn(file))
      const name = basename(file).replace(/\.[a-z]+$/, '')
      all.sessions.push(
        ...found.sessions.map((session) =>
          stat.isDirectory() && session.parts.length === 0 ? { ...session, path: name, parts: [name] } : session
        )
      )
      all.passedOver += found.passedOver
      all.withoutCreds += found.withoutCreds
      all.empty.push(...found.empty)
    }
    return all
  }
  return { survey, close: async () => {} }
}

module.exports = { openExport }
