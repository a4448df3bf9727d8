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
const { Life } = require('./life.js')
const { openOrRefuse, refuseMissed } = require('./missed.js')
const { News, hearing, sessionLogger } = require('./news.js')
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

/** The steps of an open, in their order. */
async function openResolved(given) {
  const context = await contextOf(given)
  const { place, resolved, binding, check } = context
  return serially(place.folder, async () => {
    check()
    const claim = resolved.ifFree ? await claimIfFree({ ...place, resolved }) : {}
    const before = await lookAtFolder(context)
    const opened = await openInCore(context, before, claim)
    try {
      check()
      const identity = await identityOf(context, before, opened)
      const creds = identity.stored ?? newCreds(context.baileys)
      tellIdentity(context, before, opened, identity)
      if (!resolved.cloud) removals.remember(place.folder)
      return startSession(context, opened, { ...identity, creds })
    } catch (error) {
      await binding.close(opened.handle, resolved.closeTimeoutMs)
      throw error
    }
  })
}

/** Parts that every step of an open uses. Its news begin here. */
async function contextOf({ tenantId, options, resolved, inner, entry, check }) {
  const baileys = await resolveBaileys(options)
  const binding = loadBinding()
  const batch = createBatch(createCodec(baileys.BufferJSON))
  const place = { directory: resolved.directory, tenantId, folder: callCore(binding.folder, resolved.directory, tenantId) }
  const logger = sessionLogger(resolved.logger, tenantId)
  const news = new News({ logger, tenantId, onEvent: resolved.onEvent })
  news.first = ({ event, ...details }) => {
    if (event === 'waiting') entry.waiting = details
  }
  const began = performance.now()
  news.tell({ event: 'opening' })
  // The tools of a fleet look at a session, and make no identity.
  const isTool = Object.keys(inner).length > 0
  return { baileys, binding, batch, place, logger, news, began, resolved, inner, isTool, check }
}

/** State of the folder before the core opens it: a session to import or to refuse (`prepared`, and `found` if it can be imported). */
async function lookAtFolder({ place, batch, resolved }) {
  const prepared = await prepareImport({ ...place, batch, importFrom: resolved.importFrom }).catch((error) => {
    throw explainedPlace(error, resolved.native)
  })
  const found = prepared?.seed ? prepared : null
  const wasRemoved = !resolved.cloud && (await removals.wasRemoved(place.folder))
  return { prepared, found, wasRemoved }
}

/** Opens the session in the core, claimed and restored. `claim` names the only claim that it may follow, if there is one. */
async function openInCore({ binding, place, news, resolved, inner, isTool }, { prepared, found, wasRemoved }, claim) {
  const open = async (words) => {
    const json = JSON.stringify({ ...resolved.native, ...words, ...inner, ...claim })
    const once = () => binding.open(json, resolved.keys, found?.seed ?? null, hearing(news))
    const opened = await once()
    return wasRemoved && (await endsWithFolder(binding, opened, resolved)) ? once() : opened
  }
  const opened = await openOrRefuse(open, { place, prepared, resolved, isTool })
  setImmediate(() => news.catchUp()).unref()
  return settle(await explained(opened, resolved.native))
}

/**
 * Credentials of an open session once its import is taken in or settled: `stored`, null where it has none. `isBlank`: it was never paired.
 * `origin` goes over its status from then on.
 */
async function identityOf({ binding, batch, place, news, resolved, isTool }, { prepared, found }, { handle, restored, shared }) {
  let stored = readCreds(binding, handle, batch)
  let origin = {}
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
  return { stored, isBlank, origin }
}

/** Tells of a new identity, and of one that came back though its folder was removed. */
function tellIdentity({ news, resolved, isTool }, { wasRemoved }, { shared }, { stored, isBlank }) {
  if (stored === null && !shared && !isTool) {
    news.tellSoon(freshSession({ resolved, removed: wasRemoved, isBlank }))
  } else if (wasRemoved) news.tellSoon(removals.COMES_BACK)
}

/** The session as its caller gets it. */
function startSession(context, { handle, restored, shared }, { stored, creds, origin }) {
  const { baileys, binding, batch, place, logger, news, began, resolved } = context
  const life = new Life(() => ({ ...statusOf(binding, handle, resolved), ...origin }))
  news.first = ({ event }) => event === 'fenced' && life.fenced()
  const told = { event: 'opened', ...restored, shared, tookMs: Math.round(performance.now() - began) }
  setImmediate(() => news.tell(told)).unref()
  const places = resolved.cloud ? null : place
  return createSession({ binding, handle, batch, baileys, creds, news, logger, resolved, restored, life, places, isNew: stored === null })
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
