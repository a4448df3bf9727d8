'use strict'

// Files of ours in a tenant's folder that are no files: a pipe would keep an open, or a tool, waiting for ever.
//
// Invariant: nothing is opened or changed here; a link to a regular file is one, and a link that leads nowhere is for the open to find.

const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError } = require('./errors.js')
const { call } = require('./keys.js')
const { OURS, list } = require('./multi-file-names.js')
const { loadBinding } = require('./native.js')

const isOdd = (info) => info.isFIFO() || info.isSocket() || info.isCharacterDevice() || info.isBlockDevice()

/** Refuses a folder in which a lock or a log is a pipe, a socket or a device. */
async function refuseOddFiles(folder) {
  for (const item of (await list(folder, { belowFile: null }).catch(() => null)) ?? []) {
    if (!OURS.test(item.name) || item.isFile() || item.isDirectory()) continue
    const info = item.isSymbolicLink() ? await fs.stat(join(folder, item.name)).catch(() => null) : item
    if (info !== null && isOdd(info)) {
      throw new HybridAuthError('LOCAL_UNAVAILABLE', `\`${item.name}\` in the folder of this tenant is a pipe, a socket or a device, not a file: remove it`)
    }
  }
}

/** The same of a tenant's folder, for tools. */
const refuseOddFilesOf = (directory, tenantId) => refuseOddFiles(call(loadBinding().folder, directory, tenantId))

module.exports = { refuseOddFiles, refuseOddFilesOf }
