// Removing keys that nobody can be waiting for: nothing that may still be needed goes, and everything else does.
//
// Invariant guarded: after pruning, each message of an established contact decrypts, and each first message with any pre-key
// of the window; and the bounds are tight, since one key more would break one of them.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { hybrid, rejection, scene } from '../../testkit/processes/sessions.mjs'
import { Device } from '../../testkit/world/device.mjs'
import { LINES } from '../../testkit/world/baileys.mjs'
import { SUBJECT } from '../../testkit/world/peers.mjs'
import { createWorld, memoryState } from '../../testkit/world/world.mjs'
import { chosen } from '../support/size.mjs'

const { pruneKeys, spentPreKeys, deadSessions } = createRequire(import.meta.url)('../../lib/session/prune-keys.js')

const WINDOW = 812
const DAY = 86_400_000
const ALL = { dryRun: false, preKeyWindow: WINDOW }

async function idsOf(session) {
  const found = []
  for await (const id of session.state.keys.listIds('pre-key')) found.push(Number(id))
  return found.sort((a, b) => a - b)
}

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i)

/** A session that talks with a world, and one more contact whose pre-keys are chosen by the test. */
async function talk(t, line, at = scene(t)) {
  const session = await at.openLocal('tenant')
  const world = await createWorld({ line, seed: 7, contacts: 3, groups: 1, subject: session })
  const { baileys } = world.line
  const stranger = new Device({
    line: world.line,
    auth: memoryState(baileys),
    me: { account: 1, device: 33 },
    book: world.peers.book,
    fetchBundles: null
  })
  await stranger.pair()

  async function upload(count) {
    world.peers.server.upload(SUBJECT.account, SUBJECT.device, await world.subject.call('uploadPreKeys', count))
  }
  const bundle = (preKey) => ({ jid: world.peers.subjectJid, ...world.peers.server.devices.get('0:12'), preKey })
  /** Message of the stranger who took this pre-key from the server. */
  async function write(id, publicKey, text) {
    world.peers.server.devices.get('0:12').preKeys.delete(id)
    stranger.fetchBundles = async () => [bundle({ id, public: publicKey })]
    await stranger.beginSession(SUBJECT)
    return stranger.sendToDevice({ ...SUBJECT, plaintext: Buffer.from(text) })
  }
  async function read({ type, ciphertext }) {
    const result = await world.subject.call('receive', { from: stranger.jid, alternative: null, type, ciphertext })
    world.ledger.acknowledge(world.subject.shown)
    return result
  }
  const publicKeys = async (ids) => {
    const keys = await world.subject.call('publicPreKeys', ids.map(String))
    return new Map(ids.map((id, i) => [id, keys[i]]))
  }
  return { at, session, world, stranger, upload, write, read, publicKeys }
}

for (const line of chosen(LINES, (line) => line === 'v7')) {
  test(`${line}: with any pre-key of the window a first message decrypts after pruning, and with the one below it does not`, async (t) => {
    const { session, world, upload, write, read, publicKeys } = await talk(t, line)
    await world.run(30)
    while (session.state.creds.nextPreKeyId < 2 * WINDOW + 50) await upload(WINDOW)
    const next = session.state.creds.nextPreKeyId
    const lowest = next - WINDOW
    const before = await idsOf(session)
    const window = before.filter((id) => id >= lowest)
    assert.deepEqual(
      [window, before.length > window.length + 100],
      [range(lowest, next), true],
      'there is something to remove, and a full window'
    )
    const publics = await publicKeys(before)
    // Contacts took them all from the server, and most of them have not written yet.
    world.peers.server.bundles(Array.from({ length: before.length }, () => world.peers.subjectJid))
    const told = await session.pruneKeys({ preKeyWindow: WINDOW })
    assert.deepEqual(await idsOf(session), before, 'a dry run removes nothing')
    const { bytes, lsn } = session.status()
    const report = await session.pruneKeys(ALL)
    assert.deepEqual(report, { ...told, dryRun: false })
    assert.deepEqual([report.preKeys.removed, report.preKeys.kept], [before.length - WINDOW, WINDOW])
    assert.equal(session.status().bytes, bytes - report.preKeys.bytes - report.closedSessions.bytes, 'bytes as the status counts them')
    assert.ok(session.status().lsn > lsn)
    assert.deepEqual(await idsOf(session), window)

    const old = before.filter((id) => id < lowest).at(-1)
    assert.ok(
      (await read(await write(old, publics.get(old), 'too late'))).failure,
      'with the highest that went nothing can be read: the bound is what keeps messages readable'
    )
    const tried = window.slice(1).filter((id, i) => i < 3 || i % 50 === 0 || id >= next - 3)
    for (const id of tried)
      assert.equal((await read(await write(id, publics.get(id), `with ${id}`))).plaintext?.toString(), `with ${id}`, `pre-key ${id}`)
    // The test's own check: one more than may go, and somebody cannot be read.
    const sent = await write(lowest, publics.get(lowest), 'in time')
    await session.state.keys.set({ 'pre-key': { [lowest]: null } })
    assert.ok((await read(sent)).failure, 'the lowest of the window is needed')
    await world.run(40)
  })
}

