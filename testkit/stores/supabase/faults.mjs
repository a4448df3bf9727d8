// Faults on demand: answers that are not the server's, and requests held where others can overtake them.
//
// Invariant: by count and by pattern, never by chance or by the clock: the same requests meet the same faults.

import { FAULTS } from './answers.mjs'

const list = (value) => (value === undefined ? null : [value].flat())
const pattern = (value) => (value === undefined ? null : new RegExp(value instanceof RegExp ? value.source : value))

const FAULT_NAMES = ['method', 'route', 'path', 'bucket', 'times', 'after', 'when', 'answer', 'retryAfter', 'delayMs']
const HOLD_NAMES = ['at', 'path', 'bucket', 'count']
const POINTS = ['upload', 'copy', 'download', 'move', 'remove']

function requireNames(rule, names) {
  const odd = Object.keys(rule).find((name) => !names.includes(name))
  if (odd !== undefined) throw new RangeError(`there is no "${odd}" in such a rule`)
}

/** Answer of a rule: `{ status, headers, body }`, or the words `reset` and `pass`. */
function answerOf({ answer = 'pass', retryAfter }) {
  if (answer === 'reset' || answer === 'pass') return answer
  if (typeof answer === 'string') {
    if (!Object.hasOwn(FAULTS, answer)) throw new RangeError(`there is no fault "${answer}"`)
    return FAULTS[answer]({ retryAfter })
  }
  const { status, headers = {}, body = '' } = answer
  const isText = typeof body === 'string'
  const type = isText ? {} : { 'content-type': 'application/json; charset=utf-8' }
  return { status, headers: { ...type, ...headers }, body: Buffer.from(isText ? body : JSON.stringify(body)) }
}

export class Faults {
  #rules = new Map()
  #next = 1

  add(rule) {
    requireNames(rule, FAULT_NAMES)
    const { times = 1, after = 0, when = 'before', delayMs = 0 } = rule
    if (!['before', 'after'].includes(when)) throw new RangeError(`when cannot be ${when}`)
    const matchers = { methods: list(rule.method), routes: list(rule.route), path: pattern(rule.path), bucket: rule.bucket ?? null }
    const id = this.#next++
    this.#rules.set(id, { id, ...matchers, left: times ?? Infinity, skip: after, when, delayMs, answer: answerOf(rule), hits: 0 })
    return id
  }

  /** The fault that this request meets, if any; counted. Of several, the one that was made first. */
  meet({ method, route, path, bucket }) {
    for (const rule of this.#rules.values()) {
      if (rule.left <= 0 || (rule.methods && !rule.methods.includes(method)) || (rule.routes && !rule.routes.includes(route))) continue
      if ((rule.path && !rule.path.test(path)) || (rule.bucket !== null && rule.bucket !== bucket)) continue
      if (rule.skip > 0) {
        rule.skip--
        continue
      }
      rule.left--
      rule.hits++
      return rule
    }
    return null
  }

  /** Times that each rule was met, and times that it still will be (`null`: until it is cleared). */
  report() {
    return [...this.#rules.values()].map(({ id, hits, left, bucket }) => ({ id, bucket, hits, left: left === Infinity ? null : left }))
  }

  clear({ id, bucket } = {}) {
    for (const rule of [...this.#rules.values()]) {
      if ((id === undefined || rule.id === id) && (bucket === undefined || rule.bucket === bucket)) this.#rules.delete(rule.id)
    }
  }
}

export class Holds {
  #rules = new Map()
  #next = 1

  /** Holds requests at a point until `count` of them are there, or until they are released. */
  add(rule) {
    requireNames(rule, HOLD_NAMES)
    const { at, count = null, bucket = null } = rule
    if (!POINTS.includes(at)) throw new RangeError(`there is no point "${at}"`)
    const id = this.#next++
    this.#rules.set(id, { id, at, count, bucket, path: pattern(rule.path), waiting: [], watchers: [] })
    return id
  }

  async pass(at, { path, bucket }) {
    for (const rule of this.#rules.values()) {
      if (rule.at !== at || (rule.path && !rule.path.test(path)) || (rule.bucket !== null && rule.bucket !== bucket)) continue
      await new Promise((resolve) => {
        rule.waiting.push(resolve)
        for (const watcher of rule.watchers) if (rule.waiting.length >= watcher.count) watcher.resolve()
        if (rule.count !== null && rule.waiting.length >= rule.count) this.release(rule.id)
      })
      return
    }
  }

  /** Waits until `count` requests are held. */
  async gathered(id, count) {
    const rule = this.#rules.get(id)
    if (!rule) throw new RangeError(`there is no hold ${id}`)
    if (rule.waiting.length < count) await new Promise((resolve) => rule.watchers.push({ count, resolve }))
  }

  /** Lets all go, and holds nobody any more. */
  release(id) {
    const rule = this.#rules.get(id)
    this.#rules.delete(id)
    for (const resume of rule?.waiting ?? []) resume()
    for (const { resolve } of rule?.watchers ?? []) resolve()
  }

  clear({ bucket } = {}) {
    for (const rule of [...this.#rules.values()]) if (bucket === undefined || rule.bucket === bucket) this.release(rule.id)
  }
}
