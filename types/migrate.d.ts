// Migration of sessions from other systems, and their removal there once nothing can be lost.

import type { HybridAuthErrorCode } from './error.js'
import type { HybridAuthOptions } from './options.js'
import type { HybridAuthStore } from './store.js'

/**
 * Imports sessions from folders of `useMultiFileAuthState` and from the buckets of other systems, without a new QR code. Stop the old
 * system first. Each session is read completely, stored in one batch under its tenant, read back and compared by value. A tenant that
 * already has a session is not changed, and a running instance is not disturbed. Run it again after an interruption. Needs a disk:
 * in `cloud` mode it is an error; migrate in `hybrid`, with any `directory`, and then open the sessions in `cloud`.
 *
 * From a database, it reads with a driver that the application has: `mysql2`, `pg`, `ioredis` or `redis`, `better-sqlite3` or the SQLite of Node.
 * Only SELECT is sent, in a read-only transaction, and to Redis only SCAN, TYPE, GET, HGET and HGETALL.
 *
 * With a layout of whatsapp-web.js, imports browser profiles for `HybridAuth` of `baileys-hybrid-auth/whatsapp-web`, in any mode: each is checked
 * completely, stored as one generation, restored and compared file by file. Copies are in the system's folder for temporary files meanwhile.
 *
 * Resolves when every session was migrated or has failed, as listed in the report; a failure does not stop the others. Rejects before it
 * writes anything: with `INVALID_OPTION`, with `NOT_FOUND` if there is no session, and if the source cannot be listed.
 */
export function migrate(options: MigrateOptions): Promise<MigrationReport>

/** Source and options of a migration, besides the options of the new sessions. */
export interface MigrateOptions extends HybridAuthOptions {
  /**
   * The sessions of the other system: the path of a folder or of a single file, a bucket as for `store`, or a database. Everything below it is
   * searched. It must not be inside `directory`, nor contain it: a session in the place of a tenant is imported when the tenant is opened.
   */
  from: string | URL | HybridAuthStore | MigrationDatabase
  /**
   * The keys, if `from` is a database that has the credentials alone: a Redis with a hash per session, or a folder or bucket with a
   * folder per session, both named like the session. @default with the credentials
   */
  keysFrom?: string | URL | HybridAuthStore | RedisSource
  /**
   * Layout of the keys. `auto` detects it per session; a session with keys in more than one layout is an error. Of a database, only sessions of
   * the layout are migrated. Sessions of whatsapp-web.js are never detected, but counted in `profiles` of the report. @default 'auto'
   */
  layout?: 'auto' | MigrationLayout
  /**
   * The tenant id of a session: a template in which `{1}` is the first folder below `from`, `{2}` the second, `{-1}` the last; or a
   * function, which skips a session by returning `null`. Two sessions with the same id are an error before anything is
   * written. With a layout of whatsapp-web.js, the id of a client, or of a tenant that begins with `whatsapp-web.js/`.
   * @default the name of the folder; required if sessions are more than one folder deep. Of a database, the name of the session; parts between
   * colons count as folders. For whatsapp-web.js, the client id in the name
   */
  tenantId?: string | ((found: FoundSession) => string | null)
  /** AES-256-CBC key of the source, or the AES-256-GCM key of `baileys-store-core`: 64 hex digits or 32 bytes. @default the `encryptionKeys` are tried */
  sourceKey?: string | Uint8Array
  /** Migrate credentials without any keys. Such a session connects but cannot decrypt. @default false */
  allowCredsOnly?: boolean
  /** Skip key files that cannot be read, as Baileys itself does. @default false */
  allowDamagedKeys?: boolean
  /** Read and compare, and write nothing. @default false */
  dryRun?: boolean
  /** Remove each source that was migrated and verified, in the same call. An error for whatsapp-web.js and databases. @default false */
  cleanup?: boolean
  /** Only these tenants; for whatsapp-web.js also client ids. @default all */
  only?: Iterable<string>
  /** Number of sessions migrated at the same time. @default 4 */
  concurrency?: number
  /** Called after each session. */
  onProgress?: (progress: { tenantId: string; status: MigrationStatus; done: number; total: number }) => void
}

/** A database with the sessions of another system. It is only read. */
export type MigrationDatabase = MysqlSource | PostgresSource | SqliteSource | RedisSource | MongoExportSource

/** MySQL or MariaDB; as a URL, `mysql://user@host/database?table=auth`. The password can be in `MYSQL_PWD`. Needs `mysql2`. */
export interface MysqlSource extends MigrationTable {
  kind: 'mysql'
  url: string | URL
}

