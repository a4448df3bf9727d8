'use strict'

// Reading the file of Baileys' old `useSingleFileAuthState`: `{ creds, keys: { preKeys: { id: value }, … } }`.
//
// Invariants: as for folders: damage is no absence, and what cannot be taken is counted. This is the one reader of such a file, for
// an open and for a migration.

const fs = require('node:fs/promises')
const { HybridAuthError } = require('../errors.js')
const { unavailable } = require('./names.js')
const { checkCreds, isObject, readValue } = require('./read.js')

/** Names of its families -> their names since. */
const FAMILIES = {
  __proto__: null,
  preKeys: 'pre-key',
  sessions: 'session',
  senderKeys: 'sender-key',
  appStateSyncKeys: 'app-state-sync-key',
  appStateVersions: 'app-state-sync-version',
  senderKeyMemory: 'sender-key-memory'
}

/** True for a regular file, which no folder of `useMultiFileAuthState` is. */
async function isSingleFile(path) {
  const info = await fs.lstat(path).catch(() => null)
  return info?.isFile() === true
}

/** True if a text plainly is such a file, whole or damaged. */
const isLikeSingleFile = (text) => text.includes('"creds"') && text.includes('"noiseKey"')

/** So much of a file tells what it is: credentials come first. */
const BEGINNING = 1 << 20

/** True for a regular file that plainly is such a session, whole or damaged. */
async function holdsSingleFile(path) {
  if (!(await isSingleFile(path))) return false
  const file = await fs.open(path, 'r').catch(() => null)
  if (file === null) return false
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGINNING), 0, BEGINNING, 0)
    return isLikeSingleFile(buffer.toString('utf8', 0, bytesRead))
  } catch {
    return false
  } finally {
    await file.close()
  }
}

/** The session in the file, in the shape of `readMultiFile`. */
async function readSingleFile(path) {
  const what = 'the file of `importFrom`'
  return { credsFile: '', damaged: {}, otherFiles: 0, keysFile: false, ...sessionIn(await readValue(path, what), what) }
}

/**
 * The session in the value of such a file.
 * @returns {{creds: object, entries: {type: string, id: string, value: any}[], notUnderstood: number}}
 */
function sessionIn(value, what) {
  if (!isObject(value) || !isObject(value.creds) || (value.keys !== undefined && !isObject(value.keys))) {
    throw new HybridAuthError(
      'INVALID_OPTION',
      `${what} is not a file of \`useSingleFileAuthState\`, which contains \`{ creds, keys }\`; for a session in a folder, pass the folder`
    )
  }
  checkCreds(value.creds)
  const report = { creds: value.creds, entries: [], notUnderstood: 0 }
  for (const [name, records] of Object.entries(value.keys ?? {})) {
    const type = FAMILIES[name]
    if (type === undefined || !isObject(records)) {
      report.notUnderstood++
      continue
    }
    for (const [id, record] of Object.entries(records)) if (record) report.entries.push({ type, id, value: record })
  }
  return report
}

/** Puts the file away under a name beside its own, which no open reads. */
async function setFileAside(path) {
  try {
    for (let n = 1; ; n++) {
      const aside = `${path}.imported-${n}`
      if ((await fs.lstat(aside).catch(() => null)) !== null) continue
      await fs.rename(path, aside)
      return { moved: 1 }
    }
  } catch (error) {
    if (error.code === 'ENOENT') return { moved: 0 }
    throw unavailable('the imported file cannot be renamed', error)
  }
}

module.exports = { isLikeSingleFile, isSingleFile, holdsSingleFile, readSingleFile, sessionIn, setFileAside }
