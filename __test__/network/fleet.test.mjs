// A fleet at a real server: what opening and idling cost, and what its traffic looks like when much is to be done at once.
//
// Invariant guarded: requests do not grow with the tenants where they can be shared, never come in a burst, and no tenant's share
// is taken by another.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from '../../testkit/base/missing.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { noiseFrom } from '../../testkit/base/random.mjs'
import { countsOf, fleetPlace, inParallel, kindOf, loadOf, namesOf, tenantsOpening } from './fleets.mjs'
import { KINDS } from './places.mjs'
import { sized } from '../support/size.mjs'

const [S3] = KINDS
const TENANTS = namesOf(100)
/** As many as it takes to tell what is for each of them from what is for all. */
const MANY = namesOf(sized(30, 100))
/** Places that only questions of ownership take, beside those for all requests. */
const OWNERSHIP = 4
/** Tries after failures: so many can be saved up, and there are so many more per second. */
const SAVED = 64
const PER_SECOND = 16
/** For checks of ownership that are to be in nobody's way: as seldom as they can be. */
const NEVER = 600_000
/** For a close that the store ends, however busy the machine is. */
const PATIENT = { timeoutMs: 60_000 }

const put = (fleet, name, value = name) => fleet.get(name).state.keys.set({ session: { chat: { value } } })
/** The last question of an open is asked behind its back: what can be removed. While the store is out, it would go on asking that first. */
const opened = async (proxy, count) => {
  await eventually('all have asked what can be removed', () => countsOf(proxy.trace)['list data'] >= 3 * count)
  await proxy.idle()
}
const read = async (fleet, name) => (await fleet.get(name).state.keys.get('session', ['chat'])).chat?.value
const haveNoticed = (fleet) => Object.values(fleet.status()).every(({ store }) => store === 'degraded')
const isStored = (fleet) => Object.values(fleet.status()).every(({ store, lagMs }) => store === 'ok' && lagMs === 0)

test('opening_a_hundred_tenants_at_once_costs_at_most_thirteen_requests_each_and_shares_listings', async (t) => {
  // So seldom that no check comes between the requests that are counted, however long they take.
  const { proxy, machine } = await fleetPlace(t, S3, { ownershipCheckIntervalMs: NEVER })
  const fleet = machine('a')
  await inParallel(TENANTS, (name) => fleet.open(name))
  const count = () => countsOf(proxy.trace)
  await opened(proxy, TENANTS.length)
  const { 'list claims of all': shared, 'list claims': own, 'list data': data, ...counts } = count()
  // A claim, a base and its mark; three looks at one's own data; and for the store, once, the probe.
  const probe = { 'put probe': 2, 'list probe': 2, 'get probe': 2, 'delete probe': 1, 'list bucket': 1 }
  assert.deepEqual(counts, { ...probe, 'put claims': 200, 'put data': 100 })
  // On a busy machine an answer keeps silent for so long that it is asked for a second time, which the tries after failures pay for.
  assert.ok(data >= 300 && data <= 300 + SAVED, `${data}`)
  // Seven questions about claims each, of which one is for another name that the tenant could have had. The busier the machine is, the
  // more of them share a listing.
  assert.ok(own + shared > 0 && own + shared <= 300, `${own} and ${shared}: they are not shared`)
  const { puts, gets, lists, deletes } = fleet.traffic()
  // The probe asks twice without credentials, to see whether anybody may read or list; that is no traffic of ours.
  assert.deepEqual({ puts, gets, deletes }, { puts: 302, gets: 1, deletes: 1 })
  // What was asked for a second time and answered in that moment has not been sent.
  const sent = 2 + data + own + shared
  assert.ok(lists >= sent && lists <= sent + SAVED, `${lists} and ${sent}`)
})

