'use strict'

// Opening a session, and its object for the caller: `state`, `saveCreds` and the life around them.
//
// Invariants: `state.creds` is one object from open to close, and `saveCreds` serialises what it is at the call. Nothing is
// installed on `process`, and nothing keeps it alive but a promise somebody waits for. A session that could not be opened
// completely is closed again: no ownership is left behind.

const { createBatch, walkIndex } = require('../codec/batch.js')
const { resolveBaileys } = require('../baileys.js')
const { fieldsOf, isSignal, limit, wholeLimit } = require('../checks.js')
const { createCodec } = require('../codec/values.js')
const { ask, call: callCore } = require('../core.js')
const { HybridAuthError, rethrow, settle, withTypedErrors } = require('../errors.js')
const { claimIfFree } = require('./free.js')
const { freshSession } = require('./fresh.js')
const { prepareImport, settleLeftovers, takeIn } = require('../multi-file/import.js')
const { createKeys } = require('./keys.js')
const { createLife } = require('./life.js')
const { openOrRefuse, refuseMissed } = require('./missed.js')
const { writeMultiFile } = require('../multi-file/write.js')
const { loadBinding } = require('../native.js')
const { createNews, hearing, sessionLogger } = require('./news.js')
const { begin } = require('./opening.js')
const { createOwnCreds } = require('./own-creds.js')
const { resolveOptions } = require('../config/options.js')
const { removeOriginals } = require('../multi-file/originals.js')
const { isProfileTenant } = require('../profile-tenants.js')
const { explained, explainedPlace } = require('./refusals.js')
const { textOf } = require('../outside.js')
const { pruneKeys } = require('./prune-keys.js')
const removals = require('./removed.js')
const { FAULTY, describe } = require('./status.js')
const { turn } = require('../turn.js')

/** Codes of a session that has ended. */
const ENDED = ['FENCED', 'CLOSED', 'DELETED', 'LEASE_LOST']

/** One open of a folder at a time: an import moves files that the next open looks at. */
const opening = new Map()

async function serially(folder, work) {
  const before = opening.get(folder)
  const turn = (async () => {
    await before?.catch(() => {})
    return work()
  })()
  opening.set(folder, turn)
  try {
    return await turn
  } finally {
    if (opening.get(folder) === turn) opening.delete(folder)
  }
}

/** Opens without references give their handle back, so that code that opens anew for each socket need not close. */
const unreachable = new FinalizationRegistry((giveBack) => giveBack())

/** Closer of an open that nobody can reach. It must not hold the object that it is registered for. */
function giverBack({ binding, handle, logger, timeoutMs }) {
  return async () => {
    logger?.debug({}, 'session closed: no longer referenced')
    const { code, message } = await binding.close(handle, timeoutMs)
    if (code) logger?.warn({ code, message }, 'session closed with unsent writes')
  }
}

/** Fields of the credentials of which a change must not wait: identity, and what the phone knows us by. */
const identityOf = (creds) =>
  JSON.stringify([creds.registered, creds.me?.id, creds.me?.lid, creds.registrationId, creds.advSecretKey, creds.myAppStateKeyId])

function newCreds({ initAuthCreds }) {
  try {
    return initAuthCreds()
  } catch (error) {
    if (error instanceof HybridAuthError) throw error
    throw new HybridAuthError('INVALID_OPTION', `\`initAuthCreds\` threw: ${textOf(error)}`, error)
  }
}

function readCreds(binding, handle, batch, through) {
  return ask(binding, handle, batch.encodeCredsKey(), (buffer, length) => batch.decodeAnswer(['creds'], null, buffer, length).creds, through)
}

/**
 * Ends a session without a store with its folder, as one of `useMultiFileAuthState` ends: one that is open here still is
 * deleted, so that it does not write itself again. True where it was, and is to be opened anew.
 */
async function endsWithFolder(binding, opened, { native, directory }) {
  if (opened.code || native.store !== null || !native.create) return false
  const { handle, shared } = JSON.parse(opened.value)
  if (!shared || !(await removals.isThere(directory))) return false
  settle(await binding.destroy(handle))
  return true
}

/**
 * `inner` is what the core is told beside the options; `began(over)` is called with a promise for the moment at which nothing of this
 * open is under way any more but, at best, a session.
 * @param {string} tenantId
 * @param {any} [options]
 * @param {object} [inner]
 * @param {(over: Promise<void>) => void} [began]
 */
async function openSession(tenantId, options = {}, inner = {}, began = () => {}) {
  const resolved = resolveOptions(tenantId, options)
  if (isProfileTenant(tenantId) && Object.keys(inner).length === 0) {
    throw new HybridAuthError('INVALID_OPTION', 'tenant ids that begin with `whatsapp-web.js/` or `browser-profile/` are those of browser profiles: use `HybridAuth` or `openProfile`')
  }
  const { session, over } = begin(tenantId, resolved.signal, (entry, check) => openResolved({ tenantId, options, resolved, inner, entry, check }))
  began(over)
  return session
}

