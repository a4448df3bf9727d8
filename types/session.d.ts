// A session: opening it, what Baileys is given of it, how it fares and what it tells.

/// <reference lib="esnext.disposable" />

import type { HybridAuthError, HybridAuthErrorCode } from './error.js'
import type { HybridAuthOptions } from './options.js'
import type { PruneKeysOptions, PruneKeysReport } from './prune.js'

/**
 * Opens a tenant's session: once, and not for each socket (docs/guides/connection.md has a whole handler, with `loggedOut`,
 * `restartRequired` and `connectionReplaced`). Opening it again in this process shares the same keys, with a `creds` object of its own;
 * an open of which nobody holds any part is closed once it is collected. A folder of `useMultiFileAuthState` found in its place is taken over, and the originals are set aside.
 *
 * Resolves when this instance owns the session and its keys are in memory. Rejects with `HybridAuthError`; never with a new
 * identity in place of one that could not be read, and with `INVALID_OPTION` in place of a new one where a session of
 * `useMultiFileAuthState` plainly lies in `directory` itself or in a folder that the id names: `importFrom` takes it over, and
 * `error.folder` says where it lies.
 */
export function useHybridAuthState(tenantId: string, options?: HybridAuthOptions): Promise<HybridAuthState>
/** The same, with the tenant id beside the options: another package has a function of this name that is called so. */
export function useHybridAuthState(options: HybridAuthOptions & { sessionId: string }): Promise<HybridAuthState>

