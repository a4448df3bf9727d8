'use strict'

// Sessions in the tables of a SQL database: a row per key or a row per session, with credentials and keys in one table or in two.
//
// Invariants: a table is read only if its columns and some rows say that it holds sessions; sessions in several tables are a choice for the
// caller. What the server finds is compared here again: its comparisons may ignore case.

const { HybridAuthError } = require('../../errors.js')
const { countOrphans, groupNames, isAllKeys, isCreds, isFamily, keyOf, typedKey } = require('./key-names.js')
const { KEYS, SESSIONS } = require('./layouts.js')
const { candidates, cellText: text } = require('./relations.js')
const { connectSql } = require('./sql.js')

/** Parts of names by which the server looks for rows of sessions. */
const TRACES = ['%creds%', '%pre-key%', '%app-state-sync%']
/** A part of every credentials, however often they are encoded. */
const OF_CREDS = 'noiseKey'

const nothing = () => ({ creds: null, records: [], blobs: [], others: 0, cut: 0 })

/** The sessions in a table of keys whose type has a column of its own. */
function typedPlaces(session, rows) {
  const hasCreds = rows.some(({ type, key }) => isCreds(text(type)) || isCreds(text(key)))
  const count = rows.filter(({ type }) => isFamily(text(type))).length
  const places = hasCreds || count > 0 ? [{ session, path: session, hasCreds, count }] : []
  return { places, foreign: places.length === 0 ? rows.length : 0, orphans: 0 }
}

/** The sessions in a table of keys by their names, which may begin or end with that of the session. */
function namedPlaces(session, names) {
  const { groups, loose } = groupNames(names)
  const places = groups.map(({ path, members, ...group }) => ({
    ...group,
    session,
    path: [session, path].filter(Boolean).join(':'),
    hasCreds: true,
    count: members.filter(({ rest }) => isFamily(keyOf(rest)?.type)).length
  }))
  const keys = loose.filter((name) => isFamily(keyOf(name)?.type)).length
  if (groups.length > 0 || keys === 0 || session === '') return { places, foreign: loose.length, orphans: countOrphans(loose) }
  return { places: [{ session, path: session, prefix: '', hasCreds: false, count: keys }], foreign: loose.length - keys, orphans: 0 }
}

/** Sessions in a table of keys. */
async function placesIn(rel) {
  const bySession = new Map()
  for (const row of await rel.names()) {
    const session = text(row.session)
    if (!bySession.has(session)) bySession.set(session, [])
    bySession.get(session).push(row)
  }
  const found = [...bySession].map(([session, rows]) =>
    rel.roles.type === undefined
      ? namedPlaces(
          session,
          rows.map(({ key }) => text(key))
        )
      : typedPlaces(session, rows)
  )
  const prefixes = found.flatMap(({ places }) => places)
  const places = prefixes.map((at) => ({
    ...at,
    siblings:
      at.prefix === undefined
        ? []
        : prefixes
            .filter(({ session, prefix }) => session === at.session && prefix !== at.prefix && prefix?.startsWith(at.prefix))
            .map(({ prefix }) => prefix)
  }))
  const sum = (field) => found.reduce((total, each) => total + each[field], 0)
  return { places, foreign: sum('foreign'), orphans: sum('orphans') }
}

/** The part of a name that is within a session; null for one of another session. */
function restOf(key, { prefix, suffix, siblings }) {
  if (suffix !== undefined) return key.endsWith(suffix) ? key.slice(0, -suffix.length) : null
  return key.startsWith(prefix) && !siblings.some((other) => key.startsWith(other)) ? key.slice(prefix.length) : null
}

/** Records of a session in a table of keys. */
async function readKeys(rel, at) {
  const isTyped = rel.roles.type !== undefined
  const found = nothing()
  for (const row of await rel.rows(at)) {
    const key = text(row.key)
    const type = text(row.type)
    const rest = isTyped ? key : restOf(key, at)
    if (rest === null) continue
    const record = { name: JSON.stringify([type, key]), raw: row.value, max: rel.max('value') }
    if (isCreds(rest) || (isTyped && isCreds(type))) {
      found.creds ??= record
      continue
    }
    if (!isTyped && isAllKeys(rest)) {
      found.blobs.push(record)
      continue
    }
    if (rel.max('key') !== null && key.length >= rel.max('key')) found.cut++
    const place = isTyped ? typedKey(type, key) : keyOf(rest)
    if (place === null) found.others++
    else found.records.push({ ...record, ...place })
  }
  return found
}

