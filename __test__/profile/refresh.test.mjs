// Packs that grow old: a rule of the bucket would remove them, although the profile needs them.
//
// Invariant: what a kept generation needs is stored again before it is older than `refreshIntervalMs`, as it was, and nothing else is.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { atEnd } from '../../testkit/base/endings.mjs'
import { KEY, scratch } from '../../testkit/processes/machines.mjs'
import profiles from '../../lib/profile/index.js'

const HOUR = 3_600_000

test('pack_that_grows_old_is_stored_again_as_it_was', async (t) => {
  const root = scratch(t)
  const [bucket, folder] = [join(root, 'bucket'), join(root, 'profile')]
  for (const at of [bucket, join(folder, 'Kept')]) mkdirSync(at, { recursive: true })
  const open = async (refreshIntervalMs) => {
    const profile = await profiles.openProfileSession('browser-profile/shop', {
      dataPath: join(root, 'data'),
      store: `file://${bucket}`,
      encryptionKeys: [KEY],
      refreshIntervalMs
    })
    atEnd(t, () => profile.close().catch(() => {}))
    return { profile, backUp: () => profile.store(folder, { extraPaths: ['Kept'] }) }
  }
  const packs = () =>
    readdirSync(bucket, { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('.pack'))
      .sort()
      .map((name) => join(bucket, name))
  const ages = () => packs().map((path) => Date.now() - statSync(path).mtimeMs)

  const first = await open(HOUR)
  for (const round of [1, 2]) {
    writeFileSync(join(folder, 'Kept', `file-${round}`), Buffer.alloc(20_000, round))
    await first.backUp()
  }
  await first.profile.close()
  assert.equal(packs().length, 2)
  const bytes = packs().map((path) => readFileSync(path))
  const [old, young] = packs()
  const before = (ms) => new Date(Date.now() - ms)
  utimesSync(old, before(2 * HOUR), before(2 * HOUR))
  utimesSync(young, before(HOUR / 2), before(HOUR / 2))

  const second = await open(HOUR)
  const report = await second.backUp()
  assert.deepEqual([report.changed, report.uncollected], [false, null])
  const [refreshed, left] = ages()
  assert.ok(refreshed < HOUR / 2 && left >= HOUR / 2, `${refreshed} and ${left} ms old`)
  assert.deepEqual(
    packs().map((path) => readFileSync(path)),
    bytes
  )
})
