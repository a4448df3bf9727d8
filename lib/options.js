'use strict'

// Options: what the caller says, over what the environment says, over the defaults.
//
// Invariants: the environment is read when a session is opened, never when the package is loaded; a value that makes no
// sense is refused with the name of the option or variable that holds it; a store without keys is refused unless the caller
// says `encryption: 'off'` out loud. Secrets never appear in a message.

const { resolve } = require('node:path')
const { fileURLToPath } = require('node:url')
const { HybridAuthError } = require('./errors.js')

const refuse = (message) => {
  throw new HybridAuthError('INVALID_OPTION', message)
}

/** Option -> variables that may hold it, first one wins. */
const VARIABLES = {
  directory: ['WHATSAPP_SESSION_PATH', 'SESSION_STORAGE_PATH'],
  store: ['SESSION_BACKUP_STORE'],
  mode: ['SESSION_STORAGE_TYPE'],
  encryptionKeys: ['SESSION_ENCRYPTION_KEY'],
  flushIntervalMs: ['SESSION_BACKUP_INTERVAL_MS']
}

const KNOWN = new Set([
  ...Object.keys(VARIABLES),
  'encryption',
  'localDurability',
  'ownershipCheckIntervalMs',
  'handoverTimeoutMs',
  'closeTimeoutMs',
  'flushTimeoutMs',
  'onMissing',
  'onLeaseLost',
  'hideTenantIds',
  'fresh',
  'takeover',
  'seedFromDisk',
  'acceptUnencrypted',
  'initAuthCreds',
  'BufferJSON',
  'baileys',
  'logger'
])

/** The value of `name` and where it came from, for messages. */
function lookUp(options, env, name) {
  if (options[name] !== undefined) return { value: options[name], from: `\`${name}\`` }
  for (const variable of VARIABLES[name] ?? []) {
    if (env[variable] !== undefined && env[variable] !== '') return { value: env[variable], from: variable }
  }
  return { value: undefined, from: `\`${name}\`` }
}

function integer({ value, from }, fallback, least, most) {
  if (value === undefined) return fallback
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (!Number.isSafeInteger(number) || number < least || number > most) {
    refuse(`${from} must be a whole number of milliseconds from ${least} to ${most}`)
  }
  return number
}

function choice({ value, from }, fallback, allowed) {
  if (value === undefined) return fallback
  if (!allowed.includes(value)) refuse(`${from} must be one of: ${allowed.join(', ')}`)
  return value
}

function flag({ value, from }) {
  if (value === undefined) return false
  if (typeof value !== 'boolean') refuse(`${from} must be true or false`)
  return value
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

/** What the core calls the store that `value` names. */
function storeSpec({ value, from }) {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string' && !(value instanceof URL)) refuse(`${from} must be a URL, such as file:///var/lib/bucket`)
  let url
  try {
    url = new URL(value)
  } catch {
    refuse(`${from} is not a URL; a directory as the bucket is written file:///path`)
  }
  if (url.protocol === 'memory:') return { kind: 'memory', name: url.hostname + url.pathname }
  if (url.protocol !== 'file:') refuse(`${from}: this release knows file: and memory: stores, not ${url.protocol}`)
  try {
    return { kind: 'directory', path: resolve(fileURLToPath(url)) }
  } catch {
    return refuse(`${from} is not a file URL of this machine; write file:///path with three slashes`)
  }
}

function checkTenant(tenantId) {
  if (typeof tenantId !== 'string' || tenantId === '') refuse('the tenant id must be a non-empty string')
  if (!tenantId.isWellFormed()) refuse('the tenant id must be well-formed text')
  return tenantId
}

/** @returns options complete and checked; `native` is what the core is given as JSON */
function resolveOptions(tenantId, options = {}, env = process.env) {
  if (options === null || typeof options !== 'object') refuse('the options must be an object')
  for (const name of Object.keys(options)) if (!KNOWN.has(name)) refuse(`\`${name}\` is not an option`)
  const look = (name) => lookUp(options, env, name)

  const directory = look('directory')
  if (directory.value !== undefined && (typeof directory.value !== 'string' || directory.value === '')) {
    refuse(`${directory.from} must be the path of a directory`)
  }
  const store = storeSpec(look('store'))
  const mode = choice(look('mode'), store === null ? 'local' : 'hybrid', ['local', 'hybrid'])
  if (mode === 'hybrid' && store === null) refuse('`mode: \'hybrid\'` needs a `store`')
  const keys = keyRing(look('encryptionKeys'))
  const encryption = choice(look('encryption'), 'on', ['on', 'off'])
  if (encryption === 'off' && keys.length > 0) refuse("`encryption: 'off'` and `encryptionKeys` contradict each other")
  if (mode === 'hybrid' && keys.length === 0 && encryption === 'on') {
    refuse("a store needs `encryptionKeys` (64 hex digits); to store sessions in the clear say `encryption: 'off'`")
  }
  const logger = options.logger
  if (logger !== undefined && typeof logger?.warn !== 'function') refuse('`logger` must have the methods of a pino logger')
  const handover = look('handoverTimeoutMs')
  const root = resolve(directory.value ?? 'whatsapp-sessions')

  return {
    directory: root,
    keys,
    awaitSync: choice(look('localDurability'), mode === 'local' ? 'data' : 'os', ['os', 'data']) === 'data',
    closeTimeoutMs: integer(look('closeTimeoutMs'), 10_000, 0, 3_600_000),
    flushTimeoutMs: integer(look('flushTimeoutMs'), 30_000, 0, 3_600_000),
    logger,
    native: {
      tenantId: checkTenant(tenantId),
      directory: root,
      store: mode === 'local' ? null : store,
      flushIntervalMs: integer(look('flushIntervalMs'), 1000, 0, 3_600_000),
      ownershipCheckIntervalMs: integer(look('ownershipCheckIntervalMs'), 5000, 50, 600_000),
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
