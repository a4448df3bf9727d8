'use strict'

// The session of a browser profile: generations in the store, under one owner.
//
// Invariants: one open per profile and process, since a backup and the removal of what it replaces must not meet another one; a
// promise of `store` resolves only when every machine with the keys can restore that generation.

const { join, resolve } = require('node:path')
const { ownFields, refuse } = require('../checks.js')
const { HybridAuthError, settle, withTypedErrors } = require('../errors.js')
const { countFresh } = require('../session/fresh.js')
const { call: callCore } = require('../core.js')
const { Life } = require('../session/life.js')
const { loadBinding } = require('../native.js')
const { News, hearing, sessionLogger } = require('../session/news.js')
const { explained } = require('../session/refusals.js')
const { begin } = require('../session/opening.js')
const { resolveOptions } = require('../config/options.js')
const { limitOf } = require('../session/session.js')
const { describe } = require('../session/status.js')

/** Options of a session that mean nothing for a profile. */
const FOREIGN = ['importFrom', 'directory', 'baileys', 'BufferJSON', 'initAuthCreds']

/** The folder beside the profiles that holds logs, markers and scratch folders. */
const homeOf = (dataPath) => join(dataPath, '.bha')

/** The options of the engine for a profile whose folder lies in `dataPath`. */
function resolveProfile(tenantId, { dataPath, ...options }) {
  const wrong = FOREIGN.find((name) => options[name] !== undefined)
  if (wrong !== undefined) refuse(`\`${wrong}\` does not apply to a browser profile`)
  if (options.mode !== undefined && options.mode !== 'hybrid')
    refuse("a browser profile is on the disk and in a store: leave `mode` out, or set it to 'hybrid'")
  return resolveOptions(tenantId, { ...options, mode: 'hybrid', directory: homeOf(resolve(dataPath)) })
}

/**
 * Opens the session of a profile.
 * @param {string} tenantId
 * @param {any} options `dataPath`, and the options of a session
 */
async function openProfileSession(tenantId, options) {
  const resolved = resolveProfile(tenantId, ownFields(options))
  const { session } = begin(tenantId, resolved.signal, (entry, check) => openResolved({ tenantId, resolved, entry, check }))
  return session
}

/** News of a profile: a generation is told of as a backup, and not each object of the engine. */
class ProfileNews extends News {
  hear(told) {
    if (told?.event !== 'backup') super.hear(told)
  }
}

async function openResolved({ tenantId, resolved, entry, check }) {
  const binding = loadBinding()
  const logger = sessionLogger(resolved.logger, tenantId)
  const news = new ProfileNews({ logger, tenantId, onEvent: resolved.onEvent })
  news.first = ({ event, ...details }) => {
    if (event === 'waiting') entry.waiting = details
  }
  const began = performance.now()
  news.tell({ event: 'opening' })
  const opened = await binding.open(JSON.stringify({ ...resolved.native, profile: true }), resolved.keys, null, hearing(news))
  setImmediate(() => news.catchUp()).unref()
  const { handle, restored, shared } = settle(await explained(opened, resolved.native))
  try {
    check()
    if (shared) throw new HybridAuthError('ALREADY_OPEN', 'this process has this profile open already: use that one')
    setImmediate(() => news.tell({ event: 'opened', ...restored, shared, tookMs: Math.round(performance.now() - began) })).unref()
    return new ProfileSession({ binding, handle, tenantId, resolved, restored, news, logger })
  } catch (error) {
    await binding.close(handle, resolved.closeTimeoutMs)
    throw error
  }
}

/** One open of a profile, as `profile.js` and the tools use it. */
class ProfileSession {
  /** @type {typeof import('../../binding.js')} */
  #binding
  #handle
  #life
  #refreshMs
  /** Path of the note that the folder in use holds the newest generation, and that of the scratch folder. */
  #marker
  #scratch
  /** @type {(() => void) | undefined} */
  #onFenced

  /** @param {any} parts */
  constructor({ binding, handle, tenantId, resolved, restored, news, logger }) {
    const folder = callCore(binding.folder, resolved.directory, tenantId)
    this.#binding = binding
    this.#handle = handle
    this.#life = new Life(() => describe(callCore(binding.status, handle)))
    this.#refreshMs = resolved.native.refreshIntervalMs
    this.#marker = `${folder}.holds.json`
    this.#scratch = `${folder}.scratch`
    this.tenantId = tenantId
    this.restored = restored
    this.logger = logger
    this.news = news
    /** True if a profile that exists nowhere may be made. */
    this.mayCreate = resolved.native.create
    this.limits = { close: resolved.closeTimeoutMs, flush: resolved.flushTimeoutMs }
    news.first = ({ event }) => event === 'fenced' && this.#fenced()
  }

