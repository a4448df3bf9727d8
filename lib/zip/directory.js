'use strict'

// The directory of a zip archive: found from the end, and checked against the headers of the entries.
//
// Invariants: every number is checked before anything is read or allocated by it; entries do not overlap, so that no archive is larger
// inside than its bytes can make it; a name is that of a file below a folder on every system, and no two are the same on any.

const { UTF8 } = require('./records.js')

const END_BYTES = 22
const LOCATOR_BYTES = 20
const LARGE_END_BYTES = 56
/** Largest comment behind the end. */
const COMMENT_BYTES = 0xffff
/** Bounds of memory: bytes of the directory, and names in it. */
const DIRECTORY_BYTES = 256 * 2 ** 20
const MOST_ENTRIES = 1_000_000
const [MOST_16, MOST_32] = [0xffff, 0xffffffff]
/** Most bytes that one byte of deflate can stand for. */
const MOST_RATIO = 1032

const [ENCRYPTED, DESCRIPTOR, STRONG, MASKED] = [1, 1 << 3, 1 << 6, 1 << 13]
const [UNIX, MACOS] = [3, 19]
const [KIND, FILE, FOLDER] = [0o170000, 0o100000, 0o040000]

async function readAt(file, position, length, fail) {
  const buffer = Buffer.alloc(length)
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) fail('it is shorter than its directory says')
    done += bytesRead
  }
  return buffer
}

/** A number of 8 bytes, if it can be one of a file. */
function large(buffer, at, fail) {
  const number = buffer.readBigUInt64LE(at)
  return number > BigInt(Number.MAX_SAFE_INTEGER) ? fail('a number in it is too large') : Number(number)
}

/** Place and length of the directory. */
async function readTail(file, size, { fail, refuse }) {
  const length = Math.min(size, END_BYTES + COMMENT_BYTES)
  const tail = await readAt(file, size - length, length, fail)
  let at = length - END_BYTES
  const isEnd = () => tail.readUInt32LE(at) === 0x06054b50 && at + END_BYTES + tail.readUInt16LE(at + 20) === length
  while (at >= 0 && !isEnd()) at--
  if (at < 0) fail('it has no end')
  const end = size - length + at
  const small = { count: tail.readUInt16LE(at + 10), size: tail.readUInt32LE(at + 12), start: tail.readUInt32LE(at + 16) }
  if (tail.readUInt16LE(at + 4) !== 0 || tail.readUInt16LE(at + 6) !== 0 || tail.readUInt16LE(at + 8) !== small.count)
    refuse('it is one of several volumes')
  const isLarge = small.count === MOST_16 || small.size === MOST_32 || small.start === MOST_32
  const found = isLarge ? await readLarge(file, end, small, fail) : { ...small, until: end }
  if (found.start + found.size !== found.until) fail('its directory is not where its end says')
  if (found.count > MOST_ENTRIES || found.size > DIRECTORY_BYTES) refuse('it has too many entries')
  return found
}

/** The same in the zip64 form. */
async function readLarge(file, end, small, fail) {
  const locatorAt = end - LOCATOR_BYTES
  if (locatorAt < LARGE_END_BYTES) fail('its zip64 end is missing')
  const locator = await readAt(file, locatorAt, LOCATOR_BYTES, fail)
  const until = large(locator, 8, fail)
  if (locator.readUInt32LE(0) !== 0x07064b50 || locator.readUInt32LE(4) !== 0 || locator.readUInt32LE(16) > 1)
    fail('its zip64 end is missing')
  if (until + LARGE_END_BYTES > locatorAt) fail('its zip64 end is not where it says')
  const record = await readAt(file, until, LARGE_END_BYTES, fail)
  if (record.readUInt32LE(0) !== 0x06064b50 || until + 12 + large(record, 4, fail) !== locatorAt) fail('its zip64 end is not where it says')
  if (record.readUInt32LE(16) !== 0 || record.readUInt32LE(20) !== 0) fail('it is one of several volumes')
  const found = { count: large(record, 32, fail), size: large(record, 40, fail), start: large(record, 48, fail), until }
  if (large(record, 24, fail) !== found.count) fail('it is one of several volumes')
  const most = { count: MOST_16, size: MOST_32, start: MOST_32 }
  for (const name of Object.keys(most))
    if (small[name] !== most[name] && small[name] !== found[name]) fail('its two ends contradict each other')
  return found
}

/** The numbers of the zip64 field, for those of `wanted` that the record leaves to it. */
function largeNumbers(extra, wanted, fail) {
  if (wanted.length === 0) return {}
  for (let at = 0; at + 4 <= extra.length;) {
    const [id, length] = [extra.readUInt16LE(at), extra.readUInt16LE(at + 2)]
    if (at + 4 + length > extra.length) break
    if (id === 1) {
      if (length < 8 * wanted.length) break
      return Object.fromEntries(wanted.map((name, n) => [name, large(extra, at + 4 + 8 * n, fail)]))
    }
    at += 4 + length
  }
  return fail('the size of an entry is missing')
}

/** The name of an entry as the path that it is. */
function pathOf(bytes, isUtf8, { fail, refuse }) {
  const text = bytes.toString('utf8')
  if (!Buffer.from(text).equals(bytes)) (isUtf8 ? fail : refuse)('a name is not UTF-8')
  if (/[\\:\p{Cc}]/u.test(text)) refuse('a name contains a backslash, a colon or a control character')
  const path = text.endsWith('/') ? text.slice(0, -1) : text
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) refuse('a name leads out of the archive')
  return { path, isFolder: path !== text }
}

