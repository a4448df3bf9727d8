// What goes wrong: one class of error, and the closed list of its codes.

/** What went wrong, as far as a caller can act on it. The list is closed; the names are stable, the messages are not. */
export type HybridAuthErrorCode =
  /** A bad argument: fix the call. */
  | 'INVALID_OPTION'
  /** Another process has this tenant's directory open: use the session there. */
  | 'ALREADY_OPEN'
  /** Another instance claimed the session while it was being opened: one of the two has it; open again later if need be. */
  | 'OWNED_ELSEWHERE'
  /** A newer instance owns the session: close the socket and do not reconnect here. */
  | 'FENCED'
  /**
   * Ownership could not be confirmed in time (only with `onLeaseLost: 'stop'`), or a copy of this process, as a cloned or resumed machine
   * has one, writes under the same claim: close the socket, stop the copy, open again.
   */
  | 'LEASE_LOST'
  /** The store cannot be reached: nothing was decided, try again later. */
  | 'REMOTE_UNAVAILABLE'
  /** The store answers and refuses: mend the key, the right, the bucket or the limit that the message names. */
  | 'REMOTE_REFUSED'
  /** A hole, a missing object or a wrong digest in the store: see the runbook. Nothing is ever reset by itself. */
  | 'REMOTE_CORRUPT'
  /** Damage in the local log, or in a folder to import. */
  | 'LOCAL_CORRUPT'
  /** The disk refused the write (full, read-only, not permitted): nothing changed; retry once it is mended. */
  | 'LOCAL_UNAVAILABLE'
  /** The encryption key needed is not among `encryptionKeys`. */
  | 'KEY_UNAVAILABLE'
  /** There is no session anywhere, or one that has keys and no credentials, and `onMissing: 'error'` forbids making one. */
  | 'NOT_FOUND'
  /** The session was deleted: pair again with `fresh: true`. */
  | 'DELETED'
  /** A write failed half-way and could not be taken back: open the session again. */
  | 'IO_POISONED'
  /** The session was closed: a mistake in the caller. */
  | 'CLOSED'
  /** The open was given up by its `signal`: nothing was opened. */
  | 'ABORTED'
  /** A fault of this package was caught: open the session again and report it. */
  | 'INTERNAL'

/** The only kind of error this package throws or rejects with. Holds no key, no contact and no tenant id. */
export class HybridAuthError extends Error {
  readonly name: 'HybridAuthError'
  readonly code: HybridAuthErrorCode
}
