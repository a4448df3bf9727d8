// The module, as an application imports it: every way to give options, every way to inject, with each major version of Nest.
//
// Invariant guarded: whoever imports the module has one service with the options that were given; options that make no sense
// stop the application from starting, by name; and Nest is loaded by who asks for it, and by nobody else.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { MAJORS, injectable, nest, project, startApplication } from '../support/nest.mjs'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { KEY, ROOT, rejection, scene, startProcess } from '../../testkit/processes/sessions.mjs'

/** Opens a tenant by a service, and answers under which key it lies in which bucket: proof of the options it works with. */
async function worksOn(auth, at) {
  const { state, saveCreds } = await auth.initialize('tenant')
  await saveCreds()
  await state.keys.set({ session: { a: { v: 1 } } })
  await auth.backup('tenant')
  await auth.get('tenant').close()
  const elsewhere = await at.open('tenant', { ...at.elsewhere(), baileys: cheapBaileys, onMissing: 'error' })
  assert.deepEqual((await elsewhere.state.keys.get('session', ['a'])).a, { v: 1 })
}

const optionsOf = (at) => ({ ...at.replicated, baileys: cheapBaileys, logger: false })

for (const major of MAJORS) {
  const { common, core, hybridAuth } = nest(major)
  const { HybridAuthModule, HybridAuthService, HYBRID_AUTH, HYBRID_AUTH_OPTIONS } = hybridAuth
  const start = (t, parts) => startApplication(t, { common, core }, parts)

  test(`nest ${major}: for_root_gives_a_service_that_works_with_the_options`, async (t) => {
    const at = scene(t)
    const application = await start(t, { imports: [HybridAuthModule.forRoot(optionsOf(at))] })
    await worksOn(application.get(HybridAuthService), at)
  })

  const factories = {
    use_factory: (at) => ({
      imports: [{ module: class ConfigModule {}, providers: [{ provide: 'CONFIG', useValue: optionsOf(at) }], exports: ['CONFIG'] }],
      inject: ['CONFIG'],
      useFactory: async (options) => options
    }),
    use_class: (at) => {
      class Options {
        createHybridAuthOptions() {
          return optionsOf(at)
        }
      }
      return { useClass: injectable({ common }, Options) }
    },
    use_existing: (at) => {
      class Config {
        createHybridAuthOptions() {
          return Promise.resolve(optionsOf(at))
        }
      }
      injectable({ common }, Config)
      return { imports: [{ module: class ConfigModule {}, providers: [Config], exports: [Config] }], useExisting: Config }
    }
  }
  for (const [name, how] of Object.entries(factories)) {
    test(`nest ${major}: for_root_async_with_${name}_gives_a_service_that_works_with_the_options`, async (t) => {
      const at = scene(t)
      const application = await start(t, { imports: [HybridAuthModule.forRootAsync(how(at))] })
      await worksOn(application.get(HybridAuthService), at)
    })
  }

  test(`nest ${major}: the_service_is_injected_by_class_and_by_token_and_the_options_by_theirs`, async (t) => {
    const at = scene(t)
    const options = optionsOf(at)
    class Feature {
      constructor(...injected) {
        this.injected = injected
      }
    }
    injectable({ common }, Feature, HybridAuthService, HYBRID_AUTH, HYBRID_AUTH_OPTIONS)
    class Decorated {
      constructor(...injected) {
        this.injected = injected
      }
    }
    common.Injectable()(Decorated)
    hybridAuth.InjectHybridAuth()(Decorated, undefined, 0)
    hybridAuth.InjectHybridAuthOptions()(Decorated, undefined, 1)
    const application = await start(t, { imports: [HybridAuthModule.forRoot(options)], providers: [Feature, Decorated] })
    const service = application.get(HybridAuthService)
    assert.ok(service instanceof HybridAuthService)
    assert.deepEqual(
      application.get(Feature).injected.map((one) => one === service),
      [true, true, false]
    )
    assert.deepEqual(application.get(Feature).injected[2], options)
    assert.deepEqual(application.get(Decorated).injected, [service, application.get(HYBRID_AUTH_OPTIONS)])
  })

  for (const [name, importIt] of Object.entries({
    for_root: (options, isGlobal) => HybridAuthModule.forRoot({ ...options, isGlobal }),
    for_root_async: (options, isGlobal) => HybridAuthModule.forRootAsync({ isGlobal, useFactory: () => options })
  })) {
    test(`nest ${major}: ${name}_is_seen_by_modules_that_do_not_import_it_only_where_it_is_global`, async (t) => {
      const at = scene(t)
      const far = () => {
        class Far {
          constructor(auth) {
            this.auth = auth
          }
        }
        return { Far: injectable({ common }, Far, HybridAuthService), module: class FarModule {} }
      }
      const near = far()
      const application = await start(t, { imports: [importIt(optionsOf(at), true), { module: near.module, providers: [near.Far] }] })
      assert.equal(application.get(near.Far, { strict: false }).auth, application.get(HybridAuthService))
      const blind = far()
      const error = await rejection(
        start(t, { imports: [importIt(optionsOf(at), false), { module: blind.module, providers: [blind.Far] }] })
      )
      assert.match(error.message, /HybridAuthService/)
    })
  }

  test(`nest ${major}: options_given_twice_are_two_fleets_and_the_same_object_imported_twice_is_one`, async (t) => {
    const [one, other] = [scene(t), scene(t)]
    const module = HybridAuthModule.forRoot({ ...optionsOf(one), onBackup: () => {} })
    class Feature {
      constructor(auth) {
        this.auth = auth
      }
    }
    injectable({ common }, Feature, HybridAuthService)
    class Same extends Feature {}
    injectable({ common }, Same, HybridAuthService)
    class Other extends Feature {}
    injectable({ common }, Other, HybridAuthService)
    const application = await start(t, {
      imports: [
        { module: class A {}, imports: [module], providers: [Feature] },
        { module: class B {}, imports: [module], providers: [Same] },
        { module: class C {}, imports: [HybridAuthModule.forRoot({ ...optionsOf(other), onBackup: () => {} })], providers: [Other] }
      ]
    })
    const of = (type) => application.get(type, { strict: false }).auth
    assert.equal(of(Feature), of(Same))
    assert.notEqual(of(Feature), of(Other))
    await worksOn(of(Other), other)
    await worksOn(of(Feature), one)
  })

  test(`nest ${major}: fleets_with_names_stand_beside_each_other_and_one_that_would_hide_another_is_refused`, async (t) => {
    const [main, eu, us] = [scene(t), scene(t), scene(t)]
    class Feature {
      constructor(...injected) {
        this.injected = injected
      }
    }
    common.Injectable()(Feature)
    const tokens = [HybridAuthService, hybridAuth.getHybridAuthToken('eu'), hybridAuth.getHybridAuthToken('us')]
    common.Inject(HybridAuthService)(Feature, undefined, 0)
    hybridAuth.InjectHybridAuth('eu')(Feature, undefined, 1)
    hybridAuth.InjectHybridAuth('us')(Feature, undefined, 2)
    hybridAuth.InjectHybridAuthOptions('us')(Feature, undefined, 3)
    const imports = [
      HybridAuthModule.forRoot(optionsOf(main)),
      HybridAuthModule.forRoot({ ...optionsOf(eu), name: 'eu', isGlobal: true }),
      HybridAuthModule.forRootAsync({ name: 'us', useFactory: () => optionsOf(us) })
    ]
    const application = await start(t, { imports, providers: [Feature] })
    const { injected } = application.get(Feature)
    assert.deepEqual(
      injected.slice(0, 3),
      tokens.map((token) => application.get(token, { strict: false }))
    )
    assert.equal(new Set(injected).size, 4)
    for (const [i, at] of [main, eu, us].entries()) await worksOn(injected[i], at)
    assert.equal(injected[3].directory, us.directory)

    const other = scene(t)
    const twice = [
      [HybridAuthModule.forRoot(optionsOf(main)), HybridAuthModule.forRoot(optionsOf(other))],
      [
        HybridAuthModule.forRoot({ ...optionsOf(main), isGlobal: true }),
        { module: class FarModule {}, imports: [HybridAuthModule.forRoot(optionsOf(other))] }
      ],
      [
        HybridAuthModule.forRoot({ ...optionsOf(main), name: 'eu' }),
        HybridAuthModule.forRootAsync({ name: 'eu', useFactory: () => optionsOf(other) })
      ],
      [
        HybridAuthModule.forRoot(optionsOf(main)),
        { module: class Again {}, imports: [HybridAuthModule.forRoot(optionsOf(other))], exports: [HybridAuthModule] }
      ]
    ]
    for (const imports of twice) {
      const error = await rejection(start(t, { imports }))
      assert.deepEqual([error.name, error.code], ['HybridAuthError', 'INVALID_OPTION'], error.message)
      assert.match(error.message, /sees two HybridAuthModule .* its own `name`/)
    }
    for (const name of ['', 7, null, 'a b'])
      assert.throws(() => HybridAuthModule.forRoot({ ...optionsOf(main), name }), { code: 'INVALID_OPTION' })
  })

  test(`nest ${major}: options_are_never_turned_into_text`, async (t) => {
    const at = scene(t)
    const told = []
    const logger = { warn() {}, toJSON: () => told.push('the logger') }
    const options = { ...optionsOf(at), logger, baileys: { ...cheapBaileys, toJSON: () => told.push('the library') } }
    await start(t, { imports: [HybridAuthModule.forRoot(options)] })
    assert.deepEqual(told, [])
  })

  const wrong = {
    shutdownTimeoutMs: [-1, '8s', 1.5, null],
    openOnBootstrap: [true, 'some', [''], [7], {}],
    bootstrapTimeoutMs: [-1, '8s', NaN, null],
    onEvent: ['x', {}],
    onBackup: ['save', {}],
    onFenced: [true],
    logger: [true, {}, 'pino'],
    flushIntervalMs: ['soon'],
    mode: ['cloudy'],
    encryptionKeys: ['short', []],
    store: ['nowhere', 7],
    onMissing: ['ignore'],
    directory: ['']
  }
  test(`nest ${major}: a_wrong_option_stops_the_start_and_is_named`, async (t) => {
    const at = scene(t)
    let count = 0
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        const options = { ...optionsOf(at), [name]: value }
        const ways = [() => HybridAuthModule.forRoot(options), () => HybridAuthModule.forRootAsync({ useFactory: async () => options })]
        for (const module of ways) {
          const error = await rejection(start(t, { imports: [module()] }))
          assert.deepEqual([error.name, error.code], ['HybridAuthError', 'INVALID_OPTION'], `${name}: ${value}: ${error.message}`)
          assert.ok(error.message.includes(`\`${name}`), error.message)
          count += 1
        }
      }
    }
    assert.equal(count, 2 * Object.values(wrong).flat().length)
  })
}

