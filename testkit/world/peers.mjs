// Everybody in a world but its subject: phones, companion devices, contacts and groups, and the server that holds their keys.
//
// Invariant: the peers live in the process that holds the World, on the store that is known to work, so that they survive whatever happens
// to the subject. No contact runs out of one-time pre-keys: what is missing is never the fault of a peer.

import { Device } from './device.mjs'
import { KeyServer, makeBook, makeGroups } from './key-server.mjs'
import { memoryState } from './memory-state.mjs'

/** Device whose auth state is under test. */
export const SUBJECT = { account: 0, device: 12 }
export const nameOf = ({ account, device }) => `${account}:${device}`

const PRE_KEYS = 30
const LEAST_PRE_KEYS = 5

export class Peers {
  #line
  #random
  /** name -> its device */
  #devices = new Map()

  constructor(line, random) {
    this.#line = line
    this.#random = random
  }

  async populate(contacts, groups) {
    this.book = makeBook(this.#random, contacts, SUBJECT.device)
    this.groups = makeGroups(groups, contacts)
    this.server = new KeyServer(this.book)
    for (const [account, { devices }] of this.book.entries()) {
      for (const device of devices) {
        if (account === SUBJECT.account && device === SUBJECT.device) continue
        const peer = this.#add({ account, device })
        await peer.pair()
        this.server.upload(account, device, await peer.uploadPreKeys(PRE_KEYS))
      }
    }
  }

  /** All of them, as plain JSON. */
  dump() {
    const { book, groups } = this
    return { book, groups, server: this.server.dump(), devices: [...this.#devices].map(([name, peer]) => [name, peer.dump()]) }
  }

  load({ book, groups, server, devices }) {
    this.book = book
    this.groups = groups
    this.server = new KeyServer(book)
    this.server.load(server)
    for (const [name, dump] of devices) {
      const [account, device] = name.split(':').map(Number)
      this.#add({ account, device }, dump)
    }
  }

  #add(me, dump) {
    const auth = memoryState(this.#line.baileys, dump)
    const peer = new Device({ line: this.#line, auth, me, book: this.book, fetchBundles: async (jids) => this.server.bundles(jids) })
    peer.dump = auth.dump
    this.#devices.set(nameOf(me), peer)
    return peer
  }

  /** The device of this name; undefined for the subject. */
  get(name) {
    return this.#devices.get(name)
  }

  /** Phone of the subject's account. */
  get phone() {
    return this.get(nameOf({ account: SUBJECT.account, device: 0 }))
  }

  get subjectJid() {
    return this.phone.addressOf(SUBJECT.account, SUBJECT.device)
  }

  /** Name and device of all that belong to these accounts. */
  of(accounts) {
    return [...this.#devices].filter(([, { me }]) => accounts.includes(me.account))
  }

  /** Name and device of all that are not of the subject's account. */
  contacts() {
    return [...this.#devices].filter(([, { me }]) => me.account !== SUBJECT.account)
  }

  /** The number of an account by chance. */
  anyContact() {
    return 1 + this.#random.below(this.book.length - 1)
  }

  /** Uploads pre-keys of a peer before the server has none to give. */
  async keepPreKeys(peer) {
    const { account, device } = peer.me
    if (this.server.remaining(account, device).length >= LEAST_PRE_KEYS) return
    this.server.upload(account, device, await peer.uploadPreKeys(PRE_KEYS))
  }
}
