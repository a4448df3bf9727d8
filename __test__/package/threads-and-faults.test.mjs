// The addon in several threads, and a fault in the core.
//
// Invariant guarded: one engine serves every thread of the process, whichever of them loads it, ends it or is ended while it is
// busy; and a panic in the core is an error with a code, costs one session until it is opened again, and never the process.

import test from 'node:test'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ROOT, hybrid, rejection, scene, startProcess, until } from '../../testkit/processes/sessions.mjs'

const binding = createRequire(import.meta.url)('../../binding.js')

/** Runs `work({ hybrid, args, say })` in a thread of this process. */
function startThread(t, work, args) {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads')
    const hybrid = require(${JSON.stringify(join(ROOT, 'index.js'))})
    ;(${work})({ hybrid, args: workerData, say: (message) => parentPort.postMessage(message) })
  `
  const worker = new Worker(program, { eval: true, workerData: args })
  const messages = []
  const waiting = []
  worker.on('message', (message) => (waiting.length > 0 ? waiting.shift()(message) : messages.push(message)))
  worker.on('error', (error) => (waiting.length > 0 ? waiting.shift()(error) : messages.push(error)))
  t.after(() => worker.terminate())
  const said = () => (messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve)))
  return { worker, said, ended: new Promise((resolve) => worker.once('exit', resolve)) }
}

async function writeForEver({ hybrid, args, say }) {
  const { state, saveCreds } = await hybrid.useHybridAuthState(args.tenant, args.options)
  await saveCreds()
  const pair = () => ({ private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) })
  for (let i = 1; ; i++) {
    await state.keys.set({ session: { [args.id]: { i } }, 'pre-key': { [i]: pair() } })
    const { [args.id]: read } = await state.keys.get('session', [args.id])
    if (read.i !== i) throw new Error(`thread ${args.id} reads ${read.i} after ${i}`)
    if (i % 50 === 0) {
      say(i)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

for (const mode of ['local', 'replicated']) {
  test(`${mode}: two threads work on tenants of their own and on the same one, and are terminated while busy`, async (t) => {
    const at = scene(t)
    const mine = await at.open('shared', at[mode])
    const threads = ['one', 'two'].flatMap((id) =>
      [id, 'shared'].map((tenant) => startThread(t, writeForEver, { id, tenant, options: at[mode] }))
    )
    const last = []
    for (const thread of threads) {
      assert.equal(await thread.said(), 50)
      last.push(await thread.said())
    }
    for (const { worker } of threads) assert.equal(await worker.terminate(), 1)
    for (const [tenant, id, written] of [
      ['one', 'one', last[0]],
      ['shared', 'one', last[1]],
      ['two', 'two', last[2]],
      ['shared', 'two', last[3]]
    ]) {
      const session = await at.open(tenant, { ...at[mode], onMissing: 'error' })
      const found = await session.state.keys.get('session', [id])
      assert.ok(found[id].i >= written, `${tenant} ${id}: ${found[id].i} of ${written}`)
      await session.state.keys.set({ session: { after: { tenant } } })
    }
    assert.deepEqual((await mine.state.keys.get('session', ['after'])).after, { tenant: 'shared' })
    await mine.flush()
    for (const tenant of ['one', 'two', 'shared']) await (await at.open(tenant, at[mode])).delete()
  })
}

test('a thread that ends by itself closes nothing for the others', async (t) => {
  const at = scene(t)
  const mine = await at.openReplicated('tenant')
  const thread = startThread(
    t,
    async ({ hybrid, args, say }) => {
      const session = await hybrid.useHybridAuthState('tenant', args)
      session.on('backup', () => {})
      await session.state.keys.set({ session: { fromThread: { v: 1 } } })
      await session.flush()
      say('done')
    },
    at.replicated
  )
  assert.equal(await thread.said(), 'done')
  assert.equal(await thread.ended, 0)
  for (let i = 0; i < 10; i++) {
    await mine.state.keys.set({ session: { [i]: { i } } })
    await mine.flush()
  }
  assert.deepEqual((await mine.state.keys.get('session', ['fromThread'])).fromThread, { v: 1 })
  await mine.delete()
})

test('a thread that ends without closing gives its sessions back: another process can open them', async (t) => {
  const at = scene(t)
  const thread = startThread(
    t,
    async ({ hybrid, args, say }) => {
      const session = await hybrid.useHybridAuthState('tenant', args)
      await session.state.keys.set({ session: { fromThread: { v: 1 } } })
      say('open')
    },
    at.local
  )
  assert.equal(await thread.said(), 'open')
  assert.equal(await thread.ended, 0)
  // The directory is let go in its own time; until then the other process is told that it is held.
  await until(async () => {
    const other = startProcess(
      t,
      async ({ hybrid, args, say }) => {
        try {
          const { state, close } = await hybrid.useHybridAuthState('tenant', args)
          await say((await state.keys.get('session', ['fromThread'])).fromThread)
          await close()
        } catch (error) {
          await say(error.code)
        }
      },
      at.local
    )
    const answer = await other.said()
    await other.ended
    if (answer !== 'ALREADY_OPEN') assert.deepEqual(answer, { v: 1 })
    return answer !== 'ALREADY_OPEN'
  }, 'the directory is free')
})

/** The handle of the newest open: they are numbers that count up. */
async function newestHandle(options) {
  const { handle } = await binding.open(JSON.stringify(options), Buffer.alloc(0), null, () => {})
  return handle
}

const nativeOptions = (at) => ({
  tenantId: 'tenant',
  directory: at.directory,
  cloud: false,
  store: null,
  flushIntervalMs: 50,
  ownershipCheckIntervalMs: 200,
  refreshIntervalMs: 60_000,
  handoverTimeoutMs: null,
  takeover: false,
  strictLease: false,
  create: true,
  hideTenantIds: false,
  acceptUnencrypted: false,
  fresh: false,
  seedFromDisk: false
})

test('a fault in the core is an error, puts the session out of use with typed errors, and leaves Node alive', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant')
  const bystander = await at.openLocal('bystander')
  await session.saveCreds()
  await session.state.keys.set({ session: { a: { v: 1 } } })
  const handle = await newestHandle(nativeOptions(at))
  assert.throws(() => binding.fault(handle), /fault|panic/i)
  const refusals = [
    () => session.state.keys.get('session', ['a']),
    () => session.state.keys.set({ session: { b: { v: 2 } } }),
    () => session.saveCreds(),
    () => session.state.keys.clear(),
    () => session.flush()
  ]
  for (const use of refusals) {
    const error = await rejection(use())
    assert.equal(error.code, 'INTERNAL', String(use))
    assert.ok(error instanceof hybrid.HybridAuthError)
  }
  // Who watches over many sessions learns from the status which of them it is.
  assert.equal(session.status().life, 'poisoned')
  await bystander.state.keys.set({ session: { b: { v: 2 } } })
  assert.deepEqual((await bystander.state.keys.get('session', ['b'])).b, { v: 2 })
})

for (const mode of ['local', 'replicated']) {
  for (const how of ['closed and opened', 'opened']) {
    test(`${mode}: after a fault the session is ${how} again with everything in it`, async (t) => {
      const at = scene(t)
      const child = startProcess(t, faultAndReopen, { options: at[mode], closes: how !== 'opened' })
      assert.deepEqual(await Promise.race([child.said(), hanging()]), { v: 1 })
      assert.equal((await child.ended).code, 0)
    })
  }
}

/** A bound for what would otherwise hang the run: long, for a machine that takes its time to start a process and to load Baileys. */
const hanging = () => new Promise((_, reject) => setTimeout(() => reject(new Error('it hangs')), 120_000).unref())

async function faultAndReopen({ load, hybrid, args, say }) {
  const binding = load('./binding.js')
  const session = await hybrid.useHybridAuthState('tenant', args.options)
  await session.saveCreds()
  await session.state.keys.set({ session: { a: { v: 1 } } })
  for (let handle = 1; handle < 4; handle++) {
    try {
      binding.fault(handle)
    } catch {
      // one of these numbers is the session's
    }
  }
  if (args.closes) await session.close().catch(() => {})
  try {
    const again = await hybrid.useHybridAuthState('tenant', { ...args.options, onMissing: 'error' })
    await say((await again.state.keys.get('session', ['a'])).a)
    await again.close()
  } catch (error) {
    await say(`${error.code}: ${error.message}`)
  }
}
