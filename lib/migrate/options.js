'use strict'

// The options of a migration and of its cleanup, apart from those of the sessions that it makes.
//
// Invariant: what makes no sense is refused before anything is read, and a source that the target would swallow is refused too.

const { atOnce, choice, flag, refuse } = require('../checks.js')
const { resolveSource } = require('../config/options.js')
const { LAYOUTS: OF_DATABASES, databaseAt, openDatabase } = require('./databases/index.js')
const { openKeys } = require('./databases/keys-elsewhere.js')
const { LAYOUTS } = require('./layouts.js')
const { LAYOUTS: OF_PROFILES } = require('./profile-layouts.js')
const { openSource, overlap } = require('./source.js')
const { openTarget } = require('./target.js')

const own = (options, name) => ({ value: options[name], from: `\`${name}\`` })

/** Keys that may have encrypted the source: the one given, else those of the target. */
function sourceKeys({ sourceKey }, ring) {
  if (sourceKey === undefined) return Array.from({ length: ring.length / 32 }, (_, i) => ring.subarray(i * 32, i * 32 + 32))
  if (sourceKey instanceof Uint8Array && sourceKey.length === 32) return [Buffer.from(sourceKey)]
  if (typeof sourceKey === 'string' && /^[0-9a-f]{64}$/i.test(sourceKey.trim())) return [Buffer.from(sourceKey.trim(), 'hex')]
  return refuse(
    '`sourceKey` must be 64 hex digits or 32 bytes: if the old system used the first 64 characters of a longer text, pass those'
  )
}

/** A layout of databases and a source that is none, or the other way round. */
function checkLayout(layout, isDatabase) {
  if (layout === 'auto' || layout === undefined || OF_DATABASES.includes(layout) === isDatabase) return
  refuse(
    isDatabase
      ? `a database has one of the layouts ${OF_DATABASES.join(', ')}`
      : `the layout ${layout} is one of databases, and \`from\` names none`
  )
}

/** The place of the keys, where that is not the one of the credentials. */
async function openElsewhere({ keysFrom }, options) {
  if (keysFrom === undefined) return null
  return openKeys(databaseAt(keysFrom), () => resolveSource(keysFrom, '`keysFrom`', options))
}

/** Opens both ends of a migration. `options`: those of the sessions. */
async function openEnds(mine, options) {
  if (mine.from === undefined || mine.from === null) refuse('`from` must be the place of the sessions of the other system')
  const database = databaseAt(mine.from)
  checkLayout(mine.layout, database !== null)
  if (mine.keysFrom !== undefined && database === null)
    refuse('`keysFrom` is for credentials in a database: of a folder or a bucket, `from` has both')
  const spec = database ?? resolveSource(mine.from, '`from`', options)
  const target = await openTarget(options)
  const keys = sourceKeys(mine, target.keys)
  if (database !== null) return { source: await openDatabase(database, await openElsewhere(mine, options)), target, keys }
  if (spec.kind === 'directory' && (await overlap(spec.path, target.directory))) {
    refuse(
      '`from` and `directory` contain each other: a session in the place of a tenant is imported when the tenant is opened, without a ' +
        'migration; to migrate anyway, use another `directory`'
    )
  }
  return { source: openSource(spec), target, keys }
}

function checkMigrate({ tenantId, layout, concurrency, allowCredsOnly, allowDamagedKeys, dryRun, cleanup, only, onProgress }) {
  if (tenantId !== undefined && typeof tenantId !== 'function' && (typeof tenantId !== 'string' || tenantId === '')) {
    refuse("`tenantId` must be a template, such as '{1}-{2}', or a function")
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') refuse('`onProgress` must be a function')
  if (only !== undefined && (typeof only === 'string' || typeof only?.[Symbol.iterator] !== 'function'))
    refuse('`only` must be a list of tenant ids')
  const checked = {
    tenantId,
    onProgress,
    layout: choice(own({ layout }, 'layout'), 'auto', ['auto', ...LAYOUTS, ...OF_DATABASES, ...OF_PROFILES]),
    concurrency: atOnce(concurrency, 4),
    allowCredsOnly: flag(own({ allowCredsOnly }, 'allowCredsOnly')),
    allowDamagedKeys: flag(own({ allowDamagedKeys }, 'allowDamagedKeys')),
    dryRun: flag(own({ dryRun }, 'dryRun')),
    cleanup: flag(own({ cleanup }, 'cleanup')),
    only: only === undefined ? null : new Set(only)
  }
  if (checked.dryRun && checked.cleanup) refuse('`dryRun` and `cleanup` contradict each other')
  return checked
}

module.exports = { openEnds, checkMigrate, own }
