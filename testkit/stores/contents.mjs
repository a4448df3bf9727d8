// Contents of a bucket, and making a bucket hold exactly that.
//
// Invariant: after `layOutIn` the bucket holds these objects, byte for byte, and no other.

import { createHash } from 'node:crypto'
import { layOut } from '../base/matrix.mjs'

/** Requests under way at once, per bucket. */
const AT_ONCE = 8

async function inParallel(items, work) {
  const queue = items[Symbol.iterator]()
  const worker = async () => {
    for (const item of queue) await work(item)
  }
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker))
  for (const { reason } of ends) if (reason) throw reason
}

/** Stores an object. A server may refuse one now and then, such as the first two in a folder at once: it is asked again. */
async function store(bucket, name, bytes) {
  for (let left = 4; ; left--) {
    try {
      return await bucket.put(name, bytes)
    } catch (error) {
      if (left === 0) throw error
    }
  }
}

/** The objects of a bucket, sorted by name: name -> bytes. */
export async function objectsIn(bucket) {
  const names = await bucket.list()
  const found = new Map(names.map((name) => [name, null]))
  await inParallel(names, async (name) => found.set(name, await bucket.get(name)))
  return new Map([...found].filter(([, bytes]) => bytes !== null))
}

/** The same as an object of texts, for searching. */
export async function textsIn(bucket) {
  return Object.fromEntries([...(await objectsIn(bucket))].map(([name, bytes]) => [name, bytes.toString('latin1')]))
}

/** The same with a digest in place of each content: for comparisons that a person may have to read. */
export async function fingerprintsIn(bucket) {
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  return Object.fromEntries([...(await objectsIn(bucket))].map(([name, bytes]) => [name, digest(bytes)]))
}

/** Last contents that each bucket was given. */
const laidOut = new WeakMap()

/**
 * Makes the bucket hold `objects` and nothing else. A directory is made anew. Over a network only what differs is sent: an
 * object that was laid out and is still listed has its bytes, since an instance never writes a name twice.
 */
export async function layOutIn(bucket, objects) {
  if (bucket.folder !== undefined) return layOut(bucket.folder, objects)
  const names = new Set(await bucket.list())
  const before = laidOut.get(bucket) ?? new Map()
  laidOut.set(bucket, new Map(objects))
  const surplus = [...names].filter((name) => !objects.has(name))
  if (surplus.length > 0) await bucket.delete(surplus)
  const differs = ([name, bytes]) => !names.has(name) || !before.get(name)?.equals(bytes)
  await inParallel([...objects].filter(differs), ([name, bytes]) => store(bucket, name, bytes))
}

/** Removes every object. */
export async function clear(bucket) {
  const names = await bucket.list()
  if (names.length > 0) await bucket.delete(names)
}
