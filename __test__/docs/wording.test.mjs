// The documents for users use everyday words: none of the turns of phrase that readers stumbled over comes back.
//
// Invariants guarded: each phrase below is absent from every document for users and from every message of the package; doc comments
// begin with a noun or a verb.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read } from './repository.mjs'

/** Phrase -> the everyday word for it. */
const PHRASES = {
  whoever: 'anybody who, or a noun',
  'mend(s|ed|ing)?': 'fix',
  'blank machine': 'new machine',
  'needs a person': 'needs human attention',
  '(is|are) told (of|to|that|by)': 'is notified, is reported',
  '(is|are) refused( by name)?': 'is rejected, is an error',
  'stands? (in|beside|there)': 'is in',
  '(it|sessions?|writes|owner) go(es)? on': 'continues, keeps running',
  'ended without a word': 'crashed',
  readably: 'unencrypted',
  'nobody has open|nobody holds any more': 'closed, no longer referenced',
  'says so': 'reports it',
  'if need be': 'if necessary',
  'holds? no': 'contains no',
  whatever: 'regardless of',
  'at hand': 'available',
  'sealed anew|seal \\w+ \\w+ anew': 're-encrypted',
  'cannot be told': 'is unknown, cannot be distinguished',
  'all the same': 'still',
  'with a remainder': 'with unsent writes',
  'at the least': 'at least',
  'is no (error|bucket)': 'is not an error',
  'as old as that': 'that old',
  'cannot tell apart': 'are the same',
  'no known': 'unknown',
  'keys can go': 'can be removed',
  'profiles of browsers': 'browser profiles'
}

const old = new RegExp(`\\b(${Object.keys(PHRASES).join('|')})\\b`, 'i')

/** Text of the strings of a program: a message may be split over lines, and comments are for its authors. */
const strings = (text) => [...text.matchAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g)].map(([literal]) => literal)

/** Core, without the tests at the end of a file. */
const core = (text) => text.replace(/^#\[cfg\(test\)\]\nmod \w+ \{[\s\S]*/m, '').replace(/reason = "[^"]*"/g, '')

const lines = (file) => {
  const text = file.endsWith('.rs') ? core(read(file)) : read(file)
  // Documents name tests and fields as they are called.
  if (/\.(md|yml)$|\.d\.ts$/.test(file)) return text.replace(/`[^`\n]*`/g, '').split('\n')
  return strings(text.replace(/^\s*(\/\/|\*|\/\*\*).*$/gm, ''))
}

const isForUsers = (file) =>
  /^(README|SECURITY|CHANGELOG)\.md$|^docs\/.*\.(md|yml)$|^(index|types\/.*|(nestjs|whatsapp-web)\/.*)\.d\.ts$|^(lib|cli|nestjs|whatsapp-web)\/.*\.js$|^src\/(?!sim\/|fuzz\/|store\/contract|.*tests?\b).*\.rs$|^examples\/nestjs\/README\.md$/.test(
    file
  )

test('no document and no message uses a phrase that readers stumbled over', () => {
  const found = []
  const seen = files().filter(isForUsers)
  assert.ok(seen.length > 100, `${seen.length} files`)
  for (const file of seen) {
    for (const line of lines(file)) {
      const hit = line.match(old)
      if (hit) found.push(`${file}: "${hit[0]}" in ${line.trim().slice(0, 120)}`)
    }
  }
  assert.deepEqual(found, [])
})

test('a message with an old phrase is noticed', () => {
  for (const text of [
    'Whoever has the key',
    'the disk refused; mend it',
    'a blank machine',
    'it says so',
    'whatever it is',
    'sealed anew',
    'closed with a remainder',
    'as old as that',
    'of no known family'
  ])
    assert.match(text, old)
})

/** First words of a doc comment that say nothing of what is documented. */
const EMPTY = /^(What|Whatever|Who|Whoever|Whose|How|Whether|That|Where|When|Which|Why|Those)\b/
const isDocumented = (file) => /\.(m?js|ts|rs)$/.test(file) && file !== 'binding.d.ts'

/** First lines of the doc comments of a file, and of the comment that it begins with. */
function docs(text) {
  const all = text.split('\n')
  const [, opening] = all[all[0].startsWith('#!') ? 1 : 0]?.match(/^\/\/!? (.*)/) ?? []
  const rest = all.flatMap((line, n) => {
    const rust = line.match(/^\s*\/\/\/ (.*)/)
    if (rust) return /^\s*\/\/\//.test(all[n - 1] ?? '') ? [] : [rust[1]]
    const [, first] = line.match(/^\s*\/\*\* (.*)/) ?? (/^\s*\/\*\*$/.test(all[n - 1] ?? '') ? (line.match(/^\s*\* (.*)/) ?? []) : [])
    return first === undefined ? [] : [first]
  })
  return opening === undefined ? rest : [opening, ...rest]
}

test('doc comments begin with a noun or a verb', () => {
  const found = files()
    .filter(isDocumented)
    .flatMap((file) => docs(read(file)).map((text) => ({ file, text })))
  assert.ok(found.length > 2000, `${found.length} doc comments`)
  assert.deepEqual(
    found.filter(({ text }) => EMPTY.test(text)).map(({ file, text }) => `${file}: ${text}`),
    []
  )
})

test('a doc comment that begins with a pronoun is noticed', () => {
  const forms = ['What', 'Whether', 'How', 'Whose', 'Why'].flatMap((word) =>
    [`/// ${word} it is.`, `//! ${word} it is.`, `// ${word} it is.`, `/** ${word} it is. */`, `/**\n * ${word} it is.\n */`].concat(
      `#!/usr/bin/env node\n// ${word} it is.`
    )
  )
  assert.deepEqual(
    forms.flatMap(docs).map((text) => EMPTY.test(text)),
    forms.map(() => true)
  )
  assert.deepEqual(docs('const a = 1\n// Why it is.'), [], 'a comment within a file gives reasons')
  assert.deepEqual(docs(['/// A thing.', '/// Which follows.'].join('\n')), ['A thing.'])
})
