// What is removed because nobody needs it any more: keys of a session, and the sessions of whole tenants.

import type { HybridAuthError } from './error.js'

/** What may go. Without options nothing does: they tell what would. */
export interface PruneKeysOptions {
  /** Tell, and remove nothing. @default true */
  dryRun?: boolean
  /**
   * How many of the last pre-key ids stay, used or not; 812 at least. It must cover what the server may still hand out, and who was
   * handed one and has not written yet: Baileys 7 uploads at most 812 at once, and 5 when few are left. `null` leaves all pre-keys.
   * @default 1624
   */
  preKeyWindow?: number | null
  /** Ids that stay in any case: what the server has, where that is known. @default [] */
  keepPreKeyIds?: Iterable<number>
  /**
   * How long a closed session with a contact is kept after it was closed or used last, in days; 30 at least, as long as the server
   * keeps what it could not deliver. `null` leaves all sessions. @default 90
   */
  closedSessionsOlderThanDays?: number | null
  /** How many closed sessions with each device of a contact stay however old; 1 to 40, which is what Baileys keeps. @default 5 */
  closedSessionsKept?: number
  /** Told after each step how many pre-keys and records of sessions were looked at, of how many. */
  onProgress?: (progress: { done: number; total: number }) => void
}

/** What went, or would go. */
export interface PruneKeysReport {
  dryRun: boolean
  /** `bytes` as in `SessionStatus`. */
  preKeys: { removed: number; kept: number; bytes: number }
  /** `records` is how many contacts' devices lose some. */
  closedSessions: { removed: number; kept: number; bytes: number; records: number }
}

/** Which tenants to prune. */
export interface PruneOptions {
  /**
   * Time that the newest object of a tenant must have been in the store, by the store's own clock. Where that does not tell, or
   * contradicts itself, nothing is pruned: `REMOTE_REFUSED`.
   */
  olderThanDays: number
  /**
   * Leave alone what may run somewhere: whatever was not released, unless nothing of it was stored for twice `refreshIntervalMs` of
   * this fleet, and 14 days at least. A session that runs stores what has not changed again within `refreshIntervalMs` of its own.
   * One that hands over when it is taken was running all the same, and is left as it is.
   * `false` ends and deletes those as well, unless they are open in this process or, but for those in `cloud` mode, of which nothing
   * tells, in another one of this machine.
   * @default true
   */
  inactiveOnly?: boolean
  /** Only say what would be deleted. @default true */
  dryRun?: boolean
  /** Which tenants to look at; needed where the store does not tell ids. @default all that the store has */
  tenantIds?: Iterable<string>
}

/** A tenant that was old enough to be pruned, and what came of it. */
export interface PruneEntry {
  tenantId: string | null
  name: string
  owner: 'live' | 'released'
  storedAt: Date
  ageDays: number
  /**
   * `would-delete` in a dry run, or `deleted`. `open`: it is open in this fleet. `active`: it may run somewhere, or began to just
   * then. `unnamed`: the store does not tell its id; pass it in `tenantIds`. `failed`: see `error`.
   */
  outcome: 'would-delete' | 'deleted' | 'open' | 'active' | 'unnamed' | 'failed'
  error: HybridAuthError | null
}
