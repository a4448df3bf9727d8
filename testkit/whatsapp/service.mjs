// Services for tests, each in a process that is really ended: started on a disk, told what to do, watched, killed.
//
// Invariant: a service is gone when its test ends. What it told is kept in order. Nothing is waited for by time; the time-out is
// only there to end a broken run, and says what was told instead.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { atEnd } from '../base/endings.mjs'
import { startWhatsApp } from './double.mjs'

const PATIENCE_MS = 120_000

const gone = () => Object.assign(new Error('the service has ended'), { code: 'PROCESS_ENDED' })

const here = (name) => fileURLToPath(new URL(name, import.meta.url))

/** A double that is stopped when the test ends. */
export async function whatsAppFor(t, options) {
  const whatsapp = await startWhatsApp(options)
  atEnd(t, () => whatsapp.stop())
  return whatsapp
}

export class Service {
  #waiting = new Map()
  #watchers = new Set()
  #next = 1
  #taken = new Set()
  #isGone = false
  /** Everything it told, in order: `{ event, ... }`. */
  told = []

  /**
   * Starts a service that has opened nothing yet.
   * @param {object} t the test
   * @param {{ whatsapp: object, line: string, tenant: string, options: object }} o `line` is the name of one of the installed lines
   */
  static async start(t, { whatsapp, line, tenant, options }) {
    const service = new Service({ line, url: whatsapp.url, rootKey: whatsapp.rootKey.toString('hex'), tenant, options })
    atEnd(t, () => service.kill())
    await service.next('ready')
    return service
  }

  /** A service that has opened its session and connects. */
  static async run(t, how) {
    const service = await Service.start(t, how)
    service.restored = await service.call('open')
    await service.call('connect')
    return service
  }

  constructor(setup) {
    this.child = fork(here('./service-process.mjs'), [JSON.stringify(setup)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('message', (message) => this.#take(message))
    // What it told before its end is read first: the channel says that it is closed after the last of it.
    this.ended = Promise.all([once(this.child, 'exit'), once(this.child, 'disconnect')]).then(() => this.#end())
  }

  /** Rejects with the error of the service, or with `PROCESS_ENDED` when it ended before it answered. */
  call(command, args) {
    if (this.#isGone) return Promise.reject(gone())
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.child.send({ id, command, args }, () => {})
    })
  }

  /** The first event of this name that no earlier call answered; rejects when the service ends without one. */
  async next(event, isWanted = () => true) {
    let watcher
    const deadline = setTimeout(
      () => watcher?.reject(new Error(`waited in vain for ${event}, was told ${JSON.stringify(this.told)}`)),
      PATIENCE_MS
    )
    try {
      for (;;) {
        const found = this.told.find((told) => told.event === event && !this.#taken.has(told) && isWanted(told))
        if (found) {
          this.#taken.add(found)
          return found
        }
        if (this.#isGone) throw gone()
        await new Promise((resolve, reject) => {
          watcher = { resolve, reject }
          this.#watchers.add(watcher)
        })
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  /** The next message with this id. */
  message(id) {
    return this.next('message', (message) => message.id === id)
  }

  /** Waits for something that this service has a part in; rejects when it ends first. */
  of(promise) {
    return Promise.race([
      promise,
      this.ended.then(() => {
        throw gone()
      })
    ])
  }

  /** News of this kind so far. */
  all(event) {
    return this.told.filter((told) => told.event === event)
  }

  /** Ends it at once, with SIGKILL. */
  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }

  /** Closes the session in good order and ends. */
  async close() {
    await this.call('close')
    await this.kill()
  }

  #end() {
    this.#isGone = true
    for (const { reject } of [...this.#waiting.values(), ...this.#watchers]) reject(gone())
    this.#waiting.clear()
    this.#watchers.clear()
  }

  #take({ answers, result, error, ...told }) {
    if (answers) {
      const { resolve, reject } = this.#waiting.get(answers)
      this.#waiting.delete(answers)
      return error ? reject(Object.assign(new Error(error.message), { code: error.code })) : resolve(result)
    }
    this.told.push(told)
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const { resolve } of watchers) resolve()
  }
}
