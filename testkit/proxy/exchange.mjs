// One request and what becomes of it: the moves that a fault is made of.
//
// Invariant: a move either does what it says or finds that the client has left; it never answers twice. What was done stands in
// the trace's entry, bodies and headers do not.

import { setTimeout as sleep } from 'node:timers/promises'
import { resetSocket } from '../base/reset.mjs'
import { abandon, ask, endToEnd } from './upstream.mjs'

/** The body of a request, or null if the client left in the middle. */
export async function wholeBody(request) {
  const chunks = []
  try {
    for await (const chunk of request) chunks.push(chunk)
  } catch {
    return null
  }
  return Buffer.concat(chunks)
}

const headOf = (first, rawHeaders) =>
  rawHeaders.reduce((text, word, at) => text + (at % 2 === 0 ? `${word}: ` : `${word}\r\n`), `${first}\r\n`)

/** The head of a request as it was sent. */
export const requestHead = ({ method, url, httpVersion, rawHeaders }) => headOf(`${method} ${url} HTTP/${httpVersion}`, rawHeaders)

/** Thrown where the whole server is out: what is under way goes no further. */
export class Outage extends Error {}

export class Exchange {
  /** `isOut` tells whether the whole server is out; `wantsHeads` has heads recorded. */
  constructor({ request, response, body, origin, entry, signal, isOut, wantsHeads }) {
    Object.assign(this, { request, response, body, origin, entry, signal, isOut, wantsHeads })
    // A client that leaves is no failure of the proxy.
    response.on('error', () => {})
  }

  get #socket() {
    return this.request.socket
  }

  get hasLeft() {
    return this.#socket.destroyed || this.response.destroyed
  }

  #asked() {
    const { method, url: path, rawHeaders } = this.request
    return { method, path, rawHeaders, body: this.body }
  }

  pause(ms) {
    return ms > 0 ? sleep(ms, undefined, { signal: this.signal, ref: false }) : undefined
  }

  /** Lets the server behind have the request, and waits for all of its answer. */
  async forward() {
    if (this.isOut()) throw new Outage()
    const answer = await ask(this.origin, this.#asked(), this.signal)
    this.entry.upstream = answer.status
    return answer
  }

  /** Lets the server behind have a part of the body. */
  async forwardPart(bytes) {
    if (this.isOut()) throw new Outage()
    await abandon(this.origin, this.#asked(), bytes, this.signal)
  }

  /** Gives the client an answer. `pieces` are written one after the other, with `everyMs` between them. */
  async answer(answer, pieces = [answer.body], everyMs = 0) {
    if (!this.#begin(answer)) return
    for (const [at, piece] of pieces.entries()) {
      if (at > 0) await this.pause(everyMs)
      if (this.isOut()) throw new Outage()
      if (this.hasLeft) return
      this.entry.bytesDown += piece.length
      if (piece.length > 0) this.response.write(piece)
    }
    this.response.end()
  }

  /** Gives the client the head of an answer and the first `bytes` of its body, then ends the connection. */
  async answerPart(answer, bytes, ending) {
    const part = answer.body.subarray(0, bytes)
    if (!this.#begin(answer)) return
    this.entry.bytesDown += part.length
    if (part.length === 0) this.response.flushHeaders()
    else await new Promise((resolve) => this.response.once('close', resolve).write(part, resolve))
    if (ending !== 'reset') return this.#socket.destroySoon()
    // A reset throws away what the client has not read yet, on some systems.
    await this.pause(20)
    this.reset()
  }

  #begin({ status, message, httpVersion = '1.1', rawHeaders }) {
    if (this.isOut()) throw new Outage()
    if (this.hasLeft) {
      this.entry.left = true
      return false
    }
    this.entry.status = status
    if (this.wantsHeads) this.entry.answerHead = headOf(`HTTP/${httpVersion} ${status} ${message}`, rawHeaders)
    this.response.sendDate = false
    this.response.writeHead(status, message, endToEnd(rawHeaders))
    return true
  }

  /** Ends the connection at once, in a way that the client notices. */
  reset() {
    resetSocket(this.#socket)
  }

  /** Leaves the client without an answer for ever, on a connection that stays: there is nothing to do. */
  hang() {}
}
