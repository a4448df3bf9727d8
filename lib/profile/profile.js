'use strict'

// Opening a browser profile: its session, and its folder made ready for a browser.
//
// Invariants: the folder is that of the newest generation, or newer, before its path is given out; a folder in which a browser runs is
// left as it is; a profile that could not be opened completely is closed again.

const { basename, join, resolve } = require('node:path')
const { integer, ownFields, refuse } = require('../checks.js')
const { HybridAuthError, withTypedErrors } = require('../errors.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')
const { Folder } = require('./folder.js')
const { stay } = require('./leaving.js')
const { createProfile } = require('./live-profile.js')
const { BROWSER } = require('../profile-tenants.js')
const { DAY } = require('../units.js')
const { openProfileSession } = require('./session.js')

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
    intervalMs: integer(asked, 60_000, 1000, DAY),
    generations: integer({ value: generations, from: '`generations`' }, 5, 1, 100, ''),
    extraPaths: extraPaths ?? [],
    options
  }
}

/**
 * Decides what the folder is, and makes it the profile to go on with.
 * @param {any} session
 * @param {InstanceType<typeof Folder>} folder
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
    return settleFirst(session, folder, { adopt, mayCreate })
  }
  if (session.isHeld() && ((await folder.hasStorage()) || newest.files === 0)) return { source: 'local', generation: newest.number }
  session.forget()
  await folder.setAside()
  await session.restoreTo(folder.path)
  session.hold()
  return { source: 'remote', generation: newest.number }
}

/** `settle` for a profile that was never backed up: what the folder has, what another program has, or a new one. */
async function settleFirst(session, folder, { adopt, mayCreate }) {
  const isFresh = session.restored.source === 'fresh'
  const found = (source) => ({ source, generation: null })
  if (adopt !== undefined && !(await folder.hasProfile()) && (await adopt(folder.path))) return found('imported')
  if (await folder.hasProfile()) return found(isFresh ? 'imported' : 'local')
  if (!mayCreate) {
    throw new HybridAuthError(
      'NOT_FOUND',
      "this profile was never backed up and is not on the disk, and `onMissing: 'error'` forbids creating one; to pair a new number, open it once with `onMissing: 'create'`"
    )
  }
  session.tellFresh(isFresh ? 'missing' : 'no-credentials')
  return found('fresh')
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
    const folder = new Folder(join(resolve(dataPath), name))
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