const { common, core, hybridAuth } = nest(MAJORS.at(-1))
const { HybridAuthModule } = hybridAuth

test('what_cannot_be_options_or_a_way_to_them_is_refused', async (t) => {
  const refusals = {
    'takes one of': () => HybridAuthModule.forRootAsync({ imports: [] }),
    useFactory: () => HybridAuthModule.forRootAsync({ useFactory: () => ({}), useClass: class {} }),
    'takes an object': () => HybridAuthModule.forRoot('s3://bucket')
  }
  for (const [text, call] of Object.entries(refusals))
    assert.throws(call, ({ code, message }) => code === 'INVALID_OPTION' && message.includes(text))
  for (const [text, answer] of Object.entries({
    'no options': undefined,
    'must be set beside `useFactory`': { isGlobal: true },
    '`pasword`': { pasword: 1 }
  })) {
    const error = await rejection(
      startApplication(t, { common, core }, { imports: [HybridAuthModule.forRootAsync({ useFactory: () => answer })] })
    )
    assert.equal(error.code, 'INVALID_OPTION')
    assert.ok(error.message.includes(text), error.message)
  }
})

test('opening_all_at_the_start_needs_names_that_are_told', async (t) => {
  const at = scene(t)
  const options = { ...at.replicated, logger: false, openOnBootstrap: 'all', hideTenantIds: true }
  const error = await rejection(startApplication(t, { common, core }, { imports: [HybridAuthModule.forRoot(options)] }))
  assert.match(error.message, /openOnBootstrap.*`hideTenantIds`/)
})

