// Postgres and Redis as the `store` option and from variables: what the core is told, and what is refused.
//
// Invariants guarded: the variables of databases make no store unless its name asks for it; a password goes only to the server that it
// was given for, and into no message; the identity of another machine is checked unless somebody said otherwise. Nothing is opened here.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { KEY, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { resolveOptions, resolveSource } = require('../../lib/config/options.js')
const { describeConfig } = require('../../lib/config/describe.js')
const { storeIn } = require('../../lib/config/services.js')

const NOWHERE = { HOME: '/nowhere' }
const native = (store, env = {}, options = {}) =>
  resolveOptions('tenant', { store, encryptionKeys: KEY, ...options }, { ...NOWHERE, ...env }).native
const spec = (...args) => native(...args).store

function refused(what, wrong, ...names) {
  const said = JSON.stringify(what)
  let error
  try {
    assert.fail(`accepted: ${said} gave ${JSON.stringify(wrong())}`)
  } catch (thrown) {
    error = thrown
  }
  assert.equal(error.code, 'INVALID_OPTION', `${said}: ${error.stack}`)
  for (const name of names) assert.ok(error.message.includes(name), `${said}: "${name}" is not in: ${error.message}`)
  assert.ok(!/Zq9/.test(error.message), `${said}: a secret is in: ${error.message}`)
  return error.message
}

const subsets = (list) => Array.from({ length: 2 ** list.length }, (_, bits) => list.filter((_, i) => bits & (1 << i)))

const NETWORK = { ca: null, allowPublic: false, maxConcurrentRequests: 64 }
const POSTGRES = {
  kind: 'postgres',
  host: 'db.example',
  port: 5432,
  database: 'app',
  user: 'me',
  password: 'pw',
  sslmode: 'verify-full',
  schema: 'baileys_hybrid_auth',
  prefix: '',
  maxConnections: 4,
  notify: true,
  ...NETWORK
}
const REDIS = {
  kind: 'redis',
  host: 'cache.example',
  port: 6379,
  db: 0,
  username: null,
  password: null,
  tls: false,
  verify: true,
  prefix: 'bha',
  waitReplicas: 0,
  allowVolatile: false,
  notify: true,
  ...NETWORK
}
const PG = { PGUSER: 'me', PGPASSWORD: 'pw' }
const LIBPQ = { PGHOST: 'db.example', PGDATABASE: 'app', ...PG }
const URL_OF_PG = 'postgres://me:pw@db.example/app'

test('a database is told to the core in full, as a URL, as an object and by variables', () => {
  const object = (fields) => ({ kind: 'postgres', ...fields })
  const separate = { host: 'db.example', database: 'app', user: 'me', password: 'pw' }
  const cases = [
    ['postgres://db.example/app', POSTGRES, PG],
    [' POSTGRESQL://DB.example:5432/app/\n', POSTGRES, PG],
    [new URL('postgres://db.example:6543/app/a/b%20c'), { ...POSTGRES, port: 6543, prefix: 'a/b c' }, PG],
    [
      'postgres://db.example/app?sslmode=require&maxConnections=2&notify=false&schema=public',
      { ...POSTGRES, sslmode: 'require', maxConnections: 2, notify: false },
      PG
    ],
    ['postgres://[::1]:1/my%20app', { ...POSTGRES, host: '::1', port: 1, database: 'my app', sslmode: 'disable' }, PG],
    ['postgres://db.example/app', { ...POSTGRES, password: null }, { PGUSER: 'me' }],
    [object(separate), POSTGRES],
    [
      object({ ...separate, port: 6543, sslmode: 'disable', schema: 'bha_2', prefix: '/a/b/', maxConnections: 1, notify: false }),
      { ...POSTGRES, port: 6543, sslmode: 'disable', schema: 'bha_2', prefix: 'a/b', maxConnections: 1, notify: false }
    ],
    [object({ connectionString: URL_OF_PG }), POSTGRES],
    [object({ connectionString: 'postgresql://db.example/app', user: 'me', password: 'pw', prefix: 'a' }), { ...POSTGRES, prefix: 'a' }],
    [object({ connectionString: `${URL_OF_PG}?sslmode=prefer`, sslmode: 'require' }), { ...POSTGRES, sslmode: 'require' }],
    [object({}), POSTGRES, LIBPQ],
    [object({ schema: 'other' }), { ...POSTGRES, schema: 'other' }, { DATABASE_URL: URL_OF_PG }],
    [undefined, POSTGRES, { DATABASE_URL: URL_OF_PG, SESSION_BACKUP_STORE: 'postgres' }],
    [undefined, POSTGRES, { ...LIBPQ, BAILEYS_HYBRID_AUTH_STORE: ' Postgresql ' }],
    [undefined, { ...POSTGRES, port: 6543 }, { ...LIBPQ, PGPORT: '6543', SESSION_BACKUP_STORE: 'supabase-db' }],
    ['redis://cache.example', REDIS],
    ['Redis://cache.example:6379/0', REDIS],
    ['valkeys://cache.example:1/7', { ...REDIS, port: 1, db: 7, tls: true }],
    [
      new URL('rediss://cache.example/2?prefix=mine&waitReplicas=2&allowVolatile=true&notify=false'),
      { ...REDIS, db: 2, tls: true, prefix: 'mine', waitReplicas: 2, allowVolatile: true, notify: false }
    ],
    [{ kind: 'redis', host: 'cache.example' }, REDIS],
    [
      {
        kind: 'redis',
        url: 'rediss://me:pw@cache.example:1/2',
        tls: 'no-verify',
        prefix: 'p',
        waitReplicas: 1,
        allowVolatile: true,
        notify: false
      },
      {
        ...REDIS,
        port: 1,
        db: 2,
        username: 'me',
        password: 'pw',
        tls: true,
        verify: false,
        prefix: 'p',
        waitReplicas: 1,
        allowVolatile: true,
        notify: false
      }
    ],
    [
      { kind: 'redis', host: 'cache.example', port: 2, db: 3, username: 'me', password: 'pw', tls: true },
      { ...REDIS, port: 2, db: 3, username: 'me', password: 'pw', tls: true }
    ],
    [
      { kind: 'redis', url: 'redis://cache.example', password: 'pw', db: 4 },
      { ...REDIS, password: 'pw', db: 4 }
    ],
    [{ kind: 'redis' }, { ...REDIS, password: 'pw' }, { REDIS_URL: 'redis://:pw@cache.example' }],
    [
      undefined,
      { ...REDIS, username: 'me', password: 'pw', port: 1, db: 5 },
      {
        REDIS_HOST: 'cache.example',
        REDIS_PORT: '1',
        REDIS_USERNAME: 'me',
        REDIS_PASSWORD: 'pw',
        REDIS_DB: '5',
        SESSION_BACKUP_STORE: 'redis'
      }
    ],
    [undefined, REDIS, { VALKEY_URL: 'valkey://cache.example', SESSION_BACKUP_STORE: 'valkey' }]
  ]
  for (const [store, expected, env] of cases) assert.deepEqual(spec(store, env), expected, JSON.stringify([store?.href ?? store, env]))
  for (const [store, expected, env] of cases.filter(([store]) => typeof store === 'string')) {
    assert.deepEqual(spec(undefined, { ...env, SESSION_BACKUP_STORE: store }), expected, `SESSION_BACKUP_STORE=${store}`)
  }
  const fields = { kind: 'postgres', ...separate }
  assert.deepEqual(
    spec({ ...fields, port: undefined, sslmode: undefined, notify: undefined, connectionString: undefined }),
    POSTGRES,
    'undefined is not set'
  )
})

