'use strict'

// A browser profile with its folder: ready for a browser when it is opened, backed up while that runs, and released at the end.
//
// Invariants: the folder is that of the newest generation, or newer, before its path is given out; a fenced profile ends its browser,
// stores nothing and deletes nothing; `close` resolves when the next machine can go on with what the browser left.

const { basename, join, resolve } = require('node:path')
const { integer, ownFields } = require('../checks.js')
const { HybridAuthError, withTypedErrors } = require('../errors.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')
const { createFolder, isRunning } = require('./folder.js')
const { leave, stay } = require('./leaving.js')
const { createLogout } = require('./logout.js')
const { BROWSER } = require('../profile-tenants.js')
const openProfiles = require('./open-profiles.js')
const { createSchedule } = require('./schedule.js')
const { openProfileSession } = require('./session.js')

const stopsProcesses = process.platform === 'linux' || process.platform === 'darwin'

const refuse = (message) => {
  throw new HybridAuthError('INVALID_OPTION', message)
}

/** Options of the folder and its backups, apart from those of the session. */
function settingsOf({ backupIntervalMs, generations, extraPaths, ...options }, env = process.env) {
  const asked =
    backupIntervalMs === undefined && env.SESSION_BACKUP_INTERVAL_MS
      ? { value: env.SESSION_BACKUP_INTERVAL_MS, from: 'SESSION_BACKUP_INTERVAL_MS' }
      : { value: backupIntervalMs, from: '`backupIntervalMs`' }
  const isList =
    extraPaths === undefined || (Array.isArray(extraPaths) && extraPaths.every((path) => typeof path === 'string' && path !== ''))
  if (!isList) refuse('`extraPaths` must be a list of paths below the profile')
  return {
    intervalMs: integer(asked, 60_000, 1000, 86_400_000),
    generations: integer({ value: generations, from: '`generations`' }, 5, 1, 100, ''),
    extraPaths: extraPaths ?? [],
    options
  }
}

/**
 * Decides what the folder is, and makes it the profile to go on with.
 * @param {any} session
 * @param {ReturnType<typeof createFolder>} folder
 * @param {{ browser?: { pid: number }, isNew?: boolean, adopt?: (path: string) => Promise<unknown>, mayCreate?: boolean }} how `browser`: one that runs on the folder
 *   since before a logout, and keeps it as it is; `isNew`: what is in the folder is of a deleted session; `adopt` puts a profile of another
 *   program into an empty folder; `mayCreate`: false if a profile that is nowhere is an error
 */
async function settle(session, folder, { browser, isNew, adopt, mayCreate = session.mayCreate }) {
  const { generations } = session.generations()
  const user = await folder.user()
  if (user !== null && (user !== browser?.pid || generations.length > 0))
    throw new HybridAuthError('ALREADY_OPEN', `a browser (process ${user}) is running on this profile: close it first`)
  const newest = generations.at(-1)
  if (newest === undefined) {
    if (isNew && user === null) await folder.setAside()
    if (adopt !== undefined && !(await folder.hasProfile()) && (await adopt(folder.path))) return { source: 'imported', generation: null }
    if (await folder.hasProfile()) return { source: session.restored.source === 'fresh' ? 'imported' : 'local', generation: null }
    if (!mayCreate) {
      throw new HybridAuthError(
        'NOT_FOUND',
        "this profile was never backed up and is not on the disk, and `onMissing: 'error'` forbids creating one; to pair a new number, open it once with `onMissing: 'create'`"
      )
    }
    session.tellFresh(session.restored.source === 'fresh' ? 'missing' : 'no-credentials')
    return { source: 'fresh', generation: null }
  }
  if (session.isHeld() && ((await folder.hasStorage()) || newest.files === 0)) return { source: 'local', generation: newest.number }
  session.forget()
  await folder.setAside()
  await session.restoreTo(folder.path)
  session.hold()
  return { source: 'remote', generation: newest.number }
}

/**
 * Opens the profile of `tenantId` in the folder `name` of `dataPath`.
 * @param {any} given `{ tenantId, dataPath, folder, … }` with the options of a session; `onLoggedOut()` is called when the store took a
 *   logout after its call had failed
 */
async function openProfileAt(given) {
  const { tenantId, dataPath, folder: name, browser, isNew, adopt, mayCreate, onLoggedOut, ...rest } = ownFields(given)
  const { options, ...settings } = settingsOf(rest)
  const session = await openProfileSession(tenantId, { ...options, dataPath })
  try {
    const folder = createFolder(join(resolve(dataPath), name))
    await stay(folder.path, browser !== undefined)
    const found = await settle(session, folder, { browser, isNew, adopt, mayCreate })
    if (browser === undefined) {
      await folder.unlock()
      if (await folder.hasProfile()) await session.truncateLogs(folder.path)
    }
    return createProfile({ session, folder, found, settings, onLoggedOut })
  } catch (error) {
    await session.close().catch(() => {})
    throw error
  }
}

