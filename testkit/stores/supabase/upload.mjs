// Storing objects: uploads, and the copies that the server makes itself.
//
// Invariant: the check for a duplicate is before the object is stored, the commit after it replaces whatever is there by then.
// So these are no atomic creates, and several of them win.

import { setTimeout as sleep } from 'node:timers/promises'
import { refuse } from './answers.mjs'
import { requireWrite, visibleRow } from './auth.mjs'
import { isForm, objectIn, readAll } from './body.mjs'
import { wholeRow } from './list.mjs'
import { requireKey, requireStorable } from './objects.mjs'

/** `allowed` holds types as they are, or with `*` behind the slash. */
function requireType(allowed, mimetype) {
  const fits = (one) => one === mimetype || one === '*/*' || (one.endsWith('/*') && mimetype.startsWith(one.slice(0, -1)))
  if (allowed?.length > 0 && !allowed.some(fits)) refuse('mimeType', mimetype)
}

function requireSize({ fileSizeLimit }, bucket, size) {
  const limits = [fileSizeLimit, bucket.file_size_limit].filter((limit) => limit !== null)
  if (limits.some((limit) => size > limit)) refuse('tooLarge')
}

/** `INSERT … ON CONFLICT DO UPDATE`: the policy for updates is asked where there is a row to update, and only there. */
function requireRoom(context, bucket, name, upsert) {
  const exists = bucket.rows.has(name)
  requireWrite(context, bucket.id, 'insert', ...(upsert ? ['select'] : []), ...(upsert && exists ? ['update'] : []))
  if (!upsert && exists) refuse('keyExists')
}

/** An upload under a name, by whoever the context says; answers the row. */
export async function store(context, bucketId, name, upsert) {
  const { storage, request, headers } = context
  const settings = context.settings.of(bucketId)
  requireKey(name)
  const bucket = storage.requireBucket(bucketId)
  if (!isForm(headers)) {
    requireType(bucket.allowed_mime_types, headers['content-type'] ?? 'application/octet-stream')
    // A body that is sent in chunks does not say how long it is, and nobody asks later.
    requireSize(settings, bucket, Number(headers['content-length'] ?? 0))
  }
  requireRoom(context, bucket, name, upsert)
  const body = await readAll(request)
  context.traffic.in = body.length
  const object = objectIn(body, headers)
  if (isForm(headers)) {
    requireType(bucket.allowed_mime_types, object.mimetype)
    requireSize(settings, bucket, object.bytes.length)
  }
  requireStorable(bucket, name)
  await context.pause('upload')
  await sleep(settings.uploadMs)
  return storage.commit(bucket, name, object.bytes, object)
}

const isUpsert = (headers) => headers['x-upsert'] === 'true'

export async function upload(context) {
  const [bucketId, name] = context.params
  const row = await store(context, bucketId, name, context.method === 'PUT' || isUpsert(context.headers))
  return { Key: `${bucketId}/${name}`, Id: row.id }
}

/** The object under another name as well; no more atomic than an upload. */
export async function copy(context) {
  const { storage, body, headers } = context
  const { bucketId, sourceKey, destinationKey, destinationBucket = bucketId } = body
  const upsert = isUpsert(headers)
  requireKey(destinationKey)
  const from = storage.findBucket(bucketId) ?? refuse('objectMissing')
  const source = visibleRow(context, from, sourceKey)
  const to = storage.requireBucket(destinationBucket)
  requireRoom(context, to, destinationKey, upsert)
  requireStorable(to, destinationKey)
  const { version, metadata, userMetadata } = source
  await context.pause('copy')
  await sleep(context.settings.of(destinationBucket).uploadMs)
  const row = storage.commit(to, destinationKey, version.bytes, { ...metadata, userMetadata })
  // As recorded: the store behind the server answers a copy with an ETag that has no quotes.
  row.metadata.eTag = row.metadata.eTag.replaceAll('"', '')
  return { Key: `${destinationBucket}/${destinationKey}`, Id: row.id, ...wholeRow(row) }
}
