// A session that is opened again for each new socket, and never closed: what code does that was written for files.
//
// Invariant guarded: an open that nobody can reach any more costs nothing and keeps nobody from releasing; one of which any part is
// held goes on working.

import test from 'node:test'
import assert from 'node:assert/strict'
import { scene, startProcess } from '../../testkit/processes/sessions.mjs'

const GC = ['--expose-gc']
/** Neither a timer nor a check of its own interferes, and no wait for a dead owner ends before the test does. */
const patient = { ownershipCheckIntervalMs: 600_000, handoverTimeoutMs: 3_600_000 }

test('opens that nobody holds are given back, are told nothing, and the last close releases', async (t) => {
  const at = scene(t)
  const child = startProcess(t, openAgainAndAgain, { options: { ...at.replicated, ...patient } }, { nodeOptions: GC })
  const { opened, told, alive } = await child.said()
  assert.equal(opened, 100)
  assert.ok(alive < 10, `${alive} of ${opened} sessions that nobody holds were not collected`)
  assert.ok(told < 10, `${told} listeners of sessions that nobody holds were told`)
  assert.equal((await child.ended).code, 0)
  // It would wait for an hour, and say so.
  const { restored } = (await at.open('tenant', { ...at.elsewhere(), ...patient })).status()
  assert.deepEqual(restored, { source: 'remote', clean: true })
})

async function openAgainAndAgain({ hybrid, args, say }) {
  const rest = () => new Promise((resolve) => setTimeout(resolve, 5))
  const refs = []
  let told = 0
  const open = async () => {
    const session = await hybrid.useHybridAuthState('tenant', args.options)
    // As usual, the listener holds the session.
    session.on('fenced', () => session.close())
    session.on('backup', () => told++)
    refs.push(new WeakRef(session))
    return session
  }
  const first = await hybrid.useHybridAuthState('tenant', args.options)
  await first.saveCreds()
  for (let i = 0; i < 100; i++) await open()
  const alive = () => refs.filter((ref) => ref.deref() !== undefined).length
  for (let i = 0; i < 200 && alive() > 0; i++) {
    await rest()
    globalThis.gc()
  }
  for (let i = 0; i < 20; i++) await rest()
  told = 0
  await first.state.keys.set({ session: { a: { v: 1 } } })
  await first.flush()
  for (let i = 0; i < 20; i++) await rest()
  await first.close()
  await say({ opened: refs.length, told, alive: alive() })
}

for (const kind of ['plain', 'fleet']) {
  test(`${kind}: the newest open releases when it is closed, once the older ones are out of reach`, async (t) => {
    const at = scene(t)
    const child = startProcess(t, reconnect, { options: { ...at.replicated, ...patient }, kind }, { nodeOptions: GC })
    assert.equal(await child.said(), 'closed')
    await child.ended
    const { restored } = (await at.open('tenant', { ...at.elsewhere(), ...patient })).status()
    assert.equal(restored.clean, true)
  })
}

async function reconnect({ hybrid, args, say }) {
  const fleet = new hybrid.HybridAuth(args.options)
  const open = () => (args.kind === 'fleet' ? fleet.open('tenant') : hybrid.useHybridAuthState('tenant', args.options))
  const refs = []
  const connect = async () => {
    const session = await open()
    refs.push(new WeakRef(session))
    await session.saveCreds()
    return { close: () => session.close() }
  }
  let socket
  for (let i = 0; i < 5; i++) socket = await connect()
  for (let i = 0; i < 200 && refs.slice(0, -1).some((ref) => ref.deref() !== undefined); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    globalThis.gc()
  }
  // What is collected is given back in a turn of its own.
  await new Promise((resolve) => setTimeout(resolve, 100))
  await socket.close()
  await say('closed')
  process.exit(0)
}

const parts = {
  'keys.get': ({ state }) => ({ get: state.keys.get }),
  'keys.set': ({ state }) => ({ set: state.keys.set }),
  'keys.list': ({ state }) => ({ list: state.keys.list }),
  saveCreds: ({ saveCreds }) => ({ saveCreds }),
  status: ({ status }) => ({ status }),
  close: ({ close }) => ({ close }),
  on: ({ on }) => ({ on })
}

test('a session of which any part is held is not given back', async (t) => {
  const at = scene(t)
  const child = startProcess(
    t,
    holdParts,
    { options: at.local, parts: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, String(part)])) },
    { nodeOptions: GC }
  )
  assert.deepEqual(await child.said(), Object.fromEntries(Object.keys(parts).map((name) => [name, 'live'])))
})

async function holdParts({ hybrid, args, say }) {
  const held = {}
  const lives = {}
  for (const [name, text] of Object.entries(args.parts)) {
    held[name] = await hybrid.useHybridAuthState(name, args.options).then(eval(`(${text})`))
  }
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    globalThis.gc()
  }
  const { get, set, list, saveCreds, status, close, on } = Object.assign({}, ...Object.values(held))
  const uses = {
    'keys.get': () => get('session', ['a']),
    'keys.set': () => set({ session: { a: { v: 1 } } }),
    'keys.list': async () => {
      for await (const _ of list('session'));
    },
    saveCreds,
    status,
    close,
    on: () => on('backup', () => {}).saveCreds()
  }
  for (const name of Object.keys(held))
    lives[name] = await Promise.resolve()
      .then(uses[name])
      .then(
        () => 'live',
        (error) => error.code
      )
  await say(lives)
}
