// Output on a screen of 80 columns, and the time that the rest will take.
//
// Invariant guarded: no line of a result is wider than the screen; what is shortened keeps both ends; where a program reads, nothing
// is shortened.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { directorySite, multiFile, plain, run, supabaseSite, terminal } from './command.mjs'
import { spread } from '../support/size.mjs'

const require = createRequire(import.meta.url)
const { shortened } = require('../../cli/output.js')
const { timeLeft } = require('../../cli/work.js')
const stringWidth = require('string-width')

const LONG = `tenant-${'1234567890-'.repeat(7)}end`
const EIGHTY = { COLUMNS: '80' }

/** Lines of a text that are wider than a screen of 80 columns. */
const tooWide = (text) =>
  plain(text)
    .split('\n')
    .filter((line) => stringWidth(line) > 80)

test('no table and no text of a result is wider than 80 columns, and ids keep both ends', async (t) => {
  const at = directorySite(t)
  for (const tenant of [LONG, 'anna', `名前${'長'.repeat(40)}`]) await at.tenant(tenant)
  await multiFile(join(at.folder, 'old', `folder-${'x'.repeat(80)}`, 'below'))
  const how = { env: { ...at.env, ...EIGHTY } }
  const calls = [
    ['status'],
    ['verify'],
    ['drill'],
    ['doctor'],
    ['inspect', LONG],
    ['restore', '--all'],
    ['restore', '--all', '--to', join(at.folder, 'copy')],
    ['restore', LONG, 'nobody'],
    ['prune', '--older-than', '1h'],
    ['prune-keys', '--all'],
    ['rekey', '--all'],
    ['config'],
    ['delete', LONG, 'nobody', '--yes'],
    ['migrate', join(at.folder, 'old'), '--tenant-id', '{1}-{2}', '--dry-run'],
    ['--help'],
    ['verify', '--help']
  ]
  for (const args of spread(calls, 7)) {
    const { stdout, stderr } = await run(t, args, how)
    assert.notEqual(stdout, '', stderr)
    assert.deepEqual(tooWide(stdout.replace(/^ {2}\$ npx .*$/gm, '')), [], args.join(' '))
    if (args[0] === 'status') {
      assert.match(stdout, /^tenant-12\S*…\S*-end +free/m)
      assert.match(stdout, /^anna +free/m)
    }
  }
})

test('where a program reads, nothing is shortened', async (t) => {
  const at = directorySite(t)
  await at.tenant(LONG)
  const { stdout } = await run(t, ['status'], at)
  assert.ok(stdout.includes(`\n${LONG}  free`), stdout)
  assert.ok((await run(t, ['list'], { env: { ...at.env, ...EIGHTY } })).stdout.startsWith(`${LONG}\n`), 'a list is for programs')
})

test('on a terminal the table is as wide as the screen, and the bar says what is left', async (t) => {
  const at = await supabaseSite(t)
  for (const tenant of [LONG, 'anna', 'ben', 'carl']) await at.tenant(tenant)
  const id = await at.server.control.hold({ at: 'download', path: /data\/carl/, bucket: at.bucket.name })
  const child = terminal(t, ['verify'], { ...at, columns: 80 })
  await child.printed(/verify [█░]+ 3\/4 \d+ \w+ left/)
  await at.server.control.release({ id })
  const { code, stdout } = await child.ended
  assert.equal(code, 0, stdout)
  const table = plain(stdout).slice(plain(stdout).indexOf('TENANT'))
  assert.deepEqual(tooWide(table), [])
  assert.match(table, /^tenant-\S*…\S*end +sound/m)
})

test('ids are shortened in the middle, to the column, and never in the middle of a letter', () => {
  assert.equal(shortened('tenant-1234567890', 11), 'tenan…67890')
  assert.equal(shortened('short', 8), 'short')
  for (const text of ['名前長長長長長長長', 'e\u0301'.repeat(20), '👩‍👩‍👧'.repeat(9), 'a'.repeat(50)]) {
    for (let width = 8; width < 16; width++) {
      const short = shortened(text, width)
      assert.ok(stringWidth(short) <= width && short.includes('…'), `${short} at ${width}`)
      assert.ok(short.isWellFormed())
    }
  }
})

test('the time left follows from the pace so far, and is not told before there is one', () => {
  assert.equal(timeLeft(0, 10, 5000), '')
  assert.equal(timeLeft(10, 10, 5000), '')
  assert.equal(timeLeft(1, 11, 6000), '60 s left')
  assert.equal(timeLeft(50, 100, 600_000), '10 min left')
  assert.equal(timeLeft(9, 10, 90), '1 s left')
})
