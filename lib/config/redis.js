'use strict'

// A Redis or Valkey server as the store: from an object, a URL or the variables of other programs to what the core is told.
//
// Invariants: no variable makes this store by itself, since nearly every service has REDIS_URL for its queues. A password goes only to
// the server that it was given for. A certificate is checked unless somebody said otherwise.

const { choice, flag, integer, isLoopback, line, refuse, unlessWrong, variable } = require('../checks.js')
const { hostOf, isSet, passwordOf, portOf, readable, serverUrl, unproven, urlIn } = require('./server-urls.js')

const SECRETS_BELONG =
  'pass `username` and `password`, or `url`, in a store object, or set REDIS_PASSWORD (and REDIS_USERNAME), or REDIS_URL'

/** Variables that may hold a URL; the first one that names a Redis counts. */
const STRINGS = ['REDIS_URL', 'VALKEY_URL']

/** Name in SESSION_BACKUP_STORE -> the same, in the order for it. */
const SERVICES = { __proto__: null, redis: STRINGS, valkey: ['VALKEY_URL', 'REDIS_URL'] }

const OF_OTHERS = {
  schemes: ['redis', 'rediss', 'valkey', 'valkeys'],
  example: 'redis://:password@host:6379/0 or rediss://…',
  secretsBelong: SECRETS_BELONG,
  known: ['db', 'ssl_cert_reqs'],
  // Parameters of ioredis, redis-py and others, about how they connect.
  ignored: [
    'family',
    'protocol',
    'client_name',
    'decode_responses',
    'socket_timeout',
    'socket_connect_timeout',
    'health_check_interval',
    'max_connections'
  ],
  impossible: { __proto__: null, path: 'a Unix socket is not supported' }
}
const OF_STORE = {
  ...OF_OTHERS,
  example: 'redis://host:6379/0 or rediss://…',
  known: [...OF_OTHERS.known, 'prefix', 'waitReplicas', 'allowVolatile', 'notify'],
  isStore: true
}

const FLAGS = { true: true, false: false }
const digits = (text) => (/^\d+$/.test(text ?? '') ? Number(text) : text)

/** Parts of a URL. */
function read(place, rules = OF_OTHERS) {
  const { from } = place
  const { scheme, parameters, folders, user, ...server } = serverUrl(place, rules)
  const [inPath = '', ...rest] = folders
  if (rest.some((name) => name !== '') || !/^\d*$/.test(inPath)) refuse(`the path of ${from} must be the number of a database, such as /0`)
  const [ofPath, ofQuery] = [inPath === '' ? undefined : inPath, parameters.get('db')]
  if (ofPath !== undefined && ofQuery !== undefined) refuse(`${from} has the number of a database twice`)
  const isSecure = scheme === 'rediss' || scheme === 'valkeys'
  const checks = { none: false, CERT_NONE: false, optional: true, CERT_OPTIONAL: true, required: true, CERT_REQUIRED: true }
  const isChecked = choice(
    { value: parameters.get('ssl_cert_reqs'), from: `${from}: the parameter \`ssl_cert_reqs\`` },
    'required',
    Object.keys(checks)
  )
  return {
    ...server,
    username: user,
    db: digits(ofPath ?? ofQuery),
    tls: isSecure && !checks[isChecked] ? 'no-verify' : isSecure,
    prefix: parameters.get('prefix'),
    waitReplicas: digits(parameters.get('waitReplicas')),
    allowVolatile: FLAGS[parameters.get('allowVolatile')] ?? parameters.get('allowVolatile'),
    notify: FLAGS[parameters.get('notify')] ?? parameters.get('notify')
  }
}

/** A store URL, as `look` for its description. */
function lookIn(text, from) {
  const parts = read({ value: text, from }, OF_STORE)
  const isParameter = (field) => ['prefix', 'waitReplicas', 'allowVolatile', 'notify'].includes(field)
  return (field) => ({ value: parts[field], from: isParameter(field) ? `${from}: the parameter \`${field}\`` : from })
}

/** Parts that say which server and whose password. */
const PARTS = ['host', 'port', 'db', 'username', 'password']

const SEPARATE = { host: 'REDIS_HOST', port: 'REDIS_PORT', db: 'REDIS_DB', username: 'REDIS_USERNAME', password: 'REDIS_PASSWORD' }

const WAYS = 'pass `url`, or `host`, in a store object, or set REDIS_URL, VALKEY_URL or REDIS_HOST'

/**
 * Places of the parts, before any is taken from elsewhere.
 * @returns {any}
 */
function partsOf({ look, names = STRINGS }, env) {
  const own = look('url')
  const isOwn = [own, ...PARTS.map(look)].some(isSet)
  const text = isOwn ? own : urlIn(env, names, OF_OTHERS)
  const parsed = isSet(text) ? read(text) : {}
  const isSeparate = !isOwn && !isSet(text)
  const placed = (part) => {
    const field = look(part)
    if (isSeparate) return variable(env, SEPARATE[part])
    if (isSet(field) && parsed[part] !== undefined) refuse(`${field.from} is set, but ${text.from} contains it too: remove one of the two`)
    return isSet(field) || parsed[part] === undefined ? field : { value: parsed[part], from: text.from }
  }
  const tls = look('tls')
  if (tls.value === false && parsed.tls) refuse(`${tls.from} is false, but ${text.from} begins with rediss: remove one of the two`)
  return {
    ...Object.fromEntries(PARTS.map((part) => [part, placed(part)])),
    tls: isSet(tls) ? tls : { value: parsed.tls, from: text.from }
  }
}

