// Supabase as it answers on a bad day: statuses that lie, objects that are gone for a moment, copies that are old, and servers
// that are older than the listing we prefer.
//
// Invariant guarded: what passes is waited for and what is missing for a moment is never missing; a session loses nothing, tells
// an outage once, and a restore is exact, whatever the storage in front of it still remembers.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { test } from '../../testkit/base/missing.mjs'
import { dump } from '../../testkit/baileys/cheap.mjs'
import { atEnd, eventually, KEY } from '../../testkit/processes/machines.mjs'
import { startProxy } from '../../testkit/proxy/proxy.mjs'
import { serverOf } from './places.mjs'
import { assertOutages, openOn, stateAfter, Traffic, writeUpTo } from './traffic.mjs'
import { spread } from '../support/size.mjs'

const TENANT = 'tenant'
const LAST = 20
const TIMES = 3

/** Answers that pass, under whatever status they come. */
const PASSING = [
  'lock-timeout',
  'resource-locked',
  'connection-limit',
  'read-only',
  'too-many-requests',
  'slow-down',
  'database-timeout',
  'database-down',
  'backend-down-write',
  'backend-down-read',
  'backend-down-remove',
  'gateway-502',
  'gateway-503',
  'gateway-522'
]

/** A bucket behind a proxy, and the switches of its server for it. */
async function makeBucket(t, settings = {}) {
  const { store, address } = await serverOf('supabase')
  const proxy = await startProxy(address.endpoint)
  const client = store.connect(address, { endpoint: proxy.origin })
  const bucket = await client.makeBucket()
  const { control } = client
  await control.settings({ values: settings, bucket: bucket.name })
  atEnd(t, async () => {
    await proxy.stop()
    await control.reset({ bucket: bucket.name })
    await bucket.remove()
  })
  const hitsOf = async (id) => (await control.faults()).find((fault) => fault.id === id).hits
  return {
    bucket,
    proxy,
    direct: { store: { ...bucket.options.store, url: address.endpoint } },
    fault: (rule) => control.fault({ ...rule, bucket: bucket.name }),
    met: (id, times) => eventually('the fault is met', async () => (await hitsOf(id)) >= times),
    counts: () => control.counts({ bucket: bucket.name }),
    requests: (filter) => control.requests({ bucket: bucket.name, ...filter })
  }
}

async function write(t, { bucket }, options) {
  const session = await openOn(t, TENANT, { ...bucket.options, ...options })
  for (const n of [7, 14, LAST]) {
    await writeUpTo(session, n)
    await session.flush()
  }
  await session.close()
}

async function assertRestored(t, { bucket }, options) {
  const heir = await openOn(t, TENANT, { ...bucket.options, onMissing: 'error', ...options })
  assert.equal(heir.status().lsn, LAST)
  assert.deepEqual(await dump(heir, ['session', 'sender-key']), stateAfter(LAST))
  await heir.close()
}