test('a password of any characters works, encoded in a string and as it is in a field', () => {
  const all = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
  for (const password of [...all, '@/%', 'p@ss/w?rd#%:[]', 'pässwörd', ' blank ', all.join('')]) {
    const text = encodeURIComponent(password)
    assert.equal(spec({ kind: 'postgres', connectionString: `postgres://me:${text}@h/app` }).password, password)
    assert.equal(spec({ kind: 'postgres', host: 'h', database: 'd', user: 'me', password }).password, password)
    assert.equal(spec('postgres://h/d', { PGUSER: 'me', PGPASSWORD: password }).password, password)
    assert.equal(spec(undefined, { SESSION_BACKUP_STORE: 'postgres', DATABASE_URL: `postgres://me:${text}@h/app` }).password, password)
    assert.equal(spec({ kind: 'redis', url: `redis://:${text}@h` }).password, password)
    assert.equal(spec({ kind: 'redis', host: 'h', password }).password, password)
    assert.equal(spec('redis://h', { REDIS_PASSWORD: password }).password, password)
  }
  // As platforms print them, where it is clear what is meant.
  assert.equal(spec({ kind: 'postgres', connectionString: 'postgres://me:a@b:c@h/app' }).password, 'a@b:c')
  assert.deepEqual(spec({ kind: 'redis', url: 'redis://me:a@b:c@h' }).password, 'a@b:c')
  assert.equal(spec({ kind: 'postgres', connectionString: 'postgres://postgres.ref:pw@h/app' }).user, 'postgres.ref')
})

test('a URL that is no database is refused by what is wrong, and its parts are not repeated', () => {
  const wrong = [
    ['postgres:db', 'postgres://'],
    ['postgres://', 'socket'],
    ['postgres:///app', 'socket'],
    ['postgres://%2Fvar%2Frun/app', 'socket'],
    ['postgres://h', 'database'],
    ['postgres://h/', 'database'],
    ['postgres://Zq9:Zq9@h/app', 'credentials', 'PGPASSWORD', 'connectionString'],
    ['postgres://Zq9@h/app', 'credentials'],
    ['postgres://h/app?password=Zq9', 'credentials'],
    ['postgres://h/app?user=Zq9', 'credentials'],
    ['postgres://h/app#Zq9', '#'],
    ['postgres://a,b/app', 'several hosts'],
    ['postgres://a:1,b:2/app', 'several hosts'],
    ['postgres://h:Zq9/app', 'port', '%2F'],
    ['postgres://h:0/app', 'port'],
    ['postgres://h:65536/app', 'port'],
    ['postgres://h:123456/app', 'port'],
    ['postgres://h ost/app', 'host'],
    ['postgres://hö/app', 'host'],
    ['postgres://-h/app', 'host'],
    ['postgres://[::g]/app', 'host'],
    ['postgres://h%zz/app', '%25'],
    ['postgres://h/%zz', '%25'],
    ['postgres://h/a%2Fb', 'slashes'],
    ['postgres://h/app//b', 'empty'],
    ['postgres://h/app/../b', '..'],
    ['postgres://h/app/a%2Fb', 'slashes'],
    ['postgres://h/app?host=/cloudsql/x', 'socket'],
    ['postgres://h/app?sslcert=x', 'client certificates'],
    ['postgres://h/app?options=x', 'options'],
    ['postgres://h/app?sslmod=x', 'sslmod', 'sslmode'],
    ['postgres://h/app?sslmode=require&sslmode=require', 'twice'],
    ['postgres://h/app?sslmode=yes', 'verify-full'],
    ['postgres://h/app?target_session_attrs=standby', 'read-write'],
    ['postgres://h/app?notify=yes', 'notify'],
    ['postgres://h/app?maxConnections=many', 'maxConnections'],
    ['postgres://h/app?maxConnections=0', 'maxConnections'],
    [`postgres://h/${'d'.repeat(64)}`, '63 bytes'],
    [`postgres://h/app/${'p'.repeat(256)}`, '255 bytes'],
    ['redis:h', 'redis://'],
    ['redis://', 'socket'],
    ['redis:///0', 'socket'],
    ['redis://:Zq9@h', 'credentials', 'REDIS_PASSWORD'],
    ['redis://h?password=Zq9', 'credentials'],
    ['redis://h/x', 'number of a database'],
    ['redis://h/0/1', 'number of a database'],
    ['redis://h/1?db=1', 'twice'],
    ['redis://h/65536', '65535'],
    ['redis://h?path=/tmp/x', 'socket'],
    ['redis://h?tls=true', 'unknown', 'tls'],
    ['redis://h#insecure', '#'],
    ['redis://a,b', 'several hosts'],
    ['redis://h?prefix=a{b}', 'prefix'],
    ['redis://h?prefix=', 'prefix'],
    ['redis://h?waitReplicas=x', 'waitReplicas'],
    ['redis://h?waitReplicas=17', 'waitReplicas'],
    ['redis://h?allowVolatile=1', 'allowVolatile'],
    ['redis://h?notify=1', 'notify'],
    ['redis://h?ssl_cert_reqs=maybe', 'ssl_cert_reqs'],
    ['redis-sentinel://h', 'redis://host'],
    ['redis+socket:///tmp/x', 'redis://host'],
    ['mysql://h/app', 'postgres://host/database']
  ]
  for (const [store, ...names] of wrong) {
    refused(store, () => spec(store, PG), 'store', ...names)
    refused(store, () => spec(undefined, { ...PG, SESSION_BACKUP_STORE: store }), 'SESSION_BACKUP_STORE', ...names)
  }
})

