// Looking at a tenant, beside its owner and after it, whole and damaged.
//
// Invariants guarded: an inspection writes, claims and locks nothing; it tells no id and no value; what cannot be read is told
// beside what can.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { contentsOf, hybrid, KEY, OTHER_KEY, rejection, scene, startProcess } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const fleetOf = (at, more) => new hybrid.HybridAuth({ ...at.replicated, ...more })
const afar = (at, more) => new hybrid.HybridAuth({ ...at.elsewhere(), ...more })
const SECRET_ID = '4915155501234'
const objectsOf = async (bucket) =>
  Object.fromEntries(await Promise.all((await bucket.list()).map(async (name) => [name, (await bucket.get(name)).toString('hex')])))

async function openSome(at) {
  const session = await at.openReplicated('tenant')
  await session.saveCreds()
  await session.state.keys.set({
    session: { [SECRET_ID]: { n: 1 }, b: { n: 2 } },
    'pre-key': { 7: { public: Buffer.from('p'), private: Buffer.from('q') } }
  })
  await session.flush()
  return session
}

test('a_running_session_is_told_in_full_and_not_disturbed', async (t) => {
  const at = await storeScene(t)
  const session = await openSome(at)
  const [objects, files] = [await objectsOf(at.bucket), contentsOf(at.directory)]
  const report = await fleetOf(at).inspect('tenant')
  assert.deepEqual(await objectsOf(at.bucket), objects, 'nothing was written to the store')
  assert.deepEqual(contentsOf(at.directory), files, 'nothing was written here')

  const { epoch, lsn, keys, bytes, logBytes } = session.status()
  const { store, local } = report
  assert.deepEqual([store.owner, store.epoch, store.lsn, store.endedAt, store.error, store.damage], ['live', epoch, lsn, null, null, []])
  const { digest } = await fleetOf(at).verify('tenant')
  assert.deepEqual({ ...store.contents, types: null }, { keys, bytes, types: null, clean: false, digest, ways: 1 })
  const { types } = store.contents
  assert.deepEqual(Object.fromEntries(Object.entries(types).map(([type, share]) => [type, share.keys])), {
    creds: 1,
    'pre-key': 1,
    session: 2
  })
  assert.equal(
    Object.values(types).reduce((sum, share) => sum + share.bytes, 0),
    bytes
  )
  const sizes = Object.entries(objects)
    .filter(([name]) => name.startsWith('v1/data/'))
    .map(([name, hex]) => [name.split('.').at(-1), hex.length / 2])
  const total = (kind) =>
    sizes
      .filter(([found]) => found === kind)
      .reduce((sum, [, size]) => ({ count: sum.count + 1, bytes: sum.bytes + size }), { count: 0, bytes: 0 })
  assert.deepEqual([store.bases, store.segments, store.marks], [total('base'), total('seg'), 2])
  const [now, hour] = [Date.now(), 3_600_000]
  for (const date of [store.claimedAt, store.madeAt, store.storedAt]) assert.ok(Math.abs(now - date.getTime()) < hour, String(date))
  assert.ok(store.claimedAt <= store.madeAt)
  assert.deepEqual(local, { open: 'here', logBytes, epoch, lsn, keyIds: store.keyIds, error: null })
  assert.equal(store.keyIds.length, 1)
  assert.ok(!JSON.stringify(report).includes(SECRET_ID), 'no id of a contact is told')

  await session.close()
  const after = await fleetOf(at).inspect('tenant')
  assert.deepEqual([after.store.owner, after.store.contents.clean, after.local.open, after.local.lsn], ['released', true, 'nobody', lsn])
  assert.ok(after.store.endedAt >= after.store.claimedAt)
  assert.equal((await afar(at).inspect('tenant')).local, null, 'another machine has no folder of it')
})

