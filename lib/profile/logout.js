'use strict'

// The logout of a profile: its deletion from the store, tried again in the background where the store did not take it.
//
// Invariants: one attempt at a time, and the caller hears of the first one as it was. Where a browser uses the profile again the logout is
// withdrawn, unless the session ended by it already. No timer keeps the process alive.

const { HybridAuthError, PASSING } = require('../errors.js')
const { within } = require('../pool.js')

/** Pauses between attempts: the first, and the longest. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [1000, 300_000]

/**
 * @param {object} parts
 * @param {() => Promise<unknown>} parts.destroy deletes the session from the store
 * @param {() => Promise<unknown>} parts.release gives it back as it is
 * @param {() => boolean} parts.isLive false once a deletion has begun in the store
 * @param {(how: { isLate: boolean, isKept: boolean }) => void} parts.deleted called once, when the store took it: whether in the
 *   background, and whether a browser is on the folder for another session meanwhile
 */
function createLogout({ destroy, release, isLive, deleted }) {
  let isWanted = false
  let isKept = false
  let pauseMs = FIRST_PAUSE_MS
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  /** @type {Promise<void> | null} */
  let under = null

  function attempt(isLate) {
    under ??= destroy()
      .then(() => {
        isWanted = false
        deleted({ isLate, isKept })
      })
      .finally(() => {
        under = null
      })
    return under
  }

  function failed({ code }) {
    if (!isWanted) return
    if (!PASSING.includes(code) || (isKept && isLive())) return stop()
    timer = setTimeout(() => void attempt(true).catch(failed), pauseMs)
    timer.unref()
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
  }

  function stop() {
    isWanted = false
    clearTimeout(timer)
  }

  return {
    /** True from a logout on until the store took it, or it was given up. */
    isPending: () => isWanted,

    /** Deletes the session; if the store cannot be told now, the caller hears of it, and it is told later. */
    async start() {
      clearTimeout(timer)
      isWanted = true
      isKept = false
      pauseMs = FIRST_PAUSE_MS
      try {
        await attempt(false)
      } catch (error) {
        failed(error)
        throw error
      }
    },

    /** A browser uses the folder again. */
    withdraw() {
      isKept = true
      if (isWanted && under === null && isLive()) stop()
    },

    stop,

    /** The last attempt: the session is deleted, or released as it is. */
    async finish({ timeoutMs }) {
      stop()
      const last = attempt(false).then(
        () => null,
        (error) => error
      )
      const failure = await within(last, timeoutMs)
      if (failure === null) return
      if (failure !== undefined) {
        await release()
        throw failure
      }
      void last.then((error) => (error === null ? undefined : release())).catch(() => {})
      throw new HybridAuthError('REMOTE_UNAVAILABLE', 'the store did not take the logout in time: log out again when it is reachable')
    }
  }
}

module.exports = { createLogout }
