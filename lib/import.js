'use strict'

// Taking over a `useMultiFileAuthState` folder, in place and without a new QR code.
//
// Invariants: the folder is read completely before anything is opened, and the core takes the import only if the session
// exists nowhere else; the originals are set aside only once the import is durable. A folder that holds both a log and a
// *different* multi-file session is refused: choosing silently would risk running on the older one.

const { join } = require('node:path')
const { HybridAuthError } = require('./errors.js')
const { findMultiFile, readMultiFile, setAside } = require('./multi-file.js')

/** A tenant id that is a plain file name: `useMultiFileAuthState(join(directory, tenantId))` used it as its folder. */
const isPlainName = (id) => id !== '.' && id !== '..' && !/[/\\\0]/.test(id) && Buffer.byteLength(id) <= 255

/**
 * Finds what could be imported for a tenant: in its own folder, or in the folder that bears its unescaped id.
 * @returns {Promise<null | {seed: Buffer, creds: object, leftOut: string | null, finish(): Promise<{moved: number}>}>}
 */
async function prepareImport({ directory, tenantId, folder, batch }) {
  const candidates = [folder]
  if (isPlainName(tenantId) && join(directory, tenantId) !== folder) candidates.push(join(directory, tenantId))
  for (const source of candidates) {
    if (!(await findMultiFile(source))) continue
    const found = await readMultiFile(source, { onDamagedKey: 'skip' })
    if (found === null) continue
    return { seed: encodeSeed(batch, found), creds: found.creds, leftOut: leftOut(found), finish: () => setAside(source) }
  }
  return null
}

/**
 * What an import could not take, as a message; null when it took everything. A damaged key file is one that Baileys itself
 * reads as absent, so it stops nothing; the original is kept.
 */
function leftOut({ damaged, notUnderstood }) {
  const parts = Object.entries(damaged).map(([type, count]) => `${count} damaged "${type}"`)
  if (notUnderstood > 0) parts.push(`${notUnderstood} of no known kind`)
  return parts.length === 0 ? null : `the import left out some files, which are kept: ${parts.join(', ')}`
}

/** The whole session as one batch, so that it is there or not there. */
function encodeSeed(batch, { creds, entries }) {
  // Types come from names of files and of foreign records: none may be looked up on an ordinary object.
  const data = Object.create(null)
  for (const { type, id, value } of entries) {
    data[type] ??= Object.create(null)
    data[type][id] = value
  }
  const { buffer, length } = batch.encodeSet(data, creds)
  return Buffer.from(buffer.subarray(0, length))
}

/**
 * Settles what to do with multi-file originals beside a session that was not imported from them just now.
 * If they hold the same credentials, an earlier import was interrupted before it moved them: it is finished, unless this
 * session may not touch the disk.
 */
async function settleLeftovers(found, stored, batch, { mayMove }) {
  const bytes = (creds) => {
    const { buffer, length } = batch.encodeCreds(creds)
    return Buffer.from(buffer.subarray(0, length))
  }
  if (stored !== null && bytes(found.creds).equals(bytes(stored))) return mayMove ? found.finish() : undefined
  throw new HybridAuthError(
    'LOCAL_CORRUPT',
    'the tenant has a session here and its folder also holds a different multi-file session: move one of the two away'
  )
}

module.exports = { prepareImport, settleLeftovers, encodeSeed, isPlainName }
