'use strict'

// The public surface. Everything else is private to the package.

const { describeConfig } = require('./lib/describe-config.js')
const { HybridAuthError } = require('./lib/errors.js')
const { HybridAuth, exportMultiFile } = require('./lib/fleet.js')
const { openSession } = require('./lib/session.js')
const { cleanupMigrated } = require('./lib/migrate/cleanup.js')
const { migrate } = require('./lib/migrate/index.js')

/** See types/session.d.ts. Others that are called so take one object, with the tenant in it. */
function useHybridAuthState(tenant, options) {
  if (options !== undefined || tenant === null || typeof tenant !== 'object' || Array.isArray(tenant)) return openSession(tenant, options)
  const { sessionId, ...rest } = tenant
  return openSession(sessionId, rest)
}

module.exports = { useHybridAuthState, exportMultiFile, migrate, cleanupMigrated, describeConfig, HybridAuth, HybridAuthError }
