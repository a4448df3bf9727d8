'use strict'

// Opening a session: its folder looked at, its import prepared, its credentials read or made.
//
// Invariants: a session that could not be opened completely is closed again: no ownership is left behind. Opens of one folder follow one
// another.

const { resolveBaileys } = require('../baileys.js')
const { createBatch } = require('../codec/batch.js')
const { createCodec } = require('../codec/values.js')
const { resolveOptions } = require('../config/options.js')
const { call: callCore } = require('../core.js')
const { HybridAuthError, isFailure, settle, withTypedErrors } = require('../errors.js')
const { prepareImport, settleLeftovers, takeIn } = require('../multi-file/import.js')
const { loadBinding } = require('../native.js')
const { textOf } = require('../outside.js')
const { isProfileTenant } = require('../profile-tenants.js')
const { claimIfFree } = require('./free.js')
const { freshSession } = require('./fresh.js')
const { createLife } = require('./life.js')
const { openOrRefuse, refuseMissed } = require('./missed.js')
const { createNews, hearing, sessionLogger } = require('./news.js')
const { begin } = require('./opening.js')
const { readCreds } = require('./own-creds.js')
const { explained, explainedPlace } = require('./refusals.js')
const removals = require('./removed.js')
const { createSession } = require('./session.js')
const { FAULTY, describe } = require('./status.js')

/** One open of a folder at a time: an import moves files that the next open looks at. */
const opening = new Map()

async function serially(folder, work) {
  const before = opening.get(folder)
  const turn = (async () => {
    await before?.catch(() => {})
    return work()
  })()
  opening.set(folder, turn)
  try {
    return await turn
  } finally {
    if (opening.get(folder) === turn) opening.delete(folder)
  }
}

function newCreds({ initAuthCreds }) {
  try {
    return initAuthCreds()
  } catch (error) {
    if (error instanceof HybridAuthError) throw error
    throw new HybridAuthError('INVALID_OPTION', `\`initAuthCreds\` threw: ${textOf(error)}`, error)
  }
}

/**
 * Ends a session without a store with its folder, as one of `useMultiFileAuthState` ends: one that is open here still is
 * deleted, so that it does not write itself again. True where it was, and is to be opened anew.
 * @param {typeof import('../../binding.js')} binding
 * @param {import('../../binding.js').Opened | import('../../binding.js').Failure} opened
 * @param {any} resolved
 */
async function endsWithFolder(binding, opened, { native, directory }) {
  if (isFailure(opened) || native.store !== null || !native.create) return false
  const { handle, shared } = opened
  if (!shared || !(await removals.isThere(directory))) return false
  settle(await binding.destroy(handle))
  return true
}

/**
 * `inner` is what the core is told beside the options; `began(over)` is called with a promise for the moment at which nothing of this
 * open is under way any more but, at best, a session.
 * @param {string} tenantId
 * @param {any} [options]
 * @param {object} [inner]
 * @param {(over: Promise<void>) => void} [began]
 */
async function openSession(tenantId, options = {}, inner = {}, began = () => {}) {
  const resolved = resolveOptions(tenantId, options)
  if (isProfileTenant(tenantId) && Object.keys(inner).length === 0) {
    throw new HybridAuthError(
      'INVALID_OPTION',
      'tenant ids that begin with `whatsapp-web.js/` or `browser-profile/` are those of browser profiles: use `HybridAuth` or `openProfile`'
    )
  }
  const { session, over } = begin(tenantId, resolved.signal, (entry, check) =>
    openResolved({ tenantId, options, resolved, inner, entry, check })
  )
  began(over)
  return session
}

