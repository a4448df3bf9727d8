'use strict'

// The fleet: the same options for many tenants.
//
// Invariant: it only keeps books. Each session is what `useHybridAuthState` gives; sharing one between several opens of a
// tenant is the core's business.

const { HybridAuthError, settle } = require('./errors.js')
const { call } = require('./keys.js')
const { loadBinding } = require('./native.js')
const { resolveOptions } = require('./options.js')
const { collectInto, metricsText } = require('./prometheus.js')
const { openSession } = require('./session.js')
const { summarize } = require('./status.js')

/** How many sessions are opened at once: enough to hide the round trips, too few to hold up what runs already. */
const CONCURRENCY = 16

class HybridAuth {
  #options
  /** tenant id -> sessions opened here and not closed */
  #sessions = new Map()

  constructor(options = {}) {
    this.#options = { ...options }
  }

  async open(tenantId, overrides = {}) {
    const session = await openSession(tenantId, { ...this.#options, ...overrides })
    const opens = this.#sessions.get(tenantId) ?? new Set()
    this.#sessions.set(tenantId, opens.add(session))
    const forget = () => {
      opens.delete(session)
      if (opens.size === 0 && this.#sessions.get(tenantId) === opens) this.#sessions.delete(tenantId)
    }
    const { close, delete: destroy } = session
    session.close = (how) => {
      const closed = close(how).finally(forget)
      // As in the session itself: nobody has to wait for it.
      closed.catch(() => {})
      return closed
    }
    session.delete = () => destroy().then(forget)
    return session
  }

  /** The session of a tenant that was opened here last, or undefined. */
  get(tenantId) {
    return [...(this.#sessions.get(tenantId) ?? [])].at(-1)
  }

  /** Tenants that are open here. */
  list() {
    return [...this.#sessions.keys()]
  }

  /** tenant id -> status. One that is being closed at the moment has none, and does not cost the others theirs. */
  status() {
    const found = this.list().flatMap((tenantId) => {
      try {
        return [[tenantId, this.get(tenantId).status()]]
      } catch (error) {
        if (error.code === 'CLOSED') return []
        throw error
      }
    })
    return Object.fromEntries(found)
  }

  /** The statuses as one. */
  summary() {
    return summarize(Object.values(this.status()))
  }

  /** The metrics of this process, as Prometheus reads them. */
  async metrics(options) {
    return metricsText(options)
  }

  /** Registers the metrics of this process in a registry of prom-client, and gives it back. */
  collectInto(registry, options) {
    return collectInto(registry, options)
  }

  /** What the core calls the store of this fleet. */
  #store() {
    const { store } = resolveOptions('any', this.#options).native
    if (store === null) throw new HybridAuthError('INVALID_OPTION', 'this fleet has no `store`, so there is nothing to look up in one')
    return JSON.stringify(store)
  }

  /** Ids of the tenants that have a session in the store, in order. */
  async tenants() {
    const { tenants, hidden } = JSON.parse(settle(await loadBinding().tenants(this.#store())))
    if (hidden > 0) {
      const reason = `the store does not tell the ids of ${hidden} tenants, which are hidden or too long`
      throw new HybridAuthError('INVALID_OPTION', `${reason}; keep a list of them and pass it as \`tenantIds\``)
    }
    return tenants
  }

  /** Checks all that the store holds of a tenant, without claiming or writing anything. */
  async verify(tenantId) {
    const { native, keys } = resolveOptions(tenantId, this.#options)
    return JSON.parse(settle(await loadBinding().verify(JSON.stringify(native), keys)))
  }

  /** Requests and bytes between this process and the store so far; null before the first. */
  traffic() {
    return JSON.parse(call(loadBinding().traffic, this.#store()))
  }

  /** Opens every tenant of the store, or those named, a few at a time. */
  async restoreAll({ tenantIds, concurrency = CONCURRENCY, onProgress } = {}) {
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) throw new HybridAuthError('INVALID_OPTION', '`concurrency` must be a whole number from 1')
    const all = [...(tenantIds ?? (await this.tenants()))]
    const waiting = all.values()
    const opened = []
    const failed = []
    const work = async () => {
      for (const tenantId of waiting) {
        const error = await this.open(tenantId, { onMissing: 'error' }).then(() => null, (error) => error)
        if (error === null) opened.push(tenantId)
        else failed.push({ tenantId, error })
        onProgress?.({ tenantId, error, done: opened.length + failed.length, total: all.length })
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, all.length) }, work))
    return { opened, failed }
  }

  async delete(tenantId) {
    const session = this.get(tenantId) ?? (await this.open(tenantId))
    await session.delete()
    await Promise.all([...(this.#sessions.get(tenantId) ?? [])].map((other) => other.close()))
  }

  async exportMultiFile(tenantId, folder, options) {
    const open = this.get(tenantId)
    if (open) return open.exportMultiFile(folder, options)
    const session = await this.open(tenantId, { onMissing: 'error' })
    try {
      return await session.exportMultiFile(folder, options)
    } finally {
      await session.close()
    }
  }

  /** Closes everything, in parallel. What did not reach the store in time is named, and is in the local logs. */
  async shutdown({ timeoutMs } = {}) {
    const open = [...this.#sessions].flatMap(([tenantId, sessions]) => [...sessions].map((session) => ({ tenantId, session })))
    const how = timeoutMs === undefined ? {} : { timeoutMs }
    const results = await Promise.allSettled(open.map(({ session }) => session.close(how)))
    const failed = results.flatMap((result, i) => (result.status === 'rejected' ? [{ tenantId: open[i].tenantId, error: result.reason }] : []))
    return { closed: open.length - failed.length, failed }
  }
}

/** `exportMultiFile(tenantId, folder, options)` for a tenant that need not be open. */
async function exportMultiFile(tenantId, folder, { overwrite, ...options } = {}) {
  if (typeof folder !== 'string' || folder === '') throw new HybridAuthError('INVALID_OPTION', 'exportMultiFile takes the path of a folder')
  return new HybridAuth(options).exportMultiFile(tenantId, folder, { overwrite })
}

module.exports = { HybridAuth, exportMultiFile }
