// One connection through the faulty proxy: requests in the order of their arrival, each with its answer and what is to become of it.
//
// Invariants: what no rule concerns is passed on whole, unchanged and in order, in both directions. A request that reached the server is
// answered by it whatever the client is told; nothing that was swallowed is given out later.

import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { resetSocket } from '../base/reset.mjs'

/** Does one thing after the other; what comes after `end` is dropped. */
class Turns {
  #last = Promise.resolve()
  #isOver = false

  add(work) {
    this.#last = this.#last.then(() => (this.#isOver ? undefined : work()))
    return this.#last
  }

  end() {
    this.#isOver = true
  }
}

export class Link {
  #client
  #server
  #proxy
  #frames
  #requests = []
  #ups = new Turns()
  #downs = new Turns()

  constructor({ client, target, frames, proxy, number }) {
    this.#client = client
    this.#proxy = proxy
    this.#frames = frames
    this.number = number
    this.#server = connect(target, '127.0.0.1')
    for (const socket of [client, this.#server]) socket.setNoDelay(true)
    client.on('data', (bytes) => this.#fromClient(bytes))
    this.#server.on('data', (bytes) => this.#fromServer(bytes))
    client.on('error', () => {})
    this.#server.on('error', () => this.#downs.add(() => this.reset()))
    client.once('close', () => this.#ups.add(() => this.#server.destroySoon()))
    this.#server.once('close', () => this.#downs.add(() => client.destroySoon()))
  }

  /** Passes something on as late as the proxy is told to, and not while it stalls. */
  #pass(turns, ms, work) {
    const due = performance.now() + ms
    return turns.add(async () => {
      const wait = due - performance.now()
      if (wait > 0) await sleep(wait, undefined, { ref: false })
      await this.#proxy.flows()
      return work()
    })
  }

  #fromClient(bytes) {
    for (const { bytes: part, what } of this.#frames.up(bytes)) {
      const request = what === null ? null : this.#proxy.arrived({ link: this, what, bytes: part, isFirst: this.#requests.length === 0 })
      if (request !== null) this.#requests.push(request)
      this.#pass(this.#ups, this.#proxy.delay.upMs, () => this.#up(part, request))
    }
  }

  async #up(bytes, request) {
    const rule = request?.rule
    if (rule?.fault === 'lose') return this.reset()
    if (rule?.fault === 'hold') await rule.released
    if (rule?.fault === 'refuse') {
      request.answer = this.#frames.refusal()
      return this.#giveOut()
    }
    if (request !== null) request.isSent = true
    this.#server.write(bytes)
  }

  #fromServer(bytes) {
    const waiting = () => this.#requests.filter(({ isSent, answer }) => isSent && answer === undefined)
    const open = waiting()
    for (const { bytes: part, isAnswer } of this.#frames.down(bytes, (taken) => taken < open.length)) {
      if (!isAnswer) this.#pass(this.#downs, this.#proxy.delay.downMs, () => this.#client.write(part))
      else {
        open.shift().answer = part
        this.#giveOut()
      }
    }
  }

  #giveOut() {
    while (this.#requests[0]?.answer !== undefined) {
      const { answer, rule, entry } = this.#requests.shift()
      entry.answered = true
      const late = rule?.fault === 'delay' ? rule.ms : 0
      this.#pass(this.#downs, this.#proxy.delay.downMs + late, () => this.#down(answer, rule))
    }
  }

  async #down(answer, rule) {
    if (rule?.fault === 'swallow') return rule.ending === 'hang' ? this.#downs.end() : this.reset()
    if (rule?.fault === 'drip') return this.#drip(answer, rule)
    const isCut = rule?.fault === 'cut'
    this.#client.write(isCut ? answer.subarray(0, answer.length >> 1) : answer)
    if (!isCut && rule?.fault !== 'break-after') return
    this.#downs.end()
    // A reset would throw away what the client has not read yet.
    this.#client.destroySoon()
    this.#server.destroySoon()
  }

  async #drip(answer, { bytes, ms }) {
    for (let from = 0; from < answer.length && !this.#client.destroyed; from += bytes) {
      if (from > 0) await sleep(ms, undefined, { ref: false })
      this.#client.write(answer.subarray(from, from + bytes))
    }
  }

  /** Breaks the connection so that both sides notice; what was on its way to the server is there. */
  reset() {
    this.#ups.end()
    this.#downs.end()
    resetSocket(this.#client)
    this.#server.destroySoon()
  }
}
