'use strict'

// The pace of backups of a running browser.
//
// Invariants: one backup at a time; a profile that nobody wrote to costs no request and stops no browser; a failure is told and tried
// again at the next turn. No timer keeps the process alive.

const { DAY } = require('../units.js')

/** The first backup: not before this time, */
const FIRST_MS = 15_000
/** when nothing was written for this time, */
const QUIET_MS = 5_000
/** or at this time, whatever is written. */
const LATEST_MS = 60_000
/** Time between two looks at what the store still has. */
const AUDIT_MS = DAY

class Schedule {
  #intervalMs
  #signature
  #backup
  #isFirst
  /** @type {NodeJS.Timeout | undefined} */
  #timer
  #isStopped = true
  #began = 0
  /** Signature of what is stored; null before. */
  #stored = null
  /** Signature that was seen last, and the time since which it is the same. */
  #seen = { text: null, since: 0 }
  #audited = performance.now()

  /**
   * @param {object} parts
   * @param {number} parts.intervalMs
   * @param {() => Promise<string>} parts.signature
   * @param {(how: { audit: boolean }) => Promise<unknown>} parts.backup tells its own failures
   * @param {() => boolean} parts.isFirst true before the first generation
   */
  constructor({ intervalMs, signature, backup, isFirst }) {
    this.#intervalMs = intervalMs
    this.#signature = signature
    this.#backup = backup
    this.#isFirst = isFirst
  }

  start() {
    if (!this.#isStopped) return
    this.#isStopped = false
    this.#began = performance.now()
    this.#wait(this.#isFirst() ? this.#shortly() : this.#intervalMs)
  }

  stop() {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #shortly() {
    return Math.min(1000, this.#intervalMs)
  }

  #wait(ms) {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => void this.#turn(), ms)
    this.#timer.unref()
  }

  async #turn() {
    try {
      if (this.#isFirst() && performance.now() - this.#began < LATEST_MS && !(await this.#isQuiet())) return this.#wait(this.#shortly())
      await this.#run()
    } catch {
      // The session ended meanwhile, and whoever ended it was told.
    }
    this.#wait(this.#intervalMs)
  }

  async #isQuiet() {
    const [now, text] = [performance.now(), await this.#signature()]
    if (text !== this.#seen.text) this.#seen = { text, since: now }
    return now - this.#began >= FIRST_MS && now - this.#seen.since >= QUIET_MS
  }

  async #run() {
    const before = await this.#signature()
    const audit = performance.now() - this.#audited > AUDIT_MS
    if (before === this.#stored && !audit) return
    try {
      await this.#backup({ audit })
      this.#stored = before
      if (audit) this.#audited = performance.now()
    } catch {
      // It was told, and the next turn tries again.
    }
  }
}

module.exports = { Schedule }
