// Buckets whose store can be made to fail: a directory by moving folders away, a server by a proxy in front of it.
//
// Invariant: an outage loses nothing that was stored, and what a test itself asks of the bucket of a server is answered all
// the while.

import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEnd } from '../endings.mjs'
import { startProxy } from '../proxy.mjs'
import { makeBucket, overNetwork, storeAddress } from './index.mjs'

/** Puts a file in the place of `folder`: every PUT and LIST below it fails. */
function inTheWayOf(folder) {
  renameSync(folder, `${folder}-away`)
  writeFileSync(folder, 'not a directory')
  return () => {
    rmSync(folder)
    renameSync(`${folder}-away`, folder)
  }
}

async function fragileDirectory(t) {
  const bucket = await makeBucket(t)
  return {
    bucket,
    breakAll: async () => inTheWayOf(bucket.folder),
    breakData: async (tenant) => inTheWayOf(join(bucket.folder, 'v1/data', tenant))
  }
}

async function fragileServer(t) {
  const proxy = await startProxy((await storeAddress()).endpoint)
  atEnd(t, () => proxy.stop())
  // Only what is tested goes through the proxy; the test itself still sees what is in the bucket.
  const bucket = await makeBucket(t, { endpoint: proxy.origin })
  return {
    bucket,
    async breakAll() {
      await proxy.outage('refuse')
      return () => proxy.heal()
    },
    async breakData(tenant) {
      // As a path or within a query, and as every store has it, with the tenant's id as it is.
      const rule = proxy.rule({ fault: 'status', status: 503, path: `v1/data/${tenant}` })
      return () => rule.remove()
    }
  }
}

/**
 * A bucket with `breakAll()`, after which every request fails, and `breakData(tenant)`, after which the requests for the data
 * of a tenant fail (all that name it: a listing may have it in its body) and those for claims succeed. Both resolve with what
 * heals the store again.
 */
export const fragileBucket = overNetwork ? fragileServer : fragileDirectory
