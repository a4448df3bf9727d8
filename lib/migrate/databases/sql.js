'use strict'

// Connections to SQL databases, through the drivers of the application: MySQL and MariaDB, PostgreSQL, SQLite.
//
// Invariants: nothing but SELECT is sent, in a transaction that can only read; a SQLite file is read from a private copy, because to read it in its
// place can write beside it. Texts come as they are stored, JSON too.

const fs = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { basename, join } = require('node:path')
const { HybridAuthError } = require('../../errors.js')
const { serial } = require('../../serial.js')
const { CONNECT_MS, guardedBy, loadDriver } = require('./drivers.js')

const backticks = (name) => `\`${name.replaceAll('`', '``')}\``
const quotes = (name) => `"${name.replaceAll('"', '""')}"`

const TEXTS = /^(char|character|character varying|varchar|nvarchar|text|tinytext|mediumtext|longtext|json|jsonb|uuid|citext|name|enum)/i
/** Types that a pattern can be compared with as they are, so that an index helps. */
const PLAIN = /^(char|character|varchar|nvarchar|text|tinytext|mediumtext|longtext)/i
const NUMBERS = /^(int|integer|bigint|smallint|mediumint|tinyint|serial|bigserial|numeric|decimal)/i

/** A column as `rolesOf` takes it; one of no type, which SQLite allows, may hold text. */
const columnOf = (name, type, max) => ({
  name,
  kind: type === '' || TEXTS.test(type) ? 'text' : NUMBERS.test(type) ? 'number' : 'other',
  isPlain: PLAIN.test(type),
  max: max === null || max === undefined ? null : Number(max)
})

/** Rows `{ schema, name, column, type, max }` -> tables with their columns. */
function tablesOf(rows) {
  const tables = new Map()
  for (const { schema, name, column, type, max } of rows) {
    const key = JSON.stringify([schema, name])
    if (!tables.has(key)) tables.set(key, { schema, name, columns: [] })
    tables.get(key).columns.push(columnOf(column, type, max))
  }
  return [...tables.values()]
}

/** A password that the tools of a server take from a variable. */
function passwordIn(url, variable) {
  const value = process.env[variable]
  return url.password === '' && url.username !== '' && value ? { password: value } : {}
}

async function mysql({ url }) {
  const { driver } = loadDriver(['mysql2/promise'], 'MySQL or MariaDB')
  const connection = await driver.createConnection({
    uri: url.href,
    ...passwordIn(url, 'MYSQL_PWD'),
    connectTimeout: CONNECT_MS,
    charset: 'utf8mb4',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true
  })
  // A failure between two queries reaches the next one.
  connection.on('error', () => {})
  const query = async (sql, values = []) => (await connection.query(sql, values))[0]
  await query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
  return {
    quote: backticks,
    place: () => '?',
    asText: (column) => `CAST(${column} AS CHAR)`,
    query,
    begin: () => query('START TRANSACTION READ ONLY'),
    end: () => query('COMMIT'),
    tables: async () =>
      tablesOf(
        await query(
          'SELECT NULL AS `schema`, TABLE_NAME AS `name`, COLUMN_NAME AS `column`, DATA_TYPE AS `type`, CHARACTER_MAXIMUM_LENGTH AS `max` ' +
            'FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION'
        )
      ),
    close: () => connection.end()
  }
}

/** Values as text, as the server writes them; those of bytea are bytes. */
const types = { getTypeParser: (oid) => (oid === 17 ? (text) => Buffer.from(text.slice(2), 'hex') : (text) => text) }

async function postgres({ url, schema }) {
  const { driver } = loadDriver(['pg'], 'PostgreSQL')
  const Client = driver.Client ?? driver.default.Client
  const client = new Client({ connectionString: url.href, connectionTimeoutMillis: CONNECT_MS, types })
  client.on('error', () => {})
  await client.connect()
  const query = async (text, values = []) => (await client.query({ text, values })).rows
  return {
    quote: quotes,
    place: (n) => `$${n}`,
    asText: (column) => `CAST(${column} AS TEXT)`,
    query,
    begin: () => query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY'),
    end: () => query('COMMIT'),
    tables: async () =>
      tablesOf(
        await query(
          'SELECT table_schema AS "schema", table_name AS "name", column_name AS "column", data_type AS "type", character_maximum_length AS "max" ' +
            'FROM information_schema.columns WHERE CASE WHEN CAST($1 AS TEXT) IS NULL THEN table_schema = ANY(current_schemas(false)) ELSE table_schema = $1 END ' +
            'ORDER BY table_schema, table_name, ordinal_position',
          [schema ?? null]
        )
      ),
    close: () => client.end()
  }
}

