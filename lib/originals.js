'use strict'

// The originals of an import, at the end of their session: whoever is logged out leaves no readable keys behind.
//
// Invariant: nothing goes but folders that an import of this tenant made; a folder that holds a session of ours is only its own
// tenant's.

const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('./errors.js')
const { isPlainName } = require('./import.js')

const ASIDE = /^multi-file-originals-\d+$/
const OURS = /^(lock|claims|\d{20}\.\w+)$/

const list = (folder) => fs.readdir(folder).catch(() => [])

/** Removes what was set aside in the tenant's own folder, and in the one that bears its unescaped id. */
async function removeOriginals({ directory, tenantId, folder }) {
  const other = join(directory, tenantId)
  // Only under exactly its name: on some disks `a` is found as `A` too.
  const isOther = isPlainName(tenantId) && other !== folder && (await list(directory)).includes(tenantId)
  const places = isOther && !(await list(other)).some((name) => OURS.test(name)) ? [folder, other] : [folder]
  try {
    for (const place of places) {
      const names = await list(place)
      for (const name of names.filter((name) => ASIDE.test(name))) await fs.rm(join(place, name), { recursive: true, force: true })
      // Nothing is lost with a folder that is not empty: it stays.
      if (names.some((name) => ASIDE.test(name))) await fs.rmdir(place).catch(() => {})
    }
  } catch (error) {
    throw new HybridAuthError('LOCAL_UNAVAILABLE', `the session was deleted, but not the files that it was imported from (multi-file-originals): ${error.code}; remove them`)
  }
}

module.exports = { removeOriginals }
