// The folders of JavaScript import one another only downwards, as the table of docs/architecture.md says.
//
// Invariant: an import of a higher layer, a circle of folders or of files, or a folder that the table does not name fails here. The
// declarations of types are no imports.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { files, read, root, section } from './repository.mjs'

const rows = section(read('docs/architecture.md'), '## JavaScript folders').matchAll(/^\| (\d+) \| `([\w./-]+)` \| .+ \|$/gm)
const layers = new Map([...rows].map(([, layer, folder]) => [folder, Number(layer)]))

/** The folder of the table that a file belongs to: the nearest. `undefined` for a file that no row covers. */
function folderOf(file) {
  for (let path = file; path !== '.'; path = dirname(path)) if (layers.has(path)) return path
  return undefined
}

/** Statements that load a path, at any place: `require`, `import` and `export … from`. */
const ANYWHERE = /(?:\brequire\(|\bimport\(|\bfrom |^import )'(\.{1,2}\/[^']+)'/gm
/** The same at the beginning of a line. Tests hold sources as texts, and what is loaded there is none of their imports. */
const AT_TOP = /^(?:import|export|\}) (?:.*\bfrom )?'(\.{1,2}\/[^']+)'/gm

/** The paths that a source loads. Comments load nothing. */
function loaded(source, pattern = ANYWHERE) {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  return [...code.matchAll(pattern)].map(([, path]) => path)
}

/** Folders that are in the table by their folders. */
const ROOMY = /^(lib|testkit)\//

const tops = new Set([...layers.keys()].map((folder) => folder.split('/')[0]))
const sources = files().filter((file) => /\.m?js$/.test(file) && tops.has(file.split('/')[0]))
const imports = new Map(
  sources.map((file) => [
    file,
    loaded(read(file), file.startsWith('__test__/') ? AT_TOP : ANYWHERE).map((path) => normalize(join(dirname(file), path)))
  ])
)

const edges = new Map([...layers.keys()].map((folder) => [folder, new Set()]))
for (const [file, others] of imports) {
  for (const other of others.map(folderOf)) if (other !== undefined && other !== folderOf(file)) edges.get(folderOf(file)).add(other)
}

/** The first circle of a graph, as a path; null for none. */
function circle(graph) {
  const done = new Set()
  const visit = (node, path) => {
    if (path.includes(node)) return [...path, node].join(' -> ')
    if (done.has(node)) return null
    for (const next of graph.get(node) ?? []) {
      const found = visit(next, [...path, node])
      if (found !== null) return found
    }
    done.add(node)
    return null
  }
  for (const node of graph.keys()) {
    const found = visit(node, [])
    if (found !== null) return found
  }
  return null
}

test('the table names every folder of the library and of the testkit, and none that is gone', () => {
  const rooms = sources.filter((file) => ROOMY.test(file)).map((file) => dirname(file).split('/').slice(0, 2).join('/'))
  assert.deepEqual([...layers.keys()].filter((folder) => ROOMY.test(`${folder}/`)).sort(), [...new Set(rooms)].sort())
  for (const folder of layers.keys())
    assert.ok(
      sources.some((file) => file === folder || file.startsWith(`${folder}/`)),
      folder
    )
})

test('every import leads to a file', () => {
  const dead = [...imports].flatMap(([file, others]) =>
    others.filter((path) => ![path, `${path}.js`].some((path) => existsSync(join(root, path)))).map((path) => `${file} -> ${path}`)
  )
  assert.deepEqual(dead, [])
})

test('no folder imports one of a higher layer', () => {
  const upwards = []
  for (const [from, used] of edges) for (const to of used) if (layers.get(to) > layers.get(from)) upwards.push(`${from} -> ${to}`)
  assert.deepEqual(upwards, [])
})

test('no folders and no files import one another in a circle', () => {
  assert.equal(circle(edges), null)
  assert.equal(circle(imports), null)
  assert.equal(
    circle(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']]
      ])
    ),
    'a -> b -> c -> b'
  )
})

test('the reader of this test does see imports', () => {
  assert.ok(
    edges.get('lib/fleet').has('lib/session') && edges.get('nestjs').has('whatsapp-web') && edges.get('index.js').has('lib/migrate')
  )
  assert.ok(
    edges.get('demo').has('testkit/world') && edges.get('bench').has('testkit/baileys') && edges.get('__test__').has('testkit/processes')
  )
  assert.deepEqual(
    loaded("import './a.js'\nimport x from '../b.mjs'\nawait import('./c.js')\nexport * from './d.js' // see import('./e.js')"),
    ['./a.js', '../b.mjs', './c.js', './d.js', './e.js']
  )
  assert.deepEqual(loaded("import './a.js'\nimport {\n  x\n} from '../b.mjs'\nconst text = `\n  import y from './c.js'`", AT_TOP), [
    './a.js',
    '../b.mjs'
  ])
  assert.deepEqual(loaded("/** @param {import('./a.js')} x */\n// require('./b.js')\nrequire('./c.js')"), ['./c.js'])
})
