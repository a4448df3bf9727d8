// Sessions in MySQL: what mysql-baileys wrote, and the tables of others, read from a real MariaDB by a user that may only SELECT.
//
// Invariant guarded: every value arrives as it was given to the other store; a table that is damaged, empty or half is told from one
// without sessions, and the source is as it was.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { asRoot, makeReader, PASSWORD, startMariadb } from '../../testkit/old-stores/mariadb.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { aSession, assertArrived, countsOf, fill, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import { hybrid, rejection, scene } from '../../testkit/processes/sessions.mjs'

let app
let baileys
let server
let number = 0

before(async () => {
  baileys = await lines[0].load()
  app = application('mysql-baileys', 'mysql2')
  server = await startMariadb()
})
after(() => server?.stop())

const sql = (...statements) => asRoot(app.load, server, ...statements)

/** An empty database, and the options of a migration out of it. */
async function place(t) {
  const name = `db${++number}`
  await sql(...makeReader(name))
  const at = scene(t)
  return { at, name, options: { ...at.local, store: null, baileys, from: server.url(name) } }
}

/** Tables with one row for each record. */
const insert = (table, rows) =>
  rows.map((row) => [`INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (?)`, [Object.values(row)]])

const snapshot = async (name, table = 'auth') => JSON.stringify(await sql(`SELECT * FROM ${name}.${table} ORDER BY 1, 2`))

/** A state of mysql-baileys, which keeps one connection for ever: it is loaded anew for each database. */
async function withMysqlBaileys(name, session) {
  for (const file of Object.keys(app.load.cache)) if (file.includes('mysql-baileys')) delete app.load.cache[file]
  const state = await app.load('mysql-baileys').useMySQLAuthState({ ...server.root, database: name, session })
  return { state, written: await fill(baileys, state) }
}

test('what mysql-baileys wrote is read from its table, two sessions in one, and every value arrives', async (t) => {
  const { at, name, options } = await place(t)
  const anna = await withMysqlBaileys(name, 'anna')
  const ben = await withMysqlBaileys(name, 'Ben 2')
  const before = await snapshot(name)
  const preview = await hybrid.migrate({ ...options, dryRun: true })
  assert.deepEqual(
    preview.sessions.map(({ tenantId, status, layout }) => [tenantId, status, layout]),
    [
      ['Ben 2', 'ready', 'key-records'],
      ['anna', 'ready', 'key-records']
    ]
  )
  assert.equal(existsSync(at.directory), false, 'nothing was written')
  const report = await hybrid.migrate(options)
  assert.equal(report.totals.migrated, 2, JSON.stringify(report.sessions.map(({ message }) => message)))
  assert.deepEqual(report.sessions[1].keys, countsOf(anna.written.data))
  assert.deepEqual(
    report.sessions.map(({ warnings, sourceChanged }) => [warnings, sourceChanged]),
    [
      [[], false],
      [[], false]
    ]
  )
  await assertArrived(at, baileys, 'anna', anna.written)
  await assertArrived(at, baileys, 'Ben 2', ben.written)
  assert.equal(await snapshot(name), before)
  assert.equal((await hybrid.migrate(options)).totals.already, 2)
})

test('a session that exists is not overwritten by that of a table, and a newer source is named', async (t) => {
  const { at, name, options } = await place(t)
  const anna = await withMysqlBaileys(name, 'anna')
  await hybrid.migrate(options)
  await anna.state.state.keys.set({ 'pre-key': { 3: { private: Buffer.alloc(32, 7), public: Buffer.alloc(32, 8) } } })
  assert.equal((await hybrid.migrate(options)).sessions[0].status, 'newer-source')
  await assertArrived(at, baileys, 'anna', anna.written)
  await sql(`DELETE FROM ${name}.auth`)
  await withMysqlBaileys(name, 'anna')
  assert.equal((await hybrid.migrate(options)).sessions[0].status, 'conflict')
  await assertArrived(at, baileys, 'anna', anna.written)
})

