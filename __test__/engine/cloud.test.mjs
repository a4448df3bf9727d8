// Sessions that keep nothing on the disk: a write resolves when the store has it for good.
//
// Invariant guarded (D11, I4, I7): whatever dies at whatever moment, no write that resolved is missing anywhere later; nothing
// is written to the local disk; and a write that could not be stored says so, without stopping the session.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { cloudScene, lookIn } from '../support/clouds.mjs'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { eventually, KEY, Machine, runSeed, scratch } from '../../testkit/processes/machines.mjs'
import {
  contentsOf,
  hybrid,
  rejection,
  startProcess,
  still,
  temporaryFolder,
  told,
  unhurried,
  until
} from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { makeBucket, store } from '../../testkit/stores/index.mjs'
import { makeRandom } from '../../testkit/world/wire.mjs'
import { sized } from '../support/size.mjs'

const TENANT = 'tenant'
/** So long that waiting for it would end the test run: whoever is through before did not wait. */
const NEVER = 300_000
const ids = (count) => Array.from({ length: count }, (_, n) => `id-${n}`)

async function machines(t) {
  const folder = scratch(t)
  const bucket = await makeBucket(t)
  return {
    bucket,
    options: { ...bucket.options, mode: 'cloud', encryption: 'on', encryptionKeys: [KEY] },
    machine: (name) => Machine.start(t, join(folder, name))
  }
}

const acknowledged = ({ notes }) =>
  Number(
    notes
      .filter((line) => line.startsWith('ack '))
      .at(-1)
      ?.split(' ')[2] ?? 0
  )
const counted = async (machine, label) => (await machine.call('get', 'counter', [label]))[label]?.n ?? 0

test('no_write_that_resolved_is_lost_when_the_process_is_killed_at_any_moment', async (t) => {
  const random = makeRandom(runSeed('cloud kills'))
  const { machine, options } = await machines(t)
  let least = 0
  for (let life = 0; life < sized(3, 5); life++) {
    const label = `life-${life}`
    const owner = await machine(label)
    await owner.call('open', TENANT, { ...options, takeover: true })
    assert.ok((await counted(owner, 'all')) >= least)
    await owner.call('startTraffic', label, 0)
    await eventually('some traffic', () => acknowledged(owner) > 5)
    await pause(random.below(60))
    await owner.kill()
    const n = acknowledged(owner)
    const heir = await machine(`${label}-heir`)
    const opened = await heir.call('open', TENANT, { ...options, takeover: true })
    const found = await counted(heir, label)
    assert.ok(found >= n, `${n} resolved, ${found} found`)
    assert.ok(found <= n + 1, 'nothing that was not written')
    assert.equal(opened.restored.source, 'remote')
    least += 1
    await heir.call('set', { counter: { all: { n: least } } })
    await heir.kill()
    t.diagnostic(`life ${life}: ${n} resolved, ${found} found`)
  }
})

test('nothing_is_made_changed_or_left_on_the_disk', async (t) => {
  const at = await cloudScene(t)
  mkdirSync(at.directory)
  writeFileSync(join(at.directory, 'mine.txt'), 'untouched')
  const seen = []
  const watcher = watch(at.directory, (event, name) => seen.push(`${event} ${name}`))
  t.after(() => watcher.close())
  const live = async (options) => {
    const session = await at.openCloud(TENANT, options)
    await session.saveCreds()
    await session.state.keys.set({ session: Object.fromEntries(ids(50).map((id) => [id, { id }])) })
    await session.state.keys.clear()
    await session.flush()
    assert.equal(session.status().logBytes, 0)
    await session.close()
  }
  await live()
  assert.deepEqual(contentsOf(at.directory), { 'mine.txt': 'untouched' })
  assert.deepEqual(seen, [])

  // Below a file nobody can make anything, whatever their rights: a session with a log is refused there, and this one is not.
  const impossible = join(at.directory, 'mine.txt', 'sessions')
  lookIn(t, impossible)
  assert.equal((await rejection(at.openReplicated(TENANT, { directory: impossible }))).code, 'LOCAL_UNAVAILABLE')
  await live()

  // Nor where a process happens to run, when no variable says anything.
  const cwd = temporaryFolder(t, 'cwd')
  const work = async ({ load, args, say }) => {
    const session = await load('./index.js').useHybridAuthState('tenant', args.options)
    await session.saveCreds()
    await session.close()
    await say(session.state.creds.registrationId)
  }
  const { initAuthCreds, baileys, ...options } = at.cloud
  await startProcess(t, work, { options }, { cwd, env: { WHATSAPP_SESSION_PATH: '' } }).said()
  assert.deepEqual(readdirSync(cwd), [])
})

