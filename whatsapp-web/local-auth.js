'use strict'

// The profile of a LocalAuth, adopted: its storage of pages is copied to the folder of a client that has none.
//
// Invariants: the original is only read; a browser that runs on it is an error, since a copy of a running profile is none. The copy is
// there whole, or not at all.

const { randomUUID } = require('node:crypto')
const { rm } = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('../lib/errors.js')
const { copyKept, exists, hasSession } = require('../lib/profile/contents.js')
const { Folder } = require('../lib/profile/folder.js')
const { place } = require('../lib/profile/intake.js')

/**
 * Copies the profile in `from` to `to`, if there is one in `from` and none in `to`; answers whether it did.
 * @param {string} from
 * @param {string} to
 */
async function adopt(from, to) {
  if (!(await hasSession(from)) || (await exists(join(to, 'Default')))) return false
  const user = await new Folder(from).user()
  if (user !== null)
    throw new HybridAuthError('ALREADY_OPEN', `a browser (process ${user}) is running on the profile of LocalAuth: close it first`)
  const staged = `${to}.adopted-${randomUUID()}`
  try {
    await copyKept(from, staged)
    return await place(staged, to)
  } catch (error) {
    throw new HybridAuthError(
      'LOCAL_UNAVAILABLE',
      `the profile of LocalAuth cannot be copied (${error.code}): fix its permissions or free space`,
      error
    )
  } finally {
    await rm(staged, { recursive: true, force: true }).catch(() => {})
  }
}

module.exports = { adopt }
