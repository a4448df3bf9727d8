// The way to a database: passwords, encryption, authorities, and what connection strings of other programs say of them.
//
// Invariants guarded: a password goes only to the server that it was given for, and into no message; the identity of another machine is
// checked unless somebody said otherwise. Nothing is opened here.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { KEY, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { PG, POSTGRES, REDIS, URL_OF_PG, refused, spec, subsets } from './databases.mjs'

const require = createRequire(import.meta.url)
const { describeConfig } = require('../../lib/config/describe.js')

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
