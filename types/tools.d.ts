// Operator tools: the contents of a store, restore checks, and diagnostics.

import type { HybridAuthError } from './error.js'

/** State that a new machine would restore. */
export interface VerifyReport {
  /** Number of the owner that wrote it last. */
  epoch: number
  /** The last write in it. */
  lsn: number
  /** True if its owner ended properly: then no resolved write is missing. `false` while an owner runs. */
  clean: boolean
  /** Number of keys, including the credentials. */
  keys: number
  /** Their bytes, uncompressed. */
  bytes: number
  /** SHA-256 of all keys and values: equal sessions have equal digests. */
  digest: string
  /** Number of objects it is read from. */
  objects: number
  /** Number of ways to restore it. With two, a damaged object does no harm. */
  ways: number
  /** Damage in other ways, one message each, and a message if there are keys without credentials. */
  damage: string[]
}

/** Owner of a session, by the marks in its store. `live`: claimed and not released; its owner runs, or crashed. */
export type SessionOwner = 'live' | 'released' | 'deleted' | 'none'

/** Number of objects of one kind, and their bytes in the store. */
export interface ObjectCount {
  count: number
  bytes: number
}

/** State of a tenant. Contains no contact id and no value. */
export interface InspectReport {
  /** Contents of the store; `null` without one. */
  store: {
    owner: SessionOwner
    /** The highest claim; `null` if there is none. */
    epoch: number | null
    /** Time of that claim, by the clock of its machine. */
    claimedAt: Date | null
    /** Time of its release or deletion, by the clock of its machine. */
    endedAt: Date | null
    /** The last write in the store. */
    lsn: number | null
    /** Creation time of the newest object, by the clock of its machine. */
    madeAt: Date | null
    /** Upload time of the newest object, including re-uploads, by the clock of the store; `null` if the store has no times. */
    storedAt: Date | null
    /** Full states. Two are kept, or one and the predecessor's. */
    bases: ObjectCount
    /** Later changes. */
    segments: ObjectCount
    /** Number of small objects that mark ownership, including those of predecessors. */
    marks: number
    /** Ids of the encryption keys required to read all of these. */
    keyIds: string[]
    /** State that a new machine would restore; `null` if there is none, or if `error` has the reason why it cannot be restored. */
    contents: {
      /** Number of keys, including the credentials, and their uncompressed bytes. */
      keys: number
      bytes: number
      /** The same by type; the credentials are `creds`. */
      types: Record<string, { keys: number; bytes: number }>
      /** See `VerifyReport`. */
      clean: boolean
      digest: string
      ways: number
    } | null
    /**
     * Damaged objects, one message each; a restore may still be possible. Also names made without a key, and a message if there are keys
     * without credentials.
     */
    damage: string[]
    /** The reason why it cannot be restored: `REMOTE_CORRUPT`, `KEY_UNAVAILABLE`. */
    error: HybridAuthError | null
  } | null
  /** Contents of this machine's directory; `null` without a folder of the tenant, as in `cloud` mode, unless another mode left one. */
  local: {
    /** Process that has the session open: this one, another one of this machine, or none. */
    open: 'here' | 'elsewhere' | 'nobody'
    logBytes: number
    /** Number of the owner that wrote the log; 0 for a history that was never in a store, `null` if it cannot be read. */
    epoch: number | null
    /** The last write in the log; after damage, the last readable one. */
    lsn: number | null
    keyIds: string[]
    /** The reason why the log cannot be read: `LOCAL_CORRUPT`, `KEY_UNAVAILABLE`. */
    error: HybridAuthError | null
  } | null
}

