'use strict'

// The files, or the records, that were read of one session: how many, how large, and a digest of them all.
//
// Invariants: the digest is by name and content alone, and not by the order of reading; two that mean one key are an error, and neither is
// preferred.

const { createHash } = require('node:crypto')
const { HybridAuthError } = require('../errors.js')

class Taken {
  #hashes = new Map()
  /** Bytes that were read. */
  bytes = 0

  /** Number of files. */
  get files() {
    return this.#hashes.size
  }

  /**
   * @param {string} name
   * @param {Buffer} read
   */
  add(name, read) {
    this.#hashes.set(name, createHash('sha256').update(read).digest())
    this.bytes += read.length
  }

  /** The digest, in hex digits. */
  digest() {
    const digest = createHash('sha256')
    for (const [name, hash] of [...this.#hashes].sort(([a], [b]) => (a < b ? -1 : 1)))
      digest
        .update(`${Buffer.byteLength(name)}:`)
        .update(name)
        .update(hash)
    return digest.digest('hex')
  }
}

/** `entries`, unless two of the `things` mean one key: names are made in different ways, and stores have changed theirs. */
function unique(entries, things) {
  const seen = new Set()
  for (const { type, id } of entries) {
    const key = `${type}\0${id}`
    if (seen.has(key))
      throw new HybridAuthError('INVALID_OPTION', `two ${things} hold the same "${type}" key: remove the one that is not used`)
    seen.add(key)
  }
  return entries
}

module.exports = { Taken, unique }
