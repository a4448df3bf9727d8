// Traffic between a fleet and its store, counted by the proxy that stands between them, and so without asking the product.
//
// Invariants: each request is of one kind; an unknown one ends the run, because a count without it would be too low. Bytes are
// those of bodies: heads and handshakes are not billed by anybody.

import { startProxy } from '../../testkit/proxy/proxy.mjs'

/** Kind of a request, on the wire of each store. */
const KINDS = {
  s3: ({ method, path }) => (method === 'GET' ? (/[?&]list-type=/.test(path) ? 'list' : 'get') : { PUT: 'put', DELETE: 'delete' }[method]),
  supabase({ method, path }) {
    if (method === 'POST') return /\/object\/list(-v2)?\//.test(path) ? 'list' : 'put'
    return { GET: 'get', DELETE: 'delete' }[method]
  }
}
KINDS.seaweedfs = KINDS.gcs = KINDS.rclone = KINDS.s3

export const KIND_NAMES = ['put', 'get', 'list', 'delete']
const nothing = () => ({ requests: 0, up: 0, down: 0, refused: 0, refusedDown: 0 })
/** Longer than a fleet takes to ask all that it asks at a tick. */
const QUIET_MS = 1500

export class Meter {
  #proxy
  #kindOf
  #from = 0
  #read = 0

  /** Starts a proxy in front of `endpoint` that answers `latencyMs` later than the server, half of it more or less. */
  static async start(endpoint, { kind, latencyMs, seed }) {
    const proxy = await startProxy(endpoint, { seed })
    if (latencyMs > 0) proxy.rule({ fault: 'delay', delayMs: [latencyMs / 2, latencyMs * 1.5] })
    return new Meter(proxy, KINDS[kind])
  }

  constructor(proxy, kindOf) {
    this.#proxy = proxy
    this.#kindOf = kindOf
  }

  get origin() {
    return this.#proxy.origin
  }

  /** As `read`, and begins anew. */
  async take() {
    const counts = await this.read()
    this.begin()
    return counts
  }

  /** Begins a new count: from what was read last. */
  begin() {
    this.#from = this.#read
  }

  /** The count since the beginning, by kind, refusals among it; and of the listings, those of the claims of all tenants. */
  async read() {
    await this.#proxy.idle()
    const entries = this.#proxy.trace.slice(this.#from)
    this.#read = this.#from + entries.length
    const counts = Object.fromEntries([...KIND_NAMES, 'wholeLists'].map((name) => [name, nothing()]))
    for (const entry of entries) {
      const kind = this.#kindOf(entry)
      if (kind === undefined) throw new Error(`a request of no known kind: ${entry.method} ${entry.path}`)
      this.#add(counts[kind], entry)
      if (kind === 'list' && /prefix=v1\/claims\/(&|$)/.test(decodeURIComponent(entry.path))) this.#add(counts.wholeLists, entry)
    }
    return counts
  }

  #add(sums, { status, bytesUp, bytesDown }) {
    sums.requests += 1
    sums.up += bytesUp
    sums.down += bytesDown
    if (status >= 200 && status < 300) return
    sums.refused += 1
    sums.refusedDown += bytesDown
  }

  /** Resolves when the fleet has ticked: something was asked after the call, and then nothing any more for a while. */
  async tick() {
    const before = this.#proxy.trace.length
    let seen = before
    let since = performance.now()
    while (seen === before || performance.now() - since < QUIET_MS) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (this.#proxy.trace.length > seen) [seen, since] = [this.#proxy.trace.length, performance.now()]
    }
    await this.#proxy.idle()
  }

  /** Bytes in the store: what was put and not deleted. Null where deletions do not say in their address what they delete. */
  stored() {
    const sizes = new Map()
    for (const entry of this.#proxy.trace) {
      const kind = this.#kindOf(entry)
      if (kind === 'put') sizes.set(entry.path, entry.bytesUp)
      if (kind === 'delete' && !sizes.delete(entry.path) && !/v1\//.test(decodeURIComponent(entry.path))) return null
    }
    return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  stop() {
    return this.#proxy.stop()
  }
}
