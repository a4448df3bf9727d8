// One process of a rolling deploy, as the test sees it: started, told to open the session, sent messages to, signalled.
//
// Invariants: every process is ended by its own pid, a stopped one too, also when the test fails. A call that a process cannot
// answer any more rejects with `Interrupted`: because it ended, because it was refused as the owner, or because a successor is in
// its place, of which a stopped process knows nothing. An answer that comes later is not heard.

import { fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fromWire, toWire } from '../world/wire.mjs'
import { Life } from './life.mjs'

const PROGRAM = fileURLToPath(new URL('./owner-process.mjs', import.meta.url))
/** Variables that sessions look at: no process inherits them. */
const VARIABLES = /^(WHATSAPP_SESSION|SESSION_|SUPABASE_|R2_|AWS_|STORAGE_BUCKET|NODE_TEST)/

const running = new Set()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** The owner went away, or was refused, before it answered the call `id`. */
export class Interrupted extends Error {
  constructor(owner, id, why) {
    super(`${owner.name} did not answer: ${why}`)
    Object.assign(this, { name: 'Interrupted', owner, id })
  }
}

/** With these a session says that it is not, or not any more, the one to write. */
const REFUSALS = ['FENCED', 'CLOSED']

let nextId = 1

export class Owner {
  #waiting = new Map()
  #over = null

  /**
   * @param {string} name
   * @param {string} folder where its notes go
   * @param {{ line: string, tenant: string, deaf?: boolean }} how
   */
  constructor(name, folder, how) {
    // `shown` and `undecided` are what a world asks of its subject; here the notes know more.
    Object.assign(this, { name, fetchBundles: null, shown: {}, undecided: new Set() })
    const notes = join(folder, `${name}.notes`)
    this.life = new Life(name, notes)
    const env = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !VARIABLES.test(variable)))
    this.child = fork(PROGRAM, [notes, JSON.stringify(how)], { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    running.add(this.child)
    this.booted = new Promise((resolve, reject) => this.#waiting.set('boot', { resolve, reject }))
    this.booted.catch(() => {})
    this.child.on('message', (message) => this.#take(message))
    this.ended = new Promise((resolve) => {
      let left = 2
      const one = () => {
        if (--left > 0) return
        running.delete(this.child)
        this.retire('its process ended')
        resolve(this.child.signalCode ?? this.child.exitCode)
      }
      this.child.once('exit', one)
      this.child.once('disconnect', one)
    })
  }

  /** Reason that it takes no more messages, or null while it does. */
  get over() {
    return this.#over
  }

  /** Opens the session. The open counts as this process's life from now on. */
  async open(options) {
    await this.booted
    await this.#ask('open', options)
    this.life.read()
    return this.life
  }

  attach(me, book, fetchBundles) {
    this.fetchBundles = fetchBundles
    return this.call('attach', { me, book })
  }

  /** Questions to a device of a world, with the answer alone. */
  async call(command, args) {
    return (await this.ask(command, args)).result
  }

  /** The same, with the number of the last write when the answer left. */
  async ask(command, args) {
    if (this.#over !== null) throw new Interrupted(this, null, this.#over)
    try {
      return await this.#ask(command, args)
    } catch (error) {
      if (!REFUSALS.includes(error.code)) throw error
      this.retire(error.code)
      throw new Interrupted(this, error.id, error.code)
    }
  }

  /** Questions to it, whether it owns the session or not. */
  async haunt(names) {
    return (await this.#ask('haunt', { names })).result
  }

  get #hasEnded() {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** Its answers do not leave it any more: what it does from now on is done, and not known to be. */
  async cutOff() {
    await this.#ask('cutOff')
  }

  #ask(command, args) {
    const id = nextId++
    if (this.#hasEnded) return Promise.reject(new Interrupted(this, id, 'its process ended'))
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { id, resolve, reject, isOurs: command === 'haunt' })
      this.child.send({ id, command, args: toWire(args ?? null) }, () => {})
    })
  }

  /** It is not the owner any more, whatever it thinks: what it has not answered it need not answer. */
  retire(why) {
    this.#over ??= why
    for (const [key, { id, reject, isOurs }] of this.#waiting) {
      if (isOurs && !this.#hasEnded) continue
      this.#waiting.delete(key)
      reject(new Interrupted(this, id, why))
    }
  }

  signal(name) {
    if (name === 'SIGSTOP') this.life.wasFrozen = true
    this.child.kill(name)
  }

  /** SIGKILL works on a stopped process as well. */
  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }

  #take(message) {
    // What it told before it learns of its end is still on its way: calls under way are answered, new ones are not made.
    if (message.fenced) this.#over ??= 'it was told that it is fenced'
    else if (message.booted) this.#answer('boot', message)
    else if (message.bundles) {
      this.child.send({ bundles: message.bundles, list: toWire(this.fetchBundles(message.jids)) }, () => {})
    } else this.#answer(message.id, message)
  }

  #answer(key, { error, result, lsn }) {
    const waiter = this.#waiting.get(key)
    this.#waiting.delete(key)
    if (error) waiter?.reject(Object.assign(new Error(error.message), error, { id: key }))
    else waiter?.resolve({ result: fromWire(result ?? null), lsn })
  }
}
