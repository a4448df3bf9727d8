// A proxy between a client and a PostgreSQL or Redis that harms what passes through it, by rule and request by request.
//
//   const proxy = await startFaultyProxy(server.endpoint)          postgres://127.0.0.1:5432
//   const rule = proxy.rule({ text: /^insert/i, fault: 'swallow', times: 1 })
//   // ... the client works against proxy.endpoint ...
//   rule.hits; rule.remove(); proxy.delay.upMs = 5; proxy.stall(); proxy.resume(); proxy.trace; await proxy.stop()
//
// | fault | the server | the client |
// |---|---|---|
// | `swallow` | does it | never hears of it: its connection is reset, or hangs with `ending: 'hang'` |
// | `break-after` | does it | gets this answer whole, and none of the requests after it: the connection ends |
// | `lose` | never gets it | its connection is reset |
// | `refuse` | never gets it | is told that the server is too busy |
// | `hold` | gets it when `rule.release()` is called | waits |
// | `delay` | does it | gets the answer `ms` later |
// | `cut` | does it | gets half of the answer, and the connection ends |
// | `drip` | does it | gets the answer in pieces of `bytes`, with `ms` between them |
//
// Invariant: a rule concerns requests whose bytes hold `text` (a string or RegExp, against Latin-1), but for the first `after` of them,
// and at most `times`; everything else is passed on as it is. Encrypted connections are passed on as a whole.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { freePort, givePortBack } from '../base/ports.mjs'
import { resetSocket } from '../base/reset.mjs'
import { Link } from './link.mjs'
import { PostgresFrames } from './postgres-frames.mjs'
import { RedisFrames } from './redis-frames.mjs'

const FAULTS = ['swallow', 'break-after', 'lose', 'refuse', 'hold', 'delay', 'cut', 'drip']
const FRAMES = { 'postgres:': PostgresFrames, 'redis:': RedisFrames }

class Rule {
  hits = 0
  #seen = 0
  #remove
  #release

  constructor({ text, fault, after = 0, times = Infinity, ending = 'reset', ms = 0, bytes = 1500 }, remove) {
    if (!FAULTS.includes(fault)) throw new Error(`there is no fault ${fault}`)
    Object.assign(this, { text, fault, after, times, ending, ms, bytes })
    this.#remove = remove
    this.released = new Promise((resolve) => (this.#release = resolve))
  }

  takes(bytes) {
    const said = bytes.toString('latin1')
    if (typeof this.text === 'string' ? !said.includes(this.text) : !this.text.test(said)) return false
    if (this.#seen++ < this.after || this.hits >= this.times) return false
    this.hits += 1
    return true
  }

  /** Lets go of what is held, and holds nothing more. */
  release() {
    this.remove()
    this.#release()
  }

  remove() {
    this.#remove()
  }
}

class FaultyProxy {
  /** Each request so far: `{ link, flight, what, fault, answered }`. Requests of a flight were sent without waiting for one of them. */
  trace = []
  delay = { upMs: 0, downMs: 0 }
  /** Connections that were made in all. */
  accepted = 0
  #target
  #Frames
  #rules = new Set()
  #sockets = new Map()
  #listener
  #isReset = false
  #flights = 0
  #flow = null

  constructor({ protocol, port }) {
    this.#target = Number(port)
    this.#Frames = FRAMES[protocol]
    this.scheme = protocol
    this.#listener = createServer((client) => this.#accept(client))
    this.#listener.unref()
  }

  get endpoint() {
    return `${this.scheme}//127.0.0.1:${this.port}`
  }
  /** As the proxy for HTTP calls it. */
  get origin() {
    return this.endpoint
  }
  get open() {
    return this.#sockets.size
  }

  async listen() {
    this.port = await freePort()
    await this.#listen()
    return this
  }

  async #listen() {
    this.#listener.listen(this.port, '127.0.0.1')
    await once(this.#listener, 'listening')
  }

  #accept(client) {
    if (this.#isReset) return resetSocket(client)
    this.accepted += 1
    const link = new Link({ client, target: this.#target, frames: new this.#Frames(), proxy: this, number: this.accepted })
    this.#sockets.set(client, link)
    client.once('close', () => this.#sockets.delete(client))
  }

  rule(what) {
    const rule = new Rule(what, () => this.#rules.delete(rule))
    this.#rules.add(rule)
    return rule
  }

  /** Called by a link for each request. */
  arrived({ link, what, bytes, isFirst }) {
    if (isFirst) this.#flights += 1
    const rule = [...this.#rules].find((rule) => rule.takes(bytes)) ?? null
    const entry = { link: link.number, flight: this.#flights, what, fault: rule?.fault ?? null, answered: false }
    this.trace.push(entry)
    return { rule, entry, isSent: false }
  }

  /** Resolves at once unless the proxy stalls. */
  flows() {
    return this.#flow?.promise
  }

  /** From now on nothing passes, in either direction, and nothing is refused. */
  stall() {
    let resolve
    const promise = new Promise((done) => (resolve = done))
    this.#flow ??= { promise, resolve }
  }

  resume() {
    this.#flow?.resolve()
    this.#flow = null
  }

  /** Breaks all connections. */
  reset() {
    for (const link of [...this.#sockets.values()]) link.reset()
  }

  /** The server is out until `heal`: connections are refused, or accepted and never answered (`hang`), or reset (`reset`). */
  async outage(how) {
    if (how === 'hang') return this.stall()
    this.#isReset = how === 'reset'
    if (how === 'refuse' && this.#listener.listening) {
      const closed = once(this.#listener, 'close')
      this.#listener.close()
      this.reset()
      await closed
    } else this.reset()
  }

  async heal() {
    this.#isReset = false
    this.resume()
    if (!this.#listener.listening) await this.#listen()
  }

  async stop() {
    this.resume()
    for (const rule of this.#rules) rule.release()
    if (this.#listener.listening) await this.outage('refuse')
    else this.reset()
    givePortBack(this.port)
  }
}

/** Starts one in front of the server at `endpoint`. */
export function startFaultyProxy(endpoint) {
  return new FaultyProxy(new URL(endpoint)).listen()
}
