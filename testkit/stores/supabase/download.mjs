// Reading objects: the routes with a token, without one, and by a signed address; ranges, conditions, and what is known of an
// object without reading it.
//
// Invariant: the row is looked up first and the version it names fetched after that, so that a reader who is overtaken in
// between finds nothing there, and is told so in words of its own.

import { setTimeout as sleep } from 'node:timers/promises'
import { json, refuse } from './answers.mjs'
import { may } from './auth.mjs'
import { requireKey } from './objects.mjs'

const httpDate = (time) => new Date(time).toUTCString()
/** Copies have an ETag without quotes in their row; on the wire it has them. */
const quoted = (eTag) => `"${eTag.replaceAll('"', '')}"`

/** `bytes=a-b`, `bytes=a-` and `bytes=-n` as `[first, last]`; `null` when there is nothing of that. */
function rangeOf(header, size) {
  const [, first, last] = header.match(/^bytes=(\d*)-(\d*)$/) ?? []
  if (first === undefined || (first === '' && last === '')) return [0, size - 1]
  if (first === '') return Number(last) === 0 ? null : [Math.max(0, size - Number(last)), size - 1]
  const end = Math.min(last === '' ? size - 1 : Number(last), size - 1)
  return Number(first) > end ? null : [Number(first), end]
}

/** The answer with an object in it. `expires` is for signed addresses, which say that instead of `cache-control`. */
function objectAnswer({ headers, query }, { metadata, version }, expires) {
  const modified = Math.floor(Date.parse(metadata.lastModified) / 1000) * 1000
  const eTag = quoted(metadata.eTag)
  const unless = headers['if-none-match']
  const since = Date.parse(headers['if-modified-since'] ?? '')
  if (unless === undefined ? modified <= since : unless === eTag) return { status: 304, headers: {}, body: Buffer.alloc(0) }
  const answer = {
    status: 200,
    headers: {
      'accept-ranges': 'bytes',
      'content-type': metadata.mimetype,
      etag: eTag,
      'last-modified': httpDate(modified),
      'x-robots-tag': 'none'
    },
    body: version.bytes
  }
  if (expires !== undefined) answer.headers.expires = httpDate(expires)
  // As recorded: who asked with a condition is told more about the cache.
  else answer.headers['cache-control'] = `${metadata.cacheControl}${unless === undefined ? '' : ', stale-while-revalidate=30'}`
  const name = query.get('download')
  if (name !== null) {
    const encoded = encodeURIComponent(name)
    answer.headers['content-disposition'] = name === '' ? 'attachment' : `attachment; filename=${encoded}; filename*=UTF-8''${encoded}`
  }
  if (headers.range !== undefined) {
    const range = rangeOf(headers.range, version.bytes.length) ?? refuse('internal')
    answer.status = 206
    answer.headers['content-range'] = `bytes ${range[0]}-${range[1]}/${version.bytes.length}`
    answer.body = version.bytes.subarray(range[0], range[1] + 1)
  }
  return answer
}

/** Fetches what the row names, through the CDN. `find` is asked only when the CDN has nothing. */
export async function fetchObject(context, bucket, name, find, expires) {
  const { storage, settings, observer } = context
  if (observer) return objectAnswer(context, find(), expires)
  const held = storage.cached(bucket, name)
  if (held) {
    context.traffic.stale = held.stale !== null
    const answer = objectAnswer(context, held, expires)
    return { ...answer, headers: { ...answer.headers, 'cf-cache-status': 'HIT' } }
  }
  if (storage.meetsGap(bucket, name)) refuse('versionGone')
  const { metadata, version } = find()
  await context.pause('download')
  await sleep(settings.of(bucket.id).fetchMs)
  if (version.gone) refuse('versionGone')
  // What was overtaken on its way is answered, but not kept.
  if (bucket.rows.get(name)?.version === version) storage.keepInCache(bucket, name, { metadata, version })
  return objectAnswer(context, { metadata, version }, expires)
}

/** Bucket that a reader reads from: a public one is open to all, and for an anonymous reader the others do not exist. */
function readableBucket(context) {
  const {
    storage,
    role,
    params: [bucketId, name]
  } = context
  requireKey(name)
  const bucket = storage.requireBucket(bucketId)
  if (bucket.public) return bucket
  if (role === null) refuse('bucketMissing')
  return may(context, bucketId, 'select') ? bucket : refuse('objectMissing')
}

export const requireRow = (bucket, name) => bucket.rows.get(name) ?? refuse('objectMissing')

export function download(context) {
  const bucket = readableBucket(context)
  const [, name] = context.params
  return fetchObject(context, bucket, name, () => requireRow(bucket, name))
}

/** From the database only: neither the CDN nor a version that is gone matters. */
export function info(context) {
  const bucket = readableBucket(context)
  const row = requireRow(bucket, context.params[1])
  const { metadata } = row
  const value = {
    id: row.id,
    name: row.name,
    version: row.version.id,
    bucket_id: bucket.id,
    size: metadata.size,
    content_type: metadata.mimetype,
    cache_control: metadata.cacheControl,
    etag: metadata.eTag,
    metadata: row.userMetadata,
    last_modified: metadata.lastModified,
    created_at: new Date(row.createdAt).toISOString()
  }
  const headers = { 'cache-control': metadata.cacheControl, etag: quoted(metadata.eTag), 'last-modified': httpDate(row.updatedAt) }
  return json(value, 200, headers)
}
