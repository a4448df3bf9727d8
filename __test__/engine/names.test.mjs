// A tenant has one name in a store: with `hideTenantIds` or the order of the keys changed it is called otherwise, and is still the same.
//
// Invariant guarded (I17): what is there under another name is never called missing, vanished or new, by anybody who opens or looks,
// nor made a second time; and where it was, it is found.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hybrid, KEY, OTHER_KEY, rejection } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const TENANT = 'tenant'
const MISNAMED = /stored under another kind of name; restore the earlier `hideTenantIds`, and keep the oldest key last/
const CHANGES = {
  'hidden and then not': [{ hideTenantIds: true }, {}],
  'visible and then hidden': [{}, { hideTenantIds: true }],
  'the order of the keys changed': [
    { hideTenantIds: true, encryptionKeys: [OTHER_KEY, KEY] },
    { hideTenantIds: true, encryptionKeys: [KEY, OTHER_KEY] }
  ]
}

for (const [what, [was, is]] of Object.entries(CHANGES)) {
  test(`a_session_under_another_name_is_neither_missing_nor_vanished_nor_new: ${what}`, async (t) => {
    const at = await storeScene(t)
    const first = await at.openReplicated(TENANT, was)
    await first.saveCreds()
    await first.close()
    const claims = async () => (await at.bucket.list()).filter((name) => name.startsWith('v1/claims/'))
    const before = await claims()
    const blank = at.elsewhere()
    for (const directory of [at.directory, blank.directory]) {
      for (const more of [{}, { onMissing: 'error' }, { seedFromDisk: true }, { fresh: true }]) {
        const error = await rejection(at.openReplicated(TENANT, { ...is, directory, ...more }))
        assert.equal(error.code, 'INVALID_OPTION', JSON.stringify(more))
        assert.match(error.message, MISNAMED)
      }
    }
    const fleet = new hybrid.HybridAuth({ ...blank, ...is })
    for (const tool of ['verify', 'drill', 'rekey']) {
      const error = await rejection(fleet[tool](TENANT))
      assert.deepEqual([error.code, MISNAMED.test(error.message)], ['INVALID_OPTION', true], tool)
    }
    const { store } = await fleet.inspect(TENANT)
    assert.equal(store.error.code, 'INVALID_OPTION')
    assert.deepEqual(await claims(), before, 'nothing was claimed')
    const back = await at.openReplicated(TENANT, { ...was, onMissing: 'error' })
    assert.equal(back.state.creds.registrationId, first.state.creds.registrationId)
  })
}

test('of_two_new_sessions_that_begin_at_once_under_two_names_one_at_most_goes_on', async (t) => {
  const at = await storeScene(t)
  for (let round = 0; round < 10; round++) {
    const tenant = `${TENANT}-${round}`
    const opens = [{}, { hideTenantIds: true }].map((how) => at.open(tenant, { ...at.elsewhere(), ...how }))
    const done = await Promise.allSettled(opens)
    const refused = done.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.code)
    assert.ok(refused.length >= 1, 'two sessions of one tenant')
    assert.deepEqual([...new Set(refused)], ['INVALID_OPTION'])
    for (const { value } of done) await value?.close()
    // Whoever let go left nothing behind that keeps anybody out.
    if (refused.length === 2) await (await at.open(tenant, at.elsewhere())).close()
  }
})

test('two_sessions_of_one_tenant_under_two_names_are_found', async (t) => {
  const [one, other] = [await storeScene(t), await storeScene(t)]
  await (await one.openReplicated(TENANT)).close()
  await (await other.openReplicated(TENANT, { hideTenantIds: true })).close()
  // As two machines left them that did not look.
  for (const name of await other.bucket.list()) await one.bucket.put(name, await other.bucket.get(name))
  const fleet = new hybrid.HybridAuth(one.replicated)
  await fleet.open(TENANT)
  const found = await fleet.survey()
  const visible = found.find(({ name }) => name === TENANT)
  assert.deepEqual([found.length, visible.alsoNamed.length], [2, 1])
  const names = (await fleet.doctor()).find(({ name }) => name === 'names')
  assert.equal(names.outcome, 'failed')
  assert.match(names.message, /under two kinds of name/)
  await fleet.shutdown()
})
