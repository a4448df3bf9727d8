'use strict'

// The session of a browser profile: generations in the store, under one owner.
//
// Invariants: one open per profile and process, since a backup and the removal of what it replaces must not meet another one; a
// promise of `store` resolves only when every machine with the keys can restore that generation.

const { join, resolve } = require('node:path')
const { ownFields } = require('../checks.js')
const { HybridAuthError, settle, withTypedErrors } = require('../errors.js')
const { countFresh } = require('../session/fresh.js')
const { call: callCore } = require('../core.js')
const { createLife } = require('../session/life.js')
const { loadBinding } = require('../native.js')
const { createNews, hearing, sessionLogger } = require('../session/news.js')
const { explained } = require('../session/refusals.js')
const { begin } = require('../session/opening.js')
const { resolveOptions } = require('../config/options.js')
const { limitOf } = require('../session/session.js')
const { describe } = require('../session/status.js')

/** Options of a session that mean nothing for a profile. */
const FOREIGN = ['importFrom', 'directory', 'baileys', 'BufferJSON', 'initAuthCreds']

/** The folder beside the profiles that holds logs, markers and scratch folders. */
const homeOf = (dataPath) => join(dataPath, '.bha')

function refuse(message) {
  throw new HybridAuthError('INVALID_OPTION', message)
}

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

async function openResolved({ tenantId, resolved, entry, check }) {
  const binding = loadBinding()
  const logger = sessionLogger(resolved.logger, tenantId)
  const news = createNews({ logger, tenantId, onEvent: resolved.onEvent })
  const hear = news.hear
  // A generation is what is told of as a backup, and not each object of the engine.
  news.hear = (told) => (told?.event === 'backup' ? undefined : hear(told))
  news.first = ({ event, ...details }) => {
    if (event === 'waiting') entry.waiting = details
  }
  const began = performance.now()
  news.tell({ event: 'opening' })
  const opened = await binding.open(JSON.stringify({ ...resolved.native, profile: true }), resolved.keys, null, hearing(news))
  setImmediate(news.catchUp).unref()
  const { handle, restored, shared } = settle(await explained(opened, resolved.native))
  try {
    check()
    if (shared) throw new HybridAuthError('ALREADY_OPEN', 'this process has this profile open already: use that one')
    setImmediate(() => news.tell({ event: 'opened', ...restored, shared, tookMs: Math.round(performance.now() - began) })).unref()
    return createProfileSession({ binding, handle, tenantId, resolved, restored, news, logger })
  } catch (error) {
    await binding.close(handle, resolved.closeTimeoutMs)
    throw error
  }
}

function createProfileSession({ binding, handle, tenantId, resolved, restored, news, logger }) {
  const home = resolved.directory
  const folder = callCore(binding.folder, home, tenantId)
  const [marker, scratch] = [`${folder}.holds.json`, `${folder}.scratch`]
  const status = () => describe(callCore(binding.status, handle))
  const life = createLife(status)
  /** @type {(() => void) | undefined} */
  let onFenced
  news.first = ({ event }) => {
    if (event !== 'fenced') return
    life.fenced()
    onFenced?.()
  }
  const look = () => life.call(binding.profileGenerations, handle)

  const session = {
    tenantId,
    restored,
    logger,
    news,
    /** True if a profile that exists nowhere may be made. */
    mayCreate: resolved.native.create,
    limits: { close: resolved.closeTimeoutMs, flush: resolved.flushTimeoutMs },

    /** Called before anybody else hears that a newer owner is there. */
    whenFenced(listener) {
      onFenced = listener
    },

    /** The generations that are kept, oldest first, with the packs that they need. */
    generations: look,

    /** True if the folder in use holds the newest generation, or what followed it. */
    isHeld: () => life.call(binding.profileIsHeld, handle, marker),

    /** The newest generation; null before the first. */
    generation: () => look().generations.at(-1) ?? null,

    /**
     * Backs the profile in `directory` up.
     * @param {string} directory
     * @param {{ pid?: number, running?: boolean, generations?: number, extraPaths?: string[], audit?: boolean, timeoutMs?: number, isInUse?: boolean }} [how]
     */
    async store(
      directory,
      { pid, running = false, generations = 5, extraPaths = [], audit = false, timeoutMs = resolved.flushTimeoutMs, isInUse = false } = {}
    ) {
      const began = performance.now()
      const order = {
        directory: resolve(directory),
        scratch,
        pid: pid ?? null,
        isRunning: running,
        extra: extraPaths,
        generations,
        // A folder that is only read from holds nothing that an open could go on with.
        marker: isInUse ? marker : null,
        audit,
        refreshMs: resolved.native.refreshIntervalMs,
        timeoutMs
      }
      const report = life.settle(await binding.profileStore(handle, JSON.stringify(order)))
      return { ...report, tookMs: Math.round(performance.now() - began) }
    },

    /** Restores a generation, or the newest one, to `directory`, which must not exist. */
    async restoreTo(directory, { generation } = /** @type {{ generation?: number }} */ ({})) {
      if (generation !== undefined && !(Number.isSafeInteger(generation) && generation > 0))
        refuse('`generation` must be the number of a generation')
      return life.settle(await binding.profileRestore(handle, resolve(directory), generation ?? null))
    },

    /** Marks the folder in use as one that holds the newest generation, or nothing of the session. */
    hold: () => life.call(binding.profileHold, handle, marker),
    forget: () => life.call(binding.profileForget, marker),

    /** Truncates the logs of a profile whose browser was killed behind their last whole records: the next one would write behind the rest. */
    async truncateLogs(directory) {
      const logs = settle(await binding.profileTruncateLogs(resolve(directory)))
      if (logs > 0) logger?.info({ logs }, 'torn ends of databases were cut off: the last browser was killed')
    },

    /** Seals the newest generation anew under the primary key. */
    async reseal({ timeoutMs = resolved.flushTimeoutMs } = {}) {
      life.settle(await binding.profileReseal(handle, timeoutMs))
    },

    status: () => life.status(),

    on(event, listener) {
      news.on(event, listener)
      return session
    },

    off(event, listener) {
      news.off(event, listener)
      return session
    },

    /** Stores the rest and releases ownership. */
    async close(how) {
      const timeoutMs = limitOf(how, '`close`', resolved.closeTimeoutMs)
      await life.end(async () => settle(await binding.close(handle, timeoutMs)), 'closing', 'closed')
    },

    /** Deletes the session for good: tombstone, then data, then the local log. */
    async delete() {
      await life.end(async () => settle(await binding.destroy(handle)), undefined, 'deleted')
    },

    /** Tells that a profile without a backup was opened: it needs pairing. */
    tellFresh(reason) {
      countFresh(reason)
      news.tellSoon({
        event: 'fresh',
        reason,
        message: 'a new browser profile, which needs pairing: there was no session in the store and no profile on the disk'
      })
    }
  }
  return withTypedErrors(session, [
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
}

const { openProfileSession: open } = withTypedErrors({ openProfileSession })

module.exports = { FOREIGN, openProfileSession: open, homeOf, resolveProfile }
