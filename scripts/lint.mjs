// Checks that spare a reviewer: formatting, clippy with warnings denied, oxlint, the types of the JavaScript, spelling.
// `npm run format` does what the first two ask for.
//
//   npm run lint [-- <name> ...]      only the checks whose name holds one of these
//
// Invariant: every check runs, whatever came of the one before; the last line is `N passed, N failed`, and a tool that is missing
// is a failure.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { installWheel } from '../testkit/install/wheels.mjs'
import { environment, root } from './bootstrap.mjs'

const JAVASCRIPT = ['index.js', 'lib', 'cli', 'nestjs', 'whatsapp-web', 'demo', 'bench', 'scripts', 'testkit', '__test__', 'examples']

const require = createRequire(import.meta.url)
/** The path of a program that a development package brings. */
const programOf = (name, bin = name) => {
  const file = require.resolve(`${name}/package.json`)
  return join(dirname(file), require(file).bin[bin])
}

const CHECKS = {
  'formatting of the Rust': () => ['cargo', 'fmt', '--check'],
  'formatting of the JavaScript': () => [process.execPath, programOf('oxfmt'), '--check', '**/*.{js,mjs,cjs,ts}'],
  clippy: () => ['cargo', 'clippy', '--quiet', '--all-targets', '--', '-D', 'warnings'],
  'clippy without the N-API surface': () => [
    'cargo',
    'clippy',
    '--quiet',
    '--all-targets',
    '--no-default-features',
    '--',
    '-D',
    'warnings'
  ],
  oxlint: () => [process.execPath, programOf('oxlint'), ...JAVASCRIPT],
  'types of the JavaScript': () => [process.execPath, programOf('typescript', 'tsc'), '-p', 'jsconfig.json'],
  spelling: () => [join(installWheel('typos'), 'bin', 'typos'), '.']
}

/** Reason that a check failed; undefined for one that passed. */
function failure(check) {
  try {
    const [command, ...args] = check()
    const { status, signal, error } = spawnSync(command, args, { cwd: root, env: environment(), stdio: ['ignore', 'inherit', 'inherit'] })
    return status === 0 ? undefined : (error?.message ?? `ended with ${signal ?? status}`)
  } catch (error) {
    return error.message
  }
}

const wanted = process.argv.slice(2)
const checks = Object.entries(CHECKS).filter(([name]) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
let failed = 0
for (const [name, check] of checks) {
  const why = failure(check)
  if (why !== undefined) failed++
  console.log(why === undefined ? `ok: ${name}` : `FAILED: ${name}: ${why}`)
}
process.exitCode = failed > 0 || checks.length === 0 ? 1 : 0
console.log(`${checks.length - failed} passed, ${failed} failed`)
