'use strict'

// The fleet: the same options for many tenants.
//
// Invariant: it only keeps books. Each session is what `useHybridAuthState` gives; sharing one between several opens of a
// tenant is the core's business.

const { HybridAuthError } = require('./errors.js')
const { openSession } = require('./session.js')

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
    session.close = (how) => close(how).finally(forget)
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

  /** tenant id -> status. */
  status() {
    return Object.fromEntries(this.list().map((tenantId) => [tenantId, this.get(tenantId).status()]))
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
