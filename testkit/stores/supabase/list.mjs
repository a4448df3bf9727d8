// The two ways to list: by folder and page number, and by prefix and cursor.
//
// Invariant: both look at the database only, so that a list is never stale; they differ in everything else.

import { refuse } from './answers.mjs'

const NOTHING = { id: null, updated_at: null, created_at: null, last_accessed_at: null, metadata: null }
const LIMIT_V1 = 100
const LIMIT_V2 = 1000

const iso = (time) => new Date(time).toISOString()
const byBytes = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

const times = (row) => ({ updated_at: iso(row.updatedAt), created_at: iso(row.createdAt), last_accessed_at: iso(row.createdAt) })
const entry = (row, names) => ({ ...names, id: row.id, ...times(row), metadata: row.metadata })

/** A row as the batch remove shows it. */
export const wholeRow = (row) => ({
  name: row.name,
  bucket_id: row.bucket.id,
  owner: '',
  owner_id: '',
  version: row.version.id,
  id: row.id,
  ...times(row),
  metadata: row.metadata,
  user_metadata: row.userMetadata
})

/** The first list: one folder, not what is below; its name is always taken as that of a folder. */
export function listFolder(rows, { prefix, search = '', limit = LIMIT_V1, offset = 0, sortBy = {} }) {
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
  const wanted = search.toLowerCase()
  const folders = new Map()
  const files = []
  for (const row of rows) {
    if (!row.name.startsWith(folder)) continue
    const rest = row.name.slice(folder.length)
    const slash = rest.indexOf('/')
    const name = slash < 0 ? rest : rest.slice(0, slash)
    if (!name.toLowerCase().startsWith(wanted)) continue
    if (slash < 0) files.push({ name, row })
    else folders.set(name, { name, row: null })
  }
  const { column = 'name', order = 'asc' } = sortBy
  const entries =
    column === 'name' ? sortedByName([...folders.values(), ...files], order) : sortedByTime([...folders.values()], files, column, order)
  return entries.slice(offset, offset + limit).map(({ name, row }) => (row ? entry(row, { name }) : { name, ...NOTHING }))
}

const caseless = (a, b) => byBytes(a.name.toLowerCase(), b.name.toLowerCase()) || byBytes(a.name, b.name)

function sortedByName(entries, order) {
  entries.sort(caseless)
  if (order === 'asc') return entries
  entries.reverse()
  // As recorded: going down, a folder is passed over whose name only continues that of the folder after it.
  return entries.filter((here, i) => {
    const next = entries[i + 1]
    return here.row || !next || next.row || !here.name.startsWith(next.name)
  })
}

/** Folders have no times: they come first, in the order of their names. */
function sortedByTime(folders, files, column, order) {
  const time = { updated_at: 'updatedAt', created_at: 'createdAt', last_accessed_at: 'createdAt' }[column]
  folders.sort(caseless)
  files.sort((a, b) => a.row[time] - b.row[time] || a.row.sequence - b.row.sequence)
  if (order === 'desc') {
    folders.reverse()
    files.reverse()
  }
  return [...folders, ...files]
}

/** `l:` and the last name; from the second page on also the order. */
function readCursor(cursor) {
  const text = Buffer.from(cursor, 'base64').toString()
  const [, after, order = 'asc'] = text.match(/^l:([^\n]*)(?:\no:(asc|desc))?$/) ?? refuse('invalidParameter', 'continuation token')
  return { after, order }
}

/** The second list: whatever begins with the prefix, by bytes, from a cursor on. */
export function listPrefix(rows, { prefix = '', limit = LIMIT_V2, cursor = '', with_delimiter = false, sortBy = {} }) {
  if (sortBy.column !== undefined && sortBy.column !== 'name') refuse('invalidParameter', 'sortBy')
  const from = cursor === '' ? null : readCursor(cursor)
  const order = from?.order ?? sortBy.order ?? 'asc'
  const entries = new Map()
  for (const row of rows) {
    if (!row.name.startsWith(prefix)) continue
    const slash = with_delimiter ? row.name.indexOf('/', prefix.length) : -1
    const name = slash < 0 ? row.name : row.name.slice(0, slash + 1)
    entries.set(name, { name, row: slash < 0 ? row : null })
  }
  const direction = order === 'asc' ? 1 : -1
  const sorted = [...entries.values()].sort((a, b) => direction * byBytes(a.name, b.name))
  const left = from ? sorted.filter(({ name }) => direction * byBytes(name, from.after) > 0) : sorted
  const page = left.slice(0, Math.min(limit, LIMIT_V2))
  const last = page.at(-1)
  const more = left.length > page.length
  const next = more && Buffer.from(`l:${last.name}${from || order === 'desc' ? `\no:${order}` : ''}`).toString('base64')
  const key = (name) => (with_delimiter ? { key: name.replace(/\/$/, '').split('/').at(-1), name } : { name })
  return {
    hasNext: more,
    ...(more && { nextCursor: next, nextCursorKey: last.name }),
    folders: page.filter(({ row }) => !row).map(({ name }) => ({ ...key(name), ...NOTHING })),
    objects: page.filter(({ row }) => row).map(({ name, row }) => entry(row, key(name)))
  }
}
