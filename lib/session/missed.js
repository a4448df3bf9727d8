'use strict'

// Sessions of Baileys beside the place where a tenant has none: a caller who meant one of them must not get a new identity.
//
// Invariants: nothing is searched where the tenant has a session on the disk; a session that is found is neither read nor moved, since only the
// caller can say whose it is. Messages name no path: a path may contain a tenant id or a phone number.

const fs = require('node:fs/promises')
const { resolve } = require('node:path')
const { HybridAuthError, isFailure } = require('../errors.js')
const { hasLog } = require('../folders.js')
const { isPlainName } = require('../multi-file/import.js')
const { isListed } = require('../multi-file/names.js')
const { holdsSession } = require('../multi-file/read.js')
const { each } = require('../pool.js')
const { holdsSingleFile } = require('../multi-file/single-file.js')

/** Names of folders in the examples of Baileys: they identify nobody, so a message may contain them. */
const OF_EXAMPLES = /^((baileys_)?auth(_info)?(_(multi|baileys))*|sessions?)(\.json)?$/

/** Texts that a program makes of a missing value or of an object: ids by accident. */
const NO_IDS = ['undefined', 'null', 'NaN', 'true', 'false', '[object Object]', '[object Promise]']

/** Limit of the folders that are searched for folders of a tenant. */
const MOST_NEIGHBOURS = 200

/** Looks at once. */
const PARALLEL = 8

/** Remedy for an open that must not create a session, and finds none. */
const PAIR = "to pair a new number, open it once with `onMissing: 'create'`"

/** The folders that exist of these, in their order: most do not, and one look at each tells. */
async function existing(paths) {
  const found = new Set()
  await each(paths, PARALLEL, async (path) => {
    const info = await fs.stat(path).catch(() => null)
    if (info?.isDirectory()) found.add(path)
  })
  return paths.filter((path) => found.has(path))
}

/** Folders below the working directory that code for `useMultiFileAuthState` usually makes of an id: `sessions/42`, `auth-42`. */
async function usualFolders(tenantId) {
  if (!isPlainName(tenantId)) return []
  const entries = await fs.readdir('.', { withFileTypes: true }).catch(() => [])
  const folders = entries.filter((entry) => entry.isDirectory() && !['node_modules', '.git'].includes(entry.name)).map(({ name }) => name)
  const names = [...folders.filter((name) => OF_EXAMPLES.test(name)), ...folders.filter((name) => !OF_EXAMPLES.test(name))].slice(
    0,
    MOST_NEIGHBOURS
  )
  const prefixed = names.filter((name) => ['-', '_', '.'].some((mark) => name.endsWith(`${mark}${tenantId}`)))
  return [...prefixed.map((name) => resolve(name)), ...(await existing(names.map((name) => resolve(name, tenantId))))]
}

/** True for a folder that plainly contains a session, damaged or not; an unreadable one does not. */
async function isSession(path) {
  try {
    return await holdsSession(path)
  } catch (error) {
    return error.code === 'LOCAL_CORRUPT'
  }
}

/** A session of Baileys, and the call that imports it. `maker` is the function of Baileys, `name` the word for the path. */
function found(maker, path, where, name, tenantId) {
  const plain = tenantId.replace(/^\.\//, '')
  const said = [plain, `${plain}.json`].find((text) => OF_EXAMPLES.test(text) && resolve(text) === path)
  return {
    why: `there is a session of \`${maker}\` in ${where}`,
    how: `to import that session, open with ${said === undefined ? `${name} as \`importFrom\`` : `\`importFrom: './${said}'\``} (\`error.folder\` is its path)`,
    otherwise: 'to pair a new one, open with `fresh: true`',
    folder: path
  }
}

/**
 * The session that the caller of an open may have meant, or the mistake in its tenant id; null for none.
 * @returns {Promise<null | { why: string, how: string, otherwise: string, folder?: string }>}
 */
async function look({ directory, tenantId, folder }) {
  if (NO_IDS.includes(tenantId)) {
    return {
      why: 'the tenant id is the text of a missing value or of an object (`undefined`, `null`, `[object Object]`)',
      how: 'check the variable that the id comes from',
      otherwise: 'if the tenant has this name, open it once with `fresh: true`'
    }
  }
  const byId = tenantId.includes('\0') || Buffer.byteLength(tenantId) > 1024 ? [] : [resolve(directory, tenantId), resolve(tenantId)]
  for (const path of new Set([directory, ...byId, ...(await usualFolders(tenantId))])) {
    if (path === folder || !(await isSession(path)) || !(await isListed(path))) continue
    return found(
      'useMultiFileAuthState',
      path,
      path === directory ? '`directory` itself' : 'a folder named by the tenant id',
      'that folder',
      tenantId
    )
  }
  for (const path of new Set([directory, ...byId.flatMap((path) => [path, `${path}.json`])])) {
    if (!(await holdsSingleFile(path)) || !(await isListed(path))) continue
    const where = path === directory ? 'the file `directory`, which must be a folder' : 'a file named by the tenant id'
    return found('useSingleFileAuthState', path, where, 'that file', tenantId)
  }
  return null
}

/** @param {Error} error @param {{ folder?: string }} missed */
const withFolder = (error, { folder }) => (folder === undefined ? error : Object.defineProperty(error, 'folder', { value: folder }))

const sentence = (text) => text[0].toUpperCase() + text.slice(1)

/** The error of an open that may create a session, where the caller may have meant another one. */
const instead = (missed) =>
  withFolder(
    new HybridAuthError(
      'INVALID_OPTION',
      `${missed.why}, and this tenant has no session: no new WhatsApp identity was created. ${sentence(missed.how)}; ${missed.otherwise}`
    ),
    missed
  )

/** An error where the caller may have meant another session than that of the tenant, which has none; else nothing. */
async function refuseMissed(place) {
  const missed = await look(place)
  if (missed !== null) throw instead(missed)
}

const notFound = (message, missed) =>
  withFolder(
    new HybridAuthError('NOT_FOUND', [message, ...(missed === null ? [] : [missed.why, missed.how]), PAIR].join('; ')),
    missed ?? {}
  )

/**
 * Opens a session by `open(words)`, which takes words to the core beside the options. One is created only if there is none, and none
 * that the caller may have meant; `prepared` is what the folder of the tenant has to import.
 * @param {(words: object) => Promise<import('../../binding.js').Opened | import('../../binding.js').Failure>} open
 * @param {any} context
 */
async function openOrRefuse(open, { place, prepared, resolved, isTool }) {
  const { create, fresh } = resolved.native
  const mayMiss = prepared === null && !isTool && !(fresh && create)
  const missed = mayMiss && create && !(await hasLog(place.folder)) ? await look(place) : null
  const opened = await open(prepared?.refusal || missed ? { create: false } : {})
  if (!isFailure(opened)) return opened
  if (opened.code === 'NOT_FOUND') {
    if (prepared?.refusal) throw prepared.refusal
    if (missed !== null) throw instead(missed)
    if (mayMiss) throw notFound(opened.message, await look(place))
  }
  if (opened.code === 'LOCAL_UNAVAILABLE' && mayMiss) {
    // A file in place of `directory` is in the way of every session.
    const file = missed ?? (await look(place))
    if (file?.folder === place.directory) throw instead(file)
  }
  return opened
}

module.exports = { PAIR, openOrRefuse, refuseMissed }
