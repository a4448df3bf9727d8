// The command that plays many schedules: it reports what it played and nothing else, and goes on where it was interrupted.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { environment } from '../../scripts/bootstrap.mjs'
import { report } from '../../scripts/simulation-report.mjs'
import { root } from './repository.mjs'

/** `npm run simulate` in the profile in which `npm test` has compiled the core already. */
const simulate = (...args) =>
  new Promise((done, failed) => {
    const child = spawn(process.execPath, [join(root, 'scripts/simulate.mjs'), ...args, '--profile', 'test'], { env: environment() })
    let said = ''
    child.stdout.on('data', (text) => (said += text))
    child.stderr.on('data', (text) => (said += text))
    child.on('error', failed)
    child.on('close', (status) => done({ said, status }))
  })

test('a few hundred schedules are played in one command, reported, and not played again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hybrid-auth-simulate-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'report.md')
  const once = await simulate('200', '--first', '5000', '--report', file)
  assert.equal(once.status, 0, once.said)
  const text = readFileSync(file, 'utf8')
  assert.match(text, /^200 schedules were played, of 200 asked for\. 0 failed\.$/m)
  assert.match(text, /^- Seeds: 5,000 to 5,199$/m)
  assert.match(text, /^npm run simulate -- 200 --first 5000 --report /m)
  assert.match(text, /^\| [1-9][\d,]* \| a session was opened \|$/m)
  const again = await simulate('200', '--first', '5000', '--report', file)
  assert.equal(again.status, 0, again.said)
  assert.equal(readFileSync(file, 'utf8'), text, 'what was noted is what is reported, the time included')
})

test('a range that failed is named and not counted', () => {
  const range = {
    first: 0,
    schedules: 1000,
    seconds: 10,
    opens: 1,
    promises: 2,
    kept: 3,
    kinds: [['calm', 1000]],
    moments: [['it rained', 12345]]
  }
  const asked = { schedules: 3000, first: 0 }
  const text = report({
    sources: 'abc',
    asked,
    ranges: [range, { ...range, first: 2000 }],
    failures: [{ first: 1000, last: 1999, seed: '1234' }]
  })
  assert.match(text, /^2,000 schedules were played, of 3,000 asked for\. 1 failed\.$/m)
  assert.match(text, /^- Seeds: 0 to 999, 2,000 to 2,999$/m)
  assert.match(text, /^- seed 1234: `SIM_SEED=1234`$/m)
  assert.match(text, /^\| 24,690 \| it rained \|$/m)
  assert.doesNotMatch(text, /Nothing that was acknowledged was lost/)
})

test('a count that is none is refused with the usage', async () => {
  for (const args of [[], ['0'], ['many'], ['10', '--threads', '0']]) {
    const { said, status } = await simulate(...args)
    assert.equal(status, 2, said)
    assert.match(said, /^usage: npm run simulate/)
  }
})
