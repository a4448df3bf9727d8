'use strict'

// The store of a session: from an option, a URL or the variables of existing services, to its description for the core.
//
// Invariants: a store is described in full or refused, with the name of the option or variable to fix; what is not known is
// refused and never passed over. Nothing is sent, and no variable is read before a session is opened.

const { fileURLToPath } = require('node:url')
const { bucketName, decoded, folderName, named, ownFields, pathIn, quoted, refuse } = require('../checks.js')
const { GCS, S3, SUPABASE } = require('./buckets.js')
const { POSTGRES } = require('./postgres.js')
const { REDIS } = require('./redis.js')

/**
 * Kind -> its fields in a store object, its parameters in a URL, where its credentials belong, and how it is completed. One that is
 * reached over a network has `authorities`: the variables, or places, that name some for it alone. A database takes its own URL apart
 * (`lookIn`), has variables of other programs (`services`, `namedIn`), and charges nothing for a request (`isFree`).
 */
const KINDS = {
  directory: { fields: ['path', 'create'], parameters: ['create'], secretsBelong: 'a directory needs none', complete: directory },
  memory: { fields: ['name'], parameters: [], secretsBelong: 'memory needs none', complete: memory },
  s3: S3,
  gcs: GCS,
  supabase: SUPABASE,
  postgres: POSTGRES,
  redis: REDIS
}

/** Parameters that are true or false. */
const FLAGS = new Set(['create', 'pathStyle', 'instanceMetadata'])

const DATABASES = { postgres: POSTGRES, redis: REDIS }
const SCHEMES = {
  __proto__: null,
  file: 'directory',
  memory: 'memory',
  s3: 's3',
  gs: 'gcs',
  supabase: 'supabase',
  ...Object.fromEntries(Object.entries(DATABASES).flatMap(([kind, { schemes }]) => schemes.map((scheme) => [scheme, kind])))
}
const KNOWN_URLS = 's3://bucket, supabase://bucket, gs://bucket, postgres://host/database, redis://host, file:///path or memory://name'

/**
 * A store, described: `look(field)` answers `{ value, from }`. The place in the bucket is checked here, credentials and
 * addresses when it is completed.
 */
function describe(kind, from, look) {
  const { names, buckets, fields } = KINDS[kind]
  if (!fields.includes('bucket')) return { kind, from, look }
  const place = { bucket: bucketName(look('bucket'), buckets), prefix: folderName(look('prefix'), names) }
  return { kind, from, look, place }
}

function describeObject(given, from) {
  const object = ownFields(given)
  const { kind } = object
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind)) {
    const word = typeof kind === 'string' && /^[a-z]{1,12}$/.test(kind) ? `, not ${kind}` : ''
    refuse(`\`store.kind\` must be one of: ${Object.keys(KINDS).join(', ')}${word}`)
  }
  const { fields } = KINDS[kind]
  for (const name of Object.keys(object)) {
    if (name === 'caCertificate') refuse(`${from}: \`caCertificate\` is an option of its own: pass it beside \`store\``)
    if (name !== 'kind' && !fields.includes(name))
      refuse(`${from}: ${quoted(name)} is unknown; a store of kind ${kind} takes ${fields.join(', ')}`)
  }
  return describe(kind, from, (field) => ({ value: object[field], from: `\`store.${field}\`` }))
}

function parametersOf(query, { kind, from }) {
  const { parameters, secretsBelong } = KINDS[kind]
  const found = new Map()
  for (const [name, value] of new URLSearchParams(query)) {
    if (!parameters.includes(name)) {
      if (/key|secret|token|credential|password/i.test(name)) refuse(`${from} must not hold credentials: ${secretsBelong}`)
      const known = parameters.length === 0 ? 'it takes none' : `it takes ${parameters.join(', ')}`
      refuse(`${from} has an unknown parameter, ${quoted(name)}: ${known}`)
    }
    if (found.has(name)) refuse(`${from} has the parameter \`${name}\` twice`)
    found.set(name, value)
  }
  return found
}

/** The value of a parameter, which may be true or false. */
function flagOf(parameters, field, from) {
  const text = parameters.get(field)
  const isFlag = FLAGS.has(field) && (text === 'true' || text === 'false')
  return { value: isFlag ? text === 'true' : text, from: `${from}: the parameter \`${field}\`` }
}

