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
async function openTarget(options) {
  const baileys = await resolveBaileys(options)
  const { BufferJSON } = baileys
  const binding = loadBinding()
  const batch = createBatch(createCodec(BufferJSON))
  const { native, keys, directory, cloud } = resolveOptions('any', options)
  const isReplicated = native.store !== null

  const resolved = (tenantId) => resolveOptions(tenantId, { ...options, onMissing: 'error' })
  const folderOf = (tenantId) => call(binding.folder, directory, tenantId)

  /** A value as it is after having been stored, whatever stores it. */
  const settled = (value, type) => {
    const kept = type === 'sender-key' && Array.isArray(value) ? value.map(keepMessageKeys) : value
    return JSON.parse(JSON.stringify(kept, BufferJSON.replacer), BufferJSON.reviver)
  }

  /** Contents that the target should have: key -> value. */
  function expected({ creds, entries }) {
    const values = new Map(entries.map(({ type, id, value }) => [keyOf(type, id), settled(value, type)]))
    if (creds !== null) values.set('', settled(creds, null))
    return values
  }

  /** Difference of the stored contents: the number of `values` that it has, those that it has otherwise, and the number of further records. */
  function compare(entries, values) {
    let equal = 0
    let more = 0
    for (const { type, id, value } of batch.readEntries(entries)) {
      if (!values.has(keyOf(type, id))) more++
      else if (isDeepStrictEqual(value, values.get(keyOf(type, id)))) equal++
    }
    return { hasAll: equal === values.size, isEqual: equal === values.size && more === 0 }
  }

  /** True for a session that was created and never paired. */
  function isEmpty(entries) {
    for (const _ of batch.readEntries(entries)) return false
    return true
  }

  function credsIn(entries) {
    for (const { type, value } of batch.readEntries(entries)) if (type === null) return value
    return null
  }

  const seen = (entries, lsn) => ({ entries, lsn, digest: sha256(entries), creds: credsIn(entries) })

  /** Contents of the store; null when that is nothing. */
  async function peek(tenantId) {
    const { native, keys } = resolved(tenantId)
    const outcome = await binding.dump(JSON.stringify(native), keys)
    if (isFailure(outcome) && (outcome.code === 'NOT_FOUND' || (outcome.code === 'DELETED' && native.fresh))) return null
    const { report, entries } = settle(outcome)
    return isEmpty(entries) ? null : seen(entries, report.lsn)
  }

  /** Opens the session, made of `seed` if it is nowhere or was never paired; reads its contents, and closes it. */
  function visit(tenantId, seed) {
    const folder = folderOf(tenantId)
    return serially(folder, async () => {
      const prepared = await prepareImport({ directory, tenantId, folder, batch })
      if (prepared?.seed) {
        throw new HybridAuthError(
          'LOCAL_CORRUPT',
          'there is a multi-file session in the folder of this tenant: opening the tenant imports it'
        )
      }
      const { native, keys, closeTimeoutMs, flushTimeoutMs } = resolved(tenantId)
      const opened = await binding.open(JSON.stringify(native), keys, seed, nobody)
      const { handle, restored, shared } = settle(await explained(opened, native))
      let closed
      try {
        const isBlank = seed !== null && !shared && isEmpty(call(binding.entries, handle, null))
        if (isBlank) await takeIn(binding, handle, seed, { flushTimeoutMs })
        const { lsn } = call(binding.status, handle)
        const entries = Buffer.from(call(binding.entries, handle, null))
        if (!isReplicated) settle(await binding.synced(handle, lsn, flushTimeoutMs))
        closed = await binding.close(handle, closeTimeoutMs)
        settle(closed)
        return { ...seen(entries, lsn), isNew: isBlank || (restored.source === 'imported' && !shared) }
      } finally {
        if (closed === undefined) await binding.close(handle, closeTimeoutMs)
      }
    })
  }

  /** Contents of a tenant; null for nothing. With a store these are the store's, and nobody is disturbed. */
  async function look(tenantId) {
    if (isReplicated) return peek(tenantId)
    if (!existsSync(folderOf(tenantId))) return null
    try {
      const found = await visit(tenantId, null)
      return isEmpty(found.entries) ? null : found
    } catch (error) {
      if (error.code === 'NOT_FOUND') return null
      throw error
    }
  }

  return {
    isReplicated,
    cloud,
    directory,
    keys,
    folderOf,
    expected,
    compare,
    look,
    visit,
    peek,
    encodeSeed: (session) => encodeSeed(batch, session)
  }
}

module.exports = { openTarget, identityOf }