async function openResolved({ tenantId, options, resolved, inner, entry, check }) {
  // The tools of a fleet look at a session, and make no identity.
  const isTool = Object.keys(inner).length > 0
  const baileys = await resolveBaileys(options)
  const binding = loadBinding()
  const batch = createBatch(createCodec(baileys.BufferJSON))
  const folder = callCore(binding.folder, resolved.directory, tenantId)
  const logger = sessionLogger(resolved.logger, tenantId)
  const news = createNews({ logger, tenantId, onEvent: resolved.onEvent })
  news.first = ({ event, ...details }) => {
    if (event === 'waiting') entry.waiting = details
  }
  const began = performance.now()
  news.tell({ event: 'opening' })

  return serially(folder, async () => {
    check()
    if (resolved.ifFree) inner = { ...inner, ...(await claimIfFree({ tenantId, resolved, folder })) }
    const place = { directory: resolved.directory, tenantId, folder }
    const prepared = await prepareImport({ ...place, batch, importFrom: resolved.importFrom }).catch((error) => {
      throw explainedPlace(error, resolved.native)
    })
    const found = prepared?.seed ? prepared : null
    const wasRemoved = !resolved.cloud && (await removals.wasRemoved(folder))
    const open = async (words) => {
      const json = JSON.stringify({ ...resolved.native, ...words, ...inner })
      const once = () => binding.open(json, resolved.keys, found?.seed ?? null, hearing(news))
      const opened = await once()
      return wasRemoved && (await endsWithFolder(binding, opened, resolved)) ? once() : opened
    }
    const opened = await openOrRefuse(open, { place, prepared, resolved, isTool })
    setImmediate(news.catchUp).unref()
    const { handle, restored, shared } = JSON.parse(settle(await explained(opened, resolved.native)))
    try {
      check()
      let stored = readCreds(binding, handle, batch)
      let origin = {}
      // It was never paired.
      const isBlank = stored === null && !shared && !isTool && JSON.parse(callCore(binding.status, handle)).keys === 0
      if (isBlank && prepared === null && resolved.mayMiss && restored.source !== 'fresh') await refuseMissed(place)
      if (isBlank && found !== null) {
        await takeIn(binding, handle, found.seed, resolved)
        await found.finish({ wholly: true })
        stored = readCreds(binding, handle, batch)
        restored.source = 'imported'
        origin = { restored }
      } else if (found !== null) {
        const imported = restored.source === 'imported' && !shared
        await (imported ? found.finish({ wholly: true }) : settleLeftovers(found, stored, batch, { mayMove: !resolved.cloud }))
      }
      if (found?.leftOut && restored.source === 'imported' && !shared) {
        setImmediate(() => news.tell({ event: 'error', code: 'LOCAL_CORRUPT', message: found.leftOut })).unref()
      }
      const creds = stored ?? newCreds(baileys)
      if (stored === null && !shared && !isTool) {
        news.tellSoon(freshSession({ resolved, removed: wasRemoved, isBlank }))
      } else if (wasRemoved) news.tellSoon(removals.COMES_BACK)
      if (!resolved.cloud) removals.remember(folder)
      const life = createLife(() => ({ ...statusOf(binding, handle, resolved), ...origin }))
      news.first = ({ event }) => event === 'fenced' && life.fenced()
      const told = { event: 'opened', ...restored, shared, tookMs: Math.round(performance.now() - began) }
      setImmediate(() => news.tell(told)).unref()
      const places = resolved.cloud ? null : { directory: resolved.directory, tenantId, folder }
      return createSession({ binding, handle, batch, baileys, creds, news, logger, resolved, restored, life, places, isNew: stored === null })
    } catch (error) {
      await binding.close(handle, resolved.closeTimeoutMs)
      throw error
    }
  })
}

/** The limit of time that a call is given. What `process.on('SIGTERM', close)` gives is none. */
function limitOf(how, call, fallback) {
  const { timeoutMs } = fieldsOf(isSignal(how) ? undefined : how, call, 'timeoutMs')
  const ms = limit({ value: timeoutMs, from: '`timeoutMs`' }, fallback, { isWhole: false })
  return ms === undefined ? undefined : wholeLimit(ms)
}

/** A session that a fault put out of use has a status all the same. */
function statusOf(binding, handle, { native, cloud }) {
  try {
    return describe(JSON.parse(callCore(binding.status, handle)))
  } catch (error) {
    if (error.code !== 'INTERNAL') throw error
    return describe({ ...FAULTY, mode: cloud ? 'cloud' : native.store === null ? 'local' : 'hybrid' })
  }
}