/** PostgreSQL; as a URL, `postgres://user@host/database?schema=app&table=auth`. The password can be in `PGPASSWORD`. Needs `pg`. */
export interface PostgresSource extends MigrationTable {
  kind: 'postgres'
  url: string | URL
  /** @default those of the `search_path` */
  schema?: string
}

/**
 * The file of a SQLite database, or a folder of them; as a URL, `sqlite:///path`. A path is enough for a file. Read from a private copy among the
 * temporary files. Needs `better-sqlite3`, or a Node with `node:sqlite`.
 */
export interface SqliteSource extends MigrationTable {
  kind: 'sqlite'
  path: string
}

/** The table of a SQL database. By default, all tables whose columns are those of a session store are looked at. */
export interface MigrationTable {
  /** Required if several tables have sessions. */
  table?: string
  /** The columns, if they have other names than those that are known: `key` and `value`, or `creds`. Requires `table`. */
  columns?: {
    /** The session that a row belongs to. */
    session?: string
    /** The type of a key, if it is not a part of `key`. */
    type?: string
    /** The name of a key, such as `pre-key-1`. */
    key?: string
    value?: string
    /** The credentials, in a table with a row per session. */
    creds?: string
    /** All keys, in a table with a row per session. */
    keys?: string
  }
}

/** Redis or Valkey; as a URL, `redis://user@host/0?match=wa:*`, or `rediss://`. The password can be in `REDISCLI_AUTH`. Needs `ioredis` or `redis`. */
export interface RedisSource {
  kind: 'redis'
  url: string | URL
  /** The pattern of SCAN for the names that are searched. @default all */
  match?: string
}

/** A file that `mongoexport` wrote, or a folder of them; as a URL, `mongoexport:///path`. A path is enough for a file. */
export interface MongoExportSource {
  kind: 'mongo-export'
  path: string
}

/** A session found by a migration: a folder with a `creds.json`, a single file, records of a database, or a zip or folder of whatsapp-web.js. */
export interface FoundSession {
  /** The folder or single file, relative to the source and with `/` between its parts; '' for the source itself. Of a database, the name of the session. */
  path: string
  /** The parts of `path`, without the `.json` of a single file. For whatsapp-web.js, the last part is the client id, if there is one. */
  parts: string[]
  layout: MigrationLayout
}

/**
 * Layout of the keys beside a `creds.json`: `flat`, one `<type>-<id>.json` each, as `useMultiFileAuthState` writes them; `keys-folder`,
 * the same in a folder `keys`; `keys-file`, one `keys.json` with `{ type: { id: value } }` or `{ "type-id": value }`. `single-file`: the file of
 * `useSingleFileAuthState`, `{ creds, keys }`; `auto` checks up to 1,000 files that belong to nothing else for this format.
 *
 * Of a database: `key-records`, a row, string or document per key; `key-hashes`, a hash per session or type of key, in Redis; `session-records`, one
 * row, string or document with all keys, or credentials alone.
 *
 * Of whatsapp-web.js: `wwebjs-zip`, zips of `RemoteAuth`, `RemoteAuth-<client id>.zip` or `<client id>.zip`, in any folder; `wwebjs-local`, folders of
 * `LocalAuth`, `session-<client id>` or `session`, on a disk.
 */
export type MigrationLayout =
  | 'flat'
  | 'keys-folder'
  | 'keys-file'
  | 'single-file'
  | 'key-records'
  | 'key-hashes'
  | 'session-records'
  | 'wwebjs-zip'
  | 'wwebjs-local'

/** Result of the migration of one session. */
export type MigrationStatus =
  /** Created, and compared by value with the source, here and in the store. */
  | 'migrated'
  /** The tenant already has it, equal by value. */
  | 'already'
  /** Would be migrated (`dryRun`). */
  | 'ready'
  /** The tenant has a session of another identity, or another browser profile. Not changed. */
  | 'conflict'
  /** The tenant has this session, and has been used since; a browser profile does not tell whose it is. Not changed. */
  | 'newer-target'
  /** The source was written after the tenant was created from it: the old system still runs. Not changed. */
  | 'newer-source'
  /** Credentials without any key: would connect, but decrypt nothing. Not migrated without `allowCredsOnly`. */
  | 'credsOnly'
  /** A file is damaged. Not migrated; `allowDamagedKeys` skips damaged keys. */
  | 'damaged'
  /** The files can be read in more than one way. Not migrated; `message` has the remedy. */
  | 'ambiguous'
  /** Another failure, see `code` and `message`. Run the migration again. */
  | 'failed'

