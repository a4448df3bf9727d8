// Ends of an application: by a signal, by `close()`, with a store and without one.
//
// Invariant guarded: when the application has ended, everything is in the store and released, or the log has named what is not;
// the end comes in the time there is, whatever the store does; and what was not stored is there at the next start.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { MAJORS, injectable, linesOf, nest, own, project, startApplication } from '../support/nest.mjs'
import { rejection, scene, startProcess, unhurried, until } from '../../testkit/processes/sessions.mjs'
import { removableBucket } from '../../testkit/stores/outages.mjs'

/** For an application that would wait for hours, did its module not end it in time, and that stores nothing by itself. */
const PATIENT = { flushIntervalMs: 3_600_000, closeTimeoutMs: 3_600_000, flushTimeoutMs: 3_600_000, ownershipCheckIntervalMs: 600_000 }

/** Environment of a child, without colours in its log. */
const plain = (major) => ({ ...project(major), env: { NO_COLOR: '1' } })

/** The program of an application in a process of its own. It says when it has written what nobody has stored yet. */
async function serve({ load, args, say }) {
  const { NestFactory } = load('@nestjs/core')
  const { Module } = load('@nestjs/common')
  const { HybridAuthModule, HybridAuthService } = load('./nestjs/index.js')
  const listeners = process.eventNames()
  class Application {}
  Module({ imports: [HybridAuthModule.forRoot({ ...args.options, initAuthCreds: () => ({ generation: 0 }) })] })(Application)
  const application = await NestFactory.createApplicationContext(Application, { logger: ['log', 'warn', 'error'] })
  const auth = application.get(HybridAuthService)
  for (const tenant of args.tenants) {
    const { state, saveCreds } = await auth.initialize(tenant)
    await saveCreds()
    await auth.backup(tenant)
    await state.keys.set({ session: { last: { v: tenant } } })
  }
  const added = process
    .eventNames()
    .filter((name) => !listeners.includes(name))
    .map(String)
  if (args.hooks) application.enableShutdownHooks()
  await say({ behind: args.tenants.map((tenant) => auth.status()[tenant].lsn - auth.status()[tenant].remoteDurableLsn), added })
  await new Promise((resolve) => setTimeout(resolve, 3_600_000))
}

async function found(at, tenant) {
  const session = await at.open(tenant, { ...at.elsewhere(), baileys: cheapBaileys, onMissing: 'error' })
  return { last: (await session.state.keys.get('session', ['last'])).last, clean: session.status().restored.clean }
}

for (const major of MAJORS) {
  test(`nest ${major}: the_final_backup_at_sigterm_stores_everything_and_releases_ownership`, async (t) => {
    const at = scene(t)
    const tenants = ['a', 'b', 'c']
    const child = startProcess(
      t,
      serve,
      { options: { ...at.replicated, ...PATIENT, shutdownTimeoutMs: 60_000 }, tenants, hooks: true },
      plain(major)
    )
    assert.deepEqual(await child.said(), { behind: [1, 1, 1], added: [] })
    child.child.kill('SIGTERM')
    const { signal, stdout } = await child.ended
    assert.equal(signal, 'SIGTERM')
    assert.match(stdout, /\[HybridAuth\].* shut down \(SIGTERM\): 3 sessions closed, complete in the store/)
    for (const tenant of tenants) assert.deepEqual(await found(at, tenant), { last: { v: tenant }, clean: true })
  })

  test(`nest ${major}: with_the_store_away_the_end_comes_in_time_names_what_is_not_stored_and_the_next_start_goes_on`, async (t) => {
    const at = scene(t)
    const bucket = removableBucket(at.bucket)
    const tenants = ['a', 'b']
    const options = { ...at.replicated, ...PATIENT, shutdownTimeoutMs: 300 }
    const child = startProcess(t, serve, { options, tenants, hooks: true }, plain(major))
    await child.said()
    bucket.takeAway()
    child.child.kill('SIGTERM')
    const { signal, stdout, stderr } = await child.ended
    assert.equal(signal, 'SIGTERM')
    const told = `${stdout}${stderr}`
    assert.match(
      told,
      /shut down \(SIGTERM\): 2 sessions not completely in the store \(REMOTE_UNAVAILABLE\); .*: a \[1 write\], b \[1 write\]/
    )
    assert.doesNotMatch(told, /complete in/)

    bucket.bringBack()
    const { common, core, hybridAuth } = nest(major)
    const module = hybridAuth.HybridAuthModule.forRoot({
      ...at.replicated,
      baileys: cheapBaileys,
      shutdownTimeoutMs: 60_000,
      openOnBootstrap: tenants
    })
    const application = await startApplication(t, { common, core }, { imports: [module] })
    const auth = application.get(hybridAuth.HybridAuthService)
    for (const tenant of tenants) assert.deepEqual((await auth.get(tenant).state.keys.get('session', ['last'])).last, { v: tenant })
    await application.close()
    for (const tenant of tenants) assert.deepEqual(await found(at, tenant), { last: { v: tenant }, clean: true })
  })
}

