// A session under steady traffic meets every fault that a request can meet, one after the other, and then carries on.
//
// Invariant guarded: whatever becomes of a request, before it took effect or after, nothing acknowledged is lost, every write
// resolves, an outage is told once and its end once, and the session recovers by itself. After each fault the bucket is copied
// as if the machine had died there, and what is restored from the copy must be exactly the state of its LSN.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { test } from '../../testkit/base/missing.mjs'
import { eventually, runSeed } from '../../testkit/processes/machines.mjs'
import { KINDS, makePlace, segmentsStored } from './places.mjs'
import { assertOutages, openOn, Traffic } from './traffic.mjs'
import { chosen, further, oneOfEach } from '../support/size.mjs'

const TENANT = 'tenant'
/** Requests in a row that a fault takes at least. */
const TIMES = 3
const PAGE = { headers: { 'Content-Type': 'text/html' }, body: '<!DOCTYPE html><html><body>Bad gateway</body></html>' }

/** Ends of a request that its client must take for a failure. */
const FAILURES = [
  { fault: 'reset' },
  { fault: 'reset', committed: true },
  { fault: 'cut-answer', ending: 'close', bytes: 0 },
  { fault: 'status', status: 500 },
  { fault: 'status', status: 500, committed: true },
  { fault: 'status', status: 502, ...PAGE },
  { fault: 'status', status: 503 },
  { fault: 'status', status: 503, committed: true },
  { fault: 'status', status: 503, headers: { 'Retry-After': 1 } },
  { fault: 'status', status: 429 },
  { fault: 'status', status: 429, headers: { 'Retry-After': 1 } },
  { fault: 'status', status: 408 }
]
/** Traits that tell one fault from another for a client: a status that says that all is well is of a kind of its own. */
const kindOf = ({ fault, status, committed, headers = {} }) => JSON.stringify([fault, status === 200, committed, Object.keys(headers)])
/** Failures of requests with a body only, or of answers with one. */
const OF_STORE = [{ fault: 'cut-upload' }, { fault: 'cut-upload', bytes: 0 }]
const OF_LIST = [
  { fault: 'cut-answer', ending: 'close' },
  { fault: 'cut-answer', ending: 'reset' },
  { fault: 'garbage', seed: 1 },
  { fault: 'status', status: 200, ...PAGE }
]
/** Events on networks that are no failure. */
const HARMLESS = [
  { fault: 'twice' },
  { fault: 'twice', answer: 'first', gapMs: 60 },
  { fault: 'delay', delayMs: 60, answerDelayMs: 60 },
  { fault: 'drip', bytes: 200, everyMs: 1 }
]
/** Faults that meet requests of every kind, one in seven each. */
const MIXED = [
  { fault: 'reset' },
  { fault: 'reset', committed: true },
  { fault: 'status', status: 503 },
  { fault: 'twice', answer: 'first', gapMs: 200 }
]

async function begin(t, kind, options) {
  const place = await makePlace(t, kind, { seed: 1 })
  const session = await openOn(t, TENANT, { ...place.bucket.options, ...options })
  const traffic = new Traffic(session)
  await eventually('a first backup', () => traffic.acknowledged > 0)
  return { ...place, session, traffic }
}

/**
 * The fault takes requests in a row; then the network is sound, and what was told is as it should be.
 *
 * An outage goes on until it is told: on a busy machine the first requests that it meets may be an audit's or the lookout's,
 * which leave the telling to the shipment.
 */
async function meet(t, { proxy, traffic, requests, bucket }, request, fault, outages) {
  const what = `${request}: ${JSON.stringify(fault)}`
  const [from, seen] = [traffic.told.length, proxy.trace.length]
  const rule = proxy.rule({ ...requests[request], ...fault, times: outages === 0 ? TIMES : 3 * TIMES })
  await eventually(`${what} three times`, () => rule.hits >= TIMES && (outages === 0 || traffic.told.length > from))
  if (outages > 0) rule.remove()
  await traffic.flush()
  await eventually(`${what} and its end`, () => traffic.toldSince(from).filter((name) => name === 'recovered').length === outages)
  assertOutages(traffic.toldSince(from), outages, what)
  if (outages === 0) rule.remove()
  const asked = Number(fault.headers?.['Retry-After'] ?? 0) * 1000
  const met = proxy.trace
    .slice(seen)
    .filter((entry) => entry.fault === fault.fault)
    .map(({ at }) => at)
  const pauses = met.slice(1).map((at, i) => at - met[i])
  assert.ok(
    asked === 0 || pauses.every((pause) => pause >= asked),
    `${what}: the store asked to be left alone for ${asked} ms, and was for ${pauses}`
  )
  await traffic.restoreCopy(t, TENANT, bucket)
}

