// MariaDB for the benchmark: Debian's server on a free port, for the package that stores sessions in MySQL.
//
// Invariants: its settings are its own defaults; it listens on loopback only, and its data is gone afterwards.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { provide } from '../../testkit/install/apt.mjs'
import { asUser, makeFolder, run, unprivileged } from '../../testkit/databases/programs.mjs'
import { DatabaseServer, makePlace } from '../../testkit/databases/server.mjs'
import { freePorts } from '../../testkit/base/server-process.mjs'

const found = (name) => ['/usr/sbin', '/usr/bin'].map((folder) => join(folder, name)).find((path) => existsSync(path))

export async function startMariadb() {
  const program = provide('mariadb-server', 'MariaDB', () => found('mariadbd'))
  const [place, osUser, [port]] = [makePlace('mariadb'), unprivileged(), await freePorts(1)]
  const data = makeFolder(place, 'data', osUser)
  const install = asUser(osUser, found('mariadb-install-db'), [
    '--no-defaults',
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db'
  ])
  run(install.program, install.args, { cwd: data })
  const socket = join(data, 'socket')
  const command = asUser(osUser, program, [
    '--no-defaults',
    `--datadir=${data}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${socket}`,
    `--tmpdir=${data}`
  ])
  const server = new DatabaseServer({
    name: 'mariadb',
    place,
    plan: () => ({ ...command, ready: ({ log }) => log.includes('ready for connections') && port })
  })
  await server.start()
  const password = randomBytes(12).toString('hex')
  const statements = `create database base; create user app@'127.0.0.1' identified by '${password}'; grant all on base.* to app@'127.0.0.1'; grant process on *.* to app@'127.0.0.1'`
  run(found('mariadb'), ['--no-defaults', '-u', 'root', '-S', socket, '-e', statements])
  return {
    login: { host: '127.0.0.1', port, user: 'app', password, database: 'base' },
    connections: () =>
      Number(
        run(found('mariadb'), [
          '--no-defaults',
          '-u',
          'root',
          '-S',
          socket,
          '-N',
          '-e',
          "select count(*) from information_schema.processlist where user = 'app'"
        ])
      ),
    kill: () => server.kill(),
    start: () => server.start(),
    stop: () => server.stop()
  }
}
