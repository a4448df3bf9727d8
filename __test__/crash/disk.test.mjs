// A disk that is full, read-only or not a disk at all.
//
// Invariant guarded (I11): a write that the disk refused changed nothing, in memory or after a crash; one that resolved is
// kept; the session goes on once there is room; and an open that the disk refused owns nothing in the bucket.

import assert from 'node:assert/strict'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { canLimit, canMount, limitFileSize, lockedFolder, smallDisk } from '../../testkit/processes/disks.mjs'
import { Machine, scratch } from '../../testkit/processes/machines.mjs'
import { filesOf } from '../../testkit/base/matrix.mjs'

const TENANT = 't'
const KIB = 1024
/** A value that does not fit in what is left of a full disk's last page. */
const large = (n) => ({ n, bytes: Buffer.alloc(40 * KIB, n) })

test('a_full_disk_or_a_limit_can_be_made_here', () => {
  assert.ok(canMount || canLimit, 'neither mount nor prlimit works: the tests below would prove nothing')
})

/** Writes into a disk that has no more room, gets room, goes on, and is killed. */
async function survivesFullDisk(t, { disk, fill, free, options, store }) {
  const machine = await Machine.start(t, disk)
  await machine.call('open', TENANT, { ...options, ...store })
  await machine.call('saveCreds', { generation: 1 })
  await machine.call('set', { session: { a: large(1) }, 'sender-key': { a: { n: 1 } } })
  await fill(machine)

  const before = await machine.call('status')
  for (let again = 0; again < 3; again++) {
    const change = { session: { a: large(2), b: large(2) }, 'sender-key': { a: null } }
    await assert.rejects(machine.call('set', change), { code: 'LOCAL_UNAVAILABLE' })
    await assert.rejects(machine.call('saveCreds', { generation: 2, padding: 'x'.repeat(100 * KIB) }), { code: 'LOCAL_UNAVAILABLE' })
    assert.deepEqual(await machine.call('get', 'session', ['a', 'b']), { a: large(1), b: null })
    assert.deepEqual(await machine.call('get', 'sender-key', ['a']), { a: { n: 1 } })
  }
  const { life, lsn } = await machine.call('status')
  assert.deepEqual({ life, lsn }, { life: 'live', lsn: before.lsn })

  await free(machine)
  await machine.call('saveCreds', { generation: 3, padding: undefined })
  await machine.call('set', { session: { b: large(3) }, 'sender-key': { a: { n: 3 } } })
  await machine.kill()

  const next = await Machine.start(t, disk)
  const reopened = await next.call('open', TENANT, { ...options, ...store })
  assert.deepEqual(reopened.restored, { source: 'local', clean: true })
  assert.equal(reopened.lsn, before.lsn + 2, 'the refused writes left no trace')
  const { creds, ...keys } = await next.call('dump', ['session', 'sender-key'])
  assert.equal(creds.generation, 3)
  assert.deepEqual(keys, { 'session/a': large(1), 'session/b': large(3), 'sender-key/a': { n: 3 } })
  await next.call('close')
}

const LEVELS = ['os', 'data'].flatMap((localDurability) => ['local', 'hybrid'].map((mode) => ({ localDurability, mode })))

for (const options of LEVELS) {
  const what = `${options.mode}_session_at_level_${options.localDurability}`
  const storeIn = (folder) => (options.mode === 'hybrid' ? { store: `${pathToFileURL(join(folder, 'bucket')).href}?create=true` } : {})

  if (canMount) {
    test(`a_${what}_survives_a_full_disk`, async (t) => {
      const small = smallDisk(t, 2 * KIB)
      const { fill, free } = { fill: () => small.fill(), free: () => small.free() }
      await survivesFullDisk(t, { disk: join(small.folder, 'm'), fill, free, options, store: storeIn(scratch(t)) })
    })
  }

  if (canLimit) {
    test(`a_${what}_survives_a_file_size_limit`, async (t) => {
      const folder = scratch(t)
      const fill = async (machine) => limitFileSize(machine.child.pid, (await machine.call('status')).logBytes + 30 * KIB)
      const free = (machine) => limitFileSize(machine.child.pid, null)
      await survivesFullDisk(t, { disk: join(folder, 'm'), fill, free, options, store: storeIn(folder) })
    })
  }
}

/** Beside an owner that is alive: an open that fails for want of a disk must leave it in peace, or let go again at once. */
async function ownerElsewhere(t, folder) {
  const store = { store: `${pathToFileURL(join(folder, 'bucket')).href}?create=true`, ownershipCheckIntervalMs: 100 }
  const owner = await Machine.start(t, join(folder, 'owner'))
  await owner.call('open', TENANT, store)
  await owner.call('set', { session: { a: large(1), b: large(2), c: large(3) } })
  await owner.call('flush')
  return { owner, store }
}

