'use strict'

// Reading one session of a source, whole: credentials, keys, and a digest of the files as they were.
//
// Invariants: no damage is taken for absence, and what could not be taken is counted; nothing is decided about a file that does
// not read. Encryption without a check (AES-256-CBC) is believed only where JSON comes out of it. Messages hold no names and no
// values.

const { isUtf8 } = require('node:buffer')
const { createDecipheriv, createHash } = require('node:crypto')
const { HybridAuthError } = require('../errors.js')
const { CREDS, MOST_WHOLE, PARALLEL, WHOLE, familiesWith, holdKeys, idIn, parseKey } = require('../multi-file/names.js')
const { checkCreds, diagnose, parseValue } = require('../multi-file/read.js')
const { each } = require('../pool.js')
const { sessionIn } = require('../multi-file/single-file.js')

const families = familiesWith()

const corrupt = (what, why = '') => new HybridAuthError('LOCAL_CORRUPT', `${what} is damaged${why && ` (${why})`}`)
const locked = (what, why) => new HybridAuthError('KEY_UNAVAILABLE', `${what} looks encrypted and ${why}`)

const isJson = (text) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The initialisation vector and the rest, of a file that is not JSON; null if it is nothing of that kind. */
function sealed(bytes) {
  if (isUtf8(bytes)) {
    // By hand: a regular expression runs out of stack where it repeats a group millions of times.
    const text = bytes.toString('latin1').trim()
    if (text[32] !== ':') return null
    const parts = [text.slice(0, 32), text.slice(33)].map((hex) => [hex, Buffer.from(hex, 'hex')])
    const isHex = parts.every(([hex, decoded]) => decoded.length * 2 === hex.length)
    return isHex && parts[1][1].length > 0 && parts[1][1].length % 16 === 0 ? parts.map(([, decoded]) => decoded) : null
  }
  return bytes.length >= 32 && bytes.length % 16 === 0 ? [bytes.subarray(0, 16), bytes.subarray(16)] : null
}

/** @type {(parts: Buffer[], key: any) => Buffer | null} */
function unseal([iv, rest], key) {
  const decipher = createDecipheriv('aes-256-cbc', key, iv)
  try {
    return Buffer.concat([decipher.update(rest), decipher.final()])
  } catch {
    return null
  }
}

/**
 * The JSON text of a file, and the one of `keys` that it was encrypted with; null for none.
 * @returns {{ text: string, key: any }}
 */
function textOf(bytes, keys, what) {
  const plain = isUtf8(bytes) ? bytes.toString('utf8') : null
  if (plain !== null && isJson(plain)) return { text: plain, key: null }
  const parts = sealed(bytes)
  if (parts === null) throw corrupt(what, diagnose(bytes))
  if (keys.length === 0) throw locked(what, 'there is no `sourceKey`')
  for (const key of keys) {
    const opened = unseal(parts, key)
    if (opened !== null && isUtf8(opened) && isJson(opened.toString('utf8'))) return { text: opened.toString('utf8'), key }
  }
  throw locked(what, 'does not decrypt to JSON with the `sourceKey`')
}

/** The text of a file that may be anything, decrypted where that is possible. */
function jsonText(bytes, keys) {
  try {
    return textOf(bytes, keys, '').text
  } catch {
    return bytes.toString('utf8')
  }
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)

/** Names that can be a family of keys: `__proto__` or `constructor` in a foreign file is none. */
const isType = (name) => families.includes(name) || (/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) && !(name in Object.prototype))

/** The records of a keys.json, or of what else holds all keys: `{ type: { id: value } }`, or `{ "type-id": value }`. Nothing that could be either. */
function* recordsOf(value, what = 'keys.json') {
  if (!isObject(value)) throw corrupt(what)
  const names = Object.keys(value)
  const flat = names.map((name) => (families.includes(name) ? null : parseKey(`${name}.json`, families)))
  if (names.length === 0 || (flat.every((key) => key !== null) && holdKeys(flat))) {
    for (const [i, name] of names.entries()) yield { ...flat[i], value: value[name] }
    return
  }
  const isNested =
    names.every((name, i) => (flat[i]?.type ?? WHOLE) === WHOLE && isType(name) && isObject(value[name])) &&
    names.some((name) => families.includes(name))
  if (!isNested) throw new HybridAuthError('INVALID_OPTION', `${what} is neither {type: {id: value}} nor {"type-id": value}`)
  for (const type of names) for (const id of Object.keys(value[type])) yield { type, id: idIn(type, id), value: value[type][id] }
}

