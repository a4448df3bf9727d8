'use strict'

// Options of the module: those of the fleet, and what only an application has.
//
// Invariant: an application with a wrong option does not start, and is told the name of the option; no variable is read but
// those that opening a session reads.

const { limit, refuse } = require('../lib/checks.js')
const { resolveOptions } = require('../lib/config/options.js')
const { guarded } = require('../lib/outside.js')
const { isNestLogger, nestLogger, silent } = require('./logger.js')

function callback(name, value) {
  if (value !== undefined && typeof value !== 'function') refuse(`\`${name}\` must be a function`)
  return value
}

function bootstrapList(value) {
  const isList = Array.isArray(value) && value.every((id) => typeof id === 'string' && id !== '')
  if (value !== false && value !== 'all' && !isList) refuse("`openOnBootstrap` must be 'all', false, or an array of tenant ids")
  return value
}

/** Registry of the metrics; undefined for none. */
function metricsOf(value) {
  if (value === undefined) return undefined
  const { registry, tenantLabel = false, ...rest } = value ?? {}
  const isRegistry = typeof registry?.registerMetric === 'function'
  if (!isRegistry || typeof tenantLabel !== 'boolean' || Object.keys(rest).length > 0) {
    refuse('`metrics` must be `{ registry, tenantLabel }` with a registry of prom-client, such as `register`, and true or false')
  }
  return { registry, tenantLabel }
}

/** Nest's own logger by default, any other of its loggers, a pino logger or as much of one as there is, or none. */
function loggerOf(value) {
  if (value === undefined) return nestLogger()
  if (value === false) return silent
  if (isNestLogger(value)) return nestLogger(undefined, { logger: value })
  if (typeof value?.warn !== 'function') refuse('`logger` must have the methods of a pino logger or of a Nest logger, or be false')
  const logger = typeof value.child === 'function' ? value.child({ class: 'hybrid-auth' }) : value
  return Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((method) => [method, (details, message) => logger[method]?.(details, message)])
  )
}

/**
 * @returns `{ fleet, said, ...own }`: the options of `HybridAuth`, what was warned of while they were looked at, and the
 *   options of the module, complete and checked
 */
function readOptions(given) {
  if (given === undefined || given === null || typeof given !== 'object') {
    refuse('HybridAuthModule got no options: the factory must return an object')
  }
  for (const name of ['isGlobal', 'name']) {
    if (name in given)
      refuse(`\`${name}\` must be set beside \`useFactory\`, \`useClass\` or \`useExisting\`, not in the options they return`)
  }
  const { shutdownTimeoutMs, openOnBootstrap = false, bootstrapTimeoutMs, onBackup, onFenced, metrics, logger, ...fleet } = given
  const own = {
    shutdownTimeoutMs: limit({ value: shutdownTimeoutMs, from: '`shutdownTimeoutMs`' }, 8000),
    openOnBootstrap: bootstrapList(openOnBootstrap),
    bootstrapTimeoutMs: limit({ value: bootstrapTimeoutMs, from: '`bootstrapTimeoutMs`' }, 20_000),
    onBackup: callback('onBackup', onBackup),
    onFenced: callback('onFenced', onFenced),
    metrics: metricsOf(metrics),
    logger: guarded(loggerOf(logger))
  }
  const said = new Set()
  const warn = (details, message) => {
    said.add(message)
    own.logger.warn(details, message)
  }
  const { native } = resolveOptions('any', { ...fleet, logger: { warn } })
  if (own.openOnBootstrap === 'all' && native.store !== null && native.hideTenantIds) {
    refuse("`openOnBootstrap: 'all'` needs the tenant ids in the store, which `hideTenantIds` hides; list the tenants instead")
  }
  return { fleet, said, ...own }
}

module.exports = { readOptions }
