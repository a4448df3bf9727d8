/**
 * A NestJS module around the sessions of `baileys-hybrid-auth`: one service to inject, sessions stored and released when the
 * application shuts down, and the method names of the systems it replaces. Nothing of NestJS is loaded by the package itself.
 */

import type { DynamicModule, InjectionToken, LoggerService, ModuleMetadata, OptionalFactoryDependency, Provider, Type } from '@nestjs/common'
import type {
  ExportReport,
  FleetSummary,
  HybridAuthError,
  HybridAuthOptions,
  HybridAuthState,
  MetricsOptions,
  MetricsRegistry,
  OpeningStatus,
  PruneKeysOptions,
  PruneKeysReport,
  RestoreAllOptions,
  SessionStatus,
  StoreTraffic
} from '../index.js'

export { HybridAuthError } from '../index.js'
export type { HybridAuthErrorCode, HybridAuthOptions, HybridAuthState, SessionStatus } from '../index.js'

/** What `onBackup` is told: everything of this tenant up to `lsn` is restorable from the store. */
export interface BackupInfo {
  tenantId: string
  at: Date
  /** Number of the newest write that is stored. */
  lsn: number
  /** Bytes uploaded since this was told last. */
  bytes: number
}

/** Options of the fleet, and what only an application has. A wrong one stops the application from starting, with its name. */
export interface HybridAuthModuleOptions extends Omit<HybridAuthOptions, 'logger'> {
  /**
   * How long storing and releasing all sessions may take together when the application shuts down, in milliseconds. Stay below
   * what the platform allows between SIGTERM and SIGKILL; `Infinity` for no limit. What was not stored is in the local log, if there is one. @default 8000
   */
  shutdownTimeoutMs?: number
  /**
   * Sessions to open when the application starts: those named, or all that the store or, without one, the directory has. Never keeps it
   * from starting: they are waited for as long as `bootstrapTimeoutMs` allows, and go on in the background. What could not be opened for
   * a reason that may pass is tried again there, after 5 seconds at first and after 5 minutes at the longest; all of it is logged.
   * @default false
   */
  openOnBootstrap?: 'all' | ReadonlyArray<string> | false
  /** Time that the start waits for `openOnBootstrap`; 0 for not at all, `Infinity` for as long as it takes. @default 20000 */
  bootstrapTimeoutMs?: number
  /**
   * Told after an upload was confirmed, for instance to write `lastBackupAt` into a table. Never twice at once for a tenant; what
   * comes meanwhile is told in one call. What it throws is logged.
   */
  onBackup?: (info: BackupInfo) => void | Promise<void>
  /** Told all that happens to every tenant; of several sessions of one the newest tells. What it throws is logged. */
  onEvent?: HybridAuthOptions['onEvent']
  /** A newer instance took a session over: close the socket, do not reconnect here. What it throws is logged. */
  onFenced?: (info: { tenantId: string }) => void | Promise<void>
  /**
   * Registers the metrics of this process in a registry of `prom-client`, which must be installed. `tenantLabel: true` adds metrics
   * of each tenant, with its id as a label. @default none are registered; `metrics()` of the service answers them all the same
   */
  metrics?: { registry: MetricsRegistry; tenantLabel?: boolean }
  /**
   * A logger in the shape of pino or of Nest; `false` for none. @default Nest's logger with the context `HybridAuth`, without
   * the lines for each upload: `nestLogger('HybridAuth', { debug: true })` has them
   */
  logger?: HybridAuthOptions['logger'] | LoggerService | false
}

/** What `forRoot` takes. */
export interface HybridAuthRootOptions extends HybridAuthModuleOptions {
  /** Name by which the fleet is injected, `@InjectHybridAuth(name)`, where an application has several. @default none: by its class */
  name?: string
  /** Whether modules can inject the service without importing this one. @default false */
  isGlobal?: boolean
}

/** What a class for `useClass` or `useExisting` has. */
export interface HybridAuthOptionsFactory {
  createHybridAuthOptions(): HybridAuthModuleOptions | Promise<HybridAuthModuleOptions>
}

/** What `forRootAsync` takes: one of the three `use…`. */
export interface HybridAuthAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** Name by which the fleet is injected, `@InjectHybridAuth(name)`, where an application has several. @default none: by its class */
  name?: string
  /** Whether modules can inject the service without importing this one. @default false */
  isGlobal?: boolean
  /** What the factory is called with. */
  inject?: Array<InjectionToken | OptionalFactoryDependency>
  useFactory?: (...args: any[]) => HybridAuthModuleOptions | Promise<HybridAuthModuleOptions>
  /** A class to be made for this module. */
  useClass?: Type<HybridAuthOptionsFactory>
  /** A provider that is there already. */
  useExisting?: Type<HybridAuthOptionsFactory>
  provideInjectionTokensFrom?: Provider[]
}

