'use strict'

// Migration of the sessions of other systems, and the removal of their source, as a step of its own.
//
// Invariant: nothing is removed unless --apply is said, and only with the report of the migration in hand.

const { readFileSync, statSync, writeFileSync } = require('node:fs')
const { basename, resolve } = require('node:path')
const { UsageError } = require('../exit.js')
const { count, plural, size } = require('../output.js')
const { placeIn, readKeys } = require('../settings.js')
const { tell } = require('../tenants.js')
const { allAtOnce } = require('../work.js')

/** The id or template that is given, under either name of the option. */
function tenantIdOf({ tenantId, tenant }) {
  if (tenantId !== undefined && tenant !== undefined)
    throw new UsageError('--tenant is the former name of --tenant-id, and both are given', 'Use --tenant-id.')
  return tenantId ?? tenant
}

/** Layouts of sessions in a database. */
const OF_DATABASES = ['key-records', 'key-hashes', 'session-records']

const WELL = ['migrated', 'already', 'ready']

const sum = (counts) => Object.values(counts).reduce((total, n) => total + n, 0)

/** Sessions of a report as `tell` takes them: one that failed for want of something else is an error with its code. */
const resultsOf = (sessions) =>
  sessions.map((session) => {
    const { tenantId, status, code, message } = session
    return status === 'failed' ? { item: tenantId, error: Object.assign(new Error(message), { code }) } : { item: tenantId, value: session }
  })

const isOfDatabase = ({ sessions }) => sessions.some(({ layout }) => OF_DATABASES.includes(layout))

function tellMigrated(output, report, document = {}) {
  return tell(output, resultsOf(report.sessions), {
    isGood: ({ status }) => WELL.includes(status),
    word: ({ status }) => status,
    columns: [
      { title: 'FROM', of: ({ path }) => path || '.' },
      { title: 'LAYOUT', of: ({ layout }) => layout },
      { title: 'KEYS', right: true, of: ({ keys }) => count(sum(keys)) },
      { title: 'FILES', right: true, of: ({ files }) => count(files) },
      { title: 'SIZE', right: true, of: ({ bytes }) => size(bytes) }
    ],
    fields: (session) => session,
    details: ({ message, warnings }) => [message, ...warnings].filter(Boolean),
    summary: () => {
      const parts = Object.entries(report.totals)
        .filter(([, n]) => n > 0)
        .map(([status, n]) => `${count(n)} ${status}`)
      const missing = report.missing.length > 0 ? `, ${count(report.missing.length)} not in the source (${report.missing.join(', ')})` : ''
      const closed = report.unreadable?.length > 0 ? ` Skipped, because they are not readable: ${report.unreadable.join(', ')}.` : ''
      const keysOnly =
        report.withoutCreds > 0
          ? ` Skipped, because they have keys and no credentials: ${plural(report.withoutCreds, isOfDatabase(report) ? 'session' : 'folder')}.`
          : ''
      const others = Object.entries(report.profiles ?? {}).filter(([, n]) => n > 0)
      const profiles = others
        .map(([layout, n]) => ` Not read: ${plural(n, 'session')} of whatsapp-web.js; \`--layout ${layout}\` does.`)
        .join('')
      const tooMany =
        report.unsearched > 0
          ? ` Not searched for single-file sessions: ${plural(report.unsearched, 'JSON file')}; \`--layout single-file\` does.`
          : ''
      return `${plural(report.sessions.length, 'session')}: ${parts.join(', ') || 'none'}${missing}.${closed}${keysOnly}${tooMany}${profiles}`
    },
    document
  })
}

/** Options of the package for the source. */
function sourceOf({ asked, options, output }, from) {
  const keys = asked.sourceKeyFile === undefined ? [] : readKeys(asked.sourceKeyFile, '--source-key-file', output)
  if (keys.length > 1) throw new UsageError('the file of --source-key-file holds several keys', 'Give the one that encrypted the source.')
  return { ...options, from: placeIn(from, output), ...(keys.length === 1 && { sourceKey: keys[0] }) }
}

