// The state that the next owner must have, key by key: what the last one showed at the LSN with which the next one opened.
//
// Invariants: every key is accounted for, those whose last writes are lost with the value they had before; only a key that
// somebody had begun to write when its process died, and whose outcome it could not note, may show anything.

import { LostAcknowledged } from '../world/ledger.mjs'

const absent = null

export class Expected {
  /** name -> digest, as of the LSN with which the last owner opened. */
  #shown = new Map()

  get names() {
    return [...this.#shown.keys()]
  }

  /** These names must never show anything: they belong to writes that do not count. */
  mustStayAway(names) {
    for (const name of names) if (!this.#shown.has(name)) this.#shown.set(name, absent)
  }

  /**
   * Goes on to the state at `lsn` of what `life` wrote.
   * @returns {{ lost: Set<string>, open: Set<string> }} names with writes beyond it, and names of which nobody knows
   */
  advance(life, lsn) {
    const [kept, gone] = [life.sets.filter((set) => set.lsn <= lsn), life.sets.filter((set) => set.lsn > lsn)]
    for (const { shown } of kept.sort((a, b) => a.lsn - b.lsn || a.write - b.write)) {
      for (const [name, digest] of Object.entries(shown)) this.#shown.set(name, digest)
    }
    const lost = new Set(gone.flatMap(({ shown }) => Object.keys(shown)))
    // They were not there at `lsn`, unless they are known by now.
    this.mustStayAway(lost)
    const open = new Set(life.undecided.flatMap(({ names }) => names))
    this.mustStayAway(open)
    return { lost, open }
  }

  /** @param {Record<string, string | null>} found what the next owner shows @param {Set<string>} open */
  compare(found, open, who) {
    const wrong = [...this.#shown].filter(([name, digest]) => found[name] !== digest && !open.has(name))
    if (wrong.length > 0) {
      const some = wrong
        .slice(0, 3)
        .map(([name]) => name.replace('\n', '/'))
        .join(', ')
      throw new LostAcknowledged(`${who} shows something else for ${wrong.length} of ${this.#shown.size} keys, first ${some}`)
    }
    for (const name of open) this.#shown.set(name, found[name])
  }
}
