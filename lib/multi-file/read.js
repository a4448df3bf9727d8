'use strict'

// Reading the folder of Baileys' `useMultiFileAuthState`.
//
// Invariants: no damage is taken for absence: damaged credentials are LOCAL_CORRUPT, never a new identity, and so are keys without
// any; nothing is left out uncounted. Symbolic links are not followed, and what is no regular file is not opened. Messages name a
// family, never an id or a path, and carry no cause: file names hold phone numbers, and the message of a SyntaxError quotes key
// material.

const { isUtf8 } = require('node:buffer')
const { constants } = require('node:fs')
const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('../errors.js')
const {
  BACKUP,
  CREDS,
  CREDS_COPIES,
  KEYS_FILE,
  KEYS_FOLDER,
  MOST_WHOLE,
  NO_FOLLOW,
  PARALLEL,
  TEMPORARY,
  WHOLE,
  addKey,
  damaged,
  familiesWith,
  holdKeys,
  list,
  mainOf,
  parseKey,
  parseName,
  unavailable
} = require('./names.js')
const { each } = require('../pool.js')

/** True for an object with members: no list, and no bytes. */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)

/**
 * Every way in which Baileys ever wrote bytes: base64 or an array under type 'Buffer' (6.x and 7.x, old 6.x), the same under
 * `buffer: true` (very old). The installed reviver would leave some of them as objects, depending on its version.
 */
function reviveMarked(_, value) {
  if (typeof value !== 'object' || value === null || !(value.type === 'Buffer' || value.buffer === true)) return value
  const data = value.data ?? value.value
  if (typeof data === 'string') return Buffer.from(data, 'base64')
  return Array.isArray(data) ? Buffer.from(data) : value
}

/** A Uint8Array that was written without a replacer: {"0": 5, "1": 255}, complete from 0, bytes only. */
function isSpreadBytes(object) {
  const values = Object.values(object)
  const keys = Object.keys(object)
  return (
    keys.length > 0 &&
    keys[keys.length - 1] === String(keys.length - 1) &&
    keys.every((key, i) => key === String(i)) &&
    values.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)
  )
}

/** Applies the rule above below `value`, save under `additionalData`, where an application keeps what it likes. */
function reviveSpread(value) {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  if (!Array.isArray(value) && isSpreadBytes(value)) return Buffer.from(Object.values(value))
  for (const key of Object.keys(value)) {
    if (key === 'additionalData') continue
    const member = value[key]
    const revived = reviveSpread(member)
    if (revived !== member) Object.defineProperty(value, key, { value: revived, writable: true, enumerable: true, configurable: true })
  }
  return value
}

/** The bytes of a file, or undefined when there is none. A pipe or a device is not opened: that could wait for ever. */
async function readBytes(path, what) {
  try {
    const file = await fs.open(path, constants.O_RDONLY | NO_FOLLOW | (constants.O_NONBLOCK ?? 0))
    try {
      if (!(await file.stat()).isFile()) throw new HybridAuthError('LOCAL_CORRUPT', `${what} is not a regular file`)
      return await file.readFile()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof HybridAuthError) throw error
    if (error.code === 'ENOENT') return undefined
    if (error.code === 'ELOOP') throw new HybridAuthError('LOCAL_CORRUPT', `${what} is not a regular file`)
    throw unavailable(`${what} cannot be read`, error)
  }
}

/** Description of a file that holds no JSON, in words that help to fix it; '' where nothing more can be said. */
function diagnose(bytes) {
  if (bytes.length === 0) return 'it is empty, as after a full disk or a power cut'
  if (bytes.every((byte) => byte === 0)) return 'it contains only zeros, as after a power cut'
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    return 'it begins with a byte order mark from an editor: save it as UTF-8 without one'
  if (
    (bytes[0] === 0xff && bytes[1] === 0xfe) ||
    (bytes[0] === 0xfe && bytes[1] === 0xff) ||
    (bytes.length > 3 && bytes[1] === 0 && bytes[3] === 0)
  ) {
    return 'it is UTF-16: save it as UTF-8'
  }
  if (!isUtf8(bytes)) return 'it is not text: encrypted, compressed or overwritten by another program'
  const text = bytes.toString('utf8').trim()
  if (text === '') return 'it contains only white space'
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(text.slice(0, 4096)) && !/^(null|true|false|[0-9]+)$/.test(text))
    return 'it is base64: decode it first'
  if (text.startsWith('{') && !text.endsWith('}')) return 'it is truncated: the write was interrupted'
  return ''
}

