// All tenants of a store by listings, and the pruning of those that nobody needs any more.
//
// Invariants guarded: a survey reads no object; pruning deletes nothing without being told to, nothing that is open here and
// nothing that may run elsewhere, by the store's clock alone; what changes between the look and the deed is left alone.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { contentsOf, hybrid, OTHER_KEY, rejection, scene, startProcess } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const load = createRequire(import.meta.url)
const { openSession } = load('../../lib/session/open.js')
const { resolveOptions } = load('../../lib/config/options.js')
const { standings } = load('../../lib/tools/look.js')
const DAY = 86_400_000
const fleetOf = (at, more) => new hybrid.HybridAuth({ ...at.replicated, ...more })
const afar = (at, more) => new hybrid.HybridAuth({ ...at.elsewhere(), ...more })

test('every_tenant_is_told_with_its_owner_and_no_data_is_read', async (t) => {
  const at = await storeScene(t)
  const fleet = fleetOf(at)
  const ids = ['live', 'released', 'deleted', 'Ünder/way +49']
  for (const id of ids) {
    const session = await fleet.open(id)
    await session.saveCreds()
    await session.flush()
  }
  await fleet.get('released').close()
  await fleet.delete('deleted')
  const before = fleet.traffic()
  const found = await fleet.survey()
  const { gets, puts, deletes, lists } = fleet.traffic()
  assert.deepEqual([puts, deletes], [before.puts, before.deletes])
  assert.equal(gets - before.gets, 6, 'the claim of each, and what is said to have ended two of them')
  assert.ok(lists > before.lists)
  const told = Object.fromEntries(found.map(({ tenantId, owner, epoch, lsn, isOpen }) => [tenantId, [owner, epoch, lsn, isOpen]]))
  assert.deepEqual(told, {
    live: ['live', 1, 1, true],
    released: ['released', 1, 1, false],
    deleted: ['deleted', 1, null, false],
    'Ünder/way +49': ['live', 1, 1, true]
  })
  for (const { storedAt } of found) assert.ok(Math.abs(Date.now() - storedAt.getTime()) < 3_600_000)
  assert.ok(found.every((standing) => !('claim' in standing)))
  const some = await afar(at).survey({ tenantIds: ['released', 'nobody'] })
  assert.deepEqual(
    some.map(({ tenantId, owner, lsn, isOpen }) => [tenantId, owner, lsn, isOpen]),
    [
      ['released', 'released', 1, false],
      ['nobody', 'none', null, false]
    ]
  )
  await fleet.shutdown()
})

test('hidden_ids_are_told_where_they_are_known', async (t) => {
  const at = await storeScene(t, { hideTenantIds: true })
  const fleet = fleetOf(at)
  await fleet.open('known')
  const other = afar(at)
  await other.open('other')
  const found = await fleet.survey()
  assert.deepEqual(
    found.map(({ tenantId, isOpen }) => [tenantId, isOpen]).sort(),
    [
      [null, false],
      ['known', true]
    ].sort()
  )
  assert.ok(found.every(({ name }) => /^_t[0-9a-f]{32}$/.test(name)))
  assert.deepEqual(
    (await afar(at).survey({ tenantIds: ['other'] })).map(({ tenantId, owner }) => [tenantId, owner]),
    [['other', 'live']]
  )
  await Promise.all([fleet.shutdown(), other.shutdown()])
  assert.equal((await rejection(new hybrid.HybridAuth(at.local).survey())).code, 'INVALID_OPTION')
})

/** Makes everything in the bucket of a scene, or of a tenant, so many days older, by the store's clock. */
function age(at, days, tenant = '') {
  const then = new Date(Date.now() - days * DAY)
  for (const name of readdirSync(at.bucket, { recursive: true }).map(String))
    if (name.includes(tenant)) utimesSync(join(at.bucket, name), then, then)
}

async function written(at, id, options = at.elsewhere(), { release = true } = {}) {
  const session = await at.open(id, options)
  await session.saveCreds()
  await session.flush()
  if (release) await session.close()
  return session
}

const outcomes = (report) => Object.fromEntries(report.map(({ tenantId, outcome }) => [tenantId, outcome]))