test('an object that is no database is refused by the name of the field', () => {
  const notText = [7, null, {}, [], true, '', 'a\nb', 'a\0']
  const of = (kind, base) => (fields) => ({ kind, ...base, ...fields })
  const [postgres, redis] = [
    of('postgres', { host: 'h', database: 'd', user: 'u', password: 'Zq9' }),
    of('redis', { host: 'h', password: 'Zq9' })
  ]
  const wrong = [
    ...notText.flatMap((value) =>
      ['host', 'database', 'user', 'password', 'sslmode', 'schema'].map((field) => [postgres({ [field]: value }), field])
    ),
    ...notText.filter((value) => value !== '').map((prefix) => [postgres({ prefix }), 'prefix']),
    ...notText.flatMap((value) =>
      ['host', 'username', 'password', 'prefix', 'tls']
        .filter((field) => field !== 'tls' || value !== true)
        .map((field) => [redis({ [field]: value }), field])
    ),
    ...notText.flatMap((value) => [
      [{ kind: 'postgres', connectionString: value }, 'connectionString'],
      [{ kind: 'redis', url: value }, 'url']
    ]),
    ...['5432x', 0, -1, 1.5, 65_536, null, {}].flatMap((port) => [
      [postgres({ port }), 'port'],
      [redis({ port }), 'port']
    ]),
    ...['true', 1, null].flatMap((flag) => [
      [postgres({ notify: flag }), 'notify'],
      [redis({ notify: flag }), 'notify'],
      [redis({ allowVolatile: flag }), 'allowVolatile'],
      [redis({ tls: flag }), 'tls']
    ]),
    ...[0, 33, 1.5, '4', null].map((maxConnections) => [postgres({ maxConnections }), 'maxConnections']),
    ...['Upper', '1a', 'a-b', 'a.b', 'a"b', 'pg_catalog', 'pg_x', 'information_schema', 'x'.repeat(64), 'ä'].map((schema) => [
      postgres({ schema }),
      'schema'
    ]),
    ...['/tmp/.s.PGSQL.5432', '/var/run', '@abstract', '%2Ftmp'].flatMap((host) => [
      [postgres({ host }), 'host', 'socket'],
      [redis({ host }), 'host', 'socket']
    ]),
    ...['a,b', 'a b', 'http://h', 'h:1', 'h/d'].flatMap((host) =>
      ['host', ...(host === 'a,b' ? ['several hosts'] : [])].flatMap((word) => [
        [postgres({ host }), word],
        [redis({ host }), word]
      ])
    ),
    ...['a{b', 'a}b', 'a b', 'ä', 'x'.repeat(65)].map((prefix) => [redis({ prefix }), 'prefix']),
    ...[-1, 65_536, 1.5, 'x'].map((db) => [redis({ db }), 'db']),
    ...['host', 'database', 'user', 'password'].map((field) => [
      { kind: 'postgres', connectionString: 'postgres://u:Zq9@h/d', [field]: 'Zq9' },
      field,
      'connectionString',
      'remove one'
    ]),
    [{ kind: 'postgres', connectionString: 'postgres://u:Zq9@h:1/d', port: 1 }, 'port', 'remove one'],
    ...Object.entries({ host: 'h', port: 1, db: 1, username: 'u', password: 'Zq9' }).map(([field, value]) => [
      { kind: 'redis', url: 'redis://u:Zq9@h:1/1', [field]: value },
      field,
      'url',
      'remove one'
    ]),
    [{ kind: 'redis', url: 'rediss://h', tls: false }, 'tls', 'rediss'],
    [{ kind: 'redis', host: 'h', username: 'u' }, 'username', 'no password'],
    [{ kind: 'postgres', host: 'h' }, 'database'],
    [{ kind: 'postgres', database: 'd' }, 'host'],
    [{ kind: 'postgres', host: 'h', database: 'd' }, 'user'],
    [{ kind: 'postgres' }, 'DATABASE_URL', 'PGHOST'],
    [{ kind: 'redis' }, 'REDIS_URL', 'REDIS_HOST'],
    [{ kind: 'redis', db: 1 }, 'host'],
    [postgres({ region: 'x' }), 'region', 'connectionString'],
    [redis({ database: 1 }), 'database', 'waitReplicas'],
    [{ kind: 'postgres', connectionString: 'postgres://u:Zq9@h/d/prefix' }, 'connectionString', 'prefix'],
    [{ kind: 'postgres', connectionString: 'postgres://u:Zq9/x@h/d' }, 'connectionString', '%2F'],
    [{ kind: 'postgres', connectionString: 'postgres://u:Zq9#x@h/d' }, 'connectionString', '%23'],
    [{ kind: 'postgres', connectionString: 'postgres://u:Zq9%x@h/d' }, 'connectionString', '%25'],
    [{ kind: 'postgres', connectionString: 'postgres://u:Zq9?x@h/d' }, 'connectionString', '%3F'],
    [{ kind: 'postgres', connectionString: 'mysql://u:Zq9@h/d' }, 'postgres://'],
    [{ kind: 'redis', url: 'http://u:Zq9@h' }, 'redis://'],
    [{ kind: 'postgres', connectionString: 'host=h password=Zq9 dbname=d' }, 'postgres://'],
    [{ kind: 'postgres', connectionString: 'postgres://u:Zq9@h/d?maxConnections=2' }, 'maxConnections'],
    [{ kind: 'redis', url: 'redis://:Zq9@h?prefix=x' }, 'prefix']
  ]
  for (const [store, ...names] of wrong) refused(store, () => spec(store), ...names)
})