test('idle_tenants_cost_listings_per_tick_and_not_per_tenant_and_each_of_them_is_confirmed', async (t) => {
  const interval = 2000
  // A session that is not confirmed in time refuses writes, for good: in time is within two checks and a half, and half a second.
  const { proxy, machine } = await fleetPlace(t, S3, { ownershipCheckIntervalMs: interval, onLeaseLost: 'stop' })
  const fleet = machine('a')
  await inParallel(MANY, (name) => fleet.open(name))
  await opened(proxy, MANY.length)
  const from = proxy.trace.length
  const ticks = () => (proxy.trace.at(-1).at - proxy.trace[from].at) / interval
  await eventually('more ticks than a session goes on without', () => proxy.trace.length > from && ticks() > 3)
  const { 'list claims of all': shared, 'list claims': own = 0, ...others } = countsOf(proxy.trace.slice(from))
  assert.deepEqual(others, {})
  assert.ok(shared <= ticks() + 2, `${shared} listings in ${ticks()} ticks`)
  // The first of a tick asks for itself if a busy machine leaves it alone for long enough.
  assert.ok(own <= shared, `${own} and ${shared}`)
  for (const [name, { life }] of Object.entries(fleet.status())) assert.equal(life, 'live', name)
})

test('while_the_store_is_out_tries_are_rationed_and_afterwards_never_more_requests_are_under_way_than_allowed', async (t) => {
  const places = 8
  const { proxy, bucket, machine } = await fleetPlace(t, S3, {
    maxConcurrentRequests: places,
    flushIntervalMs: 100,
    ownershipCheckIntervalMs: 500
  })
  proxy.rule({ delayMs: 20 })
  const fleet = machine('a')
  await inParallel(TENANTS, (name) => fleet.open(name))
  await opened(proxy, TENANTS.length)
  await proxy.outage('refuse')
  const [before, since] = [fleet.traffic(), performance.now()]
  await inParallel(TENANTS, (name) => put(fleet, name))
  await eventually('all have noticed', () => haveNoticed(fleet))
  // Without a ration each of them would have tried four times by then.
  await sleep(3000)
  const now = fleet.traffic()
  const seconds = (performance.now() - since) / 1000
  // One for each, and then what is left of those after failures, however long this took.
  const allowed = TENANTS.length + SAVED + PER_SECOND * seconds + places
  assert.ok(now.puts - before.puts <= allowed, `${now.puts - before.puts} tries in ${seconds} s`)
  // Each is a PUT and, because a successor must be noticed meanwhile, a LIST.
  assert.ok(now.failures - before.failures <= 2 * allowed, `${now.failures - before.failures} failures in ${seconds} s`)
  const load = loadOf(t, proxy)
  await proxy.heal()
  await eventually('all is stored', () => isStored(fleet))
  assert.ok(load.most <= places + OWNERSHIP, `${load.most} at once`)
  assert.ok(load.mostOfData <= places && load.mostOfData >= places / 2, `${load.mostOfData} at once`)
  const segments = (await bucket.list()).filter((name) => name.endsWith('.seg'))
  assert.equal(segments.length, TENANTS.length, 'one segment each catches up')
})

test('a_store_that_comes_back_meets_a_trickle_that_grows_with_its_answers', async (t) => {
  // With places for everybody, nothing but the ration keeps a hundred tenants from asking at once.
  const { proxy, machine } = await fleetPlace(t, S3, { maxConcurrentRequests: 200, flushIntervalMs: 100, ownershipCheckIntervalMs: 500 })
  proxy.rule({ delayMs: 60 })
  const fleet = machine('a')
  const opening = loadOf(t, proxy)
  await inParallel(TENANTS, (name) => fleet.open(name))
  assert.ok(opening.most > 2 * PER_SECOND, `without a failure there is no ration: ${opening.most} at once`)
  await opened(proxy, TENANTS.length)
  await proxy.outage('refuse')
  await inParallel(TENANTS, (name) => put(fleet, name))
  await eventually('all have noticed', () => haveNoticed(fleet))
  await sleep(3000)
  const load = loadOf(t, proxy)
  // Before anybody can ask: on a busy machine the first to ask is noticed late, together with others.
  const since = performance.now()
  await proxy.heal()
  await eventually('all is stored', () => isStored(fleet))
  // An answer earns two tries, and what was stored asks once who owns it.
  const rationed = (at) => PER_SECOND * (1 + (at - since) / 1000)
  const eager = load.moments.find(({ asked, answered, at }) => asked > rationed(at) + 3 * answered)
  assert.equal(eager, undefined)
  assert.ok(load.moments.at(-1).asked >= TENANTS.length)
})