test('without_the_hooks_a_signal_ends_the_process_at_once_and_the_local_log_has_everything', async (t) => {
  const at = scene(t)
  const child = startProcess(t, serve, { options: { ...at.replicated, ...PATIENT }, tenants: ['a'], hooks: false }, plain(11))
  await child.said()
  child.child.kill('SIGTERM')
  const { signal, stdout } = await child.ended
  assert.equal(signal, 'SIGTERM')
  assert.doesNotMatch(stdout, /shut down/)
  const session = await at.openReplicated('a', { baileys: cheapBaileys, onMissing: 'error', ownershipCheckIntervalMs: 200 })
  assert.deepEqual((await session.state.keys.get('session', ['last'])).last, { v: 'a' })
})

test('local_sessions_are_on_the_disk_when_the_application_has_ended', async (t) => {
  const at = scene(t)
  const child = startProcess(t, serve, { options: at.local, tenants: ['a'], hooks: true }, plain(11))
  await child.said()
  child.child.kill('SIGTERM')
  assert.match((await child.ended).stdout, /1 session closed, complete on the disk/)
  const session = await at.openLocal('a', { baileys: cheapBaileys, onMissing: 'error' })
  assert.deepEqual((await session.state.keys.get('session', ['last'])).last, { v: 'a' })
})

const { common, core, hybridAuth } = nest(11)
const { HybridAuthModule, HybridAuthService } = hybridAuth

async function application(t, at, { providers = [], ...options } = {}) {
  const { lines, logger } = linesOf()
  const module = HybridAuthModule.forRoot({ ...at.replicated, baileys: cheapBaileys, shutdownTimeoutMs: 60_000, ...options })
  const started = await startApplication(t, { common, core }, { logger, imports: [module], providers })
  return { started, auth: started.get(HybridAuthService), told: () => own(lines).map(({ level, text }) => `${level}: ${text}`) }
}

test('what_is_written_while_the_application_goes_down_is_stored_too', async (t) => {
  const at = scene(t)
  const hooks = ['onModuleDestroy', 'beforeApplicationShutdown', 'onApplicationShutdown']
  class Sockets {
    constructor(auth) {
      this.auth = auth
    }
    async write(hook) {
      await this.auth.get('a').state.keys.set({ session: { last: { v: hook }, [hook]: { v: 1 } } })
    }
  }
  for (const hook of hooks)
    Sockets.prototype[hook] = function () {
      return this.write(hook)
    }
  injectable({ common }, Sockets, HybridAuthService)
  const { started, auth, told } = await application(t, at, { ...PATIENT, providers: [Sockets] })
  await (await auth.initialize('a')).saveCreds()
  await started.close()
  assert.deepEqual(await found(at, 'a'), { last: { v: 'onApplicationShutdown' }, clean: true })
  assert.deepEqual(told().slice(1), ['log: shut down: 1 session closed, complete in the store'])
})

test('everything_is_stored_before_a_web_server_is_waited_for_and_released_after_it', async (t) => {
  const at = scene(t)
  const seen = []
  class WebServer {
    constructor(auth) {
      this.auth = auth
    }
    // Between the two steps Nest closes the server, which waits for its connections.
    onApplicationShutdown() {
      const { life, lsn, remoteDurableLsn } = this.auth.status().a
      seen.push({ life, lsn, remoteDurableLsn })
    }
  }
  injectable({ common }, WebServer, HybridAuthService)
  const { started, auth } = await application(t, at, { ...PATIENT, providers: [WebServer] })
  const { state, saveCreds } = await auth.initialize('a')
  await saveCreds()
  await auth.backup('a')
  await state.keys.set({ session: { last: { v: 1 } } })
  assert.equal(auth.status().a.remoteDurableLsn, 1)
  await started.close()
  assert.deepEqual(seen, [{ life: 'live', lsn: 2, remoteDurableLsn: 2 }])
})