/** An open session. */
export interface HybridAuthState {
  state: { creds: any; keys: HybridKeyStore }
  /**
   * Stores the credentials as they are at the call; where a newer open of this tenant has stored some since, only what changed here,
   * and no counter backwards. Resolves and rejects like `keys.set`. As a listener of `creds.update` nobody
   * waits for it: a failure is then an `error` event and no unhandled rejection, unless the session had ended before.
   */
  saveCreds: () => Promise<void>
  /**
   * Resolves when every write resolved before is restorable from the store; without one, when it survives a power cut. `timeoutMs` is 0
   * to 3600000, or `Infinity` for no limit, here and wherever it is an option; anything else is `INVALID_OPTION`, and nothing happens.
   */
  flush: (options?: { timeoutMs?: number }) => Promise<void>
  /**
   * Stores the rest, releases ownership and unlocks; while the tenant is open elsewhere in this process, and an older open that nobody holds any more
   * is so until it is collected, it only flushes. Rejects
   * with `REMOTE_UNAVAILABLE` when the store could not be reached in time: the session is closed all the same, and the local log
   * keeps the rest for the next open here (in `cloud` mode it is lost). If all is stored and only the release is not, it resolves, and an
   * `error` event says that the next open on another machine waits. Rejects with `FENCED` when a newer instance owns the session
   * and the last writes did not reach it. Never an unhandled rejection.
   */
  close: (options?: { timeoutMs?: number }) => Promise<void>
  /**
   * Logs out for good: tombstone, then everything in the store and here, the originals of an import (`multi-file-originals-*`) too (in `cloud` mode nothing here: a folder that another mode
   * left stays, and the tombstone keeps it from coming back through a store). Call it on `DisconnectReason.loggedOut` and on nothing
   * else. Rejects with `FENCED` when a newer instance owns the session, and with `REMOTE_UNAVAILABLE`: then call it again.
   */
  delete: () => Promise<void>
  /** Writes a folder that `useMultiFileAuthState` opens with the same contents. */
  exportMultiFile(folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  /**
   * Removes keys that nobody can be waiting for any more; only tells what would go, all of it, unless `dryRun` is `false`. Reads every
   * session record in steps of some milliseconds, between which other work has its turn; what goes in a step is one write. Resolves
   * when the last one does, as `keys.set` would. Rejects with `INVALID_OPTION`, also where the credentials do not say which pre-keys the
   * server may still hand out; nothing is removed then.
   */
  pruneKeys(options?: PruneKeysOptions): Promise<PruneKeysReport>
  /** Also after `close()`, when its `life` is `closed`, and after `delete()`, when it is `deleted`: then as it was at the end. */
  status(): SessionStatus
  /**
   * What a listener throws, or rejects with, keeps no other one from being told: it goes to the logger or, where there is none, is a
   * warning of the process.
   */
  on<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
  off<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** What Baileys asks of a key store, and more. Own enumerable functions without `this`: spread them, take them off. */
export interface HybridKeyStore {
  /**
   * Fresh copies; `null` for what is not there, and for ids that cannot be keys. Rejects with `CLOSED` or `DELETED`, with
   * `INVALID_OPTION` when `ids` is no array, and with `INTERNAL` after a fault.
   */
  get(type: any, ids: string[]): Promise<Record<string, any>>
  /**
   * Stores a batch, all or nothing; a falsy value deletes. Resolves when the batch is in the local log (see `localDurability`); in
   * `cloud` mode when the store has it and this instance is still the owner. There it also rejects with `REMOTE_UNAVAILABLE`
   * after `flushTimeoutMs`: the batch then counts here and goes on being sent, and is lost if the process ends before it arrives.
   * Of a batch that is refused after it was accepted (`FENCED`, `LEASE_LOST`, `CLOSED` in `cloud` mode) the message says that it may be
   * stored all the same.
   * Rejects with `FENCED`, `CLOSED`, `DELETED`, `LEASE_LOST`, `LOCAL_UNAVAILABLE` (nothing changed), `IO_POISONED`, with
   * `INVALID_OPTION` for an id or a type that cannot be a key (4096 bytes at most), and with `INTERNAL` after a fault.
   */
  set(data: any): Promise<void>
  /** Deletes every key, and keeps the credentials. */
  clear(): Promise<void>
  /** Every `[id, value]` of a type, as of the call. */
  list(type: string): AsyncIterable<[string, any]>
  /** Every id of a type, as of the call. */
  listIds(type: string): AsyncIterable<string>
}

/** How a session fares. */
export interface SessionStatus {
  /** Where the session lives: on the disk, in the store, or in both. */
  mode: 'local' | 'hybrid' | 'cloud'
  life: 'live' | 'fenced' | 'lease-lost' | 'closing' | 'closed' | 'deleted' | 'poisoned'
  /** Number of the last write. */
  lsn: number
  /** Last write known to survive a power cut of this machine: synced to its disk or, in `cloud` mode, `remoteDurableLsn`. */
  localDurableLsn: number
  /** Last write that a blank machine would restore; `null` without a store. */
  remoteDurableLsn: number | null
  /** Age of the oldest write that a blank machine would not restore; 0 when there is none, `null` without a store. */
  lagMs: number | null
  keys: number
  bytes: number
  /** Bytes that `bytes` may grow to: a write beyond that is refused, as nobody could open the session again. */
  maxBytes: number
  /** Keys that a blank machine would not restore as they are, also while they are on their way; 0 without a store. */
  dirtyKeys: number
  /** Bytes of those keys and their values. */
  dirtyBytes: number
  /** Of the local log; 0 in `cloud` mode. */
  logBytes: number
  /** Which owner this is, counted over the life of the session; `null` without a store. */
  epoch: number | null
  /**
   * `clean: false` says that the last owner did not end properly: its last moments may be missing. `fresh`: a new identity, also where
   * there are keys whose credentials were never saved.
   */
  restored: { source: 'fresh' | 'imported' | 'local' | 'remote'; clean: boolean }
  store: 'none' | 'ok' | 'degraded'
  /** After `fenced`: whether the newer owner is known to have everything accepted here. */
  handedOver: boolean
  /** When the store was last known to have everything, the open included; `null` when it never was, or has nothing to have. */
  lastBackupAt: Date | null
  lastError: { code: HybridAuthErrorCode; message: string } | null
  /**
   * Why the store refuses the whole state for good, while it does: what changes is stored all the same and can be restored, but it
   * piles up, and opens take longer.
   */
  baseRefused: { code: HybridAuthErrorCode; message: string } | null
  uploads: { segments: number; bases: number; bytes: number } | null
}

/** A session that is being opened, in the statuses of a fleet: nothing is known of it yet. */
export interface OpeningStatus extends Omit<SessionStatus, 'life' | 'mode' | 'restored'> {
  life: 'opening'
  mode: null
  restored: null
}

/** What a session tells, and with what. */
export interface SessionEvents {
  /** Told right after the open: where the session came from, and how long that took. `shared`: it was open in this process already. */
  opened: (news: { source: 'fresh' | 'imported' | 'local' | 'remote'; clean: boolean; shared: boolean; tookMs: number }) => void
  /** Everything up to `lsn` is restorable from the store. */
  backup: (news: { lsn: number; bytes: number }) => void
  /** The session came from the store. Told once, right after the open. */
  restored: (news: { source: 'remote'; clean: boolean }) => void
  /** The store fails; the session goes on locally, or waits in `cloud` mode. */
  degraded: (error: HybridAuthError) => void
  /** The store answers again and has everything up to `lsn`. */
  recovered: (news: { lsn: number }) => void
  /** A newer instance owns the session: close the socket, do not reconnect here. */
  fenced: () => void
  /**
   * The session begins with a new WhatsApp identity, told once, right after the open. `missing`: there was none in any place, which the
   * message names; `asked`: by `fresh: true`; `removed`: its folder was removed, and there is no store; `no-credentials`: it holds keys and
   * no credentials.
   */
  fresh: (news: { reason: 'missing' | 'asked' | 'removed' | 'no-credentials'; message: string }) => void
  /** Something of the local disk or of the store was damaged, lost or set aside, and the session goes on. */
  repaired: (news: { message: string }) => void
  /** Something needs a person. Logged, and never thrown, when nobody listens. */
  error: (error: HybridAuthError) => void
}

/** News for `onEvent`. */
export type SessionEvent = { tenantId: string } & (
  | { event: 'opening' }
  /** Wait for the former owner, which has not released the session. `epoch` counts the owners over the life of the session. */
  | { event: 'waiting'; epoch: number; atMostMs: number }
  | { [E in keyof SessionEvents]: { event: E } & NewsOf<Parameters<SessionEvents[E]>> }[keyof SessionEvents]
)

type NewsOf<P extends unknown[]> = P extends [HybridAuthError] ? { error: HybridAuthError } : P extends [infer News] ? News : {}

/** What an export did. Ids that a multi-file folder cannot hold, or cannot tell apart, are counted. */
export interface ExportReport {
  written: number
  collisions: number
  impossible: number
}
