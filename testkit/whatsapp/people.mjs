// Everybody but the clients under test: accounts, their phones, contacts, and the keys that the server keeps of all devices.
//
// Invariant: an account is in `book` once, by phone number and by LID. A phone or contact is a whole Signal device of the world's
// kind on a state in memory; what it sends and receives is really encrypted.

import { Device } from '../world/device.mjs'
import { KeyServer } from '../world/key-server.mjs'
import { memoryState } from '../world/memory-state.mjs'

const PRE_KEYS = 30
const FEW_PRE_KEYS = 5

/** The device in an address; 0 is the phone. */
export const deviceOf = (jid) => Number(String(jid).split('@')[0].split(':')[1] ?? 0)

export class People {
  /** @param {{ baileys: object, hasLids: boolean }} line what phones and contacts are made of */
  constructor(line) {
    this.line = line
    this.book = []
    this.keys = new KeyServer(this.book)
    this.phones = new Map()
  }

  /** The number of an account in the book, by phone number, LID or address; -1 if there is none. */
  find(address) {
    const user = String(address).split('@')[0].split(':')[0]
    return this.book.findIndex(({ pn, lid }) => pn === user || lid === user)
  }

  /** True if a device with this address ever gave its keys. */
  hasKeys(jid) {
    return this.keys.devices.has(`${this.find(jid)}:${deviceOf(jid)}`)
  }

  /** The phone with this number, switched on if it is new. */
  async phone(number) {
    const pn = String(number).split('@')[0].replace(/\D/g, '')
    const known = this.find(pn)
    const account = known < 0 ? this.book.push({ pn, lid: `1${String(this.book.length).padStart(13, '0')}`, devices: [0] }) - 1 : known
    if (!this.phones.has(account)) this.phones.set(account, this.#make(account))
    return this.phones.get(account)
  }

  async #make(account) {
    const { line, book } = this
    const auth = memoryState(line.baileys)
    const fetchBundles = async (jids) => this.keys.bundles(jids)
    const phone = new Device({ line, auth, me: { account, device: 0 }, book, fetchBundles })
    await phone.pair()
    this.keys.upload(account, 0, await phone.uploadPreKeys(PRE_KEYS))
    return phone
  }

  /** Gives a phone new one-time keys before the server runs out of them. */
  async keepKeys({ me: { account } }) {
    if (this.keys.remaining(account, 0).length > FEW_PRE_KEYS) return
    const phone = await this.phones.get(account)
    this.keys.upload(account, 0, await phone.uploadPreKeys(PRE_KEYS))
  }

  /** `user:device@s.whatsapp.net` */
  numberOf(account, device) {
    return `${this.book[account].pn}${device ? `:${device}` : ''}@s.whatsapp.net`
  }

  /** `user:device@lid` */
  lidOf(account, device) {
    return `${this.book[account].lid}${device ? `:${device}` : ''}@lid`
  }

  stop() {
    for (const phone of this.phones.values()) phone.then((device) => device.close())
  }
}
