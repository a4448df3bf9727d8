// A relay in front of an S3 server that takes one behaviour of a store away, in the scratch folders of a contract alone.
//
// Invariants: requests outside these folders pass unchanged, so that the checks that come first find the store as it is; a request that a
// flaw does not concern passes unchanged too, `Host` included, so that signatures hold.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { wholeBody } from './exchange.mjs'
import { ask } from './upstream.mjs'

const answer = (status, body = '', headers = []) => ({
  status,
  message: '',
  rawHeaders: ['Content-Length', String(Buffer.byteLength(body)), ...headers],
  body: Buffer.from(body)
})

/** An answer with another body. */
export function withBody({ status, message, rawHeaders }, body) {
  const headers = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!/^(content-length|transfer-encoding)$/i.test(rawHeaders[at])) headers.push(rawHeaders[at], rawHeaders[at + 1])
  }
  return { status, message, rawHeaders: [...headers, 'Content-Length', String(Buffer.byteLength(body))], body: Buffer.from(body) }
}

export const refusal = (status, code) =>
  answer(status, `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`, ['Content-Type', 'application/xml'])

/** A listing without the objects of which `isHidden` is true, by their full names. */
export function withoutKeys(listing, isHidden) {
  const text = listing.body
    .toString()
    .replace(/<Contents>.*?<\/Contents>/gs, (item) => (isHidden(decodeURIComponent(/<Key>(.*?)<\/Key>/s.exec(item)[1])) ? '' : item))
  return withBody(listing, text)
}

/**
 * Starts the relay. `relay.flaw` is `(request, forward) => answer`, or null: `request` has `method`, `name` (of the object, or the prefix of
 * a listing), `isList` and `body`; `forward(changes)` asks the server.
 */
export async function startRelay(origin) {
  const relay = { flaw: null, origin: '' }
  const server = createServer(async (incoming, outgoing) => {
    const { method, url, rawHeaders } = incoming
    const body = await wholeBody(incoming)
    const { pathname, searchParams } = new URL(url, 'http://relay')
    const isList = method === 'GET' && searchParams.has('list-type')
    const name = isList ? (searchParams.get('prefix') ?? '') : decodeURIComponent(pathname).split('/').slice(2).join('/')
    const forward = (changes = {}) => ask(origin, { method, path: url, rawHeaders, body, ...changes })
    const isTried = relay.flaw !== null && name.includes('v1/contract-')
    const {
      status,
      message,
      rawHeaders: headers,
      body: told
    } = await (isTried ? relay.flaw({ method, name, isList, body }, forward) : forward())
    outgoing.sendDate = false
    outgoing.writeHead(status, message, headers)
    outgoing.end(method === 'HEAD' ? undefined : told)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  relay.origin = `http://127.0.0.1:${server.address().port}`
  relay.stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return relay
}
