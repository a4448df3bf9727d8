// The life of a session that has no store: its credentials, what lists it, who may open it.
//
// Invariant guarded: `creds` is one object within an open and never a silent new identity; a folder is open in one process.
// What concerns the store is in `__test__/engine/lifecycle.test.mjs`.

import test from 'node:test'
import { execFileSync } from 'node:child_process'
import assert from 'node:assert/strict'
import { lines } from '../../testkit/baileys/lines.mjs'
import { ROOT, copyPackage, hybrid, scene, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'

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

test('a session is a plain object, and its functions work when they are taken out of it', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant')
  assert.equal(Object.getPrototypeOf(session), Object.prototype)
  assert.deepEqual(Object.keys(session), [
    'state',
    'saveCreds',
    'flush',
    'close',
    'delete',
    'exportMultiFile',
    'pruneKeys',
    'status',
    'on',
    'off'
  ])
  const { state, saveCreds, flush, close, delete: destroy, exportMultiFile, pruneKeys, status, on, off } = session
  const { get, set } = state.keys
  await saveCreds()
  await set({ session: { a: { b: 1 } } })
  assert.deepEqual(await get('session', ['a']), { a: { b: 1 } })
  assert.equal((await exportMultiFile(temporaryFolder(t))).written, 1)
  assert.equal((await pruneKeys()).dryRun, true)
  assert.equal(status().life, 'live')
  const listener = () => {}
  assert.deepEqual([on('error', listener) === session, off('error', listener) === session], [true, true])
  await flush()
  await destroy()
  await close()
  assert.equal(status().life, 'deleted')
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

test('where no Baileys is installed a new session names what to pass, and a stored one opens', async (t) => {
  const packageFolder = copyPackage(t)
  const directory = temporaryFolder(t)
  const child = startProcess(t, openWithoutBaileys, { directory }, { packageFolder, cwd: packageFolder })
  const [refused, stored] = [await child.said(), await child.said()]
  assert.equal(refused.code, 'INVALID_OPTION')
  assert.match(refused.message, /pass `baileys: await import/)
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

test('a second process is refused while the first has the directory open', async (t) => {
  const at = scene(t)
  await at.openLocal('tenant')
  const child = startProcess(t, tryToOpen, { options: at.local })
  assert.equal(await child.said(), 'ALREADY_OPEN')
})

async function tryToOpen({ hybrid, args, say }) {
  await say(
    await hybrid.useHybridAuthState('tenant', args.options).then(
      () => 'opened',
      (error) => error.code
    )
  )
}

test('clear deletes every key and keeps the credentials; list and listIds tell what is there', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant', { baileys: await lines[0].load() })
  const { keys } = session.state
  await session.saveCreds()
  await keys.set({
    session: { b: { v: 2 }, a: { v: 1 } },
    'session-like': { x: 'other' },
    'app-state-sync-key': { k: { keyData: Buffer.from('k') } }
  })
  const collect = async (iterable) => {
    const all = []
    for await (const item of iterable) all.push(item)
    return all
  }
  assert.deepEqual((await collect(keys.list('session'))).sort(), [
    ['a', { v: 1 }],
    ['b', { v: 2 }]
  ])
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

test('the status of a fleet leaves out a session that is being closed, and tells of the others', async (t) => {
  const at = scene(t)
  const fleet = new hybrid.HybridAuth(at.local)
  await fleet.open('leaving')
  await fleet.open('staying')
  const closing = fleet.get('leaving').close()
  assert.deepEqual(Object.keys(fleet.status()), ['staying'])
  await closing
  assert.deepEqual(fleet.list(), ['staying'])
  await fleet.shutdown()
})

// Windows has no such limit.
if (process.platform !== 'win32') {
  test('where no more files can be opened the refusal names the limit', (t) => {
    const program = `
      const { useHybridAuthState } = require('./index.js')
      const own = { initAuthCreds: () => ({}), BufferJSON: { replacer: (_, value) => value, reviver: (_, value) => value } }
      const open = (n) => useHybridAuthState('t' + n, { ...own, directory: process.argv[1], mode: 'local', localDurability: 'os' })
      ;(async () => { for (let n = 0; n < 500; n++) await open(n) })().catch(({ code, message }) => console.log(code, message)).finally(() => process.exit())
    `
    const said = execFileSync('sh', ['-c', 'ulimit -n 80; exec "$0" -e "$1" "$2"', process.execPath, program, temporaryFolder(t)], {
      cwd: ROOT,
      encoding: 'utf8'
    })
    assert.match(said, /^LOCAL_UNAVAILABLE too many open files.*each session needs two.*ulimit -n/)
  })
}
