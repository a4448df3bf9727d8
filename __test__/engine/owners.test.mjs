// Two real processes with disks of their own and one bucket between them: handing over, taking over, waking up too late.
//
// Invariant guarded (I3, I7, I8, I16, I20): at most one owner's writes become the history; a healthy predecessor loses
// nothing, a dead one only what was not stored, and whoever lost ownership accepts nothing more once it knows.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually, KEY, Machine, runSeed, scratch } from '../../testkit/processes/machines.mjs'
import { canonical } from '../../testkit/base/matrix.mjs'
import { unhurried } from '../../testkit/processes/sessions.mjs'
import { makeBucket } from '../../testkit/stores/index.mjs'
import { makeRandom } from '../../testkit/world/wire.mjs'
import { sized } from '../support/size.mjs'

const TENANT = 't'
const TYPES = ['session', 'counter']
/** So long that waiting for it would end the test run: whoever is through before did not wait. */
const NEVER = 300_000

async function site(t) {
  const folder = scratch(t)
  const bucket = await makeBucket(t)
  return {
    folder,
    bucket,
    options: { ...bucket.options, encryption: 'on', encryptionKeys: [KEY] },
    machine: (name) => Machine.start(t, join(folder, name))
  }
}

const countClaims = async (bucket) => (await bucket.list()).filter((name) => name.startsWith('v1/claims/')).length
const acknowledged = (machine) => machine.notes.filter((line) => line.startsWith('ack ')).length
const writesSeen = async (machine, label) => (await machine.call('get', 'counter', [label]))[label]?.n ?? 0

/** The status of a predecessor that is done: its successor may be through before it has heard that its last PUT arrived. */
const handedOver = (machine) =>
  eventually('it has handed over', async () => {
    const status = await machine.call('status')
    return status.handedOver && status
  })

test('a_clean_handover_under_traffic_loses_no_resolved_write', async (t) => {
  const { machine, options } = await site(t)
  const [older, newer] = [await machine('older'), await machine('newer')]
  await older.call('open', TENANT, { ...options, ...unhurried })
  await older.call('startTraffic', 'older')
  await eventually('some traffic', () => acknowledged(older) > 50)

  const opened = await newer.call('open', TENANT, { ...options, ...unhurried })
  await older.told('fenced')
  assert.equal(await older.outcome('set', { session: { late: { n: 1 } } }), 'FENCED')
  assert.equal(await older.outcome('saveCreds', { generation: 0 }), 'FENCED')
  await eventually('the traffic is refused', async () => (await older.call('traffic')).refusal === 'FENCED')

  const { n } = await older.call('traffic')
  const last = await handedOver(older)
  assert.equal(acknowledged(older), n)
  assert.equal(await writesSeen(newer, 'older'), n, 'the last resolved write is at the new owner')
  assert.equal(opened.lsn, last.lsn, 'the LSNs are equal (I20)')
  assert.deepEqual(opened.restored, { source: 'remote', clean: true })
  assert.equal(last.life, 'fenced')
  assert.equal(canonical(await newer.call('dump', TYPES)), canonical(await older.call('dump', TYPES)))

  // A write that resolves after the event would be one that the successor lacks.
  const lines = older.notes
  const after = lines.slice(lines.indexOf('event fenced')).filter((line) => line.startsWith('ack '))
  assert.deepEqual(after, [], 'nothing resolves after the fenced event')
  await newer.call('set', { session: { mine: { n: 1 } } })
  await newer.call('close')
  await older.call('close')
})

