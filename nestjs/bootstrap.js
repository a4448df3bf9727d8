'use strict'

// The sessions that an application opens when it starts.
//
// Invariants: the application starts, whatever the store does: it is waited for as long as there is, and no longer; what could not be
// opened and may be later is tried again behind its back, and told each time. What is wrong for good is told once.

const { PASSING } = require('../lib/errors.js')
const { within } = require('../lib/pool.js')
const { textOf } = require('../lib/outside.js')

/** Codes that time or an operator may fix. */
const RETRIED = [...PASSING, 'ALREADY_OPEN', 'OWNED_ELSEWHERE']

const FIRST_WAIT_MS = 5000
const LONGEST_WAIT_MS = 5 * 60_000

class Bootstrap {
  #sessions
  #logger
  #which
  #timeoutMs
  #failures = 0
  #timer = null
  #isStopped = false

  /** `which`: tenant ids, or 'all' that there are. */
  constructor({ sessions, logger, which, timeoutMs }) {
    this.#sessions = sessions
    this.#logger = logger
    this.#which = which
    this.#timeoutMs = timeoutMs
  }

  /** Resolves when all was tried, or when there is no more time to wait for that. Never rejects. */
  async run() {
    const round = { isOver: false, opened: 0 }
    const trying = this.#try(this.#which, round).finally(() => {
      round.isOver = true
    })
    await within(trying, this.#timeoutMs)
    if (round.isOver || this.#isStopped) return
    const seconds = Math.round(this.#timeoutMs / 100) / 10
    this.#logger.warn(
      {},
      `the application starts after ${seconds} s with ${round.opened} sessions open; the rest continues in the background`
    )
  }

  /** Ends the tries. */
  stop() {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  async #try(which, round) {
    let failed, said
    try {
      const all = which === 'all' ? await this.#sessions.tenants() : which
      const tenantIds = all.filter((tenantId) => this.#sessions.get(tenantId) === undefined)
      const result = await this.#sessions.restoreAll({ tenantIds, onProgress: ({ error }) => error === null && round.opened++ })
      failed = result.failed
      said = `opened ${result.opened.length} of ${tenantIds.length} sessions at startup`
    } catch (error) {
      if (this.#isStopped) return
      const { code } = error
      this.#logger.error({ code, message: textOf(error) }, 'the sessions to open at startup cannot be listed')
      if (RETRIED.includes(code)) this.#tryLater(which)
      return
    }
    if (this.#isStopped) return
    const later = failed.filter(({ error }) => RETRIED.includes(error.code)).map(({ tenantId }) => tenantId)
    for (const { tenantId, error } of failed) {
      const hint = later.includes(tenantId) ? '; it will be retried' : ''
      this.#logger.error({ tenantId, code: error.code, message: error.message }, `not opened at startup${hint}`)
    }
    this.#logger.info({}, said)
    if (later.length > 0) this.#tryLater(later)
  }

  #tryLater(which) {
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++)
    this.#timer = setTimeout(() => void this.#try(which, { opened: 0 }), waitMs).unref()
  }
}

module.exports = { Bootstrap }
