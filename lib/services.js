'use strict'

// The store that the variables of existing services make, so that they switch without touching their configuration.
//
// Invariants: a store is made of variables only when nothing else names one, and only by variables that mean a store (those
// of AWS are everywhere, and never do); half of one, and two at once, are refused: a guess would send sessions to a place
// that nobody looks at, or to none.

const { allOf, first, refuse, refuseHalf, variable } = require('./checks.js')
const { describe, describeStore } = require('./store.js')

/** Service -> field of its store -> the variables that may hold it. */
const SERVICES = {
  supabase: {
    url: ['SUPABASE_URL'],
    key: ['SUPABASE_SERVICE_KEY', 'SUPABASE_SERVICE_ROLE_KEY'],
    bucket: ['SUPABASE_BUCKET', 'STORAGE_BUCKET']
  },
  r2: {
    endpoint: ['R2_ENDPOINT', 'R2_ACCOUNT_ID'],
    accessKeyId: ['R2_ACCESS_KEY_ID'],
    secretAccessKey: ['R2_SECRET_ACCESS_KEY'],
    bucket: ['R2_BUCKET_NAME', 'STORAGE_BUCKET']
  }
}

/** What is taken where no variable says otherwise; `from` is where such a value cannot come from. */
const DEFAULTS = { supabase: { bucket: 'whatsapp-sessions' }, r2: {} }

/** Says nothing about a service by itself. */
const SHARED = 'STORAGE_BUCKET'

const REMEDY = '; to use another store set SESSION_BACKUP_STORE, to use none SESSION_BACKUP_ENABLED=false'

/** What the variables say about a service. */
function read(service, env) {
  const fields = Object.entries(SERVICES[service]).map(([field, names]) => {
    const place = variable(env, ...names)
    return [field, place.value === undefined ? { ...place, value: DEFAULTS[service][field], names } : place]
  })
  const set = fields.map(([, place]) => place).filter(({ names }) => names === undefined)
  const missing = fields.map(([, place]) => place).filter(({ value }) => value === undefined)
  return {
    service,
    places: Object.fromEntries(fields),
    isMeant: set.some(({ from }) => from !== SHARED),
    set: set.map(({ from }) => from),
    missing: missing.map(({ names }) => names[0] + (names.length > 1 ? ` (or ${names[1]})` : ''))
  }
}

/** The store of a service, described. */
function storeOf({ service, places, set }) {
  const from = set.filter((name) => name !== SHARED).join(', ')
  const look = (field) => places[field] ?? { value: undefined, from }
  if (service === 'supabase') return describe('supabase', from, look)
  const { endpoint } = places
  if (endpoint.from === 'R2_ACCOUNT_ID') {
    const account = endpoint.value.trim()
    if (!/^[0-9a-z]+$/i.test(account)) refuse('R2_ACCOUNT_ID must be the id of an account, letters and digits only')
    places.endpoint = { ...endpoint, value: `https://${account}.r2.cloudflarestorage.com` }
  }
  return describe('s3', from, look)
}

/** The store that variables make; null for none. `wanted`: only this service, and it must be there. */
function storeOfServices(env, wanted) {
  const found = (wanted === undefined ? Object.keys(SERVICES) : [wanted]).map((service) => read(service, env))
  const meant = found.filter(({ isMeant }) => isMeant || wanted !== undefined)
  for (const { set, missing, service } of meant) {
    if (missing.length === 0) continue
    if (wanted === undefined) refuseHalf(set, missing, REMEDY)
    refuse(`SESSION_BACKUP_STORE asks for ${service}, which needs ${allOf(missing)}`)
  }
  if (meant.length > 1) {
    const all = meant.flatMap(({ set }) => set)
    refuse(`${allOf([...new Set(all)])} name two stores: say which one by SESSION_BACKUP_STORE, supabase or r2`)
  }
  return meant.length === 0 ? null : storeOf(meant[0])
}

/** Whether the environment allows a store, asks for one (true), or forbids it (false); undefined when it does not say. */
function enabled(env) {
  const { value, from } = variable(env, 'SESSION_BACKUP_ENABLED')
  const word = value?.trim().toLowerCase()
  if (word === undefined) return undefined
  if (['true', '1', 'yes', 'on'].includes(word)) return true
  if (['false', '0', 'no', 'off'].includes(word)) return false
  return refuse(`${from} must be one of: true, 1, yes, on, false, 0, no, off`)
}

/**
 * The store that the option or else the environment names, described; null for none. In local mode no store is made of
 * variables, so that it is a way out of everything that is wrong with them.
 */
function findStore(option, env, mode) {
  if (option !== undefined) return describeStore({ value: option, from: '`store`' })
  const isEnabled = enabled(env)
  if (isEnabled === false) return null
  const named = variable(env, 'SESSION_BACKUP_STORE')
  const service = named.value?.trim().toLowerCase()
  if (named.value !== undefined && !Object.hasOwn(SERVICES, service)) return describeStore(named)
  const made = mode === 'local' ? null : storeOfServices(env, service)
  if (made === null && isEnabled && mode !== 'local') {
    refuse('SESSION_BACKUP_ENABLED asks for a store, and none is named: set SESSION_BACKUP_STORE, such as s3://bucket')
  }
  return made
}

module.exports = { findStore }
