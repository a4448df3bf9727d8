// Errors: one class, and the closed list of its codes.

/** Cause of an error, as far as a caller can act on it. The list is closed. Codes are stable, messages are not. */
export type HybridAuthErrorCode =
  /** A bad argument: fix the call. */
  | 'INVALID_OPTION'
  /** Another process has this tenant's directory open: use the session there. */
  | 'ALREADY_OPEN'
  /** Another instance claimed the session during the open. One of the two owns it; open again later if necessary. */
  | 'OWNED_ELSEWHERE'
  /** A newer instance owns the session: close the socket and do not reconnect here. */
  | 'FENCED'
  /**
   * Ownership could not be confirmed in time (only with `onLeaseLost: 'stop'`), or a copy of this process, for example on a cloned or resumed
   * machine, writes under the same claim. Close the socket, stop the copy, open again.
   */
  | 'LEASE_LOST'
  /** The store is unavailable: nothing changed, try again later. */
  | 'REMOTE_UNAVAILABLE'
  /** The store rejects requests: fix the key, the permission, the bucket or the limit named in the message. */
  | 'REMOTE_REFUSED'
  /** The store has a gap, a missing object or a wrong digest: see the runbook. Nothing is ever reset automatically. */
  | 'REMOTE_CORRUPT'
  /** The local log, or a folder to import, is damaged. */
  | 'LOCAL_CORRUPT'
  /** The disk rejected the write (full, read-only, no permission): nothing changed; fix the disk and retry. */
  | 'LOCAL_UNAVAILABLE'
  /** The running browser changed its profile during every copy: the last generation stays in the store, and the next backup tries again. */
  | 'PROFILE_BUSY'
  /** The required encryption key is not in `encryptionKeys`. */
  | 'KEY_UNAVAILABLE'
  /**
   * There is no session, or only keys without credentials, and `onMissing: 'error'` forbids creating one. To pair a new number, open it once
   * with `onMissing: 'create'`. `error.folder` is the path of a session of Baileys that was perhaps meant.
   */
  | 'NOT_FOUND'
  /** The session was deleted: pair again with `fresh: true`. */
  | 'DELETED'
  /** A write failed half-way and could not be undone: open the session again. */
  | 'IO_POISONED'
  /** The session was closed: a bug in the caller. */
  | 'CLOSED'
  /** The `signal` cancelled the open: nothing was opened. */
  | 'ABORTED'
  /** A bug in this package was caught: open the session again and report it. */
  | 'INTERNAL'

/**
 * The only error class of this package. Contains no key, no contact and no tenant id. `instanceof` recognises errors of another copy of
 * the package too, as in an application and a library that each have one.
 */
export class HybridAuthError extends Error {
  readonly name: 'HybridAuthError'
  readonly code: HybridAuthErrorCode
}
