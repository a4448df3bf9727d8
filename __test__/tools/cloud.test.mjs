// The tools over sessions that keep nothing on a disk, while their owner, in another process, goes on writing.
//
// Invariants guarded: no look stops an owner or delays it for ever, and none sees less than was acknowledged to it before; whatever
// ends an owner hands on all that was acknowledged to it; what an outage refused is never called stored.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { multiFile } from '../cli/command.mjs'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { cloudScene } from '../support/clouds.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { eventually, Machine } from '../../testkit/processes/machines.mjs'
import { hybrid, KEY, OTHER_KEY, rejection, scene } from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { chosen } from '../support/size.mjs'

const { costPerTenantDay } = createRequire(import.meta.url)('../../lib/tools/cost.js')

const TENANT = 'tenant'
const DAY = 86_400_000
const rotated = { encryptionKeys: [OTHER_KEY, KEY] }
const fresh = { encryptionKeys: [OTHER_KEY] }
/** Credentials that say which pre-keys the server may hand out. */
const CREDS = { registrationId: 9, nextPreKeyId: 2, firstUnuploadedPreKeyId: 2 }
const fleetOf = (at, more) => new hybrid.HybridAuth({ ...at.cloud, baileys: cheapBaileys, ...more })
const named = (count) => Array.from({ length: count }, (_, n) => `tenant-${String(n).padStart(2, '0')}`)

/** Writes acknowledged to the traffic of a machine: `acked(owner)` writes of its counter, the last of them at LSN `acked + before`. */
const acked = ({ notes }) =>
  Number(
    notes
      .filter((line) => line.startsWith('ack '))
      .at(-1)
      ?.split(' ')[2] ?? 0
  )
const going = (owner) => {
  const from = acked(owner)
  return eventually('the owner goes on', () => acked(owner) > from + 1)
}

/** A session that runs in another process, and has nothing to write. Its credentials are LSN 1. */
async function idleOwner(t, at, { tenant = TENANT, ...more } = {}) {
  const owner = await Machine.start(t, join(at.root, `owner of ${tenant}`))
  await owner.call('open', tenant, { ...at.cloud, encryption: 'on', ...more })
  await owner.call('saveCreds', CREDS)
  return owner
}

/** One that keeps writing: its n-th write is LSN n + 1. */
async function liveOwner(t, at, more) {
  const owner = await idleOwner(t, at, more)
  await owner.call('startTraffic', 'owner', 0)
  await going(owner)
  return owner
}

/** The counter that a session has, opened in `cloud` mode. */
async function counterOf(fleet, tenant = TENANT, options = {}) {
  const session = await fleet.open(tenant, { onMissing: 'error', ...options })
  try {
    assert.equal(session.status().mode, 'cloud')
    assert.equal(session.state.creds.registrationId, 9)
    return (await session.state.keys.get('counter', ['owner'])).owner?.n ?? 0
  } finally {
    await session.close()
  }
}

