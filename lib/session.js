'use strict'

// Opening a session, and what the caller gets: `state`, `saveCreds` and the life around them.
//
// Invariants: `state.creds` is one object from open to close, and `saveCreds` serialises what it is at the call. Nothing is
// installed on `process`, and nothing keeps it alive but a promise somebody waits for. A session that could not be opened
// completely is closed again: no ownership is left behind.

const { EventEmitter } = require('node:events')
const { createBatch, walk } = require('./batch.js')
const { resolveBaileys } = require('./baileys.js')
const { createCodec } = require('./codec.js')
const { HybridAuthError, settle } = require('./errors.js')
const { prepareImport, settleLeftovers } = require('./import.js')
const { ask, call, createKeys } = require('./keys.js')
const { writeMultiFile } = require('./multi-file.js')
const { loadBinding } = require('./native.js')
const { resolveOptions } = require('./options.js')
const { pruneKeys } = require('./prune-keys.js')
const { describe } = require('./status.js')
const { turn } = require('./turn.js')

const EVENTS = ['backup', 'restored', 'degraded', 'recovered', 'fenced', 'repaired', 'error']

/** Codes of a session that has ended. */
const ENDED = ['FENCED', 'CLOSED', 'DELETED', 'LEASE_LOST']

/** The level at which an event is logged. */
const LEVELS = { backup: 'debug', restored: 'info', degraded: 'warn', recovered: 'info', fenced: 'warn', repaired: 'warn', error: 'error' }

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

/** The logger of one session: a child, as pino has them, says in each line what it is about. Any other is taken as it is. */
function sessionLogger(logger, tenantId) {
  return typeof logger?.child === 'function' ? logger.child({ class: 'hybrid-auth', tenantId }) : logger
}

/** Tells listeners and the logger. An `error` that nobody listens to is logged and never thrown. */
function createNews(logger) {
  const emitter = new EventEmitter()
  return {
    emitter,
    tell(news) {
      const { event, ...details } = news
      logger?.[LEVELS[event]]?.(news, `session ${event}`)
      if (emitter.listenerCount(event) === 0) return
      const cause = details.code === undefined ? details : new HybridAuthError(details.code, details.message)
      emitter.emit(event, cause)
    }
  }
}

/** What a change of the credentials must not wait for: who we are, and what the phone knows us by. */
const identityOf = (creds) =>
  JSON.stringify([creds.registered, creds.me?.id, creds.me?.lid, creds.registrationId, creds.advSecretKey, creds.myAppStateKeyId])

function readCreds(binding, handle, batch) {
  return ask(binding, handle, batch.encodeCredsKey(), (buffer, length) => batch.decodeAnswer(['creds'], null, buffer, length).creds)
}

/** `inner` is what the core is told beside the options. */
async function openSession(tenantId, options = {}, inner = {}) {
  const resolved = resolveOptions(tenantId, options)
  const baileys = await resolveBaileys(options)
  const binding = loadBinding()
  const batch = createBatch(createCodec(baileys.BufferJSON))
  const folder = call(binding.folder, resolved.directory, tenantId)
  const logger = sessionLogger(resolved.logger, tenantId)
  const news = createNews(logger)
  /** With nothing, the core asks whether everything was told that it told before. */
  const hear = (text) => {
    if (text === '') return catchUp()
    const told = JSON.parse(text)
    // What the open itself found is for listeners that are added right after it.
    if (early === null) news.tell(told)
    else early.push(told)
  }
  let early = []
  const catchUp = () => {
    const told = early ?? []
    early = null
    told.forEach(news.tell)
  }

  return serially(folder, async () => {
    const found = await prepareImport({ directory: resolved.directory, tenantId, folder, batch })
    const json = JSON.stringify({ ...resolved.native, ...inner })
    const opened = await binding.open(json, resolved.keys, found?.seed ?? null, hear)
    setImmediate(catchUp).unref()
    const { handle, restored, shared } = JSON.parse(settle(opened))
    try {
      const stored = readCreds(binding, handle, batch)
      if (found !== null) {
        const imported = restored.source === 'imported' && !shared
        await (imported ? found.finish() : settleLeftovers(found, stored, batch, { mayMove: !resolved.cloud }))
      }
      if (found?.leftOut && restored.source === 'imported' && !shared) {
        setImmediate(() => news.tell({ event: 'error', code: 'LOCAL_CORRUPT', message: found.leftOut })).unref()
      }
      const creds = stored ?? baileys.initAuthCreds()
      return createSession({ binding, handle, batch, baileys, creds, news, logger, resolved, restored, isNew: stored === null })
    } catch (error) {
      await binding.close(handle, resolved.closeTimeoutMs)
      throw error
    }
  })
}

