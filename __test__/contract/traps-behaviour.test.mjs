// The traps of the Baileys auth-state contract that concern behaviour: numbers 14 to 25, one test each.
//
// Invariant guarded: what resolved is there, all of a batch or nothing of it, for every open of the session, after a kill,
// and even where the folder was taken away; and damage is never taken for a new beginning.

import test from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lines } from '../../testkit/baileys/lines.mjs'
import { contentsOf, permissionsOf, rejection, scene, startProcess, still, until } from '../../testkit/processes/sessions.mjs'
import { removableBucket } from '../../testkit/stores/outages.mjs'
import { appStateSyncKey, otherFamilies } from '../../testkit/baileys/values.mjs'

const posix = process.platform !== 'win32'
const [v7] = lines

test('trap 14: two opens share the keys at once, and each has its own creds from the last save', async (t) => {
  const at = scene(t)
  const first = await at.openLocal('tenant')
  first.state.creds.me = { id: 'saved' }
  await first.saveCreds()
  first.state.creds.me = { id: 'not saved' }
  const second = await at.openLocal('tenant')
  assert.notEqual(second.state.creds, first.state.creds)
  assert.deepEqual(second.state.creds.me, { id: 'saved' })
  assert.equal(first.state.creds.me.id, 'not saved')
  await first.state.keys.set({ session: { a: { from: 'first' } } })
  assert.deepEqual((await second.state.keys.get('session', ['a'])).a, { from: 'first' })
  await second.state.keys.set({ session: { a: null, b: { from: 'second' } } })
  assert.deepEqual({ ...(await first.state.keys.get('session', ['a', 'b'])) }, { a: null, b: { from: 'second' } })
})

test('trap 15: a set is all or nothing over its types', async (t) => {
  const at = scene(t)
  const { state, status } = await at.openLocal('tenant')
  await state.keys.set({ session: { old: { v: 1 } }, 'pre-key': { 1: { private: Buffer.alloc(32), public: Buffer.alloc(32) } } })
  const before = status().lsn
  const cycle = {}
  cycle.self = cycle
  const poisons = [
    10n,
    cycle,
    () => {},
    {
      toJSON() {
        throw new Error('no')
      }
    }
  ]
  for (const poison of poisons) {
    const batch = { session: { old: { v: 2 }, fresh: { v: 3 } }, 'pre-key': { 1: null }, 'lid-mapping': { poison } }
    assert.equal((await rejection(state.keys.set(batch))).code, 'INVALID_OPTION')
  }
  const tooLong = { session: { old: { v: 2 } }, 'sender-key': { ['x'.repeat(5000)]: Buffer.from('[]') } }
  assert.equal((await rejection(state.keys.set(tooLong))).code, 'INVALID_OPTION')
  assert.equal(status().lsn, before)
  assert.deepEqual({ ...(await state.keys.get('session', ['old', 'fresh'])) }, { old: { v: 1 }, fresh: null })
  assert.ok((await state.keys.get('pre-key', ['1']))['1'])
  await state.keys.set({ session: { old: null, fresh: { v: 3 } }, 'identity-key': { x: Buffer.from('x') }, 'pre-key': { 1: null } })
  assert.equal(status().lsn, before + 1, 'one set is one record')
})

test('trap 16: pre-keys bring the credentials along, so that a kill before saveCreds does not reuse their ids', async (t) => {
  const at = scene(t)
  const child = startProcess(t, storePreKeysAndWait, { options: at.local })
  assert.equal(await child.said(), 'stored')
  await child.kill()
  const { state } = await at.openLocal('tenant', { onMissing: 'error' })
  const found = await state.keys.get('pre-key', ['1', '30'])
  assert.ok(found['1'] && found['30'])
  assert.equal(state.creds.nextPreKeyId, 31)
})

async function storePreKeysAndWait({ hybrid, args, say }) {
  const { state } = await hybrid.useHybridAuthState('tenant', args.options)
  const pair = () => ({ private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) })
  const preKeys = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [i + 1, pair()]))
  // In this order: Baileys updates its credentials before it stores the keys.
  state.creds.nextPreKeyId = 31
  await state.keys.set({ 'pre-key': preKeys })
  await say('stored')
  setInterval(() => {}, 1000)
}

