// A look at a built addon for Linux: the C library that it is really for, and the oldest version of it that it loads on.
//
//   node scripts/check-addon.mjs <target> [<file>]
//
// Invariant: an addon for glibc asks for no symbol newer than the floor that `docs/support.md` promises, and one for musl for none of
// glibc at all. Needs `readelf` of binutils.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The oldest glibc that an addon loads on: that of Debian 10, Ubuntu 20.04, RHEL 8 and Amazon Linux 2023. */
export const GLIBC = '2.28'

/** The machine that `readelf` names, by the first word of a target. */
const MACHINES = { x86_64: 'Advanced Micro Devices X86-64', aarch64: 'AArch64' }

const newer = (a, b) => a.localeCompare(b, 'en', { numeric: true }) > 0

function readelf(...args) {
  const { status, stdout, error } = spawnSync('readelf', ['--wide', ...args], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  if (status !== 0) throw new Error(`readelf ${args.join(' ')}: ${error?.message ?? `ended with ${status}`}`)
  return stdout
}

/** Problems of an addon that was built for `target`. */
export function problemsOf(target, file) {
  const problems = []
  const machine = readelf('-h', file).match(/Machine:\s+(.*)/)?.[1]
  if (machine !== MACHINES[target.split('-')[0]]) problems.push(`it is for ${machine}`)
  const needed = [...readelf('-d', file).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library)
  const glibc = [...new Set([...readelf('-V', file).matchAll(/\bGLIBC_([\d.]+)/g)].map(([, version]) => version))]
  if (target.endsWith('musl')) {
    if (glibc.length > 0 || needed.includes('libc.so.6')) problems.push(`it is for glibc: ${[...needed, ...glibc].join(', ')}`)
  } else {
    if (glibc.length === 0) problems.push('it asks for no symbol of glibc')
    for (const version of glibc.filter((version) => newer(version, GLIBC))) problems.push(`it needs glibc ${version}; ${GLIBC} is promised`)
  }
  return problems
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target, file = readdirSync('.').find((name) => name.endsWith('.node'))] = process.argv.slice(2)
  const problems = problemsOf(target, file)
  for (const problem of problems) console.error(`${file}: ${problem}`)
  if (problems.length === 0) console.log(`${file}: right for ${target}`)
  process.exitCode = problems.length > 0 ? 1 : 0
}
