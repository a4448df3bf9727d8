'use strict'

// The tenants that have a session in a directory, by the names of their folders.
//
// Invariant: an id is told only if its folder is exactly the one that an open of it uses, and holds a local log.

const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('../errors.js')
const { REMEDY, hasLog, whyNoPlace } = require('../folders.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')

/** The id behind the name of a folder; undefined for a name that no id has, or that does not tell it. */
function idOf(directory, name) {
  if (!/^(?:[a-z0-9-]|_[0-9a-f]{2})+$/.test(name)) return undefined
  const id = decodeURIComponent(name.replaceAll('_', '%'))
  return call(loadBinding().folder, directory, id) === join(directory, name) ? id : undefined
}

/** @returns `{ tenants, unnamed }`, as the store answers */
async function localTenants(directory) {
  const items = await fs.readdir(directory, { withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return []
    const why = whyNoPlace(directory, '`directory`', REMEDY)
    throw new HybridAuthError(why?.code ?? 'LOCAL_UNAVAILABLE', why?.message ?? `the directory cannot be listed: ${error.code}`)
  })
  const tenants = []
  let unnamed = 0
  for (const { name } of items.filter((item) => item.isDirectory())) {
    if (!(await hasLog(join(directory, name)))) continue
    let id
    try {
      id = idOf(directory, name)
    } catch {
      // Not UTF-8, or no id: no folder of ours.
      continue
    }
    if (id !== undefined) tenants.push(id)
    else if (/_h[0-9a-f]{32}$/.test(name)) unnamed += 1
  }
  return { tenants: tenants.sort(), unnamed }
}

module.exports = { localTenants }