test('trap 17: trouble with the store is told aside, and set resolves all the same', async (t) => {
  const at = scene(t, still)
  const bucket = removableBucket(at.bucket)
  const { state, on, status } = await at.openReplicated('tenant')
  const news = []
  on('degraded', (error) => news.push(error.code))
  bucket.takeAway()
  for (let i = 0; i < 20; i++) await state.keys.set({ session: { [i]: { i } } })
  await until(() => news.length > 0, 'degraded')
  assert.deepEqual(news, ['REMOTE_UNAVAILABLE'])
  assert.equal(status().life, 'live')
  assert.deepEqual((await state.keys.get('session', ['19']))['19'], { i: 19 })
})

test('trap 18: a damaged creds.json is a typed error, and the file is left as it is', async (t) => {
  const at = scene(t)
  const file = (tenant) => join(at.directory, tenant, 'creds.json')
  const good = JSON.stringify((await v7.load()).initAuthCreds(), (await v7.load()).BufferJSON.replacer)
  const damages = {
    empty: (path) => writeFileSync(path, ''),
    truncated: (path) => writeFileSync(path, good.slice(0, good.length / 2)),
    garbage: (path) => writeFileSync(path, Buffer.from([0xff, 0, 1, 2, 0xc0])),
    nothing: (path) => writeFileSync(path, 'null'),
    other: (path) => writeFileSync(path, '{"hello":"world"}'),
    directory: (path) => mkdirSync(path),
    ...(posix && { symlink: (path) => symlinkSync('/dev/null', path), dangling: (path) => symlinkSync('nowhere', path) })
  }
  for (const [name, damage] of Object.entries(damages)) {
    mkdirSync(join(at.directory, name), { recursive: true })
    writeFileSync(join(at.directory, name, 'pre-key-1.json'), '{}')
    damage(file(name))
    const before = contentsOf(join(at.directory, name))
    for (const options of [at.local, at.replicated]) {
      assert.equal((await rejection(at.open(name, options))).code, 'LOCAL_CORRUPT', name)
    }
    const { lock: _, ...after } = contentsOf(join(at.directory, name))
    assert.deepEqual(after, before, name)
  }
  assert.equal(existsSync(join(at.bucket, 'v1')), false, 'no store was asked')
})

test('trap 19: keys are a bag of functions', async (t) => {
  const at = scene(t)
  const baileys = await v7.load()
  const { state, saveCreds } = await at.openLocal('tenant', { baileys })
  assert.deepEqual(Object.keys(state), ['creds', 'keys'])
  assert.deepEqual(Object.keys(state.keys), ['get', 'set', 'clear', 'list', 'listIds'])
  assert.equal(Object.getPrototypeOf(state.keys), Object.prototype)
  const { get, set } = state.keys
  await set({ 'pre-key': { 1: { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) } } })
  const spread = { ...state.keys }
  assert.deepEqual(await spread.get('pre-key', ['1']), await get('pre-key', ['1']))
  assert.deepEqual(Object.keys(await baileys.getPreKeys({ get }, 1, 2)), ['1'])
  await saveCreds.call(undefined)
})

test('trap 20: ids are opaque, whatever they hold', async (t) => {
  const at = scene(t)
  let session = await at.openReplicated('tenant')
  const hostile = [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '',
    ' ',
    '.',
    '..',
    '../../../etc/passwd',
    '..\\..\\x',
    'a/b',
    'a__b',
    'a:b',
    'a-b',
    'nul\0byte',
    '\ud800',
    '\udfff',
    'a\ud83e',
    '\ufffd',
    'ä',
    'a\u0308',
    '🦊',
    'A',
    'a',
    '\n',
    'x'.repeat(4000),
    '0',
    '-1',
    '00',
    'null',
    'undefined'
  ]
  const data = Object.create(null)
  for (const [i, id] of hostile.entries()) data[id] = { i }
  for (let round = 0; round < 3; round++) {
    if (round === 0) await session.state.keys.set({ 'sender-key': data })
    const found = await session.state.keys.get('sender-key', hostile)
    for (const [i, id] of hostile.entries()) {
      assert.ok(Object.hasOwn(found, id), JSON.stringify(id))
      assert.deepEqual(found[id], { i }, JSON.stringify(id))
    }
    const listed = []
    for await (const id of session.state.keys.listIds('sender-key')) listed.push(id)
    assert.deepEqual(listed.sort(), [...hostile].sort())
    await session.close()
    session = await at.open('tenant', round === 0 ? at.replicated : at.elsewhere())
  }
  assert.equal({}.i, undefined, 'no prototype was touched')
})

