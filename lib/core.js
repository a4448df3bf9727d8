'use strict'

// Calls into the core.
//
// Invariants: what the core throws is rethrown as our own error; an answer is used before anything else can run, because the next one
// goes into the same buffer.

const { rethrow } = require('./errors.js')

const INITIAL = 64 * 1024
const KEPT = 4 * 1024 * 1024

/** Buffer into which the core writes answers. One for all sessions: it is decoded before anything else can run. */
let answer = Buffer.allocUnsafeSlow(INITIAL)

/**
 * Calls the core and rethrows what it throws as our own error.
 * @template {unknown[]} A
 * @template R
 * @param {(...args: A) => R} native
 * @param {A} args
 * @returns {R}
 */
function call(native, ...args) {
  try {
    return native(...args)
  } catch (error) {
    return rethrow(error)
  }
}

/**
 * Asks the core for the keys of `request`; calls `use(buffer, length)` with the answer before anything else can run. `through` is what
 * the core is called with.
 * @param {typeof import('../binding.js')} binding
 */
function ask(binding, handle, request, use, through = call) {
  let length = through(binding.get, handle, request.buffer, request.length, request.count, answer)
  if (length < 0) {
    answer = Buffer.allocUnsafeSlow(-length)
    length = through(binding.get, handle, request.buffer, request.length, request.count, answer)
  }
  try {
    return use(answer, length)
  } finally {
    if (answer.length > KEPT) answer = Buffer.allocUnsafeSlow(INITIAL)
  }
}

module.exports = { ask, call }
