// Contents of the server: buckets, the rows of the database, and the versions that the rows name.
//
// Invariants: a change is one step, which nothing comes between; whether it may be made is asked before, and not again. So of
// two uploads that both found nothing, both succeed, and the later one is what is stored. A row keeps its id through every
// overwrite and move; every change gives it a new version.

import { createHash, randomUUID } from 'node:crypto'
import { refuse } from './answers.mjs'

const KEY = /^(\w|\/|!|-|\.|\*|'|\(|\)| |&|\$|@|=|;|:|\+|,|\?)+$/
const BUCKET = /^(\w|!|-|\.|\*|'|\(|\)| |&|\$|@|=|;|:|\+|,|\?){1,63}$/
/** Text that the server puts before a name and after it (`/` and a UUID) in its own store, whose names end at 1024 bytes. */
const OVERHEAD = 'stub/dummyproject/'.length + 1 + 1 + 36
const LONGEST = 1024

export function requireKey(name) {
  if (!KEY.test(name)) refuse('invalidKey', name)
}

/** Names that only the store behind the server refuses, when the object gets there. */
export function requireStorable(bucket, name) {
  if (name.split('/').some((segment) => segment === '.' || segment === '..')) refuse('dotSegment')
  if (OVERHEAD + bucket.id.length + name.length > LONGEST) refuse('keyTooLong')
}

/** One version of an object; `gone` once the store behind the server has it no more. */
class Version {
  id = randomUUID()
  gone = false

  constructor(bytes) {
    this.bytes = bytes
  }
}

function metadataOf(bytes, { mimetype, cacheControl }, now) {
  return {
    eTag: `"${createHash('md5').update(bytes).digest('hex')}"`,
    size: bytes.length,
    mimetype,
    cacheControl,
    lastModified: new Date(now).toISOString(),
    contentLength: bytes.length,
    httpStatusCode: 200
  }
}

class Bucket {
  rows = new Map()
  /** name: how many more readers are told that its version is gone. */
  transients = new Map()
  /** name: what the CDN has of it, `{ metadata, version, stale: null | { reads } | { until } }`. */
  cache = new Map()
  emptyAt = Infinity

  constructor(values, now) {
    Object.assign(this, values, { createdAt: now, updatedAt: now })
  }

  get row() {
    const { id, name, file_size_limit, allowed_mime_types } = this
    const times = { created_at: new Date(this.createdAt).toISOString(), updated_at: new Date(this.updatedAt).toISOString() }
    return { id, name, owner: '', public: this.public, file_size_limit, allowed_mime_types, ...times }
  }
}

export class Storage {
  #buckets = new Map()
  #settings
  #sequence = 0

  constructor(settings) {
    this.#settings = settings
  }

  now(bucket) {
    return Date.now() + this.#settings.of(bucket).clockOffsetMs
  }

  // Buckets

  get buckets() {
    return [...this.#buckets.values()]
  }

  findBucket(id) {
    const bucket = this.#buckets.get(id)
    if (bucket && Date.now() >= bucket.emptyAt) {
      this.empty(bucket)
      bucket.emptyAt = Infinity
    }
    return bucket
  }

  requireBucket(id) {
    return this.findBucket(id) ?? refuse('bucketMissing')
  }

  createBucket({ id, name, file_size_limit = null, allowed_mime_types = null, ...rest }) {
    if (!BUCKET.test(id)) refuse('bucketName')
    if (this.#buckets.has(id)) refuse('bucketExists')
    this.#buckets.set(id, new Bucket({ id, name, public: rest.public === true, file_size_limit, allowed_mime_types }, this.now(id)))
  }

  changeBucket(id, values) {
    const bucket = this.requireBucket(id)
    for (const name of ['public', 'file_size_limit', 'allowed_mime_types']) if (values[name] !== undefined) bucket[name] = values[name]
    bucket.updatedAt = this.now(id)
  }

  empty(bucket) {
    for (const name of [...bucket.rows.keys()]) this.remove(bucket, name)
  }

  deleteBucket(id) {
    const bucket = this.requireBucket(id)
    if (bucket.rows.size > 0) refuse('bucketNotEmpty')
    this.#buckets.delete(id)
  }

  // Objects: one step each

  /** Stores an object under its name, whatever is there: the check for a duplicate was before. */
  commit(bucket, name, bytes, { mimetype, cacheControl, userMetadata = {} }) {
    // The bucket may have been deleted while the object was on its way.
    if (this.#buckets.get(bucket.id) !== bucket) refuse('relatedMissing')
    const now = this.now(bucket.id)
    const old = bucket.rows.get(name)
    const row = old ?? { id: randomUUID(), bucket, name, createdAt: now, sequence: this.#sequence++ }
    const replaced = old?.version
    Object.assign(row, {
      updatedAt: now,
      version: new Version(bytes),
      metadata: metadataOf(bytes, { mimetype, cacheControl }, now),
      userMetadata
    })
    bucket.rows.set(name, row)
    if (replaced) this.#changed(bucket, name, replaced, !this.#settings.of(bucket.id).queue)
    return row
  }

  /** Takes an object away; answers its row to exactly one of those who ask. */
  remove(bucket, name) {
    const row = bucket.rows.get(name)
    if (row) {
      bucket.rows.delete(name)
      this.#changed(bucket, name, row.version, true)
    }
    return row
  }

  /** Gives a row another name; a name that is taken is refused, and the row keeps its own. */
  move(bucket, name, toBucket, toName) {
    const row = bucket.rows.get(name) ?? refuse('objectMissing')
    if (bucket === toBucket && name === toName) return row
    if (toBucket.rows.has(toName)) refuse('destinationExists')
    const { version } = row
    bucket.rows.delete(name)
    row.version = new Version(version.bytes)
    Object.assign(row, { bucket: toBucket, name: toName, updatedAt: this.now(toBucket.id) })
    toBucket.rows.set(toName, row)
    this.#changed(bucket, name, version, !this.#settings.of(bucket.id).queue)
    return row
  }

  /** Ends readers when a version is not the one of its name any more. */
  #changed(bucket, name, version, gone) {
    version.gone = gone
    const { transient404, cdn } = this.#settings.of(bucket.id)
    if (transient404 > 0) bucket.transients.set(name, transient404)
    const cached = bucket.cache.get(name)
    if (!cached || cached.stale) return
    if (cdn === null) bucket.cache.delete(name)
    else cached.stale = cdn.reads === undefined ? { until: Date.now() + cdn.ms } : { reads: cdn.reads }
  }

  // Readers

  /** True if this reader of the name is to be told that the version is gone. */
  meetsGap(bucket, name) {
    const left = bucket.transients.get(name) ?? 0
    if (left > 1) bucket.transients.set(name, left - 1)
    else bucket.transients.delete(name)
    return left > 0
  }

  /** Copy of a name in the CDN, if it still answers with that. */
  cached(bucket, name) {
    if (this.#settings.of(bucket.id).cdn === null) return undefined
    const held = bucket.cache.get(name)
    if (!held) return undefined
    const over = held.stale && (held.stale.reads === undefined ? Date.now() >= held.stale.until : held.stale.reads-- <= 0)
    if (!over) return held
    bucket.cache.delete(name)
    return undefined
  }

  keepInCache(bucket, name, { metadata, version }) {
    if (this.#settings.of(bucket.id).cdn !== null) bucket.cache.set(name, { metadata, version, stale: null })
  }
}
