// The traps of the Baileys auth-state contract that concern values and aliasing: numbers 1 to 13, one test each.
//
// Invariant guarded: what Baileys stores is what Baileys reads, in class, content and order, whatever happens to the objects
// on either side.

import test from 'node:test'
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lines } from '../../testkit/baileys/lines.mjs'
import { contentsOf, scene } from '../../testkit/processes/sessions.mjs'
import { appStateSyncKey, groupTalk, otherFamilies, pairedCreds } from '../../testkit/baileys/values.mjs'

const [v7, , v6] = lines

/** Stores one value and reads it back, now and after a reopen. */
async function twice(t, type, value, { line, check }) {
  const at = scene(t)
  const baileys = await line.load()
  const first = await at.openLocal('tenant', { baileys })
  await first.state.keys.set({ [type]: { id: value } })
  check((await first.state.keys.get(type, ['id'])).id, 'at once')
  await first.close()
  const second = await at.openLocal('tenant', { baileys })
  check((await second.state.keys.get(type, ['id'])).id, 'after a reopen')
}

test('trap 1: an app state sync key comes back with its keyData as bytes', async (t) => {
  for (const line of lines) {
    const key = appStateSyncKey(await line.load())
    await twice(t, 'app-state-sync-key', key, {
      line,
      check: (read) => {
        assert.ok(Buffer.isBuffer(read.keyData) || read.keyData instanceof Uint8Array, line.name)
        assert.deepEqual(Buffer.from(read.keyData), Buffer.alloc(32, 9))
        assert.equal(String(read.timestamp), '1732000000123')
        assert.deepEqual(read.fingerprint.deviceIndexes, [0, 1])
      }
    })
  }
})

test('trap 2: values are taken by their toJSON, as in the files of Baileys', async (t) => {
  for (const line of lines) {
    const at = scene(t)
    const baileys = await line.load()
    const creds = pairedCreds(baileys)
    const ours = await at.openLocal('tenant', { baileys })
    Object.assign(ours.state.creds, creds)
    await ours.saveCreds()
    await ours.state.keys.set({ 'app-state-sync-key': { key: appStateSyncKey(baileys) } })
    await ours.exportMultiFile(join(at.root, 'ours'))
    const theirs = await baileys.useMultiFileAuthState(join(at.root, 'theirs'))
    Object.assign(theirs.state.creds, ours.state.creds)
    await theirs.saveCreds()
    await theirs.state.keys.set({ 'app-state-sync-key': { key: appStateSyncKey(baileys) } })
    assert.deepEqual(contentsOf(join(at.root, 'ours')), contentsOf(join(at.root, 'theirs')), line.name)
  }
})

test('trap 3: the message keys that a 6.17 sender key kept for skipped messages survive', async (t) => {
  const at = scene(t)
  const { state } = await at.openLocal('tenant', { baileys: await v6.load() })
  const stored = new Map()
  const keep = (value) => stored.get(value)
  const throughUs = async (value) => {
    await state.keys.set({ 'sender-key': { id: value } })
    return (await state.keys.get('sender-key', ['id'])).id
  }
  // The store of groupTalk is synchronous: pass one value after the other through ours first, until nothing new comes.
  const group = await v6.loadGroup()
  const { texts, values } = await groupTalk(group, v6.senderKeys, (value) => value)
  assert.ok(
    texts.every((text) => text !== null),
    'the talk itself is good'
  )
  for (const value of values) stored.set(value, await throughUs(value))
  let kept = 0
  for (const value of values) {
    const before = value.flatMap((structure) => structure.senderMessageKeys ?? [])
    const after = keep(value).flatMap((structure) => structure.senderMessageKeys ?? [])
    assert.equal(after.length, before.length)
    for (const [i, { iteration, seed }] of before.entries()) {
      kept++
      assert.equal(after[i].iteration, iteration)
      assert.deepEqual(Buffer.from(after[i].seed), Buffer.from(seed))
    }
  }
  assert.ok(kept > 0, 'messages were skipped')
})

test('trap 4: undefined disappears and does not become null', async (t) => {
  const record = { _sessions: {}, closed: { chainKey: { counter: 4, key: undefined } } }
  await twice(t, 'session', record, {
    line: v7,
    check: (read) => {
      assert.deepEqual(read, { _sessions: {}, closed: { chainKey: { counter: 4 } } })
      assert.equal('key' in read.closed.chainKey, false)
    }
  })
})