test('a session that is written while it is read is reported as changed', async (t) => {
  const { name, options } = await place(t)
  const anna = await withMysqlBaileys(name, 'anna')
  // The old system goes on: a new key arrives with each look at the source.
  let busy = true
  const writing = (async () => {
    for (let n = 10; busy; n++)
      await anna.state.state.keys.set({ 'pre-key': { [n]: { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) } } })
  })()
  const [found] = (await hybrid.migrate(options)).sessions
  busy = false
  await writing
  assert.deepEqual([found.status, found.sourceChanged], ['migrated', true])
  assert.match(found.message, /old system is still running/)
})

test('tables of Prisma, with a row per key or a row per session, are recognised by their columns', async (t) => {
  const session = await aSession(baileys)
  const records = recordsOf(baileys, session)
  const escaped = (name) => name.replace(/\//g, '__').replace(/:/g, '-')
  const parts = (name) =>
    name === 'creds'
      ? ['creds', 'creds']
      : Object.keys(session.data)
          .sort((a, b) => b.length - a.length)
          .filter((type) => name.startsWith(`${type}-`))
          .map((type) => [type, name.slice(type.length + 1)])[0]
  const text = (value) => JSON.stringify(value, baileys.BufferJSON.replacer)
  const shapes = {
    'a row per key, with names of files': {
      table: 'CREATE TABLE `Session` (pkId BIGINT PRIMARY KEY AUTO_INCREMENT, sessionId VARCHAR(128), id VARCHAR(255), data MEDIUMTEXT)',
      rows: records.map(([name, data]) => ({ sessionId: 'anna', id: escaped(name), data }))
    },
    'a row per key, in JSON': {
      table: 'CREATE TABLE `Session` (id BIGINT PRIMARY KEY AUTO_INCREMENT, bot_id VARCHAR(64), key_id VARCHAR(255), key_json JSON)',
      rows: records.map(([name, data]) => ({ bot_id: 'anna', key_id: name, key_json: data }))
    },
    'a row per key, with a column for its type': {
      table: 'CREATE TABLE `Session` (id CHAR(36), session_id VARCHAR(64), category VARCHAR(50), key_id VARCHAR(255), value LONGTEXT)',
      rows: records.map(([name, value], n) => ({
        id: `row-${n}`,
        session_id: 'anna',
        category: parts(name)[0],
        key_id: parts(name)[1],
        value
      }))
    },
    'a row per key, encoded twice': {
      table: 'CREATE TABLE `Session` (session VARCHAR(64), name VARCHAR(255), value LONGBLOB)',
      rows: records.map(([name, value]) => ({ session: 'anna', name, value: JSON.stringify(value) }))
    },
    'names that begin with the session': {
      table: 'CREATE TABLE `Session` (id VARCHAR(255) PRIMARY KEY, value LONGTEXT)',
      rows: records.map(([name, value]) => ({ id: `baileys-auth-state:anna:${name}`, value })),
      tenantId: '{-1}'
    },
    'a row per session': {
      table: 'CREATE TABLE `Session` (id INT, sessionId VARCHAR(64), creds LONGTEXT, `keys` LONGTEXT)',
      rows: [{ id: 1, sessionId: 'anna', creds: text(session.creds), '`keys`': text(session.data) }]
    },
    'a row per session, all of it in one value': {
      table: 'CREATE TABLE `Session` (id VARCHAR(64), creds LONGTEXT)',
      rows: [{ id: 'anna', creds: text({ creds: session.creds, keys: session.data }) }]
    }
  }
  for (const [what, { table, rows, tenantId }] of Object.entries(shapes)) {
    const { at, name, options } = await place(t)
    await sql(`USE ${name}`, table, ...insert('`Session`', rows))
    // Tables of the rest of the application, which look like those of a session.
    await sql(
      `USE ${name}`,
      'CREATE TABLE settings (id VARCHAR(99), value TEXT)',
      "INSERT INTO settings VALUES ('smtp_creds', 'secret'), ('pre-key', '1')",
      'CREATE TABLE integrations (id INT, credentials TEXT)',
      "INSERT INTO integrations VALUES (1, '{}')"
    )
    const report = await hybrid.migrate({ ...options, tenantId })
    assert.deepEqual(
      report.sessions.map(({ tenantId: id, status, message }) => [id, status, message]),
      [['anna', 'migrated', null]],
      what
    )
    assert.deepEqual(report.sessions[0].keys, countsOf(session.data), what)
    await assertArrived(at, baileys, 'anna', session)
  }
})

test('credentials in one table and keys in another are one session', async (t) => {
  const { at, name, options } = await place(t)
  const session = await aSession(baileys)
  const [[, creds], ...keys] = recordsOf(baileys, session)
  await sql(
    `USE ${name}`,
    'CREATE TABLE WhatsappSession (id CHAR(36), tenantId VARCHAR(64), creds JSON)',
    ...insert('WhatsappSession', [{ id: 'x', tenantId: 'anna', creds }])
  )
  await sql(
    `USE ${name}`,
    'CREATE TABLE WhatsappKey (tenantId VARCHAR(64), name VARCHAR(255), value JSON)',
    ...insert(
      'WhatsappKey',
      keys.map(([key, value]) => ({ tenantId: 'anna', name: key, value }))
    )
  )
  const report = await hybrid.migrate(options)
  assert.deepEqual(
    report.sessions.map(({ status, message }) => [status, message]),
    [['migrated', null]]
  )
  assert.equal(report.withoutCreds, 0)
  await assertArrived(at, baileys, 'anna', session)
  await sql(
    `USE ${name}`,
    'CREATE TABLE OldKey (tenantId VARCHAR(64), name VARCHAR(255), value JSON)',
    ...insert('OldKey', [{ tenantId: 'anna', name: 'pre-key-1', value: '{}' }])
  )
  const [found] = (await hybrid.migrate({ ...options, directory: `${at.directory}-2` })).sessions
  assert.equal(found.status, 'ambiguous')
  assert.match(found.message, /several tables.*OldKey/)
})

test('the credentials of Evolution, whose keys are elsewhere, are not taken for a whole session', async (t) => {
  const { name, options } = await place(t)
  const session = await aSession(baileys)
  const creds = JSON.stringify(JSON.stringify(session.creds, baileys.BufferJSON.replacer))
  await sql(
    `USE ${name}`,
    'CREATE TABLE `Session` (id VARCHAR(64), sessionId VARCHAR(64), creds TEXT, createdAt DATETIME)',
    ...insert('`Session`', [{ id: 'c1', sessionId: 'instance-1', creds }])
  )
  const [found] = (await hybrid.migrate({ ...options, dryRun: true })).sessions
  assert.deepEqual([found.tenantId, found.status, found.layout], ['instance-1', 'credsOnly', 'session-records'])
})

test('sessions in several tables are a choice, and columns of other names are named', async (t) => {
  const { at, name, options } = await place(t)
  const session = await aSession(baileys)
  const rows = recordsOf(baileys, session)
  for (const table of ['auth', 'auth_old'])
    await sql(
      `USE ${name}`,
      `CREATE TABLE ${table} (session VARCHAR(50), id VARCHAR(80), value LONGTEXT)`,
      ...insert(
        table,
        rows.map(([id, value]) => ({ session: 'anna', id, value }))
      )
    )
  await sql(
    `USE ${name}`,
    'CREATE TABLE odd (wer VARCHAR(50), was VARCHAR(255), wie LONGTEXT)',
    ...insert(
      'odd',
      rows.map(([was, wie]) => ({ wer: 'anna', was, wie }))
    )
  )
  const error = await rejection(hybrid.migrate(options))
  assert.equal(error.code, 'INVALID_OPTION')
  assert.match(error.message, /several tables \(auth, auth_old\).*`table`/)
  assert.equal((await hybrid.migrate({ ...options, from: `${options.from}?table=auth`, dryRun: true })).totals.ready, 1)
  const unknown = await rejection(hybrid.migrate({ ...options, from: `${options.from}?table=odd` }))
  assert.match(unknown.message, /columns.*auth/)
  const columns = { session: 'wer', key: 'was', value: 'wie' }
  await hybrid.migrate({ ...options, from: { kind: 'mysql', url: options.from, table: 'odd', columns } })
  await assertArrived(at, baileys, 'anna', session)
  assert.match(
    (
      await rejection(
        hybrid.migrate({ ...options, from: { kind: 'mysql', url: options.from, table: 'odd', columns: { ...columns, key: 'nix' } } })
      )
    ).message,
    /columns\.key/
  )
  assert.match((await rejection(hybrid.migrate({ ...options, from: `${options.from}?table=nix` }))).message, /no table of the name.*auth/)
})

test('values that a column cut off are damaged, and ids that fill theirs are warned of', async (t) => {
  const { name, options } = await place(t)
  const session = await aSession(baileys)
  const rows = recordsOf(baileys, session)
  await sql(
    `USE ${name}`,
    "SET SESSION sql_mode = ''",
    'CREATE TABLE auth (session VARCHAR(50), id VARCHAR(30), value VARCHAR(2000))',
    ...insert(
      'auth',
      rows.filter(([, value]) => value.length < 2000 || value.includes('_sessions')).map(([id, value]) => ({ session: 'keys', id, value }))
    )
  )
  const cut = rows.filter(([, value]) => value.length > 2000 && value.includes('_sessions')).length
  assert.ok(cut > 0)
  await sql(`USE ${name}`, 'ALTER TABLE auth MODIFY value TEXT', [`REPLACE INTO auth VALUES ('keys', 'creds', ?)`, [rows[0][1]]])
  await sql(`USE ${name}`, "SET SESSION sql_mode = ''", 'ALTER TABLE auth MODIFY value VARCHAR(4000)')
  const [found] = (await hybrid.migrate({ ...options, dryRun: true })).sessions
  assert.deepEqual([found.status, found.code, found.leftOut.damaged], ['damaged', 'LOCAL_CORRUPT', { session: cut }])
  assert.ok(found.warnings.some((warning) => /fill their column/.test(warning)))
  const lenient = (await hybrid.migrate({ ...options, dryRun: true, allowDamagedKeys: true })).sessions[0]
  assert.equal(lenient.status, 'ready')
  await sql(
    `USE ${name}`,
    [`UPDATE auth SET value = ? WHERE id = 'creds'`, [rows[0][1].slice(0, 1500)]],
    "SET SESSION sql_mode = ''",
    'ALTER TABLE auth MODIFY value VARCHAR(1500)'
  )
  const [creds] = (await hybrid.migrate({ ...options, dryRun: true, allowDamagedKeys: true })).sessions
  assert.deepEqual([creds.status, creds.code], ['damaged', 'LOCAL_CORRUPT'])
  assert.match(creds.message, /credentials are damaged.*cut off.*1500/)
})

test('an empty table, keys without credentials and a database without sessions are told apart', async (t) => {
  const { name, options } = await place(t)
  const why = async () => {
    const error = await rejection(hybrid.migrate(options))
    return `${error.code}: ${error.message}`
  }
  assert.match(await why(), /INVALID_OPTION: the source has no tables/)
  await sql(`USE ${name}`, 'CREATE TABLE auth (session VARCHAR(50), id VARCHAR(80), value LONGTEXT)')
  assert.match(await why(), /NOT_FOUND.*empty: auth/)
  const session = await aSession(baileys)
  const [, ...keys] = recordsOf(baileys, session)
  await sql(
    `USE ${name}`,
    ...insert(
      'auth',
      keys.map(([id, value]) => ({ session: 'anna', id, value }))
    )
  )
  assert.match(await why(), /NOT_FOUND.*1 session has keys but no credentials/)
  await sql(`USE ${name}`, ...insert('auth', [{ session: 'anna', id: 'creds', value: '' }]))
  const [found] = (await hybrid.migrate(options)).sessions
  assert.deepEqual([found.tenantId, found.status, found.code], ['anna', 'damaged', 'LOCAL_CORRUPT'])
})

test('a wrong password, database, right or address is a typed error without a secret in it', async (t) => {
  const { name, options } = await place(t)
  await sql(
    `USE ${name}`,
    'CREATE TABLE auth (session VARCHAR(50), id VARCHAR(80), value LONGTEXT)',
    "CREATE USER IF NOT EXISTS 'blind'@'127.0.0.1' IDENTIFIED BY 'x'"
  )
  const secret = 'wrong-secret-9'
  const cases = [
    [server.url(name, 'sessions', secret), 'REMOTE_REFUSED', /user or the password/],
    [server.url('nowhere'), 'REMOTE_REFUSED', /no database of that name/],
    [server.url(name, 'blind', 'x'), 'REMOTE_REFUSED', /no database of that name, or it is closed/],
    [`mysql://sessions:${secret}@127.0.0.1:1/${name}`, 'REMOTE_UNAVAILABLE', /ECONNREFUSED/],
    [`mysql://sessions:${secret}@:::/x`, 'INVALID_OPTION', /not a URL/],
    [`mysql:///x`, 'INVALID_OPTION', /must name a server/],
    [`mongodb://u:${secret}@h/db`, 'INVALID_OPTION', /mongoexport/],
    [{ kind: 'mysql', url: options.from, password: secret }, 'INVALID_OPTION', /url, table, columns/],
    [{ kind: 'mysql', url: options.from, columns: { value: 'a' } }, 'INVALID_OPTION', /`key`/]
  ]
  for (const [from, code, words] of cases) {
    const error = await rejection(hybrid.migrate({ ...options, from }))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    for (const hidden of [secret, PASSWORD, encodeURIComponent(PASSWORD), '127.0.0.1'])
      assert.ok(!error.message.includes(hidden), error.message)
  }
})

test('a password can be in the variable that the tools of the server take it from', async (t) => {
  const { name, options } = await place(t)
  await withMysqlBaileys(name, 'anna')
  const from = new URL(options.from)
  from.password = ''
  process.env.MYSQL_PWD = PASSWORD
  t.after(() => delete process.env.MYSQL_PWD)
  assert.equal((await hybrid.migrate({ ...options, from, dryRun: true })).totals.ready, 1)
  delete process.env.MYSQL_PWD
  assert.equal((await rejection(hybrid.migrate({ ...options, from, dryRun: true }))).code, 'REMOTE_REFUSED')
})

test('a driver that the application lacks is named', async (t) => {
  const { options } = await place(t)
  process.chdir('/')
  t.after(() => process.chdir(app.folder))
  const error = await rejection(hybrid.migrate(options))
  assert.equal(error.code, 'INVALID_OPTION')
  assert.match(error.message, /npm install mysql2`/)
})

test('what a database has no use for is refused before it is asked', async (t) => {
  const { options } = await place(t)
  const code = async (more) => (await rejection(hybrid.migrate({ ...options, ...more }))).code
  assert.equal(await code({ cleanup: true }), 'INVALID_OPTION')
  assert.equal(await code({ layout: 'flat' }), 'INVALID_OPTION')
  assert.equal(await code({ layout: 'key-records', from: '.' }), 'INVALID_OPTION')
  const report = { version: 1, dryRun: false, sessions: [{ tenantId: 'anna', path: 'anna', layout: 'key-records', status: 'migrated' }] }
  assert.match((await rejection(hybrid.cleanupMigrated({ ...options, report }))).message, /only read/)
  assert.match((await rejection(hybrid.cleanupMigrated({ ...options, report: { ...report, sessions: [] } }))).message, /only read/)
})
