// The life of a session with a store: several opens, close, delete, status; and the fleet.
//
// Invariant guarded: new credentials never take the place of stored ones, nor are they stored before anybody asked for it;
// closing and deleting are final for those who did it and harmless to others.

import test from 'node:test'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { atEnd } from '../../testkit/base/endings.mjs'
import { hybrid, rejection, still } from '../../testkit/processes/sessions.mjs'
import { clear } from '../../testkit/stores/contents.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const { HybridAuth, HybridAuthError } = hybrid

test('new credentials are not written before saveCreds', async (t) => {
  const at = await storeScene(t)
  for (const options of [at.local, at.replicated]) {
    const first = await at.open('tenant', options)
    assert.deepEqual([first.status().lsn, first.status().keys, first.status().restored.source], [0, 0, 'fresh'])
    const { registrationId, noiseKey } = first.state.creds
    await first.close()
    const second = await at.open('tenant', options)
    assert.notDeepEqual([second.state.creds.registrationId, second.state.creds.noiseKey], [registrationId, noiseKey])
    await second.saveCreds()
    await second.close()
    const third = await at.open('tenant', options)
    assert.deepEqual(third.state.creds.noiseKey, second.state.creds.noiseKey)
    await third.delete()
  }
})

test('an initAuthCreds that throws leaves nothing open behind', async (t) => {
  const at = await storeScene(t)
  const broken = () => {
    throw new Error('no entropy')
  }
  await assert.rejects(at.openReplicated('tenant', { initAuthCreds: broken }), /no entropy/)
  const session = await at.open('tenant', { ...at.elsewhere(), handoverTimeoutMs: 60_000 })
  assert.equal(session.status().life, 'live')
})

test('closing one of two opens leaves the other working, and closing twice is no mistake', async (t) => {
  const at = await storeScene(t)
  for (const [tenant, options] of [
    ['local', at.local],
    ['replicated', at.replicated]
  ]) {
    const [first, second] = [await at.open(tenant, options), await at.open(tenant, options)]
    await first.saveCreds()
    await first.close()
    await first.close()
    for (const use of [
      () => first.state.keys.get('session', ['a']),
      () => first.state.keys.set({ session: { a: 1 } }),
      () => first.state.keys.clear(),
      () => first.saveCreds(),
      () => first.flush(),
      () => first.delete(),
      async () => {
        for await (const id of first.state.keys.listIds('session')) throw new Error(id)
      },
      () => first.exportMultiFile(join(at.root, 'nowhere'))
    ]) {
      const error = await rejection(use())
      assert.equal(error.code, 'CLOSED', String(use))
      assert.ok(error instanceof HybridAuthError)
    }
    await second.state.keys.set({ session: { a: { v: 1 } } })
    assert.deepEqual((await second.state.keys.get('session', ['a'])).a, { v: 1 })
    await second.close()
    assert.equal((await rejection(second.saveCreds())).code, 'CLOSED')
  }
})

test('many opens and closes at once end with one history', async (t) => {
  const at = await storeScene(t)
  await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const session = await at.openReplicated('tenant')
      await session.state.keys.set({ session: { [i]: { i } } })
      await session.close()
    })
  )
  const session = await at.openReplicated('tenant')
  const found = await session.state.keys.get(
    'session',
    Array.from({ length: 12 }, (_, i) => String(i))
  )
  assert.deepEqual(
    Object.values(found).map((value) => value?.i),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
  )
})

test('an open tenant is not shared with another store', async (t) => {
  const at = await storeScene(t)
  await at.openReplicated('tenant')
  assert.equal((await rejection(at.openLocal('tenant'))).code, 'INVALID_OPTION')
  assert.equal((await rejection(at.openReplicated('tenant', await at.anotherStore()))).code, 'INVALID_OPTION')
})