/** Opens a file with SQLite; answers `{ all, close }`. */
function sqliteDatabase(path) {
  const { name, driver } = loadDriver(['better-sqlite3', 'node:sqlite'], 'SQLite (Node has one from 22.13)')
  if (name === 'better-sqlite3') {
    const database = new driver(path)
    return { all: (sql, values) => database.prepare(sql).all(...values), close: () => database.close() }
  }
  const database = new driver.DatabaseSync(path)
  return { all: (sql, values) => database.prepare(sql).all(...values), close: () => database.close() }
}

/** Files beside a database that belong to it. */
const PARTS = ['', '-wal', '-journal']

/** Sizes and times of a database and of what belongs to it. */
async function stampOf(path) {
  const stamps = await Promise.all(
    PARTS.map((part) =>
      fs.stat(path + part, { bigint: true }).then(
        ({ size, mtimeNs }) => `${size}:${mtimeNs}`,
        () => ''
      )
    )
  )
  return stamps.join('|')
}

const ATTEMPTS = 3

/** Copies a database as it is at one moment; answers its stamp. */
async function copyDatabase(path, to) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await stampOf(path)
    for (const part of PARTS) {
      await fs.rm(to + part, { force: true })
      await fs.copyFile(path + part, to + part).catch((error) => {
        if (part === '' || error.code !== 'ENOENT')
          throw new HybridAuthError('LOCAL_UNAVAILABLE', `the database cannot be copied to read it: ${error.code}`)
      })
    }
    await fs.rm(`${to}-shm`, { force: true })
    if ((await stampOf(path)) === before) return before
  }
  throw new HybridAuthError('LOCAL_UNAVAILABLE', 'the database is written again and again while it is read: stop the old system')
}

async function sqlite({ path }) {
  const stat = await fs.stat(path).catch((error) => {
    throw new HybridAuthError(
      error.code === 'ENOENT' ? 'INVALID_OPTION' : 'LOCAL_UNAVAILABLE',
      error.code === 'ENOENT' ? '`from` is not an existing file' : `the source cannot be read: ${error.code}`
    )
  })
  if (!stat.isFile()) throw new HybridAuthError('INVALID_OPTION', '`from` must be the file of a SQLite database')
  const room = await fs.mkdtemp(join(tmpdir(), 'hybrid-auth-migrate-'))
  const copy = join(room, basename(path))
  let database
  let stamp
  const close = async () => {
    database?.close()
    await fs.rm(room, { recursive: true, force: true, maxRetries: 5 })
  }
  async function begin() {
    if (database !== undefined && (await stampOf(path)) === stamp) return
    database?.close()
    database = undefined
    stamp = await copyDatabase(path, copy)
    database = sqliteDatabase(copy)
  }
  try {
    await begin()
  } catch (error) {
    await close()
    throw error
  }
  const query = async (sql, values = []) => database.all(sql, values)
  return {
    quote: quotes,
    place: () => '?',
    asText: (column) => `CAST(${column} AS TEXT)`,
    query,
    begin,
    end: async () => {},
    tables: async () => {
      const names = await query("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")
      const rows = []
      for (const { name } of names) {
        for (const { column, type } of await query('SELECT name AS "column", type FROM pragma_table_info(?) ORDER BY cid', [name]))
          rows.push({ schema: null, name, column, type, max: null })
      }
      return tablesOf(rows)
    },
    close
  }
}

const CONNECT = { mysql, postgres, sqlite }

/**
 * Connects to the database that `databaseAt` describes. `reading(work)` runs work in a transaction that can only read; one at a time.
 * @returns {Promise<any>}
 */
async function connectSql(spec) {
  const connection = await guardedBy(() => CONNECT[spec.kind](spec))
  const inTurn = serial()
  const reading = (work) =>
    inTurn(() =>
      guardedBy(async () => {
        await connection.begin()
        try {
          return await work()
        } finally {
          await connection.end().catch(() => {})
        }
      })
    )
  return { ...connection, reading, close: () => connection.close().catch(() => {}) }
}

module.exports = { connectSql }
