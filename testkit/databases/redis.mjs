// Redis and Valkey for tests: a server on a free port of loopback, that keeps an append-only file, and a replica of it.
//
// Invariants: it listens on loopback only and knows nobody without a password. What is tested comes as `app`, a user of the keys of
// its own prefix and of the commands that need no operator; only the tests themselves may do everything.

import { randomBytes } from 'node:crypto'
import { chownSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { makeCertificates } from '../tls/certificates.mjs'
import { freePorts } from '../base/server-process.mjs'
import { oddPassword } from './postgres.mjs'
import { asUser, makeFolder, redisProgram, run, unprivileged, valkeyProgram } from './programs.mjs'
import { DatabaseServer, makePlace } from './server.mjs'

export const APP = 'app'
const hash = (password) => run('sh', ['-c', 'printf %s "$1" | sha256sum', 'hash', password]).split(' ')[0]

class RedisServer {
  kind = 'redis'
  host = '127.0.0.1'
  user = APP

  constructor({ program, place, port, passwords, tls, settings, ca, osUser }) {
    const folder = join(place, 'data')
    const listen = tls ? ['--port', '0', '--tls-port', String(port), ...tls] : ['--port', String(port)]
    const kept = Object.entries({ appendonly: 'yes', save: '', 'repl-diskless-sync-delay': '0', ...settings }).flatMap(([name, value]) => [
      `--${name}`,
      value
    ])
    const common = [
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--aclfile',
      join(folder, 'users.acl'),
      '--daemonize',
      'no',
      '--enable-debug-command',
      'yes'
    ]
    const command = asUser(osUser, program, [...listen, ...common, ...kept])
    const plan = () => ({
      ...command,
      // One that listens may still be reading its file.
      ready: ({ log }) => log.includes('Ready to accept connections') && this.ask('PING')
    })
    this.server = new DatabaseServer({ name: 'redis', place, plan })
    Object.assign(this, { port, passwords, password: passwords.app, ca, place, program, osUser, settings })
  }

  get pid() {
    return this.server.pid
  }
  get endpoint() {
    return `${this.ca ? 'rediss' : 'redis'}://127.0.0.1:${this.port}`
  }
  get url() {
    return `${this.ca ? 'rediss' : 'redis'}://${APP}:${encodeURIComponent(this.password)}@127.0.0.1:${this.port}/0`
  }
  get address() {
    const { kind, endpoint, user, password, ca, passwords } = this
    return { kind, endpoint, user, password, ca, operator: passwords.operator }
  }

  /** One command as the operator, on a connection of its own. */
  async ask(command, ...args) {
    const tls = this.ca ? { tls: { ca: this.ca } } : {}
    const client = new Redis({
      host: '127.0.0.1',
      port: this.port,
      password: this.passwords.operator,
      ...tls,
      lazyConnect: true,
      retryStrategy: null,
      maxRetriesPerRequest: 0
    })
    client.on('error', () => {})
    await client.connect()
    try {
      return await client.call(command, ...args)
    } finally {
      client.disconnect()
    }
  }

  /** A field of INFO. */
  async info(field) {
    return (await this.ask('INFO')).match(new RegExp(`^${field}:(.*)\r$`, 'm'))?.[1]
  }

  /** Connections of the application. */
  async connections() {
    return (await this.ask('CLIENT', 'LIST')).split('\n').filter((line) => line.includes(` user=${APP} `)).length
  }

  /** Starts it on an empty folder, as after the loss of its disk: only its users are there. */
  async startEmpty() {
    for (const name of ['appendonlydir', 'appendonly.aof', 'dump.rdb'])
      rmSync(join(this.place, 'data', name), { recursive: true, force: true })
    return this.start()
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

function give(file, text, osUser) {
  writeFileSync(file, text, { mode: 0o600 })
  if (osUser !== null) chownSync(file, osUser.uid, osUser.gid)
  return file
}

/**
 * Starts one: `program` is `redis` or `valkey`. With `tls` it has a certificate of an authority of its own, `ca` (Redis only); `acl` is
 * what its user may do; `settings` are those of the server.
 */
export async function startRedis({
  program = 'redis',
  tls = false,
  settings = {},
  acl = '~* &* +@all -@dangerous +info',
  passwords = null
} = {}) {
  const place = makePlace('redis')
  const osUser = unprivileged()
  const folder = makeFolder(place, 'data', osUser)
  const [port] = await freePorts(1)
  const known = passwords ?? { operator: randomBytes(12).toString('hex'), app: oddPassword() }
  give(
    join(folder, 'users.acl'),
    `user default on #${hash(known.operator)} ~* &* +@all\nuser ${APP} on #${hash(known.app)} ${acl}\n`,
    osUser
  )
  let certificates = null
  let flags = null
  if (tls) {
    certificates = makeCertificates(['127.0.0.1', 'localhost'])
    const file = (name, text) => give(join(folder, name), text, osUser)
    flags = ['--tls-cert-file', file('server.crt', certificates.cert), '--tls-key-file', file('server.key', certificates.key)]
    flags.push('--tls-ca-cert-file', file('ca.crt', certificates.ca), '--tls-auth-clients', 'no')
  }
  const path = program === 'valkey' ? valkeyProgram() : redisProgram()
  const redis = new RedisServer({
    program: path,
    place,
    port,
    passwords: known,
    tls: flags,
    settings,
    ca: certificates?.ca ?? null,
    osUser
  })
  try {
    await redis.start()
    return redis
  } catch (error) {
    await redis.stop()
    throw error
  }
}

/** A replica of a server that runs, of the same program, until it is promoted. */
export async function startReplica(primary, { program = 'redis' } = {}) {
  const settings = { ...primary.settings, masterauth: primary.passwords.operator, replicaof: `127.0.0.1 ${primary.port}` }
  const replica = await startRedis({ program, settings, passwords: primary.passwords })
  const until = async (isTrue) => {
    while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await until(async () => (await replica.info('master_link_status')) === 'up')
  return Object.assign(replica, {
    async catchUp() {
      const goal = Number(await primary.info('master_repl_offset'))
      await until(async () => Number(await replica.info('slave_repl_offset')) >= goal)
    },
    /** Lets it receive nothing any more, as if the network between the two were cut. */
    async cutOff() {
      await replica.ask('REPLICAOF', '127.0.0.1', '1')
    },
    promote: () => replica.ask('REPLICAOF', 'NO', 'ONE')
  })
}
