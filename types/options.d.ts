// How sessions are kept: the options of every open, and what they come to with the variables around them.

import type { SessionEvent } from './session.js'
import type { HybridAuthStore } from './store.js'

/**
 * How sessions are kept. Every option has a safe default; durations are in milliseconds.
 *
 * Each has a variable of its own as well, `BAILEYS_HYBRID_AUTH_` and its name in capitals (`flushIntervalMs`:
 * `BAILEYS_HYBRID_AUTH_FLUSH_INTERVAL_MS`), which goes before those named below. None have `fresh`, `importFrom`, `takeover`, `seedFromDisk` and `ifFree`,
 * which are decided for one open, and `initAuthCreds`, `BufferJSON`, `baileys`, `logger`, `onEvent` and `signal`, which are no texts. A variable that
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
   * `R2_SECRET_ACCESS_KEY` and `R2_BUCKET_NAME` make, unless `SESSION_BACKUP_ENABLED` is `false`; half of one is
   * refused, and so are two complete ones, whichever they are. Only if a store is asked for, by `SESSION_BACKUP_STORE=s3` or
   * `gcs`, by `SESSION_BACKUP_ENABLED` or the mode `hybrid`, `S3_BUCKET` with `S3_ENDPOINT`, `S3_REGION`, `S3_ACCESS_KEY_ID` and
   * `S3_SECRET_ACCESS_KEY` is taken, and `STORAGE_BUCKET` with `GOOGLE_APPLICATION_CREDENTIALS`. Without any of these sessions are
   * local only, and the logger is warned once.
   */
  store?: string | URL | HybridAuthStore | null
  /**
   * Where a session lives. `local`: in a log on the disk. `hybrid`: there and in `store`, a moment behind. `cloud`: in `store`
   * alone, no file is made; each write resolves when the store has it for good, two round trips later, so that an outage of the
   * store delays and then refuses writes. One PUT and a share of one LIST for all writes that wait at the same time. A session
   * that is changing from `local` to `cloud`, or from `cloud` to `local`, is opened and closed once in `hybrid` between the two.
   * One that was in a store is opened without a store only if `local` is said, here or by the variable: it is cut from the store then.
   * Variable: `SESSION_STORAGE_TYPE`. @default 'hybrid' with a store, else 'local'
   */
  mode?: 'local' | 'hybrid' | 'cloud'
  /**
   * 32-byte keys as 64 hex digits or bytes; the first one seals, all of them open. Several in one text, as in a variable, stand
   * between commas. To rotate, put the new key first and keep the old ones until nothing in the store and no log on any disk needs
   * them. Seals objects and the local log. Variable: `SESSION_ENCRYPTION_KEY`.
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
  /**
   * How long `close()` tries to reach the store; `Infinity` for as long as it takes. What it could not send stays in the local log, if
   * there is one. @default 10000
   */
  closeTimeoutMs?: number
  /** How long `flush()` waits and, in `cloud` mode, each write; `Infinity` for no limit. @default 30000 */
  flushTimeoutMs?: number
  /**
   * Action when a session exists neither here nor in the store, or has keys and no credentials. `error` is recommended in
   * production. @default 'create'
   */
  onMissing?: 'create' | 'error'
  /** Whether writes go on when ownership cannot be checked because the store is down. @default 'continue' */
  onLeaseLost?: 'continue' | 'stop'
  /** Names in the store show a keyed tag instead of the tenant id. Needs `encryptionKeys`; keep the oldest of them. @default false */
  hideTenantIds?: boolean
  /**
   * The folder of `useMultiFileAuthState` to take a session over from, where this tenant has none yet; its files then go to
   * `multi-file-originals-1` in it. It may stay in the code: what the tenant has goes before. Refused in `cloud` mode, with
   * `INVALID_OPTION` where it holds no session and there is none, and with `LOCAL_CORRUPT` where it holds another one than the tenant
   * has. Not needed for a folder in the place of the tenant, `<directory>/<tenant id>`. @default none
   */
  importFrom?: string
  /** Pair again although the session was deleted, or although one of `useMultiFileAuthState` lies beside. @default false */
  fresh?: boolean
  /** Take over at once, without waiting for the predecessor to hand over what it has. @default false */
  takeover?: boolean
  /** Trust the local log although the store has lost this session's history. Refused in `cloud` mode. @default false */
  seedFromDisk?: boolean
  /** Take a local log and objects that are not encrypted although keys are configured; for switching encryption on. @default false */
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
  /** The Baileys namespace to take all of this from, or the promise of it: for a fork, or where several are installed. */
  baileys?: any
  /**
   * Called with all that happens, from `opening` on; what it throws is logged. Of several sessions of a tenant in one `HybridAuth` the
   * newest one tells. @default none
   */
  onEvent?: (event: SessionEvent) => void
  /** Gives the open up: it rejects with `ABORTED` at once, and what it gets all the same is closed again. @default none */
  signal?: AbortSignal
  /**
   * Open only what nobody runs: rejects with `OWNED_ELSEWHERE` where the session was not released, unless its owner was on this disk and
   * has ended, or is this process. @default false
   */
  ifFree?: boolean
  /**
   * Told what happens, in the shape of a pino logger: the details, `event` among them, and a message. One that has `child` is asked
   * for a child with `class: 'hybrid-auth'` and `tenantId`, which then stand in every line of this session. @default silent
   */
  logger?: { debug?: LogFn; info?: LogFn; warn: LogFn; error?: LogFn; child?: (bindings: { class: string; tenantId: string }) => any }
}

type LogFn = (details: object, message: string) => void

/** A setting, and where it comes from. */
export interface ConfigSetting {
  /**
   * As it counts; `null` for none, and for how a bucket is reached where the store in effect is none (`caCertificate`,
   * `allowPublicBucket`, `maxConcurrentRequests`). Keys are shown by their ids, as errors name them; other secrets as `hidden`.
   */
  value: string | number | boolean | string[] | null
  source: 'option' | 'variable' | 'default'
  /** The name of the option, or of the variables; `null` for a default. */
  from: string | null
  /** What is wrong with it, if anything is; `value` is then `null`. */
  problem?: string
}

/** What sessions would be opened with. `String(it)` is a table for people. */
export interface ConfigDescription {
  /** By the name of the option; what is found for the store in effect, by `store.` and the name of its field. */
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
