// The life of a session: credentials, several opens, close, delete; and the fleet.
//
// Invariant guarded: `creds` is one object within an open and never a silent new identity; closing and deleting are final for
// those who did it and harmless to others.

import test from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lines } from '../support/baileys-lines.mjs'
import { copyPackage, hybrid, rejection, scene, startProcess, temporaryFolder } from '../support/sessions.mjs'

const { HybridAuth, HybridAuthError } = hybrid

test('creds is one object from open to close, and saveCreds stores what it is at the call', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant', { localDurability: 'data' })
  const { creds } = session.state
  creds.me = { id: 'at the call' }
  creds.additionalData = { list: [1] }
  const saved = session.saveCreds()
  creds.me.id = 'later'
  creds.additionalData.list.push(2)
  await saved
  assert.equal(session.state.creds, creds)
  const other = await at.openLocal('tenant', { localDurability: 'data' })
  assert.deepEqual([other.state.creds.me, other.state.creds.additionalData], [{ id: 'at the call' }, { list: [1] }])
})

test('saveCreds takes no argument: the partial update that Baileys emits is never what is stored', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant')
  await session.saveCreds({ lastPropHash: 'only this' })
  const again = await at.openLocal('tenant')
  assert.deepEqual(again.state.creds.noiseKey, session.state.creds.noiseKey)
  assert.equal(again.state.creds.lastPropHash, undefined)
})

