// Time that `pruneKeys` keeps other work waiting: the longest pauses of the event loop while a large account is pruned.
//
//   node bench/prune-keys.mjs [--mb N] [--json]
//
// The account has 2,000 contacts with closed sessions that may go, 76 MB of them unless said otherwise, and 9,000 pre-keys. A pause is
// the time between two turns of a loop of `setImmediate`. On a machine that does other work, pauses
// are those of the other work too: the first line tells them. The rest beyond 5 ms is garbage collection.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import hybrid from '../index.js'

const { values: args } = parseArgs({ options: { mb: { type: 'string', default: '76' }, json: { type: 'boolean', default: false } } })
const CONTACTS = 2000
const CLOSED = 40
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-prune-'))

/** Pauses of the event loop while `work` is under way, the longest first, in milliseconds. */
async function pausesDuring(work) {
  const pauses = []
  let isDone = false
  let last = performance.now()
  const watch = () => {
    const now = performance.now()
    pauses.push(now - last)
    last = now
    if (!isDone) setImmediate(watch)
  }
  setImmediate(watch)
  const began = performance.now()
  const report = await work()
  isDone = true
  await new Promise((resolve) => setImmediate(resolve))
  return { report, tookMs: performance.now() - began, pauses: pauses.sort((a, b) => b - a) }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const filling = Math.floor((Number(args.mb) * 1e6) / CONTACTS / CLOSED) - 110
const entry = (closed) => ({ indexInfo: { closed, used: 1 }, filling: 'x'.repeat(Math.max(filling, 1)) })
const record = {
  version: 'v1',
  _sessions: Object.fromEntries([['open', entry(-1)], ...Array.from({ length: CLOSED }, (_, n) => [`closed-${n}`, entry(n + 1)])])
}
const key = { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) }

try {
  const session = await hybrid.useHybridAuthState('tenant', { directory: root, mode: 'local', localDurability: 'os' })
  Object.assign(session.state.creds, { nextPreKeyId: 9000, firstUnuploadedPreKeyId: 9000 })
  await session.saveCreds()
  await session.state.keys.set({ 'pre-key': Object.fromEntries(Array.from({ length: 8999 }, (_, n) => [n + 1, key])) })
  for (let n = 0; n < CONTACTS; n += 20) {
    await session.state.keys.set({ session: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${n + i}.0`, record])) })
  }
  const { bytes } = session.status()
  const idle = await pausesDuring(() => sleep(3000))
  const dry = await pausesDuring(() => session.pruneKeys())
  const real = await pausesDuring(() => session.pruneKeys({ dryRun: false }))
  const told = (what, { tookMs, pauses }) => ({
    what,
    tookMs: Math.round(tookMs),
    longestMs: Number(pauses[0].toFixed(1)),
    over20Ms: pauses.filter((pause) => pause > 20).length,
    tenLongestMs: pauses
      .slice(0, 10)
      .map((pause) => pause.toFixed(0))
      .join(' ')
  })
  const rows = [told('nothing, for 3 s', idle), told('a dry run', dry), told('pruning', real)]
  const { removed } = real.report.closedSessions
  if (args.json) console.log(JSON.stringify({ bytes, removed, rows }))
  else {
    console.log(
      `${(bytes / 1e6).toFixed(1)} MB, ${removed.toLocaleString('en')} closed sessions and ${real.report.preKeys.removed.toLocaleString('en')} pre-keys removed`
    )
    console.table(rows)
  }
  await session.close()
} finally {
  rmSync(root, { recursive: true, force: true })
}
