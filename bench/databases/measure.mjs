// The measurements of `bench/databases.mjs`, each over one store.
//
// Invariant: a write counts when it resolved; what is lost or half there is looked up by an open that knows nothing of the writer.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { kinds, preKeys } from '../values.mjs'

const PROGRAM = fileURLToPath(new URL('./instance.mjs', import.meta.url))
const [makeSession, idOf] = kinds.session
const values = Array.from({ length: 64 }, makeSession)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export const quantile = (times, share) => [...times].sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))]

/** Milliseconds of each of `calls` writes of 2.3 KB, one after the other. */
export async function oneAfterTheOther(session, calls, from) {
  const times = []
  for (let n = 0; n < calls; n++) {
    const began = performance.now()
    await session.set({ session: { [idOf(n % 20)]: values[(n + from) % values.length] } })
    times.push(performance.now() - began)
  }
  return times
}

/** Writes a second of so many sessions at once, over `ms`. */
export async function together(sessions, ms) {
  let writes = 0
  const until = performance.now() + ms
  const began = performance.now()
  await Promise.all(
    sessions.map(async (session, at) => {
      for (let n = 0; performance.now() < until; n++, writes++)
        await session.set({ session: { [idOf(n % 20)]: values[(n + at) % values.length] } })
    })
  )
  return (writes * 1000) / (performance.now() - began)
}

class Instance {
  #waiting = new Map()
  #next = 0

  constructor() {
    this.child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('message', ({ id, answer }) => this.#waiting.get(id)(answer))
  }

  call(command, ...args) {
    const id = this.#next++
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.child.send({ id, command, args })
    })
  }

  async kill() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }
}

/** Milliseconds of each of `count` opens that take a session over from a process that goes on writing until it is told. */
export async function handovers(store, count) {
  const times = []
  let old = new Instance()
  await old.call('open', store)
  for (let n = 0; n < count; n++) {
    old.call('write')
    await pause(100)
    const next = new Instance()
    times.push(await next.call('open', store))
    await old.call('close')
    await old.kill()
    old = next
  }
  await old.call('close')
  await old.kill()
  return times
}

/** Milliseconds of each of `count` opens after the owner was killed, at default settings. */
export async function crashes(store, count) {
  const times = []
  let old = new Instance()
  await old.call('open', store)
  for (let n = 0; n < count; n++) {
    old.call('write')
    await pause(100)
    await old.kill()
    old = new Instance()
    times.push(await old.call('open', store))
  }
  await old.call('close')
  await old.kill()
  return times
}

/** Keys of every second batch, as many as new pre-keys come in; the others have one, as most have. */
const KEYS = 30
const sizeOf = (batch) => (batch % 2 === 0 ? 1 : KEYS)
/** Time that a batch is waited for after an outage. */
const PATIENCE_MS = 7000

/** Errors that nobody can catch: a rival that throws them ends the process, but not that of the benchmark. */
const uncaught = { ours: 0, rivals: 0 }
export function surviveRivals() {
  // Clients of rivals stay connected while another store is measured: the module that throws tells whose error it is.
  process.on('uncaughtException', (error) => (uncaught[/node_modules/.test(String(error?.stack)) ? 'rivals' : 'ours'] += 1))
}

/**
 * Batches one after the other, while the server is killed and comes back after `outageMs`, `kills` times: batches that
 * resolved and are not whole afterwards, and batches of which only a part is there. `ends` is true where the outage would have ended the
 * process, by an error that nobody can catch.
 */
export async function losses({ open, server, isOurs }, { kills, outageMs }) {
  const id = 'losses'
  const whose = isOurs ? 'ours' : 'rivals'
  const before = uncaught[whose]
  const writer = await open(id)
  const resolved = new Set()
  let [n, isOver] = [0, false]
  const ids = (batch) => Array.from({ length: sizeOf(batch) }, (_, at) => String(batch * KEYS + at))
  const traffic = (async () => {
    for (; !isOver; n++) {
      const all = Object.values(preKeys(sizeOf(n)))
      const data = { 'pre-key': Object.fromEntries(ids(n).map((id, at) => [id, all[at]])) }
      await Promise.race([
        writer.set(data).then(
          () => resolved.add(n),
          () => {}
        ),
        pause(outageMs + PATIENCE_MS)
      ])
    }
  })()
  for (let kill = 0; kill < kills; kill++) {
    await pause(300 + 37 * kill)
    await server.kill()
    await pause(outageMs)
    await server.start()
  }
  await pause(PATIENCE_MS)
  isOver = true
  await traffic
  await writer.close().catch(() => {})
  const reader = await open(id)
  let [lost, torn] = [0, 0]
  for (let batch = 0; batch < n; batch++) {
    const wanted = ids(batch)
    const found = await reader.get('pre-key', wanted)
    const there = wanted.filter((id) => found[id] !== null && found[id] !== undefined).length
    if (resolved.has(batch) && there < wanted.length) lost += 1
    if (there > 0 && there < wanted.length) torn += 1
  }
  await reader.close().catch(() => {})
  return { batches: n, resolved: resolved.size, lost, torn, ends: uncaught[whose] > before }
}
