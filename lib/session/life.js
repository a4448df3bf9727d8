'use strict'

// The end of an open, for callers that still hold it: the core has forgotten it, and they are answered all the same.
//
// Invariants: `status()` never throws because a session has ended; calls after a `delete()` fail with DELETED, after a `close()`
// with CLOSED.

const { HybridAuthError, settle } = require('../errors.js')
const { call } = require('../core.js')

const ENDED = ['closed', 'deleted']

/** The status once everything that was resolved is restorable. */
const stored = (status) =>
  status.store === 'none' || status.life === 'fenced'
    ? status
    : { ...status, remoteDurableLsn: status.lsn, lagMs: 0, dirtyKeys: 0, dirtyBytes: 0 }

class Life {
  #ask
  /** The status when the end began, and how far it has come; null before. */
  #last = null
  #under = null

  /** @param {() => any} ask answers the status as the core has it, and throws CLOSED once the handle is given back */
  constructor(ask) {
    this.#ask = ask
  }

  status() {
    return { ...(this.#last ?? this.#ask()) }
  }

  /** Does `work`, which gives the handle back; the session is `ending` meanwhile, and `end` afterwards. One at a time. */
  async end(work, ending, end) {
    if (this.#under !== null) await this.#under.catch(() => {})
    // Once the end has come there is no state to keep.
    if (ENDED.includes(this.#last?.life)) return work()
    this.#under = this.#ended(work, ending, end)
    return this.#under
  }

  async #ended(work, ending, end) {
    const before = this.#ask()
    this.#last = { ...before, life: ending ?? before.life }
    try {
      await work()
      this.#last = { ...stored(before), life: end }
    } catch (error) {
      // A `delete()` that failed leaves a session that can be deleted again, a `close()` that failed a closed one.
      this.#last = ending === 'closing' ? { ...before, life: end, lastError: { code: error.code, message: error.message } } : null
      throw error
    }
  }

  /** A newer owner was heard of while the session ends. */
  fenced() {
    if (this.#last?.life === 'closing') this.#last = { ...this.#last, life: 'fenced' }
  }

  /** @returns {never} */
  #refuse(error) {
    if (error.code === 'CLOSED' && this.#last?.life === 'deleted')
      throw new HybridAuthError('DELETED', 'this session was deleted: pair again')
    throw error
  }

  /**
   * Calls the core, and rethrows what it throws as our own error. It is handed on without its object.
   * @template {unknown[]} A
   * @template R
   * @param {(...args: A) => R} native
   * @param {A} args
   * @returns {R}
   */
  call = (native, ...args) => {
    try {
      return call(native, ...args)
    } catch (error) {
      return this.#refuse(error)
    }
  }

  /**
   * The value of an answer that the core took its time for.
   * @template T
   * @param {T | import('../../binding.js').Failure} outcome
   * @returns {T}
   */
  settle(outcome) {
    try {
      return settle(outcome)
    } catch (error) {
      return this.#refuse(error)
    }
  }
}

module.exports = { Life }
