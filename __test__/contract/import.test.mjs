// Opening a tenant whose folder holds a session of useMultiFileAuthState: it is taken over whole, once, and the originals are
// set aside; every interruption on the way ends in the same place.
//
// Invariant guarded: an import never loses the session, never mixes two, and never runs on a copy that is older than what is
// already here.

import test from 'node:test'
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { join, relative } from 'node:path'
import { lines } from '../../testkit/baileys/lines.mjs'
import { contentsOf, hybrid, rejection, scene, told } from '../../testkit/processes/sessions.mjs'
import { appStateSyncKey, otherFamilies, pairedCreds } from '../../testkit/baileys/values.mjs'

const [v7, , v6] = lines

/** A folder as Baileys itself wrote it. */
async function writeMultiFile(baileys, folder) {
  const { state, saveCreds } = await baileys.useMultiFileAuthState(folder)
  Object.assign(state.creds, pairedCreds(baileys))
  await saveCreds()
  const data = {
    ...otherFamilies(),
    session: { '1001.0': { version: 'v1', _sessions: {} } },
    'sender-key': { 'g@g.us::1001::0': Buffer.from('[]') },
    'app-state-sync-key': { 'AA/+': appStateSyncKey(baileys) }
  }
  await state.keys.set(data)
  return { creds: state.creds, data }
}

async function assertHolds(session, { creds, data }, reopened) {
  assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey, reopened)
  assert.equal(session.state.creds.me.id, creds.me.id)
  for (const [type, records] of Object.entries(data)) {
    const found = await session.state.keys.get(type, Object.keys(records))
    for (const id of Object.keys(records)) assert.ok(found[id], `${type} ${id}`)
  }
  assert.equal(session.status().keys, 1 + Object.values(data).reduce((n, records) => n + Object.keys(records).length, 0))
}

const multiFileIn = (folder) => readdirSync(folder).filter((name) => name.endsWith('.json'))
const asideIn = (folder) => readdirSync(folder).filter((name) => name.startsWith('multi-file-originals-'))

for (const line of [v7, v6]) {
  test(`${line.name}: a multi-file folder in the place of a tenant is taken over, whatever the tenant is called`, async (t) => {
    const baileys = await line.load()
    for (const [tenant, mode] of [
      ['tenant', 'local'],
      ['+49-30-1234567', 'replicated'],
      ['Tenant_ÄÖ', 'local'],
      ['UPPER', 'replicated'],
      ['a.b@c', 'local']
    ]) {
      const at = scene(t)
      const folder = join(at.directory, tenant)
      const written = await writeMultiFile(baileys, folder)
      const before = contentsOf(folder)
      const session = await at.open(tenant, { ...at[mode], baileys, onMissing: 'error' })
      assert.deepEqual(session.status().restored, { source: 'imported', clean: true }, tenant)
      await assertHolds(session, written)
      assert.deepEqual(multiFileIn(folder), [])
      const [aside] = asideIn(folder)
      assert.deepEqual(contentsOf(join(folder, aside)), before, 'the originals are as they were')
      await session.close()
      const again = await at.open(tenant, { ...at[mode], baileys, onMissing: 'error' })
      assert.equal(again.status().restored.source, 'local')
      await assertHolds(again, written, 'reopened')
      if (mode === 'local') continue
      await again.close()
      await assertHolds(await at.open(tenant, { ...at.elsewhere(), baileys, onMissing: 'error' }), written, 'on a blank machine')
    }
  })
}

