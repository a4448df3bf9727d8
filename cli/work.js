'use strict'

// Work over several tenants: a few at a time, with a bar where somebody looks, and an end when the user wants one.
//
// Invariants: after Ctrl-C nothing new is begun, what has begun is waited for if it changes something, and what was done is
// said; the second Ctrl-C ends at once.

const { SingleBar } = require('cli-progress')
const { EXIT, Interrupted } = require('./exit.js')
const { duration, plural, printable, shortened, widthOf } = require('./output.js')

/** Time that the rest will take at the pace so far, in words; '' where nothing tells. */
function timeLeft(done, total, elapsedMs) {
  if (done === 0 || done >= total) return ''
  return `${duration(Math.max((elapsedMs / done) * (total - done), 1000))} left`
}

/** A bar on stderr, or nothing where nobody sees it move. `since` is when the work began. */
function progress(output, title, total, since = performance.now()) {
  if (!output.showsProgress || total < 2) return { step() {}, stop() {} }
  /** @type {any} its types know of one argument of `increment` only */
  const bar = new SingleBar({
    format: `${title} {bar} {value}/{total} {left}{tenant}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    linewrap: false,
    emptyOnZero: true
  })
  bar.start(total, 0, { tenant: '', left: '' })
  let done = 0
  return {
    step(tenantId) {
      const left = timeLeft(++done, total, performance.now() - since)
      const room = Math.min(widthOf(process.stderr), 100) - title.length - 24 - 2 * String(total).length - left.length - 7
      bar.increment(1, {
        left: left && `${left}  `,
        tenant: room < 8 ? '' : shortened(output.masked(printable(tenantId)), Math.min(room, 40))
      })
    },
    stop: () => bar.stop()
  }
}

/** Tells a command of Ctrl-C and SIGTERM. */
class Interrupts {
  #output
  #work = null
  #stop
  isAsked = false
  /** Rejects when the command is to be left where it is. */
  stopped = new Promise((_, reject) => (this.#stop = reject))

  constructor(output) {
    this.#output = output
    this.stopped.catch(() => {})
  }

  /** Listens while `work` is under way. */
  async during(work) {
    const listener = () => this.#ask()
    process.on('SIGINT', listener).on('SIGTERM', listener)
    try {
      return await Promise.race([work(), this.stopped])
    } finally {
      process.off('SIGINT', listener).off('SIGTERM', listener)
    }
  }

  #ask() {
    if (this.isAsked) process.exit(EXIT.interrupted)
    this.isAsked = true
    if (this.#work?.changes) this.#output.note('\nFinishing the current work. Press Ctrl-C again to stop immediately.')
    else {
      this.#work?.leave()
      const error = this.#work === null ? new Interrupted() : this.#work.interrupted()
      // Requests to which the store still owes an answer are not waited for.
      error.leaves = true
      this.#stop(error)
    }
  }

  /** Has a say in what an interrupt does: `{ changes, leave(), interrupted() }`; null for none. */
  set work(work) {
    this.#work = work
  }
}

/**
 * Does `work(item)` for each, and answers `[{ item, value } or { item, error }]` in their order. Throws `Interrupted` with what
 * had been done.
 * @param {any} context
 * @param {string[]} items
 * @param {(item: string) => Promise<any>} work
 * @param {object} how
 * @param {string} how.title
 * @param {string} how.done the verb of "Checked 3 of 9 tenants."
 * @param {number} [how.concurrency]
 * @param {boolean} [how.changes] true if work that has begun must be waited for
 */
async function forEach({ output, interrupts }, items, work, { title, concurrency = 8, changes = false, done }) {
  const bar = progress(output, title, items.length)
  const results = new Array(items.length)
  const waiting = items.entries()
  const interrupted = () => {
    const ended = results.filter(Boolean)
    const failed = ended.filter(({ error }) => error !== undefined).length
    const error = new Interrupted(
      `${done} ${ended.length} of ${plural(items.length, 'tenant')}${failed > 0 ? `, ${failed} of them failed` : ''}.`
    )
    error.document = { tenants: ended.map(({ item, error }) => ({ tenantId: item, ok: error === undefined })) }
    return error
  }
  const labour = async () => {
    for (const [at, item] of waiting) {
      if (interrupts.isAsked) return
      results[at] = await work(item).then(
        (value) => ({ item, value }),
        (error) => ({ item, error })
      )
      bar.step(item)
    }
  }
  interrupts.work = { changes, leave: () => bar.stop(), interrupted }
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, labour))
  } finally {
    bar.stop()
    interrupts.work = null
  }
  if (interrupts.isAsked) throw interrupted()
  return results
}

/**
 * Lets the package do all of it: `work(onProgress)`, which is told `{ tenantId, done, total }` after each. In `changes` an
 * interrupt ends it after what it has begun; it is throwing there that makes it begin nothing new.
 */
async function allAtOnce({ output, interrupts }, work, { title, changes = false, done }) {
  let bar = null
  let ended = 0
  let all = null
  const since = performance.now()
  // Sessions that end after this are not counted any more.
  const interrupted = () =>
    new Interrupted(
      all === null ? 'Nothing was changed.' : `${done} ${ended} of ${plural(all, 'session')} at least. Run it again to continue.`
    )
  const onProgress = ({ tenantId, total }) => {
    all = total
    ended += 1
    bar ??= progress(output, title, total, since)
    bar.step(tenantId)
    if (interrupts.isAsked) throw interrupted()
  }
  interrupts.work = { changes, leave: () => bar?.stop(), interrupted }
  try {
    return await work(onProgress)
  } catch (error) {
    // The package tells as its own error that the callback threw.
    throw error.cause instanceof Interrupted ? error.cause : error
  } finally {
    bar?.stop()
    interrupts.work = null
  }
}

/** `forEach` for one tenant, whose failure is that of the command. */
async function forOne(context, tenantId, work, how) {
  const [{ value, error }] = await forEach(context, [tenantId], work, how)
  if (error !== undefined) throw error
  return value
}

module.exports = { Interrupts, allAtOnce, forEach, forOne, timeLeft }
