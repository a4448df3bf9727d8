// Tests that need a program which does not come with `npm ci`: where it cannot be had, they say so by its name.
//
//   import { after, before, test } from '../../testkit/base/missing.mjs'      instead of node:test, in a file that starts such a program
//
// Invariant: a program that is missing is a skip only where nothing may be installed, for a user who is not root; for root, and
// wherever CI is set, it is a failure: a skip would hide that the check never runs.

import { after as atLast, before as atFirst, test as run } from 'node:test'

/** A program that is not there, and could not be installed. */
export class Missing extends Error {
  code = 'PROGRAM_MISSING'

  /**
   * @param {string} program its name, for a person
   * @param {string} how it is installed
   */
  constructor(program, how) {
    super(`${program} is missing: ${how} and run this again.`)
    this.program = program
  }
}

/** True for a program that is missing where nobody could expect it to be there. */
export const isExcused = (error) => error instanceof Missing && process.getuid?.() !== 0 && !process.env.CI

/** Reason of a skip. */
export const reasonOf = ({ program }) => `needs ${program}`

/** Program that a hook of this file did without. @type {Missing | null} */
let lacking = null

/**
 * `test` of node:test, skipped by the name of a program that it finds missing.
 * @param {string} name
 * @param {any[]} rest options, if any, and the body
 */
export function test(name, ...rest) {
  const body = rest.pop()
  return run(name, ...rest, async (/** @type {import('node:test').TestContext} */ t) => {
    if (lacking !== null) return t.skip(reasonOf(lacking))
    try {
      await body(t)
    } catch (error) {
      if (!isExcused(error)) throw error
      t.skip(reasonOf(error))
    }
  })
}

/** `before` of node:test; all tests of the file are skipped when it finds a program missing. */
export const before = (body) =>
  atFirst(async (/** @type {any} */ t) => {
    try {
      await body(t)
    } catch (error) {
      if (!isExcused(error)) throw error
      lacking ??= error
    }
  })

/** `after` of node:test; that a program is missing, which a test was skipped for, is no fault of what clears up. */
export const after = (body) =>
  atLast(async () => {
    try {
      await body()
    } catch (error) {
      if (!isExcused(error)) throw error
    }
  })
