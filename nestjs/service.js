'use strict'

// The service an application injects: the fleet, under its own names and under those of the systems it replaces.
//
// Invariants: a session that a newer instance took over is not taken back by code that merely reconnects; what is told of a
// backup is what the store confirmed. Nothing is installed on `process`, and no timer runs but that
// which opens anew what could not be opened at the start.

const { Inject, Injectable } = require('./nest.js').common()
const { fieldsOf } = require('../lib/checks.js')
const { HybridAuthError } = require('../lib/errors.js')
const { textOf } = require('../lib/outside.js')
const { openProfiles } = require('../lib/profile/index.js')
const { Bootstrap } = require('./bootstrap.js')
const { Shutdown } = require('./shutdown.js')
const { fleetHealth, profileHealth, sessionHealth } = require('./health.js')
const { FleetOperations } = require('./operations.js')
const { readOptions } = require('./options.js')
const { Profiles } = require('./profiles.js')
const { Sessions } = require('./sessions.js')
const { HYBRID_AUTH_OPTIONS } = require('./tokens.js')
const { Notifier } = require('./notifier.js')

class HybridAuthService extends FleetOperations {
  #sessions
  #profiles
  #shutdown
  #logger
  #bootstrap
  #shutdownTimeoutMs
  #deprecated = new Set()

  constructor(options) {
    const { fleet, said, logger, shutdownTimeoutMs, openOnBootstrap, bootstrapTimeoutMs, onBackup, onFenced, metrics } =
      readOptions(options)
    const failed =
      (name) =>
      (error, { tenantId }) =>
        logger.error({ tenantId, message: textOf(error) }, `${name} failed`)
    const merge = (waiting, newer) => ({ ...newer, bytes: waiting.bytes + newer.bytes })
    const backups = new Notifier(onBackup, { failed: failed('onBackup'), merge })
    const fences = new Notifier(onFenced, { failed: failed('onFenced') })
    const news = { backup: (info) => backups.tell(info), fenced: (info) => fences.tell(info) }
    const sessions = new Sessions(fleet, { logger, said, news })
    super(sessions)
    this.#sessions = sessions
    this.#profiles = new Profiles(fleet, { logger, said, news })
    this.#shutdown = new Shutdown({
      sessions: this.#sessions,
      profiles: this.#profiles,
      notifiers: [backups, fences],
      logger,
      timeoutMs: shutdownTimeoutMs
    })
    this.#logger = logger
    this.#bootstrap =
      openOnBootstrap === false
        ? null
        : new Bootstrap({ sessions: this.#sessions, logger, which: openOnBootstrap, timeoutMs: bootstrapTimeoutMs })
    this.#shutdownTimeoutMs = shutdownTimeoutMs
    if (metrics !== undefined) this.#sessions.collectInto(metrics.registry, { tenantLabel: metrics.tenantLabel })
  }

  // ---- whatsapp-web.js

  whatsappWeb(clientId, options) {
    return this.#profiles.strategy(clientId, options)
  }

  async shutdown(how) {
    const { timeoutMs = this.#shutdownTimeoutMs } = fieldsOf(how, '`shutdown`', 'timeoutMs')
    const [done] = await Promise.all([this.#sessions.shutdown({ timeoutMs }), this.#profiles.end({ timeoutMs })])
    return done
  }

  // ---- the names of the systems it replaces

  async initialize(tenantId, overrides) {
    if (this.#sessions.isLost(tenantId)) {
      throw new HybridAuthError('FENCED', 'a newer instance owns this session; to take it back deliberately, close it here and call `open`')
    }
    return this.#sessions.open(tenantId, overrides)
  }

  async getAuthState(tenantId) {
    const { state, saveCreds } = this.#sessions.live(tenantId) ?? (await this.initialize(tenantId))
    return { state, saveCreds }
  }

  useAuthState(tenantId) {
    return this.getAuthState(tenantId)
  }

  async backup(tenantId, options) {
    const session = this.#sessions.get(tenantId)
    if (session === undefined) throw new HybridAuthError('CLOSED', 'this session is not open here, so there is nothing to back up')
    await session.flush(options)
  }

  async backupToSupabase(tenantId) {
    try {
      await this.backup(tenantId)
      return true
    } catch ({ code, message }) {
      this.#logger.warn({ tenantId, code, message }, 'backup failed')
      return false
    }
  }

  forceBackup(tenantId) {
    return this.backupToSupabase(tenantId)
  }

  async restore(tenantId) {
    try {
      const session = this.#sessions.live(tenantId) ?? (await this.initialize(tenantId, { onMissing: 'error' }))
      const { lsn, restored } = session.status()
      return lsn > 0 || restored.source !== 'fresh'
    } catch (error) {
      if (error.code === 'NOT_FOUND') return false
      throw error
    }
  }

  restoreFromSupabase(tenantId) {
    return this.restore(tenantId)
  }

  /** Usually called by a listener that nobody waits for: a failure is reported here, and to a caller that does wait as well. */
  deleteSession(tenantId) {
    const deleted = this.#sessions.delete(tenantId).catch((error) => {
      if (error.code !== 'DELETED') throw error
    })
    deleted.catch(({ code, message }) => this.#logger.error({ tenantId, code, message }, 'session not deleted'))
    return deleted
  }

  startPeriodicBackup() {
    this.#sayOnce('startPeriodicBackup')
  }

  stopPeriodicBackup() {
    this.#sayOnce('stopPeriodicBackup')
  }

  // ---- health

  async getSessionHealth(tenantId, options) {
    return sessionHealth(this.#sessions.look(tenantId), options)
  }

  health(options) {
    const fleet = fleetHealth(this.#sessions.look(), options, this.#sessions.opening())
    const { healthy, ...profiles } = profileHealth(openProfiles(), options)
    return { ...fleet, healthy: fleet.healthy && healthy, profiles }
  }

  // ---- the life of the application

  async onApplicationBootstrap() {
    await this.#bootstrap?.run()
  }

  async beforeApplicationShutdown() {
    this.#bootstrap?.stop()
    await this.#shutdown.store()
  }

  async onApplicationShutdown(signal) {
    this.#bootstrap?.stop()
    await this.#shutdown.release(signal)
  }

  #sayOnce(name) {
    if (this.#deprecated.has(name)) return
    this.#deprecated.add(name)
    this.#logger.warn({}, `${name}() has no effect and can be removed: every change is stored as it happens`)
  }
}

if (Symbol.asyncDispose !== undefined) {
  HybridAuthService.prototype[Symbol.asyncDispose] = async function () {
    await this.shutdown()
  }
}

Injectable()(HybridAuthService)
Inject(HYBRID_AUTH_OPTIONS)(HybridAuthService, undefined, 0)

module.exports = { HybridAuthService }
