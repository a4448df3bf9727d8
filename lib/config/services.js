'use strict'

// The store that the variables of existing services make, so that they switch without touching their configuration.
//
// Invariants: a store is made of variables only when nothing else names one, and only of a full set of them. Those of AWS are
// everywhere, and never name one; those of databases are for the tables and queues of the application, and count only where the database
// is asked for by name; those called S3_*, and those of Google, are as often for pictures, and make one only when a store is asked for. Two full sets are refused, whichever they are, and half of one where there is no full one: a guess would
// send sessions to a place that nobody looks at, or to none.

const { allOf, halfOf, isOption, ownFields, refuse, spoken, variable } = require('../checks.js')
const { isSet } = require('./server-urls.js')
const { databasesIn, describe, describeDatabase, describeStore, placeOf } = require('./store.js')
const { lookUp, ownVariable } = require('./variables.js')

/** Service -> field of its store -> the variables that may hold it. */
const SERVICES = {
  __proto__: null,
  supabase: {
    url: ['SUPABASE_URL'],
    key: ['SUPABASE_SERVICE_KEY', 'SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_KEY'],
    bucket: ['SUPABASE_BUCKET', 'STORAGE_BUCKET']
  },
  r2: {
    endpoint: ['R2_ENDPOINT', 'R2_ACCOUNT_ID'],
    accessKeyId: ['R2_ACCESS_KEY_ID'],
    secretAccessKey: ['R2_SECRET_ACCESS_KEY'],
    bucket: ['R2_BUCKET_NAME', 'STORAGE_BUCKET']
  },
  s3: {
    endpoint: ['S3_ENDPOINT', 'S3_ENDPOINT_URL'],
    region: ['S3_REGION'],
    accessKeyId: ['S3_ACCESS_KEY_ID', 'S3_ACCESS_KEY'],
    secretAccessKey: ['S3_SECRET_ACCESS_KEY', 'S3_SECRET_KEY'],
    pathStyle: ['S3_FORCE_PATH_STYLE'],
    bucket: ['S3_BUCKET', 'S3_BUCKET_NAME', 'STORAGE_BUCKET']
  },
  gcs: { bucket: ['STORAGE_BUCKET'] }
}

/** Fields that a service can do without: the variables of AWS, or nothing, take their place. */
const OPTIONAL = { __proto__: null, s3: ['endpoint', 'region', 'accessKeyId', 'secretAccessKey', 'pathStyle'] }

/** Services that are meant only when a store is asked for, and the variables that mean them then. */
const ONLY_IF_ASKED = {
  __proto__: null,
  s3: ['S3_BUCKET', 'S3_BUCKET_NAME'],
  gcs: ['GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_CREDENTIALS']
}

/** Values where no variable says otherwise; `from` is where such a value cannot come from. */
const DEFAULTS = { __proto__: null, supabase: { bucket: 'whatsapp-sessions' } }

/** Keys that Supabase calls public: they accompany the secret one and never replace it. */
const PUBLIC_KEYS = ['SUPABASE_ANON_KEY', 'SUPABASE_PUBLISHABLE_KEY']

/** Says nothing about a service by itself. */
const SHARED = 'STORAGE_BUCKET'

/** Variables with which one of AWS's sources of credentials is there. */
const OF_AWS = [
  ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
  ['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN'],
  ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'],
  ['AWS_CONTAINER_CREDENTIALS_FULL_URI'],
  ['AWS_PROFILE']
]

const REMEDY = '; for another store set SESSION_BACKUP_STORE, for none SESSION_BACKUP_ENABLED=false'

/**
 * True if a set of S3 has what signs its requests: keys of its own, or one of the sources of AWS.
 * @type {(places: Record<string, any>, env: Record<string, string | undefined>) => boolean}
 */
function hasCredentials({ accessKeyId, secretAccessKey }, env) {
  if (isSet(accessKeyId) || isSet(secretAccessKey)) return isSet(accessKeyId) && isSet(secretAccessKey)
  return OF_AWS.some((names) => names.every((name) => isSet(variable(env, name))))
}

