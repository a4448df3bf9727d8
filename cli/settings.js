'use strict'

// Settings of the command line and its environment, as options of the package.
//
// Invariants: what the environment holds already stands over the file of --env-file, as with `node --env-file`, and options
// stand over both; no option takes a secret, because the arguments of a process can be read by everybody on the machine.

const { readFileSync, statSync } = require('node:fs')
const util = require('node:util')
const { UsageError, inFlags } = require('./exit.js')
const { secretsOf } = require('./mask.js')

/** Options that every command takes which looks at sessions: flags, what they say, and what they are for the package. */
const SESSION_OPTIONS = [
  [
    '--store <url>',
    'the store: s3://bucket, supabase://bucket, gs://bucket, postgres://host/database, redis://host or file:///path',
    'store'
  ],
  ['--directory <folder>', 'the local logs, one folder per tenant', 'directory'],
  ['-e, --env-file <file>', 'read variables from this file; the environment overrides it'],
  ['--key-file <file>', 'read the encryption keys from this file, one per line, the sealing key first'],
  ['--encryption <on|off>', '`off` for a store with unencrypted sessions', 'encryption'],
  ['--accept-unencrypted', 'read unencrypted objects', 'acceptUnencrypted'],
  ['--hide-tenant-ids', 'hide tenant ids in object names', 'hideTenantIds'],
  ['--allow-public-bucket', 'accept a public bucket', 'allowPublicBucket'],
  ['--ca-certificate <file>', 'also trust these authorities (PEM)', 'caCertificate']
]

const camelCase = (flags) => flags.match(/--([\w-]+)/)[1].replace(/-(\w)/g, (_, letter) => letter.toUpperCase())

function read(file, option) {
  try {
    // A byte order mark is no part of the first name.
    return readFileSync(file, 'utf8').replace(/^\ufeff/, '')
  } catch (error) {
    throw new UsageError(`the file of ${option} cannot be read (${error.code})`, 'Choose an existing file that you may read.')
  }
}

/** The variables in a text, for Node before 20.12: `NAME=value` a line, with # comments and quotes. */
function parseVariables(text) {
  const found = {}
  const line = /^\s*(?:export\s+)?([\w.-]+)\s*=[^\S\n]*("[^"]*"|'[^']*'|`[^`]*`|[^\n#]*)/gm
  for (const [, name, value] of text.replace(/\r\n?/g, '\n').matchAll(line)) {
    const quote = value.match(/^(["'`])([^]*)\1$/)
    const inner = quote === null ? value.trim() : quote[2]
    found[name] = quote?.[1] === '"' ? inner.replaceAll('\\n', '\n') : inner
  }
  return found
}

const isSet = (env, name) => env[name] !== undefined && env[name] !== ''

/** Variables that choose a store, whatever others there are. */
const CHOOSING = ['BAILEYS_HYBRID_AUTH_STORE', 'SESSION_BACKUP_STORE', 'SESSION_BACKUP_ENABLED']

/**
 * Adds the variables of a file to those that are set. The environment overrides the file for each setting, by whichever of its
 * names; an empty variable is unset. A file that would choose another store than the environment does is refused.
 * @param isStoreGiven whether the command line names the store
 */
function loadVariables(file, env, isStoreGiven = false) {
  const { storeIn } = require('../lib/config/services.js')
  const { namesOf } = require('../lib/config/variables.js')
  const text = read(file, '--env-file')
  const before = { ...env }
  const added = []
  for (const [name, value] of Object.entries((util.parseEnv ?? parseVariables)(text))) {
    if (namesOf(name).some((other) => isSet(before, other))) continue
    env[name] = value
    if (value !== '') added.push(name)
  }
  const choice = added.filter((name) => CHOOSING.includes(name))
  if (isStoreGiven || choice.length === 0) return
  const ofEnvironment = unlessWrong(() => storeIn(before))
  if (!ofEnvironment) return
  const both = unlessWrong(() => storeIn(env))
  if (both === undefined || both?.place === ofEnvironment.place) return
  throw new UsageError(
    `${ofEnvironment.from} of the environment and ${choice.join(', ')} of the --env-file choose different stores`,
    'Remove one of the two, or use --store <url>.'
  )
}

/** Result of `work`; undefined where it throws, which is reported when the settings are checked. */
function unlessWrong(work) {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** The keys in a file, as the package takes them; it checks them. They are never printed from then on. */
function readKeys(file, option, output) {
  const keys = read(file, option)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (keys.length === 0)
    throw new UsageError(`the file of ${option} contains no key`, 'Write one with `baileys-hybrid-auth keygen --out <file>`.')
  output.hide(keys)
  if (process.platform !== 'win32' && (statSync(file).mode & 0o044) !== 0) {
    output.warn(`others on this machine can read the file of ${option}: \`chmod 600\` keeps it to you`)
  }
  return keys
}

/** An address of a server with a user and a password in it. */
const WITH_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*:([^/?#]+)@/i

/** The password in an address, as it is written and as it is meant. */
function passwordsIn(address) {
  const written = address.match(WITH_PASSWORD)?.[1]
  if (written === undefined) return []
  try {
    return [written, decodeURIComponent(written)]
  } catch {
    return [written]
  }
}

/** A place that an argument names: by itself, or as `env:NAME` through a variable, which may hold a password. */
function placeIn(given, output, env = process.env) {
  const name = given.match(/^env:([A-Za-z_]\w*)$/)?.[1]
  if (name === undefined) {
    if (passwordsIn(given).length > 0)
      throw new UsageError(
        'the address contains a password, and others on this machine can read arguments',
        'Put the address into a variable, and write env:NAME in its place.'
      )
    return given
  }
  if (!isSet(env, name))
    throw new UsageError(`the variable ${name} is not set`, 'Set it to the address of the source, here or in the --env-file.')
  output.hide(passwordsIn(env[name]))
  return env[name]
}

/**
 * Options of the package, from what was asked.
 * @param asked the options of the command line
 */
function settingsOf(asked, output, env = process.env) {
  if (asked.envFile !== undefined) loadVariables(asked.envFile, env, asked.store !== undefined)
  output.hide(secretsOf(env))
  const options = {}
  for (const [flags, , name] of SESSION_OPTIONS) {
    const value = asked[camelCase(flags)]
    if (name !== undefined && value !== undefined) options[name] = value
  }
  if (asked.keyFile !== undefined) options.encryptionKeys = readKeys(asked.keyFile, '--key-file', output)
  const silent = () => {}
  options.logger = { debug: silent, info: silent, error: silent, warn: (_, message) => output.warn(inFlags(message)) }
  return options
}

module.exports = { SESSION_OPTIONS, loadVariables, placeIn, readKeys, settingsOf, parseVariables }