  #fenced() {
    this.#life.fenced()
    this.#onFenced?.()
  }

  /** Calls `listener` before anybody else hears that a newer owner is there. */
  whenFenced(listener) {
    this.#onFenced = listener
  }

  /** The generations that are kept, oldest first, with the packs that they need. */
  generations() {
    return this.#life.call(this.#binding.profileGenerations, this.#handle)
  }

  /** The newest generation; null before the first. */
  generation() {
    return this.generations().generations.at(-1) ?? null
  }

  /** True if the folder in use holds the newest generation, or what followed it. */
  isHeld() {
    return this.#life.call(this.#binding.profileIsHeld, this.#handle, this.#marker)
  }

  /** Marks the folder in use as one that holds the newest generation. */
  hold() {
    return this.#life.call(this.#binding.profileHold, this.#handle, this.#marker)
  }

  /** Marks the folder in use as one that holds nothing of the session. */
  forget() {
    return this.#life.call(this.#binding.profileForget, this.#marker)
  }

  /**
   * Backs the profile in `directory` up.
   * @param {string} directory
   * @param {{ pid?: number, running?: boolean, generations?: number, extraPaths?: string[], audit?: boolean, timeoutMs?: number, isInUse?: boolean }} [how]
   */
  async store(directory, how = {}) {
    const began = performance.now()
    const order = JSON.stringify(this.#orderOf(resolve(directory), how))
    const report = this.#life.settle(await this.#binding.profileStore(this.#handle, order))
    return { ...report, tookMs: Math.round(performance.now() - began) }
  }

  #orderOf(
    directory,
    { pid = null, running = false, generations = 5, extraPaths = [], audit = false, timeoutMs = this.limits.flush, isInUse = false }
  ) {
    return {
      directory,
      scratch: this.#scratch,
      pid,
      isRunning: running,
      extra: extraPaths,
      generations,
      // A folder that is only read from holds nothing that an open could go on with.
      marker: isInUse ? this.#marker : null,
      audit,
      refreshMs: this.#refreshMs,
      timeoutMs
    }
  }

  /** Restores a generation, or the newest one, to `directory`, which must not exist. */
  async restoreTo(directory, { generation } = /** @type {{ generation?: number }} */ ({})) {
    if (generation !== undefined && !(Number.isSafeInteger(generation) && generation > 0))
      refuse('`generation` must be the number of a generation')
    return this.#life.settle(await this.#binding.profileRestore(this.#handle, resolve(directory), generation ?? null))
  }

  /** Truncates the logs of a profile whose browser was killed behind their last whole records: the next one would write behind the rest. */
  async truncateLogs(directory) {
    const logs = settle(await this.#binding.profileTruncateLogs(resolve(directory)))
    if (logs > 0) this.logger?.info({ logs }, 'torn ends of databases were cut off: the last browser was killed')
  }

  /** Seals the newest generation anew under the primary key. */
  async reseal({ timeoutMs = this.limits.flush } = {}) {
    this.#life.settle(await this.#binding.profileReseal(this.#handle, timeoutMs))
  }

  status() {
    return this.#life.status()
  }

  on(event, listener) {
    this.news.on(event, listener)
    return this
  }

  off(event, listener) {
    this.news.off(event, listener)
    return this
  }

  /** Stores the rest and releases ownership. */
  async close(how) {
    const timeoutMs = limitOf(how, '`close`', this.limits.close)
    await this.#life.end(async () => settle(await this.#binding.close(this.#handle, timeoutMs)), 'closing', 'closed')
  }

  /** Deletes the session for good: tombstone, then data, then the local log. */
  async delete() {
    await this.#life.end(async () => settle(await this.#binding.destroy(this.#handle)), undefined, 'deleted')
  }

  /** Tells that a profile without a backup was opened: it needs pairing. */
  tellFresh(reason) {
    countFresh(reason)
    this.news.tellSoon({
      event: 'fresh',
      reason,
      message: 'a new browser profile, which needs pairing: there was no session in the store and no profile on the disk'
    })
  }
}

withTypedErrors(ProfileSession.prototype, [
  'store',
  'restoreTo',
  'truncateLogs',
  'reseal',
  'close',
  'delete',
  'status',
  'generations',
  'generation',
  'isHeld',
  'on',
  'off'
])

const { openProfileSession: open } = withTypedErrors({ openProfileSession })

module.exports = { FOREIGN, openProfileSession: open, homeOf, resolveProfile }
