// PostgreSQL for tests: a server on a free port of loopback, of the system's version or of another one, and a standby of it.
//
// Invariants: it listens on loopback only, knows nobody without a password, and runs as a user without rights. What is tested connects
// as `app`, a role that owns its database and is nothing else; only the tests themselves are its superuser.

import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { makeCertificates } from '../tls/certificates.mjs'
import { freePorts } from '../base/server-process.mjs'
import { asUser, makeFolder, postgresPrograms, run, unprivileged } from './programs.mjs'
import { DatabaseServer, makePlace } from './server.mjs'

const SUPERUSER = 'operator'
export const APP = 'app'
const DATABASE = 'sessions'

/** A password with everything that a URL takes for something else. */
export const oddPassword = () => `p@ss/w%rd: ${randomBytes(8).toString('hex')}`

const literal = (text) => `'${text.replaceAll("'", "''")}'`

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

/** Settings of every server: no disk is waited for unless a test is about that. */
const settingsOf = ({ tls, settings = {} }) => ({
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  log_timezone: 'UTC',
  ...(tls ? { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' } : {}),
  ...settings
})

class Postgres {
  kind = 'postgres'
  host = '127.0.0.1'
  database = DATABASE
  user = APP

  constructor(place, { version, programs, port, tls = false, settings, passwords, ca }) {
    const user = unprivileged()
    const flags = Object.entries(settingsOf({ tls, settings })).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const command = asUser(user, join(programs, 'postgres'), ['-D', join(place, 'data'), '-p', String(port), ...flags])
    const isReady = async ({ log }) =>
      /ready to accept (connections|read-only connections|read only connections)/.test(log) && (await answers(port))
    // A fast shutdown: it does not wait for clients.
    this.server = new DatabaseServer({ name: 'postgres', place, graceful: 'SIGINT', plan: () => ({ ...command, ready: isReady }) })
    Object.assign(this, { version, programs, port, passwords, ca, password: passwords.app, osUser: user, place, settings })
  }

  get pid() {
    return this.server.pid
  }
  get endpoint() {
    return `postgres://127.0.0.1:${this.port}`
  }
  get url() {
    return `postgres://${APP}:${encodeURIComponent(this.password)}@127.0.0.1:${this.port}/${DATABASE}`
  }
  /** Address and login of it, for another process. */
  get address() {
    const { kind, endpoint, user, password, database, ca } = this
    return { kind, endpoint, user, password, database, ca }
  }

  /** One statement as the superuser, on a connection of its own: the server may have been another one a moment ago. */
  async query(text, values, { database = DATABASE } = {}) {
    const login = { host: '127.0.0.1', port: this.port, user: SUPERUSER, password: this.passwords.operator, database }
    const client = new pg.Client({ ...login, ssl: this.ca ? { ca: this.ca } : false, application_name: 'test' })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query(text, values)).rows
    } finally {
      await client.end()
    }
  }

  /** Connections of the application, as the server sees them. */
  async connections(where = 'true') {
    const from = `from pg_stat_activity where usename = '${APP}' and backend_type = 'client backend' and ${where}`
    return Number((await this.query(`select count(*) as n ${from}`))[0].n)
  }

  /** Ends every connection of the application, as an operator does. */
  async terminateConnections() {
    await this.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${APP}'`)
  }

  kill() {
    return this.server.kill()
  }
  freeze() {
    this.server.freeze()
  }
  thaw() {
    this.server.thaw()
  }
  end() {
    return this.server.end()
  }
  start() {
    return this.server.start()
  }
  restart() {
    return this.server.restart()
  }
  stop() {
    return this.server.stop()
  }
}

