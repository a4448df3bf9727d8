'use strict'

// The module: options in, the service out.
//
// Invariants: the module has one service for each place where its options were given; the same options object given twice is
// one place. A service is never hidden by another one: where a module would see two of the same name, the application does not start.
// Options are never serialised: Nest 10 identifies a module by its metadata as text, and these may hold keys, loggers and whole
// libraries.

const { ConfigurableModuleBuilder, Module } = require('./nest.js').common()
const { refuse } = require('../lib/checks.js')
const { core } = require('./nest.js')
const { HybridAuthService } = require('./service.js')
const { HYBRID_AUTH_OPTIONS, getHybridAuthOptionsToken, getHybridAuthToken } = require('./tokens.js')

/** The service of a fleet without a name is known by its class as well. */
const serviceTokens = (name) => (name === undefined ? [HybridAuthService, getHybridAuthToken()] : [getHybridAuthToken(name)])

/** Modules of ours that a module of the application sees: those it imports, and those that what it imports exports again. */
function seenBy(module) {
  const own = (one) => [...one.imports].filter(({ metatype }) => metatype === HybridAuthModule)
  const exported = [...module.imports].filter((one) => [...one.exports].includes(HybridAuthModule)).flatMap(own)
  return new Set([...own(module), ...exported])
}

/** Refuses a second service of one name: Nest would give the last one, and say nothing. */
function refuseHidden(container, name) {
  const [token] = serviceTokens(name)
  for (const module of container.values()) {
    if ([...seenBy(module)].filter(({ providers }) => providers.has(token)).length < 2) continue
    const which = name === undefined ? 'without a `name`' : `with the name "${name}"`
    refuse(
      `${module.metatype.name} sees two HybridAuthModule ${which}, and one would hide the other: give each its own \`name\`, and inject by name`
    )
  }
}

function withService(definition, name) {
  if (name !== undefined && (typeof name !== 'string' || !/^[\w-]{1,64}$/.test(name)))
    refuse('`name` must consist of letters, digits, - and _')
  const optionsToken = getHybridAuthOptionsToken(name)
  const [token, ...others] = serviceTokens(name)
  const { ModulesContainer } = core()
  const useFactory = (options, container) => {
    refuseHidden(container, name)
    return new HybridAuthService(options)
  }
  return {
    ...definition,
    providers: [
      ...definition.providers.map((provider) =>
        provider.provide === HYBRID_AUTH_OPTIONS ? { ...provider, provide: optionsToken } : provider
      ),
      { provide: token, useFactory, inject: [optionsToken, ModulesContainer] },
      ...others.map((other) => ({ provide: other, useExisting: token }))
    ],
    exports: [token, ...others, optionsToken]
  }
}

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder({ optionsInjectionToken: HYBRID_AUTH_OPTIONS })
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createHybridAuthOptions')
  .setExtras({ isGlobal: false, name: undefined }, (definition, { isGlobal, name }) =>
    withService({ ...definition, global: isGlobal }, name)
  )
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
    const { isGlobal = false, name, ...rest } = options
    const definition = super.forRootAsync({ isGlobal, name, useFactory: () => rest })
    definition.providers.push({ provide: 'HYBRID_AUTH_OPTIONS_NUMBER', useValue: numberOf(options) })
    return definition
  }

  static forRootAsync(options) {
    const ways = ['useFactory', 'useClass', 'useExisting'].filter((way) => options?.[way] !== undefined)
    if (ways.length !== 1) refuse('HybridAuthModule.forRootAsync takes one of `useFactory`, `useClass` and `useExisting`')
    return super.forRootAsync(options)
  }
}

Module({})(HybridAuthModule)

module.exports = { HybridAuthModule }