test('a contact goes on after its old closed sessions went, and what was written in those that stayed is still read', async (t) => {
  let now = Date.UTC(2026, 0, 1)
  t.mock.method(Date, 'now', () => now)
  const { at, session, world, stranger, write, read, publicKeys } = await talk(t, 'v7')
  const [take, kept] = [12, 5]
  const ids = (await idsOf(session)).slice(-take - 2)
  const publics = await publicKeys(ids)
  const late = []
  for (const id of ids.slice(0, take)) {
    now += DAY
    assert.equal((await read(await write(id, publics.get(id), 'hello'))).plaintext.toString(), 'hello')
    late.push(await stranger.sendToDevice({ ...SUBJECT, plaintext: Buffer.from(`late ${id}`) }))
  }
  const another = { ...ALL, closedSessionsKept: kept }
  assert.equal((await session.pruneKeys({ ...another, preKeyWindow: null })).closedSessions.removed, 0, 'none is old enough')
  now += 90 * DAY + 1
  const sessions = async () => {
    const found = {}
    for await (const [id, record] of session.state.keys.list('session')) found[id] = record
    return found
  }
  const before = await sessions()
  const closedOf = (record) => Object.values(record._sessions).filter(({ indexInfo }) => indexInfo.closed !== -1).length
  const total = Object.values(before).reduce((sum, record) => sum + closedOf(record), 0)
  const { bytes } = session.status()
  const report = await session.pruneKeys({ ...another, preKeyWindow: null })
  const after = await sessions()
  const removed = take - 1 - kept
  assert.deepEqual(
    [report.closedSessions.removed, report.closedSessions.records, report.closedSessions.kept],
    [removed, 1, total - removed]
  )
  assert.deepEqual([bytes - session.status().bytes, report.preKeys], [report.closedSessions.bytes, { removed: 0, kept: 0, bytes: 0 }])
  const changed = Object.keys(before).filter((id) => JSON.stringify(before[id]) !== JSON.stringify(after[id]))
  assert.equal(changed.length, 1)
  const [record, was] = [after[changed[0]], before[changed[0]]]
  assert.equal(closedOf(record), kept)
  assert.deepEqual(
    Object.entries(record._sessions),
    Object.entries(was._sessions).filter(([key]) => key in record._sessions),
    'the rest is as it was, in its order'
  )

  // The open one, and those that were closed last.
  for (const [i, message] of late.entries()) {
    const { plaintext, failure, message: why } = await read(message)
    if (i >= take - 1 - kept) assert.equal(plaintext?.toString(), `late ${ids[i]}`, `session ${i}: ${why}`)
    else assert.ok(failure, `session ${i} went, and is needed for what was written in it: the bound is tight`)
  }
  const current = await stranger.sendToDevice({ ...SUBJECT, plaintext: Buffer.from('now') })
  assert.equal((await read(current)).plaintext.toString(), 'now')
  await world.run(60)
  await session.close()
  const again = await at.openLocal('tenant')
  await world.swapSubject(again)
  await world.run(30)
})

