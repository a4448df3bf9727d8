// Fleets for tests: many tenants of one process on a real server, behind a proxy that tells what passes.
//
// Invariants: every session is closed before its bucket goes, whatever a test did with its fleet. How many requests are under
// way is counted where they arrive, from the first byte of a request to the last of its answer.

import diagnostics from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { makePlace } from './places.mjs'

const { HybridAuth } = createRequire(import.meta.url)('../../index.js')

const KEY = '3c'.repeat(32)
export const namesOf = (count) => Array.from({ length: count }, (_, at) => `t-${at}`)
export const inParallel = (names, work) => Promise.all(names.map(work))

/**
 * A place with fleets on it. `machine(name)` is a fleet whose disk is that of `name`, with `options`, by default through the proxy;
 * `direct` ones are not harmed by it.
 */
export async function fleetPlace(t, kind, options = {}, proxyOptions) {
  const place = await makePlace(t, kind, proxyOptions)
  const root = scratch(t, { quick: true })
  const machine = (name, { direct = false, ...others } = {}) => {
    const store = direct ? place.direct : place.bucket.options
    const fleet = new HybridAuth({
      directory: join(root, name),
      ...store,
      encryptionKeys: KEY,
      baileys: cheapBaileys,
      ...options,
      ...others
    })
    atEnd(t, () => fleet.shutdown({ timeoutMs: 500 }))
    return fleet
  }
  return { ...place, machine }
}

/** Calls `work({ request, response })` at the first byte of every request to a proxy of this process. */
function onRequest(t, { origin }, work) {
  const port = Number(new URL(origin).port)
  const arrived = (message) => {
    if (message.socket.localPort === port) work(message)
  }
  diagnostics.subscribe('http.server.request.start', arrived)
  atEnd(t, () => diagnostics.unsubscribe('http.server.request.start', arrived))
}

/**
 * Counts the requests under way at a proxy: `most` is the largest number so far, `mostOfData` that of those which do not concern
 * ownership. `moments` has, for each arrival, how many had been asked and answered by then.
 */
export function loadOf(t, proxy) {
  const load = { now: 0, nowOfData: 0, most: 0, mostOfData: 0, moments: [] }
  let [asked, answered] = [0, 0]
  onRequest(t, proxy, ({ request, response }) => {
    const ofData = isClaims({ path: request.url }) ? 0 : 1
    load.now += 1
    load.nowOfData += ofData
    load.most = Math.max(load.most, load.now)
    load.mostOfData = Math.max(load.mostOfData, load.nowOfData)
    load.moments.push({ asked: ++asked, answered, at: performance.now() })
    response.once('close', () => {
      load.now -= 1
      load.nowOfData -= ofData
      answered += 1
    })
  })
  return load
}

/** Tenants that asked for something by name and were not said to be done: `most` is the largest number so far. */
export function tenantsOpening(t, proxy) {
  const [begun, done] = [new Set(), new Set()]
  const opening = { most: 0, isDone: (tenant) => done.add(tenant) && begun.delete(tenant) }
  onRequest(t, proxy, ({ request }) => {
    const { tenant } = kindOf({ method: request.method, path: request.url })
    if (tenant && !done.has(tenant)) begun.add(tenant)
    opening.most = Math.max(opening.most, begun.size)
  })
  return opening
}

/** Subject of a request to an S3 server: `put`, `get`, `delete`, `list`, and the folder and tenant where its name says so. */
export function kindOf({ method, path }) {
  const text = decodeURIComponent(path)
  const isList = /[?&]list-type=/.test(text)
  const [, folder, rest = ''] = text.match(/v1\/(claims|data|probe)\/([^&?]*)/) ?? []
  const tenant = folder === 'probe' ? '' : rest.split(/[./]/)[0]
  return { asked: isList ? 'list' : { PUT: 'put', GET: 'get', DELETE: 'delete' }[method], folder, tenant }
}

/** True if a request concerns ownership. */
const isClaims = (entry) => kindOf({ method: 'GET', ...entry }).folder === 'claims'

/** Number of requests of a trace, by kind: `{ 'put data': 3 }`. A listing of the claims of all tenants is one `of all`. */
export function countsOf(trace) {
  const counts = {}
  for (const entry of trace) {
    const { asked, folder, tenant } = kindOf(entry)
    const name = `${asked} ${folder ?? 'bucket'}${asked === 'list' && folder === 'claims' && tenant === '' ? ' of all' : ''}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
