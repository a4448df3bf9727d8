'use strict'

// Export to, and putting away of, the folder of Baileys' `useMultiFileAuthState`: `creds.json` and one `<type>-<id>.json` per key.
//
// Invariants: nothing is left out uncounted; creds.json is the first file to leave a folder and the last to enter one, so that at
// every instant a folder with creds.json is a whole session. Symbolic links are not followed.

const fs = require('node:fs/promises')
const { basename, dirname, isAbsolute, join, relative, resolve, sep } = require('node:path')
const { HybridAuthError } = require('../errors.js')
const { makeTarget, syncFolder } = require('../folders.js')
const {
  ASIDE,
  CREDS,
  FAMILIES,
  KEYS_FOLDER,
  MAX_NAME,
  OURS,
  PARALLEL,
  WHOLE,
  familiesWith,
  list,
  mainOf,
  nameOfKey,
  parseKey,
  parseName,
  unavailable
} = require('./names.js')
const { findMultiFile, isTooLarge } = require('./read.js')
const { each } = require('../pool.js')

// -------------------------------------------------------------------------------------------------------- moving away

/**
 * Moves an imported session into `<folder>/multi-file-originals-<n>/`, with the copies (.bak, .tmp) that newer versions of Baileys
 * leave: they would start the session of before on the next open by them. creds.json goes first: whether there is something to
 * import is decided by it alone, so a crash in the midst of this can never lead to the import of a session that lacks half its
 * keys. Called again after such a crash it moves the rest after it.
 *
 * @param {string} folder
 * @param {{ families?: string[], wholly?: boolean }} [how]
 * @returns {Promise<{folder: string | null, moved: number}>} the name within `folder`, null when nothing was there to move
 */
async function setAside(folder, { families, wholly = false } = {}) {
  const items = (await list(folder)) ?? []
  const known = familiesWith(families)
  const isOriginal = ({ name }) => mainOf(name) === CREDS || parseKey(mainOf(name), known) !== null
  const files = []
  for (const item of items.filter((item) => item.isFile() && isOriginal(item))) {
    const isWhole = parseKey(mainOf(item.name), known)?.type === WHOLE
    if (!isWhole || !(await isTooLarge(join(folder, item.name)))) files.push(item.name)
  }
  const nested = items.some((item) => item.isDirectory() && item.name === KEYS_FOLDER)
    ? ((await list(join(folder, KEYS_FOLDER))) ?? [])
    : []
  const names = nested.some(isOriginal) ? [...files, KEYS_FOLDER] : files
  const earlier = items
    .filter((item) => item.isDirectory() && item.name.startsWith(ASIDE))
    .map((item) => Number(item.name.slice(ASIDE.length)))
    .filter((n) => Number.isSafeInteger(n) && n > 0)
  const last = Math.max(0, ...earlier)
  const whole = wholly || (await findMultiFile(folder))
  // Keys without creds.json: the rest of an interrupted move, or nothing that an import would have touched.
  if (names.length === 0 || (!whole && last === 0)) return { folder: null, moved: 0 }

  const target = `${ASIDE}${whole ? last + 1 : last}`
  // Credentials first, and of them what would be read first.
  const order = [CREDS, ...files.filter((name) => name !== CREDS && mainOf(name) === CREDS).sort()].filter((name) => files.includes(name))
  try {
    if (whole) await fs.mkdir(join(folder, target), { mode: 0o700 })
    for (const name of order) await fs.rename(join(folder, name), join(folder, target, name))
    if (order.length > 0) {
      await syncFolder(join(folder, target))
      await syncFolder(folder)
    }
    for (const name of names.filter((name) => !order.includes(name))) await fs.rename(join(folder, name), join(folder, target, name))
    await syncFolder(join(folder, target))
    await syncFolder(folder)
  } catch (error) {
    throw unavailable('the multi-file originals cannot be moved aside', error)
  }
  return { folder: target, moved: names.length }
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

/** The path without links, as far as it exists. */
async function realOf(path) {
  try {
    return await fs.realpath(path)
  } catch {
    return dirname(path) === path ? path : join(await realOf(dirname(path)), basename(path))
  }
}

/** Refuses a folder among those of sessions: an open would take the export over, and the account would run twice. */
async function refuseAmongSessions(folder, directory) {
  const [at, above] = await Promise.all([realOf(resolve(folder)), realOf(resolve(directory))])
  const way = relative(above, at)
  if (way === '' || !(way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way))) {
    throw new HybridAuthError(
      'INVALID_OPTION',
      'the folder is inside `directory`, where an open would import it: export to a folder outside'
    )
  }
}

/** An empty or new folder of mode 0700 to write to; creds.json leaves an old one first. */
async function prepare(folder, overwrite) {
  const items = await list(folder)
  if ((items ?? []).some(({ name }) => OURS.test(name))) {
    throw new HybridAuthError('INVALID_OPTION', 'the folder belongs to a session of this package: export to another folder')
  }
  const known = familiesWith()
  const old = (items ?? []).map((item) => item.name).filter((name) => name !== CREDS && parseName(name, known))
  const session = (items ?? []).some((item) => item.name === CREDS)
  if (!overwrite && (session || old.length > 0)) {
    throw new HybridAuthError('INVALID_OPTION', 'the folder already contains a session: choose another, or pass `overwrite: true`')
  }
  await makeTarget(resolve(folder))
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
 * @param {{BufferJSON: {replacer: (key: string, value: any) => any}, overwrite?: boolean, directory?: string | null}} options `directory`: where sessions lie, if
 *   they lie on this machine
 * @returns {Promise<{written: number, collisions: number, impossible: number}>} `collisions`: distinct ids that share a file
 *   name (the first one wins); `impossible`: ids that no file name can hold. Baileys' own folder could not keep them either.
 */
async function writeMultiFile(folder, { creds, entries }, { BufferJSON, overwrite = false, directory = null }) {
  const report = { written: 0, collisions: 0, impossible: 0 }
  const text = (value) => JSON.stringify(value, BufferJSON.replacer)
  const taken = new Set()
  let identity = creds

  async function writeKey({ type, id, value }) {
    if (type === null) identity ??= value
    if (type === null || !value) return
    const name = nameOfKey(type, id)
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
    if (directory !== null) await refuseAmongSessions(folder, directory)
    await prepare(folder, overwrite)
    await each(entries, PARALLEL, writeKey)
    if (!identity) throw new HybridAuthError('NOT_FOUND', 'there are no credentials to export')
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

module.exports = { setAside, writeMultiFile }
