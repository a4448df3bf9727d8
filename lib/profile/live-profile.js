'use strict'

// An open profile as the caller holds it: its browser, its backups, its logout and its end.
//
// Invariants: one backup at a time; a fenced profile ends its browser, stores nothing and deletes nothing; `close` resolves when the next
// machine can go on with what the browser left. The caller gets functions that need no `this`.

const { ownFields, refuse } = require('../checks.js')
const { withTypedErrors } = require('../errors.js')
const { serial } = require('../serial.js')
const { isRunning } = require('./folder.js')
const { leave } = require('./leaving.js')
const { Logout } = require('./logout.js')
const openProfiles = require('./open-profiles.js')
const { Schedule } = require('./schedule.js')

const STOPS_PROCESSES = process.platform === 'linux' || process.platform === 'darwin'

/** Codes of a session that has ended. */
const ENDED = ['FENCED', 'CLOSED', 'DELETED']

class LiveProfile {
  #session
  #folder
  #settings
  #onLoggedOut
  #schedule
  #logout
  #inTurn = serial()
  /** @type {{ pid: number } | null} */
  #browser = null
  #lastError = null
  /** Time at which the backups began to fail; null while they succeed. */
  #failingSince = null
  #hasEnded = false

  /** @param {any} parts as for `createProfile` */
  constructor({ session, folder, settings, onLoggedOut }) {
    this.#session = session
    this.#folder = folder
    this.#settings = settings
    this.#onLoggedOut = onLoggedOut
    this.tenantId = session.tenantId
    this.#schedule = new Schedule({
      intervalMs: settings.intervalMs,
      signature: () => folder.signature(),
      backup: (how) => this.backup(how),
      isFirst: () => session.generation() === null
    })
    this.#logout = new Logout({
      destroy: () => session.delete(),
      release: () => session.close(),
      isLive: () => this.#isLive(),
      deleted: (how) => this.#deleted(how)
    })
    session.whenFenced(() => this.#fenced())
    openProfiles.keep(this)
  }

  #isLive() {
    return this.#session.status().life === 'live'
  }

  #isAlive() {
    return this.#browser !== null && isRunning(this.#browser.pid)
  }

  #fenced() {
    this.#schedule.stop()
    this.#logout.stop()
    this.#kill()
  }

  #kill() {
    if (!this.#isAlive()) return
    try {
      process.kill(/** @type {any} */ (this.#browser).pid, 'SIGKILL')
    } catch {
      // It ended by itself.
    }
  }

  /** Puts the browser of `attach` on the folder. */
  attach(running) {
    const { pid } = ownFields(running)
    if (!Number.isSafeInteger(pid) || pid < 2 || pid === process.pid)
      refuse('`pid` must be the process of the browser, as `browser.process().pid` of Puppeteer gives it')
    this.#browser = { pid }
    if (this.#session.status().life === 'fenced') return this.#kill()
    this.#logout.withdraw()
    this.#schedule.start()
  }

  detach() {
    this.#browser = null
  }

  /** Backs the profile up. Resolves when any machine with the keys can restore it. */
  backup({ audit = false, timeoutMs = undefined } = {}) {
    return this.#inTurn(() => this.#take({ audit, timeoutMs }))
  }

  async #take(how) {
    try {
      const report = await this.#session.store(this.#folder.path, {
        ...this.#quiet(),
        ...how,
        generations: this.#settings.generations,
        extraPaths: this.#settings.extraPaths,
        isInUse: true
      })
      this.#succeeded(report)
      return report
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  /** The way to keep the browser from writing: by its state, and by what the system can do. */
  #quiet() {
    if (!this.#isAlive()) return {}
    return STOPS_PROCESSES ? { pid: this.#browser?.pid } : { running: true }
  }

  #succeeded(report) {
    const { news } = this.#session
    this.#lastError = null
    this.#failingSince = null
    if (report.changed) news.tell({ event: 'backup', ...report })
    if (report.repaired > 0)
      news.tell({
        event: 'repaired',
        message: `the store had lost ${report.repaired} packs of this profile; its files were stored again, and older generations that needed those packs were given up`
      })
    if (report.uncollected !== null) this.#tellError('REMOTE_UNAVAILABLE', `superfluous packs could not be removed: ${report.uncollected}`)
  }

  #failed({ code, message }) {
    this.#lastError = { code, message }
    // The end of a session was told when it came.
    if (ENDED.includes(code)) return
    this.#failingSince ??= Date.now()
    this.#tellError(code, message)
  }

  #tellError(code, message) {
    this.#session.news.tell({ event: 'error', code, message })
  }

  status() {
    const status = this.#session.status()
    const generation = ['closed', 'deleted'].includes(status.life) ? null : this.#session.generation()
    return {
      ...status,
      generation,
      ageMs: generation === null ? null : Math.max(0, Date.now() - generation.at),
      browser: this.#isAlive() ? 'running' : 'closed',
      failingForMs: this.#failingSince === null ? 0 : Math.max(1, Date.now() - this.#failingSince),
      lastError: this.#lastError ?? status.lastError
    }
  }

  async logout() {
    this.#schedule.stop()
    // A backup that is under way ends first.
    await this.#inTurn(() => {})
    await this.#logout.start()
  }

  /** The store took the logout. */
  #deleted({ isLate, isKept }) {
    openProfiles.drop(this)
    if (!isKept) void this.#leave()
    if (!isLate) return
    this.#session.news.tell({ event: 'note', level: 'info', message: 'the store has the logout of this profile now' })
    this.#onLoggedOut?.()
  }

  /** Removes the folder as soon as the browser has left it. */
  async #leave() {
    if (await leave(this.#folder, () => this.#isAlive())) return
    this.#tellError('LOCAL_UNAVAILABLE', 'the folder of a deleted profile could not be removed: remove it by hand')
  }

  async close(how) {
    const { timeoutMs = this.#session.limits.close, backup: isWanted = true } = how ?? {}
    const drop = () => openProfiles.drop(this)
    this.#schedule.stop()
    if (this.#logout.isPending()) return this.#logout.finish({ timeoutMs }).finally(drop)
    const failed = isWanted ? await this.#storeLast(timeoutMs) : null
    this.#hasEnded = true
    await this.#session.close({ timeoutMs }).finally(drop)
    if (failed !== null) throw failed
  }

  /** The backup of a profile that ends; answers its failure, or null. */
  async #storeLast(timeoutMs) {
    if (this.#hasEnded || !this.#isLive() || !(await this.#folder.hasProfile())) return null
    return this.backup({ timeoutMs }).then(
      () => null,
      (error) => error
    )
  }
}

/**
 * The profile for the caller of an open. Callers take it apart, so that no function of it may need a `this`.
 * @param {any} parts `session` and `folder`, both ready; `found`: the origin of the folder; `settings` of the backups; `onLoggedOut()` is
 *   called when the store took a logout after its call had failed
 */
function createProfile({ session, folder, found, ...rest }) {
  const profile = new LiveProfile({ session, folder, ...rest })
  const given = {
    path: folder.path,
    tenantId: session.tenantId,
    restored: { ...found, clean: session.restored.clean },

    /**
     * The browser that runs on the folder.
     * @param {{ pid: number }} running
     */
    attach: (running) => profile.attach(running),

    /** The browser is gone. */
    detach: () => profile.detach(),

    backup: () => profile.backup(),

    /** The newest acknowledged generation; null before the first. */
    generation: () => session.generation(),

    /** A copy of a generation, or of the newest one, in a folder that must not exist. */
    restoreTo: (directory, how) => session.restoreTo(directory, how),

    status: () => profile.status(),

    close: (how) => profile.close(how),

    /** Deletes the session everywhere; the folder goes as soon as the browser has left it. A failure of the store is retried later. */
    logout: () => profile.logout(),

    on(event, listener) {
      session.on(event, listener)
      return given
    },

    off(event, listener) {
      session.off(event, listener)
      return given
    }
  }
  if (Symbol.asyncDispose !== undefined) given[Symbol.asyncDispose] = () => given.close()
  return withTypedErrors(given, ['attach', 'backup', 'generation', 'restoreTo', 'status', 'close', 'logout', 'on', 'off'])
}

module.exports = { createProfile }
