// Exchanges of one session, ten or fifty, between two processes with separate disks and one bucket, on a real S3 server, while real
// conversations go on: by SIGTERM, SIGKILL and SIGSTOP, before, while and after the next process opens the session.
//
// Invariants guarded: every message decrypts, or follows from writes that were lost and whose loss the next owner was told of
// (`restored`, `clean: false`); those are writes that nobody had acknowledged, and after SIGTERM there are none. The state of each
// owner is, key by key, the one at the LSN with which it opened. No two owners accept writes once the older one has been told, and
// what a process that was stopped accepts afterwards is in no later history (I3, I4, I7, I8, I16, I20).
//
// TEST_STORE names another kind of store, SEED replays a run.

import assert from 'node:assert/strict'
import { after, test } from '../../testkit/base/missing.mjs'
import { atEnd, KEY, runSeed } from '../../testkit/processes/machines.mjs'
import { Deploy, MOMENTS, SIGNALS } from '../../testkit/rolling/deploy.mjs'
import { doctored } from '../../testkit/rolling/doctored.mjs'
import { lateAcknowledgements, lateWrites, violations } from '../../testkit/rolling/rules.mjs'
import { tableOf } from '../../testkit/rolling/table.mjs'
import { layOutIn } from '../../testkit/stores/contents.mjs'
import { sized } from '../support/size.mjs'
import { makeRandom } from '../../testkit/world/wire.mjs'
import { objectsNow } from './places.mjs'

const kind = process.env.TEST_STORE || 'seaweedfs'
const { connect, start } = await import(`../../testkit/stores/${kind}.mjs`)
const running = JSON.parse(process.env.TEST_STORES || '{}')[kind]
let server = null
after(async () => {
  await (await server)?.stop()
})

async function makeBucket(t) {
  if (running === undefined) server ??= start()
  const bucket = await connect(running ?? (await server).address).makeBucket()
  atEnd(t, () => bucket.remove())
  return bucket
}

const EXCHANGES = sized(10, 50)
/**
 * A former owner hands over within the time that it looks twice, and a busy server must not take longer than that. What else waits
 * for the store has the time that it takes.
 */
const OPTIONS = {
  encryptionKeys: [KEY],
  ownershipCheckIntervalMs: 2000,
  flushIntervalMs: 200,
  closeTimeoutMs: 60_000,
  flushTimeoutMs: 60_000
}

/** Each signal at each moment five times, and five short pauses of the former owner, in random order; or each once. */
function deal(random) {
  const each = SIGNALS.flatMap((signal) => MOMENTS.map((moment) => ({ signal, moment })))
  const round = (prelude) => each.map((exchange) => (exchange.moment === 'before' ? { ...exchange, prelude } : exchange))
  const deck = sized(['cutOff'], ['cutOff', 'flush', null, 'cutOff', 'flush']).flatMap(round)
  while (deck.length < EXCHANGES) deck.push({ signal: 'pause', moment: deck.length % 2 ? 'before' : 'during' })
  for (let n = deck.length - 1; n > 0; n--) {
    const other = random.below(n + 1)
    ;[deck[n], deck[other]] = [deck[other], deck[n]]
  }
  return deck
}

async function startDeploy(t, seed, how = {}) {
  const bucket = await makeBucket(t)
  const random = makeRandom(seed)
  const deploy = await Deploy.start(t, { seed, random, contacts: 8, groups: 2, options: { ...OPTIONS, ...bucket.options }, how })
  return { deploy, random, bucket }
}

function report(t, { exchanges, lives, traffic }) {
  const row = (label, some) => ({ label, values: [some.map(({ openMs }) => openMs), some.map(({ gapMs }) => gapMs)] })
  const of = (signal, moment) => exchanges.filter((one) => one.signal === signal && (moment === undefined || one.moment === moment))
  const rows = [...SIGNALS, 'pause'].flatMap((signal) => [
    row(signal, of(signal)),
    ...MOMENTS.filter((moment) => of(signal, moment).length > 0).map((moment) => row(`  ${moment}`, of(signal, moment)))
  ])
  const told = [
    tableOf(rows, ['open of the next one, ms', 'nobody accepts writes, ms']),
    Object.entries({ ...traffic.stats, ...traffic.custody.stats })
      .map(([what, n]) => `${what} ${n}`)
      .join(', '),
    `told that something may be missing: ${exchanges.filter(({ clean }) => !clean).length} times; after the next one had opened: ` +
      `${lateWrites(lives).length} writes of stopped owners, ${lateAcknowledgements(lives).length} late acknowledgements`
  ]
  for (const line of told.join('\n').split('\n')) t.diagnostic(line)
}

test('a_session_that_changes_hands_again_and_again_loses_nothing_that_was_acknowledged', async (t) => {
  const seed = runSeed('rolling deploy')
  const { deploy, random } = await startDeploy(t, seed)
  const deck = deal(random)
  for (const [n, exchange] of deck.entries()) {
    await deploy.exchange(exchange).catch((error) => {
      error.message = `exchange ${n + 1}, ${JSON.stringify(exchange)}, SEED=${seed}: ${error.message}`
      throw error
    })
  }
  // Chance may have spared every write so far: owners are killed until one had some that nobody else has.
  const spared = () => deploy.traffic.custody.stats.lostWrites === 0
  for (let more = 0; spared() && more < 20; more++) await deploy.exchange({ signal: 'SIGKILL', moment: 'before' })
  await deploy.finish()
  report(t, deploy)
  assert.ok(deploy.exchanges.length >= EXCHANGES)
  assert.ok(deploy.traffic.custody.stats.lostWrites > 0, 'some owner died with writes that nobody had: else nothing was put to the test')
})

test('an_owner_that_does_not_hear_that_it_is_fenced_is_noticed', async (t) => {
  const { deploy } = await startDeploy(t, runSeed('deaf owners'), { deaf: true })
  const exchanges = async () => {
    for (let n = 0; n < 5; n++) await deploy.exchange({ signal: 'SIGTERM', moment: 'after' })
  }
  // By the merged history, or before that by the first conversation in which a write is missing.
  await assert.rejects(exchanges, /says that nothing is missing, and opened at LSN|^Error: m(essage|embers) |lost what it had acknowledged/)
})

test('an_owner_that_restores_a_stale_copy_is_noticed', async (t) => {
  const { deploy, bucket } = await startDeploy(t, runSeed('a stale copy'))
  const copy = await makeBucket(t)
  await layOutIn(copy, await objectsNow(bucket))
  // The second owner has at least what was flushed, and that is more than the copy has. The third one gets a blank disk: with the
  // log of the first one it could have all that the second one opened with, and nobody could tell it from an owner that lost the rest.
  const exchange = { signal: 'SIGKILL', moment: 'before', prelude: 'flush' }
  await deploy.exchange(exchange)
  await assert.rejects(
    () => deploy.exchange({ ...exchange, isBlank: true, options: copy.options }),
    /shows something else for \d+ of \d+ keys/
  )
})

test('each_way_to_break_the_history_is_noticed', () => {
  for (const { what, found, lives } of doctored()) {
    const said = violations(lives)
    if (found === null) assert.deepEqual(said, [], what)
    else assert.match(said.join('\n'), found, what)
  }
})
