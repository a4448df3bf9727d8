// Metrics say what happened: each counter grows by what was done and by nothing else, each gauge shows what is there.
//
// Invariant guarded: figures are of sessions and not of opens, and survive the end of a session; nothing names a tenant unless it
// was asked to.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import promClient from 'prom-client'
import { canLimit, limitFileSize } from '../../testkit/processes/disks.mjs'
import { copyPackage, hybrid, OTHER_KEY, rejection, startProcess, temporaryFolder, told, until } from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { sceneWith, storeScene } from '../../testkit/stores/scene.mjs'
import { grown, PREFIX, scrape, valueOf } from './scrapes.mjs'

const { FAMILIES, TENANT_FAMILIES } = createRequire(import.meta.url)('../../lib/metrics/families.js')

const TENANT = '4915112345678'
const KINDS = ['segment', 'base', 'mark']

test('every family is told with all values of its labels before anything happened, and is typed as it is named', async () => {
  const samples = await scrape({ tenantLabel: true })
  const text = await new hybrid.HybridAuth().metrics()
  for (const { name, type, help } of FAMILIES) {
    assert.ok(text.includes(`# HELP ${PREFIX}${name} ${help}\n# TYPE ${PREFIX}${name} ${type}\n`), name)
    assert.equal(name.endsWith('_total'), type === 'counter', `a counter is called so, and nothing else: ${name}`)
    assert.match(name, /^[a-z]+(_[a-z]+)*$/)
  }
  for (const kind of KINDS) assert.equal(typeof valueOf(samples, 'uploads_total', { kind }), 'number', kind)
  for (const source of ['fresh', 'imported', 'local', 'remote']) {
    assert.equal(typeof valueOf(samples, 'restore_duration_seconds_count', { source }), 'number', source)
  }
  for (const kind of ['absent', 'denied', 'not_configured', 'throttled', 'transient', 'ambiguous', 'impossible']) {
    assert.equal(typeof valueOf(samples, 'request_failures_total', { kind }), 'number', kind)
  }
  for (const code of ['NOT_FOUND', 'REMOTE_CORRUPT']) assert.equal(typeof valueOf(samples, 'open_failures_total', { code }), 'number', code)
})

test('uploads are counted by kind, requests by operation, and values that were there already as skipped', async (t) => {
  const at = await storeScene(t, { flushIntervalMs: 3_600_000 })
  const before = await scrape()
  const session = await at.openReplicated(TENANT)
  await session.state.keys.set({ session: { a: { v: 1 }, b: { v: 2 } } })
  await session.flush()
  await session.state.keys.set({ session: { a: { v: 1 }, b: { v: 3 } } })
  await session.state.keys.set({ session: { a: { v: 1 }, b: { v: 3 } } })
  await session.flush()
  const by = grown(before, await scrape())
  assert.deepEqual(
    KINDS.map((kind) => by('uploads_total', { kind })),
    [2, 1, 2],
    'two segments, the opening base, claimed and live'
  )
  for (const kind of KINDS) assert.ok(by('upload_bytes_total', { kind }) > 0, kind)
  const { uploads } = session.status()
  assert.equal(by('upload_bytes_total', { kind: 'segment' }) + by('upload_bytes_total', { kind: 'base' }), uploads.bytes)
  assert.equal(by('unchanged_values_total'), 3)
  const puts = by('requests_total', { operation: 'put' })
  assert.ok(puts >= 5 && by('requests_total', { operation: 'list' }) > 0)
  assert.ok(by('sent_bytes_total') >= KINDS.reduce((sum, kind) => sum + by('upload_bytes_total', { kind }), 0))
  const { puts: all, sent } = new hybrid.HybridAuth(at.replicated).traffic()
  assert.ok(all >= puts && sent >= by('sent_bytes_total') && puts > 0, 'as traffic() tells them, of this store alone')
  await session.close()
  assert.equal(grown(before, await scrape())('uploads_total', { kind: 'mark' }), 3, 'released as well')
})

