// The packages of other stores and the drivers of databases, as an application would have them.
//
// Invariants: versions are exact; they are installed once for a clone, into its `.cache`, and a folder appears whole or not at all, so
// that several processes may install at once. Their Baileys is the one of this repository: they take any.

import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CACHE = fileURLToPath(new URL('../../.cache/packages/', import.meta.url))
const MODULES = fileURLToPath(new URL('../../node_modules/', import.meta.url))
const STAGING = /^installing-(\d+)-/

const NOTHING = 'npm:empty-npm-package@1.0.0'

/** Packages that the Baileys of this repository replaces. */
const BAILEYS = ['baileys', '@whiskeysockets/baileys']

export const VERSIONS = {
  '@keyv/mysql': '2.1.10',
  '@keyv/postgres': '2.2.3',
  '@keyv/redis': '5.1.6',
  '@luoarch/baileys-store-core': '1.0.0-rc.4',
  '@rodrigogs/baileys-store': '2.0.0',
  'better-sqlite3': 'npm:libsql@0.5.29', // the same interface, and its addon is in the registry: the other one is compiled for minutes
  bson: '6.10.4',
  ioredis: '5.8.2',
  keyv: '5.6.0',
  'mongo-baileys': '1.0.1',
  mongodb: '6.20.0',
  'mysql-baileys': '1.5.4',
  mysql2: '3.24.6',
  pg: '8.23.1',
  redis: '4.7.1',
  'redis-baileys': '1.0.1',
  uuid: '9.0.1',
  'wa-auth-store': '0.6.2'
}

const isAlive = (pid) => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Removes what processes that were killed while installing have left. */
function sweep() {
  for (const name of readdirSync(CACHE)) {
    const pid = name.match(STAGING)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(CACHE, name), { recursive: true, force: true })
  }
}

/** Installs packages with these dependencies, and answers the folder of the application that has them. */
function install(dependencies) {
  const overrides = Object.fromEntries(BAILEYS.map((name) => [name, NOTHING]))
  const manifest = JSON.stringify({ name: 'application', private: true, dependencies, overrides }, null, 2)
  const folder = join(CACHE, `${createHash('sha256').update(manifest).digest('hex').slice(0, 16)}-${process.platform}-${process.arch}`)
  if (existsSync(folder)) return folder
  mkdirSync(CACHE, { recursive: true })
  sweep()
  const staging = join(CACHE, `installing-${process.pid}-${randomBytes(4).toString('hex')}`)
  mkdirSync(staging)
  writeFileSync(join(staging, 'package.json'), manifest)
  try {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--legacy-peer-deps', '--no-package-lock', '--loglevel=error']
    const { status, stdout, stderr } = spawnSync(npm, args, { cwd: staging, encoding: 'utf8', shell: process.platform === 'win32' })
    if (status !== 0) throw new Error(`the packages could not be installed:\n${stdout}${stderr}`.trimEnd())
    for (const name of BAILEYS) {
      const at = join(staging, 'node_modules', name)
      rmSync(at, { recursive: true, force: true })
      mkdirSync(dirname(at), { recursive: true })
      symlinkSync(join(MODULES, 'baileys'), at, 'junction')
    }
    renameSync(staging, folder)
  } catch (error) {
    // Another process was quicker: its folder is as whole as ours.
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
  return folder
}

/**
 * An application with these packages: `load` requires from it, `use` imports. This process then works in its folder, so that a migration
 * finds its drivers.
 */
export function application(...names) {
  const folder = install(Object.fromEntries(names.sort().map((name) => [name, VERSIONS[name]])))
  process.chdir(folder)
  const load = createRequire(join(folder, 'index.js'))
  return { folder, load, use: (name) => import(load.resolve(name)) }
}
