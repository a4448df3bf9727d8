// The doctor over a directory: every check that can be made there, and none that is called well without being made.
//
// Invariants guarded: a check that could not be made is `unknown`; one that fails costs the others nothing; nothing is left behind.

import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { hybrid, KEY, rejection, scene } from '../../testkit/processes/sessions.mjs'

export const NAMES = [
  'reachable',
  'write',
  'list',
  'read',
  'delete',
  'list-after-put',
  'private',
  'clock',
  'latency',
  'encryption',
  'lifecycle',
  'versioning',
  'tenant-ids',
  'names',
  'idle-tenants',
  'size-limit',
  'cost'
]
const DAY = 86_400_000
const fleetOf = (at, more) => new hybrid.HybridAuth({ ...at.replicated, ...more })
const diagnose = async (fleet) => Object.fromEntries((await fleet.doctor()).map((check) => [check.name, check]))
const outcomes = (checks) => Object.fromEntries(Object.values(checks).map(({ name, outcome }) => [name, outcome]))
const filesIn = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((item) => item.isFile())
        .map(({ name }) => name)
    : []

test('a_directory_that_is_well_is_told_so_check_by_check', async (t) => {
  const at = scene(t)
  const checks = await fleetOf(at).doctor()
  assert.deepEqual(
    checks.map(({ name }) => name),
    NAMES
  )
  for (const { name, outcome, message } of checks) {
    assert.equal(outcome, name === 'lifecycle' ? 'unknown' : 'ok', `${name}: ${message}`)
    assert.ok(message.length > 10 && !message.includes(KEY) && !message.includes(at.bucket), message)
  }
  assert.deepEqual(filesIn(at.bucket), [], 'nothing is left behind')
  const { latency, write } = Object.fromEntries(checks.map((check) => [check.name, check]))
  assert.ok(Object.values(latency.figures).every((ms) => ms >= 0) && write.ms >= 0)
})

test('a_running_session_is_not_disturbed', async (t) => {
  const at = scene(t)
  const fleet = fleetOf(at)
  const session = await fleet.open('tenant')
  await session.saveCreds()
  await session.flush()
  const before = filesIn(at.bucket).sort()
  assert.equal((await diagnose(fleet))['tenant-ids'].outcome, 'ok')
  assert.deepEqual(filesIn(at.bucket).sort(), before)
  await session.saveCreds()
  await session.flush()
  await fleet.shutdown()
})

test('a_store_that_is_not_there_leaves_everything_else_open', async (t) => {
  const at = scene(t)
  writeFileSync(join(at.root, 'file'), '')
  const checks = await diagnose(fleetOf(at, { store: { kind: 'directory', path: join(at.root, 'file', 'bucket') } }))
  assert.deepEqual(Object.keys(checks).sort(), [...NAMES].sort())
  const { reachable, encryption, cost, ...rest } = checks
  assert.deepEqual([reachable.outcome, encryption.outcome, cost.outcome], ['failed', 'ok', 'ok'])
  assert.deepEqual([...new Set(Object.values(rest).map(({ outcome }) => outcome))], ['unknown'])
})

test('without_a_store_there_is_nothing_to_look_at', async (t) => {
  const at = scene(t)
  assert.deepEqual(outcomes(await diagnose(new hybrid.HybridAuth(at.local))), { store: 'unknown', encryption: 'warning' })
  assert.equal((await rejection(new hybrid.HybridAuth({ ...at.local, flushIntervalMs: 'x' }).doctor())).code, 'INVALID_OPTION')
})

test('what_is_stored_readably_is_a_warning', async (t) => {
  const at = scene(t)
  assert.equal((await diagnose(fleetOf(at, { encryptionKeys: undefined, encryption: 'off' }))).encryption.outcome, 'warning')
})

test(
  'a_directory_that_others_can_look_into_is_a_warning',
  { skip: process.platform === 'win32' && 'there are no such permissions' },
  async (t) => {
    const at = scene(t)
    await fleetOf(at).doctor()
    chmodSync(at.bucket, 0o755)
    assert.equal((await diagnose(fleetOf(at))).private.outcome, 'warning')
  }
)

test('tenant_ids_that_are_personal_or_should_be_hidden_are_a_warning', async (t) => {
  const at = scene(t)
  const keep = async (id, more) => {
    const session = await at.openReplicated(id, more)
    await session.flush()
    await session.close()
  }
  const outcome = async (more) => (await diagnose(fleetOf(at, more)))['tenant-ids'].outcome
  await keep('shop-42')
  assert.equal(await outcome(), 'ok')
  assert.equal(await outcome({ hideTenantIds: true }), 'warning', 'it was stored under its name')
  await keep('+49 151 555-01234')
  assert.equal(await outcome(), 'warning')
  const hidden = scene(t, { hideTenantIds: true })
  const session = await hidden.openReplicated('+49 151 555-01234')
  await session.close()
  assert.equal((await diagnose(fleetOf(hidden)))['tenant-ids'].outcome, 'ok')
})

test('sessions_that_nobody_has_open_are_counted_when_they_are_old', async (t) => {
  const at = scene(t)
  const fleet = fleetOf(at)
  for (const id of ['open', 'asleep']) await (await fleet.open(id)).flush()
  await fleet.get('asleep').close()
  const idle = async () => (await diagnose(fleet))['idle-tenants']
  assert.deepEqual([(await idle()).outcome, (await idle()).count], ['ok', 0])
  const then = new Date(Date.now() - 31 * DAY)
  for (const name of readdirSync(at.bucket, { recursive: true }).map(String)) utimesSync(join(at.bucket, name), then, then)
  // Nobody can tell whether something removes old files from a directory.
  assert.deepEqual([(await idle()).outcome, (await idle()).count, (await idle()).days], ['warning', 1, 30])
  await fleet.shutdown()
})
