'use strict'

// The records of a zip archive that is written: headers of entries, the directory, and its end.
//
// Invariants: numbers that do not fit are in the zip64 form, and no others are; names are UTF-8 and say so; sizes stand before the bytes
// that they count, so that a reader that streams needs no look ahead. The same files give the same archive.

const UTF8 = 1 << 11
const [STORED, DEFLATED] = [0, 8]
/** Versions of the format: with deflate, and with zip64. */
const [PLAIN, LARGE] = [20, 45]
const ON_UNIX = 3 << 8
/** A file that only its owner can read. */
const MODE = (0o100600 << 16) >>> 0
/** The first day that the format knows. */
const DATE = (1 << 5) | 1
const [MOST_16, MOST_32] = [0xffff, 0xffffffff]

/** Numbers of 8 bytes behind the id of the zip64 field. */
function largeField(numbers) {
  if (numbers.length === 0) return Buffer.alloc(0)
  const field = Buffer.alloc(4 + 8 * numbers.length)
  field.writeUInt16LE(1, 0)
  field.writeUInt16LE(8 * numbers.length, 2)
  numbers.forEach((number, n) => field.writeBigUInt64LE(BigInt(number), 4 + 8 * n))
  return field
}

/** The header before the bytes of an entry; its length depends on nothing but the path and `isLarge`. */
function localHeader({ path, size, stored, sum, isDeflated, isLarge }) {
  const name = Buffer.from(path)
  const extra = largeField(isLarge ? [size, stored] : [])
  const header = Buffer.alloc(30)
  header.writeUInt32LE(0x04034b50, 0)
  header.writeUInt16LE(isLarge ? LARGE : PLAIN, 4)
  header.writeUInt16LE(UTF8, 6)
  header.writeUInt16LE(isDeflated ? DEFLATED : STORED, 8)
  header.writeUInt16LE(DATE, 12)
  header.writeUInt32LE(sum, 14)
  header.writeUInt32LE(isLarge ? MOST_32 : stored, 18)
  header.writeUInt32LE(isLarge ? MOST_32 : size, 22)
  header.writeUInt16LE(name.length, 26)
  header.writeUInt16LE(extra.length, 28)
  return Buffer.concat([header, name, extra])
}

/** The record of an entry in the directory. */
function directoryRecord({ path, size, stored, sum, at, isDeflated, isLarge }) {
  const name = Buffer.from(path)
  const isFar = at >= MOST_32
  const extra = largeField([...(isLarge ? [size, stored] : []), ...(isFar ? [at] : [])])
  const record = Buffer.alloc(46)
  record.writeUInt32LE(0x02014b50, 0)
  record.writeUInt16LE(ON_UNIX | LARGE, 4)
  record.writeUInt16LE(isLarge || isFar ? LARGE : PLAIN, 6)
  record.writeUInt16LE(UTF8, 8)
  record.writeUInt16LE(isDeflated ? DEFLATED : STORED, 10)
  record.writeUInt16LE(DATE, 14)
  record.writeUInt32LE(sum, 16)
  record.writeUInt32LE(isLarge ? MOST_32 : stored, 20)
  record.writeUInt32LE(isLarge ? MOST_32 : size, 24)
  record.writeUInt16LE(name.length, 28)
  record.writeUInt16LE(extra.length, 30)
  record.writeUInt32LE(MODE, 38)
  record.writeUInt32LE(isFar ? MOST_32 : at, 42)
  return Buffer.concat([record, name, extra])
}

/** The end of an archive whose directory of `count` records begins at `start`. */
function endRecords({ count, start, size }) {
  const isLarge = count >= MOST_16 || start >= MOST_32 || size >= MOST_32
  const large = Buffer.alloc(isLarge ? 76 : 0)
  if (isLarge) {
    large.writeUInt32LE(0x06064b50, 0)
    large.writeBigUInt64LE(44n, 4)
    large.writeUInt16LE(ON_UNIX | LARGE, 12)
    large.writeUInt16LE(LARGE, 14)
    large.writeBigUInt64LE(BigInt(count), 24)
    large.writeBigUInt64LE(BigInt(count), 32)
    large.writeBigUInt64LE(BigInt(size), 40)
    large.writeBigUInt64LE(BigInt(start), 48)
    large.writeUInt32LE(0x07064b50, 56)
    large.writeBigUInt64LE(BigInt(start + size), 64)
    large.writeUInt32LE(1, 72)
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(Math.min(count, MOST_16), 8)
  end.writeUInt16LE(Math.min(count, MOST_16), 10)
  end.writeUInt32LE(Math.min(size, MOST_32), 12)
  end.writeUInt32LE(Math.min(start, MOST_32), 16)
  return Buffer.concat([large, end])
}

module.exports = { UTF8, localHeader, directoryRecord, endRecords }
