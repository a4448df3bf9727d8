'use strict'

// The events of a session, for its listeners and the logger.
//
// Invariants: each of them is called, whatever another one throws; an `error` without a listener is logged and never thrown; no
// line of a log holds a key or a contact. What the core holds of it does not keep it: listeners usually hold the session, and it could
// never be collected.

const { EventEmitter } = require('node:events')
const { HybridAuthError } = require('../errors.js')
const { attempt, guarded, tellFailure, textOf } = require('../outside.js')

/** Event -> the level at which it is logged. */
const LEVELS = {
  opening: 'info',
  waiting: 'info',
  opened: 'info',
  backup: 'debug',
  restored: 'info',
  degraded: 'warn',
  recovered: 'info',
  serverChanged: 'warn',
  fenced: 'warn',
  fresh: 'warn',
  repaired: 'warn',
  error: 'error'
}

/** Told before there is a session that anybody could listen to. */
const BEFORE = ['opening', 'waiting']
const EVENTS = Object.keys(LEVELS).filter((event) => !BEFORE.includes(event))

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`

/** Origins of a session, in words for people. */
const FROM = {
  fresh: 'new: there was no session, and it needs pairing',
  imported: 'imported from a folder of useMultiFileAuthState',
  local: 'from the local log',
  remote: 'restored from the store'
}

/** Event -> what its line in the log says, where its name says too little. */
const WORDS = {
  opening: () => 'session opening',
  waiting: ({ epoch, atMostMs }) =>
    `session waiting up to ${seconds(atMostMs)} for its previous owner (epoch ${epoch}), which has not released it`,
  serverChanged: () => 'another server answers for the store, which may lack the latest writes: the full state is being stored there',
  opened: ({ source, clean, shared, tookMs }) =>
    shared
      ? `session opened again in this process, in ${seconds(tookMs)}`
      : `session opened in ${seconds(tookMs)}, ${FROM[source]}${clean ? '' : '; its last owner did not end properly, so its last writes may be missing'}`
}

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
  if (!EVENTS.includes(event))
    throw new HybridAuthError('INVALID_OPTION', `there is no event "${textOf(event)}"; the events are ${EVENTS.join(', ')}`)
  if (typeof listener !== 'function') throw new HybridAuthError('INVALID_OPTION', `the listener of "${event}" must be a function`)
}

class News {
  #logger
  #tenantId
  #onEvent
  #emitter = new EventEmitter()
  /** News that the open itself found, for listeners that are added right after it; null once these were told. */
  #early = []

  /** @param {any} parts `onEvent`: called with every event, from the first moment on */
  constructor({ logger, tenantId, onEvent }) {
    this.#logger = logger
    this.#tenantId = tenantId
    this.#onEvent = onEvent
  }

  /**
   * Listener of the session itself, told before all others.
   * @type {(told: any) => any}
   */
  first = () => {}

  /**
   * Takes what the core tells. With `null`, it asks whether everything was told that it told before.
   * @param {import('../../binding.js').News | null} told
   */
  hear(told) {
    if (told === null) return this.catchUp()
    if (this.#early === null || BEFORE.includes(told.event)) this.tell(told)
    else this.#early.push(told)
  }

  catchUp() {
    const told = this.#early ?? []
    this.#early = null
    for (const one of told) this.tell(one)
  }

  tell(told) {
    this.#log(told)
    this.#emit(told)
  }

  /** Logs at once, and tells listeners that are added right after the open as well. */
  tellSoon(told) {
    this.#log(told)
    setImmediate(() => this.#emit(told)).unref()
  }

  #log(told) {
    // A line of the core is for the log alone.
    if (told.event === 'note') return void this.#logger?.[told.level]({ event: 'note' }, told.message)
    const { level = LEVELS[told.event], ...line } = told
    this.#logger?.[level](line, WORDS[told.event]?.(told) ?? `session ${told.event}`)
  }

  #emit({ event, level: _, ...details }) {
    if (event === 'note') return
    this.first({ event, ...details })
    const cause = details.code === undefined ? details : new HybridAuthError(details.code, details.message)
    const [onEvent, tenantId] = [this.#onEvent, this.#tenantId]
    const whole = { event, tenantId, ...(details.code === undefined ? details : { error: cause }) }
    if (onEvent !== undefined) this.#attempt(() => onEvent(whole), '`onEvent`')
    for (const listener of this.#emitter.listeners(event)) this.#attempt(() => listener(cause), `the listener of "${event}"`)
  }

  /** Calls code of the application, which is named in the log if it fails. */
  #attempt(work, name) {
    attempt(work, (error) => tellFailure(this.#logger, name, error))
  }

  on(event, listener) {
    checkListener(event, listener)
    this.#emitter.on(event, listener)
  }

  off(event, listener) {
    checkListener(event, listener)
    this.#emitter.off(event, listener)
  }
}

/** Callback for the core. */
function hearing(news) {
  const ref = new WeakRef(news)
  return (told) => ref.deref()?.hear(told)
}

module.exports = { News, hearing, sessionLogger }
