// A restore whose answers are damaged on the way: cut short, made into something else, or with a single bit flipped.
//
// Invariant guarded: a blank machine gets exactly the state that was stored, or an error with a code; never a part of it, never
// something older, and never new credentials. What breaks off on the way is asked for again; what arrives whole and wrong is
// noticed. When the fault is gone, the very same open succeeds.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { test } from '../../testkit/base/missing.mjs'
import { cheapBaileys, dump } from '../../testkit/baileys/cheap.mjs'
import { scratch } from '../../testkit/processes/machines.mjs'
import { sized } from '../support/size.mjs'
import { eachIn, Tally } from '../../testkit/base/matrix.mjs'
import { hybrid } from '../../testkit/processes/sessions.mjs'
import { layOutIn } from '../../testkit/stores/contents.mjs'
import { KINDS, makePlace, objectsNow } from './places.mjs'
import { openOn, stateAfter, writeUpTo, usual } from './traffic.mjs'

const TENANT = 'tenant'
const TYPES = ['session', 'sender-key']
const LAST = 20
const AT_ONCE = 8
/** Bytes between two places of an object where a bit is flipped. */
const STRIDE = sized(301, 61)
const CODES = ['REMOTE_CORRUPT', 'REMOTE_UNAVAILABLE']

/** Answers that break off, so that asking again helps. */
const BROKEN = [
  { fault: 'reset' },
  { fault: 'reset', committed: true },
  { fault: 'cut-answer', bytes: 0 },
  { fault: 'cut-answer', ending: 'close' },
  { fault: 'cut-answer', ending: 'reset' },
  { fault: 'status', status: 503 },
  { fault: 'status', status: 500, body: '<html>' }
]
/** The same for ever; one way of it is like another, and each takes the patience of an open. */
const GONE = [{ fault: 'cut-answer' }, { fault: 'status', status: 503 }]
/** A 404 in no store's words: an object that is lost to S3, and another service at the address to Supabase. */
const BARE = { fault: 'status', status: 404 }
/** Answers that arrive whole and are not what was stored. */
const WRONG = [
  { fault: 'garbage', seed: 1 },
  { fault: 'status', status: 200 },
  { fault: 'status', status: 200, headers: { 'Content-Type': 'text/html' }, body: '<!DOCTYPE html><html></html>' },
  { fault: 'status', status: 404, body: '{"statusCode":"404","error":"not_found","message":"Object not found"}' },
  BARE
]
const flips = (length) => Array.from({ length: Math.ceil(length / STRIDE) }, (_, i) => ({ fault: 'flip', at: i * STRIDE, bit: i % 8 }))

/** One base, some segments, and the marks of an owner that closed. */
async function makeHistory(t, { bucket }) {
  const session = await openOn(t, TENANT, bucket.options)
  for (const n of [6, 13, LAST]) {
    await writeUpTo(session, n)
    await session.flush()
  }
  await session.close()
  return objectsNow(bucket)
}

/** Opens on a blank machine; answers the session, or the error. */
function openBlank(t, { bucket }, made) {
  const initAuthCreds = () => {
    made.push(1)
    return cheapBaileys.initAuthCreds()
  }
  const options = { directory: scratch(t, { quick: true }), ...usual, ...bucket.options, initAuthCreds }
  return () => hybrid.useHybridAuthState(TENANT, options).catch((error) => error)
}

async function assertWhole(session, what) {
  assert.deepEqual([session.status().restored.source, session.status().lsn], ['remote', LAST], what)
  assert.deepEqual(await dump(session, TYPES), stateAfter(LAST), what)
  await session.close()
}

describe('restore', { concurrency: 100 }, () => {
  for (const kind of KINDS) {
    test(`restore_is_exact_or_an_error_whatever_happens_to_the_bodies_that_it_reads_over_${kind}`, async (t) => {
      const places = await Promise.all(Array.from({ length: AT_ONCE }, () => makePlace(t, kind)))
      const objects = await makeHistory(t, places[0])
      const { proxy } = places[0]
      const seen = proxy.trace.length
      await assertWhole(await openBlank(t, places[0], [])(), 'nothing is wrong')
      const got = proxy.trace.slice(seen).filter(({ method }) => method === 'GET')
      const read = new Set(got.map(({ path }) => decodeURIComponent(path.split('/').at(-1))))
      const names = [...objects.keys()].filter((name) => read.has(name.split('/').at(-1)))
      assert.ok(names.filter((name) => name.includes('/data/')).length >= 4)
      assert.ok(names.some((name) => name.endsWith('.released')))

      const trials = names.flatMap((name) => [
        ...[...BROKEN, ...WRONG].map((fault) => ({ name, fault, times: 1 })),
        ...[...GONE, ...WRONG].map((fault) => ({ name, fault })),
        ...flips(objects.get(name).length).map((fault) => ({ name, fault }))
      ])
      const tally = new Tally()
      // What takes its time comes first.
      trials.sort((a, b) => GONE.includes(b.fault) - GONE.includes(a.fault))
      const count = await eachIn(places, trials, async ({ name, fault, times }, place) => {
        const what = `${name.split('.').slice(1).join('.')} ${JSON.stringify(fault)} ${times === 1 ? 'once' : 'always'}`
        await layOutIn(place.bucket, objects)
        const made = []
        const open = openBlank(t, place, made)
        const rule = place.proxy.rule({ method: 'GET', path: name, ...fault, ...(times && { times }) })
        const outcome = await open()
        assert.ok(rule.hits > 0, what)
        assert.deepEqual(made, [], what)
        rule.remove()
        if (outcome instanceof Error) {
          tally.add(outcome.code)
          assert.ok([...CODES, fault === BARE && 'REMOTE_REFUSED'].includes(outcome.code), `${what}: ${outcome.code} ${outcome.message}`)
          assert.ok(!(times === 1 && BROKEN.includes(fault)), `${what}: ${outcome.code} ${outcome.message}`)
          await assertWhole(await open(), what)
        } else {
          tally.add('whole')
          // What is wrong for ever with the data cannot have been read.
          assert.ok(times === 1 || !name.includes('/data/'), what)
          await assertWhole(outcome, what)
        }
        assert.deepEqual(made, [], what)
      })
      t.diagnostic(`${kind}: ${count} restores: ${tally}`)
      assert.equal(count, trials.length)
      for (const outcome of ['whole', ...CODES]) assert.ok(tally.counts[outcome] > 0, `no trial ended as ${outcome}`)
    })
  }
})