/** Server and number of the database of a described store, without what signs in. */
function serverOf(described, env) {
  const parts = partsOf(described, env)
  if (!isSet(parts.host)) {
    const others = STRINGS.filter((name) => isSet(variable(env, name)))
    refuse(
      `${described.from} names no server${others.length === 0 ? '' : `, and ${others.join(' and ')} ${others.length === 1 ? 'is not the address' : 'are not addresses'} of a Redis`}: ${WAYS}`
    )
  }
  const { value: number, from } = parts.db
  return {
    parts,
    server: { host: hostOf(parts.host), port: isSet(parts.port) ? portOf(parts.port) : 6379 },
    db: integer({ value: digits(number), from }, 0, 0, 65_535, '')
  }
}

/** User and password, completed by the variables that have some for this server. */
function signIn({ username, password }, env, server) {
  if (isSet(password)) return { username, password }
  const strings = STRINGS.map((name) => [{ username: name, password: name }, unlessWrong(read, variable(env, name))])
  const isSame = ([, parts]) => parts !== undefined && parts.host === server.host && (parts.port ?? 6379) === server.port
  const [named, numbered] = [variable(env, 'REDIS_HOST'), variable(env, 'REDIS_PORT')]
  const isOfServer =
    (!isSet(named) || unlessWrong(hostOf, named) === server.host) && (!isSet(numbered) || unlessWrong(portOf, numbered) === server.port)
  const separate = { username: variable(env, 'REDIS_USERNAME').value, password: variable(env, 'REDIS_PASSWORD').value }
  const offers = [...strings.filter(isSame), ...(isOfServer ? [[SEPARATE, separate]] : [])]
  const isFor = ([, offered]) =>
    offered.password !== undefined && (!isSet(username) || (offered.username ?? username.value) === username.value)
  const [from, offered] = offers.find(isFor) ?? []
  if (offered === undefined) return { username, password }
  return {
    username: isSet(username) ? username : { value: offered.username, from: from.username },
    password: { value: offered.password, from: from.password }
  }
}

function prefixOf({ value = 'bha', from }) {
  if (typeof value !== 'string' || !/^[A-Za-z0-9._:-]{1,64}$/.test(value))
    refuse(`${from} must be a word for the names of keys: letters, digits and ._:-, at most 64`)
  return value
}

function complete(described, { env, http, warn, note }) {
  const { from, look } = described
  const { parts, server, db } = serverOf(described, env)
  const { username, password } = signIn(parts, env, server)
  if (isSet(username) && !isSet(password)) refuse(`${username.from} names a user, but there is no password: ${SECRETS_BELONG}`)
  const tls = isSet(parts.tls) ? parts.tls.value : false
  if (![true, false, 'no-verify'].includes(tls)) refuse(`${parts.tls.from} must be true, false or 'no-verify'`)
  const isHere = isLoopback(server.host)
  const place = isSet(parts.tls) ? parts.tls.from : from
  if (!isHere && tls === false) warn(readable(place))
  if (!isHere && tls === 'no-verify') warn(unproven(place, 'pass the authority of the provider as `caCertificate` and write `tls: true`'))
  const waitReplicas = integer(look('waitReplicas'), 0, 0, 16, '')
  const allowVolatile = flag(look('allowVolatile'))
  const notify = !isSet(look('notify')) || flag(look('notify'))
  const prefix = prefixOf(look('prefix'))
  note('username', isSet(username) ? line(username) : null, username)
  note('password', isSet(password) ? 'hidden' : null, password)
  note('tls', tls, parts.tls)
  note('prefix', prefix, look('prefix'))
  note('waitReplicas', waitReplicas, look('waitReplicas'))
  note('allowVolatile', allowVolatile, look('allowVolatile'))
  note('notify', notify, look('notify'))
  return {
    kind: 'redis',
    ...server,
    db,
    username: isSet(username) ? line(username) : null,
    password: isSet(password) ? passwordOf(password) : null,
    tls: tls !== false,
    verify: tls !== 'no-verify',
    prefix,
    waitReplicas,
    allowVolatile,
    notify,
    ...http([])
  }
}

/** The place of a described store, to tell two apart. */
function placeOf(described, env) {
  const { server, db } = serverOf(described, env)
  return [server, db, described.look('prefix').value]
}

/** The variable that names a Redis, whether or not it is asked for; undefined where none does. */
function namedIn(env) {
  const found = [urlIn(env, STRINGS, OF_OTHERS), variable(env, 'REDIS_HOST')].find(isSet)
  return found?.from
}

module.exports = {
  REDIS: {
    fields: ['url', ...PARTS, 'tls', 'prefix', 'waitReplicas', 'allowVolatile', 'notify'],
    secretsBelong: SECRETS_BELONG,
    isFree: true,
    schemes: OF_OTHERS.schemes,
    services: SERVICES,
    complete,
    lookIn,
    authorities: () => [],
    placeOf,
    namedIn
  }
}
