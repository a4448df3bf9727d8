// Memory that a process keeps of sessions that it closed, and of keys that it no longer uses: nothing that grows.
//
//   node --expose-gc bench/registries.mjs [OPENS] [--tenants 1000] [--tokens 1000] [--json]
//
// Opens and closes sessions of `--tenants` tenants over and over, 16 at a time, without a disk. Nearly all are in a `memory:` store,
// which is the cheapest one; `--tokens` of them, spread over the run, are in a bucket of Supabase with a key of their own each, as
// where keys are changed by the hour: each of those is a store, with its connections, that is never used again. The server is
// another process. Ten times the process is looked at, after a collection of garbage: its memory, descriptors and threads.
//
// Invariant: fails when the last look shows more descriptors or threads than the second one, or more memory than noise explains. The
// first tenth fills what is kept on purpose: pools, and the last few stores.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import hybrid from '../index.js'
import { cheapBaileys } from '../testkit/baileys/cheap.mjs'
import { signToken } from '../testkit/stores/supabase/auth.mjs'
import { connect, start } from '../testkit/stores/supabase.mjs'

const SECRET = 'a secret of this server alone, with which its keys are signed'
const AT_ONCE = 16
const LOOKS = 10
/** Differences between two looks that are no growth: of descriptors and threads, and of memory in bytes. */
const ROOM = 24
const ROOM_BYTES = 48 << 20

async function serve() {
  const server = await start({ secret: SECRET })
  const bucket = await connect(server.address).makeBucket()
  process.once('disconnect', () => process.exit())
  process.send({ endpoint: server.address.endpoint, bucket: bucket.name })
}

const count = (folder) => (existsSync(folder) ? readdirSync(folder).length : null)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function look(opens) {
  // Connections that nobody uses any more are closed a moment later.
  await pause(500)
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  return { opens, rss, heapUsed, descriptors: count('/proc/self/fd'), threads: count('/proc/self/task') }
}

/** The store of open number `n`: a key that was never used before, for some of them. */
function storeOf(n, { every, server, tenants }) {
  if (every === 0 || n % every !== 0) return { store: { kind: 'memory', name: 'registries' }, tenantId: `tenant-${n % tenants}` }
  const key = signToken({ role: 'service_role', iat: 1_700_000_000, exp: 4_102_444_800, jti: n }, SECRET)
  return { store: { kind: 'supabase', url: server.endpoint, bucket: server.bucket, key }, tenantId: `remote-${(n / every) % 20}` }
}

async function run({ opens, tenants, tokens }) {
  const child = fork(new URL(import.meta.url), ['--serve'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [server] = await once(child, 'message')
  const every = tokens === 0 ? 0 : Math.max(1, Math.floor(opens / tokens))
  const silent = { level: 'silent', trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
  const usual = { baileys: cheapBaileys, mode: 'cloud', takeover: true, flushIntervalMs: 50, logger: silent }
  const looks = []
  try {
    let next = 0
    for (let step = 1; step <= LOOKS; step++) {
      const until = Math.floor((opens * step) / LOOKS)
      const busy = new Set()
      const worker = async () => {
        while (next < until) {
          const n = next++
          const { store, tenantId } = storeOf(n, { every, server, tenants })
          // Two of one tenant at once would share a session, or fence one another.
          while (busy.has(tenantId)) await pause(1)
          busy.add(tenantId)
          const session = await hybrid.useHybridAuthState(tenantId, { ...usual, store, encryptionKeys: ['0'.repeat(64)] })
          await session.saveCreds()
          await session.close()
          busy.delete(tenantId)
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
      looks.push(await look(until))
    }
  } finally {
    child.disconnect()
  }
  const [second, last] = [looks[1], looks.at(-1)]
  const grew = ['descriptors', 'threads'].filter((what) => last[what] > second[what] + ROOM)
  if (last.rss > second.rss + ROOM_BYTES) grew.push('rss')
  return { opens, tenants, tokens, looks, grew }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tenants: { type: 'string', default: '1000' },
    tokens: { type: 'string', default: '1000' },
    json: { type: 'boolean', default: false },
    serve: { type: 'boolean', default: false }
  }
})

if (values.serve) await serve()
else {
  const report = await run({ opens: Number(positionals[0] ?? 100_000), tenants: Number(values.tenants), tokens: Number(values.tokens) })
  const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(0)
  if (values.json) console.log(JSON.stringify(report))
  else {
    console.log('| opens | memory, MB | of JavaScript, MB | descriptors | threads |\n|---|---|---|---|---|')
    for (const { opens, rss, heapUsed, descriptors, threads } of report.looks)
      console.log(`| ${opens} | ${megabytes(rss)} | ${megabytes(heapUsed)} | ${descriptors} | ${threads} |`)
    console.log(report.grew.length === 0 ? 'nothing grew' : `grew: ${report.grew.join(', ')}`)
  }
  process.exit(report.grew.length === 0 ? 0 : 1)
}
