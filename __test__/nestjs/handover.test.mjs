// A rolling deploy, a logout, and the loops of services that were written for another auth state.
//
// Invariant guarded: one application owns a session. The old one hands over what it has, and its timers and reconnects change
// nothing any more; a session that was logged out comes back by no old name of any method.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { MAJORS, linesOf, nest, own, project, startApplication } from '../support/nest.mjs'
import { contentsOf, rejection, scene, startProcess, still, unhurried, until } from '../../testkit/processes/sessions.mjs'
import { removableBucket } from '../../testkit/stores/outages.mjs'

async function application(t, major, options) {
  const { common, core, hybridAuth } = nest(major)
  const { lines, logger } = linesOf()
  const module = hybridAuth.HybridAuthModule.forRoot({ baileys: cheapBaileys, shutdownTimeoutMs: 60_000, ...options })
  const started = await startApplication(t, { common, core }, { logger, imports: [module] })
  return { started, auth: started.get(hybridAuth.HybridAuthService), told: () => own(lines).map(({ text }) => text) }
}

/** The instance that is being replaced: it writes without a pause, and reconnects whenever it is thrown out. */
async function serveAndReconnect({ load, args, say }) {
  const { NestFactory } = load('@nestjs/core')
  const { Module } = load('@nestjs/common')
  const { HybridAuthModule, HybridAuthService } = load('./nestjs/index.js')
  const fenced = []
  const options = {
    ...args.options,
    initAuthCreds: () => ({ generation: 0 }),
    shutdownTimeoutMs: 60_000,
    onFenced: (info) => fenced.push(info)
  }
  class Application {}
  Module({ imports: [HybridAuthModule.forRoot(options)] })(Application)
  const application = await NestFactory.createApplicationContext(Application, { logger: ['log', 'warn', 'error'] })
  const auth = application.get(HybridAuthService)
  application.enableShutdownHooks()
  auth.startPeriodicBackup('tenant')
  const { state, saveCreds } = await auth.initialize('tenant')
  await saveCreds()
  await auth.forceBackup('tenant')
  let n = 0
  let refusal
  await say('serving')
  while (refusal === undefined) {
    try {
      await state.keys.set({ session: { counter: { n: n + 1 } } })
      n += 1
    } catch (error) {
      refusal = error.code
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const reconnects = []
  for (let again = 0; again < 5; again++) {
    for (const connect of ['initialize', 'getAuthState', 'useAuthState', 'restoreFromSupabase']) {
      reconnects.push(
        await auth[connect]('tenant').then(
          () => 'connected',
          (error) => error.code
        )
      )
    }
    await auth.forceBackup('tenant')
  }
  // Told by another thread, in its own time.
  while (fenced.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const { owner } = (await auth.getSessionHealth('tenant')).sessions[0]
  await say({ n, refusal, reconnects: [...new Set(reconnects)], fenced, owner })
  await new Promise((resolve) => setTimeout(resolve, 3_600_000))
}

for (const major of MAJORS) {
  test(`nest ${major}: in_a_rolling_deploy_the_new_application_has_everything_and_the_old_one_takes_nothing_back`, async (t) => {
    const at = scene(t, unhurried)
    const old = startProcess(t, serveAndReconnect, { options: at.replicated }, { ...project(major), env: { NO_COLOR: '1' } })
    assert.equal(await old.said(), 'serving')

    const next = await application(t, major, { ...at.elsewhere(), openOnBootstrap: 'all' })
    const session = next.auth.get('tenant')
    const { n, ...rest } = await old.said()
    assert.deepEqual(rest, { refusal: 'FENCED', reconnects: ['FENCED'], fenced: [{ tenantId: 'tenant' }], owner: 'fenced' })
    assert.deepEqual((await session.state.keys.get('session', ['counter'])).counter, { n })
    await session.state.keys.set({ session: { counter: { n: n + 1 } } })
    await session.flush()

    const before = contentsOf(at.bucket)
    old.child.kill('SIGTERM')
    const { signal, stdout } = await old.ended
    assert.equal(signal, 'SIGTERM')
    assert.match(stdout, /tenant tenant: session fenced/)
    assert.match(stdout, /shut down \(SIGTERM\): 1 session closed/)
    assert.deepEqual(contentsOf(at.bucket), before, 'the end of the old one changes nothing in the store')
    assert.equal(session.status().life, 'live')
    await next.started.close()
    const blank = await at.open('tenant', { ...at.elsewhere(), baileys: cheapBaileys, onMissing: 'error' })
    assert.deepEqual((await blank.state.keys.get('session', ['counter'])).counter, { n: n + 1 })
  })
}

test('a_reconnect_that_comes_before_the_news_of_a_newer_owner_takes_nothing_back', async (t) => {
  const at = scene(t, unhurried)
  const one = await application(t, 11, at.elsewhere())
  await (await one.auth.initialize('tenant')).saveCreds()
  const two = await application(t, 11, at.elsewhere())
  const taking = two.auth.initialize('tenant')
  // As long as this thread is busy it hears nothing: the newer owner comes meanwhile.
  const isFenced = () => one.auth.status().tenant.life === 'fenced'
  await until(() => {
    for (const until = Date.now() + 500; !isFenced() && Date.now() < until;) continue
    return isFenced()
  }, 'the end of the first')
  assert.equal((await rejection(one.auth.initialize('tenant'))).code, 'FENCED')
  assert.equal((await taking).status().life, 'live')
})

test('a_session_that_was_taken_over_is_taken_back_on_purpose_only', async (t) => {
  const at = scene(t, unhurried)
  const fenced = []
  const one = await application(t, 11, {
    ...at.elsewhere(),
    onFenced: ({ tenantId }) => {
      fenced.push(tenantId)
    }
  })
  const first = await one.auth.initialize('tenant')
  await first.saveCreds()
  const two = await application(t, 11, at.elsewhere())
  const second = await two.auth.initialize('tenant')
  await until(() => fenced.length > 0, 'the news')
  assert.equal((await rejection(one.auth.initialize('tenant'))).code, 'FENCED')
  await first.close()
  assert.match((await rejection(one.auth.initialize('tenant'))).message, /`open`/, 'also when the session was closed since')
  assert.equal(second.status().life, 'live')

  const again = await one.auth.open('tenant')
  assert.equal(again.status().life, 'live')
  assert.equal((await one.auth.initialize('tenant')).status().life, 'live')
  await until(() => second.status().life === 'fenced', 'the other one to learn of it')
  assert.deepEqual(fenced, ['tenant'])
})

/** Keeps the event loop busy for so long. */
const hold = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

test('news_that_a_busy_event_loop_hears_late_comes_once', async (t) => {
  const at = scene(t, unhurried)
  const backups = []
  const one = await application(t, 11, {
    ...at.elsewhere(),
    onBackup: ({ lsn }) => {
      backups.push(lsn)
    }
  })
  const all = [await one.auth.initialize('tenant'), await one.auth.initialize('tenant'), await one.auth.initialize('tenant')]
  await one.auth.backup('tenant')
  // Both are stored before any of the three opens hears of the first.
  const under = [all[0].saveCreds(), all[0].flush()]
  hold(700)
  under.push(all[0].state.keys.set({ session: { a: { v: 1 } } }), all[0].flush())
  hold(700)
  await Promise.all(under)
  await until(() => backups.at(-1) === 2, 'the news')
  await one.started.close()
  assert.deepEqual(backups, [...new Set(backups)])
})

test('news_of_a_tenant_that_is_open_several_times_comes_once', async (t) => {
  const at = scene(t, unhurried)
  const fenced = []
  const backups = []
  const one = await application(t, 11, {
    ...at.elsewhere(),
    onFenced: ({ tenantId }) => {
      fenced.push(tenantId)
    },
    onBackup: ({ lsn }) => {
      backups.push(lsn)
    }
  })
  const all = [await one.auth.initialize('tenant'), await one.auth.initialize('tenant'), await one.auth.initialize('tenant')]
  for (const session of all) await session.saveCreds()
  await all[0].state.keys.set({ session: { a: { v: 1 } } })
  await one.auth.backup('tenant')
  const two = await application(t, 11, at.elsewhere())
  await two.auth.initialize('tenant')
  await until(() => all.every((session) => session.status().life === 'fenced'), 'the fence')
  await until(() => fenced.length > 0, 'the news')
  await one.started.close()
  assert.deepEqual(fenced, ['tenant'])
  assert.deepEqual(backups, [...new Set(backups)])
  assert.equal(backups.at(-1), 2)
})

test('what_a_listener_that_nobody_waits_for_could_not_do_is_logged_and_ends_nothing', async (t) => {
  const at = scene(t, still)
  const bucket = removableBucket(at.bucket)
  const one = await application(t, 11, { ...at.elsewhere(), closeTimeoutMs: 50 })
  const session = await one.auth.initialize('tenant')
  await session.saveCreds()
  await one.auth.backup('tenant')
  bucket.takeAway()
  // Had one of these been an unhandled rejection, this test would fail.
  one.auth.deleteSession('tenant')
  await until(
    () => one.told().some((line) => line.startsWith('tenant tenant: session not deleted (REMOTE_UNAVAILABLE): ')),
    'the first line'
  )
  await session.state.keys.set({ session: { a: { v: 1 } } })
  session.close()
  await until(() => one.told().some((line) => line.startsWith('tenant tenant: session closed with unsent writes')), 'the second line')
  bucket.bringBack()
})

test('a_logged_out_session_comes_back_by_no_name_and_at_no_start', async (t) => {
  const at = scene(t)
  const one = await application(t, 11, at.elsewhere())
  const { state, saveCreds } = await one.auth.initialize('tenant')
  await (await one.auth.initialize('stays')).saveCreds()
  await saveCreds()
  await state.keys.set({ session: { a: { v: 1 } } })
  one.auth.startPeriodicBackup('tenant')
  await one.auth.backup('tenant')
  // 'connection.update' with DisconnectReason.loggedOut, as services handle it
  await one.auth.deleteSession('tenant')
  assert.equal(await one.auth.forceBackup('tenant'), false)
  assert.equal(await one.auth.backupToSupabase('tenant'), false)
  assert.equal((await rejection(saveCreds())).code, 'DELETED')
  assert.deepEqual(one.auth.list(), ['stays'])
  for (const connect of ['initialize', 'getAuthState', 'restoreFromSupabase']) {
    assert.equal((await rejection(one.auth[connect]('tenant'))).code, 'DELETED', connect)
  }
  await one.auth.deleteSession('tenant')
  await one.started.close()

  const next = await application(t, 11, { ...at.elsewhere(), openOnBootstrap: 'all' })
  assert.deepEqual(next.auth.list(), ['stays'])
  assert.equal((await rejection(next.auth.initialize('tenant'))).code, 'DELETED')
  const paired = await next.auth.initialize('tenant', { fresh: true })
  assert.equal(paired.status().restored.source, 'fresh')
  assert.deepEqual(await paired.state.keys.get('session', ['a']), { a: null })
})