test('a tenant that is opened twice is one session, and closing and opening again only adds to counters', async (t) => {
  const at = await storeScene(t)
  const before = await scrape({ tenantLabel: true })
  const [one, other] = [await at.openReplicated(TENANT), await at.openReplicated(TENANT)]
  await one.state.keys.set({ session: { a: { v: 1 } } })
  await other.flush()
  const twice = await scrape({ tenantLabel: true })
  const by = grown(before, twice)
  assert.equal(by('sessions', { life: 'live' }), 1)
  assert.equal(by('keys'), 1)
  assert.equal(by('restore_duration_seconds_count', { source: 'fresh' }), 1)
  assert.equal(by('sessions_by_backup', { state: 'ok' }), 1)
  assert.equal(twice.filter(({ labels }) => labels.tenant === TENANT).length, TENANT_FAMILIES.length, 'one of each')
  await one.saveCreds()
  await one.close()
  assert.equal(grown(before, await scrape())('sessions', { life: 'live' }), 1, 'still open')
  await other.close()
  let last = await scrape()
  assert.equal(grown(before, last)('sessions', { life: 'live' }), 0)
  for (let round = 0; round < 3; round++) {
    const again = await at.openReplicated(TENANT)
    await again.state.keys.set({ session: { a: { round } } })
    const fresh = await scrape()
    const counters = FAMILIES.filter(({ type }) => type !== 'gauge').map(({ name, type }) =>
      type === 'histogram' ? `${name}_count` : name
    )
    for (const { name, labels, value } of fresh.filter(({ name }) => counters.includes(name.slice(PREFIX.length)))) {
      const former = last.find((sample) => sample.name === name && JSON.stringify(sample.labels) === JSON.stringify(labels))
      assert.ok(former !== undefined && value >= former.value, `${name} ${JSON.stringify(labels)} went back`)
    }
    last = fresh
    await again.close()
  }
  assert.equal(grown(before, last)('restore_duration_seconds_count', { source: 'local' }), 3)
})

test('opens are counted by where the session came from with how long they took, and failures by their code', async (t) => {
  const at = await storeScene(t)
  const before = await scrape()
  const fresh = await at.openReplicated(TENANT)
  await fresh.saveCreds()
  await fresh.close()
  const local = await at.openReplicated(TENANT)
  await local.close()
  const remote = await at.open(TENANT, at.elsewhere())
  await remote.close()
  const by = grown(before, await scrape())
  for (const source of ['fresh', 'local', 'remote']) {
    assert.equal(by('restore_duration_seconds_count', { source }), 1, source)
    assert.equal(by('restore_duration_seconds_bucket', { source, le: '+Inf' }), 1, source)
    assert.ok(by('restore_duration_seconds_sum', { source }) > 0, source)
  }
  assert.equal(by('restore_duration_seconds_count', { source: 'imported' }), 0)
  assert.equal((await rejection(at.open(TENANT, { ...at.elsewhere(), encryptionKeys: [OTHER_KEY] }))).code, 'KEY_UNAVAILABLE')
  assert.equal((await rejection(at.openReplicated('nobody', { onMissing: 'error' }))).code, 'NOT_FOUND')
  const then = grown(before, await scrape())
  assert.equal(then('open_failures_total', { code: 'KEY_UNAVAILABLE' }), 1)
  assert.equal(then('open_failures_total', { code: 'NOT_FOUND' }), 1)
  assert.equal(then('open_failures_total', { code: 'REMOTE_CORRUPT' }), 0)
  assert.equal(then('restore_duration_seconds_count', { source: 'remote' }), 1, 'those that failed restored nothing')
})

