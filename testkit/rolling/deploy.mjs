// A rolling deploy: the session goes from one process to the next, and the former one is told to go, killed or stopped, before the
// next one opens the session, while it does, or after.
//
// Invariants: two directories, of which no process enters one that another still holds; the next process has booted before the
// exchange begins, so that it overlaps with the former one. What a kind of exchange promises is checked at once, and the whole
// history after each. No process is left behind.

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { atEnd, eventually, scratch } from '../processes/machines.mjs'
import { createWorld } from '../world/world.mjs'
import { Owner } from './owner.mjs'
import { judge } from './rules.mjs'
import { Traffic } from './traffic.mjs'

/** Fate of the former owner, and its moment, seen from the open of the next one. `pause`: stopped, and woken within its wait. */
export const SIGNALS = ['SIGTERM', 'SIGKILL', 'SIGSTOP']
export const MOMENTS = ['before', 'during', 'after']

/** An open of a session whose owner lives takes about a second. */
const LONGEST_DELAY_MS = 1000
/** Wait for an owner that is not there. */
const GONE_MS = 1600
/** A pause ends within what an owner is waited for that has not been seen to go. */
const LONGEST_PAUSE_MS = 1500
/** The wait is made for a machine that is gone. Where it is there and lets go, no slow test machine may cut it short. */
const PATIENT_MS = 30_000
const PATIENCE_MS = 120_000

const TENANT = 'rolling'

/** True if somebody opened after the whole wait for an owner that is gone, and nothing was handed over. */
const wasWaitedForInVain = ({ opened, openingAt, openedAt }) => !opened.restored.clean && openedAt - openingAt >= GONE_MS * 1000

export class Deploy {
  #t
  #folder
  #random
  #options
  #how
  #spare
  #started = 0
  /** The process that holds a directory, by number of the directory. */
  #holders = [null, null]
  #here = 0
  #failure = null

  /** All owners that there were, in order. */
  lives = []
  /** For each exchange: what was done, and how long the open took, and how long nobody accepted a write. */
  exchanges = []

  constructor(t, { random, options, how = {} }) {
    this.#t = t
    this.#random = random
    this.#options = options
    this.#how = { line: 'v7', tenant: TENANT, ...how }
    this.#folder = scratch(t)
    this.#spare = this.#boot()
  }

  static async start(t, { seed, random, contacts, groups, ...how }) {
    const deploy = new Deploy(t, { random, ...how })
    const first = await deploy.#open({})
    const world = await createWorld({ line: 'v7', seed, contacts, groups, subject: first })
    await first.call('flush')
    first.life.read()
    deploy.traffic = new Traffic(world, first)
    atEnd(t, () => deploy.traffic.custody.stop())
    deploy.running = deploy.traffic.run().catch((error) => {
      deploy.#failure = error
    })
    return deploy
  }

  get owner() {
    return this.#holders[this.#here]
  }

