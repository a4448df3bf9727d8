'use strict'

// Sealing anew and clearing away: the two tools that change what a store holds.
//
// Invariants: a session that is seen to run somewhere is never ended by either, unless the caller asks for it; each goes on right
// after the claim that it decided by, or leaves the session alone. Ages are by the store's clock alone. Whatever is in doubt is taken
// for running.

const { HybridAuthError, settle } = require('../errors.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')
const { isProfileTenant } = require('../profile-tenants.js')
const { clock, inspect, standings } = require('./look.js')
const { DAY } = require('../units.js')

/** Tenants that are deleted at once. */
const AT_ONCE = 8
/** A session that runs stores what has not changed again, this often where nothing else is configured. */
const USUAL_REFRESH = 7 * DAY
/** A clock that goes wrong by less than this makes nobody old. */
const MARGIN = 60_000

async function standingOf(fleet, tenantId) {
  const [standing] = await standings(fleet, [tenantId])
  return standing
}

/** Keys that are needed to read the data of a tenant, in the store and here. */
async function neededKeys(fleet, tenantId) {
  const { store, local } = await inspect(fleet, tenantId)
  return [...new Set([...(store?.keyIds ?? []), ...(local?.keyIds ?? [])])].sort()
}

/**
 * Opens the profile of a browser, without a log, and seals its packs anew. Its folder is none of ours.
 * @param {any} fleet
 */
async function passOverProfile(fleet, tenantId, takeover, inner) {
  const [binding, { native, keys, flushTimeoutMs, closeTimeoutMs }] = [loadBinding(), fleet.resolve(tenantId)]
  const json = JSON.stringify({ ...native, ...inner, cloud: true, profile: true, create: false, takeover })
  const { handle } = settle(await binding.open(json, keys, null, () => {}))
  try {
    settle(await binding.profileReseal(handle, flushTimeoutMs))
  } finally {
    settle(await binding.close(handle, closeTimeoutMs))
  }
}

/** Opens a tenant that nobody runs, and closes it: all of it is then written anew. */
async function passOver(fleet, tenantId, takeover, native) {
  if (isProfileTenant(tenantId)) return passOverProfile(fleet, tenantId, takeover, native)
  const session = await fleet.openInner(tenantId, { onMissing: 'error', takeover }, { ...native, withoutCreds: true })
  await session.close()
}

/** Writes a tenant's session anew under the first key. */
async function rekey(fleet, tenantId, { takeover = false } = {}) {
  const { native, keys } = fleet.resolve(tenantId)
  const [primary, ...older] = call(loadBinding().keyring, keys)
  const open = fleet.get(tenantId)
  if (open !== undefined) {
    await open.flush()
    await renew(fleet, tenantId)
  } else if (native.store === null) {
    await passOver(fleet, tenantId, false, {})
  } else {
    await twice(fleet, tenantId, takeover)
  }
  const sealed = await neededKeys(fleet, tenantId)
  // Names that are hidden are made with the last key, for ever.
  const names = native.hideTenantIds ? older.slice(-1) : []
  const needed = [...new Set([...sealed, ...names])]
  const unneeded = older.filter((id) => !needed.includes(id))
  return { complete: sealed.every((id) => id === primary), primary: primary ?? null, needed, unneeded, unseen: ['other-disks'] }
}

/** A session that is open here stores a second state of its own: what its predecessor left is then removed. */
async function renew({ resolve }, tenantId) {
  const { native, keys, flushTimeoutMs } = resolve(tenantId)
  settle(await loadBinding().renew(JSON.stringify(native), keys, flushTimeoutMs))
}

/** The second open removes what the first one kept of its predecessor against damage. */
async function twice(fleet, tenantId, takeover) {
  for (const isSecond of [false, true]) {
    const { owner, claim } = await standingOf(fleet, tenantId)
    if (owner === 'live' && (isSecond || !takeover)) {
      throw new HybridAuthError(
        'OWNED_ELSEWHERE',
        'a session of this tenant was not released: its owner is running, or crashed; run `rekey` there, or pass `takeover: true` to end that owner'
      )
    }
    if (owner === 'deleted')
      throw new HybridAuthError('DELETED', 'this session was logged out or deleted: there is nothing to encrypt again')
    if (owner === 'none') {
      // It may be there under another name, or need another key for it.
      const { store } = await inspect(fleet, tenantId)
      throw store.error ?? new HybridAuthError('NOT_FOUND', 'the store has no session of this tenant')
    }
    await passOver(fleet, tenantId, takeover, { expected: claim })
  }
}

