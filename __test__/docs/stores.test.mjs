// Everything that docs/stores.md says about trying a store of one's own is what the contract of stores takes.
//
// Invariant: the store in its example has the fields that the core is told of such a store, all of them and no other; that the
// command runs the contract is what `__test__/stores/contract.test.mjs` lives by.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { all, read } from './repository.mjs'

const require = createRequire(import.meta.url)
const { resolveOptions } = require('../../lib/config/options.js')
const { HybridAuthError } = require('../../lib/errors.js')
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
  for (const word of ['--no-default-features', 'store::contract', 'STORES_UNDER_TEST'])
    assert.ok(read('__test__/stores/contract.test.mjs').includes(word))
})

/** Fields of a store object of this kind, as the refusal of an unknown one lists them. */
function fieldsOf(kind) {
  try {
    resolveOptions('tenant', { store: { kind, nonsense: 1 } }, {})
  } catch (error) {
    assert.ok(error instanceof HybridAuthError)
    return error.message
      .match(/takes (.*)$/)[1]
      .split(', ')
      .sort()
  }
  return assert.fail(kind)
}

test('the fields of every kind of store are the same in the code, in the types and in the list of objects', () => {
  const types = read('types/store.d.ts')
  const interfaces = [...types.matchAll(/^export interface (\w+) \{\n {2}kind: '(\w+)'\n([\s\S]*?)^\}/gm)]
  assert.deepEqual(interfaces.map(([, , kind]) => kind).sort(), ['directory', 'gcs', 'memory', 'postgres', 'redis', 's3', 'supabase'])
  const union = types.match(/^export type HybridAuthStore = (.*)$/m)[1].split(' | ')
  assert.deepEqual(union.sort(), interfaces.map(([, name]) => name).sort())
  for (const name of union) assert.ok(read('index.d.ts').includes(name), `${name} is exported`)
  for (const [, , kind, body] of interfaces) {
    assert.deepEqual(all(body, /^ {2}(\w+)\??:/gm), fieldsOf(kind), kind)
    const [, listed] = read('docs/stores.md').match(new RegExp(`\\{ kind: '${kind}', ([\\w, ]+) \\}`))
    // The one that is told beside the table alone.
    assert.deepEqual(
      listed.split(', ').sort(),
      fieldsOf(kind).filter((field) => kind !== 'directory' || field !== 'create'),
      kind
    )
  }
})

test('limits that the doctor judges by are those of the core', () => {
  const doctor = read('lib/tools/doctor-tenants.js')
  const number = (text, pattern) => Number(text.match(pattern)[1])
  const [, shares, near] = read('src/store/limits.rs').match(/bytes > limit \/ (\d+) \* (\d+)/)
  assert.equal(number(doctor, /^const NEAR = (\d\.\d+)$/m), near / shares)
  const [, part] = read('src/format/name/part.rs').match(/^pub const MAX_PART: usize = (\d+ << \d+);$/m)
  assert.equal(read('lib/tools/contract-entries.js').match(/^const LARGE = (\d+ << \d+)$/m)[1], part)
})

test('largest batch of the codec is that of the core', () => {
  const { MAX_BATCH } = require('../../lib/codec/encode-buffer.js')
  const [, base, shift] = read('src/format/record.rs').match(/^pub const MAX_BATCH_LEN: usize = (\d+) << (\d+);$/m)
  assert.equal(MAX_BATCH, Number(base) << Number(shift))
})

test('every check of a contract is in the document and in the declarations, and no other', () => {
  const { ENTRIES } = require('../../lib/tools/contract-entries.js')
  const names = [...ENTRIES.map(({ name }) => `contract-${name}`), 'contract-clean'].sort()
  assert.deepEqual(all(read('docs/stores.md'), /^\| `(contract-[\w-]+)` \|/gm), names)
  assert.deepEqual(all(read('types/tools.d.ts').split('export interface DoctorCheck')[1].split('*/')[0], /`(contract-[\w-]+)`/g), names)
})

test('operations that a service of Nest has from the fleet are declared once, and are those that it passes on', () => {
  const { OPERATIONS } = require('../../nestjs/operations.js')
  const picked = read('nestjs/index.d.ts').match(/=> Pick<\s*Fleet,([^>]*)>/)[1]
  assert.deepEqual(all(picked, /'(\w+)'/g).sort(), [...OPERATIONS].sort())
})
