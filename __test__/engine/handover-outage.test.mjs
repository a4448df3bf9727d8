// A handover while the store refuses the predecessor's objects for a moment.
//
// Invariant guarded (I5, I20, promise 2): what was on its way when the newer claim was seen is part of the handover. If it is
// stored, its successor has it; if it is not, nobody says that the end was clean, and no hole is left behind.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, Machine, scratch } from '../../testkit/processes/machines.mjs'
import { unhurried } from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'

/** Times that a predecessor may look for newer claims too early before something is wrong with the test. */
const ATTEMPTS = 10
/** Interval of the predecessor's own looks, at the first attempt; more rarely each time, as the machine may be slow. */
const INTERVAL = 3000

/**
 * Lets `newer` take a tenant over from `older`, whose segment the store refuses meanwhile. Answers what the newer one found; or
 * null if the older one saw the newer claim before its segment was refused, which it does at moments of its own: then this is
 * another story, and proves nothing here.
 */
async function takeOver({ older, newer, options, bucket, breakData }, { tenant, interval, more }) {
  const from = older.events.length
  const first = (...names) => older.events.slice(from).find((event) => names.includes(event.name))?.name
  await older.call('open', tenant, { ...options, ownershipCheckIntervalMs: interval })
  await older.call('set', { session: { a: { n: 1 } } })
  await older.call('flush')
  // The claim comes first: nobody claims before it has seen that it could restore.
  const opening = newer.call('open', tenant, { ...options, ...unhurried })
  const isClaim = (name) => name.startsWith(`v1/claims/${tenant}.`) && /-[0-9a-f]{32}$/.test(name)
  await eventually('the newer one has claimed', async () => (await bucket.list()).filter(isClaim).length === 2)
  const heal = await breakData(tenant)
  const second = await older.outcome('set', { session: { a: { n: 2 } } })
  await eventually('the outage is noticed, or the claim', () => first('degraded', 'fenced'))
  const third = more ? await older.outcome('set', { session: { b: { n: 3 } } }) : 'ok'
  await older.told('fenced', { from })
  await heal()
  const opened = await opening
  return first('degraded', 'fenced') === 'degraded' && second === 'ok' && third === 'ok' ? opened : null
}

for (const more of [false, true]) {
  test(`a_segment_that_was_refused_on_its_way_is_handed_over${more ? '_before_what_was_written_after_it' : ''}`, async (t) => {
    const folder = scratch(t)
    const fragile = await fragileBucket(t)
    const [older, newer] = [await Machine.start(t, join(folder, 'older')), await Machine.start(t, join(folder, 'newer'))]
    const site = { older, newer, ...fragile, options: fragile.bucket.options }
    let opened = null
    for (let attempt = 1; opened === null; attempt++) {
      assert.ok(attempt <= ATTEMPTS, 'the newer claim was seen too early, again and again')
      opened = await takeOver(site, { tenant: `t${attempt}`, interval: attempt * INTERVAL, more })
    }
    const last = await eventually('the predecessor has ended', async () => {
      const status = await older.call('status')
      return status.handedOver && status
    })
    assert.equal(opened.lsn, last.lsn, `it says that it handed over everything, and clean is ${opened.restored.clean}`)
    assert.deepEqual(opened.restored, { source: 'remote', clean: true })
    assert.deepEqual(await newer.call('get', 'session', ['a', 'b']), { a: { n: 2 }, b: more ? { n: 3 } : null })
    await newer.call('close')
  })
}
