'use strict'

// The doctor for profiles of browsers: their folder on this machine, apart from the store.
//
// Invariants: as in doctor.js, a check that could not be done is `unknown`. No profile is changed: what is tried out is tried on a scratch
// file beside them, and on a process of its own. No message holds the path of a folder.

const { spawn } = require('node:child_process')
const { randomUUID } = require('node:crypto')
const fs = require('node:fs/promises')
const { hostname } = require('node:os')
const { join, resolve } = require('node:path')
const { isBrowserOf, lockIn } = require('../profile/folder.js')
const { check, counted } = require('./doctor-check.js')

/** Folders of a profile that a backup holds. */
const KEPT = [join('Default', 'IndexedDB'), join('Default', 'Local Storage')]

/** Folders that this package makes beside profiles. */
const OURS = /^\.bha$|\.superseded-\d+$|\.adopted-/

/** Kinds of file systems by the number that Linux gives them. */
const NETWORK = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x65735546, 'FUSE']
])
const OVERLAY = 0x794c7630
const MEMORY = [0x01021994, 0x858458f6]

const sized = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`)

/** Bytes of the files below a folder; those that go meanwhile do not count. */
async function bytesOf(folder) {
  let sum = 0
  for (const item of await fs.readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const at = join(folder, item.name)
    if (item.isDirectory()) sum += await bytesOf(at)
    else if (item.isFile()) sum += (await fs.stat(at).catch(() => ({ size: 0 }))).size
  }
  return sum
}

/** The profiles of a folder: `{ name, path, lock, user, kept }`. */
async function profilesIn(dataPath) {
  const items = (await fs.readdir(dataPath, { withFileTypes: true })).filter((item) => item.isDirectory() && !OURS.test(item.name))
  const found = []
  for (const { name } of items) {
    const path = join(dataPath, name)
    const lock = await lockIn(path)
    const hasProfile = await fs.stat(join(path, 'Default')).then(
      () => true,
      () => false
    )
    if (lock === null && !hasProfile) continue
    const user = lock !== null && lock.host === hostname() && (await isBrowserOf(lock.pid, path)) ? lock.pid : null
    const sizes = await Promise.all(KEPT.map((part) => bytesOf(join(path, part))))
    found.push({ name, path, lock, user, kept: sizes.reduce((a, b) => a + b, 0) })
  }
  return found
}

function locks(profiles) {
  const name = 'profile-locks'
  const locked = profiles.filter(({ lock, user }) => lock !== null && user === null)
  const foreign = locked.filter(({ lock }) => lock.host !== hostname())
  const running = profiles.filter(({ user }) => user !== null).length
  const more = { profiles: profiles.length, running, left: locked.length - foreign.length, foreign: foreign.map((profile) => profile.name) }
  if (foreign.length > 0) {
    return check(
      name,
      'warning',
      `${counted(foreign.length, 'profile')} locked by a browser of another host (\`SingletonLock\`). If that host or container is gone, nothing is to be done: an open by this package removes the lock. If it is running, two machines share this folder: give each its own`,
      more
    )
  }
  const all = `${counted(profiles.length, 'profile')}, ${counted(running, 'running browser')}`
  if (locked.length === 0) return check(name, 'ok', `${all}; no lock is left over`, more)
  return check(
    name,
    'ok',
    `${all}; ${counted(locked.length, 'lock')} of a browser that was killed: the next open removes it, and nothing is to be done`,
    more
  )
}

/** Looks whether a backup can link files instead of copying them. */
async function links(dataPath, profiles) {
  const name = 'profile-links'
  const home = join(dataPath, '.bha')
  const { dev } = await fs.stat(home).catch(() => fs.stat(dataPath))
  const slow = 'a backup copies whole files while the browser is stopped, which takes longer and needs more space'
  const devices = await Promise.all(profiles.map(({ path }) => fs.stat(path).then((found) => found.dev)))
  if (devices.some((other) => other !== dev))
    return check(
      name,
      'warning',
      `a profile is on another file system than \`.bha\` beside it: ${slow}; mount the whole folder, not single profiles`
    )
  const scratch = join(dataPath, `.bha-probe-${randomUUID()}`)
  try {
    await fs.writeFile(scratch, '', { flag: 'wx', mode: 0o600 })
    await fs.link(scratch, `${scratch}-link`)
    return check(name, 'ok', 'files can be linked, so that a backup does not copy unchanged files')
  } catch ({ code }) {
    if (['EROFS', 'EACCES', 'ENOSPC', 'EDQUOT'].includes(code))
      return check(name, 'failed', `nothing can be written beside the profiles (${code}): fix the permissions, or free space`)
    return check(name, 'warning', `this file system makes no hard links (${code}): ${slow}`)
  } finally {
    for (const path of [scratch, `${scratch}-link`]) await fs.rm(path, { force: true }).catch(() => {})
  }
}

