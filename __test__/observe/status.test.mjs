// Answers of status() and summary(): how much a blank machine would not restore, and since when it would restore all.
//
// Invariant guarded: what is cut and on its way to the store is not stored yet; and whoever closes a session hears of its last
// upload before close() says that it is over.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { hybrid, rejection, told, until } from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { sceneWith, storeScene } from '../../testkit/stores/scene.mjs'

const { backupState, summarize } = createRequire(import.meta.url)('../../lib/session/status.js')

const FAR = { flushIntervalMs: 3_600_000 }

/** Then it is an upload that finds out that the store fails, and no check. */
const UNCHECKED = { ownershipCheckIntervalMs: 60_000 }

test('what is on its way to a store that fails is dirty until the store has it, and counted once', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = sceneWith(t, bucket, UNCHECKED)
  const session = await at.openReplicated('tenant')
  await session.saveCreds()
  await session.flush()
  assert.deepEqual([session.status().dirtyKeys, session.status().dirtyBytes], [0, 0])
  const heal = await breakAll()
  const degraded = told(session, 'degraded')
  await session.state.keys.set({ session: { a: { v: 1 }, b: { v: 2 } } })
  await degraded
  const { dirtyKeys, dirtyBytes } = session.status()
  assert.ok(dirtyKeys === 2 && dirtyBytes > 0, `${dirtyKeys} keys, ${dirtyBytes} bytes`)
  await until(() => session.status().lagMs > 0, 'a lag')
  await session.state.keys.set({ session: { b: { v: 3 }, c: { v: 4 } } })
  assert.equal(session.status().dirtyKeys, 3, 'b is one key, on its way and waiting')
  const recovered = told(session, 'recovered')
  await heal()
  await recovered
  await session.flush()
  assert.deepEqual([session.status().dirtyKeys, session.status().dirtyBytes, session.status().lagMs], [0, 0, 0])
})

test('the last upload of close() is told before its promise resolves, to every session of the tenant', async (t) => {
  const at = await storeScene(t, FAR)
  for (let round = 0; round < 20; round++) {
    const sessions = [await at.openReplicated('tenant'), await at.openReplicated('tenant')]
    const heard = sessions.map(() => [])
    sessions.forEach((session, n) => session.on('backup', ({ lsn }) => heard[n].push(lsn)))
    await sessions[0].state.keys.set({ session: { a: { round, of: 'the first' } } })
    const first = sessions[0].status().lsn
    await sessions[0].close()
    assert.deepEqual(heard[0], [first], `round ${round}: while another has it open`)
    await sessions[1].state.keys.set({ session: { a: { round, of: 'the last' } } })
    const { lsn } = sessions[1].status()
    await sessions[1].close()
    assert.deepEqual(heard[1], [first, lsn], `round ${round}: the last of them`)
    assert.deepEqual(heard[0], [first], 'whoever has left hears no more')
  }
})

test('closing with nothing to store tells nothing, and closing twice neither hangs nor tells twice', async (t) => {
  const at = await storeScene(t, FAR)
  const session = await at.openReplicated('tenant')
  const heard = []
  session.on('backup', ({ lsn }) => heard.push(lsn))
  await session.saveCreds()
  await session.flush()
  await Promise.all([session.close(), session.close()])
  await session.close()
  assert.deepEqual(heard, [1])
})

test('a listener that closes its session from within the event gets an answer', async (t) => {
  const at = await storeScene(t)
  const session = await at.openReplicated('tenant')
  const closed = told(session, 'backup').then(() => session.close())
  await session.saveCreds()
  await closed
  assert.equal((await rejection(session.saveCreds())).code, 'CLOSED')
})

test('the time of the last backup is known from the open on, unless there is nothing to have', async (t) => {
  const at = await storeScene(t)
  const fresh = await at.openReplicated('tenant')
  assert.equal(fresh.status().lastBackupAt, null, 'nothing was written yet')
  await fresh.saveCreds()
  await fresh.flush()
  const stored = fresh.status().lastBackupAt
  assert.ok(stored instanceof Date)
  await fresh.close()
  const places = { remote: at.elsewhere(), local: at.replicated }
  for (const [source, options] of Object.entries(places)) {
    const again = await at.open('tenant', options)
    const { restored, lastBackupAt } = again.status()
    assert.ok(restored.source === source || source === 'local', source)
    assert.ok(lastBackupAt >= stored, `${source}: ${lastBackupAt}`)
    await again.close()
  }
})

test('the summary of a fleet counts its sessions by life and backup, and tells the worst', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = sceneWith(t, bucket, UNCHECKED)
  const fleet = new hybrid.HybridAuth(at.replicated)
  const none = { opening: 0, live: 0, fenced: 0, 'lease-lost': 0, closing: 0, closed: 0, deleted: 0, poisoned: 0 }
  const quiet = { maxLagMs: 0, dirtyKeys: 0, dirtyBytes: 0, degraded: 0 }
  assert.deepEqual(fleet.summary(), { sessions: 0, byLife: none, byBackup: { never: 0, overdue: 0, ok: 0 }, ...quiet, store: 'none' })
  const [a] = [await fleet.open('a'), await fleet.open('b'), await fleet.open('local', { mode: 'local', store: null })]
  await a.saveCreds()
  await a.flush()
  const calm = { sessions: 3, byLife: { ...none, live: 3 }, byBackup: { never: 1, overdue: 0, ok: 2 }, ...quiet, store: 'ok' }
  assert.deepEqual(fleet.summary(), calm)
  const heal = await breakAll()
  const degraded = told(a, 'degraded')
  await a.state.keys.set({ session: { a: { v: 1 } } })
  await degraded
  await until(() => fleet.summary().maxLagMs > 0, 'a lag')
  const { maxLagMs, dirtyKeys, dirtyBytes, store, degraded: failing } = fleet.summary()
  assert.ok(maxLagMs > 0 && dirtyKeys === 1 && dirtyBytes > 0 && failing >= 1 && store === 'degraded')
  await heal()
  await fleet.shutdown()
})

test('what a newer owner has, or nobody, is not behind; what is merely out of use here still is', () => {
  const behind = { lsn: 9, remoteDurableLsn: 7, lagMs: 700_000, dirtyKeys: 2, dirtyBytes: 50, store: 'degraded', handedOver: false }
  const owned = { live: true, closing: true, 'lease-lost': true, poisoned: true, fenced: false, closed: false, deleted: false }
  for (const [life, counts] of Object.entries(owned)) {
    const n = counts ? 1 : 0
    const { byLife, byBackup, ...rest } = summarize([{ ...behind, life }])
    assert.equal(byLife[life], 1)
    assert.deepEqual(byBackup, { never: 0, overdue: n, ok: 0 }, life)
    const worst = { maxLagMs: n * 700_000, dirtyKeys: n * 2, dirtyBytes: n * 50, degraded: n }
    assert.deepEqual(rest, { sessions: 1, ...worst, store: counts ? 'degraded' : 'ok' }, life)
  }
  assert.equal(backupState({ ...behind, life: 'live', lagMs: 600_000 }), 'ok', 'ten minutes are allowed')
  assert.equal(backupState({ ...behind, life: 'live', lagMs: 600_001 }), 'overdue')
  assert.equal(backupState({ ...behind, life: 'live', remoteDurableLsn: 0 }), 'never')
})
