// A bucket that somebody emptied or removed: beside a local log, without one, and under a running session.
//
// Invariant guarded (I17): what is left is never thrown away and never replaced by something new without being asked to; a
// running session stores itself again and loses nothing.

import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openIn, plain, sealed, stateOf } from '../support/buckets.mjs'
import { atEnd, eventually, scratch } from '../support/machines.mjs'
import { filesOf, layOut } from '../support/matrix.mjs'

const WAYS = {
  emptied: (bucket) => layOut(bucket, []),
  removed: (bucket) => rmSync(bucket, { recursive: true }),
  'without_its_objects_but_with_its_folders': (bucket) => {
    for (const name of filesOf(bucket).keys()) rmSync(join(bucket, name))
  },
  'without_its_data_folder': (bucket) => rmSync(join(bucket, 'v1/data'), { recursive: true }),
  'without_its_claims_folder_and_its_data': (bucket) => rmSync(join(bucket, 'v1'), { recursive: true })
}

const write = (session, n) => session.state.keys.set({ session: { [n % 3]: { n } }, marker: { last: { n } } })

/** A session of a few batches, closed; answers its state and LSN. */
async function pastSession(folder, options) {
  const session = await openIn(folder, options)
  session.state.creds.generation = 7
  await session.saveCreds()
  for (let n = 0; n < 5; n++) await write(session, n)
  const past = { state: await stateOf(session), lsn: session.status().lsn }
  await session.close()
  return past
}

const logsIn = (folder) => new Map([...filesOf(join(folder, 'disk'))].filter(([name]) => name.endsWith('.log')))

for (const [way, damage] of Object.entries(WAYS)) {
  test(`a_bucket_${way}_does_not_cost_the_local_log_which_can_seed_it_again`, async (t) => {
    const folder = scratch(t, { quick: true })
    const past = await pastSession(folder, sealed)
    const logs = logsIn(folder)
    assert.equal(logs.size, 1)
    damage(join(folder, 'bucket'))
    for (let again = 0; again < 3; again++) {
      await assert.rejects(openIn(folder, sealed), { code: 'REMOTE_CORRUPT' })
      assert.deepEqual(logsIn(folder), logs, 'the local log is still there')
    }
    const seeded = await openIn(folder, { ...sealed, seedFromDisk: true })
    assert.equal(seeded.status().restored.source, 'local')
    assert.deepEqual({ state: await stateOf(seeded), lsn: seeded.status().lsn }, past)
    await write(seeded, 100)
    const now = await stateOf(seeded)
    await seeded.close()
    const blank = await openIn(folder, sealed, 'blank')
    assert.deepEqual(blank.status().restored, { source: 'remote', clean: true })
    assert.equal(await stateOf(blank), now, 'the bucket is whole again')
    await blank.close()
  })

  test(`a_bucket_${way}_under_a_running_session_is_filled_again_and_nothing_is_lost`, async (t) => {
    const folder = scratch(t, { quick: true })
    const session = await openIn(folder, { ...plain, ownershipCheckIntervalMs: 100, flushIntervalMs: 10 })
    atEnd(t, () => session.close({ timeoutMs: 0 }).catch(() => {}))
    const errors = []
    session.on('error', (error) => errors.push(error.code))
    for (let n = 0; n < 5; n++) await write(session, n)
    await session.flush()
    damage(join(folder, 'bucket'))
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

    const blank = openIn(folder, plain, 'blank')
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

test('what_waited_when_the_bucket_was_emptied_is_acknowledged_once_it_is_filled_again', async (t) => {
  const folder = scratch(t, { quick: true })
  const session = await openIn(folder, { ...plain, ownershipCheckIntervalMs: 100, flushIntervalMs: 3_600_000 })
  atEnd(t, () => session.close({ timeoutMs: 0 }).catch(() => {}))
  const errors = []
  session.on('error', (error) => errors.push(error.code))
  await write(session, 1)
  await session.flush()
  // This one waits for its interval: only the refill brings it into the store.
  await write(session, 2)
  WAYS.emptied(join(folder, 'bucket'))
  await eventually('the error is told', () => errors.length > 0)
  await session.flush({ timeoutMs: 5000 })
  assert.equal(session.status().remoteDurableLsn, 2)
  assert.equal(session.status().lagMs, 0)
  await session.close()
})

test('a_bucket_without_data_but_with_claims_is_a_loss_even_for_a_machine_without_a_disk', async (t) => {
  const folder = scratch(t, { quick: true })
  await pastSession(folder, sealed)
  WAYS.without_its_data_folder(join(folder, 'bucket'))
  await assert.rejects(openIn(folder, sealed, 'blank'), { code: 'REMOTE_CORRUPT' })
})

test('an_empty_bucket_and_no_disk_is_what_on_missing_decides', async (t) => {
  const folder = scratch(t, { quick: true })
  await pastSession(folder, sealed)
  WAYS.emptied(join(folder, 'bucket'))
  await assert.rejects(openIn(folder, { ...sealed, onMissing: 'error' }, 'blank'), { code: 'NOT_FOUND' })
  const fresh = await openIn(folder, { ...sealed, onMissing: 'create' }, 'blank')
  assert.equal(fresh.status().restored.source, 'fresh')
  assert.equal(fresh.status().lsn, 0)
  await fresh.close()
  assert.ok(readdirSync(join(folder, 'disk')).length > 0)
})
