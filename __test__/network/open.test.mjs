// Opening a session while something is wrong between here and the store, at every request that an open makes.
//
// Invariant guarded: a store that does not answer, or refuses, is never taken for an empty one. The open fails with a code that
// says whether to try again (REMOTE_UNAVAILABLE) or to mend something (REMOTE_REFUSED); no credentials are made, and until it
// may claim the session nothing is left in the bucket. When the fault is gone, the very same open succeeds, with the state that was stored.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { test } from '../../testkit/base/missing.mjs'
import { cheapBaileys, dump } from '../../testkit/baileys/cheap.mjs'
import { inTime } from '../../testkit/base/in-time.mjs'
import { eventually, scratch } from '../../testkit/processes/machines.mjs'
import { spread } from '../support/size.mjs'
import { eachIn } from '../../testkit/base/matrix.mjs'
import { hybrid, rejection } from '../../testkit/processes/sessions.mjs'
import { layOutIn } from '../../testkit/stores/contents.mjs'
import { KINDS, makePlace, objectsNow } from './places.mjs'
import { openOn, stateAfter, usual, writeUpTo } from './traffic.mjs'

const TENANT = 'tenant'
const TYPES = ['session', 'sender-key']
const LAST = 16
/** Opens under way at once. */
const AT_ONCE = 8
/** Opens whose requests are counted. */
const MEASURED = 4
const CODES = { 401: 'REMOTE_REFUSED', 403: 'REMOTE_REFUSED', 404: 'REMOTE_REFUSED', 301: 'REMOTE_REFUSED' }
const PAGE = {
  status: 200,
  headers: { 'Content-Type': 'text/html' },
  body: '<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Welcome</p></body></html>'
}

/** Everything from now on meets this, for ever. */
const LASTING = [
  ...[401, 403, 404, 301, 429, 500, 502, 503, 504].map((status) => ({ fault: 'status', status })),
  { fault: 'status', status: 429, headers: { 'Retry-After': 1 } },
  { fault: 'status', ...PAGE },
  { fault: 'reset' },
  { fault: 'reset', committed: true },
  { fault: 'cut-answer' }
]
/** One request meets this, and then it is over. */
const PASSING = [
  { fault: 'reset' },
  { fault: 'reset', committed: true },
  { fault: 'status', status: 429, headers: { 'Retry-After': 1 } },
  { fault: 'status', status: 503, committed: true },
  { fault: 'cut-answer' },
  { fault: 'twice', answer: 'first', gapMs: 100 }
]

/** A session with a history, and then closed. */
async function write(t, tenant, options) {
  const session = await openOn(t, tenant, options)
  for (const n of [5, 11, LAST]) {
    await writeUpTo(session, n)
    await session.flush()
  }
  await session.close()
}

/** Options of a store that differ in nothing that matters: what this process knows of one says nothing of another. */
let alike = 64

/** An open of `tenant` on a blank machine that can be tried again and again; `made` counts credentials. */
function opener(t, tenant, { bucket }, { maxConcurrentRequests = ++alike } = {}) {
  const made = { creds: 0 }
  const initAuthCreds = () => {
    made.creds += 1
    return cheapBaileys.initAuthCreds()
  }
  const options = { directory: scratch(t, { quick: true }), ...usual, ...bucket.options, initAuthCreds, maxConcurrentRequests }
  const open = () => inTime(`an open of ${tenant} ends`, hybrid.useHybridAuthState(tenant, options))
  return { made, maxConcurrentRequests, open }
}

const claimsIn = async (bucket) => (await bucket.list()).filter((name) => name.startsWith('v1/claims/') || name.startsWith('v1/data/'))

async function assertRestored(session, made, source = 'remote') {
  assert.equal(made.creds, 0, 'no credentials were made')
  assert.deepEqual([session.status().restored.source, session.status().lsn], [source, LAST])
  assert.deepEqual(await dump(session, TYPES), stateAfter(LAST))
  await session.close()
}

/** `count` buckets, and the objects of a history that each is made to hold before it is used. */
async function makePlaces(t, kind, count) {
  const places = await Promise.all(Array.from({ length: count }, () => makePlace(t, kind)))
  await write(t, TENANT, places[0].bucket.options)
  return { places, objects: await objectsNow(places[0].bucket) }
}

