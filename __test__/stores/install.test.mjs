// Installation of servers for tests, with stand-ins for pip and apt-get: no network is touched.
//
// Invariant: whatever pip does and however many processes install at once, a folder is whole or not there.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../../testkit/base/endings.mjs'

const MODULE = new URL('../../testkit/install/wheels.mjs', import.meta.url).href
const FOLDER = `tool-1.2-${process.platform}-${process.arch}`

/** Work of a pip: it says its version, or installs into what follows `--target`, slowly. */
const PIP = `
echo "$@" >>"$LOG"
case "$*" in *--version*) exit 0 ;; esac
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/bin" && echo half >"$2/bin/tool" && sleep 0.5 && echo whole >"$2/bin/tool"`
const BROKEN = `
echo "$@" >>"$LOG"
case "$*" in *--version*) exit 0 ;; esac
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/bin" && echo 'THESE PACKAGES DO NOT MATCH THE HASHES' >&2
exit 1`

/** A machine that has only these programs, and a requirements file. */
function machine(t, programs) {
  const folder = scratch(t)
  const [bin, log, cache, requirements] = ['bin', 'log', 'cache', 'tool.txt'].map((name) => join(folder, name))
  mkdirSync(bin)
  const add = (name, script) => {
    writeFileSync(join(bin, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  for (const [name, script] of Object.entries(programs)) add(name, script)
  writeFileSync(log, '')
  writeFileSync(requirements, 'tool==1.2 --hash=sha256:00\n')
  const code = `
    const { installWheel } = await import(${JSON.stringify(MODULE)})
    try { console.log(installWheel('tool', ${JSON.stringify({ cache, requirements })})) } catch (error) { console.log(error.message) }`
  return {
    cache,
    add,
    bin,
    /** Its output, line by line. */
    calls: () => readFileSync(log, 'utf8').split('\n').filter(Boolean),
    /** Installs in a process of its own; answers the folder, or why there is none. */
    install: () =>
      new Promise((resolve) => {
        const env = { PATH: bin, LOG: log, BIN: bin }
        const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: ['ignore', 'pipe', 'inherit'] })
        let said = ''
        child.stdout.on('data', (text) => (said += text))
        child.on('close', () => resolve(said.trim()))
      })
  }
}

const installed = ({ cache }) => readFileSync(join(cache, FOLDER, 'bin', 'tool'), 'utf8')

test('what_is_installed_is_pinned_by_hash_and_not_installed_again', async (t) => {
  const here = machine(t, { python3: PIP })
  assert.equal(await here.install(), join(here.cache, FOLDER))
  assert.equal(installed(here), 'whole\n')
  const [version, install, ...rest] = here.calls()
  assert.equal(version, '-m pip --version')
  assert.match(install, /^-m pip install .*--no-deps .*--only-binary=:all: --require-hashes -r .*tool\.txt$/)
  assert.deepEqual(rest, [])
  here.add('python3', 'echo "$@" >>"$LOG"; exit 1')
  assert.equal(await here.install(), join(here.cache, FOLDER))
  assert.equal(here.calls().length, 2)
})

test('processes_that_install_at_once_all_find_it_whole', async (t) => {
  const here = machine(t, { pip3: PIP })
  const answers = await Promise.all([1, 2, 3].map(async () => [await here.install(), installed(here)]))
  for (const answer of answers) assert.deepEqual(answer, [join(here.cache, FOLDER), 'whole\n'])
  assert.deepEqual(readdirSync(here.cache), [FOLDER])
})

test('a_failed_installation_says_why_and_leaves_nothing', async (t) => {
  const here = machine(t, { python3: BROKEN })
  assert.match(await here.install(), /^tool 1\.2 could not be installed for .+:\nTHESE PACKAGES DO NOT MATCH THE HASHES$/)
  assert.deepEqual(readdirSync(here.cache), [])
})

test('what_a_killed_installation_left_is_swept_and_what_goes_on_is_not', async (t) => {
  const here = machine(t, { python3: PIP })
  const ended = spawn(process.execPath, ['-e', ''])
  await new Promise((resolve) => ended.on('exit', resolve))
  const names = [`installing-${ended.pid}-aa`, `installing-${process.pid}-bb`]
  for (const name of names) mkdirSync(join(here.cache, name), { recursive: true })
  await here.install()
  assert.deepEqual(readdirSync(here.cache).sort(), [names[1], FOLDER].sort())
})

test('without_pip_one_sentence_says_what_to_install', async (t) => {
  const here = machine(t, {})
  assert.match(await here.install(), /^pip is missing: install Python 3 with pip .+ and run this again\.$/)
  assert.equal(existsSync(join(here.cache, FOLDER)), false)
})

test('root_gets_pip_from_the_system_and_nobody_else_asks_it', async (t) => {
  const here = machine(t, {})
  writeFileSync(join(here.bin, 'pip3.later'), `#!/bin/sh\nPATH=/usr/bin:/bin\n${PIP}\n`)
  here.add(
    'apt-get',
    `
    echo "apt-get $*" >>"$LOG"
    case "$*" in *python3-pip) mv "$BIN/pip3.later" "$BIN/pip3" && chmod +x "$BIN/pip3" ;; esac`
  )
  const answer = await here.install()
  const asked = here
    .calls()
    .filter((call) => call.startsWith('apt-get'))
    .map((call) => call.split(' ').at(-1))
  const isRoot = process.getuid() === 0
  assert.deepEqual(asked, isRoot ? ['--version', 'update', 'python3-pip'] : [])
  assert.match(answer, isRoot ? /tool-1\.2/ : /^pip is missing/)
})

test('who_meets_another_installation_of_the_system_tries_again', async (t) => {
  const here = machine(t, {})
  writeFileSync(join(here.bin, 'pip3.later'), `#!/bin/sh\nPATH=/usr/bin:/bin\n${PIP}\n`)
  // The lists are being fetched by somebody else: there are none yet.
  here.add(
    'apt-get',
    `
    echo "apt-get $*" >>"$LOG"
    case "$*" in
      *--version) exit 0 ;;
      *update) mkdir "$BIN/first" 2>/dev/null && { echo 'E: Could not get lock' >&2; exit 100; }; touch "$BIN/lists" ;;
      *python3-pip) [ -e "$BIN/lists" ] || { echo 'E: Unable to locate package python3-pip' >&2; exit 100; }
        mv "$BIN/pip3.later" "$BIN/pip3" && chmod +x "$BIN/pip3" ;;
    esac`
  )
  const answer = await here.install()
  assert.match(answer, process.getuid() === 0 ? /tool-1\.2/ : /^pip is missing/)
})
