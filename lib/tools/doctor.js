'use strict'

// The doctor: problems and risks of a store and of its use.
//
// Invariants: a check that could not be done is `unknown`, and never `ok`. Only scratch objects under `v1/probe` are written, and
// they are removed again; no session is touched. A check that fails costs the others nothing.

const { stat } = require('node:fs/promises')
const { flag, refuse } = require('../checks.js')
const { settle } = require('../errors.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')
const { mayRun } = require('./change.js')
const { contract } = require('./contract.js')
const { costPerTenantDay } = require('./cost.js')
const { doctorDatabase } = require('./doctor-databases.js')
const { doctorProfiles } = require('./doctor-profiles.js')
const { standings } = require('./look.js')
const { FREE } = require('./prices.js')

const DAY = 86_400_000
/** Days where no rule names any: as many guides set them. */
const USUAL_EXPIRY = 30
/** A bucket that answers slower than this holds up every open. */
const SLOW_MS = 1000
/** Below this a store takes no part of a base either. */
const SMALLEST_PART = 8192
/** As much of the limit is near it. */
const NEAR = 0.8

const check = (name, outcome, message, more) => ({ name, outcome, message, ...more })
const counted = (count, what) => `${count} ${what}${count === 1 ? '' : 's'}`

/** Steps of the core's examination -> the check and what it says when all is well. */
const STEPS = {
  reachable: ['reachable', 'the store is reachable'],
  write: ['write', 'objects can be stored and replaced'],
  list: ['list', 'objects can be listed'],
  read: ['read', 'objects can be read'],
  delete: ['delete', 'objects can be removed'],
  listAfterPut: ['list-after-put', 'a LIST shows objects stored before it'],
  clock: ['clock', 'the clocks agree']
}

/** @type {(words: string[], found: any) => any} */
function ofStep([name, well], { done, problem, ms }) {
  const outcome = done === null ? 'unknown' : done ? 'ok' : 'failed'
  return check(name, outcome, done ? well : problem, ms === null ? {} : { ms })
}

/** View of strangers: another address at which a provider gives the bucket out is asked where it is known. */
function strangers({ kind, endpoint }) {
  if (kind === 'postgres') return 'neither everybody nor the roles of a data API (anon, authenticated) can read the table'
  if (kind === 'redis') return 'the server answers nobody without a password'
  const isSeen = kind !== 's3' || endpoint === null || endpoint.endsWith('/storage/v1/s3')
  return isSeen
    ? 'the bucket is not public'
    : 'the bucket is not public at this address; other public addresses (r2.dev, a CDN, your own domain) were not checked'
}

async function privacy(native, { private: step }) {
  if (native.store.kind === 'directory') {
    const { mode } = await stat(native.store.path)
    const open = process.platform === 'win32' ? null : (mode & 0o077) !== 0
    if (open === null) return check('private', 'unknown', 'the permissions of a directory cannot be checked on this system')
    if (open) return check('private', 'warning', 'other users of this machine can list the directory (its contents are private): chmod 700')
    return check('private', 'ok', 'no other user of this machine can list the directory')
  }
  if (native.store.kind === 'memory') return check('private', 'ok', 'it is in the memory of this process')
  const found = ofStep(['private', strangers(native.store)], step)
  return found.outcome === 'failed' && native.store.allowPublic ? { ...found, outcome: 'warning' } : found
}

function latency({ latency: found }, { cloud, flushIntervalMs }) {
  if (found === null) return check('latency', 'unknown', 'not measured, because objects cannot be stored, listed and read')
  const text = `PUT ${found.put} ms, LIST ${found.list} ms, GET ${found.get} ms (median of five)`
  const more = { ms: Math.round(found.put), figures: found }
  if (cloud) {
    const waits = `in \`cloud\` mode each write waits for a PUT and a LIST, ${(found.put + found.list).toFixed(1)} ms here`
    if (found.put + found.list <= SLOW_MS) return check('latency', 'ok', `${text}: ${waits}`, more)
    return check('latency', 'warning', `${text}: ${waits}, and so does each message sent; use a closer store, or \`mode: 'hybrid'\``, more)
  }
  if (found.put + found.list > Math.max(SLOW_MS, flushIntervalMs)) {
    return check('latency', 'warning', `${text}: slower than the flush interval; a lost machine loses accordingly more`, more)
  }
  return check('latency', 'ok', text, more)
}

/** The rules that concern the objects of this package, live ones at least. */
function concerning(rules, prefix) {
  const ours = prefix === '' ? 'v1/' : `${prefix}/v1/`
  const scratch = `${ours}probe`
  const concerns = (start) => (start.startsWith(ours) && !start.startsWith(scratch)) || ours.startsWith(start)
  return rules.filter(({ prefixes }) => prefixes.length === 0 || prefixes.some(concerns))
}

const says = ({ days, date, fate }) => {
  const when = days === null ? `after ${date}` : `after ${counted(days, 'day')}`
  return fate === 'removed' ? `removes objects ${when}` : `moves objects ${when} to a storage class that cannot be read immediately`
}

