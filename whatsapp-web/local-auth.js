'use strict'

// The profile of a LocalAuth, adopted: its storage of pages is copied to the folder of a client that has none.
//
// Invariants: the original is only read; a browser that runs on it is an error, since a copy of a running profile is none. The copy is
// there whole, or not at all.

const { randomUUID } = require('node:crypto')
const { cp, lstat, mkdir, rename, rm } = require('node:fs/promises')
const { dirname, join } = require('node:path')
const { HybridAuthError } = require('../lib/errors.js')
const { createFolder } = require('../lib/profile/folder.js')

/** Folders of a profile that a session consists of, as RemoteAuth has them. */
const KEPT = ['IndexedDB', 'Local Storage']

const exists = (path) =>
  lstat(path).then(
    () => true,
    () => false
  )

/**
 * Copies the profile in `from` to `to`, if there is one in `from` and none in `to`; answers whether it did.
 * @param {string} from
 * @param {string} to
 */
async function adopt(from, to) {
  if (!(await exists(join(from, 'Default', 'IndexedDB'))) || (await exists(join(to, 'Default')))) return false
  const user = await createFolder(from).user()
  if (user !== null) throw new HybridAuthError('ALREADY_OPEN', `a browser (process ${user}) is running on the profile of LocalAuth: close it first`)
  const staged = `${to}.adopted-${randomUUID()}`
  try {
    await mkdir(join(staged, 'Default'), { recursive: true, mode: 0o700 })
    for (const name of KEPT) {
      const source = join(from, 'Default', name)
      if (await exists(source)) await cp(source, join(staged, 'Default', name), { recursive: true, errorOnExist: true, force: false })
    }
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    // An empty folder, as RemoteAuth leaves it, gives way; one with a profile does not.
    await rename(staged, to)
    return true
  } catch (error) {
    await rm(staged, { recursive: true, force: true }).catch(() => {})
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return false
    throw new HybridAuthError('LOCAL_UNAVAILABLE', `the profile of LocalAuth cannot be copied (${error.code}): fix its permissions or free space`, error)
  }
}

module.exports = { adopt }
