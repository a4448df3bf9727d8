'use strict'

// A Postgres database as the store: from an object, a URL or the variables of other programs to what the core is told.
//
// Invariants: no variable makes this store by itself, since nearly every service has DATABASE_URL for its own tables. A password goes
// only to the server that it was given for. The identity of a server on another machine is checked unless somebody said otherwise,
// and an encrypted connection never becomes an unencrypted one by itself.

const { allOf, choice, flag, folderName, integer, isLoopback, line, refuse, unlessWrong, variable } = require('../checks.js')
const { hostOf, isSet, passwordOf, portOf, readable, serverUrl, unproven, urlIn } = require('./server-urls.js')

const SECRETS_BELONG = 'pass `user` and `password`, or `connectionString`, in a store object, or set PGUSER and PGPASSWORD, or DATABASE_URL'

/** Variables that may hold a connection string; the first one that names a Postgres counts. */
const STRINGS = ['DATABASE_URL', 'POSTGRES_URL', 'SUPABASE_DB_URL']

/** Name in SESSION_BACKUP_STORE -> the same, in the order for it. */
const SERVICES = {
  __proto__: null,
  postgres: STRINGS,
  postgresql: STRINGS,
  'supabase-db': ['SUPABASE_DB_URL', 'DATABASE_URL', 'POSTGRES_URL']
}

const IS_A_FIELD = 'connection strings of this package begin with the host; write it before the path'
const NO_CLIENT_CERTIFICATE = 'client certificates are not supported; sign in with a password'

/** Connection strings of others: what counts of them, what concerns only other programs, and what cannot be done. */
const OF_OTHERS = {
  schemes: ['postgres', 'postgresql'],
  example: 'postgres://user:password@host:5432/database',
  secretsBelong: SECRETS_BELONG,
  known: ['sslmode', 'ssl', 'sslaccept', 'sslrootcert', 'channel_binding', 'target_session_attrs'],
  ignored: [
    // Parameters of Prisma; its `schema` is where its tables are.
    'schema',
    'pgbouncer',
    'connection_limit',
    'pool_timeout',
    'socket_timeout',
    'statement_cache_size',
    'max_idle_connection_lifetime',
    'max_connection_lifetime',
    'single_use_connections',
    // Parameters of libpq and node-postgres that change nothing here, and the marks of Vercel's integrations.
    'connect_timeout',
    'application_name',
    'fallback_application_name',
    'client_encoding',
    'keepalives',
    'keepalives_idle',
    'keepalives_interval',
    'keepalives_count',
    'tcp_user_timeout',
    'gssencmode',
    'sslcompression',
    'sslsni',
    'uselibpqcompat',
    'workaround',
    'supa'
  ],
  impossible: {
    __proto__: null,
    sslcert: NO_CLIENT_CERTIFICATE,
    sslkey: NO_CLIENT_CERTIFICATE,
    sslpassword: NO_CLIENT_CERTIFICATE,
    sslidentity: NO_CLIENT_CERTIFICATE,
    host: 'a Unix socket is not supported, and a host belongs before the path',
    hostaddr: IS_A_FIELD,
    options: 'options of a session are not supported; for other settings of this package set a connection string of its own'
  }
}
const OF_STORE = {
  ...OF_OTHERS,
  example: 'postgres://host:5432/database',
  known: [...OF_OTHERS.known, 'maxConnections', 'notify'],
  isStore: true
}

const MODES = ['verify-full', 'require', 'disable']

/** The mode of encryption, for the words that other programs have for it. */
function modeOf(place) {
  const word = line(place)
  if (MODES.includes(word)) return word
  if (word === 'no-verify') return 'require'
  if (word === 'prefer' || word === 'allow') {
    refuse(
      `${place.from} lets the connection become unencrypted unnoticed: write verify-full, or require for a server whose certificate cannot be checked, or disable for one without encryption`
    )
  }
  if (word === 'verify-ca')
    refuse(
      `${place.from} checks the certificate but not its name, which is not supported: write verify-full, with the authority in \`caCertificate\`, or require to check neither`
    )
  return refuse(`${place.from} must be one of: ${MODES.join(', ')}`)
}

/** The mode that the parameters of a connection string say together; undefined where they say none. */
function modeIn(parameters, from) {
  const named = (name) => ({ value: parameters.get(name), from: `${from}: the parameter \`${name}\`` })
  const choices = (name, words) => {
    const { value, from } = named(name)
    if (value !== undefined && !Object.hasOwn(words, value)) refuse(`${from} must be one of: ${Object.keys(words).join(', ')}`)
    return value === undefined ? undefined : words[value]
  }
  const ssl = choices('ssl', { true: 'verify-full', 1: 'verify-full', false: 'disable', 0: 'disable', 'no-verify': 'require' })
  const accepts = choices('sslaccept', { strict: 'verify-full', accept_invalid_certs: 'require' })
  const isBound = choices('channel_binding', { require: true, prefer: false, disable: false })
  const mode = isSet(named('sslmode')) ? modeOf(named('sslmode')) : (ssl ?? accepts)
  // Both ask for the right server; without them, `require` does not.
  return mode === 'require' && (isBound || accepts === 'verify-full') ? 'verify-full' : mode
}

