// Sessions without a disk whose wire to the database fails request by request: between a commit and its answer, and between an object
// and the listing that was sent with it.
//
// Invariant guarded (I4, D11): what resolved is on a blank machine afterwards, once; an object that was stored while a newer instance
// claimed is not acknowledged; and a write that nothing disturbs takes one exchange.

import assert from 'node:assert/strict'
import { test } from '../../testkit/base/missing.mjs'
import { assertRestores, acknowledged, DATABASES, databaseScene, moreWrites } from '../../testkit/databases/scene.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { chosen } from '../support/size.mjs'

/** Text in the bytes of a request that stores a part of the state. */
const PUT = { postgres: /insert into[^]*v1\/data\//, redis: /EVAL(SHA)?\r\n[^]*\r\n3\r\n[^]*:o:v1\/data\// }

for (const kind of chosen(DATABASES, (kind) => kind === 'redis')) {
  test(`${kind}_answer_that_is_swallowed_after_the_commit_loses_nothing_and_stores_nothing_twice`, async (t) => {
    const at = await databaseScene(t, kind, { proxied: true })
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 5)
    for (let fault = 0; fault < 6; fault++) {
      const rule = at.proxy.rule({ text: PUT[kind], fault: 'swallow', times: 1 })
      await eventually('an answer was swallowed', () => rule.hits === 1)
      await moreWrites(owner, 5)
    }
    await owner.call('stopTraffic')
    await owner.call('flush')
    const [{ n }, { lsn }] = [await owner.call('traffic'), await owner.call('status')]
    await owner.kill()
    const blank = await assertRestores(at, owner)
    // The credentials are one batch more. LSNs count batches: one that was applied twice would show.
    assert.equal(lsn, n + 1)
    assert.equal(blank.opened.lsn, lsn)
  })

  test(`${kind}_connection_that_ends_between_a_put_and_the_listing_behind_it_loses_nothing`, async (t) => {
    const at = await databaseScene(t, kind, { proxied: true })
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    await moreWrites(owner, 5)
    for (let fault = 0; fault < 6; fault++) {
      const rule = at.proxy.rule({ text: PUT[kind], fault: 'break-after', times: 1 })
      await eventually('a connection ended', () => rule.hits === 1)
      await moreWrites(owner, 5)
    }
    await owner.kill()
    await assertRestores(at, owner)
  })

  test(`${kind}_requests_that_are_lost_refused_and_late_lose_nothing`, async (t) => {
    const at = await databaseScene(t, kind, { proxied: true })
    const owner = await at.open()
    await owner.call('startTraffic', 'all', 0)
    for (const fault of [{ fault: 'lose' }, { fault: 'refuse' }, { fault: 'delay', ms: 300 }]) {
      const rule = at.proxy.rule({ ...fault, text: PUT[kind], times: 3 })
      await eventually(`${fault.fault} three times`, () => rule.hits === 3)
      await moreWrites(owner, 5)
    }
    at.proxy.reset()
    await moreWrites(owner, 5)
    await owner.kill()
    await assertRestores(at, owner)
  })

  test(`${kind}_object_that_is_held_up_while_a_newer_instance_claims_is_not_acknowledged`, async (t) => {
    const at = await databaseScene(t, kind, { proxied: true })
    const owner = await at.open()
    await owner.call('set', { counter: { all: { n: 1 } } })
    const rule = at.proxy.rule({ text: PUT[kind], fault: 'hold', times: 1 })
    const late = owner.outcome('set', { counter: { all: { n: 2 } } })
    await eventually('it is held up', () => rule.hits === 1)
    const newer = await at.heir({ store: at.direct })
    await newer.call('set', { counter: { newer: { n: 1 } } })
    rule.release()
    assert.equal(await late, 'FENCED')
    const { all } = await newer.call('get', 'counter', ['all'])
    assert.equal(all.n, 1)
  })

  test(`${kind}_takes_one_exchange_for_a_write_that_nothing_disturbs`, async (t) => {
    const at = await databaseScene(t, kind, { proxied: true })
    const owner = await at.open({ ownershipCheckIntervalMs: 600_000 })
    for (let n = 1; n <= 5; n++) await owner.call('set', { counter: { all: { n } } })
    const from = at.proxy.trace.length
    for (let n = 6; n <= 25; n++) await owner.call('set', { counter: { all: { n } } })
    const puts = at.proxy.trace.slice(from).filter(({ what }) => (kind === 'postgres' ? what.includes('insert into') : /^EVAL/i.test(what)))
    assert.ok(puts.length >= 20)
    const flights = new Set(at.proxy.trace.slice(from).map(({ link, flight }) => `${link} ${flight}`))
    assert.equal(flights.size, puts.length, 'each write left in one flight, its listing with it')
    assert.equal(acknowledged(owner), 0, 'there was no other traffic')
  })
}
