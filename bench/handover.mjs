// `npm run bench:handover`: two processes, one session, and a store that keeps uploads of the older one waiting.
//
//   node bench/handover.mjs [--stalls 1,10,60,300] [--large 0] [--json]
//
// For each stall the older process writes 100-byte values every 20 ms while each upload of its data is answered so many seconds
// late; all other requests are answered at once. With `--large`, one value a second has so many bytes that do not compress. Then the newer process opens the same session, at default settings. Printed:
// how long that open took, how long both accepted writes, and what of the older one's resolved writes the newer one lacks. A
// write that is lacking must be among those that `close()` of the older one names when it rejects with `FENCED`.
//
// The store is `rclone serve s3`; only the older process reaches it through the proxy that stalls.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startProxy } from '../testkit/proxy/proxy.mjs'
import * as store from '../testkit/stores/rclone.mjs'

const { values: args } = parseArgs({
  options: {
    stalls: { type: 'string', default: '1,10,60,300' },
    large: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false }
  }
})
const STALLS = args.stalls.split(',').map(Number)
const PROGRAM = fileURLToPath(new URL('./handover/instance.mjs', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-handover-'))

/** An instance in a process of its own; `call` resolves to what it answers. */
class Instance {
  #next = 0
  #waiting = new Map()

  constructor() {
    this.child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('message', ({ id, answer }) => this.#waiting.get(id)(answer))
  }

  call(command, ...rest) {
    const id = this.#next++
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.child.send({ id, command, rest })
    })
  }

  async end() {
    if (this.child.exitCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }
}

async function measure(server, proxy, stallSeconds) {
  const client = await store.connect(server.address)
  const bucket = await client.makeBucket()
  const { options } = bucket
  const slow = { store: { ...options.store, endpoint: proxy.origin } }
  const place = (name) => join(root, `${stallSeconds}-${name}`)
  const [older, newer] = [new Instance(), new Instance()]
  try {
    await older.call('open', { ...slow, directory: place('older') })
    const rule = proxy.rule({ method: 'PUT', path: '/data/', fault: 'delay', delayMs: stallSeconds * 1000 })
    await older.call('write', 'older', Number(args.large))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const began = Date.now()
    await newer.call('open', { ...options, directory: place('newer') })
    const opened = Date.now()
    await newer.call('write', 'newer')
    const { resolved, refusedAt, code } = await older.call('written')
    rule.remove()
    const closed = await older.call('close')
    const has = new Set(await newer.call('read', 'older', resolved.length))
    const lacking = resolved.map((_, n) => n).filter((n) => !has.has(n))
    await newer.call('stop')
    await newer.call('close')
    return {
      stallSeconds,
      openSeconds: (opened - began) / 1000,
      bothSeconds: Math.max(0, (resolved.at(-1) ?? 0) - opened) / 1000,
      refusedSeconds: (refusedAt - began) / 1000,
      code,
      resolved: resolved.length,
      lacking: lacking.length,
      close: closed
    }
  } finally {
    await Promise.all([older.end(), newer.end()])
    await bucket.remove()
  }
}

const server = await store.start({ inMemory: true })
const rows = []
try {
  for (const stall of STALLS) {
    const proxy = await startProxy(server.address.endpoint)
    try {
      rows.push(await measure(server, proxy, stall))
    } finally {
      await proxy.stop()
    }
    if (!args.json) console.log(rows.at(-1))
  }
} finally {
  await server.stop()
  rmSync(root, { recursive: true, force: true })
}

if (args.json) {
  console.log(JSON.stringify(rows, null, 2))
} else {
  console.log(
    '\n| duration of each upload | newer one open after | both accept writes for | older one rejected after | resolved | missing | `close()` |'
  )
  console.log('|---|---|---|---|---|---|---|')
  for (const { stallSeconds, openSeconds, bothSeconds, refusedSeconds, resolved, lacking, close } of rows) {
    console.log(
      `| ${stallSeconds} s | ${openSeconds.toFixed(1)} s | ${bothSeconds.toFixed(1)} s | ${refusedSeconds.toFixed(1)} s | ${resolved} | ${lacking} | ${close} |`
    )
  }
}
