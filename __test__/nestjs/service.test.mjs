// The service, as an application uses it: sessions for sockets, the names of the systems it replaces, and what is told.
//
// Invariant guarded: code that was written for files goes on working when it is given this service; what it is told of a backup
// is what the store has; and "there is none" is said only where there is none.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { lines as baileysLines } from '../../testkit/baileys/lines.mjs'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { linesOf, nest, own, project, startApplication } from '../support/nest.mjs'
import { OTHER_KEY, rejection, scene, startProcess, still, temporaryFolder, until } from '../../testkit/processes/sessions.mjs'
import { removableBucket } from '../../testkit/stores/outages.mjs'

const { common, core, hybridAuth } = nest(11)
const { HybridAuthModule, HybridAuthService } = hybridAuth

/** An application on the bucket of `at`, and its service. Each one is a machine of its own unless `directory` says otherwise. */
async function serviceOn(t, at, options = {}) {
  const { lines, logger } = linesOf()
  const module = HybridAuthModule.forRoot({ ...at.elsewhere(), baileys: cheapBaileys, shutdownTimeoutMs: 60_000, ...options })
  const application = await startApplication(t, { common, core }, { logger, imports: [module] })
  return { application, auth: application.get(HybridAuthService), told: () => own(lines).map(({ level, text }) => `${level}: ${text}`) }
}

for (const { name, load } of baileysLines) {
  test(`${name}: a_session_is_initialized_used_and_found_again_by_the_next_application`, async (t) => {
    const at = scene(t)
    const baileys = await load()
    const first = await serviceOn(t, at, { baileys })
    const { state, saveCreds, ...rest } = await first.auth.initialize('tenant')
    assert.deepEqual(Object.keys(rest).sort(), ['close', 'delete', 'exportMultiFile', 'flush', 'off', 'on', 'pruneKeys', 'status'])
    Object.assign(state.creds, { registered: true, me: { id: '491500000000:1@s.whatsapp.net' } })
    await saveCreds()
    const pair = { public: Buffer.alloc(32, 1), private: Buffer.alloc(32, 2) }
    await state.keys.set({ 'pre-key': { 1: pair }, 'app-state-sync-key': { k: { keyData: Buffer.alloc(32, 3), timestamp: 5 } } })
    const creds = JSON.stringify(state.creds, baileys.BufferJSON.replacer)
    await first.application.close()

    const next = await serviceOn(t, at, { baileys, onMissing: 'error' })
    const { state: found } = await next.auth.useAuthState('tenant')
    assert.equal(JSON.stringify(found.creds, baileys.BufferJSON.replacer), creds)
    assert.ok(Buffer.isBuffer(found.creds.noiseKey.public))
    assert.deepEqual(await found.keys.get('pre-key', ['1', '2']), { 1: pair, 2: null })
    assert.deepEqual(Buffer.from((await found.keys.get('app-state-sync-key', ['k'])).k.keyData), Buffer.alloc(32, 3))
  })
}

test('initializing_again_gives_creds_of_its_own_over_the_same_keys_and_the_state_of_a_tenant_is_that_of_the_newest', async (t) => {
  const { auth } = await serviceOn(t, scene(t))
  const one = await auth.initialize('tenant')
  Object.assign(one.state.creds, { generation: 1 })
  await one.saveCreds()
  const two = await auth.initialize('tenant')
  assert.deepEqual(two.state.creds, one.state.creds)
  assert.notEqual(two.state.creds, one.state.creds)
  await one.state.keys.set({ session: { late: { v: 1 } } })
  assert.deepEqual(await two.state.keys.get('session', ['late']), { late: { v: 1 } })
  for (const answer of [await auth.getAuthState('tenant'), await auth.useAuthState('tenant'), auth.get('tenant')]) {
    assert.equal(answer.state, two.state)
    assert.equal(answer.saveCreds, two.saveCreds)
  }
  assert.deepEqual(auth.list(), ['tenant'])
  assert.deepEqual(Object.keys(await auth.getAuthState('another')), ['state', 'saveCreds'])
  assert.deepEqual(auth.list(), ['tenant', 'another'])
  const { closed, failed } = await auth.shutdown()
  assert.deepEqual([closed, failed, auth.list()], [3, [], []])
})

