'use strict'

// The configuration of an open: every setting, its source, and its problems.
//
// Invariants: it is found by the same functions that an open uses, so that neither can say what the other does not; nothing is
// opened, sent or logged, and nothing wrong is thrown. No secret is shown, nor part of one: an encryption key is its id, by
// which errors name it, other keys are `hidden`.

const { givenOf } = require('../baileys.js')
const { isOption, ownFields, unlessWrong } = require('../checks.js')
const { call } = require('../core.js')
const { unreadable } = require('../errors.js')
const { loadBinding } = require('../native.js')
const { wrongNames, KNOWN } = require('./options.js')
const { settingsOf } = require('./settings.js')
const { lookUp } = require('./variables.js')

/** Ids of keys that are laid end to end. */
const keyIds = (keys) => (keys.length === 0 ? [] : call(loadBinding().keyring, keys))

/** Host and port of a server, the usual port left out. */
const hostOf = ({ host, port }, usual) => (host.includes(':') ? `[${host}]` : host) + (port === usual ? '' : `:${port}`)

/** A store in the form of its URL, which never holds credentials. */
function nameOf(store) {
  if (store === null) return null
  const { kind, bucket, prefix, path, name } = store
  if (kind === 'directory') return `directory ${path}`
  if (kind === 'memory') return `memory://${name}`
  if (kind === 'postgres')
    return `postgres://${hostOf(store, 5432)}/${encodeURIComponent(store.database)}${prefix === '' ? '' : `/${prefix}`}`
  if (kind === 'redis') return `redis${store.tls ? 's' : ''}://${hostOf(store, 6379)}/${store.db}`
  return `${kind === 'gcs' ? 'gs' : kind}://${bucket}${prefix === '' ? '' : `/${prefix}`}`
}

/** Origin of a value: a place with a value, or none and then a default. */
function sourceOf({ value, from }) {
  if (value === undefined || value === null) return { source: 'default', from: null }
  return { source: isOption(from) ? 'option' : 'variable', from: from.replaceAll('`', '') }
}

/** The fault of a setting, in words. */
const refusal = (error) => unreadable('a setting', error).message

/** The waits that follow from the check interval where none is given. */
const handoverOf = (settings) => Math.ceil(call(loadBinding().handoverWait, settings.ownershipCheckIntervalMs()))

/** The way to a bucket: nothing that a directory, or memory, has a use for. */
const OF_BUCKETS = ['caCertificate', 'allowPublicBucket', 'maxConcurrentRequests']

/** Setting -> its shown form. All others are shown as they are. */
const SHOWN = {
  __proto__: null,
  encryptionKeys: (settings) => keyIds(settings.encryptionKeys()),
  store: (settings) => nameOf(settings.store()),
  handoverTimeoutMs: (settings) => settings.handoverTimeoutMs() ?? handoverOf(settings)
}

/** Options that are objects or functions: only whether they are given is told. */
const OBJECTS = ['initAuthCreds', 'BufferJSON', 'baileys', 'logger', 'onEvent', 'signal']

/** Settings among them; the others are parts of Baileys. */
const OF_SETTINGS = ['logger', 'onEvent', 'signal']

function tableOf({ settings, problems, warnings, notes }) {
  const text = (value) => (value === null ? '-' : Array.isArray(value) ? value.join(', ') || '-' : String(value))
  const rows = Object.entries(settings).map(([name, { value, source, from, problem }]) => [
    name,
    problem === undefined ? text(value) : '(see below)',
    source === 'default' ? 'default' : `${source} ${from}`
  ])
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)))
  const lines = rows.map(([name, value, from]) => `${name.padEnd(widths[0])}  ${value.padEnd(widths[1])}  ${from}`)
  const listed = (title, list) => (list.length === 0 ? [] : ['', title, ...list.map((one) => `- ${one}`)])
  return [...lines, ...listed('problems', problems), ...listed('warnings', warnings), ...listed('notes', notes)].join('\n')
}

/** See types/options.d.ts. */
function describeConfig(options = {}, variables = process.env) {
  const env = Object.fromEntries(Object.entries(variables).filter(([, value]) => typeof value === 'string'))
  const problems = new Set(wrongNames(options, env))
  const warnings = new Set()
  const attempt = (work) => {
    try {
      return { value: work() }
    } catch (error) {
      const problem = refusal(error)
      problems.add(problem)
      return { value: null, problem }
    }
  }
  const given = options !== null && typeof options === 'object' ? ownFields(options) : ownFields({})
  const details = new Map()
  const settings = settingsOf({
    options: given,
    env,
    warn: (message) => warnings.add(message),
    note: (field, shown, place) => details.set(field, { value: shown, ...sourceOf(place) })
  })

  /** As `settings.authorities`; for a store that is wrong, what every bucket has a use for. */
  const authorities = () => {
    const { value, problem } = attempt(settings.authorities)
    return problem === undefined ? value : []
  }

  const found = {}
  const placeOf = (name) => {
    if (name === 'flushIntervalMs') return settings.flushPlace()
    if (name === 'store') return { value: settings.storeFrom() ?? undefined, from: settings.storeFrom() }
    return lookUp(given, env, name)
  }
  for (const name of [...KNOWN].filter((name) => !OBJECTS.includes(name))) {
    const seen = attempt(() => (SHOWN[name] ?? ((all) => all[name]()))(settings))
    // It is checked all the same, as an open does.
    if (OF_BUCKETS.includes(name) && authorities() === null) seen.value = null
    const place = attempt(() => placeOf(name))
    found[name] = { ...seen, value: seen.value ?? null, ...sourceOf(place.value ?? { value: undefined }) }
    if (name !== 'store') continue
    for (const [field, detail] of details) if (field !== 'ca') found[`store.${field}`] = detail
  }
  // The authorities that count depend on the kind of store, which knows variables of its own.
  const { problem } = attempt(() => authorities() !== null && settings.caCertificate()(authorities()))
  found.caCertificate = { ...found.caCertificate, ...details.get('ca'), ...(problem && { problem }) }
  for (const name of OBJECTS) {
    const { problem } = attempt(() => (OF_SETTINGS.includes(name) ? settings[name]() : givenOf({ [name]: given[name] })))
    const place = sourceOf({ value: given[name], from: `\`${name}\`` })
    found[name] = { value: place.source === 'default' ? null : 'given', ...(problem && { problem }), ...place }
  }
  const { value: warning } = attempt(() => settings.noStore())
  if (warning !== null) warnings.add(warning)

  const described = { settings: found, problems: [...problems], warnings: [...warnings], notes: unlessWrong(settings.unused) ?? [] }
  return Object.defineProperty(described, 'toString', { value: () => tableOf(described) })
}

module.exports = { describeConfig, OBJECTS }