test('trap 20: ids and types have a bound, and beyond it nothing exists', async (t) => {
  const at = scene(t)
  const { state } = await at.openLocal('tenant')
  const [type, most] = ['session', 4096 - 1 - 'session'.length - 1]
  const fits = 'x'.repeat(most)
  await state.keys.set({ [type]: { [fits]: { fits: true } } })
  assert.deepEqual((await state.keys.get(type, [fits]))[fits], { fits: true })
  for (const long of ['x'.repeat(most + 1), 'ä'.repeat(most / 2 + 1), 'x'.repeat(1 << 20), '\ud800'.repeat(most / 2 + 1)]) {
    assert.equal((await rejection(state.keys.set({ [type]: { [long]: { v: 1 } } }))).code, 'INVALID_OPTION')
    assert.equal((await rejection(state.keys.set({ [type]: { [long]: null } }))).code, 'INVALID_OPTION')
    const found = await state.keys.get(type, ['short', long, fits])
    assert.deepEqual([found.short, found[long], found[fits]], [null, null, { fits: true }])
  }
  for (const wrong of ['', 't'.repeat(256), '\ud800']) {
    assert.equal((await rejection(state.keys.set({ [wrong]: { id: 1 } }))).code, 'INVALID_OPTION')
    assert.deepEqual({ ...(await state.keys.get(wrong, ['id'])) }, { id: null })
  }
  await state.keys.set({ __proto__: null, ['__proto__']: { id: 'own' } })
  assert.equal((await state.keys.get('__proto__', ['id'])).id, 'own')
})

test('trap 21: thousands of keys and large values that are rewritten stay readable, and the log stays bounded', async (t) => {
  const at = scene(t)
  let session = await at.openLocal('tenant')
  const preKeys = Object.fromEntries(
    Array.from({ length: 5000 }, (_, i) => [i + 1, { private: Buffer.alloc(32, i), public: Buffer.alloc(32, i + 1) }])
  )
  await session.state.keys.set({ 'pre-key': preKeys })
  const record = Buffer.alloc(446_000, 'sender key ')
  for (let i = 0; i < 60; i++) {
    record.writeUInt32LE(i)
    await session.state.keys.set({ 'sender-key': { g: record } })
  }
  const isBounded = () => session.status().logBytes < 4 * session.status().bytes + 4_200_000
  await until(isBounded, 'a log that is rewritten when garbage dominates it')
  await session.close()
  session = await at.openLocal('tenant')
  assert.deepEqual((await session.state.keys.get('sender-key', ['g'])).g, record)
  const found = await session.state.keys.get('pre-key', Object.keys(preKeys))
  assert.deepEqual({ ...found }, preKeys)
})

test('trap 22: the credentials of a new session are those of the installed Baileys', async (t) => {
  for (const line of lines) {
    const at = scene(t)
    const baileys = await line.load()
    const { state } = await at.openLocal('tenant', { baileys })
    assert.deepEqual(Object.keys(state.creds), Object.keys(baileys.initAuthCreds()))
    const { signedPreKey, signedIdentityKey } = state.creds
    const signed = Buffer.concat([Buffer.from([5]), signedPreKey.keyPair.public])
    const identity = Buffer.concat([Buffer.from([5]), signedIdentityKey.public])
    assert.equal(baileys.Curve.verify(identity, signed, signedPreKey.signature), true, line.name)
  }
})

