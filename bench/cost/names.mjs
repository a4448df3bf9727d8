// Bytes that a listed name takes in the answers of a store: the larger part of what an idle fleet receives.
//
// Invariant: it is the package that lists, and the proxy that counts. Supabase is its double, whose answers have the fields of the
// original.

import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { Meter } from './meter.mjs'

const { HybridAuth } = createRequire(import.meta.url)('../../index.js')

/** A kind of answer, and the store that gives it here. */
const KINDS = { s3: 'seaweedfs', supabase: 'supabase' }
/** As long as those of a fleet with ids such as `tenant-7`. */
const NAMES = Array.from({ length: 100 }, (_, at) => `v1/claims/tenant-${at}.${'0'.repeat(20)}-${'a'.repeat(32)}.live`)

async function measured(kind, seed) {
  const store = await import(`../../testkit/stores/${kind}.mjs`)
  const server = await store.start()
  const meter = await Meter.start(server.address.endpoint, { kind, latencyMs: 0, seed })
  try {
    const bucket = await store.connect(server.address, { endpoint: meter.origin }).makeBucket()
    for (const name of NAMES) await bucket.put(name, 'x')
    const fleet = new HybridAuth({ ...bucket.options, encryption: 'off', directory: tmpdir() })
    // Before its first question to a store, a process looks whether the store is fit.
    await fleet.tenants()
    await meter.take()
    await fleet.tenants()
    return (await meter.take()).list.down / NAMES.length
  } finally {
    await meter.stop()
    await server.stop()
  }
}

/** Kind of answer -> bytes. */
export async function bytesPerName(seed) {
  const found = {}
  for (const [name, kind] of Object.entries(KINDS)) found[name] = await measured(kind, seed)
  return found
}
