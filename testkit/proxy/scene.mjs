// Parts that the tests of the proxy have in common: a server that writes down what reached it, and a client with one connection.
//
// Invariant: every fault can be judged from both sides: `seen` and `kept` are what the server had, an answer is what the client got.

import { Agent, createServer, request as send } from 'node:http'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { atEnd } from '../base/endings.mjs'
import { startProxy } from './proxy.mjs'

/** A server that keeps what is put there; `seen` is what reached it whole, `torn` what did not. */
export async function startUpstream(t) {
  const seen = []
  const torn = []
  const kept = new Map()
  const server = createServer(async (request, response) => {
    const chunks = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return torn.push({ method: request.method, path: request.url, bytes: Buffer.concat(chunks).length })
    }
    const body = Buffer.concat(chunks)
    seen.push({ method: request.method, path: request.url, body: body.toString('latin1'), rawHeaders: request.rawHeaders })
    if (request.method === 'PUT') kept.set(request.url, body)
    const found = request.method === 'PUT' ? Buffer.from('stored') : kept.get(request.url)
    if (found === undefined) return response.writeHead(404, { 'Content-Length': 0 }).end()
    // A header that the proxy adds of itself would show.
    response.sendDate = false
    const isChunked = request.url.includes('chunked')
    const length = isChunked ? [] : ['Content-Length', String(found.length)]
    response.writeHead(200, 'Fine', ['X-Case', 'Kept', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', ...length])
    response.end(found)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(t, async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { seen, torn, kept, server, origin: `http://127.0.0.1:${server.address().port}` }
}

/** A client with one connection that it keeps as long as it can. */
export function startClient(t, origin) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  atEnd(t, () => agent.destroy())
  const ask = (method, path, { body, headers = {} } = {}) =>
    new Promise((resolve) => {
      const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }
      const request = send(`${origin}${path}`, { method, agent, headers: { ...headers, ...length } })
      ask.last = request
      let hasAnswer = false
      // Once there is an answer, it tells the error as well, and how far it came.
      request.on('error', (error) => {
        if (!hasAnswer) resolve({ error: error.code })
      })
      request.on('response', (answer) => {
        hasAnswer = true
        const { statusCode: status, statusMessage: message, headers, rawHeaders } = answer
        const port = request.socket.localPort
        const chunks = []
        answer.on('data', (chunk) => chunks.push(chunk))
        answer.on('error', (error) => resolve({ status, error: error.code, bytes: Buffer.concat(chunks) }))
        answer.on('end', () => {
          const bytes = Buffer.concat(chunks)
          resolve({ status, message, headers, rawHeaders, port, bytes, text: bytes.toString() })
        })
      })
      request.end(body)
    })
  return ask
}

/** Server, proxy and client. */
export async function scene(t, options) {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(upstream.origin, options)
  atEnd(t, () => proxy.stop())
  return { upstream, proxy, ask: startClient(t, proxy.origin) }
}

/** A promise that may stay open for ever: whether it is settled after a while, given that everything else went through. */
export const isOpen = async (promise) => await Promise.race([promise.then(() => false), sleep(100).then(() => true)])