function lifecycle({ rules }, { store, refreshIntervalMs }) {
  const name = 'lifecycle'
  if (store.kind === 'directory')
    return check(name, 'unknown', 'a directory has no lifecycle rules; make sure that nothing else removes old files from it')
  if (store.kind === 'memory') return check(name, 'ok', 'nothing is removed from memory')
  if (rules.kind === 'impossible') return check(name, 'ok', 'this kind of store has no lifecycle rules')
  if (rules.kind === 'unknown') return check(name, 'unknown', `the lifecycle rules cannot be read: ${rules.problem}`)
  const found = concerning(rules.value, store.prefix)
  if (found.length === 0) return check(name, 'ok', 'no rule of the bucket removes live objects', { rules: [] })
  const isDeadly = ({ days }) => days === null || days * DAY <= refreshIntervalMs
  const worst = found.find(isDeadly) ?? found[0]
  if (isDeadly(worst)) {
    return check(
      name,
      'failed',
      `a rule ${says(worst)}, and running sessions re-upload unchanged objects only every ${+(refreshIntervalMs / DAY).toFixed(2)} days: exclude these objects, or lower \`refreshIntervalMs\``,
      { rules: found }
    )
  }
  return check(
    name,
    'warning',
    `a rule ${says(worst)}: running sessions are re-uploaded earlier, but closed sessions are lost; exclude these objects`,
    { rules: found }
  )
}

function versioning({ versions }, { store }) {
  const name = 'versioning'
  if (store.kind === 'directory' || store.kind === 'memory' || versions.kind === 'impossible') {
    return check(name, 'ok', 'removed objects are gone: this kind of store keeps no versions')
  }
  if (versions.kind === 'unknown') return check(name, 'unknown', `the versioning of the bucket cannot be read: ${versions.problem}`)
  if (!versions.value) return check(name, 'ok', 'the bucket keeps no versions of removed objects')
  return check(
    name,
    'warning',
    'the bucket keeps versions: deleted data stays and costs storage. To delete it for good, add a rule that expires noncurrent versions'
  )
}

function encryption(native, keys) {
  if (keys.length === 0)
    return check(
      'encryption',
      'warning',
      "sessions are not encrypted (`encryption: 'off'`): anybody who can read the bucket can take over the accounts"
    )
  const ids = call(loadBinding().keyring, keys)
  return check('encryption', 'ok', `${counted(ids.length, 'key')}; ${ids[0]} encrypts`, { keyIds: ids })
}

/** Ids that are a phone number or an address, as far as they look like it. */
const isPersonal = (id) => /\d{8}/.test(id.replace(/[\s()+.-]/g, '')) || id.includes('@')

function tenantIds(tenants, { hideTenantIds }) {
  const name = 'tenant-ids'
  const visible = tenants.filter(({ name, tenantId }) => tenantId !== null && !name.startsWith('_t'))
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
  if (limit < SMALLEST_PART)
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

/** Results of the checks that look at tenants, or why there are none. */
async function ofTenants(fleet, native, keys, life, found) {
  let tenants
  try {
    tenants = await standings(fleet)
  } catch ({ message }) {
    const unknown = (name) => check(name, 'unknown', `the tenants of the store cannot be listed: ${message}`)
    return [unknown('tenant-ids'), unknown('names'), unknown('idle-tenants'), sizeLimit(found, native, null), cost(native, null)]
  }
  return [
    tenantIds(tenants, native),
    names(tenants, keys),
    idleTenants(tenants, life, native),
    sizeLimit(found, native, tenants),
    cost(native, tenants)
  ]
}

const NEEDS_A_STORE = [
  'write',
  'list',
  'read',
  'delete',
  'list-after-put',
  'private',
  'clock',
  'latency',
  'lifecycle',
  'versioning',
  'tenant-ids',
  'names',
  'idle-tenants',
  'size-limit'
]

function notReached(problem, native, keys) {
  const open = NEEDS_A_STORE.map((name) => check(name, 'unknown', 'the store is unavailable'))
  return [check('reachable', 'failed', problem), ...open, encryption(native, keys), cost(native, null)]
}

/**
 * Looks at the store of a fleet from all sides, tries its contract if asked, and looks at the folder of profiles if one is named.
 * @param {any} fleet
 * @param {{ dataPath?: string, contract?: boolean }} [how]
 */
async function doctor(fleet, { dataPath, contract: isAsked } = {}) {
  if (dataPath !== undefined && (typeof dataPath !== 'string' || dataPath === ''))
    refuse('`dataPath` must be the path of a folder of profiles')
  const triesContract = flag({ value: isAsked, from: '`contract`' })
  const { native } = fleet.resolve('any')
  const checks = await doctorStore(fleet)
  if (triesContract && native.store !== null) checks.push(...(await contract(native, checks)))
  return [...checks, ...(dataPath === undefined ? [] : await doctorProfiles(dataPath))]
}

async function doctorStore(fleet) {
  const { native, keys } = fleet.resolve('any')
  if (native.store === null)
    return [
      check('store', 'unknown', 'there is no `store`: sessions are only on this machine, and there is nothing to check'),
      encryption(native, keys)
    ]
  const outcome = await loadBinding().examine(JSON.stringify(native.store))
  if (outcome.code === 'REMOTE_UNAVAILABLE') return notReached(outcome.message, native, keys)
  const found = JSON.parse(settle(outcome))
  if (!found.reachable.done) return notReached(found.reachable.problem, native, keys)
  const { skewMs } = found
  const steps = Object.entries(STEPS).map(([step, words]) => ofStep(words, found[step]))
  const life = lifecycle(found, native)
  const privateCheck = await privacy(native, found)
  const clock = steps.pop()
  return [
    ...steps,
    privateCheck,
    skewMs === null ? clock : { ...clock, skewMs },
    latency(found, native),
    encryption(native, keys),
    life,
    versioning(found, native),
    ...doctorDatabase(native.store, found, check),
    ...(await ofTenants(fleet, native, keys, life, found))
  ]
}

module.exports = { doctor }
