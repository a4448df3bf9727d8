// Options of every open, and the effective configuration with environment variables.

import type { SessionEvent } from './session.js'
import type { HybridAuthStore } from './store.js'

/**
 * Options of a session. Every option has a safe default; durations are in milliseconds.
 *
 * Each option also has its own variable, `BAILEYS_HYBRID_AUTH_` plus its name in capitals (`flushIntervalMs`:
 * `BAILEYS_HYBRID_AUTH_FLUSH_INTERVAL_MS`), which overrides the variables named below. Exceptions are `fresh`, `importFrom`, `takeover`,
 * `seedFromDisk` and `ifFree`, which apply to a single open, and `initAuthCreds`, `BufferJSON`, `baileys`, `logger`, `onEvent` and `signal`, which
 * are not text. An unknown variable with this prefix is an error.
 */
export interface HybridAuthOptions {
  /**
   * Directory of the local logs, one folder per tenant. In `cloud` mode nothing is written there, and a directory from a variable is only
   * searched for a log that another mode left; as an option together with `mode: 'cloud'` it is an error. Variables:
   * `WHATSAPP_SESSION_PATH`, `SESSION_STORAGE_PATH`.
   * @default './whatsapp-sessions'
   */
  directory?: string
  /**
   * The bucket or database, as a URL (`s3://bucket`, `supabase://bucket`, `gs://bucket`, `postgres://host/database`, `redis://host`, `file:///path` for
   * a directory, `memory://name` for tests) or as an object. `null`: no store, regardless of the variables. Without it: the URL in `SESSION_BACKUP_STORE`, or the store
   * that `SUPABASE_URL` and `SUPABASE_SERVICE_KEY`, or `R2_ACCOUNT_ID` or `R2_ENDPOINT` with `R2_ACCESS_KEY_ID`,
   * `R2_SECRET_ACCESS_KEY` and `R2_BUCKET_NAME` describe, unless `SESSION_BACKUP_ENABLED` is `false`. An incomplete store is an
   * error, and so are two complete ones. `S3_BUCKET` with `S3_ENDPOINT`, `S3_REGION`, `S3_ACCESS_KEY_ID` and `S3_SECRET_ACCESS_KEY`, and
   * `STORAGE_BUCKET` with `GOOGLE_APPLICATION_CREDENTIALS`, take effect only if you request a store, by `SESSION_BACKUP_STORE=s3` or
   * `gcs`, by `SESSION_BACKUP_ENABLED` or by mode `hybrid`; `DATABASE_URL`, `REDIS_URL` and the like only by `SESSION_BACKUP_STORE=postgres`,
   * `supabase-db`, `redis` or `valkey`. Without any of these, sessions are local only, with one warning in the log.
   */
  store?: string | URL | HybridAuthStore | null
  /**
   * Place of a session. `local`: in a log on the disk. `hybrid`: there and in `store`, a moment behind. `cloud`: only in `store`,
   * without any file; each write resolves when the store has it durably, two round trips later, so an outage of the store
   * delays writes and then rejects them. All concurrent writes share one PUT and part of one LIST. To change a session
   * from `local` to `cloud`, or from `cloud` to `local`, open and close it once in `hybrid`.
   * A session that was in a store opens without a store only if you set `local`, here or by the variable: this disconnects it from the store.
   * Variable: `SESSION_STORAGE_TYPE`. @default 'hybrid' with a store, else 'local'
   */
  mode?: 'local' | 'hybrid' | 'cloud'
  /**
   * 32-byte keys as 64 hex digits or bytes. The first one encrypts, all of them decrypt. Separate several keys in one text, as in a
   * variable, by commas. To rotate, put the new key first and keep the old ones until neither the store nor a log on any disk needs
   * them. Encrypts objects and the local log. Variable: `SESSION_ENCRYPTION_KEY`.
   */
  encryptionKeys?: string | Uint8Array | ReadonlyArray<string | Uint8Array>
  /** `'off'` allows a store without keys, which is otherwise an error. @default 'on' */
  encryption?: 'on' | 'off'
  /**
   * Minimum time between two uploads of a session. Each upload costs one PUT and part of one LIST. Pairing, pre-keys and changes of
   * identity do not wait for it; in `cloud` mode nothing does. Variables: `SESSION_BACKUP_INTERVAL_MS`, and
   * `SESSION_BACKUP_INTERVAL`, milliseconds too and 1000 at least. @default 1000
   */
  flushIntervalMs?: number
  /**
   * Condition for a write to resolve. `os`: passed to the operating system, survives a crash of the process (a few microseconds).
   * `data`: on the disk, survives a power cut (a disk sync, shared by all waiting writes). An error in `cloud` mode, where the
   * store decides. @default 'os' with a store, else 'data'
   */
  localDurability?: 'os' | 'data'
  /**
   * Interval of the ownership check. One LIST per tick and 1,000 names serves all tenants of a process: at 5 s at least
   * 520,000 LISTs a month, 2.60 USD at 0.005 USD per thousand. For 500 tenants 0.8 to 3 million were measured. A database charges nothing
   * for a check, so that every second is the default there.
   * @default 5000, or 1000 with Postgres or Redis as the store
   */
  ownershipCheckIntervalMs?: number
  /** Longest wait for a predecessor that did not release the session. @default 2¼ check intervals and half a second */
  handoverTimeoutMs?: number
  /**
   * Interval after which an open, unchanged session is re-uploaded, each at its own moment in the last tenth, so that lifecycle rules of the
   * bucket do not delete it. Three PUTs and a GET per session each time. @default 604800000 (7 days)
   */
  refreshIntervalMs?: number
  /**
   * Longest time that `close()` tries to reach the store; `Infinity` for no limit. Unsent writes stay in the local log, if
   * there is one. @default 10000
   */
  closeTimeoutMs?: number
  /** Longest wait of `flush()` and, in `cloud` mode, of each write; `Infinity` for no limit. @default 30000 */
  flushTimeoutMs?: number
  /**
   * Action when a session exists neither here nor in the store, or has keys and no credentials. `error` is recommended in
   * production. @default 'create'
   */
  onMissing?: 'create' | 'error'
  /** Action when ownership cannot be confirmed because the store is unavailable: `stop` rejects writes. @default 'continue' */
  onLeaseLost?: 'continue' | 'stop'
  /** Use a keyed tag instead of the tenant id in names in the store. Needs `encryptionKeys`; keep the oldest of them. @default false */
  hideTenantIds?: boolean
  /**
   * Folder of `useMultiFileAuthState` to import if this tenant has no session yet. Its files are then moved to `multi-file-originals-1`
   * inside it. You can leave the option in the code: an existing session of the tenant has priority. An error in `cloud` mode; also
   * `INVALID_OPTION` if neither the folder nor the tenant has a session, and `LOCAL_CORRUPT` if the folder has another session than the
   * tenant. Not needed for a folder in the place of the tenant, `<directory>/<tenant id>`. @default none
   */
  importFrom?: string
  /** Pair again even if the session was deleted, or if there is one of `useMultiFileAuthState` nearby. @default false */
  fresh?: boolean
  /** Take over immediately, without waiting for the predecessor to hand over its writes. @default false */
  takeover?: boolean
  /** Trust the local log if the store has lost the history of this session. An error in `cloud` mode. @default false */
  seedFromDisk?: boolean
  /** Accept an unencrypted local log and unencrypted objects although keys are configured; for switching encryption on. @default false */
  acceptUnencrypted?: boolean
  /** Accept a public bucket; its contents are still encrypted, unless `encryption` is off. @default false */
  allowPublicBucket?: boolean
  /** Maximum number of concurrent requests to a store, for all its tenants in this process; 1 to 1024. More requests need more sockets. @default 64 */
  maxConcurrentRequests?: number
  /**
   * Certificate authorities to trust besides those of the system, as PEM text or the path of a PEM file: for a server or proxy with a
   * private certificate. Variables: `AWS_CA_BUNDLE` (for S3), `PGSSLROOTCERT` (for Postgres), `NODE_EXTRA_CA_CERTS`. @default none
   */
  caCertificate?: string
  /** Creates the credentials of a new session. @default the one of the installed Baileys */
  initAuthCreds?: () => any
  /** Encodes and revives unusual values. @default the one of the installed Baileys */
  BufferJSON?: { replacer: (key: any, value: any) => any; reviver: (key: any, value: any) => any }
  /** The Baileys namespace, or its promise, that provides both: for a fork, or if several are installed. */
  baileys?: any
  /**
   * Called with every event, from `opening` on. Exceptions are logged. If a `HybridAuth` has several sessions of a tenant, the
   * newest one reports. @default none
   */
  onEvent?: (event: SessionEvent) => void
  /** Cancels the open: it rejects with `ABORTED` immediately. If a session is opened anyway, it is closed again. @default none */
  signal?: AbortSignal
  /**
   * Open the session only if no instance runs it: rejects with `OWNED_ELSEWHERE` if it was not released, unless its owner was on this
   * disk and has ended, or is this process. @default false
   */
  ifFree?: boolean
  /**
   * Logger with the methods of a pino logger: each line has details, including `event`, and a message. If it has `child`, each session
   * gets a child with `class: 'hybrid-auth'` and `tenantId`, which are then in every line of the session. @default silent
   */
  logger?: { debug?: LogFn; info?: LogFn; warn: LogFn; error?: LogFn; child?: (bindings: { class: string; tenantId: string }) => any }
}

