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

/** `ask()`: the status as the core has it, which throws CLOSED once the handle is given back. */
function createLife(ask) {
  /** The status when the end began, and how far it has come; null before. */
  let last = null
  let under = null

  /** @returns {never} */
  function refuse(error) {
    if (error.code === 'CLOSED' && last?.life === 'deleted') throw new HybridAuthError('DELETED', 'this session was deleted: pair again')
    throw error
  }

  async function ended(work, ending, end) {
    const before = ask()
    last = { ...before, life: ending ?? before.life }
    try {
      await work()
      last = { ...stored(before), life: end }
    } catch (error) {
      // A `delete()` that failed leaves a session that can be deleted again, a `close()` that failed a closed one.
      last = ending === 'closing' ? { ...before, life: end, lastError: { code: error.code, message: error.message } } : null
      throw error
    }
  }

  const life = {
    status: () => ({ ...(last ?? ask()) }),

    /** True once the end has come. */
    isOver: () => ENDED.includes(last?.life),

    /** Does `work`, which gives the handle back; the session is `ending` meanwhile, and `end` afterwards. One at a time. */
    async end(work, ending, end) {
      if (under !== null) await under.catch(() => {})
      if (life.isOver()) return work()
      under = ended(work, ending, end)
      return under
    },

    /** A newer owner was heard of while the session ends. */
    fenced() {
      if (last?.life === 'closing') last = { ...last, life: 'fenced' }
    },

    /**
     * Calls the core, and rethrows what it throws as our own error.
     * @template {unknown[]} A
     * @template R
     * @param {(...args: A) => R} native
     * @param {A} args
     * @returns {R}
     */
    call(native, ...args) {
      try {
        return call(native, ...args)
      } catch (error) {
        return refuse(error)
      }
    },

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
        return refuse(error)
      }
    }
  }
  return life
}

module.exports = { createLife }
