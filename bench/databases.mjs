// `npm run bench:databases`: sessions without a disk over a database, a bucket and a directory, and what users would pick instead.
//
//   node bench/databases.mjs [--rounds 5] [--calls 60] [--sessions 500] [--seconds 2] [--handovers 10] [--kills 3] [--json]
//
// The stores take turns, round after round, so that a machine whose speed drifts drifts for all of them; only ratios are worth
// quoting. All servers are on this machine, with their disks waited for: PostgreSQL as it comes, Redis with its log synced each second
// (`everysec`), MariaDB as it comes, `rclone serve s3` in memory. Over a network, each round trip adds to every row.
//
// Lost: the server is killed and started again while batches of one and of 30 keys are written; a batch is lost if its promise resolved and it is
// not whole afterwards, and torn if a part of it is there.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startPostgres } from '../testkit/databases/postgres.mjs'
import { startRedis } from '../testkit/databases/redis.mjs'
import { DATABASES, storeAt } from '../testkit/databases/scene.mjs'
import * as rclone from '../testkit/stores/rclone.mjs'
import { startMariadb } from './databases/mariadb.mjs'
import { crashes, handovers, losses, oneAfterTheOther, quantile, surviveRivals, together } from './databases/measure.mjs'
import { ours } from './databases/ours.mjs'
import { loadRivals, mysqlBaileys, redisBaileys, rowPerKey } from './databases/rivals.mjs'

const number = (name, fallback) => ({ [name]: { type: /** @type {const} */ ('string'), default: String(fallback) } })
const { values: args } = parseArgs({
  options: {
    ...number('rounds', 5),
    ...number('calls', 60),
    ...number('sessions', 500),
    ...number('seconds', 2),
    ...number('handovers', 10),
    ...number('kills', 3),
    json: { type: 'boolean', default: false }
  }
})
const [ROUNDS, CALLS, SESSIONS, SECONDS, HANDOVERS, KILLS] = [
  args.rounds,
  args.calls,
  args.sessions,
  args.seconds,
  args.handovers,
  args.kills
].map(Number)
const AT_ONCE = 50
const OUTAGE_MS = 3000

const say = (text) => args.json || console.log(text)
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-bench-'))
const started = []
const keep = async (starting) => {
  const server = await starting
  started.push(server)
  return server
}

async function makeStores() {
  const bucketServer = await keep(rclone.start({ inMemory: true }))
  const bucket = await (await rclone.connect(bucketServer.address)).makeBucket()
  const postgres = await keep(startPostgres({ settings: { fsync: 'on', max_connections: '600' } }))
  const redis = await keep(startRedis({ settings: { appendfsync: 'everysec' } }))
  const mariadb = await keep(startMariadb())
  const rivals = loadRivals()
  const databases = [postgres, redis].filter(({ kind }) => DATABASES.includes(kind))
  return [
    ...databases.map((server) =>
      ours(`ours, ${server.kind}`, { store: storeAt(server) }, { server, connections: () => server.connections() })
    ),
    ours('ours, directory', { store: `${pathToFileURL(join(root, 'bucket')).href}?create=true` }),
    ours('ours, S3', bucket.options),
    redisBaileys(rivals, redis),
    mysqlBaileys(rivals, mariadb),
    rowPerKey(postgres)
  ]
}

const rows = new Map()
function note(store, what) {
  rows.set(store.name, { ...rows.get(store.name), ...what })
  say(`${store.name}: ${JSON.stringify(what)}`)
}

async function speed(stores) {
  const one = new Map()
  const many = new Map()
  const alone = await Promise.all(stores.map((store) => store.open('alone')))
  const crowd = await Promise.all(stores.map((store) => Promise.all(Array.from({ length: AT_ONCE }, (_, n) => store.open(`crowd-${n}`)))))
  for (let round = -1; round < ROUNDS; round++) {
    for (const [at, { name }] of stores.entries()) {
      const times = await oneAfterTheOther(alone[at], CALLS, round + 1)
      const rate = await together(crowd[at], SECONDS * 1000)
      if (round < 0) continue
      one.set(name, [...(one.get(name) ?? []), ...times])
      many.set(name, [...(many.get(name) ?? []), rate])
    }
    say(`round ${round + 1} of ${ROUNDS}`)
  }
  for (const store of stores) {
    const times = one.get(store.name)
    const rate = (times.length * 1000) / times.reduce((sum, time) => sum + time, 0)
    note(store, { p50: quantile(times, 0.5), p99: quantile(times, 0.99), one: rate, many: quantile(many.get(store.name), 0.5) })
  }
  await Promise.all([...alone, ...crowd.flat()].map((session) => session.close().catch(() => {})))
}

async function connections(store) {
  if (!store.connections) return
  const before = store.isOurs ? 0 : await store.connections()
  const sessions = []
  // A few at a time: some of them refuse more connections than they have threads for.
  for (let n = 0; n < SESSIONS; n += 25) {
    const some = Array.from({ length: Math.min(25, SESSIONS - n) }, (_, at) => store.open(`many-${n + at}`))
    sessions.push(...(await Promise.all(some)))
  }
  await Promise.all(sessions.map((session) => session.set({ session: { all: { n: 1 } } })))
  note(store, { connections: (await store.connections()) - (store.name === 'redis-baileys' ? before : 0) })
  await Promise.all(sessions.map((session) => session.close().catch(() => {})))
}

const cell = (value, digits = 1) => (value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value.toFixed(digits))
function print() {
  const least = [...rows.values()][0].p50
  console.log(
    '\n| store | `set` p50, ms | p99, ms | p50, ratio | writes/s, 1 session | writes/s, 50 | handover p95, ms | crash to restored, ms | connections | lost batches | torn batches |'
  )
  console.log('|---|---|---|---|---|---|---|---|---|---|---|')
  for (const [name, row] of rows) {
    const damage =
      row.losses === undefined
        ? ['–', '–']
        : [`${row.losses.lost} of ${row.losses.resolved}`, `${row.losses.torn}${row.losses.ends ? ', and the process ends' : ''}`]
    console.log(
      `| ${[name, cell(row.p50, 2), cell(row.p99), `${(row.p50 / least).toFixed(1)}x`, cell(row.one), cell(row.many), cell(row.handover), cell(row.crash), row.connections ?? '–', ...damage].join(' | ')} |`
    )
  }
}

surviveRivals()
try {
  const stores = await makeStores()
  if (ROUNDS > 0) await speed(stores)
  for (const store of stores.filter(({ isOurs }) => isOurs)) {
    say(`handovers and crashes: ${store.name}`)
    if (HANDOVERS > 0) note(store, { handover: quantile(await handovers(store.store, HANDOVERS), 0.95) })
    if (HANDOVERS > 0) note(store, { crash: quantile(await crashes(store.store, Math.max(1, Math.round(HANDOVERS / 3))), 0.5) })
  }
  for (const store of stores) {
    say(`connections and losses: ${store.name}`)
    if (SESSIONS > 0) await connections(store)
    if (KILLS > 0 && store.server) note(store, { losses: await losses(store, { kills: KILLS, outageMs: OUTAGE_MS }) })
  }
  if (args.json) console.log(JSON.stringify(Object.fromEntries(rows), null, 2))
  else print()
  for (const store of stores) await store.end?.()
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  for (const server of started.reverse()) await server.stop()
  rmSync(root, { recursive: true, force: true })
}
process.exit()
