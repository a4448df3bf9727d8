'use strict'

// The credentials of one open beside those that are stored: several opens of a tenant each have an object of their own.
//
// Invariant: an open that was overtaken by another one writes only what it changed itself, and no counter backwards: the last
// `creds.update` of a socket that goes would otherwise hand out ids of pre-keys again, and destroy those that are uploaded.

const { isDeepStrictEqual } = require('node:util')
const { ask } = require('../core.js')

/** Counters: the next id of a pre-key to be made, the first that is not uploaded, and how often the account was synced. */
const GROWING = ['nextPreKeyId', 'firstUnuploadedPreKeyId', 'accountSyncCounter']

const grown = (one, other) => (Number.isFinite(one) && Number.isFinite(other) ? Math.max(one, other) : other)

/** `stored`, with what differs between `before` and `mine`. */
function merged(stored, before, mine) {
  const result = { ...stored }
  for (const name of new Set([...Object.keys(before), ...Object.keys(mine)])) {
    if (isDeepStrictEqual(mine[name], before[name])) continue
    if (Object.hasOwn(mine, name)) result[name] = GROWING.includes(name) ? grown(stored[name], mine[name]) : mine[name]
    else delete result[name]
  }
  return result
}

/**
 * @param look calls a function with the bytes of the stored credentials, and answers what that does
 * @returns `{ toSave(), saved() }`: what to store of `creds`, and whom to tell that it was
 */
function createOwnCreds(look, batch, creds) {
  const decode = (buffer) => batch.decodeAnswer(['creds'], null, buffer, buffer.length).creds
  const copy = () => {
    const { buffer, length } = batch.encodeCreds(creds)
    for (const { value } of batch.readEntries(Buffer.from(buffer.subarray(0, length)))) return value
    return creds
  }
  /** The stored credentials, as this open saw them last. */
  let last = look(Buffer.from)
  /** This open's own credentials when it stored something last; null as long as these are the same. */
  let mine = null

  return {
    toSave() {
      if (mine === null && look((stored) => last.equals(stored))) return creds
      const stored = look((bytes) => decode(bytes))
      const before = mine ?? decode(last)
      // Nothing to be overtaken by, or an account of its own: credentials of two are never mixed.
      if (stored === null || before === null || !isDeepStrictEqual(stored.noiseKey, before.noiseKey)) return creds
      return merged(stored, before, copy())
    },
    /** `what` is what `toSave` answered. */
    saved(what) {
      last = look(Buffer.from)
      mine = what === creds ? null : copy()
    }
  }
}

/** The stored credentials; null where there are none. `through` is what the core is called with. */
function readCreds(binding, handle, batch, through) {
  return ask(
    binding,
    handle,
    batch.encodeCredsKey(),
    (buffer, length) => batch.decodeAnswer(['creds'], null, buffer, length).creds,
    through
  )
}

module.exports = { createOwnCreds, merged, readCreds }
