// The whole store is out for a long time, and a process goes on writing to its session all the while.
//
// Invariant guarded: an outage costs nothing but the copy: writes and reads stay as fast, memory and what waits for the store are
// bounded by the number of keys and not by time, it is told once and so is its end, and one segment catches up with all of it.
//
// It lasts two and a half minutes: uploads are due every 100 ms and ownership is checked every 3 s, so that is 1,500 uploads and 50
// checks, and the pauses between tries, which do not depend on these options, have long been as long as they get. What is not
// answered within such an interval is told as an outage: no machine may be so slow without one.

import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from '../../testkit/base/missing.mjs'
import { cheapBaileys, dump } from '../../testkit/baileys/cheap.mjs'
import { eventually, KEY, scratch } from '../../testkit/processes/machines.mjs'
import { sized } from '../support/size.mjs'
import { startProcess } from '../../testkit/processes/sessions.mjs'
import { KINDS, makePlace, segmentsStored } from './places.mjs'
import { openOn } from './traffic.mjs'

const TENANT = 'tenant'
const OUTAGE_MS = sized(60_000, 150_000)
const WRITES = sized(40_000, 100_000)
const KEYS = 50
const LENGTH = 600
const MEBIBYTE = 1 << 20
const options = { encryptionKeys: [KEY], flushIntervalMs: 100, ownershipCheckIntervalMs: 3000 }

/** Value of write `n`. */
const valueOf = (n) => ({ n, bytes: Buffer.alloc(LENGTH, n % 251) })

/**
 * The process: opens the session, and then does as it is told: `{ writes, everyMs }` is so many writes and as many reads, fifty
 * between two pauses. It answers with what they cost.
 */
