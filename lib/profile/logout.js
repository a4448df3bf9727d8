'use strict'

// The logout of a profile: its deletion from the store, tried again in the background where the store did not take it.
//
// Invariants: one attempt at a time, and the caller hears of the first one as it was. Where a browser uses the profile again the logout is
// withdrawn, unless the session ended by it already. No timer keeps the process alive.

const { HybridAuthError, PASSING } = require('../errors.js')
const { within } = require('../pool.js')

/** Pauses between attempts: the first, and the longest. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [1000, 300_000]

class Logout {
  #destroy
  #release
  #isLive
  #deleted
  #isWanted = false
  #isKept = false
  #pauseMs = FIRST_PAUSE_MS
  /** @type {NodeJS.Timeout | undefined} */
  #timer
  /** @type {Promise<void> | null} */
  #under = null

  /**
   * @param {object} parts
   * @param {() => Promise<unknown>} parts.destroy deletes the session from the store
   * @param {() => Promise<unknown>} parts.release gives it back as it is
   * @param {() => boolean} parts.isLive false once a deletion has begun in the store
   * @param {(how: { isLate: boolean, isKept: boolean }) => void} parts.deleted called once, when the store took it: whether in the
   *   background, and whether a browser is on the folder for another session meanwhile
   */
  constructor({ destroy, release, isLive, deleted }) {
    this.#destroy = destroy
    this.#release = release
    this.#isLive = isLive
    this.#deleted = deleted
  }

  /** True from a logout on until the store took it, or it was given up. */
  isPending() {
    return this.#isWanted
  }

  /** Deletes the session; if the store cannot be told now, the caller hears of it, and it is told later. */
  async start() {
    clearTimeout(this.#timer)
    this.#isWanted = true
    this.#isKept = false
    this.#pauseMs = FIRST_PAUSE_MS
    try {
      await this.#attempt(false)
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  #attempt(isLate) {
    this.#under ??= this.#destroy()
      .then(() => {
        this.#isWanted = false
        this.#deleted({ isLate, isKept: this.#isKept })
      })
      .finally(() => {
        this.#under = null
      })
    return this.#under
  }

  #failed({ code }) {
    if (!this.#isWanted) return
    if (!PASSING.includes(code) || (this.#isKept && this.#isLive())) return this.stop()
    this.#timer = setTimeout(() => void this.#attempt(true).catch((error) => this.#failed(error)), this.#pauseMs)
    this.#timer.unref()
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
  }

  /** A browser uses the folder again. */
  withdraw() {
    this.#isKept = true
    if (this.#isWanted && this.#under === null && this.#isLive()) this.stop()
  }

  stop() {
    this.#isWanted = false
    clearTimeout(this.#timer)
  }

  /** The last attempt: the session is deleted, or released as it is. */
  async finish({ timeoutMs }) {
    this.stop()
    const last = this.#attempt(false).then(
      () => null,
      (error) => error
    )
    const failure = await within(last, timeoutMs)
    if (failure === null) return
    if (failure !== undefined) {
      await this.#release()
      throw failure
    }
    void last.then((error) => (error === null ? undefined : this.#release())).catch(() => {})
    throw new HybridAuthError('REMOTE_UNAVAILABLE', 'the store did not take the logout in time: log out again when it is reachable')
  }
}

module.exports = { Logout }
