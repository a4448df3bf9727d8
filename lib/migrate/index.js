'use strict'

// Migration: sessions of other systems become sessions of ours, one by one, verified.
//
// Invariants: a session is read whole before its target is touched, becomes one batch, and is compared by value afterwards; a
// target that exists is never written. Whatever moment this is killed at, running it again finds what was done and does the rest.

const { ownFields } = require('../checks.js')
const { HybridAuthError } = require('../errors.js')
const { CREDS, holdKeys } = require('../multi-file/names.js')
const { checkMigrate, openEnds } = require('./options.js')
const { cleanupSessions } = require('./cleanup.js')
const { noSessions } = require('./databases/index.js')
const { findSessions, nameTenants } = require('./layouts.js')
const { countProfiles } = require('./profile-layouts.js')
const { isOfProfiles, migrateProfiles } = require('./profiles.js')
const { readSession } = require('./read.js')
const { CHANGED, STATUSES, differs, refused, runAll } = require('./run.js')
const { LAYOUT: SINGLE, findSingles, singleAt } = require('./singles.js')
const { identityOf } = require('./target.js')

const CREDS_ONLY =
  'the source has credentials but no keys: it would connect, but not decrypt messages of contacts; find the folder of the last ' +
  'instance, or set `allowCredsOnly`'

const NEEDS_A_DISK =
  "sessions are not migrated in `mode: 'cloud'`, because an import needs a disk: migrate with `mode: 'hybrid'` " +
  '(BAILEYS_HYBRID_AUTH_MODE=hybrid, which overrides other variables), the same `store` and keys, and any `directory`; then open them in `cloud`'

const ONLY_READ = 'a database is only read: `cleanup` does not apply; remove the sessions there by hand, once the new service runs'

function counted(items) {
  const counts = new Map()
  for (const { type } of items) counts.set(type, (counts.get(type) ?? 0) + 1)
  return Object.fromEntries(counts)
}

/** Warnings: a person should look at them although they stop nothing. */
function warningsOf({ creds, entries }, notUnderstood) {
  const warnings = []
  const isPaired = creds.me !== undefined && creds.me !== null
  if (isPaired && creds.nextPreKeyId > 1 && holdKeys(entries) && !entries.some(({ type }) => type === 'pre-key')) {
    warnings.push('there are no pre-keys although some were created: the copy may be incomplete')
  }
  if (notUnderstood > 0) warnings.push(`${notUnderstood} .json files are not keys and were skipped`)
  return warnings
}

/** Decision about a target that exists; `lsn` 1 says that nothing was written since it was created. */
function judge(there, session, target) {
  if (target.compare(there.entries, target.expected(session)).isEqual) return { status: 'already' }
  if (there.creds === null || identityOf(there.creds) !== identityOf(session.creds)) {
    return { status: 'conflict', code: 'INVALID_OPTION', message: 'the tenant has a session of another identity: it was not changed' }
  }
  if (there.lsn > 1)
    return { status: 'newer-target', message: 'the tenant already has this session and has used it since: it was not changed' }
  return {
    status: 'newer-source',
    code: 'INVALID_OPTION',
    message:
      'the source was written after the tenant was created from it: stop the old system, delete the tenant, and migrate with `fresh: true`'
  }
}

const describe = ({ lsn, digest }) => ({ lsn, digest })

/** The first reason for which keys are damaged, where one is known. */
function whyDamaged(damaged) {
  const why = damaged.find((each) => each.why !== undefined)?.why
  return why === undefined ? '' : `; ${why}`
}

/** A session of the source, read whole. */
const readFrom = (source, found, keys) => (source.kind === 'database' ? source.read(found, keys) : readSession(source, found, keys))

/** Outcome of reading, in the words of a report. */
function unreadable(error) {
  if (error.code === 'LOCAL_CORRUPT') return refused('damaged', error.code, `${error.message}; it was not migrated`)
  if (error.code === 'INVALID_OPTION') return refused('ambiguous', error.code, error.message)
  return refused('failed', error.code ?? 'INTERNAL', error.message)
}

