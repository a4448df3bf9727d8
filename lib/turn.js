'use strict'

// A turn for everything else: calls that resolve without waiting for anything would keep timers, signals and sockets out for as
// long as somebody makes them one after another.
//
// Invariant: a call in `EVERY` waits for the event loop to come round, and no other one waits at all.

/** Held from the start: tests replace the global one, and would never let the call return. */
const { setImmediate } = globalThis

const EVERY = 256
const round = (resolve) => setImmediate(resolve)

let calls = 0

/** Undefined, or now and then a promise for the next round of the event loop. */
const turn = () => (++calls % EVERY === 0 ? new Promise(round) : undefined)

module.exports = { turn }
