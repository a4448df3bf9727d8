'use strict'

// Migration of the profiles of whatsapp-web.js: zips of RemoteAuth and folders of LocalAuth become sessions of HybridAuth.
//
// Invariants: the source is only read. A profile is proved before its target is touched, becomes one generation, and is compared file by
// file afterwards; a session that exists is never written. One zip is in memory at a time, whatever the source; copies are on the
// disk, in a private folder that is removed again.

const { mkdir, mkdtemp, rm } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { refuse } = require('../checks.js')
const { HybridAuthError } = require('../errors.js')
const { resolveSource } = require('../config/options.js')
const { digestOf, isSame } = require('../profile/contents.js')
const { serial } = require('../serial.js')
const { isOurs } = require('./layouts.js')
const { LAYOUTS, LOCAL, ZIP, countProfiles, findProfiles, nameProfiles, onlyProfiles } = require('./profile-layouts.js')
const { digestNow, readProfile } = require('./profile-read.js')
const { openProfileTarget } = require('./profile-target.js')
const { CHANGED, differs, refused, runAll } = require('./run.js')
const { openSource } = require('./source.js')

const WHAT = {
  [ZIP]: 'no file in it is called `RemoteAuth-<client id>.zip` or `<client id>.zip`',
  [LOCAL]: 'no folder in it is called `session` or `session-<client id>` and has `Default/IndexedDB`'
}

/** True for a layout of browser profiles. */
const isOfProfiles = (layout) => LAYOUTS.includes(layout)

/** A source whose zips are copied one after another. */
function oneByOne(source) {
  const inTurn = serial()
  return { ...source, copy: (...args) => inTurn(() => source.copy(...args)) }
}

/** Outcome of reading, in the words of a report. */
function unreadable(error) {
  const isDamaged = ['LOCAL_CORRUPT', 'INVALID_OPTION'].includes(error.code)
  return refused(
    isDamaged ? 'damaged' : 'failed',
    error.code ?? 'INTERNAL',
    isDamaged ? `${error.message}; it was not migrated` : error.message
  )
}

/** Decision about a target that exists: a profile does not tell whose it is. */
function judge(there, { contents }) {
  if (isSame(there.contents, contents)) return { status: 'already' }
  if (there.generation > 1)
    return { status: 'newer-target', message: 'the tenant already has a session and has used it since: it was not changed' }
  return { status: 'conflict', code: 'INVALID_OPTION', message: 'the tenant has another profile: it was not changed' }
}

async function settleTarget(found, read, { source, target }, dryRun, room) {
  const { tenantId } = found
  const describe = ({ lsn, contents }) => ({ lsn, digest: digestOf(contents) })
  const judged = (there) => ({ ...judge(there, read), target: describe(there) })
  const there = await target.look(tenantId, room.path('there'))
  if (there !== null) return judged(there)
  if (dryRun) return { status: 'ready' }
  const isMade = await target.make(tenantId, read.folder)
  const stored = await target.look(tenantId, room.path('stored'))
  if (stored === null) throw differs()
  // Made by somebody else just now.
  if (!isMade) return judged(stored)
  if (!isSame(stored.contents, read.contents)) throw differs()
  const sourceChanged = (await digestNow(source, found, room)) !== read.digest
  return { status: 'migrated', message: sourceChanged ? CHANGED : null, sourceChanged, target: describe(stored) }
}

/** Reads, proves, makes and compares one session; answers what changes in its report. */
async function migrateOne(found, ends, { dryRun }, room) {
  let read
  try {
    read = await readProfile(ends.source, found, room)
  } catch (error) {
    return unreadable(error)
  }
  const { digest, files, bytes, others, warnings } = read
  return {
    digest,
    files,
    bytes,
    warnings,
    leftOut: { damaged: {}, notUnderstood: 0, otherFiles: others },
    ...(await settleTarget(found, read, ends, dryRun, room))
  }
}

/** Work with a private folder, for copies. */
async function inRoom(at, work) {
  await mkdir(at, { mode: 0o700 })
  try {
    return await work({ path: (name) => join(at, name) })
  } finally {
    await rm(at, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Tells names that belong to none of these sessions. */
function othersThan(sessions) {
  const paths = new Set(sessions.map(({ path }) => path))
  return (name) => {
    if (paths.has('')) return false
    for (let at = name.length; at !== -1; at = name.lastIndexOf('/', at - 1)) {
      if (paths.has(name.slice(0, at))) return false
      if (at === 0) break
    }
    return true
  }
}

function openProfileSource(from, { layout, cleanup }, options) {
  if (from === undefined || from === null) refuse('`from` must be the place of the sessions of the other system')
  if (cleanup)
    refuse(`\`cleanup\` does not apply to the layout ${layout}: the source is only read; remove it by hand, once the clients run`)
  const source = openSource(resolveSource(from, '`from`', options))
  if (layout === LOCAL && source.kind !== 'folder') refuse(`the layout ${LOCAL} reads a local folder: \`from\` must be its path`)
  return oneByOne(source)
}

/**
 * `migrate` for the layouts of browser profiles.
 * @param {any} from
 * @param {any} asked options that `checkMigrate` has checked
 * @param {any} options those of the sessions
 */
async function migrateProfiles(from, asked, options) {
  const source = openProfileSource(from, asked, options)
  const only = onlyProfiles(asked.only)
  const scratch = await mkdtemp(join(tmpdir(), 'hybrid-auth-migrate-'))
  try {
    const target = openProfileTarget(options, join(scratch, 'home'))
    const { names, odd, unreadable: closed } = await source.list()
    const all = findProfiles(names, asked.layout, source)
    if (all.length === 0)
      throw new HybridAuthError('NOT_FOUND', `there is no session of the layout ${asked.layout} in the source: ${WHAT[asked.layout]}`)
    const named = nameProfiles(all, { tenantId: asked.tenantId, label: source.label })
    // An id that cannot be one is refused here, before the first session is made.
    for (const { tenantId } of named) target.check(tenantId)
    const theirs = names.filter((name) => !isOurs(name))
    const counts = {
      leftOut: all.length - named.length,
      passedOver: theirs.filter(othersThan(all)).length + (asked.layout === ZIP ? odd : 0),
      unsearched: 0,
      withoutCreds: 0,
      unreadable: closed,
      ours: names.length - theirs.length,
      profiles: { ...countProfiles(names, source), [asked.layout]: 0 }
    }
    let rooms = 0
    const work = (found) => inRoom(join(scratch, `session-${++rooms}`), (room) => migrateOne(found, { source, target }, asked, room))
    return await runAll(named, work, { ...asked, only }, counts)
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 })
  }
}

module.exports = { isOfProfiles, migrateProfiles }
