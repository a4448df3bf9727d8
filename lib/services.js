'use strict'

// The store that the variables of existing services make, so that they switch without touching their configuration.
//
// Invariants: a store is made of variables only when nothing else names one, and only by variables that mean a store. Those
// of AWS are everywhere, and never do; those called S3_*, and those of Google, are as often for pictures, and do only when
// a store is asked for. Half of one, and two at once, are refused: a guess would send sessions to a place that nobody looks
// at, or to none.

const { allOf, first, refuse, refuseHalf, spoken, variable } = require('./checks.js')
const { describe, describeStore } = require('./store.js')
const { ownVariable } = require('./variables.js')

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

/** What a service can do without: the variables of AWS, or nothing, take its place. */
const OPTIONAL = { __proto__: null, s3: ['endpoint', 'region', 'accessKeyId', 'secretAccessKey', 'pathStyle'] }

/** Services that are meant only when a store is asked for, and the variables that mean them then. */
const ONLY_IF_ASKED = { __proto__: null, s3: ['S3_BUCKET', 'S3_BUCKET_NAME'], gcs: ['GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_CREDENTIALS'] }

/** What is taken where no variable says otherwise; `from` is where such a value cannot come from. */
const DEFAULTS = { __proto__: null, supabase: { bucket: 'whatsapp-sessions' } }

/** Keys that Supabase calls public: they stand beside the secret one, and never in its place. */
const PUBLIC_KEYS = ['SUPABASE_ANON_KEY', 'SUPABASE_PUBLISHABLE_KEY']

/** Says nothing about a service by itself. */
const SHARED = 'STORAGE_BUCKET'

const REMEDY = '; to use another store set SESSION_BACKUP_STORE, to use none SESSION_BACKUP_ENABLED=false'

/** What the variables say about a service. */
function read(service, env) {
  const fields = Object.entries(SERVICES[service]).map(([field, names]) => {
    const place = variable(env, ...names)
    return [field, place.value === undefined ? { ...place, value: DEFAULTS[service]?.[field], names } : place]
  })
  const set = fields.filter(([, { names }]) => names === undefined).map(([, place]) => place)
  const missing = fields.filter(([field, { value }]) => value === undefined && !OPTIONAL[service]?.includes(field)).map(([, place]) => place)
  const publicKey = service === 'supabase' ? variable(env, ...PUBLIC_KEYS) : { value: undefined }
  const isPublic = publicKey.value !== undefined && fields.some(([field, { value }]) => field === 'key' && value === undefined)
  return {
    service,
    places: Object.fromEntries(fields),
    isMeant: isPublic || set.some(({ from }) => from !== SHARED),
    set: [...set, ...(isPublic ? [publicKey] : [])].map(({ from }) => from),
    missing: missing.map(({ names }) => names[0] + (names.length > 1 ? ` (or ${names[1]})` : '')),
    hint: isPublic ? `; ${publicKey.from} is a public key and cannot take its place` : ''
  }
}

/** Whether a service that is meant only when a store is asked for would be. */
function wouldBeMeant(service, env) {
  const isNamed = variable(env, ...ONLY_IF_ASKED[service]).value !== undefined
  return isNamed && (service !== 'gcs' || variable(env, SHARED).value !== undefined)
}

/** Variables that could make a store, and do not because none is asked for. */
const unusedBuckets = (env) =>
  Object.keys(ONLY_IF_ASKED).filter((service) => wouldBeMeant(service, env)).map((service) => [variable(env, ...SERVICES[service].bucket).from, service])

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

/**
 * The store that variables make; null for none.
 * @param wanted `{ service, from }`: only this service, and it must be there
 * @param isAsked whether a store is asked for, whichever it is
 */
function storeOfServices(env, wanted, isAsked) {
  const named = (services) => services.map((service) => read(service, env))
  const byThemselves = Object.keys(SERVICES).filter((service) => !(service in ONLY_IF_ASKED))
  let meant = wanted === undefined ? named(byThemselves).filter(({ isMeant }) => isMeant) : named([wanted.service])
  if (meant.length === 0 && isAsked) meant = named(Object.keys(ONLY_IF_ASKED).filter((service) => wouldBeMeant(service, env)))
  for (const { set, missing, service, hint } of meant) {
    if (missing.length === 0) continue
    if (wanted === undefined) refuseHalf(set, missing, hint + REMEDY)
    refuse(`${wanted.from} asks for ${service}, which needs ${allOf(missing)}${hint}`)
  }
  if (meant.length > 1) {
    const all = meant.flatMap(({ set }) => set)
    refuse(`${allOf([...new Set(all)])} name two stores: say which one by SESSION_BACKUP_STORE, ${meant.map(({ service }) => service).join(' or ')}`)
  }
  return meant.length === 0 ? null : storeOf(meant[0])
}

/** Whether the environment allows a store, asks for one (true), or forbids it (false); undefined when it does not say. */
const enabled = (env) => spoken(variable(env, 'SESSION_BACKUP_ENABLED'))

/**
 * The store that the option or else the environment names, described; null for none. In local mode no store is made of
 * variables, so that it is a way out of everything that is wrong with them.
 */
function findStore(option, env, mode) {
  if (option !== undefined) return describeStore({ value: option, from: '`store`' })
  const isEnabled = enabled(env)
  if (isEnabled === false) return null
  const named = variable(env, ownVariable('store'), 'SESSION_BACKUP_STORE')
  const service = named.value?.trim().toLowerCase()
  if (named.value !== undefined && !Object.hasOwn(SERVICES, service)) return describeStore(named)
  const wanted = service === undefined ? undefined : { service, from: named.from }
  const made = mode === 'local' ? null : storeOfServices(env, wanted, isEnabled === true || mode !== undefined)
  if (made === null && isEnabled && mode !== 'local') {
    refuse('SESSION_BACKUP_ENABLED asks for a store, and none is named: set SESSION_BACKUP_STORE, such as s3://bucket')
  }
  return made
}

module.exports = { findStore, enabled, unusedBuckets }
