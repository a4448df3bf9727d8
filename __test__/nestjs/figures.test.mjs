// The parts that decide and ask nobody: figures of health, the order in which an application is told, lines of a log.
//
// Invariant guarded: a session is called backed up exactly when a blank machine would restore it, or soon will; calls about one
// tenant never overlap; a line names whom it is about.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { linesOf, nest, own, startApplication } from '../support/nest.mjs'
import { ROOT, scene, still, unhurried, until } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { fleetHealth, sessionHealth } = require(join(ROOT, 'nestjs/health.js'))
const { Shutdown } = require(join(ROOT, 'nestjs/shutdown.js'))
const { Notifier } = require(join(ROOT, 'nestjs/notifier.js'))
const { common, core, hybridAuth, packageFolder } = nest(11)
const { HybridAuthModule, HybridAuthService, nestLogger } = hybridAuth
const { tenantLogger } = createRequire(import.meta.url)(join(packageFolder, 'nestjs/logger.js'))

const MINUTE = 60_000
const STORED = { life: 'live', store: 'ok', lsn: 7, remoteDurableLsn: 7, lagMs: 0, lastBackupAt: new Date(5), handedOver: false }

const cases = {
  'everything is stored': [{}, 'ok'],
  'everything is stored since long ago': [{ lastBackupAt: new Date(0) }, 'ok'],
  'there is nothing to store yet': [{ lsn: 0, remoteDurableLsn: 0, lastBackupAt: null }, 'ok'],
  'the first writes are on their way': [{ remoteDurableLsn: 0, lagMs: 20, lastBackupAt: null }, 'never'],
  'a write is on its way': [{ lsn: 8, lagMs: 10 * MINUTE }, 'ok'],
  'a write has been waiting for more than ten minutes': [{ lsn: 8, lagMs: 10 * MINUTE + 1 }, 'overdue'],
  'the store has been away for more than ten minutes': [{ lsn: 8, lagMs: 11 * MINUTE, store: 'degraded' }, 'overdue'],
  'the store is away and nothing was written': [{ store: 'degraded' }, 'ok'],
  'there is no store': [{ store: 'none', remoteDurableLsn: null, lagMs: null, lastBackupAt: null }, 'never'],
  'a newer instance has everything': [{ life: 'fenced', handedOver: true, lsn: 8, lagMs: 20 * MINUTE }, 'ok'],
  'a newer instance came before everything was handed over': [{ life: 'fenced', lsn: 8, lagMs: 5 }, 'overdue']
}

for (const [name, [difference, expected]] of Object.entries(cases)) {
  test(`a session is ${expected} when ${name}`, () => {
    const status = { ...STORED, ...difference }
    const { sessions, ...counts } = sessionHealth([{ tenantId: 't', status }])
    assert.deepEqual(sessions, [
      { tenantId: 't', state: expected, lastBackupAt: status.lastBackupAt, lagMs: status.lagMs, owner: status.life, store: status.store }
    ])
    const backedUp = expected === 'ok' ? 1 : 0
    assert.deepEqual(counts, { total: 1, backed_up: backedUp, needs_backup: 1 - backedUp, oldest_backup: status.lastBackupAt })
  })
}

test('figures_are_summed_over_sessions_and_the_oldest_backup_is_one_that_is_known', () => {
  const rows = [
    { tenantId: 'a', status: { ...STORED, lastBackupAt: new Date(300) } },
    { tenantId: 'b', status: { ...STORED, lastBackupAt: new Date(200) } },
    { tenantId: 'c', status: { ...STORED, lsn: 9, remoteDurableLsn: 0, lastBackupAt: null } },
    { tenantId: 'd', status: { ...STORED, lsn: 9, lagMs: 3000 } }
  ]
  const { total, backed_up: backedUp, needs_backup: needs, oldest_backup: oldest } = sessionHealth(rows, { overdueAfterMs: 2000 })
  assert.deepEqual({ total, backedUp, needs, oldest }, { total: 4, backedUp: 2, needs: 2, oldest: new Date(5) })
  assert.deepEqual(sessionHealth([]), { total: 0, backed_up: 0, needs_backup: 0, oldest_backup: null, sessions: [] })
  assert.deepEqual(fleetHealth([]), {
    healthy: true,
    sessions: 0,
    opening: 0,
    poisoned: 0,
    degraded: 0,
    degradedForMs: 0,
    fenced: 0,
    baseRefused: 0,
    maxLagMs: 0
  })
})

