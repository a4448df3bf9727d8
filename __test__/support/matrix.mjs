// Many small trials side by side, each with a folder of its own that is laid out anew: for matrices of damage.
//
// Invariant: a trial starts from exactly the files it was given, and leaves no session open behind it.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** How many trials are under way at once. */
const WORKERS = 24

/** The files below `folder`: relative name -> bytes. */
export function filesOf(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(entries.map((entry) => {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    return [relative(folder, path), readFileSync(path)]
  }).sort(([a], [b]) => (a < b ? -1 : 1)))
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

/** Runs `trial(damage, folder)` for every damage, in folders below `root`. */
export async function eachDamage(root, damages, trial) {
  const queue = damages[Symbol.iterator]()
  let count = 0
  const worker = async (_, n) => {
    for (const damage of queue) {
      const folder = join(root, `trial-${n}`)
      await trial(damage, folder)
      count += 1
    }
    rmSync(join(root, `trial-${n}`), { recursive: true, force: true })
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))
  return count
}

/** `bytes` with one bit of the byte at `at` changed; which bit depends on the place. */
export function flipped(bytes, at) {
  const changed = Buffer.from(bytes)
  changed[at] ^= 1 << (at % 8)
  return changed
}

/** How often each answer was given. */
export class Tally {
  counts = {}
  add(answer) { this.counts[answer] = (this.counts[answer] ?? 0) + 1 }
  toString() { return Object.entries(this.counts).sort().map(([answer, n]) => `${answer} ${n}`).join(', ') }
}

/** A state as text, whatever the order of its keys. */
export const canonical = (state) => JSON.stringify(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1)))
