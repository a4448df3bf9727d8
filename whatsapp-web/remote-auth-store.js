'use strict'

// `RemoteAuthStore`: a store for the RemoteAuth of whatsapp-web.js 1.19 to 1.34, whichever way that names its sessions and places its zips.
//
// Invariants: the session of a call is known by the last part of its name alone; a tenant is claimed once, by the first call. `save` and
// `delete` never reject, since RemoteAuth calls them where a rejection ends the process: failures go to `onError` and the logger.
// `sessionExists` never takes an outage for a missing session.

const { join, resolve } = require('node:path')
const { flag, integer, refuse } = require('../lib/checks.js')
const { HybridAuthError, withTypedErrors } = require('../lib/errors.js')
const { openProfileSession } = require('../lib/profile/index.js')
const { dataPathIn, sessionIn } = require('./names.js')
const { createPrivateFolder } = require('./private-folder.js')
const { RemoteAuthSession } = require('./remote-auth-session.js')
const { createFinder } = require('./remote-auth-zip.js')
const { createReports } = require('./reports.js')

/** Folder beside the sessions that holds the private folders. */
const PRIVATE = '.bha-remote-auth'

function callbackIn(options, name) {
  if (options[name] !== undefined && typeof options[name] !== 'function') refuse(`\`${name}\` must be a function`)
  return options[name]
}

class RemoteAuthStore {
  #options
  #dataPath
  #settings
  #reports
  #finder
  #isClosed = false
  /** name -> its session, which may still be opening */
  #sessions = new Map()

  /** @param {any} [options] */
  constructor(options = {}) {
    if (options === null || typeof options !== 'object') refuse('`RemoteAuthStore` takes an object of options')
    const { dataPath, onError, onFenced, purge, generations, ...rest } = options
    this.#dataPath = resolve(dataPathIn(dataPath))
    this.#settings = {
      purge: flag({ value: purge, from: '`purge`' }),
      generations: integer({ value: generations, from: '`generations`' }, 5, 2, 100, '')
    }
    this.#reports = createReports({
      logger: rest.logger,
      onError: callbackIn(options, 'onError'),
      onFenced: callbackIn(options, 'onFenced')
    })
    this.#options = rest
    this.#finder = createFinder(this.#dataPath)
  }

  async sessionExists({ session }) {
    return (await this.#get(session)).exists()
  }

  async extract({ session, path }) {
    if (typeof path !== 'string' || path === '') refuse('`path` must be the path of the zip to write')
    await (await this.#get(session)).extract(path)
  }

  async save({ session }) {
    try {
      await (await this.#get(session, { isSave: true })).save(session)
    } catch (error) {
      this.#reports.failed('a backup is not in the store', error, { session: nameIn(session) })
    }
  }

  async delete({ session }) {
    try {
      const name = nameIn(session)
      if (await (await this.#get(session)).remove()) this.#sessions.delete(name)
    } catch (error) {
      this.#reports.failed('a session is not deleted', error, { session: nameIn(session) })
    }
  }

  /** Brings back a session that was deleted within the last seven days, as long as no new backups replaced it. */
  async restoreDeleted({ session }) {
    await (await this.#get(session)).restore()
  }

  /** Stores waiting backups and releases all sessions. */
  async close() {
    this.#isClosed = true
    const closed = await Promise.allSettled(
      [...this.#sessions.values()].map(async (opening) => {
        const stored = await opening.catch(() => null)
        await stored?.close()
      })
    )
    this.#sessions.clear()
    const failed = closed.find(({ status }) => status === 'rejected')
    if (failed !== undefined) throw /** @type {PromiseRejectedResult} */ (failed).reason
  }

  /** The session of this name; opened by the first call. */
  async #get(session, how = {}) {
    if (this.#isClosed) throw new HybridAuthError('CLOSED', 'this RemoteAuthStore was closed')
    const parsed = sessionIn(session)
    const before = this.#sessions.get(parsed.name)
    if (before !== undefined) return before
    const opening = this.#open({ ...parsed, session }, how)
    this.#sessions.set(parsed.name, opening)
    opening.catch(() => this.#sessions.delete(parsed.name))
    return opening
  }

  async #open({ session, name, tenantId }, { isSave = false }) {
    if (!isSave) await this.#finder.ignorePresent({ session, name })
    const profile = await this.#openProfile(tenantId)
    try {
      const own = createPrivateFolder(join(this.#dataPath, PRIVATE, name))
      const stored = new RemoteAuthSession({ profile, own, finder: this.#finder, reports: this.#reports, settings: this.#settings, name })
      if (await stored.prepare()) return stored
      return this.#open({ session, name, tenantId }, { isSave })
    } catch (error) {
      await profile.close().catch(() => {})
      throw error
    }
  }

  #openProfile(tenantId) {
    const given = { ...this.#options, dataPath: this.#dataPath }
    return openProfileSession(tenantId, given).catch((error) => {
      // A deleted session is one that does not exist: RemoteAuth pairs again, and shows that it does.
      if (error.code !== 'DELETED' || this.#options.onMissing === 'error') throw error
      return openProfileSession(tenantId, { ...given, fresh: true })
    })
  }
}

/** The name in a session that may be none, for reports. */
function nameIn(session) {
  try {
    return sessionIn(session).name
  } catch {
    return null
  }
}

withTypedErrors(RemoteAuthStore.prototype, ['sessionExists', 'extract', 'restoreDeleted', 'close'])

module.exports = { RemoteAuthStore }
