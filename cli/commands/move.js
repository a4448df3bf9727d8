'use strict'

// Moving sessions: to this machine, and out to folders of `useMultiFileAuthState`.
//
// Invariant: each session that is opened here is closed here, whatever happens, so that no ownership is left behind.

const { join, resolve } = require('node:path')
const { Option } = require('commander')
const { UsageError } = require('../exit.js')
const { count, plural, size } = require('../output.js')
const { counted, released, sessionsAskedFor, tell, tenantsAskedFor } = require('../tenants.js')
const { allAtOnce, forEach, forOne } = require('../work.js')
const { isProfileTenant } = require('../../lib/profile-tenants.js')
const { LAYOUTS, LENIENT, importFolder, migrateAll } = require('./migrate.js')

const TAKEOVER = ['--takeover', 'also take sessions that another instance has not released; it is then fenced']

const SOURCES = { remote: 'the store', local: 'this machine', imported: 'a multi-file folder', fresh: 'nothing' }

const NO_DISK = 'mode cloud keeps nothing on a machine: there is nothing to restore here'

/** Folders of the sessions in the store, without disturbing their owners. */
async function extract(context, tenants, folder) {
  const { asked, output, fleet } = context
  const { exportTree } = require('../../lib/multi-file/export-tree.js')
  const write = (onProgress) =>
    exportTree(folder, tenants, (...args) => fleet.extract(...args), { overwrite: asked.overwrite === true, onProgress })
  const { exported, failed } = await allAtOnce(context, write, { title: 'extract', changes: true, done: 'Extracted' })
  const values = new Map(
    [...exported, ...failed].map(({ tenantId, error, ...value }) => [tenantId, error === undefined ? { value } : { error }])
  )
  return tell(
    output,
    tenants.map((tenantId) => ({ item: tenantId, ...values.get(tenantId) })),
    {
      word: 'written',
      columns: [
        { title: 'FOLDER', of: (value) => join(folder, value.folder) },
        { title: 'KEYS', right: true, of: ({ keys }) => count(keys) },
        { title: 'SIZE', right: true, of: ({ bytes }) => size(bytes) },
        { title: 'LSN', right: true, of: ({ lsn }) => String(lsn) }
      ],
      fields: (value) => value,
      details: ({ clean }) => (clean ? [] : ['an instance has this session: do not use the folder beside it']),
      summary: counted('written')
    }
  )
}

/** Advice for a session that cannot be restored because it is in use. */
const IN_USE = {
  ALREADY_OPEN: 'It is on this machine and in use, so there is nothing to restore; for a copy use --to, or another --directory.',
  OWNED_ELSEWHERE: 'Stop that instance first, use --to for a copy beside it, or use --takeover to take the session from it.'
}

function notHere(error) {
  throw Object.hasOwn(IN_USE, error?.code) ? Object.assign(error, { advice: IN_USE[error.code] }) : error
}

async function restore(context, named) {
  const { asked, output, fleet, resolved } = context
  if (asked.overwrite && asked.to === undefined) throw new UsageError('--overwrite belongs to --to')
  if (asked.takeover && asked.to !== undefined) throw new UsageError('--takeover has no effect with --to, which takes over no session')
  if (asked.to === undefined && resolved.cloud)
    throw new UsageError(NO_DISK, 'Open them directly; `verify` and `drill` check them, and --to writes folders.')
  const tenants = await (asked.to === undefined ? sessionsAskedFor : tenantsAskedFor)(fleet, named, asked)
  if (asked.to !== undefined) return extract(context, tenants, asked.to)
  const openAndClose = async (tenantId) => {
    const judged = await released(context, fleet, tenantId).catch(notHere)
    const session = await judged.open(tenantId).catch(notHere)
    try {
      const { restored, keys, bytes, lsn, epoch } = session.status()
      return { ...restored, keys, bytes, lsn, epoch }
    } finally {
      await session.close()
    }
  }
  const results = await forEach(context, tenants, openAndClose, { title: 'restore', changes: true, done: 'Restored' })
  return tell(output, results, {
    word: 'restored',
    columns: [
      { title: 'FROM', of: ({ source }) => SOURCES[source] },
      { title: 'KEYS', right: true, of: ({ keys }) => count(keys) },
      { title: 'SIZE', right: true, of: ({ bytes }) => size(bytes) },
      { title: 'LSN', right: true, of: ({ lsn }) => String(lsn) }
    ],
    fields: (value) => value,
    details: ({ clean }) => (clean ? [] : ['its last owner did not close properly: its last moments may be missing']),
    summary: counted('restored')
  })
}

/** The profile of a browser, as LocalAuth or RemoteAuth has it. */
async function exportProfile(context, tenantId, folder) {
  const { asked, output, fleet } = context
  if (asked.local) throw new UsageError('--local does not apply to the profile of a browser, which is in a store')
  const write = async () => {
    const judged = await released(context, fleet, tenantId)
    return judged.exportProfile(tenantId, folder, { format: asked.format, overwrite: asked.overwrite === true })
  }
  const report = await forOne(context, tenantId, write, { changes: true, done: 'Exported' })
  output.result({ ok: true, tenantId, ...report }, () => {
    output.line(`The profile with ${plural(report.files, 'file')}, ${size(report.bytes)}, written to ${report.path}.`)
  })
}

