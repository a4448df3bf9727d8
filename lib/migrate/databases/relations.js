'use strict'

// Tables of a SQL database whose columns are those of a session store, and the queries that are sent to them.
//
// Invariant: every query is a SELECT of the columns that have a role, with values as parameters.

const { refuse } = require('../../checks.js')
const { rolesOf } = require('./columns.js')

const ROLES = ['session', 'type', 'key', 'value', 'creds', 'keys']

const literal = (text) => text.replace(/[!%_]/g, '!$&')

/** The text in a cell. */
const cellText = (value) => (value === null || value === undefined ? '' : Buffer.isBuffer(value) ? value.toString('utf8') : String(value))

/** A table with its rows as `{ session, type, key, value, creds, keys }`. */
function relation({ quote, place, asText, query }, { schema, name, roles }) {
  const table = schema === null ? quote(name) : `${quote(schema)}.${quote(name)}`
  const column = (role) => quote(roles[role].name)
  const pattern = (role) => (roles[role].isPlain ? column(role) : asText(column(role)))
  const has = (role) => roles[role] !== undefined
  const select = (names, tests = [], rest = '') =>
    `SELECT ${names
      .filter(has)
      .map((role) => `${column(role)} AS ${quote(role)}`)
      .join(', ')} FROM ${table}${tests.length === 0 ? '' : ` WHERE ${tests.join(' AND ')}`}${rest}`
  const isThere = async (test, values) => (await query(`SELECT 1 AS one FROM ${table}${test} LIMIT 1`, values)).length > 0
  return {
    name: schema === null || schema === 'public' ? name : `${schema}.${name}`,
    roles,
    /** Characters that the column of a role takes; null for no limit. */
    max: (role) => roles[role]?.max ?? null,
    isEmpty: async () => !(await isThere('', [])),
    /** True if a row has one of the patterns in one of these columns. */
    holds(names, patterns) {
      const tests = names.flatMap((role, i) => patterns.map((_, n) => `${pattern(role)} LIKE ${place(i * patterns.length + n + 1)}`))
      return isThere(
        ` WHERE ${tests.join(' OR ')}`,
        names.flatMap(() => patterns)
      )
    },
    names: () => query(select(['session', 'type', 'key'])),
    sessions: () => query(select(['session'], [`${column('creds')} IS NOT NULL`])),
    /** Rows of a session; of a table without a column for it, those whose names begin with `prefix`. */
    async rows({ session, prefix = '' }) {
      const tests = []
      const values = []
      if (has('session')) tests.push(`${column('session')} = ${place(values.push(session))}`)
      if (prefix !== '') tests.push(`${pattern('key')} LIKE ${place(values.push(`${literal(prefix)}%`))} ESCAPE '!'`)
      const rows = await query(select(ROLES, tests), values)
      return rows.filter((row) => !has('session') || cellText(row.session) === session)
    }
  }
}

/** The tables that can hold sessions, or the one that is asked for. */
async function candidates(connection, { table, schema, columns: asked }) {
  const tables = await connection.tables()
  if (tables.length === 0)
    refuse(
      `the source has no tables${schema === undefined ? '' : ' in this schema'}: check the name of the database, and the rights of the user`
    )
  const named = table === undefined ? tables : tables.filter(({ schema: own, name }) => name === table || `${own}.${name}` === table)
  const fitting = tables.filter(({ columns }) => rolesOf(columns) !== null).map(({ name }) => name)
  const hint =
    fitting.length === 0 ? 'no other table has columns of a session store' : `tables that could be one: ${fitting.slice(0, 10).join(', ')}`
  if (named.length === 0) refuse(`the source has no table of the name in \`table\`; ${hint}`)
  if (asked !== undefined && table === undefined) refuse('`columns` needs `table`')
  const found = []
  for (const { schema: own, name, columns } of named) {
    const roles = rolesOf(columns, asked)
    if (roles?.missing) refuse(`the table has no column of the name in \`columns.${roles.missing}\``)
    if (roles !== null) found.push(relation(connection, { schema: own, name, roles }))
    else if (table !== undefined)
      refuse(
        `the columns of this table are not those of a known session store: name them with \`columns\`, such as { session, key, value }; ${hint}`
      )
  }
  return found
}

module.exports = { candidates, cellText }
