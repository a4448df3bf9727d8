'use strict'

// Work that is done one piece at a time.
//
// Invariants: a piece begins when all that were given before it have ended, however they ended; a failure is for its own caller alone.

const nothing = () => {}

/**
 * A function that does each work that it is given after the one before, and answers as that does.
 * @returns {<T>(work: () => T | Promise<T>) => Promise<T>}
 */
function serial() {
  let last = Promise.resolve()
  return (work) => {
    const done = last.then(work)
    last = done.then(nothing, nothing)
    return done
  }
}

module.exports = { serial }
