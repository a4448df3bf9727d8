// Buckets whose store can be made to fail: a directory by moving folders away, a server by a proxy in front of it.
//
// Invariants: an outage loses nothing that was stored, and what a test itself asks of the bucket of a server is answered all
// the while. A directory goes and comes in one step each: in between it would be an empty bucket, which is something else.

import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEnd } from '../base/endings.mjs'
import { startProxy } from '../proxy/proxy.mjs'
import { makeBucket, overNetwork, store, storeAddress } from './index.mjs'

/** Makes `folder`, which must not exist yet, a link to one that lies `elsewhere`. Answers what puts a file in its place, and what puts it back. */
function removable(folder, elsewhere) {
  mkdirSync(elsewhere, { recursive: true, mode: 0o700 })
  const put = (make) => {
    make(`${folder}-next`)
    renameSync(`${folder}-next`, folder)
  }
  const bringBack = () => put((path) => symlinkSync(elsewhere, path, 'junction'))
  bringBack()
  return { takeAway: () => put((path) => writeFileSync(path, 'not a directory')), bringBack }
}

/** The folder of a bucket, before anything is in it, as one that can be taken away: every PUT and LIST then fails. */
export function removableBucket(folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return removable(join(folder, 'v1'), `${folder}-objects`)
}

async function fragileDirectory(t) {
  const bucket = await makeBucket(t)
  const all = removableBucket(bucket.folder)
  const data = removable(join(bucket.folder, 'v1/data'), `${bucket.folder}-objects-data`)
  const breaking =
    ({ takeAway, bringBack }) =>
    async () => {
      takeAway()
      return bringBack
    }
  return { bucket, breakAll: breaking(all), breakData: breaking(data) }
}

async function fragileServer(t) {
  const proxy = await (store.startProxy ?? startProxy)((await storeAddress()).endpoint)
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
      const overHttp = () => proxy.rule({ fault: 'status', status: 503, path: `v1/data/${tenant}` })
      const rule = store.breakData?.(proxy, tenant) ?? overHttp()
      return () => rule.remove()
    }
  }
}

/**
 * A bucket with `breakAll()`, after which every request fails, and `breakData(tenant)`, after which the requests for the data
 * of a tenant fail (all that name it: a listing may have it in its body; in a directory those of all tenants) and those for claims
 * succeed. Both resolve with what heals the store again.
 */
export const fragileBucket = overNetwork ? fragileServer : fragileDirectory