test('an outage shows as degraded sessions, failures, lag and dirt, and is over when it is over', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = sceneWith(t, bucket, { ownershipCheckIntervalMs: 60_000 })
  const session = await at.openReplicated(TENANT)
  await session.saveCreds()
  await session.flush()
  const before = await scrape()
  const heal = await breakAll()
  const degraded = told(session, 'degraded')
  await session.state.keys.set({ session: { a: { v: 1 }, b: { v: 2 } } })
  await degraded
  await until(() => session.status().lagMs > 0, 'a lag')
  const during = await scrape({ tenantLabel: true })
  const by = grown(before, during)
  assert.equal(by('degraded_sessions'), 1)
  assert.equal(by('dirty_keys'), 2)
  assert.equal(valueOf(during, 'session_dirty_keys', { tenant: TENANT }), 2)
  assert.ok(valueOf(during, 'lag_seconds') > 0 && valueOf(during, 'session_lag_seconds', { tenant: TENANT }) > 0)
  const failures = during.filter(
    ({ name, labels }) => name === `${PREFIX}request_failures_total` && by('request_failures_total', labels) > 0
  )
  assert.ok(failures.length > 0, 'what failed has a kind')
  const recovered = told(session, 'recovered')
  await heal()
  await recovered
  await session.flush()
  const after = grown(before, await scrape())
  assert.equal(after('degraded_sessions'), 0)
  assert.equal(after('dirty_keys'), 0)
  assert.ok(after('uploads_total', { kind: 'segment' }) >= 1)
})

test('a takeover is one fence, and what was handed over is no lag of whoever lost it', async (t) => {
  const at = await storeScene(t, { flushIntervalMs: 3_600_000 })
  const older = await at.openReplicated(TENANT)
  await older.state.keys.set({ session: { a: { v: 1 } } })
  const before = await scrape()
  const fenced = told(older, 'fenced')
  const newer = await at.open(TENANT, at.elsewhere())
  await fenced
  await until(() => older.status().handedOver, 'the handover')
  const by = grown(before, await scrape())
  assert.equal(by('fences_total'), 1)
  assert.equal(by('sessions', { life: 'fenced' }), 1)
  assert.equal(by('sessions', { life: 'live' }), 0, 'one came and one went')
  const { lagMs, dirtyKeys } = older.status()
  assert.deepEqual({ lagMs, dirtyKeys }, { lagMs: 0, dirtyKeys: 0 })
  assert.deepEqual(await newer.state.keys.get('session', ['a']), { a: { v: 1 } })
  await older.close()
  assert.equal(grown(before, await scrape())('sessions', { life: 'fenced' }), 0)
})

test('each sync of the local log is counted with how long it took', async (t) => {
  const at = await storeScene(t)
  const session = await at.openLocal(TENANT, { localDurability: 'data' })
  const before = await scrape()
  for (let n = 0; n < 5; n++) await session.state.keys.set({ session: { a: { n } } })
  const by = grown(before, await scrape())
  assert.equal(by('fsync_duration_seconds_count'), 5)
  assert.equal(by('fsync_duration_seconds_bucket', { le: '+Inf' }), 5)
  assert.ok(by('fsync_duration_seconds_sum') > 0)
  assert.equal(by('fsync_failures_total') + by('append_failures_total'), 0)
})

test('a write that the disk refuses is an append failure', async (t) => {
  assert.ok(canLimit, 'prlimit is needed')
  const args = { directory: temporaryFolder(t) }
  const child = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      const fleet = new hybrid.HybridAuth({ ...args, mode: 'local', localDurability: 'os' })
      const { state } = await fleet.open('tenant')
      await state.keys.set({ session: { a: { v: 1 } } })
      const limited = new Promise((resolve) => process.once('message', resolve))
      await say('open')
      await limited
      const { code } = await state.keys.set({ session: { b: 'x'.repeat(100_000) } }).catch((error) => error)
      await say({ code, metrics: await fleet.metrics() })
      process.exit()
    },
    args
  )
  await child.said()
  limitFileSize(child.child.pid, 8192)
  child.child.send('go on')
  const { code, metrics } = await child.said()
  assert.equal(code, 'LOCAL_UNAVAILABLE')
  assert.match(metrics, /^baileys_hybrid_auth_append_failures_total 1$/m)
  assert.match(metrics, /^baileys_hybrid_auth_sessions\{life="live"\} 1$/m)
})

