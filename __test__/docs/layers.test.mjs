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
for (const [, layer, modules] of section(read('docs/architecture.md'), '# Architecture').matchAll(/^\| (\d) \| ((?:`\w+` ?)+)\|$/gm)) {
  for (const [, name] of modules.matchAll(/`(\w+)`/g)) layers.set(name, Number(layer))
}

/** The code of a file as it is built: without comments, and without the test module at its end. */
const code = (text) => text.replace(/^#\[cfg\(test\)\]\nmod \w+ \{[\s\S]*/m, '').replace(/\/\/.*$/gm, '')

const edges = new Map()
for (const file of files().filter((file) => /^src\/.*\.rs$/.test(file))) {
  const module = file.split('/')[1].replace(/\.rs$/, '')
  if (EXEMPT.has(module) || basename(file) === 'tests.rs') continue
  const used = edges.get(module) ?? new Set()
  edges.set(module, used)
  for (const [, name] of code(read(file)).matchAll(/\bcrate::(\w+)/g)) if (name !== module) used.add(name)
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
  assert.ok(edges.get('open').has('session') && edges.get('wal').has('disk') && edges.get('object').has('seal'))
})
