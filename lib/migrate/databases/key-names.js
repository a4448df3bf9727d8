'use strict'

// The names under which other stores keep credentials and keys: which of them belong to one session, and which key each one is.
//
// Invariants: a session is what has credentials, and a name belongs to the session with the longest name that it begins with; what is
// no key is never taken for one. Ids are taken as they are written, but for the two families whose ids are escaped in names of files.

const { WHOLE, familiesWith, fileName, parseKey, parseName } = require('../../multi-file/names.js')

const families = familiesWith()

/** Names of the credentials in other stores. */
const CREDS = ['creds', 'auth_creds', '__creds__', 'creds.json']
const isCreds = (name) => CREDS.includes(name)

/** Names of a record with all keys of a session. */
const isAllKeys = (name) => ['keys', 'signal-keys', 'signal_keys'].includes(name)

const isFamily = (name) => families.includes(name)

/** Words between the name of a session and that of a key. */
const BETWEEN = /^(?:keys?|signal(?:[-_]keys?)?)[:/]/

/** True for a name with that of a key of a known family in it, behind that of a session or by itself. */
const KEY_NAME = new RegExp(`(?:^|[^A-Za-z0-9])(?:${families.join('|')})[-:].`, 's')
const isKeyName = (name) => KEY_NAME.test(name)

const isBoundary = (character) => !/[A-Za-z0-9]/.test(character)

/** The part of a name before that of the credentials, with the character that separates the two; null for a name of no credentials. */
function prefixOf(name) {
  const end = CREDS.filter((creds) => name.endsWith(creds)).sort((a, b) => b.length - a.length)[0]
  if (end === undefined) return null
  const prefix = name.slice(0, -end.length)
  return prefix === '' || isBoundary(prefix.at(-1)) ? prefix : null
}

/** Signal addresses have a dot before the device; some stores escape it. */
const undotted = (type, id) => (['session', 'identity-key'].includes(type) && !id.includes('.') ? id.replace(/--(\d+)$/, '.$1') : id)

/** {type, id} of the name of a key within its session, `type-id` or `type:id`; null for none. A key of no known family is kept whole. */
function keyOf(given) {
  const name = given.replace(BETWEEN, '').replace(/\.json$/, '')
  // Before the other form: a `sender-key-memory:x` is not a `sender-key` of the id `memory:x`.
  const type = families.find((family) => name.startsWith(`${family}:`) && name.length > family.length + 1)
  if (type !== undefined) return { type, id: name.slice(type.length + 1) }
  const known = parseName(`${name}.json`, families)
  if (known !== null) return { type: known.type, id: undotted(known.type, known.id) }
  return parseKey(`${name}.json`.replace(/\//g, '__').replace(/:/g, '-'), families)
}

/** {type, id} of a key whose type stands by itself; null for a type that cannot be one. */
function typedKey(type, id) {
  if (isFamily(type)) return { type, id: undotted(type, id) }
  return /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(type) ? { type: WHOLE, id: fileName(type, id) } : null
}

/** Ids that Baileys uses: another form says that a store has changed them. */
const FORMS = { session: /\.\d+$/, 'identity-key': /\.\d+$/, 'sender-key': /::.+::/, 'pre-key': /^\d+$/ }
const isOddId = (type, id) => Object.hasOwn(FORMS, type) && !FORMS[type].test(id)

/** The longest prefix among `prefixes` that a name begins with; undefined for none. */
function ownerOf(name, prefixes) {
  for (let at = name.length - 1; at >= 0; at--) {
    if (isBoundary(name[at]) && prefixes.has(name.slice(0, at + 1))) return name.slice(0, at + 1)
  }
  return prefixes.has('') ? '' : undefined
}

/** A session's own name, from the part of a name before that of a key. */
const sessionOf = (prefix) => prefix.replace(/[^A-Za-z0-9]$/, '')

/**
 * Names by session: `prefix:creds` with `prefix:type-id`, or the other way round, `creds:name` with `type-id:name`.
 * @param {Iterable<string>} names
 * @returns {{ groups: { path: string, prefix?: string, suffix?: string, creds: string, members: { name: string, rest: string }[] }[], loose: string[] }}
 *   `prefix` or `suffix`: what the names of a session have in common; `loose`: names of no session
 */
function groupNames(names) {
  const all = [...names]
  const groups = new Map()
  const reversed = new Map()
  for (const name of all) {
    const prefix = prefixOf(name)
    if (prefix !== null) groups.set(prefix, { path: sessionOf(prefix), prefix, creds: name, members: [] })
    else if (name.startsWith('creds:') && name.length > 6)
      reversed.set(name.slice(5), { path: name.slice(6), suffix: name.slice(5), creds: name, members: [] })
  }
  const loose = []
  for (const name of all) {
    const owner = ownerOf(name, groups)
    if (owner !== undefined) {
      if (groups.get(owner).creds !== name) groups.get(owner).members.push({ name, rest: name.slice(owner.length) })
      continue
    }
    const group = reversed.get(suffixOf(name, reversed))
    if (group === undefined) loose.push(name)
    else if (group.creds !== name) group.members.push({ name, rest: name.slice(0, -group.suffix.length) })
  }
  return { groups: [...groups.values(), ...reversed.values()], loose }
}

/** The longest ending `:name` of `name` among `suffixes`. */
function suffixOf(name, suffixes) {
  for (let at = name.indexOf(':'); at !== -1; at = name.indexOf(':', at + 1)) if (suffixes.has(name.slice(at))) return name.slice(at)
  return undefined
}

/** The number of sessions whose pre-keys are among names that belong to none. */
const countOrphans = (loose) =>
  new Set(
    loose
      .filter((name) => /(^|[^A-Za-z0-9])pre-key[-:]\d+(\.json)?$/.test(name))
      .map((name) => name.replace(/pre-key[-:]\d+(\.json)?$/, ''))
  ).size

module.exports = { CREDS, countOrphans, groupNames, isAllKeys, isCreds, isFamily, isKeyName, isOddId, keyOf, prefixOf, typedKey }
