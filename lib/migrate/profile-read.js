'use strict'

// Reading one session of whatsapp-web.js: a private copy of its profile, whole and proved.
//
// Invariants: nothing is decided about a profile before all of it was read, every checksum and every database; a folder on which a browser
// runs is not read. The digest is that of the source as it was: the bytes of the zip, or the files of the folder.

const { join } = require('node:path')
const { HybridAuthError } = require('../errors.js')
const { contentsOf, copyKept, digestOf, hashOf, isKept } = require('../profile/contents.js')
const { Folder } = require('../profile/folder.js')
const { extractZip, prove } = require('../profile/intake.js')
const { ZIP } = require('./profile-layouts.js')

const gone = () => new HybridAuthError('LOCAL_UNAVAILABLE', 'the session disappeared while it was read: the old system is still running')

/** The folder of a session of LocalAuth, on which no browser runs. */
async function idle(source, path) {
  const folder = new Folder(join(source.root, ...path.split('/')))
  const user = await folder.user()
  if (user !== null) throw new HybridAuthError('ALREADY_OPEN', `a browser (process ${user}) is running on this profile: close it first`)
  return folder.path
}

/**
 * Copies the zip at `path` of a source, and answers its digest.
 * @param {any} source
 * @param {string} path
 * @param {string} to
 */
async function spool(source, path, to) {
  if (!(await source.copy(path, to))) throw gone()
  return digestOf([[path, await hashOf(to)]])
}

/** Digest of the files of a folder of LocalAuth. */
const digestIn = async (folder) => digestOf(await contentsOf(folder))

/**
 * Reads a session that `findProfiles` found: its contents, and the folder that has them.
 * @param {any} source
 * @param {any} found
 * @param {{ path: (name: string) => string }} room where copies are made
 */
async function readProfile(source, { path, layout }, room) {
  const folder = room.path('profile')
  let [digest, others] = ['', 0]
  const warnings = []
  if (layout === ZIP) {
    digest = await spool(source, path, room.path('zip'))
    const names = await extractZip(room.path('zip'), folder)
    others = names.filter((name) => !isKept(name)).length
  } else {
    const from = await idle(source, path)
    await copyKept(from, folder)
    // A copy that was made while a browser began to run is none.
    await idle(source, path)
    digest = await digestIn(folder)
    if (await new Folder(from).isLockedElsewhere())
      warnings.push('another host had a browser on this profile last: make sure that it is closed')
  }
  const contents = await prove(folder, room.path('proof'))
  const bytes = [...contents.values()].reduce((sum, { size }) => sum + size, 0)
  return { folder, contents, digest, files: contents.size, bytes, others, warnings }
}

/** Digest of a session as it is now; null if it is gone or in use. */
async function digestNow(source, { path, layout }, room) {
  try {
    return layout === ZIP ? await spool(source, path, room.path('again')) : await digestIn(await idle(source, path))
  } catch {
    return null
  }
}

module.exports = { digestNow, readProfile }
