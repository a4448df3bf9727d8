// Sessions move from a folder of useMultiFileAuthState to us and back, for every Baileys line, without losing a value.
//
// Invariant guarded: no damage is taken for absence, nothing is left out uncounted, and an interrupted move is never a session.

import test from 'node:test'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lines } from '../../testkit/baileys/lines.mjs'
import { bytesOf, random, runSeed, sameValue } from './arbitrary.mjs'
import { appStateSyncKey, conversation, groupTalk, otherFamilies, pairedCreds } from '../../testkit/baileys/values.mjs'

const require = createRequire(import.meta.url)
const { createCodec } = require('../../lib/codec/values.js')
const { createBatch } = require('../../lib/codec/batch.js')
const { bufferJsonV7 } = require('../../lib/baileys.js')
const { setAside, writeMultiFile } = require('../../lib/multi-file/write.js')
const { findMultiFile, readMultiFile } = require('../../lib/multi-file/read.js')

const posix = process.platform !== 'win32'

/** A new folder that is gone when the test is. */
async function scene(t) {
  const folder = await fs.mkdtemp(join(tmpdir(), 'multi-file-'))
  t.after(() => fs.rm(folder, { recursive: true, force: true }))
  return folder
}

/** type -> id -> value: all ten families, with the ids that really occur. */
async function everything(line, { loadGroup, senderKeys }) {
  const sessions = await conversation((value) => value, 3)
  const { values } = await groupTalk(await loadGroup(), senderKeys, (value) => value)
  const key = appStateSyncKey(line)
  return {
    ...otherFamilies(),
    session: { '1001.0': sessions[0], '1001_1.12': sessions[sessions.length - 1] },
    'sender-key': {
      '120363000000000001@g.us::1001_1::12': values[values.length - 1],
      '1001-1500000000@g.us::2002::0': senderKeys === 'array' ? [] : Buffer.from('[]')
    },
    'app-state-sync-key': { AAAAAOPQ: key, 'AA/+//9=': key }
  }
}

/** A folder as the line itself writes it. */
async function written(folder, line, data) {
  const { state, saveCreds } = await line.useMultiFileAuthState(folder)
  Object.assign(state.creds, pairedCreds(line))
  await saveCreds()
  await state.keys.set(data)
  return state
}

const opened = (folder, line) => line.useMultiFileAuthState(folder).then(({ state }) => state)

const contents = async (folder) => {
  const names = (await fs.readdir(folder)).sort()
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await fs.readFile(join(folder, name), 'utf8')])))
}

/** Result of an import in the store: every entry through the batch encoding. */
function throughStore({ creds, entries }, BufferJSON) {
  const batch = createBatch(createCodec(BufferJSON))
  return entries.concat({ type: null, id: null, value: creds }).flatMap(({ type, id, value }) => {
    const { buffer, length } = type === null ? batch.encodeCreds(value) : batch.encodeSet({ [type]: { [id]: value } })
    return [...batch.readEntries(buffer, length)]
  })
}