test('an authority within the store object is refused with the place where it belongs', () => {
  const objects = [
    { kind: 'postgres', host: 'db.example', database: 'app', user: 'me' },
    { kind: 'redis', host: 'cache.example' },
    { kind: 's3', bucket: 'b' }
  ]
  for (const store of objects)
    refused({ ...store, caCertificate: 'PEM' }, () => spec({ ...store, caCertificate: 'PEM' }), '`caCertificate`', 'beside `store`')
})

test('every parameter that other programs put into a connection string is taken, ignored or refused', () => {
  const at = (query) => spec({ kind: 'postgres', connectionString: `${URL_OF_PG}?${query}` })
  const ignored =
    'schema=public pgbouncer=true connection_limit=1 pool_timeout=0 socket_timeout=3 statement_cache_size=0 max_idle_connection_lifetime=1 connect_timeout=10 application_name=x ' +
    'fallback_application_name=x client_encoding=utf8 keepalives=1 keepalives_idle=1 keepalives_interval=1 keepalives_count=1 tcp_user_timeout=1 gssencmode=disable sslsni=1 ' +
    'uselibpqcompat=true workaround=supabase-pooler.vercel supa=base-pooler.x channel_binding=require channel_binding=prefer target_session_attrs=read-write target_session_attrs=primary ' +
    'sslrootcert=system ssl=true sslaccept=strict sslmode=verify-full'
  for (const query of ignored.split(' ')) assert.deepEqual(at(query), POSTGRES, query)
  assert.deepEqual(
    at(
      ignored
        .split(' ')
        .filter((query) => !/prefer|primary/.test(query))
        .join('&')
    ),
    POSTGRES
  )
  const modes = {
    'ssl=0': 'disable',
    'ssl=false': 'disable',
    'ssl=1': 'verify-full',
    'ssl=no-verify': 'require',
    'sslmode=disable': 'disable',
    'sslmode=require': 'require',
    'sslmode=no-verify': 'require',
    'sslaccept=accept_invalid_certs': 'require',
    'sslmode=require&sslaccept=accept_invalid_certs': 'require',
    'sslmode=require&ssl=true': 'require',
    // Both ask for the right server, so that its certificate is checked.
    'sslmode=require&sslaccept=strict': 'verify-full',
    'sslmode=require&channel_binding=require': 'verify-full',
    'sslmode=require&channel_binding=prefer': 'require',
    'sslmode=verify-full&sslaccept=accept_invalid_certs': 'verify-full'
  }
  for (const [query, sslmode] of Object.entries(modes)) assert.deepEqual(at(query), { ...POSTGRES, sslmode }, query)
  const wrong = {
    'sslmode=prefer': 'unencrypted',
    'sslmode=allow': 'unencrypted',
    'sslmode=verify-ca': 'caCertificate',
    'sslmode=': 'sslmode',
    'ssl=maybe': 'ssl',
    'sslaccept=x': 'strict',
    'channel_binding=x': 'channel_binding'
  }
  for (const [query, word] of Object.entries(wrong)) refused(query, () => at(query), 'connectionString', word)
  for (const name of [
    'sslkey',
    'sslcert',
    'sslpassword',
    'sslidentity',
    'host',
    'hostaddr',
    'options',
    'passfile',
    'service',
    'user',
    'dbname',
    'x'
  ])
    refused(name, () => at(`${name}=Zq9`), name)
  for (const name of ['target_session_attrs=standby', 'target_session_attrs=read-only', 'target_session_attrs=prefer-standby'])
    refused(name, () => at(name), 'target_session_attrs')
  refused('a value in place of a name', () => at('Zq9Zq9Zq9Zq9Zq9Zq9Zq9Zq9Zq9=1'))
  const redis = (query) => spec({ kind: 'redis', url: `rediss://:pw@cache.example?${query}` })
  const secure = { ...REDIS, password: 'pw', tls: true }
  for (const query of [
    'family=0',
    'family=6',
    'protocol=3',
    'ssl_cert_reqs=required',
    'ssl_cert_reqs=CERT_REQUIRED',
    'ssl_cert_reqs=optional',
    'db=0'
  ])
    assert.deepEqual(redis(query), secure, query)
  for (const query of ['ssl_cert_reqs=none', 'ssl_cert_reqs=CERT_NONE']) assert.deepEqual(redis(query), { ...secure, verify: false }, query)
  for (const name of ['x', 'password', 'sentinel']) refused(name, () => redis(`${name}=Zq9`), name)
})