/** Parts of a connection string. */
function read(place, rules = OF_OTHERS) {
  const { from } = place
  const { parameters, folders, ...server } = serverUrl(place, rules)
  const [database, ...rest] = folders
  if (folders.some((name) => name.includes('/'))) refuse(`a name in the path of ${from} must not contain slashes`)
  if (rest.slice(0, -1).includes('')) refuse(`a folder in the path of ${from} is empty`)
  if (!rules.isStore && rest.some((name) => name !== ''))
    refuse(`the path of ${from} must be the name of a database alone; set \`prefix\` in a store object`)
  choice(
    { value: parameters.get('target_session_attrs'), from: `${from}: the parameter \`target_session_attrs\`` },
    undefined,
    ['read-write', 'primary', 'any'],
    '; this package always uses the primary'
  )
  const authorities = parameters.get('sslrootcert')
  const flags = { true: true, false: false }
  const count = parameters.get('maxConnections')
  return {
    ...server,
    database: database === '' ? undefined : database,
    prefix: rest.join('/'),
    // Not looked at where another mode is said over it.
    mode: () => modeIn(parameters, from),
    authorities: authorities === 'system' ? undefined : authorities,
    maxConnections: /^\d+$/.test(count ?? '') ? Number(count) : count,
    notify: flags[parameters.get('notify')] ?? parameters.get('notify')
  }
}

/** A store URL, as `look` for its description. */
function lookIn(text, from) {
  const parts = read({ value: text, from }, OF_STORE)
  const fields = { ...parts, sslmode: parts.mode() }
  const isParameter = (field) => ['sslmode', 'maxConnections', 'notify'].includes(field)
  return (field) => ({ value: fields[field], from: isParameter(field) ? `${from}: the parameter \`${field}\`` : from })
}

/** Parts that say which server and whose password. */
const PARTS = ['host', 'port', 'database', 'user', 'password']

/** Variables of libpq for the same. */
const OF_LIBPQ = { host: 'PGHOST', port: 'PGPORT', database: 'PGDATABASE', user: 'PGUSER', password: 'PGPASSWORD' }

const WAYS =
  'pass `connectionString`, or `host`, `database`, `user` and `password`, in a store object, or set DATABASE_URL, or PGHOST, PGDATABASE, PGUSER and PGPASSWORD'

/** Place of a part, which only one of the two may contain. */
function either(field, inText, from) {
  if (isSet(field) && inText !== undefined) refuse(`${field.from} is set, but ${from} contains it too: remove one of the two`)
  return isSet(field) ? field : { value: inText, from: inText === undefined ? field.from : from }
}

/**
 * Places of the parts, before any is taken from elsewhere.
 * @returns {any}
 */
function partsOf({ look, names = STRINGS }, env) {
  const own = look('connectionString')
  const isOwn = [own, ...PARTS.map(look)].some(isSet)
  const text = isOwn ? own : urlIn(env, names, OF_OTHERS)
  const parsed = isSet(text) ? read(text) : {}
  const isOfLibpq = !isOwn && !isSet(text)
  const parts = Object.fromEntries(
    PARTS.map((part) => [part, isOfLibpq ? variable(env, OF_LIBPQ[part]) : either(look(part), parsed[part], text.from)])
  )
  const [mode, authorities] = [look('sslmode'), look('authorities')]
  return {
    ...parts,
    // A mode may be said over that of a connection string, which is shared with programs that have other words for it.
    sslmode: isSet(mode) ? mode : { value: parsed.mode?.(), from: text.from },
    authorities: isSet(authorities) ? authorities : { value: parsed.authorities, from: text.from },
    isOwn,
    isOfLibpq,
    isNothing: isOfLibpq && !isSet(parts.host)
  }
}

/** True if the variables of libpq are for this server, as far as they say for which. */
function isOfServer(env, { host, port }) {
  const [named, numbered] = [variable(env, 'PGHOST'), variable(env, 'PGPORT')]
  return (!isSet(named) || unlessWrong(hostOf, named) === host) && (!isSet(numbered) || unlessWrong(portOf, numbered) === port)
}

/** User and password, completed by the variables that have some for this server; of two users, those of the other are left alone. */
function signIn({ user, password }, env, server) {
  const strings = STRINGS.map((name) => [{ user: name, password: name }, unlessWrong(read, variable(env, name))])
  const isSame = ([, parts]) => parts !== undefined && parts.host === server.host && (parts.port ?? 5432) === server.port
  const ofLibpq = { user: variable(env, 'PGUSER').value, password: variable(env, 'PGPASSWORD').value }
  const found = { user, password }
  for (const [from, offered] of [...strings.filter(isSame), ...(isOfServer(env, server) ? [[OF_LIBPQ, ofLibpq]] : [])]) {
    if (isSet(found.user) && offered.user !== undefined && offered.user !== found.user.value) continue
    for (const part of ['user', 'password']) {
      if (!isSet(found[part]) && offered[part] !== undefined) found[part] = { value: offered[part], from: from[part] }
    }
  }
  return found
}

