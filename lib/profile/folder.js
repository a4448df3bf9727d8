'use strict'

// The folder of a profile: whether it counts, setting it aside, and its removal.
//
// Invariants: nothing that a browser may be using is touched; what is replaced is set aside, and only the third oldest copy goes. A
// lock of a browser that cannot run any more, since this process owns the session, is removed; one of a running browser is an error.

const { execFile } = require('node:child_process')
const fs = require('node:fs/promises')
const { hostname } = require('node:os')
const { dirname, basename, join } = require('node:path')
const { promisify } = require('node:util')
const { HybridAuthError } = require('../errors.js')

/** Between the name of a folder and the time at which a copy of it was set aside. */
const SUPERSEDED = '.superseded-'

/** Copies of superseded folders that are kept. */
const KEPT = 2

/** Pauses between attempts to remove a folder that a browser is still leaving. */
const PAUSES = [100, 300, 1000, 3000, 10_000]

const exists = async (path) => {
  try {
    await fs.lstat(path)
    return true
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
    throw unavailable('looked at', error)
  }
}

const unavailable = (done, error) =>
  new HybridAuthError('LOCAL_UNAVAILABLE', `the folder of the profile cannot be ${done} (${error.code}): fix its permissions or free space`)

/** True if a process of this host has this number. */
function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Continues a process that was stopped, if it is ours. */
function proceed(pid) {
  try {
    if (process.platform !== 'win32') process.kill(pid, 'SIGCONT')
  } catch {
    // It ended meanwhile, or is of another user.
  }
}

/** The command of a process, where the system has no files that tell it; null if it does not tell. */
async function commandOf(pid) {
  try {
    return (await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command='])).stdout
  } catch {
    return null
  }
}

/**
 * True if process `pid` of this host runs a browser on `path`. Where processes do not tell, one that runs is taken for one.
 * @param {number} pid
 * @param {string} path
 */
async function isBrowserOf(pid, path) {
  if (!isRunning(pid)) return false
  const command = await fs.readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => commandOf(pid))
  // A number that was given to another program since: its command names no such folder.
  return command === null || command.includes(path) || command.includes(basename(path))
}

/** Host and process that a browser's lock names; null for no lock. */
async function lockIn(path) {
  const target = await fs.readlink(join(path, 'SingletonLock')).catch(() => null)
  const [, host, pid] = /^(.*)-(\d+)$/.exec(target ?? '') ?? []
  return pid === undefined ? null : { host, pid: Number(pid) }
}

/** The process of this host that a browser's lock names; null for none, or for one of another host. */
async function lockOwner(path) {
  const lock = await lockIn(path)
  return lock?.host === hostname() ? lock.pid : null
}

/** Removes a folder with all that is in it; answers whether it is gone. */
const removed = (path) =>
  fs.rm(path, { recursive: true, force: true }).then(
    () => true,
    () => false
  )

/** Adds a mark of each file below `folder` to `marks`, but for the log of its own that a database keeps. */
async function markAll(folder, marks) {
  for (const item of await fs.readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const at = join(folder, item.name)
    if (item.isDirectory()) await markAll(at, marks)
    else if (item.isFile() && !/^LOG(\.old)?$/.test(item.name)) {
      const { size, mtimeMs, ino } = await fs.stat(at).catch(() => ({ size: -1, mtimeMs: 0, ino: 0 }))
      marks.push(`${at}\0${size}\0${mtimeMs}\0${ino}`)
    }
  }
}

/** A folder beside which its superseded copies lie. */
class Folder {
  /** @param {string} path the user data directory */
  constructor(path) {
    this.path = path
  }

  /** True if there is a profile in it. */
  hasProfile() {
    return exists(join(this.path, 'Default'))
  }

  /** True if there is storage of pages in it, which a backup holds. */
  hasStorage() {
    return exists(join(this.path, 'Default', 'IndexedDB'))
  }

  /** The process of this host that uses it; null for none. */
  async user() {
    const pid = await lockOwner(this.path)
    if (pid === null || !(await isBrowserOf(pid, this.path))) return null
    // A program that was killed during a backup left it stopped, and nobody could close it.
    proceed(pid)
    return pid
  }

  /** True if the lock of a browser is of another host, of which this one cannot tell whether it runs. */
  async isLockedElsewhere() {
    const lock = await lockIn(this.path)
    return lock !== null && lock.host !== hostname()
  }

  /** Removes the locks of a browser that is gone: one of another host would keep the next browser out. */
  async unlock() {
    for (const name of ['SingletonLock', 'SingletonCookie', 'SingletonSocket'])
      await fs.rm(join(this.path, name), { force: true }).catch(() => {})
  }

  /** Makes room for a restore: what is there is set aside. */
  async setAside() {
    if (!(await exists(this.path))) return null
    try {
      const items = await fs.readdir(this.path)
      if (items.length === 0) return void (await fs.rmdir(this.path))
      const aside = `${this.path}${SUPERSEDED}${new Date().toISOString().replace(/\D/g, '').slice(0, 17)}`
      await fs.rename(this.path, aside)
      await this.trim()
      return aside
    } catch (error) {
      throw unavailable('set aside', error)
    }
  }

  /** Copies that were set aside, in no order. */
  async #copies() {
    const [above, prefix] = [dirname(this.path), `${basename(this.path)}${SUPERSEDED}`]
    const items = await fs.readdir(above).catch(() => [])
    return items.filter((name) => name.startsWith(prefix)).map((name) => join(above, name))
  }

  /** Removes all but the newest copies that were set aside. */
  async trim() {
    const copies = (await this.#copies()).sort().reverse()
    for (const copy of copies.slice(KEPT)) await fs.rm(copy, { recursive: true, force: true }).catch(() => {})
  }

  /** Removes the folder, and its copies, however long a browser takes to leave it. Answers whether it is gone. */
  async remove() {
    const all = [this.path, ...(await this.#copies())]
    for (const pause of [...PAUSES, 0]) {
      const gone = await Promise.all(all.map(removed))
      if (!gone.includes(false)) return true
      await new Promise((done) => setTimeout(done, pause).unref())
    }
    return false
  }

  /** Text that changes with every write to the storage of pages. */
  async signature() {
    const marks = []
    for (const name of ['IndexedDB', 'Local Storage']) await markAll(join(this.path, 'Default', name), marks)
    return marks.sort().join('\n')
  }
}

module.exports = { Folder, isBrowserOf, isRunning, lockIn }
