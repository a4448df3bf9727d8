// The proxy that harms what passes between a client and a database: every fault, judged from both sides.
//
// Invariant: what a fault says that the server did is looked up in the server, on a connection of its own.

import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import pg from 'pg'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { startPostgres } from '../../testkit/databases/postgres.mjs'
import { startRedis } from '../../testkit/databases/redis.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { startFaultyProxy } from '../../testkit/wire/faulty.mjs'

let postgres
let redis
before(async () => {
  postgres = await startPostgres()
  redis = await startRedis()
  await postgres.query('create table notes (n int)')
  await postgres.query('grant all on notes to app')
})
after(async () => {
  await redis?.stop()
  await postgres?.stop()
})

/** Each database as both sides of a test: how a number is put, through a proxy, and which are there. */
const KINDS = {
  postgres: async (t) => {
    await postgres.query('truncate notes')
    const proxy = await startFaultyProxy(postgres.endpoint)
    atEnd(t, () => proxy.stop())
    const clients = []
    const connect = async () => {
      const client = new pg.Client({ connectionString: postgres.url.replace(/:\d+\//, `:${proxy.port}/`) })
      client.on('error', () => {})
      await client.connect()
      atEnd(t, () => client.end().catch(() => {}))
      clients.push(client)
      return client
    }
    const put = async (client, n) => (await client.query('insert into notes values ($1)', [n])).rowCount
    return {
      proxy,
      connect,
      put,
      text: /insert/,
      listText: /select/,
      done: 1,
      busy: /too busy/,
      list: async (client) => (await client.query('select n from notes order by n')).rows.map(({ n }) => n),
      there: async () => (await postgres.query('select n from notes order by n')).map(({ n }) => n)
    }
  },
  redis: async (t) => {
    await redis.ask('FLUSHALL')
    const proxy = await startFaultyProxy(redis.endpoint)
    atEnd(t, () => proxy.stop())
    const connect = async () => {
      const { user: username, password } = redis
      const client = new Redis({
        port: proxy.port,
        username,
        password,
        retryStrategy: null,
        lazyConnect: true,
        maxRetriesPerRequest: 0,
        enableReadyCheck: false,
        disableClientInfo: true
      })
      client.on('error', () => {})
      await client.connect()
      atEnd(t, () => client.disconnect())
      return client
    }
    const list = async (client) => (await client.lrange('notes', 0, -1)).map(Number).sort()
    return {
      proxy,
      connect,
      list,
      put: async (client, n) => ((await client.rpush('notes', n)) > 0 ? 1 : 0),
      text: 'rpush',
      listText: 'lrange',
      done: 1,
      busy: /too busy/,
      there: async () => (await redis.ask('LRANGE', 'notes', '0', '-1')).map(Number).sort()
    }
  }
}

const eventually = async (isTrue) => {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** True if a promise is open after everything else went through. */
const isOpen = (promise) =>
  Promise.race([
    promise.then(
      () => false,
      () => false
    ),
    new Promise((resolve) => setTimeout(resolve, 200, true))
  ])

for (const [kind, open] of Object.entries(KINDS)) {
  test(`${kind}_without_a_rule_is_passed_on_as_it_is`, async (t) => {
    const at = await open(t)
    const client = await at.connect()
    for (let n = 0; n < 50; n++) assert.equal(await at.put(client, n % 10), at.done)
    assert.equal((await at.list(client)).length, 50)
    const requests = at.proxy.trace.filter(({ what }) => (at.text instanceof RegExp ? at.text.test(what) : what.includes(at.text)))
    assert.equal(requests.length, 50)
    assert.equal(new Set(requests.map(({ flight }) => flight)).size, 50, 'each waited for the one before')
    assert.ok(requests.every(({ answered }) => answered))
  })

  test(`${kind}_swallowed_answer_was_carried_out`, async (t) => {
    const at = await open(t)
    const client = await at.connect()
    const rule = at.proxy.rule({ text: at.text, fault: 'swallow', times: 1 })
    await assert.rejects(at.put(client, 1))
    assert.deepEqual(await at.there(), [1])
    assert.equal(rule.hits, 1)
    assert.equal(await at.put(await at.connect(), 2), at.done)
    at.proxy.rule({ text: at.text, fault: 'swallow', ending: 'hang', times: 1 })
    assert.equal(await isOpen(at.put(await at.connect(), 3)), true)
    assert.deepEqual(await at.there(), [1, 2, 3])
  })

  test(`${kind}_connection_ends_between_two_requests_that_were_sent_together`, async (t) => {
    const at = await open(t)
    const client = await at.connect()
    at.proxy.rule({ text: at.text, fault: 'break-after', times: 1 })
    const first = at.put(client, 1)
    const second = at.list(client)
    assert.equal(await first, at.done)
    await assert.rejects(second)
    assert.deepEqual(await at.there(), [1])
  })

  test(`${kind}_lost_request_never_reached_the_server_and_a_refused_one_neither`, async (t) => {
    const at = await open(t)
    at.proxy.rule({ text: at.text, fault: 'lose', times: 1 })
    await assert.rejects(at.put(await at.connect(), 1))
    const rule = at.proxy.rule({ text: at.text, fault: 'refuse', times: 1 })
    const client = await at.connect()
    const refused = at.put(client, 2)
    const listed = at.list(client)
    await assert.rejects(refused, at.busy)
    assert.deepEqual(await listed, [], 'the connection goes on')
    assert.equal(rule.hits, 1)
    assert.deepEqual(await at.there(), [])
  })

  test(`${kind}_held_request_holds_up_those_behind_it_on_its_connection_only`, async (t) => {
    const at = await open(t)
    const [held, other] = [await at.connect(), await at.connect()]
    const rule = at.proxy.rule({ text: at.text, fault: 'hold', times: 1 })
    const first = at.put(held, 1)
    const second = at.list(held)
    await eventually(() => rule.hits === 1)
    assert.deepEqual(await at.list(other), [])
    assert.equal(await isOpen(first), true)
    await at.put(other, 2)
    rule.release()
    assert.equal(await first, at.done)
    assert.deepEqual(await second, [1, 2])
  })

  test(`${kind}_is_delayed_in_each_direction_stalled_and_out`, async (t) => {
    const at = await open(t)
    const client = await at.connect()
    Object.assign(at.proxy.delay, { upMs: 30, downMs: 20 })
    const began = performance.now()
    await at.put(client, 1)
    // Node counts whole milliseconds: each of the two timers may be early by a part of one.
    assert.ok(performance.now() - began >= 48, 'delayed on both ways')
    Object.assign(at.proxy.delay, { upMs: 0, downMs: 0 })
    at.proxy.stall()
    const stalled = at.put(client, 2)
    assert.equal(await isOpen(stalled), true)
    assert.deepEqual(await at.there(), [1])
    at.proxy.resume()
    assert.equal(await stalled, at.done)
    for (const how of ['refuse', 'reset']) {
      await at.proxy.outage(how)
      await assert.rejects(at.put(client, 3))
      await assert.rejects(at.connect())
      await at.proxy.heal()
      assert.deepEqual(await at.list(await at.connect()), [1, 2])
    }
  })

  test(`${kind}_answer_is_cut_in_the_middle_or_comes_in_drops`, async (t) => {
    const at = await open(t)
    const client = await at.connect()
    for (let n = 0; n < 30; n++) await at.put(client, n % 10)
    at.proxy.rule({ text: at.listText, fault: 'drip', bytes: 40, ms: 2, times: 1 })
    assert.equal((await at.list(client)).length, 30)
    at.proxy.rule({ text: at.listText, fault: 'cut', times: 1 })
    await assert.rejects(at.list(client))
  })
}