/** Server and database of a described store, without what signs in. */
function serverOf(described, env) {
  const parts = partsOf(described, env)
  const { from } = described
  if (parts.isNothing) {
    const others = STRINGS.filter((name) => isSet(variable(env, name)))
    refuse(
      `${from} names no server${others.length === 0 ? '' : `, and ${allOf(others)} ${others.length === 1 ? 'is not the address' : 'are not addresses'} of a Postgres`}: ${WAYS}`
    )
  }
  const missing = ['host', 'database'].filter((part) => !isSet(parts[part]))
  if (missing.length > 0)
    refuse(
      `${parts.isOfLibpq ? `${allOf(missing.map((part) => OF_LIBPQ[part]))} is not set` : `${from} names no ${missing.join(' and no ')}`}: ${WAYS}`
    )
  const server = { host: hostOf(parts.host), port: isSet(parts.port) ? portOf(parts.port) : 5432 }
  return { parts, server, database: nameOf(parts.database) }
}

/** A name of the database, which Postgres cuts off beyond this length. */
function nameOf(place) {
  const name = line(place)
  if (Buffer.byteLength(name) > 63) refuse(`${place.from} must have at most 63 bytes`)
  return name
}

function schemaOf({ value = 'baileys_hybrid_auth', from }) {
  if (typeof value !== 'string' || !/^[a-z_][a-z0-9_]{0,62}$/.test(value))
    refuse(`${from} must be the name of a schema: lower-case letters, digits and underscores, not a digit first, at most 63`)
  if (/^pg_|^information_schema$/.test(value)) refuse(`${from} is a schema of Postgres itself: choose another name`)
  return value
}

function prefixOf(place) {
  const prefix = folderName(place)
  if (Buffer.byteLength(prefix) > 255) refuse(`${place.from}: the prefix must have at most 255 bytes`)
  return prefix
}

function complete(described, { env, http, warn, note }) {
  const { from, look } = described
  const { parts, server, database } = serverOf(described, env)
  const { user, password } = signIn(parts, env, server)
  if (!isSet(user)) refuse(`${parts.isOfLibpq ? 'PGUSER is not set' : `${from} names no user`}: ${WAYS}`)
  const ofLibpq = isOfServer(env, server) ? variable(env, 'PGSSLMODE') : { value: undefined, from: 'PGSSLMODE' }
  const mode = isSet(parts.sslmode) ? parts.sslmode : ofLibpq
  const isHere = isLoopback(server.host)
  const sslmode = isSet(mode) ? modeOf(mode) : isHere ? 'disable' : 'verify-full'
  if (!isHere && sslmode === 'disable') warn(readable(`${mode.from} is disable`))
  if (!isHere && sslmode === 'require')
    warn(unproven(`${mode.from} is require`, 'write verify-full, with the authority of the provider in `caCertificate` if it has its own'))
  const schema = schemaOf(look('schema'))
  const maxConnections = integer(look('maxConnections'), 4, 1, 32, '')
  const notify = !isSet(look('notify')) || flag(look('notify'))
  const store = {
    kind: 'postgres',
    ...server,
    database,
    user: nameOf(user),
    password: isSet(password) ? passwordOf(password) : null,
    sslmode,
    schema,
    prefix: prefixOf(look('prefix')),
    maxConnections,
    notify,
    ...http(authoritiesOf(described, env))
  }
  note('user', store.user, user)
  note('password', isSet(password) ? 'hidden' : null, password)
  note('sslmode', sslmode, mode)
  note('schema', schema, look('schema'))
  note('maxConnections', maxConnections, look('maxConnections'))
  note('notify', notify, look('notify'))
  return store
}

/** Places of authorities for this store alone; the word `system` names those that count anyway. */
function authoritiesOf(described, env) {
  const ofLibpq = variable(env, 'PGSSLROOTCERT')
  return [partsOf(described, env).authorities, ...(ofLibpq.value === 'system' ? [] : [ofLibpq])]
}

/** The place of a described store, to tell two apart. */
function placeOf(described, env) {
  const { server, database } = serverOf(described, env)
  return [server, database, described.look('schema').value, described.look('prefix').value ?? '']
}

/** The variable that names a Postgres, whether or not it is asked for; undefined where none does. */
function namedIn(env) {
  const found = [urlIn(env, STRINGS, OF_OTHERS), variable(env, 'PGHOST')].find(isSet)
  return found?.from
}

module.exports = {
  POSTGRES: {
    fields: ['connectionString', ...PARTS, 'sslmode', 'schema', 'prefix', 'maxConnections', 'notify'],
    secretsBelong: SECRETS_BELONG,
    isFree: true,
    schemes: OF_OTHERS.schemes,
    services: SERVICES,
    complete,
    lookIn,
    authorities: authoritiesOf,
    placeOf,
    namedIn
  },
  schemaOf
}