test('no_look_ends_a_live_owner_and_each_sees_what_was_acknowledged_before_it', async (t) => {
  const at = await cloudScene(t)
  const owner = await liveOwner(t, at)
  const fleet = fleetOf(at)
  const folder = join(at.root, 'extracted')
  const looks = {
    inspect: async () => {
      const { store, local } = await fleet.inspect(TENANT)
      assert.deepEqual([store.owner, store.epoch, store.endedAt, store.error, store.damage, local], ['live', 1, null, null, [], null])
      assert.equal(store.contents.types.counter.keys, 1)
      return store.lsn
    },
    survey: async () => {
      const [{ tenantId, owner, isOpen, lsn }] = await fleet.survey()
      assert.deepEqual([tenantId, owner, isOpen], [TENANT, 'live', false])
      return lsn
    },
    verify: async () => {
      const { lsn, damage, clean } = await fleet.verify(TENANT)
      assert.deepEqual([damage, clean], [[], false])
      return lsn
    },
    extract: async () => {
      const { lsn } = await fleet.extract(TENANT, folder)
      assert.equal(JSON.parse(readFileSync(join(folder, 'counter-owner.json'))).n, lsn - 2, 'a state that there was')
      return lsn
    },
    drill: async () => {
      const { ok, lsn, owner, digests, problems } = await fleet.drill(TENANT)
      assert.deepEqual([ok, owner, digests.owner, problems], [true, 'elsewhere', null, []])
      assert.equal(digests.restored, digests.store)
      return lsn
    },
    tenants: async () => void assert.deepEqual(await fleet.tenants(), [TENANT]),
    doctor: async () =>
      void assert.deepEqual(
        (await fleet.doctor()).filter(({ outcome }) => outcome === 'failed'),
        []
      ),
    rekey: async () => void assert.equal((await rejection(fleetOf(at, rotated).rekey(TENANT))).code, 'OWNED_ELSEWHERE'),
    prune: async () =>
      void assert.deepEqual(
        (await fleet.prune({ olderThanDays: 30, dryRun: false })).map(({ outcome }) => outcome),
        []
      )
  }
  for (const [name, look] of Object.entries(looks)) {
    const before = acked(owner) + 1
    const lsn = (await look()) ?? Infinity
    assert.ok(lsn >= before, `${name}: LSN ${before} was acknowledged, ${lsn} seen`)
    await going(owner)
    const { life, mode, epoch } = await owner.call('status')
    assert.deepEqual([life, mode, epoch], ['live', 'cloud', 1], name)
  }
  const { n, refusal } = await owner.call('stopTraffic')
  assert.equal(refusal, null)
  await owner.call('close')
  assert.ok((await counterOf(fleet)) >= n)
  assert.deepEqual([fleet.list(), existsSync(at.directory)], [[], false], 'nothing is left open, and nothing was made here')
})

test('a_drill_compares_with_the_memory_of_a_session_that_never_rests', async (t) => {
  const at = await cloudScene(t)
  const fleet = fleetOf(at)
  const session = await fleet.open(TENANT)
  await session.saveCreds()
  let isOver = false
  atEnd(t, () => (isOver = true))
  const writers = ['a', 'b', 'c', 'd'].map(async (id) => {
    for (let n = 0; !isOver; n++) await session.state.keys.set({ session: { [id]: { n } } })
  })
  for (let count = 0; count < 5; count++) {
    const { lsn } = session.status()
    const report = await fleet.drill(TENANT)
    assert.deepEqual([report.ok, report.owner, report.digests.owner, report.problems], [true, 'memory', report.digests.store, []])
    assert.ok(report.lsn >= lsn)
  }
  isOver = true
  await Promise.all(writers)
  assert.equal((await fleet.drill(TENANT)).lsn, session.status().lsn)
  await session.close()
})

test('a_log_that_another_mode_left_here_is_told_with_who_has_the_session_open', async (t) => {
  const at = await cloudScene(t)
  const before = await at.openReplicated(TENANT)
  await before.saveCreds()
  await before.close()
  const session = await fleetOf(at).open(TENANT)
  await session.state.keys.set({ session: { a: { n: 1 } } })
  const { store, local } = await fleetOf(at).inspect(TENANT)
  assert.deepEqual([local.open, local.lsn, store.lsn, session.status().lsn], ['here', 1, 2, 2])
  await session.close()
  assert.equal((await fleetOf(at).inspect(TENANT)).local.open, 'nobody')
})

