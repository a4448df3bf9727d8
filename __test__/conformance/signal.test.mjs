// Real conversations on our store: every message that a contact, a group or the subject sends decrypts to the bytes that were
// encrypted, across a restart, and across the loss of the machine.
//
// Invariant guarded: a session that moved through our log or through the bucket is the same session to the Signal protocol;
// and the world that says so notices a store that forgets.

import test from 'node:test'
import assert from 'node:assert/strict'
import { scene } from '../../testkit/processes/sessions.mjs'
import { sized } from '../support/size.mjs'
import { createWorld, loadLine } from '../../testkit/world/world.mjs'
import { checkWorld } from '../../testkit/world/world.selfcheck.mjs'
import { runSeed } from '../values/arbitrary.mjs'

const seed = runSeed('signal')
const MESSAGES = sized(40, 100)

for (const name of ['v7', 'v6.7', 'v6']) {
  test(`${name}: every message decrypts, before and after a restart and on a blank machine`, async (t) => {
    const at = scene(t)
    const line = await loadLine(name)
    const tenant = '+49 30 1234567'
    let session = await at.openReplicated(tenant, { baileys: line.baileys })
    const world = await createWorld({ line: name, seed, groups: 2, subject: session })
    await world.run(MESSAGES)

    await session.close()
    session = await at.openReplicated(tenant, { baileys: line.baileys, onMissing: 'error' })
    assert.deepEqual(session.status().restored, { source: 'local', clean: true })
    await world.swapSubject(session)
    await world.run(MESSAGES)

    await session.close()
    session = await at.open(tenant, { ...at.elsewhere(), baileys: line.baileys, onMissing: 'error' })
    assert.deepEqual(session.status().restored, { source: 'remote', clean: true })
    await world.swapSubject(session)
    await world.run(MESSAGES)
    const { keys } = await world.audit()
    assert.ok(keys > 40, `${keys} keys were compared`)
    assert.equal(world.stats.messages, 3 * MESSAGES)
  })
}

test('the signal world notices a store that forgets', async () => {
  await checkWorld({ messages: 60, lines: ['v7'] })
})
