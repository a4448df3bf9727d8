// Loops of awaited calls.
//
// Invariant guarded: however fast the calls of a loop resolve, timers, signals and other connections have their turn while it runs.

import test from 'node:test'
import assert from 'node:assert/strict'
import { scene } from '../../testkit/processes/sessions.mjs'

/** Far more calls than pass within a timer's time, so that only a loop that never lets go reaches the end. */
const CALLS = 200_000

const loops = {
  'keys.set': ({ state }, i) => state.keys.set({ session: { [i % 50]: { v: i } } }),
  'keys.get': ({ state }, i) => state.keys.get('session', [String(i % 50)]),
  'keys.clear': ({ state }) => state.keys.clear(),
  saveCreds: ({ state, saveCreds }, i) => {
    state.creds.nextPreKeyId = i
    return saveCreds()
  }
}

for (const [name, call] of Object.entries(loops)) {
  test(`a loop of awaited ${name} lets timers through`, async (t) => {
    const session = await scene(t).openLocal('tenant')
    let fired = false
    setTimeout(() => (fired = true), 1)
    let made = 0
    while (!fired && made < CALLS) await call(session, made++)
    assert.ok(fired, `${made} calls were made, and the timer did not fire`)
  })
}
