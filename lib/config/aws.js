'use strict'

// Credentials for S3, from where people keep them: options, variables, the files of the AWS command line, the machine.
//
// Invariants: the first source that is there decides, and half of it is refused rather than passed over; keys of R2 go to R2
// only; the instance metadata server is asked only when the caller says so, because on other machines that address may
// belong to anybody. No message repeats what a variable or a file holds.

const { homedir } = require('node:os')
const { join } = require('node:path')
const { fileText, line, refuse, refuseHalf, token, variable } = require('../checks.js')

const NOTHING = { accessKeyId: null, secretAccessKey: null, sessionToken: null, environment: {}, instanceMetadata: false }

/** Places of the credentials, beside their values for the core. */
const FOUND_IN = Symbol('found in')
const origin = (places) => ({ [FOUND_IN]: places })

/** Static keys, checked; null when there are none. */
function staticKeys(id, secret, session) {
  const isSet = ({ value }) => value !== undefined
  if (![id, secret, session].some(isSet)) return null
  const missing = [id, secret].filter((part) => !isSet(part)).map(({ from }) => from)
  if (missing.length > 0)
    refuseHalf(
      [id, secret, session].filter(isSet).map(({ from }) => from),
      missing
    )
  return {
    ...NOTHING,
    accessKeyId: token(id),
    secretAccessKey: line(secret),
    sessionToken: isSet(session) ? token(session) : null,
    ...origin([id, secret, session].filter(isSet))
  }
}

const keysFrom = (env, id, secret, session) =>
  staticKeys(variable(env, id), variable(env, secret), session === undefined ? {} : variable(env, session))

/** Variables that mean something only together; null when none is set. */
function together(env, names, remedy) {
  const places = names.map((name) => variable(env, name))
  const missing = places.filter(({ value }) => value === undefined)
  if (missing.length === places.length) return null
  if (missing.length > 0) {
    const set = places.filter((place) => !missing.includes(place))
    refuseHalf(
      set.map(({ from }) => from),
      missing.map(({ from }) => from),
      remedy
    )
  }
  return Object.fromEntries(places.map((place) => [place.from, line(place)]))
}

/** A token of the platform, exchanged for credentials. */
function webIdentity(env) {
  const found = together(env, ['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN'])
  if (found === null) return null
  for (const name of ['AWS_ROLE_SESSION_NAME', 'AWS_ENDPOINT_URL_STS']) {
    const extra = variable(env, name)
    if (extra.value !== undefined) found[name] = line(extra)
  }
  return { ...NOTHING, environment: found, ...origin(Object.keys(found).map((from) => ({ from }))) }
}

/** Addresses at which container platforms hand out credentials, beside the machine itself. */
const CONTAINER_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]', '169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'])

