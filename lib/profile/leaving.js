'use strict'

// Removal of the folders of deleted profiles, in the background.
//
// Invariants: no file goes while the browser runs on it; an open of the same folder waits for its removal, or is an error, unless the
// browser keeps it. A removal keeps no process alive.

const { HybridAuthError } = require('../errors.js')

/** Pause between two looks at a browser. */
const PAUSE_MS = 200
/** Longest wait of an open for a browser that is about to end. */
const LONGEST_WAIT_MS = 10_000

/** path -> its removal */
const leaving = new Map()

/**
 * Removes a folder as soon as no browser is in it. Answers false if it could not be removed.
 * @param {{ path: string, remove: () => Promise<boolean> }} folder
 * @param {() => boolean} isInUse
 */
function leave(folder, isInUse) {
  const removal = { isInUse, isStayed: false, over: Promise.resolve(true) }
  removal.over = (async () => {
    while (isInUse() && !removal.isStayed) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref())
    return removal.isStayed || folder.remove()
  })().finally(() => {
    if (leaving.get(folder.path) === removal) leaving.delete(folder.path)
  })
  leaving.set(folder.path, removal)
  return removal.over
}

/** Waits for the removal of a folder; with `isKept`, the browser on it keeps it, and it is not removed. */
async function stay(path, isKept) {
  const removal = leaving.get(path)
  if (removal === undefined) return
  if (isKept && removal.isInUse()) {
    removal.isStayed = true
    return
  }
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(() => resolve('late'), LONGEST_WAIT_MS)))
  const came = await Promise.race([removal.over, late]).finally(() => clearTimeout(timer))
  if (came === 'late' && removal.isInUse())
    throw new HybridAuthError('ALREADY_OPEN', 'the browser of the deleted profile is still running: close it first')
  await removal.over
}

module.exports = { leave, stay }
