'use strict'

// The public surface of `baileys-hybrid-auth/nestjs/terminus`: a health indicator for Terminus.
//
// Invariant: it says `down` only for what a person has to look at. A store that is away for a while is none of that: sessions
// go on without it, and a restart would lose what only this machine has.

const { Inject, Injectable } = require('./nest.js').common()
const { HealthCheckError, HealthIndicator, HealthIndicatorService } = require('./nest.js').terminus()
const { HybridAuthService } = require('./service.js')

/** Terminus 10 has a base class and an error; later ones have a service. */
const isOld = HealthIndicatorService === undefined

class HybridAuthHealthIndicator extends (isOld ? HealthIndicator : Object) {
  #auth
  #indicators

  constructor(auth, indicators) {
    super()
    this.#auth = auth
    this.#indicators = indicators
  }

  async isHealthy(key = 'hybridAuth', options) {
    const { healthy, ...figures } = this.#auth.health(options)
    if (!isOld) return healthy ? this.#indicators.check(key).up(figures) : this.#indicators.check(key).down(figures)
    const result = this.getStatus(key, healthy, figures)
    if (!healthy) throw new HealthCheckError('sessions are unhealthy', result)
    return result
  }
}

Injectable()(HybridAuthHealthIndicator)
Inject(HybridAuthService)(HybridAuthHealthIndicator, undefined, 0)
if (!isOld) Inject(HealthIndicatorService)(HybridAuthHealthIndicator, undefined, 1)

module.exports = { HybridAuthHealthIndicator }