test('a_tenant_with_large_values_and_constant_flushes_does_not_starve_the_others', async (t) => {
  const { proxy, machine } = await fleetPlace(t, S3, { maxConcurrentRequests: 2, flushIntervalMs: 50 })
  proxy.rule({ delayMs: 10 })
  const fleet = machine('a')
  const others = namesOf(20)
  await inParallel([...others, 'greedy'], (name) => fleet.open(name))
  await opened(proxy, others.length + 1)
  const from = proxy.trace.length
  let isHungry = true
  const eat = async () => {
    for (let meal = 0; isHungry; meal++) {
      await put(fleet, 'greedy', noiseFrom(meal, 500_000).toString('base64'))
      await fleet.get('greedy').flush()
    }
  }
  const eating = eat()
  await inParallel(others, async (name) => {
    for (let round = 0; round < 10; round++) {
      await put(fleet, name, `${name} ${round}`)
      await fleet.get(name).flush()
    }
  })
  const puts = proxy.trace
    .slice(from)
    .map(kindOf)
    .filter(({ asked }) => asked === 'put')
  isHungry = false
  const of = (tenant) => puts.filter((put) => put.tenant === tenant).length
  for (const name of others) assert.equal(of(name), 10, name)
  assert.ok(of('greedy') >= 2, 'it was there all the while')
  assert.ok(of('greedy') <= 11, `${of('greedy')} uploads of the greedy one, while each other had 10`)
  await eating
})

test('many_tenants_are_restored_on_a_blank_machine_and_never_more_at_once_than_asked_for', async (t) => {
  const [concurrency, places] = [5, 8]
  const { proxy, machine } = await fleetPlace(t, S3, { maxConcurrentRequests: places })
  const old = machine('a', { direct: true })
  await inParallel(MANY, (name) => old.open(name))
  await inParallel(MANY, (name) => put(old, name))
  await inParallel(MANY, (name) => old.get(name).saveCreds())
  assert.deepEqual(await old.shutdown(PATIENT), { closed: MANY.length, failed: [] })

  const fleet = machine('blank')
  const load = loadOf(t, proxy)
  const opening = tenantsOpening(t, proxy)
  const told = []
  const report = await fleet.restoreAll({
    concurrency,
    onProgress(progress) {
      opening.isDone(progress.tenantId)
      told.push(progress)
    }
  })
  assert.deepEqual(report.failed, [])
  assert.deepEqual([...report.opened].sort(), [...MANY].sort())
  assert.deepEqual(
    told.map(({ done, total, error }) => [done, total, error]),
    MANY.map((_, at) => [at + 1, MANY.length, null])
  )
  assert.equal(opening.most, concurrency)
  assert.ok(load.most <= places + OWNERSHIP, `${load.most} at once`)
  for (const name of MANY) {
    assert.deepEqual(fleet.get(name).status().restored, { source: 'remote', clean: true })
    assert.equal(await read(fleet, name), name)
  }
})

test('what_many_tenants_remove_at_once_keeps_to_the_allowed_number_of_requests_too', async (t) => {
  const places = 8
  const { proxy, machine } = await fleetPlace(t, S3, { maxConcurrentRequests: places, flushIntervalMs: 0 })
  proxy.rule({ delayMs: 10 })
  const names = namesOf(30)
  // The third owner removes what the first one stored, of all tenants at once.
  for (let owner = 0; owner < 2; owner++) {
    const fleet = machine('a', { direct: true })
    await inParallel(names, (name) => fleet.open(name))
    for (let round = 0; round < 10; round++) {
      await inParallel(names, (name) => put(fleet, name, `${owner} ${round}`))
      await inParallel(names, (name) => fleet.get(name).flush())
    }
    assert.deepEqual(await fleet.shutdown(PATIENT), { closed: names.length, failed: [] })
  }
  const load = loadOf(t, proxy)
  const fleet = machine('a')
  await inParallel(names, (name) => fleet.open(name))
  // Of each a base and ten segments, and then the three marks of its owner.
  const removed = () => ['data', 'claims'].map((what) => countsOf(proxy.trace)[`delete ${what}`])
  await eventually('all is removed', () => removed()[0] >= names.length * 11 && removed()[1] >= names.length * 3)
  await proxy.idle()
  assert.deepEqual(removed(), [names.length * 11, names.length * 3])
  assert.ok(load.most <= places + OWNERSHIP, `${load.most} at once`)
})
