// Owner of the session, and what that means for the work that goes on: each command is asked of the owner of the moment, and when the
// session moves, what the former owner did is held against what the next one has.
//
// Invariants: the next owner shows, key by key, the state at the LSN with which it opened. An answered command is done if its writes
// lie at or below it, and else is told to `losses` as lost; one without an answer is undecided, and its work is done again by the
// next owner, with `stored` saying whether anything of it was kept.

import { LostAcknowledged } from '../world/ledger.mjs'
import { nameOf, SUBJECT } from '../world/peers.mjs'
import { Expected } from './expected.mjs'
import { Losses } from './losses.mjs'
import { Interrupted } from './owner.mjs'

const SESSION = 'session\n'
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

export class Custody {
  #world
  #arrivals = []
  #stopped = false
  /** Work that no owner has finished yet. */
  #work = null
  /** Answered commands of this owner, with the number of the last write when the answer left. */
  #answered = []
  #expected = new Expected()

  losses = new Losses()
  /** Called with the LSN at which the next owner goes on. */
  onMove = () => {}
  stats = { moves: 0, undecided: 0, lostWrites: 0, lostMessages: 0, keysCompared: 0 }

  /** @param {object} world of `createWorld`, whose subject is `owner` */
  constructor(world, owner) {
    this.#world = world
    this.owner = owner
  }

  /** Names of live conversations. */
  get sessionNames() {
    return this.#expected.names.filter((name) => name.startsWith(SESSION)).map((name) => name.slice(SESSION.length))
  }

  /** Conversations that must never show up at any owner. */
  mustStayAway(ids) {
    this.#expected.mustStayAway(ids.map((id) => SESSION + id))
  }

  /** A new owner has opened the session: it is asked from now on. */
  arrive(owner) {
    this.owner.retire('there is a newer owner')
    this.#arrivals.push(owner)
  }

  /** Does one thing after another, each as often as there are owners that do not finish it, until it is stopped. */
  async run(next) {
    while (!this.#stopped) {
      try {
        if (this.#work === null) await next()
        else await this.#finish()
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error
        const successor = await this.#successor()
        if (successor !== null) await this.#moveTo(successor, error.id)
      }
      await nextTurn()
    }
  }

  stop() {
    this.#stopped = true
  }

  /** A piece of work, done once by one owner or another. `deliver` is called with `{ stored }`, again for each owner that it takes. */
  async do(deliver) {
    this.#work = { deliver, stored: false }
    await this.#finish()
  }

  async #finish() {
    await this.#work.deliver(this.#work)
    this.#work = null
  }

  /** Asks the owner. `effect` says what is lost if the writes of the command are. */
  async ask(command, args, effect = {}) {
    const { result, lsn } = await this.owner.ask(command, args)
    const answered = { ...effect, lsn }
    this.#answered.push(answered)
    return { result, lsn, answered }
  }

  /** Compares everything once more with an owner that comes after the last one. */
  async audit(last) {
    const { open } = this.#expected.advance(this.owner.life.read(), last.life.start)
    await this.#compare(last, open)
  }

  /** The next owner, or null if nobody waits for one any more. */
  async #successor() {
    while (this.#arrivals.length === 0 && !this.#stopped) await new Promise((resolve) => setTimeout(resolve, 2))
    return this.#arrivals.shift() ?? null
  }

  async #moveTo(successor, interruptedId) {
    const before = this.owner.life.read()
    const lsn = successor.life.start
    const { lost, open } = this.#expected.advance(before, lsn)
    await this.#compare(successor, open)
    this.owner = successor

    const gone = this.#answered.filter((answered) => answered.lsn > lsn)
    this.#answered = []
    for (const answered of gone) this.losses.lose(answered)
    if (interruptedId !== null && this.#work !== null) {
      const writes = [...before.sets.filter((set) => set.lsn <= lsn), ...before.undecided]
      this.#work.stored = writes.some(({ command }) => command === interruptedId)
      this.stats.undecided += 1
    }
    await this.#reviewPreKeys(lost, open)
    this.onMove(lsn)
    this.stats.lostWrites += before.sets.filter((set) => set.changed && set.lsn > lsn).length
    this.stats.lostMessages += gone.filter(({ kind }) => /received|sent/i.test(kind)).length
    this.stats.moves += 1
  }

  /** The state of the next owner, key by key. */
  async #compare(successor, open) {
    const { fields, peers } = this.#world
    const { book, server } = peers
    const known = fields.identity
    const identity = await successor.attach(SUBJECT, book, (jids) => server.bundles(jids))
    for (const field of ['registrationId', 'identity', 'me']) {
      if (known[field] !== null && String(identity[field]) !== String(known[field]))
        throw new LostAcknowledged(`the next owner has another ${field}`)
    }
    fields.identity = identity
    const { names } = this.#expected
    this.#expected.compare(await successor.call('inspect', names), open, successor.name)
    this.stats.keysCompared += names.length
  }

  /** Checks that the device has what the server still hands out. Keys whose upload is lost are withdrawn, as if the device had registered anew. */
  async #reviewPreKeys(lost, open) {
    const { server } = this.#world.peers
    const offered = server.remaining(SUBJECT.account, SUBJECT.device)
    const stored = await this.owner.call(
      'publicPreKeys',
      offered.map(({ id }) => String(id))
    )
    const uploads = this.losses.takePreKeys()
    for (const [n, { id, public: offer }] of offered.entries()) {
      if (stored[n]?.equals(offer)) continue
      const name = `pre-key\n${id}`
      if (!uploads.has(id) && !lost.has(name) && !open.has(name))
        throw new LostAcknowledged(`one-time key ${id}, which the server hands out`)
      server.devices.get(nameOf(SUBJECT)).preKeys.delete(id)
    }
  }
}
