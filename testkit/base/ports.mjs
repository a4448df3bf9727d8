// Ports for proxies: an outage closes the port of one, for minutes, and it must be there when that ends.
//
// Invariant: while a proxy is not stopped nobody else is given its port, neither in this process nor in another one that asks here.
// Each process has a range of its own, and holds the first port of it as long as it lives. The ranges lie below the ports that
// systems give away by themselves, and above those of servers (`server-process.mjs`).

import { once } from 'node:events'
import { createServer } from 'node:net'

const FIRST = 26_000
const RANGES = 30
const LENGTH = 200

async function takeRange() {
  const start = Math.floor(Math.random() * RANGES)
  for (let n = 0; n < RANGES; n++) {
    const first = FIRST + ((start + n) % RANGES) * LENGTH
    const holder = createServer().listen(first, '127.0.0.1')
    holder.unref()
    if (
      await once(holder, 'listening').then(
        () => true,
        () => false
      )
    )
      return first
  }
  throw new Error('all ranges of ports are taken')
}

let range = null
const given = new Set()

/** A port that no other proxy has. A program that does not ask here may have it: whoever finds so asks again. */
export async function freePort() {
  range ??= takeRange()
  const first = await range
  const left = Array.from({ length: LENGTH - 1 }, (_, n) => first + 1 + n).filter((port) => !given.has(port))
  if (left.length === 0) throw new Error('no port is free')
  const port = left[Math.floor(Math.random() * left.length)]
  given.add(port)
  return port
}

export const givePortBack = (port) => given.delete(port)
