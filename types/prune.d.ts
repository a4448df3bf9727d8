// Removal of data that nobody needs any more: keys of a session, and sessions of whole tenants.

import type { HybridAuthError } from './error.js'

/** Options of `pruneKeys`. By default it removes nothing and only reports. */
export interface PruneKeysOptions {
  /** Report, and remove nothing. @default true */
  dryRun?: boolean
  /**
   * Number of the latest pre-key ids to keep, used or not; at least 812. It must cover the ids that the server may still hand out, and
   * those of contacts that have fetched one and not written yet: Baileys 7 uploads at most 812 at once, and 5 when few are left. `null` keeps
   * all pre-keys.
   * @default 1624
   */
  preKeyWindow?: number | null
  /** Ids to keep in any case: those on the server, if you know them. @default [] */
  keepPreKeyIds?: Iterable<number>
  /**
   * Days to keep a closed session with a contact after it was closed or last used; at least 30, the time that the server keeps undelivered
   * messages. `null` keeps all sessions. @default 90
   */
  closedSessionsOlderThanDays?: number | null
  /** Number of closed sessions to keep for each device of a contact, regardless of age; 1 to 40, which is the number that Baileys keeps. @default 5 */
  closedSessionsKept?: number
  /** Called after each step with the number of checked pre-keys and session records, and their total. */
  onProgress?: (progress: { done: number; total: number }) => void
}

/** Removed keys, or those that would be removed. */
export interface PruneKeysReport {
  dryRun: boolean
  /** `bytes` as in `SessionStatus`. */
  preKeys: { removed: number; kept: number; bytes: number }
  /** `records`: number of contact devices that lose some. */
  closedSessions: { removed: number; kept: number; bytes: number; records: number }
}

/** Options of `prune`. */
export interface PruneOptions {
  /**
   * Minimum age of the newest object of a tenant, by the store's own clock. If that clock is not available or contradicts itself,
   * nothing is pruned: `REMOTE_REFUSED`.
   */
  olderThanDays: number
  /**
   * Skip sessions that may run somewhere: those that were not released, unless nothing of them was stored for twice the `refreshIntervalMs`
   * of this fleet, and at least 14 days. A running session re-uploads unchanged data within its own `refreshIntervalMs`. If a session hands
   * over when it is taken over, it was running after all, and is kept.
   * `false` also ends and deletes those, unless they are open in this process or in another one of this machine. Sessions in `cloud` mode
   * in another process cannot be detected.
   * @default true
   */
  inactiveOnly?: boolean
  /** Report, and delete nothing. @default true */
  dryRun?: boolean
  /** Tenants to check; required if the ids are hidden in the store. @default all tenants in the store */
  tenantIds?: Iterable<string>
}

/** A tenant old enough to be pruned, and its outcome. */
export interface PruneEntry {
  tenantId: string | null
  name: string
  owner: 'live' | 'released'
  storedAt: Date
  ageDays: number
  /**
   * `would-delete` in a dry run, or `deleted`. `open`: it is open in this fleet. `active`: it may run somewhere, or was just opened.
   * `unnamed`: its id is hidden in the store; pass it in `tenantIds`. `failed`: see `error`.
   */
  outcome: 'would-delete' | 'deleted' | 'open' | 'active' | 'unnamed' | 'failed'
  error: HybridAuthError | null
}
