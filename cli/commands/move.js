'use strict'

// Moving sessions: to this machine, and out to folders of `useMultiFileAuthState`.
//
// Invariant: each session that is opened here is closed here, whatever happens, so that no ownership is left behind.

const { join, resolve } = require('node:path')
const { Option } = require('commander')
const { UsageError } = require('../exit.js')
const { count, plural, size } = require('../output.js')
const { counted, mustBeReleased, tell, tenantsAskedFor } = require('../tenants.js')
const { allAtOnce, forEach, forOne } = require('../work.js')
const { LAYOUTS, LENIENT, importFolder, migrateAll } = require('./migrate.js')

const TAKEOVER = ['--takeover', 'take sessions too that another instance has not released; it is fenced then']

const SOURCES = { remote: 'the store', local: 'this machine', imported: 'a multi-file folder', fresh: 'nothing' }

const NO_DISK = 'the mode is cloud, which keeps nothing on a machine: there is nothing to bring here'

/** Folders of what the store has, beside whoever owns it. */
async function extract(context, tenants, folder) {
  const { asked, output, fleet } = context
  const { exportTree } = require('../../lib/export-tree.js')
  const write = (onProgress) => exportTree(folder, tenants, (...args) => fleet.extract(...args), { overwrite: asked.overwrite === true, onProgress })
  const { exported, failed } = await allAtOnce(context, write, { title: 'extract', changes: true, done: 'Extracted' })
  const values = new Map([...exported, ...failed].map(({ tenantId, error, ...value }) => [tenantId, error === undefined ? { value } : { error }]))
  return tell(output, tenants.map((tenantId) => ({ item: tenantId, ...values.get(tenantId) })), {
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
  })
}

async function restore(context, named) {
  const { asked, output, fleet, resolved } = context
  if (asked.overwrite && asked.to === undefined) throw new UsageError('--overwrite belongs to --to')
  if (asked.takeover && asked.to !== undefined) throw new UsageError('--to takes no session over, so that --takeover means nothing beside it')
  if (asked.to === undefined && resolved.cloud) throw new UsageError(NO_DISK, 'Open them as they are; `verify` and `drill` check them, and --to writes folders.')
  const tenants = await tenantsAskedFor(fleet, named, asked)
  if (asked.to !== undefined) return extract(context, tenants, asked.to)
  const openAndClose = async (tenantId) => {
    await mustBeReleased(fleet, tenantId, asked)
    const session = await fleet.open(tenantId)
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
    details: ({ clean }) => (clean ? [] : ['its last owner did not end properly: its last moments may be missing']),
    summary: counted('restored')
  })
}

async function exportFolder(context, tenantId, folder) {
  const { asked, output, fleet } = context
  const write = async () => {
    await mustBeReleased(fleet, tenantId, asked)
    return fleet.exportMultiFile(tenantId, folder, { overwrite: asked.overwrite === true })
  }
  const report = await forOne(context, tenantId, write, { changes: true, done: 'Exported' })
  output.result({ ok: true, tenantId, folder: resolve(folder), ...report }, () => {
    output.line(`The credentials and ${plural(report.written, 'key')} written to ${folder}.`)
    if (report.collisions > 0) output.warn(`${count(report.collisions)} keys have names that a multi-file folder cannot tell apart`)
    if (report.impossible > 0) output.warn(`${count(report.impossible)} keys have names that a multi-file folder cannot hold`)
  })
}

module.exports = {
  heading: 'Move:',
  commands(define) {
    define('restore [tenants...]', {
      summary: 'bring sessions from the store to this machine',
      description:
        'Opens and closes the sessions of these tenants, so that the directory of this machine holds them, checked, and they are ' +
        'free for whoever opens them next. A session that another instance has not released is left to it. With --to, folders of ' +
        'useMultiFileAuthState are written instead, and nothing is claimed; in cloud mode it can only be used so.',
      options: [
        ['--all', 'all tenants of the store'],
        TAKEOVER,
        ['--to <folder>', 'write a multi-file folder for each tenant below this one, and claim nothing'],
        ['--overwrite', 'with --to: also into folders that have files already']
      ],
      examples: [
        ['restore --all --directory ./sessions', 'before a service starts on a new machine'],
        ['restore tenant-42 --takeover', 'from a machine that is gone'],
        ['restore --all --to ./copy', 'a copy of everything as files, beside running services']
      ],
      action: restore
    })
    define('export <tenant> <folder>', {
      summary: 'write a session as a folder of useMultiFileAuthState, and leave it there',
      description:
        'Writes a session as a folder that useMultiFileAuthState opens, to go back to it. Opens and closes the session for that. From ' +
        'then on use one of the two: both at once spoil the encryption keys of the account.',
      options: [['--overwrite', 'write into a folder that has files already'], ['--local', 'of a session that is on this machine alone, without a store'], TAKEOVER],
      examples: [['export tenant-42 ./exported/tenant-42', 'go back to useMultiFileAuthState']],
      action: exportFolder
    })
    define('import <folder>', {
      summary: 'take over one folder of useMultiFileAuthState; the folder is left as it is',
      description:
        'Makes a session of a folder of useMultiFileAuthState, in the store and in the directory of this machine, and compares the two by ' +
        'value. A tenant that has a session is left alone. Stop the old system first; the folder is not changed.',
      options: [['--tenant-id <id>', 'the tenant of the session; the name of the folder if this is left out'], ...LENIENT],
      examples: [
        ['import ./auth/tenant-7', 'the tenant is tenant-7'],
        ['import ./baileys_auth_info --tenant-id tenant-8', 'a folder with another name']
      ],
      action: importFolder
    })
    define('migrate <from>', {
      summary: 'take over a tree of folders, or the bucket of another system',
      description:
        'Makes sessions of all that lies below a folder or in a bucket, each read whole, stored in one batch, read back and compared by ' +
        'value. What is there already is left alone: run it again after an interruption. The source is not changed, until --cleanup removes ' +
        'what is proved to be here.',
      options: [
        ['--tenant-id <template>', 'what tenants are called: {1} is the first folder below the source, {2} the second, {-1} the last'],
        new Option('--layout <how>', 'how keys lie beside a creds.json').choices(LAYOUTS),
        ['--only <tenants...>', 'only these tenants'],
        ...LENIENT,
        ['--dry-run', 'read and compare, and write nothing'],
        ['--report <file>', 'write what was done to this file, for --cleanup'],
        ['--cleanup <report>', 'instead: remove the sources that this report calls migrated and that are here now; a dry run'],
        ['--apply', 'with --cleanup: remove them'],
        ['--allow-moved-on', 'with --cleanup: also where the session has gone on since']
      ],
      examples: [
        ["migrate ./auth_sessions --tenant-id '{1}-{2}' --dry-run", 'what a tree of folders, user and session, would become'],
        ["migrate ./auth_sessions --tenant-id '{1}-{2}' --report migrated.json", 'take it over'],
        ['migrate supabase://old-bucket --report migrated.json', 'the bucket of another system'],
        ['migrate ./auth_sessions --cleanup migrated.json --apply', 'days later: remove what was migrated']
      ],
      action: migrateAll
    })
  }
}
