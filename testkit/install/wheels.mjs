// Installs servers for tests that are published as Python wheels, into the `.cache` of the repository.
//
// Invariants: what is installed has the SHA-256 that is pinned in `wheels/`; a folder appears whole or not at all, so that
// several processes may install at once; what is there already needs neither a network nor Python.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Missing } from '../base/missing.mjs'
import { installFromSystem } from './apt.mjs'

const CACHE = fileURLToPath(new URL('../../.cache/wheels/', import.meta.url))
const STAGING = /^installing-(\d+)-/

const platform = `${process.platform}-${process.arch}`

/** pip, told to mind nothing that this machine may have configured for installing into the system. */
const environment = () => ({
  ...process.env,
  PIP_USER: '0',
  PIP_REQUIRE_VIRTUALENV: '0',
  PIP_ROOT_USER_ACTION: 'ignore',
  PIP_DISABLE_PIP_VERSION_CHECK: '1',
  PIP_NO_INPUT: '1'
})

/** @type {(command: string[]) => import('node:child_process').SpawnSyncReturns<string>} */
const run = ([program, ...args]) => spawnSync(program, args, { env: environment(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

const findPip = () => [['python3', '-m', 'pip'], ['pip3']].find((pip) => run([...pip, '--version']).status === 0)

function pip() {
  const found = findPip() ?? (installFromSystem('python3-pip'), findPip())
  if (found === undefined) throw new Missing('pip', 'install Python 3 with pip (Debian: `apt install python3-pip`)')
  return found
}

const isAlive = (pid) => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Removes what processes that were killed while installing have left. */
export function sweep(cache) {
  for (const name of readdirSync(cache)) {
    const pid = name.match(STAGING)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(cache, name), { recursive: true, force: true })
  }
}

/** Installs the wheel that `wheels/<name>.txt` pins, unless it is there, and answers its folder; programs are in `bin`. */
export function installWheel(name, { cache = CACHE, requirements = fileURLToPath(new URL(`./wheels/${name}.txt`, import.meta.url)) } = {}) {
  const version = readFileSync(requirements, 'utf8').match(/^\S+==(\S+)/m)[1]
  const folder = join(cache, `${name}-${version}-${platform}`)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  sweep(cache)
  const staging = join(cache, `installing-${process.pid}-${randomBytes(4).toString('hex')}`)
  try {
    const args = [
      'install',
      '--quiet',
      '--target',
      staging,
      '--no-deps',
      '--no-compile',
      '--only-binary=:all:',
      '--require-hashes',
      '-r',
      requirements
    ]
    const { status, stdout, stderr } = run([...pip(), ...args])
    if (status !== 0) throw new Error(`${name} ${version} could not be installed for ${platform}:\n${stdout}${stderr}`.trimEnd())
    renameSync(staging, folder)
  } catch (error) {
    // Another process was quicker: its folder is as whole as ours.
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
  return folder
}