  #boot() {
    const owner = new Owner(`owner-${++this.#started}`, this.#folder, this.#how)
    atEnd(this.#t, () => owner.kill())
    return owner
  }

  /** The next process opens the session, on the disk where the former one is not. */
  async #open(options, directory = this.#here) {
    const next = this.#spare
    this.#spare = this.#boot()
    const life = await next.open({ ...this.#options, ...options, directory: join(this.#folder, `disk-${directory}`) })
    this.lives.push(life)
    this.#holders[directory] = next
    return next
  }

  /** Waits, but not for traffic that has failed. */
  async #until(what, probe) {
    await eventually(
      what,
      () => {
        if (this.#failure !== null) throw this.#failure
        return probe()
      },
      PATIENCE_MS
    )
  }

  async #messages(count) {
    const { stats } = this.traffic
    const goal = stats.messages + count
    await this.#until(`${count} messages`, () => stats.messages >= goal)
  }

  /**
   * One exchange, with some messages before it and after it. `prelude` is what happens to the former owner just before: it does one
   * more command, and stores it, of which nobody hears (`cutOff`); or it has just been promised that all is stored (`flush`).
   * `isBlank` takes the disk of the next owner away first; `options` are changes for it.
   */
  async exchange({ signal, moment, prelude = null, isBlank = false, options = {} }) {
    await this.#messages(8 + this.#random.below(20))
    const former = this.owner
    const there = 1 - this.#here
    await this.#spare.booted
    if (isBlank) await rm(join(this.#folder, `disk-${there}`), { recursive: true, force: true })
    const isPatient = signal === 'SIGTERM' || moment === 'after'
    const isGone = !isPatient && signal !== 'pause'
    const wait = { ...(isPatient && { handoverTimeoutMs: PATIENT_MS }), ...(isGone && { handoverTimeoutMs: GONE_MS }) }
    const opening = () => this.#open({ ...wait, ...options }, there)

    if (prelude === 'cutOff') await former.cutOff().then(() => pause(2 * this.#options.flushIntervalMs))
    if (prelude === 'flush') await former.call('flush')
    let next
    const signalledAt = Number(process.hrtime.bigint() / 1000n)
    if (moment === 'before') {
      await this.#do(former, signal)
      next = await opening()
    } else if (moment === 'during') {
      const [opened] = await Promise.all([opening(), pause(this.#random.below(LONGEST_DELAY_MS)).then(() => this.#do(former, signal))])
      next = opened
    } else {
      next = await opening()
    }
    if (this.#how.deaf) await this.#goesOn(former, next)
    // Too busy a machine kills an owner when it has been waited for in vain. It may not know by then, as if it had been stopped.
    if (signal === 'SIGKILL' && wasWaitedForInVain(next.life)) former.life.wasFrozen = true
    await this.#arrive(former, next, there, moment)
    this.#check(former, next, signal, moment)
    if (moment === 'after') await this.#do(former, signal)
    await this.#seeOff(former, next, signal)
    judge(this.lives.map((life) => life.read()))
    this.#measure(former.life, next.life, { signal, moment, signalledAt })
  }

  async #do(former, signal) {
    if (signal === 'pause') {
      former.signal('SIGSTOP')
      // It wakes up by itself, whatever goes on here.
      pause(this.#random.below(LONGEST_PAUSE_MS)).then(() => former.signal('SIGCONT'))
      return
    }
    former.signal(signal)
    if (signal !== 'SIGSTOP') await former.ended
  }

  /** Work of a deaf owner when there is another one: until it has done something there is nothing to notice. */
  async #goesOn(former, next) {
    await this.#until('the former owner goes on', () => former.over !== null || former.life.read().end > next.life.start)
  }

  /** The next owner gets the messages. */
  async #arrive(former, next, there, moment) {
    this.#here = there
    const {
      custody,
      custody: { stats }
    } = this.traffic
    const moves = stats.moves + 1
    custody.arrive(next)
    await this.#until('the traffic moved', () => stats.moves === moves)
    // One that still runs may have been left alone between its last write and the note of it.
    const isSettled = () => former.life.read().told('fenced') && former.life.undecided.length === 0
    if (moment === 'after' && !this.#how.deaf) await this.#until('the former owner was told', isSettled)
    former.life.read()
    next.life.read()
    judge(this.lives)
  }

  /** Promises of each kind of exchange. */
  #check(former, next, signal, moment) {
    const {
      restored: { clean },
      lsn
    } = next.life.opened
    const where = `${next.name}, ${signal} ${moment} it`
    const hasLeft = signal === 'SIGTERM' || moment === 'after'
    if (hasLeft) assert.deepEqual({ clean, lsn }, { clean: true, lsn: former.life.end }, `${where}: nothing at all may be missing`)
    const vanished = moment === 'before' && (signal === 'SIGKILL' || signal === 'SIGSTOP')
    if (vanished) assert.equal(clean, false, `${where}: nobody handed anything over`)
  }

  /** The end of the former owner. One that still runs must be refused: at once if it has let go, else when it has heard. */
  async #seeOff(former, next, signal) {
    if (signal === 'SIGTERM') {
      assert.equal(await former.ended, 0, `${former.name} closed and exited`)
      assert.deepEqual(former.life.read().closed.failed, [], `${former.name} closed without a failure`)
      return
    }
    if (signal === 'SIGKILL') return void (await former.ended)
    await this.#messages(this.#random.below(4))
    const marker = `haunted by ${former.name}`
    const { custody } = this.traffic
    custody.mustStayAway([marker])
    // Said while it is stopped, so that it is the first thing that it does: to write into what is another's by now.
    const haunting = former.haunt([marker, ...custody.sessionNames.slice(0, 3)])
    former.signal('SIGCONT')
    const { accepted, code } = await haunting
    assert.equal(code, 'FENCED', `${former.name} was refused after ${accepted} writes`)
    await this.#until('the former owner was told', () => former.life.read().told('fenced'))
    if (next.life.opened.restored.clean) assert.equal(accepted, 0, `${former.name} had let go, and accepted ${accepted} writes`)
    former.signal('SIGTERM')
    assert.equal(await former.ended, 0, `${former.name} closed and exited`)
    former.life.read()
  }

  /** Duration of the open, and the time before its end at which the former owner had accepted its last write, or was told to go. */
  #measure(former, next, { signal, moment, signalledAt }) {
    const writes = former.sets.map(({ at }) => at).filter((at) => at <= next.openedAt)
    const last = Math.max(former.openedAt, moment === 'before' ? signalledAt : 0, ...writes)
    const { clean } = next.opened.restored
    this.exchanges.push({ signal, moment, clean, openMs: (next.openedAt - next.openingAt) / 1000, gapMs: (next.openedAt - last) / 1000 })
  }

  /** Some messages more, then an orderly end, and a last look from a blank machine. */
  async finish() {
    await this.#messages(10)
    this.traffic.custody.stop()
    await this.running
    if (this.#failure !== null) throw this.#failure
    const last = this.owner
    await this.#do(last, 'SIGTERM')
    await this.#spare.booted
    const witness = await this.#open({ onMissing: 'error' }, 2)
    await this.traffic.custody.audit(witness)
    this.#check(last, witness, 'SIGTERM', 'before')
    judge(this.lives.map((life) => life.read()))
    await this.#do(witness, 'SIGTERM')
  }
}