/** Overview of one tenant from the listings of a store. */
export interface TenantStanding {
  /** `null` if it is hidden, or too long for a name. */
  tenantId: string | null
  /** Name of the tenant within object names. */
  name: string
  owner: SessionOwner
  epoch: number | null
  /** The last write in the store. */
  lsn: number | null
  /** Upload time of its newest object, including re-uploads, by the clock of the store; `null` if the store has no times. */
  storedAt: Date | null
  /** Stored size in bytes of its newest base. `null` if there is none or the store does not report it. */
  baseBytes: number | null
  /** True if it is open in this fleet. */
  isOpen: boolean
  /** Names in the store that were made without a key, one message each: they are ignored and should be removed. */
  forged: string[]
  /** Other names of this tenant in the store, in a survey of all tenants: each may have its own owner. */
  alsoNamed: string[]
}

/** Result of a drill. */
export interface DrillReport {
  /** True if the restored state equals that of the store and, if it can be compared, that of the owner. */
  ok: boolean
  epoch: number
  lsn: number
  clean: boolean
  keys: number
  bytes: number
  /** SHA-256 of all keys and values at `lsn`: in the store, restored from the folder, and at the owner. */
  digests: { store: string; restored: string; owner: string | null }
  /**
   * Source of the owner's state: the memory of a session open here, the log in this machine's directory (read while the owner writes
   * it; without a digest if a power cut lost that write), or `elsewhere`, which means that it was not compared. An owner in
   * `cloud` mode has no log, and can be compared only in its own process.
   */
  owner: 'memory' | 'log' | 'elsewhere'
  /** The folder, if it was kept; `null` if it was removed. */
  folder: string | null
  /** Milliseconds per step; `decode` reads every value like Baileys. */
  ms: { download: number; write: number; read: number; compare: number; decode: number }
  /** Problems, one message each. */
  problems: string[]
}

/** One finding of `doctor()`. */
export interface DoctorCheck {
  /**
   * `store` (without one), or `reachable`, `write`, `list`, `read`, `delete`, `list-after-put`, `private`, `clock`, `latency`,
   * `encryption`, `lifecycle`, `versioning`, `tenant-ids`, `names`,
   * `idle-tenants`, `size-limit`, `cost`; with `contract` also `contract-list-after-put`, `contract-absent`, `contract-contents`,
   * `contract-again`, `contract-remove`, `contract-folders`, `contract-pages`, `contract-names`, `contract-large`, `contract-whole`,
   * `contract-concurrent`, `contract-times` and `contract-clean`; with `dataPath` also `profile-locks`, `profile-links`, `profile-space`,
   * `profile-disk` and `profile-stop`.
   */
  name: string
  /** `unknown`: it could not be checked. Never `ok` without a check. */
  outcome: 'ok' | 'warning' | 'failed' | 'unknown'
  /** Readable text: the observation and the remedy. */
  message: string
  /** Duration of the check; for `latency`, of a PUT. */
  ms?: number
  /** Further figures of some checks. */
  [figure: string]: unknown
}

/** Options of `doctor()`. */
export interface DoctorOptions {
  /** The folder of browser profiles on this machine, to be checked too. */
  dataPath?: string
  /**
   * Tries each behaviour that this package needs of a store, in a folder of its own that is removed again. Takes some 3,000 requests and
   * 45 MB in each direction.
   * @default false
   */
  contract?: boolean
}

/** Result of `rekey`. */
export interface RekeyReport {
  /** True if everything that is kept is encrypted with the first key. */
  complete: boolean
  /** The id of the first key; `null` without encryption. */
  primary: string | null
  /**
   * Ids of the keys that are still required: for data in the store and here, and with `hideTenantIds` for the name. In `cloud`
   * mode, a log that another mode left here is not encrypted again: move its folder away.
   */
  needed: string[]
  /**
   * Ids of the keys in `encryptionKeys` that neither the store nor the disk of this machine needs any more for this tenant.
   */
  unneeded: string[]
  /**
   * Places that were not checked. `other-disks`: logs on the disks of other machines. If the key of such a log was removed, the next open
   * there sets the log aside if the store has everything; otherwise it is `KEY_UNAVAILABLE`, with the file and the id of the key.
   */
  unseen: Array<'other-disks'>
}
