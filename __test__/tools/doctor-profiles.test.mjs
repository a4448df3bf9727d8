// The doctor over a folder of browser profiles: locks, links, space, disk and signals.
//
// Invariants guarded: a check that could not be made is `unknown`; no profile is changed, and nothing is left behind; what the doctor says of a
// lock is what an open makes of it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { atEnd } from '../../testkit/base/endings.mjs'
import { canMount, smallDisk } from '../../testkit/processes/disks.mjs'
import { hybrid, rejection, scene } from '../../testkit/processes/sessions.mjs'

const NAMES = ['profile-locks', 'profile-links', 'profile-space', 'profile-disk', 'profile-stop']

/** A folder with profiles of these names, and what the doctor says of it. */
function world(t, names = ['RemoteAuth-anna', 'session-ben'], dataPath = join(scene(t).root, 'auth')) {
  for (const name of names) {
    mkdirSync(join(dataPath, name, 'Default', 'IndexedDB'), { recursive: true })
    writeFileSync(join(dataPath, name, 'Default', 'IndexedDB', 'file'), Buffer.alloc(100_000, 'x'))
  }
  const fleet = new hybrid.HybridAuth(scene(t).local)
  const diagnose = async () => {
    const checks = (await fleet.doctor({ dataPath })).filter(({ name }) => name.startsWith('profile-'))
    for (const { message } of checks) assert.ok(message.length > 10 && !message.includes(dataPath), message)
    return Object.fromEntries(checks.map((check) => [check.name, check]))
  }
  return { dataPath, fleet, diagnose, lock: (name, target) => symlinkSync(target, join(dataPath, name, 'SingletonLock')) }
}

/** A process that runs and has the path of a profile among its arguments, as a browser has. */
async function running(t, path) {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', `--user-data-dir=${path}`], { stdio: 'ignore' })
  atEnd(t, () => child.kill('SIGKILL'))
  await new Promise((resolve) => child.once('spawn', () => resolve()))
  return child
}

test('folder_that_is_well_is_told_so_and_left_as_it_is', async (t) => {
  const { dataPath, diagnose } = world(t)
  const before = readdirSync(dataPath, { recursive: true }).sort()
  const checks = await diagnose()
  assert.deepEqual(Object.keys(checks), NAMES)
  assert.deepEqual(
    ['profile-locks', 'profile-links', 'profile-space', 'profile-stop'].map((name) => checks[name].outcome),
    ['ok', 'ok', 'ok', 'ok']
  )
  assert.deepEqual([checks['profile-space'].kept, checks['profile-space'].largest, checks['profile-locks'].profiles], [200_000, 100_000, 2])
  assert.deepEqual(readdirSync(dataPath, { recursive: true }).sort(), before)
})

test('lock_of_another_host_is_a_warning_that_names_the_profile_and_one_of_a_dead_browser_is_none', async (t) => {
  const { diagnose, lock } = world(t)
  lock('session-ben', `${hostname()}-2147483646`)
  const left = (await diagnose())['profile-locks']
  assert.deepEqual([left.outcome, left.running, left.left, left.foreign], ['ok', 0, 1, []])
  assert.match(left.message, /the next open removes it/)
  lock('RemoteAuth-anna', 'another-host-4711')
  const foreign = (await diagnose())['profile-locks']
  assert.deepEqual([foreign.outcome, foreign.foreign], ['warning', ['RemoteAuth-anna']])
  assert.match(foreign.message, /an open by this package removes the lock/)
})

test('browser_that_runs_is_counted_and_is_no_left_over_lock', async (t) => {
  const { dataPath, diagnose, lock } = world(t)
  const { pid } = await running(t, join(dataPath, 'RemoteAuth-anna'))
  lock('RemoteAuth-anna', `${hostname()}-${pid}`)
  const found = (await diagnose())['profile-locks']
  assert.deepEqual([found.outcome, found.running, found.left], ['ok', 1, 0])
})

test(
  'disk_without_room_for_a_restore_fails_and_one_in_memory_is_a_warning',
  { skip: canMount ? false : 'nothing can be mounted here' },
  async (t) => {
    const { diagnose, dataPath } = world(t, ['RemoteAuth-anna'], smallDisk(t, 512).folder)
    const roomy = await diagnose()
    assert.deepEqual([roomy['profile-space'].outcome, roomy['profile-disk'].outcome], ['ok', 'warning'])
    writeFileSync(join(dataPath, 'filler'), Buffer.alloc(360_000))
    const full = await diagnose()
    assert.equal(full['profile-space'].outcome, 'failed', full['profile-space'].message)
  }
)

test('folder_that_is_not_there_is_unknown_and_a_wrong_one_is_refused', async (t) => {
  const { fleet } = world(t)
  const checks = await fleet.doctor({ dataPath: join(scene(t).root, 'nowhere') })
  assert.deepEqual(
    checks.filter(({ name }) => name.startsWith('profile-')).map(({ name, outcome }) => [name, outcome]),
    NAMES.map((name) => [name, 'unknown'])
  )
  for (const wrong of ['', 7, null]) assert.equal((await rejection(fleet.doctor({ dataPath: wrong }))).code, 'INVALID_OPTION')
})
