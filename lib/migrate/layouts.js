'use strict'

// The sessions among the names in a source, and the layout of the keys of each.
//
// Invariants: a session is a folder with a creds.json; nothing is guessed: where keys lie in more than one way, or two folders
// would become one tenant, it is said and refused. Names are taken apart at `/` and nowhere else: ids of users and tenants hold
// dashes.

const { refuse } = require('../checks.js')
const { HybridAuthError } = require('../errors.js')
const {
  CREDS,
  CREDS_COPIES,
  KEYS_FILE,
  KEYS_FOLDER,
  WHOLE,
  addKey,
  familiesWith,
  holdKeys,
  mainOf,
  parseKey
} = require('../multi-file/names.js')

/** Layouts of keys beside a creds.json; a single file has both. */
const OF_FOLDERS = ['flat', 'keys-folder', 'keys-file']
const LAYOUTS = [...OF_FOLDERS, 'single-file']

/** Names that this package stores itself. */
const OURS = /(^|\/)v1\/(claims\/[^/]+|names\/[^/]+|(data|packs)\/[^/]+\/[^/]+)$/

const isOurs = (name) => OURS.test(name)

const familyNames = familiesWith()

const folderOf = (name) => name.slice(0, Math.max(0, name.lastIndexOf('/')))
const fileOf = (name) => name.slice(name.lastIndexOf('/') + 1)
const inside = (folder, name) => (folder === '' ? name : `${folder}/${name}`)

/** Names by their folder. */
function byFolder(names) {
  const folders = new Map()
  for (const name of names) {
    const folder = folderOf(name)
    if (folders.has(folder)) folders.get(folder).push(name)
    else folders.set(folder, [name])
  }
  return folders
}

/**
 * The key files among `names`, each with its backup, and how many .json files are none. Of two spellings of one key the one that
 * Baileys reads is the key, and the other one a copy.
 * @returns {{keys: {name, backup, type, id}[], copies: string[], notUnderstood: number}} `copies`: files that are read only if another one fails
 */
function keysAmong(names) {
  const keys = new Map()
  const copies = []
  let notUnderstood = 0
  const all = new Set(names)
  for (const name of names) {
    const main = mainOf(name)
    const key = parseKey(fileOf(main), familyNames)
    if (key === null) {
      if (name.endsWith('.json') && ![CREDS, KEYS_FILE].includes(fileOf(name))) notUnderstood++
      continue
    }
    if (name !== main) copies.push(name)
    // Without its original, a backup is what Baileys reads, and the first write of a file is nothing to it.
    if (name.endsWith('.tmp') || (name !== main && all.has(main))) continue
    const left = addKey(keys, key, fileOf(main), { name: main, backup: all.has(`${main}.bak`) ? `${main}.bak` : undefined, ...key })
    if (left !== undefined && all.has(left.name)) copies.push(left.name)
  }
  return { keys: [...keys.values()], copies, notUnderstood }
}

/**
 * The session in the folder `path`: which files hold it, and in which layout. `asked` decides where several would do; without it
 * `problem` says what to decide.
 */
function sessionAt(folders, path, asked = 'auto') {
  const own = folders.get(path) ?? []
  const below = folders.get(inside(path, KEYS_FOLDER)) ?? []
  const flat = keysAmong(own)
  const nested = keysAmong(below)
  const keysFile = own.find((name) => fileOf(name) === KEYS_FILE)
  const there = { flat: holdKeys(flat.keys), 'keys-folder': holdKeys(nested.keys), 'keys-file': keysFile !== undefined }
  const candidates = OF_FOLDERS.filter((layout) => there[layout])
  const layout = asked === 'auto' ? (candidates[0] ?? 'flat') : asked
  const isOpen = asked === 'auto' && candidates.length > 1
  // A key that is kept whole lies where creds.json does, whatever became of the keys.
  const whole = flat.keys.filter(({ type }) => type === WHOLE)
  const keys = { flat: flat.keys, 'keys-folder': [...nested.keys, ...whole], 'keys-file': whole }[layout]
  const [creds, ...credsCopies] = [CREDS, ...CREDS_COPIES]
    .map((file) => own.find((name) => fileOf(name) === file))
    .filter((name) => name !== undefined)
  const isRead = new Set([...own, ...below])
  const copies = [...credsCopies, ...(layout === 'flat' ? flat.copies : layout === 'keys-folder' ? nested.copies : [])]
  const taken = keys.filter(({ name }) => isRead.has(name)).length + copies.length + (layout === 'keys-file' && keysFile ? 1 : 0)
  const notUnderstood = flat.notUnderstood + nested.notUnderstood
  return {
    path,
    parts: path === '' ? [] : path.split('/'),
    layout,
    creds,
    credsCopies,
    keys,
    copies,
    keysFile: layout === 'keys-file' ? keysFile : undefined,
    notUnderstood,
    otherFiles: own.length + below.length - taken - (creds ? 1 : 0) - notUnderstood,
    problem: isOpen ? `keys have more than one layout (${candidates.join(', ')}): set \`layout\`, with \`only\` for this tenant` : null
  }
}