test('rekey_of_an_open_session_under_traffic_leaves_one_that_only_needs_the_new_key', async (t) => {
  const at = await cloudScene(t)
  const first = await liveOwner(t, at)
  const { n } = await first.call('stopTraffic')
  await first.call('close')

  const fleet = fleetOf(at, rotated)
  const session = await fleet.open(TENANT)
  let [isOver, written] = [false, 0]
  atEnd(t, () => (isOver = true))
  const traffic = (async () => {
    while (!isOver) {
      await session.state.keys.set({ session: { mine: { n: written + 1 } } })
      written++
    }
  })()
  const report = await fleet.rekey(TENANT)
  assert.deepEqual([report.complete, report.needed, report.unneeded.length], [true, [report.primary], 1])
  await eventually('it goes on', () => written > 5)
  isOver = true
  await traffic
  assert.equal(session.status().life, 'live')
  await session.close()
  const heir = await fleetOf(at, fresh).open(TENANT, { onMissing: 'error' })
  assert.deepEqual(heir.status().restored, { source: 'remote', clean: true })
  assert.deepEqual((await heir.state.keys.get('session', ['mine'])).mine, { n: written })
  assert.ok((await heir.state.keys.get('counter', ['owner'])).owner.n >= n)
  await heir.close()
})

test('rekey_of_a_session_that_nobody_runs_leaves_one_that_only_needs_the_new_key', async (t) => {
  const at = await cloudScene(t)
  const owner = await liveOwner(t, at)
  const { n } = await owner.call('stopTraffic')
  await owner.call('close')
  const report = await fleetOf(at, rotated).rekey(TENANT)
  assert.deepEqual([report.complete, report.needed], [true, [report.primary]])
  assert.deepEqual((await fleetOf(at).inspect(TENANT)).store.error.code, 'KEY_UNAVAILABLE')
  assert.ok((await counterOf(fleetOf(at, fresh))) >= n)
  assert.equal((await fleetOf(at, fresh).drill(TENANT)).ok, true)
})

test('a_log_of_another_mode_keeps_its_key_needed_until_its_folder_is_moved_away', async (t) => {
  const at = await cloudScene(t)
  const before = await at.openReplicated(TENANT)
  await before.saveCreds()
  await before.close()
  const report = await fleetOf(at, rotated).rekey(TENANT)
  assert.deepEqual([report.complete, report.needed.length, report.unneeded], [false, 2, []])
  const { store, local } = await fleetOf(at, rotated).inspect(TENANT)
  assert.deepEqual([store.keyIds, local.keyIds.includes(report.primary)], [[report.primary], false], 'the store needs it no more')
})

test('rekey_that_takes_over_loses_nothing_that_was_acknowledged', async (t) => {
  const at = await cloudScene(t)
  const owner = await liveOwner(t, at)
  const report = await fleetOf(at, rotated).rekey(TENANT, { takeover: true })
  assert.equal(report.complete, true)
  await owner.told('fenced')
  const { n, refusal } = await eventually('the traffic is refused', async () => {
    const traffic = await owner.call('traffic')
    return traffic.refusal !== null && traffic
  })
  assert.equal(refusal, 'FENCED')
  assert.ok((await counterOf(fleetOf(at, fresh))) >= n)
})

test('what_opens_a_session_of_a_live_owner_takes_all_that_was_acknowledged_to_it', async (t) => {
  const at = await cloudScene(t)
  const deeds = {
    exportAll: async (fleet, tenant, folder) => {
      const { exported, failed } = await fleet.exportAll(folder, { tenantIds: [tenant] })
      assert.deepEqual([exported.length, failed], [1, []])
      return JSON.parse(readFileSync(join(folder, tenant, 'counter-owner.json'))).n
    },
    pruneKeys: async (fleet, tenant) => {
      assert.equal((await fleet.pruneKeys(tenant, { dryRun: false })).preKeys.removed, 0)
      return counterOf(fleet, tenant)
    },
    restoreAll: async (fleet, tenant) => {
      assert.deepEqual(await fleet.restoreAll({ tenantIds: [tenant] }), { opened: [tenant], failed: [], unnamed: 0 })
      await fleet.shutdown()
      return counterOf(fleet, tenant)
    }
  }
  for (const [tenant, deed] of Object.entries(deeds)) {
    const owner = await liveOwner(t, at, { tenant })
    const found = await deed(fleetOf(at), tenant, join(at.root, 'tree'))
    await owner.told('fenced')
    const { n } = await eventually('the traffic is refused', async () => {
      const traffic = await owner.call('traffic')
      return traffic.refusal === 'FENCED' && traffic
    })
    assert.ok(found >= n && found <= n + 1, `${tenant}: ${n} resolved, ${found} found`)
    await owner.kill()
  }
})

