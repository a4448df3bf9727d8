// Out again: every tenant as a folder that `useMultiFileAuthState` opens, in a tree.
//
// Invariant guarded: no tenant is left out in silence, none leads out of the tree or into the folder of another.

import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { contentsOf, hybrid, rejection, scene } from '../../testkit/processes/sessions.mjs'

const [v7] = lines
const TENANTS = ['plain', '+49 151', 'user/session', '..', '.', 'a.b', '.hidden', 'CON:1', 'Ünï', '50%', 'x'.repeat(300)]

async function fleetOf(t, tenants) {
  const at = scene(t)
  const baileys = await v7.load()
  const identities = {}
  for (const tenant of tenants) {
    const session = await at.openReplicated(tenant, { baileys })
    await session.saveCreds()
    await session.state.keys.set({ 'lid-mapping': { 1: tenant } })
    identities[tenant] = session.state.creds.noiseKey
    await session.close()
  }
  return { at, baileys, identities, fleet: new hybrid.HybridAuth({ ...at.replicated, baileys }) }
}

test('whatever tenants are called, each has a folder of its own within the tree', async (t) => {
  const { at, baileys, identities, fleet } = await fleetOf(t, TENANTS)
  const tree = join(at.root, 'tree')
  const told = []
  const tenantIds = TENANTS.filter((tenant) => tenant.length < 300)
  const { exported, failed } = await fleet.exportAll(tree, { tenantIds, onProgress: (news) => told.push(news) })
  assert.deepEqual(failed, [])
  assert.deepEqual(exported.map(({ tenantId }) => tenantId).sort(), [...tenantIds].sort())
  assert.deepEqual([told.length, told.at(-1).done, told.at(-1).total], [10, 10, 10])
  assert.deepEqual(readdirSync(tree).length, tenantIds.length)
  assert.ok(readdirSync(at.root).every((name) => ['machine-1', 'bucket', 'tree'].includes(name)))
  for (const { tenantId, folder, written } of exported) {
    assert.equal(written, 1)
    const { state } = await baileys.useMultiFileAuthState(join(tree, folder))
    assert.deepEqual(state.creds.noiseKey, identities[tenantId], tenantId)
    assert.deepEqual(await state.keys.get('lid-mapping', ['1']), { 1: tenantId })
  }
  assert.ok(existsSync(join(tree, 'plain', 'creds.json')) && existsSync(join(tree, '+49 151', 'creds.json')))
})

test('all that the store has are exported, to folders of the caller, and one that fails stops no other', async (t) => {
  const { at, fleet } = await fleetOf(t, ['u1-a', 'u1-b', 'u2-a'])
  const tree = join(at.root, 'tree')
  const folderOf = (tenantId) => tenantId.replace('-', '/')
  await fleet.exportAll(tree, { tenantIds: ['u1-a'], folderOf })
  const { exported, failed } = await fleet.exportAll(tree, { folderOf, concurrency: 1 })
  assert.deepEqual(
    exported.map(({ folder }) => folder),
    ['u1/b', 'u2/a']
  )
  assert.deepEqual(
    failed.map(({ tenantId, error }) => [tenantId, error.code]),
    [['u1-a', 'INVALID_OPTION']]
  )
  assert.deepEqual((await fleet.exportAll(tree, { folderOf, overwrite: true })).failed, [])
  // And in again, the same way.
  const report = await hybrid.migrate({
    ...at.elsewhere(),
    store: null,
    mode: 'local',
    baileys: await v7.load(),
    from: tree,
    tenantId: '{1}-{2}'
  })
  assert.deepEqual(
    report.sessions.map(({ tenantId, status }) => [tenantId, status]),
    [
      ['u1-a', 'migrated'],
      ['u1-b', 'migrated'],
      ['u2-a', 'migrated']
    ]
  )
})

test('folders that lead elsewhere or are shared are refused before anything is written', async (t) => {
  const { at, fleet } = await fleetOf(t, ['a', 'A'])
  const tree = join(at.root, 'tree')
  for (const folderOf of [
    () => '..',
    () => '../x',
    () => '/etc',
    () => 'a/../../x',
    () => '',
    () => 7,
    () => 'a\\b',
    () => 'same',
    undefined
  ]) {
    assert.equal((await rejection(fleet.exportAll(tree, { folderOf }))).code, 'INVALID_OPTION')
  }
  for (const how of [{ concurrency: 0 }]) assert.equal((await rejection(fleet.exportAll(tree, how))).code, 'INVALID_OPTION')
  assert.equal((await rejection(fleet.exportAll(''))).code, 'INVALID_OPTION')
  assert.equal(existsSync(tree), false)
  assert.ok(Object.keys(contentsOf(at.bucket)).length > 0)
})