/** Reads, makes and compares one session; answers what changes in its report. */
async function migrateOne(found, { source, target, keys }, { allowCredsOnly, allowDamagedKeys, dryRun }) {
  if (found.problem !== null) return refused('ambiguous', 'INVALID_OPTION', found.problem)
  let session
  try {
    session = await readFrom(source, found, keys)
  } catch (error) {
    return unreadable(error)
  }
  if (session.creds === null)
    return refused('failed', 'LOCAL_UNAVAILABLE', 'the session disappeared while it was read: the old system is still running')
  const notUnderstood = found.notUnderstood + session.left.length + session.lost
  const answer = {
    encrypted: session.encrypted,
    keys: counted(session.entries),
    files: session.files,
    bytes: session.bytes,
    leftOut: { damaged: counted(session.damaged), notUnderstood, otherFiles: found.otherFiles },
    warnings: [...warningsOf(session, notUnderstood), ...(session.warnings ?? [])],
    digest: session.digest,
    identity: identityOf(session.creds)
  }
  if (session.damaged.length > 0 && !allowDamagedKeys) {
    return {
      ...answer,
      ...refused(
        'damaged',
        'LOCAL_CORRUPT',
        `keys are damaged: fix or remove them, or skip them with \`allowDamagedKeys\`${whyDamaged(session.damaged)}`
      )
    }
  }
  if (!holdKeys(session.entries) && !allowCredsOnly) return { ...answer, ...refused('credsOnly', 'INVALID_OPTION', CREDS_ONLY) }
  return { ...answer, ...(await settleTarget(found, session, { source, target, keys }, dryRun)) }
}

async function settleTarget(found, session, { source, target, keys }, dryRun) {
  const { tenantId } = found
  const there = await target.look(tenantId)
  if (there !== null) return { ...judge(there, session, target), target: describe(there) }
  if (dryRun) return { status: 'ready' }
  const made = await target.visit(tenantId, target.encodeSeed(session))
  // Made by an earlier run that was killed before the store had it, or by somebody else just now.
  if (!made.isNew) {
    const judged = judge(made, session, target)
    if (judged.status !== 'already') return { ...judged, target: describe(made) }
  }
  const stored = target.isReplicated ? await target.peek(tenantId) : made
  const isEqual = [made, stored].every((copy) => copy !== null && target.compare(copy.entries, target.expected(session)).isEqual)
  if (!isEqual) throw differs()
  const sourceChanged = await hasChanged(found, session, { source, keys })
  return { status: 'migrated', message: sourceChanged ? CHANGED : null, sourceChanged, target: describe(stored) }
}

/** True if a source is another one than it was. Files that came since are changes too. */
async function hasChanged(found, session, { source, keys }) {
  const again = source.kind === 'database' ? found : await foundAgain(found, source)
  if (again === undefined) return true
  return readFrom(source, again, keys).then(
    ({ digest }) => digest !== session.digest,
    () => true
  )
}

/** @param {any} found */
async function foundAgain({ path, layout }, source) {
  if (layout === SINGLE) return singleAt(path)
  const { sessions } = findSessions((await source.list(path)).names, layout)
  return sessions.find((/** @type {any} */ session) => session.path === path)
}

/** All sessions of a source, those in one file too. */
async function survey({ source, keys }, layout) {
  if (source.kind === 'database') {
    const { all, empty, ...counts } = await source.survey(layout)
    if (all.length === 0) throw noSessions({ ...counts, empty })
    return { all, ...counts, unsearched: 0, unreadable: [], ours: 0, profiles: countProfiles([], source) }
  }
  const { names, odd, linked, unreadable } = await source.list()
  const isSingle = layout === SINGLE
  const { sessions, ours, others, withoutCreds } = findSessions(names, isSingle ? 'auto' : layout, linked)
  const isLooked = isSingle || layout === 'auto'
  const { singles, unsearched } = isLooked ? await findSingles(source, others, keys, isSingle) : { singles: [], unsearched: 0 }
  const passedOver = others.length - singles.length + odd
  return {
    all: [...(isSingle ? [] : sessions), ...singles],
    passedOver,
    unsearched,
    withoutCreds,
    unreadable,
    ours,
    profiles: countProfiles(others, source)
  }
}

