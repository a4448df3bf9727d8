'use strict'

// The place of a database that a migration reads: from a URL or an object, to the settings of its driver.
//
// Invariants: what is not known is refused, with the name of the field; no message repeats an address. A table or a pattern is ours, and
// everything else in a URL belongs to the driver.

const { openSync, closeSync, readSync, lstatSync } = require('node:fs')
const { resolve } = require('node:path')
const { fileURLToPath } = require('node:url')
const { named, ownFields, pathIn, quoted, refuse } = require('../../checks.js')

const SCHEMES = {
  mysql: 'mysql',
  mariadb: 'mysql',
  postgres: 'postgres',
  postgresql: 'postgres',
  redis: 'redis',
  rediss: 'redis',
  sqlite: 'sqlite',
  mongoexport: 'mongo-export'
}

/** Kind -> its fields in an object beside `kind`; those of a URL that are ours are its parameters. */
const FIELDS = {
  mysql: ['url', 'table', 'columns'],
  postgres: ['url', 'schema', 'table', 'columns'],
  sqlite: ['path', 'table', 'columns'],
  redis: ['url', 'match'],
  'mongo-export': ['path']
}
const PARAMETERS = ['table', 'schema', 'match']
const COLUMNS = ['session', 'type', 'key', 'value', 'creds', 'keys']

const MONGO =
  'a server of MongoDB is not read: export the collection with `mongoexport --uri … --collection … --out sessions.json`, and pass that file'

const BEGINNING = 64

/** The first bytes of a regular file; empty for anything else. */
function beginningOf(path) {
  try {
    if (!lstatSync(path).isFile()) return Buffer.alloc(0)
    const file = openSync(path, 'r')
    try {
      const bytes = Buffer.alloc(BEGINNING)
      return bytes.subarray(0, readSync(file, bytes, 0, BEGINNING, 0))
    } finally {
      closeSync(file)
    }
  } catch {
    return Buffer.alloc(0)
  }
}

const isSqlite = (path) => beginningOf(path).toString('latin1').startsWith('SQLite format 3\0')

