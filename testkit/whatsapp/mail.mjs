// Messages between contacts and linked devices.
//
// Invariant: a message for a device is kept until the device says that it has it, and is sent again at every login until then. A
// contact reads only what decrypts with its own keys. Texts never pass the server readably: what a test reads comes from the
// contact's side.

import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { deviceOf } from './people.mjs'

const FEW_KEYS = 10
const SERVER = 's.whatsapp.net'
const seconds = () => String(Math.floor(Date.now() / 1000))
const childrenOf = (node) => (Array.isArray(node.content) ? node.content : [])

export class Mail {
  #inboxes = new Map()
  #deliveries = new Map()

  /** @param {object} double whose people and devices write to each other */
  constructor(double) {
    this.double = double
  }

  async send(jid, text, from) {
    const contact = await this.double.people.phone(from)
    const devices = jid.includes(':') ? [this.double.deviceAt(jid)] : this.#devicesOf(jid)
    const id = `3A${randomBytes(9).toString('hex').toUpperCase()}`
    const told = []
    for (const device of devices) {
      await this.#write(contact, device, { id, type: 'text', notify: `contact ${from}` }, { conversation: text })
      told.push(this.#deliveryOf(device, id).promise)
    }
    const delivered = Promise.all(told).then((outcomes) => outcomes.find((outcome) => outcome !== 'delivered') ?? 'delivered')
    return { id, delivered }
  }

  next(phone) {
    const inbox = this.#inboxOf(phone)
    const result =
      inbox.messages.length > 0 ? Promise.resolve(inbox.messages.shift()) : new Promise((resolve) => inbox.readers.push(resolve))
    return result.then((entry) => {
      if (entry.failure) throw new Error(`${phone} cannot decrypt a message of ${entry.from}: ${entry.failure}`)
      return entry
    })
  }

  /**
   * The phone of a new device shares a key of the app state and says that there is no history: clients wait for both before they tell
   * of messages.
   */
  async greet(device) {
    if (device.greeted) return
    device.greeted = true
    const {
      people,
      baileys: {
        proto: { HistorySync, Message }
      }
    } = this.double
    const phone = await people.phone(people.book[device.account].pn)
    const { Type } = Message.ProtocolMessage
    const keyData = {
      keyData: randomBytes(32),
      fingerprint: { rawId: 1, currentIndex: 1, deviceIndexes: [0, device.id] },
      timestamp: Date.now()
    }
    const keys = [{ keyId: { keyId: randomBytes(6) }, keyData }]
    const syncType = HistorySync.HistorySyncType.NON_BLOCKING_DATA
    const nothing = deflateSync(HistorySync.encode({ syncType }).finish())
    const letters = [
      { type: Type.APP_STATE_SYNC_KEY_SHARE, appStateSyncKeyShare: { keys } },
      {
        type: Type.HISTORY_SYNC_NOTIFICATION,
        historySyncNotification: { syncType, progress: 100, initialHistBootstrapInlinePayload: nothing }
      }
    ]
    for (const protocolMessage of letters) {
      const id = `3A${randomBytes(9).toString('hex').toUpperCase()}`
      await this.#write(phone, device, { id, type: 'text', category: 'peer' }, { protocolMessage })
    }
  }

  /** A device is ready: it gets what waits for it, then the news that this was all. */
  async open(device, connection) {
    if (device.connection !== connection) return
    device.active = true
    const waiting = [...device.queue.values()]
    // What the device's own phone has to say comes as news.
    const marked = ({ tag, attrs, content }) => ({ tag, attrs: attrs.category ? attrs : { ...attrs, offline: '0' }, content })
    for (const stanza of waiting) await connection.send(marked(stanza))
    const offline = { tag: 'offline', attrs: { count: String(waiting.length) } }
    await connection.send({ tag: 'ib', attrs: { from: SERVER }, content: [offline] })
  }

  /** Takes a stanza of a linked device that is no query. */
  async take(connection, node) {
    const { device } = connection
    const { id, to, type } = node.attrs
    if (node.tag === 'message') {
      await connection.send({ tag: 'ack', attrs: { class: 'message', id, from: to, t: seconds() } })
      await this.#takeMessage(device, node)
    } else if (node.tag === 'receipt') {
      await connection.send({ tag: 'ack', attrs: { class: 'receipt', id, from: to, ...(type ? { type } : {}) } })
      this.#deliveryOf(device, id).resolve(type === 'retry' ? 'retry' : 'delivered')
      device.queue.delete(id)
    } else if (node.tag === 'ack' && node.attrs.class === 'message') device.queue.delete(id)
  }

  #devicesOf(jid) {
    const account = this.double.people.find(jid)
    const devices = [...this.double.devices.values()].filter((device) => device.linked && device.account === account)
    if (devices.length === 0) throw new Error(`no linked device: ${jid}`)
    return devices
  }

