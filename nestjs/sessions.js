'use strict'

// The sessions of an application: a fleet that lends its sessions, and knows what became of each tenant.
//
// Code that was written for files opens a session for each new socket and never closes one. So the newest session of a tenant
// is kept, and an older one for as long as somebody holds a part of it: its socket may still have something to store.
//
// Invariants: a session that can still be used is never closed behind its user's back; one that nobody can reach is. A tenant
// has one piece of news at a time, however many sessions of it are open. Once the application stops, nothing is opened.

const { HybridAuthError } = require('../lib/errors.js')
const { HybridAuth } = require('../lib/fleet/fleet.js')
const { LEAVING } = require('../lib/fleet/open-sessions.js')
const { OPENING } = require('../lib/session/status.js')
const { tenantLogger } = require('./logger.js')

/** Undefined for a session that is just being closed. */
function statusOf(session) {
  const status = session.status()
  return LEAVING.includes(status.life) ? undefined : status
}

const FUNCTIONS = ['saveCreds', 'flush', 'close', 'delete', 'exportMultiFile', 'pruneKeys', 'status']

/** A session as users get it. Its functions work through the loan, so a reference to one of them is a reference to the loan. */
function lend(session) {
  const loan = { session, lent: null }
  const through = (names, holder) => Object.fromEntries(names.map((name) => [name, (...args) => holder()[name](...args)]))
  const { creds, keys } = session.state
  /** @type {any} */
  const lent = {
    state: { creds, keys: through(Object.keys(keys), () => loan.session.state.keys) },
    ...through(FUNCTIONS, () => loan.session),
    on(event, listener) {
      loan.session.on(event, listener)
      return lent
    },
    off(event, listener) {
      loan.session.off(event, listener)
      return lent
    }
  }
  if (Symbol.asyncDispose !== undefined) lent[Symbol.asyncDispose] = () => lent.close()
  loan.lent = lent
  return loan
}

/** State of a tenant: the loan of its newest session, the start of its outage, the last write that was told as stored. */
const blank = () => ({ newest: null, degradedSince: null, toldLsn: null })

class Sessions extends HybridAuth {
  #logger
  #said
  #news
  #isStopping = false
  #opening = new Set()
  /** tenant id -> its entry while it is open */
  #tenants = new Map()
  /** tenants that a newer instance took over since they were last opened */
  #lost = new Set()
  /** session -> a weak reference to its loan: one loan at a time */
  #loans = new WeakMap()
  #unreachable = new FinalizationRegistry((session) => {
    if (this.#loans.get(session).deref() === undefined) session.close().catch(() => {})
  })

  /**
   * `news`: `{ backup, fenced }`; `said`: warnings of the configuration that were given already.
   * @param {any} options
   * @param {{ logger: any, said: any, news: any }} how
   */
  constructor(options, { logger, said, news }) {
    super(options, { ended: (tenantId) => this.#forget(tenantId) })
    this.#logger = logger
    this.#said = said
    this.#news = news
  }

  async open(tenantId, overrides = {}) {
    const opening = this.#open(tenantId, overrides)
    this.#opening.add(opening)
    try {
      return await opening
    } finally {
      this.#opening.delete(opening)
    }
  }

  async #open(tenantId, overrides) {
    this.#refuseWhenStopping()
    const logger = overrides.logger ?? tenantLogger(this.#logger, tenantId, this.#said)
    const session = await super.open(tenantId, { ...overrides, logger })
    if (this.#isStopping) {
      await session.close().catch(() => {})
      this.#refuseWhenStopping()
    }
    this.#keep(tenantId, session)
    return this.#lentOf(tenantId, session)
  }

  get(tenantId) {
    const session = super.get(tenantId)
    return session && this.#lentOf(tenantId, session)
  }

  status() {
    const opening = this.opening().map((tenantId) => [tenantId, OPENING])
    return Object.fromEntries([...opening, ...this.look().map(({ tenantId, status }) => [tenantId, status])])
  }

  /** The session of a tenant, if it is of use. */
  live(tenantId) {
    const session = super.get(tenantId)
    return session && statusOf(session)?.life === 'live' ? this.#lentOf(tenantId, session) : undefined
  }

  /** True if a newer instance took this tenant over since it was last opened here. The event that says so may still be on its way. */
  isLost(tenantId) {
    if (this.#lost.has(tenantId)) return true
    const session = super.get(tenantId)
    return session !== undefined && statusOf(session)?.life === 'fenced'
  }

  /** Figures of each open tenant, or of one: for `health.js`. */
  look(tenantId) {
    const now = Date.now()
    const ids = tenantId === undefined ? this.list() : this.list().filter((id) => id === tenantId)
    return ids.flatMap((tenantId) => {
      const status = statusOf(super.get(tenantId))
      if (status === undefined) return []
      const tenant = this.#tenants.get(tenantId) ?? blank()
      if (status.store !== 'degraded') tenant.degradedSince = null
      else tenant.degradedSince ??= now
      const degradedForMs = tenant.degradedSince === null ? 0 : now - tenant.degradedSince
      return [{ tenantId, status, degradedForMs }]
    })
  }

  /** From now on nothing is opened. */
  stop() {
    this.#isStopping = true
  }

  /** Resolves when no session is being opened any more. */
  async opened() {
    await Promise.allSettled(this.#opening)
  }

  async flush({ timeoutMs }) {
    await Promise.allSettled(this.list().map((tenantId) => super.get(tenantId).flush({ timeoutMs })))
  }

  #refuseWhenStopping() {
    if (this.#isStopping) throw new HybridAuthError('CLOSED', 'the application is shutting down, so no session is opened')
  }

  /** The loan of a session; while it is the newest of its tenant, it is held here. */
  #lentOf(tenantId, session) {
    let loan = this.#loans.get(session)?.deref()
    if (loan === undefined) {
      loan = lend(session)
      this.#loans.set(session, new WeakRef(loan))
      this.#unreachable.register(loan, session)
    }
    const tenant = this.#tenants.get(tenantId)
    if (tenant !== undefined && super.get(tenantId) === session) tenant.newest = loan
    return loan.lent
  }

  /** The record goes, and what it holds: the listeners of its sessions still reach it, and it would keep the newest one for ever. */
  #forget(tenantId) {
    const tenant = this.#tenants.get(tenantId)
    if (tenant !== undefined) tenant.newest = null
    this.#tenants.delete(tenantId)
  }

  #keep(tenantId, session) {
    this.#lost.delete(tenantId)
    const tenant = this.#tenants.get(tenantId) ?? blank()
    this.#tenants.set(tenantId, tenant)

    session.on('backup', ({ lsn, bytes }) => {
      // Each open hears of it on a way of its own, and one may hear of several writes before another one hears of the first.
      if (tenant.toldLsn !== null && lsn <= tenant.toldLsn) return
      tenant.toldLsn = lsn
      this.#news.backup({ tenantId, at: new Date(), lsn, bytes })
    })
    session.on('degraded', () => {
      tenant.degradedSince ??= Date.now()
    })
    session.on('fenced', () => {
      if (this.#lost.has(tenantId)) return
      this.#lost.add(tenantId)
      this.#news.fenced({ tenantId })
    })
  }
}

module.exports = { Sessions }
