/**
 * Durable auth state for Baileys. `useHybridAuthState` replaces `useMultiFileAuthState`: reads come from memory, every write
 * is on the local disk before it resolves, and an encrypted copy in a bucket is at most one flush interval behind.
 *
 * This is the complete public interface, by topic, documented in `types/`. `export` lists functions and the two classes, which
 * exist at run time; `export type` lists types only.
 */

// Functions: open a session; describe the effective configuration; export a session as a folder of files.
export { useHybridAuthState } from './types/session.js'
export { describeConfig } from './types/options.js'
export { exportMultiFile } from './types/fleet.js'

// Class: the same for many tenants.
export { HybridAuth } from './types/fleet.js'

// Functions: import sessions of other systems, and remove the imported sources.
export { migrate, cleanupMigrated } from './types/migrate.js'

// Class: the only error class. Its codes are a closed list.
export { HybridAuthError } from './types/error.js'
export type { HybridAuthErrorCode } from './types/error.js'

// Options, stores, and the effective configuration.
export type { HybridAuthOptions, ConfigDescription, ConfigSetting } from './types/options.js'
export type {
  HybridAuthStore,
  S3Store,
  SupabaseStore,
  GcsStore,
  PostgresStore,
  RedisStore,
  DirectoryStore,
  MemoryStore
} from './types/store.js'

// An open session.
export type {
  HybridAuthState,
  HybridKeyStore,
  HybridTypedKeys,
  SessionStatus,
  OpeningStatus,
  SessionEvents,
  SessionEvent,
  ExportReport
} from './types/session.js'

// Operations on many tenants, and figures.
export type { RestoreAllOptions, ExportAllOptions, ExportProfileOptions, ExportProfileReport } from './types/fleet.js'
export type { FleetSummary, StoreTraffic, MetricsOptions, MetricsRegistry } from './types/metrics.js'

// Operator tools.
export type {
  VerifyReport,
  SessionOwner,
  ObjectCount,
  InspectReport,
  TenantStanding,
  DrillReport,
  DoctorCheck,
  DoctorOptions,
  RekeyReport
} from './types/tools.js'

// Removal of data that nobody needs any more.
export type { PruneKeysOptions, PruneKeysReport, PruneOptions, PruneEntry } from './types/prune.js'

// Migration.
export type {
  MigrateOptions,
  FoundSession,
  MigrationDatabase,
  MigrationTable,
  MysqlSource,
  PostgresSource,
  SqliteSource,
  RedisSource,
  MongoExportSource,
  MigrationLayout,
  MigrationStatus,
  MigratedSession,
  MigrationReport,
  CleanupOptions,
  CleanupStatus,
  CleanupReport
} from './types/migrate.js'
