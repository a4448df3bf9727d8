// What a reviewer must not have to say: formatting, and clippy with warnings denied, with and without the N-API surface.
//
// Invariant: every check runs, whatever came of the one before; the last line is `N passed, N failed`.

import { spawnSync } from 'node:child_process'
import { environment, root } from './bootstrap.mjs'

const checks = [
  ['cargo', 'fmt', '--check'],
  ['cargo', 'clippy', '--quiet', '--all-targets', '--', '-D', 'warnings'],
  ['cargo', 'clippy', '--quiet', '--all-targets', '--no-default-features', '--', '-D', 'warnings']
]

let failed = 0
for (const [command, ...args] of checks) {
  const { status } = spawnSync(command, args, { cwd: root, env: environment(), stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) failed++
  console.log(`${status === 0 ? 'ok' : 'FAILED'}: ${command} ${args.join(' ')}`)
}
process.exitCode = failed > 0 ? 1 : 0
console.log(`${checks.length - failed} passed, ${failed} failed`)
