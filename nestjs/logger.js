'use strict'

// Between the two shapes of loggers: this package speaks to `(details, message)`, Nest to text under a context.
//
// Invariants: what is said of a session names its tenant; what is said of the configuration is said once, whatever the number
// of tenants; an upload is no news, so that a busy service does not fill its log by default.

const { Logger } = require('./nest.js').common()

const silent = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} })

/** True for a logger of Nest's kind, which has `log` where pino has `info`. */
const isNestLogger = (logger) => typeof logger?.log === 'function' && typeof logger.warn === 'function' && typeof logger.info !== 'function'

/** One line: tenant, event, and the other details as JSON. */
function line({ event, tenantId, code, message: reason, ...rest }, message) {
  const who = tenantId === undefined ? '' : `tenant ${tenantId}: `
  const what = code === undefined ? message : `${message} (${code})`
  const why = reason === undefined ? '' : `: ${reason}`
  const more = Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest)}`
  return who + what + why + more
}

/**
 * A logger in the shape of pino that speaks through a logger of Nest: the one that the application has, under the context
 * `context`, or another. `debug` lines, one for each upload, are passed on if asked for.
 */
function nestLogger(context = 'HybridAuth', { debug = false, logger = new Logger(context) } = {}) {
  const say = (method) => (details, message) => logger[method](line(details, message))
  return {
    debug: debug && typeof logger.debug === 'function' ? say('debug') : () => {},
    info: say('log'),
    warn: say('warn'),
    error: say('error')
  }
}

/** The logger of one session: adds whom it is about. `said` are warnings that concern all of them, and were given already. */
function tenantLogger(logger, tenantId, said) {
  const about = (method) => (details, message) => logger[method]?.({ tenantId, ...details }, message)
  return {
    debug: about('debug'),
    info: about('info'),
    warn: (details, message) => (said.has(message) ? undefined : about('warn')(details, message)),
    error: about('error')
  }
}

module.exports = { isNestLogger, nestLogger, silent, tenantLogger }
