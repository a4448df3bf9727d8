'use strict'

// The doctor's checks of the tenants in a store: their names, their age, their sizes, their cost.
//
// Invariant: a tenant is judged by the times and the names of the store alone; no session is opened.

const { loadBinding } = require('../native.js')
const { mayRun } = require('./change.js')
const { costPerTenantDay } = require('./cost.js')
const { check, counted } = require('./doctor-check.js')
const { FREE } = require('./prices.js')
const { DAY } = require('../units.js')

/** Days where no rule names any: as many guides set them. */
const USUAL_EXPIRY = 30
/** As much of the limit is near it. */
const NEAR = 0.8

/** Ids that are a phone number or an address, as far as they look like it. */
const isPersonal = (id) => /\d{8}/.test(id.replace(/[\s()+.-]/g, '')) || id.includes('@')

function tenantIds(tenants, { hideTenantIds }) {
  const name = 'tenant-ids'
  const visible = tenants.filter(({ name, tenantId }) => tenantId !== null && !name.startsWith(loadBinding().constants().hiddenName))
  if (visible.length === 0)
    return check(name, 'ok', hideTenantIds ? 'names of objects contain no tenant ids' : 'there are no visible tenant ids')
  const seen = `anybody who can list the bucket sees ${counted(visible.length, 'tenant id')} in the names of objects`
  if (hideTenantIds) return check(name, 'warning', `${seen}, although \`hideTenantIds\` is set: they were stored without it`)
  if (visible.some(({ tenantId }) => isPersonal(tenantId)))
    return check(
      name,
      'warning',
      `${seen}, and some look like phone numbers or addresses; use other ids, or \`hideTenantIds\` for a new store`
    )
  return check(name, 'ok', `${seen}, but never their contents`)
}

function names(tenants, keys) {
  const name = 'names'
  if (keys.length === 0)
    return check(
      name,
      'unknown',
      'without `encryptionKeys` the origin of names in the store cannot be checked: anybody who can write to it can end and begin sessions'
    )
  const isAlive = ({ owner }) => owner === 'live' || owner === 'released'
  const alive = new Set(tenants.filter(isAlive).map((tenant) => tenant.name))
  const doubles = tenants.filter((tenant) => isAlive(tenant) && tenant.alsoNamed.some((other) => alive.has(other)))
  if (doubles.length > 0) {
    return check(
      name,
      'failed',
      `${counted(doubles.length, 'session')} of the same tenants under two kinds of name, with and without \`hideTenantIds\` or with two keys: each may have its own owner; keep the one in use and delete the other`,
      { doubles: doubles.map((tenant) => tenant.name) }
    )
  }
  const forged = tenants.flatMap((tenant) => tenant.forged)
  if (forged.length === 0) return check(name, 'ok', 'all names that decide about ownership were made with a key of this store')
  const of = counted(tenants.filter((tenant) => tenant.forged.length > 0).length, 'tenant')
  return check(
    name,
    'failed',
    `${counted(forged.length, 'object')} of ${of} made without a key of this store: another party can write to it. They are ignored; \`inspect\` lists them; remove them`,
    { forged }
  )
}

function idleTenants(tenants, life, native) {
  const name = 'idle-tenants'
  const rules = life.rules ?? []
  const days = rules.length === 0 ? USUAL_EXPIRY : Math.min(...rules.map((rule) => rule.days ?? 0))
  const now = Date.now()
  const asleep = tenants.filter((tenant) => {
    const isThere = tenant.owner === 'released' || tenant.owner === 'live'
    return isThere && !tenant.isOpen && !mayRun(tenant, native.refreshIntervalMs, now)
  })
  if (asleep.some(({ storedAt }) => storedAt === null)) return check(name, 'unknown', 'the store does not report upload times')
  const old = asleep.filter(({ storedAt }) => now - storedAt.getTime() > days * DAY)
  const said = `${counted(old.length, 'closed session')}, stored more than ${days} days ago`
  const more = { count: old.length, days }
  if (old.length === 0) return check(name, 'ok', `no closed session is older than ${days} days`, more)
  if (rules.length > 0)
    return check(name, 'failed', `${said}: a rule of the bucket removes them; open them, or exclude these objects`, more)
  if (life.outcome === 'unknown') return check(name, 'warning', `${said}: a rule that removes old objects would remove them`, more)
  return check(name, 'ok', `${said}; no rule removes them`, more)
}

