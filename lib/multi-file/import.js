'use strict'

// Taking over a `useMultiFileAuthState` folder without a new QR code: in place, or from where `importFrom` says.
//
// Invariants: the folder is read completely before anything is opened, and the core takes the import only if the session
// exists nowhere else; the originals are set aside only once the import is durable. A folder that holds both a log and a
// *different* multi-file session is refused: choosing silently would risk running on the older one. What plainly was a session
// and cannot be read is never replaced by a new one: it is a `refusal`, which stands where the session is nowhere else.

const { join } = require('node:path')
const { HybridAuthError, settle } = require('../errors.js')
const { call } = require('../core.js')
const { setAside } = require('./write.js')
const { ASIDE, holdKeys, isListed, list } = require('./names.js')
const { findMultiFile, findRemains, readMultiFile } = require('./read.js')
const { isSingleFile, readSingleFile, setFileAside } = require('./single-file.js')

/** A tenant id that is a plain file name: `useMultiFileAuthState(join(directory, tenantId))` used it as its folder. */
const isPlainName = (id) => id !== '.' && id !== '..' && !/[/\\\0]/.test(id) && Buffer.byteLength(id) <= 255

const CREDS_ONLY =
  'the imported folder has credentials but no keys: the session connects, but cannot decrypt messages of contacts; find the folder ' +
  'of the last instance'

const KEYS_IN_A_FILE =
  'the keys of this session are in a keys.json, which an open does not read: import it with `migrate({ from, directory, … })`'

/** The folders in which a session of this tenant may lie: its own, and the one that bears its unescaped id. */
function foldersOf({ directory, tenantId, folder }) {
  const unescaped = join(directory, tenantId)
  return isPlainName(tenantId) && unescaped !== folder ? [folder, unescaped] : [folder]
}

/**
 * Finds what could be imported for a tenant: in its own folder, in the folder that bears its unescaped id, or in `importFrom`.
 * @param {{ directory: string, tenantId: string, folder: string, batch: any, importFrom?: string }} place
 * @returns {Promise<null | {seed: Buffer, creds: object, leftOut: string | null, isWhole: boolean,
 *   refusal?: undefined,
 *   finish(how?: object): Promise<{moved: number}>} | {seed?: undefined, leftOut?: undefined, finish?: undefined, refusal: Error & {folder?: string}}>}
 */
async function prepareImport({ directory, tenantId, folder, batch, importFrom }) {
  const candidates = foldersOf({ directory, tenantId, folder })
  let inPlace = null
  for (const source of candidates) {
    inPlace ??= await readSource(source, batch)
  }
  if (importFrom === undefined || candidates.includes(importFrom)) return inPlace
  const named = (await readFileSource(importFrom, batch)) ??
    (await readSource(importFrom, batch)) ?? { refusal: await nothingIn(importFrom) }
  if (inPlace === null || inPlace.refusal) return named
  if (named.refusal) return inPlace
  throw new HybridAuthError(
    'INVALID_OPTION',
    'there is a multi-file session in the folder of this tenant and another one in `importFrom`: move one of them away'
  )
}

/** The session in the one file of old versions of Baileys; null where there is no file. */
async function readFileSource(source, batch) {
  if (!(await isSingleFile(source))) return null
  const found = await readSingleFile(source)
  return { seed: encodeSeed(batch, found), creds: found.creds, leftOut: leftOut(found), isWhole: true, finish: () => setFileAside(source) }
}

/** The session that one folder has to import; null for none. */
async function readSource(source, batch) {
  const isWhole = await findMultiFile(source)
  const remains = isWhole ? null : await findRemains(source)
  if (!isWhole && remains === null) return null
  // Looked at last: it lists all tenants.
  if (!(await isListed(source))) return null
  let found
  try {
    found = await readMultiFile(source, { onDamagedKey: 'skip' })
  } catch (error) {
    if (isWhole || error.code !== 'LOCAL_CORRUPT') throw error
    return { refusal: error }
  }
  if (found === null) return remains === null ? null : { refusal: await withoutCreds(source, remains) }
  if (found.keysFile && !holdKeys(found.entries)) return { refusal: new HybridAuthError('INVALID_OPTION', KEYS_IN_A_FILE) }
  return {
    seed: encodeSeed(batch, found),
    creds: found.creds,
    leftOut: leftOut(found),
    isWhole,
    finish: (how) => setAside(source, how)
  }
}