/** Requests of one first open of a process: their number up to its last listing, and that of those before the claim. */
async function requestsOfOneOpen(t, place) {
  const { made, open } = opener(t, TENANT, place)
  const from = place.proxy.trace.length
  const session = await open()
  const asked = place.proxy.trace.slice(from)
  await assertRestored(session, made)
  const stores = (what) => asked.findIndex(({ method, path }) => (method === 'PUT' || method === 'POST') && what.test(path))
  const [claim, live] = [stores(/\/v1\/claims\//), stores(/\/v1\/claims\/.*\.live$/)]
  // The one that confirms the claim. The next ones are asked behind the back of an open, before or after it is heard to be over.
  const last = asked.findIndex(({ path }, n) => n > live && path.includes('list'))
  assert.ok(claim > 5 && live > claim && last > live)
  return { count: last + 1, beforeClaim: claim }
}

/** The same numbers, of the open that asks least: on a busy machine a question without an answer is asked once more. */
async function requestsOfOpen(t, { places: [place] }) {
  const all = []
  while (all.length < MEASURED) all.push(await requestsOfOneOpen(t, place))
  const least = (name) => Math.min(...all.map((one) => one[name]))
  return { count: least('count'), beforeClaim: least('beforeClaim') }
}

describe('open', { concurrency: 100 }, () => {
  for (const kind of KINDS) {
    test(`open_that_fails_for_good_at_any_request_decides_nothing_and_succeeds_afterwards_over_${kind}`, async (t) => {
      const { places, objects } = await makePlaces(t, kind, AT_ONCE)
      const { count, beforeClaim } = await requestsOfOpen(t, { places })
      const trials = spread(
        [503, 403].flatMap((status) => Array.from({ length: count }, (_, after) => ({ after, fault: 'status', status }))),
        20
      )
      let failed = 0
      await eachIn(places, trials, async (trial, place) => {
        const what = `${JSON.stringify(trial)} of ${count}`
        await layOutIn(place.bucket, objects)
        const { made, open } = opener(t, TENANT, place)
        place.proxy.rule(trial)
        const outcome = await open().catch((error) => error)
        const isRefused = outcome instanceof Error
        if (isRefused) {
          failed += 1
          assert.equal(outcome.code, trial.status === 403 ? 'REMOTE_REFUSED' : 'REMOTE_UNAVAILABLE', `${what}: ${outcome.message}`)
        } else await outcome.close({ timeoutMs: 1000 }).catch(() => {})
        assert.equal(made.creds, 0, what)
        if (trial.after <= beforeClaim) assert.deepEqual(await claimsIn(place.bucket), [...objects.keys()], what)
        place.proxy.clear()
        await assertRestored(await open(), made, isRefused ? 'remote' : 'local')
      })
      // What comes after the last listing that counts is no part of an open.
      assert.ok(failed >= trials.length - 4, `${failed} of ${trials.length} opens failed`)
    })

    test(`open_goes_on_where_any_one_request_fails_in_passing_over_${kind}`, async (t) => {
      const { places, objects } = await makePlaces(t, kind, AT_ONCE)
      const { count } = await requestsOfOpen(t, { places })
      const trials = spread(Array.from({ length: count }, (_, after) => PASSING.map((fault) => ({ after, times: 1, ...fault }))).flat(), 30)
      let met = 0
      await eachIn(places, trials, async (trial, place) => {
        await layOutIn(place.bucket, objects)
        const { made, open } = opener(t, TENANT, place)
        const rule = place.proxy.rule(trial)
        const session = await open().catch((error) => assert.fail(`${JSON.stringify(trial)}: ${error.code} ${error.message}`))
        met += rule.hits
        rule.remove()
        await assertRestored(session, made)
        await place.proxy.idle()
      })
      // On a busy machine an open may ask once more than another one.
      assert.ok(met >= trials.length - PASSING.length, `${met} of ${trials.length} faults were met`)
    })

    test(`store_that_cannot_be_reached_or_refuses_is_never_taken_for_an_empty_one_over_${kind}`, async (t) => {
      const { places, objects } = await makePlaces(t, kind, AT_ONCE)
      await eachIn(places, LASTING, async (fault, place) => {
        const what = JSON.stringify(fault)
        await layOutIn(place.bucket, objects)
        const known = opener(t, 'some-tenant', place)
        await (await known.open()).close()
        const before = await claimsIn(place.bucket)
        // The store is known in this process, or it is not; the tenant is in it, or it is not.
        const openers = [TENANT, 'new-tenant'].flatMap((tenant) => [known, {}].map((more) => opener(t, tenant, place, more)))
        place.proxy.rule(fault)
        for (const error of await Promise.all(openers.map(({ open }) => rejection(open())))) {
          const wanted = fault.status === 200 ? ['REMOTE_UNAVAILABLE', 'REMOTE_REFUSED'] : [CODES[fault.status] ?? 'REMOTE_UNAVAILABLE']
          assert.ok(wanted.includes(error.code), `${what}: ${error.code} ${error.message}`)
        }
        assert.deepEqual(
          openers.map(({ made }) => made.creds),
          [0, 0, 0, 0],
          what
        )
        assert.deepEqual(await claimsIn(place.bucket), before, what)
        place.proxy.clear()
        await assertRestored(await openers[0].open(), openers[0].made)
        await assertRestored(await openers[1].open(), openers[1].made)
        const fresh = await openers[2].open()
        assert.deepEqual([fresh.status().restored.source, openers[2].made.creds], ['fresh', 1])
        await fresh.close()
      })
    })

    test(`listings_that_are_a_page_of_somebody_else_are_never_an_empty_store_over_${kind}`, async (t) => {
      const pages = [PAGE.body, '', '{}', '[]', '<a/>']
      const { places, objects } = await makePlaces(t, kind, pages.length)
      await eachIn(places, pages, async (body, place) => {
        await layOutIn(place.bucket, objects)
        const known = opener(t, TENANT, place)
        await (await known.open()).close()
        const before = await claimsIn(place.bucket)
        // The network of a hotel, where everything but listings seems to work.
        const rule = place.proxy.rule({ ...place.requests.list, fault: 'status', ...PAGE, body })
        const openers = [TENANT, 'new-tenant'].map((tenant) => opener(t, tenant, place, known))
        const errors = await Promise.all(openers.map(({ open }) => rejection(open())))
        for (const { code, message } of errors) assert.equal(code, 'REMOTE_UNAVAILABLE', `${body}: ${message}`)
        assert.deepEqual(
          openers.map(({ made }) => made.creds),
          [0, 0],
          body
        )
        assert.deepEqual(await claimsIn(place.bucket), before, body)
        rule.remove()
        await assertRestored(await openers[0].open(), openers[0].made)
      })
    })

    for (const how of ['refuse', 'reset', 'hang']) {
      test(`open_during_an_outage_where_connections_${how}_waits_or_fails_and_claims_nothing_over_${kind}`, async (t) => {
        const place = await makePlace(t, kind)
        await write(t, TENANT, place.bucket.options)
        const before = await claimsIn(place.bucket)
        const { made, open } = opener(t, TENANT, place)
        await place.proxy.outage(how)
        const opening = rejection(open())
        if (how === 'hang') {
          await eventually('a request hangs', () => place.proxy.trace.some(({ fault }) => fault === 'outage'))
          // It would be given up after a while; here its connection breaks.
          await place.proxy.outage('reset')
        }
        assert.equal((await opening).code, 'REMOTE_UNAVAILABLE')
        assert.equal(made.creds, 0)
        assert.deepEqual(await claimsIn(place.bucket), before)
        await place.proxy.heal()
        await assertRestored(await open(), made)
      })
    }

    test(`bucket_that_is_not_there_is_refused_by_name_of_the_option_over_${kind}`, async (t) => {
      const place = await makePlace(t, kind)
      const store = { ...place.bucket.options.store, bucket: `${place.bucket.name}-x` }
      const { made, open } = opener(t, TENANT, { bucket: { options: { store } } })
      const error = await rejection(open())
      assert.equal(error.code, 'REMOTE_REFUSED')
      assert.match(error.message, /no such bucket/)
      assert.equal(made.creds, 0)
    })
  }
})
