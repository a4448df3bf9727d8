'use strict'

// Options: what the caller says, over what the environment says, over the defaults.
//
// Invariants: the environment is read when a session is opened, never when the package is loaded; a value that makes no
// sense is refused with the name of the option or variable that holds it; a store without keys is refused unless the caller
// says `encryption: 'off'` out loud. A mode that a variable chooses is never stopped by an option that it has no use for, if
// leaving that out loses nothing. Secrets never appear in a message.

const { resolve } = require('node:path')
const { certificates, choice, first, flag, integer, quoted, refuse, variable } = require('./checks.js')
const { findStore } = require('./services.js')
const { completeStore } = require('./store.js')

/** Option -> variables that may hold it, first one wins; `lib/services.js` and the kinds of stores know some more. */
const VARIABLES = {
  directory: ['WHATSAPP_SESSION_PATH', 'SESSION_STORAGE_PATH'],
  store: ['SESSION_BACKUP_STORE'],
  mode: ['SESSION_STORAGE_TYPE'],
  encryptionKeys: ['SESSION_ENCRYPTION_KEY'],
  flushIntervalMs: ['SESSION_BACKUP_INTERVAL_MS', 'SESSION_BACKUP_INTERVAL'],
  caCertificate: ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']
}

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
  'logger'
])

/** The value of `name` and where it came from, for messages. */
function lookUp(options, env, name) {
  const own = { value: options[name], from: `\`${name}\`` }
  const named = variable(env, ...(VARIABLES[name] ?? []))
  return named.value === undefined ? own : first(own, named)
}

/** Existing services give SESSION_BACKUP_INTERVAL in milliseconds too. Some take 0 for "never", and seconds are a likely slip. */
function flushInterval(place, mode) {
  if (place.from !== 'SESSION_BACKUP_INTERVAL') return integer(place, 1000, 0, 3_600_000)
  if (mode !== 'hybrid') return 1000
  const hint = ' of milliseconds (less by SESSION_BACKUP_INTERVAL_MS, no store at all by SESSION_BACKUP_ENABLED=false)'
  return integer(place, 1000, 1000, 3_600_000, hint)
}

/** 32-byte keys laid end to end, the primary first. */
function keyRing({ value, from }) {
  if (value === undefined) return Buffer.alloc(0)
  const list = Array.isArray(value) ? value : [value]
  if (list.length === 0) refuse(`${from} must hold at least one key`)
  const keys = list.map((key) => {
    if (key instanceof Uint8Array && key.length === 32) return Buffer.from(key)
    if (typeof key === 'string' && /^[0-9a-f]{64}$/i.test(key.trim())) return Buffer.from(key.trim(), 'hex')
    return refuse(`${from}: each key must be 64 hex digits or 32 bytes, such as \`openssl rand -hex 32\` prints`)
  })
  if (new Set(keys.map((key) => key.toString('hex'))).size !== keys.length) refuse(`${from} holds the same key twice`)
  return Buffer.concat(keys)
}

/** Logger -> what it was warned of: once is enough, whatever the number of tenants. */
const warned = new WeakMap()

function warnOnce(logger, message) {
  if (logger === undefined) return
  const said = warned.get(logger) ?? new Set()
  warned.set(logger, said)
  if (!said.has(message)) logger.warn({}, message)
  said.add(message)
}

/** What all stores behind HTTP are told: `http(variables)`, with those that name authorities for this kind alone. */
function httpSpec(look, options, env) {
  const own = certificates({ value: options.caCertificate, from: '`caCertificate`' })
  const rest = {
    allowPublic: flag(look('allowPublicBucket')),
    maxConcurrentRequests: integer(look('maxConcurrentRequests'), 64, 1, 1024, '')
  }
  return (variables) => ({ ca: own ?? certificates(variable(env, ...variables, 'NODE_EXTRA_CA_CERTS')), ...rest })
}

/**
 * In cloud mode nothing is on the disk. A directory is then only where a log of another mode may still lie: said beside the
 * mode it is a contradiction, and where a variable chooses the mode it is left out. What it would promise or repair is refused.
 */
