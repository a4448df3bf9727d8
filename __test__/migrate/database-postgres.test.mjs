// Sessions in PostgreSQL: tables of Prisma and of gists, in JSONB, TEXT and BYTEA, in any schema, from a real server.
//
// Invariant guarded: every value arrives as it was stored, and nothing is written: the user may only SELECT.

import assert from 'node:assert/strict'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { aSession, assertArrived, countsOf, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import { APP, startPostgres } from '../../testkit/databases/postgres.mjs'
import { hybrid, rejection, scene } from '../../testkit/processes/sessions.mjs'

let app
let baileys
let server
let client

before(async () => {
  baileys = await lines[0].load()
  app = application('pg')
  server = await startPostgres()
  client = new (app.load('pg').Client)(server.url)
  await client.connect()
  await server.query("CREATE ROLE reader LOGIN PASSWORD 'x'")
  await server.query(`ALTER SCHEMA public OWNER TO ${APP}`)
  await client.query('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO reader')
})
after(async () => {
  await client?.end()
  await server?.stop()
})

async function place(t) {
  const at = scene(t)
  const url = new URL(server.url)
  url.username = 'reader'
  url.password = 'x'
  t.after(() =>
    client.query(
      'DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO reader; DROP SCHEMA IF EXISTS app CASCADE'
    )
  )
  return { at, options: { ...at.local, store: null, baileys, from: url.href } }
}

const insert = async (table, columns, rows) => {
  for (const row of rows)
    await client.query(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((_, n) => `$${n + 1}`).join(', ')})`, row)
}

test('tables with a row per key or a row per session are recognised by their columns, whatever the type of the values', async (t) => {
  const session = await aSession(baileys)
  const records = recordsOf(baileys, session)
  const text = (value) => JSON.stringify(value, baileys.BufferJSON.replacer)
  const typed = (type, id) => JSON.stringify([type, id])
  const shapes = [
    [
      'whatsapp_auth (session_id text, type text, key text, value jsonb)',
      ['session_id', 'type', 'key', 'value'],
      recordsOf(baileys, session, typed).map(([name, value]) =>
        name === 'creds' ? ['anna', 'creds', 'default', value] : ['anna', ...JSON.parse(name), value]
      )
    ],
    [
      '"Session" ("pkId" bigserial, "sessionId" text, id text, data text)',
      ['"sessionId"', 'id', 'data'],
      records.map(([name, value]) => ['anna', name.replace(/\//g, '__').replace(/:/g, '-'), value])
    ],
    [
      'auth_state (id text, instance_id uuid, value bytea)',
      ['id', 'instance_id', 'value'],
      records.map(([name, value]) => [name, '3fa85f64-5717-4562-b3fc-2c963f66afa6', Buffer.from(value)]),
      '3fa85f64-5717-4562-b3fc-2c963f66afa6'
    ],
    [
      'messaging_sessions (id text, scope text, status text, creds jsonb, keys jsonb)',
      ['id', 'scope', 'status', 'creds', 'keys'],
      [
        ['x', 'anna', 'open', text(session.creds), text(session.data)],
        ['y', 'new', 'unpaired', null, null]
      ]
    ],
    [
      'whatsapp_auth_keys (id text PRIMARY KEY, data jsonb)',
      ['id', 'data'],
      records.map(([name, value]) => [name, value]),
      'anna',
      () => 'anna'
    ]
  ]
  for (const [table, columns, rows, tenant = 'anna', tenantId] of shapes) {
    const { at, options } = await place(t)
    await client.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO reader; CREATE TABLE ${table}`)
    await insert(table.slice(0, table.indexOf(' ')), columns, rows)
    const report = await hybrid.migrate({ ...options, tenantId })
    assert.deepEqual(
      report.sessions.map((found) => [found.tenantId, found.status, found.message]),
      [[tenant, 'migrated', null]],
      table
    )
    assert.deepEqual(report.sessions[0].keys, countsOf(session.data), table)
    await assertArrived(at, baileys, tenant, session)
  }
})

test("tables of another schema are found by its name, and Prisma's parameters do no harm", async (t) => {
  const { at, options } = await place(t)
  const session = await aSession(baileys)
  await client.query(
    'CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO reader; CREATE TABLE app.auth (session text, key text, value text); CREATE TABLE public.other (a int)'
  )
  await insert(
    'app.auth',
    ['session', 'key', 'value'],
    recordsOf(baileys, session).map(([name, value]) => ['anna', name, value])
  )
  assert.equal((await rejection(hybrid.migrate(options))).code, 'NOT_FOUND')
  assert.match((await rejection(hybrid.migrate({ ...options, from: `${options.from}?schema=nix` }))).message, /no tables in this schema/)
  for (const from of [
    `${options.from}?schema=app&connection_limit=1&pgbouncer=true`,
    { kind: 'postgres', url: options.from, schema: 'app', table: 'auth' }
  ]) {
    assert.equal((await hybrid.migrate({ ...options, from, dryRun: true })).totals.ready, 1)
  }
  await hybrid.migrate({ ...options, from: `${options.from.replace('postgres:', 'postgresql:')}?schema=app` })
  await assertArrived(at, baileys, 'anna', session)
})

test('credentials that the application encrypted, a missing right and a missing database are typed errors', async (t) => {
  const { options } = await place(t)
  const session = await aSession(baileys)
  const [, ...keys] = recordsOf(baileys, session)
  await client.query('CREATE TABLE auth (session text, key text, value jsonb)')
  await insert(
    'auth',
    ['session', 'key', 'value'],
    [...keys.map(([name, value]) => ['anna', name, value]), ['anna', 'creds', '"v2:0a1b:deadbeef:c0ffee"']]
  )
  const [found] = (await hybrid.migrate(options)).sessions
  assert.deepEqual([found.status, found.code], ['damaged', 'LOCAL_CORRUPT'])
  assert.match(found.message, /encrypted by the application/)
  await client.query('REVOKE ALL ON auth FROM reader')
  const hidden = await rejection(hybrid.migrate(options))
  assert.equal(hidden.code, 'INVALID_OPTION')
  assert.match(hidden.message, /rights of the user/)
  const gone = await rejection(hybrid.migrate({ ...options, from: options.from.replace(/[^/]+$/, 'nowhere') }))
  assert.deepEqual([gone.code, /no database of that name/.test(gone.message)], ['REMOTE_REFUSED', true])
  const wrong = await rejection(hybrid.migrate({ ...options, from: options.from.replace('reader:x', 'reader:secret-9') }))
  assert.deepEqual(
    [wrong.code, /user or the password/.test(wrong.message), /secret-9/.test(wrong.message)],
    ['REMOTE_REFUSED', true, false]
  )
  const stopped = await rejection(hybrid.migrate({ ...options, from: 'postgres://u:secret-9@127.0.0.1:1/x' }))
  assert.deepEqual([stopped.code, /secret-9|127/.test(stopped.message)], ['REMOTE_UNAVAILABLE', false])
})