test('an import that was interrupted before the originals moved is finished by the next open', async (t) => {
  const baileys = await v7.load()
  for (const mode of ['local', 'replicated']) {
    const at = scene(t)
    const folder = join(at.directory, 'tenant')
    const written = await writeMultiFile(baileys, folder)
    const first = await at.open('tenant', { ...at[mode], baileys })
    await first.close()
    const [aside] = asideIn(folder)
    // As after a crash between the open and the moving: originals and log are both there.
    cpSync(join(folder, aside), folder, { recursive: true })
    renameSync(join(folder, aside), join(at.root, 'aside'))
    const second = await at.open('tenant', { ...at[mode], baileys })
    assert.equal(second.status().restored.source, 'local')
    await assertHolds(second, written)
    assert.deepEqual(multiFileIn(folder), [])
    assert.equal(asideIn(folder).length, 1)
  }
})

test('an import that was interrupted while the originals moved is finished by the next open', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  const written = await writeMultiFile(baileys, folder)
  const first = await at.openLocal('tenant', { baileys })
  await first.close()
  const [aside] = asideIn(folder)
  // creds.json goes first: it is set aside already, and keys still lie there.
  renameSync(join(folder, aside, 'pre-key-1.json'), join(folder, 'pre-key-1.json'))
  const second = await at.openLocal('tenant', { baileys })
  await assertHolds(second, written)
})

test('two opens at once import once', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  const written = await writeMultiFile(baileys, join(at.directory, 'tenant'))
  const sessions = await Promise.all(Array.from({ length: 4 }, () => at.openReplicated('tenant', { baileys })))
  for (const session of sessions) await assertHolds(session, written)
  assert.equal(asideIn(join(at.directory, 'tenant')).length, 1)
})

test('a different multi-file session beside a log is refused, and nothing of either is touched', async (t) => {
  const baileys = await v7.load()
  for (const mode of ['local', 'replicated']) {
    const at = scene(t)
    const folder = join(at.directory, 'tenant')
    const first = await at.open('tenant', { ...at[mode], baileys })
    await first.saveCreds()
    await first.close()
    const other = await baileys.useMultiFileAuthState(folder)
    await other.saveCreds()
    const before = contentsOf(folder)['creds.json']
    assert.equal((await rejection(at.open('tenant', { ...at[mode], baileys }))).code, 'LOCAL_CORRUPT')
    assert.equal(contentsOf(folder)['creds.json'], before)
    assert.deepEqual(asideIn(folder), [])
    renameSync(join(folder, 'creds.json'), join(at.root, 'creds.json'))
    const second = await at.open('tenant', { ...at[mode], baileys, onMissing: 'error' })
    assert.deepEqual(second.state.creds.noiseKey, first.state.creds.noiseKey)
  }
})

test('a multi-file folder that came along from an old deploy is not taken for newer than the store', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  const first = await at.openReplicated('tenant', { baileys })
  await first.saveCreds()
  await first.close()
  const machine = at.elsewhere()
  await writeMultiFile(baileys, join(machine.directory, 'tenant'))
  assert.equal((await rejection(at.open('tenant', { ...machine, baileys }))).code, 'LOCAL_CORRUPT')
  const { state } = await at.openReplicated('tenant', { baileys })
  assert.deepEqual(state.creds.noiseKey, first.state.creds.noiseKey)
})

test('a deleted session is not brought back by a multi-file folder', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  const first = await at.openReplicated('tenant', { baileys })
  await first.saveCreds()
  await first.delete()
  await writeMultiFile(baileys, join(at.directory, 'tenant'))
  assert.equal((await rejection(at.openReplicated('tenant', { baileys }))).code, 'DELETED')
  assert.ok(existsSync(join(at.directory, 'tenant', 'creds.json')))
})

test('an import takes what reads, says what it left out, and keeps that', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  const { creds } = await writeMultiFile(baileys, folder)
  writeFileSync(join(folder, 'mystery-490301234567.json'), '{"cut":')
  writeFileSync(join(folder, 'session-490307654321.0.json'), '{"cut":')
  const session = await at.openLocal('tenant', { baileys })
  const error = await told(session, 'error')
  assert.equal(session.status().restored.source, 'imported')
  assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey)
  assert.equal(error.code, 'LOCAL_CORRUPT')
  assert.match(error.message, /1 damaged "session", 1 that are not keys/)
  assert.ok(!/490301234567|490307654321/.test(error.message))
  const left = Object.keys(contentsOf(folder)).map((name) => name.replace(/^.*[/\\]/, ''))
  assert.ok(left.includes('mystery-490301234567.json') && left.includes('session-490307654321.0.json'))
})

