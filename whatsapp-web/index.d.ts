// Sessions of whatsapp-web.js, and any other browser profile: an auth strategy, a store for RemoteAuth, and a profile for other programs.

/// <reference lib="esnext.disposable" />

import type { HybridAuthError, HybridAuthOptions, SessionEvent, SessionEvents, SessionStatus } from '../index.js'

export { HybridAuthError } from '../index.js'
export type { HybridAuthErrorCode, HybridAuthStore } from '../index.js'

/** Options of a session that apply to a browser profile. A store is required; the mode is always `hybrid`. */
export interface ProfileSessionOptions extends Omit<
  HybridAuthOptions,
  'directory' | 'mode' | 'importFrom' | 'initAuthCreds' | 'BufferJSON' | 'baileys' | 'onEvent'
> {
  /** Called with every event, from `opening` on. Exceptions are logged. @default none */
  onEvent?: (event: ProfileEvent) => void
}

/** Options of a profile with its folder. */
export interface ProfileOptions extends ProfileSessionOptions {
  /**
   * Time between two backups while the browser runs. A backup of an unchanged profile costs no request; a changed one costs two PUTs and a LIST.
   * Variable: `SESSION_BACKUP_INTERVAL_MS`. @default 60000
   */
  backupIntervalMs?: number
  /** Number of generations to keep; 1 to 100. The newest one is restored, the others are for an operator. @default 5 */
  generations?: number
  /** Further files or folders of the profile to store, such as `Default/Cookies`. @default only IndexedDB and local storage */
  extraPaths?: string[]
}

/** Options of `HybridAuth`. */
export interface HybridAuthStrategyOptions extends ProfileOptions {
  /** Id of the client, as for LocalAuth and RemoteAuth: letters, digits, underscores and hyphens. @default none, for a single client */
  clientId?: string | null
  /**
   * Folder of the profiles, as for LocalAuth and RemoteAuth. The profile is in `RemoteAuth-<clientId>`. A profile of RemoteAuth there, or of
   * LocalAuth in `session-<clientId>`, is adopted if the session is not in the store yet. @default '.wwebjs_auth'
   */
  dataPath?: string
  /**
   * The store of the RemoteAuth that you had, such as one of wwebjs-mongo. It is asked for the session once, when there is none in `store` and no
   * profile on the disk; the session is checked and adopted. Nothing in it is ever changed. `initialize()` rejects if it rejects, or has a
   * damaged zip. @default none
   */
  legacy?: LegacyStore
  /** Called when a newer instance has taken over the session, and the browser was ended. Exceptions are ignored. @default none */
  onFenced?: () => void
}

/** Part of a store of RemoteAuth that reads. */
export interface LegacyStore {
  sessionExists(options: { session: string }): any
  extract(options: { session: string; path: string }): any
}

/**
 * Auth strategy of whatsapp-web.js 1.23 to 1.34 that keeps the profile in a store, with one owner:
 * `new Client({ authStrategy: new HybridAuth({ clientId }) })`.
 *
 * `initialize()` rejects with `HybridAuthError` if the session cannot be opened; no browser is started then. Only a logout deletes a session.
 * `destroy()` of the client stores the last state and releases the session. If another instance takes the session over, the browser is
 * ended, and the client emits `disconnected` with `FENCED`: do not call `initialize()` then, which rejects with `FENCED`. The client emits
 * `remote_session_saved` at the first acknowledged backup of a run. Failures of backups are `error` events of `onEvent`, and are logged.
 */
export class HybridAuth {
  constructor(options?: HybridAuthStrategyOptions)
  readonly clientId: string | undefined
  /** The open profile; `null` before `initialize()` and after `destroy()`. */
  readonly profile: Profile | null
  client: any

  /** For whatsapp-web.js, like everything below. */
  setup(client: any): void
  /** Opens the session and prepares its folder. */
  beforeBrowserInitialized(): Promise<void>
  /** Remembers the process of the browser. */
  afterBrowserInitialized(): Promise<void>
  /** Notes that the profile contains no session yet. */
  onAuthenticationNeeded(): Promise<{ failed: boolean; restart: boolean; failureEventPayload: any }>
  /** Notes that it does. */
  getAuthEventPayload(): Promise<any>
  /** Starts the backups. */
  afterAuthReady(): Promise<void>
  /** Logs out if the device was unlinked; keeps everything otherwise. */
  disconnect(): Promise<void>
  /** Stores the last state and releases the session. Never rejects. */
  destroy(): Promise<void>
  /**
   * Deletes the session everywhere. Rejects if the store could not be reached and the browser is closed. The deletion is then tried again in the
   * background, and by `destroy()`.
   */
  logout(): Promise<void>
}

/** Options of `RemoteAuthStore`. */
export interface RemoteAuthStoreOptions extends ProfileSessionOptions {
  /** The `dataPath` of RemoteAuth: its zips are expected there, and private folders are made there. @default '.wwebjs_auth' */
  dataPath?: string
  /** Number of generations to keep; 2 to 100. @default 5 */
  generations?: number
  /** Delete sessions finally. Without it, a deleted session can be brought back for seven days. @default false */
  purge?: boolean
  /** Called with failures of `save` and `delete`, which never reject. Exceptions are ignored. @default none */
  onError?: (error: HybridAuthError, details: { session: string | null }) => void
  /** Called when a newer instance has taken over a session: this one stores and deletes nothing any more. @default none */
  onFenced?: (details: { session: string }) => void
}

