// Variables of databases, and what the configuration shows of a database.
//
// Invariants guarded: the variables of databases make no store unless its name asks for it; no password is shown. Nothing is opened here.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { KEY } from '../../testkit/processes/sessions.mjs'
import { BUCKETS, LIBPQ, PG, URL_OF_PG, native, refused, spec, subsets } from './databases.mjs'

const require = createRequire(import.meta.url)
const { describeConfig } = require('../../lib/config/describe.js')

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
