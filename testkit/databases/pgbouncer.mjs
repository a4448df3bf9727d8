// PgBouncer in transaction mode in front of a PostgreSQL of `postgres.mjs`: each transaction may get another connection.
//
// Invariants: its settings are its own defaults but for the mode and the number of connections; it asks for the same password.

import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts, startServer } from '../base/server-process.mjs'
import { asUser, makeFolder, pgbouncerProgram, unprivileged } from './programs.mjs'

const quote = (text) => `"${text.replaceAll('"', '""')}"`

/** @param {{ port: number, user: string, password: string, database: string }} postgres
 *  @param {{ poolSize?: number }} [options] `poolSize` connections to the server behind, for any number of clients */
export async function startPgBouncer(postgres, { poolSize = 4 } = {}) {
  const program = pgbouncerProgram()
  const user = unprivileged()
  const { server, address: port } = await startServer('pgbouncer', async (folder) => {
    const place = makeFolder(folder, 'pgbouncer', user)
    const [port] = await freePorts(1)
    const settings = {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: join(place, 'users'),
      pool_mode: 'transaction',
      default_pool_size: poolSize
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
    const files = {
      settings: ['[databases]', `* = host=127.0.0.1 port=${postgres.port}`, '[pgbouncer]', ...lines, ''].join('\n'),
      users: `${quote(postgres.user)} ${quote(postgres.password)}\n`
    }
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(place, name), text, { mode: 0o600 })
      if (user !== null) chownSync(join(place, name), user.uid, user.gid)
    }
    return { ...asUser(user, program, [join(place, 'settings')]), ready: ({ log }) => (log.includes('process up') ? port : null) }
  })
  const { user: role, password, database } = postgres
  return {
    kind: 'postgres',
    host: '127.0.0.1',
    port,
    pid: server.pid,
    endpoint: `postgres://127.0.0.1:${port}`,
    url: `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`,
    stop: () => server.stop()
  }
}
