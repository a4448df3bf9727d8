'use strict'

// `HybridAuth`: an auth strategy of whatsapp-web.js that keeps the profile in a store, with one owner.
//
// The client calls the nine hooks of its `BaseAuthStrategy`; a hook is structural, so that whatsapp-web.js is not needed to load this.
//
// Invariants: no browser starts on a profile that another instance owns; only a logout deletes anything, and a lost or contested
// connection is none. The hooks that nobody awaits never reject, and neither does anything that ends a client: failures are events of
// the profile (`onEvent`, `logger`). A second call of a hook does nothing twice.

const { join, resolve } = require('node:path')
const { refuse } = require('../lib/checks.js')
const { HybridAuthError } = require('../lib/errors.js')
const { openProfileAt } = require('../lib/profile/index.js')
const { sessionName, tenantOf } = require('../lib/profile-tenants.js')
const { isRunning, kill, processOf } = require('./browser.js')
const { adoptLegacy, checkLegacy } = require('./legacy.js')
const { adopt } = require('./local-auth.js')
const { clientIdIn, dataPathIn } = require('./names.js')
const { createReports } = require('./reports.js')

/** States of a connection by which WhatsApp tells that this device is not linked any more. */
const LOGGED_OUT = ['UNPAIRED', 'UNPAIRED_IDLE']

/** Options of RemoteAuth that mean something else here, and the remedy. */
const OF_REMOTE_AUTH = {
  backupSyncIntervalMs: 'use `backupIntervalMs`',
  rmMaxRetries: 'leave it out'
}

function checkOptions(options) {
  for (const [name, remedy] of Object.entries(OF_REMOTE_AUTH))
    if (options[name] !== undefined) refuse(`\`${name}\` is an option of RemoteAuth: ${remedy}`)
  if (typeof options.store?.sessionExists === 'function')
    refuse(
      '`store` is a store of RemoteAuth: name the bucket instead, such as `s3://bucket`, and pass this one as `legacy` if it has the session'
    )
  if (options.onFenced !== undefined && typeof options.onFenced !== 'function') refuse('`onFenced` must be a function')
}

class HybridAuth {
  #options
  #dataPath
  #folder
  #localAuth
  /** Another store of RemoteAuth, which may have the session. */
  #legacy
  #tenantId
  #reports
  /** The open profile; null before the first open and after the end. */
  #profile = null
  /** The open that is under way: `{ abort, done }`. */
  #opening = null
  /** The end of a client that is under way. */
  #ending = null
  /** The process of the browser; null before the first. */
  #browser = null
  #state = null
  /** The client shows a QR code, or was logged out: its profile holds no session. */
  #needsPairing = false
  /** The session was deleted here, so that the next open is one of a new session. */
  #isLoggedOut = false
  #isFenced = false
  #tellsSaved = false

  /** @param {any} [options] */
  constructor(options = {}) {
    if (options === null || typeof options !== 'object') refuse('`HybridAuth` takes an object of options')
    const { clientId, dataPath, onFenced, legacy, ...rest } = options
    checkOptions({ ...rest, onFenced })
    checkLegacy(legacy)
    this.#legacy = legacy
    this.clientId = clientIdIn(clientId) ?? undefined
    this.#dataPath = resolve(dataPathIn(dataPath))
    this.#folder = sessionName('RemoteAuth', clientIdIn(clientId))
    this.#localAuth = join(this.#dataPath, sessionName('session', clientIdIn(clientId)))
    this.#tenantId = tenantOf(clientIdIn(clientId))
    this.#options = rest
    const { logger, onEvent } = rest
    const tenantId = this.#tenantId
    this.#reports = createReports({ logger, onFenced, onError: (error) => onEvent?.({ event: 'error', tenantId, error }) })
  }

  /** The open profile: `status()`, `backup()`, `on()`; null while there is none. */
  get profile() {
    return this.#profile
  }

  setup(client) {
    this.client = client
    client.on?.('change_state', (state) => {
      this.#state = state
    })
  }

