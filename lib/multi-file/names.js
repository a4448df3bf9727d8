'use strict'

// The names of the files of `useMultiFileAuthState`, and how its folders are listed.
//
// Invariants: a name is taken apart at a known family and nowhere else, and what may be of another one is kept under its whole name; a
// folder counts only under exactly the name that the folder above it lists. Messages name a family, never an id or a path, and carry
// no cause: file names hold phone numbers, and the message of a SyntaxError quotes key material.

const { constants } = require('node:fs')
const fs = require('node:fs/promises')
const { basename, dirname } = require('node:path')
const { HybridAuthError } = require('../errors.js')

/** Longest first: `sender-key-memory-x` is not a `sender-key` of the id `memory-x`. */
const FAMILIES = [
  'app-state-sync-version',
  'app-state-sync-key',
  'sender-key-memory',
  'identity-key',
  'lid-mapping',
  'device-list',
  'sender-key',
  'pre-key',
  'session',
  'tctoken'
]

/** The type under which a file of a family that is not known is kept: its id is the name of the file. */
const WHOLE = 'multi-file'
/** A file of an unknown family that is larger is somebody else's. */
const MOST_WHOLE = 1024 * 1024

const CREDS = 'creds.json'
const ASIDE = 'multi-file-originals-'
/** Files in the folder of a session of this package. */
const OURS = /^(lock|claims|\d{20}\.\w+)$/
/** Files that are read or written at once. */
const PARALLEL = 8
/** Newer versions of Baileys write `x.tmp`, rename `x` to `x.bak`, and `x.tmp` to `x`; their readers fall back to `x.bak`. */
const BACKUP = '.bak'
const TEMPORARY = '.tmp'
/** Copies of the credentials, in the order in which they are read where the file is missing or damaged. */
const CREDS_COPIES = [`${CREDS}${BACKUP}`, `${CREDS}${TEMPORARY}`]
/** Places of keys that others than Baileys chose. */
const KEYS_FOLDER = 'keys'
const KEYS_FILE = 'keys.json'
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0 // Windows has neither the flag nor unprivileged links
const MAX_NAME = 255

// ------------------------------------------------------------------------------------------------------------- names

const fileName = (type, id) => `${type}-${id}.json`.replace(/\//g, '__').replace(/:/g, '-')

/**
 * The id that a name of a file holds. The way back is ambiguous in general; these two families are the ones whose ids regularly
 * hold a character that `fileName` replaces. `tctoken-__index` stays as it is.
 */
function idIn(type, text) {
  if (type === 'sender-key') return text.replace(/--/g, '::')
  if (type === 'app-state-sync-key') return text.replace(/__/g, '/')
  return text
}

/** An id of no known family begins so, but names of families that are longer than a known one go on so: `tctoken-sender-ts-1@lid`. */
const MORE_OF_A_TYPE = /^[a-z][a-z0-9]*-[a-z0-9]/

/** {type, id} of the name of a file of a known family, or null. */
function parseName(name, families) {
  if (!name.endsWith('.json')) return null
  const type = families.find((family) => name.startsWith(`${family}-`))
  if (type === undefined) return null
  const text = name.slice(type.length + 1, -'.json'.length)
  return MORE_OF_A_TYPE.test(text) ? null : { type, id: idIn(type, text) }
}

/** True for what can be the name of a file of a key, `<type>-<id>.json`, of whatever type. */
const isWholeName = (name) => /^[a-z][a-z0-9]*-[^/\0]+\.json$/.test(name)

/** {type, id} of the file of any key, or null: one of an unknown family is kept whole, and found by its name. */
const parseKey = (name, families) => parseName(name, families) ?? (isWholeName(name) ? { type: WHOLE, id: name } : null)

/** True if there are keys of Baileys among these; what is kept whole may be of an application. */
const holdKeys = (keys) => keys.some(({ type }) => type !== WHOLE)

/**
 * Adds the key in the file `name` to `keys`, as `entry`: of two spellings of one key, the one that Baileys reads is kept. Returns the entry
 * that was left out; undefined for none.
 */
function addKey(keys, key, name, entry) {
  const mark = `${key.type}\0${key.id}`
  const other = keys.get(mark)
  if (other !== undefined && name !== fileName(key.type, key.id)) return entry
  keys.set(mark, entry)
  return other
}

/** The name of the file of a key, whatever it is kept as. */
const nameOfKey = (type, id) => (type === WHOLE && isWholeName(id) ? id : fileName(type, id))

/** The name of the file that this one is a copy of, or its own. */
const mainOf = (name) => (name.endsWith(BACKUP) || name.endsWith(TEMPORARY) ? name.slice(0, -4) : name)

const familiesWith = (more = []) => [...new Set([...FAMILIES, ...more])].sort((a, b) => b.length - a.length)

// ------------------------------------------------------------------------------------------------------------ errors

const unavailable = (what, error) => new HybridAuthError('LOCAL_UNAVAILABLE', `${what}: ${error.code ?? 'failed'}`)
/** `why` says what it looks like, where that is known. */
const damaged = (what, why = '') =>
  new HybridAuthError('LOCAL_CORRUPT', `${what} is damaged${why && ` (${why})`}: neither imported nor replaced`)

/**
 * The files of a folder, without following links; `null` when there is no such folder. A file in its place is `belowFile`, or an error.
 * @param {string} folder
 * @param {{ belowFile?: any }} [how]
 * @returns {Promise<any>}
 */
async function list(folder, { belowFile } = {}) {
  try {
    return await fs.readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (error.code === 'ENOENT') return null
    if (error.code === 'ENOTDIR' && belowFile !== undefined) return belowFile
    if (error.code === 'ENOTDIR') throw new HybridAuthError('INVALID_OPTION', 'the multi-file folder is not a directory')
    throw unavailable('the multi-file folder cannot be read', error)
  }
}

/**
 * True if the folder above lists this one under exactly its name. On a disk that ignores case `shop-a` opens the folder `Shop-A`
 * too, and on one that ignores Unicode forms another spelling of the same letters: they are other tenants.
 */
async function isListed(folder) {
  try {
    return (await fs.readdir(dirname(folder))).includes(basename(folder))
  } catch {
    return false
  }
}

module.exports = {
  ASIDE,
  BACKUP,
  CREDS,
  CREDS_COPIES,
  FAMILIES,
  KEYS_FILE,
  KEYS_FOLDER,
  MAX_NAME,
  MOST_WHOLE,
  NO_FOLLOW,
  OURS,
  PARALLEL,
  TEMPORARY,
  WHOLE,
  addKey,
  damaged,
  familiesWith,
  fileName,
  holdKeys,
  idIn,
  isListed,
  list,
  mainOf,
  nameOfKey,
  parseKey,
  parseName,
  unavailable
}
