'use strict'

// From the status of sessions and profiles to figures: how many are backed up, and whether the whole is healthy.
//
// Invariants: nothing here asks the clock or a session. A session that has nothing to store is not behind, however long ago
// its last backup was: what counts is the age of what a blank machine would not restore.

const { limit } = require('../lib/checks.js')
const { summarizeProfiles } = require('../lib/profile/index.js')
const { OVERDUE_AFTER_MS, backupState } = require('../lib/session/status.js')

/** A time limit, in any number of milliseconds. */
const span = (value, name) => limit({ value, from: `\`${name}\`` }, OVERDUE_AFTER_MS, { most: Infinity, isWhole: false })

/** `sessions`: `{ tenantId, status }`. */
function sessionHealth(sessions, how = {}) {
  const overdueAfterMs = span(how.overdueAfterMs, 'overdueAfterMs')
  const rows = sessions.map(({ tenantId, status }) => ({
    tenantId,
    state: backupState(status, overdueAfterMs),
    lastBackupAt: status.lastBackupAt,
    lagMs: status.lagMs,
    owner: status.life,
    store: status.store
  }))
  const backedUp = rows.filter(({ state }) => state === 'ok').length
  const times = rows.map(({ lastBackupAt }) => lastBackupAt).filter((at) => at !== null)
  return {
    total: rows.length,
    backed_up: backedUp,
    needs_backup: rows.length - backedUp,
    oldest_backup: times.length === 0 ? null : new Date(Math.min(...times)),
    sessions: rows
  }
}

/**
 * Health of a fleet.
 * @param {{ tenantId: string, status: any, degradedForMs: number }[]} sessions the last field is 0 where the store answers
 * @param {{ tenantIds?: boolean, degradedForMs?: number }} [how]
 * @param {any[]} [opening]
 */
function fleetHealth(sessions, { tenantIds = false, ...how } = {}, opening = []) {
  const degradedForMs = span(how.degradedForMs, 'degradedForMs')
  const which = (isMeant) => sessions.filter(isMeant).map(({ tenantId }) => tenantId)
  const poisoned = which(({ status }) => status.life === 'poisoned')
  const degraded = which(({ status }) => status.store === 'degraded')
  const fenced = which(({ status }) => status.life === 'fenced')
  const waits = sessions.map((session) => session.degradedForMs)
  const lags = sessions.map(({ status }) => status.lagMs).filter((lag) => lag !== null)
  return {
    healthy: poisoned.length === 0 && waits.every((wait) => wait <= degradedForMs),
    sessions: sessions.length,
    opening: opening.length,
    poisoned: poisoned.length,
    degraded: degraded.length,
    degradedForMs: Math.max(0, ...waits),
    fenced: fenced.length,
    baseRefused: which(({ status }) => status.baseRefused).length,
    maxLagMs: Math.max(0, ...lags),
    ...(tenantIds ? { tenantIds: { poisoned, degraded, fenced } } : {})
  }
}

/**
 * Health of browser profiles: as long as backups may fail, a store may be away.
 * @param {{ tenantId: string, browser: string, ageMs: number | null, failingForMs: number }[]} profiles
 * @param {{ tenantIds?: boolean, degradedForMs?: number }} [how]
 */
function profileHealth(profiles, { tenantIds = false, ...how } = {}) {
  const degradedForMs = span(how.degradedForMs, 'degradedForMs')
  const failing = profiles.filter(({ failingForMs }) => failingForMs > 0).map(({ tenantId }) => tenantId)
  const figures = summarizeProfiles(profiles)
  return { healthy: figures.failingForMs <= degradedForMs, ...figures, ...(tenantIds ? { tenantIds: { failing } } : {}) }
}

module.exports = { OVERDUE_AFTER_MS, fleetHealth, profileHealth, sessionHealth }
