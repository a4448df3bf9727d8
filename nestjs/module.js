'use strict'

// The module: options in, the service out.
//
// Invariant: the module has one service for each place where its options were given; the same options object given twice is
// one place. Options are never serialised: Nest 10 identifies a module by its metadata as text, and these may hold keys,
// loggers and whole libraries.

const { ConfigurableModuleBuilder, Module } = require('./nest.js').common()
const { refuse } = require('../lib/checks.js')
const { HybridAuthService } = require('./service.js')
const { HYBRID_AUTH, HYBRID_AUTH_OPTIONS } = require('./tokens.js')

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder({ optionsInjectionToken: HYBRID_AUTH_OPTIONS })
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createHybridAuthOptions')
  .setExtras({ isGlobal: false }, (definition, { isGlobal }) => ({ ...definition, global: isGlobal }))
  .build()

/** options object -> what tells it from others in the metadata of the module */
const numbers = new WeakMap()
let given = 0

function numberOf(options) {
  if (!numbers.has(options)) numbers.set(options, ++given)
  return numbers.get(options)
}

class HybridAuthModule extends ConfigurableModuleClass {
  static forRoot(options = {}) {
    if (options === null || typeof options !== 'object') refuse('HybridAuthModule.forRoot takes an object of options')
    const { isGlobal = false, ...rest } = options
    const definition = super.forRootAsync({ isGlobal, useFactory: () => rest })
    definition.providers.push({ provide: 'HYBRID_AUTH_OPTIONS_NUMBER', useValue: numberOf(options) })
    return definition
  }

  static forRootAsync(options) {
    const ways = ['useFactory', 'useClass', 'useExisting'].filter((way) => options?.[way] !== undefined)
    if (ways.length !== 1) refuse('HybridAuthModule.forRootAsync takes one of `useFactory`, `useClass` and `useExisting`')
    return super.forRootAsync(options)
  }
}

Module({
  providers: [HybridAuthService, { provide: HYBRID_AUTH, useExisting: HybridAuthService }],
  exports: [HybridAuthService, HYBRID_AUTH, HYBRID_AUTH_OPTIONS]
})(HybridAuthModule)

module.exports = { HybridAuthModule }
