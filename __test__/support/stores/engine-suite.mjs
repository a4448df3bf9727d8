// Which test files are the engine suite: ownership, handover, restore, tombstones and tampering, over any store. They run once
// for each kind of store, with its name in TEST_STORE.
//
// Invariant: every test file in `__test__/engine/` is in the list, so that none can be forgotten.

import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../../engine/', import.meta.url)

/** Paths of the files, sorted. */
export const engineFiles = () =>
  readdirSync(folder).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => fileURLToPath(new URL(name, folder)))
