// `npm run cost`: what a fleet of sessions costs at its store, counted on a real S3 server on this machine.
//
//   node bench/cost.mjs [--tenants 500] [--minutes 3] [--latency 30] [--seed 1] [--store seaweedfs] [--markdown] [--save FILE]
//   node bench/cost.mjs --from FILE --markdown     the tables of an earlier run
//
// One process after the other has all tenants: the first makes them and is idle, the second is the first after a restart, idle and
// at work, the third is told to flush and to check less often, the fourth restores them on a blank disk. Between them and the store
// stands a proxy that counts, and that answers some `--latency` milliseconds later than the server, as a bucket in the region does.
//
// Invariants: requests are counted by the proxy, and the product's own counters must agree with it, or the run fails. A phase is
// counted from one tick of the fleet to another, so that its length is a number of ticks. Everything that was started is stopped,
// and the folders are removed.

import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { Meter } from './cost/meter.mjs'
import { bytesPerName } from './cost/names.mjs'
import { markdown, summary } from './cost/tables.mjs'
import { Account, asJson, recorded } from './cost/workload.mjs'

const { values: args } = parseArgs({
  options: {
    tenants: { type: 'string', default: '500' },
    minutes: { type: 'string', default: '3' },
    latency: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    store: { type: 'string', default: 'seaweedfs' },
    markdown: { type: 'boolean', default: false },
    save: { type: 'string' },
    from: { type: 'string' }
  }
})
const [TENANTS, MINUTES, LATENCY, SEED] = [args.tenants, args.minutes, args.latency, args.seed].map(Number)
/** Sessions opened at once. */
const AT_ONCE = 32

const say = (text) => console.error(text)

/** Another process with all tenants. `what` is a command of `cost/fleet.mjs`. */
class Fleet {
  #child
  #waiting = new Map()
  #next = 0

  constructor(settings) {
    const program = fileURLToPath(new URL('cost/fleet.mjs', import.meta.url))
    this.#child = fork(program, [JSON.stringify(settings)], { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.ended.then(() => this.#waiting.forEach(({ reject }) => reject(new Error('the fleet has ended'))))
    this.#child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#waiting.get(id)
      this.#waiting.delete(id)
      error === undefined ? resolve(result) : reject(new Error(error))
    })
  }

  ask(command, args) {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, command, args })
    })
  }

  async end() {
    this.#child.kill('SIGKILL')
    await this.ended
    // Its connections end a moment later.
    await sleep(300)
  }
}

/**
 * Differences between the two counts of a phase. What the store refused is not held against the product: its probe asks without
 * credentials, to see whether anybody may read the bucket, and that is no traffic of its own.
 */
function compared(counts, product) {
  const done = (kind) => counts[kind].requests - counts[kind].refused
  const wire = {
    puts: done('put'),
    gets: done('get'),
    lists: done('list'),
    deletes: done('delete'),
    sent: counts.put.up,
    received: counts.get.down - counts.get.refusedDown,
    failures: 0
  }
  return Object.fromEntries(
    Object.keys(wire)
      .filter((name) => wire[name] !== product[name])
      .map((name) => [name, [wire[name], product[name]]])
  )
}

class Run {
  phases = {}
  #before = {}

  constructor(meter, settings) {
    Object.assign(this, { meter, settings })
  }

  /** A process with all tenants, on a disk. */
  async start(disk, options = {}) {
    await this.fleet?.end()
    this.#before = {}
    this.fleet = new Fleet({ ...this.settings, directory: disk, options })
    this.empty = await this.fleet.ask('usage')
  }

  /** Does something, and notes what it took of the store and of this machine. `minutes` is how long it goes on. */
  async phase(name, work, minutes = null) {
    say(`${name} …`)
    const before = await this.fleet.ask('usage')
    const result = await work()
    const counts = await this.#agreed(name)
    const usage = await this.fleet.ask('usage')
    this.phases[name] = { minutes, counts, result, cpuMs: usage.cpuMs - before.cpuMs, rss: usage.rss - this.empty.rss }
  }

