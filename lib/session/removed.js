'use strict'

// Folders of sessions that this process had open, so that an open notices when somebody removed one.
//
// Invariants: removing the folder is no logout: where the session is in a store it comes back, and that is said. Nothing counts as
// removed that `delete()` removed, or that this process never had open.

const { access, lstat } = require('node:fs/promises')

/** Number of folders above which those opened longest ago are forgotten. */
const MOST = 10_000

const folders = new Set()

function remember(folder) {
  folders.delete(folder)
  folders.add(folder)
  if (folders.size > MOST) folders.delete(folders.values().next().value)
}

const forget = (folder) => folders.delete(folder)

/** True if a folder that was open here is gone. One that cannot be looked at is not. */
async function wasRemoved(folder) {
  if (!folders.has(folder)) return false
  const error = await lstat(folder).then(
    () => null,
    (error) => error
  )
  return error?.code === 'ENOENT'
}

/** True if the directory of all sessions is there: a disk that is gone is no folder that somebody removed. */
const isThere = (directory) =>
  access(directory).then(
    () => true,
    () => false
  )

/** News of a session that is there all the same. */
const COMES_BACK = {
  event: 'error',
  level: 'warn',
  code: 'LOCAL_CORRUPT',
  message:
    'the folder of this session was removed, but the session was opened with all its data: removing the folder is not a logout. ' +
    'If the session was logged out (DisconnectReason.loggedOut), call `delete()`, and open it with `fresh: true` to pair again'
}

module.exports = { COMES_BACK, forget, isThere, remember, wasRemoved }