test('pruning_tells_what_is_old_and_deletes_only_when_told_to', async (t) => {
  const at = scene(t)
  for (const id of ['old', 'older', 'young', 'gone']) await written(at, id)
  await fleetOf(at).delete('gone')
  age(at, 40, 'old')
  const fleet = fleetOf(at)
  const before = readdirSync(at.bucket, { recursive: true }).sort()
  const dry = await fleet.prune({ olderThanDays: 30 })
  assert.deepEqual(outcomes(dry), { old: 'would-delete', older: 'would-delete' })
  for (const { owner, ageDays, storedAt, error, name, tenantId } of dry) {
    assert.deepEqual([owner, error, name], ['released', null, tenantId])
    assert.ok(Math.abs(ageDays - 40) < 0.1 && storedAt instanceof Date)
  }
  assert.deepEqual(readdirSync(at.bucket, { recursive: true }).sort(), before, 'nothing was touched')
  assert.deepEqual(outcomes(await fleet.prune({ olderThanDays: 41, dryRun: false })), {})
  assert.deepEqual(outcomes(await fleet.prune({ olderThanDays: 30, dryRun: false, tenantIds: ['older', 'young'] })), { older: 'deleted' })
  assert.deepEqual(outcomes(await fleet.prune({ olderThanDays: 30, dryRun: false })), { old: 'deleted' })
  const owners = Object.fromEntries((await fleet.survey()).map(({ tenantId, owner }) => [tenantId, owner]))
  assert.deepEqual(owners, { old: 'deleted', older: 'deleted', gone: 'deleted', young: 'released' })
  assert.ok(!existsSync(join(at.directory, 'old')), 'and nothing is left here')
  assert.equal((await rejection(at.openReplicated('old'))).code, 'DELETED')
})

test('what_may_run_is_never_pruned', async (t) => {
  const at = scene(t)
  const fleet = fleetOf(at)
  const here = await fleet.open('here')
  await here.flush()
  // Whoever ended without a word may as well be running, for all that the store tells.
  const silent = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      const session = await hybrid.useHybridAuthState('silent', args)
      await session.flush()
      await say('open')
      setInterval(() => {}, 1000)
    },
    at.elsewhere()
  )
  await silent.said()
  await silent.kill()
  await written(at, 'released')
  age(at, 13)
  const old = { olderThanDays: 10, dryRun: false }
  assert.deepEqual(outcomes(await fleet.prune(old)), { here: 'open', silent: 'active', released: 'deleted' })
  age(at, 15)
  assert.deepEqual(
    outcomes(await fleetOf(at, { refreshIntervalMs: 8 * DAY }).prune(old)),
    { here: 'active', silent: 'active' },
    'an owner may be as slow as we are'
  )
  assert.equal(outcomes(await fleet.prune(old)).silent, 'deleted', 'after twice the time in which one that runs stores again')
  // Another fleet in the process that has it open is not asked, and its session goes on.
  age(at, 15)
  assert.deepEqual(outcomes(await fleetOf(at).prune({ olderThanDays: 10, dryRun: false })), { here: 'active' })
  assert.equal(here.status().life, 'live')
  age(at, 15)
  assert.deepEqual(outcomes(await fleet.prune({ ...old, inactiveOnly: false })), { here: 'open' })
  await here.saveCreds()
  await here.flush()
  await fleet.shutdown()
})

test('what_was_opened_since_the_look_is_left_alone', async (t) => {
  const at = scene(t)
  await written(at, 'tenant')
  const looking = { resolve: (tenantId) => resolveOptions(tenantId, at.replicated), list: () => [] }
  const [{ claim }] = await standings(looking, ['tenant'])
  const owner = await at.open('tenant', at.elsewhere())
  const late = (inner) => openSession('tenant', { ...at.replicated, takeover: true, onMissing: 'error' }, inner)
  assert.equal((await rejection(late({ expected: claim }))).code, 'OWNED_ELSEWHERE')
  await owner.saveCreds()
  await owner.flush()
  assert.equal(owner.status().life, 'live', 'it never heard of it')
  const [{ claim: now }] = await standings(looking, ['tenant'])
  const session = await late({ expected: now })
  await session.close()
})

test('inactive_or_not_is_left_to_the_caller', async (t) => {
  const at = scene(t)
  const silent = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      const session = await hybrid.useHybridAuthState('silent', args)
      await session.flush()
      await say('open')
      setInterval(() => {}, 1000)
    },
    at.elsewhere()
  )
  await silent.said()
  await silent.kill()
  age(at, 3)
  const fleet = fleetOf(at)
  assert.deepEqual(outcomes(await fleet.prune({ olderThanDays: 2 })), { silent: 'active' })
  assert.deepEqual(outcomes(await fleet.prune({ olderThanDays: 2, inactiveOnly: false })), { silent: 'would-delete' })
  assert.deepEqual(outcomes(await fleet.prune({ olderThanDays: 2, inactiveOnly: false, dryRun: false })), { silent: 'deleted' })
})

