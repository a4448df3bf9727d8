'use strict'

// The settings of an open: for each, what the caller says, over what the environment says, over the default.
//
// Invariants: a value that makes no sense is refused with the name of the option or variable that holds it; a store without keys is
// refused unless the caller says `encryption: 'off'` out loud. A mode that a variable chooses is never stopped by an option that it has no
// use for, if leaving that out loses nothing. Secrets never appear in a message.

const {
  abortSignal,
  certificates,
  choice,
  first,
  flag,
  integer,
  limit,
  ownFields,
  pathIn,
  refuse,
  unlessWrong,
  variable
} = require('../checks.js')
const { DAY } = require('../units.js')
const { enabled, findStore, unusedDatabases, unusedStores } = require('./services.js')
const { authoritiesOf, completeStore, isFree } = require('./store.js')
const { lookUp, ownVariable } = require('./variables.js')

/** Existing services give SESSION_BACKUP_INTERVAL in milliseconds too. Some take 0 for "never", and seconds are a likely slip. */
function flushInterval(place) {
  if (place.from !== 'SESSION_BACKUP_INTERVAL') return integer(place, 1000, 0, 3_600_000)
  const hint = ' of milliseconds (for less use SESSION_BACKUP_INTERVAL_MS, for no store SESSION_BACKUP_ENABLED=false)'
  return integer(place, 1000, 1000, 3_600_000, hint)
}

/** 32-byte keys laid end to end, the primary first; several in one text stand between commas. */
function keyRing({ value, from }) {
  if (value === undefined) return Buffer.alloc(0)
  const list = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value]
  if (list.length === 0) refuse(`${from} must contain at least one key`)
  const keys = list.map((key) => {
    if (key instanceof Uint8Array && key.length === 32) return Buffer.from(key)
    if (typeof key === 'string' && /^[0-9a-f]{64}$/i.test(key.trim())) return Buffer.from(key.trim(), 'hex')
    return refuse(`${from}: each key must be 64 hex digits or 32 bytes, such as the output of \`openssl rand -hex 32\``)
  })
  if (new Set(keys.map((key) => key.toString('hex'))).size !== keys.length) refuse(`${from} contains the same key twice`)
  return Buffer.concat(keys)
}

/** Warning for an open without a store that nobody asked for: it looks the same as with one. */
function nothingSays(env) {
  const unused = unusedStores(env).map(([name, service]) => ` ${name} takes effect with SESSION_BACKUP_STORE=${service}.`)
  return (
    'no store is configured: sessions are only on the local disk, and lost with it. Set a store with `store` or SESSION_BACKUP_STORE, ' +
    `or set \`mode: 'local'\` (SESSION_STORAGE_TYPE=local) if this is intended.${unused.join('')}`
  )
}

const requestsAtOnce = (look) => integer(look('maxConcurrentRequests'), 64, 1, 1024, '')

/**
 * Settings of all stores that are reached over a network: `http(authorities)`, with the variables, or places, that name authorities for
 * this store alone. Where authorities are looked for is noted before they are read, so that it is known of wrong ones; none count that no store asked for.
 */
function httpSpec(look, { options, env, note }) {
  const own = first({ value: options.caCertificate, from: '`caCertificate`' }, variable(env, ownVariable('caCertificate')))
  note('ca', null, own)
  const rest = {
    allowPublic: flag(look('allowPublicBucket')),
    maxConcurrentRequests: requestsAtOnce(look)
  }
  const checked = certificates(own)
  return (authorities) => {
    const places = [...authorities, 'NODE_EXTRA_CA_CERTS'].map((place) => (typeof place === 'string' ? variable(env, place) : place))
    const place = own.value === undefined ? first(...places) : own
    note('ca', null, place)
    const ca = checked ?? certificates(place)
    if (ca !== null) note('ca', `certificates (${ca.split('BEGIN').length - 1})`, place)
    return { ca, ...rest }
  }
}

/**
 * In cloud mode nothing is on the disk. A directory is then only where a log of another mode may still lie: said beside the
 * mode it is a contradiction, and where a variable chooses the mode it is left out. What it would promise or repair is refused.
 */
