// Log of requests: a list of the last requests, and counts of all of them.
//
// Invariant: no bodies, no headers and no query are kept: neither keys nor contents can be read here.

const KEPT = 20_000

const matches = (value, wanted) => wanted === undefined || [wanted].flat().includes(value)

export class Log {
  #entries = []
  #totals = new Map()
  #next = 1

  /** `{ method, path, route, bucket, status, role, bytesIn, bytesOut, fault, stale }`; a status of 0 was never sent. */
  add(entry) {
    this.#entries.push({ n: this.#next++, ...entry })
    // Half at a time, so that a long run does not shift the list with every request.
    if (this.#entries.length > 2 * KEPT) this.#entries = this.#entries.slice(-KEPT)
    const key = JSON.stringify([entry.bucket, entry.method, entry.route, entry.status])
    const total = this.#totals.get(key) ?? { ...entry, requests: 0, bytesIn: 0, bytesOut: 0 }
    total.requests++
    total.bytesIn += entry.bytesIn
    total.bytesOut += entry.bytesOut
    this.#totals.set(key, total)
  }

  /** The last requests that fit, oldest first. `since`: only those after this `n`. */
  entries({ bucket, method, route, status, path, since = 0 } = {}) {
    const wanted = path === undefined ? null : new RegExp(path instanceof RegExp ? path.source : path)
    return this.#entries.filter(
      (entry) =>
        entry.n > since &&
        matches(entry.bucket, bucket) &&
        matches(entry.method, method) &&
        matches(entry.route, route) &&
        matches(entry.status, status) &&
        (!wanted || wanted.test(entry.path))
    )
  }

  /** The number of the newest request, for `since`. */
  get newest() {
    return this.#next - 1
  }

  counts({ bucket } = {}) {
    const sum = { requests: 0, bytesIn: 0, bytesOut: 0, routes: {}, statuses: {} }
    for (const total of this.#totals.values()) {
      if (!matches(total.bucket, bucket)) continue
      for (const name of ['requests', 'bytesIn', 'bytesOut']) sum[name] += total[name]
      sum.routes[total.route] = (sum.routes[total.route] ?? 0) + total.requests
      sum.statuses[total.status] = (sum.statuses[total.status] ?? 0) + total.requests
    }
    return sum
  }

  forget({ bucket } = {}) {
    this.#entries = this.#entries.filter((entry) => !matches(entry.bucket, bucket))
    for (const [key, total] of this.#totals) if (matches(total.bucket, bucket)) this.#totals.delete(key)
  }
}
