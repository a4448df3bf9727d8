// Making, showing and dropping buckets.
//
// Invariant: a bucket that a role may not see is, for it, not there.

import { refuse } from './answers.mjs'
import { may, requireWrite } from './auth.mjs'

const UNITS = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9 }

/** `1000` and `20MB` in bytes. */
function sizeOf(value) {
  if (value === undefined || value === null || typeof value === 'number') return value
  const [, number, unit] =
    String(value).match(/^(\d+(?:\.\d+)?)(b|kb|mb|gb)?$/i) ?? refuse('invalidRequest', 'body/file_size_limit must be integer')
  return Number(number) * UNITS[(unit ?? 'b').toLowerCase()]
}

/** The bucket that the path names, for who may do this to it. */
function visible(context, ...rights) {
  const bucket = context.storage.requireBucket(context.params[0])
  return may(context, bucket.id, 'buckets.select', ...rights) ? bucket : refuse('bucketMissing')
}

export const listBuckets = (context) =>
  context.storage.buckets.filter(({ id }) => may(context, id, 'buckets.select')).map(({ row }) => ({ ...row, type: 'STANDARD' }))

export const getBucket = (context) => visible(context).row

export function createBucket(context) {
  const { body } = context
  const id = body.id ?? body.name
  requireWrite(context, id, 'buckets.insert')
  context.storage.createBucket({ ...body, id, file_size_limit: sizeOf(body.file_size_limit) })
  return { name: id }
}

export function changeBucket(context) {
  const { body } = context
  const bucket = visible(context, 'buckets.update')
  context.storage.changeBucket(bucket.id, { ...body, file_size_limit: sizeOf(body.file_size_limit) })
  return { message: 'Successfully updated' }
}

/** With the queue, a job does it, later. */
export function emptyBucket(context) {
  const bucket = visible(context, 'buckets.update')
  const { queue, emptyMs } = context.settings.of(bucket.id)
  if (queue) bucket.emptyAt = Math.min(bucket.emptyAt, Date.now() + emptyMs)
  else context.storage.empty(bucket)
  return { message: 'Empty bucket has been queued. Completion may take up to an hour.' }
}

export function deleteBucket(context) {
  const bucket = visible(context, 'buckets.delete')
  context.storage.deleteBucket(bucket.id)
  return { message: 'Successfully deleted' }
}