async function space(dataPath, profiles) {
  const name = 'profile-space'
  const { bavail, bsize } = await fs.statfs(dataPath)
  const [free, kept] = [bavail * bsize, profiles.reduce((sum, profile) => sum + profile.kept, 0)]
  const largest = Math.max(0, ...profiles.map((profile) => profile.kept))
  const said = `${sized(free)} free; ${counted(profiles.length, 'profile')} with ${sized(kept)} to keep, the largest ${sized(largest)}`
  const more = { free, kept, largest }
  if (free < largest) return check(name, 'failed', `${said}: there is no room to restore it; free space`, more)
  if (free < 2 * kept)
    return check(name, 'warning', `${said}: less than twice that, and a restore keeps the folder that it replaces; free space`, more)
  return check(name, 'ok', said, more)
}

async function disk(dataPath) {
  const name = 'profile-disk'
  if (process.platform !== 'linux')
    return check(name, 'unknown', 'the kind of the file system is unknown on this system; it should be a local disk')
  const type = Number((await fs.statfs(dataPath)).type)
  const network = NETWORK.get(type)
  if (network !== undefined)
    return check(
      name,
      'warning',
      `the folder is on a network or user-space file system (${network}), where databases of a browser are slow and their locks may not hold; use a local disk, the store has the copy`
    )
  if (type === OVERLAY)
    return check(
      name,
      'warning',
      'the folder is in the file system of a container, and goes with it: each start downloads the profiles; put it on a volume'
    )
  if (MEMORY.includes(type))
    return check(
      name,
      'warning',
      'the folder is in memory, and goes with this machine: what a browser wrote since its last backup is lost then; put it on a disk'
    )
  return check(name, 'ok', 'the folder is on a local disk')
}

/** True if this process can stop another one and see that it did; null if the system does not tell. */
async function canStop() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  try {
    await new Promise((done, fail) => child.once('spawn', done).once('error', fail))
    if (!child.kill('SIGSTOP')) return false
    for (let look = 0; look < 50; look++) {
      const status = await fs.readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => null)
      if (status === null) return null
      // `pid (name) state …`
      if (/^T/i.test(status.slice(status.lastIndexOf(')') + 2))) return true
      await new Promise((done) => setTimeout(done, 10))
    }
    return false
  } finally {
    child.kill('SIGKILL')
  }
}

async function stop(profiles) {
  const name = 'profile-stop'
  const otherwise = 'each backup copies while the browser writes, and is repeated until it is whole'
  if (process.platform === 'win32') return check(name, 'warning', `browsers cannot be stopped on this system: ${otherwise}`)
  const foreign = profiles.filter(({ user }) => user !== null && !mayStop(user)).length
  if (foreign > 0)
    return check(
      name,
      'warning',
      `${counted(foreign, 'browser')} of another user cannot be stopped: ${otherwise}; run the program as the user of its browsers`
    )
  const can = process.platform === 'linux' ? await canStop() : null
  if (can === null) return check(name, 'unknown', 'whether processes can be stopped (SIGSTOP) was not tried on this system')
  if (!can) return check(name, 'warning', `processes cannot be stopped here (SIGSTOP): ${otherwise}; allow the signal in this container`)
  return check(name, 'ok', 'browsers can be stopped for the moment of a copy (SIGSTOP)')
}

function mayStop(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code !== 'EPERM'
  }
}

const CHECKS = ['profile-locks', 'profile-links', 'profile-space', 'profile-disk', 'profile-stop']

/**
 * Looks at the folder of profiles, that of `HybridAuth` (`dataPath`) or of `openProfile` (`directory`).
 * @param {string} dataPath
 */
async function doctorProfiles(dataPath) {
  const at = resolve(dataPath)
  let profiles
  try {
    profiles = await profilesIn(at)
  } catch ({ code }) {
    const why = code === 'ENOENT' ? 'there is no such folder: name that of the profiles' : `the folder of profiles cannot be read (${code})`
    return CHECKS.map((name) => check(name, 'unknown', why))
  }
  const looks = [() => locks(profiles), () => links(at, profiles), () => space(at, profiles), () => disk(at), () => stop(profiles)]
  return Promise.all(
    looks.map(async (look, n) => {
      try {
        return await look()
      } catch ({ code }) {
        return check(CHECKS[n], 'unknown', `it could not be looked at (${code})`)
      }
    })
  )
}

module.exports = { doctorProfiles }