test('encryption is required of every other machine, from wherever its mode comes, and nothing weaker goes unnoticed', () => {
  const hosts = {
    'db.example': false,
    '10.0.0.1': false,
    db: false,
    'localhost.example': false,
    localhost: true,
    'db.localhost': true,
    '127.0.0.1': true,
    '127.9.9.9': true,
    '::1': true
  }
  const sources = [(mode) => [{ sslmode: mode }, {}], (mode) => [{ query: `?sslmode=${mode}` }, {}], (mode) => [{}, { PGSSLMODE: mode }]]
  for (const [host, isHere] of Object.entries(hosts)) {
    const store = ({ query = '', ...fields }) => ({
      kind: 'postgres',
      connectionString: `postgres://u:pw@${host.includes(':') ? `[${host}]` : host}/d${query}`,
      ...fields
    })
    assert.equal(spec(store({})).sslmode, isHere ? 'disable' : 'verify-full', host)
    for (const source of sources) {
      for (const [mode, told] of [
        ['verify-full', 'verify-full'],
        ['require', 'require'],
        ['no-verify', 'require'],
        ['disable', 'disable']
      ]) {
        const heard = []
        const [fields, env] = source(mode)
        const found = spec(store(fields), env, { logger: { warn: (details, message) => heard.push(message) } })
        assert.equal(found.sslmode, told, `${host} ${mode}`)
        assert.equal(heard.length, isHere || told === 'verify-full' ? 0 : 1, `${host} ${mode}: ${heard}`)
      }
      for (const mode of ['prefer', 'allow', 'verify-ca', 'VERIFY-FULL'])
        refused(mode, () => spec(store(source(mode)[0]), source(mode)[1]), 'verify-full')
    }
    for (const [given, count] of [
      [{ tls: true }, 0],
      [{ tls: false }, 1],
      [{ tls: 'no-verify' }, 1],
      [{}, 1]
    ]) {
      const heard = []
      spec({ kind: 'redis', host, ...given }, {}, { logger: { warn: (details, message) => heard.push(message) } })
      assert.equal(heard.length, isHere ? 0 : count, `${host} ${JSON.stringify(given)}: ${heard}`)
    }
  }
  for (const other of [{ PGHOST: 'other.example' }, { PGPORT: '1' }]) {
    assert.equal(
      spec({ kind: 'postgres', connectionString: 'postgres://u:pw@h/d' }, { ...other, PGSSLMODE: 'disable' }).sslmode,
      'verify-full',
      'that is the mode of another server'
    )
  }
  const all = { sslmode: 'verify-full', query: '?sslmode=require' }
  const at = (fields, env) =>
    spec(
      {
        kind: 'postgres',
        connectionString: `postgres://u:pw@h/d${fields.query ?? ''}`,
        ...(fields.sslmode && { sslmode: fields.sslmode })
      },
      env
    ).sslmode
  assert.deepEqual(
    [at(all, { PGSSLMODE: 'disable' }), at({ query: all.query }, { PGSSLMODE: 'disable' }), at({}, { PGSSLMODE: 'disable' })],
    ['verify-full', 'require', 'disable']
  )
})

test('a password in a variable goes to the server that it was given for, and to no other', () => {
  const wanted = { host: 'db.example', port: 5432 }
  const forms = (env) => [
    ['postgres://db.example/app', env],
    [{ kind: 'postgres', host: 'db.example', database: 'app' }, env],
    [{ kind: 'postgres', connectionString: 'postgres://db.example/app' }, env]
  ]
  const answers = [
    [{ DATABASE_URL: 'postgres://me:pw@db.example/other' }, 'pw'],
    [{ SUPABASE_DB_URL: 'postgres://me:pw@DB.example:5432/app' }, 'pw'],
    [{ DATABASE_URL: 'postgres://me:no@db.example:5433/app', POSTGRES_URL: 'postgres://me:pw@db.example/app' }, 'pw'],
    [{ DATABASE_URL: 'mysql://me:no@db.example/app', PGUSER: 'me', PGPASSWORD: 'pw' }, 'pw'],
    [{ DATABASE_URL: 'postgres://me:pw@db.example/app', PGUSER: 'other', PGPASSWORD: 'no' }, 'pw'],
    [{ DATABASE_URL: 'postgres://me@db.example/app', PGUSER: 'other', PGPASSWORD: 'no' }, null],
    [{ DATABASE_URL: 'postgres://me@db.example/app', PGPASSWORD: 'pw' }, 'pw'],
    [{ PGHOST: 'db.example', PGPORT: '5432', PGUSER: 'me', PGPASSWORD: 'pw' }, 'pw'],
    [{ PGHOST: 'DB.Example', PGUSER: 'me', PGPASSWORD: 'pw' }, 'pw'],
    [{ PGHOST: 'other.example', PGUSER: 'me', PGPASSWORD: 'no' }, undefined],
    [{ PGPORT: '5433', PGUSER: 'me', PGPASSWORD: 'no' }, undefined],
    [{ PGHOST: '/var/run/postgresql', PGUSER: 'me', PGPASSWORD: 'no' }, undefined],
    [{ DATABASE_URL: 'postgres://me:no@other.example/app' }, undefined],
    [{}, undefined]
  ]
  for (const [env, password] of answers) {
    for (const [store, all] of forms(env)) {
      const what = JSON.stringify([store, env])
      if (password === undefined) refused(what, () => spec(store, all), 'user')
      else
        assert.deepEqual(
          { host: spec(store, all).host, port: spec(store, all).port, user: spec(store, all).user, password: spec(store, all).password },
          { ...wanted, user: 'me', password },
          what
        )
    }
  }
  assert.equal(spec({ kind: 'postgres', host: 'h', database: 'd', user: 'u' }, { PGUSER: 'other', PGPASSWORD: 'no' }).password, null)
  const redis = [
    [{ REDIS_URL: 'redis://me:pw@cache.example/3' }, ['me', 'pw']],
    [{ VALKEY_URL: 'rediss://:pw@cache.example' }, [null, 'pw']],
    [{ REDIS_PASSWORD: 'pw' }, [null, 'pw']],
    [{ REDIS_USERNAME: 'me', REDIS_PASSWORD: 'pw' }, ['me', 'pw']],
    [{ REDIS_HOST: 'cache.example', REDIS_PASSWORD: 'pw' }, [null, 'pw']],
    [{ REDIS_HOST: 'other.example', REDIS_PASSWORD: 'no' }, [null, null]],
    [{ REDIS_PORT: '1', REDIS_PASSWORD: 'no' }, [null, null]],
    [{ REDIS_URL: 'redis://:no@other.example' }, [null, null]],
    [{ REDIS_URL: 'redis://:no@cache.example:1' }, [null, null]],
    [{ REDIS_USERNAME: 'me' }, [null, null]]
  ]
  for (const [env, [username, password]] of redis) {
    for (const store of [
      'redis://cache.example',
      { kind: 'redis', host: 'cache.example' },
      { kind: 'redis', url: 'redis://cache.example' }
    ]) {
      assert.deepEqual([spec(store, env).username, spec(store, env).password], [username, password], JSON.stringify([store, env]))
    }
  }
})

