// A key is turned over in a fleet of three instances, each with a disk of its own.
//
// Invariants guarded: in the order that is documented (the new key second everywhere, then first everywhere, then the old one away) no
// session is refused to anybody and nothing is lost; out of it, nobody is ended; and a log that needs a key which is gone
// keeps a session closed only if it may have what the store lacks.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Machine, scratch } from '../../testkit/processes/machines.mjs'
import { hybrid, KEY as OLD, OTHER_KEY as NEW, rejection, told } from '../../testkit/processes/sessions.mjs'
import { makeBucket } from '../../testkit/stores/index.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const TENANT = 'tenant'
const STEPS = { alone: [OLD], second: [OLD, NEW], first: [NEW, OLD], away: [NEW] }
const logsIn = (directory, ending) => readdirSync(join(directory, TENANT)).filter((name) => name.endsWith(ending))

test('a_key_is_turned_over_on_three_instances_and_no_session_is_refused_or_loses_anything', async (t) => {
  const at = await storeScene(t)
  const disks = [at.directory, at.elsewhere().directory, at.elsewhere().directory]
  let n = 0
  /** An instance opens the session, finds all that was written before, writes, and closes. */
  const turn = async (instance, encryptionKeys, { keep = false } = {}) => {
    const session = await at.open(TENANT, {
      ...at.replicated,
      directory: disks[instance],
      encryptionKeys,
      onMissing: n === 0 ? 'create' : 'error'
    })
    if (n === 0) await session.saveCreds()
    else assert.deepEqual(await session.state.keys.get('session', ['a']), { a: { n } }, `instance ${instance}`)
    await session.state.keys.set({ session: { a: { n: ++n } } })
    if (!keep) await session.close()
    return session
  }
  for (const instance of [0, 1, 2]) await turn(instance, STEPS.alone)
  // A rolling deploy: those that have it and those that do not take the session from one another.
  for (const [instance, keys] of [
    [0, STEPS.second],
    [1, STEPS.alone],
    [1, STEPS.second],
    [2, STEPS.alone],
    [2, STEPS.second]
  ])
    await turn(instance, keys)
  for (const [instance, keys] of [
    [0, STEPS.first],
    [1, STEPS.second],
    [1, STEPS.first],
    [0, STEPS.first]
  ])
    await turn(instance, keys)
  // The third one has a log under the old key, and none of the new ones yet.
  const report = await new hybrid.HybridAuth({ ...at.replicated, encryptionKeys: STEPS.first }).rekey(TENANT)
  assert.deepEqual([report.complete, report.unneeded.length, report.unseen], [true, 1, ['other-disks']])
  for (const instance of [0, 1]) await turn(instance, STEPS.away)
  const last = await turn(2, STEPS.away, { keep: true })
  assert.match((await told(last, 'repaired')).message, /needs a key that is not configured/)
  assert.equal(logsIn(disks[2], '.unsent').length, 1, 'nothing is thrown away')
  await last.close()
})

test('out_of_the_order_whoever_lacks_the_new_key_ends_nobody', async (t) => {
  const at = await storeScene(t)
  const owner = await at.openReplicated(TENANT, { encryptionKeys: STEPS.first })
  await owner.saveCreds()
  await owner.flush()
  assert.equal((await rejection(at.open(TENANT, { ...at.elsewhere(), encryptionKeys: STEPS.alone }))).code, 'KEY_UNAVAILABLE')
  await owner.state.keys.set({ session: { a: { n: 1 } } })
  await owner.flush()
  assert.equal(owner.status().life, 'live')
})

test('a_log_that_may_have_more_than_the_store_says_which_key_it_needs', async (t) => {
  const folder = scratch(t)
  const bucket = await makeBucket(t)
  const options = (keys) => ({ ...bucket.options, encryption: 'on', encryptionKeys: keys, flushIntervalMs: 3_600_000 })
  const machine = await Machine.start(t, join(folder, 'm'))
  await machine.call('open', TENANT, options(STEPS.first))
  await machine.call('flush')
  await machine.call('close')
  await machine.kill()
  // Its log is under the old key, and the store lacks the end of it.
  const older = await Machine.start(t, join(folder, 'm'))
  await older.call('open', TENANT, options(STEPS.second))
  await older.call('set', { session: { a: { n: 1 } } })
  await older.call('flush')
  // Right after a segment the next one waits for the flush interval.
  await older.call('set', { session: { a: { n: 2 } } })
  const { lsn, remoteDurableLsn } = await older.call('status')
  assert.ok(remoteDurableLsn < lsn, 'the tail is not stored')
  await older.kill()
  const next = await Machine.start(t, join(folder, 'm'))
  for (let again = 0; again < 2; again++) {
    const error = await next.call('open', TENANT, options(STEPS.away)).then(
      () => null,
      (error) => error
    )
    assert.equal(error?.code, 'KEY_UNAVAILABLE')
    assert.match(error.message, /the local log needs encryption key [0-9a-f]{16}, .* \(\d{20}\.log\)/)
  }
  await next.call('open', TENANT, options(STEPS.first))
  assert.deepEqual(await next.call('get', 'session', ['a']), { a: { n: 2 } })
  await next.call('close')
})
