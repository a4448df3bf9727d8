// Profiles of browsers in the hands of an operator: the tools for sessions, over a store that has both.
//
// Invariants: a fleet and its commands open no profile; what checks a store, or seals it anew, includes profiles; nothing but `delete`
// and `prune` deletes one.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { atEnd } from '../../testkit/base/endings.mjs'
import { KEY, scratch } from '../../testkit/processes/machines.mjs'
import hybrid from '../../index.js'
import profiles from '../../lib/profile/index.js'

const PROFILE = 'browser-profile/shop'
const OLD = KEY
const NEW = 'e'.repeat(64)

async function world(t) {
  const root = scratch(t)
  const [bucket, folder] = [join(root, 'bucket'), join(root, 'profile')]
  for (const at of [bucket, join(folder, 'Kept')]) mkdirSync(at, { recursive: true })
  const store = `file://${bucket}`
  const profile = await profiles.openProfileSession(PROFILE, { dataPath: join(root, 'data'), store, encryptionKeys: [OLD] })
  for (const round of [1, 2]) {
    writeFileSync(join(folder, 'Kept', `file-${round}`), Buffer.alloc(30_000, `${round}`))
    await profile.store(folder, { extraPaths: ['Kept'] })
  }
  await profile.close()
  const options = { store, directory: join(root, 'sessions'), encryptionKeys: [OLD] }
  const session = await hybrid.useHybridAuthState('shop-1', options)
  await session.saveCreds()
  await session.close()
  const fleet = (keys = [OLD]) => {
    const made = new hybrid.HybridAuth({ ...options, encryptionKeys: keys })
    atEnd(t, () => made.shutdown())
    return made
  }
  return {
    root,
    bucket,
    fleet,
    packs: () =>
      readdirSync(bucket, { recursive: true })
        .map(String)
        .filter((name) => name.endsWith('.pack'))
  }
}

test('fleet_opens_no_profile_and_checks_all_of_them', async (t) => {
  const { root, fleet } = await world(t)
  const one = fleet()
  assert.deepEqual(await one.tenants(), [PROFILE, 'shop-1'])
  const { opened, failed } = await one.restoreAll()
  assert.deepEqual([opened, failed], [['shop-1'], []])
  await assert.rejects(one.open(PROFILE), { code: 'INVALID_OPTION' })
  const { keys, damage } = await one.verify(PROFILE)
  assert.ok(keys > 0 && damage.length === 0)
  const drilled = await one.drill(PROFILE)
  assert.deepEqual([drilled.ok, drilled.restored.generation, drilled.restored.files], [true, 2, 2])
  const to = join(root, 'copy')
  await one.extract(PROFILE, to)
  assert.deepEqual(readFileSync(join(to, 'Kept', 'file-2')), Buffer.alloc(30_000, '2'))
  assert.equal(existsSync(join(root, 'sessions', 'browser-profile')), false)
})

test('rekey_seals_the_packs_of_a_profile_anew', async (t) => {
  const { fleet, packs } = await world(t)
  const { complete } = await fleet([NEW, OLD]).rekey(PROFILE)
  assert.equal(complete, true)
  assert.equal(packs().length, 2)
  const drilled = await fleet([NEW]).drill(PROFILE)
  assert.equal(drilled.ok, true)
})

test('deletion_of_a_profile_by_an_operator_leaves_no_pack', async (t) => {
  const { fleet, packs } = await world(t)
  await fleet().delete(PROFILE)
  assert.deepEqual(packs(), [])
  await assert.rejects(fleet().verify(PROFILE), { code: 'DELETED' })
})
