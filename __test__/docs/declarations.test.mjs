// The declarations are written by hand, and read by people: a small file that names what is public, and one for each topic.
//
// Invariant guarded: what a topic exports is public and named, once, as what it is; nothing else is; and no file outgrows its
// topic.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { declarationFiles } from '../support/declarations.mjs'

const { 'index.d.ts': index, ...topics } = declarationFiles()
const atRunTime = Object.keys(createRequire(import.meta.url)('../../index.js')).sort()
const DECLARED = /^(?:export )?(?:declare )?(?:abstract )?(function|class|const|let|var|enum|namespace|interface|type) (\w+)/gm

/** Name -> the topic that declares it, of what exists when a program runs and of what only the compiler sees. */
function declared() {
  const found = { values: {}, types: {} }
  for (const [path, text] of Object.entries(topics)) {
    for (const [line, kind, name] of text.matchAll(DECLARED)) {
      if (line.startsWith('export ')) found[['interface', 'type'].includes(kind) ? 'types' : 'values'][name] = path
    }
  }
  return found
}

/** The same, of what `index.d.ts` names. */
function named() {
  const found = { values: {}, types: {} }
  for (const [, type, names, from] of index.matchAll(/^export (type )?\{([^}]*)\} from '\.\/(.*)\.js'$/gm)) {
    for (const name of names.split(',').map((name) => name.trim())) {
      assert.equal(found.values[name] ?? found.types[name], undefined, `${name} is named twice`)
      found[type === undefined ? 'values' : 'types'][name] = `${from}.d.ts`
    }
  }
  return found
}

test('every name that a topic exports is named by index.d.ts as what it is, and what it names is what a program finds', () => {
  const { values, types } = named()
  assert.deepEqual({ values, types }, declared())
  assert.ok(Object.keys(types).length > 30, `${Object.keys(types).length} types`)
  assert.deepEqual(Object.keys(values).sort(), atRunTime)
})

test('index.d.ts holds names and no declarations, and it and each topic stay small and say what they are for', () => {
  const rest = index
    .replace(/\/\*\*[\s\S]*?\*\//g, '')
    .replace(/^\/\/.*$/gm, '')
    .replace(/^export (type )?\{[^}]*\} from '.*'$/gm, '')
  assert.equal(rest.trim(), '')
  const lines = (text) => text.trimEnd().split('\n').length
  assert.ok(lines(index) <= 150, `index.d.ts has ${lines(index)} lines`)
  assert.match(index, /^\/\*\*\n \* \w/)
  assert.ok(Object.keys(topics).length > 1)
  for (const [path, text] of Object.entries(topics)) {
    assert.match(path, /^types\/[a-z-]+\.d\.ts$/)
    assert.ok(lines(text) <= 350, `${path} has ${lines(text)} lines`)
    assert.match(text, /^\/\/ [A-Z].*\.\n/, `${path} does not say what it is for`)
  }
})