test('delete_ends_a_live_owner_for_good_and_its_writes_are_refused', async (t) => {
  const at = await cloudScene(t)
  const owner = await liveOwner(t, at)
  const fleet = fleetOf(at)
  await fleet.delete(TENANT)
  await owner.told('fenced')
  await eventually('the traffic is refused', async () => (await owner.call('traffic')).refusal === 'FENCED')
  assert.equal(await owner.outcome('set', { session: { late: { n: 1 } } }), 'FENCED')
  assert.equal(await owner.outcome('delete'), 'ok', 'that is what it is')
  assert.deepEqual([await fleet.tenants(), fleet.list()], [[], []])
  assert.equal((await rejection(fleet.open(TENANT))).code, 'DELETED')
  assert.equal((await rejection(fleet.verify(TENANT))).code, 'DELETED')
  const { store } = await fleet.inspect(TENANT)
  assert.deepEqual([store.owner, store.bases.count + store.segments.count], ['deleted', 0])
})

test('pruning_never_touches_one_that_runs_however_old_it_looks', async (t) => {
  // Ages are those of files.
  const { directory, ...rest } = scene(t).replicated
  const bucket = { options: { store: rest.store } }
  const at = await cloudScene(t, { bucket })
  const folder = new URL(rest.store)
  const age = (days) => {
    const then = new Date(Date.now() - days * DAY)
    for (const item of readdirSync(folder, { recursive: true, withFileTypes: true }))
      if (item.isFile()) utimesSync(join(item.parentPath ?? item.path, item.name), then, then)
  }
  // Idle, for as long as it is to look old: a write that is under way is young, and its files come and go.
  const owner = await idleOwner(t, at)
  const here = await fleetOf(at).open('here')
  await here.saveCreds()
  const gone = await at.openCloud('gone')
  await gone.saveCreds()
  await gone.close()
  age(13)
  const outcomes = async (options) =>
    Object.fromEntries((await fleetOf(at).prune({ olderThanDays: 10, ...options })).map(({ tenantId, outcome }) => [tenantId, outcome]))
  assert.deepEqual(await outcomes(), { [TENANT]: 'active', here: 'active', gone: 'would-delete' })
  assert.deepEqual(await outcomes({ dryRun: false }), { [TENANT]: 'active', here: 'active', gone: 'deleted' })
  age(13)
  // One that is open in this process is known to run, whatever is asked for and whichever fleet is asked.
  assert.deepEqual(await outcomes({ dryRun: false, inactiveOnly: false, tenantIds: ['here'] }), { here: 'active' })
  await owner.call('startTraffic', 'owner', 0)
  await going(owner)
  assert.deepEqual([(await owner.call('status')).life, here.status().life], ['live', 'live'])
  assert.deepEqual(await outcomes({ dryRun: false, tenantIds: [TENANT] }), {}, 'one that writes is not old')
  await here.saveCreds()
  await here.close()
})

test('doctor_and_status_say_what_the_mode_means', async (t) => {
  const at = await cloudScene(t)
  const session = await fleetOf(at).open(TENANT)
  await session.saveCreds()
  const { mode, lsn, localDurableLsn, remoteDurableLsn, logBytes } = session.status()
  assert.deepEqual([mode, lsn, localDurableLsn, remoteDurableLsn, logBytes], ['cloud', 1, 1, 1, 0])
  const latency = async (fleet) => (await fleet.doctor()).find(({ name }) => name === 'latency').message
  assert.match(await latency(fleetOf(at)), /in `cloud` mode each write waits for a PUT and a LIST, \d+\.\d ms here/)
  await session.close()
  assert.doesNotMatch(await latency(new hybrid.HybridAuth(at.replicated)), /cloud/)
  const native = {
    store: { kind: 's3', endpoint: null },
    ownershipCheckIntervalMs: 5000,
    flushIntervalMs: 3_600_000,
    refreshIntervalMs: 7 * DAY
  }
  const puts = (cloud) => costPerTenantDay({ ...native, cloud }, 1).atWork.puts
  assert.ok(puts(true) > 1000 && puts(false) < 100, 'no write waits for the interval')
})

