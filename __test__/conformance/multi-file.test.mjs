// The same operations through useMultiFileAuthState itself and through ours, for every line of Baileys, bare and under the
// wrappers that Baileys puts around a key store: the answers must be equal.
//
// Invariant guarded: drop-in. Whatever Baileys reads back from `useMultiFileAuthState` it reads back from us, in class and
// content and order of keys; sessions move to and from a multi-file folder without a difference.

import test from 'node:test'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { lines } from '../../testkit/baileys/lines.mjs'
import { KEY, scene } from '../../testkit/processes/sessions.mjs'
import { sized } from '../support/size.mjs'
import { random, runSeed } from '../values/arbitrary.mjs'
import { makeOperations } from './operations.mjs'
import { silentLogger } from '../../testkit/world/baileys.mjs'

const seed = runSeed('conformance')
const BAILEYS_TYPES = [
  'pre-key',
  'session',
  'sender-key',
  'sender-key-memory',
  'app-state-sync-key',
  'app-state-sync-version',
  'lid-mapping',
  'device-list',
  'tctoken',
  'identity-key'
]

/** Equal in class, content and, what deepEqual does not see, order of keys. */
function same(ours, theirs, what) {
  assert.deepEqual(ours, theirs, what)
  assert.equal(JSON.stringify(ours), JSON.stringify(theirs), `${what}: order of keys`)
}

/** Compares what both answer; counts the values, and not the absences, that were compared. */
async function compare(ours, theirs, type, ids, what) {
  const [mine, original] = await Promise.all([ours.get(type, ids), theirs.get(type, ids)])
  assert.deepEqual(Object.keys(mine).sort(), Object.keys(original).sort(), `${what}: ids`)
  for (const id of Object.keys(original)) same(mine[id], original[id], `${what} ${type} ${id}`)
  return Object.values(original).filter(Boolean).length
}

const wrappers = {
  bare: () => (keys) => keys,
  cached:
    ({ makeCacheableSignalKeyStore }) =>
    (keys) =>
      makeCacheableSignalKeyStore(keys, silentLogger),
  'in transactions':
    ({ addTransactionCapability }) =>
    (keys) =>
      addTransactionCapability(keys, silentLogger, { maxCommitRetries: 1, delayBetweenTriesMs: 1 }),
  'cached and in transactions':
    ({ addTransactionCapability, makeCacheableSignalKeyStore }) =>
    (keys) =>
      addTransactionCapability(makeCacheableSignalKeyStore(keys, silentLogger), silentLogger, {
        maxCommitRetries: 1,
        delayBetweenTriesMs: 1
      })
}

/** Plays the operations on both; answers the two states and all ids that occurred. */
async function play({ line, wrap, openOurs, folder, operations, transactional }) {
  const { useMultiFileAuthState, BufferJSON } = line.baileys
  const open = async () => {
    const [ours, theirs] = [await openOurs(), await useMultiFileAuthState(folder)]
    return { ours, theirs, mine: wrap(ours.state.keys), original: wrap(theirs.state.keys) }
  }
  let at = await open()
  assert.deepEqual(Object.keys(at.ours.state), Object.keys(at.theirs.state))
  const sameCreds = JSON.stringify(at.theirs.state.creds, BufferJSON.replacer)
  Object.assign(at.ours.state.creds, JSON.parse(sameCreds, BufferJSON.reviver))
  await Promise.all([at.ours.saveCreds(), at.theirs.saveCreds()])

  for (const [n, step] of operations.steps.entries()) {
    const what = `SEED=${seed}, step ${n}`
    if (step.kind === 'set') {
      const store = (keys) => {
        const work = async () => {
          await keys.set(step.make())
          if (n % 3 === 0) await keys.get('session', ['missing'])
        }
        return transactional && n % 2 === 0 ? keys.transaction(work, 'me') : work()
      }
      await Promise.all([store(at.mine), store(at.original)])
    } else if (step.kind === 'get') await compare(at.mine, at.original, step.type, step.ids, what)
    else if (step.kind === 'saveCreds') {
      const text = JSON.stringify(step.make(), BufferJSON.replacer)
      for (const { state, saveCreds } of [at.ours, at.theirs]) {
        Object.assign(state.creds, JSON.parse(text, BufferJSON.reviver))
        await saveCreds()
      }
    } else {
      await at.ours.close()
      at = await open()
      same(at.ours.state.creds, at.theirs.state.creds, `${what}: creds`)
    }
  }
  return at
}

