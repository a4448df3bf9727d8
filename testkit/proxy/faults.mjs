// Effects of the faults, each in terms of the moves of an exchange.
//
// Invariant: a fault says truly whether the server behind had the request: `committed: true` means that its whole answer was
// there before the client was failed, `committed: false` that it never heard of it.
//
//   delay        nothing but `delayMs` before the request goes on and `answerDelayMs` before the answer does; every rule can
//                have these two as well
//   status       an answer of the proxy's own: `status`, `headers`, `body`
//   reset        the connection is reset
//   hang         the client never gets an answer, and the connection stays
//   cut-upload   the server behind gets the head and `bytes` of the body (half of it), the client a reset
//   cut-answer   the client gets the head and `bytes` of the body (half of it), then the end (`ending: 'close'` or `'reset'`)
//   drip         the body arrives in pieces of `bytes`, `everyMs` apart
//   flip         one bit (`bit`, 0 to 7) of the body's byte `at` is another; a negative place counts from the end
//   garbage      a body of the same length that means nothing
//   twice        the server behind gets the request a second time, `gapMs` after its first answer; the client gets the `last`
//                answer, or the `first` one, and then it does not wait for the second

import { STATUS_CODES } from 'node:http'
import { noiseFrom } from '../base/random.mjs'

const half = (body) => Math.floor(body.length / 2)

function flipped(body, at, bit) {
  const changed = Buffer.from(body)
  if (body.length > 0) changed[((at % body.length) + body.length) % body.length] ^= 1 << bit
  return changed
}

function piecesOf(body, bytes) {
  const pieces = []
  for (let at = 0; at < body.length; at += bytes) pieces.push(body.subarray(at, at + bytes))
  return pieces
}

function made({ status, headers = {}, body = '' }) {
  const bytes = Buffer.from(body)
  const rawHeaders = Object.entries({ 'Content-Length': bytes.length, Date: new Date().toUTCString(), ...headers })
    .flat()
    .map(String)
  return { status, message: STATUS_CODES[status] ?? '', rawHeaders, body: bytes }
}

/** Each gets the exchange, the rule's words, its seed, and `later`, which waits before an answer. */
export const faults = {
  async delay(exchange, _, __, later) {
    const answer = await exchange.forward()
    await later()
    await exchange.answer(answer)
  },

  async status(exchange, what, _, later) {
    if (what.committed) await exchange.forward()
    await later()
    await exchange.answer(made(what))
  },

  async reset(exchange, { committed }, _, later) {
    if (committed) await exchange.forward()
    await later()
    exchange.reset()
  },

  async hang(exchange, { committed }) {
    if (committed) await exchange.forward()
    exchange.hang()
  },

  async 'cut-upload'(exchange, { bytes = half(exchange.body) }, _, later) {
    // A whole body would be no cut: the server behind would take it.
    const part = Math.min(bytes, exchange.body.length - 1)
    if (part >= 0) await exchange.forwardPart(part)
    await later()
    exchange.reset()
  },

  async 'cut-answer'(exchange, { bytes, ending = 'close' }, _, later) {
    const answer = await exchange.forward()
    await later()
    const part = Math.min(bytes ?? half(answer.body), answer.body.length - 1)
    if (part < 0) exchange.reset()
    else await exchange.answerPart(answer, part, ending)
  },

  async drip(exchange, { bytes = 1, everyMs = 10 }, _, later) {
    const answer = await exchange.forward()
    await later()
    await exchange.answer(answer, piecesOf(answer.body, bytes), everyMs)
  },

  async flip(exchange, { at = 0, bit = 0 }, _, later) {
    const answer = await exchange.forward()
    await later()
    await exchange.answer({ ...answer, body: flipped(answer.body, at, bit) })
  },

  async garbage(exchange, _, seed, later) {
    const answer = await exchange.forward()
    await later()
    await exchange.answer({ ...answer, body: noiseFrom(seed, answer.body.length) })
  },

  async twice(exchange, { gapMs = 0, answer: which = 'last' }, _, later) {
    const first = await exchange.forward()
    if (which === 'first') {
      await later()
      await exchange.answer(first)
    }
    await exchange.pause(gapMs)
    const last = await exchange.forward()
    if (which === 'first') return
    await later()
    await exchange.answer(last)
  }
}