function checkDiskless(options, asked, warn) {
  const cloud = `${asked.from} is cloud, which keeps nothing on the disk`
  if (options.localDurability !== undefined)
    refuse(`\`localDurability\` does not apply: ${cloud}, and a write resolves when the store has it`)
  if (options.seedFromDisk) refuse(`\`seedFromDisk\` does not apply: ${cloud}; open once with \`mode: 'hybrid'\` instead`)
  if (options.directory === undefined) return
  if (options.mode !== undefined) refuse(`\`directory\` does not apply: ${cloud}; remove one of the two`)
  warn(`\`directory\` is not used: ${cloud}`)
}

/** A function that does its work once, and answers or throws the same ever after. */
function once(work) {
  let outcome
  return () => {
    try {
      outcome ??= { value: work() }
    } catch (error) {
      outcome = { error }
    }
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }
}

/** Ways to read one setting, each of which answers, or throws, the same ever after. */
function readersOf({ options, env }) {
  const look = (name) => lookUp(options, env, name)
  return {
    look,
    between: (name, fallback, least, most) => once(() => integer(look(name), fallback, least, most)),
    limited: (name, fallback) => once(() => limit(look(name), fallback)),
    oneOf: (name, fallback, allowed) => once(() => choice(look(name), fallback(), allowed)),
    yesOrNo: (name) => once(() => flag(look(name)))
  }
}

/** Places of a session: the mode that was asked for, the store that is described, null for none, and the mode that follows. */
function placesOf({ options, env, warn, look }) {
  const asked = once(() =>
    choice(look('mode'), undefined, ['local', 'hybrid', 'cloud'], '; the store itself is set by `store` or SESSION_BACKUP_STORE')
  )
  const described = once(() => findStore(options.store, env, { value: asked(), from: look('mode').from }, warn))
  const mode = once(() => {
    // A store that makes no sense is a mistake in local mode too.
    const found = asked() ?? (described() === null ? 'local' : 'hybrid')
    if (described() === null && found !== 'local') {
      refuse(
        `${look('mode').from} is ${found} and needs a \`store\`: set one, or SESSION_BACKUP_STORE, and do not disable it with SESSION_BACKUP_ENABLED`
      )
    }
    if (found === 'cloud') checkDiskless(options, look('mode'), warn)
    return found
  })
  return { asked, described, mode }
}

/** Settings of encryption. */
function encryptionOf({ look, mode, described }) {
  const encryptionKeys = once(() => keyRing(look('encryptionKeys')))
  const encryption = once(() => {
    const found = choice(look('encryption'), 'on', ['on', 'off'])
    const count = encryptionKeys().length
    if (found === 'off' && count > 0) refuse("`encryption: 'off'` and `encryptionKeys` contradict each other")
    if (mode() !== 'local' && count === 0 && found === 'on') {
      refuse(
        `the store of ${described().from} needs \`encryptionKeys\` (64 hex digits); to store sessions unencrypted, set \`encryption: 'off'\``
      )
    }
    return found
  })
  return { encryptionKeys, encryption }
}

/** Parts of the application: only options can be such. */
function applicationOf({ options, yesOrNo }) {
  return {
    logger: once(() => {
      const { logger } = options
      if (logger !== undefined && typeof logger?.warn !== 'function') refuse('`logger` must have the methods of a pino logger')
      return logger
    }),
    onEvent: once(() => {
      const { onEvent } = options
      if (onEvent !== undefined && typeof onEvent !== 'function') refuse('`onEvent` must be a function')
      return onEvent
    }),
    signal: once(() => abortSignal({ value: options.signal, from: '`signal`' })),
    ifFree: yesOrNo('ifFree')
  }
}

/** Settings of the way to the store, and the store itself, complete. */
function storeOf(context) {
  const { look, yesOrNo, mode, described } = context
  const http = once(() => httpSpec(look, context))
  return {
    allowPublicBucket: yesOrNo('allowPublicBucket'),
    maxConcurrentRequests: once(() => requestsAtOnce(look)),
    caCertificate: http,
    store: once(() => (http(), mode() === 'local' ? null : completeStore(described(), { ...context, http: http() })))
  }
}

/** Place where the flush interval is looked for. */
function flushPlaceOf({ look, mode }) {
  return once(() => {
    const place = look('flushIntervalMs')
    // The interval of existing services is for a store beside the disk, whatever it says.
    const isForOthers = place.from === 'SESSION_BACKUP_INTERVAL' && mode() !== 'hybrid'
    return isForOthers ? { value: undefined, from: '`flushIntervalMs`' } : place
  })
}

