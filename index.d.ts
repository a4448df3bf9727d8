/**
 * Auth state for Baileys that cannot be lost. `useHybridAuthState` takes the place of `useMultiFileAuthState`: reads come
 * from memory, every write is on the local disk before it resolves, and an encrypted copy in a bucket is at most a flush
 * interval behind.
 *
 * This is all that is public, by topic. What each part promises stands where it is declared, in `types/`: `export` names what
 * is there when a program runs, functions and the two classes; `export type` what only the compiler sees.
 */

// Functions: open a session; the options as they count; a session as a folder of files again.
export { useHybridAuthState } from './types/session.js'
export { describeConfig } from './types/options.js'
export { exportMultiFile } from './types/fleet.js'

// Class: the same for many tenants.
export { HybridAuth } from './types/fleet.js'

// Functions: sessions of other systems, and the removal of what was taken over.
export { migrate, cleanupMigrated } from './types/migrate.js'

// Class: the only kind of error. Its codes are a closed list.
export { HybridAuthError } from './types/error.js'
export type { HybridAuthErrorCode } from './types/error.js'

// Options, stores, and what both come to.
export type { HybridAuthOptions, ConfigDescription, ConfigSetting } from './types/options.js'
export type { HybridAuthStore, S3Store, SupabaseStore, GcsStore, DirectoryStore, MemoryStore } from './types/store.js'

// An open session.
export type { HybridAuthState, HybridKeyStore, SessionStatus, OpeningStatus, SessionEvents, SessionEvent, ExportReport } from './types/session.js'

// What a fleet does to many tenants at once, and its figures.
export type { RestoreAllOptions, ExportAllOptions } from './types/fleet.js'
export type { FleetSummary, StoreTraffic, MetricsOptions, MetricsRegistry } from './types/metrics.js'

// What an operator asks of a store.
export type {
  VerifyReport,
  SessionOwner,
  ObjectCount,
  InspectReport,
  TenantStanding,
  DrillReport,
  DoctorCheck,
  RekeyReport
} from './types/tools.js'

// What is removed because nobody needs it any more.
export type { PruneKeysOptions, PruneKeysReport, PruneOptions, PruneEntry } from './types/prune.js'

// What a migration reads, does and tells.
export type {
  MigrateOptions,
  FoundSession,
  MigrationLayout,
  MigrationStatus,
  MigratedSession,
  MigrationReport,
  CleanupOptions,
  CleanupStatus,
  CleanupReport
} from './types/migrate.js'
