'use strict'

// Opening many tenants of a fleet, a few at a time.
//
// Invariants: one tenant that fails stops no other; an error of the callback closes every session that was opened; nothing is opened
// after a shutdown.

const { atOnce, fieldsOf } = require('../checks.js')
const { each } = require('../pool.js')

/** Sessions that are opened at once: enough to hide the round trips, too few to slow down running sessions. */
const CONCURRENCY = 16

/**
 * @param {{ known: () => Promise<{ tenants: string[], unnamed: number }>, open: (tenantId: string, overrides: object) => Promise<any>, refusal: () => Error | null }} fleet
 *   `refusal`: the error for all further tenants; null for none
 */
async function restoreAll({ known, open, refusal }, how) {
  const { tenantIds, concurrency, onProgress, ifFree, signal } = fieldsOf(
    how,
    '`restoreAll`',
    'tenantIds',
    'concurrency',
    'onProgress',
    'ifFree',
    'signal'
  )
  const workers = atOnce(concurrency, CONCURRENCY)
  const { tenants, unnamed } = tenantIds === undefined ? await known() : { tenants: tenantIds, unnamed: 0 }
  const all = [...tenants]
  const overrides = { onMissing: 'error', ...(ifFree && { ifFree }), ...(signal && { signal }) }
  const sessions = []
  const opened = []
  const failed = []
  const openOne = async (tenantId) => {
    const error =
      refusal() ??
      (await open(tenantId, overrides).then(
        (session) => void sessions.push(session),
        (error) => error
      ))
    if (error === undefined) opened.push(tenantId)
    else failed.push({ tenantId, error })
    return { tenantId, error: error ?? null, done: opened.length + failed.length, total: all.length }
  }
  try {
    await each(all, workers, openOne, onProgress)
  } catch (error) {
    await Promise.allSettled(sessions.map((session) => session.close()))
    throw error
  }
  return { opened, failed, unnamed }
}

module.exports = { restoreAll }
