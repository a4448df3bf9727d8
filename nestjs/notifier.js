'use strict'

// Telling the application, one call at a time for each tenant.
//
// Invariants: calls about one tenant never overlap, so that a slow write of an older time does not undo a newer one; what
// comes while a call is under way is told in one call after it; a call that fails is logged, and nothing else happens.

class Notifier {
  #callback
  #failed
  #merge
  /** tenant id -> what to tell next, or null, while a call is under way */
  #next = new Map()
  #idle = Promise.resolve()
  #becomeIdle = null

  /** `merge(waiting, newer)` makes one piece of news of two; `failed(error, news)` is called after a call that failed. */
  constructor(callback, { failed, merge = (_, newer) => newer }) {
    this.#callback = callback
    this.#failed = failed
    this.#merge = merge
  }

  tell(news) {
    if (this.#callback === undefined) return
    const { tenantId } = news
    const waiting = this.#next.get(tenantId)
    if (waiting !== undefined) {
      this.#next.set(tenantId, waiting === null ? news : this.#merge(waiting, news))
      return
    }
    if (this.#next.size === 0) this.#idle = new Promise((resolve) => (this.#becomeIdle = resolve))
    this.#next.set(tenantId, null)
    this.#run(tenantId, news)
  }

  async #run(tenantId, first) {
    for (let news = first; news !== null;) {
      try {
        await this.#callback(news)
      } catch (error) {
        this.#failed(error, news)
      }
      news = this.#next.get(tenantId)
      if (news !== null) this.#next.set(tenantId, null)
    }
    this.#next.delete(tenantId)
    if (this.#next.size === 0) this.#becomeIdle()
  }

  /** Resolves when nothing is being told. */
  settled() {
    return this.#idle
  }
}

module.exports = { Notifier }
