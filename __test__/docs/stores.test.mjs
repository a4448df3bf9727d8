// What docs/stores.md says about trying a store of one's own is what the contract of stores takes.
//
// Invariant: the store in its example has the fields that the core is told of such a store, all of them and no other; that the
// command runs the contract is what `__test__/stores/contract.test.mjs` lives by.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { all, read } from './repository.mjs'

const { resolveOptions } = createRequire(import.meta.url)('../../lib/options.js')
const [, json, command] = read('docs/stores.md').match(/^STORES_UNDER_TEST='([^']+)' \\\n +(.+)$/m)

test('the store of the example has every field that the core is told of one, and no other', () => {
  const [entry] = JSON.parse(json)
  const store = { kind: 's3', bucket: 'scratch', endpoint: 'https://store.example', accessKeyId: 'a', secretAccessKey: 'b' }
  const { native } = resolveOptions('tenant', { store, encryptionKeys: 'ab'.repeat(32) }, {})
  assert.deepEqual(Object.keys(entry.store).sort(), Object.keys(native.store).sort())
  const fields = all(read('src/store/contract/entries.rs').split('pub struct Entry')[1].split('\n}')[0], /^ {4}pub (\w+):/gm)
  const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
  for (const name of Object.keys(entry)) assert.ok(fields.map(camel).includes(name), `the contract takes no ${name}`)
})

test('the command of the example is the one that the tests of this repository run', () => {
  assert.equal(command, 'cargo test --no-default-features store::contract')
  for (const word of ['--no-default-features', 'store::contract', 'STORES_UNDER_TEST']) assert.ok(read('__test__/stores/contract.test.mjs').includes(word))
})
