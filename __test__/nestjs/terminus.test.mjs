// The health indicator, in each version of Terminus, and over HTTP.
//
// Invariant guarded: `down` is said for what a person has to look at, with figures and without names; a store that is away for
// a while is not that.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { MAJORS, closeAtEnd, injectable, nest, startApplication } from '../support/nest.mjs'
import { ROOT, rejection, scene, still, until } from '../../testkit/processes/sessions.mjs'
import { removableBucket } from '../../testkit/stores/outages.mjs'

const require = createRequire(import.meta.url)
const { fleetHealth } = require(join(ROOT, 'nestjs/health.js'))

const NO_PROFILES = { open: 0, running: 0, neverBackedUp: 0, failing: 0, failingForMs: 0, oldestBackupMs: null }
const FIGURES = {
  sessions: 2,
  opening: 0,
  poisoned: 0,
  degraded: 0,
  degradedForMs: 0,
  fenced: 0,
  baseRefused: 0,
  maxLagMs: 0,
  profiles: NO_PROFILES
}

/** A service in whose place nothing but figures can be had: for what a test cannot make happen. */
const standIn = (status) => ({
  health: (options) => ({ ...fleetHealth([{ tenantId: 'tenant', status, degradedForMs: 0 }], options), profiles: NO_PROFILES })
})

for (const major of MAJORS) {
  const { common, core, hybridAuth, load } = nest(major)
  const terminus = load('@nestjs/terminus')
  const { HybridAuthHealthIndicator } = load('baileys-hybrid-auth/nestjs/terminus')
  const { HybridAuthModule, HybridAuthService } = hybridAuth

  async function application(t, options) {
    const imports = [terminus.TerminusModule, HybridAuthModule.forRoot({ baileys: cheapBaileys, logger: false, ...options })]
    const started = await startApplication(t, { common, core }, { imports, providers: [HybridAuthHealthIndicator] })
    const health = await started.resolve(terminus.HealthCheckService)
    const indicator = started.get(HybridAuthHealthIndicator)
    /** Answer of GET /health: with status 200, or with 503. */
    const check = async (options) => {
      const answer = health.check([() => indicator.isHealthy('sessions', options)])
      return answer.then(
        (body) => ({ status: 200, body }),
        (error) => ({ status: error.getStatus(), body: error.getResponse() })
      )
    }
    return { started, auth: started.get(HybridAuthService), check }
  }

  test(`terminus ${major}: sessions_that_are_well_are_up_with_figures`, async (t) => {
    const at = scene(t, still)
    const { auth, check } = await application(t, at.replicated)
    for (const tenant of ['a', 'b']) await (await auth.initialize(tenant)).saveCreds()
    for (const tenant of ['a', 'b']) await auth.backup(tenant)
    const { status, body } = await check()
    assert.deepEqual([status, body.status, body.error], [200, 'ok', {}])
    assert.deepEqual(body.info, { sessions: { status: 'up', ...FIGURES } })
  })

  test(`terminus ${major}: a_store_that_is_away_is_down_only_after_a_while_and_up_when_it_is_back`, async (t) => {
    const at = scene(t, still)
    const bucket = removableBucket(at.bucket)
    const { auth, check } = await application(t, at.replicated)
    const { state, saveCreds } = await auth.initialize('a')
    await auth.initialize('b')
    await saveCreds()
    await auth.backup('a')
    bucket.takeAway()
    await state.keys.set({ session: { x: { v: 1 } } })
    await until(() => auth.status().a.store === 'degraded', 'the outage')

    const patient = await check()
    assert.deepEqual([patient.status, patient.body.details.sessions.status], [200, 'up'])
    assert.ok(patient.body.details.sessions.degraded >= 1)
    let late
    await until(async () => (late = await check({ degradedForMs: 20 })).status === 503, 'the end of patience')
    const { status, degraded, degradedForMs, maxLagMs, ...rest } = late.body.error.sessions
    assert.equal(status, 'down')
    assert.ok(degraded >= 1 && degradedForMs > 20 && maxLagMs > 0, JSON.stringify(late.body.error))
    assert.deepEqual(rest, { sessions: 2, opening: 0, poisoned: 0, fenced: 0, baseRefused: 0, profiles: NO_PROFILES }, 'no tenant is named')
    assert.ok((await check({ tenantIds: true })).body.details.sessions.tenantIds.degraded.includes('a'))

    bucket.bringBack()
    await until(async () => (await check({ degradedForMs: 0 })).status === 200, 'the store')
    assert.deepEqual((await check({ degradedForMs: 0 })).body.details.sessions, { status: 'up', ...FIGURES })
  })

  test(`terminus ${major}: a_poisoned_session_is_down_and_one_that_was_taken_over_is_not`, async (t) => {
    const told = async (life) => {
      const status = { life, store: 'ok', lagMs: 0 }
      const imports = [terminus.TerminusModule]
      const providers = [{ provide: HybridAuthService, useValue: standIn(status) }, HybridAuthHealthIndicator]
      const started = await startApplication(t, { common, core }, { imports, providers })
      const health = await started.resolve(terminus.HealthCheckService)
      const check = health.check([() => started.get(HybridAuthHealthIndicator).isHealthy(undefined, { tenantIds: life === 'poisoned' })])
      const { info, error } = await check.catch((error) => error.getResponse())
      return [info, error]
    }
    const figures = { ...FIGURES, sessions: 1 }
    assert.deepEqual(await told('poisoned'), [
      {},
      { hybridAuth: { status: 'down', ...figures, poisoned: 1, tenantIds: { poisoned: ['tenant'], degraded: [], fenced: [] } } }
    ])
    assert.deepEqual(await told('fenced'), [{ hybridAuth: { status: 'up', ...figures, fenced: 1 } }, {}])
    assert.deepEqual(await told('live'), [{ hybridAuth: { status: 'up', ...figures } }, {}])
  })
}