if (canMount) {
  test('an_open_on_a_full_disk_is_refused_and_the_owner_elsewhere_goes_on', async (t) => {
    const folder = scratch(t)
    const { owner, store } = await ownerElsewhere(t, folder)
    const before = [...filesOf(join(folder, 'bucket')).keys()]
    const small = smallDisk(t, 256)
    mkdirSync(join(small.folder, 'm'))
    const machine = await Machine.start(t, join(small.folder, 'm'))
    small.fill()
    assert.equal(await machine.outcome('open', TENANT, store), 'LOCAL_UNAVAILABLE')
    assert.deepEqual([...filesOf(join(folder, 'bucket')).keys()], before, 'nothing was claimed')
    await owner.call('set', { session: { d: large(4) } })
    await owner.call('flush')
    small.free()
    assert.equal(await machine.outcome('open', TENANT, store), 'ok')
    assert.deepEqual(await machine.call('get', 'session', ['d']), { d: large(4) })
    await machine.call('close')
  })

  test('an_open_whose_log_does_not_fit_lets_go_of_the_bucket_again', async (t) => {
    const folder = scratch(t)
    const { owner, store } = await ownerElsewhere(t, folder)
    const { lsn } = await owner.call('status')
    const small = smallDisk(t, 256)
    mkdirSync(join(small.folder, 'm'))
    const machine = await Machine.start(t, join(small.folder, 'm'))
    small.fill(40 * KIB)
    assert.equal(await machine.outcome('open', TENANT, store), 'LOCAL_UNAVAILABLE')
    await owner.told('fenced')
    assert.equal(await owner.outcome('set', { session: { d: large(4) } }), 'FENCED', 'it had to be taken over to find out')
    // Were the bucket still claimed, this would wait for more than its own ten minutes.
    const third = await Machine.start(t, join(folder, 'third'))
    const opened = await third.call('open', TENANT, { ...store, ownershipCheckIntervalMs: 300_000 })
    assert.deepEqual({ lsn: opened.lsn, ...opened.restored }, { lsn, source: 'remote', clean: true })
    assert.deepEqual(await third.call('get', 'session', ['a', 'b', 'c']), { a: large(1), b: large(2), c: large(3) })
    await third.call('close')
  })
}

test('an_open_on_a_read_only_directory_is_refused_and_works_once_it_is_writable', async (t) => {
  const folder = scratch(t)
  const place = canMount ? smallDisk(t, KIB) : lockedFolder(t)
  const { owner, store } = await ownerElsewhere(t, folder)
  await owner.call('close')
  const bucket = [...filesOf(join(folder, 'bucket')).keys()]
  const machine = await Machine.start(t, join(folder, 'm'))
  const directory = join(place.folder, 'sessions')
  place.readOnly()
  for (const options of [{ mode: 'local' }, store]) {
    assert.equal(await machine.outcome('open', TENANT, { ...options, directory }), 'LOCAL_UNAVAILABLE')
  }
  place.writable()
  assert.equal((await machine.call('open', TENANT, { mode: 'local', directory })).restored.source, 'fresh')
  await machine.call('set', { session: { a: { n: 1 } } })
  await machine.call('close')
  // A session that exists there already, and cannot be locked.
  place.readOnly()
  for (const options of [{ mode: 'local' }, store]) {
    assert.equal(await machine.outcome('open', TENANT, { ...options, directory }), 'LOCAL_UNAVAILABLE')
  }
  assert.deepEqual([...filesOf(join(folder, 'bucket')).keys()], bucket, 'nothing was claimed')
  place.writable()
  const again = await machine.call('open', TENANT, { mode: 'local', directory })
  assert.deepEqual([again.lsn, again.restored.source], [2, 'local'])
  await machine.call('close')
})

test('a_file_in_place_of_a_directory_is_refused_and_left_alone', async (t) => {
  const folder = scratch(t)
  const { owner, store } = await ownerElsewhere(t, folder)
  const bucket = [...filesOf(join(folder, 'bucket')).keys()]
  const machine = await Machine.start(t, join(folder, 'm'))
  const file = join(folder, 'file')
  writeFileSync(file, 'mine')
  mkdirSync(join(folder, 'sessions'))
  writeFileSync(join(folder, 'sessions', TENANT), 'mine')
  for (const directory of [file, join(file, 'below'), join(folder, 'sessions')]) {
    for (const options of [{ mode: 'local' }, store]) {
      assert.equal(await machine.outcome('open', TENANT, { ...options, directory }), 'LOCAL_UNAVAILABLE', directory)
    }
  }
  assert.ok(statSync(file).size === 4 && statSync(join(folder, 'sessions', TENANT)).size === 4)
  assert.deepEqual([...filesOf(join(folder, 'bucket')).keys()], bucket, 'nothing was claimed')
  assert.equal(await owner.outcome('set', { session: { d: { n: 4 } } }), 'ok')
  await owner.call('close')
})
