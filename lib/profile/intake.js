'use strict'

// A profile that comes from elsewhere, as a zip or as a folder: proved before it counts.
//
// The proof of a database is that of a backup. The core makes it where it makes backups, so a profile is backed up to a scratch store, under
// a key that nobody keeps.
//
// Invariants: what is proved is a private copy that nobody else writes to; a profile that fails is never a session, and the error says
// why. The ends that a killed browser left half written are cut off, as for every start of a browser.

const { randomBytes } = require('node:crypto')
const { mkdir, rename, rm } = require('node:fs/promises')
const { dirname, join } = require('node:path')
const { HybridAuthError } = require('../errors.js')
const { openZip } = require('../zip/archive.js')
const { contentsOf, hasSession } = require('./contents.js')
const { BROWSER } = require('../profile-tenants.js')
const { openProfileSession } = require('./session.js')

/**
 * Extracts a zip, with all of its checksums, to a folder that does not exist. Answers the paths of its files.
 * @param {string} path
 * @param {string} folder
 */
async function extractZip(path, folder) {
  const archive = await openZip(path)
  try {
    if (archive.entries.length === 0) throw new HybridAuthError('LOCAL_CORRUPT', 'the zip archive is damaged: it is empty')
    await archive.extract(folder)
    return archive.entries.map(({ path }) => path)
  } finally {
    await archive.close()
  }
}

/**
 * Proves that the databases of a profile are whole, and answers its contents. Rejects with `LOCAL_CORRUPT`.
 * @param {string} folder a private copy
 * @param {string} scratch a folder that does not exist, for the time of the proof
 */
async function prove(folder, scratch) {
  if (!(await hasSession(folder)))
    throw new HybridAuthError('LOCAL_CORRUPT', 'there is no `Default/IndexedDB` in the profile: it was never paired, or it is incomplete')
  const bucket = join(scratch, 'bucket')
  await mkdir(bucket, { recursive: true, mode: 0o700 })
  try {
    const session = await openProfileSession(`${BROWSER}proof`, {
      dataPath: join(scratch, 'home'),
      store: { kind: 'directory', path: bucket },
      encryptionKeys: [randomBytes(32)],
      hideTenantIds: false
    })
    try {
      const { files } = await session.store(folder)
      if (files === 0) throw new HybridAuthError('LOCAL_CORRUPT', 'the profile is empty: it was never paired, or it is incomplete')
      await session.truncateLogs(folder)
    } finally {
      await session.close()
    }
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 })
  }
  return contentsOf(folder)
}

/** Puts a staged profile in its place, unless there is one already; answers whether it did. */
async function place(staged, to) {
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    // An empty folder, as RemoteAuth leaves it, gives way; one with a profile does not.
    await rename(staged, to)
    return true
  } catch (error) {
    if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return false
    throw error
  }
}

module.exports = { extractZip, place, prove }
