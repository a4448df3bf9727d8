'use strict'

// A session that is opened with a new WhatsApp identity: told always, because an unexpected one is the worst that can happen.
//
// Invariant: no new identity without a line at level `warn`, an event and a count; each says how it came about.

const { HybridAuthError } = require('../errors.js')
const { PAIR } = require('./missed.js')

/** Reason -> how often, since this thread began. */
const counts = { missing: 0, asked: 0, removed: 0, 'no-credentials': 0 }

const BESIDE = 'no session of `useMultiFileAuthState` in its place, in `directory` itself or in a folder named by the tenant id'

/** Places where a session was looked for in vain. */
function placesOf({ cloud, mayMiss, native }) {
  if (cloud) return ['nothing in the store']
  const places =
    native.store === null ? ['nothing in the local log; no store is in use'] : ['nothing in the store', 'nothing in the local log']
  return mayMiss ? [...places, BESIDE] : places
}

const WORDS = {
  missing: (resolved) => `there was no session: ${placesOf(resolved).join(', ')}`,
  asked: () => 'requested by `fresh: true`',
  removed: () => 'its folder was removed after this process had opened it, and no store is in use to restore it from',
  'no-credentials': () => 'the session has keys but no credentials: `saveCreds` was never called, or always failed'
}

function reasonOf({ removed, asked, isBlank }) {
  if (!isBlank) return 'no-credentials'
  if (asked) return 'asked'
  return removed ? 'removed' : 'missing'
}

/**
 * News of an open that found no credentials. `isBlank`: nor any key.
 * @throws NOT_FOUND where no new identity may be made
 */
function freshSession({ resolved, removed, isBlank }) {
  if (!resolved.native.create) {
    // One with keys is refused by the core.
    throw new HybridAuthError(
      'NOT_FOUND',
      `this session was never paired and is empty, and \`onMissing: 'error'\` forbids creating an identity; ${PAIR}`
    )
  }
  const reason = reasonOf({ removed, asked: resolved.native.fresh, isBlank })
  counts[reason]++
  return { event: 'fresh', reason, message: `a new WhatsApp identity, which needs pairing: ${WORDS[reason](resolved)}` }
}

/** Counts a new identity that was told otherwise. */
function countFresh(reason) {
  counts[reason]++
}

module.exports = { countFresh, freshCounts: () => ({ ...counts }), freshSession }
