// The account of what a store has acknowledged: a digest per key, compared with what the store shows after a restart.
//
// Invariant: decryption forgives a store that forgets (a lost receiving step is simply walked again), this ledger does not.
// After a restart each key must show exactly what it showed when the last operation that wrote it was reported, except the
// keys that the one operation cut short by the crash had begun to write: those may show the old or the new value.

import { createHash } from 'node:crypto'

const CREDS = 'creds'
const nameOf = (type, id) => `${type}\n${id}`
const digestOf = (text) => createHash('sha256').update(text).digest('base64').slice(0, 22)

export class LostAcknowledged extends Error {
  constructor(what) {
    super(`the store lost what it had acknowledged: ${what}`)
    this.name = 'LostAcknowledged'
  }
}

/**
 * Wraps an auth state so that every write is announced before it reaches the store.
 * @param {(names: string[], moment: 'before' | 'during' | 'after') => void} onWrite called around each store call
 */
export function watchWrites(auth, onWrite) {
  const around = async (names, call) => {
    onWrite(names, 'before')
    const pending = call()
    onWrite(names, 'during')
    const result = await pending
    onWrite(names, 'after')
    return result
  }
  const set = (data) =>
    around(
      Object.entries(data).flatMap(([type, entries]) => Object.keys(entries ?? {}).map((id) => nameOf(type, id))),
      () => auth.state.keys.set(data)
    )
  return {
    state: { creds: auth.state.creds, keys: { ...auth.state.keys, set } },
    saveCreds: () => around([CREDS], () => auth.saveCreds())
  }
}

/** Digests of what the store shows under these names now. */
export async function inspect(auth, baileys, names) {
  const idsByType = new Map()
  const shown = {}
  for (const name of names) {
    if (name === CREDS) shown[CREDS] = digestOf(canonical(auth.state.creds, baileys))
    else {
      const [type, id] = name.split('\n')
      idsByType.set(type, [...(idsByType.get(type) ?? []), id])
    }
  }
  for (const [type, ids] of idsByType) {
    const values = await auth.state.keys.get(type, ids)
    for (const id of ids) {
      const value = values[id]
      shown[nameOf(type, id)] = value === null || value === undefined ? null : digestOf(JSON.stringify(value, baileys.BufferJSON.replacer))
    }
  }
  return shown
}

/** A store owes nobody the order of the fields of creds. */
function canonical(creds, { BufferJSON }) {
  const plain = JSON.parse(JSON.stringify(creds, BufferJSON.replacer))
  return JSON.stringify(Object.fromEntries(Object.entries(plain).sort(([a], [b]) => (a < b ? -1 : 1))))
}

export class Ledger {
  constructor(entries = []) {
    this.entries = new Map(entries)
  }

  acknowledge(shown) {
    for (const [name, digest] of Object.entries(shown)) this.entries.set(name, digest)
  }

  /**
   * @param {object} shown what the store shows after the restart
   * @param {Set<string>} undecided names that the interrupted operation had begun to write
   */
  settle(shown, undecided) {
    const lost = []
    for (const [name, digest] of this.entries) {
      if (shown[name] !== digest && !undecided.has(name)) lost.push(name.replace('\n', '/'))
    }
    if (lost.length) throw new LostAcknowledged(`${lost.length} of ${this.entries.size} keys, first ${lost.slice(0, 3).join(', ')}`)
    this.acknowledge(shown)
  }

  get names() {
    return [...this.entries.keys()]
  }
}
