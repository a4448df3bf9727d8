// Buckets with every kind of object in them, and what a blank machine makes of one.
//
// Invariant: the final state of a bucket is known exactly, and so is every object in it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import hybrid from '../../index.js'
import { cheapBaileys, dump } from '../../testkit/baileys/cheap.mjs'
import { scratch } from '../../testkit/base/endings.mjs'
import { KEY } from '../../testkit/processes/machines.mjs'
import { canonical } from '../../testkit/base/matrix.mjs'
import { objectsIn } from '../../testkit/stores/contents.mjs'
import { makeBucket } from '../../testkit/stores/index.mjs'

export const TENANT = 't'
const TYPES = ['session', 'sender-key', 'marker']
/** So long that its segment is worth a new base: more than the 64 KiB that a base may always cost. */
const LONG = 66_000
/** Segments after which a base is written, whatever their size. */
export const MAX_SEGMENTS = 256

export const sealed = { encryptionKeys: [KEY] }
export const plain = { encryption: 'off' }

/** A folder for the disks of machines, and a bucket between them; both in memory where that is to be had. */
export const makePlace = async (t) => ({ folder: scratch(t, { quick: true }), bucket: await makeBucket(t, { quick: true }) })

/** Opens the tenant on a disk and the bucket of a place; a silent predecessor is not waited for. */
export function openIn({ folder, bucket }, options, disk = 'disk', tenant = TENANT) {
  return hybrid.useHybridAuthState(tenant, {
    directory: join(folder, disk),
    ...bucket.options,
    baileys: cheapBaileys,
    localDurability: 'os',
    flushIntervalMs: 0,
    ownershipCheckIntervalMs: 600_000,
    handoverTimeoutMs: 0,
    closeTimeoutMs: 120_000,
    ...options
  })
}

export const stateOf = async (session) => canonical(await dump(session, TYPES))

/** Bytes that do not compress, always the same. */
function noise(length) {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, n) => createHash('sha256').update(String(n)).digest())
  return Buffer.concat(blocks).subarray(0, length)
}

async function write(session, n, more) {
  await session.state.keys.set({ session: { [n % 5]: { n } }, marker: { last: { n } }, ...more })
  await session.flush()
}

const snapshot = async ({ bucket }, session) => ({
  files: await objectsIn(bucket),
  state: await stateOf(session),
  lsn: session.status().lsn
})

/**
 * A tenant's story, and what its bucket held at three moments:
 *   young    a second owner that just began: its predecessor's objects are still there
 *   old      the same owner with two bases; it has not released
 *   closed   the same, released
 * There is a tombstone from a first life in all of them.
 */
export async function storyIn(place, keys, tenant = TENANT) {
  const first = await openIn(place, keys, 'first', tenant)
  await write(first, 1)
  await first.delete()

  const second = await openIn(place, { ...keys, fresh: true }, 'second', tenant)
  second.state.creds.generation = 2
  await second.saveCreds()
  for (let n = 2; n < 4; n++) await write(second, n)
  await second.close()

  const third = await openIn(place, keys, 'third', tenant)
  assert.equal(third.status().restored.source, 'remote')
  for (let n = 4; n < 6; n++) await write(third, n)
  const young = await snapshot(place, third)

  await write(third, 6, { 'sender-key': { long: { noise: noise(LONG) } } })
  // The base that this one brings along has the long value no more.
  await write(third, 7, { 'sender-key': { long: null } })
  third.state.creds.generation = 3
  await third.saveCreds()
  await write(third, 8)
  await third.flush()
  const old = await snapshot(place, third)
  await third.close()
  const closed = { ...old, files: await objectsIn(place.bucket) }
  return { young, old, closed }
}

/** A bucket with two bases and more than `MAX_SEGMENTS` segments. */
export async function longStoryIn(place, keys) {
  const session = await openIn(place, keys)
  await session.saveCreds()
  for (let n = 1; n <= MAX_SEGMENTS + 8; n++) await write(session, n)
  assert.equal(session.status().uploads.bases, 2)
  const long = await snapshot(place, session)
  await session.close()
  return { ...long, files: await objectsIn(place.bucket) }
}

/** Kind of an object: `claim`, `live`, `released`, `deleted`, `base` or `seg`. */
export function kindOf(name) {
  const ending = basename(name).split('.').at(-1)
  return ['live', 'released', 'deleted', 'base', 'seg'].includes(ending) ? ending : 'claim'
}

/** The segment with the highest LSN; names sort in the order of epochs and LSNs. */
export const newestSegment = (files) =>
  [...files.keys()]
    .filter((name) => kindOf(name) === 'seg')
    .sort()
    .at(-1)
