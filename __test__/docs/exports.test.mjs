// No panic unwinds into Node: that would end the process, and every session in it.
//
// Invariant: each function that JavaScript can call catches unwinding, and none is async, since those run where nothing
// catches.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read } from './repository.mjs'

const exported = []
for (const file of files().filter((file) => /^src\/.*\.rs$/.test(file))) {
  const text = read(file).replace(/^\s*\/\/.*\n/gm, '')
  const pattern = /#\[napi(?:\(([^\]]*)\))?\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?((?:async )?)(fn|struct|enum|impl|const|mod|type)\b ?(\w*)/g
  for (const [, how = '', async, kind, name] of text.matchAll(pattern)) exported.push({ file, how, async: async !== '', kind, name })
}

test('every exported function catches unwinding', () => {
  const functions = exported.filter(({ kind }) => kind === 'fn')
  assert.ok(functions.length >= 12, `${functions.length} found`)
  assert.deepEqual(
    functions.filter(({ how }) => !/\bcatch_unwind\b/.test(how)).map(({ name }) => name),
    []
  )
  assert.deepEqual(
    functions.filter(({ async }) => async).map(({ name }) => name),
    []
  )
  assert.doesNotMatch(read('Cargo.toml'), /^panic\b/m, 'a panic that ends the process cannot be caught')
})

/** Kind of an export -> its options: objects, tagged objects, and names for numbers. Nothing goes back into Rust. */
const PLAIN = {
  struct: /^object, object_from_js = false(?:, use_nullable = true)?$/,
  enum: /^object_from_js = false,.* discriminant = "/,
  type: /^$/
}

test('nothing but functions and plain objects is exported, and only from the binding', () => {
  assert.deepEqual(
    exported.filter(({ kind, how }) => kind !== 'fn' && !PLAIN[kind]?.test(how.replace(/\s+/g, ' '))),
    []
  )
  assert.deepEqual(
    exported.filter(({ file }) => !file.startsWith('src/node/')),
    []
  )
})

test('what is exported is what the generated declarations name', () => {
  const inJavaScript = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
  const declared = [...read('binding.d.ts').matchAll(/export declare function (\w+)/g)].map(([, name]) => name)
  assert.deepEqual(
    declared.sort(),
    exported
      .filter(({ kind }) => kind === 'fn')
      .map(({ name }) => inJavaScript(name))
      .sort()
  )
})