/**
 * All sessions among `names`; those of the folders in `linked` cannot be read.
 * @returns {{sessions: object[], ours: number, others: string[], withoutCreds: number}} `ours`: objects of this package;
 *   `others`: what belongs to no session; `withoutCreds`: folders with keys and no credentials
 */
function findSessions(names, layout = 'auto', linked = []) {
  const theirs = names.filter((name) => !isOurs(name))
  const folders = byFolder(theirs)
  const isRoot = (folder) => (folders.get(folder) ?? []).some((name) => [CREDS, ...CREDS_COPIES].includes(fileOf(name)))
  const isKeysOf = (folder) =>
    fileOf(folder) === KEYS_FOLDER && folder !== KEYS_FOLDER ? isRoot(folderOf(folder)) : folder === KEYS_FOLDER && isRoot('')
  const roots = [...folders.keys()].filter((folder) => isRoot(folder) && !isKeysOf(folder) && !linked.includes(folder)).sort()
  const sessions = roots.map((path) => sessionAt(folders, path, layout))
  for (const path of linked)
    sessions.push({ ...sessionAt(folders, path, layout), problem: `${CREDS} is not a regular file, and links are not followed` })
  const belonging = new Set(roots.flatMap((path) => [path, inside(path, KEYS_FOLDER)]))
  const others = theirs.filter((name) => !belonging.has(folderOf(name)))
  const withoutCreds = [...folders].filter(([folder, inIt]) => !belonging.has(folder) && holdKeys(keysAmong(inIt).keys)).length
  return { sessions, ours: names.length - theirs.length, others, withoutCreds }
}

/** `'{1}-{2}'` -> the function it means: `{1}` is the first folder below the source, `{-1}` the last. */
function template(text) {
  if (/[{}]/.test(text.replace(/\{-?[1-9]\d?\}/g, '')))
    refuse('`tenantId` may contain {1}, {2} and so on for folders, {-1} for the last one, and no other braces')
  return ({ parts, layout }) =>
    text.replace(/\{(-?\d+)\}/g, (_, number) => {
      const part = parts.at(Number(number) > 0 ? Number(number) - 1 : Number(number))
      if (part === undefined)
        refuse(`\`tenantId\` needs the folder {${number}}, but a session of the layout ${layout} is only ${parts.length} folders deep`)
      return part
    })
}

/** The folder's own name, where there is one folder. */
const ownName =
  (label) =>
  ({ parts }) => {
    if (parts.length > 1) refuse(`sessions are ${parts.length} folders deep: set their tenant ids, such as \`tenantId: '{1}-{2}'\``)
    if (parts.length === 0 && label === '') refuse('there is a session in the source itself: set its tenant id with `tenantId`')
    return parts[0] ?? label
  }

/** Folder names may be phone numbers: they are told, and stay out of logs. */
function collision(folders) {
  const message =
    'two folders of the source would get the same tenant id: nothing was migrated; change `tenantId`, or skip one by ' +
    'returning null; `error.folders` lists them'
  return Object.defineProperty(new HybridAuthError('INVALID_OPTION', message), 'folders', { value: folders })
}

/**
 * Gives each session its tenant id; those whose id is null are left out. Refused before anything happens: an id that is none, and
 * two folders with one id. `own` names a session where nothing else is said; `asId` makes a name an id.
 * @param {any[]} sessions
 * @param {{ tenantId: any, label: string, own?: (found: any) => string, asId?: (name: string) => string }} how
 */
function nameTenants(sessions, { tenantId, label, own = ownName(label), asId = (id) => id }) {
  const nameOf = typeof tenantId === 'function' ? tenantId : tenantId === undefined ? own : template(tenantId)
  const taken = new Map()
  const named = []
  for (const session of sessions) {
    const { path, parts, layout } = session
    const name = nameOf({ path, parts: [...parts], layout })
    if (name === null) continue
    if (typeof name !== 'string' || name === '' || !name.isWellFormed()) refuse('`tenantId` must return the id of a tenant, or null')
    const id = asId(name)
    if (taken.has(id)) throw collision([taken.get(id), path])
    taken.set(id, path)
    named.push({ ...session, tenantId: id })
  }
  return named
}

module.exports = { isOurs, findSessions, sessionAt, byFolder, nameTenants, fileOf, folderOf, LAYOUTS, inside }
