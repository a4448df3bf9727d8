// PostgreSQL for tests: Debian's server on a free port, with a data directory that is gone afterwards.
//
// Invariants: it listens on loopback only and runs as a user without rights; it is stopped by its process id, and in the way
// that leaves nothing behind in the system. Nothing is asked of a server that the machine runs already.

import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { provide } from './apt.mjs'
import { freePorts, startServer } from './stores/server-process.mjs'

const VERSIONS = '/usr/lib/postgresql'
const NAME = 'sessions'

/** The folder of the newest server that is installed. */
function binaries() {
  const installed = existsSync(VERSIONS) ? readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...installed.map((version) => join(VERSIONS, version, 'bin')), ...(process.env.PATH ?? '').split(':')]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

function run(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? ''}${stdout}${stderr}`)
  return stdout.trim()
}

/** The server refuses to run as root: then it runs as the user that its package made. Null for whoever we are. */
function unprivileged() {
  if (process.getuid() !== 0) return null
  const id = (flag) => Number(run('id', [flag, 'postgres']))
  return { uid: id('-u'), gid: id('-g') }
}

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

/** @returns {Promise<{ url: string, stop: () => Promise<void> }>} */
export async function startPostgres() {
  const folderOf = provide('postgresql', 'PostgreSQL', binaries)
  const user = unprivileged()
  const { server, address } = await startServer('postgres', async (folder) => {
    const [port] = await freePorts(1)
    const data = join(folder, 'data')
    mkdirSync(data, { mode: 0o700 })
    if (user !== null) {
      chmodSync(folder, 0o711)
      chownSync(data, user.uid, user.gid)
    }
    const locale = ['--auth=trust', `--username=${NAME}`, '--encoding=UTF8', '--no-locale', '--no-sync']
    run(join(folderOf, 'initdb'), ['-D', data, ...locale], { cwd: data, ...user })
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'].flatMap((setting) => ['-c', setting])
    const command = [join(folderOf, 'postgres'), '-D', data, '-p', String(port), ...settings]
    const [program, ...args] = user === null ? command : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', ...command]
    const ready = async ({ log }) => log.includes('ready to accept connections') && (await answers(port)) && `postgres://${NAME}@127.0.0.1:${port}/postgres`
    return { program, args, ready }
  })
  const stop = async () => {
    // A fast shutdown: it does not wait for clients. A server that is killed leaves a piece of shared memory behind.
    if (!server.hasEnded) {
      server.child.ref()
      server.child.kill('SIGINT')
    }
    await Promise.race([server.ended, new Promise((resolve) => setTimeout(resolve, 10_000).unref())])
    await server.stop()
  }
  return { url: address, stop }
}
