// The recording of the demo in docs/demo.svg: it shows the demo as it is now, whole, and is a picture.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { render } from '../../scripts/record-demo.mjs'
import { read } from './repository.mjs'

const picture = read('docs/demo.svg')
const shown = (svg) => [...svg.matchAll(/<text[^>]*>(.*)<\/text>/g)].map(([, text]) => text.replace(/<[^>]+>/g, ''))

test('the recording shows every act of the demo in its order, to its good end', () => {
  const acts = [...read('demo/main.mjs').matchAll(/^ +act\('(.*)'\)/gm)].map(([, title], i) => `${i + 1}. ${title}`)
  assert.ok(acts.length >= 7, `${acts.length} acts`)
  const lines = shown(picture)
  assert.deepEqual(
    lines.filter((line) => /^\d+\. /.test(line)),
    acts
  )
  assert.equal(lines[0], '$ npm run demo')
  assert.ok(
    lines.some((line) => read('demo/main.mjs').includes(`'${line}'`)),
    'the first line of the demo'
  )
  assert.match(lines.join('\n'), /Acknowledged and lost: nothing\.\n +Finished in [\d.]+ s\.$/)
  for (const line of lines) assert.ok(line.length <= 100, line)
})

test('a recording is one picture: it is well-formed, loads nothing, and what is printed cannot be markup', () => {
  const svg = render(['1. <b>', '    a & b      12 ms', '', 'x'.repeat(100)].map((text, i) => ({ text, ms: i * 5000 })))
  assert.deepEqual(shown(svg), ['1. &lt;b&gt;', '    a &amp; b      12 ms', '', 'x'.repeat(100)])
  assert.match(svg, /<tspan class="act">1\. /)
  assert.match(svg, /<tspan class="time"> +12 ms</)
  for (const text of [svg, picture]) {
    assert.doesNotMatch(text, /<script|href|url\(|@import|&(?!amp;|lt;|gt;)/)
    const open = []
    for (const [tag, closing, name, rest] of text.matchAll(/<(\/?)(\w+)([^>]*)>/g)) {
      if (closing) assert.equal(open.pop(), name, tag)
      else if (!rest.endsWith('/')) open.push(name)
    }
    assert.deepEqual(open, [])
  }
})
