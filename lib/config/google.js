'use strict'

// Credentials for Google Cloud Storage, from the option, a file or the variables.
//
// Invariants: what the core cannot use is refused here, with what to use in its place; nothing of a key is repeated, not even
// by the parser that could not read it. The metadata server is asked only when the caller says so.

const { resolve } = require('node:path')
const { fileText, flag, line, refuse, variable } = require('../checks.js')

/** Type of credentials -> what it must hold. */
const TYPES = {
  service_account: ['client_email', 'private_key', 'private_key_id'],
  authorized_user: ['client_id', 'client_secret', 'refresh_token']
}

const NOTHING = { credentials: null, credentialsFile: null, instanceMetadata: false, anonymous: false }

/** The credentials in a JSON text, checked. A key that stands where it is given need not name its type. */
function parsed(text, from, { isFile }) {
  let found
  try {
    found = JSON.parse(text)
  } catch {
    refuse(`${from} is not JSON${isFile ? '' : '; set the path of a file in `credentialsFile` or GOOGLE_APPLICATION_CREDENTIALS'}`)
  }
  if (found === null || typeof found !== 'object' || Array.isArray(found)) refuse(`${from} must be a JSON object`)
  const type = found.type ?? (isFile ? undefined : 'service_account')
  if (typeof type !== 'string' || !Object.hasOwn(TYPES, type)) {
    refuse(
      `${from} must be the key of a service account${isFile ? ", or a user's, with its `type`" : ''}; instead of a federated identity ` +
        '(external_account) use `instanceMetadata: true` if the platform supports it'
    )
  }
  const missing = TYPES[type].filter((name) => typeof found[name] !== 'string' || found[name] === '')
  if (missing.length > 0) refuse(`${from} has no ${missing.join(', no ')}`)
  if (type !== 'service_account' && !isFile) {
    refuse(`${from} belongs to a user and must be in a file: \`credentialsFile\` or GOOGLE_APPLICATION_CREDENTIALS`)
  }
}

function fromText({ value, from }) {
  let text = value
  if (value !== null && typeof value === 'object') {
    try {
      text = JSON.stringify(value)
    } catch {
      refuse(`${from} cannot be written as JSON`)
    }
  }
  if (typeof text !== 'string') refuse(`${from} must be the key of a service account, as an object or JSON text`)
  parsed(text, from, { isFile: false })
  return { ...NOTHING, credentials: text }
}

function fromFile(place) {
  parsed(fileText(place), `the file of ${place.from}`, { isFile: true })
  return { ...NOTHING, credentialsFile: resolve(line(place)) }
}

/**
 * Description of the credentials for the core.
 * @param look finds a field of the store
 * @param note is told where they were found, and never what they are
 */
function googleCredentials(look, env, { from, hasEndpoint, note }) {
  const isSet = ({ value }) => value !== undefined
  const [text, file] = [look('credentials'), look('credentialsFile')]
  const instanceMetadata = flag(look('instanceMetadata'))
  if (flag(look('anonymous'))) {
    if (!hasEndpoint) refuse('`store.anonymous` is for emulators and needs an `endpoint`')
    if (isSet(text) || isSet(file) || instanceMetadata) refuse('`store.anonymous` and credentials contradict each other')
    note('credentials', 'none', look('anonymous'))
    return { ...NOTHING, anonymous: true }
  }
  if (isSet(text) && isSet(file)) refuse(`${text.from} and ${file.from} are both set: remove one of them`)
  const [named, written] = [variable(env, 'GOOGLE_APPLICATION_CREDENTIALS'), variable(env, 'GOOGLE_CREDENTIALS')]
  const found = [text, file, named, written].find(isSet)
  note('credentials', found !== undefined ? 'hidden' : instanceMetadata ? 'those of the machine' : null, found ?? look('instanceMetadata'))
  if (found !== undefined) return found === text || found === written ? fromText(found) : fromFile(found)
  if (instanceMetadata) return { ...NOTHING, instanceMetadata: true }
  return refuse(
    `${from} needs credentials: pass \`credentials\` or \`credentialsFile\` in a store object, or set GOOGLE_APPLICATION_CREDENTIALS ` +
      '(a file) or GOOGLE_CREDENTIALS (JSON); or set `instanceMetadata: true` to use those of the machine'
  )
}

module.exports = { googleCredentials }
