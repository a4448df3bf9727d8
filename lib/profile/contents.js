'use strict'

// The files of a profile that a session consists of, in a folder that nobody writes to: found, compared and copied.
//
// Invariants: these are the files that a backup stores (`src/profile/scan.rs`); a link is never followed. Two contents are the same only if
// all files have the same names and the same bytes.

const { createHash } = require('node:crypto')
const { createReadStream } = require('node:fs')
const { cp, lstat, mkdir, readdir } = require('node:fs/promises')
const { join } = require('node:path')
const { pipeline } = require('node:stream/promises')

/** Folders of `Default` with the storage of pages. */
const KEPT = ['IndexedDB', 'Local Storage']
/** Files that tell who uses a database and what happened to it, and hold none of it. */
const PASSED_OVER = new Set(['LOCK', 'LOG', 'LOG.old'])

const exists = (path) =>
  lstat(path).then(
    () => true,
    () => false
  )

/** Paths of all files below a folder, with '/' between names, in order. */
async function filesBelow(folder) {
  const found = []
  const visit = async (at) => {
    for (const item of await readdir(join(folder, at), { withFileTypes: true })) {
      const path = at === '' ? item.name : `${at}/${item.name}`
      if (item.isDirectory()) await visit(path)
      else if (item.isFile()) found.push(path)
    }
  }
  await visit('')
  return found.sort()
}

/** All files below a folder, as entries of a zip. */
const entriesOf = async (folder) => (await filesBelow(folder)).map((path) => ({ path, source: join(folder, path) }))

/** True for the path of a file that a backup stores. */
function isKept(path) {
  const [top, name, ...below] = path.split('/')
  return top === 'Default' && KEPT.includes(name) && below.length > 0 && !PASSED_OVER.has(/** @type {string} */ (below.at(-1)))
}

/** True if there is storage of pages in a folder: without it, a profile holds no session. */
const hasSession = (folder) => exists(join(folder, 'Default', 'IndexedDB'))

async function hashOf(path) {
  const hash = createHash('sha256')
  let size = 0
  await pipeline(createReadStream(path), async (chunks) => {
    for await (const chunk of chunks) {
      hash.update(chunk)
      size += chunk.length
    }
  })
  return { size, hash: hash.digest('hex') }
}

/**
 * The contents of a profile: path -> `{ size, hash }`.
 * @param {string} folder
 * @returns {Promise<Map<string, { size: number, hash: string }>>}
 */
async function contentsOf(folder) {
  const contents = new Map()
  for (const path of await filesBelow(folder)) if (isKept(path)) contents.set(path, await hashOf(join(folder, path)))
  return contents
}

/** True if two profiles have the same files. */
const isSame = (one, other) => one.size === other.size && [...one].every(([path, { hash }]) => other.get(path)?.hash === hash)

/** Digest of names and hashes, in the form that a migration has for the files of its sources. */
function digestOf(hashes) {
  const digest = createHash('sha256')
  for (const [name, { hash }] of [...hashes].sort(([a], [b]) => (a < b ? -1 : 1)))
    digest
      .update(`${Buffer.byteLength(name)}:`)
      .update(name)
      .update(hash, 'hex')
  return digest.digest('hex')
}

/** Copies the storage of pages of a profile to a folder that does not exist. */
async function copyKept(from, to) {
  await mkdir(join(to, 'Default'), { recursive: true, mode: 0o700 })
  for (const name of KEPT) {
    const source = join(from, 'Default', name)
    if (await exists(source))
      await cp(source, join(to, 'Default', name), { recursive: true, errorOnExist: true, force: false, verbatimSymlinks: true })
  }
}

module.exports = { contentsOf, copyKept, digestOf, entriesOf, exists, filesBelow, hashOf, hasSession, isKept, isSame }
