// A fleet of sessions that end within a deadline: two hundred, or a thousand.
//
// Invariant guarded: `shutdown` says of each tenant what is true: closed with everything in the store, or named as failed with
// everything in its local log. Nothing is lost in either case, and no store that keeps silent holds it up.

import assert from 'node:assert/strict'
import { test } from '../../testkit/base/missing.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { sized } from '../support/size.mjs'
import { countsOf, fleetPlace, inParallel, namesOf } from './fleets.mjs'
import { KINDS } from './places.mjs'

const [S3] = KINDS
const TENANTS = namesOf(sized(200, 1000))

const write = (fleet, chat) =>
  inParallel(fleet.list(), (name) => fleet.get(name).state.keys.set({ session: { [chat]: { of: `${name} ${chat}` } } }))
const lsnsOf = (fleet) => new Map(Object.entries(fleet.status()).map(([name, { lsn }]) => [name, lsn]))

/** Tenant -> the last LSN that the names in a bucket speak of, and how many of its claims were released. */
async function storedIn(bucket) {
  const stored = new Map(TENANTS.map((name) => [name, { lsn: 0, released: 0 }]))
  for (const object of await bucket.list()) {
    const [, folder, tenant, rest] = object.match(/^v1\/(claims|data)\/([^/.]+)[/.](.+)$/)
    const entry = stored.get(tenant)
    if (rest.endsWith('.released')) entry.released += 1
    const [, first, last] = (folder === 'data' && rest.match(/\.(\d{20})(?:-(\d{20}))?-[0-9a-f]{16}\.(?:base|seg)$/)) || []
    entry.lsn = Math.max(entry.lsn, Number(last ?? first ?? 0))
  }
  return stored
}

async function holds(fleet, names, chats) {
  for (const name of names) {
    const found = await fleet.get(name).state.keys.get('session', chats)
    assert.deepEqual(
      chats.map((chat) => found[chat]?.of),
      chats.map((chat) => `${name} ${chat}`)
    )
  }
}

test('a_fleet_is_shut_down_within_a_deadline_and_the_report_is_true', async (t) => {
  const { proxy, bucket, machine } = await fleetPlace(t, S3, { flushIntervalMs: 1000 })
  const first = machine('a', { direct: true })
  await inParallel(TENANTS, (name) => first.open(name))
  await inParallel(TENANTS, (name) => first.get(name).saveCreds())
  await write(first, 'before')
  const lsns = lsnsOf(first)
  assert.deepEqual(await first.shutdown({ timeoutMs: 180_000 }), { closed: TENANTS.length, failed: [] })
  const stored = await storedIn(bucket)
  for (const name of TENANTS) assert.deepEqual(stored.get(name), { lsn: lsns.get(name), released: 1 }, name)
  await t.test('in_the_middle_of_which_the_store_stops_to_answer', async (t) => {
    const second = machine('a')
    await second.restoreAll({ tenantIds: TENANTS, concurrency: 64 })
    // However fast or slow this machine is, half of the last writes are not stored.
    proxy.rule({ method: 'PUT', path: '.seg', fault: 'hang', after: TENANTS.length / 2 })
    await write(second, 'after')
    const lsns = lsnsOf(second)
    const from = proxy.trace.length
    // Longer than it takes until the first of them are closed.
    const shutdown = second.shutdown({ timeoutMs: 20_000 })
    await eventually('some are closed', () =>
      proxy.trace.slice(from).some(({ path, status }) => path.endsWith('.released') && status === 200)
    )
    await proxy.outage('hang')
    // It comes back, although nothing is answered any more.
    const { closed, failed } = await shutdown
    const failures = new Map(failed.map(({ tenantId, error }) => [tenantId, error]))
    assert.equal(closed + failures.size, TENANTS.length)
    assert.ok(closed > 0 && failures.size > 0, `${closed} closed, ${failures.size} failed`)
    assert.deepEqual(second.list(), [])
    const stored = await storedIn(bucket)
    for (const name of TENANTS) {
      const error = failures.get(name)
      if (error === undefined) assert.equal(stored.get(name).lsn, lsns.get(name), `${name} is closed, and in the store`)
      else {
        assert.equal(error.code, 'REMOTE_UNAVAILABLE')
        assert.match(error.message, new RegExp(`LSN ${lsns.get(name)} to ${lsns.get(name)} are only in the local log`))
      }
    }
    await t.test('and_the_next_open_on_the_same_disk_goes_on_with_everything', async () => {
      // All that failed, and some that did not. A process that starts anew has no request under way, so this one takes another road.
      const again = TENANTS.filter((name, at) => failures.has(name) || at % 10 === 0)
      const third = machine('a', { direct: true })
      assert.deepEqual((await third.restoreAll({ tenantIds: again, concurrency: 64 })).failed, [])
      for (const [name, { restored }] of Object.entries(third.status())) assert.deepEqual(restored, { source: 'local', clean: true }, name)
      await holds(third, again, ['before', 'after'])
      assert.deepEqual(await third.shutdown({ timeoutMs: 180_000 }), { closed: again.length, failed: [] })
      const some = again.filter((_, at) => at % 20 === 0)
      const blank = machine('blank', { direct: true })
      assert.deepEqual((await blank.restoreAll({ tenantIds: some })).failed, [])
      await holds(blank, some, ['before', 'after'])
    })
  })
})

test('sessions_without_changes_are_closed_although_the_store_does_not_answer', async (t) => {
  const { proxy, machine } = await fleetPlace(t, S3)
  const fleet = machine('a')
  const names = namesOf(50)
  await inParallel(names, (name) => fleet.open(name))
  await eventually('the opens are over', () => countsOf(proxy.trace)['list data'] === 3 * names.length)
  await proxy.outage('hang')
  // All that there is of them is in the store, so that nothing failed; only a successor elsewhere has to wait.
  assert.deepEqual(await fleet.shutdown({ timeoutMs: 500 }), { closed: names.length, failed: [] })
})