test('an export goes to an empty folder, or over an old session when told so', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  const session = await at.openLocal('tenant', { baileys })
  await session.saveCreds()
  await session.state.keys.set({ 'lid-mapping': { 1: '2' } })
  const folder = join(at.root, 'exported')
  assert.deepEqual(await session.exportMultiFile(folder), { written: 1, collisions: 0, impossible: 0 })
  assert.equal((await rejection(session.exportMultiFile(folder))).code, 'INVALID_OPTION')
  await session.state.keys.set({ 'lid-mapping': { 1: null, 3: '4' } })
  await session.exportMultiFile(folder, { overwrite: true })
  const { state } = await baileys.useMultiFileAuthState(folder)
  assert.deepEqual(await state.keys.get('lid-mapping', ['1', '3']), { 1: null, 3: '4' })
  await session.close()
  mkdirSync(join(at.root, 'second'))
  const report = await hybrid.exportMultiFile('tenant', join(at.root, 'second'), { ...at.local, baileys })
  assert.equal(report.written, 1)
  assert.equal((await rejection(hybrid.exportMultiFile('nobody', join(at.root, 'third'), { ...at.local, baileys }))).code, 'NOT_FOUND')
  assert.equal(existsSync(join(at.root, 'third')), false)
})

test('the single file of old versions is taken over by importFrom, once, and put away', async (t) => {
  const baileys = await v7.load()
  for (const mode of ['local', 'replicated']) {
    const at = scene(t)
    const creds = pairedCreds(baileys)
    const file = join(at.root, 'auth_info.json')
    const keys = {
      preKeys: { 1: { private: Buffer.from('p'), public: Buffer.from('q') } },
      sessions: { '1001.0': { version: 'v1', _sessions: {} } },
      senderKeys: { 'g@g.us::1001::0': Buffer.from('[]') },
      appStateSyncKeys: { 'AA/+': appStateSyncKey(baileys) },
      appStateVersions: { regular: { version: 3, hash: Buffer.from('h'), indexValueMap: {} } },
      senderKeyMemory: { 'g@g.us': { '1001@s.whatsapp.net': true } },
      strange: { 1: 2 }
    }
    writeFileSync(file, JSON.stringify({ creds, keys }, baileys.BufferJSON.replacer, 2))
    const session = await at.open('tenant', { ...at[mode], baileys, importFrom: file })
    assert.equal(session.status().restored.source, 'imported')
    assert.match((await told(session, 'error')).message, /skipped.*1 that are not keys/)
    assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey)
    assert.equal(session.status().keys, 7)
    assert.deepEqual((await session.state.keys.get('pre-key', ['1']))['1'].private, Buffer.from('p'))
    assert.equal((await session.state.keys.get('app-state-sync-version', ['regular'])).regular.version, 3)
    assert.deepEqual((await session.state.keys.get('app-state-sync-key', ['AA/+']))['AA/+'].keyData, appStateSyncKey(baileys).keyData)
    assert.ok(!existsSync(file) && existsSync(`${file}.imported-1`))
    await session.close()
    const again = await at.open('tenant', { ...at[mode], baileys, importFrom: file })
    assert.deepEqual([again.status().restored.source, again.state.creds.me], ['local', session.state.creds.me])
  }
})

