/**
 * NestJS module for the sessions of `baileys-hybrid-auth`: one service to inject, sessions that are stored and released when the
 * application shuts down, and the method names of the systems it replaces. The main package does not load NestJS.
 */

import type {
  DynamicModule,
  InjectionToken,
  LoggerService,
  ModuleMetadata,
  OptionalFactoryDependency,
  Provider,
  Type
} from '@nestjs/common'
import type { HybridAuth as Fleet, HybridAuthOptions, HybridAuthState, MetricsRegistry, SessionStatus } from '../index.js'
import type { HybridAuth, HybridAuthStrategyOptions } from '../whatsapp-web/index.js'

export { HybridAuthError } from '../index.js'
export type { HybridAuthErrorCode, HybridAuthOptions, HybridAuthState, SessionStatus } from '../index.js'

/** Argument of `onBackup`: everything of this tenant up to `lsn` can be restored from the store. */
export interface BackupInfo {
  tenantId: string
  at: Date
  /** Number of the newest stored write. */
  lsn: number
  /** Bytes uploaded since the last call. */
  bytes: number
}

/** Options of the fleet and of the application. An invalid option is an error at startup that names it. */
export interface HybridAuthModuleOptions extends Omit<HybridAuthOptions, 'logger'> {
  /**
   * Time limit for storing and releasing all sessions at shutdown, in milliseconds. Keep it below the grace period of the platform between
   * SIGTERM and SIGKILL; `Infinity` for no limit. Writes that were not stored are in the local log, if there is one. @default 8000
   */
  shutdownTimeoutMs?: number
  /**
   * Sessions to open at startup: the named ones, or all in the store or, without a store, in the directory. They never keep the application
   * from starting: it waits for at most `bootstrapTimeoutMs`, and the opens continue in the background. After a temporary failure an open is
   * retried there, first after 5 seconds and then after at most 5 minutes. Everything is logged.
   * @default false
   */
  openOnBootstrap?: 'all' | ReadonlyArray<string> | false
  /** Longest time that the start waits for `openOnBootstrap`; 0 for no wait, `Infinity` for no limit. @default 20000 */
  bootstrapTimeoutMs?: number
  /**
   * Called after a confirmed upload, for example to write `lastBackupAt` into a table. Calls for a tenant never overlap; uploads in the
   * meantime are combined into one call. Exceptions are logged.
   */
  onBackup?: (info: BackupInfo) => void | Promise<void>
  /** Called with every event of every tenant; if a tenant has several sessions, the newest one reports. Exceptions are logged. */
  onEvent?: HybridAuthOptions['onEvent']
  /** Called when a newer instance has taken over a session: close the socket, do not reconnect here. Exceptions are logged. */
  onFenced?: (info: { tenantId: string }) => void | Promise<void>
  /**
   * Registers the metrics of this process in a registry of `prom-client`, which must be installed. `tenantLabel: true` adds metrics
   * per tenant, with its id as a label. @default not registered; `metrics()` of the service works without it
   */
  metrics?: { registry: MetricsRegistry; tenantLabel?: boolean }
  /**
   * A logger with the methods of pino or of Nest; `false` for none. @default Nest's logger with the context `HybridAuth`, without
   * a line per upload; use `nestLogger('HybridAuth', { debug: true })` to log uploads
   */
  logger?: HybridAuthOptions['logger'] | LoggerService | false
}

/** Options of the module itself, beside those of its fleet. */
export interface HybridAuthModulePlacement {
  /** Name of the fleet for `@InjectHybridAuth(name)`, if an application has several. @default none: inject by class */
  name?: string
  /** Allow all modules to inject the service without importing this module. @default false */
  isGlobal?: boolean
}

/** Options of `forRoot`. */
export interface HybridAuthRootOptions extends HybridAuthModuleOptions, HybridAuthModulePlacement {}

/** Interface of a class for `useClass` or `useExisting`. */
export interface HybridAuthOptionsFactory {
  createHybridAuthOptions(): HybridAuthModuleOptions | Promise<HybridAuthModuleOptions>
}

