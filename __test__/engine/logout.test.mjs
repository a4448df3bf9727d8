// A logout on one machine, and what another one brings along that knew nothing of it.
//
// Invariant guarded (I10): nothing at or below a tombstone comes back, from a disk, from a process that wakes up, or from the
// bucket, whatever it had not sent yet.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, KEY, Machine, scratch } from '../../testkit/processes/machines.mjs'
import { filesOf } from '../../testkit/base/matrix.mjs'
import { kindOf } from '../support/buckets.mjs'
import { unhurried } from '../../testkit/processes/sessions.mjs'
import { makeBucket } from '../../testkit/stores/index.mjs'

const TENANT = 't'
const NEVER = 300_000

async function site(t) {
  const folder = scratch(t)
  const bucket = await makeBucket(t)
  return {
    bucket,
    options: { ...bucket.options, encryption: 'on', encryptionKeys: [KEY] },
    machine: (name) => Machine.start(t, join(folder, name))
  }
}

/**
 * Contents of the bucket. A process that was killed in mid-PUT may leave a staging file (`#1`) of a claim in a directory, which says
 * nothing; never of data.
 */
const kindsIn = async (bucket) =>
  (await bucket.list())
    .filter((name) => !/claims\/.*#\d+$/.test(name))
    .map(kindOf)
    .sort()

/** An owner with writes that are stored and writes that are not. */
async function ownerWithUnsentWrites(machine, options) {
  const owner = await machine('owner')
  await owner.call('open', TENANT, { ...options, flushIntervalMs: NEVER })
  await owner.call('saveCreds', { generation: 1 })
  await owner.call('set', { session: { stored: { n: 1 } } })
  await owner.call('flush')
  await owner.call('set', { session: { unsent: { n: 2 } } })
  await owner.call('set', { session: { unsent: { n: 3 } } })
  return owner
}

/** Logs out on another machine, which owns the session then. An owner that runs has stored by then all that it will. */
async function logOutElsewhere(machine, options) {
  const other = await machine('other')
  await other.call('open', TENANT, options)
  assert.deepEqual((await other.call('get', 'session', ['stored'])).stored, { n: 1 })
  await other.call('delete')
  return other
}

/** Nobody finds anything, and a new life starts from nothing and sweeps what a zombie left. */
async function nothingComesBack({ machine, options, bucket }) {
  for (const name of ['blank', 'owner', 'other']) {
    const next = await machine(name)
    assert.equal(await next.outcome('open', TENANT, options), 'DELETED', name)
    assert.equal(await next.outcome('open', TENANT, { ...options, seedFromDisk: true }), 'DELETED', `${name}, from its disk`)
    await next.kill()
  }
  const fresh = await machine('owner')
  const { lsn, restored } = await fresh.call('open', TENANT, { ...options, fresh: true })
  assert.deepEqual([lsn, restored.source], [0, 'fresh'])
  assert.deepEqual(await fresh.call('dump', ['session']), { creds: { generation: 0, nextPreKeyId: 0 } })
  await fresh.call('saveCreds', { generation: 9 })
  await fresh.call('close')
  const blank = await machine('blank')
  const opened = await blank.call('open', TENANT, options)
  assert.equal(opened.restored.source, 'remote')
  assert.deepEqual(await blank.call('dump', ['session']), { creds: { generation: 9, nextPreKeyId: 0 } })
  // Two lives of the new session at most, and the tombstone: of the deleted one nothing is left.
  await eventually('the garbage is swept', async () => (await kindsIn(bucket)).filter((kind) => kind === 'base').length <= 2)
  await blank.call('close')
}

test('a_logout_leaves_only_a_tombstone_in_the_bucket_and_nothing_of_the_session_on_the_disk', async (t) => {
  const all = await site(t)
  const owner = await ownerWithUnsentWrites(all.machine, all.options)
  await owner.call('delete')
  assert.deepEqual(await kindsIn(all.bucket), ['claim', 'deleted'])
  // What stays says that there is a store, and is of no session.
  const left = [...filesOf(join(owner.disk, 'sessions')).keys()].filter((name) => !name.startsWith('.store-'))
  assert.deepEqual(left, [])
  assert.notEqual(await owner.outcome('set', { session: { late: { n: 1 } } }), 'ok')
  await owner.kill()
  const blank = await all.machine('blank')
  assert.equal(await blank.outcome('open', TENANT, all.options), 'DELETED')
})

test('a_stopped_owner_that_wakes_after_a_logout_resurrects_nothing', async (t) => {
  const all = await site(t)
  const zombie = await ownerWithUnsentWrites(all.machine, all.options)
  zombie.stop()
  await logOutElsewhere(all.machine, all.options)
  assert.deepEqual(await kindsIn(all.bucket), ['claim', 'deleted'])
  zombie.continue()
  await zombie.told('fenced')
  for (const [command, ...args] of [['set', { session: { late: { n: 1 } } }], ['saveCreds', { generation: 2 }], ['flush']]) {
    const outcome = await zombie.outcome(command, ...args)
    assert.ok(['FENCED', 'DELETED'].includes(outcome), `${command}: ${outcome}`)
  }
  assert.equal(await zombie.outcome('delete'), 'ok', 'that is what it is')
  await zombie.outcome('close')
  const kinds = await kindsIn(all.bucket)
  assert.ok(!kinds.includes('base') && !kinds.includes('live'), `a zombie stores no base and no claim to be alive: ${kinds}`)
  await zombie.kill()
  await nothingComesBack(all)
})

test('a_killed_owner_with_its_old_disk_resurrects_nothing_after_a_logout', async (t) => {
  const all = await site(t)
  const dead = await ownerWithUnsentWrites(all.machine, all.options)
  await dead.kill()
  await logOutElsewhere(all.machine, all.options)
  assert.deepEqual(await kindsIn(all.bucket), ['claim', 'deleted'])
  await nothingComesBack(all)
})

test('a_running_owner_learns_of_a_logout_elsewhere', async (t) => {
  const all = await site(t)
  const owner = await ownerWithUnsentWrites(all.machine, { ...all.options, ...unhurried })
  const other = await logOutElsewhere(all.machine, { ...all.options, ...unhurried })
  await owner.told('fenced')
  assert.equal(await owner.outcome('set', { session: { late: { n: 1 } } }), 'FENCED')
  assert.deepEqual(await kindsIn(all.bucket), ['claim', 'deleted'])
  await owner.kill()
  await other.kill()
  await nothingComesBack(all)
})
