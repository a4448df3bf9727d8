// A session whose credentials were never saved: keys of an identity that is nowhere.
//
// Invariant guarded (I17): keys without credentials are damage, by one rule wherever a session is opened or looked at. Where no
// session may be made it is refused before anybody is ended, else a new identity is told; and it can be removed all the same.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { hybrid, rejection, told } from '../../testkit/processes/sessions.mjs'
import { cloudScene } from '../support/clouds.mjs'

const TENANT = 'tenant'
const NO_CREDENTIALS = 'it has no credentials'

const fleetOf = (options) => new hybrid.HybridAuth(options)

/** A session with keys, whose listener of `creds.update` was forgotten. */
async function withoutCredentials(at, options = at.replicated) {
  const session = await at.open(TENANT, options)
  await session.state.keys.set({ session: { a: { n: 1 } }, 'lid-mapping': { x: 'y' } })
  return session
}

const MODES = {
  'hybrid, on the same disk': (at) => [at.replicated, at.replicated],
  'hybrid, on a blank disk': (at) => [at.replicated, at.elsewhere()],
  cloud: (at) => [at.cloud, at.cloud],
  local: (at) => [at.local, at.local]
}

for (const [name, optionsOf] of Object.entries(MODES)) {
  test(`keys without credentials are no session to go on with, and a new identity is never silent: ${name}`, async (t) => {
    const at = await cloudScene(t)
    const [first, second] = optionsOf(at)
    await (await withoutCredentials(at, first)).close()
    const error = await rejection(at.open(TENANT, { ...second, onMissing: 'error' }))
    assert.equal(error.code, 'NOT_FOUND')
    assert.match(error.message, /keys but no credentials.*saveCreds/)
    const warnings = []
    const logger = { warn: (news) => warnings.push(news.event) }
    const session = await at.open(TENANT, { ...second, logger })
    const { message } = await told(session, 'repaired')
    assert.match(message, /keys but no credentials: a new identity is created/)
    assert.ok(warnings.includes('repaired'))
    assert.equal(session.status().restored.source, 'fresh')
    assert.deepEqual(await session.state.keys.get('session', ['a']), { a: { n: 1 } }, 'nothing is thrown away')
    await session.saveCreds()
    const { registrationId } = session.state.creds
    await session.close()
    const again = await at.open(TENANT, { ...second, onMissing: 'error' })
    assert.equal(again.state.creds.registrationId, registrationId)
    assert.notEqual(again.status().restored.source, 'fresh')
  })
}

test('an owner whose credentials were not saved yet is not ended by whoever needs them', async (t) => {
  const at = await cloudScene(t)
  const owner = await withoutCredentials(at)
  await owner.flush()
  assert.equal((await rejection(at.open(TENANT, { ...at.elsewhere(), onMissing: 'error' }))).code, 'NOT_FOUND')
  await owner.saveCreds()
  await owner.flush()
  const next = await at.open(TENANT, { ...at.elsewhere(), onMissing: 'error' })
  assert.equal(next.state.creds.registrationId, owner.state.creds.registrationId)
})

test('every tool says that credentials are missing', async (t) => {
  const at = await cloudScene(t)
  await (await withoutCredentials(at)).close()
  const fleet = fleetOf(at.replicated)
  assert.deepEqual((await fleet.verify(TENANT)).damage, [NO_CREDENTIALS])
  const { store, local } = await fleet.inspect(TENANT)
  assert.deepEqual(store.damage, [NO_CREDENTIALS])
  assert.equal(local.error.code, 'NOT_FOUND')
  const { ok, problems } = await fleet.drill(TENANT)
  assert.deepEqual([ok, problems], [false, [NO_CREDENTIALS]])
  for (const way of ['extract', 'exportMultiFile']) {
    assert.equal((await rejection(fleet[way](TENANT, join(at.root, way)))).code, 'NOT_FOUND', way)
  }
  const { failed } = await fleet.restoreAll()
  assert.deepEqual(
    failed.map(({ tenantId, error }) => [tenantId, error.code]),
    [[TENANT, 'NOT_FOUND']]
  )
})

test('a session without credentials can be sealed anew, and deleted', async (t) => {
  const at = await cloudScene(t)
  await (await withoutCredentials(at)).close()
  const fleet = fleetOf({ ...at.replicated, onMissing: 'error' })
  assert.equal((await fleet.rekey(TENANT)).complete, true)
  await fleet.delete(TENANT)
  assert.equal((await rejection(at.openReplicated(TENANT))).code, 'DELETED')
})

test('a session that was opened and not paired yet has lost nothing', async (t) => {
  const at = await cloudScene(t)
  await (await at.openReplicated(TENANT)).close()
  const fleet = fleetOf(at.replicated)
  assert.deepEqual((await fleet.verify(TENANT)).damage, [])
  assert.equal((await fleet.drill(TENANT)).ok, true)
  assert.equal((await rejection(at.open(TENANT, { ...at.elsewhere(), onMissing: 'error' }))).code, 'NOT_FOUND')
  assert.equal((await at.open(TENANT, at.elsewhere())).status().restored.source, 'remote')
})