/**
 * Provides and exports `HybridAuthService`, `HYBRID_AUTH` and `HYBRID_AUTH_OPTIONS`; with a `name` `HYBRID_AUTH:name` and
 * `HYBRID_AUTH_OPTIONS:name` instead. An application in which a module sees two of the same name does not start.
 *
 * Sessions are stored and released in the shutdown hooks of Nest, which it runs on a signal only after
 * `app.enableShutdownHooks()`. Without that call nothing is lost either that the disk keeps, but the next instance waits for this
 * one, and a disk that goes away takes the last second along.
 */
export declare class HybridAuthModule {
  static forRoot(options?: HybridAuthRootOptions): DynamicModule
  static forRootAsync(options: HybridAuthAsyncOptions): DynamicModule
}

/** Backups of one tenant or of all that are open here. */
export interface SessionHealthReport {
  total: number
  backed_up: number
  needs_backup: number
  /** The oldest `lastBackupAt`; `null` when there is none. An old one is no fault by itself: what does not change is not stored again. */
  oldest_backup: Date | null
  sessions: SessionHealth[]
}

export interface SessionHealth {
  tenantId: string
  /** `never`: nothing of it is in a store. `overdue`: a change has been waiting for longer than `overdueAfterMs`. */
  state: 'never' | 'overdue' | 'ok'
  /** When it was last known to be in the store as a whole. */
  lastBackupAt: Date | null
  lagMs: number | null
  owner: SessionStatus['life']
  store: SessionStatus['store']
}

export interface FleetHealthOptions {
  /** How long a store may fail before that is unhealthy. @default 600000 (10 minutes) */
  degradedForMs?: number
  /** Whether to name the tenants. @default false */
  tenantIds?: boolean
}

/** Figures over the sessions that are open here. */
export interface FleetHealth {
  /** No session is poisoned, and no store has failed for longer than `degradedForMs`. */
  healthy: boolean
  sessions: number
  /** Tenants that are being opened. */
  opening: number
  /** Sessions that a half-failed disk write put out of use: open them again. */
  poisoned: number
  /** Sessions whose store fails. */
  degraded: number
  /** How long the one that has failed longest has been failing. */
  degradedForMs: number
  /** Sessions that a newer instance took over. */
  fenced: number
  /** Sessions whose whole state the store refuses for good, see `baseRefused` of `status()`. */
  baseRefused: number
  /** Age of the oldest write that a blank machine would not restore; 0 where there is none, or no store. */
  maxLagMs: number
  tenantIds?: { poisoned: string[]; degraded: string[]; fenced: string[] }
}

/**
 * The sessions of an application.
 *
 * Each `open` and `initialize` answers a session with a `creds` object of its own over the same keys. The newest one of a tenant
 * is kept until it is closed; an older one is closed when nobody holds a part of it any more, so that code which opens one for
 * each new socket needs not close them.
 */
export declare class HybridAuthService {
  constructor(options: HybridAuthModuleOptions)

  /** Opens a tenant; `overrides` count for this open only. Rejects with `CLOSED` once the application shuts down. */
  open(tenantId: string, overrides?: HybridAuthOptions): Promise<HybridAuthState>
  /** The session of a tenant that was opened here last. */
  get(tenantId: string): HybridAuthState | undefined
  /** Tenants that are open here. */
  list(): string[]
  /** Tenants that are being opened here. */
  opening(): string[]
  /** The status of every open tenant, and of those that are being opened, by tenant id. */
  status(): Record<string, SessionStatus | OpeningStatus>
  /** The statuses as one. */
  summary(): FleetSummary
  /** The metrics of this process as Prometheus reads them. Rejects with `INVALID_OPTION` where `prom-client` is not installed. */
  metrics(options?: MetricsOptions): Promise<string>
  /** Registers the metrics of this process in a registry of `prom-client`; the option `metrics` does so at the start. */
  collectInto<R extends MetricsRegistry>(registry: R, options?: MetricsOptions): R
  /** Ids of the tenants that have a session in the store. */
  tenants(): Promise<string[]>
  /** Requests and bytes between this process and the store so far; `null` before the first. */
  traffic(): StoreTraffic | null
  /** Opens every tenant of the store, or those named, a few at a time; one that fails does not stop the others. */
  restoreAll(options?: RestoreAllOptions): Promise<{ opened: string[]; failed: Array<{ tenantId: string; error: HybridAuthError }> }>
  /** Logs a tenant out for good, opening its session first if need be. */
  delete(tenantId: string): Promise<void>
  exportMultiFile(tenantId: string, folder: string, options?: { overwrite?: boolean }): Promise<ExportReport>
  /** Removes keys that nobody can be waiting for any more; only tells them unless `dryRun` is `false`. */
  pruneKeys(tenantId: string, options?: PruneKeysOptions): Promise<PruneKeysReport>
  /** Closes everything that is open. The shutdown hooks do this by themselves. @default timeoutMs: `shutdownTimeoutMs` */
  shutdown(options?: { timeoutMs?: number }): Promise<{ closed: number; failed: Array<{ tenantId: string; error: HybridAuthError }> }>

