// SIGKILL at random moments, hundreds of times over the same growing folders: what resolved is there, exactly.
//
// Invariant guarded (I11, I12, I13): every acknowledged batch is found again with its exact values, a batch is all or nothing,
// credentials read, and the LSN is the number of batches, never less than before.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Lane } from '../../testkit/processes/killing.mjs'
import { KEY, runSeed, scratch } from '../../testkit/processes/machines.mjs'
import { sized } from '../support/size.mjs'
import { makeRandom } from '../../testkit/world/wire.mjs'

const LANES = 4
const KILLS = sized(13, 52)
/** Time for which a writer may go on after the moment it is killed for, in milliseconds. */
const LONGEST = 120

const KINDS = [
  { mode: 'local', localDurability: 'os', heavy: true },
  { mode: 'local', localDurability: 'os' },
  { mode: 'local', localDurability: 'os', sealed: true, heavy: true },
  { mode: 'local', localDurability: 'data', sealed: true },
  { mode: 'hybrid', localDurability: 'os', sealed: true },
  { mode: 'hybrid', localDurability: 'os' },
  { mode: 'hybrid', localDurability: 'data' }
]

function tenantsOf(folder, random) {
  const bucket = join(folder, 'bucket')
  mkdirSync(bucket)
  return KINDS.map(({ mode, localDurability, sealed, heavy }, n) => ({
    id: `tenant-${n}`,
    history: { seed: random.below(2 ** 31), heavy },
    options: {
      directory: join(folder, 'sessions'),
      mode,
      localDurability,
      ...(mode === 'hybrid' && { store: pathToFileURL(bucket).href, flushIntervalMs: 10, ownershipCheckIntervalMs: 50 }),
      ...(sealed ? { encryptionKeys: [KEY] } : { encryption: 'off' })
    }
  }))
}

test('sigkills_at_random_moments_lose_nothing_that_was_acknowledged', async (t) => {
  const seed = runSeed('sigkill')
  const lanes = Array.from({ length: LANES }, (_, n) => {
    const random = makeRandom(seed + n)
    const folder = scratch(t)
    return new Lane({ name: `lane ${n}`, folder, random, tenants: tenantsOf(folder, random) })
  })
  // All lanes come to their end, even when one has failed: none may leave a child behind.
  const ends = await Promise.allSettled(
    lanes.map(async (lane) => {
      for (let n = 0; n < KILLS; n++) await lane.liveAndDie(LONGEST)
      await lane.lookAt()
    })
  )
  for (const { reason } of ends) if (reason) throw reason
  const sum = (what) => lanes.reduce((total, lane) => total + lane[what], 0)
  t.diagnostic(`${sum('kills')} kills, ${sum('found')} states compared, ${sum('acknowledged')} batches acknowledged`)
  t.diagnostic(`${sum('rolls')} logs rewritten, ${sum('cutShort')} times an unacknowledged batch was found whole`)
  assert.ok(sum('kills') >= sized(50, 200))
  assert.ok(sum('rolls') > 0, 'no log was rewritten: the kills never met a roll')
  assert.ok(sum('acknowledged') > 10 * sum('kills'), 'the writers hardly wrote')
})