test('variables_are_read_when_the_application_starts_and_not_before_and_only_those_of_a_session', async (t) => {
  const at = scene(t)
  const options = { directory: at.directory, localDurability: 'os' }
  const child = startProcess(t, readVariables, { options, half: { SUPABASE_URL: 'https://ref.supabase.co' } }, project(11))
  const { imported, started, ofSession, refusal } = await child.said()
  assert.deepEqual(imported, [])
  assert.ok(ofSession.includes('SUPABASE_URL'), String(ofSession))
  assert.deepEqual(
    started.filter((name) => !ofSession.includes(name)),
    []
  )
  assert.match(refusal, /SUPABASE_URL is set, but SUPABASE_SERVICE_KEY/)
})

async function readVariables({ load, hybrid, args, say }) {
  const { NestFactory } = load('@nestjs/core')
  const common = load('@nestjs/common')
  let read = new Set()
  const real = process.env
  const note = (name) => {
    // What is built in, such as Object.hasOwn, reads for somebody else.
    const reader = new Error().stack
      .split('\n')
      .slice(3)
      .find((line) => !line.includes('<anonymous>'))
    if (typeof name === 'string' && reader?.includes('baileys-hybrid-auth')) read.add(name)
  }
  process.env = new Proxy(real, {
    get: (env, name) => (note(name), env[name]),
    // A variable that is not set is asked for by whether it is there.
    getOwnPropertyDescriptor: (env, name) => (note(name), Reflect.getOwnPropertyDescriptor(env, name))
  })
  const taken = () => {
    const names = [...read]
    read = new Set()
    return names
  }
  const { HybridAuthModule } = load('./nestjs/index.js')
  const module = HybridAuthModule.forRoot({ ...args.options, logger: false })
  const imported = taken()
  class Application {}
  common.Module({ imports: [module] })(Application)
  const application = await NestFactory.createApplicationContext(Application, { logger: false })
  const started = taken()
  await (await hybrid.useHybridAuthState('t', { ...args.options, initAuthCreds: () => ({}) })).close()
  const ofSession = taken()
  await application.close()
  Object.assign(real, args.half)
  class Half {}
  common.Module({ imports: [HybridAuthModule.forRoot({ ...args.options, logger: false })] })(Half)
  const refusal = await NestFactory.createApplicationContext(Half, { logger: false, abortOnError: false }).then(
    () => 'none',
    (error) => error.message
  )
  await say({ imported, started, ofSession, refusal })
}