async function cleanUp(context, from) {
  const { asked, output } = context
  const { cleanupMigrated } = require('../../index.js')
  let report
  try {
    const parsed = JSON.parse(readFileSync(asked.cleanup, 'utf8'))
    report = parsed.report ?? parsed
  } catch {
    throw new UsageError('the file of --cleanup is not the report of a migration', 'Name the file that `migrate --report <file>` wrote.')
  }
  const options = { ...sourceOf(context, from), report, confirm: asked.apply === true, allowMovedOn: asked.allowMovedOn === true }
  const how = { title: 'clean up', changes: asked.apply === true, done: 'Checked' }
  const cleaned = await allAtOnce(context, (onProgress) => cleanupMigrated({ ...options, onProgress }), how)
  const code = tell(output, resultsOf(cleaned.sessions), {
    isGood: ({ status }) => ['removed', 'gone', 'removable'].includes(status),
    word: ({ status }) => status,
    columns: [
      { title: 'FROM', of: ({ path }) => path || '.' },
      { title: 'FILES', right: true, of: ({ files }) => count(files) }
    ],
    fields: (session) => session,
    details: ({ message }) => (message ? [message] : []),
    summary: (good, bad) =>
      `${plural(good, 'source')} ${asked.apply ? 'removed' : 'can be removed'}${bad > 0 ? `, ${count(bad)} kept` : ''}.`,
    document: { applied: asked.apply === true, totals: cleaned.totals }
  })
  if (!asked.apply) output.note('Nothing was removed: this was a dry run. Use --apply to remove them.')
  return code
}

async function migrateAll(context, from) {
  const { asked, output } = context
  if (asked.cleanup !== undefined) return cleanUp(context, from)
  if (asked.apply || asked.allowMovedOn) throw new UsageError('--apply and --allow-moved-on belong to --cleanup')
  const { migrate } = require('../../index.js')
  const options = {
    ...sourceOf(context, from),
    layout: asked.layout,
    keysFrom: asked.andFrom === undefined ? undefined : placeIn(asked.andFrom, output),
    tenantId: tenantIdOf(asked),
    only: asked.only,
    allowCredsOnly: asked.allowCredsOnly === true,
    allowDamagedKeys: asked.allowDamagedKeys === true,
    dryRun: asked.dryRun === true
  }
  const how = { title: 'migrate', changes: !asked.dryRun, done: 'Migrated' }
  const report = await allAtOnce(context, (onProgress) => migrate({ ...options, onProgress }), how)
  if (asked.report !== undefined) writeReport(asked.report, report)
  const code = tellMigrated(output, report, { report })
  if (asked.dryRun) output.note('Nothing was written: this was a dry run.')
  return code
}

function writeReport(file, report) {
  try {
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 })
  } catch (error) {
    throw new UsageError(
      `the file of --report cannot be written (${error.code})`,
      'The migration itself is done: run it again with another file.'
    )
  }
}

async function importFolder(context, folder) {
  const { asked, output } = context
  const isFile = statSync(folder, { throwIfNoEntry: false })?.isFile() === true
  const tenantId = tenantIdOf(asked) ?? basename(resolve(folder), isFile ? '.json' : '')
  const { migrate } = require('../../index.js')
  const options = {
    ...sourceOf(context, folder),
    // A session that lies deeper is another one.
    tenantId: ({ path }) => (path === '' || isFile ? tenantId : null),
    allowCredsOnly: asked.allowCredsOnly === true,
    allowDamagedKeys: asked.allowDamagedKeys === true
  }
  const report = await allAtOnce(context, (onProgress) => migrate({ ...options, onProgress }), {
    title: 'import',
    changes: true,
    done: 'Imported'
  })
  if (report.sessions.length === 0)
    throw new UsageError('the folder itself contains no session, only its subfolders do', 'Choose one of them, or use `migrate` for all.')
  return tellMigrated(output, report)
}

const LAYOUTS = ['auto', 'flat', 'keys-folder', 'keys-file', 'single-file', ...OF_DATABASES, 'wwebjs-zip', 'wwebjs-local']

const LENIENT = [
  ['--source-key-file <file>', 'a file with the key of a source encrypted with AES-256-CBC, 64 hex digits'],
  ['--allow-creds-only', 'accept credentials without any keys: such a session connects, but cannot decrypt'],
  ['--allow-damaged-keys', 'skip unreadable key files']
]

module.exports = { migrateAll, importFolder, LAYOUTS, LENIENT }