/** Every variable of a database, each with a server of its own. */
const VARIABLES = {
  DATABASE_URL: 'postgres://u:pw@of-database-url/d',
  POSTGRES_URL: 'postgres://u:pw@of-postgres-url/d',
  SUPABASE_DB_URL: 'postgres://u:pw@of-supabase/d',
  PGHOST: 'of-libpq',
  REDIS_URL: 'redis://:pw@of-redis-url',
  VALKEY_URL: 'redis://:pw@of-valkey-url',
  REDIS_HOST: 'of-redis-host'
}
const WITH = {
  PGUSER: 'u',
  PGPASSWORD: 'pw',
  PGDATABASE: 'd',
  PGPORT: '1',
  PGSSLMODE: 'require',
  REDIS_PORT: '1',
  REDIS_USERNAME: 'u',
  REDIS_PASSWORD: 'pw',
  REDIS_DB: '1'
}
const ASKING = [
  {},
  { SESSION_BACKUP_ENABLED: 'true' },
  { SESSION_STORAGE_TYPE: 'hybrid' },
  { BAILEYS_HYBRID_AUTH_MODE: 'cloud' },
  { SESSION_STORAGE_TYPE: 'local' },
  { SESSION_BACKUP_ENABLED: 'false' }
]
const BUCKETS = {
  r2: { R2_ACCOUNT_ID: 'abc', R2_ACCESS_KEY_ID: 'i', R2_SECRET_ACCESS_KEY: 's', R2_BUCKET_NAME: 'b' },
  supabase: { SUPABASE_URL: 'https://ref.supabase.co', SUPABASE_SERVICE_KEY: 'k' }
}

test('no variables of databases make a store by themselves, and a bucket beside them is the store', () => {
  let none = 0
  for (const names of subsets(Object.keys(VARIABLES))) {
    const env = { ...WITH, ...Object.fromEntries(names.map((name) => [name, VARIABLES[name]])) }
    for (const asking of ASKING) {
      const isWanted = !Object.values(asking).some((word) => word === 'local' || word === 'false')
      for (const [kind, bucket] of [[null, {}], ...Object.entries(BUCKETS)]) {
        const all = { ...env, ...asking, ...bucket }
        const what = JSON.stringify(all)
        if (!isWanted || (kind === null && Object.keys(asking).length === 0)) {
          assert.equal(spec(undefined, all), null, what)
          none++
        } else if (kind === null) refused(what, () => spec(undefined, all), 'SESSION_BACKUP_STORE')
        else assert.equal(spec(undefined, all).kind, kind === 'r2' ? 's3' : kind, what)
      }
    }
  }
  assert.ok(none > 500, `${none}`)
})