/** True if a service that is meant only when a store is asked for would be. */
function wouldBeMeant(service, env) {
  return isSet(variable(env, ...ONLY_IF_ASKED[service])) && (service !== 'gcs' || isSet(variable(env, SHARED)))
}

/**
 * Places of the fields of a service in the variables, and whether they are enough.
 * @returns {any}
 */
function read(service, env) {
  /** @type {[string, any][]} */
  const fields = Object.entries(SERVICES[service]).map(([field, names]) => {
    const place = variable(env, ...names)
    return [field, isSet(place) ? place : { ...place, value: DEFAULTS[service]?.[field], names }]
  })
  /** @type {Record<string, any>} */
  const places = Object.fromEntries(fields)
  const set = fields.filter(([, { names }]) => names === undefined).map(([, place]) => place)
  const missing = fields.filter(([field, place]) => !isSet(place) && !OPTIONAL[service]?.includes(field)).map(([, place]) => place)
  const publicKey = service === 'supabase' ? variable(env, ...PUBLIC_KEYS) : { value: undefined, from: '' }
  const isPublic = isSet(publicKey) && !isSet(places.key)
  return {
    service,
    places,
    isMeant: service in ONLY_IF_ASKED ? wouldBeMeant(service, env) : isPublic || set.some(({ from }) => from !== SHARED),
    isFull: missing.length === 0 && (service !== 's3' || hasCredentials(places, env)),
    set: [...set, ...(isPublic ? [publicKey] : []), ...(service === 'gcs' ? [variable(env, ...ONLY_IF_ASKED.gcs)].filter(isSet) : [])].map(
      ({ from }) => from
    ),
    missing: missing.map(({ names }) => names[0] + (names.length > 1 ? ` (or ${names[1]})` : '')),
    hint: isPublic ? `; ${publicKey.from} is a public key and cannot replace it` : ''
  }
}

/** Databases that variables name and no store is: the variable, and what asks for it in SESSION_BACKUP_STORE. */
const unusedDatabases = (env) => databasesIn(env).map(([kind, from]) => [from, from === 'SUPABASE_DB_URL' ? 'supabase-db' : kind, kind])

/** Variables that could make a store, and do not because none is asked for. */
const unusedStores = (env) => [
  ...Object.keys(ONLY_IF_ASKED)
    .filter((service) => wouldBeMeant(service, env))
    .map((service) => [variable(env, ...SERVICES[service].bucket).from, service]),
  ...unusedDatabases(env)
]

/** The store of a service, described. */
function storeOf({ service, places, set }) {
  const from = set.filter((name) => name !== SHARED || service === 'gcs').join(', ') || SHARED
  const look = (field) => places[field] ?? { value: undefined, from }
  if (service === 'supabase' || service === 'gcs') return describe(service, from, look)
  if (service === 's3') {
    if (places.pathStyle.value !== undefined) places.pathStyle = { ...places.pathStyle, value: spoken(places.pathStyle) }
    return describe('s3', from, look)
  }
  const { endpoint } = places
  if (endpoint.from === 'R2_ACCOUNT_ID') {
    const account = endpoint.value.trim()
    if (!/^[0-9a-z]+$/i.test(account)) refuse('R2_ACCOUNT_ID must be the id of an account, letters and digits only')
    places.endpoint = { ...endpoint, value: `https://${account}.r2.cloudflarestorage.com` }
  }
  return describe('s3', from, look)
}

/** The store of a service that is asked for by its name. */
function storeNamed({ service, from }, env) {
  const found = read(service, env)
  const { missing, hint } = found
  if (missing.length > 0) refuse(`${from} requests ${service}, which needs ${allOf(missing)}${hint}`)
  return storeOf(found)
}

/**
 * The store that a full set of variables makes; null for none. A half beside it makes none, and is told.
 * @param isAsked whether a store is asked for, whichever it is
 */
