// MariaDB for tests of migrations: Debian's server on a free port, with a data directory that is gone afterwards.
//
// Invariants: it listens on loopback only, runs as a user without rights, and is stopped by its process id. Nothing is asked of a server
// that the machine runs already.

import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { provide } from '../install/apt.mjs'
import { freePorts, startServer } from '../base/server-process.mjs'

const PROGRAM = '/usr/sbin/mariadbd'
const INSTALL = '/usr/bin/mariadb-install-db'
const USER = 'sessions'
export const PASSWORD = 'p@ss/wörd#1'

/** It refuses to run as root: then it runs as nobody. Null for any other user. */
const unprivileged = () => (process.getuid() === 0 ? { uid: 65_534, gid: 65_534 } : null)

/** @returns {Promise<{ url: (database: string) => string, root: { host: string, port: number, user: string, password: string }, stop: () => Promise<void> }>} */
export async function startMariadb() {
  provide('mariadb-server', 'MariaDB', () => (existsSync(PROGRAM) && existsSync(INSTALL) ? PROGRAM : undefined))
  const user = unprivileged()
  const { server, address } = await startServer('mariadb', async (folder) => {
    const [port] = await freePorts(1)
    const data = join(folder, 'data')
    mkdirSync(data, { mode: 0o700 })
    if (user !== null) {
      chmodSync(folder, 0o711)
      chownSync(data, user.uid, user.gid)
    }
    const common = ['--no-defaults', `--datadir=${data}`, `--tmpdir=${data}`]
    const { status, stdout, stderr } = spawnSync(
      INSTALL,
      [...common, '--auth-root-authentication-method=normal', '--skip-test-db', ...(user === null ? [] : ['--user=nobody'])],
      { encoding: 'utf8' }
    )
    if (status !== 0) throw new Error(`mariadb-install-db failed: ${stdout}${stderr}`)
    const settings = [
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      `--socket=${join(data, 's')}`,
      `--pid-file=${join(data, 'pid')}`,
      '--skip-name-resolve',
      '--innodb-flush-log-at-trx-commit=0',
      '--innodb-buffer-pool-size=32M'
    ]
    const command = [PROGRAM, ...common, ...settings]
    const [program, ...args] =
      user === null ? command : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', ...command]
    return { program, args, ready: async ({ log }) => log.includes('ready for connections') && port }
  })
  const root = { host: '127.0.0.1', port: address, user: 'root', password: '' }
  const url = (database, name = USER, password = PASSWORD) =>
    `mysql://${name}:${encodeURIComponent(password)}@127.0.0.1:${address}/${database}`
  return { url, root, stop: () => server.stop() }
}

/** Runs SQL as root; `load` requires from the application. */
export async function asRoot(load, { root }, ...statements) {
  const connection = await load('mysql2/promise').createConnection({ ...root, charset: 'utf8mb4' })
  try {
    let answer
    for (const [sql, values] of statements.map((statement) => (Array.isArray(statement) ? statement : [statement])))
      [answer] = await connection.query(sql, values)
    return answer
  } finally {
    await connection.end()
  }
}

/** Statements that make the user whom `url` names, with rights to read `database` and nothing else. */
export const makeReader = (database) => [
  `CREATE DATABASE IF NOT EXISTS ${database} CHARACTER SET utf8mb4`,
  [`CREATE USER IF NOT EXISTS '${USER}'@'127.0.0.1' IDENTIFIED BY ?`, [PASSWORD]],
  `GRANT SELECT ON ${database}.* TO '${USER}'@'127.0.0.1'`
]
