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
  /** Another instance claimed the session while it was being opened: one of the two has it; open again later if need be. */
  | 'OWNED_ELSEWHERE'
  /** A newer instance owns the session: close the socket and do not reconnect here. */
  | 'FENCED'
  /** Ownership could not be confirmed in time (only with `onLeaseLost: 'stop'`): close the socket, open again. */
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

/** A directory as the bucket: a mounted volume or network share that outlives the machine. As a URL: `file:///path`. */
export interface DirectoryStore {
  kind: 'directory'
  path: string
}

/** For tests: gone with the process. As a URL: `memory://name`. */
export interface MemoryStore {
  kind: 'memory'
  name: string
}

/**
 * A bucket behind the S3 protocol: AWS, Cloudflare R2, MinIO, Ceph, Garage, SeaweedFS, Backblaze B2 and their kin. As a URL:
 * `s3://bucket/prefix?endpoint=…&region=…&pathStyle=…&instanceMetadata=…`, never with credentials in it.
 *
 * Credentials come from the first of these that is there; half of one is refused: `accessKeyId` and `secretAccessKey`;
 * `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` (and `AWS_SESSION_TOKEN`); for an endpoint of R2 `R2_ACCESS_KEY_ID` and
 * `R2_SECRET_ACCESS_KEY`; `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN` (`AWS_ROLE_SESSION_NAME`, `AWS_ENDPOINT_URL_STS`);
 * `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, or `AWS_CONTAINER_CREDENTIALS_FULL_URI` and
 * `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`; the keys in the profile `AWS_PROFILE`, or in the default one, of
 * `~/.aws/credentials` and `~/.aws/config` (`AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`); the machine, if
 * `instanceMetadata` allows it. A profile that needs SSO, a role or a program is refused: `aws configure export-credentials`.
 */
export interface S3Store {
  kind: 's3'
  bucket: string
  /** A folder in the bucket, such as `a/b`. @default the bucket itself */
  prefix?: string
  /** Variables: `AWS_REGION`, `AWS_DEFAULT_REGION`. @default 'us-east-1', or 'auto' for R2, which the variables do not concern */
  region?: string
  /** The address of the server. Variables: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`. @default that of AWS */
  endpoint?: string
  /** Whether the bucket stands in the path, not in the host name. @default true with an endpoint or a dot in `bucket`, else false */
  pathStyle?: boolean
  accessKeyId?: string
  secretAccessKey?: string
  sessionToken?: string
  /** Whether credentials may be asked of the instance this runs on, after all else. @default false */
  instanceMetadata?: boolean
}

/**
 * A bucket of Supabase Storage, over its own REST API. As a URL: `supabase://bucket/prefix`; address and key are then those of
 * `SUPABASE_URL` and `SUPABASE_SERVICE_KEY` or `SUPABASE_SERVICE_ROLE_KEY`. One is never mixed with the other's.
 */
export interface SupabaseStore {
  kind: 'supabase'
  /** The address of the project, such as `https://ref.supabase.co`. @default the variable, if `key` is left out too */
  url?: string
  /** The secret key (`sb_secret_…`) or the `service_role` key of the project. @default the variable, if `url` is left out too */
  key?: string
  bucket: string
  /** A folder in the bucket, such as `a/b`. @default the bucket itself */
  prefix?: string
  /** Take a public key (publishable, or `anon`), and leave it to the policies of row level security what it may do. @default false */
  allowAnonKey?: boolean
}

/**
 * A bucket of Google Cloud Storage. As a URL: `gs://bucket/prefix?instanceMetadata=…&endpoint=…`.
 *
 * Credentials come from the first of these that is there: `credentials` or `credentialsFile`; `GOOGLE_APPLICATION_CREDENTIALS`,
 * the path of a file; `GOOGLE_CREDENTIALS`, JSON text; the machine, if `instanceMetadata` allows it.
 */
export interface GcsStore {
  kind: 'gcs'
  bucket: string
  /** A folder in the bucket, such as `a/b`. @default the bucket itself */
  prefix?: string
  /** The key of a service account, as an object or as JSON text. */
  credentials?: string | object
  /** The path of a file with the key of a service account, or the credentials of a user. */
  credentialsFile?: string
  /** The address of an emulator or a private endpoint. @default that of Google */
  endpoint?: string
  /** Whether credentials may be asked of the instance this runs on, after all else. @default false */
  instanceMetadata?: boolean
  /** Send no credentials: for emulators, and only with an `endpoint`. @default false */
  anonymous?: boolean
}

/** A store as an object. Fields that are not known are refused, and so are credentials in a URL. */
export type HybridAuthStore = S3Store | SupabaseStore | GcsStore | DirectoryStore | MemoryStore

