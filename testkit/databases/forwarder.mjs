// One address for a server that may be replaced: what a failover changes behind the name that an application knows.
//
// Invariants: bytes are passed on as they are; when the server behind changes, connections to the former one are reset, as a router
// does it, and new ones lead to the new one.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { freePort, givePortBack } from '../base/ports.mjs'
import { resetSocket } from '../base/reset.mjs'

export async function startForwarder(target) {
  const sockets = new Set()
  const track = (socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.once('close', () => sockets.delete(socket))
    return socket
  }
  let at = target
  const listener = createServer((client) => {
    track(client)
    const server = track(connect(at, '127.0.0.1'))
    const ends = [
      [client, server],
      [server, client]
    ]
    for (const [one, other] of ends) {
      one.on('error', () => resetSocket(other))
      one.once('close', () => other.destroySoon())
      one.pipe(other)
    }
  })
  const port = await freePort()
  listener.listen(port, '127.0.0.1')
  await once(listener, 'listening')
  listener.unref()
  return {
    port,
    /** Leads to another server from now on. */
    leadTo(next) {
      at = next
      for (const socket of sockets) resetSocket(socket)
    },
    async stop() {
      const closed = once(listener, 'close')
      listener.close()
      for (const socket of sockets) socket.destroy()
      await closed
      givePortBack(port)
    }
  }
}