/** See types/migrate.d.ts. */
async function migrate(given = {}) {
  if (given === null || typeof given !== 'object') throw new HybridAuthError('INVALID_OPTION', 'the options must be an object')
  const {
    from,
    keysFrom,
    sourceKey,
    tenantId,
    layout,
    concurrency,
    allowCredsOnly,
    allowDamagedKeys,
    dryRun,
    cleanup,
    only,
    onProgress,
    ...options
  } = ownFields(given)
  const asked = checkMigrate({ tenantId, layout, concurrency, allowCredsOnly, allowDamagedKeys, dryRun, cleanup, only, onProgress })
  if (isOfProfiles(asked.layout)) return migrateProfiles(from, asked, options)
  const ends = await openEnds({ from, keysFrom, sourceKey, layout: asked.layout }, options)
  try {
    return await migrateAll(ends, asked)
  } finally {
    await ends.source.close?.()
  }
}

async function migrateAll(ends, asked) {
  if (ends.target.cloud) throw new HybridAuthError('INVALID_OPTION', NEEDS_A_DISK)
  if (ends.source.kind === 'database' && asked.cleanup) throw new HybridAuthError('INVALID_OPTION', ONLY_READ)
  const { all, ...counts } = await survey(ends, asked.layout)
  if (all.length === 0) throw nothing(counts)
  const named = nameTenants(all, { tenantId: asked.tenantId, label: ends.source.label, own: ends.source.own })
  // An id that cannot be one is refused here, before the first session is made.
  for (const { tenantId } of named) ends.target.folderOf(tenantId)
  const report = await runAll(named, (found) => migrateOne(found, ends, asked), asked, { leftOut: all.length - named.length, ...counts })
  if (asked.cleanup) report.cleanup = await cleanupSessions(report, ends, { confirm: true, concurrency: asked.concurrency })
  return report
}

/** The layouts that would read what was found of whatsapp-web.js; '' for nothing. */
function elsewhere(profiles) {
  const found = Object.entries(profiles).filter(([, count]) => count > 0)
  return found
    .map(([layout, count]) => `; ${count} ${count === 1 ? 'session' : 'sessions'} of whatsapp-web.js (set the layout \`${layout}\`)`)
    .join('')
}

function nothing({ ours, unsearched, withoutCreds, unreadable, profiles }) {
  const hint = 'it contains sessions of this package: use it as the `store`, and open or restore them'
  const others = elsewhere(profiles)
  if (ours > 0 && others === '') return new HybridAuthError('INVALID_OPTION', `the source needs no migration: ${hint}`)
  const few = (count, what) => `; ${count} ${count === 1 ? 'folder' : 'folders'} ${what}`
  const keysOnly = withoutCreds === 0 ? '' : few(withoutCreds, `with keys but without ${CREDS} or a backup of it (restore it)`)
  const closed = unreadable.length === 0 ? '' : few(unreadable.length, 'that cannot be read (grant this user access)')
  const tooMany =
    unsearched === 0 ? '' : `; ${unsearched} .json files were not searched (if sessions may be in them, set the layout \`single-file\`)`
  return new HybridAuthError(
    'NOT_FOUND',
    `there is no session in the source: no folder in it has a ${CREDS}, and no file is one of \`useSingleFileAuthState\`${keysOnly}${closed}${tooMany}${others}`
  )
}

module.exports = { migrate, STATUSES }
