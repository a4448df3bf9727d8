'use strict'

// Keys that a service keeps in another place than the credentials: in a hash of Redis, or in a folder for each session.
//
// Invariants: keys are taken by the name of their session and by nothing else; two places with that name are refused. They are only read.

const { refuse } = require('../../checks.js')
const { HybridAuthError } = require('../../errors.js')
const { PARALLEL, familiesWith, parseKey } = require('../../multi-file/names.js')
const { each } = require('../../pool.js')
const { openSource } = require('../source.js')
const { openHashes } = require('./redis.js')

const families = familiesWith()

/** Keys in files, `<session>/<type>-<id>.json` below a folder or in a bucket. */
function openFiles(spec) {
  const source = openSource(spec)
  async function keysOf(session) {
    if (/[/\\\0]/.test(session) || session === '.' || session === '..')
      throw new HybridAuthError('INVALID_OPTION', 'the name of the session is not one of a folder, so `keysFrom` has no keys of it')
    const { names } = await source.list(session).catch((error) => {
      if (error.code === 'LOCAL_UNAVAILABLE' && error.message.endsWith(' ENOENT')) return { names: [] }
      throw error
    })
    const keys = names
      .map((name) => ({ name, file: name.slice(session.length + 1) }))
      .flatMap(({ name, file }) => ({ name, ...(file.includes('/') ? null : parseKey(file, families)) }))
    const records = []
    await each(
      keys.filter(({ type }) => type !== undefined),
      PARALLEL,
      async (key) => {
        const raw = await source.read(key.name)
        if (raw !== null) records.push({ ...key, raw, max: null })
      }
    )
    return records
  }
  return { keysOf, close: async () => {} }
}

/**
 * The place of the keys, open.
 * @param {any} database what `databaseAt` answers for it, null for files
 * @param {() => any} files the place as a source of files
 */
async function openKeys(database, files) {
  if (database === null) return openFiles(files())
  if (database.kind !== 'redis') refuse('`keysFrom` must be a Redis, a folder or a bucket')
  return openHashes(database)
}

/** A session with what the other place has of it. */
function withKeys(session, elsewhere) {
  const fetch = async () => {
    const found = await session.fetch()
    const name = session.parts.at(-1)
    if (name === undefined)
      throw new HybridAuthError('INVALID_OPTION', '`keysFrom` finds keys by the name of the session, and this one has none')
    return { ...found, records: [...found.records, ...(await elsewhere.keysOf(name))] }
  }
  return { ...session, fetch }
}

module.exports = { openKeys, withKeys }
