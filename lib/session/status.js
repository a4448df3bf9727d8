'use strict'

// The state of sessions, in the words of the public interface; and many of them as one.
//
// Invariants: nothing here asks the clock, a session or the core. A session that has nothing to store is not behind, however
// long ago its last backup was: what counts is the age of what a blank machine would not restore.

/** Age of a backup that an operator is told to look at. */
const OVERDUE_AFTER_MS = 10 * 60_000

const LIVES = ['opening', 'live', 'fenced', 'lease-lost', 'closing', 'closed', 'deleted', 'poisoned']

/** Status of a session that a fault put out of use, as the core would tell it: nothing but that. */
const FAULTY = /** @type {any} */ ({
  mode: undefined,
  life: 'poisoned',
  lsn: 0,
  localDurableLsn: 0,
  remoteDurableLsn: null,
  lagMs: null,
  keys: 0,
  bytes: 0,
  maxBytes: 0,
  dirtyKeys: 0,
  dirtyBytes: 0,
  logBytes: 0,
  epoch: null,
  restored: null,
  store: 'none',
  storeDurability: null,
  handedOver: false,
  lastBackupAt: null,
  lastError: null,
  baseRefused: null,
  uploads: null
})

/**
 * The core's figures, as `status()` answers them.
 * @param {import('../../binding.js').Status} told
 * @returns {import('../../index.js').SessionStatus}
 */
function describe(told) {
  return { ...told, lastBackupAt: told.lastBackupAt ? new Date(told.lastBackupAt) : null }
}

/** True if a blank machine would restore everything. An owner that was relieved is done once it has handed over. */
function isStored({ life, lsn, remoteDurableLsn, handedOver }) {
  return life === 'fenced' ? handedOver : remoteDurableLsn !== null && remoteDurableLsn >= lsn
}

/** `never`: nothing of it is in a store. `overdue`: something has been waiting for too long. */
function backupState(status, overdueAfterMs = OVERDUE_AFTER_MS) {
  if (status.store === 'none') return 'never'
  if (isStored(status)) return 'ok'
  if (status.remoteDurableLsn === 0) return 'never'
  return status.life === 'fenced' || status.lagMs > overdueAfterMs ? 'overdue' : 'ok'
}

const countBy = (names, list) => Object.fromEntries(names.map((name) => [name, list.filter((one) => one === name).length]))
const sum = (list) => list.reduce((sum, one) => sum + one, 0)

/** A session that is being opened: nothing is known of it yet. */
const OPENING = Object.freeze(describe({ ...FAULTY, mode: null, life: 'opening' }))

/** Many statuses as one, those that are being opened counted by their life alone. What a newer owner has, or nobody, is behind no more: it does not count for lag and dirt. */
function summarize(all) {
  const statuses = all.filter(({ life }) => life !== 'opening')
  const ours = statuses.filter(({ life }) => !['fenced', 'closed', 'deleted'].includes(life))
  const degraded = ours.filter(({ store }) => store === 'degraded').length
  const hasStore = statuses.some(({ store }) => store !== 'none')
  return {
    sessions: statuses.length,
    byLife: countBy(
      LIVES,
      all.map(({ life }) => life)
    ),
    byBackup: countBy(
      ['never', 'overdue', 'ok'],
      ours.map((status) => backupState(status))
    ),
    maxLagMs: Math.max(0, ...ours.map(({ lagMs }) => lagMs ?? 0)),
    dirtyKeys: sum(ours.map(({ dirtyKeys }) => dirtyKeys)),
    dirtyBytes: sum(ours.map(({ dirtyBytes }) => dirtyBytes)),
    degraded,
    store: hasStore ? (degraded > 0 ? 'degraded' : 'ok') : 'none'
  }
}

module.exports = { FAULTY, OPENING, OVERDUE_AFTER_MS, backupState, describe, summarize }