/** The row of a session: all of it, or the credentials alone. */
async function readRow(rel, at) {
  const [row] = await rel.rows(at)
  const found = nothing()
  if (row?.creds === null || row?.creds === undefined) return found
  found.creds = { name: 'creds', raw: row.creds, max: rel.max('creds') }
  if (row.keys !== null && row.keys !== undefined) found.blobs.push({ name: 'keys', raw: row.keys, max: rel.max('keys') })
  return found
}

/** True for credentials of Baileys: where a name alone speaks for them, their contents are looked at. */
async function areCreds(rel, at) {
  if (at.count > 0 || at.session !== '' || at.prefix === '') return true
  const { creds } = await readKeys(rel, at)
  return creds !== null && text(creds.raw).includes(OF_CREDS)
}

/** Places of credentials, and places of keys alone, in all tables. */
async function lookThrough(connection, spec) {
  const counts = { passedOver: 0, withoutCreds: 0, empty: [] }
  const withCreds = []
  const keysOnly = []
  for (const rel of await candidates(connection, spec)) {
    if (await rel.isEmpty()) {
      counts.empty.push(rel.name)
    } else if (rel.roles.creds !== undefined) {
      if (spec.table === undefined && !(await rel.holds(['creds'], [`%${OF_CREDS}%`]))) continue
      for (const row of await rel.sessions()) {
        const at = { session: text(row.session) }
        withCreds.push({ rel, layout: SESSIONS, path: at.session, session: at.session, count: 0, read: () => readRow(rel, at) })
      }
    } else if (await rel.holds(rel.roles.type === undefined ? ['key'] : ['key', 'type'], TRACES)) {
      const { places, foreign, orphans } = await placesIn(rel)
      counts.passedOver += foreign
      counts.withoutCreds += orphans
      for (const at of places) {
        const place = { rel, layout: KEYS, path: at.path, session: at.session, count: at.count, read: () => readKeys(rel, at) }
        if (!at.hasCreds) keysOnly.push(place)
        else if (await areCreds(rel, at)) withCreds.push(place)
        else counts.passedOver++
      }
    }
  }
  return { withCreds, keysOnly, counts }
}

/** A session in two places is read from both. */
async function readAll(places) {
  const all = nothing()
  for (const { read } of places) {
    const part = await read()
    all.creds ??= part.creds
    all.records.push(...part.records)
    all.blobs.push(...part.blobs)
    all.others += part.others
    all.cut += part.cut
  }
  return all
}

/** Parts of the name of a session: one from a column, or those between the colons of a key. */
const partsOf = ({ path, rel, layout }) =>
  path === '' ? [] : rel.roles.session !== undefined || layout === SESSIONS ? [path] : path.split(':').filter(Boolean)

function severalTables(tables) {
  throw new HybridAuthError(
    'INVALID_OPTION',
    `there are sessions in several tables (${[...tables].sort().slice(0, 10).join(', ')}): choose one with \`table\``
  )
}

/** The sessions of a SQL database. */
async function openTables(spec) {
  const connection = await connectSql(spec)
  async function survey() {
    const { withCreds, keysOnly, counts } = await connection.reading(() => lookThrough(connection, spec))
    const tables = new Set(withCreds.map(({ rel }) => rel.name))
    if (tables.size > 1) severalTables(tables)
    const joined = new Set(withCreds.map(({ session }) => session))
    const sessions = withCreds.map((place) => {
      const elsewhere = place.count > 0 ? [] : keysOnly.filter(({ session }) => session === place.session)
      const problem = `keys are in several tables (${elsewhere.map(({ rel }) => rel.name).join(', ')}): only one can be right; rename the others, or grant this user only the right one`
      return {
        path: place.path,
        parts: partsOf(place),
        layout: place.layout,
        problem: elsewhere.length > 1 ? problem : null,
        fetch: () => connection.reading(() => readAll([place, ...elsewhere]))
      }
    })
    return { sessions, ...counts, withoutCreds: counts.withoutCreds + keysOnly.filter(({ session }) => !joined.has(session)).length }
  }
  return { survey, close: connection.close }
}

module.exports = { openTables }
