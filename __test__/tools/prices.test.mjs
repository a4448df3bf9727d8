// The numbers behind an estimate stand once, and are those of the document.
//
// Invariant guarded: whoever measures anew, or reads the rates anew, changes one place, and the document with it.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import * as bench from '../../bench/cost/prices.mjs'
import { read } from '../docs/repository.mjs'

const require = createRequire(import.meta.url)
const { FREE, MEASURED, PROVIDERS } = require('../../lib/tools/prices.js')
const { costPerTenantDay } = require('../../lib/tools/cost.js')
const document = read('docs/cost.md')
const cells = (start) =>
  document
    .split('\n')
    .find((line) => line.startsWith(start))
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
const whole = (text) => Number(text.replaceAll(',', ''))

test('the rates are those of the document and of the benchmark', () => {
  assert.equal(bench.PROVIDERS, PROVIDERS)
  for (const { name, classA, classB, storage, egress, read } of Object.values(PROVIDERS)) {
    const [, put, get, stored, out, , asOf] = cells(`| ${name} |`)
    assert.deepEqual([parseFloat(put), parseFloat(get), Number(stored), Number(out), asOf], [classA, classB, storage, egress, read], name)
  }
})

test('what was measured is what the document says', () => {
  const [, put, list, , sent] = cells('| each at 1 message a minute |')
  assert.deepEqual([whole(put), whole(list), whole(sent)], [MEASURED.puts, MEASURED.lists, MEASURED.sentKB])
  assert.match(document, new RegExp(`^${MEASURED.sessions} sessions in one process`, 'm'))
  assert.match(
    document,
    new RegExp(`A name takes ${MEASURED.nameBytes.s3} bytes in an answer to a LIST here, and ${MEASURED.nameBytes.supabase} at Supabase`)
  )
})

const native = (store) => ({ store, ownershipCheckIntervalMs: 5000, flushIntervalMs: 1000, refreshIntervalMs: 7 * 86_400_000 })

test('a_day_costs_what_its_requests_cost', () => {
  const { provider, idle, atWork } = costPerTenantDay(native({ kind: 's3', endpoint: null }), 1)
  assert.equal(provider, PROVIDERS.s3.name)
  assert.equal(idle.lists, 17_280)
  assert.ok(Math.abs(idle.usd - (17_280 + 3 / 7) * 5e-6 - (1 / 7) * 0.4e-6) < 1e-9)
  assert.ok(Math.abs(atWork.puts - idle.puts - 1440 * (499 / 500)) < 1e-6)
  const shared = costPerTenantDay(native({ kind: 's3', endpoint: null }), 200)
  assert.ok(Math.abs(shared.idle.lists - 17_280 / 200) < 1e-9, 'tenants of a process share their listings')
  const rarely = costPerTenantDay({ ...native({ kind: 's3', endpoint: null }), flushIntervalMs: 3_600_000 }, 1)
  assert.equal(rarely.atWork.puts - rarely.idle.puts, 24, 'no more segments than flushes')
})

test('requests_to_a_database_cost_nothing_and_the_document_says_what_they_cost_instead', () => {
  const { isFree } = require('../../lib/config/store.js')
  const kinds = ['directory', 'memory', 's3', 'gcs', 'supabase', 'postgres', 'redis']
  assert.deepEqual(kinds.filter(isFree), Object.keys(FREE))
  const paragraph = document.slice(document.indexOf('\n## A database'))
  for (const [kind, { instead, nameBytes }] of Object.entries(FREE)) {
    const { provider, asOf, idle, atWork } = costPerTenantDay({ ...native({ kind }), ownershipCheckIntervalMs: 1000 }, 1)
    assert.deepEqual([provider, asOf, idle.usd, atWork.usd], [null, null, 0, 0], kind)
    assert.deepEqual([idle.lists, idle.receivedBytes], [86_400, 86_400 * 5 * nameBytes], kind)
    for (const figure of instead.match(/[\d.]+ (to [\d.]+ )?[KM]B/g)) assert.ok(paragraph.includes(figure), `${kind}: ${figure}`)
  }
})

test('the_rates_go_by_where_the_store_is', () => {
  const providers = {
    'https://s3.eu-central-1.amazonaws.com': PROVIDERS.s3.name,
    'https://0123.r2.cloudflarestorage.com': PROVIDERS.r2.name,
    'http://127.0.0.1:9000': null
  }
  for (const [endpoint, name] of Object.entries(providers)) {
    const { provider, idle } = costPerTenantDay(native({ kind: 's3', endpoint }), 1)
    assert.deepEqual([provider, idle.usd === null], [name, name === null], endpoint)
  }
  for (const kind of ['gcs', 'supabase']) assert.equal(costPerTenantDay(native({ kind }), 1).provider, PROVIDERS[kind].name)
})
