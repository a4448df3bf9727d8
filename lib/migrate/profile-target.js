'use strict'

// The target of a migration of browser profiles: one tenant of ours, read without disturbing its owner, and created as one generation.
//
// Invariants: a session that exists is never changed, and none is claimed in order to look at it; what was stored is restored and compared
// file by file before it is called migrated. Nothing of it stays on this machine.

const { HybridAuthError, isFailure, settle } = require('../errors.js')
const { loadBinding } = require('../native.js')
const { contentsOf } = require('../profile/contents.js')
const { openProfileSession, resolveProfile } = require('../profile/session.js')

const NO_STORE = 'profiles of whatsapp-web.js are kept in a store: set `store` (SESSION_BACKUP_STORE), and leave `mode` out'
const WAS_DELETED = 'the session was deleted from the store: to create it again, pass `fresh: true`'

/** The tenants that a migration of profiles writes to. `options`: those of the sessions; their `directory` and `mode` are for Baileys. */
function openProfileTarget({ directory, mode, ...options }, scratch) {
  const given = { ...options, dataPath: scratch, onMissing: 'create' }
  const resolved = (tenantId) => resolveProfile(tenantId, given)
  const { fresh: isFresh, store } = resolved('any').native
  if (mode === 'local' || store === null) throw new HybridAuthError('INVALID_OPTION', NO_STORE)

  /**
   * The newest generation of a tenant, restored to a folder that does not exist: `{ contents, generation, lsn }`; null for none.
   * @param {string} tenantId
   * @param {string} to
   */
  async function look(tenantId, to) {
    const { native, keys } = resolved(tenantId)
    const outcome = await loadBinding().profileExtract(JSON.stringify(native), keys, to)
    if (isFailure(outcome) && (outcome.code === 'NOT_FOUND' || (outcome.code === 'DELETED' && isFresh))) return null
    const { report, restored } = settle(outcome)
    if (restored.files > 0) return { contents: await contentsOf(to), generation: restored.generation, lsn: report.lsn }
    if (isFresh) return null
    throw new HybridAuthError('DELETED', WAS_DELETED)
  }

  /** Makes the session of a profile. Answers false if there is one meanwhile. */
  async function make(tenantId, folder) {
    const session = await openProfileSession(tenantId, given)
    try {
      if ((session.generation()?.files ?? 0) > 0) return false
      await session.store(folder)
      return true
    } finally {
      await session.close()
    }
  }

  // To resolve the options of a tenant rejects an id that cannot be one.
  return { look, make, check: resolved }
}

module.exports = { openProfileTarget }
