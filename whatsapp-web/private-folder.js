'use strict'

// The private folder of a session of RemoteAuthStore: staged profiles, and the zip that waits for the store.
//
// Invariants: nothing in it is ever read by whatsapp-web.js; what a killed process left staged is removed by the next one; a waiting zip
// is replaced whole, and names the generation that it follows.

const { randomUUID } = require('node:crypto')
const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('../lib/errors.js')
const { syncFolder } = require('../lib/folders.js')

/** Begin of the names of what a process makes and removes again. */
const STAGED = 'staged-'
const WAITING = /^waiting-(\d+)\.zip$/

const unavailable = (error) => {
  if (error instanceof HybridAuthError) throw error
  throw new HybridAuthError(
    'LOCAL_UNAVAILABLE',
    `the private folder in \`dataPath\` cannot be used (${error.code}): fix its permissions or free space`,
    error
  )
}

/** @param {string} path */
function createPrivateFolder(path) {
  const names = () => fs.readdir(path).catch(() => [])

  return {
    /** Makes it, and removes what was left in it. The session must be owned: nobody else is at it then. */
    async prepare() {
      await fs.mkdir(path, { recursive: true, mode: 0o700 }).catch(unavailable)
      for (const name of await names())
        if (name.startsWith(STAGED)) await fs.rm(join(path, name), { recursive: true, force: true }).catch(() => {})
    },

    /** A path in it where nothing is. */
    staged: (ending = '') => join(path, `${STAGED}${randomUUID()}${ending}`),

    /** Removes what was staged. */
    discard: (staged) => fs.rm(staged, { recursive: true, force: true }).catch(() => {}),

    /** The zip that waits: `{ path, follows }`; null for none. */
    async waiting() {
      const found = (await names()).map((name) => WAITING.exec(name)).filter((match) => match !== null)
      const newest = found.sort((a, b) => Number(b[1]) - Number(a[1])).at(0)
      return newest === undefined ? null : { path: join(path, newest[0]), follows: Number(newest[1]) }
    },

    /** Keeps a staged zip as the one that waits, behind generation `follows`. */
    async keep(staged, follows) {
      const file = await fs.open(staged, 'r+')
      await file.sync().finally(() => file.close())
      const name = `waiting-${follows}.zip`
      await fs.rename(staged, join(path, name))
      await syncFolder(path)
      for (const other of await names()) if (WAITING.test(other) && other !== name) await fs.rm(join(path, other), { force: true })
    },

    /** Removes the zip that waits. */
    async settle() {
      for (const name of await names()) if (WAITING.test(name)) await fs.rm(join(path, name), { force: true }).catch(() => {})
    },

    /** Removes everything. */
    remove: () => fs.rm(path, { recursive: true, force: true }).catch(() => {})
  }
}

module.exports = { createPrivateFolder }
