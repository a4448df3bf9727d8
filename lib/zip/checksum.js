'use strict'

// The CRC-32 of zip archives: that of zlib, or our own on a Node that has none (before 20.15 and 22.2).
//
// Invariant: both give the same sum for the same bytes, in one call or in many.

const zlib = require('node:zlib')

const TABLE = new Int32Array(256).map((_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1
  return n
})

/** The sum of `bytes` behind those that gave `sum`. */
function crc32ByTable(bytes, sum = 0) {
  let rest = ~sum
  for (const byte of bytes) rest = TABLE[(rest ^ byte) & 0xff] ^ (rest >>> 8)
  return ~rest >>> 0
}

/** @type {(bytes: Uint8Array, sum?: number) => number} */
const crc32 = /** @type {any} */ (zlib).crc32 ?? crc32ByTable

module.exports = { crc32, crc32ByTable }