test('keys_may_be_spread_and_taken_off_and_listeners_come_and_go', async (t) => {
  const { auth } = await serviceOn(t, scene(t))
  const session = await auth.open('tenant')
  const { get, set, list } = { ...session.state.keys }
  const heard = []
  const listener = (news) => heard.push(news.lsn)
  assert.equal(session.on('backup', listener), session)
  await set({ session: { a: { v: 1 } } })
  await session.flush()
  await until(() => heard.length === 1, 'the backup')
  assert.equal(session.off('backup', listener), session)
  await set({ session: { a: { v: 2 } } })
  await session.flush()
  assert.deepEqual(await get('session', ['a']), { a: { v: 2 } })
  const all = []
  for await (const entry of list('session')) all.push(entry)
  assert.deepEqual(all, [['a', { v: 2 }]])
  assert.deepEqual(heard, [1])
  await session.close()
  assert.deepEqual([auth.list(), auth.get('tenant')], [[], undefined])
})

test('a_reconnecting_service_that_closes_nothing_keeps_what_is_in_use_and_no_more', async (t) => {
  const at = scene(t)
  const child = startProcess(t, reconnectOften, { options: at.replicated }, { ...project(11), nodeOptions: ['--expose-gc'] })
  const { opened, openWhileHeld, openAfterwards, late } = await child.said()
  assert.deepEqual({ opened, openWhileHeld, openAfterwards }, { opened: 52, openWhileHeld: 3, openAfterwards: 3 })
  assert.deepEqual(late, { held: { v: 'by a function' }, newest: { v: 'by nobody' } })
})

