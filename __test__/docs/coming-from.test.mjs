// The answers to other session stores hold: each mistake that they share is answered by a test that exists, and each name of
// this package that stands there is one of this package.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { all, files, read, section } from './repository.mjs'

const require = createRequire(import.meta.url)
const page = read('docs/coming-from.md')
const rows = (text) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) => line.split(' | '))

test('every mistake that others make is answered by a test that exists', () => {
  const tests = files().filter((file) => /^(src|__test__)\/.*\.(rs|mjs)$/.test(file) && file !== '__test__/docs/coming-from.test.mjs')
  const source = tests.map(read).join('\n')
  const mistakes = rows(section(page, '## Shared mistakes, and the tests against them'))
  assert.ok(mistakes.length >= 15, `${mistakes.length} rows`)
  for (const row of mistakes) {
    const [name] = all(row.at(-1), /`([^`]+)`/g)
    assert.ok(name !== undefined && source.includes(name), `no test is called ${name}`)
  }
})

test('every function that replaces one of theirs is there', () => {
  const { HybridAuth, ...functions } = require('../../index.js')
  const answers = rows(section(page, '## Row by row'))
    .map((row) => row.at(-1))
    .join('\n')
  const named = [...all(answers, /`fleet\.(\w+)\(/g)]
  assert.ok(named.length >= 8, `${named.length} names`)
  for (const name of named) assert.equal(typeof HybridAuth.prototype[name], 'function', `fleet.${name}`)
  assert.equal(typeof functions.migrate, 'function')
})