/**
 * Reads a session that `findSessions` found.
 * @param {{read(name: string): Promise<Buffer | null>}} source
 * @param {Buffer[]} keys that may have encrypted it
 * @returns {Promise<{creds: object | null, entries: {type, id, value, name}[], damaged: {name, type}[], left: {name}[], lost: number, digest: string,
 *   files: number, bytes: number, encrypted: boolean}>} `creds` is null for a folder without them; `left` are files of no known family that
 *   are no keys, `lost` families in a single file that are none
 */
async function readSession(source, found, keys) {
  const hashes = new Map()
  let bytes = 0
  let encrypted = false

  async function content(name) {
    const read = await source.read(name)
    if (read === null) return null
    hashes.set(name, createHash('sha256').update(read).digest())
    bytes += read.length
    return read
  }

  let trusted = keys
  let creds = null
  let failure = null
  for (const name of found.creds === undefined ? [] : [found.creds, ...found.credsCopies]) {
    const raw = await content(name)
    if (raw === null) continue
    try {
      const { text, key } = textOf(raw, keys, CREDS)
      const value = parseValue(text, CREDS)
      checkCreds(value)
      creds = value
      encrypted = key !== null
      // What the credentials were encrypted with is the key; what it does not open is damaged.
      if (key !== null) trusted = [key]
      break
    } catch (error) {
      if (error.code !== 'LOCAL_CORRUPT') throw error
      failure ??= error
    }
  }
  if (creds === null && failure !== null) throw failure

  function valueOf(read, type) {
    try {
      const { text, key } = textOf(read, trusted, `a "${type}" file`)
      encrypted ||= key !== null
      return parseValue(text, `a "${type}" file`)
    } catch (error) {
      if (error.code === 'KEY_UNAVAILABLE' && (trusted.length === 0 || creds === null)) throw error
      throw corrupt(`a "${type}" file`)
    }
  }

  const entries = []
  const damaged = []
  const left = []
  let lost = 0
  await each(found.keys.entries(), PARALLEL, async ([i, { name, backup, type, id }]) => {
    const bad = []
    for (const at of backup === undefined ? [name] : [name, backup]) {
      const read = await content(at)
      if (read === null) continue
      try {
        if (type === WHOLE && read.length > MOST_WHOLE) throw corrupt('a file of an unknown type')
        const value = valueOf(read, type)
        // Baileys takes a falsy value for none.
        if (value) entries[i] = { type, id, value, name: at }
        return
      } catch (error) {
        if (error.code !== 'LOCAL_CORRUPT' && type !== WHOLE) throw error
        bad.push({ name: at, type })
      }
    }
    // Of no known family, it may as well be no key.
    if (type === WHOLE) left.push(...bad)
    else damaged.push(...bad)
  })
  if (found.keysFile !== undefined) {
    const read = await content(found.keysFile)
    if (read !== null) {
      for (const record of recordsOf(valueOf(read, 'keys'))) if (record.value) entries.push({ ...record, name: found.keysFile })
    }
  }

  if (found.single !== undefined) {
    const read = await content(found.single)
    if (read !== null) {
      const what = 'the file'
      const { text, key } = textOf(read, keys, what)
      encrypted = key !== null
      const session = sessionIn(parseValue(text, what), what)
      creds = session.creds
      entries.push(...session.entries.map((entry) => ({ ...entry, name: found.single })))
      lost = session.notUnderstood
    }
  }

  const digest = createHash('sha256')
  for (const [name, hash] of [...hashes].sort(([a], [b]) => (a < b ? -1 : 1)))
    digest
      .update(`${Buffer.byteLength(name)}:`)
      .update(name)
      .update(hash)
  return {
    creds,
    entries: unique(entries.filter(Boolean)),
    damaged,
    left,
    lost,
    digest: digest.digest('hex'),
    files: hashes.size,
    bytes,
    encrypted
  }
}

/** Two files can mean one key where the names were made in different ways. */
function unique(entries) {
  const seen = new Set()
  for (const { type, id } of entries) {
    const key = `${type}\0${id}`
    if (seen.has(key)) throw new HybridAuthError('INVALID_OPTION', `two files hold the same "${type}" key: remove the one that is not used`)
    seen.add(key)
  }
  return entries
}

module.exports = { readSession, jsonText, recordsOf, textOf }