/** A service beside the container that has credentials. */
function container(env) {
  const relative = variable(env, 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')
  if (relative.value !== undefined) {
    const path = line(relative)
    if (!path.startsWith('/')) refuse(`${relative.from} must begin with a slash`)
    return { ...NOTHING, environment: { [relative.from]: path }, ...origin([relative]) }
  }
  const full = 'AWS_CONTAINER_CREDENTIALS_FULL_URI'
  const found = together(env, [full, 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'], '; this package needs both')
  if (found === null) return null
  const url = URL.canParse(found[full]) ? new URL(found[full]) : refuse(`${full} is not a URL`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && CONTAINER_HOSTS.has(url.hostname))) {
    refuse(`${full} must be an https: address, or one of this machine or its container platform`)
  }
  return { ...NOTHING, environment: found, ...origin(Object.keys(found).map((from) => ({ from }))) }
}

/** Profile -> settings, of a file in the format that the AWS command line writes. */
function profilesOf(text) {
  const profiles = new Map()
  let settings = new Map()
  for (const row of text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)) {
    const heading = row.match(/^\s*\[\s*(?:profile\s+)?["']?([^\]]*?)["']?\s*\]/)
    // An indented row belongs to a setting that has settings of its own.
    const setting = row.match(/^([^\s#;=[][^=]*?)\s*=\s*(.*?)\s*$/)
    if (heading) {
      settings = profiles.get(heading[1]) ?? new Map()
      profiles.set(heading[1], settings)
    } else if (setting) {
      settings.set(setting[1].toLowerCase(), setting[2].replace(/\s[#;].*$/, '').trim())
    }
  }
  return profiles
}

/** The profiles of one of the two files; none when it is looked for unasked, and is not there. */
function profilesIn(env, name, fallback) {
  const home = env.HOME || env.USERPROFILE || homedir()
  const named = variable(env, name)
  if (named.value !== undefined) return profilesOf(fileText(named, { path: line(named).replace(/^~(?=[/\\]|$)/, home) }))
  const path = join(home, '.aws', fallback)
  return profilesOf(fileText({ value: undefined, from: `~/.aws/${fallback}` }, { path, mayBeAbsent: true }) ?? '')
}

/** Requests of a profile that only the AWS command line can meet: setting -> its name in messages. */
const BEYOND = [
  ['role_arn', 'assumes a role (role_arn)'],
  ['sso_session', 'signs in with SSO (sso_session)'],
  ['sso_start_url', 'signs in with SSO (sso_start_url)'],
  ['login_session', 'signs in through a browser (login_session)'],
  ['credential_process', 'runs a program (credential_process)']
]

/** The keys in the profile that AWS_PROFILE names, or in the default one. */
function profileKeys(env) {
  const asked = variable(env, 'AWS_PROFILE')
  const name = asked.value === undefined ? 'default' : line(asked)
  const where = asked.value === undefined ? 'the default profile of the AWS files' : 'the profile that AWS_PROFILE names'
  const files = [profilesIn(env, 'AWS_SHARED_CREDENTIALS_FILE', 'credentials'), profilesIn(env, 'AWS_CONFIG_FILE', 'config')]
  const profiles = files.map((file) => file.get(name)).filter((profile) => profile !== undefined)
  if (profiles.length === 0 && asked.value !== undefined) {
    refuse(`${where} is neither in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) nor in AWS_CONFIG_FILE (~/.aws/config)`)
  }
  const beyond = BEYOND.find(([setting]) => profiles.some((profile) => profile.get(setting)))
  if (beyond !== undefined) {
    refuse(
      `${where} ${beyond[1]}, which is not supported: run \`aws configure export-credentials --format env\` ` +
        'and set the variables it prints'
    )
  }
  for (const profile of profiles) {
    const setting = (name) => ({ value: profile.get(name) || undefined, from: `${name} of ${where}` })
    const keys = staticKeys(setting('aws_access_key_id'), setting('aws_secret_access_key'), setting('aws_session_token'))
    if (keys !== null) return keys
  }
  return asked.value === undefined ? null : refuse(`${where} contains no credentials`)
}

/**
 * Description of the credentials for the core.
 * @param look finds a field of the store
 * @param isR2 whether the endpoint is one of R2
 * @param note is told where they were found, and never what they are
 */
function awsCredentials(look, env, { from, isR2, instanceMetadata, note }) {
  const found =
    staticKeys(look('accessKeyId'), look('secretAccessKey'), look('sessionToken')) ??
    // At R2 its own variables come first: some platforms set those of AWS for everybody.
    (isR2 ? keysFrom(env, 'R2_ACCESS_KEY_ID', 'R2_SECRET_ACCESS_KEY') : null) ??
    keysFrom(env, 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN') ??
    webIdentity(env) ??
    container(env) ??
    profileKeys(env)
  if (found !== null) {
    const { [FOUND_IN]: places, ...keys } = found
    note('credentials', keys.accessKeyId === null ? 'those that the platform hands out' : 'hidden', {
      value: keys,
      from: places.map((place) => place.from).join(', ')
    })
    return keys
  }
  if (instanceMetadata) {
    note('credentials', 'those of the machine', look('instanceMetadata'))
    return { ...NOTHING, instanceMetadata: true }
  }
  return refuse(
    `${from} needs credentials: pass \`accessKeyId\` and \`secretAccessKey\` in a store object, or set AWS_ACCESS_KEY_ID and ` +
      `AWS_SECRET_ACCESS_KEY${isR2 ? ', or R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY' : ''}, or AWS_WEB_IDENTITY_TOKEN_FILE and ` +
      'AWS_ROLE_ARN, or AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, or AWS_PROFILE; or set `instanceMetadata: true` to use those of the machine'
  )
}

module.exports = { awsCredentials }
