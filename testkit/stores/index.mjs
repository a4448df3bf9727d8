// The store of this run: TEST_STORE names its kind, and TEST_STORES says how to reach servers that run already (JSON: kind ->
// address). Without them it is a directory; without an address, a server is started for this process.
//
// Invariants: every bucket is removed when its test ends, after everything that the test opened on it was closed; a server
// that was started here is stopped when all tests of the process have ended.

import { after } from '../base/missing.mjs'
import { atEnd } from '../base/endings.mjs'

export const storeKind = process.env.TEST_STORE || 'directory'
/** True if each request goes to a server: then outages are made by a proxy, and what costs thousands of requests is bounded. */
export const overNetwork = storeKind !== 'directory'

/** Peculiarities of that kind. */
export const store = await import(`./${storeKind}.mjs`)
const running = JSON.parse(process.env.TEST_STORES || '{}')[storeKind]

let server = null

// Registered here and not where the server is started: that is within a test, whose end would be too early.
after(async () => {
  await (await server)?.stop()
})

/** Address and credentials of the store of this run. */
export async function storeAddress() {
  if (running !== undefined) return running
  server ??= store.start()
  return (await server).address
}

const clientAt = async (endpoint) => store.connect(await storeAddress(), endpoint === undefined ? {} : { endpoint })

/**
 * A fresh bucket, removed when the test ends. `endpoint` leads what is tested through a proxy; `quick` prefers memory to a disk
 * for a directory.
 */
export async function makeBucket(t, { endpoint, quick = false } = {}) {
  const client = await clientAt(endpoint)
  const bucket = await (overNetwork ? client.makeBucket() : client.makeBucket(undefined, { quick }))
  atEnd(t, () => bucket.remove())
  return bucket
}

/** Makes a bucket again that was removed; it is the same bucket for those that knew it. */
export async function remakeBucket({ name }) {
  await (await clientAt()).makeBucket(name)
}