test('trap 5: numbers are doubles', async (t) => {
  const numbers = {
    closed: -1,
    created: 1732000000123,
    big: Number.MAX_SAFE_INTEGER,
    small: -(2 ** 53),
    half: 0.5,
    u32: 2 ** 32 - 1,
    over: 2 ** 31,
    tiny: 5e-324
  }
  for (const extra of [{}, { withBytes: Buffer.from('b') }]) {
    const value = { ...numbers, ...extra }
    await twice(t, 'session', value, { line: v7, check: (read) => assert.deepEqual(read, value) })
  }
})

test('trap 6: the order of keys is kept', async (t) => {
  const names = ['zz', 'aa', 'mm+/=', 'Zz', 'ä', 'a']
  const plain = { _sessions: Object.fromEntries(names.map((name, i) => [name, { _chains: { z: i, a: i } }])) }
  const binary = {
    version: 1,
    hash: Buffer.alloc(128),
    indexValueMap: Object.fromEntries(names.map((name) => [name, { valueMac: Buffer.alloc(32) }]))
  }
  for (const value of [plain, binary]) {
    await twice(t, 'app-state-sync-version', value, {
      line: v7,
      check: (read) => assert.deepEqual(Object.keys(read._sessions ?? read.indexValueMap), names)
    })
  }
})

test('trap 7: bytes are Buffers wherever BufferJSON would make them', async (t) => {
  const leaf = (value) => {
    assert.ok(Buffer.isBuffer(value))
    assert.equal(value.toString('base64'), 'AQID')
  }
  const bytes = () => new Uint8Array([1, 2, 3])
  for (const line of lines) {
    await twice(t, 'identity-key', bytes(), { line, check: leaf })
    await twice(
      t,
      'pre-key',
      { private: bytes(), public: Buffer.from(bytes()) },
      { line, check: (read) => [read.private, read.public].forEach(leaf) }
    )
    await twice(t, 'sender-key', [{ seed: bytes() }], { line, check: (read) => leaf(read[0].seed) })
  }
})

test('trap 8: views into larger buffers are stored as they are at the call, whatever happens to the buffer', async (t) => {
  const at = scene(t)
  const { state } = await at.openLocal('tenant')
  const received = Buffer.from(Array.from({ length: 4096 }, (_, i) => i % 251))
  const view = received.subarray(1000, 1032)
  const typed = new Uint8Array(received.buffer, received.byteOffset + 7, 33)
  const expected = { view: Buffer.from(view), typed: Buffer.from(typed) }
  const stored = state.keys.set({
    'app-state-sync-version': { regular: { version: 1, hash: view, indexValueMap: { a: { valueMac: received.subarray(-32) } } } },
    'identity-key': { '1.0': typed }
  })
  const last = Buffer.from(received.subarray(-32))
  received.fill(0xee)
  await stored
  const { regular } = await state.keys.get('app-state-sync-version', ['regular'])
  assert.deepEqual(regular, { version: 1, hash: expected.view, indexValueMap: { a: { valueMac: last } } })
  assert.deepEqual((await state.keys.get('identity-key', ['1.0']))['1.0'], expected.typed)
})

test('trap 9: empty bytes, arrays and objects are values', async (t) => {
  const at = scene(t)
  let session = await at.openLocal('tenant')
  const values = { token: { token: Buffer.alloc(0) }, bytes: Buffer.alloc(0), array: [], object: {} }
  await session.state.keys.set({ tctoken: values })
  for (let round = 0; round < 2; round++) {
    assert.deepEqual({ ...(await session.state.keys.get('tctoken', Object.keys(values))) }, values)
    await session.close()
    session = await at.openLocal('tenant')
  }
})

