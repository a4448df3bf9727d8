// The statements that make the table of a Postgres store, on real servers: as the core runs them, and as the command prints them.
//
// Invariants guarded: both are one text; they can be run again, by several at once, and by a role that owns nothing but the schema; what is
// in the table stays there; nobody but its owner, and a role with a policy of its own, can read it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { test } from '../../testkit/base/missing.mjs'
import { startPostgres } from '../../testkit/databases/postgres.mjs'
import { isPostgresPublished } from '../../testkit/databases/programs.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { ROOT } from '../../testkit/processes/sessions.mjs'
import { chosen } from '../support/size.mjs'

const OF_CORE = readFileSync(join(ROOT, 'src/store/adapters/postgres/schema.sql'), 'utf8')
const command = (...args) => spawnSync(process.execPath, [join(ROOT, 'cli/main.js'), 'schema', ...args], { encoding: 'utf8', cwd: '/' })
const printed = (...args) => {
  const { status, stdout, stderr } = command(...args)
  assert.equal(status, 0, stderr)
  return stdout
}
const VERSIONS = [undefined, '13', '17'].filter((version) => version === undefined || isPostgresPublished(version))

test('the command prints the statements of the core, for any name of a schema, and needs no store and no key', () => {
  assert.equal(printed(), OF_CORE.replaceAll('{schema}', '"baileys_hybrid_auth"'))
  assert.equal(printed('--schema', 'select'), OF_CORE.replaceAll('{schema}', '"select"'))
  assert.ok(!printed().includes('{'))
  const { ok, schema, sql } = JSON.parse(printed('--json', '--schema', 'whatsapp'))
  assert.deepEqual([ok, schema, sql], [true, 'whatsapp', OF_CORE.replaceAll('{schema}', '"whatsapp"')])
  for (const name of ['', 'Upper', 'a b', 'a"; drop table x', 'pg_catalog', 'x'.repeat(64)]) {
    const { status, stdout, stderr } = command('--schema', name)
    assert.deepEqual([status, stdout], [2, ''], name)
    assert.match(stderr, /--schema/)
  }
})

for (const version of chosen(VERSIONS, (version) => version === undefined)) {
  test(`the statements make the table on PostgreSQL ${version ?? 'of the system'}, again and again, and for its owner alone`, async (t) => {
    const server = await startPostgres({ version })
    atEnd(t, () => server.stop())
    const client = async (user, password) => {
      const made = new pg.Client({ host: '127.0.0.1', port: server.port, database: server.database, user, password })
      made.on('error', () => {})
      await made.connect()
      atEnd(t, () => made.end().catch(() => {}))
      return made
    }
    const app = () => client(server.user, server.password)
    const sql = printed()
    const owners = await Promise.all(Array.from({ length: 8 }, app))
    // All at once, as services that start together.
    await Promise.all(owners.map((owner) => owner.query(sql)))
    const [owner] = owners
    const insert = 'insert into baileys_hybrid_auth.objects (folder, name, bytes) values ($1, $2, $3)'
    await owner.query(insert, ['v1/claims', 'a.1', Buffer.from('bytes')])
    for (let again = 0; again < 2; again++) await owner.query(sql)
    const { rows } = await owner.query(
      "select name, bytes, stored_at <= clock_timestamp() as is_past from baileys_hybrid_auth.objects where folder = 'v1/claims'"
    )
    assert.deepEqual(rows, [{ name: 'a.1', bytes: Buffer.from('bytes'), is_past: true }])

    const columns = await server.query(`
      select attname, attstorage, attnotnull, coalesce(collname, '-') as collation from pg_attribute left join pg_collation c on c.oid = attcollation
      where attrelid = 'baileys_hybrid_auth.objects'::regclass and attnum > 0 order by attnum`)
    const told = columns.map(({ attname, attstorage, attnotnull, collation }) => [attname, attstorage, attnotnull, collation])
    assert.deepEqual(told, [
      ['folder', 'x', true, 'C'],
      ['name', 'x', true, 'C'],
      ['bytes', 'e', true, '-'],
      ['stored_at', 'p', true, '-']
    ])
    const [table] = await server.query(
      `select relrowsecurity, relforcerowsecurity, obj_description(oid) as words from pg_class where oid = 'baileys_hybrid_auth.objects'::regclass`
    )
    assert.deepEqual([table.relrowsecurity, table.relforcerowsecurity], [true, false])
    assert.match(table.words, /baileys-hybrid-auth/)

    await server.query("create role stranger login password 'stranger'")
    const stranger = await client('stranger', 'stranger')
    const read = 'select name from baileys_hybrid_auth.objects'
    await assert.rejects(stranger.query(read), { code: '42501' })
    // What was given to everybody is taken back.
    await server.query('grant usage on schema baileys_hybrid_auth to public; grant select on baileys_hybrid_auth.objects to public')
    await owner.query(sql)
    const rights =
      "select has_schema_privilege('stranger', 'baileys_hybrid_auth', 'usage') as schema, has_table_privilege('stranger', 'baileys_hybrid_auth.objects', 'select') as rows"
    assert.deepEqual(await server.query(rights), [{ schema: false, rows: false }])
    // As a data API that is given the schema by mistake.
    await server.query('grant usage on schema baileys_hybrid_auth to stranger; grant select on baileys_hybrid_auth.objects to stranger')
    assert.deepEqual((await stranger.query(read)).rows, [])
    // The lines for a role of its own.
    const forRole = sql
      .split('\n')
      .filter((line) => /^-- {3}\w.*;$/.test(line))
      .map((line) => line.slice(5).replace(/\bapp\b/, 'stranger'))
      .join('\n')
    assert.equal(forRole.split('\n').length, 3)
    await owner.query(forRole)
    assert.deepEqual((await stranger.query(read)).rows, [{ name: 'a.1' }])
    await stranger.query(`${insert} on conflict (folder, name) do update set bytes = excluded.bytes`, [
      'v1/claims',
      'a.1',
      Buffer.from('new')
    ])
    assert.equal((await stranger.query('delete from baileys_hybrid_auth.objects')).rowCount, 1)

    // The role of the guide, as it stands there.
    const [, guide] = readFileSync(join(ROOT, 'docs/guides/postgres.md'), 'utf8').match(/^```sql\n([\s\S]*?)^```$/m)
    await server.query(guide)
    const service = await client('whatsapp', 'choose another one')
    await service.query(insert, ['v1/claims', 'b.1', Buffer.from('bytes')])
    assert.deepEqual((await service.query(read)).rows, [{ name: 'b.1' }])
    await assert.rejects(service.query('drop table baileys_hybrid_auth.objects'), { code: '42501' })

    // A role that may create nothing in the database, and owns a schema that somebody gave it.
    await server.query("create role plain login password 'plain'; create schema given authorization plain")
    const plain = await client('plain', 'plain')
    await assert.rejects(plain.query('create schema if not exists given'), { code: '42501' }, 'why the statements look first')
    for (let again = 0; again < 2; again++) await plain.query(printed('--schema', 'given'))
    await plain.query(insert.replace('baileys_hybrid_auth', 'given'), ['f', 'n', Buffer.from('')])
    await assert.rejects(plain.query(sql), { code: '42501' })
  })
}
