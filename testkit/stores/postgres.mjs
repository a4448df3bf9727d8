// PostgreSQL as the bucket, behind the interface that all test stores share: a bucket is a schema with the table of objects.
//
// Invariants: the raw client goes to the server itself, whatever stands in front of it for the code under test. It makes the table with
// the statements of the core, as an operator does who has them printed; a bucket that was removed has neither table nor schema.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { startPostgres } from '../databases/postgres.mjs'
import { startFaultyProxy } from '../wire/faulty.mjs'

export const kind = 'postgres'
export const runsHere = process.platform !== 'win32'
/** Durability that a session reports: the disk of these servers is not waited for. */
export const durability = 'memory'
/** Outages of this store are made on its wire. */
export const startProxy = startFaultyProxy

/** A rule under which all requests for the data of a tenant fail, and none else. */
export const breakData = (proxy, tenant) => proxy.rule({ text: `v1/data/${tenant}`, fault: 'refuse' })

/** Most connections of the raw client: those of the code under test are counted without them. */
const CONNECTIONS = 4

const SCHEMA = readFileSync(new URL('../../src/store/adapters/postgres/schema.sql', import.meta.url), 'utf8')

/** Each bucket is a store of its own, with its own connections; four test files run at once. */
const PLENTY = { max_connections: '500' }

export async function start({ settings = {}, ...options } = {}) {
  const server = await startPostgres({ ...options, settings: { ...PLENTY, ...settings } })
  return { kind, address: server.address, pid: server.pid, server, stop: () => server.stop() }
}

/** Folder and name of an object, as the core divides them. */
function placeOf(name) {
  const at = name.lastIndexOf('/')
  return at < 0 ? ['', name] : [name.slice(0, at), name.slice(at + 1)]
}

class Bucket {
  #client
  #table

  constructor(client, name) {
    const { address, endpoint } = client
    const { hostname: host, port } = new URL(endpoint)
    const { user, password, database, ca } = address
    this.#client = client
    this.#table = `"${name}".objects`
    this.name = name
    const server = { host, port: Number(port), database, user, password, sslmode: ca ? 'verify-full' : 'disable', schema: name }
    // Tests of the engine decide themselves when a session looks for newer claims: being told of them has tests of its own.
    this.options = { store: { kind, ...server, notify: false }, ...(ca ? { caCertificate: ca } : {}) }
    this.spec = { kind, ...server, prefix: '', maxConnections: 4, notify: true, ca, allowPublic: false, maxConcurrentRequests: 64 }
  }

  async list() {
    const rows = await this.#client.query(`select folder, name from ${this.#table}`)
    const names = rows.map(({ folder, name }) => Buffer.from(folder === '' ? name : `${folder}/${name}`))
    return names.sort(Buffer.compare).map(String)
  }

  async get(name) {
    const rows = await this.#client.query(`select bytes from ${this.#table} where folder = $1 and name = $2`, placeOf(name))
    return rows.length === 0 ? null : rows[0].bytes
  }

  async put(name, bytes) {
    const values = [...placeOf(name), Buffer.from(bytes)]
    await this.#client.query(
      `insert into ${this.#table} (folder, name, bytes) values ($1, $2, $3) on conflict (folder, name) do update set bytes = excluded.bytes`,
      values
    )
  }

  async delete(names) {
    const places = names.map(placeOf)
    const values = [places.map(([folder]) => folder), places.map(([, name]) => name)]
    await this.#client.query(`delete from ${this.#table} where (folder, name) in (select * from unnest($1::text[], $2::text[]))`, values)
  }

  async remove() {
    await this.#client.query(`drop schema if exists "${this.name}" cascade`)
  }
}

class Client {
  #pool

  constructor(address, endpoint) {
    // Where something is in front of the server, its operator goes past it.
    const { port } = new URL(address.direct ?? address.endpoint)
    const { user, password, database, ca } = address
    Object.assign(this, { address, endpoint })
    const login = { host: '127.0.0.1', port: Number(port), user, password, database, ssl: ca ? { ca } : false }
    this.#pool = new pg.Pool({ ...login, max: CONNECTIONS, allowExitOnIdle: true, application_name: 'test' })
    // The server may be killed by a test.
    this.#pool.on('error', () => {})
  }

  async query(text, values) {
    return (await this.#pool.query(text, values)).rows
  }

  async makeBucket(name = `t_${randomBytes(8).toString('hex')}`) {
    await this.query(SCHEMA.replaceAll('{schema}', name))
    return this.bucket(name)
  }

  bucket(name) {
    return new Bucket(this, name)
  }
}

const clients = new Map()

/** One raw client for each server of a process. */
export function connect(address, { endpoint = address.endpoint } = {}) {
  const key = `${address.endpoint} ${endpoint}`
  if (!clients.has(key)) clients.set(key, new Client(address, endpoint))
  return clients.get(key)
}
