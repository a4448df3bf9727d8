'use strict'

// The run of a migration: sessions that were found, one by one, and the report of them.
//
// Invariants: one session that fails stops no other. A report holds no keys, no values and no contacts.

const { HybridAuthError } = require('../errors.js')
const { each } = require('../pool.js')

const STATUSES = ['migrated', 'already', 'ready', 'conflict', 'newer-target', 'newer-source', 'credsOnly', 'damaged', 'ambiguous', 'failed']

/** The answer for one session before anything of it is known. */
const unknown = ({ tenantId, path, layout, notUnderstood = 0, otherFiles = 0 }) => ({
  tenantId,
  path,
  layout,
  encrypted: false,
  status: 'failed',
  code: null,
  message: null,
  keys: {},
  files: 0,
  bytes: 0,
  leftOut: { damaged: {}, notUnderstood, otherFiles },
  warnings: [],
  sourceChanged: false,
  digest: null,
  identity: null,
  target: null
})

const refused = (status, code, message) => ({ status, code, message })

/** Message for a source that is being written. */
const CHANGED = 'the source was written during the migration: the old system is still running, and this copy is outdated'

/** The stored session is not what was read. */
const differs = () => new HybridAuthError('INTERNAL', 'the stored session differs from the source: keep the source, and report this')

/**
 * Migrates the sessions of `named` that `only` asks for, and answers the report; `counts` are its further fields.
 * @param {any[]} named
 * @param {(found: any) => Promise<object>} migrateOne answers what changes in the report of a session
 * @param {any} asked the options of the migration
 * @param {object} counts
 * @returns {Promise<any>}
 */
async function runAll(named, migrateOne, { only, dryRun, concurrency, onProgress }, counts) {
  const chosen = named.filter(({ tenantId }) => only === null || only.has(tenantId))
  const missing = [...(only ?? [])].filter((id) => !named.some(({ tenantId }) => tenantId === id))
  const sessions = new Array(chosen.length)
  let done = 0
  const work = async ([i, found]) => {
    const answer = await migrateOne(found).catch((error) => refused('failed', error.code ?? 'INTERNAL', error.message))
    sessions[i] = { ...unknown(found), ...answer }
    return { tenantId: found.tenantId, status: sessions[i].status, done: ++done, total: chosen.length }
  }
  await each(chosen.entries(), concurrency, work, onProgress)
  const totals = Object.fromEntries(STATUSES.map((status) => [status, sessions.filter((session) => session.status === status).length]))
  return { version: 1, dryRun, sessions, totals, missing, ...counts }
}

module.exports = { STATUSES, CHANGED, differs, refused, runAll }
