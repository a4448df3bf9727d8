// Programs that Debian packages and tests need: found, or installed where we may.
//
// Invariants: nothing is installed that is there already; where it cannot be installed, one sentence says what to install.

import { spawnSync } from 'node:child_process'

const run = (program, args) => spawnSync(program, args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, encoding: 'utf8' })

/** Other processes may be at it: they are waited for. */
function install(name) {
  if (process.getuid?.() !== 0 || run('apt-get', ['--version']).status !== 0) return
  const apt = ['-o', 'DPkg::Lock::Timeout=300', '--quiet', '--yes']
  run('apt-get', [...apt, 'update'])
  run('apt-get', [...apt, 'install', '--no-install-recommends', name])
}

/**
 * What `find` answers, at once or after the package was installed.
 * @param {string} name of the package
 * @param {string} what it is, for a person
 * @param {() => string | undefined} find
 */
export function provide(name, what, find) {
  const found = find() ?? (install(name), find())
  if (found === undefined) throw new Error(`${what} is missing: install it (Debian: \`apt install ${name}\`) and run this again.`)
  return found
}
