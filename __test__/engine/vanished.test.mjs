// A bucket that somebody emptied or removed: beside a local log, without one, and under a running session.
//
// Invariant guarded (I17): what is left is never thrown away and never replaced by something new without being asked to; a
// running session stores itself again and loses nothing.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import hybrid from '../../index.js'
import { TENANT, makePlace, openIn, plain, sealed, stateOf } from '../support/buckets.mjs'
import { atEnd, eventually } from '../../testkit/processes/machines.mjs'
import { filesOf } from '../../testkit/base/matrix.mjs'
import { clear, layOutIn, objectsIn } from '../../testkit/stores/contents.mjs'
import { overNetwork, remakeBucket, store } from '../../testkit/stores/index.mjs'

const withoutData = async (bucket) => bucket.delete((await bucket.list()).filter((name) => name.startsWith('v1/data/')))

/** Removes a folder in one step: a session that runs must not find half of it and store itself again in what is removed next. */
function vanish(folder) {
  renameSync(folder, `${folder}-vanished`)
  rmSync(`${folder}-vanished`, { recursive: true })
}

/** On a server there are no folders to remove, only objects; and a bucket, which is a matter of its own at the end. */
const WAYS = overNetwork
  ? { emptied: clear, without_its_data_folder: withoutData }
  : {
      // With the folder by which a store is known: without it this is a mount point.
      emptied: ({ folder }) => {
        mkdirSync(join(`${folder}-next`, 'v1'), { recursive: true })
        vanish(folder)
        renameSync(`${folder}-next`, folder)
      },
      without_its_objects_but_with_its_folders: clear,
      without_its_data_folder: ({ folder }) => vanish(join(folder, 'v1/data')),
      without_its_claims_folder_and_its_data: ({ folder }) => vanish(join(folder, 'v1'))
    }

const write = (session, n) => session.state.keys.set({ session: { [n % 3]: { n } }, marker: { last: { n } } })

/** A session of a few batches, closed; answers its state and LSN. */
async function pastSession(place, options) {
  const session = await openIn(place, options)
  session.state.creds.generation = 7
  await session.saveCreds()
  for (let n = 0; n < 5; n++) await write(session, n)
  const past = { state: await stateOf(session), lsn: session.status().lsn }
  await session.close()
  return past
}

const logsIn = ({ folder }) => new Map([...filesOf(join(folder, 'disk'))].filter(([name]) => name.endsWith('.log')))

for (const [way, damage] of Object.entries(WAYS)) {
  test(`a_bucket_${way}_does_not_cost_the_local_log_which_can_seed_it_again`, async (t) => {
    const place = await makePlace(t)
    const past = await pastSession(place, sealed)
    const logs = logsIn(place)
    assert.equal(logs.size, 1)
    await damage(place.bucket)
    for (let again = 0; again < 3; again++) {
      await assert.rejects(openIn(place, sealed), { code: 'REMOTE_CORRUPT' })
      assert.deepEqual(logsIn(place), logs, 'the local log is still there')
    }
    const seeded = await openIn(place, { ...sealed, seedFromDisk: true })
    assert.equal(seeded.status().restored.source, 'local')
    assert.deepEqual({ state: await stateOf(seeded), lsn: seeded.status().lsn }, past)
    await write(seeded, 100)
    const now = await stateOf(seeded)
    await seeded.close()
    const blank = await openIn(place, sealed, 'blank')
    assert.deepEqual(blank.status().restored, { source: 'remote', clean: true })
    assert.equal(await stateOf(blank), now, 'the bucket is whole again')
    await blank.close()
  })

  test(`a_bucket_${way}_under_a_running_session_is_filled_again_and_nothing_is_lost`, async (t) => {
    const place = await makePlace(t)
    const session = await openIn(place, { ...plain, ownershipCheckIntervalMs: 100, flushIntervalMs: 10 })
    atEnd(t, () => session.close({ timeoutMs: 0 }).catch(() => {}))
    const errors = []
    session.on('error', (error) => errors.push(error.code))
    await session.saveCreds()
    for (let n = 0; n < 5; n++) await write(session, n)
    await session.flush()
    await damage(place.bucket)
    await write(session, 5)
    // The claims are still there: only the next open would have noticed, and only a bucket without them is noticed now.
    const noticed = way !== 'without_its_data_folder'
    if (noticed) await eventually('the error is told', () => errors.length > 0)
    await write(session, 6)
    await session.flush()
    assert.deepEqual([...new Set(errors)], noticed ? ['REMOTE_CORRUPT'] : [])
    assert.equal(session.status().life, 'live')
    const last = { state: await stateOf(session), lsn: session.status().lsn }
    assert.equal(session.status().remoteDurableLsn, last.lsn)
    await session.close()

    const blank = openIn(place, plain, 'blank')
    if (!noticed) {
      await assert.rejects(blank, { code: 'REMOTE_CORRUPT' })
      return
    }
    const restored = await blank
    assert.equal(restored.status().restored.source, 'remote')
    assert.deepEqual({ state: await stateOf(restored), lsn: restored.status().lsn }, last)
    await restored.close()
  })
}

