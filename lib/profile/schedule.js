'use strict'

// The pace of backups of a running browser.
//
// Invariants: one backup at a time; a profile that nobody wrote to costs no request and stops no browser; a failure is told and tried
// again at the next turn. No timer keeps the process alive.

/** The first backup: not before this time, */
const FIRST_MS = 15_000
/** when nothing was written for this time, */
const QUIET_MS = 5_000
/** or at this time, whatever is written. */
const LATEST_MS = 60_000
/** Time between two looks at what the store still has. */
const AUDIT_MS = 24 * 3_600_000

/**
 * @param {object} parts
 * @param {number} parts.intervalMs
 * @param {() => Promise<string>} parts.signature
 * @param {(how: { audit: boolean }) => Promise<unknown>} parts.backup tells its own failures
 * @param {() => boolean} parts.isFirst true before the first generation
 */
function createSchedule({ intervalMs, signature, backup, isFirst }) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  let stopped = true
  let began = 0
  let stored = null
  let seen = { text: null, since: 0 }
  let audited = performance.now()

  const wait = (ms) => {
    if (stopped) return
    timer = setTimeout(() => void turn(), ms)
    timer.unref()
  }

  async function run() {
    const before = await signature()
    const audit = performance.now() - audited > AUDIT_MS
    if (before === stored && !audit) return
    try {
      await backup({ audit })
      stored = before
      if (audit) audited = performance.now()
    } catch {
      // It was told, and the next turn tries again.
    }
  }

  async function isQuiet() {
    const [now, text] = [performance.now(), await signature()]
    if (text !== seen.text) seen = { text, since: now }
    return now - began >= FIRST_MS && now - seen.since >= QUIET_MS
  }

  async function turn() {
    try {
      if (isFirst() && performance.now() - began < LATEST_MS && !(await isQuiet())) return wait(Math.min(1000, intervalMs))
      await run()
    } catch {
      // The session ended meanwhile, and whoever ended it was told.
    }
    wait(intervalMs)
  }

  return {
    start() {
      if (!stopped) return
      stopped = false
      began = performance.now()
      wait(isFirst() ? Math.min(1000, intervalMs) : intervalMs)
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    }
  }
}

module.exports = { createSchedule }