/** Options of `forRootAsync`: exactly one of the three `use…`. */
export interface HybridAuthAsyncOptions extends HybridAuthModulePlacement, Pick<ModuleMetadata, 'imports'> {
  /** Arguments of the factory. */
  inject?: Array<InjectionToken | OptionalFactoryDependency>
  useFactory?: (...args: any[]) => HybridAuthModuleOptions | Promise<HybridAuthModuleOptions>
  /** A class to instantiate for this module. */
  useClass?: Type<HybridAuthOptionsFactory>
  /** An existing provider. */
  useExisting?: Type<HybridAuthOptionsFactory>
  provideInjectionTokensFrom?: Provider[]
}

/**
 * Provides and exports `HybridAuthService`, `HYBRID_AUTH` and `HYBRID_AUTH_OPTIONS`; with a `name`, `HYBRID_AUTH:name` and
 * `HYBRID_AUTH_OPTIONS:name` instead. If a module sees two of the same name, the application does not start.
 *
 * Sessions are stored and released in the shutdown hooks of Nest, which run on a signal only after
 * `app.enableShutdownHooks()`. Without that call the disk still has everything, but the next instance waits for this
 * one, and if the disk is lost, the last second of writes is lost too.
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
  /** The oldest `lastBackupAt`; `null` if there is none. An old value is not a problem: unchanged data is not stored again. */
  oldest_backup: Date | null
  sessions: SessionHealth[]
}

export interface SessionHealth {
  tenantId: string
  /** `never`: nothing is in a store. `overdue`: a change has been waiting for longer than `overdueAfterMs`. */
  state: 'never' | 'overdue' | 'ok'
  /** Last time it was known to be completely in the store. */
  lastBackupAt: Date | null
  lagMs: number | null
  owner: SessionStatus['life']
  store: SessionStatus['store']
}

export interface FleetHealthOptions {
  /** Time that a store may fail before the result is unhealthy. @default 600000 (10 minutes) */
  degradedForMs?: number
  /** Include the tenant ids. @default false */
  tenantIds?: boolean
}

/** Figures of the sessions that are open here. */
export interface FleetHealth {
  /** True if no session is poisoned, and no store and no backups of a profile have been failing for longer than `degradedForMs`. */
  healthy: boolean
  sessions: number
  /** Tenants that are being opened. */
  opening: number
  /** Sessions made unusable by a half-failed disk write: open them again. */
  poisoned: number
  /** Sessions whose store is failing. */
  degraded: number
  /** Duration of the longest current store failure. */
  degradedForMs: number
  /** Sessions taken over by a newer instance. */
  fenced: number
  /** Sessions whose full state the store permanently rejects; see `baseRefused` in `status()`. */
  baseRefused: number
  /** Age of the oldest write that a new machine could not restore; 0 if there is none, or no store. */
  maxLagMs: number
  tenantIds?: { poisoned: string[]; degraded: string[]; fenced: string[] }
}

/** Figures of the browser profiles that are open in this process. */
export interface ProfileHealth {
  open: number
  /** Number of those whose browser runs. */
  running: number
  /** Number of those without an acknowledged backup. */
  neverBackedUp: number
  /** Number of those whose last backup failed. */
  failing: number
  /** Time for which the backups of a profile have been failing, the longest one; 0 if none fails. */
  failingForMs: number
  /** Age of the newest acknowledged backup, of the profile where that is oldest; `null` if there is none. Unchanged profiles are not stored again. */
  oldestBackupMs: number | null
  tenantIds?: { failing: string[] }
}

/** Result of `health()`. */
export interface ServiceHealth extends FleetHealth {
  profiles: ProfileHealth
}

/** Operations of a fleet that the service has under the same names. */
declare const FleetOperations: abstract new (
  ...options: any[]
) => Pick<
  Fleet,
  | 'open'
  | 'get'
  | 'list'
  | 'opening'
  | 'status'
  | 'summary'
  | 'metrics'
  | 'collectInto'
  | 'tenants'
  | 'traffic'
  | 'restoreAll'
  | 'survey'
  | 'doctor'
  | 'delete'
  | 'exportMultiFile'
  | 'pruneKeys'
>

/**
 * The sessions of an application. It has the operations of `HybridAuth` of the main package; the option `metrics` calls `collectInto`.
 *
 * Each `open` and `initialize` returns a session with its own `creds` object over the same keys. The newest one of a tenant
 * is kept until it is closed. An older one is closed when your program no longer references it, so code that opens one for
 * each new socket does not have to close them. Once the application shuts down, `open` rejects with `CLOSED`.
 */
