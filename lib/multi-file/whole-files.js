'use strict'

// Keys that were imported under the names of their files, because nobody knows where their type ends and their id begins.
//
// Invariant: as with files, a key is found by `<type>-<id>.json`, whichever way that is cut; what was set since goes before it, and what
// was deleted does not come back. A session without such keys pays one comparison for them.

const { walkIndex } = require('../codec/batch.js')
const { unreadable } = require('../errors.js')
const { FAMILIES, WHOLE, fileName, idIn } = require('./names.js')

/** @param index answers the encoded index of a type */
function createWholeFiles(index) {
  /** Names that may be there: others come with no write, and one that is gone is looked for in vain. */
  const names = new Set(Array.from(walkIndex(index(WHOLE)), ({ id }) => id))

  /** The keys of `data`, with the deletion of what they replace. */
  function replaced(data) {
    const more = Object.create(null)
    for (const [type, records] of Object.entries(data ?? {})) {
      if (type === WHOLE || typeof records !== 'object' || records === null) continue
      for (const id of Object.keys(records)) if (names.has(fileName(type, id))) more[fileName(type, id)] = null
    }
    return Object.keys(more).length === 0 ? data : { ...data, [WHOLE]: { ...more, ...data[WHOLE] } }
  }

  return {
    type: WHOLE,
    isAny: () => names.size > 0,

    /** Fills in what `found` lacks. `look(names)` answers values by name. */
    fill(type, ids, found, look) {
      if (type === WHOLE) return
      const lacking = new Map(ids.filter((id) => found[id] === null && names.has(fileName(type, id))).map((id) => [id, fileName(type, id)]))
      if (lacking.size === 0) return
      const values = look([...lacking.values()])
      for (const [id, name] of lacking) found[id] = values[name]
    },

    replaced(data) {
      try {
        return replaced(data)
      } catch (error) {
        throw unreadable('what was given', error)
      }
    },

    /** The keys of a type that Baileys' list does not know: its name may be the beginning of another one's. */
    of(type) {
      if (FAMILIES.includes(type) || type === WHOLE) return []
      const start = `${type}-`
      return [...names]
        .filter((name) => name.startsWith(start))
        .map((name) => ({ name, id: idIn(type, name.slice(start.length, -'.json'.length)) }))
    }
  }
}

module.exports = { createWholeFiles }
