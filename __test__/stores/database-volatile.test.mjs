// Losses of a Redis or Valkey by itself: its memory limit, its file, all of its keys, and its time.
//
// Invariant guarded: a server that evicts, or keeps nothing, is refused and named; one that turns so later costs no write that
// resolved; and a running session stores everything again on a server that has forgotten it.

import assert from 'node:assert/strict'
import { test } from '../../testkit/base/missing.mjs'
import { acknowledged, assertRestores, counted, databaseScene, moreWrites } from '../../testkit/databases/scene.mjs'
import { chosen } from '../support/size.mjs'

const EVICTS = ['allkeys-lru', 'allkeys-lfu', 'allkeys-random']
const KEEPS = ['noeviction', 'volatile-lru', 'volatile-lfu', 'volatile-random', 'volatile-ttl']

/** Outcome of an open: `ok`, or the code of its error. */
const outcome = (at, more) =>
  at.open(more).then(
    () => 'ok',
    (error) => error.code
  )

for (const program of chosen(['redis', 'valkey'], (program) => program === 'redis')) {
  test(`${program}_keeps_what_resolved_when_it_is_killed_and_started_again`, async (t) => {
    const at = await databaseScene(t, 'redis', { program, settings: { appendfsync: 'always' } })
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 20)
    await at.server.kill()
    await at.server.start()
    await moreWrites(owner, 20)
    await owner.kill()
    await assertRestores(at, owner)
  })
}

test('a_policy_that_evicts_sessions_is_refused_and_every_other_is_not', async (t) => {
  const at = await databaseScene(t, 'redis', { settings: { maxmemory: '64mb' } })
  for (const policy of EVICTS) {
    await at.server.ask('CONFIG', 'SET', 'maxmemory-policy', policy)
    assert.equal(await outcome(at, { takeover: true }), 'REMOTE_REFUSED', policy)
  }
  for (const policy of KEEPS) {
    await at.server.ask('CONFIG', 'SET', 'maxmemory-policy', policy)
    assert.equal(await outcome(at, { takeover: true }), 'ok', policy)
  }
})

test('a_server_that_keeps_nothing_on_a_disk_is_refused_unless_that_is_said_to_be_right', async (t) => {
  const at = await databaseScene(t, 'redis', { settings: { appendonly: 'no' } })
  assert.equal(await outcome(at), 'REMOTE_REFUSED')
  assert.equal(await outcome(at, { store: { ...at.options.store, allowVolatile: true } }), 'ok')
})

test('a_server_that_is_full_holds_writes_up_and_loses_none', async (t) => {
  const at = await databaseScene(t, 'redis')
  const owner = await at.open()
  await owner.call('startTraffic', 'all', 0)
  await moreWrites(owner, 10)
  await at.server.ask('CONFIG', 'SET', 'maxmemory', '1mb')
  const before = acknowledged(owner)
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.ok(acknowledged(owner) <= before + 2, 'nothing resolves while there is no room')
  await at.server.ask('CONFIG', 'SET', 'maxmemory', '0')
  await moreWrites(owner, 10)
  await owner.kill()
  await assertRestores(at, owner)
})

test('a_server_that_is_emptied_is_filled_again_by_a_running_session', async (t) => {
  const at = await databaseScene(t, 'redis')
  const owner = await at.open()
  await owner.call('startTraffic', 'all', 0)
  await moreWrites(owner, 20)
  await at.server.ask('FLUSHALL')
  await moreWrites(owner, 20)
  await owner.kill()
  await assertRestores(at, owner)
})

test('a_server_that_comes_back_without_its_file_is_filled_again_by_a_running_session', async (t) => {
  const at = await databaseScene(t, 'redis')
  const owner = await at.open()
  await owner.call('startTraffic', 'all', 0)
  await moreWrites(owner, 20)
  await at.server.kill()
  await at.server.startEmpty()
  await moreWrites(owner, 20)
  await owner.told('serverChanged')
  await owner.kill()
  await assertRestores(at, owner)
})

test('a_session_that_rests_on_a_server_without_its_file_is_missing_and_never_silently_new', async (t) => {
  const at = await databaseScene(t, 'redis')
  const owner = await at.open()
  await owner.call('set', { counter: { all: { n: 7 } } })
  await owner.call('close')
  await at.server.end()
  await at.server.startEmpty()
  assert.equal(await outcome(at, { onMissing: 'error' }), 'NOT_FOUND')
})

test('a_server_that_sleeps_holds_writes_up_and_loses_none', async (t) => {
  const at = await databaseScene(t, 'redis')
  const owner = await at.open()
  await owner.call('startTraffic', 'all', 0)
  await moreWrites(owner, 10)
  await at.server.ask('DEBUG', 'SLEEP', '2')
  await moreWrites(owner, 10)
  await owner.kill()
  const blank = await assertRestores(at, owner)
  assert.ok((await counted(blank)) >= 20)
})
