'use strict'

// A session that is opened with a new WhatsApp identity: told always, because an unexpected one is the worst that can happen.
//
// Invariant: no new identity without a line at level `warn`, an event and a count; each says how it came about.

const { HybridAuthError } = require('./errors.js')

/** Reason -> how often, since this thread began. */
const counts = { missing: 0, asked: 0, removed: 0, 'no-credentials': 0 }

const BESIDE = 'no session of `useMultiFileAuthState` in its place, in `directory` itself or where the tenant id may name a folder'

/** Places where a session was looked for in vain. */
function placesOf({ cloud, mayMiss, native }) {
  if (cloud) return ['nothing in the store']
  const places = native.store === null ? ['nothing in the local log; no store is in use'] : ['nothing in the store', 'nothing in the local log']
  return mayMiss ? [...places, BESIDE] : places
}

const WORDS = {
  missing: (resolved) => `there was no session: ${placesOf(resolved).join(', ')}`,
  asked: () => '`fresh: true` asked for it',
  removed: () => 'its folder was removed while this process had it open or after, and no store is in use that could have it',
  'no-credentials': () => 'what was opened holds keys and no credentials: `saveCreds` was never called, or failed each time'
}

function reasonOf({ removed, asked, keys }) {
  if (keys > 0) return 'no-credentials'
  if (asked) return 'asked'
  return removed ? 'removed' : 'missing'
}

/**
 * News of an open that found no credentials. `keys` is the number of keys that it found.
 * @throws NOT_FOUND where no new identity may be made
 */
function freshSession({ resolved, removed, keys }) {
  if (!resolved.native.create) {
    // One with keys is refused by the core.
    throw new HybridAuthError('NOT_FOUND', 'this session was never paired: nothing was ever stored in it; no new identity was made')
  }
  const reason = reasonOf({ removed, asked: resolved.native.fresh, keys })
  counts[reason]++
  return { event: 'fresh', reason, message: `a new WhatsApp identity, which has to be paired: ${WORDS[reason](resolved)}` }
}

module.exports = { freshCounts: () => ({ ...counts }), freshSession }
