// A double of WhatsApp's web-socket server, for tests of what a service sees of a connection: QR code, pairing, restart, login,
// keys, messages, and the four ways in which a connection ends. Real `makeWASocket` of every line connects to it.
//
//   const whatsapp = await startWhatsApp()
//   trust(baileys, whatsapp.rootKey)                                     // certificates.mjs; in another process: trust.mjs
//   makeWASocket({ auth, waWebSocketUrl: whatsapp.url })
//   const { jid } = await whatsapp.scan(qr, { phone: '4915550000' })     // the QR code of `connection.update`
//   const { delivered } = await whatsapp.send(jid, 'hello', { from: '4915550001' })
//   const { text } = await whatsapp.received('4915550001')               // what the device sent to this number
//   await whatsapp.logout(jid); await whatsapp.replace(jid); await whatsapp.restart(); whatsapp.drop(jid)
//   await whatsapp.stop()
//
// Invariants: it listens on loopback and connects to nothing. It keeps what WhatsApp keeps (the keys of devices, no secret of
// them), and lets a device in only with the noise key that was in the QR code it was paired by. Certificates, the handshake, the
// signatures of pairing and the encryption of messages are real; groups, media, calls, pairing codes and history are left out, and a
// query for them gets an error (`unanswered`). Baileys itself asks no other host while it connects and exchanges texts; it does for
// `fetchLatestBaileysVersion`, for media and for previews of links, which a test must do without.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import oldBinary from 'baileys-v6/lib/WABinary/index.js'
import { WebSocketServer } from 'ws'
import { loadLine, quietLibsignal } from '../world/baileys.mjs'
import { Authority } from './certificates.mjs'
import { Connection } from './connection.mjs'
import { Mail } from './mail.mjs'
import { newKeyPair } from './noise.mjs'
import { checkDevice, pairSuccess, readQr, signDevice } from './pairing.mjs'
import { People, deviceOf } from './people.mjs'
import { answerQuery, isKeyOf } from './queries.mjs'

export { trust } from './certificates.mjs'

const REFS = 6
const KEY_LENGTHS = { registration: 4, signedPreKey: 3 }

const streamError = (code, ...content) => ({ tag: 'stream:error', attrs: code ? { code: String(code) } : {}, content })
const conflict = (type) => ({ tag: 'conflict', attrs: { type } })

/**
 * Starts a double on a free port.
 * @param {{ authority?: Authority, issuerSerial?: number }} [o] an `authority` that several doubles share; an `issuerSerial` other than 0
 *   makes a certificate that every client refuses
 */
export async function startWhatsApp({ authority, issuerSerial } = {}) {
  quietLibsignal()
  const line = await loadLine('v7')
  const double = new WhatsAppDouble(line, authority ?? new Authority(line.baileys), issuerSerial)
  await once(double.sockets, 'listening')
  return double
}

class WhatsAppDouble {
  #refs = new Map()
  #connections = new Set()

