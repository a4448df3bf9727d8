// Sessions without a disk over a database whose server is killed, stopped in its tracks and started again, and whose operator ends
// connections.
//
// Invariant guarded (D11): no write that resolved is missing on a blank machine afterwards, and none is rejected while the server comes
// back in time.

import assert from 'node:assert/strict'
import { test } from '../../testkit/base/missing.mjs'
import { acknowledged, assertRestores, counted, DATABASES, databaseScene, moreWrites } from '../../testkit/databases/scene.mjs'
import { chosen, sized } from '../support/size.mjs'

/** A server whose disk is waited for, as anybody's is. */
const DURABLE = { postgres: { settings: { fsync: 'on' } }, redis: { settings: { appendfsync: 'always' } } }

for (const kind of chosen(DATABASES, (kind) => kind === 'postgres')) {
  test(`${kind}_that_is_killed_and_started_again_has_everything_that_resolved`, async (t) => {
    const at = await databaseScene(t, kind, DURABLE[kind])
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    for (let life = 0; life < sized(1, 3); life++) {
      await moreWrites(owner, 10)
      await at.server.kill()
      const before = acknowledged(owner)
      await new Promise((resolve) => setTimeout(resolve, 100))
      assert.ok(acknowledged(owner) <= before + 1, 'nothing resolves without a server')
      await at.server.start()
    }
    await moreWrites(owner, 10)
    await owner.kill()
    await assertRestores(at, owner)
  })

  test(`${kind}_that_is_killed_together_with_its_owner_has_everything_that_resolved`, async (t) => {
    const at = await databaseScene(t, kind, DURABLE[kind])
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 20)
    await Promise.all([at.server.kill(), owner.kill()])
    await at.server.start()
    await assertRestores(at, owner)
  })

  test(`${kind}_that_is_stopped_in_its_tracks_holds_writes_up_and_loses_none`, async (t) => {
    const at = await databaseScene(t, kind)
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 10)
    at.server.freeze()
    const before = acknowledged(owner)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.ok(acknowledged(owner) <= before + 1, 'nothing resolves meanwhile')
    at.server.thaw()
    await moreWrites(owner, 10)
    await owner.kill()
    await assertRestores(at, owner)
  })

  test(`${kind}_keeps_a_session_that_rests_through_a_restart`, async (t) => {
    const at = await databaseScene(t, kind, DURABLE[kind])
    const owner = await at.open()
    await owner.call('set', { counter: { all: { n: 7 } } })
    await owner.call('close')
    await at.server.restart()
    assert.equal(await counted(await at.open()), 7)
  })
}

test('postgres_connections_that_an_operator_ends_are_made_anew', async (t) => {
  const at = await databaseScene(t, 'postgres')
  const owner = await at.open()
  await owner.call('startTraffic', 'all', 0)
  for (let round = 0; round < 5; round++) {
    await moreWrites(owner, 5)
    await at.server.terminateConnections()
  }
  await moreWrites(owner, 5)
  await owner.kill()
  await assertRestores(at, owner)
})