test('what_was_never_there_or_was_deleted_is_an_answer', async (t) => {
  const at = await storeScene(t)
  const nothing = await fleetOf(at).inspect('tenant')
  assert.deepEqual(
    [nothing.store.owner, nothing.store.epoch, nothing.store.contents, nothing.store.error, nothing.local],
    ['none', null, null, null, null]
  )
  const session = await openSome(at)
  await session.delete()
  const { store, local } = await fleetOf(at).inspect('tenant')
  assert.deepEqual([store.owner, store.lsn, store.contents, store.bases.count, store.error, local], ['deleted', null, null, 0, null, null])
  assert.ok(store.endedAt instanceof Date)
  const again = await at.openReplicated('tenant', { fresh: true })
  await again.flush()
  assert.equal((await fleetOf(at).inspect('tenant')).store.owner, 'live', 'a new life after it')
})

test('another_key_hides_the_contents_and_says_which_one_is_needed', async (t) => {
  const at = await storeScene(t)
  const session = await openSome(at)
  await session.close()
  const right = await fleetOf(at).inspect('tenant')
  const { store, local } = await fleetOf(at, { encryptionKeys: [OTHER_KEY] }).inspect('tenant')
  assert.deepEqual([store.contents, store.error.code, local.error.code], [null, 'KEY_UNAVAILABLE', 'KEY_UNAVAILABLE'])
  assert.ok(store.error instanceof hybrid.HybridAuthError)
  const { contents: _, error: __, ...rest } = right.store
  const { contents: ___, error: ____, ...same } = store
  assert.deepEqual(same, rest, 'all else is told')
  assert.ok(store.error.message.includes(store.keyIds[0]) && local.keyIds[0] === store.keyIds[0])
})

test('damage_to_any_object_is_told_and_what_a_restore_makes_of_it', async (t) => {
  const at = await storeScene(t, { flushIntervalMs: 0 })
  await (await openSome(at)).close()
  const second = await at.open('tenant', at.elsewhere())
  await second.state.keys.set({ session: { b: { n: 3 } } })
  await second.close()
  const whole = await fleetOf(at).inspect('tenant')
  for (const name of (await at.bucket.list()).filter((name) => name.startsWith('v1/data/'))) {
    const bytes = await at.bucket.get(name)
    for (const broken of [
      bytes.subarray(0, bytes.length - 1),
      Buffer.from(bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte)))
    ]) {
      await at.bucket.put(name, broken)
      const { store } = await fleetOf(at).inspect('tenant')
      const verified = await fleetOf(at)
        .verify('tenant')
        .then(
          () => null,
          ({ code }) => code
        )
      assert.deepEqual([store.damage.length, store.error?.code ?? null], [1, verified], name)
      assert.equal(store.contents === null, verified !== null)
      assert.ok(!store.damage[0].includes('tenant'), 'without the tenant')
    }
    await at.bucket.put(name, bytes)
  }
  const mark = (await at.bucket.list()).filter((name) => name.startsWith('v1/claims/') && name.endsWith('.released')).at(-1)
  await at.bucket.put(mark, 'x')
  const { store } = await fleetOf(at).inspect('tenant')
  assert.deepEqual(
    [store.owner, store.endedAt, store.error, store.contents.clean],
    ['live', null, null, false],
    'nobody is known to have ended'
  )
  assert.equal(store.damage.length, 1)
  assert.deepEqual({ ...whole.store.contents, ways: 0 }.digest.length, 64)
})

test('data_that_vanished_is_not_taken_for_a_tenant_that_never_was', async (t) => {
  const at = await storeScene(t)
  await (await openSome(at)).close()
  await at.bucket.delete((await at.bucket.list()).filter((name) => name.startsWith('v1/data/')))
  const { store } = await fleetOf(at).inspect('tenant')
  assert.deepEqual([store.owner, store.contents, store.error.code], ['released', null, 'REMOTE_CORRUPT'])
})

test('a_damaged_log_is_told_with_how_far_it_reads', async (t) => {
  const at = scene(t)
  const session = await openSome(at)
  const { lsn } = session.status()
  await session.close()
  const folder = join(at.directory, 'tenant')
  const log = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.log'))
  )
  const bytes = readFileSync(log)
  bytes[bytes.length - 1] ^= 1
  bytes[130] ^= 1
  writeFileSync(log, bytes)
  const { local, store } = await fleetOf(at).inspect('tenant')
  assert.deepEqual([local.error.code, local.open, store.lsn], ['LOCAL_CORRUPT', 'nobody', lsn])
})

