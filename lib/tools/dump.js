'use strict'

// Getting a session out of its store beside its owner: as a folder, and as a drill.
//
// Invariants: nothing is claimed, and the owner goes on; nothing is written before all of it was verified. A drill calls a
// restore good only if what came back from the disk is what the store has and, where the owner's is at hand, what it has.

const fs = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join, resolve: absolute } = require('node:path')
const { createBatch } = require('../codec/batch.js')
const { resolveBaileys } = require('../baileys.js')
const { createCodec } = require('../codec/values.js')
const { HybridAuthError, settle } = require('../errors.js')
const { writeMultiFile } = require('../multi-file/write.js')
const { loadBinding } = require('../native.js')
const { isProfileTenant } = require('../profile-tenants.js')

function checkFolder(folder, who) {
  if (typeof folder !== 'string' || folder === '') throw new HybridAuthError('INVALID_OPTION', `${who} takes the path of a folder`)
  return absolute(folder)
}

/** Restores the profile of a browser to a folder that does not exist. */
async function extractProfile({ resolve }, tenantId, to) {
  const { native, keys } = resolve(tenantId)
  const { report, restored } = settle(await loadBinding().profileExtract(JSON.stringify(native), keys, to))
  return { ...report, restored }
}

/** A drill of a profile: each pack is opened, and each piece compared with its hash, on the way to the disk. */
async function drillProfile(fleet, tenantId, kept) {
  const place = kept ?? (await fs.mkdtemp(join(tmpdir(), 'hybrid-auth-drill-')))
  const began = performance.now()
  try {
    const { damage, restored, ...rest } = await extractProfile(fleet, tenantId, join(place, 'profile'))
    return {
      ok: damage.length === 0,
      ...rest,
      restored,
      folder: kept,
      ms: { restore: Math.round(performance.now() - began) },
      problems: damage
    }
  } finally {
    if (kept === null) await fs.rm(place, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Writes what a blank machine would restore as a folder of `useMultiFileAuthState`. */
async function extract({ options, resolve }, tenantId, folder, { overwrite = false } = {}) {
  const target = checkFolder(folder, 'extract')
  if (isProfileTenant(tenantId)) return extractProfile({ resolve }, tenantId, target)
  const { native, keys, directory, cloud } = resolve(tenantId)
  const { BufferJSON } = await resolveBaileys(options)
  const dump = settle(await loadBinding().dump(JSON.stringify(native), keys))
  const entries = createBatch(createCodec(BufferJSON)).readEntries(dump.entries)
  return { ...dump.report, ...(await writeMultiFile(target, { entries }, { BufferJSON, overwrite, directory: cloud ? null : directory })) }
}

/** Reads every value as Baileys would get it; the problems that this shows. */
function decode(batch, bytes) {
  let [hasKeys, hasCreds] = [false, false]
  try {
    for (const { type, value } of batch.readEntries(bytes)) {
      hasKeys = true
      hasCreds ||= type === null && value !== null
    }
  } catch (error) {
    return [error.message]
  }
  // The rule of `src/session/open/identity.rs`: nothing at all is a session that was not paired yet.
  return hasCreds || !hasKeys ? [] : ['it has no credentials']
}

/**
 * Restores a tenant into a folder, and compares.
 * @param {any} fleet
 * @param {string} tenantId
 * @param {{ folder?: string }} [options]
 */
async function drill({ options, resolve }, tenantId, { folder } = {}) {
  const kept = folder === undefined ? null : checkFolder(folder, 'drill')
  if (isProfileTenant(tenantId)) return drillProfile({ resolve }, tenantId, kept)
  const { native, keys, flushTimeoutMs } = resolve(tenantId)
  const { BufferJSON } = await resolveBaileys(options)
  const place = kept ?? (await fs.mkdtemp(join(tmpdir(), 'hybrid-auth-drill-')))
  try {
    const { entries, ms, ...rest } = settle(await loadBinding().drill(JSON.stringify(native), keys, place, flushTimeoutMs))
    const began = performance.now()
    const problems = decode(createBatch(createCodec(BufferJSON)), entries)
    const decoding = Math.round(performance.now() - began)
    const { store, restored, owner } = rest.digests
    if (restored !== store) problems.push('the state restored to the disk differs from the state in the store')
    if (owner !== null && owner !== store) problems.push('the state in the store differs from the state of its owner')
    /** @type {import('../../index.js').DrillReport} */
    const report = { ok: problems.length === 0, ...rest, folder: kept, ms: { ...ms, decode: decoding }, problems }
    return report
  } finally {
    if (kept === null) await fs.rm(place, { recursive: true, force: true, maxRetries: 5 })
  }
}

module.exports = { drill, extract }
