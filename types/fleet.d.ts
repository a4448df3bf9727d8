// The fleet: the same options for many tenants, and what is done to all of them.

/// <reference lib="esnext.disposable" />

import type { HybridAuthError } from './error.js'
import type { FleetSummary, MetricsOptions, MetricsRegistry, StoreTraffic } from './metrics.js'
import type { HybridAuthOptions } from './options.js'
import type { PruneEntry, PruneKeysOptions, PruneKeysReport, PruneOptions } from './prune.js'
import type { ExportReport, HybridAuthState, OpeningStatus, SessionStatus } from './session.js'
import type { DoctorCheck, DrillReport, InspectReport, RekeyReport, TenantStanding, VerifyReport } from './tools.js'

/** The fleet: the same options for many tenants. */
export class HybridAuth {
  constructor(options?: HybridAuthOptions)
  /** Opens a tenant; `overrides` count for this open only. */
  open(tenantId: string, overrides?: HybridAuthOptions): Promise<HybridAuthState>
  /** The session of a tenant that was opened here last. */
  get(tenantId: string): HybridAuthState | undefined
  /** Tenants that are open here. */
  list(): string[]
  /** Tenants that are being opened here. */
  opening(): string[]
  /** The status of every open tenant, and of those that are being opened, by tenant id. */
  status(): Record<string, SessionStatus | OpeningStatus>
  /** The statuses as one. */
  summary(): FleetSummary
  /**
   * The metrics of this process, of all sessions and stores in it, as Prometheus reads them (`text/plain; version=0.0.4`). Rejects
   * with `INVALID_OPTION` where `prom-client` is not installed, which is loaded by this call.
   */
  metrics(options?: MetricsOptions): Promise<string>
  /**
   * Registers the metrics of this process in a registry of `prom-client`, which reads them when it is scraped, and gives it back.
   * Once is enough for all fleets; again does nothing. Throws `INVALID_OPTION` where `prom-client` is not installed.
   */
  collectInto<R extends MetricsRegistry>(registry: R, options?: MetricsOptions): R
  /**
   * Ids of the tenants that have a session in the store, deleted ones left out, in the order of their names there; without a store, of
   * those that have a log in `directory`. Rejects with `INVALID_OPTION` where ids are not told (`hideTenantIds`). One that is too long for a
   * name is left out, and the logger is warned: keep a list of those, and pass it where `tenantIds` is an option.
   */
  tenants(): Promise<string[]>
  /**
   * Opens every tenant of the store, or those in `tenantIds`, `concurrency` at a time: for a machine that starts. Resolves when
   * each was opened or failed; one that fails does not stop the others. `unnamed` is how many there are whose ids are too long to be told.
   */
  restoreAll(options?: RestoreAllOptions): Promise<{ opened: string[]; failed: Array<{ tenantId: string; error: HybridAuthError }>; unnamed: number }>
  /**
   * Downloads and checks all that a blank machine would restore of a tenant, and what is kept against damage. Claims and writes
   * nothing, so that it may run anywhere and at any time. Rejects with `NOT_FOUND`, `DELETED`, `KEY_UNAVAILABLE`, with
   * `REMOTE_CORRUPT` where no way to restore it is whole, and like an open where the store cannot be reached.
   */
  verify(tenantId: string): Promise<VerifyReport>
  /** Requests and bytes between this process and the store so far, of all its tenants; `null` before the first. */
  traffic(): StoreTraffic | null
  /**
   * Deletes a tenant's session, opening it first if need be. Where there is none it leaves nothing, not even a tombstone, and rejects with
   * `NOT_FOUND` if the fleet has `onMissing: 'error'`.
   */
  delete(tenantId: string): Promise<void>
  exportMultiFile(tenantId: string, folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  /**
   * How a tenant stands, in the store and in this machine's directory, from one reading of all its objects. Claims, writes and locks
   * nothing. A tenant that is not there, damage and a missing key are answers. Rejects like an open where the store cannot be reached.
   */
  inspect(tenantId: string): Promise<InspectReport>
  /**
   * What the listings of the store say of all tenants, or of those in `tenantIds`, deleted ones included: one LIST for each thousand
   * names, and two for each tenant. No data is read; where keys are configured, the marks are that say who owns a tenant and that it ended.
   */
  survey(options?: { tenantIds?: Iterable<string> }): Promise<TenantStanding[]>
  /**
   * Writes what a blank machine would restore as a folder that `useMultiFileAuthState` opens, without claiming the session: for
   * looking, and for the day on which nothing else works. Verified before a file is written. Do not run the folder while the session
   * has an owner. Rejects like `verify`, and like `exportMultiFile` for the folder.
   */
  extract(tenantId: string, folder: string, options?: { overwrite?: boolean }): Promise<VerifyReport & ExportReport>
  /**
   * Restores a tenant into a folder as a blank machine would, reads it back from the disk and compares it with what its owner has,
   * who goes on. `folder` is the `directory` of a machine that has nothing of it yet, and is kept. Rejects like `verify`.
   * @default a temporary folder, removed again
   */
  drill(tenantId: string, options?: { folder?: string }): Promise<DrillReport>
  /**
   * Looks for what is wrong with the store and with how it is used: one check after another, none of which stops the others. Writes
   * scratch objects only, and removes them. Rejects with `INVALID_OPTION` for options that no session could be opened with.
   */
  doctor(): Promise<DoctorCheck[]>
  /**
   * Writes a tenant's session anew, so that all that is kept of it is sealed with the first of `encryptionKeys`: a session that is open
   * here stores its state once more, any other one is opened and closed twice. Rejects with `OWNED_ELSEWHERE` where it was not released
   * and may run elsewhere, unless `takeover` ends that one; with `NOT_FOUND`, `DELETED`, and like an open.
   */
  rekey(tenantId: string, options?: { takeover?: boolean }): Promise<RekeyReport>
  /**
   * Deletes tenants whose newest object is old, as `delete` does, or says which those are. Resolves to those that are old enough, each
   * with what came of it; one that fails does not stop the others. Never deletes what is open here, or what was
   * opened meanwhile. Rejects with `REMOTE_REFUSED` where the store does not tell ages.
   */
  prune(options: PruneOptions): Promise<PruneEntry[]>
  /**
   * Writes every tenant as a folder that `useMultiFileAuthState` opens, in a tree; opens and closes those that are not open, which
   * takes them over from whoever runs them. One that fails does not stop the others.
   */
  exportAll(
    folder: string,
    options?: ExportAllOptions
  ): Promise<{ exported: Array<ExportReport & { tenantId: string; folder: string }>; failed: Array<{ tenantId: string; error: HybridAuthError }>; unnamed: number }>
  /** `pruneKeys` of a tenant's session, which is opened for it if need be. Rejects with `NOT_FOUND` where there is none. */
  pruneKeys(tenantId: string, options?: PruneKeysOptions): Promise<PruneKeysReport>
  /**
   * Closes everything, and gives up what is being opened: those opens reject with `CLOSED`, and a `restoreAll` under way stops. What did
   * not reach the store in time is named; it is in the local logs where there are any. Opens that come later are as good as before.
   */
  shutdown(options?: { timeoutMs?: number }): Promise<{ closed: number; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
  /** `shutdown()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** How a fleet is restored. */
export interface RestoreAllOptions {
  /** Which tenants. @default all that the store has */
  tenantIds?: Iterable<string>
  /** Open only those that nobody runs. @default false */
  ifFree?: boolean
  /** Stops it: what is open stays open, the rest fails with `ABORTED`. */
  signal?: AbortSignal
  /** How many are opened at once: 1 to 1024, or `Infinity`. @default 16 */
  concurrency?: number
  /** Told after each one; `error` is `null` for one that is open. If it throws, the rest is not opened and what was is closed again. */
  onProgress?: (progress: { tenantId: string; error: HybridAuthError | null; done: number; total: number }) => void
}

/** How a tree of folders is written. */
export interface ExportAllOptions {
  /** Which tenants. @default all that the store has */
  tenantIds?: Iterable<string>
  /** Replace sessions that lie there. @default false */
  overwrite?: boolean
  /** The folder of a tenant within the tree, such as `user/session`. @default its id; written in % where that is no name of a folder */
  folderOf?: (tenantId: string) => string
  /** How many are exported at once: 1 to 1024, or `Infinity`. @default 4 */
  concurrency?: number
  /** Told after each one; `error` is `null` for one that was written. */
  onProgress?: (progress: { tenantId: string; error: HybridAuthError | null; done: number; total: number }) => void
}

/** Writes a tenant's session as a folder that `useMultiFileAuthState` opens; opens and closes the session if it is not open. */
export function exportMultiFile(
  tenantId: string,
  folder: string,
  options?: HybridAuthOptions & { overwrite?: boolean }
): Promise<ExportReport>