test('trap 10: bytes are not revived as JSON, objects that only look like bytes stay what they are, and old files are understood', async (t) => {
  const at = scene(t)
  const baileys = await v7.load()
  const { state } = await at.openLocal('tenant', { baileys })
  const text = Buffer.from('{"0":1,"1":2}')
  await state.keys.set({ 'sender-key': { g: text } })
  assert.deepEqual((await state.keys.get('sender-key', ['g'])).g, text)

  const folder = join(at.root, 'old', 'tenant')
  mkdirSync(folder, { recursive: true })
  const creds = JSON.parse(
    JSON.stringify(baileys.initAuthCreds(), (key, value) =>
      value?.type === 'Buffer' ? { type: 'Buffer', data: [...Buffer.from(value.data)] } : value
    )
  )
  writeFileSync(join(folder, 'creds.json'), JSON.stringify({ ...creds, additionalData: { 5: 1 } }))
  writeFileSync(join(folder, 'pre-key-1.json'), JSON.stringify({ private: { buffer: true, data: 'AQID' }, public: { 0: 7, 1: 8 } }))
  const old = await at.openLocal('tenant', { directory: join(at.root, 'old'), baileys })
  assert.ok(Buffer.isBuffer(old.state.creds.noiseKey.private))
  const { 1: preKey } = await old.state.keys.get('pre-key', ['1'])
  assert.deepEqual(preKey, { private: Buffer.from([1, 2, 3]), public: Buffer.from([7, 8]) })
})

test('trap 11: bytes are stored as bytes, not as base64 in JSON', async (t) => {
  const at = scene(t)
  const { state, status } = await at.openLocal('tenant')
  const before = status().logBytes
  const record = Buffer.alloc(300_000, '{"a":1}')
  await state.keys.set({ 'sender-key': { g: record } })
  const grown = status().logBytes - before
  assert.ok(grown < record.length + 1000, `${grown} bytes for ${record.length}`)
})

test('trap 12: results can be mutated without a trace in the store', async (t) => {
  const at = scene(t)
  const { state } = await at.openLocal('tenant')
  const data = {
    ...otherFamilies(),
    'sender-key-memory': { g: { a: true } },
    'device-list': { 1: ['0'] },
    'sender-key': { g: [{ senderKeyId: 1, seed: Buffer.from('seed') }], bytes: Buffer.from('[]') }
  }
  await state.keys.set(data)
  const all = () => Promise.all(Object.keys(data).map((type) => state.keys.get(type, Object.keys(data[type]))))
  const before = structuredClone(await all())
  const spoil = (value) => {
    if (Buffer.isBuffer(value)) value.fill(0)
    else if (Array.isArray(value)) value.push('spoilt')
    else if (typeof value === 'object' && value !== null) {
      for (const member of Object.values(value)) spoil(member)
      value.spoilt = true
    }
  }
  for (const result of await all()) spoil(result)
  assert.deepEqual(structuredClone(await all()), before)
})

test('trap 13: what set was given is stored as it was at the call', async (t) => {
  const at = scene(t)
  const { state } = await at.openLocal('tenant', { localDurability: 'data' })
  const live = { session: { a: { v: 1 } }, 'device-list': { d: ['0'] } }
  const stored = state.keys.set(live)
  live.session.late = { v: 2 }
  live.session.a.v = 99
  live['device-list'].d.push('1')
  live['lid-mapping'] = { 1: '2' }
  await stored
  assert.deepEqual({ ...(await state.keys.get('session', ['a', 'late'])) }, { a: { v: 1 }, late: null })
  assert.deepEqual((await state.keys.get('device-list', ['d'])).d, ['0'])
  assert.deepEqual({ ...(await state.keys.get('lid-mapping', ['1'])) }, { 1: null })
})

test('trap 13: a transaction of 6.17 that grows while it is committed loses nothing', async (t) => {
  const at = scene(t)
  const baileys = await v6.load()
  const { state } = await at.openLocal('tenant', { baileys })
  const silent = { level: 'silent', trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
  const keys = baileys.addTransactionCapability(state.keys, silent, { maxCommitRetries: 2, delayBetweenTriesMs: 1 })
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      keys.transaction(async () => {
        await keys.set({ session: { [`s${i}`]: { v: i } } })
        await keys.get('session', ['missing'])
      })
    )
  )
  const ids = Array.from({ length: 20 }, (_, i) => `s${i}`)
  const found = await state.keys.get('session', ids)
  assert.deepEqual(
    ids.map((id) => found[id]?.v),
    ids.map((_, i) => i)
  )
})
