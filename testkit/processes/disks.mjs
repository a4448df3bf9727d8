// Disks that are full or read-only, by whatever this machine permits.
//
// Invariant: what was mounted is unmounted and what was limited is a child's alone.

import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, rmdirSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd, scratch } from './machines.mjs'

const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })

function works(attempt) {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}

/** True if a small file system can be mounted here; and, where not, whether a process can be limited. */
export const canMount = works(() => {
  const folder = mkdtempSync(join(tmpdir(), 'bha-probe-'))
  try {
    run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder)
    run('umount', folder)
  } finally {
    rmdirSync(folder)
  }
})
export const canLimit = works(() => run('prlimit', '--version'))

/** A disk of `kib` KiB. */
export function smallDisk(t, kib) {
  const folder = join(scratch(t), 'mounted')
  mkdirSync(folder)
  run('mount', '-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder)
  atEnd(t, () => run('umount', folder))
  const filler = join(folder, 'filler')
  return {
    folder,
    /** Leaves about `spare` bytes. */
    fill(spare = 0) {
      const file = openSync(filler, 'w')
      const block = Buffer.alloc(4096)
      const { bavail, bsize } = statfsSync(folder)
      for (let left = bavail * bsize - spare; left > 0; left -= block.length) if (!works(() => writeSync(file, block))) break
      closeSync(file)
    },
    free: () => rmSync(filler),
    readOnly: () => run('mount', '-o', 'remount,ro', folder),
    writable: () => run('mount', '-o', 'remount,rw', folder)
  }
}

/** A folder that is not writable, for who may not mount: such a user is not root, and modes bind it. */
export function lockedFolder(t) {
  const folder = join(scratch(t), 'locked')
  mkdirSync(folder)
  return { folder, readOnly: () => chmodSync(folder, 0o500), writable: () => chmodSync(folder, 0o700) }
}

/** Lets a process write no file beyond `bytes`; `null`: as long as it likes. Its write fails as it does on a full disk. */
export function limitFileSize(pid, bytes) {
  run('prlimit', '--pid', String(pid), `--fsize=${bytes ?? 'unlimited'}:`)
}