test('a_fleet_of_many_is_listed_restored_exported_and_shut_down_in_time', async (t) => {
  const at = await cloudScene(t)
  const tenants = named(24)
  const fleet = fleetOf(at)
  for (const tenant of tenants) {
    const session = await fleet.open(tenant)
    Object.assign(session.state.creds, CREDS)
    await Promise.all([session.saveCreds(), session.state.keys.set({ session: { of: { tenant } } })])
  }
  assert.deepEqual([fleet.list().sort(), await fleet.tenants()], [tenants, tenants])
  const { sessions, byBackup, maxLagMs, dirtyKeys, store } = fleet.summary()
  assert.deepEqual([sessions, byBackup, maxLagMs, dirtyKeys, store], [24, { never: 0, overdue: 0, ok: 24 }, 0, 0, 'ok'])
  assert.ok(Object.values(fleet.status()).every(({ mode }) => mode === 'cloud'))
  assert.deepEqual(await fleet.shutdown({ timeoutMs: 60_000 }), { closed: 24, failed: [] })

  const seen = []
  const { opened, failed } = await fleet.restoreAll({ onProgress: ({ tenantId, error, total }) => seen.push([tenantId, error, total]) })
  assert.deepEqual([opened.sort(), failed, seen.sort()], [tenants, [], tenants.map((tenant) => [tenant, null, 24])])
  assert.ok(Object.values(fleet.status()).every(({ restored }) => restored.source === 'remote' && restored.clean))
  const { exported, failed: kept } = await fleet.exportAll(join(at.root, 'tree'))
  assert.deepEqual([exported.map(({ tenantId }) => tenantId).sort(), kept], [tenants, []])
  for (const tenant of tenants) assert.deepEqual(JSON.parse(readFileSync(join(at.root, 'tree', tenant, 'session-of.json'))), { tenant })
  assert.equal(fleet.list().length, 24, 'what was open stays open')
  await fleet.shutdown()
  assert.ok(!existsSync(at.directory))
})

test('a_fleet_that_is_shut_down_in_an_outage_names_what_is_lost_and_nothing_else_is', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = await cloudScene(t, { bucket })
  const fleet = fleetOf(at)
  const tenants = named(4)
  for (const tenant of tenants) {
    const session = await fleet.open(tenant)
    Object.assign(session.state.creds, CREDS)
    await session.saveCreds()
    await session.state.keys.set({ counter: { owner: { n: 1 } } })
  }
  const heal = await breakAll()
  const [unlucky] = tenants
  const written = rejection(fleet.get(unlucky).state.keys.set({ counter: { owner: { n: 2 } } }))
  const { closed, failed } = await fleet.shutdown({ timeoutMs: 300 })
  assert.deepEqual([closed, failed.map(({ tenantId, error }) => [tenantId, error.code])], [3, [[unlucky, 'REMOTE_UNAVAILABLE']]])
  assert.match(failed[0].error.message, /^closed; LSN 3 to 3 did not reach the store and are lost/)
  assert.ok(['CLOSED', 'REMOTE_UNAVAILABLE'].includes((await written).code), 'whoever wrote it was told')
  await heal()
  const heirs = fleetOf(at)
  const { opened, failed: none } = await heirs.restoreAll({ concurrency: 4 })
  assert.deepEqual([opened.sort(), none], [tenants, []])
  await heirs.shutdown()
  for (const tenant of tenants) assert.equal(await counterOf(heirs, tenant), 1)
})

