// A WhatsApp device that moves between two processes again and again, with real Signal traffic in between.
//
// Invariant guarded (I20, promise 5): after every move each message decrypts, no key that was shown is missing, and whoever
// was left behind can write nothing.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { atEnd, eventually, KEY, runSeed, scratch } from '../../testkit/processes/machines.mjs'
import { unhurried } from '../../testkit/processes/sessions.mjs'
import { sized } from '../support/size.mjs'
import { makeBucket } from '../../testkit/stores/index.mjs'
import { createWorld, SubjectProcess } from '../../testkit/world/world.mjs'

const MOVES = sized(6, 20)
const MESSAGES = 8
const FACTORY = new URL('../../testkit/processes/child-subject.mjs', import.meta.url)

test('a_device_that_moves_between_two_processes_again_and_again_decrypts_every_message', async (t) => {
  const seed = runSeed('ping-pong')
  const folder = scratch(t)
  const bucket = await makeBucket(t)
  const start = async (name) => {
    const options = {
      directory: join(folder, name),
      ...bucket.options,
      ...unhurried,
      encryptionKeys: [KEY],
      // At each move the half of this is waited for.
      ownershipCheckIntervalMs: 1000,
      // Nothing leaves by itself: what the next one has, it was handed.
      flushIntervalMs: 600_000,
      closeTimeoutMs: 60_000
    }
    const subject = new SubjectProcess('v7', FACTORY, { tenant: 't', options })
    atEnd(t, () => subject.kill())
    await subject.opened
    return subject
  }

  let here = await start('left')
  const world = await createWorld({ line: 'v7', seed, contacts: 4, groups: 1, subject: here })
  let there = null
  for (let move = 1; move <= MOVES; move++) {
    await world.run(MESSAGES)
    if (there === null) there = await start('right')
    else await there.call('reopen')
    await eventually('it is fenced', () => here.call('isFenced'))
    assert.equal(await here.call('tryToWrite'), 'FENCED')
    // The successor may be through before the predecessor has heard that its last PUT arrived.
    const left = await eventually('it has handed over', async () => {
      const status = await here.call('status')
      return status.handedOver && status
    })
    const taken = await there.call('status')
    assert.deepEqual([taken.lsn, taken.restored.source, taken.restored.clean], [left.lsn, 'remote', true], `move ${move}`)
    await world.swapSubject(there)
    ;[here, there] = [there, here]
  }
  await world.run(MESSAGES)
  const { keys } = await world.audit()
  assert.equal(world.stats.restarts, MOVES)
  t.diagnostic(
    `${world.stats.messages} messages over ${MOVES} moves, ${world.stats.refusedDuplicates} duplicates refused, ${keys} keys compared`
  )
  await here.call('close')
})