test('hidden_ids_are_found_by_whoever_has_the_key', async (t) => {
  const at = await storeScene(t, { hideTenantIds: true })
  await (await openSome(at)).close()
  assert.equal((await fleetOf(at).inspect('tenant')).store.owner, 'released')
  assert.equal((await fleetOf(at, { encryptionKeys: [KEY, OTHER_KEY] }).inspect('tenant')).store.owner, 'none', 'the last key names')
})

test('without_a_store_the_machine_is_told_alone', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant')
  await session.saveCreds()
  const fleet = new hybrid.HybridAuth(at.local)
  const { store, local } = await fleet.inspect('tenant')
  assert.deepEqual([store, local.open, local.epoch, local.lsn, local.keyIds], [null, 'here', 0, 1, []])
  assert.equal((await rejection(fleet.inspect(''))).code, 'INVALID_OPTION')
})

test('a_store_that_cannot_be_reached_is_an_error', async (t) => {
  const at = scene(t)
  writeFileSync(join(at.root, 'file'), '')
  const fleet = new hybrid.HybridAuth({ ...at.replicated, store: { kind: 'directory', path: join(at.root, 'file', 'bucket') } })
  const looks = [
    () => fleet.inspect('tenant'),
    () => fleet.survey(),
    () => fleet.drill('tenant'),
    () => fleet.extract('tenant', join(at.root, 'out')),
    () => fleet.rekey('tenant'),
    () => fleet.prune({ olderThanDays: 1 })
  ]
  // Each tries for as long as a store is waited for, and none waits for another.
  await Promise.all(looks.map(async (look) => assert.equal((await rejection(look())).code, 'REMOTE_UNAVAILABLE', String(look))))
})

test('an_owner_in_another_process_goes_on_while_it_is_inspected_and_drilled', async (t) => {
  const at = await storeScene(t)
  const owner = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      const session = await hybrid.useHybridAuthState('tenant', args)
      await session.saveCreds()
      await session.flush()
      await say('open')
      let stop = false
      process.on('message', () => (stop = true))
      let n = 0
      for (; !stop; n++) {
        await session.state.keys.set({ session: { [n % 20]: { n, text: 'x'.repeat(2000) } } })
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      const { life, lsn } = session.status()
      await session.flush()
      await say({ life, lsn, n })
      await session.close()
      process.disconnect()
    },
    at.replicated
  )
  await owner.said()
  const fleet = fleetOf(at)
  let compared = 0
  let last = 0
  // Until the log was compared too: one that was rewritten meanwhile begins after what the store had.
  for (let round = 0; round < 25 || compared === 0; round++) {
    const { store, local } = await fleet.inspect('tenant')
    assert.deepEqual([store.owner, store.epoch, store.error, local.open, local.error], ['live', 1, null, 'elsewhere', null])
    assert.ok(store.lsn >= last && local.lsn >= last, 'it goes on')
    last = store.lsn
    const drilled = await fleet.drill('tenant')
    assert.deepEqual([drilled.ok, drilled.problems, drilled.owner], [true, [], 'log'])
    if (drilled.digests.owner !== null) compared++
  }
  assert.equal((await rejection(fleet.rekey('tenant'))).code, 'OWNED_ELSEWHERE')
  owner.child.send('stop')
  const { life, lsn, n } = await owner.said()
  assert.deepEqual([life, lsn], ['live', n + 1])
  await owner.ended
  assert.equal((await fleet.inspect('tenant')).store.lsn, lsn)
})

test('a_lock_that_is_looked_at_keeps_nobody_out', async (t) => {
  const at = scene(t)
  const looker = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      const fleet = new hybrid.HybridAuth(args)
      let stop = false
      process.on('message', () => (stop = true))
      await say('ready')
      while (!stop) await fleet.inspect('tenant')
      process.disconnect()
    },
    at.local
  )
  mkdirSync(join(at.directory, 'tenant'), { recursive: true })
  await looker.said()
  for (let round = 0; round < 60; round++) {
    const session = await at.openLocal('tenant')
    await session.close()
  }
  looker.child.send('stop')
  assert.equal((await looker.ended).code, 0)
})