/** The refusal of keys without credentials. */
async function withoutCreds(source, { keys }) {
  const isAside = ((await list(source)) ?? []).some(({ name }) => name.startsWith(ASIDE))
  const where = isAside
    ? 'its creds.json is in a subfolder multi-file-originals-…: move all files of one such folder back'
    : 'restore its creds.json, or its backup as creds.json.bak'
  return new HybridAuthError(
    'LOCAL_CORRUPT',
    `the folder of this tenant contains ${keys} key ${keys === 1 ? 'file' : 'files'} but no creds.json: there was a session, so no new one was created; ${where}, or move the files away`
  )
}

async function nothingIn(source) {
  const names = ((await list(source)) ?? []).map(({ name }) => name)
  const isAside = names.some((name) => name.startsWith(ASIDE))
  const why = isAside
    ? 'its session was already imported, and its files are in multi-file-originals-… there: remove the option, or move the files back'
    : 'pass the folder of `useMultiFileAuthState`, which contains the creds.json'
  return new HybridAuthError('INVALID_OPTION', `\`importFrom\` contains no session of \`useMultiFileAuthState\`: ${why}`)
}

/**
 * Message about what an import could not take; null when it took everything. A damaged key file is one that Baileys itself
 * reads as absent, so it stops nothing; the original is kept.
 */
function leftOut({ creds, entries, damaged, notUnderstood }) {
  const parts = Object.entries(damaged).map(([type, count]) => `${count} damaged "${type}"`)
  if (notUnderstood > 0) parts.push(`${notUnderstood} that are not keys`)
  if (parts.length > 0) return `the import skipped some files, which are kept: ${parts.join(', ')}`
  const isPaired = creds.me !== undefined && creds.me !== null
  return isPaired && !holdKeys(entries) ? CREDS_ONLY : null
}

/** The whole session as one batch, so that it is there or not there. */
function encodeSeed(batch, { creds, entries }) {
  // Types come from names of files and of foreign records: none may be looked up on an ordinary object.
  const data = Object.create(null)
  for (const { type, id, value } of entries) {
    data[type] ??= Object.create(null)
    data[type][id] = value
  }
  const { buffer, length } = batch.encodeSet(data, creds)
  return Buffer.from(buffer.subarray(0, length))
}

/**
 * Settles what to do with multi-file originals beside a session that was not imported from them just now.
 * If they hold the same credentials, an earlier import was interrupted before it moved them: it is finished, unless this
 * session may not touch the disk. Copies without a creds.json are the rest of a move, and go after it.
 */
async function settleLeftovers(found, stored, batch, { mayMove }) {
  const bytes = (creds) => {
    const { buffer, length } = batch.encodeCreds(creds)
    return Buffer.from(buffer.subarray(0, length))
  }
  const isSame = stored !== null && bytes(found.creds).equals(bytes(stored))
  if (isSame || !found.isWhole) return mayMove ? found.finish() : undefined
  throw new HybridAuthError(
    'LOCAL_CORRUPT',
    'the tenant has a session here, and its folder or `importFrom` contains a different multi-file session: move one of them away'
  )
}

/** Imports into an open session that has no entries: one that a former open created, and nobody paired. */
async function takeIn(binding, handle, seed, { flushTimeoutMs }) {
  const lsn = call(binding.append, handle, seed, seed.length, true)
  settle(await binding.synced(handle, lsn, flushTimeoutMs))
}

module.exports = { prepareImport, settleLeftovers, takeIn, encodeSeed, foldersOf, isPlainName }
