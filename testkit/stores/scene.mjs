// A scene (see `processes/sessions.mjs`) whose bucket is in the store of this run.
//
// Invariant: sessions are closed before their bucket is removed.

import { scene } from '../processes/sessions.mjs'
import { makeBucket } from './index.mjs'

/** `bucket` is a bucket of the common interface, not a folder; options of another one come from `anotherStore`. */
export async function storeScene(t, defaults) {
  const bucket = await makeBucket(t)
  return { ...sceneWith(t, bucket, defaults), anotherStore: async () => (await makeBucket(t)).options }
}

/** The same over a bucket that the test made. */
export const sceneWith = (t, bucket, defaults) => ({ ...scene(t, defaults, bucket.options), bucket })
