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

/**
 * How sessions are kept. Every option has a safe default; durations are in milliseconds.
 *
 * Each has a variable of its own as well, `BAILEYS_HYBRID_AUTH_` and its name in capitals (`flushIntervalMs`:
 * `BAILEYS_HYBRID_AUTH_FLUSH_INTERVAL_MS`), which goes before those named below. None have `fresh`, `takeover` and `seedFromDisk`,
 * which are decided for one open, and `initAuthCreds`, `BufferJSON`, `baileys` and `logger`, which are no texts. A variable that
 * begins so and is none of these is refused.
 */
export interface HybridAuthOptions {
  /**
   * Where the local logs lie, one folder per tenant. In `cloud` mode nothing is written there, and what a variable names is only
   * looked at for a log that another mode left; as an option beside `mode: 'cloud'` it is refused. Variables:
   * `WHATSAPP_SESSION_PATH`, `SESSION_STORAGE_PATH`.
   * @default './whatsapp-sessions'
   */
  directory?: string
  /**
   * The bucket, as a URL (`s3://bucket`, `supabase://bucket`, `gs://bucket`, `file:///path` for a directory, `memory://name` for
   * tests) or as an object. `null`: none, whatever the variables say. Without it: the URL in `SESSION_BACKUP_STORE`, or the store
   * that `SUPABASE_URL` and `SUPABASE_SERVICE_KEY`, or `R2_ACCOUNT_ID` or `R2_ENDPOINT` with `R2_ACCESS_KEY_ID`,
   * `R2_SECRET_ACCESS_KEY` and `R2_BUCKET_NAME` make, unless `SESSION_BACKUP_ENABLED` is `false`; half of one, or both, are
   * refused. Only if a store is asked for, by `SESSION_BACKUP_STORE=s3` or `gcs`, by `SESSION_BACKUP_ENABLED` or the mode `hybrid`,
   * `S3_BUCKET` with `S3_ENDPOINT`, `S3_REGION`, `S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY` is taken, and `STORAGE_BUCKET` with
   * `GOOGLE_APPLICATION_CREDENTIALS`. Without any of these sessions are local only, and the logger is warned once.
   */
  store?: string | URL | HybridAuthStore | null
  /**
   * Where a session lives. `local`: in a log on the disk. `hybrid`: there and in `store`, a moment behind. `cloud`: in `store`
   * alone, no file is made; each write resolves when the store has it for good, two round trips later, so that an outage of the
   * store delays and then refuses writes. One PUT and a share of one LIST for all writes that wait at the same time. A session
   * that is changing from `local` to `cloud`, or from `cloud` to `local`, is opened and closed once in `hybrid` between the two.
   * Variable: `SESSION_STORAGE_TYPE`. @default 'hybrid' with a store, else 'local'
   */
  mode?: 'local' | 'hybrid' | 'cloud'
  /**
   * 32-byte keys as 64 hex digits or bytes; the first one seals, all of them open. Several in one text, as in a variable, stand
   * between commas. To rotate, put the new key first and keep the old ones until every session was opened twice. Seals objects and
   * the local log. Variable: `SESSION_ENCRYPTION_KEY`.
   */
  encryptionKeys?: string | Uint8Array | ReadonlyArray<string | Uint8Array>
  /** A store without keys is refused unless this is `'off'`, said out loud. @default 'on' */
  encryption?: 'on' | 'off'
  /**
   * Least time between two uploads of a session. Each one is one PUT and a share of one LIST. Pairing, pre-keys and changes of
   * identity do not wait for it; in `cloud` mode nothing does. Variables: `SESSION_BACKUP_INTERVAL_MS`, and
   * `SESSION_BACKUP_INTERVAL`, milliseconds too and 1000 at least. @default 1000
   */
  flushIntervalMs?: number
  /**
   * When a write resolves. `os`: handed to the operating system, survives the death of the process (a few microseconds).
   * `data`: on the disk, survives a power cut (a disk sync, shared by all writes that wait). Refused in `cloud` mode, where the
   * store decides. @default 'os' with a store, else 'data'
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
  /** How long `close()` tries to reach the store. What it could not send stays in the local log, if there is one. @default 10000 */
  closeTimeoutMs?: number
  /** How long `flush()` waits and, in `cloud` mode, each write. @default 30000 */
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
  /** Trust the local log although the store has lost this session's history. Refused in `cloud` mode. @default false */
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
   * Stores a batch, all or nothing; a falsy value deletes. Resolves when the batch is in the local log (see `localDurability`); in
   * `cloud` mode when the store has it and this instance is still the owner. There it also rejects with `REMOTE_UNAVAILABLE`
   * after `flushTimeoutMs`: the batch then counts here and goes on being sent, and is lost if the process ends before it arrives.
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
  /** Keys that a blank machine would not restore as they are, also while they are on their way; 0 without a store. */
  dirtyKeys: number
  /** Bytes of those keys and their values. */
  dirtyBytes: number
  /** Of the local log; 0 in `cloud` mode. */
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
  /** The store fails; the session goes on locally, or waits in `cloud` mode. */
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
   * time: the session is closed all the same, and the local log keeps the rest for the next open here (in `cloud` mode it is
   * lost). Rejects with `FENCED` when
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
  /**
   * Removes keys that nobody can be waiting for any more; only tells what would go unless `dryRun` is `false`. Reads every session
   * record, some at a time, and holds up other work while it decides, for some 0.1 s at the most. All that goes is one write, which resolves and rejects like `keys.set`. Rejects with `INVALID_OPTION`, also where the credentials do not say which
   * pre-keys the server may still hand out; nothing is removed then.
   */
  pruneKeys(options?: PruneKeysOptions): Promise<PruneKeysReport>
  status(): SessionStatus
  on<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
  off<E extends keyof SessionEvents>(event: E, listener: SessionEvents[E]): this
}

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
}