test('a database that is asked for by its name takes its variables in order, and goes before every bucket', () => {
  const orders = {
    postgres: ['DATABASE_URL', 'POSTGRES_URL', 'SUPABASE_DB_URL', 'PGHOST'],
    'supabase-db': ['SUPABASE_DB_URL', 'DATABASE_URL', 'POSTGRES_URL', 'PGHOST'],
    redis: ['REDIS_URL', 'VALKEY_URL', 'REDIS_HOST'],
    valkey: ['VALKEY_URL', 'REDIS_URL', 'REDIS_HOST']
  }
  for (const [service, order] of Object.entries(orders)) {
    for (const names of subsets(Object.keys(VARIABLES))) {
      const env = { ...WITH, ...Object.fromEntries(names.map((name) => [name, VARIABLES[name]])) }
      const first = order.find((name) => names.includes(name))
      const host = first && VARIABLES[first].replace(/^.*@([^/]+).*$/, '$1')
      for (const named of ['SESSION_BACKUP_STORE', 'BAILEYS_HYBRID_AUTH_STORE']) {
        const all = { ...env, ...BUCKETS.r2, [named]: service }
        const what = JSON.stringify(all)
        if (first === undefined) refused(what, () => spec(undefined, all), named, order[0].includes('URL') ? order.at(-1) : '')
        else assert.equal(spec(undefined, all).host, host, what)
        assert.equal(spec(undefined, { ...all, SESSION_BACKUP_ENABLED: 'false' }), null, what)
        assert.equal(spec(undefined, { ...all, SESSION_STORAGE_TYPE: 'local' }), null, what)
        assert.equal(spec('memory://x', all).kind, 'memory', what)
      }
    }
  }
  // As with buckets that are named, what else is complete is not used, silently.
  const named = describeConfig(
    { encryptionKeys: KEY },
    { ...BUCKETS.r2, ...BUCKETS.supabase, REDIS_URL: 'rediss://h', SESSION_BACKUP_STORE: 'redis' }
  )
  assert.deepEqual([named.problems, named.warnings, named.notes, named.settings.store.value], [[], [], [], 'rediss://h/0'])
  // What names another kind of database is passed over, and named where nothing else is there.
  assert.equal(
    spec(undefined, { SESSION_BACKUP_STORE: 'postgres', DATABASE_URL: 'mysql://u:Zq9@h/d', POSTGRES_URL: VARIABLES.POSTGRES_URL }).host,
    'of-postgres-url'
  )
  assert.equal(spec(undefined, { SESSION_BACKUP_STORE: 'postgres', DATABASE_URL: 'file:./dev.db', PGHOST: 'h', ...WITH }).host, 'h')
  refused(
    'another kind',
    () => spec(undefined, { SESSION_BACKUP_STORE: 'postgres', DATABASE_URL: 'mysql://u:Zq9@h/d' }),
    'DATABASE_URL is not the address of a Postgres'
  )
  refused(
    'another kind',
    () => spec(undefined, { SESSION_BACKUP_STORE: 'redis', REDIS_URL: 'http://Zq9', VALKEY_URL: 'x' }),
    'REDIS_URL and VALKEY_URL are not addresses of a Redis'
  )
  // One that is wrong is not passed over.
  refused(
    'wrong',
    () => spec(undefined, { SESSION_BACKUP_STORE: 'postgres', DATABASE_URL: 'postgres://u:Zq9@h', POSTGRES_URL: VARIABLES.POSTGRES_URL }),
    'database'
  )
  refused(
    'wrong',
    () => spec(undefined, { SESSION_BACKUP_STORE: 'postgres', DATABASE_URL: 'postgres://u:Zq9@h/d?sslmode=prefer' }),
    'DATABASE_URL',
    'sslmode'
  )
  for (const missing of ['PGDATABASE', 'PGUSER']) {
    const env = Object.fromEntries(Object.entries(LIBPQ).filter(([name]) => name !== missing))
    refused(missing, () => spec(undefined, { ...env, SESSION_BACKUP_STORE: 'postgres' }), `${missing} is not set`)
  }
  assert.equal(
    spec(undefined, {
      SESSION_BACKUP_STORE: 'postgres',
      ...Object.fromEntries(Object.keys({ ...VARIABLES, ...WITH }).map((name) => [name, ''])),
      ...LIBPQ
    }).host,
    'db.example',
    'empty is unset'
  )
})

test('the configuration shows a database without its password, and names those that are not used', () => {
  const secret = 'Zq9-secret'
  const cases = [
    [
      { store: { kind: 'postgres', connectionString: `postgres://me:${secret}@h:1/my%20app`, prefix: 'a/b' } },
      {},
      'postgres://h:1/my%20app/a/b',
      'store.connectionString'
    ],
    [{ store: { kind: 'postgres', host: '::1', database: 'd', user: 'me', password: secret } }, {}, 'postgres://[::1]/d', 'store.password'],
    [{ store: 'postgres://h/d?sslmode=verify-full' }, { PGUSER: 'me', PGPASSWORD: secret }, 'postgres://h/d', 'PGPASSWORD'],
    [
      {},
      { SESSION_BACKUP_STORE: 'supabase-db', SUPABASE_DB_URL: `postgres://me:${secret}@h:6543/d` },
      'postgres://h:6543/d',
      'SUPABASE_DB_URL'
    ],
    [{ store: { kind: 'redis', url: `rediss://me:${secret}@h:1/2` } }, {}, 'rediss://h:1/2', 'store.url'],
    [{ store: { kind: 'redis', host: 'localhost', username: 'me', password: secret } }, {}, 'redis://localhost/0', 'store.password'],
    [{}, { SESSION_BACKUP_STORE: 'redis', REDIS_URL: `rediss://me:${secret}@h` }, 'rediss://h/0', 'REDIS_URL']
  ]
  for (const [options, env, store, from] of cases) {
    const config = describeConfig({ encryptionKeys: KEY, ...options }, env)
    const { settings, problems, warnings, notes } = config
    assert.deepEqual([problems, warnings, notes], [[], [], []], JSON.stringify(options))
    assert.equal(settings.store.value, store)
    assert.deepEqual([settings['store.password'].value, settings['store.password'].from], ['hidden', from])
    assert.equal((settings['store.user'] ?? settings['store.username']).value, 'me')
    assert.ok(!`${config}${JSON.stringify(config)}`.includes('Zq9'))
  }
  const notes = (env) => describeConfig({ encryptionKeys: KEY }, env).notes
  assert.deepEqual(notes({ ...BUCKETS.r2, REDIS_URL: 'redis://h' }), [
    'REDIS_URL is not used for sessions: SESSION_BACKUP_STORE=redis would make it the store'
  ])
  assert.deepEqual(notes({ ...BUCKETS.r2, DATABASE_URL: 'mysql://h', SUPABASE_DB_URL: 'postgres://h', REDIS_HOST: 'h' }), [
    'SUPABASE_DB_URL is not used for sessions: SESSION_BACKUP_STORE=supabase-db would make it the store',
    'REDIS_HOST is not used for sessions: SESSION_BACKUP_STORE=redis would make it the store'
  ])
  assert.deepEqual(notes({ SESSION_BACKUP_STORE: 'postgres', ...LIBPQ, REDIS_URL: 'redis://h' }), [
    'REDIS_URL is not used for sessions: SESSION_BACKUP_STORE=redis would make it the store'
  ])
  const { notes: none, warnings } = describeConfig({}, { DATABASE_URL: URL_OF_PG, REDIS_URL: 'redis://h' })
  assert.deepEqual(none, [], 'without a store the warning names them')
  assert.match(
    warnings[0],
    /DATABASE_URL takes effect with SESSION_BACKUP_STORE=postgres\. REDIS_URL takes effect with SESSION_BACKUP_STORE=redis\./
  )
  assert.match(
    String(describeConfig({ encryptionKeys: KEY }, { ...BUCKETS.r2, REDIS_URL: 'redis://h' })),
    /\nnotes\n- REDIS_URL is not used/
  )
})