async function exportFolder(context, tenantId, folder) {
  const { asked, output, fleet } = context
  if (isProfileTenant(tenantId)) return exportProfile(context, tenantId, folder)
  if (asked.format !== undefined) throw new UsageError('--format is for browser profiles, and this tenant is not one', 'Leave it out.')
  const write = async () => {
    const judged = await released(context, fleet, tenantId)
    return judged.exportMultiFile(tenantId, folder, { overwrite: asked.overwrite === true })
  }
  const report = await forOne(context, tenantId, write, { changes: true, done: 'Exported' })
  output.result({ ok: true, tenantId, folder: resolve(folder), ...report }, () => {
    output.line(`The credentials and ${plural(report.written, 'key')} written to ${folder}.`)
    if (report.collisions > 0) output.warn(`${count(report.collisions)} keys have names that are the same in a multi-file folder`)
    if (report.impossible > 0) output.warn(`${count(report.impossible)} keys have names that are impossible in a multi-file folder`)
  })
}

/** The former name of --tenant-id. */
const tenantAlias = () => new Option('--tenant <id>').hideHelp()

module.exports = {
  heading: 'Move:',
  commands(define) {
    define('restore [tenants...]', {
      summary: 'restore sessions from the store to this machine',
      description:
        'Opens and closes the sessions of these tenants: afterwards the directory of this machine contains them, checked and ' +
        'released. A session that another instance has not released is left to that instance. With --to, writes folders of ' +
        'useMultiFileAuthState instead and claims nothing; cloud mode requires --to.',
      options: [
        ['--all', 'all tenants in the store'],
        TAKEOVER,
        ['--to <folder>', 'write one multi-file folder per tenant below this one, and claim nothing'],
        ['--overwrite', 'with --to: also write into folders with files']
      ],
      examples: [
        ['restore --all --directory ./sessions', 'before a service starts on a new machine'],
        ['restore tenant-42 --takeover', 'from a machine that is gone'],
        ['restore --all --to ./copy', 'a copy of everything as files, while services run']
      ],
      action: restore
    })
    define('export <tenant> <folder>', {
      summary: 'write a session as a folder of useMultiFileAuthState, or for whatsapp-web.js',
      description:
        'Writes a session as a folder for useMultiFileAuthState, to go back to it. A session of whatsapp-web.js becomes a folder of LocalAuth ' +
        'or a zip of RemoteAuth in <folder>, their `dataPath`. Opens and closes the session. From ' +
        'then on use only one of the two: both at once spoil the encryption keys of the account.',
      options: [
        ['--overwrite', 'write into a folder with files; replace a session of whatsapp-web.js'],
        new Option('--format <form>', 'of a session of whatsapp-web.js: a folder of LocalAuth or a zip of RemoteAuth').choices([
          'local',
          'zip'
        ]),
        ['--local', 'export a session of this machine, without a store'],
        TAKEOVER
      ],
      examples: [
        ['export tenant-42 ./exported/tenant-42', 'go back to useMultiFileAuthState'],
        ['export whatsapp-web.js/shop-7 ./exported', 'go back to LocalAuth']
      ],
      action: exportFolder
    })
    define('import <folder>', {
      summary: 'take over one folder of useMultiFileAuthState',
      description:
        'Creates a session from a folder of useMultiFileAuthState, or from a file of useSingleFileAuthState, in the store and in the ' +
        'directory of this machine, and compares the two by value. Existing sessions are left alone. Stop the old system first; the ' +
        'source is not changed.',
      options: [['--tenant-id <id>', 'the tenant of the session; default: the name of the folder or file'], tenantAlias(), ...LENIENT],
      examples: [
        ['import ./auth/tenant-7', 'the tenant is tenant-7'],
        ['import ./baileys_auth_info --tenant-id tenant-8', 'a folder with another name']
      ],
      action: importFolder
    })
    define('migrate <from>', {
      summary: 'take over a tree of folders, a database, or the bucket of another system',
      description:
        'Creates sessions from everything below a folder, in a bucket or in a database (mysql://, postgres://, redis://, sqlite:///file, an export of ' +
        'mongoexport); each is read whole, stored in one batch, read back and compared by ' +
        'value. Existing sessions are left alone: run it again after an interruption. The source is not changed, until --cleanup removes ' +
        'sessions that are proved to be here.',
      options: [
        ['--tenant-id <template>', 'template of tenant ids: {1} is the first folder below the source, {2} the second, {-1} the last'],
        tenantAlias(),
        new Option('--layout <how>', 'the layout of the sessions; those of whatsapp-web.js are never detected').choices(LAYOUTS),
        ['--only <tenants...>', 'only these tenants'],
        ['--and-from <from>', 'a Redis or a folder with the keys, if a database has the credentials alone'],
        ...LENIENT,
        ['--dry-run', 'read and compare without writing'],
        ['--report <file>', 'write a report to this file, for --cleanup'],
        ['--cleanup <report>', 'instead: remove the sources that this report lists as migrated and that are here now; a dry run'],
        ['--apply', 'with --cleanup: remove them'],
        ['--allow-moved-on', 'with --cleanup: also if the session has changed since']
      ],
      examples: [
        ["migrate ./auth_sessions --tenant-id '{1}-{2}' --dry-run", 'preview of a tree of folders, user and session'],
        ["migrate ./auth_sessions --tenant-id '{1}-{2}' --report migrated.json", 'take it over'],
        ['migrate supabase://old-bucket --report migrated.json', 'the bucket of another system'],
        ['migrate ./sessions.sqlite --dry-run', 'preview of a database; one behind a password is a variable, env:OLD_DATABASE_URL'],
        [
          'migrate env:OLD_DATABASE_URL --and-from env:OLD_REDIS_URL',
          'credentials in a table and keys in Redis, as those of Evolution API'
        ],
        ['migrate supabase://old-bucket --layout wwebjs-zip --dry-run', 'preview of the zips of RemoteAuth of whatsapp-web.js'],
        ['migrate ./auth_sessions --cleanup migrated.json --apply', 'days later: remove what was migrated']
      ],
      action: migrateAll
    })
  }
}
