// The Rust modules use one another only downwards, as the table of docs/architecture.md says.
//
// Invariant: an edge to a higher layer, a cycle within a layer, or a module that the table does not name fails here. Test
// modules, the simulation and the fuzz targets may use what they like.

import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { test } from 'node:test'
import { files, read, section } from './repository.mjs'

const EXEMPT = new Set(['lib', 'sim', 'fuzz'])

const layers = new Map()
for (const [, layer, modules] of section(read('docs/architecture.md'), '## Modules of the core').matchAll(
  /^\| (\d) \| ((?:`[\w/]+` ?)+)\|$/gm
)) {
  for (const [, name] of modules.matchAll(/`([\w/]+)`/g)) layers.set(name, Number(layer))
}

/** The code of a file as it is built: without comments, and without the test module at its end. */
const code = (text) => text.replace(/^#\[cfg\(test\)\]\nmod \w+ \{[\s\S]*/m, '').replace(/\/\/.*$/gm, '')

/** The module of the table that a path belongs to: the longest that it begins with. A room itself only names its modules. */
function moduleOf(path) {
  for (let parts = path; parts.length > 0; parts = parts.slice(0, -1)) if (layers.has(parts.join('/'))) return parts.join('/')
  return path[0]
}

/** Rooms with several modules in the table: their own file holds nothing but the names of these. */
const rooms = new Set(
  [...layers.keys()]
    .filter((name) => name.includes('/'))
    .map((name) => name.split('/')[0])
    .filter((name) => !layers.has(name))
)

const edges = new Map()
for (const file of files().filter((file) => /^src\/.*\.rs$/.test(file))) {
  const path = file
    .replace(/\.rs$/, '')
    .replace(/\/mod$/, '')
    .split('/')
    .slice(1)
  if (EXEMPT.has(path[0]) || basename(file) === 'tests.rs') continue
  const module = moduleOf(path)
  if (rooms.has(module)) {
    assert.doesNotMatch(code(read(file)), /\b(fn|struct|enum|impl|use)\b/, `${file} holds the names of its modules only`)
    continue
  }
  const used = edges.get(module) ?? new Set()
  edges.set(module, used)
  for (const [, name] of code(read(file)).matchAll(/\bcrate::([a-z_]\w*(?:::[a-z_]\w*)*)/g)) {
    const other = moduleOf(name.split('::'))
    if (other !== module) used.add(other)
  }
}

test('every module has a layer, and every layer names modules that exist', () => {
  assert.deepEqual([...layers.keys()].sort(), [...edges.keys()].sort())
})

test('no module uses one of a higher layer', () => {
  const upwards = []
  for (const [from, used] of edges) for (const to of used) if (layers.get(to) > layers.get(from)) upwards.push(`${from} -> ${to}`)
  assert.deepEqual(upwards, [])
})

test('no modules use each other in a circle', () => {
  const done = new Set()
  const visit = (module, path) => {
    assert.ok(!path.includes(module), `${[...path, module].join(' -> ')}`)
    if (done.has(module)) return
    for (const next of edges.get(module) ?? []) visit(next, [...path, module])
    done.add(module)
  }
  for (const module of edges.keys()) visit(module, [])
})

test('the reader of this test does see edges', () => {
  assert.ok(
    edges.get('session/open').has('session') && edges.get('wal').has('platform/disk') && edges.get('format/object').has('format/seal')
  )
})