type LogFn = (details: object, message: string) => void

/** A setting and its source. */
export interface ConfigSetting {
  /**
   * Effective value. `null` for none, and for the settings of a bucket if the effective store is not reached over a network (`caCertificate`,
   * `allowPublicBucket`, `maxConcurrentRequests`). Keys are shown by their ids, as in errors; other secrets as `hidden`.
   */
  value: string | number | boolean | string[] | null
  source: 'option' | 'variable' | 'default'
  /** The name of the option, or of the variables; `null` for a default. */
  from: string | null
  /** A problem with the setting, if any; `value` is then `null`. */
  problem?: string
}

/** Effective configuration of an open. `String(it)` is a readable table. */
export interface ConfigDescription {
  /** Keyed by the name of the option; details of the effective store by `store.` and the name of the field. */
  settings: Record<string, ConfigSetting>
  /** Error messages; an open would reject with the first one. Empty if there are none. */
  problems: string[]
  /** Warnings that would be logged. */
  warnings: string[]
  /** Variables that name a database and are not used for sessions. Nothing is wrong with them, and nothing is logged. */
  notes: string[]
  toString(): string
}

/**
 * Describes the effective configuration of an open with these options and variables, for logs and for troubleshooting. Never throws for
 * an invalid setting, opens and sends nothing, and shows no secrets. Reads credential files, like an open.
 * @param env @default process.env
 */
export function describeConfig(options?: HybridAuthOptions, env?: Record<string, string | undefined>): ConfigDescription
