'use strict'

// The strategies of whatsapp-web.js that an application got from the service: with its store, keys and logger, and ended with it.
//
// Invariants: what the module tells of a session, it tells of a profile too; a client is ended before its profile is released, and
// nothing here rejects. Once the application stops, no strategy is given out.

const { HybridAuthError } = require('../lib/errors.js')
const { within } = require('../lib/pool.js')
const { FOREIGN } = require('../lib/profile/index.js')
const { tenantOf } = require('../lib/profile-tenants.js')
const { tenantLogger } = require('./logger.js')

/** Loaded where it is used: services of Baileys have no need of it. */
const whatsappWeb = () => ({ ...require('../whatsapp-web/names.js'), ...require('../whatsapp-web/strategy.js') })

class Profiles {
  #fleet
  #logger
  #said
  #news
  /** Weak references: the program that runs a client holds its strategy. */
  #strategies = new Set()
  #isStopping = false

  /** The first argument: options of the fleet. The rest is as for `Sessions`. */
  constructor(fleet, { logger, said, news }) {
    this.#fleet = Object.fromEntries(Object.entries(fleet).filter(([name]) => name !== 'mode' && !FOREIGN.includes(name)))
    this.#logger = logger
    this.#said = said
    this.#news = news
  }

  /** A strategy for one client. */
  strategy(clientId, overrides = {}) {
    if (this.#isStopping) throw new HybridAuthError('CLOSED', 'the application is shutting down, so no session is opened')
    const { HybridAuth, clientIdIn } = whatsappWeb()
    const tenantId = tenantOf(clientIdIn(clientId))
    const options = { logger: tenantLogger(this.#logger, tenantId, this.#said), ...this.#fleet, ...overrides, clientId }
    const onEvent = (told) => {
      if (told.event === 'backup') this.#news.backup({ tenantId, at: new Date(), lsn: told.generation, bytes: told.sent })
      return options.onEvent?.(told)
    }
    const onFenced = () => {
      this.#news.fenced({ tenantId })
      return options.onFenced?.()
    }
    const strategy = new HybridAuth({ ...options, onEvent, onFenced })
    for (const ref of this.#strategies) if (ref.deref() === undefined) this.#strategies.delete(ref)
    this.#strategies.add(new WeakRef(strategy))
    return strategy
  }

  /**
   * Ends the clients that still run: their browsers, their last backups, their ownership. Resolves after `timeoutMs` at the latest, to the
   * tenants that are not done by then.
   */
  async end({ timeoutMs }) {
    this.#isStopping = true
    const strategies = [...this.#strategies].map((ref) => ref.deref()).filter((strategy) => strategy !== undefined)
    const left = new Set(strategies)
    const ends = strategies.map(async (strategy) => {
      await endClient(strategy)
      left.delete(strategy)
    })
    await within(Promise.all(ends), timeoutMs)
    return [...left].map(({ clientId }) => tenantOf(clientId ?? null))
  }
}

/** A client ends its browser and then its strategy; one that fails at the first leaves the second. */
async function endClient(strategy) {
  if (strategy.profile !== null) {
    try {
      await strategy.client?.destroy?.()
    } catch {
      // Its browser is gone already.
    }
  }
  await strategy.destroy()
}

module.exports = { Profiles }
