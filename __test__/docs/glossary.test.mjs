// The glossary of docs/architecture.md is the vocabulary of the code.
//
// Invariant: each of its words is a name in the code, and a word that was given up for one of them does not come back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { files, read, section } from './repository.mjs'

/** Words that were given up, and those that stand for them. */
const FORMER = {
  patience: 'retry, backoff, wait',
  patiently: 'with retries',
  insist: 'retry',
  suffer: 'backoff',
  rehearsal: 'preflight',
  rehearse: 'preflight',
  witness: 'cut recorder',
  farewell: 'shutdown',
  recall: 'dump',
  restless: 'stale'
}

/** Words that were given up in JavaScript, and not yet in the core. */
const FORMER_IN_JAVASCRIPT = { ...FORMER, mend: 'fix', patient: 'with retries', impatient: 'without retries' }

const sources = files().filter((file) => /^(src|lib|nestjs|whatsapp-web|cli)\/.*\.(rs|js)$/.test(file))
/** Words of names, however they are put together. */
const wordsOf = (text) =>
  text
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .match(/[a-z0-9]+/g) ?? []
const used = new Set(sources.flatMap((file) => wordsOf(read(file))))

test('every word of the glossary is used in the code', () => {
  const terms = [...section(read('docs/architecture.md'), '## Glossary').matchAll(/^\| ([^|]+) \|/gm)]
    .flatMap(([, cell]) => cell.split(', '))
    .slice(1)
    .filter((term) => !term.startsWith('-'))
  assert.ok(terms.length >= 40)
  assert.deepEqual(
    terms.filter((term) => ![term, `${term}s`, term.replace(/ed$/, '')].some((word) => used.has(word.toLowerCase()))),
    []
  )
  assert.deepEqual(
    terms,
    [...terms].sort((a, b) => a.localeCompare(b, 'en')),
    'in the order of the alphabet'
  )
})

/** Words in a text that were given up, in any form and any name: `suffered`, `reWitness`, `REHEARSING`. */
const formerIn = (text, former) =>
  Object.keys(former).filter((word) => wordsOf(text).some((used) => new RegExp(`^${word.replace(/e$/, 'e?')}(s|es|d|ed|ing)?$`).test(used)))

test('no word that was given up names anything', () => {
  const found = sources.flatMap((file) => {
    const former = file.endsWith('.js') ? FORMER_IN_JAVASCRIPT : FORMER
    return formerIn(read(file), former).map((word) => `${file}: ${word}, say ${former[word]}`)
  })
  assert.deepEqual(found, [])
})

test('a word that was given up is noticed in every form', () => {
  for (const text of ['fn suffered()', 'let reWitness', 'REHEARSING', '// patience', 'recalls', 'witnesses'])
    assert.equal(formerIn(text, FORMER).length, 1, text)
  assert.deepEqual(formerIn('suffering; recollect; amendment; restlessness', FORMER), ['suffer'])
})
