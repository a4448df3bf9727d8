'use strict'

// Databases as the source of a migration.
//
// Invariant: a database is opened to read it, and closed whatever happens; nothing is written there, and nothing is removed.

const fs = require('node:fs/promises')
const { join, basename } = require('node:path')
const { refuse } = require('../../checks.js')
const { HybridAuthError } = require('../../errors.js')
const { withKeys } = require('./keys-elsewhere.js')
const { LAYOUTS } = require('./layouts.js')
const { openExport } = require('./mongo-export.js')
const { databaseAt, isSqlite } = require('./place.js')
const { readRecords } = require('./records.js')
const { openRedis } = require('./redis.js')
const { openTables } = require('./tables.js')

const isFolder = (path) =>
  fs.stat(path).then(
    (stat) => stat.isDirectory(),
    () => false
  )

const withoutEnding = (name) => basename(name).replace(/\.[A-Za-z0-9]+$/, '')

/** A folder of SQLite files, each with sessions of its own: one is open at a time. */
function openFolder(spec) {
  async function within(name, work) {
    const source = await openTables({ ...spec, path: join(spec.path, name) })
    try {
      return await work(await source.survey())
    } finally {
      await source.close()
    }
  }
  async function survey() {
    const all = { sessions: [], passedOver: 0, withoutCreds: 0, empty: [] }
    for (const name of (await fs.readdir(spec.path)).sort()) {
      if (!isSqlite(join(spec.path, name))) continue
      const { sessions, ...counts } = await within(name, async (found) => found)
      for (const { path, parts, layout, problem } of sessions) {
        const fetch = () =>
          within(
            name,
            (again) =>
              again.sessions.find((session) => session.path === path)?.fetch() ?? { creds: null, records: [], blobs: [], others: 0 }
          )
        all.sessions.push({ path: [name, path].filter(Boolean).join('/'), parts: [withoutEnding(name), ...parts], layout, problem, fetch })
      }
      for (const field of ['passedOver', 'withoutCreds']) all[field] += counts[field]
      all.empty.push(...counts.empty)
    }
    return all
  }
  return { survey, close: async () => {} }
}

async function open(spec) {
  if (spec.kind === 'redis') return openRedis(spec)
  if (spec.kind === 'mongo-export') return openExport(spec)
  return spec.kind === 'sqlite' && (await isFolder(spec.path)) ? openFolder(spec) : openTables(spec)
}

/** The name of a session, where that is one word. */
const ownName =
  (label) =>
  ({ parts }) => {
    if (parts.length > 1)
      refuse(
        `names of sessions in the source have ${parts.length} parts: set their tenant ids, such as \`tenantId: '{-1}'\` for the last part`
      )
    if (parts.length === 0 && label === '') refuse('the source has a session without a name: set its tenant id with `tenantId`')
    return parts[0] ?? label
  }

/**
 * The database that `from` names, open.
 * @param {any} spec what `databaseAt` answers
 * @param {any} [elsewhere] where the keys are, if not with the credentials
 */
async function openDatabase(spec, elsewhere = null) {
  const source = await open(spec).catch(async (error) => {
    await elsewhere?.close()
    throw error
  })
  return {
    kind: 'database',
    own: ownName(spec.path === undefined ? '' : withoutEnding(spec.path)),
    /** All sessions of the source, of the layout that is asked for. */
    async survey(layout) {
      const { sessions, passedOver, withoutCreds, empty } = await source.survey()
      const all = sessions
        .filter((session) => layout === 'auto' || session.layout === layout)
        .map((session) => ({ notUnderstood: 0, otherFiles: 0, ...(elsewhere === null ? session : withKeys(session, elsewhere)) }))
      return { all: all.sort((a, b) => (a.path < b.path ? -1 : 1)), passedOver, withoutCreds, empty }
    },
    read: readRecords,
    async close() {
      await source.close()
      await elsewhere?.close()
    }
  }
}

/** The refusal of a source without sessions. */
function noSessions({ withoutCreds, passedOver, empty }) {
  const sessions = (count) => `${count} ${count === 1 ? 'session has' : 'sessions have'}`
  const reasons = [
    withoutCreds > 0 ? `; ${sessions(withoutCreds)} keys but no credentials (restore them)` : '',
    empty.length === 0
      ? ''
      : empty[0] === '*'
        ? '; it is empty'
        : `; ${empty.length === 1 ? 'this table is' : 'these tables are'} empty: ${empty.slice(0, 10).join(', ')}`,
    passedOver > 0 ? `; ${passedOver} records are of something else (choose others with \`table\` or \`match\`)` : ''
  ]
  return new HybridAuthError(
    'NOT_FOUND',
    `there is no session in the source: nothing in it is called creds and contains credentials of Baileys${reasons.join('')}`
  )
}

module.exports = { LAYOUTS, databaseAt, noSessions, openDatabase }