  /**
   * `open` for code that reconnects by itself: a session that a newer instance took over is not taken back, but rejected with
   * `FENCED`, until `open` is called. A deleted session rejects with `DELETED`: to pair again pass `{ fresh: true }`.
   */
  initialize(tenantId: string, overrides?: HybridAuthOptions): Promise<HybridAuthState>
  /** `state` and `saveCreds` of the open session; opens it like `initialize` when it is not open. */
  getAuthState(tenantId: string): Promise<Pick<HybridAuthState, 'state' | 'saveCreds'>>
  /** The same as `getAuthState`. */
  useAuthState(tenantId: string): Promise<Pick<HybridAuthState, 'state' | 'saveCreds'>>
  /**
   * Resolves when everything is restorable from the store, as `flush` does. There is no need to call it: changes are stored as
   * they happen. Rejects with `CLOSED` when the tenant is not open here.
   */
  backup(tenantId: string, options?: { timeoutMs?: number }): Promise<void>
  /** `backup` for event handlers that expect no failure: answers whether it is stored, logs why not, and never rejects. */
  backupToSupabase(tenantId: string): Promise<boolean>
  /** The same as `backupToSupabase`. */
  forceBackup(tenantId: string): Promise<boolean>
  /**
   * Opens the tenant, if there is a session of it here or in the store, and answers whether there was. Everything else that goes
   * wrong (a store that cannot be reached, a wrong key) rejects: it does not mean that there is none.
   */
  restore(tenantId: string): Promise<boolean>
  /** The same as `restore`. */
  restoreFromSupabase(tenantId: string): Promise<boolean>
  /**
   * `delete`, for `DisconnectReason.loggedOut`; also resolves when it was deleted before. Rejects with `REMOTE_UNAVAILABLE` when
   * the store could not be told, and logs it: call it again.
   */
  deleteSession(tenantId: string): Promise<void>
  /** @deprecated Does nothing: changes are stored as they happen. */
  startPeriodicBackup(tenantId?: string): void
  /** @deprecated Does nothing. */
  stopPeriodicBackup(tenantId?: string): void

  /** Backups of one tenant, or of all that are open here. `overdueAfterMs` is 600000 (10 minutes) by default. */
  getSessionHealth(tenantId?: string, options?: { overdueAfterMs?: number }): Promise<SessionHealthReport>
  /** Figures for a health check; what `HybridAuthHealthIndicator` shows. */
  health(options?: FleetHealthOptions): FleetHealth

  /** `shutdown()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
  /** For Nest. */
  onApplicationBootstrap(): Promise<void>
  /** For Nest. */
  beforeApplicationShutdown(): Promise<void>
  /** For Nest. */
  onApplicationShutdown(signal?: string): Promise<void>
}

/** Injects `HybridAuthService`; for who would rather not inject by class. */
export declare const HYBRID_AUTH: 'HYBRID_AUTH'
/** Injects the options of the module as they were given, keys included. */
export declare const HYBRID_AUTH_OPTIONS: 'HYBRID_AUTH_OPTIONS'
/** Token of the fleet of this name; `HYBRID_AUTH` without one. */
export declare function getHybridAuthToken(name?: string): string
/** Token of its options; `HYBRID_AUTH_OPTIONS` without a name. */
export declare function getHybridAuthOptionsToken(name?: string): string
/** `@Inject(getHybridAuthToken(name))` */
export declare function InjectHybridAuth(name?: string): PropertyDecorator & ParameterDecorator
/** `@Inject(getHybridAuthOptionsToken(name))` */
export declare function InjectHybridAuthOptions(name?: string): PropertyDecorator & ParameterDecorator

/**
 * Nest's logger in the shape that the options of this package take. `debug` lines, one for each upload, only if asked for.
 * @default context: 'HybridAuth'
 */
export declare function nestLogger(
  context?: string,
  options?: { debug?: boolean; logger?: LoggerService }
): Required<NonNullable<HybridAuthOptions['logger']>>
