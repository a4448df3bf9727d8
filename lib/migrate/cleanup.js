'use strict'

// Removing a source after its migration: a step of its own, for sessions that are proved to be elsewhere.
//
// Invariants: a source goes only if it is, file by file, what was migrated, and every record in it is in the target, by value,
// at this moment; files that were not migrated stay. creds.json goes first, with its copies: what is left of an interrupted
// removal is never a session. What was removed is looked for again.

const { HybridAuthError } = require('../errors.js')
const { databaseAt } = require('./databases/index.js')
const { checkReport } = require('./report.js')
const { byFolder, folderOf, sessionAt } = require('./layouts.js')
const { openEnds, own } = require('./options.js')
const { atOnce, flag, ownFields, refuse } = require('../checks.js')
const { each } = require('../pool.js')
const { readSession } = require('./read.js')
const { refused } = require('./run.js')
const { LAYOUT: SINGLE, singleAt } = require('./singles.js')
const { identityOf } = require('./target.js')

const STATUSES = ['removed', 'removable', 'gone', 'source-changed', 'moved-on', 'missing', 'failed']

/** Parts of a session in the source: its description (`found`), its files, its `place`, and the `folder` that is empty after them. */
async function locate({ path, layout }, source) {
  const isSingle = layout === SINGLE
  const place = isSingle ? folderOf(path) : path
  const { names } = await source.list(place)
  const found = isSingle ? singleAt(path) : sessionAt(byFolder(names), path, layout)
  const listed = new Set(names)
  const named = [found.creds, ...found.credsCopies, found.keysFile, found.single, ...found.keys.map(({ name }) => name), ...found.copies]
  const files = [...new Set(named)].filter((name) => listed.has(name))
  return { found, files, place, folder: found.layout === 'keys-folder' ? `${path}${path && '/'}keys` : place }
}

/** Reason to keep a source, by what was read of it and by what the tenant has; null for none. */
async function reasonToKeep(session, read, target, allowMovedOn) {
  // Without credentials it is the rest of a removal that was interrupted, or nothing of ours: each record is then looked for.
  if (read.creds !== null && read.digest !== session.digest) {
    return refused('source-changed', 'INVALID_OPTION', 'the source differs from the migrated one: stop the old system; the source was kept')
  }
  const there = await target.look(session.tenantId)
  if (there === null) return refused('missing', 'NOT_FOUND', 'the tenant has no session: the source was kept')
  if (there.creds === null || identityOf(there.creds) !== session.identity) {
    return refused('missing', 'INVALID_OPTION', 'the tenant has a session of another identity: the source was kept')
  }
  if (target.compare(there.entries, target.expected(read)).hasAll) return null
  const isLater = read.creds !== null && session.target !== null && there.lsn > session.target.lsn
  if (!isLater) return refused('missing', 'INVALID_OPTION', 'the tenant does not have every record of the source: the source was kept')
  if (allowMovedOn) return null
  return refused(
    'moved-on',
    'INVALID_OPTION',
    'the tenant has been used since, so the two can no longer be compared; remove the source with `allowMovedOn`'
  )
}

/** Removes the files `going`, and the folder that is empty after them. */
async function removeFrom(source, { found, place, folder }, going) {
  // Copies of the credentials before them: a reader of these would otherwise find a session once more.
  const first = [...found.credsCopies, found.creds].filter((name) => name !== undefined)
  for (const name of first) await source.remove([name])
  await source.remove(going.filter((name) => !first.includes(name)))
  const left = new Set((await source.list(place)).names)
  if (going.some((name) => left.has(name)))
    return refused('failed', 'REMOTE_REFUSED', 'the source still lists removed files: check the permission to delete')
  await source.tidy(folder)
  return { status: 'removed', files: going.length }
}

async function cleanOne(session, { source, target, keys }, { confirm, allowMovedOn }) {
  const there = await locate(session, source)
  if (there.files.length === 0) {
    // A removal that was interrupted at its very end has left its folder.
    if (confirm) await source.tidy(there.folder)
    return { status: 'gone' }
  }
  const read = await readSession(source, there.found, keys)
  const reason = await reasonToKeep(session, read, target, allowMovedOn)
  if (reason !== null) return reason
  // Files that could not be read were not migrated.
  const kept = new Set([...read.damaged, ...read.left].map(({ name }) => name))
  const going = there.files.filter((name) => !kept.has(name))
  return confirm ? removeFrom(source, there, going) : { status: 'removable', files: going.length }
}

/**
 * Cleans up after the sessions of a report that were verified.
 * @param {any} report
 * @param {any} ends
 * @param {{ confirm: boolean, allowMovedOn?: boolean, concurrency: number, onProgress?: (step: object) => void }} how
 */
async function cleanupSessions(report, ends, { confirm, allowMovedOn = false, concurrency, onProgress }) {
  const done = report.sessions.filter(({ status, sourceChanged }) => (status === 'migrated' || status === 'already') && !sourceChanged)
  const sessions = new Array(done.length)
  let count = 0
  const work = async ([i, session]) => {
    const answer = await cleanOne(session, ends, { confirm, allowMovedOn }).catch((error) =>
      refused('failed', error.code ?? 'INTERNAL', error.message)
    )
    sessions[i] = { tenantId: session.tenantId, path: session.path, code: null, message: null, files: 0, ...answer }
    return { tenantId: session.tenantId, status: sessions[i].status, done: ++count, total: done.length }
  }
  await each(done.entries(), concurrency, work, onProgress)
  const totals = Object.fromEntries(STATUSES.map((status) => [status, sessions.filter((session) => session.status === status).length]))
  return { sessions, totals }
}

/** See types/migrate.d.ts. */
async function cleanupMigrated(given = {}) {
  if (given === null || typeof given !== 'object') throw new HybridAuthError('INVALID_OPTION', 'the options must be an object')
  const { from, report, sourceKey, confirm, allowMovedOn, concurrency, onProgress, ...options } = ownFields(given)
  checkReport(report)
  if (databaseAt(from) !== null) refuse('`from` is a database, which is only read: pass the source of the report')
  const how = {
    confirm: flag(own({ confirm }, 'confirm')),
    allowMovedOn: flag(own({ allowMovedOn }, 'allowMovedOn')),
    concurrency: atOnce(concurrency, 4),
    onProgress
  }
  return cleanupSessions(report, await openEnds({ from, sourceKey }, options), how)
}

module.exports = { cleanupMigrated, cleanupSessions }
