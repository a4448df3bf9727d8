// A storage server that behaves like Supabase Storage, as far as that was recorded: over HTTP, in this process.
//
// Invariant: whatever a request came to, the client is answered and the request is in the log; what breaks here is told on
// stderr and never passes for an answer of the server.

import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Refusal, badTarget, errorAnswer, json, routeMissing } from './answers.mjs'
import { makeKeys, roleOf, throughGateway } from './auth.mjs'
import { CutShort, drain, readAll } from './body.mjs'
import { CONTROL_PATH, Control, answerControl } from './control.mjs'
import { Faults, Holds } from './faults.mjs'
import { Log } from './log.mjs'
import { Storage } from './objects.mjs'
import { routeOf } from './routes.mjs'
import { parseBody } from './schema.mjs'
import { resetSocket } from '../../base/reset.mjs'
import { Settings } from './settings.mjs'

const PREFIX = '/storage/v1'
/** Requests with this header look on: they meet no fault, no hold and no CDN, and are not in the log. */
export const OBSERVER = 'x-observer'
/** Longer than clients keep idle connections: a request must not meet one that is just being closed. */
const IDLE_MS = 72_000

const isAnswer = (value) => Buffer.isBuffer(value?.body) && Number.isInteger(value.status)

function decoded(path) {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** Settings as an observer meets them: whatever limits clients does not limit it. */
const unlimited = (settings) => ({ of: (bucket) => ({ ...settings.of(bucket), listV2: 'on', batchLimit: null }) })

/** Buckets of requests that name them in the body. */
function bucketIn(bytes) {
  try {
    return JSON.parse(bytes.toString()).bucketId ?? null
  } catch {
    return null
  }
}

export class StorageServer {
  #server
  #settings
  #storage
  #faults = new Faults()
  #holds = new Holds()
  #log = new Log()
  #ref = false

  /** `secret` signs tokens; `settings` as in settings.mjs. */
  constructor({ secret = randomBytes(32).toString('hex'), ...settings } = {}) {
    this.secret = secret
    this.keys = makeKeys(secret)
    this.#settings = new Settings(settings)
    this.#storage = new Storage(this.#settings)
    this.control = new Control({
      settings: this.#settings,
      storage: this.#storage,
      faults: this.#faults,
      holds: this.#holds,
      log: this.#log
    })
    this.#server = createServer((request, response) => this.#serve(request, response))
    this.#server.keepAliveTimeout = IDLE_MS
    this.#server.headersTimeout = IDLE_MS + 1000
  }

  /** Listens on a free port of this machine. `ref`: the server keeps its process alive. */
  async start({ ref = false } = {}) {
    await new Promise((resolve, reject) => this.#server.once('error', reject).listen(0, '127.0.0.1', resolve))
    this.#ref = ref
    if (!ref) this.#server.unref()
    this.endpoint = `http://127.0.0.1:${this.#server.address().port}`
    return this
  }

  async stop() {
    this.#holds.clear()
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request, response) {
    const { socket } = request
    if (!this.#ref) {
      // Only while it is asked does a connection keep the process alive.
      socket.ref()
      response.once('close', () => socket.unref())
    }
    try {
      const [path, query = ''] = request.url.split(/\?(.*)/s)
      if (path === CONTROL_PATH) return await this.#serveControl(request, response)
      const outside = path !== PREFIX && !path.startsWith(`${PREFIX}/`)
      if (outside) await this.#send(request, response, json({ message: 'no Route matched with those values' }, 404))
      else await this.#serveStorage(request, response, path.slice(PREFIX.length) || '/', query)
    } catch (error) {
      if (error instanceof CutShort) return
      console.error('the storage server for tests failed:', error)
      response.destroy()
    }
  }

  async #serveControl(request, response) {
    const { status, value } = await answerControl(this.control, (await readAll(request)).toString())
    await this.#send(request, response, json(value, status))
  }

  async #serveStorage(request, response, target, query) {
    const { method } = request
    const observer = request.headers[OBSERVER] !== undefined
    const traffic = { in: 0, out: 0, stale: false }
    const entry = { method, path: decoded(target), route: 'none', bucket: null, status: 0, role: null, fault: null }
    try {
      const context = {
        observer,
        method,
        request,
        headers: request.headers,
        query: new URLSearchParams(query),
        traffic,
        secret: this.secret,
        storage: this.#storage,
        settings: observer ? unlimited(this.#settings) : this.#settings,
        pause: async (at) => observer || (await this.#holds.pass(at, entry))
      }
      const answer = await this.#answer(context, entry, target, query)
      entry.status = answer === 'reset' ? 0 : answer.status
      if (answer === 'reset') resetSocket(request.socket)
      else traffic.out = await this.#send(request, response, answer)
    } finally {
      if (!observer) this.#log.add({ ...entry, bytesIn: traffic.in, bytesOut: traffic.out, stale: traffic.stale })
    }
  }

  /** The answer to a request, or the fault that it meets: before it took effect, or after. */
  async #answer(context, entry, target, query) {
    const { request, method, traffic, settings, observer } = context
    let found
    try {
      found = routeOf(method, target, (bucket) => settings.of(bucket).listV2)
    } catch {
      return badTarget(target)
    }
    const schema = found?.route.schema
    const bytes = schema ? await readAll(request) : Buffer.alloc(0)
    traffic.in = bytes.length
    Object.assign(entry, { route: found?.route.name ?? 'none', bucket: found?.params[0] ?? bucketIn(bytes) })
    const fault = observer ? null : this.#faults.meet(entry)
    if (fault) {
      entry.fault = fault.id
      if (fault.delayMs > 0) await sleep(fault.delayMs)
      if (fault.when === 'before' && fault.answer !== 'pass') return fault.answer
    }
    const answer = found
      ? await this.#route(context, entry, found, schema ? bytes : null)
      : routeMissing(method, query === '' ? target : `${target}?${query}`)
    return fault && fault.when === 'after' && fault.answer !== 'pass' ? fault.answer : answer
  }

  async #route(context, entry, { route, params }, bytes) {
    try {
      const headers = this.#settings.of(null).gateway ? throughGateway(context.headers, this.keys) : context.headers
      const body = bytes && parseBody(bytes, headers['content-type'], route.schema)
      const now = this.#storage.now(null)
      if (route.auth !== 'none') entry.role = roleOf(headers, { secret: this.secret, now, lenient: route.auth === 'lenient' })
      const value = await route.handle(Object.assign(context, { headers, params, body, role: entry.role }))
      return isAnswer(value) ? value : json(value)
    } catch (error) {
      if (error instanceof Refusal) return error.answer
      if (error instanceof CutShort) throw error
      console.error('the storage server for tests failed:', error)
      return errorAnswer('internal')
    }
  }

  /** Sends an answer; answers how many bytes its body has. */
  async #send(request, response, { status, headers, body }) {
    await drain(request)
    if (response.destroyed) throw new CutShort()
    const length = status === 304 ? {} : { 'content-length': String(body.length) }
    const date = new Date(this.#storage.now(null)).toUTCString()
    response.writeHead(status, { ...headers, ...length, date })
    const bare = request.method === 'HEAD' || status === 304
    response.end(bare ? undefined : body)
    return bare ? 0 : body.length
  }
}
