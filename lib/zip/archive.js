'use strict'

// Zip archives as RemoteAuth writes and reads them: checked reading, and writing.
//
// Invariants: nothing of an archive counts before its directory is whole and sane; an entry counts when its size and its checksum are
// right, and no entry leaves the folder that it is extracted to. Memory is bounded by one chunk and the directory, whatever the archive
// claims. A damaged archive is one code, a dangerous one INVALID_OPTION, so that the two are not mistaken for each other.

const { open, mkdir, rename, rm } = require('node:fs/promises')
const { dirname, join } = require('node:path')
const { pipeline } = require('node:stream/promises')
const zlib = require('node:zlib')
const { HybridAuthError } = require('../errors.js')
const { syncFolder } = require('../folders.js')
const { parseDirectory, readAt, readTail } = require('./directory.js')
const { crc32 } = require('./checksum.js')
const { localHeader, directoryRecord, endRecords } = require('./records.js')

/** Most bytes that an archive may hold when it is extracted, unless the caller says otherwise. */
const MOST_BYTES = 16 * 2 ** 30

/** Level of compression: profiles hold tables that are compressed already. */
const LEVEL = 3

/** Codes of the operating system that mean that an archive is damaged, rather than that the disk refuses. */
const DAMAGED = /^Z_/

/** Bytes that are read at once. */
const CHUNK = 256 * 1024

/** The bytes of a file from `at` on, in chunks. */
async function* chunksOf(file, at, length, fail) {
  for (let done = 0; done < length; done += CHUNK) yield await readAt(file, at + done, Math.min(CHUNK, length - done), fail)
}

/** Passes chunks through, and fails as soon as there are more bytes than the directory promised, or the wrong ones at the end. */
async function* checked(chunks, entry, fail) {
  let [size, sum] = [0, 0]
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > entry.size) fail('an entry is larger than its directory says')
    sum = crc32(chunk, sum)
    yield chunk
  }
  if (size !== entry.size) fail('an entry is shorter than its directory says')
  if (sum !== entry.sum) fail('the checksum of an entry is wrong')
}

/**
 * An archive whose directory was checked: `{ entries, modified, bytes, extract(folder), verify(), close() }`.
 * @param {string} path
 * @param {{ code?: string, maxBytes?: number }} [options] `code`: that of a damaged archive
 */
async function openZip(path, { code = 'LOCAL_CORRUPT', maxBytes = MOST_BYTES } = {}) {
  const fail = (/** @type {string} */ why) => {
    throw new HybridAuthError(code, `the zip archive is damaged: ${why}`)
  }
  const refuse = (/** @type {string} */ why) => {
    throw new HybridAuthError('INVALID_OPTION', `the zip archive is rejected: ${why}`)
  }
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const tail = await readTail(file, size, { fail, refuse })
    const entries = await parseDirectory(file, tail, { fail, refuse })
    const bytes = entries.reduce((sum, entry) => sum + entry.size, 0)
    if (bytes > maxBytes) refuse(`it holds more than ${maxBytes} bytes`)
    return createArchive(file, entries, bytes, fail)
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Sends the bytes of an entry to `sink`. */
async function readEntry(file, entry, fail, sink) {
  const raw = chunksOf(file, entry.at, entry.stored, fail)
  const inflate = entry.isDeflated ? zlib.createInflateRaw() : null
  try {
    await pipeline([raw, ...(inflate === null ? [] : [inflate]), (chunks) => checked(chunks, entry, fail), sink])
  } catch (error) {
    if (DAMAGED.test(error.code ?? '')) fail('an entry cannot be decompressed')
    throw error
  }
  // Bytes behind the end of a deflated stream are nobody's.
  if (inflate !== null && inflate.bytesWritten !== entry.stored) fail('an entry is longer than its contents')
}

/** Writes the bytes of an entry to the new file `target`. */
async function extractEntry(target, read) {
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  const out = await open(target, 'wx', 0o600)
  try {
    await read(async (chunks) => {
      for await (const chunk of chunks) await writeAll(out, chunk)
    })
  } finally {
    await out.close()
  }
}

function createArchive(file, entries, bytes, fail) {
  const files = entries.filter(({ isFolder }) => !isFolder)
  const read = (entry, sink) => readEntry(file, entry, fail, sink)

  return {
    entries: files.map(({ path, size }) => ({ path, size })),
    /** Date of the newest file: of two archives, the larger number is the later one. */
    modified: files.reduce((newest, entry) => Math.max(newest, entry.modified), 0),
    bytes,

    /** Reads all entries, and rejects if one of them is damaged. */
    async verify() {
      for (const entry of files) {
        await read(entry, async (chunks) => {
          for await (const _ of chunks);
        })
      }
    },

    /** Extracts all entries to `folder`, which must not exist; nothing of it is left if one of them is damaged. */
    async extract(folder) {
      const at = ({ path }) => join(folder, ...path.split('/'))
      await mkdir(folder, { mode: 0o700 })
      try {
        for (const entry of files) await extractEntry(at(entry), (sink) => read(entry, sink))
        for (const entry of entries.filter(({ isFolder }) => isFolder)) await mkdir(at(entry), { recursive: true, mode: 0o700 })
      } catch (error) {
        await rm(folder, { recursive: true, force: true })
        throw error
      }
    },

    close: () => file.close()
  }
}

/** Writes all of a chunk: one call may take less. Without a position, behind what was written last. */
async function writeAll(file, chunk, position = null) {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position === null ? null : position + done)
    done += bytesWritten
  }
}

const changed = () => {
  throw new HybridAuthError('INTERNAL', 'a file was cut short while it was written to a zip archive')
}

/** Adds a file to an archive that is being written at `at`; answers its record and the end. */
async function append(file, at, { path, source }) {
  const from = await open(source, 'r')
  try {
    const { size: expected } = await from.stat()
    // With room for the larger form, since a compressed stream may be longer than its source.
    const isLarge = expected > 0xf0000000
    const entry = { path, size: 0, stored: 0, sum: 0, at, isDeflated: expected > 0, isLarge }
    const start = at + localHeader(entry).length
    let end = start
    if (expected > 0) {
      const counted = async function* (chunks) {
        for await (const chunk of chunks) {
          entry.size += chunk.length
          entry.sum = crc32(chunk, entry.sum)
          yield chunk
        }
      }
      await pipeline(chunksOf(from, 0, expected, changed), counted, zlib.createDeflateRaw({ level: LEVEL }), async (deflated) => {
        for await (const chunk of deflated) {
          await writeAll(file, chunk, end)
          end += chunk.length
        }
      })
    }
    entry.stored = end - start
    await writeAll(file, localHeader(entry), at)
    return { entry, end }
  } finally {
    await from.close()
  }
}

/**
 * Writes an archive of files to `path`. It is there whole, or not at all.
 * @param {string} path
 * @param {Array<{ path: string, source: string }>} files names in the archive, with `/`, and where their bytes are
 */
async function writeZip(path, files) {
  const part = `${path}.part`
  const file = await open(part, 'w', 0o600)
  try {
    const written = []
    let at = 0
    for (const one of files) {
      const { entry, end } = await append(file, at, one)
      written.push(entry)
      at = end
    }
    const start = at
    for (const entry of written) {
      const record = directoryRecord(entry)
      await writeAll(file, record, at)
      at += record.length
    }
    await writeAll(file, endRecords({ count: written.length, start, size: at - start }), at)
    await file.sync()
    await file.close()
    await rename(part, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await file.close().catch(() => {})
    await rm(part, { force: true }).catch(() => {})
    throw error
  }
}

module.exports = { openZip, writeZip }
