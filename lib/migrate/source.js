'use strict'

// The source of a migration: a folder with everything below it, or a bucket of another system.
//
// Invariants: a listing is complete (every page, every folder) or fails; links are not followed; nothing is written, and
// nothing is removed but by `remove`. Names are relative, with `/` between their parts. Messages hold no names: those of keys
// are contacts.

const { constants, createWriteStream, lstatSync } = require('node:fs')
const fs = require('node:fs/promises')
const { basename, dirname, join, relative, resolve, sep } = require('node:path')
const { pipeline } = require('node:stream/promises')
const { HybridAuthError, settle } = require('../errors.js')
const { syncFolder } = require('../folders.js')
const { CREDS } = require('../multi-file/names.js')
const { loadBinding } = require('../native.js')

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0

/** Folders that an in-place import set aside: no session that anything runs on. */
const ASIDE = /^multi-file-originals-\d+$/

const failed = (what, error) => new HybridAuthError('LOCAL_UNAVAILABLE', `the source cannot be ${what}: ${error.code ?? 'failed'}`)

/** Adds what lies below `folder` to `found`. A folder below that may not be looked into, such as lost+found, is named and passed over. */
async function visit(root, folder, found, isTop = false) {
  for (const item of await itemsOf(root, folder, found, isTop)) {
    const name = folder === '' ? item.name : `${folder}/${item.name}`
    if (item.isFile()) found.names.push(name)
    else if (item.isDirectory() && !ASIDE.test(item.name)) await visit(root, name, found)
    else {
      found.odd++
      if (item.name === CREDS) found.linked.push(folder)
    }
  }
}

async function itemsOf(root, folder, found, isTop) {
  try {
    return await fs.readdir(join(root, folder), { withFileTypes: true })
  } catch (error) {
    if (folder === '' && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      throw new HybridAuthError('INVALID_OPTION', '`from` is not an existing folder')
    }
    const isClosed = !isTop && ['EACCES', 'EPERM'].includes(error.code)
    if (error.code !== 'ENOENT' && !isClosed) throw failed('listed', error)
    if (isClosed) found.unreadable.push(folder)
    return []
  }
}

const openToRead = (path) => fs.open(path, constants.O_RDONLY | NO_FOLLOW)

async function readFile(path) {
  try {
    const file = await openToRead(path)
    try {
      return await file.readFile()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw failed('read', error)
  }
}

/** Copies a file to `to`; answers false if it is gone. */
async function copyFile(path, to) {
  try {
    const file = await openToRead(path)
    // The stream closes it.
    await pipeline(file.createReadStream(), createWriteStream(to, { flags: 'wx', mode: 0o600 }))
    return true
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw failed('read', error)
  }
}

async function removeFiles(paths) {
  try {
    for (const path of paths) await fs.rm(path, { force: true })
    for (const folder of new Set(paths.map(dirname))) await syncFolder(folder)
  } catch (error) {
    throw failed('removed', error)
  }
}

/** Removes a folder if it is empty; answers whether it is gone. */
const removeEmpty = (path) =>
  fs.rmdir(path).then(
    () => true,
    (error) => error.code === 'ENOENT'
  )

/** A folder, with all that lies below it. */
function folderSource(root) {
  const pathOf = (name) => join(root, ...name.split('/'))
  return {
    kind: 'folder',
    root,
    /** Name of a session that lies in the source itself. */
    label: basename(root),
    /** All that lies below `folder`, or in the whole source; `linked`: folders whose credentials are a link or no file; `unreadable`: folders that may not be listed. */
    async list(folder = '') {
      const found = { names: [], odd: 0, linked: [], unreadable: [] }
      await visit(root, folder, found, true)
      found.names.sort()
      return found
    },
    read: (name) => readFile(pathOf(name)),
    copy: (name, to) => copyFile(pathOf(name), to),
    remove: (names) => removeFiles(names.map(pathOf)),
    /** Removes a folder that is empty, and those above it that are empty then; never the source itself. */
    async tidy(folder) {
      for (let at = folder; at !== '' && at !== '.'; at = dirname(at)) if (!(await removeEmpty(pathOf(at)))) return
    }
  }
}

/** One file, as the source that holds nothing else. */
function fileSource(path) {
  const source = folderSource(dirname(path))
  const list = async () => ({
    names: (await source.list()).names.filter((name) => name === basename(path)),
    odd: 0,
    linked: [],
    unreadable: []
  })
  return { ...source, label: basename(path).replace(/\.json$/, ''), list, tidy: async () => {} }
}

/** A bucket, as the core reaches it; `spec` is what a store is told, with credentials in it. */
function bucketSource(spec) {
  const store = JSON.stringify(spec)
  const binding = loadBinding()
  return {
    kind: 'bucket',
    label: spec.prefix.split('/').at(-1),
    list: async (folder = '') => ({ names: settle(await binding.foreignNames(store, folder)), odd: 0, linked: [], unreadable: [] }),
    read: async (name) => settle(await binding.foreignRead(store, name)),
    async copy(name, to) {
      const bytes = await this.read(name)
      if (bytes === null) return false
      await fs.writeFile(to, bytes, { flag: 'wx', mode: 0o600 })
      return true
    },
    async remove(names) {
      settle(await binding.foreignRemove(store, names))
    },
    tidy: async () => {}
  }
}

/** True if one of two folders holds the other, or they are the same. */
async function overlap(one, other) {
  const real = async (path) =>
    fs.realpath(path).catch(async () => {
      // A path that does not exist yet is where its parent is.
      const parent = dirname(path)
      return parent === path ? path : join(await real(parent), basename(path))
    })
  const [a, b] = await Promise.all([one, other].map((path) => real(resolve(path))))
  const within = (inner, outer) => {
    const way = relative(outer, inner)
    return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && resolve(outer, way) === inner && !/^[a-z]:/i.test(way))
  }
  return within(a, b) || within(b, a)
}

function isFile(path) {
  try {
    return lstatSync(path).isFile()
  } catch {
    // A path that cannot be looked at is reported by the listing.
    return false
  }
}

/** The source that `spec` names: what `resolveSource` of options.js answers. */
function openSource(spec) {
  if (spec.kind !== 'directory') return bucketSource(spec)
  return isFile(spec.path) ? fileSource(spec.path) : folderSource(spec.path)
}

module.exports = { openSource, overlap }