  /** Encrypts a message of a phone to a device and sends it, or leaves it to the next login. */
  async #write(phone, device, attrs, message) {
    const { people, baileys } = this.double
    const plaintext = baileys.encodeWAMessage(baileys.proto.Message.fromObject(message))
    const { type, ciphertext } = await phone.sendToDevice({ account: device.account, device: device.id, plaintext })
    await this.#warnOfFewKeys(device)
    const { account } = phone.me
    const from = { from: people.numberOf(account, 0), sender_lid: people.lidOf(account, 0) }
    await this.#deliver(device, { ...from, ...attrs, t: seconds() }, [{ tag: 'enc', attrs: { v: '2', type }, content: ciphertext }])
  }

  /** The server tells a device that is online when its one-time keys run out; the device then uploads more. */
  async #warnOfFewKeys(device) {
    const value = this.double.people.keys.remaining(device.account, device.id).length
    if (!device.active || value >= FEW_KEYS) return
    const attrs = { from: SERVER, type: 'encrypt', id: randomBytes(4).toString('hex'), t: seconds() }
    await device.connection.send({ tag: 'notification', attrs, content: [{ tag: 'count', attrs: { value: String(value) } }] })
  }

  async #deliver(device, attrs, content) {
    const stanza = { tag: 'message', attrs, content }
    device.queue.set(attrs.id, stanza)
    if (device.active) await device.connection.send(stanza)
  }

  async #takeMessage(sender, node) {
    const { id, to } = node.attrs
    const parts = childrenOf(node)
    const participants = parts.find(({ tag }) => tag === 'participants')
    const direct = parts.find(({ tag }) => tag === 'enc')
    const targets = participants
      ? childrenOf(participants).map((part) => ({ jid: part.attrs.jid, enc: childrenOf(part)[0] }))
      : [{ jid: to, enc: direct }]
    for (const { jid, enc } of targets) {
      if (deviceOf(jid) === 0) await this.#read(sender, id, jid, enc, node)
      else await this.#pass(sender, jid, enc, node)
    }
  }

  /** A phone of the double decrypts. */
  async #read(sender, id, jid, { attrs: { type }, content: ciphertext }, node) {
    const {
      people,
      baileys: { proto, unpadRandomMax16 }
    } = this.double
    const { pn } = people.book[people.find(jid)]
    const phone = await people.phone(pn)
    const { plaintext, failure, message: why } = await phone.receive({ from: sender.lid, type, ciphertext })
    const entry = { id, from: sender.jid, to: node.attrs.to }
    if (failure) Object.assign(entry, { failure: `${failure}: ${why}` })
    else {
      const outer = proto.Message.decode(unpadRandomMax16(plaintext))
      const message = outer.deviceSentMessage?.message ?? outer
      Object.assign(entry, { message, text: message.conversation || message.extendedTextMessage?.text })
      await sender.connection?.send({ tag: 'receipt', attrs: { from: node.attrs.to, id, t: seconds() } })
    }
    const inbox = this.#inboxOf(pn)
    const reader = inbox.readers.shift()
    if (reader) reader(entry)
    else inbox.messages.push(entry)
  }

  /** Another linked device gets what was encrypted for it; one that is gone does not. */
  async #pass(sender, jid, enc, node) {
    const device = this.double.devices.get(`${this.double.people.find(jid)}:${deviceOf(jid)}`)
    if (!device?.linked) return
    const { id, to, type } = node.attrs
    const own = device.account === sender.account
    const attrs = { from: sender.jid, sender_lid: sender.lid, id, type, t: seconds(), ...(own ? { recipient: to } : {}) }
    const identity = childrenOf(node).filter(({ tag }) => tag === 'device-identity')
    await this.#deliver(device, attrs, [enc, ...identity])
  }

  #inboxOf(phone) {
    if (!this.#inboxes.has(phone)) this.#inboxes.set(phone, { messages: [], readers: [] })
    return this.#inboxes.get(phone)
  }

  #deliveryOf(device, id) {
    const name = `${device.account}:${device.id} ${id}`
    if (!this.#deliveries.has(name)) {
      const delivery = {}
      delivery.promise = new Promise((resolve) => {
        delivery.resolve = resolve
      })
      this.#deliveries.set(name, delivery)
    }
    return this.#deliveries.get(name)
  }
}
