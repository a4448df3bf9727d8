// Completion of the command line in a shell.
//
// Invariant guarded: the scripts know every command and every option that the help shows, and nothing else; what a shell answers is
// asked of that shell itself.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { run, runJson, temporaryFolder } from './command.mjs'
import { SHELLS as REAL } from './shells.mjs'
import { chosen } from '../support/size.mjs'

const require = createRequire(import.meta.url)
const { build } = require('../../cli/program.js')
const { SHELLS, completion, tableOf } = require('../../cli/completion.js')

const program = build(() => {})
const { commands, general } = tableOf(program)
const longOf = (options) => options.flatMap(({ names }) => names).filter((name) => name.startsWith('--'))

const DRIVER = `
eval "$SCRIPT"
complete -p baileys-hybrid-auth >/dev/null || exit 1
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_baileys_hybrid_auth baileys-hybrid-auth "\${COMP_WORDS[COMP_CWORD]}" ''
printf '%s\\n' "\${COMPREPLY[@]}"
`

/** Offers of bash for a line; the last word is the one under the cursor. */
function offered(cwd, ...words) {
  const out = execFileSync('bash', ['--norc', '-c', DRIVER, 'driver', 'baileys-hybrid-auth', ...words], {
    cwd,
    env: { PATH: process.env.PATH, SCRIPT: completion(program, 'bash') },
    encoding: 'utf8'
  })
  return out
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}

test('bash completes commands, options, values and files, as bash itself answers', (t) => {
  const cwd = temporaryFolder(t)
  mkdirSync(join(cwd, 'auth folder'))
  writeFileSync(join(cwd, 'keys.txt'), '')
  const names = commands.map(({ name }) => name)
  assert.deepEqual(
    offered(cwd, '').filter((word) => !word.startsWith('-')),
    [...names].sort()
  )
  assert.deepEqual(offered(cwd, 'prune-'), ['prune-keys'])
  assert.deepEqual(offered(cwd, '--q'), ['--quiet'])
  for (const { name, options } of commands) assert.deepEqual(offered(cwd, name, '--'), longOf(options).sort(), name)
  assert.deepEqual(offered(cwd, 'verify', '--json', '--no-c'), ['--no-color'])
  assert.deepEqual(offered(cwd, 'migrate', '--layout', ''), [
    'auto',
    'flat',
    'key-hashes',
    'key-records',
    'keys-file',
    'keys-folder',
    'session-records',
    'single-file',
    'wwebjs-local',
    'wwebjs-zip'
  ])
  assert.deepEqual(offered(cwd, 'completion', 'f'), ['fish'])
  assert.deepEqual(offered(cwd, 'verify', '--key-file', ''), ['auth folder', 'keys.txt'])
  assert.deepEqual(offered(cwd, 'import', 'au'), ['auth folder'])
  assert.deepEqual(offered(cwd, 'verify', '--store', ''), [], 'nothing is known of that')
  assert.deepEqual(offered(cwd, 'verify', ''), [], 'nor of tenants')
})

const BEHIND_NPX = `
eval "$SCRIPT"
[[ $(complete -p npx) == 'complete -o default -F _baileys_hybrid_auth_npx npx' ]] || exit 1
COMP_WORDS=(npx "$@")
COMP_CWORD=$#
_baileys_hybrid_auth_npx
printf '%s\\n' "\${COMPREPLY[@]}"
`

test('bash completes the same behind npx, and leaves another completion of npx in place', () => {
  const script = completion(program, 'bash')
  const answer = (code, ...words) =>
    execFileSync('bash', ['--norc', '-c', code, 'driver', ...words], { env: { PATH: process.env.PATH, SCRIPT: script }, encoding: 'utf8' })
      .trim()
      .split('\n')
  assert.deepEqual(answer(BEHIND_NPX, 'bai'), ['baileys-hybrid-auth'])
  assert.deepEqual(answer(BEHIND_NPX, '--yes', 'baileys-hybrid-auth', 'prune-'), ['prune-keys'])
  assert.deepEqual(answer(BEHIND_NPX, 'baileys-hybrid-auth', 'completion', 'f'), ['fish'])
  assert.deepEqual(answer(BEHIND_NPX, 'other', 'prune-'), [''])
  assert.deepEqual(answer('complete -W theirs npx; eval "$SCRIPT"; complete -p npx'), ["complete -W 'theirs' npx"])
})

for (const shell of ['zsh', 'fish']) {
  test(
    `${shell} completes commands, options, values and files, as ${shell} itself answers, with and without npx`,
    { skip: process.platform === 'win32' && 'there is no such shell' },
    (t) => {
      const cwd = temporaryFolder(t)
      mkdirSync(join(cwd, 'auth folder'))
      writeFileSync(join(cwd, 'keys.txt'), '')
      const offered = REAL[shell](t, completion(program, shell))
      const names = commands.map(({ name }) => name).sort()
      const { options } = commands.find(({ name }) => name === 'migrate')
      const layouts = options.find(({ names }) => names.includes('--layout')).value.words
      assert.ok(layouts.length > 5)
      const lines = ['baileys-hybrid-auth', 'npx baileys-hybrid-auth', 'npx --yes baileys-hybrid-auth']
      for (const before of chosen(lines, (before) => shell !== 'zsh' || before === 'npx baileys-hybrid-auth')) {
        const of = (rest) => offered(cwd, `${before} ${rest}`)
        assert.deepEqual(of(''), names, before)
        assert.deepEqual(of('prune-'), ['prune-keys'])
        assert.deepEqual(of('--q'), ['--quiet'])
        assert.deepEqual(of('migrate --'), longOf(options).sort())
        assert.deepEqual(of('verify --json --no-c'), ['--no-color'])
        assert.deepEqual(of('migrate --layout '), [...layouts].sort())
        assert.deepEqual(of('completion f'), ['fish'])
        assert.deepEqual(of('verify --key-file '), ['auth folder', 'keys.txt'])
        assert.deepEqual(of('import au'), ['auth folder'])
        assert.deepEqual(of('verify --store '), [], 'nothing is known of that')
        assert.deepEqual(of('verify '), [], 'nor of tenants')
      }
      assert.deepEqual(offered(cwd, 'npx bai'), ['baileys-hybrid-auth'])
      assert.deepEqual(offered(cwd, 'npx --yes bai'), ['baileys-hybrid-auth'])
      assert.ok(!offered(cwd, 'npx other prune-').includes('prune-keys'))
      assert.ok(!offered(cwd, 'npx other baileys-hybrid-auth prune-').includes('prune-keys'), 'another program has this argument')
    }
  )
}

test('each script knows all commands and options that the help shows, none that it hides, and can be read by the shell at once', async (t) => {
  for (const shell of SHELLS) {
    const { code, stdout } = await run(t, ['completion', shell])
    assert.equal(code, 0)
    const { json } = await runJson(t, ['completion', shell])
    assert.equal(`${json.script.trimEnd()}\n`, stdout)
    for (const { name, options } of [...commands, { name: 'help', options: general }]) {
      assert.ok(stdout.includes(name))
      for (const long of longOf(options)) assert.ok(stdout.includes(shell === 'fish' ? `-l ${long.slice(2)}` : long), `${shell}: ${long}`)
    }
    assert.doesNotMatch(stdout, shell === 'fish' ? /-l tenant / : /--tenant['[]/, 'the former name is not offered')
  }
  execFileSync('bash', ['-n'], { input: completion(program, 'bash') })
  const { code, stderr } = await run(t, ['completion', 'tcsh'])
  assert.equal(code, 2)
  assert.match(stderr, /bash, zsh, fish/)
})