export declare class HybridAuthService extends FleetOperations {
  constructor(options: HybridAuthModuleOptions)

  /** Closes all sessions. The shutdown hooks call it automatically. @default timeoutMs: `shutdownTimeoutMs` */
  shutdown(options?: { timeoutMs?: number }): ReturnType<Fleet['shutdown']>

  /**
   * `open` for code that reconnects automatically: it does not take back a session that a newer instance owns, but rejects with
   * `FENCED` until you call `open`. A deleted session rejects with `DELETED`: to pair again, pass `{ fresh: true }`.
   */
  initialize(tenantId: string, overrides?: HybridAuthOptions): Promise<HybridAuthState>
  /** `state` and `saveCreds` of the session; opens it like `initialize` if it is not open. */
  getAuthState(tenantId: string): Promise<Pick<HybridAuthState, 'state' | 'saveCreds'>>
  /** The same as `getAuthState`. */
  useAuthState(tenantId: string): Promise<Pick<HybridAuthState, 'state' | 'saveCreds'>>
  /**
   * Resolves when everything can be restored from the store, like `flush`. You do not have to call it: changes are stored as
   * they happen. Rejects with `CLOSED` if the tenant is not open here.
   */
  backup(tenantId: string, options?: { timeoutMs?: number }): Promise<void>
  /** `backup` for event handlers without error handling: resolves to true if it is stored, logs a failure, and never rejects. */
  backupToSupabase(tenantId: string): Promise<boolean>
  /** The same as `backupToSupabase`. */
  forceBackup(tenantId: string): Promise<boolean>
  /**
   * Opens the tenant if it has a session here or in the store, and resolves to true if it had one. Every other failure
   * (an unavailable store, a wrong key) rejects, because it does not mean that there is none.
   */
  restore(tenantId: string): Promise<boolean>
  /** The same as `restore`. */
  restoreFromSupabase(tenantId: string): Promise<boolean>
  /**
   * `delete`, for `DisconnectReason.loggedOut`; also resolves if the session was already deleted. Rejects with `REMOTE_UNAVAILABLE` if
   * the store does not have the tombstone, and logs it: call it again.
   */
  deleteSession(tenantId: string): Promise<void>
  /** @deprecated Does nothing: changes are stored as they happen. */
  startPeriodicBackup(tenantId?: string): void
  /** @deprecated Does nothing. */
  stopPeriodicBackup(tenantId?: string): void

  /** Backups of one tenant, or of all that are open here. `overdueAfterMs` is 600000 (10 minutes) by default. */
  getSessionHealth(tenantId?: string, options?: { overdueAfterMs?: number }): Promise<SessionHealthReport>
  /** Figures for a health check, as shown by `HybridAuthHealthIndicator`. */
  health(options?: FleetHealthOptions): ServiceHealth

  /**
   * An auth strategy for a client of whatsapp-web.js, with the store, keys, logger and callbacks of this module:
   * `new Client({ authStrategy: auth.whatsappWeb('shop-7') })`. `options` go before those of the module. At shutdown the module ends the client and
   * its browser, stores the last state and releases the session. `onBackup` of the module gets the number of the generation as `lsn`.
   */
  whatsappWeb(clientId?: string | null, options?: Omit<HybridAuthStrategyOptions, 'clientId'>): HybridAuth

  /** `shutdown()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
  /** For Nest. */
  onApplicationBootstrap(): Promise<void>
  /** For Nest. */
  beforeApplicationShutdown(): Promise<void>
  /** For Nest. */
  onApplicationShutdown(signal?: string): Promise<void>
}

/** Token of `HybridAuthService`, as an alternative to the class. */
export declare const HYBRID_AUTH: 'HYBRID_AUTH'
/** Token of the module options as passed, including keys. */
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
 * Nest's logger for the option `logger` of this package. Logs `debug` lines, one per upload, only on request.
 * @default context: 'HybridAuth'
 */
export declare function nestLogger(
  context?: string,
  options?: { debug?: boolean; logger?: LoggerService }
): Required<NonNullable<HybridAuthOptions['logger']>>