/** A bucket's URL is taken apart by hand: the platform's parser would resolve `..` and join empty folders unseen. */
function describeBucket(kind, from, text) {
  const [, authority, path, query = '', fragment] = text.match(/^[^:]+:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?$/s) ?? []
  if (authority === undefined) refuse(`${from} must have two slashes after the colon: ${KNOWN_URLS}`)
  if (authority.includes('@')) refuse(`${from} must not hold credentials: ${KINDS[kind].secretsBelong}`)
  if (authority.includes(':'))
    refuse(`${from} has a port in place of the bucket; set the address of a server with the parameter \`endpoint\``)
  if (fragment !== undefined) refuse(`${from} must not have a #`)
  const parameters = parametersOf(query, { kind, from })
  const folders = path.split('/').map((name) => decoded(name, from))
  if (folders.some((name) => name.includes('/'))) refuse(`a folder in the path of ${from} must not contain slashes`)
  return describe(kind, from, (field) => {
    if (field === 'bucket') return { value: decoded(authority, from), from: `the bucket in ${from}` }
    if (field === 'prefix') return { value: folders.join('/'), from: `the path of ${from}` }
    return flagOf(parameters, field, from)
  })
}

function describeUrl(text, from) {
  const scheme = text.match(/^([a-z][a-z0-9+.-]*):/i)?.[1].toLowerCase()
  if (scheme === undefined) refuse(`${from} is not a URL; write a directory as file:///path, a bucket as ${KNOWN_URLS}`)
  if (!Object.hasOwn(SCHEMES, scheme)) {
    const word = /^[a-z]{1,12}$/.test(scheme) ? `not ${scheme}:` : 'not this one'
    refuse(`${from} must be ${KNOWN_URLS}, ${word}; the address of a server is the \`endpoint\` of s3 or the \`url\` of supabase`)
  }
  const kind = SCHEMES[scheme]
  if (kind in DATABASES) return describe(kind, from, DATABASES[kind].lookIn(text, from))
  if (kind !== 'directory' && kind !== 'memory') return describeBucket(kind, from, text)
  if (!URL.canParse(text)) refuse(`${from} is not a URL; write file:///path with three slashes`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') refuse(`${from} must not hold credentials: ${KINDS[kind].secretsBelong}`)
  if (url.hash !== '') refuse(`${from} must not have a #; in a path write %23`)
  const parameters = parametersOf(url.search, { kind, from })
  if (kind === 'memory') return describe(kind, from, () => ({ value: url.hostname + url.pathname, from }))
  try {
    const path = fileURLToPath(url)
    return describe(kind, from, (field) => (field === 'create' ? flagOf(parameters, field, from) : { value: path, from }))
  } catch {
    return refuse(`${from} is not a file URL of this machine; write file:///path with three slashes`)
  }
}

/** The store that an option or a variable names, described; null for none. */
function describeStore({ value, from }) {
  if (value === undefined || value === null) return null
  const type = Object.prototype.toString.call(value)
  if (type === '[object URL]') return describeUrl(value.href, from)
  if (typeof value === 'string') return describeUrl(value.trim(), from)
  if (type === '[object Object]') return describeObject(value, from)
  return refuse(`${from} must be a URL, such as ${KNOWN_URLS}, or an object with a \`kind\``)
}

function directory({ look }) {
  const path = pathIn(look('path'), 'the path of a directory')
  const { value = false, from } = look('create')
  if (typeof value !== 'boolean') refuse(`${from} must be true or false`)
  return { kind: 'directory', path, ...(value && { create: true }) }
}

function memory({ look }) {
  return { kind: 'memory', name: named(look('name'), 'a non-empty text') }
}

/**
 * Description of the store for the core.
 * @param context `{ env, http(variables), warn(message), note(field, shown, place) }`: the last is told each field that is not in
 *   the description, in a form that may be shown, and where it was found
 */
const completeStore = (store, context) => KINDS[store.kind].complete(store, context)

/** The variables, or places, that name authorities for this store alone; null for one that has no use for any. */
function authoritiesOf(store, env) {
  const { authorities = null } = KINDS[store.kind]
  return typeof authorities === 'function' ? authorities(store, env) : authorities
}

/** The place that a described store is, to tell two apart. */
function placeOf(store, env) {
  const { kind, place, look } = store
  return JSON.stringify([
    kind,
    kind in DATABASES ? DATABASES[kind].placeOf(store, env) : (place ?? ['path', 'name'].map((field) => look(field).value))
  ])
}

/** True for a kind of store whose requests cost nothing. */
const isFree = (kind) => KINDS[kind].isFree === true

/** The database that is asked for by this name, described; null for any other name. */
function describeDatabase({ name, from }) {
  const found = Object.entries(DATABASES).find(([, { services }]) => name in services)
  if (found === undefined) return null
  const [kind, { services }] = found
  return { ...describe(kind, from, () => ({ value: undefined, from })), names: services[name] }
}

/** Databases that variables name, whether or not they are asked for: kind and variable. */
const databasesIn = (env) =>
  Object.entries(DATABASES)
    .map(([kind, { namedIn }]) => [kind, namedIn(env)])
    .filter(([, from]) => from !== undefined)

module.exports = { describe, describeDatabase, describeStore, completeStore, authoritiesOf, databasesIn, isFree, placeOf }
