'use strict'

// The zip that RemoteAuth leaves for its store: found, copied away and checked.
//
// Its place depends on the version of whatsapp-web.js: the working directory, or the `dataPath` of RemoteAuth, with the session as a bare
// name or as a path.
//
// Invariants: only a zip that this process saw appear counts, since one that lay there before is of an earlier run; of several the newest
// one that is whole. It is checked in a copy that nobody else writes to.

const { constants, copyFile, stat } = require('node:fs/promises')
const { dirname, isAbsolute, join, resolve } = require('node:path')
const { HybridAuthError } = require('../lib/errors.js')
const { extractZip } = require('../lib/profile/intake.js')

/** Places of the zip of a session. */
function placesOf({ session, name, dataPath }) {
  const folders = [...(isAbsolute(session) ? [dirname(session)] : []), process.cwd(), dataPath]
  return [...new Set(folders.map((folder) => resolve(join(folder, `${name}.zip`))))]
}

const markOf = ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`

/** The zips that are in their places, newest first. */
async function present(places) {
  const found = await Promise.all(
    places.map((path) =>
      stat(path).then(
        (at) => ({ path, mark: markOf(at), mtimeMs: at.mtimeMs, isFile: at.isFile() }),
        () => null
      )
    )
  )
  return found.filter((zip) => zip?.isFile).sort((a, b) => b.mtimeMs - a.mtimeMs)
}

/** @param {string} dataPath */
function createFinder(dataPath) {
  /** Zips that do not count: of an earlier run, or stored already. */
  const old = new Map()

  return {
    /** Notes the zips that are there before RemoteAuth wrote one. */
    async ignorePresent(session) {
      for (const { path, mark } of await present(placesOf({ ...session, dataPath }))) old.set(path, mark)
    },

    /**
     * Copies the newest whole zip into the private folder, and its contents: `{ zip, folder }`. Rejects with the failure of the newest one.
     * @param {{ session: string, name: string }} session
     * @param {any} own the private folder of the session
     */
    async take(session, own) {
      const candidates = (await present(placesOf({ ...session, dataPath }))).filter(({ path, mark }) => old.get(path) !== mark)
      let failure = null
      for (const { path, mark } of candidates) {
        const [zip, folder] = [own.staged('.zip'), own.staged()]
        try {
          await copyFile(path, zip, constants.COPYFILE_FICLONE)
          await extractZip(zip, folder)
          old.set(path, mark)
          return { zip, folder }
        } catch (error) {
          await own.discard(zip)
          failure ??=
            error.code === 'ENOENT' || error instanceof HybridAuthError
              ? error
              : new HybridAuthError('LOCAL_UNAVAILABLE', `the zip of RemoteAuth cannot be read (${error.code})`, error)
        }
      }
      if (failure instanceof HybridAuthError) throw failure
      throw new HybridAuthError(
        'INVALID_OPTION',
        'there is no zip of RemoteAuth in the working directory or in `dataPath`: give RemoteAuthStore the same `dataPath` as RemoteAuth'
      )
    }
  }
}

module.exports = { createFinder }
