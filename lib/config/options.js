'use strict'

// Options: all that an open is given, complete and checked, as the core and the session take it.
//
// Invariants: the environment is read when a session is opened, never when the package is loaded; what is no option is refused, and so is a
// variable that begins like ours and is none. A logger is warned of a thing once. Secrets never appear in a message.

const { ownFields, quoted, refuse, wholeLimit } = require('../checks.js')
const { unreadable } = require('../errors.js')
const { guarded } = require('../outside.js')
const { httpSpec, settingsOf } = require('./settings.js')
const { completeStore, describeStore, isFree } = require('./store.js')
const { VARIABLES, lookUp, wrongVariables } = require('./variables.js')

const KNOWN = new Set([
  ...Object.keys(VARIABLES),
  'encryption',
  'localDurability',
  'ownershipCheckIntervalMs',
  'handoverTimeoutMs',
  'refreshIntervalMs',
  'closeTimeoutMs',
  'flushTimeoutMs',
  'onMissing',
  'onLeaseLost',
  'importFrom',
  'hideTenantIds',
  'fresh',
  'takeover',
  'seedFromDisk',
  'acceptUnencrypted',
  'allowPublicBucket',
  'maxConcurrentRequests',
  'initAuthCreds',
  'BufferJSON',
  'baileys',
  'logger',
  'onEvent',
  'signal',
  'ifFree'
])

/** Logger -> what it was warned of: once is enough, whatever the number of tenants. */
const warned = new WeakMap()

function warnOnce(logger, message) {
  if (logger === undefined) return
  const said = warned.get(logger) ?? new Set()
  warned.set(logger, said)
  if (!said.has(message)) guarded(logger).warn({}, message)
  said.add(message)
}

/** True once a process was told that its sessions are nowhere else. */
let toldOfNoStore = false

function checkTenant(tenantId) {
  if (typeof tenantId !== 'string' || tenantId === '') refuse('the tenant id must be a non-empty string')
  if (!tenantId.isWellFormed()) refuse('the tenant id must be well-formed text')
  return tenantId
}

/**
 * The place that `value` (a path, a URL or an object) names beside the store of a session, complete: the source of a migration.
 * `options` are those of the session, for certificates and the logger.
 */
function resolveSource(value, from, given, env = process.env) {
  const options = ownFields(given)
  const isPath = typeof value === 'string' && value !== '' && (!/^[a-z][a-z0-9+.-]*:/i.test(value) || /^[a-z]:[\\/]/i.test(value))
  const described = isPath ? describeStore({ value: { kind: 'directory', path: value }, from }) : describeStore({ value, from })
  if (described === null) refuse(`${from} must be a path, the URL of a bucket, or an object with a \`kind\``)
  if (described.kind === 'memory') refuse(`${from} must not be memory: it cannot contain sessions of another system`)
  if (isFree(described.kind))
    refuse(`${from} must not be a database: sessions of another system in its tables or keys cannot be read; write them to files first`)
  const look = (name) => lookUp(options, env, name)
  const context = { options, env, note: () => {}, warn: (message) => warnOnce(options.logger, message) }
  return completeStore(described, { ...context, http: httpSpec(look, context) })
}

/** Refusal of options that are none, and of variables that begin like ours and are none. */
function wrongNames(options, env) {
  if (options === null || typeof options !== 'object') return ['the options must be an object']
  const unknown = Object.keys(options).filter((name) => !KNOWN.has(name))
  return [...unknown.map((name) => `${quoted(name)} is not an option`), ...wrongVariables(env, [...KNOWN])]
}

/** @returns options complete and checked; `native` is what the core is given as JSON */
function resolveOptions(tenantId, options = {}, env = process.env) {
  try {
    return complete(tenantId, options, env)
  } catch (error) {
    throw unreadable('an option', error)
  }
}

function complete(tenantId, options, env) {
  const [wrong] = wrongNames(options, env)
  if (wrong !== undefined) refuse(wrong)
  const settings = settingsOf({ options, env, note: () => {}, warn: (message) => warnOnce(settings.logger(), message) })
  const { noStore, isLocalSaid, storeFrom, authorities, unused, flushPlace, ...readings } = settings
  const found = Object.fromEntries(Object.entries(readings).map(([name, read]) => [name, read()]))
  const { directory, logger } = found
  const cloud = found.mode === 'cloud'
  const native = {
    tenantId: checkTenant(tenantId),
    directory,
    cloud,
    store: found.store,
    flushIntervalMs: found.flushIntervalMs,
    ownershipCheckIntervalMs: found.ownershipCheckIntervalMs,
    refreshIntervalMs: found.refreshIntervalMs,
    handoverTimeoutMs: found.handoverTimeoutMs,
    takeover: found.takeover,
    strictLease: found.onLeaseLost === 'stop',
    create: found.onMissing === 'create',
    hideTenantIds: found.hideTenantIds,
    acceptUnencrypted: found.acceptUnencrypted,
    fresh: found.fresh,
    seedFromDisk: found.seedFromDisk,
    leaveStore: isLocalSaid()
  }
  const warning = noStore()
  if (warning !== null && logger !== undefined && !toldOfNoStore) {
    toldOfNoStore = true
    guarded(logger).warn({}, warning)
  }
  return {
    directory,
    importFrom: found.importFrom,
    /** True if a session that lies beside is to be looked for where there is none: not if a new one is asked for, or none is to be created. */
    mayMiss: !found.fresh && found.onMissing === 'create',
    keys: found.encryptionKeys,
    cloud,
    /** True if a write resolves when it survives a power cut of this machine: on its disk or, without one, in the store. */
    awaitSync: cloud || found.localDurability === 'data',
    closeTimeoutMs: wholeLimit(found.closeTimeoutMs),
    flushTimeoutMs: wholeLimit(found.flushTimeoutMs),
    logger,
    onEvent: found.onEvent,
    signal: found.signal,
    ifFree: found.ifFree,
    native
  }
}

/**
 * The store of resolved options, as the core reads it where nothing else of them is given: a directory with the folder in which this machine
 * keeps in mind that it was stored there.
 */
function storeDocument({ store, directory, cloud }) {
  return JSON.stringify(store?.kind === 'directory' && !cloud ? { ...store, rememberedIn: directory } : store)
}

module.exports = { resolveOptions, storeDocument, resolveSource, wrongNames, KNOWN }
