// Many small trials side by side, each with a folder of its own that is laid out anew: for matrices of damage.
//
// Invariant: a trial starts from exactly the files it was given, and leaves no session open behind it.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** Number of trials under way at once. */
export const WORKERS = 24

/** The files below `folder`: relative name -> bytes. */
export function filesOf(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(
    entries
      .map((entry) => {
        const path = join(entry.parentPath ?? entry.path, entry.name)
        return [relative(folder, path), readFileSync(path)]
      })
      .sort(([a], [b]) => (a < b ? -1 : 1))
  )
}

/** Makes `folder` hold `files` and nothing else. */
export function layOut(folder, files) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [name, bytes] of files) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }
}

/** Runs `trial(damage, place)` for every damage, one at a time in each place; answers how many there were. */
export async function eachIn(places, damages, trial) {
  const queue = damages[Symbol.iterator]()
  let count = 0
  const worker = async (place) => {
    for (const damage of queue) {
      await trial(damage, place)
      count += 1
    }
  }
  // All come to their end, even when one has failed: the next one may want their places.
  const ends = await Promise.allSettled(places.map(worker))
  for (const { reason } of ends) if (reason) throw reason
  return count
}

/** Runs `trial(damage, folder)` for every damage, in folders below `root`. */
export async function eachDamage(root, damages, trial) {
  const folders = Array.from({ length: WORKERS }, (_, n) => join(root, `trial-${n}`))
  const count = await eachIn(folders, damages, trial)
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  return count
}

/** `bytes` with one bit of the byte at `at` changed; which bit depends on the place. */
export function flipped(bytes, at) {
  const changed = Buffer.from(bytes)
  changed[at] ^= 1 << (at % 8)
  return changed
}

/** Times that each answer was given. */
export class Tally {
  counts = {}
  add(answer) {
    this.counts[answer] = (this.counts[answer] ?? 0) + 1
  }
  toString() {
    return Object.entries(this.counts)
      .sort()
      .map(([answer, n]) => `${answer} ${n}`)
      .join(', ')
  }
}

/** A state as text, whatever the order of its keys. */
export const canonical = (state) => JSON.stringify(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1)))
