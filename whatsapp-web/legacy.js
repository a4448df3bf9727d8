'use strict'

// The session of a client in another store of RemoteAuth, taken over: asked for once, by the names that versions of whatsapp-web.js give it.
//
// Versions 1.34.5 and 1.34.6 save under the path of the folder, the others under the bare name. A store that has both has an older one
// and a newer one.
//
// Invariants: nothing in that store is ever changed. What it rejects with, and a zip that is not whole, is an error and never a missing
// session; of two zips the newer one counts, even if it is damaged: an older state is not taken unasked.

const { randomUUID } = require('node:crypto')
const { mkdir, rm, stat } = require('node:fs/promises')
const { join } = require('node:path')
const { refuse } = require('../lib/checks.js')
const { HybridAuthError } = require('../lib/errors.js')
const { exists } = require('../lib/profile/contents.js')
const { extractZip, place, prove } = require('../lib/profile/intake.js')
const { openZip } = require('../lib/zip/archive.js')

const isStore = (store) => typeof store?.sessionExists === 'function' && typeof store?.extract === 'function'

/** Checks the option `legacy`. */
function checkLegacy(legacy) {
  if (legacy !== undefined && !isStore(legacy)) refuse('`legacy` must be a store of RemoteAuth, with `sessionExists` and `extract`')
}

/** The failure of a foreign store: its own words may hold an address with a password, and stay in `cause`. */
function failed(what, error) {
  if (error instanceof HybridAuthError) return error
  const kind = [error?.code, error?.name].find((text) => /^[\w.-]{1,60}$/.test(String(text))) ?? 'an error'
  return new HybridAuthError(
    'REMOTE_UNAVAILABLE',
    `\`legacy.${what}\` rejected (${kind}), so whether there is a session is not known: nothing was changed; see \`error.cause\``,
    error
  )
}

/** Waits for a call of a foreign store, or for the end of the client. */
async function asked(what, call, signal) {
  /** @type {() => void} */
  let give = () => {}
  const given = new Promise((_, reject) => {
    give = () => reject(new HybridAuthError('ABORTED', 'the client ended while `legacy` was asked'))
  })
  signal?.addEventListener('abort', give)
  try {
    if (signal?.aborted) give()
    return await Promise.race([
      Promise.resolve()
        .then(call)
        .catch((error) => Promise.reject(failed(what, error))),
      given
    ])
  } finally {
    signal?.removeEventListener('abort', give)
    given.catch(() => {})
  }
}

/** Date of the newest file in a zip. */
async function dateOf(zip) {
  const archive = await openZip(zip)
  await archive.close()
  return archive.modified
}

/** Zips of a session, by each of its names, newest first. */
async function fetchAll(store, names, staged, signal) {
  const zips = []
  for (const session of names) {
    if (!(await asked('sessionExists', () => store.sessionExists({ session }), signal))) continue
    const folder = join(staged, String(zips.length))
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, 'session.zip')
    await asked('extract', () => store.extract({ session, path }), signal)
    const isThere = await stat(path).then(
      (at) => at.isFile(),
      () => false
    )
    if (!isThere)
      throw new HybridAuthError(
        'LOCAL_CORRUPT',
        '`legacy.extract` wrote no zip for a session that exists by `legacy.sessionExists`: restore it in that store'
      )
    zips.push(path)
  }
  if (zips.length < 2) return zips
  const dated = await Promise.all(zips.map(async (path) => ({ path, date: await dateOf(path) })))
  return dated.sort((a, b) => b.date - a.date).map(({ path }) => path)
}

/**
 * Takes the session over into the folder `to`, if `store` has it and there is no profile in `to`; answers whether it did.
 * @param {any} store
 * @param {{ names: string[], to: string, signal?: AbortSignal }} how `names`: those of the session, the bare one first
 */
async function adoptLegacy(store, { names, to, signal }) {
  if (await exists(join(to, 'Default'))) return false
  const staged = `${to}.legacy-${randomUUID()}`
  try {
    const [newest] = await fetchAll(store, names, staged, signal)
    if (newest === undefined) return false
    const folder = join(staged, 'profile')
    await extractZip(newest, folder)
    await prove(folder, join(staged, 'proof'))
    return await place(folder, to)
  } catch (error) {
    if (error instanceof HybridAuthError) throw error
    throw new HybridAuthError(
      'LOCAL_UNAVAILABLE',
      `the session of \`legacy\` cannot be put into its folder (${error.code}): fix its permissions or free space`,
      error
    )
  } finally {
    await rm(staged, { recursive: true, force: true, maxRetries: 5 }).catch(() => {})
  }
}

module.exports = { adoptLegacy, checkLegacy }
