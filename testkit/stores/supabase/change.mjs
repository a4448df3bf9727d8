// Taking objects away and giving them other names, listing them, and addresses that are signed.
//
// Invariant: a move never replaces, and a remove gives the row to exactly one of those who ask for it: these two are atomic.

import { json, refuse } from './answers.mjs'
import { may, requireWrite, signToken, verifyToken, visibleRow } from './auth.mjs'
import { fetchObject, requireRow } from './download.mjs'
import { listFolder, listPrefix, wholeRow } from './list.mjs'
import { requireKey } from './objects.mjs'
import { store } from './upload.mjs'

/** Rows that the role sees; of a bucket that is not there, none. */
function visibleRows(context) {
  const [bucketId] = context.params
  const bucket = context.storage.findBucket(bucketId)
  return bucket && may(context, bucketId, 'select') ? [...bucket.rows.values()] : []
}

export const list = (context) => listFolder(visibleRows(context), context.body)

export function listV2(context) {
  const { listV2: mode } = context.settings.of(context.params[0])
  if (mode === 'feature') refuse('featureOff', 'list-v2')
  if (mode === 'tenant') return json({ message: 'This feature is not available for your tenant' }, 400)
  return listPrefix(visibleRows(context), context.body)
}

/** Takes away what is there and may be; the rest is passed over in silence. */
export async function removeMany(context) {
  const {
    storage,
    params: [bucketId],
    body: { prefixes }
  } = context
  const { batchLimit } = context.settings.of(bucketId)
  if (batchLimit !== null && prefixes.length > batchLimit) refuse('tooManyNames', String(batchLimit))
  await context.pause('remove')
  const bucket = storage.findBucket(bucketId)
  if (!bucket || !may(context, bucketId, 'select', 'delete')) return []
  return prefixes
    .map((name) => storage.remove(bucket, name))
    .filter(Boolean)
    .map(wholeRow)
}

export async function removeOne(context) {
  const {
    storage,
    params: [bucketId, name]
  } = context
  await context.pause('remove')
  const bucket = storage.findBucket(bucketId)
  if (!bucket?.rows.has(name)) refuse('objectMissing')
  if (!may(context, bucketId, 'select', 'delete')) refuse('unauthorized', 'Access denied')
  storage.remove(bucket, name)
  return { message: 'Successfully deleted' }
}

export async function move(context) {
  const { storage, body } = context
  const { bucketId, sourceKey, destinationKey, destinationBucket = bucketId } = body
  requireKey(destinationKey)
  await context.pause('move')
  const from = storage.findBucket(bucketId) ?? refuse('objectMissing')
  visibleRow(context, from, sourceKey)
  if (!may(context, bucketId, 'update')) refuse('objectMissing')
  const to = storage.findBucket(destinationBucket) ?? refuse('relatedMissing')
  storage.move(from, sourceKey, to, destinationKey)
  return { message: 'Successfully moved' }
}

// Addresses that carry their own right

const seconds = (context, bucketId) => Math.floor(context.storage.now(bucketId) / 1000)

function signedPath(context, bucketId, name, expiresIn) {
  const now = seconds(context, bucketId)
  const token = signToken({ url: `${bucketId}/${name}`, iat: now, exp: now + expiresIn }, context.secret)
  return `/object/sign/${bucketId}/${encodeURI(name)}?token=${token}`
}

export function sign(context) {
  const {
    storage,
    params: [bucketId, name],
    body
  } = context
  const bucket = storage.findBucket(bucketId) ?? refuse('objectMissing')
  visibleRow(context, bucket, name)
  return { signedURL: signedPath(context, bucketId, name, body.expiresIn) }
}

export function signMany(context) {
  const {
    storage,
    params: [bucketId],
    body: { expiresIn, paths }
  } = context
  const rows = storage.findBucket(bucketId)?.rows ?? new Map()
  const missing = 'Either the object does not exist or you do not have access to it'
  return paths.map((path) => {
    const there = rows.has(path) && may(context, bucketId, 'select')
    return { error: there ? null : missing, path, signedURL: there ? signedPath(context, bucketId, path, expiresIn) : null }
  })
}

/** The claims of the token in the address, which must be about this object. */
function requireToken(context) {
  const [bucketId, name] = context.params
  const { claims, reason } = verifyToken(context.query.get('token') ?? '', context.secret, context.storage.now(bucketId))
  if (reason !== undefined) refuse('invalidToken', reason)
  if (claims.url !== `${bucketId}/${name}`) refuse('invalidSignature')
  return claims
}

export function downloadSigned(context) {
  const { exp } = requireToken(context)
  const [bucketId, name] = context.params
  const bucket = context.storage.findBucket(bucketId) ?? refuse('objectMissing')
  return fetchObject(context, bucket, name, () => requireRow(bucket, name), exp * 1000)
}

export function signUpload(context) {
  const {
    storage,
    headers,
    params: [bucketId, name]
  } = context
  requireKey(name)
  const bucket = storage.requireBucket(bucketId)
  const upsert = headers['x-upsert'] === 'true'
  requireWrite(context, bucketId, 'insert')
  if (!upsert && bucket.rows.has(name)) refuse('keyExists')
  const now = seconds(context, bucketId)
  const token = signToken({ url: `${bucketId}/${name}`, upsert, iat: now, exp: now + 7200 }, context.secret)
  return { url: `/object/upload/sign/${bucketId}/${encodeURI(name)}?token=${token}`, token }
}

export async function uploadSigned(context) {
  const { upsert } = requireToken(context)
  const [bucketId, name] = context.params
  // The right was that of whoever signed.
  await store({ ...context, role: 'service_role' }, bucketId, name, upsert)
  return { Key: `${bucketId}/${name}` }
}
