// What an operator asks of a fleet: what a store holds of each tenant, whether it can be restored, and what is wrong with it.

import type { HybridAuthError } from './error.js'

/** What a blank machine would restore. */
export interface VerifyReport {
  /** Which owner wrote it last. */
  epoch: number
  /** The last write in it. */
  lsn: number
  /** Whether its owner ended properly: then nothing that ever resolved is missing. `false` while one runs. */
  clean: boolean
  /** Keys, the credentials among them. */
  keys: number
  /** Their bytes, unpacked. */
  bytes: number
  /** SHA-256 of all keys and values: equal sessions have equal digests. */
  digest: string
  /** Objects to read for it. */
  objects: number
  /** In how many ways it can be restored; with two, damage to an object is survived. */
  ways: number
  /** Damage of other ways, one message each; and that there are keys without credentials, if so. */
  damage: string[]
}

/** Who has a session, as the marks in its store tell. `live`: claimed and not released; its owner runs, or ended without a word. */
export type SessionOwner = 'live' | 'released' | 'deleted' | 'none'

/** Objects of one kind, and their bytes in the store. */
export interface ObjectCount {
  count: number
  bytes: number
}

/** How a tenant stands. Holds no id of a contact and no value. */
export interface InspectReport {
  /** What the store holds; `null` without one. */
  store: {
    owner: SessionOwner
    /** The highest claim; `null` if there is none. */
    epoch: number | null
    /** When that claim was made, by the clock of its machine. */
    claimedAt: Date | null
    /** When it was released or deleted, by the clock of its machine. */
    endedAt: Date | null
    /** The last write in the store. */
    lsn: number | null
    /** When the newest object was made, by the clock of its machine. */
    madeAt: Date | null
    /** When the newest object was stored, or stored again, by the clock of the store; `null` if that does not tell. */
    storedAt: Date | null
    /** States. Two are kept, or the predecessor's in place of one. */
    bases: ObjectCount
    /** Changes since. */
    segments: ObjectCount
    /** Small objects that say who owns, those of predecessors among them. */
    marks: number
    /** The ids of the encryption keys that are needed to read all of these. */
    keyIds: string[]
    /** What a blank machine would restore; `null` where there is nothing or `error` says why it cannot. */
    contents: {
      /** Keys, the credentials among them, and their bytes, unpacked. */
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
     * Objects that are damaged, one message each; a restore may survive it. And what nobody with a key made, and that there are keys
     * without credentials, if so.
     */
    damage: string[]
    /** Why it cannot be restored: `REMOTE_CORRUPT`, `KEY_UNAVAILABLE`. */
    error: HybridAuthError | null
  } | null
  /** What this machine's directory holds; `null` if it has no folder of the tenant, as in `cloud` mode, unless another mode left one. */
  local: {
    /** Whether the session is open in this process, in another one of this machine, or in none. */
    open: 'here' | 'elsewhere' | 'nobody'
    logBytes: number
    /** Whose history the log holds; 0 for one that was never in a store, `null` if it cannot be read. */
    epoch: number | null
    /** The last write in it; behind damage, the last that reads. */
    lsn: number | null
    keyIds: string[]
    /** Why the log cannot be read: `LOCAL_CORRUPT`, `KEY_UNAVAILABLE`. */
    error: HybridAuthError | null
  } | null
}

/** What the listings of a store say of one tenant. */
export interface TenantStanding {
  /** `null` where the store does not tell: hidden, or too long for a name. */
  tenantId: string | null
  /** What it is called in the names of objects. */
  name: string
  owner: SessionOwner
  epoch: number | null
  /** The last write in the store. */
  lsn: number | null
  /** When its newest object was stored, or stored again, by the clock of the store; `null` if that does not tell. */
  storedAt: Date | null
  /** Whether it is open in this fleet. */
  isOpen: boolean
  /** Names in the store that nobody with a key made, one message each: they are ignored, and should be removed. */
  forged: string[]
  /** Other names under which this tenant is in the store too, in a survey of all: each may have an owner of its own. */
  alsoNamed: string[]
}

/** What came of a drill. */
export interface DrillReport {
  /** Whether what came back from the disk is what the store has and, where the owner's is at hand, what the owner has. */
  ok: boolean
  epoch: number
  lsn: number
  clean: boolean
  keys: number
  bytes: number
  /** SHA-256 of all keys and values at `lsn`: in the store, read back from the folder, and at the owner. */
  digests: { store: string; restored: string; owner: string | null }
  /**
   * Where the owner's came from: the memory of a session open here, the log in this machine's directory (read beside whoever writes
   * it; without a digest if it lost that write in a power cut), or `elsewhere`, which means that it was not compared. An owner in
   * `cloud` mode has no log, and is compared in its own process only.
   */
  owner: 'memory' | 'log' | 'elsewhere'
  /** The folder that was kept; `null` for one that was removed. */
  folder: string | null
  /** Milliseconds for each step; `decode` is every value read as Baileys would get it. */
  ms: { download: number; write: number; read: number; compare: number; decode: number }
  /** What is wrong, one message each. */
  problems: string[]
}

/** One finding of `doctor()`. */
export interface DoctorCheck {
  /**
   * `store` (without one), or `reachable`, `write`, `list`, `read`, `delete`, `list-after-put`, `private`, `clock`, `latency`,
   * `encryption`, `lifecycle`, `versioning`, `tenant-ids`, `names`,
   * `idle-tenants`, `cost`.
   */
  name: string
  /** `unknown`: it could not be looked at. Never `ok` for what was not seen. */
  outcome: 'ok' | 'warning' | 'failed' | 'unknown'
  /** For people: what was seen, and what to do. */
  message: string
  /** How long it took; of `latency`, a PUT. */
  ms?: number
  /** More figures of some checks. */
  [figure: string]: unknown
}

/** What came of sealing a session anew. */
export interface RekeyReport {
  /** Whether all that is kept is sealed with the first key. */
  complete: boolean
  /** The id of the first key; `null` without encryption. */
  primary: string | null
  /**
   * The ids of the keys that are still needed: for what is kept in the store and here, and with `hideTenantIds` for its name. In `cloud`
   * mode a log that another mode left here is not sealed anew: move its folder away.
   */
  needed: string[]
  /**
   * The ids of those among `encryptionKeys` that neither the store nor the disk of this machine needs any more for this tenant.
   */
  unneeded: string[]
  /**
   * Places that were not looked at. `other-disks`: logs on the disks of other machines. One that has nothing beyond what the store has is set aside
   * where its key is gone; one that may have more is `KEY_UNAVAILABLE` there, with the file and the id of the key.
   */
  unseen: Array<'other-disks'>
}
