// Taking over the sessions of other systems, and removing them there once it is proved that nothing is lost.

import type { HybridAuthErrorCode } from './error.js'
import type { HybridAuthOptions } from './options.js'
import type { HybridAuthStore } from './store.js'

/**
 * Takes sessions over from folders of `useMultiFileAuthState` and from the buckets of other systems, without a new QR code. Stop
 * the old system first. Each session is read whole, stored in one batch under its tenant, read back and compared by value. A tenant
 * that has a session is left alone, and nobody who has one open is disturbed. Run it again after an interruption. Needs a disk:
 * in `cloud` mode it is refused; migrate in `hybrid`, with any `directory`, and open the sessions in `cloud` then.
 *
 * Resolves when each session was migrated or not, which the report says: one that fails stops no other. Rejects, before anything is
 * written, with `INVALID_OPTION`, with `NOT_FOUND` where there is no session, and where the source cannot be listed.
 */
export function migrate(options: MigrateOptions): Promise<MigrationReport>

/** Where a migration reads, and how: beside the options of the sessions that it makes. */
export interface MigrateOptions extends HybridAuthOptions {
  /**
   * Where the sessions of the other system lie: the path of a folder or of a single file, or a bucket as for `store`. Everything below it
   * is looked at.
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

/** A session that a migration found: a folder with a `creds.json`, or a single file. */
export interface FoundSession {
  /** The folder or single file, relative to the source and with `/` between its parts; '' for the source itself. */
  path: string
  /** The parts of `path`, without the `.json` of a single file. */
  parts: string[]
  layout: MigrationLayout
}

/**
 * How keys lie beside a `creds.json`: `flat`, one `<type>-<id>.json` each, as `useMultiFileAuthState` writes them; `keys-folder`,
 * the same in a folder `keys`; `keys-file`, one `keys.json` with `{ type: { id: value } }` or `{ "type-id": value }`. `single-file`: the file of
 * `useSingleFileAuthState`, `{ creds, keys }`; `auto` looks for it in up to 1,000 files that belong to nothing else.
 */
export type MigrationLayout = 'flat' | 'keys-folder' | 'keys-file' | 'single-file'

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
  /** Its folder or single file in the source. */
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
  /** Files that are not among the keys: damaged ones by type, `.json` files that are no keys, and other files. They are never removed. */
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
  /** Folders with files of keys and no credentials, nor a backup of them: they were passed over. */
  withoutCreds: number
  /** Folders below the source that this user may not list, such as `lost+found`: they were passed over. */
  unreadable: string[]
  /** Objects of this package in the source, which may be the bucket of the target. */
  ours: number
  /** With `cleanup`. */
  cleanup?: CleanupReport
}

/**
 * Removes what was migrated from its source. A session goes only if its files are those that were migrated and the tenant has, at
 * this moment, every record in them by value. Files that were not migrated stay.
 */
export function cleanupMigrated(options: CleanupOptions): Promise<CleanupReport>

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
