'use strict'

// The sessions of a fleet, open or being opened, by tenant.
//
// Invariants: it only keeps books. Each session is what `useHybridAuthState` gives; sharing one between several opens of a tenant is
// the core's business. What ends is taken off the books, whoever ends it; a shutdown ends all that is on them, and names the rest.

const { HybridAuthError } = require('../errors.js')
const { Opens } = require('./opens.js')
const { within } = require('../pool.js')
const { openSession } = require('../session/open.js')
const { abandoned, linked } = require('../session/opening.js')
const { OPENING } = require('../session/status.js')

/** Lives of a session that is none of this fleet any more, or only just. */
const LEAVING = ['closing', 'closed', 'deleted']

/** Time that a shutdown waits for opens under way, in milliseconds, where nothing else is said. */
const OPENS_END_WITHIN = 10_000

const shutDown = () => new HybridAuthError('CLOSED', 'this fleet was shut down during the open')

const stillOpening = () =>
  new HybridAuthError(
    'REMOTE_UNAVAILABLE',
    'this session was still being opened: it will be closed as soon as possible, unless the process ends first'
  )

class OpenSessions {
  /** tenant id -> `Opens` */
  #tenants = new Map()
  #ended
  /** opens under way */
  #opening = new Set()
  #shutdowns = 0

  /** @param {(tenantId: string) => void} ended no session of the tenant is open here any more */
  constructor(ended) {
    this.#ended = ended
  }

  /** Opens a session with these options. `inner` is given to the core beside them. */
  async open(tenantId, options, inner) {
    const { signal, abort, release } = linked(options.signal)
    const opening = { tenantId, abort, isOver: false, over: null }
    const began = (over) => {
      this.#opening.add(opening)
      opening.over = over.then(() => {
        opening.isOver = true
        this.#opening.delete(opening)
      })
    }
    let session
    const onEvent = options.onEvent && this.#once(tenantId, options.onEvent, () => session)
    try {
      session = await openSession(tenantId, { ...options, onEvent, signal }, inner, began)
    } finally {
      release()
    }
    if (!signal.aborted) return this.#keep(tenantId, session)
    await session.close().catch(() => {})
    throw abandoned(signal)
  }

  /** A listener that hears the newest of several sessions of a tenant, and no other. */
  #once(tenantId, onEvent, session) {
    return (news) => {
      const newest = this.#tenants.get(tenantId)?.newest ?? session()
      return session() === undefined || session() === newest ? onEvent(news) : undefined
    }
  }

  #keep(tenantId, session) {
    const opens = this.#tenants.get(tenantId) ?? new Opens()
    this.#tenants.set(tenantId, opens)
    opens.add(session)
    const forget = () => {
      opens.remove(session)
      if (opens.newest !== null || this.#tenants.get(tenantId) !== opens) return
      this.#tenants.delete(tenantId)
      this.#ended(tenantId)
    }
    const { close, delete: destroy } = session
    session.close = (how) => {
      const closed = close(how).finally(() => {
        // A close that was refused before it began leaves the session as it was.
        if (LEAVING.includes(session.status().life)) forget()
      })
      // As in the session itself: nobody has to wait for it.
      closed.catch(() => {})
      return closed
    }
    session.delete = () => destroy().then(forget)
    return session
  }

  /** The session of a tenant that was opened here last, or undefined. */
  get(tenantId) {
    return this.#tenants.get(tenantId)?.newest ?? undefined
  }

  /** All sessions of a tenant. */
  all(tenantId) {
    return this.#tenants.get(tenantId)?.all() ?? []
  }

  /** Tenants that are open here. */
  list() {
    return [...this.#tenants.keys()]
  }

  /** Tenants that are being opened here. */
  opening() {
    return [...new Set([...this.#opening].map(({ tenantId }) => tenantId))]
  }

  /** tenant id -> status. One that is being closed at the moment has none. */
  status() {
    const open = this.list().map((tenantId) => [tenantId, this.get(tenantId).status()])
    const opening = this.opening().map((tenantId) => [tenantId, OPENING])
    return Object.fromEntries([...opening, ...open.filter(([, { life }]) => !LEAVING.includes(life))])
  }

  /** A function that answers the error of a shutdown that came after this call; null as long as there was none. */
  refusal() {
    const shutdowns = this.#shutdowns
    return () => (shutdowns === this.#shutdowns ? null : shutDown())
  }

  /** Closes everything, in parallel. */
  async shutDown(timeoutMs) {
    this.#shutdowns += 1
    const pending = [...this.#opening]
    for (const { abort } of pending) abort(shutDown())
    const open = [...this.#tenants].flatMap(([tenantId, sessions]) => sessions.all().map((session) => ({ tenantId, session })))
    const results = await Promise.allSettled(open.map(({ session }) => session.close({ timeoutMs })))
    const failed = results.flatMap((result, i) =>
      result.status === 'rejected' ? [{ tenantId: open[i].tenantId, error: result.reason }] : []
    )
    const closed = open.length - failed.length
    await within(Promise.all(pending.map(({ over }) => over)), timeoutMs ?? OPENS_END_WITHIN)
    for (const { tenantId } of pending.filter(({ isOver }) => !isOver)) failed.push({ tenantId, error: stillOpening() })
    return { closed, failed }
  }
}

module.exports = { LEAVING, OpenSessions }
