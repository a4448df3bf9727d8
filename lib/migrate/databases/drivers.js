'use strict'

// The drivers of the application for databases, and what their failures mean.
//
// Invariants: this package depends on none of them; one is loaded only when a migration reads such a database. Messages hold the code of
// a failure and never its text, which may quote an address, a name or a password.

const { createRequire } = require('node:module')
const { dirname, join } = require('node:path')
const { HybridAuthError } = require('../../errors.js')

/** Files to look from: the working directory, the program's main module, this package. */
function viewpoints() {
  const main = require.main?.filename ?? process.argv[1]
  return [join(process.cwd(), 'index.js'), ...(main ? [join(dirname(main), 'index.js')] : []), __filename]
}

/** Time within which a server must answer. */
const CONNECT_MS = 10_000

const MISSING = ['MODULE_NOT_FOUND', 'ERR_UNKNOWN_BUILTIN_MODULE']

/** The first of the packages `names` that the application has, `{ name, driver }`: the one that is nearest to it. */
function loadDriver(names, what) {
  for (const point of viewpoints()) {
    for (const name of names) {
      try {
        return { name, driver: createRequire(point)(name) }
      } catch (error) {
        if (MISSING.includes(error.code)) continue
        throw new HybridAuthError(
          'INVALID_OPTION',
          `the package ${name} is installed and cannot be loaded (${error.code ?? 'it threw'}): install it again`
        )
      }
    }
  }
  const installable = names.filter((name) => !name.startsWith('node:')).map((name) => name.replace(/\/promise$/, ''))
  throw new HybridAuthError(
    'INVALID_OPTION',
    `to read ${what}, the application needs a driver for it: run \`npm install ${installable[0]}\`${installable.length > 1 ? ` (or ${installable.slice(1).join(', ')})` : ''}`
  )
}

/**
 * Codes of refusals, of MySQL, PostgreSQL and Redis, and their remedy.
 * @type {[RegExp, string][]}
 */
const REFUSALS = [
  [
    /^(ER_ACCESS_DENIED|ER_NOT_SUPPORTED_AUTH|28|WRONGPASS|NOAUTH)/,
    'the server refuses the user or the password of the source: check both, and write special characters of a URL as %40 for @ and so on'
  ],
  [
    /^(ER_BAD_DB|ER_DBACCESS_DENIED|3D000)/,
    'the server has no database of that name, or it is closed to this user: check the name at the end of the URL'
  ],
  [
    /^(ER_TABLEACCESS_DENIED|ER_COLUMNACCESS_DENIED|42501|NOPERM)/,
    'the user may not read the source: grant it SELECT on the table, or for Redis the categories @read and @scan'
  ],
  [/^(ER_NO_SUCH_TABLE|42P01)/, 'the table has disappeared while it was read'],
  [
    /CERT|^ERR_TLS|^UNABLE_TO_/,
    'the certificate of the server is not trusted: give the authority to the driver, in the URL or with NODE_EXTRA_CA_CERTS'
  ],
  [
    /^(MOVED|ASK|CLUSTERDOWN|CROSSSLOT)/,
    'the server is a node of a cluster, which a migration does not read: copy the keys to a single server first'
  ]
]

const DAMAGED = /SQLITE_CORRUPT|SQLITE_NOTADB/

/** The code in a failure of a driver: its own, or the first word of an answer of Redis. */
function codeOf(error) {
  const inner = error?.errors?.[0] ?? error?.cause ?? error
  const named = [error, inner].map((each) => each?.code).find((code) => typeof code === 'string' && /^[A-Z0-9_]{2,60}$/.test(code))
  const sqlite = { 11: 'SQLITE_CORRUPT', 26: 'SQLITE_NOTADB' }[(error?.errcode ?? 0) & 0xff]
  return sqlite ?? named ?? String(error?.message).match(/^([A-Z]{3,20})\b/)?.[1] ?? 'failed'
}

/** A failure of a driver as one of this package. */
function refusalOf(error) {
  if (error instanceof HybridAuthError) return error
  const code = codeOf(error)
  if (DAMAGED.test(code)) return new HybridAuthError('LOCAL_CORRUPT', `the file is not a whole SQLite database (${code})`)
  const refusal = REFUSALS.find(([form]) => form.test(code))
  if (refusal !== undefined) return new HybridAuthError('REMOTE_REFUSED', `${refusal[1]} (${code})`)
  return new HybridAuthError('REMOTE_UNAVAILABLE', `the source cannot be read: ${code}`)
}

/** Answers what `work` does; fails as this package does. */
async function guardedBy(work) {
  try {
    return await work()
  } catch (error) {
    throw refusalOf(error)
  }
}

module.exports = { CONNECT_MS, guardedBy, loadDriver }