/** The value in the text of a file; LOCAL_CORRUPT where there is none. */
function parseValue(text, what) {
  try {
    return reviveSpread(JSON.parse(text, reviveMarked))
  } catch {
    throw damaged(what, diagnose(Buffer.from(text)))
  }
}

/** The value of a file, or undefined when there is none. */
async function readValue(path, what) {
  const bytes = await readBytes(path, what)
  if (bytes === undefined) return undefined
  // Bytes that are not UTF-8 must not be read as replacement characters.
  if (!isUtf8(bytes)) throw damaged(what, diagnose(bytes))
  return parseValue(bytes.toString('utf8'), what)
}

/**
 * True if `folder` holds a multi-file session. A creds.json which is no file (a link, say) is LOCAL_CORRUPT rather than
 * "no", which would start a new identity.
 */
async function findMultiFile(folder) {
  let info
  try {
    info = await fs.lstat(join(folder, CREDS))
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(error.code)) return false
    throw unavailable('the multi-file folder cannot be read', error)
  }
  if (info.isFile()) return true
  throw new HybridAuthError('LOCAL_CORRUPT', `${CREDS} is not a regular file`)
}

/** True if `folder` holds credentials of a multi-file session, or a copy of them. Nothing is listed: there may be thousands of tenants. */
async function holdsSession(folder) {
  if (await findMultiFile(folder)) return true
  for (const name of CREDS_COPIES) {
    const info = await fs.lstat(join(folder, name)).catch(() => null)
    if (info !== null) return true
  }
  return false
}

/**
 * Remains in a folder without creds.json that plainly was a session: names of its credentials in another place, and how many
 * files of keys.
 * @returns {Promise<null | {copies: string[], keys: number}>} null for a folder that is no session
 */
async function findRemains(folder) {
  // Below a file there is nothing; the open reports that no session can be created there.
  const names = ((await list(folder, { belowFile: null })) ?? []).map(({ name }) => name)
  if (names.includes(CREDS)) return null
  const copies = CREDS_COPIES.filter((name) => names.includes(name))
  const keys = names.filter((name) => parseName(mainOf(name), familiesWith()) !== null).length
  return copies.length + keys === 0 ? null : { copies, keys }
}

function checkCreds(creds) {
  const pairs = [creds?.noiseKey, creds?.signedIdentityKey]
  if (!pairs.every((pair) => Buffer.isBuffer(pair?.private) && Buffer.isBuffer(pair?.public)))
    throw damaged(CREDS, 'it does not contain Baileys credentials')
}

/**
 * A value of the file `name` or, where that is missing or damaged, of the backup that newer versions of Baileys leave.
 * @param {string} folder
 * @param {string} name
 * @param {string} what
 * @param {(value: any) => void} [check]
 */
async function readWithBackup(folder, name, what, check = () => {}) {
  let failure
  for (const suffix of ['', BACKUP]) {
    try {
      const value = await readValue(join(folder, name + suffix), name === what ? name + suffix : what)
      if (value === undefined) continue
      check(value)
      return { value, from: name + suffix }
    } catch (error) {
      if (error.code !== 'LOCAL_CORRUPT') throw error
      failure ??= error
    }
  }
  if (failure) throw failure
  return null
}

/** The credentials of a folder and the name of the file that they are in; null where there is no such file. */
async function readCreds(folder) {
  const found = await readWithBackup(folder, CREDS, CREDS, checkCreds)
  if (found !== null) return found
  // Never renamed: the program ended in its first write, or in an export.
  const value = await readValue(join(folder, CREDS + TEMPORARY), `${CREDS}${TEMPORARY}`)
  if (value === undefined) return null
  checkCreds(value)
  return { value, from: CREDS + TEMPORARY }
}