for (const setup of lines) {
  test(`${setup.name}: a folder it wrote is imported whole, with every id as it was`, async (t) => {
    const folder = await scene(t)
    const line = await setup.load()
    const data = await everything(line, setup)
    await written(folder, line, data)
    const read = await readMultiFile(folder)
    assert.ok(sameValue(read.creds, (await opened(folder, line)).creds))
    const expected = Object.entries(data).flatMap(([type, records]) => Object.keys(records).map((id) => `${type}|${id}`))
    assert.deepEqual(read.entries.map(({ type, id }) => `${type}|${id}`).sort(), expected.sort())
    const { state } = await line.useMultiFileAuthState(folder)
    for (const { type, id, value } of read.entries) {
      const theirs = (await state.keys.get(type, [id]))[id]
      const ours = type === 'app-state-sync-key' ? line.proto.Message.AppStateSyncKeyData.fromObject(value) : value
      assert.deepEqual(ours, theirs, `${type} ${id}`)
    }
    assert.deepEqual([read.damaged, read.notUnderstood, read.otherFiles], [{}, 0, 0])
  })

  test(`${setup.name}: an imported session is exported to a folder that every line opens with equal contents`, async (t) => {
    const folder = await scene(t)
    const line = await setup.load()
    const data = await everything(line, setup)
    await written(folder, line, data)
    const exported = join(await scene(t), 'out')
    const entries = throughStore(await readMultiFile(folder), line.BufferJSON)
    const report = await writeMultiFile(exported, { entries }, { BufferJSON: line.BufferJSON })
    assert.deepEqual(report, { written: entries.length - 1, collisions: 0, impossible: 0 })
    if (setup.senderKeys === 'bytes') assert.deepEqual(await contents(exported), await contents(folder))
    for (const { load } of lines) {
      const other = await load()
      const [was, is] = await Promise.all([opened(folder, other), opened(exported, other)])
      assert.ok(sameValue(is.creds, was.creds))
      for (const [type, records] of Object.entries(data)) {
        const ids = Object.keys(records)
        const [a, b] = await Promise.all([was.keys.get(type, ids), is.keys.get(type, ids)])
        // the array form of a sender key has its kept message keys mended by the store: real-values.test.mjs
        if (type === 'sender-key' && setup.senderKeys === 'array') assert.equal(b[ids[0]][0].senderKeyId, a[ids[0]][0].senderKeyId)
        else for (const id of ids) assert.deepEqual(b[id], a[id], `${type} ${id}`)
      }
    }
  })

  test(`${setup.name}: it finds every exported record under its own id, whatever the id holds`, async (t) => {
    const exported = join(await scene(t), 'out')
    const line = await setup.load()
    const rng = random(runSeed(`${setup.name} export`))
    const types = [
      'pre-key',
      'session',
      'sender-key',
      'sender-key-memory',
      'app-state-sync-version',
      'lid-mapping',
      'device-list',
      'tctoken',
      'identity-key'
    ]
    const alphabet = ['a', 'B', '7', '.', '_', '-', '@', '::', '--', '/', '__', '+', '=', ' ', '..', 'é', '🦊', '\\', '%', '"', '*']
    const byName = new Map()
    let collisions = 0
    for (let i = 0; i < 400; i++) {
      const entry = {
        type: rng.pick(types),
        id: Array.from({ length: rng.below(12) }, () => rng.pick(alphabet)).join(''),
        value: { i, b: bytesOf(rng, 5) }
      }
      const name = `${entry.type}-${entry.id}`.replace(/\//g, '__').replace(/:/g, '-')
      if (byName.has(name)) collisions++
      else byName.set(name, entry)
    }
    const all = [...byName.values()]
    const report = await writeMultiFile(exported, { creds: line.initAuthCreds(), entries: all }, { BufferJSON: line.BufferJSON })
    assert.equal(report.written, posix && process.platform !== 'darwin' ? all.length : report.written)
    assert.equal(report.written + report.collisions + report.impossible, all.length)
    const state = await opened(exported, line)
    if (report.written === all.length) {
      for (const { type, id, value } of all) assert.deepEqual((await state.keys.get(type, [id]))[id], value)
    }
    // And once more by way of us: what is read from those files is written to the same files.
    const again = join(await scene(t), 'again')
    await writeMultiFile(again, await readMultiFile(exported), { BufferJSON: line.BufferJSON })
    assert.deepEqual(await contents(again), await contents(exported))
    assert.ok(collisions < 400)
  })
}

/** A folder of given files; creds are paired unless given. */
async function folderOf(t, files) {
  const folder = await scene(t)
  const creds = JSON.stringify(pairedCreds(await lines[0].load()), bufferJsonV7.replacer)
  for (const [name, text] of Object.entries({ 'creds.json': creds, ...files })) {
    if (text !== null) await fs.writeFile(join(folder, name), text)
  }
  return folder
}

test('the longest family wins, and only two families have characters put back', async (t) => {
  const folder = await folderOf(t, {
    'app-state-sync-version-regular_low.json': '{"v":1}',
    'app-state-sync-key-AA__bb__=.json': '{"v":1}',
    'sender-key-memory-123@g.us.json': '{"v":1}',
    'sender-key-1-5@g.us--9_1--0.json': '{"v":1}',
    'tctoken-__index.json': '{"v":1}',
    'tctoken-a--b__c.json': '{"v":1}',
    'lid-mapping-9_reverse.json': '"1"',
    'session-1--2__3.4.json': '{"v":1}',
    'pre-key-.json': '{"v":1}'
  })
  const { entries, notUnderstood } = await readMultiFile(folder)
  assert.equal(notUnderstood, 0)
  assert.deepEqual(
    entries.map(({ type, id }) => [type, id]),
    [
      ['app-state-sync-key', 'AA/bb/='],
      ['app-state-sync-version', 'regular_low'],
      ['lid-mapping', '9_reverse'],
      ['pre-key', ''],
      ['sender-key', '1-5@g.us::9_1::0'],
      ['sender-key-memory', '123@g.us'],
      ['session', '1--2__3.4'],
      ['tctoken', '__index'],
      ['tctoken', 'a--b__c']
    ]
  )
})

test('bytes are read in every way that Baileys ever wrote them', async (t) => {
  const bytes = Buffer.from([1, 2, 3])
  const folder = await folderOf(t, {
    'pre-key-1.json': '{"private":{"type":"Buffer","data":"AQID"},"public":{"type":"Buffer","data":[1,2,3]}}',
    'pre-key-2.json': '{"private":{"buffer":true,"data":"AQID"},"public":{"buffer":true,"value":[1,2,3]}}',
    'pre-key-3.json': '{"private":{"0":1,"1":2,"2":3},"public":{"type":"Buffer","data":""}}',
    'identity-key-1.0.json': '{"0":1,"1":2,"2":3}',
    'device-list-1.json': '{"a":{},"b":{"5":1},"c":{"0":256},"d":{"0":1,"2":2},"e":[{"0":7}],"additionalData":{"0":1}}'
  })
  const values = Object.fromEntries((await readMultiFile(folder)).entries.map(({ type, id, value }) => [`${type}-${id}`, value]))
  assert.deepEqual(values['pre-key-1'], { private: bytes, public: bytes })
  assert.deepEqual(values['pre-key-2'], { private: bytes, public: bytes })
  assert.deepEqual(values['pre-key-3'], { private: bytes, public: Buffer.alloc(0) })
  assert.deepEqual(values['identity-key-1.0'], bytes)
  assert.deepEqual(values['device-list-1'], {
    a: {},
    b: { 5: 1 },
    c: { 0: 256 },
    d: { 0: 1, 2: 2 },
    e: [Buffer.from([7])],
    additionalData: { 0: 1 }
  })
})

test('a folder without creds.json is no session', async (t) => {
  const folder = await folderOf(t, { 'creds.json': null, 'pre-key-1.json': '{"a":1}' })
  assert.equal(await findMultiFile(folder), false)
  assert.equal(await readMultiFile(folder), null)
  assert.equal(await findMultiFile(join(folder, 'absent')), false)
  assert.equal(await findMultiFile(join(folder, 'pre-key-1.json')), false)
})

test('damaged creds are an error that names the file, never a new identity', async (t) => {
  for (const text of ['', '{', 'null', '[]', '"x"', '{}', '{"noiseKey":1}', '{"noiseKey":{"private":{"type":"Buffer","data":"AQ==']) {
    const folder = await folderOf(t, { 'creds.json': text })
    assert.equal(await findMultiFile(folder), true)
    await assert.rejects(readMultiFile(folder), (error) => {
      assert.equal(error.code, 'LOCAL_CORRUPT')
      assert.match(error.message, /^creds\.json is damaged/)
      assert.equal(error.cause, undefined)
      return true
    })
  }
})

test('a damaged key file is an error that names its family and nothing else, or is skipped and counted', async (t) => {
  const folder = await folderOf(t, {
    'session-15550001111.0.json': '{"secret',
    'session-15550002222.0.json': '',
    'pre-key-1.json': '{"a":1}'
  })
  await assert.rejects(readMultiFile(folder), (error) => {
    assert.equal(error.code, 'LOCAL_CORRUPT')
    assert.match(error.message, /"session"/)
    assert.doesNotMatch(`${error.message}${error.cause}`, /1555|secret/)
    return true
  })
  const read = await readMultiFile(folder, { onDamagedKey: 'skip' })
  assert.deepEqual(read.damaged, { session: 2 })
  assert.deepEqual(read.entries, [{ type: 'pre-key', id: '1', value: { a: 1 } }])
})

test('files that hold a falsy value are absent, as they are for Baileys', async (t) => {
  const folder = await folderOf(t, { 'session-a.json': 'null', 'session-b.json': 'false', 'session-c.json': '""', 'session-d.json': '[]' })
  assert.deepEqual((await readMultiFile(folder)).entries, [{ type: 'session', id: 'd', value: [] }])
})

test('a file of an unknown family is kept under its name, what is none is counted, and unknown families can be named', async (t) => {
  const folder = await folderOf(t, { 'new-family-1.json': '{"a":1}', 'other.json': '{}', 'notes.txt': '', 'session-1.0.json.bak': '{}' })
  await fs.mkdir(join(folder, 'sub'))
  const read = await readMultiFile(folder)
  assert.deepEqual(read.entries[0], { type: 'multi-file', id: 'new-family-1.json', value: { a: 1 } })
  assert.deepEqual([read.entries.length, read.notUnderstood, read.otherFiles], [2, 1, 2])
  const more = await readMultiFile(folder, { families: ['new-family'] })
  assert.deepEqual([more.entries[0], more.notUnderstood], [{ type: 'new-family', id: '1', value: { a: 1 } }, 1])
})

// Windows gives links to the privileged only, and has no such modes.
const onPosix = posix ? test : () => {}

onPosix('links are not followed, and a linked creds.json is an error', async (t) => {
  const folder = await folderOf(t, {})
  const outside = await folderOf(t, { 'pre-key-9.json': '{"a":1}' })
  await fs.symlink(join(outside, 'pre-key-9.json'), join(folder, 'pre-key-9.json'))
  const read = await readMultiFile(folder)
  assert.deepEqual([read.entries.length, read.otherFiles], [0, 1])
  const linked = await scene(t)
  await fs.symlink(join(outside, 'creds.json'), join(linked, 'creds.json'))
  await assert.rejects(findMultiFile(linked), { code: 'LOCAL_CORRUPT' })
})

test('originals are set aside whole, in a folder of their own, each time a new one', async (t) => {
  const folder = await folderOf(t, { 'pre-key-1.json': '{"a":1}', 'keep.txt': 'mine', 'package.json': '{}' })
  const before = await contents(folder)
  assert.deepEqual(await setAside(folder), { folder: 'multi-file-originals-1', moved: 2 })
  assert.deepEqual((await fs.readdir(folder)).sort(), ['keep.txt', 'multi-file-originals-1', 'package.json'])
  const aside = join(folder, 'multi-file-originals-1')
  assert.deepEqual(await contents(aside), { 'creds.json': before['creds.json'], 'pre-key-1.json': before['pre-key-1.json'] })
  if (posix) assert.equal((await fs.stat(aside)).mode & 0o777, 0o700)
  assert.deepEqual(await setAside(folder), { folder: null, moved: 0 })
  await fs.copyFile(join(aside, 'creds.json'), join(folder, 'creds.json'))
  assert.deepEqual(await setAside(folder), { folder: 'multi-file-originals-2', moved: 1 })
})

test('a move that was interrupted after creds.json is no session, and is finished by the next call', async (t) => {
  const folder = await folderOf(t, { 'pre-key-1.json': '{"a":1}', 'pre-key-2.json': '{"a":2}' })
  await fs.mkdir(join(folder, 'multi-file-originals-1'))
  await fs.rename(join(folder, 'creds.json'), join(folder, 'multi-file-originals-1', 'creds.json'))
  assert.equal(await findMultiFile(folder), false)
  assert.deepEqual(await setAside(folder), { folder: 'multi-file-originals-1', moved: 2 })
  assert.deepEqual(await fs.readdir(folder), ['multi-file-originals-1'])
})

onPosix('an export is readable by its owner alone', async (t) => {
  const folder = join(await scene(t), 'a', 'b')
  const creds = pairedCreds(await lines[0].load())
  await writeMultiFile(folder, { creds, entries: [{ type: 'session', id: 'a', value: {} }] }, { BufferJSON: bufferJsonV7 })
  assert.equal((await fs.stat(folder)).mode & 0o777, 0o700)
  for (const name of await fs.readdir(folder)) assert.equal((await fs.stat(join(folder, name))).mode & 0o777, 0o600)
})

test('an export does not mix with another session: it is refused, or takes its place whole', async (t) => {
  const folder = await folderOf(t, { 'session-old.json': '{"old":1}', 'x-1.json': '{"old":1}', 'keep.txt': 'mine' })
  const creds = pairedCreds(await lines[0].load())
  const before = await contents(folder)
  const session = {
    creds,
    entries: [
      { type: 'pre-key', id: '1', value: { a: 1 } },
      { type: 'x', id: '1', value: { a: 2 } },
      { type: 'session', id: 'gone', value: null }
    ]
  }
  await assert.rejects(writeMultiFile(folder, session, { BufferJSON: bufferJsonV7 }), { code: 'INVALID_OPTION' })
  assert.deepEqual(await contents(folder), before)
  await writeMultiFile(folder, session, { BufferJSON: bufferJsonV7, overwrite: true })
  assert.deepEqual(Object.keys(await contents(folder)), ['creds.json', 'keep.txt', 'pre-key-1.json', 'x-1.json'])
  assert.equal(await fs.readFile(join(folder, 'x-1.json'), 'utf8'), '{"a":2}')
})

test('an export without creds, or one that fails midway, leaves no session behind', async (t) => {
  const folder = await folderOf(t, {})
  const options = { BufferJSON: bufferJsonV7, overwrite: true }
  await assert.rejects(writeMultiFile(folder, { entries: [{ type: 'session', id: 'a', value: {} }] }, options), { code: 'NOT_FOUND' })
  assert.equal(await findMultiFile(folder), false, 'old creds with new keys would be worse than none')
  const failing = async function* () {
    yield { type: 'pre-key', id: '1', value: { a: 1 } }
    throw new Error('the store went away')
  }
  const creds = pairedCreds(await lines[0].load())
  await assert.rejects(writeMultiFile(folder, { creds, entries: failing() }, options), /went away/)
  assert.equal(await findMultiFile(folder), false)
  await assert.rejects(writeMultiFile(join(folder, 'pre-key-1.json'), { creds, entries: [] }, { BufferJSON: bufferJsonV7 }), {
    code: 'INVALID_OPTION'
  })
})

test('ids that share a file name, or have none, are counted', async (t) => {
  const folder = join(await scene(t), 'out')
  const creds = pairedCreds(await lines[0].load())
  const entries = ['a/b', 'a__b', 'c:d', 'c-d', 'e\0f', '\ud800', 'x'.repeat(300)].map((id) => ({ type: 'session', id, value: { id } }))
  const report = await writeMultiFile(folder, { creds, entries }, { BufferJSON: bufferJsonV7 })
  assert.deepEqual(report, { written: 2, collisions: 2, impossible: 3 })
  assert.equal(JSON.parse((await contents(folder))['session-a__b.json']).id, 'a/b', 'the first one wins')
})

test('an id cannot lead an export out of its folder', async (t) => {
  const root = await scene(t)
  const creds = pairedCreds(await lines[0].load())
  const entries = ['../../escape', '/absolute', '..'].map((id) => ({ type: '../x', id, value: { id } }))
  await writeMultiFile(join(root, 'out'), { creds, entries }, { BufferJSON: bufferJsonV7 })
  assert.deepEqual(await fs.readdir(root), ['out'])
  assert.equal((await fs.readdir(join(root, 'out'))).length, 4)
})
