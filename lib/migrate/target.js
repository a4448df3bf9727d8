'use strict'

// The target of a migration: one tenant of ours, read without disturbing its owner, and created in one batch.
//
// Invariants: a session that exists is never changed, and none is claimed in order to look at it, as far as a store can tell
// what it holds; what was written is read back and compared by value before it is called migrated.

const { existsSync } = require('node:fs')
const { createHash } = require('node:crypto')
const { isDeepStrictEqual } = require('node:util')
const { resolveBaileys } = require('../baileys.js')
const { createBatch } = require('../codec/batch.js')
const { createCodec, keepMessageKeys } = require('../codec/values.js')
const { HybridAuthError, isFailure, settle } = require('../errors.js')
const { encodeSeed, prepareImport, takeIn } = require('../multi-file/import.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')
const { explained } = require('../session/refusals.js')
const { resolveOptions } = require('../config/options.js')
const { serially } = require('../session/open.js')

const nobody = () => {}
const keyOf = (type, id) => (type === null ? '' : `${type}\0${id}`)
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** Identity of an account's device, as a digest. */
const identityOf = ({ noiseKey, signedIdentityKey, registrationId }) => {
  const parts = [noiseKey?.public, signedIdentityKey?.public, Buffer.from(String(registrationId))]
  return sha256(Buffer.concat(parts.map((part) => part ?? Buffer.alloc(0))))
}

/** The tenants that a migration writes to: the same options for all of them. */
class Target {
  #options
  #binding = loadBinding()
  #BufferJSON
  #batch

  /** @param {any} options @param {any} BufferJSON that of Baileys */
  constructor(options, BufferJSON) {
    const { native, keys, directory, cloud } = resolveOptions('any', options)
    this.#options = options
    this.#BufferJSON = BufferJSON
    this.#batch = createBatch(createCodec(BufferJSON))
    this.isReplicated = native.store !== null
    this.cloud = cloud
    this.directory = directory
    this.keys = keys
  }

  #resolved(tenantId) {
    return resolveOptions(tenantId, { ...this.#options, onMissing: 'error' })
  }

  folderOf(tenantId) {
    return call(this.#binding.folder, this.directory, tenantId)
  }

  encodeSeed(session) {
    return encodeSeed(this.#batch, session)
  }

  /** A value as it is after having been stored, whatever stores it. */
  #settled(value, type) {
    const kept = type === 'sender-key' && Array.isArray(value) ? value.map(keepMessageKeys) : value
    return JSON.parse(JSON.stringify(kept, this.#BufferJSON.replacer), this.#BufferJSON.reviver)
  }

  /** Contents that the target should have: key -> value. */
  expected({ creds, entries }) {
    const values = new Map(entries.map(({ type, id, value }) => [keyOf(type, id), this.#settled(value, type)]))
    if (creds !== null) values.set('', this.#settled(creds, null))
    return values
  }

  /** Difference of the stored contents: whether they have all of `values`, and whether they have nothing else. */
  compare(entries, values) {
    let equal = 0
    let more = 0
    for (const { type, id, value } of this.#batch.readEntries(entries)) {
      if (!values.has(keyOf(type, id))) more++
      else if (isDeepStrictEqual(value, values.get(keyOf(type, id)))) equal++
    }
    return { hasAll: equal === values.size, isEqual: equal === values.size && more === 0 }
  }

  /** True for a session that was created and never paired. */
  #isEmpty(entries) {
    for (const _ of this.#batch.readEntries(entries)) return false
    return true
  }

  #credsIn(entries) {
    for (const { type, value } of this.#batch.readEntries(entries)) if (type === null) return value
    return null
  }

  #seen(entries, lsn) {
    return { entries, lsn, digest: sha256(entries), creds: this.#credsIn(entries) }
  }

  /** Contents of the store; null when that is nothing. */
  async peek(tenantId) {
    const { native, keys } = this.#resolved(tenantId)
    const outcome = await this.#binding.dump(JSON.stringify(native), keys)
    if (isFailure(outcome) && (outcome.code === 'NOT_FOUND' || (outcome.code === 'DELETED' && native.fresh))) return null
    const { report, entries } = settle(outcome)
    return this.#isEmpty(entries) ? null : this.#seen(entries, report.lsn)
  }

  /** Contents of a tenant; null for nothing. With a store these are the store's, and nobody is disturbed. */
  async look(tenantId) {
    if (this.isReplicated) return this.peek(tenantId)
    if (!existsSync(this.folderOf(tenantId))) return null
    try {
      const found = await this.visit(tenantId, null)
      return this.#isEmpty(found.entries) ? null : found
    } catch (error) {
      if (error.code === 'NOT_FOUND') return null
      throw error
    }
  }

  /** Opens the session, made of `seed` if it is nowhere or was never paired; reads its contents, and closes it. */
  visit(tenantId, seed) {
    const folder = this.folderOf(tenantId)
    return serially(folder, async () => {
      await this.#refuseImport(tenantId, folder)
      const resolved = this.#resolved(tenantId)
      const opened = await this.#binding.open(JSON.stringify(resolved.native), resolved.keys, seed, nobody)
      return this.#readAndClose(settle(await explained(opened, resolved.native)), seed, resolved)
    })
  }

  async #refuseImport(tenantId, folder) {
    const prepared = await prepareImport({ directory: this.directory, tenantId, folder, batch: this.#batch })
    if (prepared?.seed) {
      throw new HybridAuthError(
        'LOCAL_CORRUPT',
        'there is a multi-file session in the folder of this tenant: opening the tenant imports it'
      )
    }
  }

  async #readAndClose({ handle, restored, shared }, seed, { closeTimeoutMs, flushTimeoutMs }) {
    const binding = this.#binding
    let closed
    try {
      const isBlank = seed !== null && !shared && this.#isEmpty(call(binding.entries, handle, null))
      if (isBlank) await takeIn(binding, handle, seed, { flushTimeoutMs })
      const { lsn } = call(binding.status, handle)
      const entries = Buffer.from(call(binding.entries, handle, null))
      if (!this.isReplicated) settle(await binding.synced(handle, lsn, flushTimeoutMs))
      closed = await binding.close(handle, closeTimeoutMs)
      settle(closed)
      return { ...this.#seen(entries, lsn), isNew: isBlank || (restored.source === 'imported' && !shared) }
    } finally {
      if (closed === undefined) await binding.close(handle, closeTimeoutMs)
    }
  }
}

/** @param {any} options those of the sessions to write */
async function openTarget(options) {
  const { BufferJSON } = await resolveBaileys(options)
  return new Target(options, BufferJSON)
}

module.exports = { openTarget, identityOf }
