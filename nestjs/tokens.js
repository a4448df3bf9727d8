'use strict'

// The names under which things are injected, and decorators for them.
//
// Invariant: fleets with different names have no token in common: a fleet that has a name has it in its tokens.

const { Inject } = require('./nest.js').common()

/** The options as they were given; exported by the module. */
const HYBRID_AUTH_OPTIONS = 'HYBRID_AUTH_OPTIONS'

/** The service, for injection by a token instead of its class. */
const HYBRID_AUTH = 'HYBRID_AUTH'

const named = (token, name) => (name === undefined ? token : `${token}:${name}`)

const getHybridAuthToken = (name) => named(HYBRID_AUTH, name)
const getHybridAuthOptionsToken = (name) => named(HYBRID_AUTH_OPTIONS, name)

const InjectHybridAuth = (name) => Inject(getHybridAuthToken(name))
const InjectHybridAuthOptions = (name) => Inject(getHybridAuthOptionsToken(name))

module.exports = {
  HYBRID_AUTH,
  HYBRID_AUTH_OPTIONS,
  InjectHybridAuth,
  InjectHybridAuthOptions,
  getHybridAuthToken,
  getHybridAuthOptionsToken
}