test('a_reconnect_during_the_shutdown_is_refused_and_leaves_nothing_owned', async (t) => {
  const at = scene(t)
  const refused = []
  class Reconnecting {
    constructor(auth) {
      this.auth = auth
    }
    async onModuleDestroy() {
      this.late = this.auth.initialize('late')
    }
    async onApplicationShutdown() {
      const opens = [() => this.late, () => this.auth.initialize('a'), () => this.auth.getAuthState('b')]
      for (const open of opens) refused.push((await rejection(open())).code)
    }
  }
  injectable({ common }, Reconnecting, HybridAuthService)
  const { started, auth } = await application(t, at, { providers: [Reconnecting] })
  await (await auth.initialize('a')).saveCreds()
  await started.close()
  assert.deepEqual(refused, ['CLOSED', 'CLOSED', 'CLOSED'])
  assert.deepEqual(auth.list(), [])
  assert.equal((await found(at, 'a')).clean, true)
  // Had it not been released, this would wait for longer than the test may take.
  const { restored } = (await at.open('late', { ...at.elsewhere(), baileys: cheapBaileys, ...PATIENT })).status()
  assert.deepEqual(restored, { source: 'remote', clean: true })
})

for (const shutdownTimeoutMs of [60_000, 0]) {
  test(`an_open_that_is_under_way_leaves_nothing_open: ${shutdownTimeoutMs} ms to wait for it`, async (t) => {
    const at = scene(t)
    let refusal = null
    class Eager {
      constructor(auth) {
        this.auth = auth
      }
      onModuleDestroy() {
        this.late = rejection(this.auth.initialize('late')).then(({ code }) => (refusal = code))
      }
    }
    injectable({ common }, Eager, HybridAuthService)
    const { started, auth } = await application(t, at, { ...PATIENT, shutdownTimeoutMs, providers: [Eager] })
    await started.close()
    await new Promise((resolve) => setImmediate(resolve))
    if (shutdownTimeoutMs > 0) assert.equal(refusal, 'CLOSED', 'it was waited for')
    await started.get(Eager).late
    assert.deepEqual([refusal, auth.list()], ['CLOSED', []])
    await until(() => auth.opening().length === 0, 'the end of what was under way')
  })
}

test('a_session_that_was_taken_over_does_not_hold_up_the_end_and_is_not_called_lost', async (t) => {
  const at = scene(t, unhurried)
  const { started, auth, told } = await application(t, at)
  await (await auth.initialize('a')).saveCreds()
  await (await auth.initialize('b')).saveCreds()
  await at.open('a', { ...at.elsewhere(), baileys: cheapBaileys })
  await started.close()
  assert.deepEqual(told().slice(-1), ['log: shut down: 2 sessions closed, complete in the store'])
})

test('the_last_call_of_on_backup_is_waited_for', async (t) => {
  const at = scene(t)
  const rows = []
  const onBackup = async ({ tenantId }) => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    rows.push(tenantId)
  }
  const { started, auth } = await application(t, at, { ...PATIENT, onBackup, shutdownTimeoutMs: 60_000 })
  const { saveCreds, state } = await auth.initialize('a')
  await saveCreds()
  await auth.backup('a')
  await state.keys.set({ session: { x: { v: 1 } } })
  await started.close()
  assert.deepEqual(rows, ['a', 'a'])
})

test('shutting_down_by_hand_names_what_is_not_stored_and_the_hooks_then_find_nothing_open', async (t) => {
  const at = scene(t)
  const bucket = removableBucket(at.bucket)
  const { started, auth, told } = await application(t, at, PATIENT)
  for (const tenant of ['a', 'b']) {
    const { saveCreds, state } = await auth.initialize(tenant)
    await saveCreds()
    await auth.backup(tenant)
    await state.keys.set({ session: { x: { v: 1 } } })
  }
  bucket.takeAway()
  const { closed, failed } = await auth.shutdown({ timeoutMs: 100 })
  assert.deepEqual(
    [closed, failed.map(({ tenantId, error }) => [tenantId, error.code])],
    [
      0,
      [
        ['a', 'REMOTE_UNAVAILABLE'],
        ['b', 'REMOTE_UNAVAILABLE']
      ]
    ]
  )
  await started.close()
  assert.deepEqual(
    told().filter((line) => line.includes('shut down')),
    []
  )
})
