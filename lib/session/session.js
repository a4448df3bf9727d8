'use strict'

// A session as the caller holds it: `state`, `saveCreds` and the life around them.
//
// Invariants: `state.creds` is one object from open to close, and `saveCreds` serialises what it is at the call. Nothing is
// installed on `process`, and nothing keeps it alive but a promise somebody waits for. The caller gets functions that need no `this`,
// each of which holds the session, as `state.keys` does.

const { fieldsOf, isSignal, limit, wholeLimit } = require('../checks.js')
const { walkIndex } = require('../codec/batch.js')
const { ask } = require('../core.js')
const { HybridAuthError, isFailure, rethrow, withTypedErrors } = require('../errors.js')
const { removeOriginals } = require('../multi-file/originals.js')
const { writeMultiFile } = require('../multi-file/write.js')
const { turn } = require('../turn.js')
const { createKeys } = require('./keys.js')
const { createOwnCreds, readCreds } = require('./own-creds.js')
const { pruneKeys } = require('./prune-keys.js')
const removals = require('./removed.js')

/** Codes of a session that has ended. */
const ENDED = ['FENCED', 'CLOSED', 'DELETED', 'LEASE_LOST']

/** Opens without references give their handle back, so that code that opens anew for each socket need not close. */
const unreachable = new FinalizationRegistry((giveBack) => giveBack())

/**
 * Closer of an open that nobody can reach. It must not hold the object that it is registered for.
 * @param {{ binding: typeof import('../../binding.js'), handle: number, logger: any, timeoutMs: number }} open
 */
function giverBack({ binding, handle, logger, timeoutMs }) {
  return async () => {
    logger?.debug({}, 'session closed: no longer referenced')
    const closed = await binding.close(handle, timeoutMs)
    if (isFailure(closed)) logger?.warn({ code: closed.code, message: closed.message }, 'session closed with unsent writes')
  }
}

/** Fields of the credentials of which a change must not wait: identity, and what the phone knows us by. */
const identityOf = (creds) =>
  JSON.stringify([creds.registered, creds.me?.id, creds.me?.lid, creds.registrationId, creds.advSecretKey, creds.myAppStateKeyId])

/** The limit of time that a call is given. What `process.on('SIGTERM', close)` gives is none. */
function limitOf(how, call, fallback) {
  const { timeoutMs } = fieldsOf(isSignal(how) ? undefined : how, call, 'timeoutMs')
  const ms = limit({ value: timeoutMs, from: '`timeoutMs`' }, fallback, { isWhole: false })
  return ms === undefined ? undefined : wholeLimit(ms)
}

class Session {
  /** @type {typeof import('../../binding.js')} */
  #binding
  #handle
  #batch
  #BufferJSON
  #creds
  #own
  #news
  #logger
  #life
  #limits
  #places
  #savedIdentity