test('terminus_10_is_told_of_trouble_by_its_own_error', async (t) => {
  const { common, core, hybridAuth, load } = nest(10)
  const { HybridAuthHealthIndicator } = load('baileys-hybrid-auth/nestjs/terminus')
  const providers = [
    { provide: hybridAuth.HybridAuthService, useValue: standIn({ life: 'poisoned', store: 'ok', lagMs: 0 }) },
    HybridAuthHealthIndicator
  ]
  const started = await startApplication(t, { common, core }, { providers })
  const error = await rejection(started.get(HybridAuthHealthIndicator).isHealthy())
  assert.ok(error instanceof load('@nestjs/terminus').HealthCheckError)
  assert.equal(error.causes.hybridAuth.status, 'down')
})

test('a_load_balancer_that_asks_over_http_is_answered_200_and_then_503', async (t) => {
  const { common, core, hybridAuth, load } = nest(11)
  const terminus = load('@nestjs/terminus')
  const { HybridAuthHealthIndicator } = load('baileys-hybrid-auth/nestjs/terminus')
  const at = scene(t, still)
  const bucket = removableBucket(at.bucket)
  class HealthController {
    constructor(health, sessions, auth) {
      Object.assign(this, { health, sessions, auth })
    }
    ready() {
      return this.health.check([() => this.sessions.isHealthy('sessions', { degradedForMs: 0 })])
    }
    report() {
      return this.auth.getSessionHealth()
    }
  }
  common.Controller('health')(HealthController)
  injectable({ common }, HealthController, terminus.HealthCheckService, HybridAuthHealthIndicator, hybridAuth.HybridAuthService)
  const route = (path, name) =>
    common.Get(path)(HealthController.prototype, name, Object.getOwnPropertyDescriptor(HealthController.prototype, name))
  route('', 'ready')
  route('sessions', 'report')
  class Application {}
  common.Module({
    imports: [terminus.TerminusModule, hybridAuth.HybridAuthModule.forRoot({ ...at.replicated, baileys: cheapBaileys, logger: false })],
    controllers: [HealthController],
    providers: [HybridAuthHealthIndicator]
  })(Application)
  const started = await core.NestFactory.create(Application, { logger: false, abortOnError: false })
  closeAtEnd(t, started)
  await started.listen(0, '127.0.0.1')
  const { port } = started.getHttpServer().address()
  const get = async (path) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })
    return { status: response.status, body: await response.json() }
  }

  const { state, saveCreds } = await started.get(hybridAuth.HybridAuthService).initialize('tenant')
  await saveCreds()
  await started.get(hybridAuth.HybridAuthService).backup('tenant')
  assert.equal((await get('/health')).status, 200)
  const { sessions, oldest_backup: oldest, ...counts } = (await get('/health/sessions')).body
  assert.deepEqual(counts, { total: 1, backed_up: 1, needs_backup: 0 })
  assert.equal(oldest, sessions[0].lastBackupAt)

  bucket.takeAway()
  await state.keys.set({ session: { x: { v: 1 } } })
  await until(async () => (await get('/health')).status === 503, 'the outage')
  assert.equal((await get('/health')).body.error.sessions.status, 'down')
  assert.equal((await get('/health/sessions')).status, 200)
})
