// Machines for tests of crashes and of two owners: child processes with a disk of their own, stopped and killed for real.
//
// Invariants: every child is ended by its own pid and every folder removed, whatever the test did. What a child reports with
// `note` is in a file before the next statement runs, so that a SIGKILL cannot take it back.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { atEnd, scratch } from '../base/endings.mjs'

export { atEnd, scratch }

const PROGRAM = fileURLToPath(new URL('./child-session.mjs', import.meta.url))

export const KEY = '5a'.repeat(32)
export const OTHER_KEY = 'a5'.repeat(32)

/** The seed of this run: SEED from the environment, else the time. Printed, so that a failure can be replayed. */
export function runSeed(what) {
  const seed = process.env.SEED === undefined ? Date.now() % 4294967296 : Number(process.env.SEED)
  console.log(`${what}: SEED=${seed}`)
  return seed
}

/** Waits until `probe` answers something; the time-out is generous and only there to end a broken run. */
export async function eventually(what, probe, timeoutMs = 120_000) {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const answer = await probe()
    if (answer) return answer
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A rejected call to a child, with the code of the child's error. */
class ChildError extends Error {
  constructor({ code, message }) {
    super(`${code}: ${message}`)
    this.code = code
  }
}

/** One machine: a process, and a directory that outlives it. */
export class Machine {
  #waiting = new Map()
  #next = 1

  /** Starts a machine on `disk`; ended with the test. */
  static async start(t, disk) {
    mkdirSync(disk, { recursive: true })
    const machine = new Machine(disk, join(scratch(t), 'notes'))
    atEnd(t, () => machine.kill())
    await machine.call('ready')
    return machine
  }

  constructor(disk, notesFile) {
    Object.assign(this, { disk, notesFile, events: [] })
    const how = { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' }
    this.child = fork(PROGRAM, [join(disk, 'sessions'), notesFile], how)
    this.ended = once(this.child, 'exit')
    this.child.on('message', ({ id, event, result, error }) => {
      if (event) return this.events.push(event)
      const { resolve, reject } = this.#waiting.get(id)
      this.#waiting.delete(id)
      error ? reject(new ChildError(error)) : resolve(result)
    })
    this.child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new ChildError({ code: 'PROCESS_ENDED', message: 'the machine is gone' }))
      this.#waiting.clear()
    })
  }

  call(command, ...args) {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.child.send({ id, command, args }, () => {})
    })
  }

  /** Outcome of a call: `'ok'` or the code of its error. */
  outcome(command, ...args) {
    return this.call(command, ...args).then(
      () => 'ok',
      (error) => error.code
    )
  }

  /** Resolves when the event was told. */
  told(name, { from = 0 } = {}) {
    return eventually(`event ${name}`, () => this.events.slice(from).find((event) => event.name === name))
  }

  /** Lines that the child wrote; the last line may be cut short by a kill and then does not count. */
  get notes() {
    if (!existsSync(this.notesFile)) return []
    return readFileSync(this.notesFile, 'utf8').split('\n').slice(0, -1)
  }

  stop() {
    this.child.kill('SIGSTOP')
  }
  continue() {
    this.child.kill('SIGCONT')
  }

  /** SIGKILL works on a stopped process as well. */
  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }
}