function checkDiskless(options, asked, warn) {
  const cloud = `${asked.from} is cloud, which keeps nothing on the disk`
  if (options.localDurability !== undefined) refuse(`\`localDurability\` has no meaning here: ${cloud}, and a write resolves when the store has it`)
  if (options.seedFromDisk) refuse(`\`seedFromDisk\` has no meaning here: ${cloud}; open once with \`mode: 'hybrid'\` instead`)
  if (options.directory === undefined) return
  if (options.mode !== undefined) refuse(`\`directory\` has no meaning here: ${cloud}; leave one of the two out`)
  warn(`\`directory\` is not used: ${cloud}`)
}

function checkTenant(tenantId) {
  if (typeof tenantId !== 'string' || tenantId === '') refuse('the tenant id must be a non-empty string')
  if (!tenantId.isWellFormed()) refuse('the tenant id must be well-formed text')
  return tenantId
}

/** @returns options complete and checked; `native` is what the core is given as JSON */
function resolveOptions(tenantId, options = {}, env = process.env) {
  if (options === null || typeof options !== 'object') refuse('the options must be an object')
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) refuse(`${quoted(name)} is not an option`)
  const look = (name) => lookUp(options, env, name)

  const directory = look('directory')
  if (directory.value !== undefined && (typeof directory.value !== 'string' || directory.value === '')) {
    refuse(`${directory.from} must be the path of a directory`)
  }
  const asked = look('mode')
  const wanted = choice(asked, undefined, ['local', 'hybrid', 'cloud'], '; which store it is stands in `store` or SESSION_BACKUP_STORE')
  const described = findStore(options.store, env, wanted)
  const mode = wanted ?? (described === null ? 'local' : 'hybrid')
  if (mode !== 'local' && described === null) {
    refuse(`${asked.from} is ${mode} and needs a \`store\`: name one there or by SESSION_BACKUP_STORE, and do not forbid it by SESSION_BACKUP_ENABLED`)
  }
  const keys = keyRing(look('encryptionKeys'))
  const encryption = choice(look('encryption'), 'on', ['on', 'off'])
  if (encryption === 'off' && keys.length > 0) refuse("`encryption: 'off'` and `encryptionKeys` contradict each other")
  if (mode !== 'local' && keys.length === 0 && encryption === 'on') {
    refuse(`the store of ${described.from} needs \`encryptionKeys\` (64 hex digits); to store sessions in the clear say \`encryption: 'off'\``)
  }
  const logger = options.logger
  if (logger !== undefined && typeof logger?.warn !== 'function') refuse('`logger` must have the methods of a pino logger')
  const http = httpSpec(look, options, env)
  const warn = (message) => warnOnce(logger, message)
  const cloud = mode === 'cloud'
  if (cloud) checkDiskless(options, asked, warn)
  const store = mode === 'local' ? null : completeStore(described, { env, http, warn })
  const handover = look('handoverTimeoutMs')
  const root = resolve(directory.value ?? 'whatsapp-sessions')
  const level = choice(look('localDurability'), mode === 'local' ? 'data' : 'os', ['os', 'data'])

  return {
    directory: root,
    keys,
    cloud,
    /** Whether a write resolves when it survives a power cut of this machine: on its disk or, without one, in the store. */
    awaitSync: cloud || level === 'data',
    closeTimeoutMs: integer(look('closeTimeoutMs'), 10_000, 0, 3_600_000),
    flushTimeoutMs: integer(look('flushTimeoutMs'), 30_000, 0, 3_600_000),
    logger,
    native: {
      tenantId: checkTenant(tenantId),
      directory: root,
      cloud,
      store,
      flushIntervalMs: flushInterval(look('flushIntervalMs'), mode),
      ownershipCheckIntervalMs: integer(look('ownershipCheckIntervalMs'), 5000, 50, 600_000),
      refreshIntervalMs: integer(look('refreshIntervalMs'), 7 * 86_400_000, 1000, 365 * 86_400_000),
      handoverTimeoutMs: handover.value === undefined ? null : integer(handover, 0, 0, 3_600_000),
      takeover: flag(look('takeover')),
      strictLease: choice(look('onLeaseLost'), 'continue', ['continue', 'stop']) === 'stop',
      create: choice(look('onMissing'), 'create', ['create', 'error']) === 'create',
      hideTenantIds: flag(look('hideTenantIds')),
      acceptUnencrypted: flag(look('acceptUnencrypted')),
      fresh: flag(look('fresh')),
      seedFromDisk: flag(look('seedFromDisk'))
    }
  }
}

module.exports = { resolveOptions }