  constructor(line, authority, issuerSerial) {
    this.baileys = line.baileys
    this.authority = authority
    this.people = new People(line)
    this.mail = new Mail(this)
    /** Linked devices, by `account:device`. */
    this.devices = new Map()
    /** Names of queries that were answered with an error, because the double does not know them. */
    this.unanswered = []
    /** Reasons that connections were cut: what a client sent that could not be read. */
    this.failures = []
    const staticKeys = newKeyPair()
    const server = {
      staticKeys,
      certificate: authority.chainFor(staticKeys.public, { issuerSerial }),
      proto: line.baileys.proto,
      // The dictionary of node names has two versions in the lines that are installed.
      codecs: { 2: oldBinary, 3: line.baileys },
      hello: (connection, noiseKey, payload) => this.#hello(connection, noiseKey, payload)
    }
    this.sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    this.sockets.on('connection', (socket) => {
      const connection = new Connection(socket, server)
      this.#connections.add(connection)
      connection.on('end', () => this.#ended(connection))
    })
  }

  /** For the option `waWebSocketUrl`. */
  get url() {
    return `ws://127.0.0.1:${this.sockets.address().port}`
  }

  /** The public key of the root, for `trust`. */
  get rootKey() {
    return this.authority.publicKey
  }

  /** Connections that are open now, logged in or not. */
  get connections() {
    return this.#connections.size
  }

  /**
   * The phone with the number `phone` scans a QR code. Resolves when the device has proved itself and was told to restart (515);
   * rejects when nobody waits with this code, or when the device does not take the phone's signature.
   * @returns {Promise<{ jid: string, lid: string }>}
   */
  async scan(qr, { phone }) {
    const code = readQr(qr)
    const waiting = this.#refs.get(code.ref)
    if (!waiting) throw new Error('no connection waits with this QR code')
    const { connection, noiseKey, keys } = waiting
    if (!code.noiseKey.equals(noiseKey) || !code.identityKey.equals(keys.identity))
      throw new Error('the QR code shows other keys than its device')
    const owner = await this.people.phone(phone)
    const { account } = owner.me
    const id = 1 + [...this.devices.values()].filter((device) => device.account === account).length
    const [jid, lid] = [this.people.numberOf(account, id), this.people.lidOf(account, id)]
    const accountKeys = owner.creds.signedIdentityKey
    const { details, sealed } = signDevice({ baileys: this.baileys, accountKeys, qr: code, keyIndex: id })
    const answer = await connection.query([pairSuccess({ sealed, jid, lid, platform: 'android' })])
    checkDevice({ baileys: this.baileys, answer, details, accountKeys, qr: code })
    for (const [ref, { connection: other }] of this.#refs) if (other === connection) this.#refs.delete(ref)
    const { identity } = keys
    const nobody = { linked: true, connection: null, active: false, greeted: false }
    this.devices.set(`${account}:${id}`, { account, id, jid, lid, noiseKey, identity, ...nobody, appState: {}, queue: new Map() })
    this.people.book[account].devices.push(id)
    this.people.keys.upload(account, id, { ...keys, preKeys: [] })
    await connection.end(streamError(515))
    return { jid, lid }
  }

  /** The owner unlinks the device on the phone: its connection ends with 401, and so does every later login. */
  async logout(jid) {
    const device = this.deviceAt(jid)
    const { connection } = device
    this.unlink(device)
    await connection?.end(streamError(401, conflict('device_removed')))
  }

  /** Another process connects with the same credentials: 440. */
  async replace(jid) {
    await this.deviceAt(jid).connection?.end(streamError(null, conflict('replaced')))
  }

  /** The server restarts: 503, or another code, for the device at `jid` or for everybody. */
  async restart(jid, { code = 503 } = {}) {
    const devices = jid ? [this.deviceAt(jid)] : [...this.devices.values()]
    for (const { connection } of devices) await connection?.end(streamError(code))
  }

  /** The network fails: the connection is cut without a word. */
  drop(jid) {
    this.deviceAt(jid).connection?.drop()
  }

  /**
   * A contact writes. Resolves when the message is encrypted and sent, or waits for the device to log in.
   * @param {string} jid of a linked device, or of its account: then of all devices
   * @param {string} text
   * @param {{ from: string }} o the number of the contact
   * @returns {Promise<{ id: string, delivered: Promise<'delivered' | 'retry'> }>} `retry` says that the device could not decrypt it
   */
  send(jid, text, { from }) {
    return this.mail.send(jid, text, from)
  }

  /**
   * The next message that a device sent to this number, waiting for it if need be; rejects when it does not decrypt. The number of
   * the device's own account gets what the device sent to others too, as `to` says.
   * @returns {Promise<{ id: string, from: string, to: string, text: string, message: object }>}
   */
  received(phone) {
    return this.mail.next(phone)
  }

  /** True if the device is logged in and takes messages. */
  isOnline(jid) {
    return Boolean(this.deviceAt(jid).active)
  }

  async stop() {
    for (const connection of this.#connections) connection.drop()
    this.people.stop()
    await new Promise((resolve) => this.sockets.close(resolve))
  }

  /** The linked device with this address. */
  deviceAt(jid) {
    const device = this.devices.get(`${this.people.find(jid)}:${deviceOf(jid)}`)
    if (!device?.linked) throw new Error(`no linked device: ${jid}`)
    return device
  }

  unlink(device) {
    device.linked = false
    const { devices } = this.people.book[device.account]
    devices.splice(devices.indexOf(device.id), 1)
    this.people.keys.devices.delete(`${device.account}:${device.id}`)
  }

  async #hello(connection, noiseKey, payload) {
    if (payload.devicePairingData) return this.#offerPairing(connection, noiseKey, payload.devicePairingData)
    const device = this.devices.get(`${this.people.find(payload.username)}:${payload.device}`)
    if (!device?.linked || !device.noiseKey.equals(noiseKey)) {
      return connection.end({ tag: 'failure', attrs: { reason: '401', location: 'double' } })
    }
    const former = device.connection
    Object.assign(device, { connection, active: false })
    connection.device = device
    connection.handle((node) => this.#take(connection, node))
    await former?.end(streamError(null, conflict('replaced')))
    await connection.send({ tag: 'success', attrs: { t: String(Math.floor(Date.now() / 1000)), lid: device.lid } })
  }

  async #offerPairing(connection, noiseKey, { eRegid, eIdent, eSkeyId, eSkeyVal, eSkeySig }) {
    const number = (bytes, length) => Buffer.from(bytes).readUIntBE(0, length)
    const signedPreKey = { id: number(eSkeyId, KEY_LENGTHS.signedPreKey), public: Buffer.from(eSkeyVal), signature: Buffer.from(eSkeySig) }
    const keys = { registrationId: number(eRegid, KEY_LENGTHS.registration), identity: Buffer.from(eIdent), signedPreKey }
    if (!isKeyOf(keys, signedPreKey)) throw new Error('the signed pre-key of the device is not signed by its identity')
    const refs = Array.from({ length: REFS }, () => `2@${randomBytes(48).toString('base64')}`)
    for (const ref of refs) this.#refs.set(ref, { connection, noiseKey, keys })
    connection.handle((node) => this.#take(connection, node))
    const content = refs.map((ref) => ({ tag: 'ref', attrs: {}, content: Buffer.from(ref) }))
    // The answer says nothing; a connection that ends first is nobody's loss.
    connection.query([{ tag: 'pair-device', attrs: {}, content }]).catch(() => {})
  }

  async #take(connection, node) {
    if (node.tag === 'iq' && (node.attrs.type === 'get' || node.attrs.type === 'set' || !node.attrs.type))
      return answerQuery(node, connection, this)
    if (connection.device) await this.mail.take(connection, node)
  }

  #ended(connection) {
    this.#connections.delete(connection)
    if (connection.reason) this.failures.push(connection.reason)
    for (const [ref, waiting] of this.#refs) if (waiting.connection === connection) this.#refs.delete(ref)
    const { device } = connection
    if (device?.connection === connection) Object.assign(device, { connection: null, active: false })
  }
}