test('one_that_cannot_be_pruned_does_not_stop_the_others', async (t) => {
  const at = scene(t)
  await written(at, 'ours')
  await written(at, 'theirs', { ...at.elsewhere(), encryptionKeys: [OTHER_KEY] })
  await written(at, 'x'.repeat(200))
  age(at, 40)
  const report = await fleetOf(at).prune({ olderThanDays: 30, dryRun: false })
  const told = Object.fromEntries(report.map(({ tenantId, outcome, error }) => [tenantId, [outcome, error?.code]]))
  assert.deepEqual(told, { ours: ['deleted', undefined], theirs: ['failed', 'KEY_UNAVAILABLE'], null: ['unnamed', undefined] })
  const named = await fleetOf(at).prune({ olderThanDays: 30, dryRun: false, tenantIds: ['x'.repeat(200)] })
  assert.deepEqual(
    named.map(({ outcome }) => outcome),
    ['deleted']
  )
})

test('where_the_store_tells_no_times_nothing_is_pruned', async (t) => {
  const at = scene(t)
  const options = { ...at.replicated, store: 'memory://survey' }
  await written(at, 'tenant', options)
  const fleet = new hybrid.HybridAuth(options)
  assert.deepEqual(
    (await fleet.survey()).map(({ owner, lsn, storedAt }) => [owner, lsn, storedAt]),
    [['released', 1, null]]
  )
  assert.equal((await rejection(fleet.prune({ olderThanDays: 1e-9, inactiveOnly: false, dryRun: false }))).code, 'REMOTE_REFUSED')
  assert.deepEqual(
    (await fleet.survey()).map(({ owner }) => owner),
    ['released']
  )
})

test('ages_are_by_the_clock_of_the_store_and_not_by_that_of_the_process', async (t) => {
  const at = scene(t)
  const running = await written(at, 'running', at.elsewhere(), { release: false })
  await written(at, 'old')
  age(at, 40, 'old')
  const { now } = Date
  const runAt = async (days, how) => {
    Date.now = () => now() + days * DAY
    try {
      return await fleetOf(at).prune({ olderThanDays: 30, inactiveOnly: false, ...how })
    } finally {
      Date.now = now
    }
  }
  for (const days of [60, -60]) {
    const report = await runAt(days, { dryRun: true })
    assert.deepEqual(outcomes(report), { old: 'would-delete' }, `${days} days off`)
    assert.ok(Math.abs(report[0].ageDays - 40) < 0.1)
  }
  assert.deepEqual(outcomes(await runAt(60, { dryRun: false })), { old: 'deleted' })
  await running.saveCreds()
  await running.flush()
  assert.equal(running.status().life, 'live')
})

test('a_store_that_lies_in_the_future_is_not_pruned', async (t) => {
  const at = scene(t)
  for (const id of ['old', 'ahead']) await written(at, id)
  age(at, 40, 'old')
  age(at, -1, 'ahead')
  const before = contentsOf(at.bucket)
  for (const dryRun of [true, false])
    assert.equal((await rejection(fleetOf(at).prune({ olderThanDays: 30, dryRun }))).code, 'REMOTE_REFUSED')
  assert.deepEqual(contentsOf(at.bucket), before, 'nothing was touched')
})

test('whoever_hands_over_while_it_is_judged_is_not_deleted', async (t) => {
  const at = scene(t)
  const silent = await written(at, 'silent', at.elsewhere(), { release: false })
  const expected = JSON.stringify(await silent.state.keys.get('session', ['a']))
  // By the times in the store it ended long ago.
  age(at, 40)
  assert.deepEqual(outcomes(await fleetOf(at).prune({ olderThanDays: 30, dryRun: false })), { silent: 'active' })
  const again = await at.open('silent', { ...at.elsewhere(), onMissing: 'error' })
  assert.equal(JSON.stringify(await again.state.keys.get('session', ['a'])), expected)
})

test('to_delete_a_tenant_that_never_was_leaves_nothing', async (t) => {
  const at = scene(t)
  await written(at, 'other', at.replicated)
  const before = [contentsOf(at.bucket), contentsOf(at.directory)]
  const { directory, ...stored } = at.replicated
  for (const options of [at.replicated, at.local, { ...stored, mode: 'cloud' }]) {
    const fleet = new hybrid.HybridAuth(options)
    await fleet.delete('nobody')
    assert.deepEqual(fleet.list(), [])
  }
  assert.deepEqual([contentsOf(at.bucket), contentsOf(at.directory)], before)
  assert.ok(!existsSync(join(at.directory, 'nobody')), 'not even a folder')
})

test('what_is_asked_of_pruning_must_make_sense', async (t) => {
  const fleet = fleetOf(scene(t))
  for (const wrong of [
    undefined,
    {},
    { olderThanDays: 0 },
    { olderThanDays: -1 },
    { olderThanDays: '30' },
    { olderThanDays: NaN },
    { olderThanDays: 30, dryRun: 'no' },
    { olderThanDays: 30, inactiveOnly: 0 }
  ]) {
    assert.equal((await rejection(fleet.prune(wrong))).code, 'INVALID_OPTION', JSON.stringify(wrong))
  }
})
