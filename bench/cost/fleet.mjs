// One process with many accounts, as the parent tells it: opens them, lets them work, closes them, and says what it took.
//
// Invariants: every option that costs requests has its default, unless the parent says otherwise. What an account writes depends on
// the seed and its name alone, so that a process that was started anew goes on with the same accounts.

import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { numbersFrom } from '../../testkit/base/random.mjs'
import { Account, jsonBytes } from './workload.mjs'

const require = createRequire(import.meta.url)
const { HybridAuth } = require('../../index.js')

const { directory, store, encryptionKeys, seed, tenants, options } = JSON.parse(process.argv[2])
const auth = new HybridAuth({ directory, store, encryptionKeys, baileys: cheapBaileys, ...options })
const names = Array.from({ length: tenants }, (_, at) => `tenant-${at}`)
const accounts = new Map(names.map((name) => [name, new Account(seed, name)]))

async function inParallel(items, atOnce, work) {
  const queue = items[Symbol.iterator]()
  const worker = async () => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** The trace of the accounts: the one that other ways to keep it are reckoned from. */
const newTrace = () => ({ messages: 0, sets: 0, values: 0, deleted: 0, jsonBytes: 0, saves: 0 })
let trace = newTrace()

async function put(session, batch) {
  trace.sets += 1
  for (const values of Object.values(batch)) {
    for (const value of Object.values(values)) {
      if (value === null) trace.deleted += 1
      else trace.values += 1
      if (value !== null) trace.jsonBytes += jsonBytes(value)
    }
  }
  await session.state.keys.set(batch)
}

async function save(name, session) {
  trace.saves += 1
  trace.jsonBytes += 2879
  accounts.get(name).touch(session.state.creds)
  await session.saveCreds()
}

async function deliver(name) {
  const session = auth.get(name)
  trace.messages += 1
  for (const { get, set, save: saves } of accounts.get(name).message()) {
    if (get) await session.state.keys.get(...get)
    if (set) await put(session, set)
    if (saves) await save(name, session)
  }
}

const commands = {
  async open({ atOnce }) {
    const began = performance.now()
    const sources = {}
    await inParallel(names, atOnce, async (name) => {
      const source = (await auth.open(name)).status().restored.source
      sources[source] = (sources[source] ?? 0) + 1
    })
    return { ms: performance.now() - began, sources }
  },

  /** The state of an account that has been in use for long, in every tenant. */
  async fill({ atOnce }) {
    trace = newTrace()
    await inParallel(names, atOnce, async (name) => {
      const session = auth.get(name)
      for (const batch of accounts.get(name).state()) await put(session, batch)
      await save(name, session)
      await session.flush({ timeoutMs: 120_000 })
    })
    return trace
  },

  /** `perMinute` messages of each of the first `count` accounts, each at a time of its own, for `minutes`; then all is stored. */
  async work({ count, perMinute, minutes }) {
    trace = newTrace()
    const next = numbersFrom(seed + count)
    const busy = names.slice(0, count)
    const plan = busy.flatMap((name) => Array.from({ length: perMinute * minutes }, () => ({ name, at: next() * minutes * 60_000 })))
    plan.sort((a, b) => a.at - b.at)
    const began = performance.now()
    let last = Promise.resolve()
    for (const { name, at } of plan) {
      const wait = began + at - performance.now()
      if (wait > 0) await sleep(wait)
      last = Promise.all([last, deliver(name)])
    }
    await last
    await sleep(Math.max(0, began + minutes * 60_000 - performance.now()))
    while (busy.some((name) => auth.get(name).status().lagMs > 0)) await sleep(20)
    return trace
  },

  async close({ timeoutMs }) {
    const began = performance.now()
    const { closed, failed } = await auth.shutdown({ timeoutMs })
    return { ms: performance.now() - began, closed, failed: failed.map(({ tenantId, error }) => `${tenantId}: ${error.code}`) }
  },

  traffic: () => auth.traffic(),

  /** Bytes in memory, and bytes uploaded since the open. */
  status() {
    const all = Object.values(auth.status())
    const sum = (of) => all.reduce((sum, status) => sum + of(status), 0)
    const [segments, bases] = [sum(({ uploads }) => uploads.segments), sum(({ uploads }) => uploads.bases)]
    return { keys: sum(({ keys }) => keys), bytes: sum(({ bytes }) => bytes), segments, bases }
  },

  usage() {
    globalThis.gc?.()
    const { user, system } = process.cpuUsage()
    return { rss: process.memoryUsage.rss(), cpuMs: (user + system) / 1000 }
  }
}

process.on('message', async ({ id, command, args }) => {
  try {
    process.send({ id, result: await commands[command](args ?? {}) })
  } catch (error) {
    process.send({ id, error: error.stack })
  }
})
// Whoever started this is gone.
process.on('disconnect', () => process.exit(1))
