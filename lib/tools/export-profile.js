'use strict'

// Back out: the profile of a browser as the folder of a LocalAuth, or as the zip of a RemoteAuth.
//
// Invariants: the session is claimed first, so that what is written is its last state and nobody goes on with it beside this; each is there
// whole, or not at all; a session that is there is replaced only where that was asked for, and never under a running browser.

const { randomUUID } = require('node:crypto')
const fs = require('node:fs/promises')
const { dirname, join, resolve: absolute } = require('node:path')
const { choice, flag, ownFields, refuse } = require('../checks.js')
const { HybridAuthError, settle } = require('../errors.js')
const { folderName } = require('../multi-file/export-tree.js')
const { makeTarget } = require('../folders.js')
const { loadBinding } = require('../native.js')
const { entriesOf, exists } = require('../profile/contents.js')
const { Folder } = require('../profile/folder.js')
const { BROWSER, clientIdOf, isProfileTenant, sessionName } = require('../profile-tenants.js')
const { writeZip } = require('../zip/archive.js')

/** Forms of an export: a folder of LocalAuth, a zip of RemoteAuth. */
const FORMATS = ['local', 'zip']

/** Name of the export of a tenant, as whatsapp-web.js looks for it; of other programs, their own id. */
function nameOf(tenantId, format) {
  const ending = format === 'zip' ? '.zip' : ''
  const clientId = clientIdOf(tenantId)
  if (clientId !== undefined) return `${sessionName(format === 'zip' ? 'RemoteAuth' : 'session', clientId)}${ending}`
  return `${folderName(tenantId.startsWith(BROWSER) ? tenantId.slice(BROWSER.length) : tenantId)}${ending}`
}

/** The options of an export, checked. */
function checkExport(tenantId, given = {}) {
  const { format, overwrite } = ownFields(given)
  if (!isProfileTenant(tenantId)) refuse('this tenant is a session of Baileys: use `exportMultiFile`')
  return {
    format: choice({ value: format, from: '`format`' }, 'local', FORMATS),
    overwrite: flag({ value: overwrite, from: '`overwrite`' })
  }
}

/** Claims a profile without a log, restores its newest generation to `to`, and releases it. */
async function restoreClaimed({ resolve, inner }, tenantId, to) {
  const [binding, { native, keys, closeTimeoutMs }] = [loadBinding(), resolve(tenantId)]
  if (native.store === null) refuse('browser profiles are in a store, and none is configured: set `store` (SESSION_BACKUP_STORE)')
  const json = JSON.stringify({ ...native, ...inner, cloud: true, profile: true, create: false })
  const { handle } = settle(await binding.open(json, keys, null, () => {}))
  try {
    const restored = settle(await binding.profileRestore(handle, to, null))
    if (restored.files === 0)
      throw new HybridAuthError('NOT_FOUND', 'this profile has no backup, or it was deleted by RemoteAuth: there is nothing to export')
    return restored
  } finally {
    settle(await binding.close(handle, closeTimeoutMs))
  }
}

/** Refuses a target that must not be replaced. */
async function checkTarget(target, overwrite) {
  if (!(await exists(target))) return
  if (!overwrite) refuse('the folder already contains a session: choose another, or pass `overwrite: true`')
  const user = await new Folder(target).user()
  if (user !== null)
    throw new HybridAuthError('ALREADY_OPEN', `a browser (process ${user}) is running on the profile in this folder: close it first`)
}

/** Puts a staged export in its place. What was there is removed afterwards. */
async function put(staged, target) {
  const old = `${staged}-old`
  await fs.rename(target, old).catch((error) => {
    if (error.code !== 'ENOENT') throw error
  })
  await fs.rename(staged, target)
  await fs.rm(old, { recursive: true, force: true, maxRetries: 5 })
}

/**
 * Writes the profile of a tenant to `target`.
 * @param {any} fleet
 * @param {string} tenantId
 * @param {string} target
 * @param {{ format?: string, overwrite?: boolean }} [options]
 */
async function writeProfile(fleet, tenantId, target, options) {
  const { format, overwrite } = checkExport(tenantId, options)
  await checkTarget(target, overwrite)
  await makeTarget(dirname(target))
  const staged = `${target}.export-${randomUUID()}`
  try {
    const { generation, files, bytes } = await restoreClaimed(fleet, tenantId, staged)
    if (format === 'zip') await writeZip(target, await entriesOf(staged))
    else await put(staged, target)
    return { path: target, format, generation, files, bytes }
  } catch (error) {
    if (error instanceof HybridAuthError) throw error
    throw new HybridAuthError(
      'LOCAL_UNAVAILABLE',
      `the export cannot be written (${error.code}): fix the permissions of the folder or free space`,
      error
    )
  } finally {
    await fs.rm(staged, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Writes the profile of a tenant into `folder`, the `dataPath` of LocalAuth or RemoteAuth, under the name that they look for. */
async function exportProfile(fleet, tenantId, folder, options) {
  if (typeof folder !== 'string' || folder === '') refuse('exportProfile takes the path of a folder')
  const { format } = checkExport(tenantId, options)
  return writeProfile(fleet, tenantId, join(absolute(folder), nameOf(tenantId, format)), options)
}

module.exports = { FORMATS, exportProfile, nameOf, writeProfile }
