// The two sizes of the tests: `npm test` runs every kind of check, `npm run test:all` the exhaustive enumerations.
//
// Invariant: the smaller size fails too when the guard is removed that a test is about; nothing is left out of it but repetition.
// A test file that imports this module runs in both, any other one only in `npm test`, which runs it whole.

import { test } from '../../testkit/base/missing.mjs'

/** True in `npm run test:all`. */
const isAll = process.env.TEST_SIZE === 'all'

/** `most` in `npm run test:all`, and `few` in `npm test`. */
export const sized = (few, most) => (isAll ? most : few)

/** All items in `npm run test:all`; in `npm test` so `many` of them, evenly spread, the first and the last among them. */
export function spread(items, many) {
  const all = [...items]
  if (isAll || all.length <= many) return all
  return Array.from({ length: many }, (_, n) => all[Math.round((n * (all.length - 1)) / (many - 1))])
}

/** Every item in `npm run test:all`; in `npm test` each `step`th of them, the first among them. */
export function* every(step, items) {
  let n = 0
  for (const item of items) if (n++ % (isAll ? 1 : step) === 0) yield item
}

/**
 * All items in `npm run test:all`; in `npm test` those that are chosen: of things alike the one that costs least. That none is, is a
 * mistake.
 */
export function chosen(items, isChosen) {
  const all = [...items]
  if (isAll) return all
  const some = all.filter((item) => isChosen(item))
  if (some.length === 0) throw new Error('no item of the enumeration is chosen: its check would be left out')
  return some
}

/** All items in `npm run test:all`; in `npm test` the first of each kind. */
export function oneOfEach(items, kindOf) {
  const all = [...items]
  const kinds = all.map((item) => kindOf(item))
  return isAll ? all : all.filter((_, n) => kinds.indexOf(kinds[n]) === n)
}

/** `test` in `npm run test:all`. In `npm test` another one in the file shows the same kind at less cost, or a part of it. */
export const further = isAll ? test : () => {}