test('a_service_reports_what_its_sessions_are', async (t) => {
  const at = scene(t, still)
  const start = async (options) => {
    const imports = [HybridAuthModule.forRoot({ baileys: cheapBaileys, logger: false, shutdownTimeoutMs: 60_000, ...options })]
    return startApplication(t, { common, core }, { imports })
  }
  const first = await start(at.elsewhere())
  const auth = first.get(HybridAuthService)
  const { saveCreds } = await auth.initialize('a')
  await auth.initialize('new')
  await saveCreds()
  await auth.backup('a')
  const { sessions, oldest_backup: oldest, ...counts } = await auth.getSessionHealth()
  assert.deepEqual(counts, { total: 2, backed_up: 2, needs_backup: 0 })
  assert.deepEqual(
    sessions.map(({ tenantId, lastBackupAt }) => [tenantId, lastBackupAt]),
    [
      ['a', oldest],
      ['new', null]
    ]
  )
  assert.deepEqual((await auth.getSessionHealth('a')).sessions, sessions.slice(0, 1))
  assert.deepEqual(await auth.getSessionHealth('nobody'), { total: 0, backed_up: 0, needs_backup: 0, oldest_backup: null, sessions: [] })
  await first.close()

  const began = new Date()
  const next = (await start(at.elsewhere())).get(HybridAuthService)
  await next.restore('a')
  const [restored] = (await next.getSessionHealth()).sessions
  assert.ok(restored.lastBackupAt >= began, 'what came from the store is in the store')
  assert.deepEqual([restored.state, restored.owner, restored.store], ['ok', 'live', 'ok'])

  const local = (await start(at.local)).get(HybridAuthService)
  await (await local.initialize('a')).saveCreds()
  const {
    needs_backup: needs,
    sessions: [row]
  } = await local.getSessionHealth()
  assert.deepEqual([needs, row.state, row.lagMs, row.store], [1, 'never', null, 'none'])
})

