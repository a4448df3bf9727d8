'use strict'

// Back out: all tenants as a tree of folders, each of which `useMultiFileAuthState` opens.
//
// Invariants: no tenant id leads out of the folder or into the folder of another; one tenant that fails stops no other.

const { join, resolve } = require('node:path')
const { atOnce, refuse } = require('../checks.js')
const { unreadable } = require('../errors.js')
const { makeTarget } = require('../folders.js')
const { each } = require('../pool.js')

/** A tenant id as the name of a folder: itself where that is one, else written in %. */
function folderName(tenantId) {
  const isName = /^[^/\\<>:"|?*%\p{Cc}]+$/u.test(tenantId) && !/^\.|[. ]$/.test(tenantId) && Buffer.byteLength(tenantId) <= 255
  return isName ? tenantId : encodeURIComponent(tenantId).replace(/[.*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function answerOf(folderOf, tenantId) {
  try {
    return folderOf(tenantId)
  } catch (error) {
    throw unreadable('the result of `folderOf`', error)
  }
}

/** The folder of a tenant within the tree, checked. */
function placeOf(tenantId, folderOf, ownName) {
  const place = folderOf === undefined ? (ownName(tenantId) ?? folderName(tenantId)) : answerOf(folderOf, tenantId)
  const isPlace = typeof place === 'string' && place.split('/').every((part) => !['', '.', '..'].includes(part) && !/[\\\0]/.test(part))
  if (!isPlace) refuse('`folderOf` must return the path of a folder within the tree, such as a/b')
  return place
}

/**
 * Exports `tenantIds` below `folder`, a few at a time.
 * @param {string} folder
 * @param {string[]} tenantIds
 * @param {(tenantId: string, folder: string, options: object) => Promise<object>} exportOne
 * @param {{ overwrite?: boolean, concurrency?: number, folderOf?: (tenantId: string) => string, onProgress?: (step: object) => void,
 *   ownName?: (tenantId: string) => string | null }} [how] `ownName`: the name of a tenant that does not get it from its id
 */
async function exportTree(folder, tenantIds, exportOne, { overwrite, concurrency, folderOf, onProgress, ownName = () => null } = {}) {
  if (typeof folder !== 'string' || folder === '') refuse('an export takes the path of a folder')
  const workers = atOnce(concurrency, 4)
  const places = tenantIds.map((tenantId) => ({ tenantId, place: placeOf(tenantId, folderOf, ownName) }))
  const taken = new Set(places.map(({ place }) => place.toLowerCase()))
  // File systems that ignore case have one folder for both.
  if (taken.size !== places.length) refuse('two tenants would be exported to the same folder: return different folders from `folderOf`')
  await makeTarget(resolve(folder))
  const exported = []
  const failed = []
  const exportTo = async ({ tenantId, place }) => {
    const result = await exportOne(tenantId, join(folder, ...place.split('/')), { overwrite }).catch((error) => error)
    const error = result instanceof Error ? result : null
    if (error === null) exported.push({ tenantId, folder: place, ...result })
    else failed.push({ tenantId, error })
    return { tenantId, error, done: exported.length + failed.length, total: places.length }
  }
  await each(places, workers, exportTo, onProgress)
  return { exported, failed }
}

module.exports = { exportTree, folderName }