describe('steady traffic', { concurrency: 100 }, () => {
  for (const kind of KINDS) {
    // Uploads over the one, listings over the other.
    const isCheap = ([request]) => (kind === 'supabase') === (request === 'list')
    const once = kind === 'supabase' ? test : further
    for (const [request, failures] of chosen(
      [
        ['store', [...FAILURES, ...OF_STORE]],
        ['list', [...FAILURES, ...OF_LIST]]
      ],
      isCheap
    )) {
      test(`nothing_is_lost_whatever_becomes_of_a_${request}_request_over_${kind}`, async (t) => {
        // Seldom enough that no story is so long that a base is stored: what is then asked beside the session would meet faults too.
        const story = await begin(t, kind, { flushIntervalMs: 500 })
        for (const fault of oneOfEach(failures, kindOf)) await meet(t, story, request, fault, 1)
        // A delay is longer than usual, and shorter than the interval within which an outage is told.
        for (const fault of oneOfEach(HARMLESS, kindOf)) await meet(t, story, request, fault, 0)
        await story.traffic.conclude(t, TENANT, story)
      })
    }

    once(`latencies_of_up_to_two_seconds_are_no_outage_over_${kind}`, async (t) => {
      const seed = runSeed(`latency over ${kind}`)
      const story = await begin(t, kind, { ownershipCheckIntervalMs: 10_000 })
      const { proxy, traffic, bucket } = story
      const everywhere = proxy.rule({ delayMs: [0, 1000], answerDelayMs: [0, 1000], seed })
      for (let round = 0; round < 4; round++) {
        await traffic.flush()
        await traffic.restoreCopy(t, TENANT, bucket)
      }
      assert.ok(everywhere.hits >= 8)
      assert.deepEqual(traffic.told, [])
      proxy.clear()
      await traffic.conclude(t, TENANT, story)
    })

    once(`resets_and_refusals_at_random_among_all_requests_lose_nothing_over_${kind}`, async (t) => {
      const seed = runSeed(`faults at random over ${kind}`)
      const story = await begin(t, kind)
      const { proxy, traffic, bucket } = story
      const rules = MIXED.map((what, i) => proxy.rule({ ...what, share: 0.15, seed: seed + i }))
      const hits = () => rules.reduce((sum, rule) => sum + rule.hits, 0)
      for (let round = 1; round <= 5; round++) {
        await eventually('more faults', () => hits() >= round * 8)
        await traffic.restoreCopy(t, TENANT, bucket)
      }
      proxy.clear()
      await traffic.flush()
      await eventually('the end of it', () => traffic.told.length % 2 === 0)
      assertOutages(traffic.toldSince(0), traffic.told.length / 2, 'told in turns')
      await traffic.conclude(t, TENANT, story)
    })

    for (const [request, committed] of [
      ['store', false],
      ['store', true],
      ['list', false]
    ]) {
      const hang = committed || request === 'list' ? once : further
      hang(`${request}_request_that_hangs_${committed ? 'after' : 'before'}_it_took_effect_holds_nobody_up_over_${kind}`, async (t) => {
        // So that it is told well before it is given up.
        const story = await begin(t, kind, { ownershipCheckIntervalMs: 1000 })
        const { proxy, traffic, requests, bucket } = story
        await traffic.flush()
        const [from, seen] = [traffic.told.length, proxy.trace.length]
        const rule = proxy.rule({ ...requests[request], fault: 'hang', committed, times: 1 })
        await eventually('it hangs', () => rule.hits === 1)
        const hanging = proxy.trace.slice(seen).find(({ fault }) => fault === 'hang')
        const before = traffic.n
        // The client gives it up by itself, whenever that is, and asks again. For a listing that many share it does so sooner.
        const sentAgain = () => proxy.trace.slice(seen).find(({ path, at }) => path === hanging.path && at > hanging.at)
        const watching = eventually('the request is sent again', sentAgain, 90_000).then(({ at }) => {
          return { hung: at - hanging.at, n: traffic.n, told: traffic.toldSince(from) }
        })
        await eventually('the outage is told', () => traffic.toldSince(from).length > 0)
        await traffic.restoreCopy(t, TENANT, bucket)
        const { hung, n, told } = await watching
        // Whoever waited for the request would have made one write meanwhile, which took as long.
        assert.ok(n - before > 10, `${n - before} writes were made meanwhile`)
        assert.ok(traffic.longestWrite < 0.75 * hung, `a write took ${traffic.longestWrite} ms while a request hung for ${hung} ms`)
        assert.deepEqual(told.slice(0, 1), ['degraded'], 'the outage was told by then')
        await eventually('the end is told', () => traffic.toldSince(from).length > 1)
        await traffic.flush()
        assertOutages(traffic.toldSince(from), 1, 'hang')
        // What was under way, and then one segment with all the rest.
        const reached = segmentsStored(proxy.trace.slice(seen)).filter(({ first, last }) => first <= n && last > before)
        assert.ok(reached.length <= 2, `${n - before} writes in ${reached.length} segments`)
        await traffic.conclude(t, TENANT, story)
      })
    }
  }
})
