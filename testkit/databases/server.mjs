// A database server whose data outlives its process: ended, killed and stopped in its tracks, and started again on what it left.
//
// Invariants: it is ended by process id, with the processes that it has begun; its data is gone afterwards, however this process
// ends. Two of its lives never overlap.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startServer } from '../base/server-process.mjs'

/** Time that a server may take to end by itself. */
const GRACE_MS = 10_000

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Parent and state of a process, or null where there is none. */
function look(pid) {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return null
  }
}

const isThere = (pid) => look(pid) !== null && look(pid).state !== 'Z'

/** A process and its children. */
const family = (pid) => [
  pid,
  ...readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && look(name)?.parent === pid)
    .map(Number)
]

const signal = (pid, name) => {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/** The folder of a server and its data. */
export function makePlace(name) {
  const place = mkdtempSync(join(tmpdir(), `${name}-data-`))
  chmodSync(place, 0o711)
  return place
}

export class DatabaseServer {
  #life = null
  #members = []

  /** `plan(folder)` is as for `startServer`; `place` has the data, and `graceful` is the signal that asks for an end. */
  constructor({ name, place, plan, graceful = 'SIGTERM' }) {
    Object.assign(this, { name, place, plan, graceful })
  }

  get pid() {
    return this.#life.pid
  }
  get log() {
    return this.#life.log
  }

  /** Starts it on its data, and answers how it is reached. */
  async start() {
    const { server, address } = await startServer(this.name, async (folder) => ({ data: [this.place], ...(await this.plan(folder)) }))
    this.#life = server
    return address
  }

  async #over(members) {
    await this.#life.stop()
    const deadline = performance.now() + GRACE_MS
    while (members.some(isThere) && performance.now() < deadline) await pause(5)
    this.#life = null
  }

  /** Ends it as an operator does. */
  async end() {
    if (this.#life === null) return
    const members = family(this.pid)
    this.thaw()
    if (!this.#life.hasEnded) {
      this.#life.child.ref()
      this.#life.child.kill(this.graceful)
    }
    // The child keeps this process alive, the limit does not.
    await Promise.race([this.#life.ended, new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref())])
    await this.#over(members)
  }

  /** As the end of a machine does: all of its processes, at once. What was given to the system is there afterwards. */
  async kill() {
    const members = family(this.pid)
    this.#life.child.ref()
    for (const member of members) signal(member, 'SIGKILL')
    await this.#life.ended
    await this.#over(members)
  }

  /** Stops it in its tracks: connections stay, and nobody answers. */
  freeze() {
    const found = () => family(this.pid).filter((member) => !this.#members.includes(member))
    for (let next = found(); next.length > 0; next = found()) {
      for (const member of next) signal(member, 'SIGSTOP')
      this.#members.push(...next)
    }
  }

  thaw() {
    for (const member of this.#members.splice(0)) signal(member, 'SIGCONT')
  }

  async restart() {
    await this.end()
    return this.start()
  }

  async stop() {
    await this.end()
    this.#freeMemory()
    rmSync(this.place, { recursive: true, force: true, maxRetries: 5 })
  }

  /** A PostgreSQL that was killed leaves a piece of shared memory, whose id is in the file of its process. */
  #freeMemory() {
    try {
      const [, id] = readFileSync(join(this.place, 'data/postmaster.pid'), 'utf8').split('\n')[6].trim().split(/\s+/)
      spawnSync('ipcrm', ['-m', id])
    } catch {
      // It ended in an orderly way, or is another server.
    }
  }
}
