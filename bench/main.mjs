// `npm run bench`: what a call costs, against the stores that Baileys itself offers, in one run.
//
//   node bench/main.mjs [--rounds N] [--calls N] [--json]
//
// Every store does the same calls in turn, round after round, so that a machine whose speed drifts drifts for all of them;
// what counts is the median round. Only ratios are worth quoting. Times include the await, as Baileys pays it.
//
// Stores: ours with a bucket (level `os`) and without (level `data`), `useMultiFileAuthState` of each Baileys line, the same
// under `makeCacheableSignalKeyStore`, and two floors: a JavaScript Map that keeps nothing safe, and our encoding alone.

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import hybrid from '../index.js'
import { lines } from '../testkit/baileys/lines.mjs'
import { kinds, preKeys } from './values.mjs'

const require = createRequire(import.meta.url)
const { createCodec } = require('../lib/codec/values.js')
const { encodeBuffer } = require('../lib/codec/encode-buffer.js')

const { values: args } = parseArgs({
  options: { rounds: { type: 'string', default: '9' }, calls: { type: 'string', default: '40' }, json: { type: 'boolean', default: false } }
})
const ROUNDS = Number(args.rounds)
const CALLS = Number(args.calls)
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-bench-'))

const silent = { level: 'silent', trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

function mapStore() {
  const data = new Map()
  const keys = {
    get: async (type, ids) => Object.fromEntries(ids.map((id) => [id, data.get(`${type}-${id}`) ?? null])),
    set: async (all) => {
      for (const type in all) for (const id in all[type]) data.set(`${type}-${id}`, all[type][id])
    }
  }
  return { keys, saveCreds: async () => {}, close: async () => {} }
}

/** The encoding alone: no boundary, no log. The floor of any store that keeps bytes and hands out copies. */
function encodingOnly(BufferJSON) {
  const codec = createCodec(BufferJSON)
  const data = new Map()
  const keys = {
    get: async (type, ids) =>
      Object.fromEntries(
        ids.map((id) => {
          const bytes = data.get(`${type}-${id}`)
          return [id, bytes === undefined ? null : codec.decode(bytes)]
        })
      ),
    set: async (all) => {
      for (const type in all) {
        for (const id in all[type]) {
          const { buffer, length } = encodeBuffer.run(() => codec.encode(all[type][id], type))
          data.set(`${type}-${id}`, Buffer.from(buffer.subarray(0, length)))
        }
      }
    }
  }
  return { keys, saveCreds: async () => {}, close: async () => {} }
}

async function ours(name, baileys, options) {
  const directory = join(root, name)
  const open = () => hybrid.useHybridAuthState('bench', { directory, baileys, ...options })
  const { state, saveCreds, close } = await open()
  return { keys: state.keys, saveCreds, close, open }
}

async function multiFile(name, line) {
  const folder = join(root, `multi-${name}`)
  const open = () => line.useMultiFileAuthState(folder)
  const { state, saveCreds } = await open()
  return { keys: state.keys, saveCreds, close: async () => {}, open }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]

/** Median microseconds per call of each store, the stores taking turns. */
async function measure(stores, calls, work) {
  const times = stores.map(() => [])
  for (let round = -1; round < ROUNDS; round++) {
    for (const [at, { store }] of stores.entries()) {
      const begin = performance.now()
      for (let call = 0; call < calls; call++) await work(store, call, round)
      if (round >= 0) times[at].push(((performance.now() - begin) * 1000) / calls)
    }
  }
  return times.map(median)
}

/** Longest time that one call keeps the main thread, in microseconds: the synchronous part of an async function. */
async function blocked(store, data) {
  const times = []
  for (let i = 0; i < ROUNDS; i++) {
    const begin = performance.now()
    const done = store.keys.set({ 'pre-key': data() })
    times.push((performance.now() - begin) * 1000)
    await done
  }
  return median(times)
}

const [v7, v6] = await Promise.all(
  ['baileys', 'baileys-v6'].map(async (name) => {
    const line = lines.find((line) => line.name.includes(name === 'baileys' ? '7.0' : '6.17') || line.name === name)
    return line.load()
  })
)
const key = 'ab'.repeat(32)
const bucket = `${pathToFileURL(join(root, 'bucket')).href}?create=true`
const v7files = await multiFile('v7', v7)
const stores = [
  { name: 'ours, bucket', store: await ours('hybrid', v7, { store: bucket, encryptionKeys: key }) },
  { name: 'ours, data', store: await ours('local', v7, { localDurability: 'data' }) },
  { name: 'multi-file v7', store: v7files },
  { name: 'multi-file v6', store: await multiFile('v6', v6) },
  { name: 'v7 + cache', store: { ...(await multiFile('v7-cached', v7)) } },
  { name: 'JS Map', store: mapStore() },
  { name: 'encoding', store: encodingOnly(v7.BufferJSON) }
]
const cached = stores.find(({ name }) => name === 'v7 + cache').store
cached.keys = v7.makeCacheableSignalKeyStore(cached.keys, silent)

const rows = []
async function row(name, calls, work, only = stores) {
  const times = await measure(only, calls, work)
  rows.push({ name, ...Object.fromEntries(only.map(({ name }, at) => [name, times[at]])) })
  if (!args.json) print(rows.at(-1))
}

const columns = stores.map(({ name }) => name)
const cell = (us) => (us === undefined ? '' : us >= 9950 ? `${(us / 1000).toFixed(1)} ms` : `${us.toFixed(us < 9.95 ? 1 : 0)}`)
function print(line) {
  const base = line['ours, bucket'] ?? line['ours, data']
  const cells = columns.map((column) =>
    `${cell(line[column])}${column.startsWith('multi') && line[column] ? ` (${(line[column] / base).toFixed(0)}x)` : ''}`.padStart(15)
  )
  console.log(`${line.name.padEnd(28)}${cells.join('')}`)
}

if (!args.json) {
  console.log(
    `Median microseconds per awaited call over ${ROUNDS} interleaved rounds; (Nx): times the cost of ours, with a bucket where that takes part.\n`
  )
  console.log(`${''.padEnd(28)}${columns.map((column) => column.padStart(15)).join('')}`)
}
for (const [type, [value, id]] of Object.entries(kinds)) {
  const values = Array.from({ length: CALLS * 2 }, value)
  await row(`set ${type}`, CALLS, (store, call, round) =>
    store.keys.set({ [type]: { [id(call)]: values[(call + (round & 1) * CALLS) % values.length] } })
  )
  await row(`get ${type}`, CALLS, (store, call) => store.keys.get(type, [id(call)]))
}
await row('get session, missing', CALLS, (store, call) => store.keys.get('session', [`missing-${call}`]))
for (const count of [30, 812]) {
  const sets = [preKeys(count), preKeys(count)]
  await row(`set ${count} pre-keys`, count === 30 ? 5 : 1, (store, _, round) => store.keys.set({ 'pre-key': sets[round & 1] }))
}
const saving = stores.slice(0, 5)
await row('saveCreds', CALLS, (store) => store.saveCreds(), saving)

// A realistic account: 2,000 keys, opened from the disk and read once.
const account = { 'pre-key': preKeys(812) }
for (const [type, count] of [
  ['session', 600],
  ['sender-key', 180],
  ['lid-mapping', 200],
  ['device-list', 100],
  ['tctoken', 100],
  ['sender-key-memory', 8]
]) {
  account[type] = Object.fromEntries(Array.from({ length: count }, (_, n) => [kinds[type][1](n), kinds[type][0]()]))
}
const opening = stores.filter(({ name }) => name === 'ours, data' || name.startsWith('multi-file'))
for (const { store } of opening) {
  await store.saveCreds()
  await store.keys.set(account)
  await store.close()
}
await row(
  'open, and read 2,000 keys',
  1,
  async (store) => {
    const again = await store.open()
    for (const type in account) await again.state.keys.get(type, Object.keys(account[type]))
    await again.close?.()
  },
  opening
)

const main = await blocked(stores[0].store, () => preKeys(812))
if (args.json) console.log(JSON.stringify({ rows, blocked812: main }, null, 2))
else console.log(`\nThe main thread is kept ${(main / 1000).toFixed(2)} ms by one set of 812 pre-keys.`)
await stores[0].store.close()
rmSync(root, { recursive: true, force: true })
