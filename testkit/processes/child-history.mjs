// A history that follows from a seed: batch `n` is the same whenever and wherever it is asked for.
//
// Invariant: every batch changes something, and one that stores keys carries its number under `marker`, so that whoever finds
// a state can tell after which batch it is, and what exactly it must hold then.

import { createHash } from 'node:crypto'
import { makeRandom } from '../world/wire.mjs'

const TYPES = ['session', 'sender-key', 'app-state-sync-version', 'lid-mapping']
export const ALL_TYPES = [...TYPES, 'pre-key', 'marker']
/** Number of pre-keys that Baileys makes at once when it pairs. */
const PRE_KEYS = 812
/** Batches of one tenant that a writer has under way at once, at most. */
export const WIDTH = 3

/** The value of a key as batch `n` writes it. */
export function valueOf(type, id, n, length) {
  const pattern = createHash('sha256').update(`${type}/${id}/${n}`).digest()
  return { n, bytes: Buffer.alloc(length, pattern) }
}

/** Finds the batch that wrote exactly `value`, if one did. */
export function writtenBy(type, id, value) {
  const n = value?.n
  if (!Number.isInteger(n) || !Buffer.isBuffer(value.bytes) || Object.keys(value).length !== 2) return null
  return value.bytes.equals(valueOf(type, id, n, value.bytes.length).bytes) ? { n, length: value.bytes.length } : null
}

const lengthOf = (random, heavy) => {
  if (heavy) return 100_000 + random.below(200_000)
  const dice = random.next()
  if (dice < 0.85) return 20 + random.below(400)
  return dice < 0.99 ? 2000 + random.below(40_000) : 200_000 + random.below(200_000)
}

/**
 * Contents of batch `n` of a history. A `heavy` history writes so much that its log is rewritten every few dozen batches.
 * `writes` are `[type, id, length]`, a length of `null` deletes;
 * `creds` are the fields it changes.
 */
export function batchOf({ seed, heavy = false }, n) {
  const random = makeRandom(Math.imul(seed ^ (n * 0x9e3779b1), 0x85ebca6b))
  const dice = random.next()
  if (dice < 0.12) return { saves: true, creds: { generation: n }, writes: [] }
  const writes = [['marker', 'last', 0]]
  if (dice < 0.14) {
    for (let id = 1; id <= PRE_KEYS; id++) writes.push(['pre-key', String(id), 64])
    return { creds: { nextPreKeyId: n }, writes }
  }
  const chosen = TYPES.filter(() => random.next() < 0.5)
  for (const type of chosen) {
    for (let i = random.below(5); i >= 0; i--) {
      const id = String(random.below(heavy ? 2 : 25))
      if (writes.some(([t, known]) => t === type && known === id)) continue
      writes.push([type, id, random.next() < 0.2 ? null : lengthOf(random, heavy)])
    }
  }
  return { writes }
}

/** The argument of `keys.set` for a batch. */
export function dataOf(n, { writes }) {
  const data = {}
  for (const [type, id, length] of writes) (data[type] ??= {})[id] = length === null ? null : valueOf(type, id, n, length)
  return data
}

/** A state in short: what each key was written by. */
export class Fold {
  n = 0
  creds = { generation: 0, nextPreKeyId: 0 }
  keys = new Map()

  constructor(history) {
    this.history = history
  }

  /** Goes on to the state after batch `n`. */
  upTo(n) {
    while (this.n < n) {
      const { creds, writes } = batchOf(this.history, ++this.n)
      Object.assign(this.creds, creds)
      for (const [type, id, length] of writes) {
        if (length === null) this.keys.delete(`${type}/${id}`)
        else this.keys.set(`${type}/${id}`, [this.n, length])
      }
    }
    return this
  }
}

/** The same short form of what a session holds; a value that no batch wrote shows as `null`. */
export async function foldOf({ state }) {
  const keys = {}
  for (const type of ALL_TYPES) {
    for await (const [id, value] of state.keys.list(type)) {
      const found = writtenBy(type, id, value)
      keys[`${type}/${id}`] = found && [found.n, found.length]
    }
  }
  const { generation, nextPreKeyId } = state.creds
  return { creds: { generation, nextPreKeyId }, keys }
}
