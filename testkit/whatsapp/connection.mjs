// One web socket of a client: the handshake, then nodes in both directions.
//
// Invariant: nodes are handled one after another, in the order in which they came; a query that the other side does not answer
// before the connection ends rejects. What breaks the protocol ends the connection, and is told as `reason`.

import { EventEmitter } from 'node:events'
import { Frames, ServerNoise, frame } from './noise.mjs'

const SERVER = 's.whatsapp.net'

/** Tells `end` once. The server is told of a handshake by its `hello`, and of nodes that answer no query by what it gave to `handle`. */
export class Connection extends EventEmitter {
  #frames = new Frames()
  #noise = null
  #stage = 'hello'
  #work = Promise.resolve()
  #answers = new Map()
  #queries = 0
  #handler = async () => {}

  /**
   * @param {import('ws').WebSocket} socket
   * @param {{ staticKeys: object, certificate: Buffer, proto: object, codecs: Record<number, object>, hello: Function }} server `codecs` by
   *   version of the dictionary; `hello(connection, noiseKey, payload)` is called when the handshake is done
   */
  constructor(socket, server) {
    super()
    Object.assign(this, { socket, server, device: null, reason: null })
    socket.on('message', (bytes) => {
      this.#work = this.#work.then(() => this.#take(bytes)).catch((error) => this.#fail(error))
    })
    socket.on('close', () => this.#ended())
    socket.on('error', (error) => this.#fail(error))
  }

  get isOpen() {
    return this.socket.readyState === this.socket.OPEN
  }

  /** Sets who handles nodes; the next node waits for the promise it returns. */
  handle(handler) {
    this.#handler = handler
  }

  /** Sends a node. One that comes too late is dropped, as by a network. */
  async send(node) {
    const bytes = await this.codec.encodeBinaryNode(node)
    if (this.isOpen) this.socket.send(frame(this.#noise.seal(bytes)))
  }

  /** Sends an `iq` and resolves with the answer. */
  async query(content) {
    const id = `double-${++this.#queries}`
    const answer = new Promise((resolve, reject) => this.#answers.set(id, { resolve, reject }))
    await this.send({ tag: 'iq', attrs: { from: SERVER, type: 'set', id }, content })
    return answer
  }

  /** Sends a last node, if any, and closes. */
  async end(node) {
    if (node) await this.send(node)
    this.socket.close()
  }

  /** Cuts the connection without a word. */
  drop() {
    this.socket.terminate()
  }

  async #take(bytes) {
    for (const bytesOfFrame of this.#frames.push(bytes)) await this.#takeFrame(bytesOfFrame)
  }

  async #takeFrame(bytes) {
    const { HandshakeMessage } = this.server.proto
    if (this.#stage === 'hello') {
      this.codec = this.server.codecs[this.#frames.prologue[3]]
      if (!this.codec) throw new Error(`no dictionary of version ${this.#frames.prologue[3]}`)
      const { clientHello } = HandshakeMessage.decode(bytes)
      this.#noise = new ServerNoise(this.#frames.prologue)
      const serverHello = this.#noise.hello(clientHello.ephemeral, this.server.staticKeys, this.server.certificate)
      this.socket.send(frame(HandshakeMessage.encode({ serverHello }).finish()))
      this.#stage = 'finish'
    } else if (this.#stage === 'finish') {
      const { clientFinish } = HandshakeMessage.decode(bytes)
      const { static: noiseKey, payload } = this.#noise.finish(clientFinish.static, clientFinish.payload)
      this.#stage = 'nodes'
      await this.server.hello(this, noiseKey, this.server.proto.ClientPayload.decode(payload))
    } else {
      await this.#takeNode(await this.codec.decodeBinaryNode(this.#noise.open(bytes)))
    }
  }

  async #takeNode(node) {
    const waiting = node.tag === 'iq' && (node.attrs.type === 'result' || node.attrs.type === 'error') && this.#answers.get(node.attrs.id)
    if (waiting) {
      this.#answers.delete(node.attrs.id)
      return waiting.resolve(node)
    }
    await this.#handler(node)
  }

  #fail(error) {
    this.reason ??= error
    this.drop()
  }

  #ended() {
    const error = new Error(`the client closed the connection${this.reason ? `: ${this.reason.message}` : ''}`, { cause: this.reason })
    for (const { reject } of this.#answers.values()) reject(error)
    this.#answers.clear()
    this.emit('end')
  }
}