/**
 * True if somebody may run a tenant. One that runs stores what has not changed again every `refreshIntervalMs`: of a claim that
 * was not released, silence for twice as long is the only sign that nobody does.
 */
function mayRun({ owner, storedAt }, refreshIntervalMs, now) {
  if (owner === 'released') return false
  if (storedAt === null) return true
  return now - storedAt.getTime() < 2 * Math.max(refreshIntervalMs, USUAL_REFRESH)
}

/**
 * The tenants of the store, and its time before they were listed. Rejects where that does not tell how old something is: nothing is
 * pruned by a clock that jumps, or that something in the store is ahead of.
 */
async function aged(fleet, tenantIds) {
  const [before, began] = [await clock(fleet), performance.now()]
  const all = await standings(fleet, tenantIds)
  const [after, took] = [await clock(fleet), performance.now() - began]
  const doubt = (what) =>
    new HybridAuthError(
      'REMOTE_REFUSED',
      `${what}: ages are unknown, and nothing was pruned; set the clock of the store, and wait until it has passed the newest object`
    )
  if (Math.abs(after - before - took) > MARGIN) throw doubt('the clock of the store jumps')
  if (all.some(({ storedAt }) => storedAt !== null && storedAt.getTime() > after + MARGIN))
    throw doubt('the newest object is later than the clock of the store')
  return { all, now: Math.min(before, after) }
}

/**
 * Deletes a tenant, if its highest claim is still `claim`. Where it is not to be ended, one that did not release is waited for, as by
 * any successor: if it hands over it was running, and is left alone.
 */
async function remove(fleet, { tenantId, claim }, takeover) {
  const session = await fleet.openInner(tenantId, { onMissing: 'error', takeover }, { expected: claim, withoutCreds: true })
  try {
    await session.delete()
  } catch (error) {
    await session.close().catch(() => {})
    throw error
  }
}

/**
 * Deletes tenants that were not written for long.
 * @param {any} fleet
 * @param {Partial<import('../../index.js').PruneOptions>} [options]
 */
async function prune(fleet, { olderThanDays, inactiveOnly = true, dryRun = true, tenantIds } = {}) {
  if (typeof olderThanDays !== 'number' || !(olderThanDays > 0 && olderThanDays <= 36_500)) {
    throw new HybridAuthError('INVALID_OPTION', '`olderThanDays` must be a number of days above 0')
  }
  for (const [name, value] of Object.entries({ inactiveOnly, dryRun })) {
    if (typeof value !== 'boolean') throw new HybridAuthError('INVALID_OPTION', `\`${name}\` must be true or false`)
  }
  const { refreshIntervalMs } = fleet.resolve('any').native
  const { all, now } = await aged(fleet, tenantIds)
  const old = all.filter(({ owner, storedAt }) => {
    return (owner === 'live' || owner === 'released') && storedAt !== null && now - storedAt.getTime() > olderThanDays * DAY
  })
  const report = old.map(({ claim, epoch, lsn, isOpen, forged, alsoNamed, baseBytes, ...standing }) => ({
    ...standing,
    ageDays: (now - standing.storedAt.getTime()) / DAY,
    outcome: null,
    error: null
  }))
  const work = async ([at, standing]) => {
    const entry = report[at]
    if (standing.isOpen || fleet.get(standing.tenantId) !== undefined) entry.outcome = 'open'
    else if (inactiveOnly && mayRun(standing, refreshIntervalMs, now)) entry.outcome = 'active'
    else if (standing.tenantId === null) entry.outcome = 'unnamed'
    else if (dryRun) entry.outcome = 'would-delete'
    else
      await remove(fleet, standing, !inactiveOnly).then(
        () => (entry.outcome = 'deleted'),
        (error) => Object.assign(entry, failed(error))
      )
  }
  const waiting = old.entries()
  const worker = async () => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return report
}

/** Somebody began to run it meanwhile, or has its folder: that is no failure. */
const failed = (error) => ({ outcome: ['OWNED_ELSEWHERE', 'ALREADY_OPEN', 'FENCED'].includes(error.code) ? 'active' : 'failed', error })

module.exports = { mayRun, prune, rekey }
