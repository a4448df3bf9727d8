'use strict'

// Reading one session of a source, whole: credentials, keys, and a digest of the files as they were.
//
// Invariants: no damage is taken for absence, and what could not be taken is counted; nothing is decided about a file that does
// not read. Encryption without a check (AES-256-CBC) is believed only where JSON comes out of it. Messages hold no names and no
// values.

const { isUtf8 } = require('node:buffer')
const { createDecipheriv } = require('node:crypto')
const { HybridAuthError } = require('../errors.js')
const { CREDS, MOST_WHOLE, PARALLEL, WHOLE, familiesWith, holdKeys, idIn, parseKey } = require('../multi-file/names.js')
const { checkCreds, diagnose, isObject, parseValue } = require('../multi-file/read.js')
const { each } = require('../pool.js')
const { sessionIn } = require('../multi-file/single-file.js')
const { Taken, unique } = require('./taken.js')

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

/** One reading of a session that `findSessions` found. */
class Reading {
  #source
  #found
  #keys
  #taken = new Taken()
  /** The keys that may open the rest: the one of the credentials, where that is known. */
  #trusted
  #encrypted = false
  #creds = null
  /** In the order of the survey, with holes where a file gave none. */
  #entries = []
  #damaged = []
  #left = []
  #lost = 0

  constructor(source, found, keys) {
    this.#source = source
    this.#found = found
    this.#keys = keys
    this.#trusted = keys
  }

  async whole() {
    await this.#readCreds()
    await each(this.#found.keys.entries(), PARALLEL, ([i, key]) => this.#readKey(i, key))
    await this.#readKeysFile()
    await this.#readSingle()
    return {
      creds: this.#creds,
      entries: unique(this.#entries.filter(Boolean), 'files'),
      damaged: this.#damaged,
      left: this.#left,
      lost: this.#lost,
      digest: this.#taken.digest(),
      files: this.#taken.files,
      bytes: this.#taken.bytes,
      encrypted: this.#encrypted
    }
  }

  /** The bytes of a file of the source; null for none. */
  async #content(name) {
    const read = await this.#source.read(name)
    if (read !== null) this.#taken.add(name, read)
    return read
  }

  /** The credentials out of the first of their files that is whole. */
  async #readCreds() {
    const { creds, credsCopies } = this.#found
    let failure = null
    for (const name of creds === undefined ? [] : [creds, ...credsCopies]) {
      const raw = await this.#content(name)
      if (raw === null) continue
      try {
        return this.#takeCreds(raw)
      } catch (error) {
        if (error.code !== 'LOCAL_CORRUPT') throw error
        failure ??= error
      }
    }
    if (failure !== null) throw failure
  }

  #takeCreds(raw) {
    const { text, key } = textOf(raw, this.#keys, CREDS)
    const value = parseValue(text, CREDS)
    checkCreds(value)
    this.#creds = value
    this.#encrypted = key !== null
    // The key that they were encrypted with is the key; a file that it does not open is damaged.
    if (key !== null) this.#trusted = [key]
  }

  #valueOf(read, type) {
    const what = `a "${type}" file`
    try {
      const { text, key } = textOf(read, this.#trusted, what)
      this.#encrypted ||= key !== null
      return parseValue(text, what)
    } catch (error) {
      if (error.code === 'KEY_UNAVAILABLE' && (this.#trusted.length === 0 || this.#creds === null)) throw error
      throw corrupt(what)
    }
  }

  /** A key out of its file, or out of the backup of that. */
  async #readKey(i, { name, backup, type, id }) {
    const bad = []
    for (const at of backup === undefined ? [name] : [name, backup]) {
      const read = await this.#content(at)
      if (read === null) continue
      try {
        if (type === WHOLE && read.length > MOST_WHOLE) throw corrupt('a file of an unknown type')
        const value = this.#valueOf(read, type)
        // Baileys takes a falsy value for none.
        if (value) this.#entries[i] = { type, id, value, name: at }
        return
      } catch (error) {
        if (error.code !== 'LOCAL_CORRUPT' && type !== WHOLE) throw error
        bad.push({ name: at, type })
      }
    }
    // Of no known family, it may as well be no key.
    if (type === WHOLE) this.#left.push(...bad)
    else this.#damaged.push(...bad)
  }

  /** The keys out of the file that holds them all. */
  async #readKeysFile() {
    const name = this.#found.keysFile
    const read = name === undefined ? null : await this.#content(name)
    if (read === null) return
    for (const record of recordsOf(this.#valueOf(read, 'keys'))) if (record.value) this.#entries.push({ ...record, name })
  }

  /** The session out of a single file. */
  async #readSingle() {
    const name = this.#found.single
    const read = name === undefined ? null : await this.#content(name)
    if (read === null) return
    const what = 'the file'
    const { text, key } = textOf(read, this.#keys, what)
    this.#encrypted = key !== null
    const session = sessionIn(parseValue(text, what), what)
    this.#creds = session.creds
    this.#entries.push(...session.entries.map((entry) => ({ ...entry, name })))
    this.#lost = session.notUnderstood
  }
}

/**
 * Reads a session that `findSessions` found.
 * @param {{read(name: string): Promise<Buffer | null>}} source
 * @param {Buffer[]} keys that may have encrypted it
 * @returns {Promise<{creds: object | null, entries: {type, id, value, name}[], damaged: {name, type}[], left: {name}[], lost: number, digest: string,
 *   files: number, bytes: number, encrypted: boolean}>} `creds` is null for a folder without them; `left` are files of no known family that
 *   are no keys, `lost` families in a single file that are none
 */
const readSession = (source, found, keys) => new Reading(source, found, keys).whole()

module.exports = { readSession, jsonText, recordsOf, textOf }