if (!overNetwork) {
  test('a_directory_of_a_store_that_is_gone_is_refused_and_never_begun_anew', async (t) => {
    const place = await makePlace(t)
    const past = await pastSession(place, sealed)
    const logs = logsIn(place)
    // As a share that is not mounted: it may be back with all that it had.
    const { folder } = place.bucket
    renameSync(folder, `${folder}-elsewhere`)
    await assert.rejects(openIn(place, sealed), { code: 'REMOTE_REFUSED' })
    await assert.rejects(openIn(place, sealed, 'blank'), { code: 'REMOTE_REFUSED' })
    assert.deepEqual(logsIn(place), logs, 'the local log is still there')
    renameSync(`${folder}-elsewhere`, folder)
    const again = await openIn(place, sealed)
    assert.deepEqual({ state: await stateOf(again), lsn: again.status().lsn }, past)
    await again.close()
  })
}

/** Leaves an empty directory in the place of a store, as a share does that is not mounted. Answers what mounts it again. */
function unmount({ folder }) {
  renameSync(folder, `${folder}-elsewhere`)
  mkdirSync(folder)
  return () => {
    rmdirSync(folder)
    renameSync(`${folder}-elsewhere`, folder)
  }
}

/** Opens a session in a process of its own, as after a restart. Answers where it comes from, or the code of the error. */
async function openedAnew({ folder, bucket }, disk, tenant, options = {}) {
  const program = `
    const { useHybridAuthState } = require(${JSON.stringify(fileURLToPath(new URL('../../index.js', import.meta.url)))})
    const [tenant, options] = JSON.parse(process.argv[1])
    useHybridAuthState(tenant, options).then(
      async (session) => (console.log(session.status().restored.source), await session.close()),
      (error) => console.log(error.code)
    )`
  const all = { ...sealed, ...bucket.options, directory: join(folder, disk), handoverTimeoutMs: 0, ...options }
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program, JSON.stringify([tenant, all])])
  return stdout.trim()
}

if (!overNetwork) {
  test('a_mount_point_that_is_empty_is_no_new_store_for_a_machine_that_stored_a_session_there', async (t) => {
    const place = await makePlace(t)
    const past = await pastSession(place, sealed)
    const mount = unmount(place.bucket)
    for (const tenant of [TENANT, 'another']) {
      await assert.rejects(openIn(place, sealed, 'disk', tenant), { code: 'REMOTE_REFUSED', message: /mount it/ }, 'the same process')
      assert.equal(await openedAnew(place, 'disk', tenant), 'REMOTE_REFUSED', 'after a restart')
    }
    const created = { store: `${place.bucket.options.store}?create=true` }
    assert.equal(await openedAnew(place, 'disk', 'another', created), 'REMOTE_REFUSED')
    const fleet = new hybrid.HybridAuth({ ...sealed, ...place.bucket.options, directory: join(place.folder, 'disk') })
    await assert.rejects(fleet.tenants(), { code: 'REMOTE_REFUSED' })
    assert.equal((await fleet.doctor()).find(({ name }) => name === 'reachable').outcome, 'failed')
    assert.deepEqual(readdirSync(place.bucket.folder), [], 'nothing is left in the mount point')
    mount()
    const again = await openIn(place, sealed)
    assert.deepEqual({ state: await stateOf(again), lsn: again.status().lsn }, past)
    await again.close()
    assert.equal(await openedAnew(place, 'disk', TENANT), 'local')
    assert.equal(await openedAnew(place, 'blank', TENANT), 'remote')
  })

  test('a_directory_that_is_begun_anew_on_purpose_is_a_new_store', async (t) => {
    const place = await makePlace(t)
    await pastSession(place, sealed)
    unmount(place.bucket)
    mkdirSync(join(place.bucket.folder, 'v1'))
    await assert.rejects(openIn(place, sealed), { code: 'REMOTE_CORRUPT' }, 'what the log knows is not forgotten')
    assert.equal(await openedAnew(place, 'disk', 'another'), 'fresh')
  })

  test('a_share_that_is_unmounted_under_a_running_session_is_an_outage_and_nothing_is_stored_in_its_place', async (t) => {
    const place = await makePlace(t)
    const session = await openIn(place, { ...plain, ownershipCheckIntervalMs: 100, flushIntervalMs: 10, flushTimeoutMs: 300 })
    atEnd(t, () => session.close({ timeoutMs: 0 }).catch(() => {}))
    const news = []
    session.on('degraded', (error) => news.push(error.code))
    session.on('error', (error) => news.push(error.code))
    session.on('recovered', () => news.push('recovered'))
    await write(session, 1)
    await session.flush()
    const mount = unmount(place.bucket)
    await write(session, 2)
    await eventually('the outage is told', () => news.includes('REMOTE_REFUSED'))
    await assert.rejects(session.flush(), { code: 'REMOTE_UNAVAILABLE' })
    assert.equal(session.status().life, 'live')
    assert.deepEqual(readdirSync(place.bucket.folder), [], 'nothing is left in the mount point')
    mount()
    await eventually('it is over', () => news.includes('recovered') && session.status().lagMs === 0)
    assert.deepEqual([...new Set(news)], ['REMOTE_REFUSED', 'recovered'])
    const last = { state: await stateOf(session), lsn: session.status().lsn }
    await session.close()
    const blank = await openIn(place, plain, 'blank')
    assert.deepEqual({ state: await stateOf(blank), lsn: blank.status().lsn }, last)
    await blank.close()
  })
}

