// A session: open, the interface for Baileys, status and events.

/// <reference lib="esnext.disposable" />

import type { HybridAuthError, HybridAuthErrorCode } from './error.js'
import type { HybridAuthOptions } from './options.js'
import type { PruneKeysOptions, PruneKeysReport } from './prune.js'

/**
 * Opens a tenant's session. Call it once, not for each socket (docs/guides/connection.md has a complete handler, with `loggedOut`,
 * `restartRequired` and `connectionReplaced`). Another open in this process shares the same keys and has its own `creds` object. An open
 * that your program no longer references is closed when it is garbage-collected. A folder of `useMultiFileAuthState` in the place of the
 * session is imported, and the originals are set aside.
 *
 * Resolves when this instance owns the session and its keys are in memory. Rejects with `HybridAuthError`. Unreadable credentials are never
 * replaced by a new identity. If a session of `useMultiFileAuthState` is obviously nearby, in `directory` itself or in a folder that the
 * id names, creating a new identity is `INVALID_OPTION`: `importFrom` imports that session, and `error.folder` is its folder.
 */
export function useHybridAuthState(tenantId: string, options?: HybridAuthOptions): Promise<HybridAuthState>
/** The same, with the tenant id among the options, as in another package with a function of this name. */
export function useHybridAuthState(options: HybridAuthOptions & { sessionId: string }): Promise<HybridAuthState>

// Types of the installed Baileys. One that is not installed is `any`, which is not an error here.
// @ts-ignore
type OfBaileys = import('baileys').AuthenticationState
// @ts-ignore
type OfWhiskeysockets = import('@whiskeysockets/baileys').AuthenticationState
// @ts-ignore
type MapOfBaileys = import('baileys').SignalDataTypeMap
// @ts-ignore
type MapOfWhiskeysockets = import('@whiskeysockets/baileys').SignalDataTypeMap

/** True for `any`, and for what is not installed: neither has keys of its own. */
type IsOpen<T> = string extends keyof T ? true : false
/** `any` where none is installed, or two that differ: nothing tells which one a socket is of. */
type Installed<One, Other> =
  IsOpen<One> extends true
    ? IsOpen<Other> extends true
      ? any
      : Other
    : IsOpen<Other> extends true
      ? One
      : [One, Other] extends [Other, One]
        ? One
        : any

type Creds = Installed<OfBaileys, OfWhiskeysockets>['creds']
type KeyTypes = Installed<MapOfBaileys, MapOfWhiskeysockets>

/** Reads of the key types that the installed Baileys knows, with the types of their values. */
export interface HybridTypedKeys {
  get<T extends keyof KeyTypes>(type: T, ids: string[]): Promise<{ [id: string]: KeyTypes[T] }>
}

