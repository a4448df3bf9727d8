'use strict'

// One session of a RemoteAuthStore: its profile in the store, the zip that RemoteAuth wants, and the zip that waits.
//
// A deletion is a generation without files, so that every machine knows of it and only the owner can make it; the generations before it
// are kept until new ones replace them, or for a week.
//
// Invariants: a save, a restore and a deletion never overlap; a zip counts when it is whole and its databases are; a zip that waits is
// dropped as soon as it could be older than the store. Once fenced, nothing is stored and nothing is deleted.

const { mkdir } = require('node:fs/promises')
const { resolve } = require('node:path')
const { HybridAuthError, PASSING } = require('../lib/errors.js')
const { entriesOf } = require('../lib/profile/contents.js')
const { extractZip } = require('../lib/profile/intake.js')
const { serial } = require('../lib/serial.js')
const { DAY } = require('../lib/units.js')
const { openZip, writeZip } = require('../lib/zip/archive.js')

/** Time for which a deleted session can be brought back. */
const KEPT_MS = 7 * DAY

/** Pauses between attempts to store the zip that waits. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [5_000, 300_000]

class RemoteAuthSession {
  #profile
  #own
  #finder
  #reports
  #settings
  #name
  #inTurn = serial()
  #isFenced = false
  #isOver = false
  #isFirst = true
  /** Folder and number of a generation that was restored ahead; null for none. */
  #ahead = null
  /** @type {NodeJS.Timeout | undefined} */
  #timer
  #pauseMs = FIRST_PAUSE_MS

  /**
   * @param {any} parts `profile`: the open session of the profile; `own`: its private folder; `finder`, `reports`; `settings`: `{ generations,
   *   purge }`; `name` of the session
   */
  constructor({ profile, own, finder, reports, settings, name }) {
    this.#profile = profile
    this.#own = own
    this.#finder = finder
    this.#reports = reports
    this.#settings = settings
    this.#name = name
    profile.on('fenced', () => this.#fenced())
  }

  #fenced() {
    this.#isFenced = true
    clearTimeout(this.#timer)
    void this.#inTurn(() => this.#own.settle())
    this.#reports.fenced({ session: this.#name })
  }

  /** Refuses what only the owner may do; `end` closes the sentence. */
  #checkOwned(end) {
    if (this.#isFenced) throw new HybridAuthError('FENCED', `a newer instance owns this session${end}`)
  }

  #newest() {
    return this.#profile.generation()
  }

  /** True if the store has a session with files: a generation without any is a deletion. */
  #isThere() {
    return (this.#newest()?.files ?? 0) > 0
  }

  /** True if there is something to restore, here or in the store. */
  async #isAnywhere() {
    return this.#isThere() || (await this.#own.waiting()) !== null
  }

  #store(folder) {
    return this.#profile.store(folder, { generations: this.#settings.generations })
  }

  /** Settles what an earlier run left: a zip that waited, and a deletion that is a week old. Answers false if the session ended by it. */
  async prepare() {
    await this.#own.prepare()
    await this.#settleWaiting()
    const generation = this.#newest()
    if (generation === null || generation.files > 0 || Date.now() - generation.at < KEPT_MS) return true
    await this.#profile.delete()
    return false
  }

  /** Stores the zip that an earlier run left, or drops it if it could be older than the store. */
  async #settleWaiting() {
    const waiting = await this.#own.waiting()
    if (waiting === null) return
    // Somebody else may have owned the session since, or a later backup be in the store.
    const counts = this.#profile.restored.source === 'local' && (this.#newest()?.number ?? 0) === waiting.follows
    if (!counts) await this.#own.settle()
    else if (!(await this.#storeWaiting())) this.#retryLater()
  }

  /** Stores the zip that waits; answers whether none does any more. */
  async #storeWaiting() {
    const waiting = await this.#own.waiting()
    if (waiting === null) return true
    const folder = this.#own.staged()
    try {
      await extractZip(waiting.path, folder)
      await this.#store(folder)
    } catch (error) {
      if (PASSING.includes(error.code)) return false
      this.#reports.failed('a backup that waited for the store is dropped', error, { session: this.#name })
    } finally {
      await this.#own.discard(folder)
    }
    await this.#own.settle()
    return true
  }

  #retryLater() {
    clearTimeout(this.#timer)
    if (this.#isFenced || this.#isOver) return
    const retry = () => this.#retryLater()
    this.#timer = setTimeout(() => {
      void this.#inTurn(() => this.#storeWaiting()).then((isDone) => isDone || retry(), retry)
    }, this.#pauseMs)
    this.#timer.unref()
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
  }

  /** True if there is a session to restore. The first answer is given when that is restored, so that an outage is not found later. */
  exists() {
    return this.#inTurn(async () => {
      if (!this.#isFenced) await this.#restoreAhead()
      return this.#isFenced || this.#isAnywhere()
    })
  }

  async #restoreAhead() {
    if (!this.#isFirst) return
    this.#isFirst = false
    if (!this.#isThere() || (await this.#own.waiting()) !== null) return
    const [folder, { number }] = [this.#own.staged(), this.#newest()]
    try {
      await this.#profile.restoreTo(folder)
      this.#ahead = { folder, number }
    } catch (error) {
      this.#isFirst = true
      await this.#own.discard(folder)
      throw error
    }
  }

  /** Writes the zip of the newest generation. */
  extract(path) {
    return this.#inTurn(async () => {
      this.#checkOwned(': do not reconnect here; a new RemoteAuthStore takes it back')
      if (!(await this.#isAnywhere())) throw new HybridAuthError('NOT_FOUND', 'there is no session in the store')
      await this.#writeTo(resolve(path))
    })
  }

  async #writeTo(path) {
    const waiting = await this.#own.waiting()
    let folder = this.#own.staged()
    try {
      if (waiting !== null) await extractZip(waiting.path, folder)
      else if (this.#ahead?.number === this.#newest()?.number) folder = this.#ahead.folder
      else await this.#profile.restoreTo(folder)
      await writeZip(path, await entriesOf(folder))
      const archive = await openZip(path)
      await archive.verify().finally(archive.close)
    } finally {
      await this.#own.discard(folder)
      await this.#discardAhead()
    }
  }

  async #discardAhead() {
    if (this.#ahead !== null) await this.#own.discard(this.#ahead.folder)
    this.#ahead = null
  }

  save(session) {
    return this.#inTurn(() => this.#save(session))
  }

  async #save(session) {
    this.#checkOwned(', so nothing was stored')
    const { zip, folder } = await this.#finder.take({ session, name: this.#name }, this.#own)
    const follows = this.#newest()?.number ?? 0
    try {
      await this.#store(folder)
      await this.#own.settle()
      clearTimeout(this.#timer)
      this.#pauseMs = FIRST_PAUSE_MS
    } catch (error) {
      if (!this.#isFenced && PASSING.includes(error.code)) {
        await this.#own.keep(zip, follows)
        this.#retryLater()
      }
      throw error
    } finally {
      await this.#own.discard(folder)
      await this.#own.discard(zip)
    }
  }

  /** Deletes the session. Answers whether it is gone for good, so that the next open is one of a new session. */
  remove() {
    return this.#inTurn(async () => {
      this.#checkOwned(', so nothing was deleted')
      clearTimeout(this.#timer)
      await this.#own.settle()
      if (this.#settings.purge) await this.#purge()
      else await this.#storeNothing()
      return this.#settings.purge
    })
  }

  async #purge() {
    await this.#profile.delete()
    await this.#own.remove()
    this.#isOver = true
  }

  /** Stores a generation without files: the deletion. */
  async #storeNothing() {
    const empty = this.#own.staged()
    await mkdir(empty, { mode: 0o700 })
    await this.#store(empty).finally(() => this.#own.discard(empty))
  }

  /** Brings a session back that was deleted within the last week. */
  restore() {
    return this.#inTurn(async () => (this.#isThere() ? undefined : this.#bringBack()))
  }

  async #bringBack() {
    const { generations } = this.#profile.generations()
    const kept = generations.findLast(({ files }) => files > 0)
    if (kept === undefined) throw new HybridAuthError('NOT_FOUND', 'no generation of this session is left')
    const folder = this.#own.staged()
    try {
      await this.#profile.restoreTo(folder, { generation: kept.number })
      await this.#store(folder)
    } finally {
      await this.#own.discard(folder)
    }
  }

  async close() {
    this.#isOver = true
    clearTimeout(this.#timer)
    await this.#inTurn(async () => {
      if (!this.#isFenced) await this.#storeWaiting().catch(() => {})
      await this.#discardAhead()
    })
    await this.#profile.close()
  }
}

module.exports = { RemoteAuthSession }
