// Postgres and Redis as the `store` option: what the core is told, and what is refused.
//
// Invariants guarded: a database is described in full or refused by what is wrong with it, and no part that may be a secret is repeated.
// Nothing is opened here.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { LIBPQ, PG, POSTGRES, REDIS, URL_OF_PG, refused, spec } from './databases.mjs'

const require = createRequire(import.meta.url)
const { resolveSource } = require('../../lib/config/options.js')
const { storeIn } = require('../../lib/config/services.js')

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