test('no line names a tenant unless it was asked to', async (t) => {
  const at = await storeScene(t)
  const fleet = new hybrid.HybridAuth(at.replicated)
  await fleet.open(TENANT)
  try {
    assert.ok(!(await fleet.metrics()).includes(TENANT))
    assert.ok(!(await fleet.metrics({ tenantLabel: false })).includes('tenant='))
    const samples = await scrape({ tenantLabel: true })
    for (const { name } of TENANT_FAMILIES.filter(({ name }) => !name.includes('last_backup'))) {
      assert.equal(typeof valueOf(samples, name, { tenant: TENANT }), 'number', name)
    }
    assert.equal((await rejection(fleet.metrics({ tenantLabel: 'yes' }))).code, 'INVALID_OPTION')
  } finally {
    await fleet.shutdown()
  }
})

test('all metrics stand in the registry of an application, beside its own, and are read when it is scraped', async (t) => {
  const at = await storeScene(t)
  const registry = new promClient.Registry()
  new promClient.Counter({ name: 'own_total', help: 'of the application', registers: [registry] }).inc(3)
  const fleet = new hybrid.HybridAuth(at.replicated)
  assert.equal(fleet.collectInto(registry, { tenantLabel: false }), registry)
  assert.equal(new hybrid.HybridAuth().collectInto(registry), registry, 'once is enough for all fleets')
  const live = async () => Number((await registry.metrics()).match(/^baileys_hybrid_auth_sessions\{life="live"\} (\d+)$/m)[1])
  const before = await live()
  await fleet.open('a')
  assert.equal(await live(), before + 1)
  await fleet.shutdown()
  assert.equal(await live(), before)
  const text = await registry.metrics()
  assert.match(text, /^own_total 3$/m)
  assert.equal(await registry.metrics(), text, 'a scrape changes nothing')
  for (const { name } of FAMILIES) assert.ok(text.includes(`# TYPE ${PREFIX}${name} `), name)
  assert.throws(() => fleet.collectInto(registry, { tenantLabel: true }), { code: 'INVALID_OPTION' })
  for (const wrong of [undefined, null, {}, 'register'])
    assert.throws(() => fleet.collectInto(wrong), { code: 'INVALID_OPTION', message: /registry of prom-client/ })
  registry.clear()
  fleet.collectInto(registry, { tenantLabel: true })
  assert.ok((await registry.metrics()).includes(`# TYPE ${PREFIX}session_lag_seconds gauge`), 'after it was emptied')
})

test('a registry that speaks OpenMetrics tells the same', async () => {
  const registry = new promClient.Registry()
  registry.setContentType(promClient.Registry.OPENMETRICS_CONTENT_TYPE)
  new hybrid.HybridAuth().collectInto(registry)
  const text = await registry.metrics()
  assert.match(text, /^baileys_hybrid_auth_fences_total \d+$/m)
  assert.match(text, /^baileys_hybrid_auth_fsync_duration_seconds_bucket\{le="\+Inf"\} \d+$/m)
  assert.match(text, /# EOF\n$/)
})

test('prom-client is loaded by the first call that needs it and by nothing before', async (t) => {
  const work = async ({ hybrid, load, args, say }) => {
    const isLoaded = () => Object.keys(load.cache).some((file) => file.includes('prom-client'))
    const fleet = new hybrid.HybridAuth({ ...args, mode: 'local' })
    await fleet.open('tenant')
    fleet.status()
    fleet.summary()
    const before = isLoaded()
    await fleet.metrics()
    await say({ before, after: isLoaded() })
    await fleet.shutdown()
  }
  assert.deepEqual(await startProcess(t, work, { directory: temporaryFolder(t) }).said(), { before: false, after: true })
})

test('without prom-client both ways to metrics say what to install', async (t) => {
  const packageFolder = copyPackage(t)
  const work = async ({ hybrid, args, say }) => {
    const fleet = new hybrid.HybridAuth(args)
    const told = ({ name, code, message }) => ({ name, code, message })
    const refused = [await fleet.metrics().catch(told)]
    try {
      fleet.collectInto({})
    } catch (error) {
      refused.push(told(error))
    }
    await say(refused)
  }
  const refused = await startProcess(t, work, {}, { packageFolder, cwd: packageFolder }).said()
  assert.equal(refused.length, 2)
  for (const { name, code, message } of refused) {
    assert.deepEqual({ name, code }, { name: 'HybridAuthError', code: 'INVALID_OPTION' })
    assert.match(message, /npm install prom-client/)
  }
})
