'use strict'

// Calls into code of the application: listeners, loggers, callbacks.
//
// Invariant: whatever it throws, now or later, stays here: nothing after the call is kept from happening, and it becomes neither an
// exception nor an unhandled rejection. It is told all the same: to the logger, or else as a warning of the process.

/** Calls `work`; `failed(error)` is told what it throws or, if it answers a promise, rejects with. */
function attempt(work, failed) {
  try {
    const result = work()
    if (typeof result?.then === 'function') Promise.resolve(result).catch(failed)
  } catch (error) {
    failed(error)
  }
}

/** Text of an error, whatever it is. */
function textOf(error) {
  try {
    return String(error?.message ?? error)
  } catch {
    return 'an error without text'
  }
}

/** A warning of the process, once for each text: code that fails does so each time. */
const warned = new Set()

function warn(text) {
  if (warned.has(text)) return
  if (warned.size < 100) warned.add(text)
  process.emitWarning(text, 'HybridAuthWarning')
}

const LEVELS = ['debug', 'info', 'warn', 'error']

/** The same logger, without what it throws; undefined for none. */
function guarded(logger) {
  if (logger === undefined) return undefined
  const failed = (error) => warn(`the logger threw: ${textOf(error)}`)
  return Object.fromEntries(LEVELS.map((level) => [level, (details, message) => attempt(() => logger[level]?.(details, message), failed)]))
}

/** Says of code of the application that it threw: `what` is for example `the listener of "fenced"`. */
function tellFailure(logger, what, error) {
  if (logger === undefined) warn(`${what} threw: ${textOf(error)}`)
  else logger.error({ message: textOf(error) }, `${what} threw`)
}

module.exports = { attempt, guarded, tellFailure, textOf }