  async beforeBrowserInitialized() {
    const path = join(this.#dataPath, this.#folder)
    const puppeteer = this.client.options.puppeteer ?? {}
    if (puppeteer.userDataDir && resolve(puppeteer.userDataDir) !== path)
      refuse('`userDataDir` is set by HybridAuth: remove it from the options of Puppeteer, and use `dataPath`')
    if (puppeteer.browserWSEndpoint || puppeteer.browserURL)
      refuse('HybridAuth needs a browser on this machine, since it prepares its profile: remove `browserWSEndpoint` and `browserURL`')
    await this.#ending
    if (isRunning(this.#browser)) return this.#continueInBrowser()
    if (this.#isFenced) {
      throw new HybridAuthError(
        'FENCED',
        'a newer instance owns this session: do not reconnect here; a new client with a new HybridAuth takes it back'
      )
    }
    if (this.#profile === null) await this.#open()
    this.client.options.puppeteer = { ...puppeteer, userDataDir: path }
  }

  async afterBrowserInitialized() {
    this.#browser = processOf(this.client.pupBrowser)
    if (this.#isFenced) kill(this.#browser)
  }

  async onAuthenticationNeeded() {
    this.#needsPairing = true
    return { failed: false, restart: false, failureEventPayload: undefined }
  }

  async getAuthEventPayload() {
    this.#needsPairing = false
  }

  async afterAuthReady() {
    this.#needsPairing = false
    try {
      if (this.#profile === null && !this.#isFenced) await this.#continueInBrowser()
      if (this.#profile === null || !isRunning(this.#browser)) return
      this.#tellsSaved = true
      this.#attach()
    } catch (error) {
      this.#reports.failed('the backups could not be started', error)
    }
  }

  async disconnect() {
    if (LOGGED_OUT.includes(this.#state))
      await this.#logout().catch((error) => this.#reports.failed('the logout is not in the store', error))
  }

  async logout() {
    const isAwaited = !isRunning(this.#browser)
    try {
      await this.#logout()
    } catch (error) {
      // While the browser runs, it is a listener of the page that called, and nobody hears it.
      if (isAwaited) throw error
      this.#reports.failed('the logout is not in the store', error)
    }
  }

  async destroy() {
    this.#opening?.abort()
    this.#ending ??= this.#end().finally(() => {
      this.#ending = null
    })
    await this.#ending
  }

  /** Opens the profile, and is heard of by `destroy`. */
  async #open(how = {}) {
    const abort = new AbortController()
    const { signal } = this.#options
    const give = () => abort.abort()
    signal?.addEventListener?.('abort', give)
    if (signal?.aborted) give()
    const opened = this.#openProfile({ ...how, signal: abort.signal }).then((profile) => this.#keep(profile))
    this.#opening = { abort: give, done: opened.catch(() => {}) }
    try {
      await opened
    } finally {
      this.#opening = null
      signal?.removeEventListener?.('abort', give)
    }
  }

  async #openProfile({ signal, ...how }) {
    const onLoggedOut = () => this.#loggedOutLater()
    const given = {
      ...this.#options,
      ...how,
      tenantId: this.#tenantId,
      dataPath: this.#dataPath,
      folder: this.#folder,
      signal,
      onLoggedOut
    }
    // The folder, and that of LocalAuth, may still have the session that was deleted.
    const openNew = () => openProfileAt({ ...given, fresh: true, isNew: true })
    if (this.#isLoggedOut) return openNew()
    const isStrict = this.#options.onMissing === 'error'
    const adopting = { ...given, adopt: (path) => this.#adopt(path, signal) }
    return openProfileAt(adopting).catch((error) => {
      // A session of the other store is no new one, and only an open can take it.
      if (error.code === 'NOT_FOUND' && isStrict && this.#legacy !== undefined)
        return openProfileAt({ ...adopting, onMissing: 'create', mayCreate: false })
      // whatsapp-web.js pairs again after a logout, and shows that it does; `onMissing: 'error'` forbids it.
      if (error.code !== 'DELETED' || isStrict) throw error
      return openNew()
    })
  }

  /** Takes over the profile of LocalAuth, or the session in the other store; answers whether there was one. */
  async #adopt(path, signal) {
    if (await adopt(this.#localAuth, path)) return true
    if (this.#legacy === undefined) return false
    return adoptLegacy(this.#legacy, { names: [this.#folder, join(this.#dataPath, this.#folder)], to: path, signal })
  }

  #keep(profile) {
    this.#profile = profile
    this.#isLoggedOut = false
    this.#state = null
    profile.on('fenced', () => void this.#fenced(profile))
    profile.on('backup', () => {
      if (!this.#tellsSaved || profile !== this.#profile) return
      this.#tellsSaved = false
      this.#tell('remote_session_saved')
    })
  }

  #attach() {
    this.#profile?.attach({ pid: this.#browser.pid })
  }

  /** The session that follows a logout while the browser keeps running: its profile stays where it is. */
  async #continueInBrowser() {
    if (this.#profile !== null || this.#isFenced) return
    try {
      await this.#open({ browser: { pid: this.#browser.pid } })
    } catch (error) {
      this.#reports.failed('the session after a logout could not be opened', error)
    }
  }

  async #logout() {
    const profile = this.#profile
    if (profile === null) return
    this.#needsPairing = true
    try {
      // A folder goes when its browser has left it.
      if (isRunning(this.#browser)) this.#attach()
      await profile.logout()
    } catch (error) {
      // A newer owner decides what its session is; one that is deleted is what was asked for.
      if (error.code === 'FENCED') return
      if (error.code !== 'DELETED' && error.code !== 'CLOSED') throw error
    }
    this.#isLoggedOut = true
    this.#profile = null
  }

  /** The store took a logout that had failed; a browser that runs on may have paired another session meanwhile. */
  #loggedOutLater() {
    this.#isLoggedOut = true
    this.#profile = null
    if (isRunning(this.#browser) && !this.#needsPairing) void this.afterAuthReady()
  }

  async #end() {
    await this.#opening?.done
    const profile = this.#profile
    this.#tellsSaved = false
    if (profile === null) return
    try {
      // Puppeteer waits for the end of a browser, but not of one that it lost.
      if (isRunning(this.#browser) && !this.#needsPairing) this.#attach()
      // A profile that waits for its QR code, or for its deletion, has no session to back up.
      await profile.close(this.#needsPairing ? { backup: false } : {})
      if (profile.status().life === 'deleted') this.#isLoggedOut = true
    } catch (error) {
      if (error.code !== 'FENCED') this.#reports.failed('the last state is not in the store', error)
    }
    this.#profile = null
    this.#needsPairing = false
  }

  /** A newer instance owns the session: the browser goes at once, and everything else stays. */
  async #fenced(profile) {
    if (profile !== this.#profile) return
    this.#isFenced = true
    kill(this.#browser)
    try {
      await this.client.destroy?.()
    } catch (error) {
      this.#reports.failed('the client did not end', error)
    }
    await this.destroy()
    this.#reports.fenced()
    this.#tell('disconnected', 'FENCED')
  }

  /** Emits an event of the client. An exception of a listener is reported, since no caller hears it. */
  #tell(event, ...details) {
    try {
      this.client.emit?.(event, ...details)
    } catch (error) {
      this.#reports.threw(event, error)
    }
  }
}

module.exports = { HybridAuth }