test('trap 23: delete wipes everything, here and in the store', async (t) => {
  const at = scene(t)
  const baileys = await v7.load()
  const session = await at.openReplicated('tenant', { baileys })
  const bystander = await at.openReplicated('bystander', { baileys })
  await session.saveCreds()
  await bystander.saveCreds()
  const everything = {
    ...otherFamilies(),
    session: { a: { v: 1 } },
    'sender-key': { g: Buffer.from('[]') },
    'app-state-sync-key': { k: appStateSyncKey(baileys) }
  }
  assert.equal(Object.keys(everything).length, 10)
  await session.state.keys.set(everything)
  await session.flush()
  // Nothing is being written while the bucket is read.
  await bystander.flush()
  await session.delete()
  // Beside the note that there is a store.
  const folders = readdirSync(at.directory).filter((name) => !name.startsWith('.store-'))
  assert.deepEqual(folders, ['bystander'])
  const left = Object.keys(contentsOf(at.bucket)).filter((name) => !name.includes('bystander'))
  assert.deepEqual(
    left.map((name) => name.replace(/^.*\./, '')).filter((ending) => ending === 'base' || ending === 'seg' || ending === 'live'),
    []
  )
  for (const call of [
    () => session.state.keys.get('session', ['a']),
    () => session.state.keys.set({ session: { a: 1 } }),
    () => session.saveCreds()
  ]) {
    assert.match((await rejection(call())).code, /^(DELETED|CLOSED)$/)
  }
  assert.equal((await rejection(at.openReplicated('tenant'))).code, 'DELETED')
  assert.equal((await rejection(at.open('tenant', at.elsewhere()))).code, 'DELETED')
  await bystander.flush()
})

test('trap 24: every file is 0600 and every folder 0700', async (t) => {
  if (!posix) return
  const before = process.umask(0)
  t.after(() => process.umask(before))
  const at = scene(t)
  mkdirSync(join(at.directory, 'imported'), { recursive: true, mode: 0o755 })
  const baileys = await v7.load()
  const { saveCreds } = await baileys.useMultiFileAuthState(join(at.directory, 'imported'))
  await saveCreds()
  for (const tenant of ['fresh', 'imported']) {
    const session = await at.openReplicated(tenant, { baileys })
    await session.saveCreds()
    await session.state.keys.set({ session: { a: { v: 1 } } })
    await session.flush()
    await session.exportMultiFile(join(at.root, 'exported', tenant))
  }
  const wrong = (folder) => permissionsOf(folder).filter(({ kind, mode }) => mode !== (kind === 'file' ? '600' : '700'))
  assert.deepEqual(wrong(join(at.directory, 'fresh')), [])
  assert.deepEqual(wrong(join(at.root, 'exported', 'fresh')), [])
  // The originals of an import keep the modes that Baileys gave them, behind a folder that nobody else may enter.
  const kept = wrong(join(at.directory, 'imported')).filter(({ path }) => !path.startsWith('multi-file-originals-'))
  assert.deepEqual(kept, [])
  // A bucket that we made: what is in it follows the umask, and nobody else can get at it.
  assert.deepEqual(
    wrong(at.bucket).filter(({ path }) => path === ''),
    []
  )
})

test('trap 25: a folder that is removed under a running session costs nothing', async (t) => {
  for (const mode of ['local', 'replicated']) {
    const at = scene(t)
    let session = await at.open('tenant', at[mode])
    await session.saveCreds()
    await session.state.keys.set({ session: { before: { v: 1 } } })
    rmSync(at.directory, { recursive: true })
    assert.deepEqual((await session.state.keys.get('session', ['before'])).before, { v: 1 })
    await session.state.keys.set({ session: { after: { v: 2 } } })
    const { registrationId } = session.state.creds
    await session.close()
    session = await at.open('tenant', { ...at[mode], onMissing: 'error' })
    assert.equal(session.state.creds.registrationId, registrationId)
    assert.deepEqual({ ...(await session.state.keys.get('session', ['before', 'after'])) }, { before: { v: 1 }, after: { v: 2 } })
  }
})

test('trap 25: what was written after the folder was removed survives a SIGKILL', async (t) => {
  for (const mode of ['local', 'replicated']) {
    const at = scene(t)
    const child = startProcess(t, writeRemoveWriteAndWait, { options: at[mode], directory: at.directory })
    const registrationId = await child.said()
    await child.kill()
    const { state } = await at.open('tenant', { ...at[mode], onMissing: 'error' })
    assert.equal(state.creds.registrationId, registrationId)
    const found = await state.keys.get('session', ['before', 'after'])
    assert.deepEqual({ ...found }, { before: { v: 1 }, after: { v: 2 } })
  }
})

async function writeRemoveWriteAndWait({ hybrid, args, say }) {
  const { rmSync } = await import('node:fs')
  const { state, saveCreds } = await hybrid.useHybridAuthState('tenant', args.options)
  await saveCreds()
  await state.keys.set({ session: { before: { v: 1 } } })
  rmSync(args.directory, { recursive: true })
  await state.keys.set({ session: { after: { v: 2 } } })
  await say(state.creds.registrationId)
  setInterval(() => {}, 1000)
}