test('a file that is no single-file session is refused with what it is, and stays', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  const good = JSON.stringify({ creds: pairedCreds(baileys), keys: {} }, baileys.BufferJSON.replacer)
  const wrong = {
    empty: ['', 'LOCAL_CORRUPT', /empty/],
    mark: [`\ufeff${good}`, 'LOCAL_CORRUPT', /byte order mark/],
    utf16: [Buffer.from(good, 'utf16le'), 'LOCAL_CORRUPT', /UTF-16/],
    cut: [good.slice(0, -20), 'LOCAL_CORRUPT', /truncated/],
    base64: [Buffer.from(good).toString('base64'), 'LOCAL_CORRUPT', /base64/],
    strange: ['{"a":1}', 'INVALID_OPTION', /useSingleFileAuthState/],
    creds: ['{"creds":{"me":{}},"keys":{}}', 'LOCAL_CORRUPT', /not contain Baileys credentials/]
  }
  for (const [name, [content, code, words]] of Object.entries(wrong)) {
    const file = join(at.root, name)
    writeFileSync(file, content)
    const error = await rejection(at.openLocal('tenant', { baileys, importFrom: file }))
    assert.deepEqual([error.code, words.test(error.message)], [code, true], error.message)
    assert.ok(existsSync(file))
  }
})

test('an export among the sessions, or into the folder of one, is refused, and makes nothing', async (t) => {
  const baileys = await v7.load()
  const at = scene(t)
  for (const mode of ['local', 'replicated']) {
    const session = await at.open(mode, { ...at[mode], baileys })
    await session.saveCreds()
    await session.flush()
    symlinkSync(at.directory, join(at.root, `link-${mode}`))
    const places = ['', mode, 'another', 'another/below'].map((name) => join(at.directory, name))
    for (const folder of [...places, join(at.root, `link-${mode}`, 'another'), relative(process.cwd(), places[2])]) {
      const before = contentsOf(at.directory)
      for (const work of [
        () => session.exportMultiFile(folder, { overwrite: true }),
        ...(mode === 'local' ? [] : [() => new hybrid.HybridAuth({ ...at.replicated, baileys }).extract(mode, folder)])
      ]) {
        const { code, message } = await rejection(work())
        assert.deepEqual([code, /`directory`/.test(message)], ['INVALID_OPTION', true], message)
      }
      assert.deepEqual(contentsOf(at.directory), before)
    }
    const elsewhere = await at.open('tenant', { ...at.elsewhere(), baileys })
    const theirs = join(at.root, `machine-${mode === 'local' ? 2 : 3}`, 'tenant')
    assert.match((await rejection(session.exportMultiFile(theirs))).message, /session of this package/)
    await elsewhere.close()
    assert.equal((await session.exportMultiFile(`${at.directory}-beside-${mode}`)).collisions, 0)
  }
})

test('a folder counts only under exactly the name that the disk lists, on one that ignores case or Unicode forms too', async (t) => {
  const baileys = await v7.load()
  for (const [listed, asked] of [
    ['Shop-A', 'shop-a'],
    ['M\u00fcller', 'Mu\u0308ller'],
    ['Mu\u0308ller', 'M\u00fcller']
  ]) {
    const at = scene(t)
    const [folder, other] = [join(at.directory, listed), join(at.directory, asked)]
    const written = await writeMultiFile(baileys, folder)
    // As on such a disk: the other spelling leads to the folder, and no listing has it.
    symlinkSync(folder, other)
    const { readdir } = fs
    t.mock.method(fs, 'readdir', async (path, options) => (await readdir(path, options)).filter((entry) => (entry.name ?? entry) !== asked))
    const error = await rejection(at.open(asked, { ...at.local, baileys, onMissing: 'error' }))
    assert.equal(error.code, 'NOT_FOUND', asked)
    assert.deepEqual(multiFileIn(folder).includes('creds.json'), true, 'the session of the other tenant is untouched')
    const session = await at.open(listed, { ...at.local, baileys, onMissing: 'error' })
    assert.deepEqual(session.status().restored, { source: 'imported', clean: true }, listed)
    await assertHolds(session, written)
    t.mock.restoreAll()
  }
})