/** True for a file that mongoexport plainly wrote: each document begins with its id. */
const isMongoExport = (path) => /^\s*\[?\s*\{\s*"_id"\s*:/.test(beginningOf(path).toString('utf8'))

/** The kind of file in a path that was given as it is; undefined for a folder, and for a file of Baileys. */
const kindOfFile = (path) => (isSqlite(path) ? 'sqlite' : isMongoExport(path) ? 'mongo-export' : undefined)

function checkColumns(given) {
  if (given === undefined) return undefined
  const columns =
    given === null || typeof given !== 'object'
      ? refuse('`from.columns` must be an object, such as { session, key, value }')
      : ownFields(given)
  for (const [role, name] of Object.entries(columns)) {
    if (!COLUMNS.includes(role)) refuse(`\`from.columns\` takes ${COLUMNS.join(', ')}, not ${quoted(role)}`)
    named({ value: name, from: `\`from.columns.${role}\`` }, 'the name of a column')
  }
  if (columns.value === undefined && columns.creds === undefined)
    refuse('`from.columns` needs `value`, the column of the values, or `creds`')
  if (columns.value !== undefined && columns.key === undefined) refuse('`from.columns` needs `key`, the column of the names of the keys')
  return { ...columns }
}

function serverOf(kind, text, from) {
  const url = URL.canParse(text)
    ? new URL(text)
    : refuse(`${from} is not a URL: write special characters of a password as %40 for @, %2F for / and so on`)
  if (url.hostname === '' && kind !== 'postgres') refuse(`${from} must name a server, such as ${kind}://user@host/database`)
  return url
}

/** Parameters of a URL that are ours, taken out of it. */
function takeParameters(url, kind, from) {
  const found = {}
  for (const name of PARAMETERS) {
    const value = url.searchParams.get(name)
    if (value === null || (name === 'schema' && kind !== 'postgres')) continue
    if (!FIELDS[kind].includes(name)) refuse(`${from} takes no parameter \`${name}\``)
    found[name] = named({ value, from: `the parameter \`${name}\` of ${from}` }, 'a name')
    url.searchParams.delete(name)
  }
  return found
}

function pathOf(text, from) {
  const rest = text.replace(/^[a-z]+:(\/\/)?/i, '').replace(/\?.*$/s, '')
  let path
  try {
    path = decodeURIComponent(rest)
  } catch {
    refuse(`${from} is malformed: write a % as %25`)
  }
  // Of sqlite:///C:/folder/file the first slash belongs to the URL.
  return pathIn({ value: /^\/[a-z]:[\\/]/i.test(path) ? path.slice(1) : path, from }, 'the path of a file')
}

function describeUrl(text, from) {
  const scheme = text.match(/^([a-z][a-z0-9+.-]*):/i)?.[1].toLowerCase() ?? ''
  if (/^mongodb(\+srv)?$/.test(scheme)) refuse(MONGO)
  if (!Object.hasOwn(SCHEMES, scheme)) return null
  const kind = SCHEMES[scheme]
  if (FIELDS[kind].includes('path')) {
    const query = text.match(/\?([^#]*)$/s)?.[1]
    const url = new URL(`file:///?${query ?? ''}`)
    const found = takeParameters(url, kind, from)
    if ([...url.searchParams].length > 0) refuse(`${from} takes no parameter but ${kind === 'sqlite' ? '`table`' : 'none'}`)
    return { kind, path: pathOf(text, from), ...found }
  }
  const url = serverOf(kind, text.replace(/^mariadb:/i, 'mysql:').replace(/^postgresql:/i, 'postgres:'), from)
  const found = takeParameters(url, kind, from)
  return { kind, url, ...found }
}

function describeObject(given, from) {
  const { kind, ...fields } = ownFields(given)
  if (typeof kind !== 'string' || !Object.hasOwn(FIELDS, kind)) return null
  for (const name of Object.keys(fields))
    if (!FIELDS[kind].includes(name))
      refuse(`${from}: ${quoted(name)} is unknown; a source of kind ${kind} takes ${FIELDS[kind].join(', ')}`)
  const spec = { kind, columns: checkColumns(fields.columns) }
  for (const name of PARAMETERS)
    if (fields[name] !== undefined) spec[name] = named({ value: fields[name], from: `\`from.${name}\`` }, 'a name')
  if (FIELDS[kind].includes('path')) return { ...spec, path: pathIn({ value: fields.path, from: '`from.path`' }, 'the path of a file') }
  const text =
    fields.url instanceof URL
      ? fields.url.href
      : named({ value: fields.url, from: '`from.url`' }, `a URL such as ${kind}://user@host/database`)
  const described = describeUrl(text, '`from.url`')
  if (described?.kind !== kind) refuse(`\`from.url\` must begin with ${kind}://`)
  return { ...described, ...spec }
}

/**
 * The database that `from` names; null for a folder, a bucket or a file of Baileys. A path counts by what the file begins with, or by the
 * layout that is asked for.
 * @param {any} from
 * @returns {any}
 */
function databaseAt(from) {
  const what = '`from`'
  if (from instanceof URL && from.protocol !== 'file:') return describeUrl(from.href, what)
  if (from instanceof URL) return from.host === '' ? fileAt(fileURLToPath(from)) : null
  if (typeof from === 'string') {
    if (/^file:/i.test(from) && URL.canParse(from)) return databaseAt(new URL(from))
    const isUrl = /^[a-z][a-z0-9+.-]+:/i.test(from)
    return isUrl ? describeUrl(from, what) : from === '' ? null : fileAt(resolve(from))
  }
  return from !== null && typeof from === 'object' ? describeObject(from, what) : null
}

function fileAt(path) {
  const kind = kindOfFile(path)
  return kind === undefined ? null : { kind, path }
}

module.exports = { databaseAt, isSqlite }
