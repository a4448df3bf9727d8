// A session changes between the disk (`local`), the disk and the store (`hybrid`), and the store (`cloud`), in every direction.
//
// Invariant guarded: what was written in one mode is there in the next, value for value and with the same identity, so that no
// phone has to scan anything; a copy that is older than another never wins; and where the way from one mode to another loses
// something, it is refused with what to do instead.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as baileys from 'baileys'
import { cloudScene } from '../support/clouds.mjs'
import { eventually, KEY, Machine, scratch } from '../../testkit/processes/machines.mjs'
import { contentsOf, rejection, unhurried } from '../../testkit/processes/sessions.mjs'
import { makeBucket } from '../../testkit/stores/index.mjs'
import { appStateSyncKey, conversation, otherFamilies, pairedCreds } from '../../testkit/baileys/values.mjs'

const TENANT = 'tenant'
/** Modes that carry a session to one another directly. */
const NEIGHBOURS = { local: ['hybrid'], hybrid: ['local', 'cloud'], cloud: ['hybrid'] }
/** Source of a restore in a mode, after a life in another. */
const SOURCE = { local: { hybrid: 'local' }, hybrid: { local: 'local', cloud: 'remote' }, cloud: { hybrid: 'remote' } }
const TYPES = ['session', 'app-state-sync-key', ...Object.keys(otherFamilies())]

/** Every way of `length` modes. */
const walks = (length) =>
  length === 1
    ? Object.keys(NEIGHBOURS).map((mode) => [mode])
    : walks(length - 1).flatMap((walk) => NEIGHBOURS[walk.at(-1)].map((next) => [...walk, next]))

const sessions = await conversation((value) => value, 8)

/** Everything of an open session, as text that is equal for equal contents. */
async function contents({ state }) {
  const all = [['creds', state.creds]]
  for (const type of TYPES) for await (const [id, value] of state.keys.list(type)) all.push([`${type}/${id}`, value])
  return JSON.stringify(
    all.sort(([a], [b]) => (a < b ? -1 : 1)),
    baileys.BufferJSON.replacer
  )
}

/** The identity towards WhatsApp: a new QR code would change it. */
const identityOf = ({ state: { creds } }) =>
  JSON.stringify([creds.noiseKey, creds.signedIdentityKey, creds.registrationId, creds.me], baileys.BufferJSON.replacer)

async function pair(session) {
  Object.assign(session.state.creds, pairedCreds({ initAuthCreds: () => session.state.creds, proto: baileys.proto }))
  await session.saveCreds()
  await session.state.keys.set(otherFamilies())
  await session.state.keys.set({ 'app-state-sync-key': { AAAAAOPQ: appStateSyncKey(baileys) } })
}

/** Writes of one stay in a mode: values that change, come and go, and credentials that count. */
async function live(session, step) {
  const value = sessions[step % sessions.length]
  await session.state.keys.set({
    session: { '2002.0': value, [`in-step-${step}`]: value },
    'pre-key': { [step + 1]: null, [step + 10]: { private: Buffer.alloc(32, step), public: Buffer.alloc(32, 7) } }
  })
  session.state.creds.nextPreKeyId = step + 11
  await session.saveCreds()
}

const optionsOf = (at) => ({
  local: { ...at.local, encryptionKeys: at.replicated.encryptionKeys },
  hybrid: at.replicated,
  cloud: at.cloud
})

for (const walk of walks(4)) {
  test(`${walk.join(' → ')} loses nothing and keeps the identity`, async (t) => {
    const at = await cloudScene(t, { defaults: { baileys } })
    const options = optionsOf(at)
    let known = null
    let identity = null
    for (const [step, mode] of walk.entries()) {
      const session = await at.open(TENANT, { ...options[mode], onMissing: step === 0 ? 'create' : 'error' })
      assert.equal(session.status().mode, mode)
      if (step === 0) await pair(session)
      else {
        assert.deepEqual(session.status().restored, { source: SOURCE[mode][walk[step - 1]], clean: true })
        assert.equal(await contents(session), known, `${walk[step - 1]} to ${mode}`)
      }
      identity ??= identityOf(session)
      assert.equal(identityOf(session), identity)
      await live(session, step)
      known = await contents(session)
      await session.close()
      // What a log of `hybrid` has that cloud went on from is set aside, not removed and not used.
      const aside = mode === 'hybrid' && walk[step - 1] === 'cloud' && walk.slice(0, step - 1).includes('hybrid')
      if (aside) assert.ok(readdirSync(join(at.directory, TENANT)).some((name) => name.endsWith('.quarantine')))
    }
  })
}

