'use strict'

// Folders that the package creates, the reasons why one cannot be created, their names on the disk, and the log in one.
//
// Invariants: a path that can never contain files is INVALID_OPTION, since no retry helps; nothing here waits for a path forever, as
// the recursive `mkdir` of Node does below /proc. Messages name no path: it may contain a tenant id or a phone number.

const { accessSync, constants, lstatSync, statSync, statfsSync } = require('node:fs')
const { mkdir, open, readdir } = require('node:fs/promises')
const { dirname } = require('node:path')
const { HybridAuthError } = require('./errors.js')

/** Remedy for a `directory` in which no session can be. */
const REMEDY = 'set `directory` (WHATSAPP_SESSION_PATH) to a folder on a disk'

/** Linux file systems that cannot contain files of users, by the number that `statfs` has for each. */
const VIRTUAL = new Map([
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
  [0x27e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
  [0x64626720, 'debugfs'],
  [0x1cd1, 'devpts'],
  [0x73636673, 'securityfs']
])

/** The file or folder at a path or, if nothing is there, the nearest folder above it; null if that cannot be seen, `{ obstacle }` for a link. */
function nearest(path) {
  try {
    return { path, stat: statSync(path), isBelow: false }
  } catch (error) {
    if (error.code === 'ELOOP') return { obstacle: 'a symbolic link that leads to itself: remove the link' }
    if (!['ENOENT', 'ENOTDIR'].includes(error.code) || dirname(path) === path) return null
    if (error.code === 'ENOENT' && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
      return { obstacle: 'a symbolic link to a missing folder: create that folder' }
    const above = nearest(dirname(path))
    return above && { ...above, isBelow: true }
  }
}

function isTooLong(path) {
  try {
    lstatSync(path)
    return false
  } catch (error) {
    return error.code === 'ENAMETOOLONG'
  }
}

/**
 * The reason why nothing can be created in the folder `path`, with `remedy`: `{ code, message }`, or null where none is found. `name` is the
 * word of the message for it.
 */
function whyNoPlace(path, name, remedy) {
  if (isTooLong(path)) return { code: 'INVALID_OPTION', message: `${name} is too long, in all or in one of its names: ${remedy}` }
  const found = nearest(path)
  if (found === null) return null
  const is = found.isBelow ? 'is below' : 'is'
  if (found.obstacle) return { code: 'LOCAL_UNAVAILABLE', message: `${name} ${is} ${found.obstacle}, or ${remedy}` }
  if (found.stat.isFile()) return { code: 'LOCAL_UNAVAILABLE', message: `${name} ${is} a file: move the file away, or ${remedy}` }
  if (!found.stat.isDirectory()) return { code: 'INVALID_OPTION', message: `${name} ${is} a device, a pipe or a socket: ${remedy}` }
  const kind = VIRTUAL.get(statfsSync(found.path).type)
  if (kind !== undefined)
    return { code: 'INVALID_OPTION', message: `${name} is on a file system of the kernel (${kind}), which cannot contain files: ${remedy}` }
  try {
    accessSync(found.path, constants.W_OK | constants.X_OK)
    return null
  } catch (error) {
    const why =
      error.code === 'EROFS'
        ? 'is on a read-only file system: mount it writable'
        : 'is not writable for the user of this process: change its owner or its mode'
    return { code: 'LOCAL_UNAVAILABLE', message: `${name} ${why}, or ${remedy}` }
  }
}

async function makeOne(path) {
  await mkdir(path, { mode: 0o700 }).catch((error) => {
    if (error.code !== 'EEXIST' || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  })
}

/** Creates a folder of mode 0700, and those above it. */
async function makeFolders(path) {
  try {
    await makeOne(path)
  } catch (error) {
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolders(dirname(path))
    await makeOne(path)
  }
}

/** Creates the folder that an export writes to. */
async function makeTarget(path) {
  try {
    await makeFolders(path)
  } catch (error) {
    const { code, message } = whyNoPlace(path, 'the folder', 'export to another folder') ?? {
      code: 'LOCAL_UNAVAILABLE',
      message: `the folder cannot be created: ${error.code}`
    }
    throw new HybridAuthError(code, message)
  }
}

/** Errors of file systems that cannot sync a folder, such as some network drives. */
const UNSYNCABLE = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'])

/** Makes what was created, renamed or removed in a folder survive a power cut, where the system can. */
async function syncFolder(path) {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r').catch((error) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  // One that is gone has no names to keep.
  if (folder === null) return
  try {
    await folder.sync()
  } catch (error) {
    if (!UNSYNCABLE.has(error.code)) throw error
  } finally {
    await folder.close()
  }
}

const LOG = /^\d{20}\.log$/

/** True if the folder of a tenant contains a local log. */
const hasLog = async (folder) => (await readdir(folder).catch(() => [])).some((name) => LOG.test(name))

module.exports = { REMEDY, hasLog, makeTarget, syncFolder, whyNoPlace }