/**
 * Store for the RemoteAuth of whatsapp-web.js 1.23 to 1.34: `new RemoteAuth({ store: new RemoteAuthStore(), … })`. Sessions are claimed at
 * their first call and released by `close()`.
 *
 * The copies are those that RemoteAuth makes of a running profile. One that is damaged or incomplete is reported and not stored.
 */
export class RemoteAuthStore {
  constructor(options?: RemoteAuthStoreOptions)
  /** True if the session can be restored. Rejects if the store cannot be reached, so that RemoteAuth deletes nothing. */
  sessionExists(options: { session: string }): Promise<boolean>
  /** Writes the zip of the newest generation to `path`. */
  extract(options: { session: string; path: string }): Promise<void>
  /** Stores the zip that RemoteAuth has written. Never rejects; after a failure of the store it is tried again. */
  save(options: { session: string }): Promise<void>
  /** Deletes a session; see `purge`. Never rejects. */
  delete(options: { session: string }): Promise<void>
  /** Brings a deleted session back. Rejects with `NOT_FOUND` if nothing is left of it. */
  restoreDeleted(options: { session: string }): Promise<void>
  /** Stores what is waiting, and releases all sessions. */
  close(): Promise<void>
}

/** Options of `openProfile`. */
export interface OpenProfileOptions extends ProfileOptions {
  /** Folder of the profiles; each is in a folder with the name of its id. @default 'browser-profiles' */
  directory?: string
}

/**
 * Opens a browser profile for any program on Puppeteer or Playwright. Resolves when this instance owns it and its folder is the newest state:
 * start the browser with `profile.path` as its user data directory, and call `attach`.
 */
export function openProfile(id: string, options?: OpenProfileOptions): Promise<Profile>

/** An open profile. */
export interface Profile {
  /** The user data directory. */
  readonly path: string
  /** Origin of the folder: `local`, on this disk; `remote`, from the store; `imported`, a profile that was there; `fresh`, none. */
  readonly restored: { source: 'fresh' | 'imported' | 'local' | 'remote'; clean: boolean; generation: number | null }
  /**
   * Starts the backups of a browser that runs on the folder. The browser is stopped for some milliseconds while its changed files are copied (Linux,
   * macOS); elsewhere it keeps running, and a copy that is not whole is made again.
   */
  attach(browser: { pid: number }): void
  /** Ends the link to a browser that has ended. */
  detach(): void
  /** Backs the profile up now. Resolves when any machine with the keys can restore it. */
  backup(): Promise<BackupReport>
  /** The newest acknowledged generation; `null` before the first. */
  generation(): Generation | null
  /** Restores a generation, the newest by default, to a folder that must not exist. */
  restoreTo(directory: string, options?: { generation?: number }): Promise<{ generation: number; files: number; bytes: number }>
  status(): ProfileStatus
  /** Stores the last state and releases the profile; close the browser first. `backup: false` stores nothing. */
  close(options?: { timeoutMs?: number; backup?: boolean }): Promise<void>
  /**
   * Deletes the profile everywhere. Its folder is removed when the browser has ended. If the store cannot be reached, it rejects, and the deletion
   * is tried again in the background at growing pauses, and once more by `close()`. `attach` withdraws it: the profile is in use again.
   */
  logout(): Promise<void>
  /** Adds a listener. An exception or rejection of a listener does not affect the others. */
  on<E extends keyof ProfileEvents>(event: E, listener: ProfileEvents[E]): this
  off<E extends keyof ProfileEvents>(event: E, listener: ProfileEvents[E]): this
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A stored state of a profile. */
export interface Generation {
  number: number
  /** Time of its backup, in milliseconds since 1970. */
  at: number
  files: number
  bytes: number
}

/** Result of a backup. */
export interface BackupReport {
  generation: number
  /** False if nothing had changed: then nothing was sent. */
  changed: boolean
  files: number
  bytes: number
  /** Bytes sent to the store. */
  sent: number
  tookMs: number
}

/** Status of a profile. */
export interface ProfileStatus extends SessionStatus {
  generation: Generation | null
  /** Age of the newest acknowledged generation; `null` before the first. */
  ageMs: number | null
  browser: 'running' | 'closed'
  /** Time since backups began to fail; 0 while they succeed. */
  failingForMs: number
}

/** Events of a profile and their arguments: those of a session, with generations as backups. */
export interface ProfileEvents extends Omit<SessionEvents, 'backup'> {
  /** A backup that changed something can be restored. */
  backup: (report: BackupReport) => void
}

/** Argument of `onEvent`. */
export type ProfileEvent = Exclude<SessionEvent, { event: 'backup' }> | ({ event: 'backup'; tenantId: string } & BackupReport)