  /** The count, as both sides have it. A tick that begins between the two questions is known to one of them only: then again. */
  async #agreed(name) {
    let difference
    for (let looks = 0; looks < 5; looks++) {
      await sleep(500)
      const [counts, now] = [await this.meter.read(), await this.fleet.ask('traffic')]
      const since = Object.entries(now).map(([key, value]) => [key, value - (this.#before[key] ?? 0)])
      difference = compared(counts, Object.fromEntries(since))
      if (Object.keys(difference).length > 0) continue
      this.meter.begin()
      this.#before = now
      return counts
    }
    throw new Error(`${name}: the proxy and the product count differently: ${JSON.stringify(difference)}`)
  }

  /** From one tick to another, so that a phase holds as many as there are in its minutes. */
  async #fromTick(name, work) {
    await this.meter.tick()
    await this.meter.take()
    this.#before = await this.fleet.ask('traffic')
    await this.phase(name, work, MINUTES)
  }

  open(name) {
    return this.phase(name, () => this.fleet.ask('open', { atOnce: AT_ONCE }))
  }
  idle(name) {
    return this.#fromTick(name, () => sleep(MINUTES * 60_000))
  }
  work(name, { count, perMinute }) {
    return this.#fromTick(name, () => this.fleet.ask('work', { count, perMinute, minutes: MINUTES }))
  }

  async close(name) {
    await this.phase(name, () => this.fleet.ask('close', { timeoutMs: 30_000 }))
    const { failed } = this.phases[name].result
    if (failed.length > 0) throw new Error(`${name}: ${failed.join(', ')}`)
  }
}

async function measure() {
  const store = await import(`../testkit/stores/${args.store}.mjs`)
  const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-cost-'))
  const server = await store.start()
  let meter = null
  let run = null
  try {
    meter = await Meter.start(server.address.endpoint, { kind: args.store, latencyMs: LATENCY, seed: SEED })
    const bucket = await store.connect(server.address, { endpoint: meter.origin }).makeBucket()
    run = new Run(meter, { ...bucket.options, encryptionKeys: randomBytes(32).toString('hex'), seed: SEED, tenants: TENANTS })
    const some = { count: Math.min(20, TENANTS), perMinute: 30 }

    await run.start(join(root, 'disk'))
    await run.open('open new')
    await run.phase('fill', () => run.fleet.ask('fill', { atOnce: 8 }))
    await run.idle('idle new')
    await run.close('close new')

    await run.start(join(root, 'disk'))
    await run.open('open again')
    await run.idle('idle')
    await run.work('all', { count: TENANTS, perMinute: 1 })
    await run.work('some', some)
    const status = await run.fleet.ask('status')
    const storedBytes = meter.stored()
    await run.close('close')

    await run.start(join(root, 'disk'), { flushIntervalMs: 5000, ownershipCheckIntervalMs: 30_000 })
    await run.open('open rarer')
    await run.idle('idle rarer')
    await run.work('some rarer', some)
    await run.close('close rarer')

    await run.start(join(root, 'blank'))
    await run.open('open blank')
    await run.close('close blank')
    const settings = { tenants: TENANTS, minutes: MINUTES, latency: LATENCY, seed: SEED, store: args.store }
    return { ...settings, phases: run.phases, status, storedBytes, account: oneAccount(), nameBytes: await bytesPerName(SEED) }
  } finally {
    await run?.fleet?.end()
    await meter?.stop()
    await server.stop()
    rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** One account as files, as Baileys writes them, and as an archive of them. */
function oneAccount() {
  const batches = new Account(SEED, 'tenant-0').state()
  const values = batches.flatMap((batch) => Object.values(batch)).flatMap((byId) => Object.values(byId))
  const texts = values.map((value) => JSON.stringify(value, asJson))
  const bytes = texts.reduce((sum, text) => sum + text.length, 0)
  return { files: texts.length, bytes, archive: gzipSync(texts.join('\n')).length, recorded }
}

say(`SEED=${SEED}`)
const result = args.from ? JSON.parse(readFileSync(args.from, 'utf8')) : await measure()
if (args.save) writeFileSync(args.save, JSON.stringify(result, null, 1))
console.log(args.markdown ? markdown(result) : summary(result))