  /**
   * @param {any} parts `places`: where its folder is, and that of an import; null without a disk. `isNew`: its credentials were never stored.
   */
  constructor({ binding, handle, batch, baileys, creds, news, logger, resolved, life, places, isNew }) {
    const { awaitSync, closeTimeoutMs, flushTimeoutMs } = resolved
    this.#binding = binding
    this.#handle = handle
    this.#batch = batch
    this.#BufferJSON = baileys.BufferJSON
    this.#creds = creds
    this.#news = news
    this.#logger = logger
    this.#life = life
    this.#limits = { awaitSync, closeTimeoutMs, flushTimeoutMs }
    this.#places = places
    this.#savedIdentity = isNew ? null : identityOf(creds)
    this.#own = createOwnCreds((use) => this.#look(use), batch, creds)
    this.state = { creds, keys: this.#keys(baileys.appStateSyncKeyFromObject) }
    // All that is given out holds this object: a part is enough to hold the session.
    unreachable.register(this, giverBack({ binding, handle, logger, timeoutMs: closeTimeoutMs }), this)
  }

  /** Calls `use` with the stored credentials in bytes. */
  #look(use) {
    return ask(this.#binding, this.#handle, this.#batch.encodeCredsKey(), (buffer, length) => use(buffer.subarray(0, length)))
  }

  #keys(reviveAppStateSyncKey) {
    const { call } = this.#life
    const capture = { creds: () => call(this.#own.toSave), done: this.#own.saved }
    const settled = (lsn) => this.#settled(lsn)
    return createKeys({ binding: this.#binding, call, handle: this.#handle, batch: this.#batch, capture, reviveAppStateSyncKey, settled })
  }

  /** Resolves once an appended batch may resolve: at once, with the disk, or with the store. */
  async #settled(lsn) {
    if (this.#limits.awaitSync) return void this.#life.settle(await this.#binding.synced(this.#handle, lsn, this.#limits.flushTimeoutMs))
    const others = turn()
    if (others !== undefined) await others
  }

  async #save() {
    const { call } = this.#life
    const saving = call(this.#own.toSave)
    const { buffer, length } = this.#batch.encodeCreds(saving)
    const identity = identityOf(this.#creds)
    const lsn = call(this.#binding.append, this.#handle, buffer, length, identity !== this.#savedIdentity)
    this.#savedIdentity = identity
    this.#own.saved(saving)
    await this.#settled(lsn)
  }

  #tellError({ code, message }) {
    this.#news.tell({ event: 'error', code, message })
  }

  /**
   * Usually a listener of `creds.update`, which nobody waits for: a failure must not end the process and its other sessions. It
   * is reported here, and to a caller that does wait as well.
   */
  saveCreds() {
    const saved = this.#save().catch(rethrow)
    saved.catch((error) => {
      // The end of a session was told when it came.
      if (!ENDED.includes(error.code)) this.#tellError(error)
    })
    return saved
  }

  async flush(how) {
    this.#life.settle(await this.#binding.flush(this.#handle, limitOf(how, '`flush`', this.#limits.flushTimeoutMs)))
  }

  async #end(how) {
    const timeoutMs = limitOf(how, '`close`', this.#limits.closeTimeoutMs)
    unreachable.unregister(this)
    await this.#life.end(async () => this.#life.settle(await this.#binding.close(this.#handle, timeoutMs)), 'closing', 'closed')
  }

  close(how) {
    const closed = this.#end(how).catch(rethrow)
    // Called from a listener of `fenced`, as is usual, nobody waits for it.
    closed.catch(({ code, message }) =>
      this.#logger?.warn({ code, message }, code === 'INVALID_OPTION' ? 'session not closed' : 'session closed with unsent writes')
    )
    return closed
  }

  async delete() {
    await this.#life.end(async () => this.#life.settle(await this.#binding.destroy(this.#handle)), undefined, 'deleted')
    unreachable.unregister(this)
    if (this.#places === null) return
    removals.forget(this.#places.folder)
    await removeOriginals(this.#places).catch((error) => this.#tellError(error))
  }

  async exportMultiFile(folder, { overwrite = false } = {}) {
    if (typeof folder !== 'string' || folder === '')
      throw new HybridAuthError('INVALID_OPTION', 'exportMultiFile takes the path of a folder')
    const entries = this.#batch.readEntries(this.#life.call(this.#binding.entries, this.#handle, null))
    return writeMultiFile(folder, { entries }, { BufferJSON: this.#BufferJSON, overwrite, directory: this.#places?.directory ?? null })
  }

  async pruneKeys(options) {
    const creds = () => [this.#creds, readCreds(this.#binding, this.#handle, this.#batch, this.#life.call)]
    return pruneKeys(this.#forPruning(), creds, options)
  }

  /** Access of pruning to the keys; see `lib/session/prune-keys.js`. */
  #forPruning() {
    const [binding, handle, batch, { call }] = [this.#binding, this.#handle, this.#batch, this.#life]
    return {
      *index(type) {
        for (const { id, bytes } of walkIndex(call(binding.index, handle, type))) yield [id, bytes]
      },
      read(type, id) {
        const request = batch.encodeKeys(type, [id])
        const [value, length] = ask(
          binding,
          handle,
          request,
          (buffer, length) => [batch.decodeAnswer([id], request.possible, buffer, length)[id], length],
          call
        )
        // The request has the key with its length, and the answer the value with its own.
        return value === null ? null : { value, bytes: request.length + length }
      },
      sizeOf: (type, id, value) => batch.encodeSet({ [type]: { [id]: value } }).length,
      append(data) {
        const { buffer, length } = batch.encodeSet(data)
        return call(binding.append, handle, buffer, length, false)
      },
      settled: (lsn) => this.#settled(lsn)
    }
  }

  status() {
    return this.#life.status()
  }

  on(event, listener) {
    this.#news.on(event, listener)
  }

  off(event, listener) {
    this.#news.off(event, listener)
  }
}

/** The object for the caller of an open. Callers take it apart, so that no function of it may need a `this`. */
function createSession({ restored, ...parts }) {
  const session = new Session(parts)
  const given = {
    state: session.state,
    saveCreds: () => session.saveCreds(),
    flush: (how) => session.flush(how),
    close: (how) => session.close(how),
    delete: () => session.delete(),
    exportMultiFile: (folder, options) => session.exportMultiFile(folder, options),
    pruneKeys: (options) => session.pruneKeys(options),
    status: () => session.status(),
    on(event, listener) {
      session.on(event, listener)
      return given
    },
    off(event, listener) {
      session.off(event, listener)
      return given
    }
  }
  // The close of a fleet takes the place of this one.
  if (Symbol.asyncDispose !== undefined) given[Symbol.asyncDispose] = () => given.close()
  withTypedErrors(given, ['flush', 'delete', 'exportMultiFile', 'pruneKeys', 'status', 'on', 'off'])
  // A listener added right after the open still hears where the session came from.
  const { news } = parts
  if (restored.source === 'remote') setImmediate(() => news.tell({ event: 'restored', ...restored })).unref()
  return given
}

module.exports = { createSession, limitOf }