function cost(native, tenants) {
  const { store } = native
  if (store.kind === 'directory' || store.kind === 'memory') return check('cost', 'ok', 'requests to this kind of store cost nothing')
  const figures = costPerTenantDay(native, Math.max(1, tenants?.length ?? 1))
  if (Object.hasOwn(FREE, store.kind))
    return check(
      'cost',
      'ok',
      `requests to a database cost nothing, unless its provider charges for each command; it costs ${FREE[store.kind].instead}`,
      { figures }
    )
  const day = ({ puts, lists, sentBytes, receivedBytes, usd }) => {
    const price = usd === null ? '' : `, ${usd < 0.0001 ? 'under 0.0001' : usd.toFixed(4)} USD`
    return `${Math.round(puts)} PUT, ${Math.round(lists)} LIST, ${(sentBytes / 1e6).toFixed(1)} MB sent, ${(receivedBytes / 1e6).toFixed(1)} MB of listings${price}`
  }
  const most = native.cloud ? '; more in `cloud` mode, where successive writes do not share an upload' : ''
  const rates =
    figures.provider === null
      ? 'the rates of this store are unknown'
      : `for requests, at the rates of ${figures.provider}, ${figures.asOf}, without the free tier`
  return check(
    'cost',
    'ok',
    `about, per tenant and day: idle ${day(figures.idle)}; at a message a minute ${day(figures.atWork)}${most} (${rates})`,
    { figures }
  )
}

const sized = (bytes) => (bytes < 1e6 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`)

/** The limit of the store for one object, held against the whole states in it; `tenants` is null where they cannot be listed. */
function sizeLimit({ largest }, { store }, tenants) {
  const name = 'size-limit'
  if (store.kind === 'directory' || store.kind === 'memory')
    return check(name, 'ok', 'this kind of store sets no limit of its own for the size of an object')
  if (largest.kind !== 'told') {
    if (store.kind === 'postgres' || store.kind === 'redis')
      return check(name, 'ok', 'objects of up to 64 MiB are stored whole, and larger ones in parts')
    const why =
      store.kind === 'supabase' ? `: ${largest.problem}` : ', this kind of store does not report it; larger objects are stored in parts'
    return check(name, 'unknown', `the limit for the size of an object is unknown${why}`)
  }
  if (largest.value === null) return check(name, 'ok', 'the bucket sets no limit for the size of an object, and the server reports none')
  const limit = largest.value
  const takes = `the store takes objects of up to ${sized(limit)}`
  if (limit < loadBinding().constants().smallestPartBytes)
    return check(
      name,
      'failed',
      `${takes}, which leaves no room for a session: raise the file size limit of the bucket and of the project`,
      { limit }
    )
  if (tenants === null) return check(name, 'unknown', `${takes}; the sizes of sessions cannot be listed`, { limit })
  const sizes = tenants.filter(({ owner, baseBytes }) => owner !== 'deleted' && baseBytes !== null).map(({ baseBytes }) => baseBytes)
  const [most, above, near] = [
    Math.max(0, ...sizes),
    sizes.filter((bytes) => bytes > limit).length,
    sizes.filter((bytes) => bytes > limit * NEAR).length
  ]
  const more = { limit, most, above, near }
  const advice = 'raise the file size limit of the bucket and of the project'
  if (above > 0)
    return check(
      name,
      'warning',
      `${takes}: ${counted(above, 'session')} larger than that, which travel in parts and cost more requests; ${advice}`,
      more
    )
  if (near > 0)
    return check(
      name,
      'warning',
      `${takes}: ${counted(near, 'session')} near that, beyond which they travel in parts and cost more requests; ${advice}`,
      more
    )
  return check(name, 'ok', `${takes}; the largest session has ${sized(most)}`, more)
}

module.exports = { tenantIds, names, idleTenants, cost, sizeLimit }
