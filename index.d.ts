/**
 * Auth state for Baileys that cannot be lost. `useHybridAuthState` takes the place of `useMultiFileAuthState`: reads come
 * from memory, every write is on the local disk before it resolves, and an encrypted copy in a bucket is at most a flush
 * interval behind.
 */

/** What went wrong, as far as a caller can act on it. The list is closed; the names are stable, the messages are not. */
export type HybridAuthErrorCode =
  /** A bad argument: fix the call. */
  | 'INVALID_OPTION'
  /** Another process has this tenant's directory open: use the session there. */
  | 'ALREADY_OPEN'
  /** Another instance claimed the session while it was being opened: wait and open again, or pass `takeover: true`. */
  | 'OWNED_ELSEWHERE'
  /** A newer instance owns the session: close the socket and do not reconnect here. */
  | 'FENCED'
  /** Ownership could not be confirmed in time (only with `onLeaseLost: 'stop'`): close the socket, open again. */
  | 'LEASE_LOST'
  /** The store cannot be reached or refuses: nothing was decided, try again later. */
  | 'REMOTE_UNAVAILABLE'
  /** A hole, a missing object or a wrong digest in the store: see the runbook. Nothing is ever reset by itself. */
  | 'REMOTE_CORRUPT'
  /** Damage in the local log, or in a folder to import. */
  | 'LOCAL_CORRUPT'
  /** The disk refused the write (full, read-only, not permitted): nothing changed; retry once it is mended. */
  | 'LOCAL_UNAVAILABLE'
  /** The encryption key needed is not among `encryptionKeys`. */
  | 'KEY_UNAVAILABLE'
  /** There is no session anywhere, and `onMissing: 'error'` forbids making one. */
  | 'NOT_FOUND'
  /** The session was deleted: pair again with `fresh: true`. */
  | 'DELETED'
  /** A write failed half-way and could not be taken back: open the session again. */
  | 'IO_POISONED'
  /** The session was closed: a mistake in the caller. */
  | 'CLOSED'
  /** A fault of this package was caught: open the session again and report it. */
  | 'INTERNAL'

/** The only kind of error this package throws or rejects with. Holds no key, no contact and no tenant id. */
export class HybridAuthError extends Error {
  readonly name: 'HybridAuthError'
  readonly code: HybridAuthErrorCode
}

/** How sessions are kept. Every option has a safe default; durations are in milliseconds. */
export interface HybridAuthOptions {
  /**
   * Where the local logs lie, one folder per tenant. Variables: `WHATSAPP_SESSION_PATH`, `SESSION_STORAGE_PATH`.
   * @default './whatsapp-sessions'
   */
  directory?: string
  /**
   * The bucket: `file:///path` for a directory as the bucket, `memory://name` for tests. Without it sessions are local only.
   * Variable: `SESSION_BACKUP_STORE`.
   */
  store?: string | URL
  /** `hybrid` replicates to `store`, `local` does not. Variable: `SESSION_STORAGE_TYPE`. @default 'hybrid' with a store, else 'local' */
  mode?: 'local' | 'hybrid'
  /**
   * 32-byte keys as 64 hex digits or bytes; the first one seals, all of them open. To rotate, put the new key first and keep
   * the old ones until every session was opened twice. Seals objects and the local log. Variable: `SESSION_ENCRYPTION_KEY`.
   */
  encryptionKeys?: string | Uint8Array | ReadonlyArray<string | Uint8Array>
  /** A store without keys is refused unless this is `'off'`, said out loud. @default 'on' */
  encryption?: 'on' | 'off'
  /**
   * Least time between two uploads of a session. Each one is one PUT and a share of one LIST. Pairing, pre-keys and changes of
   * identity do not wait for it. Variable: `SESSION_BACKUP_INTERVAL_MS`. @default 1000
   */
  flushIntervalMs?: number
  /**
   * When a write resolves. `os`: handed to the operating system, survives the death of the process (a few microseconds).
   * `data`: on the disk, survives a power cut (a disk sync, shared by all writes that wait). @default 'os' with a store, else 'data'
   */
  localDurability?: 'os' | 'data'
  /**
   * How often ownership is checked when nothing is uploaded. One LIST per tick serves all tenants of a process: at 5 s some
   * 520,000 LISTs a month, about 2.60 USD at 0.005 USD per thousand, whatever the number of tenants up to 1,000 claims a page.
   * @default 5000
   */
  ownershipCheckIntervalMs?: number
  /** How long to wait for a predecessor that did not release. @default twice its check interval and a margin */
  handoverTimeoutMs?: number
  /** How long `close()` tries to reach the store. What it could not send stays in the local log. @default 10000 */
  closeTimeoutMs?: number
  /** How long `flush()` waits. @default 30000 */
  flushTimeoutMs?: number
  /** What to do when a session exists neither here nor in the store. `error` is recommended in production. @default 'create' */
  onMissing?: 'create' | 'error'
  /** Whether writes go on when ownership cannot be checked because the store is down. @default 'continue' */
  onLeaseLost?: 'continue' | 'stop'
  /** Names in the store show a keyed tag instead of the tenant id. Needs `encryptionKeys`; keep the oldest of them. @default false */
  hideTenantIds?: boolean
  /** Pair again although the session was deleted. @default false */
  fresh?: boolean
  /** Take over at once, without waiting for the predecessor to hand over what it has. @default false */
  takeover?: boolean
  /** Trust the local log although the store has lost this session's history. @default false */
  seedFromDisk?: boolean
  /** Read objects that were stored unencrypted although keys are configured; for switching encryption on. @default false */
  acceptUnencrypted?: boolean
  /** Makes the credentials of a new session. @default the one of the installed Baileys */
  initAuthCreds?: () => any
  /** Encodes and revives unusual values. @default the one of the installed Baileys */
  BufferJSON?: { replacer: (key: any, value: any) => any; reviver: (key: any, value: any) => any }
  /** The Baileys namespace to take all of this from, where several are installed. */
  baileys?: any
  /** Told what happens, in the shape of a pino logger. @default silent */
  logger?: { debug?: LogFn; info?: LogFn; warn: LogFn; error?: LogFn }
}

