// Programs that Debian packages and tests need: found, or installed where we may.
//
// Invariants: nothing is installed that is there already; where it cannot be installed, one sentence says what to install.

import { spawnSync } from 'node:child_process'
import { Missing } from '../base/missing.mjs'

const run = (program, args) =>
  spawnSync(program, args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }, encoding: 'utf8' })

const PATIENCE_MS = 300_000
const PAUSE_MS = 500
const IS_LOCKED = /Could not get lock|Unable to (acquire|lock)/

/** Other processes may be at it, another test file for one: they are waited for. apt itself waits for the lock of dpkg alone. */
function apt(...args) {
  const until = Date.now() + PATIENCE_MS
  for (;;) {
    const { status, stderr } = run('apt-get', ['-o', `DPkg::Lock::Timeout=${PATIENCE_MS / 1000}`, '--quiet', '--yes', ...args])
    if (status === 0 || !IS_LOCKED.test(stderr) || Date.now() > until) return
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
  }
}

/** Installs a package of the system where we may: as root, where there is apt. */
export function installFromSystem(name) {
  if (process.getuid?.() !== 0 || run('apt-get', ['--version']).status !== 0) return
  apt('update')
  apt('install', '--no-install-recommends', name)
}

/**
 * Answer of `find`, at once or after the package was installed; `Missing` where neither helps.
 * @param {string} name of the package
 * @param {string} what it is, for a person
 * @param {() => string | undefined} find
 */
export function provide(name, what, find) {
  const found = find() ?? (installFromSystem(name), find())
  if (found === undefined) throw new Missing(what, `install it (Debian: \`apt install ${name}\`)`)
  return found
}
