// Rules: the requests that meet a fault.
//
// Invariant: nothing happens by chance unless a seed was given: a rule says by method, path and count what it takes. A rule
// with a word that is not known here is refused, because a test with a misspelt fault would prove nothing.

import { numbersFrom } from '../base/random.mjs'

/** Every fault, and what can be said about it. What the words mean stands in `faults.mjs`. */
const FAULTS = {
  delay: [],
  status: ['status', 'headers', 'body', 'committed'],
  reset: ['committed'],
  hang: ['committed'],
  'cut-upload': ['bytes'],
  'cut-answer': ['bytes', 'ending'],
  drip: ['bytes', 'everyMs'],
  flip: ['at', 'bit'],
  garbage: [],
  twice: ['gapMs', 'answer']
}
const OF_ALL = ['fault', 'method', 'path', 'pattern', 'times', 'after', 'share', 'seed', 'delayMs', 'answerDelayMs']

/** The path as it was sent, and as it reads. */
function readings(url) {
  try {
    return [url, decodeURIComponent(url)]
  } catch {
    return [url]
  }
}

class Rule {
  #next
  #seen = 0
  hits = 0

  constructor(what, defaultSeed) {
    const { fault = 'delay', method, path, pattern, times = Infinity, after = 0, share = 1, seed = defaultSeed } = what
    const { delayMs = 0, answerDelayMs = 0 } = what
    if (!(fault in FAULTS)) throw new Error(`there is no fault ${fault}`)
    const unknown = Object.keys(what).find((word) => !OF_ALL.includes(word) && !FAULTS[fault].includes(word))
    if (unknown !== undefined) throw new Error(`a rule of ${fault} has no ${unknown}`)
    const byChance = share < 1 || Array.isArray(delayMs) || Array.isArray(answerDelayMs)
    if (byChance && seed === undefined) throw new Error(`a rule of ${fault} by chance needs a seed`)
    this.what = { ...what, fault }
    this.seed = seed ?? 0
    this.#next = numbersFrom(this.seed)
    const methods = method === undefined ? null : [method].flat()
    const matcher = pattern === undefined ? path : new RegExp(pattern)
    const isIn = matcher instanceof RegExp ? (text) => text.search(matcher) >= 0 : (text) => text.includes(matcher ?? '')
    this.concerns = (request) => (methods === null || methods.includes(request.method)) && readings(request.url).some(isIn)
    this.takes = () => {
      this.#seen += 1
      // The number is drawn in any case, so that what one request meets does not depend on the counts of others.
      const lot = this.#next()
      if (this.#seen <= after || this.hits >= times || lot >= share) return false
      this.hits += 1
      return true
    }
    const drawn = (range) => (Array.isArray(range) ? range[0] + this.#next() * (range[1] - range[0]) : range)
    this.delays = () => ({ delayMs: drawn(delayMs), answerDelayMs: drawn(answerDelayMs) })
  }
}

export class Rules {
  #rules = []
  #seed

  constructor(seed) {
    this.#seed = seed
  }

  /** Adds a rule behind those that are there. */
  add(what) {
    const rule = new Rule(what, this.#seed)
    this.#rules.push(rule)
    return {
      get hits() {
        return rule.hits
      },
      remove: () => {
        this.#rules = this.#rules.filter((other) => other !== rule)
      }
    }
  }

  clear() {
    this.#rules = []
  }

  /** Fate of a request: all the delays that concern it, and the first other fault. */
  decide(request) {
    const decision = { delayMs: 0, answerDelayMs: 0, rule: null }
    for (const rule of this.#rules) {
      const isDelay = rule.what.fault === 'delay'
      if ((!isDelay && decision.rule !== null) || !rule.concerns(request) || !rule.takes()) continue
      const { delayMs, answerDelayMs } = rule.delays()
      decision.delayMs += delayMs
      decision.answerDelayMs += answerDelayMs
      if (!isDelay) decision.rule = rule
    }
    return decision
  }
}
