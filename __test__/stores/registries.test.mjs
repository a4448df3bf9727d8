// Memory that a process keeps of sessions that it closed and of keys that it no longer uses: the short form of `bench/registries.mjs`.
//
// Invariant guarded: descriptors, threads and memory do not grow with opens, nor with stores whose key was changed.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const BENCH = fileURLToPath(new URL('../../bench/registries.mjs', import.meta.url))

test('hundreds_of_opens_with_a_changed_key_each_leave_no_descriptor_and_no_thread', () => {
  const args = ['--expose-gc', BENCH, '240', '--tenants', '50', '--tokens', '120', '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 300_000 })
  assert.equal(status, 0, `${stdout}${stderr}`)
  const { looks, grew } = JSON.parse(stdout)
  assert.deepEqual(grew, [])
  assert.equal(looks.at(-1).opens, 240)
})