/** Migration result of one session. Contains no key, no value and no contact. */
export interface MigratedSession {
  tenantId: string
  /** Its folder or single file in the source, or its name in the database. */
  path: string
  layout: MigrationLayout
  /** True if files or records were encrypted. */
  encrypted: boolean
  status: MigrationStatus
  /** `null` if there is no problem. */
  code: HybridAuthErrorCode | null
  message: string | null
  /** Number of keys read, by type. */
  keys: Record<string, number>
  /** Number of files or records read, and their bytes; of a browser profile, those that are stored. */
  files: number
  bytes: number
  /** Files or records that were not migrated: damaged keys by type, `.json` files that are not keys, and other files. They are never removed. */
  leftOut: { damaged: Record<string, number>; notUnderstood: number; otherFiles: number }
  /** Points for an operator to check. */
  warnings: string[]
  /** True if the source was written during the migration: the old system still runs, and the copy is outdated. */
  sourceChanged: boolean
  /** SHA-256 of the files and names of the source as read; `null` if they were not read. */
  digest: string | null
  /** SHA-256 of the public half of the identity; `null` for a browser profile. */
  identity: string | null
  /** State of the tenant: the number of the last write, and the digest as in `verify` or, of a browser profile, of its files; `null` if it has none. */
  target: { lsn: number; digest: string } | null
}

/** Result of a migration. Can be saved as JSON and passed to `cleanupMigrated` later. */
export interface MigrationReport {
  version: 1
  dryRun: boolean
  sessions: MigratedSession[]
  /** Number of sessions per status. */
  totals: Record<MigrationStatus, number>
  /** Number of sessions skipped by `tenantId`. */
  leftOut: number
  /** Ids in `only` that the source does not have. */
  missing: string[]
  /** Number of files or records that belong to no session, and of links, which are not followed. */
  passedOver: number
  /**
   * Number of `.json` files outside of session folders that were not searched for a session of `useSingleFileAuthState`, because there are more
   * than 1,000; otherwise 0. With the layout `single-file`, all are searched.
   */
  unsearched: number
  /** Number of folders with key files, or of sessions in a database with keys, but without credentials or a backup of them: skipped. */
  withoutCreds: number
  /** Folders below the source that this user cannot list, such as `lost+found`: skipped. */
  unreadable: string[]
  /** Number of objects of this package in the source, which may be the target bucket. */
  ours: number
  /** Number of sessions of whatsapp-web.js in the source that the layout does not read, by the layout that does. */
  profiles: { 'wwebjs-zip': number; 'wwebjs-local': number }
  /** Present with `cleanup`. */
  cleanup?: CleanupReport
}

/**
 * Removes migrated sessions from their source. A session is removed only if its files are the migrated ones and the tenant has every
 * record in them, by value, right now. Files that were not migrated stay.
 */
export function cleanupMigrated(options: CleanupOptions): Promise<CleanupReport>

/** Options of a cleanup, with the same `from`, `sourceKey` and options as the migration. */
export interface CleanupOptions extends HybridAuthOptions {
  from: string | URL | HybridAuthStore
  /** The report of `migrate`. Its sessions with the status `migrated` or `already` are checked. */
  report: MigrationReport
  sourceKey?: string | Uint8Array
  /** Remove the sources. Without it, the result only lists them. @default false */
  confirm?: boolean
  /**
   * Also remove the source of a tenant that has been used since, so that values can no longer be compared. The report then proves that the
   * tenant had everything; the identity must be the same and the store complete. @default false
   */
  allowMovedOn?: boolean
  /** @default 4 */
  concurrency?: number
  onProgress?: (progress: { tenantId: string; status: CleanupStatus; done: number; total: number }) => void
}

/** Result of the cleanup of one source. All but the first two are kept. */
export type CleanupStatus =
  /** Its files are removed, after a check of the store. */
  | 'removed'
  /** Removed earlier. */
  | 'gone'
  /** Would be removed with `confirm`. */
  | 'removable'
  /** Differs from the migrated files. */
  | 'source-changed'
  /** The tenant has been used since, see `allowMovedOn`. */
  | 'moved-on'
  /** The tenant does not have all of its records. */
  | 'missing'
  | 'failed'

/** Result of a cleanup. */
export interface CleanupReport {
  sessions: Array<{
    tenantId: string
    path: string
    status: CleanupStatus
    code: HybridAuthErrorCode | null
    message: string | null
    files: number
  }>
  totals: Record<CleanupStatus, number>
}