test('a closed session that was used again counts from then', async (t) => {
  let now = Date.UTC(2026, 0, 1)
  t.mock.method(Date, 'now', () => now)
  const { session, world, stranger, write, read, publicKeys } = await talk(t, 'v7')
  const ids = (await idsOf(session)).slice(-5)
  const publics = await publicKeys(ids)
  const baseKeys = async () => {
    for await (const [id, { _sessions }] of session.state.keys.list('session')) if (id.endsWith('.33')) return Object.keys(_sessions)
  }
  assert.ok((await read(await write(ids[0], publics.get(ids[0]), 'hello'))).plaintext)
  // Only with an answer does libsignal note when a session is used.
  const answer = await world.subject.host.device.sendToDevice({ account: 1, device: 33, plaintext: Buffer.from('and you') })
  assert.ok((await stranger.receive({ from: world.peers.subjectJid, ...answer })).plaintext)
  const late = await stranger.sendToDevice({ ...SUBJECT, plaintext: Buffer.from('late') })
  for (const id of ids.slice(1)) {
    now += DAY
    assert.ok((await read(await write(id, publics.get(id), 'hello'))).plaintext)
  }
  now += 80 * DAY
  assert.equal((await read(late)).plaintext?.toString(), 'late')
  now += 20 * DAY
  const before = await baseKeys()
  assert.equal(before.length, 5)
  const options = { dryRun: false, preKeyWindow: null, closedSessionsKept: 1 }
  assert.equal((await session.pruneKeys(options)).closedSessions.removed, 3)
  assert.deepEqual(await baseKeys(), [before[0], before[4]], 'the one that was used, and the open one')
  now += 80 * DAY
  assert.equal((await session.pruneKeys(options)).closedSessions.removed, 0, 'one closed session stays however old')
})

test('for every small set of pre-keys and counters everything goes that may, and nothing else', () => {
  let cases = 0
  const most = 7
  for (let bits = 0; bits < 2 ** most; bits++) {
    const ids = range(1, most + 1).filter((id) => bits & (1 << (id - 1)))
    for (let bound = 0; bound <= most + 1; bound++) {
      for (const kept of [[], [1], [2, 5], [most]]) {
        const spent = spentPreKeys([...ids.map(String), 'x', '01', '-1', '1.5', ''], bound, new Set(kept)).map(Number)
        const highest = ids.at(-1)
        assert.deepEqual(
          spent,
          ids.filter((id) => id < bound && id !== highest && !kept.includes(id))
        )
        cases++
      }
    }
  }
  assert.ok(cases > 3000)
})

/** A core of pre-keys alone; answers how many went, and in how many writes. */
async function pruned(count, counters, options = {}) {
  const writes = []
  const core = {
    index: (type) => (type === 'pre-key' ? range(1, count + 1).map((id) => [String(id), 100]) : []),
    append: (data) => writes.push(Object.keys(data['pre-key']).length),
    settled: async () => {}
  }
  const creds = () => counters.map(([nextPreKeyId, firstUnuploadedPreKeyId]) => ({ nextPreKeyId, firstUnuploadedPreKeyId }))
  const report = await pruneKeys(core, creds, { ...ALL, ...options })
  return { removed: report.preKeys.removed, writes }
}

test('the bound is the lowest of all counters, in memory and stored', async () => {
  const lowestOf = async (...counters) => (await pruned(3000, counters)).removed + 1
  assert.equal(await lowestOf([3001, 3001], [3001, 3001]), 3001 - WINDOW)
  assert.equal(await lowestOf([3001, 3001], [2900, 2900]), 2900 - WINDOW)
  assert.equal(await lowestOf([2900, 2900], [3001, 3001]), 2900 - WINDOW)
  assert.equal(await lowestOf([3001, 100], [3001, 3001]), 100, 'what the server does not have yet stays, however many there are')
  assert.equal(await lowestOf([500, 500], [3001, 3001]), 1)
})