/** How sessions are kept. Every option has a safe default; durations are in milliseconds. */
export interface HybridAuthOptions {
  /**
   * Where the local logs lie, one folder per tenant. Variables: `WHATSAPP_SESSION_PATH`, `SESSION_STORAGE_PATH`.
   * @default './whatsapp-sessions'
   */
  directory?: string
  /**
   * The bucket, as a URL (`s3://bucket`, `supabase://bucket`, `gs://bucket`, `file:///path` for a directory, `memory://name` for
   * tests) or as an object. `null`: none, whatever the variables say. Without it: the URL in `SESSION_BACKUP_STORE`, or the store
   * that `SUPABASE_URL` and `SUPABASE_SERVICE_KEY`, or `R2_ACCOUNT_ID` or `R2_ENDPOINT` with `R2_ACCESS_KEY_ID`,
   * `R2_SECRET_ACCESS_KEY` and `R2_BUCKET_NAME` make, unless `SESSION_BACKUP_ENABLED` is `false`; half of one, or both, are
   * refused. Without any of these sessions are local only.
   */
  store?: string | URL | HybridAuthStore | null
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
   * identity do not wait for it. Variables: `SESSION_BACKUP_INTERVAL_MS`, and `SESSION_BACKUP_INTERVAL`, milliseconds too and 1000
   * at least. @default 1000
   */
  flushIntervalMs?: number
  /**
   * When a write resolves. `os`: handed to the operating system, survives the death of the process (a few microseconds).
   * `data`: on the disk, survives a power cut (a disk sync, shared by all writes that wait). @default 'os' with a store, else 'data'
   */
  localDurability?: 'os' | 'data'
  /**
   * How often ownership is checked when nothing is uploaded. One LIST per tick and 1,000 names serves all tenants of a process: at
   * 5 s at least 520,000 LISTs a month, 2.60 USD at 0.005 USD per thousand. For 500 tenants 0.8 to 3 million were measured.
   * @default 5000
   */
  ownershipCheckIntervalMs?: number
  /** How long to wait for a predecessor that did not release. @default twice its check interval and a margin */
  handoverTimeoutMs?: number
  /**
   * When what has not changed is stored again, each session at a moment of its own in the last tenth: a rule of the bucket that
   * removes what is old must not take the only copy. Three PUTs and a GET per session each time. @default 604800000 (7 days)
   */
  refreshIntervalMs?: number
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
  /** Take a bucket that everybody can read; its contents are still sealed, unless `encryption` is off. @default false */
  allowPublicBucket?: boolean
  /** Requests under way at once, of all tenants of a store in this process together; 1 to 1024. More costs sockets. @default 64 */
  maxConcurrentRequests?: number
  /**
   * Authorities to trust beside those of the system, as PEM text or the path of a PEM file: for a server or proxy with a
   * certificate of its own. Variables: `AWS_CA_BUNDLE` (for S3), `NODE_EXTRA_CA_CERTS`. @default none
   */
  caCertificate?: string
  /** Makes the credentials of a new session. @default the one of the installed Baileys */
  initAuthCreds?: () => any
  /** Encodes and revives unusual values. @default the one of the installed Baileys */
  BufferJSON?: { replacer: (key: any, value: any) => any; reviver: (key: any, value: any) => any }
  /** The Baileys namespace to take all of this from, where several are installed. */
  baileys?: any
  /**
   * Told what happens, in the shape of a pino logger: the details, `event` among them, and a message. One that has `child` is asked
   * for a child with `class: 'hybrid-auth'` and `tenantId`, which then stand in every line of this session. @default silent
   */
  logger?: { debug?: LogFn; info?: LogFn; warn: LogFn; error?: LogFn; child?: (bindings: { class: string; tenantId: string }) => any }
}

type LogFn = (details: object, message: string) => void

