// Redis or Valkey as the bucket, behind the interface that all test stores share: a bucket is a prefix of keys.
//
// Invariants: the raw client goes to the server itself, whatever stands in front of it for the code under test, and as its operator.
// An object is a string with the digits of its time before it, and its name a member of the set of its folder; both are written at once.

import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { startRedis } from '../databases/redis.mjs'
import { startFaultyProxy } from '../wire/faulty.mjs'

export const kind = 'redis'
export const runsHere = process.platform !== 'win32'
/** Durability that a session reports: its log is synced each second. */
export const durability = 'second'
/** A prefix is there as soon as a key has it: none can be missing. */
export const hasBuckets = false
/** Outages of this store are made on its wire. */
export const startProxy = startFaultyProxy

/** A rule under which all requests for the data of a tenant fail, and none else. */
export const breakData = (proxy, tenant) => proxy.rule({ text: `v1/data/${tenant}`, fault: 'refuse' })

/** Digits of the time before an object. */
const TIME = 13

export async function start(options) {
  const server = await startRedis(options)
  return { kind, address: server.address, pid: server.pid, server, stop: () => server.stop() }
}

const folderOf = (name) => name.slice(0, Math.max(0, name.lastIndexOf('/')))
const leafOf = (name) => name.slice(name.lastIndexOf('/') + 1)

class Bucket {
  #client

  constructor(client, name) {
    const { address, endpoint } = client
    const { hostname: host, port } = new URL(endpoint)
    const { user: username, password, ca } = address
    this.#client = client
    this.name = name
    const server = { host, port: Number(port), username, password, tls: ca !== null }
    // Tests of the engine decide themselves when a session looks for newer claims: being told of them has tests of its own.
    this.options = { store: { kind, ...server, prefix: name, notify: false }, ...(ca ? { caCertificate: ca } : {}) }
    this.spec = {
      kind,
      ...server,
      db: 0,
      verify: true,
      prefix: name,
      waitReplicas: 0,
      allowVolatile: false,
      notify: true,
      ca,
      allowPublic: false,
      maxConcurrentRequests: 64
    }
  }

  #object(name) {
    return `{${this.name}}:o:${name}`
  }
  #folder(folder) {
    return `{${this.name}}:f:${folder}`
  }

  async #folders() {
    const prefix = this.#folder('')
    return (await this.#client.run((redis) => redis.keys(`${prefix}*`))).map((key) => key.slice(prefix.length))
  }

  async list() {
    const names = []
    for (const folder of await this.#folders()) {
      const leaves = await this.#client.run((redis) => redis.zrange(this.#folder(folder), 0, -1))
      names.push(...leaves.map((leaf) => Buffer.from(folder === '' ? leaf : `${folder}/${leaf}`)))
    }
    return names.sort(Buffer.compare).map(String)
  }

  async get(name) {
    const bytes = await this.#client.run((redis) => redis.getBuffer(this.#object(name)))
    return bytes === null ? null : bytes.subarray(TIME)
  }

  async put(name, bytes) {
    const value = Buffer.concat([Buffer.from(String(Date.now())), Buffer.from(bytes)])
    await this.#client.run((redis) =>
      redis
        .multi()
        .set(this.#object(name), value)
        .zadd(this.#folder(folderOf(name)), 0, leafOf(name))
        .exec()
    )
  }

  async delete(names) {
    await this.#client.run((redis) => {
      const work = redis.multi()
      for (const name of names) work.del(this.#object(name)).zrem(this.#folder(folderOf(name)), leafOf(name))
      return work.exec()
    })
  }

  async remove() {
    await this.#client.run(async (redis) => {
      const keys = await redis.keys(`{${this.name}}:*`)
      if (keys.length > 0) await redis.del(keys)
    })
  }
}

class Client {
  #redis
  #underWay = 0

  constructor(address, endpoint) {
    const { port } = new URL(address.endpoint)
    const tls = address.ca ? { tls: { ca: address.ca } } : {}
    Object.assign(this, { address, endpoint })
    this.#redis = new Redis({
      host: '127.0.0.1',
      port: Number(port),
      password: address.operator,
      ...tls,
      lazyConnect: true,
      retryStrategy: null
    })
    this.#redis.on('error', () => {})
  }

  /** Does `work(redis)`; the connection keeps the process alive meanwhile, and at no other time. */
  async run(work) {
    this.#underWay += 1
    this.#stream?.ref()
    try {
      // The server may have been another one a moment ago.
      if (this.#redis.status === 'end') await this.#redis.connect()
      return await work(this.#redis)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#stream?.unref()
    }
  }

  /** @returns {import('node:net').Socket | undefined} */
  get #stream() {
    return /** @type {any} */ (this.#redis).stream
  }

  async makeBucket(name = `t-${randomBytes(8).toString('hex')}`) {
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
