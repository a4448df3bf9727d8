// The addon in several threads, and a panic in the core.
//
// Invariant guarded: one engine serves every thread of the process, whichever of them loads it, ends it or is ended while it is
// busy; and a panic in the core is an error with a code, costs one session until it is opened again, and never the process.

import test from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { cannotLie, lyingWrite } from '../../testkit/processes/lying-write.mjs'
import { ROOT, scene, startProcess, until } from '../../testkit/processes/sessions.mjs'

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

test(
  'a panic in the core is an error, puts the session out of use with typed errors, and leaves Node alive',
  { skip: cannotLie },
  async (t) => {
    const at = scene(t)
    const lie = lyingWrite(t)
    const child = startProcess(t, panicAndLook, { options: at.local, lie: lie.switch }, { env: lie.env })
    const { refusals, life, beside } = await Promise.race([child.said(), hanging()])
    for (const [use, refusal] of Object.entries(refusals)) assert.deepEqual(refusal, { code: 'INTERNAL', isTyped: true }, use)
    // Who watches over many sessions learns from the status which of them it is.
    assert.equal(life, 'poisoned')
    assert.deepEqual(beside, { v: 2 })
    const { code, stderr } = await child.ended
    assert.equal(code, 0)
    assert.match(stderr, /panicked/)
  }
)

for (const mode of ['local', 'replicated']) {
  for (const how of ['closed and opened', 'opened']) {
    test(`${mode}: after a panic the session is ${how} again with everything in it`, { skip: cannotLie }, async (t) => {
      const at = scene(t)
      const lie = lyingWrite(t)
      const child = startProcess(t, panicAndReopen, { options: at[mode], lie: lie.switch, closes: how !== 'opened' }, { env: lie.env })
      assert.deepEqual(await Promise.race([child.said(), hanging()]), { code: 'INTERNAL', found: { v: 1 } })
      assert.equal((await child.ended).code, 0)
    })
  }
}

/** A bound for what would otherwise hang the run: long, for a machine that takes its time to start a process and to load Baileys. */
const hanging = () => new Promise((_, reject) => setTimeout(() => reject(new Error('it hangs')), 120_000).unref())

async function panicAndLook({ load, hybrid, args, say }) {
  const { rmSync, writeFileSync } = load('node:fs')
  const session = await hybrid.useHybridAuthState('tenant', args.options)
  const bystander = await hybrid.useHybridAuthState('bystander', args.options)
  await session.saveCreds()
  await session.state.keys.set({ session: { a: { v: 1 } } })
  const refusals = {}
  const refused = async (name, use) => {
    refusals[name] = await use().then(
      () => 'done',
      (error) => ({ code: error.code, isTyped: error instanceof hybrid.HybridAuthError })
    )
  }
  writeFileSync(args.lie, '')
  await refused('the call that panics', () => session.state.keys.set({ session: { b: { v: 2 } } }))
  rmSync(args.lie)
  await refused('get', () => session.state.keys.get('session', ['a']))
  await refused('set', () => session.state.keys.set({ session: { b: { v: 2 } } }))
  await refused('saveCreds', () => session.saveCreds())
  await refused('clear', () => session.state.keys.clear())
  await refused('flush', () => session.flush())
  const { life } = session.status()
  await bystander.state.keys.set({ session: { b: { v: 2 } } })
  await say({ refusals, life, beside: (await bystander.state.keys.get('session', ['b'])).b })
  await bystander.close()
  await session.close().catch(() => {})
}

async function panicAndReopen({ load, hybrid, args, say }) {
  const { rmSync, writeFileSync } = load('node:fs')
  const session = await hybrid.useHybridAuthState('tenant', args.options)
  await session.saveCreds()
  await session.state.keys.set({ session: { a: { v: 1 } } })
  writeFileSync(args.lie, '')
  const code = await session.state.keys.set({ session: { b: { v: 2 } } }).then(
    () => 'done',
    (error) => error.code
  )
  rmSync(args.lie)
  if (args.closes) await session.close().catch(() => {})
  try {
    const again = await hybrid.useHybridAuthState('tenant', { ...args.options, onMissing: 'error' })
    await say({ code, found: (await again.state.keys.get('session', ['a'])).a })
    await again.close()
  } catch (error) {
    await say(`${error.code}: ${error.message}`)
  }
}

test('the addon has the exports that are declared, and none that panics on purpose', () => {
  const declared = [...readFileSync(join(ROOT, 'binding.d.ts'), 'utf8').matchAll(/^export declare function (\w+)/gm)].map(
    ([, name]) => name
  )
  const found = Object.keys(binding).filter((name) => typeof binding[name] === 'function')
  assert.deepEqual(found.sort(), declared.sort())
  assert.ok(!found.includes('fault'))
})
