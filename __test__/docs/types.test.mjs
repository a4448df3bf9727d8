// Names of the core's types.
//
// Invariant: a name stands for one thing in all of the core. Tests, the simulation and the surface for Node, which mirrors types of
// the core for JavaScript, are left out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read } from './repository.mjs'

/** Names that two modules have for the same role: one in each of two databases, and one in a stand-in for a foreign crate. */
const ROLES = ['Connection', 'Dialler', 'Digest', 'Notices']

const core = files().filter(
  (file) =>
    /^src\/.*\.rs$/.test(file) && !/^src\/(node|sim|fuzz)[/.]/.test(file) && !/(^|[/_])(tests?|interleaved|threads|contract)[/.]/.test(file)
)

/** Types that a source defines outside of its tests. Those of a trait's items are indented, and belong to the trait. */
const typesOf = (source) =>
  [...source.split('#[cfg(test)]\nmod tests {')[0].matchAll(/^(?:pub(?:\([a-z: ]+\))? )?(?:struct|enum|trait|union|type) (\w+)/gm)].map(
    ([, name]) => name
  )

test('each type of the core has a name of its own', () => {
  const places = new Map()
  for (const file of core) {
    for (const name of typesOf(read(file))) places.set(name, [...(places.get(name) ?? []), file])
  }
  assert.ok(places.size > 250, 'types are found')
  const shared = [...places].filter(([name, files]) => files.length > 1 && !ROLES.includes(name))
  assert.deepEqual(
    shared.map(([name, files]) => `${name}: ${files.join(', ')}`),
    []
  )
})

test('a second type of a name is noticed', () => {
  assert.deepEqual(typesOf('pub(super) struct One;\nenum Two {}\n    type Inner = u8;\n#[cfg(test)]\nmod tests {\nstruct Three;'), [
    'One',
    'Two'
  ])
})