/** What went, or would go. */
export interface PruneKeysReport {
  dryRun: boolean
  /** Whether that is all. What is beyond 4 MiB of entries waits for another call. */
  complete: boolean
  /** `bytes` as in `SessionStatus`. */
  preKeys: { removed: number; kept: number; bytes: number }
  /** `records` is how many contacts' devices lose some. */
  closedSessions: { removed: number; kept: number; bytes: number; records: number }
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
/** The same, with the tenant id beside the options: another package has a function of this name that is called so. */
export function useHybridAuthState(options: HybridAuthOptions & { sessionId: string }): Promise<HybridAuthState>

/** A setting, and where it comes from. */
export interface ConfigSetting {
  /** As it counts; `null` for none. Keys are shown by their ids, as errors name them; other secrets as `hidden`. */
  value: string | number | boolean | string[] | null
  source: 'option' | 'variable' | 'default'
  /** The name of the option, or of the variables; `null` for a default. */
  from: string | null
  /** What is wrong with it, if anything is; `value` is then `null`. */
  problem?: string
}

/** What sessions would be opened with. `String(it)` is a table for people. */
export interface ConfigDescription {
  /** By the name of the option; what is found for a store, by `store.` and the name of its field. */
  settings: Record<string, ConfigSetting>
  /** Messages that an open would be refused with: the first of them is. Empty when nothing is wrong. */
  problems: string[]
  /** What the logger would be warned of. */
  warnings: string[]
  toString(): string
}

/**
 * The settings that an open with these options and variables would have, for logs and for people who wonder. Never throws for
 * a wrong one, opens and sends nothing, and shows no secret. Files that hold credentials are read, as an open would.
 * @param env @default process.env
 */
export function describeConfig(options?: HybridAuthOptions, env?: Record<string, string | undefined>): ConfigDescription

/** Writes a tenant's session as a folder that `useMultiFileAuthState` opens; opens and closes the session if it is not open. */
export function exportMultiFile(
  tenantId: string,
  folder: string,
  options?: HybridAuthOptions & { overwrite?: boolean }
): Promise<ExportReport>

/** A session that a migration found: a folder with a `creds.json`. */
export interface FoundSession {
  /** The folder, relative to the source and with `/` between its parts; '' for the source itself. */
  path: string
  /** The parts of `path`. */
  parts: string[]
  layout: MigrationLayout
}

/**
 * How keys lie beside a `creds.json`: `flat`, one `<type>-<id>.json` each, as `useMultiFileAuthState` writes them; `keys-folder`,
 * the same in a folder `keys`; `keys-file`, one `keys.json` with `{ type: { id: value } }` or `{ "type-id": value }`.
 */
export type MigrationLayout = 'flat' | 'keys-folder' | 'keys-file'

/** Where a migration reads, and how: beside the options of the sessions that it makes. */
export interface MigrateOptions extends HybridAuthOptions {
  /**
   * Where the sessions of the other system lie: the path of a folder, or a bucket as for `store`. Everything below it is looked at.
   * It must not lie in `directory`, nor that in it: sessions in the place of a tenant are taken over when the tenant is opened.
   */
  from: string | URL | HybridAuthStore
  /** How keys lie. `auto` finds out for each session; where keys lie in more than one way that session is refused. @default 'auto' */
  layout?: 'auto' | MigrationLayout
  /**
   * What the tenant of a session is called: a template in which `{1}` is the first folder below `from`, `{2}` the second, `{-1}`
   * the last; or a function, which leaves a session out with `null`. Two sessions with one id are refused before anything is
   * written. @default the name of the folder, where sessions lie at most one folder deep; else it has to be said
   */
  tenantId?: string | ((found: FoundSession) => string | null)
  /** What AES-256-CBC encrypted the files with: 64 hex digits or 32 bytes. @default the `encryptionKeys` are tried */
  sourceKey?: string | Uint8Array
  /** Migrate credentials that have no keys at all. Such a session connects, and cannot decrypt. @default false */
  allowCredsOnly?: boolean
  /** Migrate without the key files that cannot be read, as Baileys itself goes on without them. @default false */
  allowDamagedKeys?: boolean
  /** Read and compare, and write nothing. @default false */
  dryRun?: boolean
  /** Remove each source that was migrated and verified, in the same call. @default false */
  cleanup?: boolean
  /** Only these tenants. @default all */
  only?: Iterable<string>
  /** How many sessions are migrated at once. @default 4 */
  concurrency?: number
  /** Told after each one. */
  onProgress?: (progress: { tenantId: string; status: MigrationStatus; done: number; total: number }) => void
}

/** What became of a session. */
export type MigrationStatus =
  /** Made, and compared by value with the source, here and in the store. */
  | 'migrated'
  /** The tenant has it already, equal by value. */
  | 'already'
  /** Would be migrated (`dryRun`). */
  | 'ready'
  /** The tenant has a session of another identity. Left alone. */
  | 'conflict'
  /** The tenant has this session and has gone on with it. Left alone. */
  | 'newer-target'
  /** The source was written after the tenant was made from it: the old system still runs. Left alone. */
  | 'newer-source'
  /** Credentials and not one key: would connect, and decrypt nothing. Not migrated, but by `allowCredsOnly`. */
  | 'credsOnly'
  /** A file is damaged. Not migrated; where only keys are, `allowDamagedKeys` leaves them out. */
  | 'damaged'
  /** The files can be read in more than one way. Not migrated; `message` says what to say. */
  | 'ambiguous'
  /** Something else; see `code` and `message`. Run the migration again. */
  | 'failed'

/** What a migration did with one session. Holds no key, no value and no contact. */
export interface MigratedSession {
  tenantId: string
  /** Its folder in the source. */
  path: string
  layout: MigrationLayout
  /** Whether files of it were encrypted. */
  encrypted: boolean
  status: MigrationStatus
  /** `null` where all is well. */
  code: HybridAuthErrorCode | null
  message: string | null
  /** Keys that were read, by type. */
  keys: Record<string, number>
  /** Files that were read, and their bytes. */
  files: number
  bytes: number
  /** What is not among the keys: damaged files by type, `.json` files of no known kind, and other files. They are never removed. */
  leftOut: { damaged: Record<string, number>; notUnderstood: number; otherFiles: number }
  /** What a person should look at. */
  warnings: string[]
  /** Whether the source was written between reading it and the end: the old system still runs, and the copy is older than it. */
  sourceChanged: boolean
  /** SHA-256 of the source's files and names as they were read; `null` where they were not. */
  digest: string | null
  /** SHA-256 of the public half of the identity. */
  identity: string | null
  /** What the tenant has: the number of the last write, and the digest as `verify` has it; `null` where it has nothing. */
  target: { lsn: number; digest: string } | null
}

/** What a migration did. May be written as JSON, and given to `cleanupMigrated` later. */
export interface MigrationReport {
  version: 1
  dryRun: boolean
  sessions: MigratedSession[]
  /** How many sessions of each status. */
  totals: Record<MigrationStatus, number>
  /** Sessions that `tenantId` left out. */
  leftOut: number
  /** Ids in `only` that the source does not have. */
  missing: string[]
  /** Files of the source that belong to no session, and links, which are not followed. */
  passedOver: number
  /** Objects of this package in the source, which may be the bucket of the target. */
  ours: number
  /** With `cleanup`. */
  cleanup?: CleanupReport
}

/**
 * Takes sessions over from folders of `useMultiFileAuthState` and from the buckets of other systems, without a new QR code. Stop
 * the old system first. Each session is read whole, stored in one batch under its tenant, read back and compared by value. A tenant
 * that has a session is left alone, and nobody who has one open is disturbed. Run it again after an interruption.
 *
 * Resolves when each session was migrated or not, which the report says: one that fails stops no other. Rejects, before anything is
 * written, with `INVALID_OPTION`, with `NOT_FOUND` where there is no session, and where the source cannot be listed.
 */
export function migrate(options: MigrateOptions): Promise<MigrationReport>

/** What is cleaned up: with the same `from`, `sourceKey` and options as the migration. */
export interface CleanupOptions extends HybridAuthOptions {
  from: string | URL | HybridAuthStore
  /** What `migrate` answered. Its sessions that are `migrated` or `already` are looked at. */
  report: MigrationReport
  sourceKey?: string | Uint8Array
  /** Remove. Without it the answer says what would be removed. @default false */
  confirm?: boolean
  /**
   * Remove also where the tenant has gone on, so that values can no longer be compared: the report is then the proof that it had
   * everything, the identity must be the same and the store whole. @default false
   */
  allowMovedOn?: boolean
  /** @default 4 */
  concurrency?: number
  onProgress?: (progress: { tenantId: string; status: CleanupStatus; done: number; total: number }) => void
}

/** What became of a source: all but the first two were kept. */
export type CleanupStatus =
  /** Its files are gone; the store was asked. */
  | 'removed'
  /** It was removed before. */
  | 'gone'
  /** Would be removed by `confirm`. */
  | 'removable'
  /** It is not what was migrated. */
  | 'source-changed'
  /** The tenant has gone on, see `allowMovedOn`. */
  | 'moved-on'
  /** The tenant does not have all of it. */
  | 'missing'
  | 'failed'

/** What a cleanup did. */
export interface CleanupReport {
  sessions: Array<{ tenantId: string; path: string; status: CleanupStatus; code: HybridAuthErrorCode | null; message: string | null; files: number }>
  totals: Record<CleanupStatus, number>
}

/**
 * Removes what was migrated from its source. A session goes only if its files are those that were migrated and the tenant has, at
 * this moment, every record in them by value. Files that were not migrated stay.
 */
export function cleanupMigrated(options: CleanupOptions): Promise<CleanupReport>

/** How a tree of folders is written. */
export interface ExportAllOptions {
  /** Which tenants. @default all that the store has */
  tenantIds?: Iterable<string>
  /** Replace sessions that lie there. @default false */
  overwrite?: boolean
  /** The folder of a tenant within the tree, such as `user/session`. @default its id; written in % where that is no name of a folder */
  folderOf?: (tenantId: string) => string
  /** How many are exported at once. @default 4 */
  concurrency?: number
  /** Told after each one; `error` is `null` for one that was written. */
  onProgress?: (progress: { tenantId: string; error: HybridAuthError | null; done: number; total: number }) => void
}

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

/** Who has a session, as the marks in its store tell. `live`: claimed and not released; its owner runs, or ended without a word. */
export type SessionOwner = 'live' | 'released' | 'deleted' | 'none'

/** Objects of one kind, and their bytes in the store. */
export interface ObjectCount {
  count: number
  bytes: number
}

/** How a tenant stands. Holds no id of a contact and no value. */
export interface InspectReport {
  /** What the store holds; `null` without one. */
  store: {
    owner: SessionOwner
    /** The highest claim; `null` if there is none. */
    epoch: number | null
    /** When that claim was made, by the clock of its machine. */
    claimedAt: Date | null
    /** When it was released or deleted, by the clock of its machine. */
    endedAt: Date | null
    /** The last write in the store. */
    lsn: number | null
    /** When the newest object was made, by the clock of its machine. */
    madeAt: Date | null
    /** When the newest object was stored, or stored again, by the clock of the store; `null` if that does not tell. */
    storedAt: Date | null
    /** States. Two are kept, or the predecessor's in place of one. */
    bases: ObjectCount
    /** Changes since. */
    segments: ObjectCount
    /** Small objects that say who owns, those of predecessors among them. */
    marks: number
    /** The ids of the encryption keys that are needed to read all of these. */
    keyIds: string[]
    /** What a blank machine would restore; `null` where there is nothing or `error` says why it cannot. */
    contents: {
      /** Keys, the credentials among them, and their bytes, unpacked. */
      keys: number
      bytes: number
      /** The same by type; the credentials are `creds`. */
      types: Record<string, { keys: number; bytes: number }>
      /** See `VerifyReport`. */
      clean: boolean
      digest: string
      ways: number
    } | null
    /** Objects that are damaged, one message each; a restore may survive it. */
    damage: string[]
    /** Why it cannot be restored: `REMOTE_CORRUPT`, `KEY_UNAVAILABLE`. */
    error: HybridAuthError | null
  } | null
  /** What this machine's directory holds; `null` if it has no folder of the tenant. */
  local: {
    /** Whether the session is open in this process, in another one of this machine, or in none. */
    open: 'here' | 'elsewhere' | 'nobody'
    logBytes: number
    /** Whose history the log holds; 0 for one that was never in a store, `null` if it cannot be read. */
    epoch: number | null
    /** The last write in it; behind damage, the last that reads. */
    lsn: number | null
    keyIds: string[]
    /** Why the log cannot be read: `LOCAL_CORRUPT`, `KEY_UNAVAILABLE`. */
    error: HybridAuthError | null
  } | null
}

/** What the listings of a store say of one tenant. */
export interface TenantStanding {
  /** `null` where the store does not tell: hidden, or too long for a name. */
  tenantId: string | null
  /** What it is called in the names of objects. */
  name: string
  owner: SessionOwner
  epoch: number | null
  /** The last write in the store. */
  lsn: number | null
  /** When its newest object was stored, or stored again, by the clock of the store; `null` if that does not tell. */
  storedAt: Date | null
  /** Whether it is open in this fleet. */
  isOpen: boolean
}

/** What came of a drill. */
export interface DrillReport {
  /** Whether what came back from the disk is what the store has and, where the owner's is at hand, what the owner has. */
  ok: boolean
  epoch: number
  lsn: number
  clean: boolean
  keys: number
  bytes: number
  /** SHA-256 of all keys and values at `lsn`: in the store, read back from the folder, and at the owner. */
  digests: { store: string; restored: string; owner: string | null }
  /**
   * Where the owner's came from: the memory of a session open here, the log in this machine's directory (read beside whoever writes
   * it; without a digest if it lost that write in a power cut), or `elsewhere`, which means that it was not compared.
   */
  owner: 'memory' | 'log' | 'elsewhere'
  /** The folder that was kept; `null` for one that was removed. */
  folder: string | null
  /** Milliseconds for each step; `decode` is every value read as Baileys would get it. */
  ms: { download: number; write: number; read: number; compare: number; decode: number }
  /** What is wrong, one message each. */
  problems: string[]
}

/** One finding of `doctor()`. */
export interface DoctorCheck {
  /**
   * `store` (without one), or `reachable`, `write`, `list`, `read`, `delete`, `list-after-put`, `private`, `clock`, `latency`,
   * `encryption`, `lifecycle`, `versioning`, `tenant-ids`, `idle-tenants`, `cost`.
   */
  name: string
  /** `unknown`: it could not be looked at. Never `ok` for what was not seen. */
  outcome: 'ok' | 'warning' | 'failed' | 'unknown'
  /** For people: what was seen, and what to do. */
  message: string
  /** How long it took; of `latency`, a PUT. */
  ms?: number
  /** More figures of some checks. */
  [figure: string]: unknown
}

/** What came of sealing a session anew. */
export interface RekeyReport {
  /** Whether all that is kept is sealed with the first key. */
  complete: boolean
  /** The id of the first key; `null` without encryption. */
  primary: string | null
  /** The ids of the keys that are still needed: for what is kept in the store and here, and with `hideTenantIds` for its name. */
  needed: string[]
  /** The ids of those among `encryptionKeys` that this tenant does not need any more. */
  unneeded: string[]
}

/** Which tenants to prune. */
export interface PruneOptions {
  /** How long the newest object of a tenant must have been in the store, by the store's clock. */
  olderThanDays: number
  /**
   * Leave alone what may run somewhere: whatever was not released, unless nothing of it was stored for twice `refreshIntervalMs` of
   * this fleet, and 14 days at least. A session that runs stores what has not changed again within `refreshIntervalMs` of its own.
   * `false` ends and deletes those as well, unless they are open in another process of this machine.
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
  /**
   * How a tenant stands, in the store and in this machine's directory, from one reading of all its objects. Claims, writes and locks
   * nothing. A tenant that is not there, damage and a missing key are answers. Rejects like an open where the store cannot be reached.
   */
  inspect(tenantId: string): Promise<InspectReport>
  /**
   * What the listings of the store say of all tenants, or of those in `tenantIds`, deleted ones included: one LIST for each thousand
   * names, and two for each tenant. Nothing is read.
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
   * with what came of it; one that fails does not stop the others. Never deletes what is open here, or what was opened meanwhile.
   */
  prune(options: PruneOptions): Promise<PruneEntry[]>
  /**
   * Writes every tenant as a folder that `useMultiFileAuthState` opens, in a tree; opens and closes those that are not open, which
   * takes them over from whoever runs them. One that fails does not stop the others.
   */
  exportAll(
    folder: string,
    options?: ExportAllOptions
  ): Promise<{ exported: Array<ExportReport & { tenantId: string; folder: string }>; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
  /** `pruneKeys` of a tenant's session, which is opened for it if need be. Rejects with `NOT_FOUND` where there is none. */
  pruneKeys(tenantId: string, options?: PruneKeysOptions): Promise<PruneKeysReport>
  /** Closes everything. What did not reach the store in time is named; it is in the local logs where there are any. */
  shutdown(options?: { timeoutMs?: number }): Promise<{ closed: number; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
}
