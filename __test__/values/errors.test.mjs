// Errors across copies of the package: an application and a library of it may each have one.

import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scratch } from '../../testkit/base/endings.mjs'

const require = createRequire(import.meta.url)
const original = fileURLToPath(new URL('../../lib/errors.js', import.meta.url))

test('an_error_of_another_copy_of_the_package_is_recognised', (t) => {
  const copy = join(scratch(t), 'errors.js')
  cpSync(original, copy)
  const [here, there] = [require(original).HybridAuthError, require(copy).HybridAuthError]
  assert.notEqual(here, there)
  const error = new there('FENCED', 'a newer owner')
  assert.ok(error instanceof here && error instanceof there && error instanceof Error)
  assert.equal(error.code, 'FENCED')
  assert.deepEqual(Object.keys(error), ['code'])
})

test('what_only_looks_like_an_error_of_this_package_is_none', () => {
  const { HybridAuthError } = require(original)
  class Own extends HybridAuthError {}
  for (const other of [null, undefined, 'FENCED', {}, Object.assign(new Error('x'), { code: 'FENCED', name: 'HybridAuthError' })]) {
    assert.equal(other instanceof HybridAuthError, false)
  }
  assert.equal(new HybridAuthError('FENCED', 'x') instanceof Own, false)
  assert.ok(new Own('FENCED', 'x') instanceof HybridAuthError && new Own('FENCED', 'x') instanceof Own)
})
