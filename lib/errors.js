'use strict'

// The one error class of this package, and the doors by which native failures become it.
//
// Invariant: whatever leaves this package as a failure carries a `code` from the closed list below, so that a caller
// decides by code and never by text. Messages hold no key material, no contact ids and no raw tenant id.

const codes = Object.freeze([
  'INVALID_OPTION', // a bad argument: fix the call
  'ALREADY_OPEN', // another process has this directory open: use that one
  'OWNED_ELSEWHERE', // another live owner, and the time to wait for it is spent
  'FENCED', // a newer owner exists: close the socket, do not reconnect here
  'LEASE_LOST', // ownership could not be confirmed in time: close the socket, open again
  'REMOTE_UNAVAILABLE', // the store cannot be reached: try again later
  'REMOTE_REFUSED', // the store answers and refuses: fix the key, right, bucket or limit that the message names
  'REMOTE_CORRUPT', // a hole, a wrong digest or a wrong tag in the store: see the runbook, never reset by itself
  'LOCAL_CORRUPT', // damage in local data before its tail, or in a folder to import
  'LOCAL_UNAVAILABLE', // disk full, read-only or not permitted: refused, and nothing was changed
  'PROFILE_BUSY', // a running browser left no moment for a whole copy of its profile: the last generation stays
  'KEY_UNAVAILABLE', // the encryption key of this data is not among those given
  'NOT_FOUND', // no session anywhere, and onMissing: 'error' forbids making one
  'DELETED', // the session was logged out and deleted: pair again
  'IO_POISONED', // a local write failed half-way: open again
  'CLOSED', // the handle is used after its end
  'ABORTED', // the caller gave this open up
  'INTERNAL' // a defect of this package, caught before it could harm
])

/** Codes of failures of the store or the disk that may pass by themselves. */
const PASSING = Object.freeze(['REMOTE_UNAVAILABLE', 'REMOTE_REFUSED', 'LOCAL_UNAVAILABLE'])

const known = new Set(codes)

/** Property by which copies of the package know each other's errors. */
const BRAND = Symbol.for('baileys-hybrid-auth.error')

class HybridAuthError extends Error {
  /** Errors of another copy of the package are instances too: an application and a library that it uses may each have one. */
  static [Symbol.hasInstance](value) {
    if (this !== HybridAuthError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return value !== null && typeof value === 'object' && value[BRAND] === true
  }

  /**
   * @param {string} code one of `codes`
   * @param {string} message
   * @param {unknown} [cause] kept only where it is given: an absent cause leaves no own property behind
   */
  constructor(code, message, cause) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = known.has(code) ? code : 'INTERNAL'
  }
}

// On the prototype like every built-in error, so that the name is neither enumerable nor part of a deep comparison.
Object.defineProperty(HybridAuthError.prototype, 'name', { value: 'HybridAuthError', configurable: true, writable: true })
Object.defineProperty(HybridAuthError.prototype, BRAND, { value: true })

/**
 * True for the failure of a call into the core that took its time: only failures are objects with a `code`.
 * @param {unknown} outcome
 * @returns {outcome is import('../binding.js').Failure}
 */
const isFailure = (outcome) => typeof outcome === 'object' && outcome !== null && 'code' in outcome

/**
 * The value of a call into the core that took its time; throws its failure as our own error.
 * @template T
 * @param {T | import('../binding.js').Failure} outcome
 * @returns {T}
 */
function settle(outcome) {
  if (isFailure(outcome)) throw new HybridAuthError(outcome.code, outcome.message || outcome.code)
  return outcome
}

/**
 * Throws `error` as a HybridAuthError. For the `catch` around a synchronous native call: napi reports a caught panic as
 * `GenericFailure`, and a wrong argument as one of its own `…Expected` codes; both are defects of ours, hence INTERNAL.
 * @returns {never}
 */
function rethrow(error) {
  if (error instanceof HybridAuthError) throw error
  const code = error !== null && typeof error === 'object' ? error.code : undefined
  const message = error instanceof Error ? error.message : String(error)
  throw new HybridAuthError(known.has(code) ? code : 'INTERNAL', message, error)
}

/** For what code of the application threw while this package read what it was given. */
function unreadable(what, error) {
  return error instanceof HybridAuthError ? error : new HybridAuthError('INVALID_OPTION', `${what} cannot be read: it threw`, error)
}

/**
 * The functions of `object` that are named, or all of its own, so that whatever they throw or reject with is a HybridAuthError: what
 * is none came from code of the application, or is a defect of ours.
 */
function withTypedErrors(object, names = Object.getOwnPropertyNames(object).filter((name) => name !== 'constructor')) {
  for (const name of names) {
    const { value: work } = Object.getOwnPropertyDescriptor(object, name)
    if (typeof work !== 'function') continue
    const typed = function (...args) {
      try {
        const result = work.apply(this, args)
        return result instanceof Promise ? result.catch(rethrow) : result
      } catch (error) {
        return rethrow(error)
      }
    }
    Object.defineProperty(object, name, { value: Object.defineProperty(typed, 'name', { value: name }) })
  }
  return object
}

module.exports = { HybridAuthError, PASSING, codes, isFailure, settle, rethrow, unreadable, withTypedErrors }