test('a session that was local only is not passed over by cloud, which makes no new one', async (t) => {
  const at = await cloudScene(t, { defaults: { baileys } })
  const options = optionsOf(at)
  const session = await at.open(TENANT, options.local)
  await pair(session)
  const known = await contents(session)
  await session.close()
  const before = contentsOf(at.directory)
  const error = await rejection(at.openCloud(TENANT))
  assert.equal(error.code, 'INVALID_OPTION')
  assert.match(error.message, /only in its local log.*open and close it once with `mode: 'hybrid'`/)
  assert.deepEqual(
    (await at.bucket.list()).filter((name) => name.startsWith('v1/claims/') || name.startsWith('v1/data/')),
    [],
    'nothing was claimed'
  )
  assert.deepEqual(contentsOf(at.directory), before)
  // Another tenant has nothing there, and is made.
  const other = await at.openCloud('another')
  assert.equal(other.status().restored.source, 'fresh')
  for (const mode of ['hybrid', 'cloud']) {
    const moved = await at.open(TENANT, options[mode])
    assert.equal(await contents(moved), known, mode)
    await moved.close()
  }
})

test('a folder of useMultiFileAuthState is not passed over by cloud either', async (t) => {
  const at = await cloudScene(t, { defaults: { baileys } })
  const folder = join(at.directory, TENANT)
  mkdirSync(folder, { recursive: true })
  const { state, saveCreds } = await baileys.useMultiFileAuthState(folder)
  Object.assign(state.creds, pairedCreds(baileys))
  await saveCreds()
  await state.keys.set(otherFamilies())
  const before = contentsOf(at.directory)
  const error = await rejection(at.openCloud(TENANT))
  assert.equal(error.code, 'INVALID_OPTION')
  assert.match(error.message, /only in a folder of `useMultiFileAuthState`.*`mode: 'hybrid'`/)
  assert.deepEqual(contentsOf(at.directory), before)
  const imported = await at.openReplicated(TENANT)
  assert.equal(imported.status().restored.source, 'imported')
  const known = await contents(imported)
  await imported.close()
  const moved = await at.openCloud(TENANT)
  assert.deepEqual(moved.state.creds.noiseKey, state.creds.noiseKey)
  assert.equal(await contents(moved), known)
})

test('a local session asks no store, and so nothing brings cloud to local but a stay in hybrid', async (t) => {
  const at = await cloudScene(t, { defaults: { baileys } })
  const options = optionsOf(at)
  const session = await at.openCloud(TENANT)
  await pair(session)
  const known = await contents(session)
  await session.close()
  assert.equal((await rejection(at.open(TENANT, { ...options.local, onMissing: 'error' }))).code, 'NOT_FOUND')
  for (const mode of ['hybrid', 'local']) {
    const moved = await at.open(TENANT, { ...options[mode], onMissing: 'error' })
    assert.equal(await contents(moved), known, mode)
    await moved.close()
  }
})

async function site(t) {
  const folder = scratch(t)
  const bucket = await makeBucket(t)
  const hybrid = { ...bucket.options, encryption: 'on', encryptionKeys: [KEY] }
  return { bucket, hybrid, cloud: { ...hybrid, mode: 'cloud' }, machine: (name) => Machine.start(t, join(folder, name)) }
}

test('what a killed hybrid session had not sent yet is not lost to cloud', async (t) => {
  const { machine, hybrid, cloud } = await site(t)
  const killed = await machine('same')
  await killed.call('open', TENANT, { ...hybrid, flushIntervalMs: 300_000 })
  await killed.call('set', { session: { a: { n: 1 } } })
  await killed.call('flush')
  // Another identity would not wait for the interval either.
  await killed.call('set', { session: { a: { n: 2 } } })
  await killed.call('set', { session: { a: { n: 3 } } })
  const { lsn, remoteDurableLsn } = await killed.call('status')
  await killed.kill()
  assert.ok(remoteDurableLsn < lsn)

  const refused = await machine('same')
  const error = await refused.call('open', TENANT, cloud).then(
    () => null,
    (failure) => failure
  )
  assert.equal(error?.code, 'INVALID_OPTION')
  assert.match(error.message, new RegExp(`LSN ${remoteDurableLsn + 1} to ${lsn} of this session are only in its local log`))
  await refused.kill()
  for (const options of [hybrid, cloud]) {
    const next = await machine('same')
    await next.call('open', TENANT, options)
    assert.deepEqual(await next.call('get', 'session', ['a']), { a: { n: 3 } })
    await next.call('close')
    await next.kill()
  }
})

