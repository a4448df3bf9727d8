// Sessions in SQLite files: the store that comes with the next Baileys, Keyv's table, tables of Prisma; with each driver that this Node has.
//
// Invariant guarded: the file, and what lies beside it, is byte for byte what it was, also while another process has it open; what is
// not in the file yet but in its log is read too.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { lines } from '../../testkit/baileys/lines.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { aSession, assertArrived, countsOf, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import { hybrid, rejection, scene } from '../../testkit/processes/sessions.mjs'

/** The tables of `useSqliteAuthState`, of the branch from which the next Baileys is made. */
const BAILEYS = `
CREATE TABLE creds (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE signal_keys (type TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (type, id));
CREATE INDEX signal_keys_type_idx ON signal_keys(type)`

const DRIVERS = ['better-sqlite3', ...(builtinModules.includes('node:sqlite') || builtinModules.includes('sqlite') ? ['node:sqlite'] : [])]

let app
let baileys
let Database

before(async () => {
  baileys = await lines[0].load()
  app = application('better-sqlite3')
  Database = app.load('better-sqlite3')
})

const text = (value) => JSON.stringify(value, baileys.BufferJSON.replacer)

/** A database with the session as Baileys writes it; it stays open, with its last writes in the log alone. */
function writeBaileys(t, path, { creds, data }) {
  const database = new Database(path)
  t.after(() => database.close())
  database.exec('PRAGMA journal_mode = WAL')
  for (const statement of BAILEYS.split(';')) database.exec(statement)
  database.prepare('INSERT INTO creds VALUES (?, ?)').run('__creds__', text(creds))
  const insert = database.prepare('INSERT INTO signal_keys VALUES (?, ?, ?)')
  for (const [type, records] of Object.entries(data)) for (const [id, value] of Object.entries(records)) insert.run(type, id, text(value))
  return database
}

function place(t) {
  const at = scene(t)
  const folder = join(at.root, 'source')
  mkdirSync(folder)
  return { at, folder, options: { ...at.local, store: null, baileys } }
}

// Of its own: migrations of other test files copy their databases to the same place meanwhile.
process.env.TMPDIR = mkdtempSync(join(tmpdir(), 'hybrid-auth-sqlite-'))
after(() => rmSync(process.env.TMPDIR, { recursive: true, force: true }))

/** All files but the index of the log, which every reader shares. */
const filesIn = (folder) =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .filter((name) => !name.endsWith('-shm'))
      .map((name) => [name, readFileSync(join(folder, name)).toString('latin1')])
  )
const leftovers = () =>
  readdirSync(tmpdir())
    .filter((name) => name.startsWith('hybrid-auth-migrate-'))
    .sort()

