// One request to the server behind the proxy.
//
// Invariant: each has a connection of its own. A pooled one may be closed by the server just when it is used again, and then a
// request would fail that no rule concerns.

import { request as plain } from 'node:http'
import { request as secure } from 'node:https'

/** Headers that concern one connection only. */
const HOP = ['connection', 'keep-alive', 'proxy-connection', 'proxy-authorization', 'upgrade', 'expect']

/** Names and values in turn, as they were sent, without those of `HOP`. */
export function endToEnd(rawHeaders) {
  const kept = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!HOP.includes(rawHeaders[at].toLowerCase())) kept.push(rawHeaders[at], rawHeaders[at + 1])
  }
  return kept
}

const hasHeader = (rawHeaders, name) => rawHeaders.some((word, at) => at % 2 === 0 && word.toLowerCase() === name)

function open(origin, { method, path, rawHeaders, body }, signal) {
  const { protocol, hostname, port } = new URL(origin)
  const headers = endToEnd(rawHeaders)
  // Without either, a body is sent in chunks, and that is not what the client said.
  const isMeasured = hasHeader(headers, 'content-length') || hasHeader(headers, 'transfer-encoding')
  if (!isMeasured && ['POST', 'PUT', 'PATCH'].includes(method)) headers.push('Content-Length', String(body.length))
  const send = protocol === 'https:' ? secure : plain
  return send({ host: hostname.replace(/[[\]]/g, ''), port: port || undefined, method, path, headers, agent: false, signal })
}

/** Sends the request and waits for the whole answer: its head as it was sent, and its body. */
export function ask(origin, asked, signal) {
  return new Promise((resolve, reject) => {
    const request = open(origin, asked, signal)
    let hasAnswer = false
    // A server may answer before it has read the body, and close.
    request.on('error', (error) => {
      if (!hasAnswer) reject(error)
    })
    request.on('response', (answer) => {
      hasAnswer = true
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const { statusCode: status, statusMessage: message, httpVersion, rawHeaders } = answer
        resolve({ status, message, httpVersion, rawHeaders, body: Buffer.concat(chunks) })
      })
    })
    request.end(asked.body)
  })
}

/** Sends the head and the first `bytes` of the body, then leaves. */
export function abandon(origin, asked, bytes, signal) {
  return new Promise((resolve) => {
    const request = open(origin, asked, signal)
    request.on('error', resolve)
    request.on('close', resolve)
    request.write(asked.body.subarray(0, bytes), () => request.destroy())
  })
}