test('a_session_that_is_being_closed_does_not_break_the_report', async (t) => {
  const at = scene(t)
  const imports = [HybridAuthModule.forRoot({ ...at.replicated, baileys: cheapBaileys, logger: false })]
  const auth = (await startApplication(t, { common, core }, { imports })).get(HybridAuthService)
  for (let again = 0; again < 20; again++) {
    const session = await auth.initialize('a')
    await session.state.keys.set({ session: { x: { again } } })
    let closed = false
    const closing = session.close().then(() => (closed = true))
    while (!closed) {
      const total = Object.keys(auth.status()).length
      assert.ok([0, 1].includes(total) && (await auth.getSessionHealth()).total <= 1 && auth.health().healthy)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await closing
  }
  assert.deepEqual(auth.status(), {})
})

test('an_application_is_told_of_a_tenant_one_at_a_time_and_the_newest_is_never_left_out', async () => {
  const calls = []
  const waiting = []
  const running = new Map()
  const failures = []
  const notifier = new Notifier(
    async (news) => {
      assert.ok(!running.get(news.tenantId), 'two calls at once')
      running.set(news.tenantId, true)
      calls.push(`${news.tenantId}${news.lsn}:${news.bytes}`)
      await new Promise((resolve) => waiting.push(resolve))
      running.set(news.tenantId, false)
      if (news.lsn === 3) throw new Error('on purpose')
    },
    { failed: (error, { lsn }) => failures.push(lsn), merge: (old, newer) => ({ ...newer, bytes: old.bytes + newer.bytes }) }
  )
  for (const lsn of [1, 2, 3]) notifier.tell({ tenantId: 'a', lsn, bytes: 10 })
  notifier.tell({ tenantId: 'b', lsn: 1, bytes: 1 })
  assert.deepEqual(calls, ['a1:10', 'b1:1'])
  let isSettled = false
  const settled = notifier.settled().then(() => (isSettled = true))
  waiting.shift()()
  await until(() => calls.length === 3, 'the next call')
  assert.equal(calls[2], 'a3:20')
  notifier.tell({ tenantId: 'a', lsn: 4, bytes: 5 })
  while (waiting.length > 0) {
    waiting.shift()()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await settled
  assert.ok(isSettled)
  assert.deepEqual([calls[3], failures], ['a4:5', [3]])
  notifier.tell({ tenantId: 'a', lsn: 5, bytes: 1 })
  assert.equal(calls[4], 'a5:1')
  waiting.shift()()
  await notifier.settled()
  await new Notifier(undefined, {}).settled()
})

test('the_last_lines_name_everybody_of_whom_something_is_missing_and_say_where_it_is', async () => {
  const status = (difference) => ({ ...STORED, ...difference })
  const many = Array.from({ length: 60 }, (_, i) => `m${i}`)
  const before = {
    well: status({}),
    behind: status({ lsn: 9 }),
    unreleased: status({}),
    overtaken: status({ life: 'fenced', lsn: 8 }),
    broken: status({}),
    local: status({ store: 'none', remoteDurableLsn: null }),
    ...Object.fromEntries(many.map((tenantId) => [tenantId, status({ lsn: 8 })]))
  }
  const codes = { behind: 'REMOTE_UNAVAILABLE', unreleased: 'REMOTE_REFUSED', overtaken: 'FENCED', broken: 'INTERNAL' }
  for (const tenantId of many) codes[tenantId] = 'REMOTE_UNAVAILABLE'
  const failed = Object.entries(codes).map(([tenantId, code]) => ({ tenantId, error: { code } }))
  const say = async (sessions) => {
    const said = []
    const logger = { error: (_, message) => said.push(`error: ${message}`), info: (_, message) => said.push(`info: ${message}`) }
    const all = { stop() {}, async flush() {}, async opened() {}, status: () => ({}), shutdown: async () => ({ failed: [] }), ...sessions }
    await new Shutdown({ sessions: all, profiles: { end: async () => [] }, notifiers: [], logger, timeoutMs: 100 }).release('SIGINT')
    return said
  }
  const lines = await say({ status: () => before, shutdown: async () => ({ failed }) })
  const rest =
    'not completely in the store (REMOTE_UNAVAILABLE); the rest is in the local log and will be stored at the next start on this disk'
  assert.deepEqual(lines, [
    `error: shut down (SIGINT): 50 sessions ${rest}: behind [2 writes], ${many
      .slice(0, 49)
      .map((id) => `${id} [1 write]`)
      .join(', ')}`,
    `error: shut down (SIGINT): 11 sessions ${rest}: ${many
      .slice(49)
      .map((id) => `${id} [1 write]`)
      .join(', ')}`,
    'error: shut down (SIGINT): 1 session stored, but not released (REMOTE_REFUSED); the next start elsewhere has to wait: unreleased',
    'error: shut down (SIGINT): 1 session taken over by a newer instance before the handover was complete (FENCED): overtaken [1 write]',
    'error: shut down (SIGINT): 1 session ended with an error (INTERNAL): broken',
    'info: shut down (SIGINT): 2 sessions closed, complete in the store or on the disk'
  ])
  assert.deepEqual(await say({}), [])
})

test('lines_go_to_the_logger_of_the_application_under_a_context_and_name_the_tenant', async (t) => {
  const at = scene(t, unhurried)
  const { lines, logger } = linesOf()
  const imports = [HybridAuthModule.forRoot({ ...at.replicated, baileys: cheapBaileys })]
  const auth = (await startApplication(t, { common, core }, { logger, imports })).get(HybridAuthService)
  await (await auth.initialize('a')).saveCreds()
  await auth.backup('a')
  const other = await at.open('a', { ...at.elsewhere(), baileys: cheapBaileys })
  await until(() => auth.status().a.life === 'fenced', 'the fence')
  await until(() => own(lines).length > 1, 'the line')
  const [fresh, ...rest] = own(lines)
  assert.match(fresh.text, /^tenant a: session fresh: a new WhatsApp identity.*"reason":"missing"/)
  assert.deepEqual(rest, [{ level: 'warn', text: 'tenant a: session fenced', context: 'HybridAuth' }])
  await other.close()
})

test('each_level_goes_to_its_method_and_uploads_are_told_of_if_asked_for', () => {
  const { lines, logger } = linesOf()
  const say = (to) => {
    to.debug({ tenantId: 'a', lsn: 1 }, 'session backup')
    to.info({}, 'plain')
    to.warn({ code: 'REMOTE_UNAVAILABLE', message: 'away' }, 'session degraded')
    to.error({ tenantId: 'a', code: 'INTERNAL' }, 'session error')
    return lines.splice(0).map(({ level, text }) => `${level}: ${text}`)
  }
  const rest = ['log: plain', 'warn: session degraded (REMOTE_UNAVAILABLE): away', 'error: tenant a: session error (INTERNAL)']
  assert.deepEqual(say(nestLogger('X', { logger })), rest)
  assert.deepEqual(say(nestLogger('X', { logger, debug: true })), ['debug: tenant a: session backup {"lsn":1}', ...rest])
})

test('a_pino_logger_a_nest_logger_and_none_are_taken', async (t) => {
  const at = scene(t)
  const said = []
  const pino = { debug() {}, info: (details, message) => said.push(['info', details, message]), warn() {}, error() {} }
  const { lines, logger } = linesOf()
  const first = await at.openReplicated('a', { baileys: cheapBaileys })
  await first.saveCreds()
  await first.close()
  for (const given of [pino, { warn() {} }, logger, false]) {
    const imports = [HybridAuthModule.forRoot({ ...at.elsewhere(), baileys: cheapBaileys, logger: given, openOnBootstrap: ['a'] })]
    const application = await startApplication(t, { common, core }, { imports })
    await application.get(HybridAuthService).initialize('a')
    await application.close()
  }
  const ofPino = said.filter(([, , message]) => message === 'session restored').map(([, { tenantId, source }]) => `${tenantId} ${source}`)
  assert.ok(ofPino.includes('a remote'), JSON.stringify(said))
  assert.ok(
    lines.some(({ level, text }) => level === 'log' && /^tenant a: session restored .*"source":"remote"/.test(text)),
    JSON.stringify(lines)
  )
})

test('what_is_said_of_the_configuration_is_said_once', () => {
  const said = []
  const logger = { warn: (details, message) => said.push([details, message]) }
  const known = new Set(['the address is readable'])
  for (const tenantId of ['a', 'b']) {
    const tenant = tenantLogger(logger, tenantId, known)
    tenant.warn({}, 'the address is readable')
    tenant.warn({}, 'session fenced')
    tenant.debug({}, 'nobody listens to this')
  }
  assert.deepEqual(said, [
    [{ tenantId: 'a' }, 'session fenced'],
    [{ tenantId: 'b' }, 'session fenced']
  ])
})
