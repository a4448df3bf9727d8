// The fleet: many tenants with the same options, and operations on all of them.

/// <reference lib="esnext.disposable" />

import type { HybridAuthError } from './error.js'
import type { FleetSummary, MetricsOptions, MetricsRegistry, StoreTraffic } from './metrics.js'
import type { HybridAuthOptions } from './options.js'
import type { PruneEntry, PruneKeysOptions, PruneKeysReport, PruneOptions } from './prune.js'
import type { ExportReport, HybridAuthState, OpeningStatus, SessionStatus } from './session.js'
import type { DoctorCheck, DoctorOptions, DrillReport, InspectReport, RekeyReport, TenantStanding, VerifyReport } from './tools.js'

/** Many tenants with the same options. */
export class HybridAuth {
  constructor(options?: HybridAuthOptions)
  /** Opens a tenant. `overrides` apply only to this open. */
  open(tenantId: string, overrides?: HybridAuthOptions): Promise<HybridAuthState>
  /** The most recently opened session of a tenant. */
  get(tenantId: string): HybridAuthState | undefined
  /** Tenants that are open here. */
  list(): string[]
  /** Tenants that are being opened here. */
  opening(): string[]
  /** Status of every tenant that is open or being opened, by tenant id. */
  status(): Record<string, SessionStatus | OpeningStatus>
  /** Totals over all statuses. */
  summary(): FleetSummary
  /**
   * Metrics of all sessions and stores in this process, in the text format of Prometheus (`text/plain; version=0.0.4`). Loads `prom-client`,
   * and rejects with `INVALID_OPTION` if it is not installed.
   */
  metrics(options?: MetricsOptions): Promise<string>
  /**
   * Registers the metrics of this process in a registry of `prom-client`, which reads them at each scrape, and returns the registry.
   * One call covers all fleets; further calls have no effect. Throws `INVALID_OPTION` if `prom-client` is not installed.
   */
  collectInto<R extends MetricsRegistry>(registry: R, options?: MetricsOptions): R
  /**
   * Ids of the tenants with a session in the store, without deleted ones, in the order of their names there. Without a store, ids of the
   * tenants with a log in `directory`. Rejects with `INVALID_OPTION` if the ids are hidden (`hideTenantIds`). An id that is too long for a
   * name is omitted, with a warning in the log: keep a list of such ids, and pass it as `tenantIds` where that is an option.
   */
  tenants(): Promise<string[]>
  /**
   * Opens every tenant of the store, or those in `tenantIds`, `concurrency` at a time. For the start of a machine. Resolves when each tenant
   * was opened or has failed; a failure does not stop the others. `unnamed` counts tenants whose ids are too long for a name.
   */
  restoreAll(
    options?: RestoreAllOptions
  ): Promise<{ opened: string[]; failed: Array<{ tenantId: string; error: HybridAuthError }>; unnamed: number }>
  /**
   * Downloads and checks everything that a new machine would restore of a tenant, including the older copies kept against damage. Claims
   * and writes nothing, so it can run anywhere and at any time. Rejects with `NOT_FOUND`, `DELETED`, `KEY_UNAVAILABLE`, with
   * `REMOTE_CORRUPT` if no complete copy is left, and like an open if the store is unavailable.
   */
  verify(tenantId: string): Promise<VerifyReport>
  /** Requests and bytes between this process and the store so far, for all its tenants; `null` before the first request. */
  traffic(): StoreTraffic | null
  /**
   * Deletes a tenant's session, opening it first if necessary. If there is none, it leaves nothing, not even a tombstone, and rejects with
   * `NOT_FOUND` if the fleet has `onMissing: 'error'`.
   */
  delete(tenantId: string): Promise<void>
  exportMultiFile(tenantId: string, folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  /**
   * Writes a browser profile for the `LocalAuth` or `RemoteAuth` of whatsapp-web.js: as `session-<client id>`, or as `RemoteAuth-<client id>.zip`, in
   * `folder`. Opens and closes the profile, which takes it over from a running owner: close its client first. Rejects like an open.
   */
  exportProfile(tenantId: string, folder: string, options?: ExportProfileOptions): Promise<ExportProfileReport>
  /**
   * State of a tenant in the store and in this machine's directory, from one reading of all its objects. Claims, writes and locks
   * nothing. A missing tenant, damage and a missing key are results, not errors. Rejects like an open if the store is unavailable.
   */
  inspect(tenantId: string): Promise<InspectReport>
  /**
   * Overview of all tenants, or of those in `tenantIds`, including deleted ones, from the listings of the store: one LIST per thousand
   * names, and two per tenant. Reads no data. If keys are configured, it reads the marks of ownership and deletion.
   */
  survey(options?: { tenantIds?: Iterable<string> }): Promise<TenantStanding[]>
  /**
   * Writes the state that a new machine would restore as a folder for `useMultiFileAuthState`, without claiming the session: for
   * inspection, and as a last resort. Verifies it before writing a file. Do not use the folder while the session
   * has an owner. Rejects like `verify` and, for the folder, like `exportMultiFile`.
   */
  extract(tenantId: string, folder: string, options?: { overwrite?: boolean }): Promise<VerifyReport & ExportReport>
  /**
   * Restores a tenant into a folder like a new machine, reads it back from the disk and compares it with the state of its owner, which keeps
   * running. `folder` is the `directory` of a machine without this tenant, and is kept. Rejects like `verify`.
   * @default a temporary folder, removed again
   */
  drill(tenantId: string, options?: { folder?: string }): Promise<DrillReport>
  /**
   * Checks the store and its usage, one check after another; a failed check does not stop the others. Writes only
   * scratch objects, and removes them. With `contract`, each behaviour that this package needs of a store is tried. With `dataPath`, the
   * folder of browser profiles on this machine is checked too: left-over locks, hard links, free space, the kind of its disk, and whether
   * browsers can be stopped. Rejects with `INVALID_OPTION` if no session could be opened with these options.
   */
  doctor(options?: DoctorOptions): Promise<DoctorCheck[]>
  /**
   * Stores a tenant's session again, so that all of it is encrypted with the first of `encryptionKeys`. A session that is open
   * here stores its state once more; any other session is opened and closed twice. Rejects with `OWNED_ELSEWHERE` if the session was not
   * released and may run elsewhere, unless `takeover` ends that owner; with `NOT_FOUND`, `DELETED`, and like an open.
   */
  rekey(tenantId: string, options?: { takeover?: boolean }): Promise<RekeyReport>
  /**
   * Deletes tenants whose newest object is old, like `delete`, or only lists them. Resolves to the tenants that are old enough, each
   * with its outcome; a failure does not stop the others. Never deletes a tenant that is open here, or that was
   * opened in the meantime. Rejects with `REMOTE_REFUSED` if the store has no reliable times.
   */
  prune(options: PruneOptions): Promise<PruneEntry[]>
  /**
   * Writes every tenant as a folder for `useMultiFileAuthState`, in a tree. Opens and closes tenants that are not open, which
   * takes them over from a running owner. A failure does not stop the others. Browser profiles are left out without `profiles`.
   */
  exportAll(
    folder: string,
    options?: ExportAllOptions & { profiles?: undefined }
  ): Promise<{
    exported: Array<ExportReport & { tenantId: string; folder: string }>
    failed: Array<{ tenantId: string; error: HybridAuthError }>
    unnamed: number
  }>
  exportAll(
    folder: string,
    options: ExportAllOptions
  ): Promise<{
    exported: Array<(ExportReport | ExportProfileReport) & { tenantId: string; folder: string }>
    failed: Array<{ tenantId: string; error: HybridAuthError }>
    unnamed: number
  }>
  /** `pruneKeys` of a tenant's session, opening it if necessary. Rejects with `NOT_FOUND` if there is none. */
  pruneKeys(tenantId: string, options?: PruneKeysOptions): Promise<PruneKeysReport>
  /**
   * Closes all sessions and cancels opens in progress: those opens reject with `CLOSED`, and a running `restoreAll` stops. `failed` names the
   * sessions that did not reach the store in time; their writes are in the local logs, if there are any. Later opens work as before.
   */
  shutdown(options?: { timeoutMs?: number }): Promise<{ closed: number; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
  /** `shutdown()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Options of `restoreAll`. */
export interface RestoreAllOptions {
  /** Tenants to open. @default all tenants in the store */
  tenantIds?: Iterable<string>
  /** Open only tenants that no instance runs. @default false */
  ifFree?: boolean
  /** Cancels it: open sessions stay open, the rest fails with `ABORTED`. */
  signal?: AbortSignal
  /** Number of tenants opened at the same time: 1 to 1024, or `Infinity`. @default 16 */
  concurrency?: number
  /** Called after each tenant; `error` is `null` if it is open. If it throws, the rest is not opened, and the opened ones are closed. */
  onProgress?: (progress: { tenantId: string; error: HybridAuthError | null; done: number; total: number }) => void
}

/** Options of `exportProfile`. */
export interface ExportProfileOptions {
  /** A folder of `LocalAuth`, or a zip of `RemoteAuth`. @default 'local' */
  format?: 'local' | 'zip'
  /** Replace an existing session. @default false */
  overwrite?: boolean
}

/** Result of `exportProfile`. */
export interface ExportProfileReport {
  /** The folder, or the zip. */
  path: string
  format: 'local' | 'zip'
  generation: number
  files: number
  bytes: number
}

/** Options of `exportAll`. */
export interface ExportAllOptions {
  /** Also export browser profiles, as `exportProfile` does: the folder is then the `dataPath` of their strategy. @default none */
  profiles?: 'local' | 'zip'
  /** Tenants to export. @default all tenants in the store */
  tenantIds?: Iterable<string>
  /** Replace existing sessions in these folders. @default false */
  overwrite?: boolean
  /** The folder of a tenant within the tree, such as `user/session`. @default its id, percent-encoded if it is not a valid folder name */
  folderOf?: (tenantId: string) => string
  /** Number of tenants exported at the same time: 1 to 1024, or `Infinity`. @default 4 */
  concurrency?: number
  /** Called after each tenant; `error` is `null` if it was written. */
  onProgress?: (progress: { tenantId: string; error: HybridAuthError | null; done: number; total: number }) => void
}

/** Writes a tenant's session as a folder for `useMultiFileAuthState`. Opens and closes the session if it is not open. */
export function exportMultiFile(
  tenantId: string,
  folder: string,
  options?: HybridAuthOptions & { overwrite?: boolean }
): Promise<ExportReport>
