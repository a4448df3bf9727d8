'use strict'

// The end of an application: storing as much as the time allows, and a report of the rest.
//
// Two steps, because a web server may take its time between them: first everything is stored while requests that are still
// being answered may write, then ownership is released. Invariant: both together ask no more time than there is, and no
// session is called stored that is not.

const { within } = require('../lib/pool.js')

/** Share of the time for storing; the rest is for releasing. */
const STORING = 0.75

/** Names on one line. */
const PER_LINE = 50

const count = (n) => `${n} ${n === 1 ? 'session' : 'sessions'}`

/** Writes that a blank machine would not restore. */
const behind = (status) => (status === undefined ? 0 : status.lsn - (status.remoteDurableLsn ?? status.lsn))

function outcomeOf(code, writes, mode) {
  if (code === 'FENCED') return 'taken over by a newer instance before the handover was complete (FENCED)'
  if (!code.startsWith('REMOTE_')) return `ended with an error (${code})`
  if (writes === 0) return `stored, but not released (${code}); the next start elsewhere has to wait`
  if (mode === 'cloud') return `not completely in the store (${code}); the rest is lost, and its writes were rejected`
  return `not completely in the store (${code}); the rest is in the local log and will be stored at the next start on this disk`
}

/** Outcome of the sessions that could not be closed in time -> their tenants, with what of each is only here. */
function outcomes(failed, before) {
  const found = new Map()
  for (const { tenantId, error } of failed) {
    const code = error.code ?? 'INTERNAL'
    const writes = behind(before[tenantId])
    const outcome = outcomeOf(code, writes, before[tenantId]?.mode)
    const names = found.get(outcome) ?? new Set()
    found.set(outcome, names.add(writes > 0 ? `${tenantId} [${writes} ${writes === 1 ? 'write' : 'writes'}]` : tenantId))
  }
  return [...found].map(([outcome, names]) => [outcome, [...names]])
}

class Shutdown {
  #sessions
  #profiles
  #notifiers
  #logger
  #timeoutMs
  #spentMs = 0

  /** `notifiers`: callbacks of the application in progress, which may finish. */
  constructor({ sessions, profiles, notifiers, logger, timeoutMs }) {
    this.#sessions = sessions
    this.#profiles = profiles
    this.#notifiers = notifiers
    this.#logger = logger
    this.#timeoutMs = timeoutMs
  }

  async #timed(work) {
    const began = performance.now()
    const result = await work
    this.#spentMs += performance.now() - began
    return result
  }

  get #leftMs() {
    return Math.max(0, this.#timeoutMs - this.#spentMs)
  }

  async store() {
    this.#sessions.stop()
    const timeoutMs = this.#timeoutMs * STORING
    await this.#timed(Promise.all([this.#sessions.flush({ timeoutMs }), this.#profiles.end({ timeoutMs })]))
  }

  /** @param {string} [signal] what ended the application */
  async release(signal) {
    this.#sessions.stop()
    await this.#timed(within(this.#sessions.opened(), this.#leftMs))
    const before = Object.fromEntries(Object.entries(this.#sessions.status()).filter(([, { life }]) => life !== 'opening'))
    const timeoutMs = this.#leftMs
    const [{ failed }, left] = await this.#timed(Promise.all([this.#sessions.shutdown({ timeoutMs }), this.#profiles.end({ timeoutMs })]))
    await within(Promise.all(this.#notifiers.map((notifier) => notifier.settled())), this.#leftMs)
    this.#tell({ failed, left, before, why: signal === undefined ? '' : ` (${signal})` })
  }

  #tell({ failed, left, before, why }) {
    const say = (level, text) => this.#logger[level]({}, `shut down${why}: ${text}`)
    if (left.length > 0)
      say('error', `not stored and released in time: ${left.slice(0, PER_LINE).join(', ')}; the profiles on this disk have everything`)
    for (const [outcome, names] of outcomes(failed, before)) {
      for (let at = 0; at < names.length; at += PER_LINE) {
        const some = names.slice(at, at + PER_LINE)
        say('error', `${count(some.length)} ${outcome}: ${some.join(', ')}`)
      }
    }
    const others = Object.keys(before).filter((tenantId) => !failed.some((failure) => failure.tenantId === tenantId))
    if (others.length === 0) return
    const stores = others.map((tenantId) => before[tenantId].store !== 'none')
    const where = stores.every(Boolean) ? 'in the store' : stores.some(Boolean) ? 'in the store or on the disk' : 'on the disk'
    say('info', `${count(others.length)} closed, complete ${where}`)
  }
}

module.exports = { Shutdown }