test('a_takeover_from_a_killed_machine_waits_for_it_and_keeps_all_that_was_stored', async (t) => {
  const { machine, options, bucket } = await site(t)
  const dead = await machine('dead')
  await dead.call('open', TENANT, { ...options, flushIntervalMs: NEVER })
  await dead.call(
    'setMany',
    Array.from({ length: 30 }, (_, n) => ({ counter: { dead: { n: n + 1 } } }))
  )
  await dead.call('flush')
  const { remoteDurableLsn } = await dead.call('status')
  await dead.call(
    'setMany',
    Array.from({ length: 5 }, (_, n) => ({ counter: { dead: { n: n + 31 } } }))
  )
  await dead.kill()

  const heir = await machine('heir')
  const opened = await heir.call('open', TENANT, options)
  assert.deepEqual(opened.restored, { source: 'remote', clean: false }, 'what was not stored may be missing, and it is said')
  assert.ok(opened.lsn >= remoteDurableLsn)
  assert.ok((await writesSeen(heir, 'dead')) >= 30)
  await heir.call('close')

  // The next owner says in its claim that it looks only now and then: others have to wait that long for it.
  const slow = await machine('slow')
  await slow.call('open', TENANT, { ...options, ownershipCheckIntervalMs: NEVER })
  await slow.call('set', { counter: { slow: { n: 1 } } })
  await slow.call('flush')
  await slow.kill()
  const waiting = await machine('waiting')
  const claims = await countClaims(bucket)
  const outcome = waiting.outcome('open', TENANT, options)
  await eventually('it has claimed', async () => (await countClaims(bucket)) > claims)
  const early = await Promise.race([outcome, pause(2000, 'still waiting')])
  assert.equal(early, 'still waiting', 'a predecessor that may be alive is waited for')
  const eager = await machine('eager')
  const taken = await eager.call('open', TENANT, { ...options, takeover: true })
  assert.equal(await writesSeen(eager, 'slow'), 1)
  assert.deepEqual(taken.restored, { source: 'remote', clean: false })
  assert.equal(await outcome, 'OWNED_ELSEWHERE', 'who waited learns that somebody else was let in')
})

test('a_restart_on_the_same_disk_after_sigkill_waits_for_nobody_and_loses_nothing', async (t) => {
  const { machine, options } = await site(t)
  const rarely = { ...options, flushIntervalMs: NEVER, ownershipCheckIntervalMs: NEVER }
  let written = 0
  for (let life = 0; life < 5; life++) {
    const owner = await machine('same')
    const opened = await owner.call('open', TENANT, rarely)
    assert.equal(await writesSeen(owner, 'same'), written)
    assert.deepEqual(opened.restored, life === 0 ? { source: 'fresh', clean: true } : { source: 'local', clean: true })
    await owner.call(
      'setMany',
      Array.from({ length: 10 }, () => ({ counter: { same: { n: ++written } } }))
    )
    await owner.kill()
  }
})

test('stalled_owner_cannot_acknowledge', async (t) => {
  const random = makeRandom(runSeed('stalled owner'))
  for (let round = 0; round < sized(1, 4); round++) {
    const { machine, options } = await site(t)
    const [stalled, heir] = [await machine('stalled'), await machine('heir')]
    await stalled.call('open', TENANT, options)
    await stalled.call('startTraffic', 'stalled')
    await eventually('some traffic', () => acknowledged(stalled) > 20)
    await pause(random.below(50))
    stalled.stop()
    const before = acknowledged(stalled)

    const opened = await heir.call('open', TENANT, options)
    assert.equal(opened.restored.source, 'remote')
    const inherited = await writesSeen(heir, 'stalled')
    await heir.call('set', { session: { 'stalled-1': { mine: true } }, counter: { heir: { n: 1 } } })
    stalled.continue()
    await stalled.told('fenced')
    await eventually('the traffic is refused', async () => (await stalled.call('traffic')).refusal === 'FENCED')
    assert.equal(await stalled.outcome('set', { counter: { stalled: { n: 1e6 } } }), 'FENCED')
    const flushed = await stalled.outcome('flush')
    assert.ok(
      flushed === 'FENCED' || acknowledged(stalled) === inherited,
      `it cannot say that anything is stored which its heir lacks: ${flushed}`
    )

    const after = await stalled.call('status')
    assert.ok(after.remoteDurableLsn <= opened.lsn, 'it never counted anything as stored that its heir lacks')
    assert.equal(await writesSeen(heir, 'stalled'), inherited, 'what it resolved after waking is not in the history')
    assert.deepEqual(await heir.call('get', 'session', ['stalled-1']), { 'stalled-1': { mine: true } })
    await heir.call('set', { counter: { heir: { n: 2 } } })
    await heir.call('flush')
    const owned = canonical(await heir.call('dump', TYPES))
    const { lsn } = await heir.call('status')
    await heir.call('close')
    await stalled.outcome('close')
    t.diagnostic(`round ${round}: ${before} resolved before it stalled, ${inherited} inherited, ${acknowledged(stalled)} in all`)

    // Neither a blank machine nor the stalled one's own disk brings its last writes back.
    for (const name of ['blank', 'stalled']) {
      const next = await machine(name)
      const restored = await next.call('open', TENANT, options)
      assert.deepEqual([restored.lsn, restored.restored], [lsn, { source: 'remote', clean: true }])
      assert.equal(canonical(await next.call('dump', TYPES)), owned)
      await next.call('close')
    }
  }
})

