'use strict'

// The variables that hold options: one of its own for each, named after it, and those of existing services.
//
// Invariants: a name that begins like ours and is none is refused, with the one it may have been meant for: a misspelt
// variable would otherwise leave a default in its place unseen. What is decided for one open of one session has no variable,
// because that would decide it again at every later open of all of them.

const { spoken, variable } = require('../checks.js')

const PREFIX = 'BAILEYS_HYBRID_AUTH_'

/** Decided for one open. */
const ONE_TIME = new Set(['importFrom', 'fresh', 'takeover', 'seedFromDisk', 'ifFree'])

/** A character that no text can hold. */
const NO_TEXT = new Set(['initAuthCreds', 'BufferJSON', 'baileys', 'logger', 'onEvent', 'signal'])

const nameOf = (option) => PREFIX + option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

/** The variable of an option: `flushIntervalMs` is BAILEYS_HYBRID_AUTH_FLUSH_INTERVAL_MS; undefined where there is none. */
const ownVariable = (option) => (ONE_TIME.has(option) || NO_TEXT.has(option) ? undefined : nameOf(option))

/**
 * Option -> variables of existing services that may hold it, first one wins, and all of them after the option's own;
 * `lib/config/services.js` and the kinds of stores know some more.
 */
const VARIABLES = {
  __proto__: null,
  directory: ['WHATSAPP_SESSION_PATH', 'SESSION_STORAGE_PATH'],
  store: ['SESSION_BACKUP_STORE'],
  mode: ['SESSION_STORAGE_TYPE'],
  encryptionKeys: ['SESSION_ENCRYPTION_KEY'],
  flushIntervalMs: ['SESSION_BACKUP_INTERVAL_MS', 'SESSION_BACKUP_INTERVAL'],
  caCertificate: ['AWS_CA_BUNDLE', 'PGSSLROOTCERT', 'NODE_EXTRA_CA_CERTS']
}

/** Options that are true or false. */
const FLAGS = new Set(['hideTenantIds', 'fresh', 'takeover', 'seedFromDisk', 'acceptUnencrypted', 'allowPublicBucket'])

/** Variables that may hold an option, the first one first. */
const variablesOf = (option) => [ownVariable(option), ...(VARIABLES[option] ?? [])].filter((name) => name !== undefined)

/** Variables of the setting that this one is of; itself where it is of none. */
const namesOf = (variable) =>
  Object.keys(VARIABLES)
    .map(variablesOf)
    .find((names) => names.includes(variable)) ?? [variable]

/** The value of `name` and where it came from, for messages. */
function lookUp(options, env, name) {
  const own = { value: Object.hasOwn(options, name) ? options[name] : undefined, from: `\`${name}\`` }
  const named = variable(env, ...variablesOf(name))
  if (own.value !== undefined || named.value === undefined) return own
  return FLAGS.has(name) ? { ...named, value: spoken(named) } : named
}

/** Number of letters that have to change, come or go to make one name of the other. */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (let i = 0; i < one.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j++) {
      next.push(Math.min(row[j] + (one[i] === other[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1))
    }
    row = next
  }
  return row.at(-1)
}

/** Refusal of variables that begin like ours and are none. */
function wrongVariables(env, options) {
  const known = options.map(ownVariable).filter((name) => name !== undefined)
  const unknown = Object.keys(env).filter((name) => name.startsWith(PREFIX) && !known.includes(name) && env[name] !== '')
  return unknown.map((name) => {
    const option = options.find((option) => nameOf(option) === name)
    if (ONE_TIME.has(option)) return `${name} is not a variable: \`${option}\` applies to a single open, so pass it there as an option`
    if (NO_TEXT.has(option)) return `${name} is not a variable: \`${option}\` can only be given as an option`
    const far = (other) => (other.startsWith(name) ? 0 : distance(name, other))
    const nearest = known.toSorted((a, b) => far(a) - far(b))[0]
    // The name itself is repeated only if it looks like one.
    const said = /^[A-Z_]{1,64}\d?$/.test(name) ? name : `a variable that begins with ${PREFIX}`
    return `${said} is unknown; the closest known one is ${nearest}`
  })
}

module.exports = { VARIABLES, lookUp, namesOf, ownVariable, wrongVariables }
