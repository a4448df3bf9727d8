// The examples that open a session in production never create a WhatsApp identity by accident.
//
// Invariant guarded: an example that opens a session names `onMissing: 'error'`, or says in its code that it is the place where a number is
// linked or a session is imported. Counted is each block of JavaScript or TypeScript in the README and in `docs/`, and each source file in
// `examples/`, that calls `useHybridAuthState`, makes a fleet and opens with it, or configures the NestJS module. Not counted: `docs/testing.md`,
// whose blocks are tests of their own stores, and browser profiles, where whatsapp-web.js itself shows the code that links a number.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read } from './repository.mjs'

const NOT_IN_PRODUCTION = ['docs/testing.md']
const OPENS = /\buseHybridAuthState\(|\bHybridAuthModule\.forRoot(Async)?\(|\b(open|initialize|restoreAll)\(/
const IS_OURS = /from ['"]baileys-hybrid-auth(\/nestjs)?['"]/
const CONFIGURES = /\buseHybridAuthState\(|\bHybridAuthModule\.forRoot(Async)?\(|\bnew HybridAuth\(/

/** Blocks of code of a document that an application would run; lines that a difference removes are not. */
const blocksOf = (text) =>
  [...text.matchAll(/^```(js|ts|diff)\n([\s\S]*?)^```$/gm)].map(([, language, block]) =>
    language === 'diff' ? block.replace(/^-.*\n/gm, '').replace(/^\+/gm, '') : block
  )

const isExample = (code) => IS_OURS.test(code) && OPENS.test(code) && CONFIGURES.test(code)

/** True if a missing session is an error there: `importFrom` creates none either. */
const isSafe = (code) => /\bonMissing: 'error'|\bimportFrom: /.test(code)

/** True where a number is linked, on purpose and with the reason beside it. */
const pairs = (code) => /\bonMissing: 'create',? .*\/\/ .*\blink/.test(code)

function examples() {
  const documents = files().filter((file) => /^(README\.md|docs\/.*\.md)$/.test(file) && !NOT_IN_PRODUCTION.includes(file))
  const sources = files().filter((file) => /^examples\/.*\.[mc]?[jt]s$/.test(file))
  return [
    ...documents.flatMap((file) => blocksOf(read(file)).map((code) => ({ file, code }))),
    ...sources.map((file) => ({ file, code: read(file) }))
  ].filter(({ code }) => isExample(code))
}

test('every_example_that_opens_a_session_in_production_makes_a_missing_one_an_error', () => {
  const found = examples()
  const seen = [...new Set(found.map(({ file }) => file))]
  for (const file of [
    'README.md',
    'docs/quickstart.md',
    'docs/nestjs.md',
    'docs/observability.md',
    'docs/bundlers.md',
    'docs/guides/connection.md',
    'docs/guides/platforms.md',
    'examples/nestjs/src/auth-state.module.ts'
  ]) {
    assert.ok(seen.includes(file), `${file} has an example`)
  }
  assert.deepEqual(
    found.filter(({ code }) => !isSafe(code) && !pairs(code)).map(({ file, code }) => `${file}: ${code.match(OPENS)[0]}`),
    []
  )
})

test('only_the_quickstart_has_an_example_that_does_nothing_but_link_a_number', () => {
  assert.deepEqual(
    examples()
      .filter(({ code }) => !isSafe(code))
      .map(({ file }) => file),
    ['docs/quickstart.md']
  )
})

test('an_example_without_the_choice_is_noticed', () => {
  const begin = "import { HybridAuth, useHybridAuthState } from 'baileys-hybrid-auth'\n"
  for (const code of [
    "await useHybridAuthState('a')",
    "const fleet = new HybridAuth()\nawait fleet.open('a')",
    "await useHybridAuthState('a', { onMissing: 'create' })"
  ]) {
    assert.deepEqual([isExample(begin + code), isSafe(code), pairs(code)], [true, false, false], code)
  }
  assert.ok(!isExample(`${begin}await new HybridAuth().survey()`))
})
