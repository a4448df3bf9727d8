'use strict'

// What a session tells: to its listeners, and to the logger.
//
// Invariants: each of them is told, whatever another one throws; an `error` that nobody listens to is logged and never thrown; no
// line of a log holds a key or a contact.

const { EventEmitter } = require('node:events')
const { HybridAuthError } = require('./errors.js')
const { attempt, guarded, tellFailure, textOf } = require('./outside.js')

/** Event -> the level at which it is logged. */
const LEVELS = { backup: 'debug', restored: 'info', degraded: 'warn', recovered: 'info', fenced: 'warn', repaired: 'warn', error: 'error' }

const EVENTS = Object.keys(LEVELS)

/** The logger of one session: a child, as pino has them, says in each line what it is about. Any other is taken as it is. */
function sessionLogger(logger, tenantId) {
  let own = logger
  const failed = (error) => tellFailure(guarded(logger), '`child` of the logger', error)
  attempt(() => {
    const child = typeof logger?.child === 'function' ? logger.child({ class: 'hybrid-auth', tenantId }) : undefined
    if (typeof child?.warn === 'function') own = child
    return child
  }, failed)
  return guarded(own)
}

function checkListener(event, listener) {
  if (!EVENTS.includes(event)) throw new HybridAuthError('INVALID_OPTION', `there is no event "${textOf(event)}"; there are ${EVENTS.join(', ')}`)
  if (typeof listener !== 'function') throw new HybridAuthError('INVALID_OPTION', `the listener of "${event}" must be a function`)
}

function createNews(logger) {
  const emitter = new EventEmitter()
  return {
    on(event, listener) {
      checkListener(event, listener)
      emitter.on(event, listener)
    },
    off(event, listener) {
      checkListener(event, listener)
      emitter.off(event, listener)
    },
    tell(news) {
      const { event, ...details } = news
      // A line of the core for the log alone.
      if (event === 'note') return void logger?.[news.level]({ event }, news.message)
      logger?.[LEVELS[event]](news, `session ${event}`)
      const cause = details.code === undefined ? details : new HybridAuthError(details.code, details.message)
      for (const listener of emitter.listeners(event)) {
        attempt(() => listener(cause), (error) => tellFailure(logger, `the listener of "${event}"`, error))
      }
    }
  }
}

module.exports = { createNews, sessionLogger }
