// A directory as the bucket, behind the interface that all test stores share.
//
// Invariants: a name is the path of a file below the bucket's folder; the folder itself is made with the bucket, as a user makes it; what `list` shows is everything that lies there, staging files of writers that were killed included.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'

export const kind = 'directory'

const remove = (folder) => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })

/** Answer of `read`, or `otherwise` where there is no such file or folder, or it went while it was read. */
function orElse(otherwise, read) {
  try {
    return read()
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return otherwise
    throw error
  }
}

/** Two folders for buckets: one on the disk, and one in memory, where thousands of opens need not wait for syncs. */
export async function start() {
  const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-buckets-'))
  const quickRoot = existsSync('/dev/shm') ? mkdtempSync(join('/dev/shm', 'hybrid-auth-buckets-')) : root
  const stop = () => [root, quickRoot].forEach(remove)
  process.once('exit', stop)
  return {
    address: { kind, root, quickRoot },
    async stop() {
      process.off('exit', stop)
      stop()
    }
  }
}

/** Paths of files; folders may be links, as `outages.mjs` makes them. */
function filesBelow(folder) {
  const entries = orElse([], () => readdirSync(folder, { recursive: true, withFileTypes: true }))
  return entries.flatMap((entry) => {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    if (entry.isFile()) return [path]
    return entry.isSymbolicLink() ? filesBelow(path) : []
  })
}

class DirectoryBucket {
  constructor(name, folder) {
    Object.assign(this, { name, folder })
    mkdirSync(folder, { recursive: true })
    this.options = { store: pathToFileURL(folder).href }
    this.spec = { kind, path: folder }
  }

  async list() {
    const names = filesBelow(this.folder).map((path) => Buffer.from(relative(this.folder, path).split(sep).join('/')))
    return names.sort(Buffer.compare).map(String)
  }

  async get(name) {
    return orElse(null, () => readFileSync(join(this.folder, name)))
  }

  async put(name, bytes) {
    const path = join(this.folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }

  async delete(names) {
    for (const name of names) rmSync(join(this.folder, name), { force: true })
  }

  async remove() {
    remove(this.folder)
  }
}

/** There is no server and nothing to put a proxy in front of: `endpoint` means nothing here. */
export function connect({ root, quickRoot }) {
  return {
    async makeBucket(name = `bucket-${randomBytes(8).toString('hex')}`, { quick = false } = {}) {
      return new DirectoryBucket(name, join(quick ? quickRoot : root, name))
    }
  }
}
