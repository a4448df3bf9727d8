'use strict'

// The tenants that have a session: in the store or, without one, in the directory.
//
// Invariant: a tenant whose id is unknown is counted, and one id that is too long for a name hides no other tenant.

const { HybridAuthError, settle } = require('../errors.js')
const { localTenants } = require('./local-tenants.js')
const { loadBinding } = require('../native.js')
const { resolveOptions, storeDocument } = require('../config/options.js')
const { guarded } = require('../outside.js')
const { isProfileTenant } = require('../profile-tenants.js')

/** @returns {Promise<{ tenants: string[], unnamed: number }>} the known ids, and the number of tenants without one */
async function knownTenants(options) {
  const { native, directory, logger } = resolveOptions('any', options)
  const isLocal = native.store === null
  const { tenants, unnamed } = isLocal ? await localTenants(directory) : settle(await loadBinding().tenants(storeDocument(native)))
  if (unnamed > 0) {
    const count = unnamed === 1 ? 'the id of 1 tenant, which is' : `the ids of ${unnamed} tenants, which are`
    const message = `the ${isLocal ? 'directory' : 'store'} does not contain ${count} hidden or too long; keep a list of them and pass it as \`tenantIds\``
    if (tenants.length === 0 || native.hideTenantIds) throw new HybridAuthError('INVALID_OPTION', message)
    guarded(logger)?.warn({ unnamed }, message)
  }
  return { tenants, unnamed }
}

/** Sessions of Baileys among them: profiles of browsers may share the store, and are opened otherwise. */
async function knownSessions(options) {
  const { tenants, unnamed } = await knownTenants(options)
  return { tenants: tenants.filter((tenantId) => !isProfileTenant(tenantId)), unnamed }
}

module.exports = { knownSessions, knownTenants }