function storeOfSets(env, isAsked, warn) {
  const meant = Object.keys(SERVICES)
    .map((service) => read(service, env))
    .filter(({ isMeant }) => isMeant)
  const byThemselves = meant.filter(({ service }) => !(service in ONLY_IF_ASKED))
  const halves = byThemselves.filter(({ isFull }) => !isFull)
  const isWanted = isAsked || halves.length < byThemselves.length
  const full = isWanted ? meant.filter(({ isFull }) => isFull) : []
  if (full.length > 1) {
    const services = full.map(({ service }) => service)
    refuse(
      `the variables name ${full.length === 2 ? 'two' : full.length} stores, ${allOf(full.map(({ service, set }) => `${service} (${set.join(', ')})`))}: ` +
        `set SESSION_BACKUP_STORE to ${services.join(' or ')}, or remove the variables of ${full.length === 2 ? 'one' : 'all but one'}`
    )
  }
  if (full.length === 0 && halves.length > 0) {
    const [{ set, missing, hint }] = halves
    refuse(halfOf(set, missing) + hint + REMEDY)
  }
  for (const { set, missing, hint } of halves)
    warn(`${halfOf(set, missing)}${hint}: this incomplete store is ignored, ${full[0].service} is used`)
  const found = full[0] ?? (isAsked ? meant.find(({ isFull }) => !isFull) : undefined)
  return found === undefined ? null : storeOf(found)
}

/** True where the environment asks for a store, false where it forbids one; undefined when it does not say. */
const enabled = (env) => spoken(variable(env, 'SESSION_BACKUP_ENABLED'))

/**
 * The store that the option or else the environment names, described; null for none. These are all the rules of variables for
 * stores, in their order. In local mode no store is made of variables, so that it is a way out of everything that is wrong with
 * them.
 * @param {any} option
 * @param {Record<string, string | undefined>} env
 * @param {{ value: any, from: string }} mode
 * @param {(text: string) => void} [warn] is told what is set and has no effect
 */
function findStore(option, env, mode, warn = () => {}) {
  if (option !== undefined) return describeStore({ value: option, from: '`store`' })
  const isEnabled = enabled(env)
  const own = variable(env, ownVariable('store'))
  const unused = (reason) => isSet(own) && warn(`${own.from} is not used: ${reason}; remove one of the two`)
  if (isEnabled === false) {
    unused('SESSION_BACKUP_ENABLED forbids a store')
    return null
  }
  const isLocal = mode.value === 'local'
  if (isLocal && !isOption(mode.from)) unused(`${mode.from} is local`)
  const named = variable(env, own.from, 'SESSION_BACKUP_STORE')
  const service = named.value?.trim().toLowerCase()
  const database = isSet(named) ? describeDatabase({ name: service, from: named.from }) : null
  if (isSet(named) && database === null && !Object.hasOwn(SERVICES, service)) return describeStore(named)
  if (isLocal) return null
  if (database !== null) return database
  if (isSet(named)) return storeNamed({ service, from: named.from }, env)
  const made = storeOfSets(env, isEnabled === true || mode.value !== undefined, warn)
  if (made === null && isEnabled) {
    refuse('SESSION_BACKUP_ENABLED requests a store, but none is set: set SESSION_BACKUP_STORE, such as s3://bucket')
  }
  return made
}

/** The store of these variables by themselves, as `{ from, place }`; null where they name none. */
function storeIn(env) {
  const { value, from } = lookUp({}, env, 'mode')
  const found = findStore(undefined, env, { value, from })
  return found && { from: found.from, place: placeOf(found, env) }
}

/** The setting by which there is no store although one may be named, in words; null where there is none of that kind. */
function reasonForNoStore(given, env = process.env) {
  const options = ownFields(given)
  const mode = lookUp(options, env, 'mode')
  if (mode.value === 'local') return `${mode.from} is local`
  return options.store === undefined && enabled(env) === false ? 'SESSION_BACKUP_ENABLED forbids a store' : null
}

module.exports = { findStore, enabled, unusedDatabases, unusedStores, storeIn, reasonForNoStore }
