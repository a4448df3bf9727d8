// `file://` stores: what an open costs, by the number of tenants whose claims lie in the one folder.
//
//   npm run bench:directory -- [--tenants 100,1000,10000] [--opens 100] [--fleet 0] [--json]
//
// For each number a store is made in which so many tenants have the names of a session that was closed once: three in the folder of
// claims. Some of them are real: `--opens` of them are opened, each in a place of its own, one after another and 16 at a time, and closed.
// Time is from the call to its answer, in milliseconds, the median; processor time is of this process, per open. Then as many are
// restored by a fleet, 50 at a time: time and processor time of the whole, per tenant. With `--fleet`, so many real tenants are restored
// at once by `restoreAll`.
//
// Ratios between rows are what counts: a disk that syncs slowly makes all of them slow alike.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import hybrid from '../index.js'
import { cheapBaileys } from '../testkit/baileys/cheap.mjs'

const { values: args } = parseArgs({
  options: {
    tenants: { type: 'string', default: '100,1000,10000' },
    opens: { type: 'string', default: '100' },
    fleet: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false }
  }
})
const OPENS = Number(args.opens)
const AT_ONCE = 16
const RESTORED_AT_ONCE = 50
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-directory-'))
const silent = { level: 'silent', trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
const usual = { baileys: cheapBaileys, encryptionKeys: ['0'.repeat(64)], logger: silent }

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1]

/** Names of tenants that were closed once, as they lie in the folder of claims. */
function fill(store, count) {
  const claims = join(store, 'v1', 'claims')
  mkdirSync(claims, { recursive: true })
  for (let n = 0; n < count; n++) {
    const claim = `filler-${n}.${'1'.padStart(20, '0')}-${n.toString(16).padStart(32, '0')}`
    for (const mark of ['', '.live', '.released']) writeFileSync(join(claims, `${claim}${mark}`), '')
  }
}

/** Runs `work` for each number below `count`, so many at once. */
async function all(count, atOnce, work) {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

async function opens(place, options, atOnce) {
  const times = []
  const before = process.cpuUsage()
  await all(OPENS, atOnce, async (n) => {
    const began = performance.now()
    const session = await hybrid.useHybridAuthState(`tenant-${n}`, { ...options, directory: join(place, `disk-${n}`) })
    times.push(performance.now() - began)
    await session.close()
  })
  const { user, system } = process.cpuUsage(before)
  return { ms: median(times), cpuMs: (user + system) / 1000 / OPENS }
}

async function measure(tenants) {
  const store = join(root, `store-${tenants}`)
  mkdirSync(store)
  fill(store, tenants - OPENS)
  const options = { ...usual, store: { kind: 'directory', path: store } }
  await all(OPENS, AT_ONCE, async (n) => {
    const session = await hybrid.useHybridAuthState(`tenant-${n}`, { ...options, directory: join(root, `first-${tenants}-${n}`) })
    await session.saveCreds()
    await session.close()
  })
  const one = await opens(join(root, `one-${tenants}`), options, 1)
  const many = await opens(join(root, `many-${tenants}`), options, AT_ONCE)
  return { tenants, one, many, fleet: await restoreSome(tenants, options) }
}

async function restoreSome(tenants, options) {
  const fleet = new hybrid.HybridAuth({ ...options, directory: join(root, `fleet-of-${tenants}`) })
  const tenantIds = Array.from({ length: OPENS }, (_, n) => `tenant-${n}`)
  const [began, before] = [performance.now(), process.cpuUsage()]
  const { failed } = await fleet.restoreAll({ tenantIds, concurrency: RESTORED_AT_ONCE })
  if (failed.length > 0) throw failed[0].error
  const { user, system } = process.cpuUsage(before)
  const restored = { ms: (performance.now() - began) / OPENS, cpuMs: (user + system) / 1000 / OPENS }
  await fleet.shutdown()
  return restored
}

async function restore(tenants) {
  const store = join(root, 'fleet')
  mkdirSync(store)
  const options = { ...usual, store: { kind: 'directory', path: store } }
  const first = new hybrid.HybridAuth({ ...options, directory: join(root, 'fleet-first') })
  await all(tenants, 32, async (n) => {
    const session = await first.open(`tenant-${n}`)
    await session.saveCreds()
    await session.close()
  })
  const fleet = new hybrid.HybridAuth({ ...options, directory: join(root, 'fleet-second') })
  const empty = process.memoryUsage().rss
  const began = performance.now()
  await fleet.restoreAll({ concurrency: 32 })
  const restored = { tenants, seconds: (performance.now() - began) / 1000, bytes: process.memoryUsage().rss - empty }
  await fleet.shutdown()
  return restored
}

const round = (number) => number.toFixed(1)
try {
  const rows = []
  if (!args.json)
    console.log(
      '| tenants | an open, ms | of the processor | 16 at once, ms each | of the processor | restored, 50 at once, ms each | of the processor |\n|---|---|---|---|---|---|---|'
    )
  for (const tenants of args.tenants.split(',').filter(Boolean).map(Number)) {
    const row = await measure(tenants)
    rows.push(row)
    const { one, many, fleet } = row
    if (!args.json)
      console.log(
        `| ${tenants} | ${round(one.ms)} | ${round(one.cpuMs)} | ${round(many.ms / AT_ONCE)} | ${round(many.cpuMs)} | ${round(fleet.ms)} | ${round(fleet.cpuMs)} |`
      )
  }
  const fleet = Number(args.fleet) > 0 ? await restore(Number(args.fleet)) : null
  if (args.json) console.log(JSON.stringify({ rows, fleet }))
  else if (fleet) console.log(`\n${fleet.tenants} restored in ${round(fleet.seconds)} s, ${round(fleet.bytes / 2 ** 20)} MB of memory more`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