async function openResolved({ tenantId, options, resolved, inner, entry, check }) {
  // The tools of a fleet look at a session, and make no identity.
  const isTool = Object.keys(inner).length > 0
  const baileys = await resolveBaileys(options)
  const binding = loadBinding()
  const batch = createBatch(createCodec(baileys.BufferJSON))
  const folder = callCore(binding.folder, resolved.directory, tenantId)
  const logger = sessionLogger(resolved.logger, tenantId)
  const news = createNews({ logger, tenantId, onEvent: resolved.onEvent })
  news.first = ({ event, ...details }) => {
    if (event === 'waiting') entry.waiting = details
  }
  const began = performance.now()
  news.tell({ event: 'opening' })

  return serially(folder, async () => {
    check()
    if (resolved.ifFree) inner = { ...inner, ...(await claimIfFree({ tenantId, resolved, folder })) }
    const place = { directory: resolved.directory, tenantId, folder }
    const prepared = await prepareImport({ ...place, batch, importFrom: resolved.importFrom }).catch((error) => {
      throw explainedPlace(error, resolved.native)
    })
    const found = prepared?.seed ? prepared : null
    const wasRemoved = !resolved.cloud && (await removals.wasRemoved(folder))
    const open = async (words) => {
      const json = JSON.stringify({ ...resolved.native, ...words, ...inner })
      const once = () => binding.open(json, resolved.keys, found?.seed ?? null, hearing(news))
      const opened = await once()
      return wasRemoved && (await endsWithFolder(binding, opened, resolved)) ? once() : opened
    }
    const opened = await openOrRefuse(open, { place, prepared, resolved, isTool })
    setImmediate(news.catchUp).unref()
    const { handle, restored, shared } = settle(await explained(opened, resolved.native))
    try {
      check()
      let stored = readCreds(binding, handle, batch)
      let origin = {}
      // It was never paired.
      const isBlank = stored === null && !shared && !isTool && callCore(binding.status, handle).keys === 0
      if (isBlank && prepared === null && resolved.mayMiss && restored.source !== 'fresh') await refuseMissed(place)
      if (isBlank && found !== null) {
        await takeIn(binding, handle, found.seed, resolved)
        await found.finish({ wholly: true })
        stored = readCreds(binding, handle, batch)
        restored.source = 'imported'
        origin = { restored }
      } else if (found !== null) {
        const imported = restored.source === 'imported' && !shared
        await (imported ? found.finish({ wholly: true }) : settleLeftovers(found, stored, batch, { mayMove: !resolved.cloud }))
      }
      if (found?.leftOut && restored.source === 'imported' && !shared) {
        setImmediate(() => news.tell({ event: 'error', code: 'LOCAL_CORRUPT', message: found.leftOut })).unref()
      }
      const creds = stored ?? newCreds(baileys)
      if (stored === null && !shared && !isTool) {
        news.tellSoon(freshSession({ resolved, removed: wasRemoved, isBlank }))
      } else if (wasRemoved) news.tellSoon(removals.COMES_BACK)
      if (!resolved.cloud) removals.remember(folder)
      const life = createLife(() => ({ ...statusOf(binding, handle, resolved), ...origin }))
      news.first = ({ event }) => event === 'fenced' && life.fenced()
      const told = { event: 'opened', ...restored, shared, tookMs: Math.round(performance.now() - began) }
      setImmediate(() => news.tell(told)).unref()
      const places = resolved.cloud ? null : { directory: resolved.directory, tenantId, folder }
      return createSession({
        binding,
        handle,
        batch,
        baileys,
        creds,
        news,
        logger,
        resolved,
        restored,
        life,
        places,
        isNew: stored === null
      })
    } catch (error) {
      await binding.close(handle, resolved.closeTimeoutMs)
      throw error
    }
  })
}

/** A session that a fault put out of use has a status all the same. */
function statusOf(binding, handle, { native, cloud }) {
  try {
    return describe(callCore(binding.status, handle))
  } catch (error) {
    if (error.code !== 'INTERNAL') throw error
    return describe({ ...FAULTY, mode: cloud ? 'cloud' : native.store === null ? 'local' : 'hybrid' })
  }
}

const { openSession: open } = withTypedErrors({ openSession })

module.exports = { openSession: open, serially }