describe('supabase answers', { concurrency: 100 }, () => {
  for (const [route, when] of [
    ['upload', 'before'],
    ['upload', 'after'],
    ['list-v2', 'before']
  ]) {
    test(`every_status_that_passes_is_waited_out_${when}_${route}_took_effect`, async (t) => {
      const place = await makeBucket(t)
      // Seldom enough that no story is so long that a base is stored: what is then asked beside the session would meet faults too.
      const traffic = new Traffic(await openOn(t, TENANT, { ...place.bucket.options, flushIntervalMs: 500 }))
      await eventually('a first backup', () => traffic.acknowledged > 0)
      // Listings are asked for by whoever ships and by whoever looks for a newer owner: each meets its share, and one alone is no outage.
      const times = route === 'list-v2' ? 2 * TIMES : TIMES
      for (const answer of spread(PASSING, 6)) {
        const from = traffic.told.length
        await place.met(await place.fault({ route, answer, when, times, retryAfter: 1 }), times)
        await traffic.flush()
        await eventually(`the end of ${answer}`, () => traffic.toldSince(from).length > 1)
        assertOutages(traffic.toldSince(from), 1, answer)
        assert.equal(traffic.told[from].code, 'REMOTE_UNAVAILABLE', `${answer}: ${traffic.told[from].message}`)
        await traffic.restoreCopy(t, TENANT, place.bucket)
      }
      await traffic.conclude(t, TENANT, place)
    })
  }

  test('every_status_that_passes_is_waited_out_by_a_restore', async (t) => {
    const place = await makeBucket(t)
    await write(t, place)
    for (const [n, answer] of spread([...PASSING, 'reset', 'version-gone'], 6).entries()) {
      const routes = answer === 'version-gone' ? ['download'] : ['list-v2', 'download', 'upload', 'remove', 'download-public']
      for (const route of routes) await place.fault({ route, answer, times: 1, retryAfter: 1 })
      // A store that this process does not know yet.
      await assertRestored(t, place, { maxConcurrentRequests: 65 + n })
    }
  })

  for (const listV2 of spread(['no-route', 'feature', 'tenant', 'absent'], 2)) {
    test(`server_whose_new_listing_is_${listV2}_is_listed_in_the_old_way`, async (t) => {
      const place = await makeBucket(t, { listV2 })
      await write(t, place)
      await assertRestored(t, place)
      const { routes } = await place.counts()
      assert.ok(routes.list > 5)
      // It is asked for once in a process and store, and then known.
      const asked = place.proxy.trace.filter(({ path }) => path.includes('list-v2')).length
      assert.equal(asked, 1, `the new listing was asked for ${asked} times`)
      const session = await openOn(t, TENANT, place.bucket.options)
      const traffic = new Traffic(session, { from: LAST })
      await eventually('backups', () => traffic.acknowledged > LAST)
      await traffic.conclude(t, TENANT, place)
    })
  }

  for (const queue of [true, false]) {
    test(`object_that_was_replaced_just_now_is_not_missing_${queue ? 'with' : 'without'}_a_queue_of_jobs`, async (t) => {
      const place = await makeBucket(t, { transient404: 3, queue })
      // Every request arrives twice: each object replaces itself, and is then gone for three readers.
      place.proxy.rule({ fault: 'twice' })
      await write(t, place)
      place.proxy.clear()
      await assertRestored(t, place)
      const gone = await place.requests({ route: 'download', status: 400 })
      assert.ok(gone.length >= 3, `${gone.length} readers were told that an object is gone`)
    })
  }

  test('object_that_is_said_to_be_gone_for_ever_is_an_error_and_never_a_session_without_it', async (t) => {
    const place = await makeBucket(t)
    await write(t, place)
    await place.fault({ route: 'download', answer: 'version-gone', times: null })
    await assert.rejects(assertRestored(t, place), ({ code }) => code === 'REMOTE_UNAVAILABLE')
  })

  for (const cdn of [{ reads: 2 }, { ms: 60_000 }]) {
    test(`copies_that_are_kept_${'ms' in cdn ? 'for_a_minute' : 'for_two_readers'}_change_nothing_for_owners_that_follow_each_other`, async (t) => {
      const place = await makeBucket(t, { cdn })
      place.proxy.rule({ fault: 'twice' })
      await write(t, place)
      await assertRestored(t, place)
      // What is removed is still served for a while: a session that was deleted stays deleted.
      const session = await openOn(t, TENANT, place.bucket.options)
      await session.delete()
      await assert.rejects(openOn(t, TENANT, place.bucket.options), ({ code }) => code === 'DELETED')
      const anew = await openOn(t, TENANT, { ...place.bucket.options, fresh: true })
      assert.deepEqual([anew.status().restored.source, anew.status().lsn], ['fresh', 0])
      await anew.close()
      assert.ok((await place.requests({ route: 'download' })).length > 0)
    })
  }

  test('wrong_key_that_reads_from_the_old_copies_is_still_a_wrong_key', async (t) => {
    const place = await makeBucket(t, { cdn: { ms: 60_000 } })
    await write(t, place)
    await assertRestored(t, place)
    await assert.rejects(
      openOn(t, TENANT, { ...place.bucket.options, encryptionKeys: ['0'.repeat(64)] }),
      ({ code }) => code === 'KEY_UNAVAILABLE'
    )
    await assertRestored(t, place, { encryptionKeys: ['0'.repeat(64), KEY] })
  })
})
