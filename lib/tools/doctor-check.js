'use strict'

// A check of the doctor, as its report has it, and the words that several checks share.
//
// Invariant: a check is plain data, which can be printed and sent as JSON.

/**
 * @param {string} name
 * @param {string} outcome `ok`, `warning`, `failed`, or `unknown` for what could not be tried
 * @param {string} message
 * @param {object} [more] figures beside it
 * @returns {any}
 */
const check = (name, outcome, message, more) => ({ name, outcome, message, ...more })
const counted = (count, what) => `${count} ${what}${count === 1 ? '' : 's'}`

module.exports = { check, counted }
