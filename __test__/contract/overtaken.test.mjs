// Several opens of a tenant in one process, as each reconnect of the usual example makes one: the older one finishes its work
// without undoing that of the newer.
//
// Invariant guarded: an open that was overtaken writes what it changed itself and nothing else, and no counter goes backwards.

import assert from 'node:assert/strict'
import test from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { scene } from '../../testkit/processes/sessions.mjs'

const baileys = await lines[0].load()

/** Both opens of a tenant, and what a third one reads after they are closed. */
async function twoOpens(t) {
  const at = scene(t)
  const old = await at.openLocal('tenant', { baileys })
  Object.assign(old.state.creds, { nextPreKeyId: 31, firstUnuploadedPreKeyId: 31, lastPropHash: 'old' })
  await old.saveCreds()
  const now = await at.openLocal('tenant', { baileys })
  const stored = async () => {
    await old.close()
    await now.close()
    return (await at.openLocal('tenant', { baileys })).state.creds
  }
  return { old, now, stored }
}

test('a_late_save_of_an_overtaken_open_keeps_its_own_change_and_rewinds_nothing', async (t) => {
  const { old, now, stored } = await twoOpens(t)
  Object.assign(now.state.creds, { nextPreKeyId: 61, firstUnuploadedPreKeyId: 61, platform: 'android' })
  await now.saveCreds()
  for (const hash of ['x', 'y']) {
    old.state.creds.lastPropHash = hash
    await old.saveCreds()
  }
  now.state.creds.accountSyncCounter = 7
  await now.saveCreds()
  const creds = await stored()
  assert.deepEqual(
    [creds.nextPreKeyId, creds.firstUnuploadedPreKeyId, creds.platform, creds.lastPropHash, creds.accountSyncCounter],
    [61, 61, 'android', 'y', 7]
  )
})

test('pre_keys_of_either_open_take_a_counter_along_that_never_goes_back', async (t) => {
  const { old, now, stored } = await twoOpens(t)
  now.state.creds.nextPreKeyId = 61
  await now.state.keys.set({ 'pre-key': { 60: { private: Buffer.alloc(32), public: Buffer.alloc(32) } } })
  old.state.creds.nextPreKeyId = 41
  await old.state.keys.set({ 'pre-key': { 40: { private: Buffer.alloc(32), public: Buffer.alloc(32) } } })
  const again = await now.state.keys.get('pre-key', ['60', '40'])
  assert.ok(again['60'] && again['40'])
  now.state.creds.nextPreKeyId = 91
  await now.state.keys.set({ 'pre-key': { 90: { private: Buffer.alloc(32), public: Buffer.alloc(32) } } })
  assert.equal((await stored()).nextPreKeyId, 91)
})

test('fields_that_an_overtaken_open_removed_are_gone_and_those_of_the_newer_one_stay', async (t) => {
  const { old, now, stored } = await twoOpens(t)
  now.state.creds.routingInfo = Buffer.from('new')
  await now.saveCreds()
  delete old.state.creds.lastPropHash
  await old.saveCreds()
  const creds = await stored()
  assert.deepEqual([creds.lastPropHash, creds.routingInfo], [undefined, Buffer.from('new')])
})
