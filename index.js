'use strict'

// The public surface. Everything else is private to the package.

const { HybridAuthError, withTypedErrors } = require('./lib/errors.js')
const { HybridAuth, exportMultiFile: exportOne } = require('./lib/fleet/fleet.js')
const { openSession } = require('./lib/session/open.js')

/** See types/session.d.ts. Others that are called so take one object, with the tenant in it. */
function open(tenant, options) {
  if (options !== undefined || tenant === null || typeof tenant !== 'object' || Array.isArray(tenant)) return openSession(tenant, options)
  const { sessionId, ...rest } = tenant
  return openSession(sessionId, rest)
}

const { useHybridAuthState, exportMultiFile, migrate, cleanupMigrated, describeConfig } = withTypedErrors({
  useHybridAuthState: open,
  exportMultiFile: exportOne,
  migrate: require('./lib/migrate/index.js').migrate,
  cleanupMigrated: require('./lib/migrate/cleanup.js').cleanupMigrated,
  describeConfig: require('./lib/config/describe.js').describeConfig
})

// As names alone: that is how they are found by `import`.
module.exports = { useHybridAuthState, exportMultiFile, migrate, cleanupMigrated, describeConfig, HybridAuth, HybridAuthError }