/** What Baileys asks of a key store, and more. Own enumerable functions without `this`: spread them, take them off. */
export interface HybridKeyStore {
  /**
   * Fresh copies; `null` for what is not there, and for ids that cannot be keys. Rejects with `CLOSED` or `DELETED`, with
   * `INVALID_OPTION` when `ids` is no array, and with `INTERNAL` after a fault.
   */
  get(type: any, ids: string[]): Promise<Record<string, any>>
  /**
   * Stores a batch, all or nothing; a falsy value deletes. Resolves when the batch is in the local log (see `localDurability`).
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
  /** Keys that a blank machine would not restore as they are, also while they are on their way; 0 without a store. */
  dirtyKeys: number
  /** Bytes of those keys and their values. */
  dirtyBytes: number
  logBytes: number
  /** Which owner this is, counted over the life of the session; `null` without a store. */
  epoch: number | null
  /** `clean: false` says that the last owner did not end properly: its last moments may be missing. */
  restored: { source: 'fresh' | 'imported' | 'local' | 'remote'; clean: boolean }
  store: 'none' | 'ok' | 'degraded'
  /** After `fenced`: whether everything accepted here reached the store. */
  handedOver: boolean
  /** When the store was last known to have everything, the open included; `null` when it never was, or has nothing to have. */
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
  /**
   * Stores the credentials as they are at the call. Resolves and rejects like `keys.set`. As a listener of `creds.update` nobody
   * waits for it: a failure is then an `error` event and no unhandled rejection, unless the session had ended before.
   */
  saveCreds(): Promise<void>
  /** Resolves when every write resolved before is restorable from the store; without one, when it survives a power cut. */
  flush(options?: { timeoutMs?: number }): Promise<void>
  /**
   * Stores the rest, releases ownership and unlocks; while the tenant is open elsewhere in this process it only flushes. Rejects with `REMOTE_UNAVAILABLE` when the store could not be reached in
   * time: the session is closed all the same, and the local log keeps the rest for the next open here. Rejects with `FENCED` when
   * a newer instance owns the session and the last writes did not reach it. Never an unhandled rejection.
   */
  close(options?: { timeoutMs?: number }): Promise<void>
  /**
   * Logs out for good: tombstone, then everything in the store and here. Call it on `DisconnectReason.loggedOut` and on nothing
   * else. Rejects with `FENCED` when a newer instance owns the session, and with `REMOTE_UNAVAILABLE`: then call it again.
   */
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

/** How a fleet is restored. */
export interface RestoreAllOptions {
  /** Which tenants. @default all that the store has */
  tenantIds?: Iterable<string>
  /** How many are opened at once. @default 16 */
  concurrency?: number
  /** Told after each one; `error` is `null` for one that is open. */
  onProgress?: (progress: { tenantId: string; error: HybridAuthError | null; done: number; total: number }) => void
}

/** What a blank machine would restore. */
export interface VerifyReport {
  /** Which owner wrote it last. */
  epoch: number
  /** The last write in it. */
  lsn: number
  /** Whether its owner ended properly: then nothing that ever resolved is missing. `false` while one runs. */
  clean: boolean
  /** Keys, the credentials among them. */
  keys: number
  /** Their bytes, unpacked. */
  bytes: number
  /** SHA-256 of all keys and values: equal sessions have equal digests. */
  digest: string
  /** Objects to read for it. */
  objects: number
  /** In how many ways it can be restored; with two, damage to an object is survived. */
  ways: number
  /** What is wrong with other ways, one message each. */
  damage: string[]
}

/** What went over the wire, counted since the process began. */
export interface StoreTraffic {
  puts: number
  gets: number
  /** One for each page of a listing. */
  lists: number
  /** Objects removed. */
  deletes: number
  /** Bytes of objects. */
  sent: number
  received: number
  /** Requests that failed, each try counted. */
  failures: number
}

/** Many statuses as one. Sessions that a newer owner has, and those that ended, count for nothing but `sessions` and `byLife`. */
export interface FleetSummary {
  sessions: number
  byLife: Record<SessionStatus['life'], number>
  /** `never`: nothing of it is in a store. `overdue`: something has been waiting for it for more than 10 minutes. */
  byBackup: { never: number; overdue: number; ok: number }
  /** Age of the oldest write that a blank machine would not restore; 0 where there is none. */
  maxLagMs: number
  dirtyKeys: number
  dirtyBytes: number
  /** Sessions whose store fails. */
  degraded: number
  /** `degraded` when it fails for any session. */
  store: 'none' | 'ok' | 'degraded'
}

/** How metrics are told. */
export interface MetricsOptions {
  /** Whether there are metrics of each tenant as well, with its id as the label `tenant`. @default false */
  tenantLabel?: boolean
}

/** As much of a registry of `prom-client` as is needed. */
export interface MetricsRegistry {
  registerMetric(metric: any): void
  getSingleMetric(name: string): any
}

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
   * Ids of the tenants that have a session in the store, deleted ones left out, in the order of their names there. Rejects with
   * `INVALID_OPTION` where there is no store, or where it does not tell all ids (`hideTenantIds`, ids that are too long for a name).
   */
  tenants(): Promise<string[]>
  /**
   * Opens every tenant of the store, or those in `tenantIds`, `concurrency` at a time: for a machine that starts. Resolves when
   * each was opened or failed; one that fails does not stop the others.
   */
  restoreAll(options?: RestoreAllOptions): Promise<{ opened: string[]; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
  /**
   * Downloads and checks all that a blank machine would restore of a tenant, and what is kept against damage. Claims and writes
   * nothing, so that it may run anywhere and at any time. Rejects with `NOT_FOUND`, `DELETED`, `KEY_UNAVAILABLE`, with
   * `REMOTE_CORRUPT` where no way to restore it is whole, and like an open where the store cannot be reached.
   */
  verify(tenantId: string): Promise<VerifyReport>
  /** Requests and bytes between this process and the store so far, of all its tenants; `null` before the first. */
  traffic(): StoreTraffic | null
  /** Deletes a tenant's session, opening it first if need be. */
  delete(tenantId: string): Promise<void>
  exportMultiFile(tenantId: string, folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  /** Closes everything. What did not reach the store in time is named; it is in the local logs. */
  shutdown(options?: { timeoutMs?: number }): Promise<{ closed: number; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
}