function createProfile({ session, folder, found, settings, onLoggedOut }) {
  const { news } = session
  const restored = { ...found, clean: session.restored.clean }
  /** @type {{ pid: number } | null} */
  let browser = null
  let lastError = null
  /** Time at which the backups began to fail; null while they succeed. */
  let failingSince = null
  let ended = false
  let busy = Promise.resolve()

  const schedule = createSchedule({
    intervalMs: settings.intervalMs,
    signature: () => folder.signature(),
    backup: (how) => backup(how),
    isFirst: () => session.generation() === null
  })

  const isAlive = () => browser !== null && isRunning(browser.pid)

  /** The way to keep the browser from writing: by its state, and by what the system can do. */
  const quiet = () => (isAlive() ? (stopsProcesses ? { pid: browser?.pid } : { running: true }) : {})

  async function take(how) {
    try {
      const report = await session.store(folder.path, {
        ...quiet(),
        ...how,
        generations: settings.generations,
        extraPaths: settings.extraPaths,
        isInUse: true
      })
      lastError = null
      failingSince = null
      if (report.changed) news.tell({ event: 'backup', ...report })
      if (report.repaired > 0)
        news.tell({
          event: 'repaired',
          message: `the store had lost ${report.repaired} packs of this profile; its files were stored again, and older generations that needed those packs were given up`
        })
      if (report.uncollected !== null)
        news.tell({ event: 'error', code: 'REMOTE_UNAVAILABLE', message: `superfluous packs could not be removed: ${report.uncollected}` })
      return report
    } catch (error) {
      lastError = { code: error.code, message: error.message }
      // That the session has ended was told when it did.
      if (['FENCED', 'CLOSED', 'DELETED'].includes(error.code)) throw error
      failingSince ??= Date.now()
      news.tell({ event: 'error', ...lastError })
      throw error
    }
  }

  /** Backs the profile up. Resolves when any machine with the keys can restore it. */
  function backup({ audit = false, timeoutMs = undefined } = {}) {
    const turn = busy.then(() => take({ audit, timeoutMs }))
    busy = turn.then(
      () => {},
      () => {}
    )
    return turn
  }

  function kill() {
    if (!isAlive()) return
    try {
      process.kill(/** @type {any} */ (browser).pid, 'SIGKILL')
    } catch {
      // It ended by itself.
    }
  }

  const logout = createLogout({
    destroy: () => session.delete(),
    release: () => session.close(),
    isLive: () => session.status().life === 'live',
    deleted({ isLate, isKept }) {
      openProfiles.drop(profile)
      if (!isKept) {
        void leave(folder, isAlive).then((isGone) => {
          if (!isGone)
            news.tell({
              event: 'error',
              code: 'LOCAL_UNAVAILABLE',
              message: 'the folder of a deleted profile could not be removed: remove it by hand'
            })
        })
      }
      if (!isLate) return
      news.tell({ event: 'note', level: 'info', message: 'the store has the logout of this profile now' })
      onLoggedOut?.()
    }
  })

  session.whenFenced(() => {
    schedule.stop()
    logout.stop()
    kill()
  })

  async function end(how) {
    const { timeoutMs = session.limits.close, backup: isWanted = true } = how ?? {}
    schedule.stop()
    if (logout.isPending()) return logout.finish({ timeoutMs }).finally(() => openProfiles.drop(profile))
    let failed = null
    if (isWanted && !ended && session.status().life === 'live' && (await folder.hasProfile())) {
      const stored = backup({ timeoutMs })
      failed = await stored.then(
        () => null,
        (error) => error
      )
    }
    ended = true
    await session.close({ timeoutMs }).finally(() => openProfiles.drop(profile))
    if (failed !== null) throw failed
  }

  const profile = {
    path: folder.path,
    tenantId: session.tenantId,
    restored,

    /**
     * The browser that runs on the folder.
     * @param {{ pid: number }} running
     */
    attach(running) {
      const { pid } = ownFields(running)
      if (!Number.isSafeInteger(pid) || pid < 2 || pid === process.pid)
        refuse('`pid` must be the process of the browser, as `browser.process().pid` of Puppeteer gives it')
      browser = { pid }
      if (session.status().life === 'fenced') return kill()
      logout.withdraw()
      schedule.start()
    },

    /** The browser is gone. */
    detach() {
      browser = null
    },

    backup: () => backup(),

    /** The newest acknowledged generation; null before the first. */
    generation: () => session.generation(),

    /** A copy of a generation, or of the newest one, in a folder that must not exist. */
    restoreTo: (directory, how) => session.restoreTo(directory, how),

    status() {
      const generation = ['closed', 'deleted'].includes(session.status().life) ? null : session.generation()
      return {
        ...session.status(),
        generation,
        ageMs: generation === null ? null : Math.max(0, Date.now() - generation.at),
        browser: isAlive() ? 'running' : 'closed',
        failingForMs: failingSince === null ? 0 : Math.max(1, Date.now() - failingSince),
        lastError: lastError ?? session.status().lastError
      }
    },

    close: (how) => end(how),

    /** Deletes the session everywhere; the folder goes as soon as the browser has left it. A failure of the store is retried later. */
    async logout() {
      schedule.stop()
      await busy
      await logout.start()
    },

    on(event, listener) {
      session.on(event, listener)
      return profile
    },

    off(event, listener) {
      session.off(event, listener)
      return profile
    }
  }
  if (Symbol.asyncDispose !== undefined) profile[Symbol.asyncDispose] = () => profile.close()
  openProfiles.keep(profile)
  return withTypedErrors(profile, ['attach', 'backup', 'generation', 'restoreTo', 'status', 'close', 'logout', 'on', 'off'])
}

/**
 * Opens the profile `id` in a folder below `directory`.
 * @param {string} id
 * @param {any} options
 */
async function openProfile(id, options = {}) {
  if (typeof id !== 'string' || id === '' || !id.isWellFormed()) refuse('the id of a profile must be a non-empty text')
  const { directory = 'browser-profiles', ...rest } = ownFields(options)
  if (typeof directory !== 'string' || directory === '') refuse('`directory` must be the path of a directory')
  const folder = basename(call(loadBinding().folder, directory, id))
  return openProfileAt({ tenantId: `${BROWSER}${id}`, dataPath: directory, folder, ...rest })
}

const typed = withTypedErrors({ openProfile, openProfileAt })

module.exports = { openProfile: typed.openProfile, openProfileAt: typed.openProfileAt }