test('status tells how a session fares, with a store and without', async (t) => {
  const at = await storeScene(t, still)
  const local = await at.openLocal('tenant', { directory: join(at.root, 'local') })
  await local.saveCreds()
  await local.flush()
  const { logBytes, bytes, ...rest } = local.status()
  assert.ok(logBytes > bytes && bytes > 500)
  assert.deepEqual(rest, {
    mode: 'local',
    life: 'live',
    lsn: 1,
    localDurableLsn: 1,
    remoteDurableLsn: null,
    lagMs: null,
    keys: 1,
    dirtyKeys: 0,
    dirtyBytes: 0,
    epoch: null,
    restored: { source: 'fresh', clean: true },
    store: 'none',
    storeDurability: null,
    handedOver: false,
    lastBackupAt: null,
    lastError: null,
    baseRefused: null,
    maxBytes: 512 * 1024 * 1024,
    uploads: null
  })
  const replicated = await at.openReplicated('tenant')
  await replicated.state.keys.set({ session: { a: { v: 1 }, b: { v: 2 } } })
  await replicated.saveCreds()
  await replicated.flush()
  const status = replicated.status()
  assert.deepEqual(
    [status.lsn, status.remoteDurableLsn, status.lagMs, status.keys, status.dirtyKeys, status.epoch, status.store],
    [2, 2, 0, 3, 0, 1, 'ok']
  )
  assert.ok(status.lastBackupAt instanceof Date && status.uploads.segments >= 1 && status.uploads.bases === 1 && status.uploads.bytes > 0)
  assert.deepEqual(Object.keys(status).sort(), Object.keys(local.status()).sort())
})

test('nothing anywhere and onMissing: error is NOT_FOUND, and makes no session', async (t) => {
  const at = await storeScene(t)
  for (const options of [at.local, at.replicated]) {
    assert.equal((await rejection(at.open('tenant', { ...options, onMissing: 'error' }))).code, 'NOT_FOUND')
    const session = await at.open('tenant', options)
    assert.equal(session.status().restored.source, 'fresh')
    await session.delete()
    await clear(at.bucket)
  }
})

test('what was deleted stays deleted until fresh: true, and then starts anew', async (t) => {
  const at = await storeScene(t)
  const first = await at.openReplicated('tenant')
  const shared = await at.openReplicated('tenant')
  await first.saveCreds()
  await first.state.keys.set({ session: { a: { v: 1 } } })
  await first.delete()
  assert.equal((await rejection(shared.state.keys.set({ session: { a: 1 } }))).code, 'DELETED')
  assert.equal((await rejection(shared.saveCreds())).code, 'DELETED')
  await shared.close()
  assert.equal((await rejection(at.openReplicated('tenant'))).code, 'DELETED')
  const again = await at.openReplicated('tenant', { fresh: true })
  assert.notDeepEqual(again.state.creds.noiseKey, first.state.creds.noiseKey)
  assert.equal((await again.state.keys.get('session', ['a'])).a, null)
  await again.saveCreds()
  await again.close()
  const later = await at.openReplicated('tenant')
  assert.deepEqual(later.state.creds.noiseKey, again.state.creds.noiseKey)
})

test('a fleet opens, lists, tells, deletes and shuts down', async (t) => {
  const at = await storeScene(t)
  const fleet = new HybridAuth(at.replicated)
  atEnd(t, () => fleet.shutdown({ timeoutMs: 100 }))
  const [a, b] = await Promise.all([fleet.open('a'), fleet.open('b'), fleet.open('c')])
  await Promise.all([a.saveCreds(), b.saveCreds(), b.state.keys.set({ 'device-list': { 1: ['0'] } })])
  assert.deepEqual(fleet.list().sort(), ['a', 'b', 'c'])
  assert.equal(fleet.get('a'), a)
  assert.equal(fleet.get('nobody'), undefined)
  assert.deepEqual(
    Object.values(fleet.status()).map(({ life }) => life),
    ['live', 'live', 'live']
  )
  await fleet.delete('c')
  await b.close()
  assert.deepEqual(fleet.list(), ['a'])
  const report = await fleet.exportMultiFile('b', join(at.root, 'exported'))
  assert.equal(report.written, 1)
  assert.ok(existsSync(join(at.root, 'exported', 'creds.json')))
  assert.deepEqual(fleet.list(), ['a'])
  assert.deepEqual(await fleet.shutdown(), { closed: 1, failed: [] })
  assert.deepEqual(fleet.list(), [])
  assert.equal((await rejection(a.saveCreds())).code, 'CLOSED')
})
