// Places for network tests: a bucket on a real server, reached through a proxy of its own that can be told to harm requests.
//
// Invariants: every kind in `KINDS` runs the same stories; a server is started once for a file, or taken from TEST_STORES where
// somebody runs it already. Only what is tested goes through the proxy: what a test itself asks of a bucket is never harmed.

import { pathToFileURL } from 'node:url'
import { after } from '../../testkit/base/missing.mjs'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { layOut } from '../../testkit/base/matrix.mjs'
import { startProxy } from '../../testkit/proxy/proxy.mjs'
import { runsHere } from '../../testkit/stores/seaweedfs.mjs'

/** A real S3 server, and the one protocol that is no other store's. */
export const KINDS = [runsHere ? 'seaweedfs' : 'rclone', 'supabase']

/** Requests and their purposes, in the words of the proxy's rules. */
const S3 = {
  store: { method: 'PUT', pattern: '/v1/(claims|data)/' },
  read: { method: 'GET', pattern: '/v1/(claims|data)/[^?]*$' },
  list: { method: 'GET', path: 'list-type=2' }
}
const SUPABASE = {
  store: { method: 'POST', pattern: '/object/[^/]+/v1/(claims|data)/' },
  read: { method: 'GET', pattern: '/object/authenticated/[^/]+/v1/(claims|data)/' },
  list: { method: 'POST', path: '/object/list' }
}

const running = JSON.parse(process.env.TEST_STORES || '{}')
const servers = new Map()

after(async () => {
  for (const server of servers.values()) await (await server).stop()
})

/** The module of a kind, and how to reach its server. */
export async function serverOf(kind) {
  const store = await import(`../../testkit/stores/${kind}.mjs`)
  if (running[kind] !== undefined) return { store, address: running[kind] }
  if (!servers.has(kind)) servers.set(kind, store.start())
  return { store, address: (await servers.get(kind)).address }
}

/** A fresh bucket behind a fresh proxy. `direct` are the options of the same bucket without the proxy. */
export async function makePlace(t, kind, options) {
  const { store, address } = await serverOf(kind)
  const proxy = await startProxy(address.endpoint, options)
  const bucket = await store.connect(address, { endpoint: proxy.origin }).makeBucket()
  atEnd(t, () => bucket.remove())
  // Before the bucket goes: nothing that is still on its way may be stored behind its back.
  atEnd(t, () => proxy.stop())
  return {
    kind,
    proxy,
    bucket,
    requests: kind === 'supabase' ? SUPABASE : S3,
    direct: { store: pointedTo(bucket.options.store, address.endpoint) }
  }
}

/** A store as an option, at another address. */
export const pointedTo = (store, endpoint) => (store.kind === 'supabase' ? { ...store, url: endpoint } : { ...store, endpoint })

/** Contents of a bucket; `known` are objects that were read before: a name has one content only. */
export async function objectsNow(bucket, known = new Map()) {
  for (;;) {
    const names = await bucket.list()
    const found = new Map()
    for (const name of names) {
      const bytes = known.get(name) ?? (await bucket.get(name))
      // It was collected in between: this listing is an old one.
      if (bytes === null) break
      known.set(name, bytes)
      found.set(name, bytes)
    }
    if (found.size === names.length) return found
  }
}

/** Options of a store that is a folder with these objects. */
export function copyOf(t, objects) {
  const folder = scratch(t, { quick: true })
  layOut(folder, objects)
  return { store: pathToFileURL(folder).href }
}

/** The range of a segment, read from the path of a request; null for other paths. */
export function segmentIn(path) {
  const [name, first, last] = decodeURIComponent(path).match(/[^/]*\.(\d{20})-(\d{20})-[0-9a-f]{16}\.seg$/) ?? []
  return name === undefined ? null : { name, first: Number(first), last: Number(last) }
}

/** The segments that reached the store, each once, in the order of their LSNs. */
export function segmentsStored(trace) {
  const found = new Map()
  for (const { path, upstream } of trace) {
    const segment = segmentIn(path)
    if (segment !== null && upstream === 200) found.set(segment.name, segment)
  }
  return [...found.values()].sort((a, b) => a.first - b.first)
}