/** Settings of durability, and all intervals and limits of time. */
function timesOf({ look, between, limited, oneOf, mode, described, flushPlace }) {
  /** Checks are further apart where each of them is paid for. A store that is wrong is reported elsewhere. */
  const checkInterval = () => (unlessWrong(() => mode() !== 'local' && isFree(described().kind)) ? 1000 : 5000)
  return {
    flushIntervalMs: once(() => flushInterval(flushPlace())),
    localDurability: oneOf('localDurability', () => (mode() === 'local' ? 'data' : 'os'), ['os', 'data']),
    ownershipCheckIntervalMs: once(() => integer(look('ownershipCheckIntervalMs'), checkInterval(), 50, 600_000)),
    handoverTimeoutMs: between('handoverTimeoutMs', null, 0, 3_600_000),
    refreshIntervalMs: between('refreshIntervalMs', 7 * DAY, 1000, 365 * DAY),
    closeTimeoutMs: limited('closeTimeoutMs', 10_000),
    flushTimeoutMs: limited('flushTimeoutMs', 30_000)
  }
}

/** Settings of the identity: where it may come from, and when it may be made, shown or taken over. */
function identityOf({ look, oneOf, yesOrNo, mode, encryptionKeys }) {
  return {
    onMissing: oneOf('onMissing', () => 'create', ['create', 'error']),
    onLeaseLost: oneOf('onLeaseLost', () => 'continue', ['continue', 'stop']),
    hideTenantIds: once(() => {
      const found = flag(look('hideTenantIds'))
      if (found && mode() !== 'local' && encryptionKeys().length === 0)
        refuse('`hideTenantIds` needs `encryptionKeys`, because names depend on them')
      return found
    }),
    acceptUnencrypted: yesOrNo('acceptUnencrypted'),
    fresh: yesOrNo('fresh'),
    importFrom: once(() => {
      const { value } = look('importFrom')
      if (value === undefined) return undefined
      const path = pathIn({ value, from: '`importFrom`' }, 'the path of a folder of `useMultiFileAuthState`')
      if (mode() === 'cloud') refuse("`importFrom` does not apply: an import needs a disk; open once with `mode: 'hybrid'`")
      return path
    }),
    takeover: yesOrNo('takeover'),
    seedFromDisk: yesOrNo('seedFromDisk')
  }
}

/** Answers about the settings, which are none themselves. */
function answersOf({ options, env, asked, described, mode, flushPlace }) {
  return {
    /** A warning for when everything is right; null for none. */
    noStore: () => {
      const isUnsaid = options.store === undefined && asked() === undefined && enabled(env) === undefined
      return isUnsaid && described() === null ? nothingSays(env) : null
    },
    /** True if somebody said that there is to be no store: a variable that is missing once does not. */
    isLocalSaid: () => asked() === 'local',
    /** Place where the store is named; null for none. */
    storeFrom: () => described()?.from ?? null,
    /** The variables, or places, that name authorities for the store in effect alone; null where there is none that has a use for any. */
    authorities: () => (mode() === 'local' ? null : authoritiesOf(described(), env)),
    /** Variables that name a database, which no store is, in words. */
    unused: () =>
      (described() === null ? [] : unusedDatabases(env).filter(([, , kind]) => kind !== described().kind)).map(
        ([name, service]) => `${name} is not used for sessions: SESSION_BACKUP_STORE=${service} would make it the store`
      ),
    flushPlace
  }
}

/**
 * Every setting as a function that answers its checked value, or throws what is wrong with it. Nothing is read before it is
 * asked for, so that a caller that only shows them can continue after a wrong one. Whoever reads them all hears of the first wrong one in
 * this order.
 * @param given `{ options, env, warn(message), note(field, shown, place) }`, the last as for `completeStore`
 */
function settingsOf(given) {
  const context = { ...given, options: ownFields(given.options) }
  const readers = { ...context, ...readersOf(context) }
  const placed = { ...readers, ...placesOf(readers) }
  const encryption = encryptionOf(placed)
  const flushPlace = flushPlaceOf(placed)
  return {
    directory: once(() => {
      const { value = 'whatsapp-sessions', from } = placed.look('directory')
      return pathIn({ value, from }, 'the path of a directory')
    }),
    mode: placed.mode,
    ...encryption,
    ...applicationOf(placed),
    ...storeOf(placed),
    ...timesOf({ ...placed, flushPlace }),
    ...identityOf({ ...placed, ...encryption }),
    ...answersOf({ ...placed, flushPlace })
  }
}

module.exports = { httpSpec, settingsOf }
