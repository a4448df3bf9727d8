'use strict'

// The originals of an import, at the end of their session: a logged-out account leaves no readable keys behind.
//
// Invariant: nothing goes but folders that an import of this tenant made; a folder that holds a session of ours is only its own
// tenant's.

const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('../errors.js')
const { foldersOf } = require('./import.js')
const { ASIDE, OURS, isListed } = require('./names.js')

const isAside = (name) => name.startsWith(ASIDE) && /^\d+$/.test(name.slice(ASIDE.length))

const list = (folder) => fs.readdir(folder).catch(() => [])

/** Removes what was set aside in the tenant's own folder, and in the one that bears its unescaped id. */
async function removeOriginals(tenant) {
  const places = []
  for (const place of foldersOf(tenant)) {
    // Another folder only under exactly its name, and only if it is no tenant's own.
    const isOurs = place === tenant.folder || ((await isListed(place)) && !(await list(place)).some((name) => OURS.test(name)))
    if (isOurs) places.push(place)
  }
  try {
    for (const place of places) {
      const names = await list(place)
      for (const name of names.filter((name) => isAside(name))) await fs.rm(join(place, name), { recursive: true, force: true })
      // Nothing is lost with a folder that is not empty: it stays.
      if (names.some((name) => isAside(name))) await fs.rmdir(place).catch(() => {})
    }
  } catch (error) {
    throw new HybridAuthError(
      'LOCAL_UNAVAILABLE',
      `the session was deleted, but the original files of its import (multi-file-originals) were not: ${error.code}; remove them`
    )
  }
}

module.exports = { removeOriginals }