async function compareAll(ours, theirs, ids, what) {
  for (const [type, of] of ids)
    assert.ok((await compare(ours.state.keys, theirs.state.keys, type, [...of], what)) > 0, `${what}: ${type} was never there`)
  same(ours.state.creds, theirs.state.creds, `${what}: creds`)
}

for (const setup of lines) {
  const load = async () => ({ baileys: await setup.load(), senderKeys: setup.senderKeys })

  for (const mode of ['local', 'hybrid']) {
    test(`${setup.name}, ${mode}: random operations answer as useMultiFileAuthState answers, and the session moves there and back`, async (t) => {
      const at = scene(t)
      const line = await load()
      const options = { ...(mode === 'local' ? at.local : at.replicated), baileys: line.baileys }
      const openOurs = () => at.open('tenant', options)
      const operations = makeOperations(random, seed, line, { count: sized(80, 220) })
      const folder = join(at.root, 'multi-file')
      const { ours, theirs } = await play({ line, wrap: (keys) => keys, openOurs, folder, operations })
      await compareAll(ours, theirs, operations.ids, 'at the end')

      const exported = join(at.root, 'exported')
      const report = await ours.exportMultiFile(exported)
      assert.equal(report.collisions + report.impossible, 0)
      const moved = await line.baileys.useMultiFileAuthState(exported)
      await compareAll(moved, theirs, operations.ids, 'exported')

      for (const type of ['bridge-room', 'bridge-cursor']) {
        await ours.state.keys.set({ [type]: Object.fromEntries([...operations.ids.get(type)].map((id) => [id, null])) })
        operations.ids.delete(type)
      }
      await ours.exportMultiFile(join(at.root, 'imported-on', 'tenant'))
      await ours.close()
      const { encryptionKeys } = mode === 'local' ? {} : options
      const back = await at.open('tenant', { ...at.local, encryptionKeys, directory: join(at.root, 'imported-on'), baileys: line.baileys })
      assert.equal(back.status().restored.source, 'imported')
      await compareAll(back, theirs, operations.ids, 'imported back')
    })
  }

  test(`${setup.name}: a blank machine answers as the multi-file folder would`, async (t) => {
    const at = scene(t)
    const line = await load()
    const operations = makeOperations(random, seed + 1, line, { count: sized(50, 120) })
    const openOurs = () => at.openReplicated('tenant', { baileys: line.baileys })
    const { ours, theirs } = await play({ line, wrap: (keys) => keys, openOurs, folder: join(at.root, 'multi-file'), operations })
    await ours.close()
    const blank = await at.open('tenant', { ...at.elsewhere(), baileys: line.baileys, onMissing: 'error' })
    assert.deepEqual(blank.status().restored, { source: 'remote', clean: true })
    await compareAll(blank, theirs, operations.ids, 'restored')
  })

  for (const [name, wrapper] of Object.entries(wrappers).slice(1)) {
    test(`${setup.name}, ${name}: the wrapped stores answer alike`, async (t) => {
      const at = scene(t)
      const line = await load()
      const operations = makeOperations(random, seed + 2, line, { count: sized(60, 150), types: BAILEYS_TYPES })
      const { ours, theirs } = await play({
        line,
        wrap: wrapper(line.baileys),
        openOurs: () => at.openLocal('tenant', { baileys: line.baileys, encryptionKeys: KEY }),
        folder: join(at.root, 'multi-file'),
        operations,
        transactional: name.includes('transactions')
      })
      await compareAll(ours, theirs, operations.ids, 'beneath the wrapper')
    })
  }
}