test('one call does a whole account, and the dry run tells exactly that', async (t) => {
  const session = await scene(t).openLocal('tenant', { localDurability: 'os' })
  Object.assign(session.state.creds, { nextPreKeyId: 9000, firstUnuploadedPreKeyId: 9000 })
  await session.saveCreds()
  const key = { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) }
  const entry = (closed) => ({ indexInfo: { closed, used: 1 }, filling: 'x'.repeat(2000) })
  const record = { version: 'v1', _sessions: Object.fromEntries([['open', entry(-1)], ...range(1, 11).map((n) => [`k${n}`, entry(n)])]) }
  await session.state.keys.set({ 'pre-key': Object.fromEntries(range(1, 9000).map((id) => [id, key])) })
  // 13 MB: more than any step looks at.
  for (let n = 0; n < 600; n += 100)
    await session.state.keys.set({ session: Object.fromEntries(range(n, n + 100).map((id) => [id, record])) })
  const steps = []
  const told = await session.pruneKeys({ onProgress: ({ done, total }) => steps.push([done, total]) })
  assert.deepEqual(
    [told.preKeys.removed, told.closedSessions.removed, told.closedSessions.records, told.closedSessions.kept],
    [9000 - 1 - 1624 + 0, 3000, 600, 3000]
  )
  assert.deepEqual(steps.at(-1), [9599, 9599])
  assert.ok(steps.length > 20 && steps.every(([done], i) => i === 0 || done >= steps[i - 1][0]), `${steps.length} steps`)
  const { bytes } = session.status()
  const done = await session.pruneKeys({ dryRun: false })
  assert.deepEqual(done, { ...told, dryRun: false })
  assert.equal(session.status().bytes, bytes - done.preKeys.bytes - done.closedSessions.bytes)
  assert.deepEqual((await session.pruneKeys()).closedSessions, { removed: 0, kept: 3000, bytes: 0, records: 0 })
})

test('a step is bounded by counts and bytes alone: on a machine of any speed other work has its turn between', async (t) => {
  // A clock that stands still: no step is ever late.
  t.mock.method(performance, 'now', () => 0)
  const [preKeys, sessions, bytes] = [25_000, 300, 10_000]
  const entry = (closed) => ({ indexInfo: { closed, used: 1 } })
  const record = { version: 'v1', _sessions: Object.fromEntries([['open', entry(-1)], ...range(1, 11).map((n) => [`k${n}`, entry(n)])]) }
  let step = { entries: 0, reads: 0, removed: 0, writes: 0 }
  const steps = [step]
  let isDone = false
  const turns = () => {
    step = { entries: 0, reads: 0, removed: 0, writes: 0 }
    steps.push(step)
    if (!isDone) setImmediate(turns)
  }
  setImmediate(turns)
  const core = {
    *index(type) {
      const size = type === 'pre-key' ? 100 : bytes
      for (const id of range(1, (type === 'pre-key' ? preKeys : sessions) + 1)) {
        step.entries++
        yield [String(id), size]
      }
    },
    read: () => (step.reads++, { value: record, bytes }),
    sizeOf: () => bytes / 2,
    append(data) {
      step.writes++
      for (const records of Object.values(data)) step.removed += Object.keys(records).length
      return step.writes
    },
    settled: async () => {}
  }
  const report = await pruneKeys(core, () => [{ nextPreKeyId: 30_000, firstUnuploadedPreKeyId: 30_000 }], { ...ALL, keepPreKeyIds: [1] })
  isDone = true
  assert.deepEqual([report.preKeys.removed, report.closedSessions.removed], [preKeys - 2, 5 * sessions])
  const most = (name) => Math.max(...steps.map((one) => one[name]))
  assert.ok(most('entries') <= 10_000, `${most('entries')} entries in a step`)
  assert.ok(most('removed') <= 1000, `${most('removed')} keys in a step`)
  assert.ok(most('reads') * bytes <= 128 * 1024 + bytes, `${most('reads')} records in a step`)
  assert.equal(most('writes'), 1)
  assert.ok(steps.filter(({ reads }) => reads > 0).length >= (sessions * bytes) / (128 * 1024 + bytes))
})

