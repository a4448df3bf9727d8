'use strict'

// The public surface of `baileys-hybrid-auth/whatsapp-web`.
//
// Invariant: everything else in this folder is private.

const { HybridAuthError } = require('../lib/errors.js')
const { openProfile } = require('../lib/profile/index.js')
const { RemoteAuthStore } = require('./remote-auth-store.js')
const { HybridAuth } = require('./strategy.js')

module.exports = { HybridAuth, RemoteAuthStore, openProfile, HybridAuthError }