type LogFn = (details: object, message: string) => void

/** What Baileys asks of a key store, and more. Own enumerable functions without `this`: spread them, take them off. */
export interface HybridKeyStore {
  /** Fresh copies; `null` for what is not there. Rejects with `CLOSED` or `DELETED` only. */
  get(type: any, ids: string[]): Promise<Record<string, any>>
  /**
   * Stores a batch, all or nothing; a falsy value deletes. Resolves when the batch is in the local log (see `localDurability`).
   * Rejects with `FENCED`, `CLOSED`, `DELETED`, `LEASE_LOST`, `LOCAL_UNAVAILABLE` (nothing changed) or `IO_POISONED`.
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
  life: 'live' | 'fenced' | 'lease-lost' | 'closing' | 'closed' | 'deleted' | 'poisoned'
  /** Number of the last write. */
  lsn: number
  /** Last write known to survive a power cut here. */
  localDurableLsn: number
  /** Last write that a blank machine would restore; `null` without a store. */
  remoteDurableLsn: number | null
  /** Age of the oldest write that a blank machine would not restore; 0 when there is none, `null` without a store. */
  lagMs: number | null
  keys: number
  bytes: number
  dirtyKeys: number
  dirtyBytes: number
  logBytes: number
  /** Which owner this is, counted over the life of the session; `null` without a store. */
  epoch: number | null
  /** `clean: false` says that the last owner did not end properly: its last moments may be missing. */
  restored: { source: 'fresh' | 'imported' | 'local' | 'remote'; clean: boolean }
  store: 'none' | 'ok' | 'degraded'
  /** After `fenced`: whether everything accepted here reached the store. */
  handedOver: boolean
  lastBackupAt: Date | null
  lastError: { code: HybridAuthErrorCode; message: string } | null
  uploads: { segments: number; bases: number; bytes: number } | null
}

/** What a session tells, and with what. */
export interface SessionEvents {
  /** Everything up to `lsn` is restorable from the store. */
  backup: (news: { lsn: number; bytes: number }) => void
  /** The session came from the store. Told once, right after the open. */
  restored: (news: { source: 'remote'; clean: boolean }) => void
  /** The store fails; the session goes on locally. */
  degraded: (error: HybridAuthError) => void
  /** The store answers again and has everything up to `lsn`. */
  recovered: (news: { lsn: number }) => void
  /** A newer instance owns the session: close the socket, do not reconnect here. */
  fenced: () => void
  /** Something needs a person. Logged, and never thrown, when nobody listens. */
  error: (error: HybridAuthError) => void
}

/** An open session. */
export interface HybridAuthState {
  state: { creds: any; keys: HybridKeyStore }
  /** Stores the credentials as they are at the call. Resolves and rejects like `keys.set`. */
  saveCreds(): Promise<void>
  /** Resolves when every write resolved before is restorable from the store; without one, when it survives a power cut. */
  flush(options?: { timeoutMs?: number }): Promise<void>
  /**
   * Stores the rest, releases ownership and unlocks. Rejects with `REMOTE_UNAVAILABLE` when the store could not be reached in
   * time: the session is closed all the same, and the local log keeps the rest for the next open here.
   */
  close(options?: { timeoutMs?: number }): Promise<void>
  /** Logs out for good: tombstone, then everything in the store and here. Call it on `DisconnectReason.loggedOut` and on nothing else. */
  delete(): Promise<void>
  /** Writes a folder that `useMultiFileAuthState` opens with the same contents. */
  exportMultiFile(folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  status(): SessionStatus
  on<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
  off<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
}

/** What an export did. Ids that a multi-file folder cannot hold, or cannot tell apart, are counted. */
export interface ExportReport {
  written: number
  collisions: number
  impossible: number
}

/**
 * Opens a tenant's session. Opening it again in this process shares the same keys, with a `creds` object of its own. A folder
 * of `useMultiFileAuthState` found in its place is taken over, and the originals are set aside.
 *
 * Resolves when this instance owns the session and its keys are in memory. Rejects with `HybridAuthError`; never with a new
 * identity in place of one that could not be read.
 */
export function useHybridAuthState(tenantId: string, options?: HybridAuthOptions): Promise<HybridAuthState>

/** Writes a tenant's session as a folder that `useMultiFileAuthState` opens; opens and closes the session if it is not open. */
export function exportMultiFile(
  tenantId: string,
  folder: string,
  options?: HybridAuthOptions & { overwrite?: boolean }
): Promise<ExportReport>

/** The fleet: the same options for many tenants. */
export class HybridAuth {
  constructor(options?: HybridAuthOptions)
  /** Opens a tenant; `overrides` count for this open only. */
  open(tenantId: string, overrides?: HybridAuthOptions): Promise<HybridAuthState>
  /** The session of a tenant that was opened here last. */
  get(tenantId: string): HybridAuthState | undefined
  /** Tenants that are open here. */
  list(): string[]
  /** The status of every open tenant, by tenant id. */
  status(): Record<string, SessionStatus>
  /** Deletes a tenant's session, opening it first if need be. */
  delete(tenantId: string): Promise<void>
  exportMultiFile(tenantId: string, folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  /** Closes everything. What did not reach the store in time is named; it is in the local logs. */
  shutdown(options?: { timeoutMs?: number }): Promise<{ closed: number; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
}
