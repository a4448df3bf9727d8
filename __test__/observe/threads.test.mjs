// Metrics of a process with several threads: one scrape has the sessions of all of them, but for the two that are of a thread.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { grown, scrape } from './scrapes.mjs'

const WORK = `
  const { workerData: { root, directory }, parentPort } = require('node:worker_threads')
  const { HybridAuth } = require(root)
  const fleet = new HybridAuth({ directory, mode: 'local', initAuthCreds: () => ({ me: { id: 'test' } }) })
  fleet.open('tenant').then(async () => parentPort.postMessage(await fleet.metrics()))
  parentPort.once('message', () => fleet.shutdown().then(() => parentPort.close()))
`

test('one scrape has the sessions of every thread, and new identities of its own', async (t) => {
  const before = await scrape()
  const worker = new Worker(WORK, { eval: true, workerData: { root: join(ROOT, 'index.js'), directory: temporaryFolder(t) } })
  t.after(() => worker.terminate())
  const [theirs] = await once(worker, 'message')
  const more = grown(before, await scrape())
  assert.equal(more('sessions', { life: 'live' }), 1)
  assert.equal(more('restore_duration_seconds_count', { source: 'fresh' }), 1)
  assert.equal(more('fresh_sessions_total', { reason: 'missing' }), 0)
  assert.match(theirs, /^baileys_hybrid_auth_fresh_sessions_total\{reason="missing"\} 1$/m)
  worker.postMessage('end')
  await once(worker, 'exit')
  assert.equal(grown(before, await scrape())('sessions', { life: 'live' }), 0)
})
