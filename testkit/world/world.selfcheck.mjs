// Checks the Signal world itself: a good store must pass on every line of Baileys, and a store that forgets must make the run
// fail.
//
//   node testkit/world/world.selfcheck.mjs [messages] [seed]
//
// Invariant: each negative check fails for the reason it was built for, and only because of the fault: the same run on the
// same store without the fault is one of the positive checks.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { LINES } from './baileys.mjs'
import { createWorld, loadLine, LostAcknowledged, memoryState, resumeWorld, SubjectDied, SubjectProcess } from './world.mjs'
import { makeRandom } from './wire.mjs'

const LOG_STATE = new URL('./log-state.mjs', import.meta.url).href

const CHECKS = [
  memoryPasses,
  multiFilePasses,
  snapshotGoesOn,
  forgottenSessionIsNoticed,
  staleSenderKeyIsNoticed,
  killedProcessLosesNothing,
  earlyAcknowledgementIsNoticed
]

/** Runs every check; throws at the first that does not come out as it must. */
export async function checkWorld({ lines = LINES, messages = 200, seed = 20260522, say = () => {} } = {}) {
  say(`seed ${seed}, ${messages} messages per run`)
  for (const line of lines) {
    for (const check of CHECKS) {
      const started = Date.now()
      const outcome = await check({ line, messages, seed, loaded: await loadLine(line) })
      say(`${line.padEnd(5)} ${check.name.padEnd(30)} ${String(Date.now() - started).padStart(6)} ms   ${outcome}`)
    }
  }
}

async function memoryPasses({ line, messages, seed, loaded }) {
  const first = memoryState(loaded.baileys)
  const world = await createWorld({ line, seed, subject: first, groups: 2 })
  await world.run(messages / 2)
  await world.swapSubject(memoryState(loaded.baileys, first.dump()))
  await world.run(messages / 2)
  const { keys } = await world.audit()
  return `${messages} messages, 1 restart, ${keys} keys compared`
}

async function multiFilePasses({ line, messages, seed, loaded }) {
  return inFolder(async (folder) => {
    const open = () => loaded.baileys.useMultiFileAuthState(folder)
    const world = await createWorld({ line, seed: seed + 1, subject: await open() })
    await world.run(messages / 2)
    await world.swapSubject(await open())
    await world.run(messages / 2)
    return `${messages} messages, 1 restart, ${(await world.audit()).keys} keys compared`
  })
}

async function snapshotGoesOn({ line, seed, loaded }) {
  const subject = memoryState(loaded.baileys)
  const world = await createWorld({ line, seed: seed + 2, subject })
  await world.run(30)
  const resumed = await resumeWorld({ line, peers: world.snapshotPeers(), subject: memoryState(loaded.baileys, subject.dump()) })
  await resumed.run(30)
  return `${resumed.stats.messages} messages`
}

async function forgottenSessionIsNoticed({ line, messages, seed, loaded }) {
  const random = makeRandom(seed)
  const { state, saveCreds } = memoryState(loaded.baileys)
  const set = async (data) => {
    const session = Object.fromEntries(Object.entries(data.session ?? {}).filter(() => random.next() >= 1 / 40))
    return state.keys.set(data.session ? { ...data, session } : data)
  }
  return mustFail(line, seed + 3, 3 * messages, { state: { creds: state.creds, keys: { get: state.keys.get, set } }, saveCreds })
}

async function staleSenderKeyIsNoticed({ line, messages, seed, loaded }) {
  const random = makeRandom(seed)
  const { BufferJSON } = loaded.baileys
  const { state, saveCreds } = memoryState(loaded.baileys)
  const older = new Map()
  const get = async (type, ids) => {
    const found = await state.keys.get(type, ids)
    for (const id of type === 'sender-key' ? ids : []) {
      if (older.has(id) && random.next() < 1 / 5) found[id] = JSON.parse(older.get(id), BufferJSON.reviver)
    }
    return found
  }
  const set = async (data) => {
    const ids = Object.keys(data['sender-key'] ?? {})
    const before = await state.keys.get('sender-key', ids)
    for (const id of ids) if (before[id]?.length) older.set(id, JSON.stringify(before[id], BufferJSON.replacer))
    return state.keys.set(data)
  }
  return mustFail(line, seed + 4, 3 * messages, { state: { creds: state.creds, keys: { get, set } }, saveCreds })
}

async function mustFail(line, seed, messages, subject) {
  const world = await createWorld({ line, seed, subject })
  const error = await world.run(messages).then(
    () => null,
    (e) => e
  )
  if (!error) throw new Error(`${line}: ${messages} messages passed on a store that forgets (seed ${seed})`)
  return `noticed at message ${world.stats.messages + 1}: ${error.message.split('\n')[0].slice(0, 70)}`
}

/** SIGKILL at chosen store calls: before, within, and after the call; the peers live on in this process. */
async function killedProcessLosesNothing({ line, seed }) {
  return inFolder(async (folder) => {
    const start = () => SubjectProcess.start({ line, factory: LOG_STATE, args: { file: join(folder, 'log') } })
    let subject = await start()
    const world = await createWorld({ line, seed: seed + 5, contacts: 4, subject })
    const interrupted = {}
    let calls = 1
    for (const moment of ['before', 'during', 'after', 'before', 'during', 'after']) {
      await subject.call('armCrash', { moment, calls: calls++ })
      await untilDeath(world)
      interrupted[world.undecided.command] = (interrupted[world.undecided.command] ?? 0) + 1
      subject = await start()
      await world.swapSubject(subject)
    }
    await world.run(30)
    await subject.stop()
    const where = Object.entries(interrupted)
      .map(([command, n]) => `${n} in ${command}`)
      .join(', ')
    return `${world.stats.messages} messages, ${world.stats.restarts} kills (${where})`
  })
}

async function earlyAcknowledgementIsNoticed({ line, seed }) {
  return inFolder(async (folder) => {
    const start = () => SubjectProcess.start({ line, factory: LOG_STATE, args: { file: join(folder, 'log'), lie: 3 } })
    const subject = await start()
    const world = await createWorld({ line, seed: seed + 6, contacts: 4, subject })
    await world.run(10)
    await subject.kill()
    const restarted = await start()
    const error = await world.swapSubject(restarted).then(
      () => null,
      (e) => e
    )
    await restarted.kill()
    if (!(error instanceof LostAcknowledged)) throw new Error(`${line}: three lost calls went unnoticed: ${error}`)
    return `noticed: ${error.message.slice(0, 80)}`
  })
}

async function untilDeath(world) {
  try {
    for (;;) await world.step()
  } catch (error) {
    if (!(error instanceof SubjectDied)) throw error
  }
}

async function inFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'signal-world-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [messages = 200, seed = 20260522] = process.argv.slice(2).map(Number)
  await checkWorld({ messages, seed, say: (text) => console.log(text) })
  console.log('the world notices what it must')
}