function createSession({ binding, handle, batch, baileys, creds, news, logger, resolved, restored, life, places, isNew }) {
  const { call, settle } = life
  const { awaitSync, closeTimeoutMs, flushTimeoutMs } = resolved
  let savedIdentity = isNew ? null : identityOf(creds)
  const look = (use) => ask(binding, handle, batch.encodeCredsKey(), (buffer, length) => use(buffer.subarray(0, length)))
  const own = createOwnCreds(look, batch, creds)
  const capture = { creds: () => call(own.toSave), done: own.saved }

  // All that is given out holds it: a part is enough to hold the session.
  const held = {}
  unreachable.register(held, giverBack({ binding, handle, logger, timeoutMs: closeTimeoutMs }), held)
  const reviveAppStateSyncKey = baileys.appStateSyncKeyFromObject

  /** Resolves once an appended batch may resolve: at once, with the disk, or with the store. */
  async function settled(lsn) {
    if (awaitSync) return void settle(await binding.synced(handle, lsn, flushTimeoutMs))
    const others = turn()
    if (others !== undefined) await others
  }

  const keys = createKeys({ binding, call, handle, batch, capture, reviveAppStateSyncKey, settled })

  async function save() {
    const saving = call(own.toSave)
    const { buffer, length } = batch.encodeCreds(saving)
    const identity = identityOf(creds)
    const lsn = call(binding.append, handle, buffer, length, identity !== savedIdentity)
    savedIdentity = identity
    own.saved(saving)
    await settled(lsn)
  }

  /**
   * Usually a listener of `creds.update`, which nobody waits for: a failure must not end the process and its other sessions. It
   * is reported here, and to a caller that does wait as well.
   */
  function saveCreds() {
    const saved = save().catch(rethrow)
    saved.catch(({ code, message }) => {
      // That the session has ended was told when it did.
      if (!ENDED.includes(code)) news.tell({ event: 'error', code, message })
    })
    return saved
  }

  async function flush(how) {
    settle(await binding.flush(handle, limitOf(how, '`flush`', flushTimeoutMs)))
  }

  async function end(how) {
    const timeoutMs = limitOf(how, '`close`', closeTimeoutMs)
    unreachable.unregister(held)
    await life.end(async () => settle(await binding.close(handle, timeoutMs)), 'closing', 'closed')
  }

  function close(how) {
    const closed = end(how).catch(rethrow)
    // Called from a listener of `fenced`, as is usual, nobody waits for it.
    closed.catch(({ code, message }) => logger?.warn({ code, message }, code === 'INVALID_OPTION' ? 'session not closed' : 'session closed with unsent writes'))
    return closed
  }

  async function destroy() {
    const work = async () => settle(await binding.destroy(handle))
    await life.end(work, undefined, 'deleted')
    unreachable.unregister(held)
    if (places !== null) removals.forget(places.folder)
    if (places !== null) await removeOriginals(places).catch(({ code, message }) => news.tell({ event: 'error', code, message }))
  }

  function on(event, listener) {
    news.on(event, listener)
    return session
  }

  function off(event, listener) {
    news.off(event, listener)
    return session
  }

  async function exportMultiFile(folder, { overwrite = false } = {}) {
    if (typeof folder !== 'string' || folder === '') throw new HybridAuthError('INVALID_OPTION', 'exportMultiFile takes the path of a folder')
    const entries = batch.readEntries(call(binding.entries, handle, null))
    return writeMultiFile(folder, { entries }, { BufferJSON: baileys.BufferJSON, overwrite, directory: places?.directory ?? null })
  }

  /** Access of pruning to the keys; see `lib/session/prune-keys.js`. */
  const pruned = {
    *index(type) {
      for (const { id, bytes } of walkIndex(call(binding.index, handle, type))) yield [id, bytes]
    },
    read(type, id) {
      const request = batch.encodeKeys(type, [id])
      const [value, length] = ask(binding, handle, request, (buffer, length) => [batch.decodeAnswer([id], request.possible, buffer, length)[id], length], call)
      // The request has the key with its length, and the answer the value with its own.
      return value === null ? null : { value, bytes: request.length + length }
    },
    sizeOf: (type, id, value) => batch.encodeSet({ [type]: { [id]: value } }).length,
    append(data) {
      const { buffer, length } = batch.encodeSet(data)
      return call(binding.append, handle, buffer, length, false)
    },
    settled: async (lsn) => {
      await settled(lsn)
    }
  }

  const session = {
    state: { creds, keys },
    saveCreds,
    flush,
    close,
    delete: destroy,
    exportMultiFile,
    pruneKeys: async (options) => pruneKeys(pruned, () => [creds, readCreds(binding, handle, batch, call)], options),
    status: () => life.status(),
    on,
    off
  }
  if (Symbol.asyncDispose !== undefined) session[Symbol.asyncDispose] = () => session.close()
  withTypedErrors(session, ['flush', 'delete', 'exportMultiFile', 'pruneKeys', 'status', 'on', 'off'])
  // A listener added right after the open still hears where the session came from.
  if (restored.source === 'remote') setImmediate(() => news.tell({ event: 'restored', ...restored })).unref()
  return session
}

const { openSession: open } = withTypedErrors({ openSession })

module.exports = { openSession: open, limitOf, serially }
