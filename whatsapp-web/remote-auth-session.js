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
const { openZip, writeZip } = require('../lib/zip/archive.js')

/** Time for which a deleted session can be brought back. */
const KEPT_MS = 7 * 24 * 3_600_000

/** Pauses between attempts to store the zip that waits. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [5_000, 300_000]

/**
 * @param {any} parts `profile`: the open session of the profile; `own`: its private folder; `finder`, `reports`; `settings`: `{ generations,
 *   purge }`; `name` of the session
 */
function createStored({ profile, own, finder, reports, settings, name }) {
  const told = { session: name }
  let busy = Promise.resolve()
  let isFenced = false
  let isOver = false
  /** Folder and number of a generation that was restored ahead; null for none. */
  let ahead = null
  let isFirst = true
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  let pauseMs = FIRST_PAUSE_MS

  /** @type {(work: () => any) => Promise<any>} */
  const inTurn = (work) => {
    const turn = busy.then(work)
    busy = turn.then(
      () => {},
      () => {}
    )
    return turn
  }

  const newest = () => profile.generation()
  const isThere = () => (newest()?.files ?? 0) > 0

  profile.on('fenced', () => {
    isFenced = true
    clearTimeout(timer)
    void inTurn(() => own.settle())
    reports.fenced(told)
  })

  const store = (folder) => profile.store(folder, { generations: settings.generations })

  /** Stores the zip that waits; answers whether none does any more. */
  async function storeWaiting() {
    const waiting = await own.waiting()
    if (waiting === null) return true
    const folder = own.staged()
    try {
      await extractZip(waiting.path, folder)
      await store(folder)
    } catch (error) {
      if (PASSING.includes(error.code)) return false
      reports.failed('a backup that waited for the store is dropped', error, told)
    } finally {
      await own.discard(folder)
    }
    await own.settle()
    return true
  }

  function retryLater() {
    clearTimeout(timer)
    if (isFenced || isOver) return
    timer = setTimeout(() => {
      void inTurn(storeWaiting).then((isDone) => isDone || retryLater(), retryLater)
    }, pauseMs)
    timer.unref()
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
  }

  async function save(session) {
    if (isFenced) throw new HybridAuthError('FENCED', 'a newer instance owns this session, so nothing was stored')
    const { zip, folder } = await finder.take({ session, name: name }, own)
    const follows = newest()?.number ?? 0
    try {
      await store(folder)
      await own.settle()
      clearTimeout(timer)
      pauseMs = FIRST_PAUSE_MS
    } catch (error) {
      if (!isFenced && PASSING.includes(error.code)) {
        await own.keep(zip, follows)
        retryLater()
      }
      throw error
    } finally {
      await own.discard(folder)
      await own.discard(zip)
    }
  }

  async function restoreAhead() {
    if (!isFirst) return
    isFirst = false
    if (!isThere() || (await own.waiting()) !== null) return
    const [folder, { number }] = [own.staged(), newest()]
    try {
      await profile.restoreTo(folder)
      ahead = { folder, number }
    } catch (error) {
      isFirst = true
      await own.discard(folder)
      throw error
    }
  }

  async function writeTo(path) {
    const waiting = await own.waiting()
    let folder = own.staged()
    try {
      if (waiting !== null) await extractZip(waiting.path, folder)
      else if (ahead?.number === newest()?.number) folder = ahead.folder
      else await profile.restoreTo(folder)
      await writeZip(path, await entriesOf(folder))
      const archive = await openZip(path)
      await archive.verify().finally(archive.close)
    } finally {
      await own.discard(folder)
      if (ahead !== null) await own.discard(ahead.folder)
      ahead = null
    }
  }

  async function bringBack() {
    const kept = profile
      .generations()
      .generations.filter(({ files }) => files > 0)
      .at(-1)
    if (kept === undefined) throw new HybridAuthError('NOT_FOUND', 'no generation of this session is left')
    const folder = own.staged()
    try {
      await profile.restoreTo(folder, { generation: kept.number })
      await store(folder)
    } finally {
      await own.discard(folder)
    }
  }

  return {
    /** Settles what an earlier run left: a zip that waited, and a deletion that is a week old. Answers false if the session ended by it. */
    async prepare() {
      await own.prepare()
      const waiting = await own.waiting()
      if (waiting !== null) {
        // Somebody else may have owned the session since, or a later backup be in the store.
        const counts = profile.restored.source === 'local' && (newest()?.number ?? 0) === waiting.follows
        if (!counts) await own.settle()
        else if (!(await storeWaiting())) retryLater()
      }
      const generation = newest()
      if (generation === null || generation.files > 0 || Date.now() - generation.at < KEPT_MS) return true
      await profile.delete()
      return false
    },

    /** True if there is a session to restore. The first answer is given when that is restored, so that an outage is not found later. */
    exists: () =>
      inTurn(async () => {
        if (!isFenced) await restoreAhead()
        return isFenced || isThere() || (await own.waiting()) !== null
      }),

    /** Writes the zip of the newest generation. */
    extract: (path) =>
      inTurn(async () => {
        if (isFenced)
          throw new HybridAuthError(
            'FENCED',
            'a newer instance owns this session: do not reconnect here; a new RemoteAuthStore takes it back'
          )
        if (!isThere() && (await own.waiting()) === null) throw new HybridAuthError('NOT_FOUND', 'there is no session in the store')
        await writeTo(resolve(path))
      }),

    save: (session) => inTurn(() => save(session)),

    /** Deletes the session. Answers whether it is gone for good, so that the next open is one of a new session. */
    remove: () =>
      inTurn(async () => {
        if (isFenced) throw new HybridAuthError('FENCED', 'a newer instance owns this session, so nothing was deleted')
        clearTimeout(timer)
        await own.settle()
        if (settings.purge) {
          await profile.delete()
          await own.remove()
          isOver = true
          return true
        }
        const empty = own.staged()
        await mkdir(empty, { mode: 0o700 })
        await store(empty).finally(() => own.discard(empty))
        return false
      }),

    /** Brings a session back that was deleted within the last week. */
    restore: () => inTurn(async () => (isThere() ? undefined : bringBack())),

    async close() {
      isOver = true
      clearTimeout(timer)
      await inTurn(async () => {
        if (!isFenced) await storeWaiting().catch(() => {})
        if (ahead !== null) await own.discard(ahead.folder)
      })
      await profile.close()
    }
  }
}

module.exports = { createStored }