async function program({ hybrid, args, say }) {
  const { tenant, options, keyCount, length } = args
  const { cheapBaileys } = await import(args.baileys)
  const session = await hybrid.useHybridAuthState(tenant, { ...options, baileys: cheapBaileys })
  const { keys } = session.state
  for (const name of ['degraded', 'recovered', 'fenced', 'error']) session.on(name, (news) => say({ event: { name, code: news?.code, n } }))
  let n = 0
  const median = (times) => times.sort()[times.length >> 1]
  const collected = () => {
    globalThis.gc()
    return process.memoryUsage()
  }

  async function work({ writes, everyMs }) {
    const [sets, gets] = [new Float64Array(writes), new Float64Array(writes)]
    const most = { dirtyKeys: 0, dirtyBytes: 0, logBytes: 0 }
    for (let i = 0; i < writes; i++) {
      n += 1
      const id = String(n % keyCount)
      const value = { n, bytes: Buffer.alloc(length, n % 251) }
      const began = performance.now()
      await keys.set({ session: { [id]: value } })
      const between = performance.now()
      const found = await keys.get('session', [id])
      gets[i] = performance.now() - between
      sets[i] = between - began
      if (found[id].n !== n) throw new Error(`write ${n} cannot be read`)
      if (n % 50 > 0) continue
      const status = session.status()
      for (const name of Object.keys(most)) most[name] = Math.max(most[name], status[name])
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
    return { n, lsn: session.status().lsn, set: median(sets), get: median(gets), most, memory: collected() }
  }

  await say({ event: { name: 'open' } })
  for await (const [command] of (await import('node:events')).on(process, 'message')) {
    if (command.work) await say({ answer: await work(command.work) })
    if (command.flush) await say({ answer: await session.flush({ timeoutMs: 90_000 }).then(() => session.status()) })
  }
}

/** A process with its session; `tell` sends it a command and answers what it says. */
async function start(t, { bucket }) {
  const baileys = new URL('../../testkit/baileys/cheap.mjs', import.meta.url).href
  const args = {
    tenant: TENANT,
    keyCount: KEYS,
    length: LENGTH,
    baileys,
    options: { ...options, ...bucket.options, directory: scratch(t) }
  }
  const child = startProcess(t, program, args, { nodeOptions: ['--expose-gc'] })
  const told = []
  const answers = []
  child.child.on('message', ({ event, answer }) => (event ? told.push(event) : answers.push(answer)))
  const ended = child.ended.then(({ stderr }) => {
    throw new Error(`the process ended: ${stderr}`)
  })
  ended.catch(() => {})
  const wait = (what, probe, timeoutMs) => Promise.race([eventually(what, probe, timeoutMs), ended])
  await wait('it is open', () => told.some(({ name }) => name === 'open'))
  return {
    told,
    kill: child.kill,
    wait,
    async tell(command) {
      child.child.send(command)
      return wait(JSON.stringify(command), () => answers.shift(), OUTAGE_MS + 120_000)
    }
  }
}

describe('outage', { concurrency: 100 }, () => {
  for (const kind of KINDS) {
    for (const how of ['refuse', 'reset', 'hang']) {
      test(`outage_with_traffic_going_on_costs_nothing_but_the_copy_where_connections_${how}_over_${kind}`, async (t) => {
        const place = await makePlace(t, kind)
        const { proxy } = place
        const { told, tell, wait, kill } = await start(t, place)
        await tell({ work: { writes: 3000, everyMs: 5 } })
        const calm = await tell({ work: { writes: 3000, everyMs: 5 } })
        await tell({ flush: true })
        assert.deepEqual(told.slice(1), [])

        await proxy.outage(how)
        const began = performance.now()
        const during = await tell({ work: { writes: WRITES, everyMs: OUTAGE_MS / (WRITES / 50) } })
        await pause(Math.max(0, OUTAGE_MS - (performance.now() - began)))
        assert.deepEqual(
          told.slice(1).map(({ name, code }) => [name, code]),
          [['degraded', 'REMOTE_UNAVAILABLE']]
        )
        assert.ok(told[1].n - calm.n < WRITES / 10, 'it was told in the first tenth of the outage')
        const seen = proxy.trace.length
        await proxy.heal()
        await wait('the end is told', () => told.length > 2, 90_000)
        const after = await tell({ flush: true })
        assert.deepEqual(
          told.slice(2).map(({ name }) => name),
          ['recovered']
        )

        assert.equal(after.remoteDurableLsn, during.n)
        // One segment with the rest, beside the one that was under way when the outage ended, if there was one. That is not always
        // the one it began with: what keeps silent is given up in the end, and the next one is cut of what is there by then.
        const [last, ...others] = segmentsStored(proxy.trace.slice(seen)).reverse()
        assert.equal(last.last, during.n)
        assert.ok(others.length <= 1, `${others.length} segments beside it`)

        const { dirtyKeys, dirtyBytes, logBytes } = during.most
        const grown = during.memory.rss - calm.memory.rss
        const [setsBy, getsBy] = [during.set / calm.set, during.get / calm.get].map((ratio) => ratio.toFixed(2))
        const [more, log] = [grown, logBytes].map((bytes) => (bytes / MEBIBYTE).toFixed(1))
        t.diagnostic(`${kind}, ${how}: set ${setsBy}x, get ${getsBy}x, RSS ${more} MiB more, ${dirtyKeys} keys waited, log ${log} MiB`)
        assert.ok(dirtyKeys <= KEYS + 1 && dirtyBytes <= (KEYS + 1) * 2 * LENGTH, `${dirtyKeys} keys, ${dirtyBytes} bytes`)
        assert.ok(during.set < 10 * calm.set, `a set took ${during.set} ms in the median, and ${calm.set} ms before`)
        assert.ok(during.get < 10 * calm.get, `a get took ${during.get} ms in the median, and ${calm.get} ms before`)
        assert.ok(grown < 64 * MEBIBYTE, `${WRITES} writes to ${KEYS} keys made the process grow by ${grown} bytes`)

        // The machine is lost, and a blank one takes over.
        await kill()
        const heir = await openOn(t, TENANT, { ...place.direct, baileys: cheapBaileys, takeover: true })
        assert.equal(heir.status().lsn, during.n)
        const expected = { creds: { generation: 0, nextPreKeyId: 0 } }
        for (let n = during.n - KEYS + 1; n <= during.n; n++) expected[`session/${n % KEYS}`] = valueOf(n)
        assert.deepEqual(await dump(heir, ['session']), expected)

        // The log is written anew whatever the store does: a disk that is full would end the session.
        assert.ok(logBytes < 16 * MEBIBYTE, `${WRITES} writes to ${KEYS} keys made the log ${logBytes} bytes long`)
      })
    }
  }
})