/** Refuses two entries of one name, and a file in the place of a folder, by the rules of the system that allows the least. */
function checkNames(entries, { refuse }) {
  const keyOf = (path) => path.normalize('NFC').toLowerCase()
  const seen = new Map(entries.map(({ path, isFolder }) => [keyOf(path), isFolder]))
  if (seen.size !== entries.length) refuse('it has two entries of one name')
  for (const { path } of entries) {
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      if (seen.get(keyOf(path.slice(0, at))) === false) refuse('a file in it has the name of a folder')
    }
  }
}

/** One record of the directory. */
function recordAt(buffer, at, { fail, refuse }) {
  if (at + 46 > buffer.length || buffer.readUInt32LE(at) !== 0x02014b50) fail('its directory is cut short')
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((n) => buffer.readUInt16LE(at + n))
  const next = at + 46 + nameLength + extraLength + commentLength
  if (next > buffer.length) fail('its directory is cut short')
  const name = buffer.subarray(at + 46, at + 46 + nameLength)
  const extra = buffer.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength)
  const [system, flags, method] = [buffer.readUInt8(at + 5), buffer.readUInt16LE(at + 8), buffer.readUInt16LE(at + 10)]
  if (flags & (ENCRYPTED | STRONG | MASKED)) refuse('it is encrypted')
  if (method !== 0 && method !== 8) refuse('it is compressed by another method than deflate')
  if (buffer.readUInt16LE(at + 34) !== 0) refuse('it is one of several volumes')
  const small = { size: buffer.readUInt32LE(at + 24), stored: buffer.readUInt32LE(at + 20), header: buffer.readUInt32LE(at + 42) }
  const wanted = Object.keys(small).filter((field) => small[field] === MOST_32)
  const entry = {
    ...pathOf(name, (flags & UTF8) !== 0, { fail, refuse }),
    name,
    ...small,
    ...largeNumbers(extra, wanted, fail),
    sum: buffer.readUInt32LE(at + 16),
    isDeflated: method === 8,
    /** Date and time of the file, as one number that grows with them. */
    modified: buffer.readUInt32LE(at + 12),
    hasDescriptor: (flags & DESCRIPTOR) !== 0,
    at: 0
  }
  const kind = [UNIX, MACOS].includes(system) ? (buffer.readUInt32LE(at + 38) >>> 16) & KIND : 0
  if (kind !== 0 && kind !== (entry.isFolder ? FOLDER : FILE)) refuse('an entry is a symbolic link or a device')
  if (entry.isFolder && entry.size !== 0) refuse('a folder in it has contents')
  if (!entry.isDeflated && entry.size !== entry.stored) fail('an entry has two sizes')
  if (entry.size > entry.stored * MOST_RATIO) refuse('an entry is larger than its bytes can make it')
  return { entry, next }
}

/** Compares the header of an entry with its record, and finds where its bytes begin. */
async function locate(file, entry, until, fail) {
  if (entry.header + 30 + entry.name.length + entry.stored > until) fail('an entry starts after the directory')
  const header = await readAt(file, entry.header, 30 + entry.name.length, fail)
  const [flags, method, extraLength] = [header.readUInt16LE(6), header.readUInt16LE(8), header.readUInt16LE(28)]
  const isSame =
    header.readUInt32LE(0) === 0x04034b50 && header.readUInt16LE(26) === entry.name.length && header.subarray(30).equals(entry.name)
  if (!isSame || (method === 8) !== entry.isDeflated || method % 8 !== 0 || ((flags & DESCRIPTOR) !== 0) !== entry.hasDescriptor)
    fail('an entry is not the one of its directory')
  if (flags & (ENCRYPTED | STRONG | MASKED)) fail('an entry is not the one of its directory')
  entry.at = entry.header + header.length + extraLength
  entry.end = entry.at + entry.stored
  if (entry.end > until) fail('an entry starts after the directory')
  if (entry.hasDescriptor) return
  const found = { sum: header.readUInt32LE(14), stored: header.readUInt32LE(18), size: header.readUInt32LE(22) }
  if (found.sum !== entry.sum) fail('an entry has two checksums')
  if ((found.stored !== entry.stored && found.stored !== MOST_32) || (found.size !== entry.size && found.size !== MOST_32))
    fail('an entry has two sizes')
}

/** The entries of an archive, in the order of their bytes. */
async function parseDirectory(file, { start, size, count }, { fail, refuse }) {
  const buffer = await readAt(file, start, size, fail)
  const entries = []
  let at = 0
  for (let n = 0; n < count; n++) {
    const { entry, next } = recordAt(buffer, at, { fail, refuse })
    entries.push(entry)
    at = next
  }
  if (at !== buffer.length) fail('its directory holds more than its end says')
  checkNames(entries, { refuse })
  entries.sort((a, b) => a.header - b.header)
  let end = 0
  for (const entry of entries) {
    if (entry.header < end) refuse('its entries overlap')
    await locate(file, entry, start, fail)
    end = entry.end
  }
  return entries
}

module.exports = { readTail, parseDirectory, readAt }
