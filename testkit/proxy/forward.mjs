// A forward proxy, as `HTTP_PROXY` and `HTTPS_PROXY` name one: it records where its clients want to go.
//
// Invariant: it reaches only what `hosts` leads to and what is on this machine; a name that is neither is answered with 502, so
// that no test leaves the machine.

import { once, setMaxListeners } from 'node:events'
import { createServer, STATUS_CODES } from 'node:http'
import { connect } from 'node:net'
import { wholeBody } from './exchange.mjs'
import { ask, endToEnd } from './upstream.mjs'

const isHere = (host) => /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(host)

/**
 * Starts one. `hosts` leads names to servers: `{ 'store.invalid:80': '127.0.0.1:9000' }`. `targets` is what was asked for:
 * `{ method, host, path }`, with `CONNECT` and no path for a tunnel.
 */
export async function startForwardProxy({ hosts = {} } = {}) {
  const targets = []
  const sockets = new Set()
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  const reached = (host, port) => {
    const name = `${host}:${port}`
    return hosts[name] ?? (isHere(host) ? name : null)
  }

  const serve = async (request, response) => {
    response.on('error', () => {})
    const body = await wholeBody(request)
    if (body === null) return
    const refuse = (status) => response.writeHead(status, { 'Content-Length': 0 }).end()
    if (!URL.canParse(request.url)) return refuse(400)
    const { hostname, port, host, pathname, search } = new URL(request.url)
    targets.push({ method: request.method, host, path: pathname + search })
    const at = reached(hostname, port || '80')
    if (at === null) return refuse(502)
    // What follows the authority, as it was sent: a signature covers it.
    const path = request.url.replace(/^\w+:\/\/[^/?]*/, '') || '/'
    try {
      const answer = await ask(`http://${at}`, { method: request.method, path, rawHeaders: request.rawHeaders, body }, ending.signal)
      response.sendDate = false
      response.writeHead(answer.status, answer.message, endToEnd(answer.rawHeaders)).end(answer.body)
    } catch {
      refuse(502)
    }
  }

  const tunnel = (request, client, head) => {
    client.on('error', () => {})
    targets.push({ method: 'CONNECT', host: request.url, path: null })
    const [, host, port] = request.url.match(/^(.*):(\d+)$/) ?? []
    const at = host === undefined ? null : reached(host, port)
    if (at === null) return client.end(`HTTP/1.1 502 ${STATUS_CODES[502]}\r\nContent-Length: 0\r\n\r\n`)
    const [, name, number] = at.match(/^(.*):(\d+)$/)
    const server = connect(Number(number), name.replace(/[[\]]/g, ''), () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      server.write(head)
      client.pipe(server).pipe(client)
    })
    sockets.add(server)
    server.once('close', () => {
      sockets.delete(server)
      client.destroy()
    })
    client.once('close', () => server.destroy())
    server.on('error', () => {})
  }

  const http = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, serve)
  http.on('connect', tunnel)
  http.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  http.unref()
  return {
    origin: `http://127.0.0.1:${http.address().port}`,
    targets,
    async stop() {
      ending.abort()
      const closed = once(http, 'close')
      http.close()
      for (const socket of sockets) socket.destroy()
      await closed
    }
  }
}