for (const driver of DRIVERS) {
  const use = () => (driver === 'node:sqlite' ? process.chdir('/') : process.chdir(app.folder))

  test(`${driver}: the store of the next Baileys is read, with what is in its log, and nothing beside it changes`, async (t) => {
    use()
    const { at, folder, options } = place(t)
    const session = await aSession(baileys)
    const path = join(folder, 'anna.db')
    writeBaileys(t, path, session)
    assert.ok(existsSync(`${path}-wal`))
    const [before, rooms] = [filesIn(folder), leftovers()]
    for (const from of [path, `sqlite://${path}`, pathToFileURL(path), { kind: 'sqlite', path }]) {
      const [found] = (await hybrid.migrate({ ...options, from, dryRun: true })).sessions
      assert.deepEqual([found.tenantId, found.status, found.layout], ['anna', 'ready', 'key-records'])
    }
    const [found] = (await hybrid.migrate({ ...options, from: path })).sessions
    assert.deepEqual([found.status, found.message, found.keys], ['migrated', null, countsOf(session.data)])
    await assertArrived(at, baileys, 'anna', session)
    assert.deepEqual(filesIn(folder), before)
    assert.deepEqual(leftovers(), rooms, 'the copy is gone')
  })

  test(`${driver}: a folder of such files is one session each, called like its file`, async (t) => {
    use()
    const { at, folder, options } = place(t)
    const sessions = { anna: await aSession(baileys), ben: await aSession(baileys) }
    for (const [name, session] of Object.entries(sessions)) writeBaileys(t, join(folder, `${name}.sqlite`), session)
    writeFileSync(join(folder, 'readme.txt'), 'no database')
    const report = await hybrid.migrate({ ...options, from: `sqlite://${folder}` })
    assert.deepEqual(
      report.sessions.map(({ tenantId, status, path }) => [tenantId, status, path]),
      [
        ['anna', 'migrated', 'anna.sqlite'],
        ['ben', 'migrated', 'ben.sqlite']
      ]
    )
    for (const [name, session] of Object.entries(sessions)) await assertArrived(at, baileys, name, session)
  })

  test(`${driver}: a damaged database, a table without sessions and a file that is none are told`, async (t) => {
    use()
    const { folder, options } = place(t)
    const path = join(folder, 'a.db')
    const database = writeBaileys(t, path, await aSession(baileys))
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const bytes = readFileSync(path)
    const torn = join(folder, 'torn.db')
    writeFileSync(torn, bytes)
    truncateSync(torn, 4096)
    const damaged = await rejection(hybrid.migrate({ ...options, from: torn }))
    assert.equal(damaged.code, 'LOCAL_CORRUPT', damaged.message)
    const empty = join(folder, 'empty.db')
    const other = new Database(empty)
    other.exec('CREATE TABLE settings (a TEXT)')
    other.close()
    assert.equal((await rejection(hybrid.migrate({ ...options, from: empty }))).code, 'NOT_FOUND')
    const code = async (from) => (await rejection(hybrid.migrate({ ...options, from }))).code
    assert.equal(await code(`sqlite://${join(folder, 'nix.db')}`), 'INVALID_OPTION')
    assert.equal(await code(`sqlite://${path}?mode=ro`), 'INVALID_OPTION')
    writeFileSync(join(folder, 'text.db'), 'hello')
    assert.equal(await code(`sqlite://${join(folder, 'text.db')}`), 'LOCAL_CORRUPT')
    database.exec('DELETE FROM creds')
    const half = await rejection(hybrid.migrate({ ...options, from: path }))
    assert.match(half.message, /1 session has keys but no credentials.*empty: creds/)
    database.prepare('INSERT INTO creds VALUES (?, ?)').run('__creds__', '{"noiseKey":')
    const [found] = (await hybrid.migrate({ ...options, from: path })).sessions
    assert.deepEqual([found.status, found.code], ['damaged', 'LOCAL_CORRUPT'])
  })
}

test('the table of Keyv is read from SQLite', async (t) => {
  process.chdir(app.folder)
  const { at, folder, options } = place(t)
  const session = await aSession(baileys)
  const path = join(folder, 'keyv.sqlite')
  const database = new Database(path)
  database.exec('CREATE TABLE keyv(key VARCHAR(255) PRIMARY KEY, value TEXT )')
  for (const [name, value] of recordsOf(baileys, session))
    database.prepare('INSERT INTO keyv VALUES (?, ?)').run(`keyv:anna:${name}`, JSON.stringify({ value, expires: null }))
  database.close()
  assert.equal((await hybrid.migrate({ ...options, from: path, tenantId: '{-1}' })).totals.migrated, 1)
  await assertArrived(at, baileys, 'anna', session)
})

test('a file that is written after it was read is a change of the source', async (t) => {
  process.chdir(app.folder)
  const { folder, options } = place(t)
  const path = join(folder, 'anna.db')
  const database = writeBaileys(t, path, await aSession(baileys))
  let isWritten = false
  const { replacer, reviver } = baileys.BufferJSON
  // The first value that is written to the new store: by then the old one was read.
  const BufferJSON = {
    reviver,
    replacer(name, value) {
      if (!isWritten) database.prepare('INSERT INTO signal_keys VALUES (?, ?, ?)').run('pre-key', '100', '{}')
      isWritten = true
      return replacer(name, value)
    }
  }
  const [found] = (await hybrid.migrate({ ...options, BufferJSON, from: path })).sessions
  assert.deepEqual([found.status, found.sourceChanged], ['migrated', true])
})
