// Endings of a test, and folders that are gone then.
//
// Invariant: everything that was registered is done, in the opposite order, whatever the test did and whatever fails on the
// way: a child must be gone before its folder goes, and a session must be closed before its bucket goes.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const endings = new WeakMap()

/** Does `work` when the test ends, the last thing registered first. */
export function atEnd(t, work) {
  if (!endings.has(t)) {
    endings.set(t, [])
    t.after(async () => {
      const failures = []
      for (const ending of endings.get(t).reverse()) {
        try {
          await ending()
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw failures[0]
    })
  }
  endings.get(t).push(work)
}

/** A folder that is removed when the test ends. `quick` prefers memory: for thousands of opens, each of which syncs. */
export function scratch(t, { quick = false } = {}) {
  const root = quick && existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const folder = mkdtempSync(join(root, 'bha-'))
  atEnd(t, () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}
