// Sealing a session anew, so that an old key can go.
//
// Invariants guarded: what is called unneeded is not needed for anything that is kept; a session that runs elsewhere is not ended
// unless that was asked for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../testkit/processes/machines.mjs'
import { hybrid, KEY, OTHER_KEY, rejection } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const fleetOf = (at, more) => new hybrid.HybridAuth({ ...at.replicated, ...more })
const rotated = { encryptionKeys: [OTHER_KEY, KEY] }
const fresh = { encryptionKeys: [OTHER_KEY] }

async function openSome(at, options = at.replicated) {
  const session = await at.open('tenant', options)
  session.state.creds.registrationId = 9
  await session.saveCreds()
  await session.state.keys.set({ session: { a: { n: 1 } } })
  await session.flush()
  return session
}

async function needsOnlyTheNewKey(at) {
  const { ways, damage } = await fleetOf(at, fresh).verify('tenant')
  assert.deepEqual(damage, [])
  assert.ok(ways >= 1)
  const session = await at.open('tenant', { ...at.replicated, ...fresh })
  assert.equal(session.state.creds.registrationId, 9)
  assert.deepEqual(await session.state.keys.get('session', ['a']), { a: { n: 1 } })
  await session.close()
}

test('a_session_that_nobody_runs_is_sealed_anew_and_the_old_key_can_go', async (t) => {
  const at = await storeScene(t)
  await (await openSome(at)).close()
  const [old] = (await fleetOf(at).inspect('tenant')).store.keyIds
  const report = await fleetOf(at, rotated).rekey('tenant')
  assert.deepEqual(
    { ...report, primary: null, needed: null },
    { complete: true, primary: null, needed: null, unneeded: [old], unseen: ['other-disks'] }
  )
  assert.deepEqual(report.needed, [report.primary])
  assert.notEqual(report.primary, old)
  const { store, local } = await fleetOf(at, fresh).inspect('tenant')
  assert.deepEqual([store.owner, store.keyIds, local.keyIds, store.contents.ways], ['released', [report.primary], [report.primary], 2])
  await needsOnlyTheNewKey(at)
})

test('opening_it_once_is_not_enough_and_is_not_called_so', async (t) => {
  const at = await storeScene(t)
  await (await openSome(at)).close()
  const [old] = (await fleetOf(at).inspect('tenant')).store.keyIds
  const once = await at.open('tenant', { ...at.replicated, ...rotated })
  await once.close()
  assert.ok((await fleetOf(at, rotated).inspect('tenant')).store.keyIds.includes(old), 'what is kept against damage needs it')
})

test('a_session_that_is_open_here_is_sealed_anew_and_goes_on', async (t) => {
  const at = await storeScene(t)
  await (await openSome(at)).close()
  const fleet = fleetOf(at, rotated)
  const session = await fleet.open('tenant')
  for (const isIdle of [true, false]) {
    if (!isIdle) await session.state.keys.set({ session: { b: { n: 2 } } })
    const report = await fleet.rekey('tenant')
    assert.deepEqual([report.complete, report.unneeded.length], [true, 1])
  }
  assert.equal(session.status().life, 'live')
  await session.state.keys.set({ session: { c: { n: 3 } } })
  await session.flush()
  const { lsn } = session.status()
  const report = await fleetOf(at, fresh).verify('tenant')
  assert.deepEqual([report.lsn, report.damage], [lsn, []])
  await session.close()
  assert.equal((await fleetOf(at, fresh).verify('tenant')).clean, true)
  await needsOnlyTheNewKey(at)
})

test('a_session_that_may_run_elsewhere_is_left_alone_unless_told', async (t) => {
  const at = await storeScene(t)
  const session = await openSome(at, at.elsewhere())
  assert.equal((await rejection(fleetOf(at, rotated).rekey('tenant'))).code, 'OWNED_ELSEWHERE')
  await session.saveCreds()
  await session.flush()
  assert.equal(session.status().life, 'live')
  const report = await fleetOf(at, rotated).rekey('tenant', { takeover: true })
  assert.equal(report.complete, true)
  // It learns of it at its next check; until then a write that changes nothing has nothing to be refused for.
  await eventually('it is fenced', () => session.status().life === 'fenced')
  assert.equal((await rejection(session.saveCreds())).code, 'FENCED')
})

test('what_is_not_there_cannot_be_sealed', async (t) => {
  const at = await storeScene(t)
  assert.equal((await rejection(fleetOf(at, rotated).rekey('tenant'))).code, 'NOT_FOUND')
  const session = await openSome(at)
  await session.close()
  assert.equal((await rejection(fleetOf(at, fresh).rekey('tenant'))).code, 'KEY_UNAVAILABLE')
  await fleetOf(at).delete('tenant')
  assert.equal((await rejection(fleetOf(at, rotated).rekey('tenant'))).code, 'DELETED')
})

test('the_key_of_hidden_names_is_always_needed', async (t) => {
  const at = await storeScene(t, { hideTenantIds: true })
  await (await openSome(at)).close()
  const [old] = (await fleetOf(at).inspect('tenant')).store.keyIds
  const report = await fleetOf(at, rotated).rekey('tenant')
  assert.deepEqual([report.complete, report.needed, report.unneeded], [true, [report.primary, old], []])
})

test('a_session_without_a_store_is_sealed_anew_too', async (t) => {
  const at = await storeScene(t)
  const session = await at.open('tenant', { ...at.local, encryptionKeys: [KEY] })
  await session.saveCreds()
  const fleet = new hybrid.HybridAuth({ ...at.local, ...rotated })
  assert.equal((await rejection(fleet.rekey('tenant'))).code, 'INVALID_OPTION', 'it is open here with other keys')
  await session.close()
  const report = await fleet.rekey('tenant')
  assert.deepEqual([report.complete, report.needed, report.unneeded.length], [true, [report.primary], 1])
  await (await at.open('tenant', { ...at.local, ...fresh, onMissing: 'error' })).close()
})