test('a record that is not as libsignal writes it is left alone', () => {
  const dead = (record) => deadSessions(record, { before: 1000, closedKept: 1 })
  const closed = (closed, used = 1) => ({ indexInfo: { closed, used } })
  assert.deepEqual(dead({ version: 'v1', _sessions: { a: closed(1), b: closed(2), c: closed(3) } }), ['b', 'a'])
  assert.deepEqual(dead({ version: 'v1', _sessions: { a: closed(1, 999), b: closed(2), c: closed(3), d: closed(1, 1000) } }), [
    'a',
    'c',
    'b'
  ])
  assert.deepEqual(dead({ version: 'v1', _sessions: { a: closed(-1), b: closed(-1) } }), [])
  for (const record of [
    null,
    undefined,
    7,
    'x',
    [],
    Buffer.from('x'),
    {},
    { version: 'v1' },
    { version: 'v1', _sessions: null },
    { version: 'v2', _sessions: { a: closed(1), b: closed(2) } },
    { version: 'v1', _sessions: { a: closed(1), b: closed(2), c: closed(undefined) } },
    { version: 'v1', _sessions: { a: closed(1), b: closed(2, 'x') } },
    { version: 'v1', _sessions: { a: closed(1), b: {} } },
    { version: 'v1', _sessions: { a: closed(1), b: null } }
  ])
    assert.equal(dead(record), null, JSON.stringify(record))
})

test('other work has its turns meanwhile, and what it writes is not taken back', async (t) => {
  const session = await scene(t).openLocal('tenant')
  await session.saveCreds()
  const entry = (closed, used) => ({ indexInfo: { closed, used }, filling: 'x'.repeat(5000) })
  const record = (used) => ({ version: 'v1', _sessions: { open: entry(-1, 1), a: entry(1, 1), b: entry(2, used), c: entry(3, 1) } })
  const ids = range(0, 100).map(String)
  for (const id of ids) await session.state.keys.set({ session: { [id]: record(1) } })
  const options = { dryRun: false, preKeyWindow: null, closedSessionsKept: 1 }
  let turns = 0
  let isDone = false
  const others = (async () => {
    while (!isDone) {
      await new Promise((resolve) => setImmediate(resolve))
      // All are found by then or looked at from what they were: one is used again, one has gone.
      if (turns++ === 1) await session.state.keys.set({ session: { 7: record(Date.now()), 8: null } })
    }
  })()
  const report = await session.pruneKeys(options)
  isDone = true
  await others
  assert.ok(turns >= 3, `${turns} turns`)
  assert.equal(report.closedSessions.records, 99)
  const found = await session.state.keys.get('session', ids)
  const left = (id) => found[id] && Object.keys(found[id]._sessions).join(' ')
  assert.deepEqual([left(6), left(7), left(8)], ['open c', 'open b', null])
  assert.equal(found[7]._sessions.b.indexInfo.used > 1, true)
  assert.equal(ids.filter((id) => left(id) === 'open c').length, 98)
})

test('the highest pre-key stays although the window is empty, and so do those that are named', async (t) => {
  const session = await scene(t).openLocal('tenant')
  const key = { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) }
  await session.state.keys.set({ 'pre-key': Object.fromEntries(range(1, 20).map((id) => [id, key])) })
  Object.assign(session.state.creds, { nextPreKeyId: 5000, firstUnuploadedPreKeyId: 5000 })
  assert.equal((await session.pruneKeys(ALL)).preKeys.removed, 0, 'the stored credentials know of no upload yet')
  await session.saveCreds()
  assert.deepEqual((await session.pruneKeys({ ...ALL, keepPreKeyIds: new Set([3, 7]) })).preKeys.removed, 16)
  assert.deepEqual(await idsOf(session), [3, 7, 19])
  await session.pruneKeys(ALL)
  assert.deepEqual(await idsOf(session), [19])
  const { lsn } = session.status()
  assert.deepEqual((await session.pruneKeys(ALL)).preKeys, { removed: 0, kept: 1, bytes: 0 })
  assert.equal(session.status().lsn, lsn, 'nothing to remove is no write')
})

