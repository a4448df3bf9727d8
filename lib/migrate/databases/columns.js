'use strict'

// The columns of a table, or the fields of a document, by what they hold: which session, which key, which value.
//
// Invariant: a table counts only if its columns have names that stores of Baileys use, or those that the caller gave; whether it holds
// sessions is decided by its rows.

/** Names as stores use them, best first, without case and underscores. */
const NAMES = {
  session: [
    'sessionid',
    'session',
    'sessionname',
    'sessionkey',
    'instanceid',
    'instancename',
    'instance',
    'botid',
    'clientid',
    'tenantid',
    'tenant',
    'accountid',
    'waaccountid',
    'deviceid',
    'userid',
    'scope',
    'ns',
    'namespace',
    'phonenumber',
    'phone',
    'number'
  ],
  type: ['type', 'category', 'keytype'],
  key: ['keyid', 'key', 'keyname', 'name', 'field', 'filename', 'id', '_id'],
  value: ['value', 'data', 'valuejson', 'keyjson', 'jsonvalue', 'keydata', 'keyvalue', 'content', 'payload'],
  creds: ['creds', 'credentials', 'credsjson'],
  keys: ['keys', 'signalkeys', 'keysjson']
}

const plain = (name) => (name === '_id' ? name : name.toLowerCase().replace(/_/g, ''))

/**
 * The first of the columns that has one of these names, and can hold what it should.
 * @param {any[]} columns
 * @param {keyof typeof NAMES} role
 * @param {(column: any) => boolean} [allowed]
 */
function find(columns, role, allowed = () => true) {
  for (const name of NAMES[role]) {
    const column = columns.find((each) => plain(each.name) === name && allowed(each))
    if (column !== undefined) return column
  }
  return undefined
}

const isText = ({ kind }) => kind === 'text'
const isName = ({ kind }) => kind === 'text' || kind === 'number'

/** The roles that the caller gave, with the columns that the table has; a name that is none is answered in `missing`. */
function askedRoles(columns, asked) {
  const roles = {}
  for (const [role, name] of Object.entries(asked)) {
    roles[role] = columns.find((column) => column.name === name)
    if (roles[role] === undefined) return { missing: role }
  }
  return roles
}

/**
 * Roles of the columns of a table; null for a table of something else. With `creds`, a row is a session; else it is a key.
 * @param {{ name: string, kind: string, max: number | null }[]} columns  `kind`: text, number or other
 * @param {Record<string, string>} [asked]
 * @returns {any}
 */
function rolesOf(columns, asked) {
  if (asked !== undefined) return askedRoles(columns, asked)
  const session = find(columns, 'session', isName)
  const creds = find(columns, 'creds')
  if (creds !== undefined) return { session: session ?? find(columns, 'key', isName), creds, keys: find(columns, 'keys') }
  const key = find(columns, 'key', (column) => isText(column) && column !== session)
  const value = find(columns, 'value', (column) => column !== key)
  if (value === undefined || key === undefined) return null
  return { session, type: find(columns, 'type', isText), key, value }
}

module.exports = { rolesOf }