test('a log that hybrid left does not win over what cloud wrote since, killed or closed', async (t) => {
  const { machine, hybrid, cloud } = await site(t)
  for (const end of ['close', 'kill']) {
    const tenant = `${TENANT}-${end}`
    const stale = await machine('same')
    await stale.call('open', tenant, hybrid)
    await stale.call('set', { session: { a: { n: 1 } } })
    await stale.call('flush')
    await stale.kill()
    const other = await machine('other')
    await other.call('open', tenant, cloud)
    await other.call('set', { session: { a: { n: 2 } } })
    if (end === 'close') await other.call('close')
    await other.kill()
    const back = await machine('same')
    const { restored } = await back.call('open', tenant, hybrid)
    assert.deepEqual(restored, { source: 'remote', clean: end === 'close' })
    assert.deepEqual(await back.call('get', 'session', ['a']), { a: { n: 2 } })
    await back.call('close')
    await back.kill()
  }
})

for (const [from, to] of [
  ['hybrid', 'cloud'],
  ['cloud', 'hybrid'],
  ['cloud', 'cloud']
]) {
  test(`a running ${from} session hands over to ${to} on the same machine`, async (t) => {
    const { machine, ...modes } = await site(t)
    const [older, newer] = [await machine('same'), await machine('same')]
    await older.call('open', TENANT, { ...modes[from], ...unhurried, ...(from === 'hybrid' ? { flushIntervalMs: 300_000 } : {}) })
    await older.call('startTraffic', 'older')
    await eventually('some traffic', () => older.notes.length > 30)
    const opened = await newer.call('open', TENANT, { ...modes[to], ...unhurried })
    const { n } = await eventually('the traffic is refused', async () => {
      const traffic = await older.call('traffic')
      return traffic.refusal === 'FENCED' && traffic
    })
    assert.deepEqual(opened.restored, { source: 'remote', clean: true })
    const { older: found } = await newer.call('get', 'counter', ['older'])
    assert.ok(found.n >= n && found.n <= n + 1, `${n} resolved, ${found.n} inherited`)
  })
}

test('writes made while a session was local win over the older state in the store', async (t) => {
  const { machine, hybrid } = await site(t)
  const ends = ['close', 'kill']
  for (const [before, after] of ends.flatMap((one) => ends.map((two) => [one, two]))) {
    const tenant = `${TENANT}-${before}-${after}`
    const stay = async (options, end, n) => {
      const one = await machine('same')
      const { restored } = await one.call('open', tenant, options)
      if (n > 1) {
        assert.equal(restored.source, 'local')
        assert.deepEqual(await one.call('get', 'session', ['a']), { a: { n: n - 1 } })
      }
      await one.call('set', { session: { a: { n } }, counter: { [n]: { n } } })
      if (end === 'close') await one.call('close')
      await one.kill()
    }
    await stay(hybrid, before, 1)
    await stay({ ...hybrid, mode: 'local' }, after, 2)
    await stay(hybrid, 'close', 3)
    const blank = await machine(`blank-${tenant}`)
    await blank.call('open', tenant, hybrid)
    assert.deepEqual(await blank.call('get', 'counter', ['1', '2', '3']), { 1: { n: 1 }, 2: { n: 2 }, 3: { n: 3 } })
    assert.deepEqual(await blank.call('get', 'session', ['a']), { a: { n: 3 } })
    await blank.kill()
  }
})

test('a session that was in a store is not opened as a local one because a variable is missing once', async (t) => {
  const at = await cloudScene(t, { defaults: { baileys } })
  const { mode, ...forgotten } = optionsOf(at).local
  const session = await at.openReplicated(TENANT)
  await pair(session)
  const known = await contents(session)
  await session.close()
  const refusals = { 'the log of a store': {}, 'a claim that was made from here, without a log': { log: false } }
  for (const [what, { log = true }] of Object.entries(refusals)) {
    if (!log)
      for (const name of readdirSync(join(at.directory, TENANT))) if (name.endsWith('.log')) rmSync(join(at.directory, TENANT, name))
    const before = contentsOf(at.directory)
    for (const options of [forgotten, { ...forgotten, onMissing: 'error' }, { ...forgotten, seedFromDisk: true }]) {
      const error = await rejection(at.open(TENANT, options))
      assert.equal(error?.code, 'INVALID_OPTION', what)
      assert.match(error.message, /was in a store.*set the variables of the bucket again, or set `mode: 'local'`/)
    }
    assert.deepEqual(contentsOf(at.directory), before, 'nothing is changed')
    const back = await at.openReplicated(TENANT, { onMissing: 'error' })
    assert.equal(await contents(back), known)
    await back.close()
  }
  const cut = await at.open(TENANT, { ...forgotten, mode: 'local', onMissing: 'error' })
  assert.equal(await contents(cut), known)
  await cut.close()
  // What was never in a store needs no word.
  for (const source of ['fresh', 'local']) {
    const alone = await at.open('another', forgotten)
    assert.equal(alone.status().restored.source, source)
    await alone.saveCreds()
    await alone.close()
  }
})
