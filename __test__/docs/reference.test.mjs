// Options, variables, error codes and events are the same in the code, in the types and in the documents.
//
// Invariant: nothing can be added to one of them, or taken from it, without the others.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { declarations } from '../support/declarations.mjs'
import { all, firstColumn, read, section } from './repository.mjs'

const require = createRequire(import.meta.url)
const types = declarations()
const source = read('lib/config/options.js')
const between = (text, from, to) => text.slice(text.indexOf(from), text.indexOf(to, text.indexOf(from)))

const { VARIABLES, ownVariable } = require('../../lib/config/variables.js')
const variables = { ...VARIABLES }
const known = [...Object.keys(variables), ...all(between(source, 'const KNOWN', '])'), /^ {2}'(\w+)'/gm)].sort()
const configuration = section(read('docs/configuration.md'), '## Options and variables')

test('every option is in the types and in the table of options, and nothing else is', () => {
  assert.ok(known.length > 15, `${known.length} found`)
  assert.deepEqual(all(between(types, 'export interface HybridAuthOptions', '\n}'), /^ {2}(\w+)\?:/gm), known)
  assert.deepEqual(firstColumn(configuration), known)
})

test('every variable is named where its option is', () => {
  for (const [option, names] of Object.entries(variables)) {
    const row = configuration.split('\n').find((line) => line.startsWith(`| \`${option}\` |`))
    assert.deepEqual(all(row.split('|').at(-2), /`(\w+)`/g), [ownVariable(option) ?? [], ...names].flat().sort(), option)
    for (const name of names) assert.ok(types.includes(`\`${name}\``), `${name} is not in the declarations`)
  }
})

test('every error code of the core is in JavaScript, in the types and in the runbook', () => {
  const codes = all(read('src/error.rs'), /Code::\w+ => "([A-Z_]+)"/g)
  assert.ok(codes.length >= 15, `${codes.length} found`)
  // What the core never sees: a caller that does not wait.
  codes.push('ABORTED')
  codes.sort()
  assert.deepEqual([...require('../../lib/errors.js').codes].sort(), codes)
  assert.deepEqual(all(between(types, 'export type HybridAuthErrorCode', '\n\n'), /\| '([A-Z_]+)'/g), codes)
  assert.deepEqual(firstColumn(section(read('docs/runbook.md'), '## Errors and what to do')), codes)
})

test('every event is in the types and in the documents', () => {
  const events = all(between(read('lib/session/news.js'), 'const LEVELS', '}'), /(\w+):/g)
  assert.equal(events.length, 12)
  const before = ['opening', 'waiting']
  assert.deepEqual(
    all(between(types, 'export interface SessionEvents', '\n}'), /^ {2}(\w+):/gm),
    events.filter((event) => !before.includes(event))
  )
  for (const event of before) assert.ok(types.includes(`{ event: '${event}'`), event)
  assert.deepEqual(firstColumn(section(read('docs/observability.md'), '## Events')), events)
})