test('writes_are_stored_at_once_and_those_that_wait_share_an_upload', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = await cloudScene(t, { bucket, defaults: { flushIntervalMs: 3_600_000, ...still } })
  const session = await at.openCloud(TENANT)
  for (let n = 1; n <= 5; n++) {
    await session.state.keys.set({ session: { one: { n } } })
    const { lsn, remoteDurableLsn, localDurableLsn, lagMs } = session.status()
    assert.deepEqual([lsn, remoteDurableLsn, localDurableLsn, lagMs], [n, n, n, 0], 'it is stored when it resolves')
  }
  const {
    uploads: { segments: before }
  } = session.status()
  const heal = await breakAll()
  const writes = ids(200).map((id) => session.state.keys.set({ session: { [id]: { id } } }))
  await heal()
  await Promise.all(writes)
  const {
    uploads: { segments: after },
    remoteDurableLsn
  } = session.status()
  assert.equal(remoteDurableLsn, 205)
  assert.ok(after - before <= 2, `${after - before} uploads: one that was under way, and one for all that waited`)
  // What changes nothing resolves as well.
  await session.state.keys.set({ session: { one: { n: 5 } } })
  assert.equal(session.status().lsn, 205)
})

test('an_outage_delays_a_write_and_then_refuses_it_without_losing_it_or_the_session', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = await cloudScene(t, { bucket })
  const session = await at.openCloud(TENANT, still)
  await session.saveCreds()
  // The same session, for somebody who waits less.
  const { state: impatient } = await at.openCloud(TENANT, { ...still, flushTimeoutMs: 300 })
  const degraded = told(session, 'degraded')
  const heal = await breakAll()
  const error = await rejection(impatient.keys.set({ session: { during: { v: 1 } } }))
  assert.equal(error.code, 'REMOTE_UNAVAILABLE')
  assert.match(error.message, /in memory and is still being sent, and is lost if the process ends/)
  await degraded
  const { life, store, lsn, remoteDurableLsn } = session.status()
  assert.deepEqual([life, store, lsn, remoteDurableLsn], ['live', 'degraded', 2, 1])
  assert.deepEqual((await session.state.keys.get('session', ['during'])).during, { v: 1 })
  const recovered = told(session, 'recovered')
  await heal()
  await recovered
  await session.flush()
  const heir = await Machine.start(t, join(at.root, 'heir'))
  await heir.call('open', TENANT, {
    ...bucket.options,
    mode: 'cloud',
    encryption: 'on',
    encryptionKeys: at.cloud.encryptionKeys,
    takeover: true
  })
  assert.deepEqual(await heir.call('get', 'session', ['during']), { during: { v: 1 } })
})

test('a_handover_under_traffic_loses_no_write_that_resolved', async (t) => {
  const { machine, options } = await machines(t)
  for (const takeover of [false, true]) {
    const [older, newer] = [await machine(`older-${takeover}`), await machine(`newer-${takeover}`)]
    const tenant = `${TENANT}-${takeover}`
    await older.call('open', tenant, { ...options, ...unhurried })
    await older.call('startTraffic', 'older', 0)
    await eventually('some traffic', () => acknowledged(older) > 20)
    const opened = await newer.call('open', tenant, takeover ? { ...options, takeover } : { ...options, ...unhurried })
    await older.told('fenced')
    const { n } = await eventually('the traffic is refused', async () => {
      const traffic = await older.call('traffic')
      return traffic.refusal === 'FENCED' && traffic
    })
    const found = await counted(newer, 'older')
    assert.ok(found >= n, `${n} resolved, ${found} inherited`)
    assert.ok(found <= n + 1, 'at most the write that was refused while it was in flight')
    if (!takeover) assert.deepEqual(opened.restored, { source: 'remote', clean: true })
    for (const write of [
      ['set', { session: { late: { n: 1 } } }],
      ['saveCreds', { generation: 1 }]
    ])
      assert.equal(await older.outcome(...write), 'FENCED')
    await newer.call('set', { counter: { newer: { n: 1 } } })
    await newer.call('close')
    await older.outcome('close')
  }
})

test('a_released_predecessor_is_not_waited_for_and_a_killed_one_is', async (t) => {
  const { machine, options, bucket } = await machines(t)
  const rarely = { ...options, ownershipCheckIntervalMs: NEVER }
  const first = await machine('first')
  await first.call('open', TENANT, rarely)
  await first.call('set', { counter: { n: { n: 1 } } })
  await first.call('close')
  const second = await machine('second')
  const opened = await second.call('open', TENANT, rarely)
  assert.deepEqual(opened.restored, { source: 'remote', clean: true })
  await second.kill()
  // On the machine where it died too: nothing there says so.
  const third = await machine('second')
  const claims = async () => (await bucket.list()).filter((name) => name.startsWith('v1/claims/')).length
  const before = await claims()
  const outcome = third.outcome('open', TENANT, rarely)
  await eventually('it has claimed', async () => (await claims()) > before)
  assert.equal(await Promise.race([outcome, pause(1500, 'still waiting')]), 'still waiting')
  const eager = await machine('eager')
  await eager.call('open', TENANT, { ...options, takeover: true })
  assert.equal(await counted(eager, 'n'), 1)
})

