'use strict'

// Opens in progress: their tenants, durations, awaited owners, and cancellation.
//
// Invariant: the caller that cancels an open is answered at once, and nothing is left of it: a session that it still gets is closed again,
// which `over` waits for.

const { abortSignal } = require('../checks.js')
const { HybridAuthError } = require('../errors.js')

/** Opens under way in this thread. */
const openings = new Set()

function abandoned({ reason }) {
  return reason instanceof HybridAuthError ? reason : new HybridAuthError('ABORTED', 'the `signal` cancelled this open', reason)
}

/**
 * Opens a session by `work(entry, check)`, which calls `check()` where it can stop. `entry.waiting` describes the owner it waits for.
 * @returns `{ session, over }`: two promises, of which the second is kept when nothing is under way any more
 */
function begin(tenantId, signal, work) {
  const entry = { tenantId, since: performance.now(), waiting: null }
  const check = () => {
    if (signal?.aborted) throw abandoned(signal)
  }
  openings.add(entry)
  const done = (async () => {
    check()
    return work(entry, check)
  })()
  const over = done
    .then((session) => (signal?.aborted ? session.close() : undefined))
    .catch(() => {})
    .finally(() => openings.delete(entry))
  const session = signal === undefined ? done : unlessAborted(done, signal)
  return { session, over }
}

function unlessAborted(done, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(abandoned(signal))
    signal.addEventListener('abort', stop, { once: true })
    done.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

/** A signal that `abort` or the given one aborts; `release()` when it is of no use any more. */
function linked(given) {
  const controller = new AbortController()
  const pass = () => controller.abort(given.reason)
  if (abortSignal({ value: given, from: '`signal`' })?.aborted) pass()
  else given?.addEventListener('abort', pass, { once: true })
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => given?.removeEventListener('abort', pass)
  }
}

/** Opens under way: `{ tenantId, forMs, waiting }`, the last being `{ epoch, atMostMs }` or null. */
function underWay() {
  const now = performance.now()
  return [...openings].map(({ tenantId, since, waiting }) => ({ tenantId, forMs: Math.round(now - since), waiting }))
}

module.exports = { abandoned, begin, linked, underWay }
