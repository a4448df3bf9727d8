'use strict'

// The public surface of `baileys-hybrid-auth/nestjs`.
//
// Invariant: everything else in this folder is private, but for `terminus.js`.

const { HybridAuthError } = require('../lib/errors.js')
const { nestLogger } = require('./logger.js')
const { HybridAuthModule } = require('./module.js')
const { HybridAuthService } = require('./service.js')
const tokens = require('./tokens.js')

const { HYBRID_AUTH, HYBRID_AUTH_OPTIONS, InjectHybridAuth, InjectHybridAuthOptions, getHybridAuthToken, getHybridAuthOptionsToken } =
  tokens

module.exports = {
  HybridAuthModule,
  HybridAuthService,
  HybridAuthError,
  HYBRID_AUTH,
  HYBRID_AUTH_OPTIONS,
  InjectHybridAuth,
  InjectHybridAuthOptions,
  getHybridAuthToken,
  getHybridAuthOptionsToken,
  nestLogger
}
