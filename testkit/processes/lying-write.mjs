// A panic in the core, for a child process: a write to the local log that claims too much makes Rust's standard library panic.
//
// Invariant: nothing in the package helps. The child has the addon that is shipped, and the panic is one that a defect could cause.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from './sessions.mjs'

const SOURCE = fileURLToPath(new URL('lying-write.c', import.meta.url))

const compile = (...args) => spawnSync('cc', args, { encoding: 'utf8' })

/** Reason why there is no such thing on this machine, for `skip`; false where there is. */
export const cannotLie =
  process.platform !== 'linux'
    ? 'no library can be put before the C library'
    : compile('--version').status !== 0 && 'there is no C compiler'

/** Environment of a child whose writes lie while there is a file at `switch`. */
export function lyingWrite(t) {
  const folder = temporaryFolder(t, 'lying-write')
  const library = join(folder, 'lying-write.so')
  const { status, stderr } = compile('-shared', '-fPIC', '-o', library, SOURCE, '-ldl')
  if (status !== 0) throw new Error(`the library cannot be compiled: ${stderr}`)
  const path = join(folder, 'lies')
  return { env: { LD_PRELOAD: library, LYING_WRITE: path }, switch: path }
}