test('ownership is checked every second where that costs nothing, and every five where each check is paid for', () => {
  const paid = [
    ['memory://x'],
    ['file:///x'],
    [null],
    ['s3://b', { AWS_ACCESS_KEY_ID: 'i', AWS_SECRET_ACCESS_KEY: 's' }],
    ['supabase://b', BUCKETS.supabase],
    ['gs://b', { GOOGLE_CREDENTIALS: '{"client_email":"a","private_key":"b","private_key_id":"c"}' }]
  ]
  const free = [
    ['postgres://h/d', PG],
    ['redis://h'],
    [{ kind: 'redis', host: 'h' }],
    [undefined, { SESSION_BACKUP_STORE: 'postgres', ...LIBPQ }]
  ]
  for (const [list, ms] of [
    [paid, 5000],
    [free, 1000]
  ]) {
    for (const [store, env] of list) {
      const { ownershipCheckIntervalMs, handoverTimeoutMs } = native(store, env)
      assert.deepEqual([ownershipCheckIntervalMs, handoverTimeoutMs], [ms, null], JSON.stringify(store))
      const { settings } = describeConfig({ encryptionKeys: KEY, store }, env)
      assert.deepEqual(
        [settings.ownershipCheckIntervalMs, settings.handoverTimeoutMs.value],
        [{ value: ms, source: 'default', from: null }, 2.25 * ms + 500]
      )
      assert.equal(native(store, env, { ownershipCheckIntervalMs: 7000 }).ownershipCheckIntervalMs, 7000)
      assert.equal(native(store, { ...env, BAILEYS_HYBRID_AUTH_OWNERSHIP_CHECK_INTERVAL_MS: '300' }).ownershipCheckIntervalMs, 300)
      if (store !== null) assert.equal(native(store, env, { mode: 'local' }).ownershipCheckIntervalMs, 5000)
    }
  }
  assert.deepEqual(
    describeConfig({ store: 'postgres://' }, {}).settings.ownershipCheckIntervalMs,
    { value: 5000, source: 'default', from: null },
    'a store that is wrong is reported once'
  )
})

test('authorities for a database come from the option, its connection string, the variables of libpq and of Node, in this order', (t) => {
  const folder = temporaryFolder(t)
  const file = (count) => {
    const path = join(folder, `${count}.pem`)
    writeFileSync(path, rootCertificates.slice(0, count).join('\n'))
    return path
  }
  const count = (ca) => (ca === null ? 0 : ca.split('BEGIN').length - 1)
  const places = { caCertificate: 1, sslrootcert: 2, PGSSLROOTCERT: 3, NODE_EXTRA_CA_CERTS: 4 }
  for (const names of subsets(Object.keys(places))) {
    const has = (name) => names.includes(name)
    const options = { encryptionKeys: KEY, ...(has('caCertificate') && { caCertificate: file(1) }) }
    const env = {
      AWS_CA_BUNDLE: join(folder, 'none.pem'),
      ...(has('PGSSLROOTCERT') && { PGSSLROOTCERT: file(3) }),
      ...(has('NODE_EXTRA_CA_CERTS') && { NODE_EXTRA_CA_CERTS: file(4) })
    }
    const query = has('sslrootcert') ? `?sslrootcert=${encodeURIComponent(file(2))}` : ''
    const stores = [{ kind: 'postgres', connectionString: `postgres://u:p@h/d${query}` }, `postgres://h/d${query}`]
    const first = Object.keys(places).find(has)
    for (const store of stores) {
      assert.equal(count(spec(store, { ...PG, ...env }, options).ca), places[first] ?? 0, names.join())
      const { caCertificate } = describeConfig({ ...options, store }, { ...PG, ...env }).settings
      assert.equal(caCertificate.value, first ? `certificates (${places[first]})` : null)
    }
    const ofRedis = Object.keys(places).find((name) => has(name) && /ca|NODE/.test(name))
    assert.equal(count(spec('rediss://h', env, options).ca), places[ofRedis] ?? 0, names.join())
  }
  assert.equal(spec('postgres://h/d?sslrootcert=system', { ...PG, PGSSLROOTCERT: 'system' }).ca, null)
  for (const [store, env, name] of [
    ['postgres://h/d?sslrootcert=/nowhere', PG, 'store'],
    ['postgres://h/d', { ...PG, PGSSLROOTCERT: '/nowhere' }, 'PGSSLROOTCERT']
  ])
    refused(name, () => spec(store, env), name)
})

test('two databases are two places, and a database is no source of a migration', () => {
  const place = (env) => storeIn(env)?.place
  const urls = [
    'postgres://h/d',
    'postgres://h:1/d',
    'postgres://h/e',
    'postgres://h/d/p',
    'postgres://i/d',
    'redis://h',
    'redis://h/1',
    'redis://h:1',
    'redis://h?prefix=x'
  ].map((url) => place({ SESSION_BACKUP_STORE: url }))
  assert.equal(new Set(urls).size, urls.length)
  assert.equal(place({ SESSION_BACKUP_STORE: 'postgres', DATABASE_URL: 'postgres://u:Zq9@h:5432/d' }), urls[0], 'however it is named')
  assert.equal(place({ SESSION_BACKUP_STORE: 'redis', REDIS_URL: 'redis://:Zq9@h' }), urls[5])
  for (const source of ['postgres://h/d', 'redis://h', { kind: 'redis', host: 'h' }])
    refused(source, () => resolveSource(source, '`from`', {}, PG), 'from', 'database')
})
