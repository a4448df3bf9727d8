'use strict'

// Units of time.
//
// Invariant: milliseconds, as timers and dates have them.

const HOUR = 3_600_000
const DAY = 24 * HOUR

module.exports = { DAY, HOUR }
