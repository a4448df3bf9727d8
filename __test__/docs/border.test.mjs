// The border between Rust and JavaScript, as `binding.d.ts` declares it.
//
// Invariants guarded: an answer of the core is a typed value and no text to be parsed; each field is documented where it is declared, and
// the document flows into `binding.d.ts`; a failure is the one object with a `code`, by which `settle` knows it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { all, files, read } from './repository.mjs'

const declared = read('binding.d.ts')
const functions = [...declared.matchAll(/^export declare function (\w+)\((.*)\): (.+)$/gm)].map(([, name, takes, gives]) => ({
  name,
  takes,
  gives
}))
const interfaces = [...declared.matchAll(/^export interface (\w+) \{\n([\s\S]*?)^\}$/gm)].map(([, name, body]) => ({ name, body }))

/** Exports that give text, and what it is. */
const TEXTS = { folder: 'a path' }

test('every answer of the core is a typed value, and text only where it is one by nature', () => {
  const alternatives = ({ gives }) => gives.replace(/^Promise<(.*)>$/, '$1').split(' | ')
  const texts = functions.filter((one) => alternatives(one).includes('string')).map(({ name }) => name)
  assert.deepEqual(texts, Object.keys(TEXTS))
  const loose = functions.filter(({ gives }) => /\b(any|object|unknown)\b/.test(gives)).map(({ name }) => name)
  assert.deepEqual(loose, [])
  assert.ok(functions.length > 40, `${functions.length} functions`)
})

test('every promise of the core resolves to its value or to a failure', () => {
  const promises = functions.filter(({ gives }) => gives.startsWith('Promise<'))
  assert.deepEqual(
    promises.filter(({ gives }) => !gives.endsWith(' | Failure>')).map(({ name }) => name),
    []
  )
  assert.ok(promises.length > 20, `${promises.length} promises`)
})

test('a failure is the only answer with a code', () => {
  assert.deepEqual(
    interfaces.filter(({ body }) => /^ {2}code\??:/m.test(body)).map(({ name }) => name),
    ['Failure']
  )
})

test('every type that the border names is declared', () => {
  const bare = declared
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/import\('[^']+'\)\.\w+/g, '')
    .replace(/'[^']*'/g, '')
  const known = new Set([...all(declared, /^export (?:interface|type) (\w+)/gm), 'Array', 'Buffer', 'Promise', 'Record', 'Uint8Array'])
  assert.deepEqual(
    [...new Set(all(bare, /\b([A-Z]\w+)\b/g))].filter((name) => !known.has(name)),
    []
  )
})

test('every field of an answer is documented, and none may be absent', () => {
  const found = []
  for (const { name, body } of interfaces) {
    const lines = body.split('\n')
    for (const [at, line] of lines.entries()) {
      const [, field, optional] = line.match(/^ {2}(\w+)(\??):/) ?? []
      if (field === undefined) continue
      if (!lines[at - 1]?.trim().endsWith('*/')) found.push(`${name}.${field} is not documented`)
      if (optional) found.push(`${name}.${field} may be absent: null says it`)
    }
  }
  assert.deepEqual(found, [])
})

test('no JavaScript parses an answer of the core', () => {
  const code = files().filter(
    (file) => /^(lib|cli|nestjs|whatsapp-web|bench|testkit|__test__)\/.*\.m?js$/.test(file) && file !== '__test__/docs/border.test.mjs'
  )
  const parsing = code.filter((file) =>
    /JSON\.parse\((?:this\.)?(?:#?\w+\.)*(?:settle|call|callCore|loadBinding|#?binding)\b/.test(read(file))
  )
  assert.deepEqual(parsing, [])
  assert.ok(code.length > 200, `${code.length} files`)
})