test('several_opens_in_one_process_share_a_session_and_another_mode_beside_it_is_refused', async (t) => {
  const at = await cloudScene(t)
  const [first, second] = await Promise.all([at.openCloud(TENANT), at.openCloud(TENANT)])
  await first.state.keys.set({ session: { a: { v: 1 } } })
  assert.deepEqual((await second.state.keys.get('session', ['a'])).a, { v: 1 })
  assert.equal(first.status().epoch, second.status().epoch)
  await first.close()
  await second.state.keys.set({ session: { a: { v: 2 } } })

  const beside = await rejection(at.openReplicated(TENANT))
  assert.equal(beside.code, 'INVALID_OPTION')
  assert.match(beside.message, /this process has this tenant open in another `mode`, cloud/)
  assert.equal((await rejection(at.openCloud(TENANT, { encryptionKeys: ['51'.repeat(32)] }))).code, 'INVALID_OPTION')
  const other = await at.openCloud('another tenant')
  await other.close()
  const elsewhere = await at.openReplicated(TENANT, await at.anotherBucket())
  await elsewhere.close()
  await second.close()

  const logged = await at.openReplicated(TENANT, { directory: join(at.root, 'another') })
  const reversed = await rejection(at.openCloud(TENANT))
  assert.deepEqual([reversed.code, /another `mode`, hybrid/.test(reversed.message)], ['INVALID_OPTION', true])
  await logged.close()
  const last = await at.openCloud(TENANT)
  assert.deepEqual((await last.state.keys.get('session', ['a'])).a, { v: 2 })
})

test('a_session_that_was_fenced_or_deleted_opens_anew_in_the_same_process', async (t) => {
  const at = await cloudScene(t)
  const session = await at.openCloud(TENANT)
  await session.saveCreds()
  const fenced = told(session, 'fenced')
  const newer = await Machine.start(t, join(at.root, 'newer'))
  const options = {
    ...at.bucket.options,
    mode: 'cloud',
    encryption: 'on',
    encryptionKeys: at.cloud.encryptionKeys,
    baileys: undefined,
    initAuthCreds: undefined
  }
  await newer.call('open', TENANT, options)
  await fenced
  await newer.call('close')
  const again = await at.openCloud(TENANT)
  assert.equal(again.status().life, 'live')
  await again.delete()
  assert.equal((await rejection(session.state.keys.set({ session: { a: 1 } }))).code, 'FENCED')
  assert.equal((await rejection(again.saveCreds())).code, 'DELETED')
  await session.close().catch(() => {})
  assert.equal((await rejection(at.openCloud(TENANT))).code, 'DELETED')
  const fresh = await at.openCloud(TENANT, { fresh: true })
  assert.equal(fresh.status().restored.source, 'fresh')
})

test('status_says_what_a_session_without_a_disk_can_know', async (t) => {
  const at = await cloudScene(t, { defaults: still })
  const session = await at.openCloud(TENANT)
  await session.saveCreds()
  const { keys, bytes, uploads, lastBackupAt, ...rest } = session.status()
  assert.ok(keys === 1 && bytes > 500 && uploads.segments === 1 && lastBackupAt instanceof Date)
  assert.deepEqual(rest, {
    mode: 'cloud',
    life: 'live',
    lsn: 1,
    localDurableLsn: 1,
    remoteDurableLsn: 1,
    lagMs: 0,
    dirtyKeys: 0,
    dirtyBytes: 0,
    logBytes: 0,
    epoch: 1,
    restored: { source: 'fresh', clean: true },
    store: 'ok',
    storeDurability: store.durability ?? null,
    handedOver: false,
    lastError: null,
    baseRefused: null,
    maxBytes: 512 * 1024 * 1024
  })
})

test('a_fleet_restores_exports_and_shuts_down_without_a_disk', async (t) => {
  const at = await cloudScene(t)
  const fleet = new hybrid.HybridAuth({ ...at.cloud, baileys: cheapBaileys })
  for (const tenant of ['a', 'b', 'c']) {
    const session = await fleet.open(tenant)
    await session.saveCreds()
    await session.state.keys.set({ session: { of: { tenant } } })
  }
  assert.deepEqual(await fleet.shutdown(), { closed: 3, failed: [] })
  const { opened, failed } = await fleet.restoreAll()
  assert.deepEqual([opened.sort(), failed], [['a', 'b', 'c'], []])
  const folder = join(at.root, 'exported')
  assert.deepEqual(await fleet.exportMultiFile('b', folder), { written: 1, collisions: 0, impossible: 0 })
  assert.deepEqual(readdirSync(folder).sort(), ['creds.json', 'session-of.json'])
  assert.equal((await fleet.verify('a')).keys, 2)
  await fleet.delete('c')
  assert.deepEqual(await fleet.tenants(), ['a', 'b'])
  await until(() => fleet.list().length === 2, 'the deleted one is closed')
  await fleet.shutdown()
})