test('what_waited_when_the_bucket_was_emptied_is_acknowledged_once_it_is_filled_again', async (t) => {
  const place = await makePlace(t)
  const session = await openIn(place, { ...plain, ownershipCheckIntervalMs: 100, flushIntervalMs: 3_600_000 })
  atEnd(t, () => session.close({ timeoutMs: 0 }).catch(() => {}))
  const errors = []
  session.on('error', (error) => errors.push(error.code))
  await write(session, 1)
  await session.flush()
  // This one waits for its interval: only the refill brings it into the store.
  await write(session, 2)
  await WAYS.emptied(place.bucket)
  await eventually('the error is told', () => errors.length > 0)
  await session.flush()
  assert.equal(session.status().remoteDurableLsn, 2)
  assert.equal(session.status().lagMs, 0)
  await session.close()
})

test('a_bucket_without_data_but_with_claims_is_a_loss_even_for_a_machine_without_a_disk', async (t) => {
  const place = await makePlace(t)
  await pastSession(place, sealed)
  await WAYS.without_its_data_folder(place.bucket)
  await assert.rejects(openIn(place, sealed, 'blank'), { code: 'REMOTE_CORRUPT' })
})

test('an_empty_bucket_and_no_disk_is_what_on_missing_decides', async (t) => {
  const place = await makePlace(t)
  await pastSession(place, sealed)
  await WAYS.emptied(place.bucket)
  await assert.rejects(openIn(place, { ...sealed, onMissing: 'error' }, 'blank'), { code: 'NOT_FOUND' })
  const fresh = await openIn(place, { ...sealed, onMissing: 'create' }, 'blank')
  assert.equal(fresh.status().restored.source, 'fresh')
  assert.equal(fresh.status().lsn, 0)
  await fresh.close()
  assert.ok(readdirSync(join(place.folder, 'disk')).length > 0)
})

// A bucket on a server that is missing is not made, and says nothing about what was in it.
if (overNetwork && store.hasBuckets !== false) {
  test('a_bucket_that_does_not_exist_is_an_unreachable_store_and_not_an_empty_one', async (t) => {
    const place = await makePlace(t)
    const past = await pastSession(place, sealed)
    const [logs, objects] = [logsIn(place), await objectsIn(place.bucket)]
    await place.bucket.remove()
    for (const onMissing of ['create', 'error']) {
      for (const disk of ['disk', 'blank']) {
        await assert.rejects(openIn(place, { ...sealed, onMissing }, disk), { code: 'REMOTE_REFUSED' }, `${disk}, ${onMissing}`)
      }
    }
    assert.deepEqual(logsIn(place), logs, 'the local log is still there')
    await remakeBucket(place.bucket)
    await layOutIn(place.bucket, objects)
    for (const disk of ['disk', 'blank']) {
      const session = await openIn(place, sealed, disk)
      assert.deepEqual({ state: await stateOf(session), lsn: session.status().lsn }, past)
      await session.close()
    }
  })

  test('a_bucket_that_is_removed_under_a_running_session_is_an_outage_and_one_that_is_made_anew_is_filled', async (t) => {
    const place = await makePlace(t)
    // It asks for nothing between its writes, so that it stores nothing between the emptying of the bucket and its end.
    const session = await openIn(place, { ...plain, flushIntervalMs: 10 })
    atEnd(t, () => session.close({ timeoutMs: 0 }).catch(() => {}))
    const news = []
    session.on('degraded', (error) => news.push(error.code))
    session.on('error', (error) => news.push(error.code))
    session.on('recovered', () => news.push('recovered'))
    await write(session, 1)
    await session.flush()
    await place.bucket.remove()
    await write(session, 2)
    await eventually('the outage is told', () => news.includes('REMOTE_REFUSED'))
    await write(session, 3)
    assert.equal(session.status().store, 'degraded')
    await remakeBucket(place.bucket)
    await eventually('it is over', () => news.includes('recovered'))
    await session.flush()
    assert.deepEqual([...news].sort(), ['REMOTE_CORRUPT', 'REMOTE_REFUSED', 'recovered'])
    const last = { state: await stateOf(session), lsn: session.status().lsn }
    await session.close()
    const blank = await openIn(place, plain, 'blank')
    assert.deepEqual({ state: await stateOf(blank), lsn: blank.status().lsn }, last)
    await blank.close()
  })
}
