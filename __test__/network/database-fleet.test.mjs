// Many sessions of a process in one database: its connections, and a rolling deploy from one process to the next.
//
// Invariant guarded: the number of connections does not grow with the sessions: so many for requests and one that listens. A session that
// is handed over has everything that resolved before.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { startPgBouncer } from '../../testkit/databases/pgbouncer.mjs'
import { startPostgres } from '../../testkit/databases/postgres.mjs'
import { startRedis } from '../../testkit/databases/redis.mjs'
import { storeAt } from '../../testkit/databases/scene.mjs'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { sized } from '../support/size.mjs'

const { HybridAuth } = createRequire(import.meta.url)('../../index.js')

const KEY = '3c'.repeat(32)
/** Start of a server, and the connections of a process: those for requests, and one that listens. */
const KINDS = { postgres: { start: startPostgres, connections: 4 + 1 }, redis: { start: startRedis, connections: 2 + 1 } }
const namesOf = (count) => Array.from({ length: count }, (_, at) => `t-${at}`)
const inParallel = (names, work) => Promise.all(names.map(work))
const put = (fleet, name, n) => fleet.get(name).state.keys.set({ counter: { all: { n } } })
const read = async (fleet, name) => (await fleet.get(name).state.keys.get('counter', ['all'])).all?.n

/** Fleets over one database; `machine()` is one with a disk of its own, in the mode that `options` name. */
function fleetsOver(t, store, options = {}) {
  const root = scratch(t, { quick: true })
  let machines = 0
  return () => {
    const directory = options.mode === 'cloud' ? {} : { directory: join(root, `machine-${++machines}`) }
    const fleet = new HybridAuth({ store, encryptionKeys: KEY, baileys: cheapBaileys, ...directory, ...options })
    atEnd(t, () => fleet.shutdown({ timeoutMs: 2000 }))
    return fleet
  }
}

/** The most connections that the server saw while `work` went on. */
async function mostConnections(server, work) {
  let isOver = false
  const done = work.finally(() => (isOver = true))
  let most = 0
  while (!isOver) {
    most = Math.max(most, await server.connections())
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await done
  return most
}

for (const [kind, { start, connections }] of Object.entries(KINDS)) {
  test(`${kind}_sessions_of_a_process_share_${connections}_connections_however_many_they_are`, async (t) => {
    const server = await start()
    atEnd(t, () => server.stop())
    const tenants = namesOf(sized(200, 500))
    const machine = fleetsOver(t, storeAt(server), { mode: 'cloud' })
    const fleet = machine()
    const work = async () => {
      await inParallel(tenants, (name) => fleet.open(name))
      for (let n = 1; n <= 3; n++) await inParallel(tenants, (name) => put(fleet, name, n))
    }
    const most = await mostConnections(server, work())
    assert.ok(most > 0 && most <= connections, `${most}`)
    t.diagnostic(`${tenants.length} sessions, ${most} connections`)
    await fleet.shutdown({ timeoutMs: 60_000 })
    const next = machine()
    await inParallel(tenants, (name) => next.open(name))
    for (const name of tenants) assert.equal(await read(next, name), 3, name)
  })
}

test('sessions_behind_PgBouncer_in_transaction_mode_keep_everything_over_two_connections', async (t) => {
  const server = await startPostgres()
  atEnd(t, () => server.stop())
  const bouncer = await startPgBouncer(server, { poolSize: 2 })
  atEnd(t, () => bouncer.stop())
  const tenants = namesOf(40)
  const machine = fleetsOver(t, storeAt(server, bouncer.endpoint), { mode: 'cloud' })
  const fleet = machine()
  const work = async () => {
    await inParallel(tenants, (name) => fleet.open(name))
    for (let n = 1; n <= 5; n++) await inParallel(tenants, (name) => put(fleet, name, n))
  }
  assert.ok((await mostConnections(server, work())) <= 2)
  await fleet.shutdown({ timeoutMs: 60_000 })
  const next = machine()
  await inParallel(tenants, (name) => next.open(name))
  for (const name of tenants) assert.equal(await read(next, name), 5, name)
})

for (const [kind, mode] of [
  ['postgres', 'cloud'],
  ['postgres', 'hybrid'],
  ['redis', 'cloud']
]) {
  test(`${kind}_rolling_deploy_hands_every_session_over_with_all_that_resolved_in_mode_${mode}`, async (t) => {
    const server = await KINDS[kind].start()
    atEnd(t, () => server.stop())
    const tenants = namesOf(20)
    // Seldom checks: what an instance notices at once, it was told. Without that, each open would wait for a check.
    const machine = fleetsOver(t, storeAt(server), { mode, ownershipCheckIntervalMs: 5000, handoverTimeoutMs: 60_000 })
    let old = machine()
    await inParallel(tenants, (name) => old.open(name))
    const took = []
    for (let deploy = 1; deploy <= 3; deploy++) {
      const written = new Map()
      let isOver = false
      /** Writes until the session is taken over, as an application does. */
      const traffic = async (name) => {
        const session = old.get(name)
        for (let n = 1; !isOver; n++) {
          try {
            await session.state.keys.set({ counter: { all: { n } } })
            written.set(name, n)
          } catch (error) {
            assert.equal(error.code, 'FENCED', `${error}`)
            return
          }
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      }
      const going = tenants.map(traffic)
      await eventually('every tenant has written', () => written.size === tenants.length)
      const next = machine()
      for (const name of tenants) {
        const began = performance.now()
        await next.open(name)
        took.push(performance.now() - began)
      }
      isOver = true
      await Promise.all(going)
      for (const name of tenants) {
        const found = await read(next, name)
        assert.ok(found >= written.get(name), `${name}: ${written.get(name)} resolved, ${found} found`)
      }
      await old.shutdown({ timeoutMs: 60_000 })
      old = next
    }
    took.sort((a, b) => a - b)
    t.diagnostic(
      `handover over ${kind} in mode ${mode}: p50 ${took[took.length >> 1].toFixed(0)} ms, p95 ${took[Math.floor(took.length * 0.95)].toFixed(0)} ms`
    )
  })
}
