// Verifying what the store holds, beside a running owner and after it, whole and damaged.
//
// Invariant guarded: a verification claims nothing and writes nothing, and what it answers is what a blank machine then finds.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { hybrid, OTHER_KEY, rejection } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const fleetOf = (at, more) => new hybrid.HybridAuth({ ...at.elsewhere(), ...more })
const objectsOf = async (bucket) =>
  Object.fromEntries(await Promise.all((await bucket.list()).map(async (name) => [name, (await bucket.get(name)).toString('hex')])))
const kinds = (names, kind) => names.filter((name) => name.endsWith(kind))

test('a_running_session_is_verified_without_being_disturbed', async (t) => {
  const at = await storeScene(t)
  const session = await at.openReplicated('tenant')
  await session.saveCreds()
  await session.state.keys.set({ session: { a: { n: 1 } }, 'sender-key': { b: { n: 2 } } })
  await session.flush()
  const before = await objectsOf(at.bucket)
  const report = await fleetOf(at).verify('tenant')
  assert.deepEqual(await objectsOf(at.bucket), before, 'nothing was written')
  const { epoch, lsn, keys, bytes } = session.status()
  assert.deepEqual(
    { ...report, digest: null },
    {
      epoch,
      lsn,
      clean: false,
      keys,
      bytes,
      digest: null,
      objects: Object.keys(before).filter((name) => name.startsWith('v1/data/')).length,
      ways: 1,
      damage: []
    }
  )
  await session.state.keys.set({ session: { a: { n: 2 } } })
  await session.flush()
  assert.equal(session.status().life, 'live')
  assert.notEqual((await fleetOf(at).verify('tenant')).digest, report.digest)

  await session.close()
  const last = await fleetOf(at).verify('tenant')
  assert.equal(last.clean, true)
  const heir = await at.open('tenant', at.elsewhere())
  assert.deepEqual([heir.status().lsn, heir.status().keys], [last.lsn, last.keys])
  assert.equal((await fleetOf(at).verify('tenant')).digest, last.digest, 'the same contents under another owner')
})

test('damage_is_named_whether_or_not_a_restore_would_survive_it', async (t) => {
  const at = await storeScene(t, { flushIntervalMs: 0 })
  const first = await at.openReplicated('tenant')
  await first.saveCreds()
  await first.state.keys.set({ session: { a: { n: 1 } } })
  await first.close()
  // The history of the former owner is kept against damage until there is a second base.
  const second = await at.open('tenant', at.elsewhere())
  await second.state.keys.set({ session: { a: { n: 2 } } })
  await second.close()
  assert.equal((await fleetOf(at).verify('tenant')).ways, 2)

  const names = await at.bucket.list()
  const data = names.filter((name) => name.startsWith('v1/data/'))
  assert.equal(kinds(data, '.base').length, 2)
  assert.ok(kinds(data, '.seg').length >= 2)
  for (const name of data) {
    const bytes = await at.bucket.get(name)
    const flipped = Buffer.from(bytes)
    flipped[bytes.length >> 1] ^= 1
    await at.bucket.put(name, flipped)
    const answer = await fleetOf(at)
      .verify('tenant')
      .catch((error) => error)
    const isNeeded = name.endsWith('.seg') && name === kinds(data, '.seg').at(-1)
    if (isNeeded) assert.equal(answer.code, 'REMOTE_CORRUPT', 'the last segment has no substitute')
    else assert.deepEqual([answer.ways, answer.damage.length], [1, 1], name)
    assert.ok(!String(answer.message ?? answer.damage).includes('tenant'), 'the name of an object is told without the tenant')
    await at.bucket.put(name, bytes)
  }
  assert.deepEqual((await fleetOf(at).verify('tenant')).damage, [])
})

test('what_cannot_be_verified_says_why', async (t) => {
  const at = await storeScene(t)
  assert.equal((await rejection(fleetOf(at).verify('tenant'))).code, 'NOT_FOUND')
  const session = await at.openReplicated('tenant')
  await session.flush()
  assert.equal((await rejection(fleetOf(at, { encryptionKeys: [OTHER_KEY] }).verify('tenant'))).code, 'KEY_UNAVAILABLE')
  assert.equal((await rejection(fleetOf(at).verify(''))).code, 'INVALID_OPTION')
  assert.equal((await rejection(new hybrid.HybridAuth(at.local).verify('tenant'))).code, 'INVALID_OPTION')
  await session.delete()
  assert.equal((await rejection(fleetOf(at).verify('tenant'))).code, 'DELETED')
})

test('a_fleet_knows_the_tenants_of_its_store_and_restores_them_all', async (t) => {
  const at = await storeScene(t)
  const here = new hybrid.HybridAuth(at.replicated)
  const ids = ['a', 'A', 'tenant 3', '+49 151 1234567', 'ü/ö', 'x'.repeat(60)]
  for (const id of ids) {
    const session = await here.open(id)
    session.state.creds.registrationId = ids.indexOf(id)
    await session.saveCreds()
  }
  await here.open('gone')
  await here.delete('gone')
  assert.deepEqual((await here.tenants()).sort(), [...ids].sort())
  assert.ok(here.traffic().puts > ids.length * 3)
  assert.deepEqual(await here.shutdown(), { closed: ids.length, failed: [] })

  const there = fleetOf(at)
  const progress = []
  const { opened, failed } = await there.restoreAll({ concurrency: 2, onProgress: (news) => progress.push(news) })
  assert.deepEqual([opened.toSorted(), failed], [[...ids].sort(), []])
  assert.deepEqual(
    progress.map(({ done, total }) => [done, total]),
    ids.map((_, n) => [n + 1, ids.length])
  )
  for (const id of ids) assert.equal(there.get(id).state.creds.registrationId, ids.indexOf(id))
  const some = await there.restoreAll({ tenantIds: ['a', 'never'] })
  assert.deepEqual([some.opened, some.failed.map(({ tenantId, error }) => [tenantId, error.code])], [['a'], [['never', 'NOT_FOUND']]])
  await there.shutdown()

  const hidden = fleetOf(at, { hideTenantIds: true })
  await hidden.open('secret')
  assert.equal((await rejection(hidden.tenants())).code, 'INVALID_OPTION', 'hidden ids cannot be listed')
  await hidden.shutdown()
})

test('one tenant whose id is too long to be told stops no other, and is counted', async (t) => {
  const at = await storeScene(t)
  const long = 'x'.repeat(300)
  const writing = fleetOf(at)
  for (const id of ['a', long, 'b']) await (await writing.open(id)).saveCreds()
  await writing.shutdown()
  const warnings = []
  const logger = { debug() {}, info() {}, error() {}, warn: ({ unnamed }, message) => unnamed && warnings.push([unnamed, message]) }
  const fleet = fleetOf(at, { logger })
  assert.deepEqual((await fleet.tenants()).sort(), ['a', 'b'])
  assert.equal(warnings[0][0], 1)
  assert.ok(/1 tenant.*`tenantIds`/.test(warnings[0][1]) && !warnings[0][1].includes('xxx'), warnings[0][1])
  const { opened, failed, unnamed } = await fleet.restoreAll()
  assert.deepEqual([opened.sort(), failed, unnamed], [['a', 'b'], [], 1])
  const exported = await fleet.exportAll(join(at.root, 'exported'))
  assert.deepEqual([exported.exported.length, exported.failed, exported.unnamed], [2, [], 1])
  const named = await fleet.restoreAll({ tenantIds: [long] })
  assert.deepEqual([named.opened, named.unnamed], [[long], 0])
  await fleet.shutdown()
})
