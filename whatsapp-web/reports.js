'use strict'

// Reports of failures that no caller hears: to the logger and to the callbacks of the application.
//
// Invariant: a report never throws, and a callback that throws or rejects ends nothing: its failure is logged.

const { HybridAuthError } = require('../lib/errors.js')
const { attempt, guarded, tellFailure, textOf } = require('../lib/outside.js')

/** Any failure as one of ours. */
const typed = (error) => (error instanceof HybridAuthError ? error : new HybridAuthError('INTERNAL', textOf(error), error))

/**
 * @param {any} options `{ logger, onError, onFenced }`, each of which may be absent
 */
function createReports({ logger, onError, onFenced }) {
  const lines = guarded(logger)
  const tell = (name, call) => attempt(call, (error) => tellFailure(lines, `\`${name}\``, error))

  return {
    /** A failure of work that nobody awaits. */
    failed(message, error, details = {}) {
      const failure = typed(error)
      lines?.error({ class: 'hybrid-auth', ...details, code: failure.code, message: failure.message }, message)
      tell('onError', () => onError?.(failure, details))
    },

    /** A newer instance owns a session. */
    fenced(details = {}) {
      lines?.warn({ class: 'hybrid-auth', ...details }, 'a newer instance owns this session')
      tell('onFenced', () => onFenced?.(details))
    },

    /** A listener of the application that threw. */
    threw: (name, error) => tellFailure(lines, `a listener of \`${name}\``, error)
  }
}

module.exports = { createReports }
