// Redis for tests of migrations: Debian's server on a free port, with a folder that is gone afterwards.
//
// Invariants: it listens on loopback only, keeps nothing on the disk, and is stopped by its process id. Nothing is asked of a server that the
// machine runs already.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { provide } from '../install/apt.mjs'
import { freePorts, startServer } from '../base/server-process.mjs'

const programIn = (names) =>
  ['/usr/bin', '/usr/sbin', ...(process.env.PATH ?? '').split(':')]
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(existsSync)

/** @returns {Promise<{ url: string, stop: () => Promise<void> }>} */
export async function startRedis({ password } = {}) {
  const program = provide('redis-server', 'Redis', () => programIn(['redis-server', 'valkey-server']))
  const { server, address } = await startServer('redis', async (folder) => {
    const [port] = await freePorts(1)
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
    if (password !== undefined) args.push('--requirepass', password)
    const secret = password === undefined ? '' : `:${encodeURIComponent(password)}@`
    return { program, args, ready: async ({ log }) => log.includes('Ready to accept connections') && `redis://${secret}127.0.0.1:${port}` }
  })
  return { url: address, stop: () => server.stop() }
}