/** Files of keys among `items`: of two spellings of one key the one that Baileys reads. A backup counts as its original. */
function keyFiles(items, families, report) {
  const keys = new Map()
  for (const item of items) {
    const name = mainOf(item.name)
    if (name === CREDS || item.name.endsWith(TEMPORARY)) {
      if (item.name !== CREDS) report.otherFiles++
      continue
    }
    const key = item.isFile() ? parseKey(name, families) : null
    if (key === null) {
      if (item.isFile() && item.name.endsWith('.json')) report.notUnderstood++
      else report.otherFiles++
      continue
    }
    addKey(keys, key, name, { ...key, name })
  }
  return [...keys.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) // a folder has no order of its own, and a report should not depend on it
}

const isTooLarge = async (path) => ((await fs.lstat(path).catch(() => null))?.size ?? 0) > MOST_WHOLE

/** A key file that is there in two spellings, or beside its backup, is one. */
async function readKeys(folder, keys, report, onDamagedKey) {
  const entries = []
  await each(keys.entries(), PARALLEL, async ([i, { type, id, name }]) => {
    try {
      if (type === WHOLE && (await isTooLarge(join(folder, name)))) {
        report.notUnderstood++
        return
      }
      const found = await readWithBackup(folder, name, `a "${type}" file`)
      if (found?.value) entries[i] = { type, id, value: found.value }
    } catch (error) {
      // Of no known family, it may as well be no key.
      if (type === WHOLE && error.code === 'LOCAL_CORRUPT') return void report.notUnderstood++
      if (onDamagedKey !== 'skip' || error.code !== 'LOCAL_CORRUPT') throw error
      report.damaged[type] = (report.damaged[type] ?? 0) + 1
    }
  })
  return entries.filter(Boolean)
}

/**
 * Reads a multi-file session as it stands; null when there is none. Files that hold null or another falsy value count as
 * absent, as they do for Baileys.
 *
 * @param {string} folder
 * @param {{onDamagedKey?: 'error' | 'skip', families?: string[]}} [options] `families`: types beyond the ten of Baileys
 * @returns {Promise<null | {creds: object, credsFile: string, entries: {type: string, id: string, value: any}[],
 *   damaged: Record<string, number>, notUnderstood: number, otherFiles: number, keysFile: boolean}>}
 *   `credsFile`: where the credentials were; `damaged`: keys left out per family ('skip' only); `notUnderstood`: .json files that
 *   are no keys; `otherFiles`: whatever else lies there (sub-folders, links, other names); `keysFile`: whether the keys lie in a
 *   keys.json, which is not read here. LOCAL_CORRUPT: a damaged file.
 */
async function readMultiFile(folder, { onDamagedKey = 'error', families } = {}) {
  const found = await readCreds(folder)
  if (found === null) return null
  const report = { creds: found.value, credsFile: found.from, entries: [], damaged: {}, notUnderstood: 0, otherFiles: 0, keysFile: false }
  const known = familiesWith(families)
  const items = (await list(folder)) ?? []
  const flat = keyFiles(items, known, report)
  report.entries = await readKeys(folder, flat, report, onDamagedKey)
  if (holdKeys(flat)) return report
  report.keysFile = items.some((item) => item.isFile() && item.name === KEYS_FILE)
  const below = items.some((item) => item.isDirectory() && item.name === KEYS_FOLDER) ? ((await list(join(folder, KEYS_FOLDER))) ?? []) : []
  const nested = keyFiles(below, known, report)
  report.entries.push(...(await readKeys(join(folder, KEYS_FOLDER), nested, report, onDamagedKey)))
  if (nested.length > 0) report.otherFiles--
  return report
}

module.exports = {
  isObject,
  findMultiFile,
  findRemains,
  holdsSession,
  readMultiFile,
  isTooLarge,
  diagnose,
  parseValue,
  readValue,
  checkCreds
}