test('the_root_package_never_loads_nest', async (t) => {
  const at = scene(t)
  const { packageFolder } = project(10)
  const child = startProcess(t, openWithoutNest, { options: { ...at.local, encryptionKeys: KEY } }, { packageFolder })
  assert.deepEqual(await child.said(), { before: [], after: ['@nestjs/common'] })
})

async function openWithoutNest({ load, hybrid, args, say }) {
  const loaded = () =>
    Object.keys(load.cache)
      .map((path) => path.match(/node_modules[/\\](@nestjs[/\\]\w+)/)?.[1].replace('\\', '/'))
      .filter(Boolean)
  const session = await hybrid.useHybridAuthState('t', { ...args.options, initAuthCreds: () => ({}) })
  await session.close()
  const before = loaded()
  load('./nestjs/index.js')
  await say({ before, after: [...new Set(loaded())] })
}

test('where_nest_or_terminus_is_missing_one_sentence_says_what_to_install', () => {
  const bare = project(10, { without: ['common', 'core', 'terminus'] }).load
  const some = project(10, { without: ['terminus'] }).load
  const failure = (load, path) => {
    try {
      load(path)
    } catch (error) {
      return [error.name, error.message]
    }
    throw new Error(`${path} was loaded`)
  }
  const nestIsMissing = [
    'HybridAuthError',
    'baileys-hybrid-auth/nestjs needs @nestjs/common: run `npm install @nestjs/common @nestjs/core`'
  ]
  assert.deepEqual(failure(bare, 'baileys-hybrid-auth/nestjs'), nestIsMissing)
  assert.deepEqual(failure(bare, 'baileys-hybrid-auth/nestjs/terminus'), nestIsMissing)
  assert.deepEqual(failure(some, 'baileys-hybrid-auth/nestjs/terminus'), [
    'HybridAuthError',
    'baileys-hybrid-auth/nestjs/terminus needs @nestjs/terminus: run `npm install @nestjs/terminus`'
  ])
  assert.ok(some('baileys-hybrid-auth/nestjs').HybridAuthModule)
  assert.equal(typeof bare('baileys-hybrid-auth').useHybridAuthState, 'function')
})

test('what_else_keeps_a_peer_from_loading_is_told_as_it_is', () => {
  const { peer } = createRequire(import.meta.url)(join(ROOT, 'nestjs/nest.js'))
  const load = (code, message) => () => {
    throw Object.assign(new Error(message), { code })
  }
  const about = { subpath: 'the subpath', install: '@nestjs/common' }
  const failure = (how) => {
    try {
      return peer('@nestjs/common', { ...about, load: how })
    } catch ({ name, message }) {
      return `${name}: ${message}`
    }
  }
  assert.equal(
    failure(load('ERR_REQUIRE_ESM', 'require() of ES Module')),
    'HybridAuthError: the subpath needs Node 20.19, 22.12 or later with this version of @nestjs/common, which is an ES module'
  )
  assert.equal(failure(load('MODULE_NOT_FOUND', "Cannot find module 'reflect-metadata'")), "Error: Cannot find module 'reflect-metadata'")
  assert.equal(
    failure(() => 7),
    7
  )
})

test('the_package_has_these_doors_and_no_other', async () => {
  const { load } = project(11)
  for (const path of ['', '/nestjs', '/nestjs/terminus', '/package.json']) assert.ok(load(`baileys-hybrid-auth${path}`), path)
  for (const path of ['/lib/fleet/fleet.js', '/nestjs/service.js', '/nestjs/index.js', '/binding.js']) {
    assert.throws(() => load(`baileys-hybrid-auth${path}`), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' }, path)
  }
})
