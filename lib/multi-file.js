'use strict'

// Import from, and export to, the folder of Baileys' `useMultiFileAuthState`: `creds.json` and one `<type>-<id>.json` per key.
//
// Invariants: no damage is taken for absence (a damaged creds.json is LOCAL_CORRUPT, never a new identity); nothing is left
// out uncounted; creds.json is the first file to leave a folder and the last to enter one, so that at every instant a folder
// with creds.json is a whole session. Symbolic links are not followed. Messages name a family, never an id or a path, and
// carry no cause: file names hold phone numbers, and the message of a SyntaxError quotes key material.

const { constants } = require('node:fs')
const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('./errors.js')

/** Longest first: `sender-key-memory-x` is not a `sender-key` of the id `memory-x`. */
const FAMILIES = [
  'app-state-sync-version',
  'app-state-sync-key',
  'sender-key-memory',
  'identity-key',
  'lid-mapping',
  'device-list',
  'sender-key',
  'pre-key',
  'session',
  'tctoken'
]

const CREDS = 'creds.json'
const ASIDE = 'multi-file-originals-'
const PARALLEL = 8
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0 // Windows has neither the flag nor unprivileged links
const MAX_NAME = 255

// ------------------------------------------------------------------------------------------------------------- names

const fileName = (type, id) => `${type}-${id}.json`.replace(/\//g, '__').replace(/:/g, '-')

/**
 * The id that a name of a file holds. The way back is ambiguous in general; these two families are the ones whose ids regularly
 * hold a character that `fileName` replaces. `tctoken-__index` stays as it is.
 */
function idIn(type, text) {
  if (type === 'sender-key') return text.replace(/--/g, '::')
  if (type === 'app-state-sync-key') return text.replace(/__/g, '/')
  return text
}

/** {type, id} of a file name, or null. */
function parseName(name, families) {
  if (!name.endsWith('.json')) return null
  const type = families.find((family) => name.startsWith(`${family}-`))
  if (type === undefined) return null
  return { type, id: idIn(type, name.slice(type.length + 1, -'.json'.length)) }
}

const familiesWith = (more = []) => [...new Set([...FAMILIES, ...more])].sort((a, b) => b.length - a.length)

// ------------------------------------------------------------------------------------------------------------ errors

const unavailable = (what, error) => new HybridAuthError('LOCAL_UNAVAILABLE', `${what}: ${error.code ?? 'failed'}`)
const damaged = (what) => new HybridAuthError('LOCAL_CORRUPT', `${what} is damaged: neither imported nor replaced`)

/** The files of a folder, without following links; `null` when there is no such folder. */
async function list(folder) {
  try {
    return await fs.readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOENT') return null
    if (error.code === 'ENOTDIR') throw new HybridAuthError('INVALID_OPTION', 'the multi-file folder is not a directory')
    throw unavailable('the multi-file folder cannot be read', error)
  }
}

/** Runs `task` on every item, a few at a time; the first failure ends it. */
async function each(items, task) {
  const iterator = items[Symbol.asyncIterator]?.() ?? items[Symbol.iterator]()
  let failed = false
  const worker = async () => {
    while (!failed) {
      const { value, done } = await iterator.next()
      if (done) return
      try {
        await task(value)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const results = await Promise.allSettled(Array.from({ length: PARALLEL }, worker))
  const rejected = results.find((result) => result.status === 'rejected')
  if (rejected) throw rejected.reason
}

// ----------------------------------------------------------------------------------------------------------- reading

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

/** The value of a file, or undefined when it has just been deleted. */
async function readValue(path, what) {
  let text
  try {
    const file = await fs.open(path, constants.O_RDONLY | NO_FOLLOW)
    try {
      text = await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw unavailable(`${what} cannot be read`, error)
  }
  return parseValue(text, what)
}

/** The value in the text of a file; LOCAL_CORRUPT where there is none. */
function parseValue(text, what) {
  try {
    return reviveSpread(JSON.parse(text, reviveMarked))
  } catch {
    throw damaged(what)
  }
}

/**
 * Whether `folder` holds a multi-file session. A creds.json which is no file (a link, say) is LOCAL_CORRUPT rather than
 * "no", which would start a new identity.
 */
async function findMultiFile(folder) {
  let info
  try {
    info = await fs.lstat(join(folder, CREDS))
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
    throw unavailable('the multi-file folder cannot be read', error)
  }
  if (info.isFile()) return true
  throw new HybridAuthError('LOCAL_CORRUPT', `${CREDS} is not a regular file`)
}

function checkCreds(creds) {
  const pairs = [creds?.noiseKey, creds?.signedIdentityKey]
  if (!pairs.every((pair) => Buffer.isBuffer(pair?.private) && Buffer.isBuffer(pair?.public))) throw damaged(CREDS)
}

/**
 * Reads a multi-file session as it stands; null when there is none. Files that hold null or another falsy value count as
 * absent, as they do for Baileys.
 *
 * @param {string} folder
 * @param {{onDamagedKey?: 'error' | 'skip', families?: string[]}} [options] `families`: types beyond the ten of Baileys
 * @returns {Promise<null | {creds: object, entries: {type: string, id: string, value: any}[],
 *   damaged: Record<string, number>, notUnderstood: number, otherFiles: number}>}
 *   `damaged`: keys left out per family ('skip' only); `notUnderstood`: .json files of an unknown family;
 *   `otherFiles`: whatever else lies there (sub-folders, links, other names). LOCAL_CORRUPT: a damaged file.
 */
async function readMultiFile(folder, { onDamagedKey = 'error', families } = {}) {
  if (!(await findMultiFile(folder))) return null
  const creds = await readValue(join(folder, CREDS), CREDS)
  if (creds === undefined) return null
  checkCreds(creds)

  const report = { creds, entries: [], damaged: {}, notUnderstood: 0, otherFiles: 0 }
  const known = familiesWith(families)
  const keys = []
  for (const item of (await list(folder)) ?? []) {
    if (item.name === CREDS) continue
    const key = item.isFile() ? parseName(item.name, known) : null
    if (key !== null) keys.push({ ...key, name: item.name })
    else if (item.isFile() && item.name.endsWith('.json')) report.notUnderstood++
    else report.otherFiles++
  }
  keys.sort((a, b) => (a.name < b.name ? -1 : 1)) // a folder has no order of its own, and a report should not depend on it

  await each(keys.entries(), async ([i, { type, id, name }]) => {
    try {
      const value = await readValue(join(folder, name), `a "${type}" file`)
      if (value) report.entries[i] = { type, id, value }
    } catch (error) {
      if (onDamagedKey !== 'skip' || error.code !== 'LOCAL_CORRUPT') throw error
      report.damaged[type] = (report.damaged[type] ?? 0) + 1
    }
  })
  report.entries = report.entries.filter(Boolean)
  return report
}

// -------------------------------------------------------------------------------------------------------- moving away

/** Makes renames in `folder` durable, where the platform knows how. */
async function syncFolder(folder) {
  const handle = await fs.open(folder, constants.O_RDONLY).catch(() => null)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

/**
 * Moves an imported session into `<folder>/multi-file-originals-<n>/`. creds.json goes first: whether there is something to
 * import is decided by creds.json alone, so a crash in the midst of this can never lead to the import of a session that
 * lacks half its keys. Called again after such a crash it moves the rest after it.
 *
 * @returns {Promise<{folder: string | null, moved: number}>} the name within `folder`, null when nothing was there to move
 */
async function setAside(folder, { families } = {}) {
  const items = await list(folder)
  const known = familiesWith(families)
  const names = (items ?? []).filter((item) => item.isFile() && parseName(item.name, known)).map((item) => item.name)
  const earlier = (items ?? [])
    .filter((item) => item.isDirectory() && item.name.startsWith(ASIDE))
    .map((item) => Number(item.name.slice(ASIDE.length)))
    .filter((n) => Number.isSafeInteger(n) && n > 0)
  const last = Math.max(0, ...earlier)
  const whole = await findMultiFile(folder)
  // Keys without creds.json: the rest of an interrupted move, or nothing that an import would have touched.
  if (!whole && (last === 0 || names.length === 0)) return { folder: null, moved: 0 }

  const target = `${ASIDE}${whole ? last + 1 : last}`
  try {
    if (whole) {
      await fs.mkdir(join(folder, target), { mode: 0o700 })
      await fs.rename(join(folder, CREDS), join(folder, target, CREDS))
      await syncFolder(join(folder, target))
      await syncFolder(folder)
    }
    for (const name of names) await fs.rename(join(folder, name), join(folder, target, name))
    await syncFolder(join(folder, target))
    await syncFolder(folder)
  } catch (error) {
    throw unavailable('the multi-file originals cannot be moved aside', error)
  }
  return { folder: target, moved: names.length + (whole ? 1 : 0) }
}

// ----------------------------------------------------------------------------------------------------------- writing

/** Writes a new file, durably; EEXIST when there is one, links included. */
async function create(path, text) {
  const file = await fs.open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Names which no file of useMultiFileAuthState can have either. */
const impossible = (name) =>
  name.includes('\0') ||
  !name.isWellFormed() ||
  Buffer.byteLength(name) > MAX_NAME ||
  (process.platform === 'win32' && /[<>"|?*\\\u0001-\u001f]/.test(name))

/** An empty or new folder of mode 0700 to write to; creds.json leaves an old one first. */
async function prepare(folder, overwrite) {
  const items = await list(folder)
  const known = familiesWith()
  const old = (items ?? []).map((item) => item.name).filter((name) => name !== CREDS && parseName(name, known))
  const session = (items ?? []).some((item) => item.name === CREDS)
  if (!overwrite && (session || old.length > 0)) {
    throw new HybridAuthError('INVALID_OPTION', 'the folder already holds a session: name another, or say overwrite')
  }
  await fs.mkdir(folder, { recursive: true, mode: 0o700 })
  await fs.chmod(folder, 0o700)
  if (session) {
    await fs.unlink(join(folder, CREDS))
    await syncFolder(folder)
  }
  for (const name of old) await fs.unlink(join(folder, name))
}

/**
 * Writes a folder that `useMultiFileAuthState` of any Baileys opens with the same contents: folder 0700, files 0600,
 * creds.json last and by rename, so that an interrupted export is no session.
 *
 * @param {string} folder refused with INVALID_OPTION when it holds a session, unless `overwrite`
 * @param {{creds?: object, entries: Iterable | AsyncIterable}} session entries are {type, id, value}; creds may also come
 *   among them, as type null; a null value is left out
 * @param {{BufferJSON: {replacer: Function}, overwrite?: boolean}} options
 * @returns {Promise<{written: number, collisions: number, impossible: number}>} `collisions`: distinct ids that share a file
 *   name (the first one wins); `impossible`: ids that no file name can hold. Baileys' own folder could not keep them either.
 */
async function writeMultiFile(folder, { creds, entries }, { BufferJSON, overwrite = false }) {
  const report = { written: 0, collisions: 0, impossible: 0 }
  const text = (value) => JSON.stringify(value, BufferJSON.replacer)
  const taken = new Set()
  let identity = creds

  async function writeKey({ type, id, value }) {
    if (type === null) identity ??= value
    if (type === null || !value) return
    const name = fileName(type, id)
    if (impossible(name)) report.impossible++
    else if (taken.has(name)) report.collisions++
    else {
      taken.add(name)
      // `prepare` cleared the ten families only: other names in the folder may belong to somebody else
      if (overwrite && !FAMILIES.includes(type)) await fs.rm(join(folder, name), { force: true })
      await writeNew(name, text(value))
    }
  }

  async function writeNew(name, content) {
    try {
      await create(join(folder, name), content)
      report.written++
    } catch (error) {
      // Names that differ in case only, on a file system that does not tell them apart
      if (error.code === 'EEXIST') report.collisions++
      else if (error.code === 'ENAMETOOLONG' || error.code === 'EILSEQ' || error.code === 'EINVAL') report.impossible++
      else throw error
    }
  }

  try {
    await prepare(folder, overwrite)
    await each(entries, writeKey)
    if (!identity) throw new HybridAuthError('INVALID_OPTION', 'there are no creds to export')
    const temporary = join(folder, `${CREDS}.tmp`)
    await fs.rm(temporary, { force: true })
    await create(temporary, text(identity))
    await syncFolder(folder)
    await fs.rename(temporary, join(folder, CREDS))
    await syncFolder(folder)
  } catch (error) {
    if (error instanceof HybridAuthError) throw error
    if (typeof error?.code === 'string') throw unavailable('the session cannot be exported', error)
    throw error
  }
  return report
}

module.exports = { findMultiFile, readMultiFile, setAside, writeMultiFile, idIn, parseName, parseValue, checkCreds, familiesWith, each, CREDS, FAMILIES }
