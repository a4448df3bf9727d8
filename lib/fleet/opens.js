'use strict'

// The sessions of one tenant in a fleet.
//
// Invariant: the newest one is kept; an older one only while somebody else holds it, so that opening anew for each socket costs nothing.

/** Sessions of a tenant that were opened here and not closed. */
class Opens {
  newest = null
  #older = []

  add(session) {
    if (this.newest !== null) this.#older = [...this.#older, new WeakRef(this.newest)].filter((ref) => ref.deref() !== undefined)
    this.newest = session
  }

  remove(session) {
    const left = this.all().filter((other) => other !== session)
    this.newest = left.pop() ?? null
    this.#older = left.map((other) => new WeakRef(other))
  }

  all() {
    const older = this.#older.map((ref) => ref.deref()).filter((session) => session !== undefined)
    return this.newest === null ? older : [...older, this.newest]
  }
}

module.exports = { Opens }
