'use strict'

// Work on many items, some at once, with a report of each.
//
// Invariant: when it ends, by an answer or by an error, nothing of it is under way any more.

const { wholeLimit } = require('./checks.js')
const { HybridAuthError } = require('./errors.js')
const { attempt } = require('./outside.js')

/**
 * `work(item)` for each item of an iterable or an async one, `workers` at once; what it answers is told to `onProgress`. If either fails
 * nothing further is begun, what is under way is waited for, and the first failure is thrown.
 */
async function each(items, workers, work, onProgress) {
  const isAsync = items[Symbol.asyncIterator] !== undefined
  const list = isAsync ? null : [...items]
  const waiting = isAsync ? items[Symbol.asyncIterator]() : list.values()
  let failure = null
  const fail = (error) => {
    failure ??= error
  }
  const unheard = (error) => fail(new HybridAuthError('INVALID_OPTION', '`onProgress` threw; the operation was stopped', error))
  const labour = async () => {
    while (failure === null) {
      try {
        const { value, done } = await waiting.next()
        if (done) return
        const news = await work(value)
        if (onProgress !== undefined) attempt(() => onProgress(news), unheard)
      } catch (error) {
        fail(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(workers, list?.length ?? workers) }, labour))
  if (failure !== null) throw failure
}

/** Resolves with `work`, or after `ms`. */
function within(work, ms) {
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(resolve, wholeLimit(ms))))
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

module.exports = { each, within }
