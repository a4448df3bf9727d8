// Events of a session while it runs: backups, a restore, a newer owner, an outage, an emptied bucket.
//
// Invariant guarded: trouble with the store never stops a session and is told with a code, once, to those who listen, and is
// never thrown at somebody who does not; and when it is over, everything that resolved meanwhile is in the store.

import test from 'node:test'
import assert from 'node:assert/strict'
import { hybrid, rejection, still, told, unhurried, until } from '../../testkit/processes/sessions.mjs'
import { clear } from '../../testkit/stores/contents.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { sceneWith, storeScene } from '../../testkit/stores/scene.mjs'

const { HybridAuthError } = hybrid

test('backup is told when writes are in the store, and a blank machine says where it came from', async (t) => {
  const at = await storeScene(t)
  const session = await at.openReplicated('tenant')
  const backup = told(session, 'backup')
  await session.saveCreds()
  const { lsn, bytes } = await backup
  assert.ok(lsn === 1 && bytes > 0)
  await session.close()
  const blank = await at.open('tenant', at.elsewhere())
  assert.deepEqual(await told(blank, 'restored'), { source: 'remote', clean: true })
})

test('a newer instance fences the older one, which hands over what it had', async (t) => {
  const at = await storeScene(t)
  const older = await at.openReplicated('tenant', { ...unhurried, flushIntervalMs: 3_600_000 })
  await older.saveCreds()
  await older.flush()
  await older.state.keys.set({ session: { last: { v: 1 } } })
  const fenced = told(older, 'fenced')
  const newer = await at.open('tenant', { ...at.elsewhere(), ...unhurried })
  await fenced
  assert.deepEqual((await newer.state.keys.get('session', ['last'])).last, { v: 1 })
  for (const write of [() => older.state.keys.set({ session: { x: 1 } }), () => older.saveCreds(), () => older.state.keys.clear()]) {
    assert.equal((await rejection(write())).code, 'FENCED')
  }
  await until(() => older.status().handedOver, 'the handover')
  assert.equal(older.status().life, 'fenced')
  assert.deepEqual((await older.state.keys.get('session', ['last'])).last, { v: 1 }, 'it can still be read')
  await older.close()
  await newer.state.keys.set({ session: { x: { v: 2 } } })
})

test('an outage of the store is told once, stops nothing, and is caught up with', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = sceneWith(t, bucket, still)
  const session = await at.openReplicated('tenant')
  await session.saveCreds()
  await session.flush()
  const degraded = told(session, 'degraded')
  const heal = await breakAll()
  await session.state.keys.set({ session: { during: { v: 1 } } })
  const error = await degraded
  assert.ok(error instanceof HybridAuthError)
  assert.equal(error.code, 'REMOTE_UNAVAILABLE')
  assert.equal(session.status().store, 'degraded')
  assert.equal(session.status().lastError.code, 'REMOTE_UNAVAILABLE')
  assert.equal((await rejection(session.flush({ timeoutMs: 50 }))).code, 'REMOTE_UNAVAILABLE')
  await session.state.keys.set({ session: { more: { v: 2 } } })

  const recovered = told(session, 'recovered')
  await heal()
  assert.ok((await recovered).lsn >= 1)
  await session.flush()
  assert.equal(session.status().store, 'ok')
  await session.close()
  const blank = await at.open('tenant', at.elsewhere())
  assert.deepEqual({ ...(await blank.state.keys.get('session', ['during', 'more'])) }, { during: { v: 1 }, more: { v: 2 } })
})

// An emptied bucket needs a person, is told as an error, and is mended from memory.

test('an error that nobody listens to is logged and not thrown', async (t) => {
  const at = await storeScene(t)
  const logged = []
  const log = (details, message) => logged.push({ details, message })
  const session = await at.openReplicated('tenant', { logger: { debug() {}, info() {}, warn: log, error: log } })
  await session.saveCreds()
  await session.flush()
  await clear(at.bucket)
  await until(() => logged.some(({ details }) => details.code === 'REMOTE_CORRUPT'), 'the error in the log')
  await until(async () => (await at.bucket.list()).some((name) => name.endsWith('.live')), 'the bucket filled again')
  await session.close()
  const blank = await at.open('tenant', at.elsewhere())
  assert.deepEqual(blank.state.creds.noiseKey, session.state.creds.noiseKey)
})

test('what is written while an emptied bucket is filled again is acknowledged as well', async (t) => {
  // Once, a write that went into the new base was never acknowledged: flush waited for nothing until it gave up.
  const at = await storeScene(t)
  const session = await at.openReplicated('tenant')
  await session.saveCreds()
  await session.flush()
  for (let round = 0; round < 5; round++) {
    const refilling = told(session, 'error')
    await clear(at.bucket)
    assert.equal((await refilling).code, 'REMOTE_CORRUPT')
    await session.state.keys.set({ session: { during: { round } } })
    await session.flush()
  }
  assert.equal(session.status().remoteDurableLsn, session.status().lsn)
})

test('listeners are for known events, and can be taken off', async (t) => {
  const at = await storeScene(t)
  const session = await at.openReplicated('tenant')
  assert.throws(() => session.on('bakcup', () => {}), { code: 'INVALID_OPTION' })
  let calls = 0
  const listener = () => calls++
  assert.equal(session.on('backup', listener), session)
  assert.equal(session.off('backup', listener), session)
  await session.saveCreds()
  await session.flush()
  assert.equal(calls, 0)
})

test('nobody_has_to_wait_for_save_creds_or_close_of_a_session_that_was_fenced', async (t) => {
  const at = await storeScene(t, unhurried)
  const older = await at.openReplicated('tenant')
  const newer = await at.open('tenant', at.elsewhere())
  if (older.status().life !== 'fenced') await told(older, 'fenced')
  const errors = []
  older.on('error', (error) => errors.push(error.code))
  // As listeners do: a rejection that nobody handles would end this process, and every other session in it.
  const saved = older.saveCreds()
  older.close()
  assert.equal((await rejection(saved)).code, 'FENCED', 'whoever waits is told')
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual(errors, [], 'that it was fenced was told before')
  await newer.saveCreds()
})