function initialize(postgres, { locale }) {
  const { programs, place, osUser, passwords } = postgres
  const data = makeFolder(place, 'data', osUser)
  const secret = join(place, 'secret')
  writeFileSync(secret, passwords.operator, { mode: 0o600 })
  if (osUser !== null) chownSync(secret, osUser.uid, osUser.gid)
  const login = ['--auth=scram-sha-256', `--username=${SUPERUSER}`, `--pwfile=${secret}`]
  const environment = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
  run(join(programs, 'initdb'), ['-D', data, ...login, '--encoding=UTF8', `--locale=${locale}`, '--no-sync'], {
    cwd: data,
    env: environment,
    ...osUser
  })
  rmSync(secret)
}

function giveCertificate({ place, osUser }) {
  const { ca, cert, key } = makeCertificates(['127.0.0.1', 'localhost'])
  for (const [name, text] of [
    ['server.crt', cert],
    ['server.key', key]
  ]) {
    const file = join(place, 'data', name)
    writeFileSync(file, text, { mode: 0o600 })
    if (osUser !== null) chownSync(file, osUser.uid, osUser.gid)
  }
  return ca
}

/**
 * Starts one. `version` is a major one that npm has, else it is the system's; with `tls` it has a certificate of an authority of its
 * own, `ca`; `settings` are those of the server. Locales beside C are rare on a machine that tests run on.
 */
export async function startPostgres({ version, tls = false, settings = {}, locale = 'C', place = makePlace('postgres') } = {}) {
  const [port] = await freePorts(1)
  const passwords = { operator: randomBytes(12).toString('hex'), app: oddPassword() }
  const postgres = new Postgres(place, { version, programs: postgresPrograms(version), port, tls, settings, passwords, ca: null })
  try {
    initialize(postgres, { locale })
    if (tls) postgres.ca = giveCertificate(postgres)
    await postgres.start()
    await postgres.query(`create role ${APP} login password ${literal(passwords.app)}`, [], { database: 'postgres' })
    await postgres.query(`create database ${DATABASE} owner ${APP}`, [], { database: 'postgres' })
    return postgres
  } catch (error) {
    await postgres.stop()
    throw error
  }
}

/** A standby of a server that runs, which streams from it until it is promoted. It is of the same version, the system's. */
export async function startStandby(primary) {
  const place = makePlace('postgres')
  const [port] = await freePorts(1)
  const { osUser, programs, passwords, settings, ca } = primary
  const data = makeFolder(place, 'data', osUser)
  const from = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', SUPERUSER]
  const environment = { PATH: process.env.PATH, PGPASSWORD: passwords.operator, LC_ALL: 'C' }
  run(join(programs, 'pg_basebackup'), ['-D', data, ...from, '-X', 'stream', '-c', 'fast', '--no-sync', '-R'], {
    cwd: data,
    env: environment,
    ...osUser
  })
  const standby = new Postgres(place, { version: undefined, programs, port, settings, passwords, ca })
  try {
    await standby.start()
  } catch (error) {
    await standby.stop()
    throw error
  }
  const progress = async (what, server) => BigInt((await server.query(`select pg_wal_lsn_diff(${what}, '0/0') as at`))[0].at)
  return Object.assign(standby, {
    /** Resolves when it has applied everything that the primary has written. */
    async catchUp() {
      const goal = await progress('pg_current_wal_lsn()', primary)
      while ((await progress('pg_last_wal_replay_lsn()', standby)) < goal) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    /** Lets it receive nothing any more, as if the network between the two were cut. */
    async cutOff() {
      await standby.query("alter system set primary_conninfo = ''")
      await standby.query('select pg_reload_conf()')
      while ((await standby.query('select 1 from pg_stat_wal_receiver')).length > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    },
    /** Makes it a primary of a timeline of its own. */
    promote: () => standby.query('select pg_promote(true, 60)')
  })
}

/** True where the programs for a standby are: those of npm have none. */
export const canStandBy = ({ programs }) => existsSync(join(programs, 'pg_basebackup'))

/** Bytes of shared memory that are still reserved, by the id that a killed server wrote down: for tests of these servers. */
export const readProcessFile = ({ place }) => readFileSync(join(place, 'data/postmaster.pid'), 'utf8')
