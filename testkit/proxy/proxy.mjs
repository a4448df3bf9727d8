// A reverse proxy that harms what passes through it, on purpose and by rule: a bad network between a client and one server.
//
//   const proxy = await startProxy('http://127.0.0.1:9000', { seed: 7 })
//   const rule = proxy.rule({ method: 'PUT', path: '/seg', fault: 'reset', committed: true, after: 1, times: 2 })
//   // ... the client works against proxy.origin ...
//   rule.hits; rule.remove(); await proxy.outage('refuse'); await proxy.heal(); proxy.trace; await proxy.stop()
//
// Invariants: no request fails that no rule or outage concerns: every request has a connection of its own to the server behind,
// and idle connections of clients are never closed. Requests and answers are passed on whole and unchanged, `Host` included,
// so that signatures hold. A request whose client has left is passed on all the same, as packets under way are. An outage
// concerns what is under way too: nothing reaches the server behind while it lasts, and nothing comes back.
//
// A rule concerns requests by `method` (one or a list), `path` (text that the path and query must hold, or a RegExp) or
// `pattern` (the source of one); both are held against the path as sent and as decoded. It skips the first `after` of them,
// takes at most `times`, and of those only a `share` if there is a `seed`. The faults are listed in `proxy/faults.mjs`.

import { once, setMaxListeners } from 'node:events'
import { createServer } from 'node:http'
import { inTime } from '../base/in-time.mjs'
import { Exchange, Outage, wholeBody } from './exchange.mjs'
import { faults } from './faults.mjs'
import { freePort, givePortBack } from '../base/ports.mjs'
import { Rules } from './rules.mjs'
import { Trace } from './trace.mjs'
import { resetSocket } from '../base/reset.mjs'

export { startForwardProxy } from './forward.mjs'

const OUTAGES = ['refuse', 'hang', 'reset']

class Proxy {
  #upstream
  #http
  #port
  #rules
  #trace
  #sockets = new Set()
  /** Work on each request, with its entry in the trace. */
  #underWay = new Map()
  #ending = new AbortController()
  #outage = null
  #accepted = 0

  constructor(upstreamOrigin, options) {
    this.#upstream = upstreamOrigin
    this.#rules = new Rules(options.seed)
    this.#trace = new Trace(options)
    this.#http = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, (request, response) => {
      const entry = this.#trace.begin(request)
      const work = this.#serve(request, response, entry).finally(() => this.#underWay.delete(work))
      this.#underWay.set(work, entry)
    })
    this.#http.on('connection', (socket) => {
      this.#accepted += 1
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      if (this.#outage === 'reset') resetSocket(socket)
    })
    // A test that forgets it ends all the same.
    this.#http.unref()
    // Every request under way listens to it.
    setMaxListeners(0, this.#ending.signal)
  }

  /** Every request so far, in the order of arrival; see `proxy/trace.mjs`. */
  get trace() {
    return this.#trace.entries
  }

  /** Sums for each method, over the requests that are done. */
  get counters() {
    return this.#trace.counters
  }

  /** Connections that clients made in all, and those that are open. */
  get connections() {
    return { accepted: this.#accepted, open: this.#sockets.size }
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Adds a rule; the answer tells how many requests it hit, and takes it away again. */
  rule(what) {
    return this.#rules.add(what)
  }

  /** Takes all rules away. */
  clear() {
    this.#rules.clear()
  }

  /** Resolves when no request is under way. One that hangs is not: nothing will come of it. */
  async idle() {
    const what = () => `requests under way end: ${JSON.stringify([...this.#underWay.values()])}`
    // What is delayed keeps no process alive, but whoever waits for it does.
    while (this.#underWay.size > 0) await inTime(what, Promise.all(this.#underWay.keys()))
  }

  async listen() {
    while (this.#port === undefined) {
      const port = await freePort()
      if (await this.#listenAt(port)) this.#port = port
    }
    return this
  }

  #listenAt(port) {
    return new Promise((resolve, reject) => {
      const failed = (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error))
      this.#http.once('error', failed)
      this.#http.listen(port, '127.0.0.1', () => {
        this.#http.off('error', failed)
        resolve(true)
      })
    })
  }

  /**
   * The whole server is out until `heal`: connections are refused (`refuse`), or accepted and never answered (`hang`), or
   * reset at once (`reset`). Connections that are open share that fate.
   */
  async outage(how) {
    if (!OUTAGES.includes(how)) throw new Error(`there is no outage ${how}`)
    await this.heal()
    this.#outage = how
    if (how === 'reset') await this.#resetAll()
    if (how === 'refuse') await this.#close()
  }

  /** Ends an outage. What hangs goes on hanging. */
  async heal() {
    const wasClosed = this.#outage === 'refuse'
    if (wasClosed && !(await this.#listenAt(this.#port))) throw new Error('the port of the proxy was taken by somebody else')
    this.#outage = null
  }

  async #resetAll() {
    const closed = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of this.#sockets) resetSocket(socket)
    await Promise.all(closed)
  }

  async #close() {
    const closed = once(this.#http, 'close')
    // Before the server closes idle connections in a polite way.
    const gone = this.#resetAll()
    this.#http.close()
    await Promise.all([closed, gone])
  }

  async stop() {
    this.#ending.abort()
    if (this.#http.listening) await this.#close()
    await this.idle()
    givePortBack(this.#port)
  }

  async #serve(request, response, entry) {
    if (this.#outage !== null) {
      entry.fault = 'outage'
      return this.#trace.end(entry)
    }
    // By the order of arrival, whatever the size of the body.
    const { delayMs, answerDelayMs, rule } = this.#rules.decide(request)
    const what = rule?.what ?? { fault: 'delay' }
    const body = await wholeBody(request)
    const exchange = new Exchange({
      request,
      response,
      body,
      entry,
      origin: this.#upstream,
      signal: this.#ending.signal,
      isOut: () => this.#outage !== null,
      wantsHeads: this.#trace.wantsHeads
    })
    try {
      entry.left = body === null
      if (body === null) return
      entry.bytesUp = body.length
      entry.fault = rule?.what.fault ?? (delayMs + answerDelayMs > 0 ? 'delay' : null)
      await exchange.pause(delayMs)
      await faults[what.fault](exchange, what, rule?.seed, () => exchange.pause(answerDelayMs))
    } catch (error) {
      this.#failed(error, exchange)
    } finally {
      this.#trace.end(entry)
    }
  }

  #failed(error, exchange) {
    if (this.#ending.signal.aborted) return
    if (error instanceof Outage) {
      exchange.entry.fault = 'outage'
      exchange.hang()
    } else if (typeof error.code === 'string' && !error.code.startsWith('ERR_')) {
      // The server behind is gone, or broke off: for the client it is one connection.
      exchange.entry.fault = `upstream ${error.code}`
      exchange.reset()
    } else throw error
  }
}

/**
 * Starts a proxy in front of the server at `upstreamOrigin`. `seed` is for rules by chance; `traceFile` is a file that each
 * entry of the trace is appended to, as a line of JSON; `traceAll` records heads too.
 */
export function startProxy(upstreamOrigin, { seed, traceFile, traceAll } = {}) {
  return new Proxy(upstreamOrigin, { seed, traceFile, traceAll }).listen()
}