test('a_stalled_owner_that_wakes_in_time_hands_over_everything', async (t) => {
  const { machine, options, bucket } = await site(t)
  const [stalled, heir] = [await machine('stalled'), await machine('heir')]
  await stalled.call('open', TENANT, { ...options, ...unhurried, flushIntervalMs: NEVER })
  await stalled.call(
    'setMany',
    Array.from({ length: 20 }, (_, n) => ({ counter: { stalled: { n: n + 1 } } }))
  )
  stalled.stop()
  const claims = await countClaims(bucket)
  const opening = heir.call('open', TENANT, { ...options, handoverTimeoutMs: NEVER })
  await eventually('it has claimed', async () => (await countClaims(bucket)) > claims)
  stalled.continue()
  const opened = await opening
  assert.deepEqual(opened.restored, { source: 'remote', clean: true })
  assert.equal(await writesSeen(heir, 'stalled'), 20)
  assert.equal((await handedOver(stalled)).lsn, opened.lsn)
})

test('two_machines_that_open_at_the_same_time_take_turns_and_one_owns_in_the_end', async (t) => {
  const random = makeRandom(runSeed('race'))
  const { machine, options } = await site(t)
  const machines = [await machine('left'), await machine('right')]
  const quick = { ...options, ownershipCheckIntervalMs: 50 }
  const tally = { 'one opened': 0, 'both opened': 0 }
  let last = 0
  for (let round = 1; round <= 20; round++) {
    const outcomes = await Promise.all(
      machines.map(async (one) => {
        await pause(random.below(40))
        return one.outcome('open', TENANT, quick)
      })
    )
    for (const outcome of outcomes) assert.ok(['ok', 'OWNED_ELSEWHERE', 'FENCED'].includes(outcome), `round ${round}: ${outcomes}`)
    const opened = machines.filter((_, n) => outcomes[n] === 'ok')
    assert.ok(opened.length > 0, `round ${round}: nobody opened: ${outcomes}`)
    tally[opened.length === 1 ? 'one opened' : 'both opened'] += 1
    // A write, and whether it was stored: only the owner of the end can say so.
    const stored = []
    for (const one of opened) {
      const seen = await writesSeen(one, 'rounds')
      assert.equal(seen, last, `round ${round}: the last owner's write is there`)
    }
    await Promise.all(
      opened.map(async (one) => {
        const set = await one.outcome('set', { counter: { rounds: { n: round } } })
        const flushed = set === 'ok' ? await one.outcome('flush') : set
        assert.ok(['ok', 'FENCED'].includes(flushed), `round ${round}: ${flushed}`)
        if (flushed === 'ok') stored.push(one)
      })
    )
    assert.equal(stored.length, 1, `round ${round}: ${outcomes}`)
    last = round
    await Promise.all(opened.map((one) => one.outcome('close')))
  }
  t.diagnostic(JSON.stringify(tally))
})

test('a_directory_is_open_in_one_process_only_and_free_again_when_that_is_killed', async (t) => {
  const { folder, machine, options } = await site(t)
  for (const how of [{ mode: 'local' }, { ...options, ownershipCheckIntervalMs: NEVER }]) {
    const shared = { ...how, directory: join(folder, `shared-${how.mode ?? 'hybrid'}`) }
    const [first, second] = [await machine('first'), await machine('second')]
    await first.call('open', TENANT, shared)
    await first.call('set', { counter: { first: { n: 1 } } })
    assert.equal(await second.outcome('open', TENANT, shared), 'ALREADY_OPEN')
    assert.equal(await first.outcome('set', { counter: { first: { n: 2 } } }), 'ok')
    first.stop()
    assert.equal(await second.outcome('open', TENANT, shared), 'ALREADY_OPEN', 'a stopped process holds it as well')
    await first.kill()
    const { lsn, restored } = await second.call('open', TENANT, shared)
    assert.deepEqual([lsn, restored], [3, { source: 'local', clean: true }])
    assert.equal(await writesSeen(second, 'first'), 2)
    await second.call('close')
  }
})
