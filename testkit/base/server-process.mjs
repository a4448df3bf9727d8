// Server programs as child processes: started until they are ready, and ended for certain.
//
// Invariants: nothing outlives the process that started it, however that one ends: a watchdog of a few lines, which sees its
// pipe close, kills the server and removes its files. A server that is not ready is never handed out. A program is ended by
// its own pid. Neither of the two keeps this process alive.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A port may be taken between the moment it was found free and the one it is used in: then it is tried again with others. */
const ATTEMPTS = 5
/** Generous: it only ends a broken run. */
const READY_MS = 180_000
/** Time that a server may take to end by itself. There is nothing worth saving: its folder is removed. */
const GRACE_MS = 300

/** Arguments: a pid, then files and folders. Waits a moment for the end of the process, lest it writes files behind `rm`. */
const WATCHDOG = `
trap '' HUP INT TERM
while read -r _; do :; done
kill -KILL "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 20 ]; do sleep 0.1; n=$((n + 1)); done
shift
rm -rf -- "$@"
`

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Answers a server that listens there, or null where something else does. */
async function listenAt(port) {
  const server = createServer().listen(port, '127.0.0.1')
  return once(server, 'listening').then(
    () => server,
    () => null
  )
}

/**
 * `count` ports that are free, and for each of `offsets` the one that is so much higher as well. They lie below the range that
 * systems take ports of outgoing connections from, so that only another server can take them, and beside those of proxies.
 */
export async function freePorts(count, offsets = []) {
  const ports = []
  const held = []
  while (ports.length < count) {
    const port = 12_000 + Math.floor(Math.random() * 4_000)
    const servers = await Promise.all([0, ...offsets].map((offset) => listenAt(port + offset)))
    held.push(...servers.filter(Boolean))
    if (servers.every(Boolean)) ports.push(port)
  }
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

class ServerProcess {
  #folder
  #litter
  #watchdog
  #stopped = null

  constructor({ program, args, env = {}, litter = [], data = [] }, folder) {
    this.#folder = folder
    this.#litter = litter
    const log = openSync(this.#logFile, 'w')
    // Nothing of our own environment: no proxy, no credentials, no configuration of whoever runs the tests.
    const environment = { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, ...env }
    this.child = spawn(program, args, { cwd: folder, env: environment, stdio: ['ignore', log, log] })
    closeSync(log)
    this.ended = new Promise((resolve) => this.child.once('exit', resolve).once('error', resolve))
    if (this.child.pid === undefined) return
    this.#watchdog = spawn('sh', ['-c', WATCHDOG, 'watchdog', this.child.pid, folder, ...litter, ...data], {
      stdio: ['pipe', 'ignore', 'ignore']
    })
    for (const part of [this.child, this.#watchdog, this.#watchdog.stdin]) part.unref()
  }

  get #logFile() {
    return join(this.#folder, 'log')
  }
  get pid() {
    return this.child.pid
  }
  get hasEnded() {
    return this.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null
  }
  /** Its output so far. */
  get log() {
    return readFileSync(this.#logFile, 'utf8')
  }

  stop() {
    return (this.#stopped ??= this.#stop())
  }

  async #stop() {
    if (!this.hasEnded) {
      this.child.ref()
      this.child.kill('SIGTERM')
      await Promise.race([this.ended, pause(GRACE_MS)])
      this.child.kill('SIGKILL')
      await this.ended
    }
    // Only now: until then it is needed.
    this.#watchdog?.kill('SIGKILL')
    for (const path of [this.#folder, ...this.#litter]) rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Asks until `ready` has an answer. Answers that, or null when the process ended meanwhile. */
async function whenReady(server, ready) {
  const deadline = performance.now() + READY_MS
  for (;;) {
    let said = 'nothing'
    try {
      const answer = await ready(server)
      if (answer) return answer
    } catch (error) {
      said = error.cause?.message ?? error.message
    }
    if (server.hasEnded) return null
    if (performance.now() > deadline) throw new Error(`it is not ready after ${READY_MS / 1000} s: ${said}`)
    await pause(30)
  }
}

/**
 * Starts a server. `plan(folder)` says, for a fresh folder: the `program`, its `args`, what else is in its `env`, the `litter` it
 * leaves outside of the folder, the `data` that `stop` leaves to a next start, and `ready(server)`, which answers how it is reached once it
 * is. Answers `{ server, address }`.
 */
export async function startServer(name, plan) {
  for (let attempt = 1; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), `${name}-`))
    const { ready, ...how } = await plan(folder)
    const server = new ServerProcess(how, folder)
    let address = null
    let failure = 'it ended at once'
    try {
      address = await whenReady(server, ready)
    } catch (error) {
      failure = error.message
      attempt = ATTEMPTS
    }
    if (address !== null) return { server, address }
    const log = server.log.split('\n').slice(-40).join('\n')
    await server.stop()
    if (attempt >= ATTEMPTS) throw new Error(`${name} did not start: ${failure}\n${log}`)
  }
}