async function reconnectOften({ load, args, say }) {
  const { HybridAuth } = load('./lib/fleet/fleet.js')
  const { HybridAuthService } = load('./nestjs/index.js')
  let opened = 0
  let open = 0
  const openOne = HybridAuth.prototype.open
  HybridAuth.prototype.open = async function (...given) {
    const session = await openOne.apply(this, given)
    const { close } = session
    opened += 1
    open += 1
    session.close = async (how) => {
      await close(how)
      open -= 1
    }
    return session
  }
  const auth = new HybridAuthService({ ...args.options, logger: false, initAuthCreds: () => ({}) })
  const collect = async () => {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const { saveCreds } = await auth.initialize('tenant')
  await saveCreds()
  const { set } = (await auth.initialize('tenant')).state.keys
  for (let i = 0; i < 50; i++) await auth.initialize('tenant')
  for (const end = performance.now() + 60_000; open > 3 && performance.now() < end;) await collect()
  const openWhileHeld = open
  await saveCreds()
  await set({ session: { held: { v: 'by a function' } } })
  await auth.get('tenant').state.keys.set({ session: { newest: { v: 'by nobody' } } })
  for (let i = 0; i < 20; i++) await collect()
  const late = await auth.get('tenant').state.keys.get('session', ['held', 'newest'])
  await say({ opened, openWhileHeld, openAfterwards: open, late })
  await auth.shutdown()
}

test('an_older_session_that_is_asked_for_again_in_time_is_not_closed', async (t) => {
  const at = scene(t)
  const child = startProcess(t, askInTime, { options: at.replicated }, { ...project(11), nodeOptions: ['--expose-gc'] })
  assert.deepEqual(await child.said(), { life: 'live', value: { v: 1 } })
})

async function askInTime({ load, args, say }) {
  const { HybridAuthService } = load('./nestjs/index.js')
  const auth = new HybridAuthService({ ...args.options, logger: false, initAuthCreds: () => ({}) })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  let session
  while (session === undefined) {
    await auth.initialize('tenant')
    const newest = await auth.initialize('tenant')
    await newest.close()
    await turn()
    globalThis.gc()
    session = auth.get('tenant')
  }
  for (let i = 0; i < 100; i++) {
    globalThis.gc()
    await turn()
  }
  await session.state.keys.set({ session: { x: { v: 1 } } })
  await say({ life: session.status().life, value: (await session.state.keys.get('session', ['x'])).x })
  await auth.shutdown()
}

test('of_a_tenant_whose_last_session_ended_nothing_is_kept', async (t) => {
  const at = scene(t)
  const child = startProcess(t, endInEveryWay, { options: at.replicated }, { ...project(11), nodeOptions: ['--expose-gc'] })
  const found = await child.said()
  assert.equal(found.length, 5)
  for (const [end, left] of found) assert.deepEqual(left, { open: [], held: 0 }, end)
})

async function endInEveryWay({ load, args, say }) {
  const { HybridAuthService } = load('./nestjs/index.js')
  const ends = {
    'closed by itself': (auth, sessions) => Promise.all(sessions.map((session) => session.close())),
    'deleted by itself': async (auth, [session, ...others]) => {
      await session.delete()
      await Promise.all(others.map((other) => other.close()))
    },
    'deleted by its tenant': (auth) => auth.delete('tenant'),
    'deleted by the name of old': (auth) => auth.deleteSession('tenant'),
    'closed with all': (auth) => auth.shutdown()
  }
  const auth = new HybridAuthService({ ...args.options, logger: false, initAuthCreds: () => ({}) })
  const openAndEnd = async (end) => {
    const sessions = [await auth.open('tenant', { fresh: true }), await auth.open('tenant')]
    await sessions[1].saveCreds()
    await end(auth, sessions)
    return sessions.map((session) => new WeakRef(session))
  }
  const found = []
  for (const [name, end] of Object.entries(ends)) {
    const sessions = await openAndEnd(end)
    const held = () => sessions.filter((session) => session.deref() !== undefined).length
    for (const end = performance.now() + 60_000; held() > 0 && performance.now() < end;) {
      // What was looked at is kept until the turn ends.
      await new Promise((resolve) => setTimeout(resolve, 10))
      globalThis.gc()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    found.push([name, { open: auth.list(), held: held() }])
  }
  await say(found)
}

test('the_column_of_the_last_backup_is_filled_by_the_callback', async (t) => {
  const at = scene(t)
  const rows = new Map()
  class SessionTable {
    async update(tenantId, row) {
      rows.set(tenantId, { ...rows.get(tenantId), ...row })
    }
  }
  common.Injectable()(SessionTable)
  const began = new Date()
  const module = HybridAuthModule.forRootAsync({
    imports: [{ module: class DatabaseModule {}, providers: [SessionTable], exports: [SessionTable] }],
    inject: [SessionTable],
    useFactory: (table) => ({
      ...at.replicated,
      baileys: cheapBaileys,
      onBackup: ({ tenantId, at, lsn, bytes }) => table.update(tenantId, { lastBackupAt: at, lsn, bytes })
    })
  })
  const application = await startApplication(t, { common, core }, { imports: [module] })
  const auth = application.get(HybridAuthService)
  const { state, saveCreds } = await auth.initialize('a')
  await auth.initialize('b')
  await saveCreds()
  await state.keys.set({ session: { x: { v: 1 } } })
  await auth.initialize('a')
  await application.close()
  const { lastBackupAt, lsn, bytes } = rows.get('a')
  assert.ok(lastBackupAt instanceof Date && lastBackupAt >= began)
  assert.equal(lsn, 2)
  assert.ok(bytes > 0)
  assert.deepEqual([...rows.keys()], ['a'], 'a tenant without a change has no backup to tell of')
})

test('a_callback_that_fails_is_logged_and_breaks_nothing', async (t) => {
  const calls = []
  const fails = (info) => {
    calls.push(info.lsn)
    if (calls.length === 1) throw new Error('the database is away')
    return Promise.reject(new Error('still away'))
  }
  const { auth, told } = await serviceOn(t, scene(t), { onBackup: fails })
  const { state } = await auth.initialize('tenant')
  for (const v of [1, 2]) {
    await state.keys.set({ session: { x: { v } } })
    await auth.backup('tenant')
    await until(() => calls.length === v, 'the call')
  }
  const heard = () => told().filter((line) => line.includes('onBackup'))
  await until(() => heard().length === 2, 'the lines')
  assert.deepEqual(heard(), [
    'error: tenant tenant: onBackup failed: the database is away',
    'error: tenant tenant: onBackup failed: still away'
  ])
})

test('backup_says_what_is_stored_and_its_old_names_never_reject', async (t) => {
  const at = scene(t, still)
  const bucket = removableBucket(at.bucket)
  const { auth, told } = await serviceOn(t, at, { flushTimeoutMs: 100, closeTimeoutMs: 100 })
  const session = await auth.initialize('tenant')
  await session.saveCreds()
  await auth.backup('tenant', { timeoutMs: 60_000 })
  assert.deepEqual([await auth.backupToSupabase('tenant'), await auth.forceBackup('tenant')], [true, true])
  assert.equal((await rejection(auth.backup('nobody'))).code, 'CLOSED')
  assert.equal(await auth.forceBackup('nobody'), false)

  bucket.takeAway()
  await session.state.keys.set({ session: { x: { v: 1 } } })
  assert.equal((await rejection(auth.backup('tenant'))).code, 'REMOTE_UNAVAILABLE')
  // An existing handler of 'creds.update' awaits both, and nobody catches what it rejects with.
  const handler = async () => {
    await session.saveCreds()
    return auth.backupToSupabase('tenant')
  }
  assert.equal(await handler(), false)
  assert.ok(
    told().some((line) => line.startsWith('warn: tenant tenant: backup failed (REMOTE_UNAVAILABLE): ')),
    told().join('\n')
  )
  bucket.bringBack()
  await until(() => auth.backupToSupabase('tenant'), 'the store')
})

test('restore_answers_no_only_where_there_is_none', async (t) => {
  const at = scene(t)
  const bucket = removableBucket(at.bucket)
  const { auth, application } = await serviceOn(t, at)
  assert.equal(await auth.restore('nobody'), false)
  await (await auth.initialize('tenant')).saveCreds()
  assert.equal(await auth.restore('tenant'), true)
  await auth.initialize('empty')
  assert.equal(await auth.restore('empty'), false)
  await auth.deleteSession('empty')
  assert.equal((await rejection(auth.restore('empty'))).code, 'DELETED')
  await application.close()

  const next = await serviceOn(t, at)
  assert.equal(await next.auth.restoreFromSupabase('tenant'), true)
  assert.deepEqual(next.auth.list(), ['tenant'])
  assert.equal(await next.auth.restoreFromSupabase('nobody'), false)
  await next.application.close()

  const locked = await serviceOn(t, at, { encryptionKeys: [OTHER_KEY] })
  assert.equal((await rejection(locked.auth.restoreFromSupabase('tenant'))).code, 'KEY_UNAVAILABLE')
  bucket.takeAway()
  const cut = await serviceOn(t, at, { flushTimeoutMs: 1 })
  assert.equal((await rejection(cut.auth.restoreFromSupabase('tenant'))).code, 'REMOTE_UNAVAILABLE')
})

test('the_periodic_backup_is_gone_and_says_so_once', async (t) => {
  const { auth, told } = await serviceOn(t, scene(t))
  for (let again = 0; again < 3; again++) {
    auth.startPeriodicBackup('tenant')
    auth.stopPeriodicBackup('tenant')
  }
  const rest = 'PeriodicBackup() has no effect and can be removed: every change is stored as it happens'
  assert.deepEqual(
    told(),
    ['start', 'stop'].map((which) => `warn: ${which}${rest}`)
  )
})

test('the_rest_of_the_fleet_is_there', async (t) => {
  const at = scene(t)
  const first = await serviceOn(t, at)
  for (const tenant of ['a', 'b', 'c']) await (await first.auth.open(tenant)).saveCreds()
  await first.auth.delete('c')
  assert.deepEqual(Object.keys(first.auth.status()), ['a', 'b'])
  assert.ok(first.auth.traffic().puts > 0)
  await first.auth.get('a').state.keys.set({ session: { x: { v: 1 } } })
  const folder = join(temporaryFolder(t), 'export')
  const { written } = await first.auth.exportMultiFile('a', folder)
  assert.equal(written, 1)
  await first.application.close()

  const next = await serviceOn(t, at)
  assert.deepEqual(await next.auth.tenants(), ['a', 'b'])
  const seen = []
  const { opened, failed } = await next.auth.restoreAll({ onProgress: ({ tenantId }) => seen.push(tenantId) })
  assert.deepEqual([opened.sort(), failed, seen.sort()], [['a', 'b'], [], ['a', 'b']])
  assert.deepEqual((await next.auth.initialize('a')).status().restored.source, 'remote')
})

test('sessions_are_opened_before_the_application_answers_and_one_that_cannot_be_stops_nothing', async (t) => {
  const at = scene(t)
  const bucket = removableBucket(at.bucket)
  const first = await serviceOn(t, at)
  for (const tenant of ['a', 'b']) await (await first.auth.open(tenant)).saveCreds()
  await first.application.close()
  const all = await serviceOn(t, at, { openOnBootstrap: 'all' })
  assert.deepEqual(all.auth.list().sort(), ['a', 'b'])
  assert.deepEqual(
    all.told().filter((line) => line.includes('at startup')),
    ['log: opened 2 of 2 sessions at startup']
  )
  await all.application.close()

  const some = await serviceOn(t, at, { openOnBootstrap: ['b', 'nobody'] })
  assert.deepEqual(some.auth.list(), ['b'])
  const heard = some.told().filter((line) => line.includes('at startup'))
  assert.match(heard[0], /^error: tenant nobody: not opened at startup \(NOT_FOUND\): /)
  assert.equal(heard[1], 'log: opened 1 of 2 sessions at startup')
  await some.application.close()

  bucket.takeAway()
  const later = await serviceOn(t, at, { openOnBootstrap: 'all', flushTimeoutMs: 1 })
  assert.deepEqual(later.auth.list(), [])
  assert.match(later.told().join('\n'), /error: the sessions to open at startup cannot be listed \(REMOTE_UNAVAILABLE\)/)
  bucket.bringBack()
  await until(() => later.auth.list().length === 2, 'another try')
})

test('an_application_starts_without_the_sessions_that_take_their_time_and_opens_them_behind_its_back', async (t) => {
  const at = scene(t)
  const dead = startProcess(t, ownForEver, { options: at.replicated })
  await dead.said()
  await dead.kill()
  const { auth, told } = await serviceOn(t, at, { openOnBootstrap: ['tenant'], bootstrapTimeoutMs: 10, handoverTimeoutMs: 3000 })
  assert.deepEqual([auth.list(), auth.opening(), auth.status().tenant.life, auth.health().opening], [[], ['tenant'], 'opening', 1])
  assert.ok(
    told().some((line) => line.startsWith('warn: the application starts after 0 s with 0 sessions open')),
    told().join('\n')
  )
  await until(() => auth.list().length === 1, 'the session')
  await until(() => told().includes('log: opened 1 of 1 sessions at startup'), 'the word of it')
  assert.equal(auth.health().opening, 0)
})

async function ownForEver({ hybrid, args, say }) {
  const session = await hybrid.useHybridAuthState('tenant', args.options)
  await session.saveCreds()
  await session.flush()
  await say('owned')
  setInterval(() => {}, 1000)
}

test('on_event_is_told_everything_and_what_it_throws_stops_nothing', async (t) => {
  const at = scene(t)
  const heard = []
  const { auth, told } = await serviceOn(t, at, {
    onEvent(news) {
      heard.push(news)
      throw new Error('on purpose')
    }
  })
  const one = await auth.initialize('tenant')
  const two = await auth.initialize('tenant')
  await two.saveCreds()
  await two.flush()
  await until(() => heard.some(({ event }) => event === 'backup'), 'a backup')
  assert.deepEqual(
    heard.map(({ event, tenantId }) => `${event} ${tenantId}`).filter((text) => text.startsWith('backup')),
    ['backup tenant']
  )
  assert.deepEqual([...new Set(heard.map(({ event }) => event))].sort(), ['backup', 'fresh', 'opened', 'opening'])
  assert.ok(
    told().some((line) => line.includes('`onEvent` threw: on purpose')),
    told().join('\n')
  )
  assert.equal(one.status().life, 'live')
})

test('a_session_and_a_service_are_closed_where_their_scope_ends', async (t) => {
  if (Symbol.asyncDispose === undefined) return
  const at = scene(t)
  const { auth } = await serviceOn(t, at)
  const session = await auth.initialize('tenant')
  await session[Symbol.asyncDispose]()
  assert.deepEqual([session.status().life, auth.list()], ['closed', []])
  await auth.initialize('tenant')
  await auth[Symbol.asyncDispose]()
  assert.deepEqual(auth.list(), [])
})
