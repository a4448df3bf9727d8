'use strict'

// Checks that options and store specs share, and the words in which a value is refused.
//
// Invariant: a message names the option or variable that holds the value, and never repeats the value: it may be a secret, or
// hold one. What a value is found in (`from`) is always the name of a place.

const { X509Certificate } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { isIP } = require('node:net')
const { resolve } = require('node:path')
const { HybridAuthError } = require('./errors.js')

const refuse = (message) => {
  throw new HybridAuthError('INVALID_OPTION', message)
}

/**
 * The first of these variables that is set; one that is set to nothing is not.
 * @param {Record<string, string | undefined>} env
 * @param {...string} names
 * @returns {{ value: any, from: string }}
 */
function variable(env, ...names) {
  const name = names.find((name) => Object.hasOwn(env, name) && env[name] !== undefined && env[name] !== '')
  return { value: name === undefined ? undefined : env[name], from: name ?? names[0] }
}

/** The first of these that holds a value, else the last. */
const first = (...places) => places.find(({ value }) => value !== undefined) ?? places.at(-1)

/** A name that somebody wrote, if it looks like a name: a value in its place by mistake may be a secret. */
const quoted = (name) => (/^[a-z][A-Za-z_-]{0,23}\d?$/.test(name) ? `\`${name}\`` : 'a name that is not shown here')

const allOf = (names) => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`)

/** Message for settings that belong together and of which only some are given. */
function halfOf(set, missing) {
  const are = (names) => `${allOf(names)} ${names.length > 1 ? 'are' : 'is'}`
  return `${are(set)} set, but ${are(missing)} not`
}

const refuseHalf = (set, missing, remedy = '') => refuse(halfOf(set, missing) + remedy)

/** True for an option, false for a variable: only variables hold numbers as text. */
const isOption = (from) => from.startsWith('`')

const numberIn = ({ value, from }) => (typeof value === 'string' && /^\d+$/.test(value) && !isOption(from) ? Number(value) : value)

function integer({ value, from }, fallback, least, most, unit = ' of milliseconds') {
  if (value === undefined) return fallback
  const number = numberIn({ value, from })
  if (!Number.isSafeInteger(number) || number < least || number > most) {
    refuse(`${from} must be a whole number${unit} from ${least} to ${most}`)
  }
  return number
}

/** The text that a setting holds; `what` is the word of the refusal. */
function named({ value, from }, what) {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) refuse(`${from} must be ${what}`)
  return value
}

/**
 * The absolute path that a setting names; `what` is the word of the refusal. A `~` is refused: no shell replaced it, and a folder of
 * that name below the working directory would be a new place for a session at each deployment.
 */
function pathIn(setting, what) {
  const path = named(setting, what)
  if (/^~(?:[\\/]|$)/.test(path))
    refuse(`${setting.from} begins with \`~\`, which only a shell replaces: write the home directory, or use \`os.homedir()\``)
  return resolve(path)
}

/** The longest that a timer waits. What has no limit waits so long. */
const NO_LIMIT = 2 ** 31 - 1

/** A limit of time in milliseconds, `Infinity` for none. That of a call may have a fraction, as differences of clocks do. */
function limit({ value, from }, fallback, { most = 3_600_000, isWhole = true } = {}) {
  if (value === undefined || value === Infinity) return value ?? fallback
  const number = numberIn({ value, from })
  if (typeof number !== 'number' || !(number >= 0 && number <= most) || (isWhole && !Number.isInteger(number))) {
    refuse(
      `${from} must be ${isWhole ? 'a whole number of ' : ''}milliseconds from 0${most === Infinity ? '' : ` to ${most}`}, or Infinity for no limit`
    )
  }
  return number
}

/** A limit as the core and timers take it. */
const wholeLimit = (ms) => Math.min(Math.ceil(ms), NO_LIMIT)

/** The number of things that are done at once. */
function atOnce(concurrency, fallback) {
  if (concurrency === Infinity) return concurrency
  return integer({ value: concurrency, from: '`concurrency`' }, fallback, 1, 1024, '')
}

/** The own fields of an object, on one that has no others: what anything else put on `Object.prototype` is nobody's option. */
const ownFields = (object) => Object.assign(Object.create(null), object)