test('an_outage_refuses_the_writes_of_a_live_owner_and_takes_none_back_that_resolved', async (t) => {
  for (const isKilled of chosen([false, true], (isKilled) => !isKilled)) {
    const { bucket, breakAll } = await fragileBucket(t)
    const at = await cloudScene(t, { bucket })
    // So long that no write is refused before the outage, however slow the machine is.
    const owner = await liveOwner(t, at, { flushTimeoutMs: 5000 })
    const heal = await breakAll()
    const { n, refusal } = await eventually('the traffic is refused', async () => {
      const traffic = await owner.call('traffic')
      return traffic.refusal !== null && traffic
    })
    assert.equal(refusal, 'REMOTE_UNAVAILABLE')
    const { life, store, lsn, remoteDurableLsn, lastError } = await owner.call('status')
    assert.deepEqual([life, store, lastError.code, lsn > remoteDurableLsn], ['live', 'degraded', 'REMOTE_UNAVAILABLE', true])
    assert.deepEqual(await owner.call('get', 'counter', ['owner']), { owner: { n: n + 1 } }, 'what was refused counts here')
    const fleet = fleetOf(at)
    // Each tries for as long as a store is waited for, and none waits for another.
    const looks = {
      ...Object.fromEntries(['verify', 'inspect', 'drill', 'rekey'].map((look) => [look, () => fleet[look](TENANT)])),
      ...Object.fromEntries(['survey', 'tenants', 'restoreAll'].map((look) => [look, () => fleet[look]()])),
      prune: () => fleet.prune({ olderThanDays: 1 })
    }
    await Promise.all(
      Object.entries(looks).map(async ([name, look]) => assert.equal((await rejection(look())).code, 'REMOTE_UNAVAILABLE', name))
    )
    assert.deepEqual(
      (await fleet.doctor()).filter(({ outcome }) => outcome === 'failed').map(({ name }) => name),
      ['reachable']
    )
    if (isKilled) await owner.kill()
    await heal()
    if (!isKilled) {
      await owner.told('recovered')
      await owner.call('flush', { timeoutMs: 30_000 })
      await owner.call('startTraffic', 'after', 0)
      await going(owner)
      assert.equal((await owner.call('stopTraffic')).refusal, null)
      await owner.call('close')
    }
    const found = await counterOf(fleet)
    if (isKilled) assert.ok(found >= n && found <= n + 1, `${n} resolved, ${found} found`)
    else assert.equal(found, n + 1, 'what was refused has arrived')
  }
})

test('a_migration_into_cloud_is_refused_before_it_begins_and_says_what_to_do', async (t) => {
  const at = await cloudScene(t)
  const from = join(at.root, 'from')
  await multiFile(join(from, 'mia'))
  const options = { ...at.cloud, from }
  for (const how of [{}, { dryRun: true }, { cleanup: true }]) {
    const { code, message } = await rejection(hybrid.migrate({ ...options, ...how }))
    assert.equal(code, 'INVALID_OPTION')
    assert.match(message, /migrate with `mode: 'hybrid'` \(BAILEYS_HYBRID_AUTH_MODE=hybrid/)
  }
  assert.deepEqual([await fleetOf(at).survey(), readdirSync(from)], [[], ['mia']])

  // What it says to do.
  const report = await hybrid.migrate({ ...options, mode: 'hybrid', directory: join(at.root, 'scratch') })
  assert.deepEqual([report.totals.migrated, report.sessions[0].status], [1, 'migrated'])
  const session = await at.openCloud('mia', { onMissing: 'error' })
  assert.equal(session.status().mode, 'cloud')
  assert.equal(Object.keys(await session.state.keys.get('session', ['anna.0'])).length, 1)

  // And the source goes while it runs.
  const look = await hybrid.cleanupMigrated({ ...options, report })
  assert.deepEqual([look.totals.removable, readdirSync(from)], [1, ['mia']])
  const { totals } = await hybrid.cleanupMigrated({ ...options, report, confirm: true })
  assert.equal(totals.removed, 1)
  assert.ok(!existsSync(join(from, 'mia', 'creds.json')))
  await session.state.keys.set({ session: { 'anna.0': { n: 1 } } })
  await session.close()
  const { totals: rest } = await hybrid.cleanupMigrated({ ...options, report, confirm: true })
  assert.equal(rest.gone, 1)
})
