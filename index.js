'use strict'

// The public surface. Everything else is private to the package.

const { HybridAuthError } = require('./lib/errors.js')
const { HybridAuth, exportMultiFile } = require('./lib/fleet.js')
const { openSession } = require('./lib/session.js')
const { cleanupMigrated } = require('./lib/migrate/cleanup.js')
const { migrate } = require('./lib/migrate/index.js')

/** See index.d.ts. */
const useHybridAuthState = (tenantId, options) => openSession(tenantId, options)

module.exports = { useHybridAuthState, exportMultiFile, migrate, cleanupMigrated, HybridAuth, HybridAuthError }
