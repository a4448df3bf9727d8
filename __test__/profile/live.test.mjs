// Backups of a running browser under HybridAuth: what is restored after the machine is lost is an instant of the profile, and no older than
// the newest acknowledged backup.

import assert from 'node:assert/strict'
import { test } from '../../testkit/base/missing.mjs'
import { startPairs, writePairs } from '../../testkit/browser/profile.mjs'
import { contentsOf, until } from '../../testkit/processes/sessions.mjs'
import { clients, objectsOf, pairsOf, whole } from '../../testkit/browser/whatsapp-web.mjs'

test('a killed machine loses nothing that was acknowledged: another one continues with an empty disk', async (t) => {
  const { client, at } = await clients(t)
  const one = client('one')
  await one.initialize()
  assert.equal(one.authStrategy.profile.restored.source, 'fresh')
  await writePairs(one.pupPage, { count: 4, bytes: 30_000 })
  await writePairs(one.pupPage, { count: 2, bytes: 120_000 })
  const report = await one.authStrategy.profile.backup()
  assert.equal(report.generation, 1)
  await one.kill()

  const two = client('two')
  await two.initialize()
  assert.equal(two.authStrategy.profile.restored.source, 'remote')
  assert.deepEqual(await pairsOf(two), whole(6))
  await two.destroy()
  assert.ok(objectsOf(at).some((name) => name.includes('packs')))
  assert.equal(JSON.stringify(contentsOf(at.bucket)).includes('model-storage'), false)
})

test('a backup under full load is an instant of the profile', async (t) => {
  const { client } = await clients(t)
  const one = client('one')
  await one.initialize()
  await startPairs(one.pupPage, { bytes: 80_000 })
  await until(async () => (await one.pupPage.evaluate('page.newest()')) > 5, 'pairs')
  await one.authStrategy.profile.backup()
  const least = await one.pupPage.evaluate('page.newest()')
  await one.authStrategy.profile.backup()
  await one.kill()
  const two = client('two')
  await two.initialize()
  const pairs = await pairsOf(two)
  assert.deepEqual(pairs, whole(pairs.newest))
  assert.ok(pairs.newest >= least, `${pairs.newest} of ${least}`)
})

test('a second ready changes nothing, and the first backup is told once', async (t) => {
  const { client } = await clients(t)
  const one = client('one', { backupIntervalMs: 1000 })
  await one.initialize()
  await writePairs(one.pupPage)
  await one.ready()
  await one.ready()
  await until(() => one.events.includes('remote_session_saved'), 'the first backup')
  const { generation } = one.authStrategy.profile.status()
  assert.equal(generation.number, 1)
  await writePairs(one.pupPage)
  await until(() => one.authStrategy.profile.status().generation.number > 1, 'the next backup')
  assert.deepEqual(
    one.events.filter((event) => event === 'remote_session_saved'),
    ['remote_session_saved']
  )
})