test('wrong options and credentials without counters are refused, and nothing goes', async (t) => {
  const session = await scene(t).openLocal('tenant')
  await session.state.keys.set({ 'pre-key': { 1: { private: Buffer.alloc(32), public: Buffer.alloc(32) } } })
  const wrong = {
    dryRun: ['no', 1, null],
    preKeyWindow: [0, 811, -1, 1.5, 'all', true, 2 ** 24 + 1],
    keepPreKeyIds: [7, null, 'x', [0], [1.5], ['1'], [-1]],
    closedSessionsOlderThanDays: [0, 29, 'x', 1.5, true],
    closedSessionsKept: [0, 41, null, 'x'],
    onProgress: [1, null, 'x'],
    olderThanDays: [1]
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const { code, message } = await rejection(session.pruneKeys({ dryRun: false, [name]: value }))
      assert.deepEqual([code, message.includes(name)], ['INVALID_OPTION', true], `${name} ${value}: ${message}`)
    }
  }
  for (const value of [null, 7, 'x']) assert.equal((await rejection(session.pruneKeys(value))).code, 'INVALID_OPTION')
  await session.saveCreds()
  for (const counters of [
    { nextPreKeyId: undefined },
    { nextPreKeyId: '5' },
    { nextPreKeyId: 5, firstUnuploadedPreKeyId: 6 },
    { nextPreKeyId: 0 },
    { firstUnuploadedPreKeyId: 1.5, nextPreKeyId: 9 }
  ]) {
    Object.assign(session.state.creds, { nextPreKeyId: 5000, firstUnuploadedPreKeyId: 5000 }, counters)
    const { code, message } = await rejection(session.pruneKeys(ALL))
    assert.deepEqual([code, /nextPreKeyId.*nothing was removed/.test(message)], ['INVALID_OPTION', true], JSON.stringify(counters))
    assert.equal((await session.pruneKeys({ ...ALL, preKeyWindow: null })).preKeys.removed, 0)
  }
  assert.deepEqual(await idsOf(session), [1])
  await session.close()
  assert.equal((await rejection(session.pruneKeys())).code, 'CLOSED')
})

test('a fleet prunes a tenant that is open, and one that is not, and a blank machine restores what is left', async (t) => {
  const at = scene(t)
  const fleet = new hybrid.HybridAuth(at.replicated)
  const session = await fleet.open('tenant')
  const key = { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) }
  Object.assign(session.state.creds, { nextPreKeyId: 5000, firstUnuploadedPreKeyId: 5000 })
  await session.saveCreds()
  await session.state.keys.set({
    'pre-key': Object.fromEntries([10, 20, 4900].map((id) => [id, key])),
    'sender-key-memory': { g: { a: true } },
    'device-list': { u: ['0'] }
  })
  assert.deepEqual((await fleet.pruneKeys('tenant')).preKeys.removed, 2, 'told, by default')
  assert.deepEqual(await idsOf(session), [10, 20, 4900])
  assert.equal((await fleet.pruneKeys('tenant', { ...ALL, keepPreKeyIds: [20] })).preKeys.removed, 1)
  await session.close()
  assert.equal((await fleet.pruneKeys('tenant', ALL)).preKeys.removed, 1)
  assert.deepEqual(fleet.list(), [])
  assert.equal((await rejection(fleet.pruneKeys('nobody', ALL))).code, 'NOT_FOUND')
  const blank = await at.open('tenant', { ...at.elsewhere(), onMissing: 'error' })
  assert.deepEqual(await idsOf(blank), [4900])
  assert.deepEqual(
    [await blank.state.keys.get('sender-key-memory', ['g']), await blank.state.keys.get('device-list', ['u'])],
    [{ g: { a: true } }, { u: ['0'] }]
  )
})