/** The arguments of a call beside its subject: an object with some of these fields, or nothing. */
function fieldsOf(given, call, ...names) {
  if (given === undefined) return ownFields({})
  const isObject = given !== null && typeof given === 'object' && !Array.isArray(given)
  if (!isObject || Object.keys(given).some((name) => !names.includes(name))) {
    refuse(`${call} takes an object with nothing but ${allOf(names.map((name) => `\`${name}\``))}, or no argument`)
  }
  return ownFields(given)
}

/** Listens for a signal or an event of the process directly: it is called with what that is called with. */
const isSignal = (given) => typeof given === 'string' && /^SIG[A-Z0-9]+$/.test(given)

function choice({ value, from }, fallback, allowed, hint = '') {
  if (value === undefined) return fallback
  if (!allowed.includes(value)) refuse(`${from} must be one of: ${allowed.join(', ')}${hint}`)
  return value
}

function flag({ value, from }) {
  if (value === undefined) return false
  if (typeof value !== 'boolean') refuse(`${from} must be true or false`)
  return value
}

/** @type {Map<string, boolean>} */
const WORDS = new Map(
  /** @type {[string, boolean][]} */ ([
    ...['true', '1', 'yes', 'on'].map((word) => [word, true]),
    ...['false', '0', 'no', 'off'].map((word) => [word, false])
  ])
)

/** A yes or no in a variable; undefined when it is not set. */
function spoken({ value, from }) {
  if (value === undefined) return undefined
  return WORDS.get(value.trim().toLowerCase()) ?? refuse(`${from} must be one of: ${[...WORDS.keys()].join(', ')}`)
}

/** The signal by which a caller gives a thing up. */
function abortSignal({ value, from }) {
  const isSignal = typeof value?.addEventListener === 'function' && typeof value.aborted === 'boolean'
  if (value !== undefined && !isSignal) refuse(`${from} must be an AbortSignal`)
  return value
}

/**
 * Text on one line, without the blanks around it that copying leaves behind.
 * @param {{ value?: unknown, from: string }} place
 */
function line({ value, from }) {
  const text = typeof value === 'string' ? value.trim() : ''
  if (text === '') refuse(`${from} must be a non-empty text`)
  if (/\p{Cc}/u.test(text) || !text.isWellFormed()) refuse(`${from} must be one line, without control characters`)
  return text
}

/** The same for the value of a header. */
function token(given) {
  const text = line(given)
  if (!/^[\x21-\x7e]+$/.test(text)) refuse(`${given.from} contains white space or a character that is not allowed in such a key`)
  return text
}

/** A name that stands between two slashes of an address. */
function segment(name, from) {
  if (name === '') refuse(`${from} is empty`)
  if (name === '.' || name === '..') refuse(`${from} must not be . or ..`)
  if (/[/\\\p{Cc}]/u.test(name) || !name.isWellFormed()) refuse(`${from} must not contain slashes or control characters`)
  return name
}

/** The name of a bucket, by the rule `{ form, words }` of its kind of store. */
function bucketName({ value, from }, { form, words }) {
  if (typeof value !== 'string') refuse(`${from} must be the name of a bucket`)
  const name = segment(value, from)
  if (!form.test(name)) refuse(`${from} is not a valid bucket name: ${words}`)
  return name
}

/** A folder in a bucket, without slashes at its ends; '' for the bucket itself. */
function folderName({ value = '', from }, alphabet = /^[^]*$/) {
  if (typeof value !== 'string') refuse(`${from} must be a folder in the bucket, such as a/b`)
  const folder = value.replace(/^\//, '').replace(/\/$/, '')
  if (folder === '' && value.length < 2) return ''
  for (const name of folder.split('/')) segment(name, `a folder in ${from}`)
  if (!alphabet.test(folder)) refuse(`${from} contains a character that this store does not allow in names`)
  return folder
}

/** The text of a part of a URL. */
function decoded(text, from) {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse(`${from} is malformed: write a % as %25`)
  }
}

/** Result of `work(...given)`; undefined where it throws. For what was not asked for, and for what is reported elsewhere. */
function unlessWrong(work, ...given) {
  try {
    return work(...given)
  } catch {
    return undefined
  }
}

/** True for a host that is this machine. */
const isLoopback = (host) => /^(localhost|.+\.localhost|127(\.\d+){3}|\[?::1\]?)$/.test(host)

/** An http or https address, `{ text, host, isOpen }` without slashes at its end; null without a value. */
function address({ value, from }, { secretsBelong }) {
  if (value === undefined) return null
  let url
  try {
    url = new URL(line({ value, from }))
  } catch {
    refuse(`${from} must be an address such as https://host`)
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') refuse(`${from} must begin with https:// or http://`)
  if (url.username !== '' || url.password !== '') refuse(`${from} must not contain credentials: ${secretsBelong}`)
  if (/[?#]/.test(url.href)) refuse(`${from} must be an address without ? and #`)
  return {
    text: url.origin + url.pathname.replace(/\/+$/, ''),
    path: url.pathname.replace(/\/+$/, ''),
    origin: url.origin,
    host: url.hostname,
    isIp: isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0,
    /** True if others can read the traffic on its way there. */
    isOpen: url.protocol === 'http:' && !isLoopback(url.hostname)
  }
}

/** The text of a file; null for one that is not there, if that is allowed. */
function fileText({ value, from }, { path = resolve(line({ value, from })), mayBeAbsent = false } = {}) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (mayBeAbsent && ['ENOENT', 'ENOTDIR'].includes(error.code)) return null
    return refuse(`the file of ${from} cannot be read (${error.code})`)
  }
}

/** The bundle of authorities that was looked at last: it is large, and the same for all tenants. */
let lastBundle = { text: null, certificates: null }

/** The certificates in PEM text, or in the file of that name; nothing else that may be in it. */
function certificates({ value, from }) {
  if (value === undefined) return null
  const isText = typeof value === 'string' && value.includes('-----BEGIN ')
  const text = isText ? value : fileText({ value, from })
  if (text === lastBundle.text) return lastBundle.certificates
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
  if (found === null) refuse(`${from} contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)`)
  for (const pem of found) {
    try {
      new X509Certificate(pem)
    } catch {
      refuse(`${from} contains a certificate that cannot be read`)
    }
  }
  lastBundle = { text, certificates: `${found.join('\n')}\n` }
  return lastBundle.certificates
}

module.exports = {
  refuse,
  named,
  pathIn,
  variable,
  first,
  quoted,
  allOf,
  halfOf,
  refuseHalf,
  integer,
  limit,
  wholeLimit,
  atOnce,
  fieldsOf,
  ownFields,
  isSignal,
  isOption,
  abortSignal,
  choice,
  flag,
  spoken,
  line,
  token,
  decoded,
  unlessWrong,
  isLoopback,
  bucketName,
  folderName,
  address,
  fileText,
  certificates
}
