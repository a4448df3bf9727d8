// The subject's end of a world: one device on the store under test, driven by named commands, in this process or in a child
// that may be killed.
//
// Invariant: a command is *acknowledged* when its answer has reached the world, and a host answers only after every store
// call of the command has resolved. The names of the keys a command is about to write are announced before each store call,
// so that after a SIGKILL the world knows which keys the one unanswered command may have changed.

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Device } from './device.mjs'
import { inspect, watchWrites } from './ledger.mjs'
import { quietLibsignal } from './baileys.mjs'
import { fromWire, toWire } from './wire.mjs'

/** Commands that are simply methods of a Device. */
const DEVICE_COMMANDS = new Set([
  'pair',
  'uploadPreKeys',
  'send',
  'receive',
  'sendGroup',
  'receiveGroup',
  'takeAppStateKeys',
  'appPatch',
  'resyncAppState',
  'learnLids',
  'takeToken'
])

/** Answers commands on an opened auth state; shared by both ends. */
export class SubjectHost {
  /**
   * @param {object} o
   * @param {object} o.line
   * @param {{ state: object, saveCreds: () => Promise<void> }} o.auth the store under test
   * @param {(jids: string[]) => Promise<object[]>} o.fetchBundles
   * @param {(names: string[]) => void} o.onIntent
   * @param {Record<string, (args: any) => any>} [o.extra] further commands of the caller's factory
   */
  constructor({ line, auth, fetchBundles, onIntent, extra = {} }) {
    Object.assign(this, { line, auth, fetchBundles, extra, touched: new Set(), fuse: null })
    this.watched = watchWrites(auth, (names, moment) => {
      if (moment === 'before') {
        for (const name of names) this.touched.add(name)
        onIntent(names)
      }
      this.#burn(moment)
    })
  }

  async run(command, args) {
    this.touched.clear()
    const result = await this.#dispatch(command, args)
    const shown = this.touched.size ? await inspect(this.auth, this.line.baileys, this.touched) : {}
    return { result, shown }
  }

  async #dispatch(command, args) {
    if (DEVICE_COMMANDS.has(command)) return this.device[command](args)
    switch (command) {
      case 'attach': {
        this.device?.close()
        const { line, fetchBundles } = this
        this.device = new Device({ line, auth: this.watched, me: args.me, book: args.book, fetchBundles })
        return this.#identity()
      }
      case 'inspect':
        return inspect(this.auth, this.line.baileys, args)
      case 'publicPreKeys': {
        const stored = await this.auth.state.keys.get('pre-key', args)
        return args.map((id) => (stored[id] ? Buffer.from(stored[id].public) : null))
      }
      case 'appState': {
        const { version, hash } = await this.device.appState(args)
        return { version, hash: Buffer.from(hash) }
      }
      case 'initialPreKeys':
        return this.line.baileys.INITIAL_PREKEY_COUNT
      case 'armCrash':
        this.fuse = args
        return null
      default:
        if (!this.extra[command]) throw new Error(`unknown command: ${command}`)
        return this.extra[command](args)
    }
  }

  #identity() {
    const { creds } = this.auth.state
    return { registrationId: creds.registrationId, identity: Buffer.from(creds.signedIdentityKey.public), me: creds.me?.id ?? null }
  }

  /** Dies like a process whose machine went away: at one chosen store call, and before, within, or after it. */
  #burn(moment) {
    if (!this.fuse || this.fuse.moment !== moment) return
    this.fuse.calls -= 1
    if (this.fuse.calls <= 0) process.kill(process.pid, 'SIGKILL')
  }
}

/** The subject in this process. */
export class LocalSubject {
  constructor(line, auth) {
    Object.assign(this, { line, auth, undecided: new Set() })
  }

  async attach(me, book, fetchBundles) {
    const onIntent = (names) => {
      for (const name of names) this.undecided.add(name)
    }
    this.host = new SubjectHost({ line: this.line, auth: this.auth, fetchBundles: async (jids) => fetchBundles(jids), onIntent })
    return this.call('attach', { me, book })
  }

  async call(command, args) {
    const answer = await this.host.run(command, args)
    this.undecided.clear()
    this.shown = answer.shown
    return answer.result
  }
}

/** The child was killed (or ended) while a command was unanswered. */
export class SubjectDied extends Error {
  constructor(command) {
    super(`the subject's process ended during ${command}`)
    this.name = 'SubjectDied'
  }
}

/** The subject in a child process: JSON messages over the IPC channel, bytes as base64. */
export class SubjectProcess {
  /**
   * @param {object} o
   * @param {string} o.line `v7`, `v6.7`, `v6` or a package name
   * @param {string | URL} o.factory module whose default export opens an auth state: (args) => { state, saveCreds, commands? }
   * @param {unknown} o.args JSON, handed to the factory
   */
  static async start({ line, factory, args }) {
    const subject = new SubjectProcess(line, factory, args)
    await subject.opened
    return subject
  }

  constructor(line, factory, args) {
    Object.assign(this, { undecided: new Set(), shown: {}, waiting: new Map(), nextId: 1, alive: true })
    const program = fileURLToPath(new URL('./subject-process.mjs', import.meta.url))
    const argv = [line, String(factory), JSON.stringify(args ?? null)]
    this.child = fork(program, argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.opened = new Promise((resolve, reject) => this.waiting.set('open', { resolve, reject, command: 'open' }))
    this.child.on('message', (message) => this.#take(message))
    // The channel delivers everything the child wrote before it died, then says that it is closed: only then is a command
    // known to be unanswered.
    this.ended = new Promise((resolve) => {
      let left = 2
      const one = () => {
        if (--left === 0) {
          this.#abandon()
          resolve()
        }
      }
      this.child.once('exit', one)
      this.child.once('disconnect', one)
    })
  }

  async attach(me, book, fetchBundles) {
    this.fetchBundles = fetchBundles
    return this.call('attach', { me, book })
  }

  call(command, args) {
    if (!this.alive) return Promise.reject(new SubjectDied(command))
    const id = this.nextId++
    this.undecided.clear()
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, command })
      this.child.send({ id, command, args: toWire(args ?? null) }, () => {})
    })
  }

  /** SIGKILL: no handler, no flush, no goodbye. Resolves when everything the child had said has been read. */
  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }

  /** Lets the child end by itself. */
  async stop() {
    if (this.alive) this.child.disconnect()
    await this.ended
  }

  #take(message) {
    if (message.intent) {
      for (const name of message.intent) this.undecided.add(name)
    } else if (message.bundles) {
      this.child.send({ bundles: message.bundles, list: toWire(this.fetchBundles(message.jids)) }, () => {})
    } else {
      const waiter = this.waiting.get(message.id)
      this.waiting.delete(message.id)
      if (message.error) return waiter.reject(Object.assign(new Error(message.error.message), message.error))
      this.undecided.clear()
      this.shown = message.shown ?? {}
      waiter.resolve(fromWire(message.result))
    }
  }

  #abandon() {
    this.alive = false
    for (const { reject, command } of this.waiting.values()) reject(new SubjectDied(command))
    this.waiting.clear()
  }
}

quietLibsignal()
