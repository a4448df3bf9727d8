// The benchmark of a call runs: figures are quoted from it, and nobody notices when it does not start.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const BENCH = fileURLToPath(new URL('../../bench/main.mjs', import.meta.url))

test('the benchmark measures every call on every store', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BENCH, '--rounds', '1', '--calls', '2'], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  for (const row of ['set session', 'get session', 'saveCreds', 'set 812 pre-keys', 'open, and read 2,000 keys']) {
    assert.match(stdout, new RegExp(`^${row} .*\\d.*\\(\\d+x\\)`, 'm'))
  }
  assert.match(stdout, /^ +ours, bucket +ours, data +multi-file v7/m)
})
