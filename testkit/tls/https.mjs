// HTTPS in front of a plain HTTP server, with a certificate that nobody trusts but who was given the authority: for tests of a
// custom CA. What it decrypts it passes on byte by byte, so that `Host` and signatures stay as they are.
//
// Invariant: a connection that the server behind resets is reset, not closed, on the other side too.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { makeCertificates } from './certificates.mjs'
import { resetSocket } from '../base/reset.mjs'

/**
 * Starts a listener on this machine in front of `origin`. `names` are what the certificate is for; `expired` makes it one of
 * yesterday. `ca` is the authority in PEM, `handshakes` counts connections whose handshake was completed.
 */
export async function startTls(origin, { names = ['127.0.0.1', 'localhost'], expired = false } = {}) {
  const { ca, cert, key } = makeCertificates(names, { expired })
  const secureContext = createSecureContext({ cert, key })
  const { hostname, port } = new URL(origin)
  const sockets = new Set()
  const track = (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    return socket
  }
  let handshakes = 0

  const listener = createServer((raw) => {
    track(raw)
    raw.on('error', () => {})
    const client = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] })
    client.on('error', () => raw.destroy())
    client.once('secure', () => {
      handshakes += 1
      const server = track(connect(Number(port), hostname))
      server.on('error', () => resetSocket(raw))
      client.once('close', () => server.destroy())
      client.pipe(server).pipe(client)
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  listener.unref()
  return {
    origin: `https://127.0.0.1:${listener.address().port}`,
    ca,
    get handshakes() {
      return handshakes
    },
    async stop() {
      const closed = once(listener, 'close')
      listener.close()
      for (const socket of sockets) socket.destroy()
      await closed
    }
  }
}
