// Failovers of a database that lose what was written last: a standby that lagged is promoted, behind the same address.
//
// Invariant guarded (I23): a session that runs stores its whole state on the new server before anything else resolves, so that a blank
// machine restores everything that resolved. Where nobody runs that remembers the tail, the tail is lost and nothing else: no hole.

import assert from 'node:assert/strict'
import { test } from '../../testkit/base/missing.mjs'
import { startStandby } from '../../testkit/databases/postgres.mjs'
import { acknowledged, assertRestores, counted, DATABASES, moreWrites, pairScene } from '../../testkit/databases/scene.mjs'
import { atEnd } from '../../testkit/processes/machines.mjs'
import { chosen } from '../support/size.mjs'

for (const kind of chosen(DATABASES, (kind) => kind === 'redis')) {
  test(`${kind}_failover_that_loses_the_tail_costs_a_running_session_nothing`, async (t) => {
    const at = await pairScene(t, kind)
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 20)
    await at.pair.loseTail()
    await moreWrites(owner, 20)
    await at.pair.failover()
    await moreWrites(owner, 20)
    await owner.told('serverChanged')
    await owner.kill()
    await assertRestores(at, owner)
  })

  test(`${kind}_failover_that_loses_the_claim_too_costs_a_running_session_nothing`, async (t) => {
    const at = await pairScene(t, kind)
    // What makes the table, so that the standby has one.
    const other = await at.open()
    await other.call('close')
    await at.pair.loseTail()
    const owner = await at.heir()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 20)
    await at.pair.failover()
    await moreWrites(owner, 20)
    await owner.kill()
    await assertRestores(at, owner)
  })

  test(`${kind}_failover_after_the_owner_died_loses_the_tail_and_makes_no_hole`, async (t) => {
    const at = await pairScene(t, kind)
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 20)
    await at.pair.loseTail()
    const kept = acknowledged(owner)
    await moreWrites(owner, 20)
    await owner.kill()
    await at.pair.failover()
    // On the standby there is a write more at most: one that had not been answered when its tail was cut.
    const blank = await assertRestores(at, owner, { least: 20 })
    assert.ok((await counted(blank)) <= kept + 40)
    await blank.call('startTraffic', 'heir', 0)
    await moreWrites(blank, 10, 'heir')
    await blank.kill()
    await assertRestores(at, blank, { label: 'heir' })
  })

  test(`${kind}_stale_standby_that_is_promoted_beside_its_primary_is_filled_by_a_running_session`, async (t) => {
    const at = await pairScene(t, kind)
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 5)
    await at.pair.loseTail()
    // Long enough for bases and for objects that were removed: the standby has a chain of its own.
    await moreWrites(owner, 150)
    await at.pair.promoteBeside()
    await moreWrites(owner, 20)
    await owner.told('serverChanged')
    await owner.kill()
    await assertRestores(at, owner)
  })

  test(`${kind}_session_with_a_log_stores_everything_again_after_a_failover`, async (t) => {
    const at = await pairScene(t, kind)
    const withLog = { mode: 'hybrid', localDurability: 'os' }
    const owner = await at.open(withLog)
    await owner.call('startTraffic', 'all', 1)
    await moreWrites(owner, 50)
    await owner.call('flush')
    await at.pair.loseTail()
    await moreWrites(owner, 50)
    await owner.call('flush')
    await at.pair.failover()
    await owner.call('stopTraffic')
    await owner.call('set', { counter: { after: { n: 1 } } })
    await owner.call('flush', { timeoutMs: 60_000 })
    await owner.told('serverChanged')
    await owner.kill()
    const blank = await assertRestores(at, owner)
    assert.equal(await counted(blank, 'after'), 1)
  })
}

test('second_standby_of_one_primary_is_told_apart_from_the_first_one', async (t) => {
  const at = await pairScene(t, 'postgres')
  const owner = await at.open()
  await owner.call('startTraffic', 'all', 0)
  await moreWrites(owner, 20)
  // Both begin the same timeline when they are promoted.
  const sibling = await startStandby(at.pair.current)
  atEnd(t, () => sibling.stop())
  await at.pair.loseTail()
  await sibling.catchUp()
  await sibling.cutOff()
  await moreWrites(owner, 20)
  await at.pair.failover()
  await moreWrites(owner, 20)
  await at.pair.failoverTo(sibling)
  await moreWrites(owner, 3)
  await owner.kill()
  await assertRestores(at, owner)
})

test('primary_of_redis_that_returns_with_the_history_of_its_replica_is_filled_by_a_running_session', async (t) => {
  const at = await pairScene(t, 'redis')
  const { current: primary, standby } = at.pair
  const owner = await at.open()
  await owner.call('startTraffic', 'all', 0)
  await moreWrites(owner, 20)
  await at.pair.loseTail()
  await moreWrites(owner, 20)
  // The owner sees nothing of it: its connections stay.
  owner.stop()
  await standby.promote()
  await primary.ask('CONFIG', 'SET', 'masterauth', primary.passwords.operator)
  await primary.ask('REPLICAOF', '127.0.0.1', String(standby.port))
  while ((await primary.info('master_link_status')) !== 'up') await new Promise((resolve) => setTimeout(resolve, 10))
  await primary.ask('REPLICAOF', 'NO', 'ONE')
  owner.continue()
  await moreWrites(owner, 5)
  await owner.kill()
  await assertRestores(at, owner)
})
