// Trace of the proxy: one entry for each request, in memory and, if wanted, in a file; and sums for each method.
//
// Invariant: an entry holds no header and no body, unless `all` was asked for: then it holds the heads as they were sent, for a
// test that looks for secrets in them.

import { appendFileSync } from 'node:fs'
import { requestHead } from './exchange.mjs'

export class Trace {
  #start = performance.now()
  #file
  #all
  /** In the order of arrival; an entry is filled while its request is under way. */
  entries = []
  /** method -> { requests, bytesUp, bytesDown }; bytes are those of bodies. */
  counters = {}

  constructor({ traceFile, traceAll = false }) {
    this.#file = traceFile
    this.#all = traceAll
  }

  get wantsHeads() {
    return this.#all
  }

  /**
   * `status` is what the client was told, `upstream` what the server behind said, `fault` what happened to the request, and
   * `left` that the client did not wait for its answer.
   */
  begin(request) {
    const { method, url: path } = request
    const at = Math.round((performance.now() - this.#start) * 10) / 10
    const entry = { at, method, path, status: null, upstream: null, fault: null, left: false, bytesUp: 0, bytesDown: 0 }
    if (this.#all) entry.requestHead = requestHead(request)
    this.entries.push(entry)
    return entry
  }

  end(entry) {
    const sums = (this.counters[entry.method] ??= { requests: 0, bytesUp: 0, bytesDown: 0 })
    sums.requests += 1
    sums.bytesUp += entry.bytesUp
    sums.bytesDown += entry.bytesDown
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(entry)}\n`)
  }
}