/** An open session. */
export interface HybridAuthState {
  /** Value for `auth` of `makeWASocket`, in the types of the installed Baileys. */
  state: { creds: Creds; keys: IsOpen<KeyTypes> extends true ? HybridKeyStore : HybridTypedKeys & HybridKeyStore }
  /**
   * Stores the credentials as of the call. If a newer open of this tenant has stored credentials since, it stores only the changes made here,
   * and never decreases a counter. Resolves and rejects like `keys.set`. As a listener of `creds.update` nobody
   * awaits it: a failure is then an `error` event and not an unhandled rejection, unless the session had already ended.
   */
  saveCreds: () => Promise<void>
  /**
   * Resolves when every earlier resolved write can be restored from the store; without a store, when it survives a power cut. `timeoutMs` is
   * 0 to 3600000, or `Infinity` for no limit, here and in all other options; anything else is `INVALID_OPTION`, and nothing happens.
   */
  flush: (options?: { timeoutMs?: number }) => Promise<void>
  /**
   * Stores the rest, releases ownership and unlocks. While this process has another open of the tenant, it only flushes; an unreferenced
   * older open counts until it is garbage-collected. Rejects with `REMOTE_UNAVAILABLE` if the store could not be reached in time: the
   * session is closed anyway, and the local log keeps the rest for the next open here (in `cloud` mode it is lost). If everything is
   * stored but the release is not, it resolves, and an `error` event reports that the next open on another machine has to wait. Rejects with
   * `FENCED` if a newer instance owns the session and does not have the last writes. Never an unhandled rejection.
   */
  close: (options?: { timeoutMs?: number }) => Promise<void>
  /**
   * Logs out permanently: writes a tombstone, then removes everything in the store and on this disk, including the originals of an import
   * (`multi-file-originals-*`). In `cloud` mode it removes nothing from the disk: a folder left by another mode stays, and the tombstone keeps
   * it from coming back through a store. Call it on `DisconnectReason.loggedOut` and on nothing
   * else. Rejects with `FENCED` if a newer instance owns the session, and with `REMOTE_UNAVAILABLE`: then call it again.
   */
  delete: () => Promise<void>
  /** Writes a folder for `useMultiFileAuthState` with the same contents. */
  exportMultiFile(folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  /**
   * Removes keys that nobody can need any more. Only reports them, completely, unless `dryRun` is `false`. Reads every session record in
   * steps of a few milliseconds and lets other work run in between; the removals of a step are one write. Resolves when the last write does,
   * like `keys.set`. Rejects with `INVALID_OPTION`, also if the credentials do not show which pre-keys the server may still hand out; nothing
   * is removed then.
   */
  pruneKeys(options?: PruneKeysOptions): Promise<PruneKeysReport>
  /** Current status. After `close()` its `life` is `closed`, after `delete()` it is `deleted`; the rest is then as at the end. */
  status(): SessionStatus
  /**
   * Adds a listener. An exception or rejection of a listener does not affect the others: it is logged or, without a logger, becomes a
   * warning of the process.
   */
  on<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
  off<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Key store for Baileys, with additions. Own enumerable functions without `this`: you can spread and destructure them. */
export interface HybridKeyStore {
  /**
   * New copies of the values; `null` for missing ones and for invalid ids. Rejects with `CLOSED` or `DELETED`, with
   * `INVALID_OPTION` if `ids` is not an array, and with `INTERNAL` after a bug.
   */
  get(type: any, ids: string[]): Promise<Record<string, any>>
  /**
   * Stores a batch, all or nothing; a falsy value deletes. Resolves when the batch is in the local log (see `localDurability`); in
   * `cloud` mode when the store has it and this instance is still the owner. There it also rejects with `REMOTE_UNAVAILABLE`
   * after `flushTimeoutMs`: the batch is then in memory and is still being sent, and is lost if the process ends before it arrives.
   * If a batch is rejected after it was accepted (`FENCED`, `LEASE_LOST`, `CLOSED` in `cloud` mode), the message warns that it may still be
   * stored.
   * Rejects with `FENCED`, `CLOSED`, `DELETED`, `LEASE_LOST`, `LOCAL_UNAVAILABLE` (nothing changed), `IO_POISONED`, with
   * `INVALID_OPTION` for an invalid id or type (at most 4096 bytes), and with `INTERNAL` after a bug.
   */
  set(data: any): Promise<void>
  /** Deletes all keys and keeps the credentials. */
  clear(): Promise<void>
  /** Every `[id, value]` of a type, as of the call. */
  list(type: string): AsyncIterable<[string, any]>
  /** Every id of a type, as of the call. */
  listIds(type: string): AsyncIterable<string>
}

/** Status of a session. */
export interface SessionStatus {
  /** Place of the session: on the disk, in the store, or both. */
  mode: 'local' | 'hybrid' | 'cloud'
  life: 'live' | 'fenced' | 'lease-lost' | 'closing' | 'closed' | 'deleted' | 'poisoned'
  /** Number of the last write. */
  lsn: number
  /** Last write that is known to survive a power cut of this machine: synced to its disk or, in `cloud` mode, `remoteDurableLsn`. */
  localDurableLsn: number
  /** Last write that a new machine could restore; `null` without a store. */
  remoteDurableLsn: number | null
  /** Age of the oldest write that a new machine could not restore; 0 if there is none, `null` without a store. */
  lagMs: number | null
  keys: number
  bytes: number
  /** Limit of `bytes`: a larger state could not be opened again, so a write beyond the limit is rejected. */
  maxBytes: number
  /** Keys whose current value a new machine could not restore, including uploads in progress; 0 without a store. */
  dirtyKeys: number
  /** Bytes of those keys and their values. */
  dirtyBytes: number
  /** Size of the local log; 0 in `cloud` mode. */
  logBytes: number
  /** Number of this owner, counted over the life of the session; `null` without a store. */
  epoch: number | null
  /**
   * Source of the session. `clean: false` means that the last owner did not end properly: its last writes may be missing. `fresh`: a new
   * identity, also if there are keys whose credentials were never saved.
   */
  restored: { source: 'fresh' | 'imported' | 'local' | 'remote'; clean: boolean }
  store: 'none' | 'ok' | 'degraded'
  /**
   * Survival of writes that a database has acknowledged: it has copies on other servers, has them on its disk, writes them to its disk about
   * once a second, or keeps them only in memory. `null` for all other stores, and before the database has told.
   */
  storeDurability: 'replicated' | 'disk' | 'second' | 'memory' | null
  /** After `fenced`: true if the newer owner is known to have all writes accepted here. */
  handedOver: boolean
  /** Last time the store was known to have everything, including at the open; `null` if it never was, or if there is nothing to store. */
  lastBackupAt: Date | null
  lastError: { code: HybridAuthErrorCode; message: string } | null
  /**
   * The reason why the store permanently rejects the full state; set while it does. Changes are still stored and can be restored, but they
   * pile up, and opens take longer.
   */
  baseRefused: { code: HybridAuthErrorCode; message: string } | null
  uploads: { segments: number; bases: number; bytes: number } | null
}

/** A session that is being opened, in the statuses of a fleet. Its details are not known yet. */
export interface OpeningStatus extends Omit<SessionStatus, 'life' | 'mode' | 'restored'> {
  life: 'opening'
  mode: null
  restored: null
}

/** Events of a session and their arguments. */
export interface SessionEvents {
  /** Sent right after the open: the source of the session and the duration. `shared`: this process already had it open. */
  opened: (news: { source: 'fresh' | 'imported' | 'local' | 'remote'; clean: boolean; shared: boolean; tookMs: number }) => void
  /** Everything up to `lsn` can be restored from the store. */
  backup: (news: { lsn: number; bytes: number }) => void
  /** The session was restored from the store. Sent once, right after the open. */
  restored: (news: { source: 'remote'; clean: boolean }) => void
  /** The store is unavailable or rejects requests. The session keeps running locally; in `cloud` mode writes wait. */
  degraded: (error: HybridAuthError) => void
  /** The store works again and has everything up to `lsn`. */
  recovered: (news: { lsn: number }) => void
  /**
   * Another server answers for the store: a failover of a database, which may have lost the latest writes. The full state is stored there
   * before anything else is confirmed. Only stores in a database report it.
   */
  serverChanged: () => void
  /** A newer instance owns the session: close the socket, do not reconnect here. */
  fenced: () => void
  /**
   * The session starts with a new WhatsApp identity. Sent once, right after the open. `missing`: there was none; the message lists the
   * searched places. `asked`: requested by `fresh: true`. `removed`: its folder was removed, and there is no store. `no-credentials`: it has
   * keys and no credentials.
   */
  fresh: (news: { reason: 'missing' | 'asked' | 'removed' | 'no-credentials'; message: string }) => void
  /** Something on the local disk or in the store was damaged, lost or set aside, and the session continues. */
  repaired: (news: { message: string }) => void
  /** Needs human attention. Logged, and never thrown, even without a listener. */
  error: (error: HybridAuthError) => void
}

/** Argument of `onEvent`. */
export type SessionEvent = { tenantId: string } & (
  | { event: 'opening' }
  /** Waiting for the previous owner, which has not released the session. `epoch` counts the owners over the life of the session. */
  | { event: 'waiting'; epoch: number; atMostMs: number }
  | { [E in keyof SessionEvents]: { event: E } & NewsOf<Parameters<SessionEvents[E]>> }[keyof SessionEvents]
)

type NewsOf<P extends unknown[]> = P extends [HybridAuthError] ? { error: HybridAuthError } : P extends [infer News] ? News : {}

/** Result of an export. `collisions` and `impossible` count ids that collide in, or do not fit into, a multi-file folder. */
export interface ExportReport {
  written: number
  collisions: number
  impossible: number
}
