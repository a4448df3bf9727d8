'use strict'

// The doctor: problems and risks of a store and of its use.
//
// Invariants: a check that could not be done is `unknown`, and never `ok`. Only scratch objects under `v1/probe` are written, and
// they are removed again; no session is touched. A check that fails costs the others nothing.

const { flag, refuse } = require('../checks.js')
const { isFailure, settle } = require('../errors.js')
const { call } = require('../core.js')
const { storeDocument } = require('../config/options.js')
const { loadBinding } = require('../native.js')
const { contract } = require('./contract.js')
const { check, counted } = require('./doctor-check.js')
const { doctorDatabase } = require('./doctor-databases.js')
const { doctorProfiles } = require('./doctor-profiles.js')
const { STEPS, latency, lifecycle, ofStep, privacy, versioning } = require('./doctor-store.js')
const { cost, idleTenants, names, sizeLimit, tenantIds } = require('./doctor-tenants.js')
const { standings } = require('./look.js')

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
  const outcome = await loadBinding().examine(storeDocument(native))
  if (isFailure(outcome) && outcome.code === 'REMOTE_UNAVAILABLE') return notReached(outcome.message, native, keys)
  const found = settle(outcome)
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
    ...doctorDatabase(native.store, found),
    ...(await ofTenants(fleet, native, keys, life, found))
  ]
}

module.exports = { doctor }
