// A program that a test needs and that is not there: a skip by its name where nothing may be installed, and a failure anywhere else.
//
// Invariant guarded: no check is left out without being named, and none is left out where it has to run.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/bootstrap.mjs'
import { needsServer, reached, testFiles } from '../../scripts/test-files.mjs'
import { scratch } from '../../testkit/base/endings.mjs'

const url = (path) => JSON.stringify(new URL(`../../testkit/${path}`, import.meta.url).href)
const USER = 1000

/** Runs a test file in which a program is missing, as a user; answers what its tests came to. */
function outcome(t, { uid, env = {}, file }) {
  const folder = scratch(t)
  writeFileSync(
    join(folder, 'some.test.mjs'),
    `process.getuid = () => ${uid}
    const { after, before, test } = await import(${url('base/missing.mjs')})
    const { provide } = await import(${url('install/apt.mjs')})
    const start = () => provide('no-such-package', 'Some Server', () => undefined)
    ${file}`
  )
  const args = ['--test', '--test-reporter=tap', 'some.test.mjs']
  // Nothing is found, apt for one; the variables of the run that this one is part of are not for it.
  const { stdout } = spawnSync(process.execPath, args, { cwd: folder, env: { PATH: folder, ...env }, encoding: 'utf8' })
  const of = (pattern) => [...stdout.matchAll(pattern)].map(([, ...groups]) => groups.join(' '))
  const skipped = of(/^ *ok \d+ - (\S+) # SKIP (.*)$/gm)
  const failed = of(/^ *not ok \d+ - (\S+)$/gm).filter((name) => !name.endsWith('.mjs'))
  const passed = of(/^ *ok \d+ - (\S+)$/gm).filter((name) => !name.endsWith('.mjs'))
  return { skipped, failed, passed, stdout }
}

const BODY = `
  test('needs_it', async () => start())
  test('needs_nothing', async () => {})
  test('is_wrong', { timeout: 60_000 }, async () => { throw new Error('another fault') })`
const HOOK = `
  let server
  before(async () => { server = start() })
  after(() => start())
  test('one', async () => server.stop())
  test('other', async () => server.stop())`

test('who_may_install_nothing_sees_a_skip_by_the_name_of_the_program_and_every_other_fault', (t) => {
  const { stdout, ...came } = outcome(t, { uid: USER, file: BODY })
  assert.deepEqual(came, { skipped: ['needs_it needs Some Server'], failed: ['is_wrong'], passed: ['needs_nothing'] }, stdout)
})

test('a_hook_that_misses_a_program_skips_every_test_of_its_file_by_name', (t) => {
  const { stdout, ...came } = outcome(t, { uid: USER, file: HOOK })
  assert.deepEqual(came, { skipped: ['one needs Some Server', 'other needs Some Server'], failed: [], passed: [] }, stdout)
})

for (const [where, who] of [
  ['CI', { uid: USER, env: { CI: 'true' } }],
  ['root', { uid: 0 }]
]) {
  test(`for_${where}_a_program_that_is_missing_is_a_failure_that_says_what_to_install`, (t) => {
    const body = outcome(t, { ...who, file: BODY })
    assert.deepEqual([body.skipped, body.failed], [[], ['needs_it', 'is_wrong']], body.stdout)
    assert.match(body.stdout, /Some Server is missing: install it \(Debian: `apt install no-such-package`\) and run this again\./)
    const hook = outcome(t, { ...who, file: HOOK })
    assert.deepEqual([hook.skipped, hook.failed], [[], ['one', 'other']], hook.stdout)
  })
}

/** Files that are about the installation itself. */
const OWN = ['__test__/stores/install.test.mjs', '__test__/tools/missing.test.mjs']

test('every_test_that_starts_a_program_can_say_that_it_is_missing', () => {
  const files = testFiles().filter((file) => needsServer(file) && !OWN.includes(relative(root, file)))
  assert.ok(files.length >= 50, `${files.length} files`)
  // Helpers register tests and hooks too.
  const all = new Set(files.flatMap((file) => [...reached(file)].filter((other) => /^(__test__|testkit)\//.test(relative(root, other)))))
  const own = join(root, 'testkit/base/missing.mjs')
  const wrong = [...all].filter(
    (file) => file !== own && /import .*\b(test|before|after)\b.* from 'node:test'/.test(readFileSync(file, 'utf8'))
  )
  assert.deepEqual(
    wrong.map((file) => relative(root, file)),
    []
  )
})
