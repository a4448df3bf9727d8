'use strict'

// The names under which things are injected, and decorators for them.

const { Inject } = require('./nest.js').common()

/** The options as they were given; exported by the module. */
const HYBRID_AUTH_OPTIONS = 'HYBRID_AUTH_OPTIONS'

/** The service, for who would rather inject by a token than by its class. */
const HYBRID_AUTH = 'HYBRID_AUTH'

const InjectHybridAuth = () => Inject(HYBRID_AUTH)
const InjectHybridAuthOptions = () => Inject(HYBRID_AUTH_OPTIONS)

module.exports = { HYBRID_AUTH, HYBRID_AUTH_OPTIONS, InjectHybridAuth, InjectHybridAuthOptions }