test('new credentials are not written before saveCreds', async (t) => {
  const at = scene(t)
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

test('initAuthCreds makes the credentials of a new session, and of no other', async (t) => {
  const at = scene(t)
  let made = 0
  const initAuthCreds = () => ({ made: ++made, noiseKey: { private: Buffer.alloc(32), public: Buffer.alloc(32) } })
  const first = await at.openLocal('tenant', { initAuthCreds })
  assert.deepEqual(first.state.creds, { made: 1, noiseKey: { private: Buffer.alloc(32), public: Buffer.alloc(32) } })
  await first.saveCreds()
  await first.close()
  const second = await at.openLocal('tenant', { initAuthCreds })
  assert.equal(second.state.creds.made, 1)
  assert.equal(made, 1)
})

test('an initAuthCreds that throws leaves nothing open behind', async (t) => {
  const at = scene(t)
  const broken = () => { throw new Error('no entropy') }
  await assert.rejects(at.openReplicated('tenant', { initAuthCreds: broken }), /no entropy/)
  const session = await at.open('tenant', { ...at.elsewhere(), handoverTimeoutMs: 60_000 })
  assert.equal(session.status().life, 'live')
})

test('where no Baileys is installed a new session names what to pass, and a stored one opens', async (t) => {
  const packageFolder = copyPackage(t)
  const directory = temporaryFolder(t)
  const child = startProcess(t, openWithoutBaileys, { directory }, { packageFolder, cwd: packageFolder })
  const [refused, stored] = [await child.said(), await child.said()]
  assert.equal(refused.code, 'INVALID_OPTION')
  assert.match(refused.message, /initAuthCreds/)
  assert.match(refused.message, /baileys/)
  assert.deepEqual(stored, { name: 'given', bytes: 'AQID', keyData: 'BwcH' })
})

async function openWithoutBaileys({ hybrid, args, say }) {
  const open = (options) => hybrid.useHybridAuthState('tenant', { directory: args.directory, mode: 'local', ...options })
  const { code, message } = await open().catch((error) => error)
  await say({ code, message })
  const first = await open({ initAuthCreds: () => ({ name: 'given', bytes: Buffer.from([1, 2, 3]) }) })
  await first.saveCreds()
  await first.state.keys.set({ 'app-state-sync-key': { k: { toJSON: () => ({ keyData: 'BwcH' }) } } })
  await first.close()
  const { state } = await open()
  const { k } = await state.keys.get('app-state-sync-key', ['k'])
  await say({ name: state.creds.name, bytes: state.creds.bytes.toString('base64'), keyData: k.keyData.toString('base64') })
}

test('closing one of two opens leaves the other working, and closing twice is no mistake', async (t) => {
  const at = scene(t)
  for (const options of [at.local, at.replicated]) {
    const [first, second] = [await at.open('tenant', options), await at.open('tenant', options)]
    await first.saveCreds()
    await first.close()
    await first.close()
    for (const use of [
      () => first.state.keys.get('session', ['a']), () => first.state.keys.set({ session: { a: 1 } }), () => first.state.keys.clear(),
      () => first.saveCreds(), () => first.flush(), () => first.delete(), async () => first.status(),
      async () => { for await (const id of first.state.keys.listIds('session')) throw new Error(id) },
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
  const at = scene(t)
  await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const session = await at.openReplicated('tenant')
      await session.state.keys.set({ session: { [i]: { i } } })
      await session.close()
    })
  )
  const session = await at.openReplicated('tenant')
  const found = await session.state.keys.get('session', Array.from({ length: 12 }, (_, i) => String(i)))
  assert.deepEqual(Object.values(found).map((value) => value?.i), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
})

test('an open tenant is not shared with another store', async (t) => {
  const at = scene(t)
  await at.openReplicated('tenant')
  assert.equal((await rejection(at.openLocal('tenant'))).code, 'INVALID_OPTION')
  assert.equal((await rejection(at.openReplicated('tenant', { store: `${at.replicated.store}-2` }))).code, 'INVALID_OPTION')
})

test('a second process is refused while the first has the directory open', async (t) => {
  const at = scene(t)
  await at.openLocal('tenant')
  const child = startProcess(t, tryToOpen, { options: at.local })
  assert.equal(await child.said(), 'ALREADY_OPEN')
})

async function tryToOpen({ hybrid, args, say }) {
  await say(await hybrid.useHybridAuthState('tenant', args.options).then(() => 'opened', (error) => error.code))
}

test('clear deletes every key and keeps the credentials; list and listIds tell what is there', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant', { baileys: await lines[0].load() })
  const { keys } = session.state
  await session.saveCreds()
  await keys.set({ session: { b: { v: 2 }, a: { v: 1 } }, 'session-like': { x: 'other' }, 'app-state-sync-key': { k: { keyData: Buffer.from('k') } } })
  const collect = async (iterable) => {
    const all = []
    for await (const item of iterable) all.push(item)
    return all
  }
  assert.deepEqual((await collect(keys.list('session'))).sort(), [['a', { v: 1 }], ['b', { v: 2 }]])
  assert.deepEqual((await collect(keys.listIds('session'))).sort(), ['a', 'b'])
  assert.deepEqual(await collect(keys.list('pre-key')), [])
  assert.deepEqual(Buffer.from((await collect(keys.list('app-state-sync-key')))[0][1].keyData), Buffer.from('k'))
  const iterator = keys.list('session')
  const first = await iterator.next()
  await keys.set({ session: { c: { v: 3 }, a: null, b: null } })
  assert.deepEqual([first, ...(await collect(iterator))].length, 2, 'as of the call')
  await keys.clear()
  assert.deepEqual(await collect(keys.listIds('session')), [])
  assert.equal(session.status().keys, 1)
  await session.close()
  const again = await at.openLocal('tenant')
  assert.deepEqual(again.state.creds.noiseKey, session.state.creds.noiseKey)
  assert.deepEqual(await collect(again.state.keys.listIds('session-like')), [])
})

test('status tells how a session fares, with a store and without', async (t) => {
  const at = scene(t)
  const local = await at.openLocal('tenant', { directory: join(at.root, 'local') })
  await local.saveCreds()
  await local.flush()
  const { logBytes, bytes, ...rest } = local.status()
  assert.ok(logBytes > bytes && bytes > 500)
  assert.deepEqual(rest, {
    life: 'live', lsn: 1, localDurableLsn: 1, remoteDurableLsn: null, lagMs: null, keys: 1, dirtyKeys: 0, dirtyBytes: 0, epoch: null,
    restored: { source: 'fresh', clean: true }, store: 'none', handedOver: false, lastBackupAt: null, lastError: null, uploads: null
  })
  const replicated = await at.openReplicated('tenant')
  await replicated.state.keys.set({ session: { a: { v: 1 }, b: { v: 2 } } })
  await replicated.saveCreds()
  await replicated.flush()
  const status = replicated.status()
  assert.deepEqual([status.lsn, status.remoteDurableLsn, status.lagMs, status.keys, status.dirtyKeys, status.epoch, status.store], [2, 2, 0, 3, 0, 1, 'ok'])
  assert.ok(status.lastBackupAt instanceof Date && status.uploads.segments >= 1 && status.uploads.bases === 1 && status.uploads.bytes > 0)
  assert.deepEqual(Object.keys(status).sort(), Object.keys(local.status()).sort())
})

test('nothing anywhere and onMissing: error is NOT_FOUND, and makes no session', async (t) => {
  const at = scene(t)
  for (const options of [at.local, at.replicated]) {
    assert.equal((await rejection(at.open('tenant', { ...options, onMissing: 'error' }))).code, 'NOT_FOUND')
    const session = await at.open('tenant', options)
    assert.equal(session.status().restored.source, 'fresh')
    await session.delete()
    rmSync(at.bucket, { recursive: true, force: true })
  }
})

test('what was deleted stays deleted until fresh: true, and then starts anew', async (t) => {
  const at = scene(t)
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
  const at = scene(t)
  const fleet = new HybridAuth(at.replicated)
  t.after(() => fleet.shutdown({ timeoutMs: 100 }))
  const [a, b] = await Promise.all([fleet.open('a'), fleet.open('b'), fleet.open('c')])
  await Promise.all([a.saveCreds(), b.saveCreds(), b.state.keys.set({ 'device-list': { 1: ['0'] } })])
  assert.deepEqual(fleet.list().sort(), ['a', 'b', 'c'])
  assert.equal(fleet.get('a'), a)
  assert.equal(fleet.get('nobody'), undefined)
  assert.deepEqual(Object.values(fleet.status()).map(({ life }) => life), ['live', 'live', 'live'])
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