/** Whether the stored credentials are still those that this open loaded or saved last. */
function lastSeen(binding, handle, batch) {
  const look = (use) => ask(binding, handle, batch.encodeCredsKey(), (buffer, length) => use(buffer.subarray(0, length)))
  let last = look(Buffer.from)
  return {
    now: () => {
      last = look(Buffer.from)
    },
    isCurrent: () => look((stored) => last.equals(stored))
  }
}

function createSession({ binding, handle, batch, baileys, creds, news, logger, resolved, restored, isNew }) {
  const { awaitSync, closeTimeoutMs, flushTimeoutMs } = resolved
  let savedIdentity = isNew ? null : identityOf(creds)
  const seen = lastSeen(binding, handle, batch)

  const capture = {
    /** Not those of an open that has been overtaken: its socket may still finish something while a newer one saves. */
    creds: () => (seen.isCurrent() ? creds : undefined),
    done: () => seen.now()
  }
  const reviveAppStateSyncKey = baileys.appStateSyncKeyFromObject

  /** What was appended is done, or waits for the disk or the store. */
  async function settled(lsn) {
    if (awaitSync) return void settle(await binding.synced(handle, lsn, flushTimeoutMs))
    const others = turn()
    if (others !== undefined) await others
  }

  const keys = createKeys({ binding, handle, batch, capture, reviveAppStateSyncKey, settled })

  async function save() {
    const { buffer, length } = batch.encodeCreds(creds)
    const identity = identityOf(creds)
    const lsn = call(binding.append, handle, buffer, length, identity !== savedIdentity)
    savedIdentity = identity
    seen.now()
    await settled(lsn)
  }

  /**
   * Usually a listener of `creds.update`, which nobody waits for: a failure must not end the process and its other sessions. It
   * is told here, and whoever does wait has it as well.
   */
  function saveCreds() {
    const saved = save()
    saved.catch(({ code, message }) => {
      // That the session has ended was told when it did.
      if (!ENDED.includes(code)) news.tell({ event: 'error', code, message })
    })
    return saved
  }

  async function flush({ timeoutMs = flushTimeoutMs } = {}) {
    settle(await binding.flush(handle, timeoutMs))
  }

  function close({ timeoutMs = closeTimeoutMs } = {}) {
    const closed = binding.close(handle, timeoutMs).then((outcome) => void settle(outcome))
    // Called from a listener of `fenced`, as is usual, nobody waits for it.
    closed.catch((error) => logger?.warn({ code: error.code }, 'session closed with a remainder'))
    return closed
  }

  async function destroy() {
    settle(await binding.destroy(handle))
  }

  function on(event, listener) {
    if (!EVENTS.includes(event)) throw new HybridAuthError('INVALID_OPTION', `there is no event "${event}"; there are ${EVENTS.join(', ')}`)
    news.emitter.on(event, listener)
    return session
  }

  function off(event, listener) {
    news.emitter.off(event, listener)
    return session
  }

  async function exportMultiFile(folder, { overwrite = false } = {}) {
    if (typeof folder !== 'string' || folder === '') throw new HybridAuthError('INVALID_OPTION', 'exportMultiFile takes the path of a folder')
    const entries = batch.readEntries(call(binding.entries, handle, null))
    return writeMultiFile(folder, { entries }, { BufferJSON: baileys.BufferJSON, overwrite })
  }

  /** What pruning looks at and writes to; see `lib/prune-keys.js`. */
  const pruned = {
    sizes: (type) => Array.from(walk(call(binding.entries, handle, type)), ({ id, bytes }) => [id, bytes]),
    *entries(type) {
      const buffer = call(binding.entries, handle, type)
      const sizes = walk(buffer)
      for (const { id, value } of batch.readEntries(buffer)) yield [id, value, sizes.next().value.bytes]
    },
    *some(type, ids) {
      for (const id of ids) {
        const request = batch.encodeKeys(type, [id])
        const found = ask(binding, handle, request, (buffer, length) => [batch.decodeAnswer([id], request.possible, buffer, length)[id], length])
        // The request has the key with its length, and the answer the value with its own.
        if (found[0] !== null) yield [id, found[0], request.length + found[1]]
      }
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
    pruneKeys: async (options) => pruneKeys(pruned, () => [creds, readCreds(binding, handle, batch)], options),
    status: () => describe(JSON.parse(call(binding.status, handle))),
    on,
    off
  }
  // A listener added right after the open still hears where the session came from.
  if (restored.source === 'remote') setImmediate(() => news.tell({ event: 'restored', ...restored })).unref()
  return session
}

module.exports = { openSession, serially }
