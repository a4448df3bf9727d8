// The messages of a device whose session moves from owner to owner: contacts and groups write, the device answers, and whoever
// owns the session at the moment does its part. One message after another, for as long as there is an owner.
//
// Invariants: every message is encrypted by one party and decrypted by the other with Baileys' own code, and compared byte for
// byte; the first that is not what it should be throws. A failure is forgiven only where `Losses` says that it follows from writes
// that were lost, and then the network's remedy must work at once: a retry receipt, and the message in a new session. For one failure
// there is none: a group message under a key that was used before the loss is dropped by those who have had that key. As many of
// them may be dropped as were lost, and no more. A command that an owner did not answer is treated as WhatsApp treats it: what was
// on its way to the device has no receipt and is delivered again, what it was about to send never left and is sent by the next owner.

import { COLLECTIONS, isSameState, lostState, newAppState, phoneApplies } from '../world/app-state.mjs'
import { LostAcknowledged } from '../world/ledger.mjs'
import { nameOf, SUBJECT } from '../world/peers.mjs'
import { Custody } from './custody.mjs'

const [DUPLICATE_EVERY, TOKEN_EVERY, PATCH_EVERY, FLUSH_EVERY, TOP_UP_EVERY] = [5, 10, 25, 35, 60]
const MESSAGES = ['received', 'sent', 'groupReceived', 'groupSent']

export class Traffic {
  #losses
  /** Messages that the device has, and must refuse when they come again: conversation -> { lsn, command, args, peer }. */
  #received = new Map()
  #tokens = new Map()
  #patches = new Map()
  /** Groups whose members may not have got the sender key, because the message with it never left. */
  #inDoubt = new Set()

  stats = {
    messages: 0,
    received: 0,
    sent: 0,
    groupReceived: 0,
    groupSent: 0,
    duplicates: 0,
    patches: 0,
    tokens: 0,
    topUps: 0,
    flushes: 0,
    alreadyStored: 0,
    retries: 0,
    seenBefore: 0
  }

  /** @param {object} world of `createWorld`, whose subject is `owner` */
  constructor(world, owner) {
    this.world = world
    this.custody = new Custody(world, owner)
    this.#losses = this.custody.losses
    this.custody.onMove = (lsn) => {
      for (const [conversation, message] of this.#received) if (message.lsn > lsn) this.#received.delete(conversation)
    }
  }

  /** Goes on until the custody is stopped, or something is wrong. */
  run() {
    return this.custody.run(() => this.#message())
  }

  #ask(...command) {
    return this.custody.ask(...command)
  }

  async #do(kind, deliver) {
    await this.custody.do(async (work) => {
      await deliver(work)
      this.stats[kind] += 1
      if (MESSAGES.includes(kind)) this.stats.messages += 1
    })
  }

  /** One message, with what else falls due at its number. */
  async #message() {
    const { random, peers } = this.world
    const n = this.stats.messages + 1
    if (n % DUPLICATE_EVERY === 0) await this.#refuseDuplicate()
    if (n % PATCH_EVERY === 0) await this.#patch()
    if (n % TOP_UP_EVERY === 0) await this.#topUp()
    if (n % TOKEN_EVERY === 0) await this.#giveToken(peers.anyContact())
    if (n % FLUSH_EVERY === 0) await this.#do('flushes', () => this.#ask('flush'))
    const dice = random.next()
    const plaintext = random.bytes(1 + random.below(300))
    if (dice < 0.4) await this.#receive(plaintext)
    else if (dice < 0.72) await this.#send(plaintext)
    else if (dice < 0.9) await this.#receiveInGroup(plaintext)
    else await this.#sendToGroup(plaintext)
  }

  async #receive(plaintext) {
    const peer = this.#anyPeer()
    const name = nameOf(peer.me)
    await this.world.peers.keepPreKeys(peer)
    const { type, ciphertext } = await peer.sendToDevice({ ...SUBJECT, plaintext })
    // Half of the contacts still write under their phone number and name their LID beside it.
    const byNumber = peer.hasLids && peer.me.account % 2 === 0
    const from = byNumber ? peer.addressOf(peer.me.account, peer.me.device, true) : peer.jid
    const envelope = { from, alternative: byNumber ? peer.jid : null, type, ciphertext }
    await this.#do('received', async (work) => {
      const take = (args) => this.#ask('receive', args, { kind: 'received', peer: name })
      let { result, lsn } = await take(envelope)
      if (result.failure === 'duplicate' && work.stored) return void (this.stats.alreadyStored += 1)
      if (!result.plaintext) {
        this.#mustBeForgiven(this.#losses.mayFail(name, 'in'), result, `received from ${name}`)
        Object.assign(envelope, await this.#newSessionAtPeer(peer, () => peer.sendToDevice({ ...SUBJECT, plaintext })))
        ;({ result, lsn } = await take(envelope))
      }
      this.#same(result, plaintext, `received from ${name}`)
      this.#losses.worked(name, 'in')
      this.#received.set(name, { lsn, command: 'receive', args: { ...envelope }, peer: name })
    })
  }

  async #receiveInGroup(plaintext) {
    const { random, peers } = this.world
    const { jid: group, members } = random.pick(peers.groups)
    const peer = this.#anyPeer(members)
    const name = nameOf(peer.me)
    await peers.keepPreKeys(peer)
    const encrypt = async (again) => {
      const {
        distribution: [key],
        ciphertext
      } = await peer.sendGroup({ group, device: SUBJECT, plaintext, again })
      return { group, author: peer.jid, distribution: key ? { type: key.type, ciphertext: key.ciphertext } : null, ciphertext }
    }
    let envelope = await encrypt(false)
    await this.#do('groupReceived', async (work) => {
      const take = () => this.#ask('receiveGroup', envelope, { kind: 'groupReceived', group, peer: name })
      let { result, lsn } = await take()
      if (result.failure === 'duplicate' && work.stored) return void (this.stats.alreadyStored += 1)
      if (!result.plaintext) {
        const carrierWasStored = work.stored && result.distribution?.failure === 'duplicate'
        const forgiven = this.#losses.mayLackSenderKey(group, name) || this.#losses.mayFail(name, 'in')
        this.#mustBeForgiven(carrierWasStored || forgiven, result, `received from ${name} in ${group}`)
        envelope = await this.#newSessionAtPeer(peer, () => encrypt(true))
        ;({ result, lsn } = await take())
      }
      this.#same(result, plaintext, `received from ${name} in ${group}`)
      this.#losses.hasSenderKey(group, name)
      this.#received.set(`${name} in ${group}`, { lsn, command: 'receiveGroup', args: envelope, peer: name })
    })
  }

  async #send(plaintext) {
    const account = this.world.peers.anyContact()
    await this.#do('sent', async () => {
      const to = this.#devicesOf([account, SUBJECT.account])
      const {
        result: { to: copies, token }
      } = await this.#ask('send', { account, plaintext }, { kind: 'sent', to })
      for (const copy of copies) await this.#arriveAt(copy, plaintext)
      const given = this.#tokens.get(account)
      if (!given || token?.equals(given)) return
      if (!this.#losses.takeToken(account)) throw new LostAcknowledged(`the privacy token of contact ${account}`)
      this.#tokens.delete(account)
    })
  }

  /** A copy of a message of the device reaches one of its recipients; if it cannot read it, it asks for another one. */
  async #arriveAt({ account, device, type, ciphertext }, plaintext) {
    const name = nameOf({ account, device })
    const peer = this.world.peers.get(name)
    const read = (copy) => peer.receive({ from: this.world.peers.subjectJid, ...copy })
    let result = await read({ type, ciphertext })
    if (!result.plaintext) {
      this.#mustBeForgiven(this.#losses.mayFail(name, 'out'), result, `sent to ${name}`)
      const { result: copy } = await this.#ask('sendAgain', { account, device, plaintext }, { kind: 'sent', to: [name] })
      result = await read({ type: copy.type, ciphertext: copy.ciphertext })
      this.#losses.renewed(name)
    }
    this.#same(result, plaintext, `sent to ${name}`)
    this.#losses.worked(name, 'out')
  }

  async #sendToGroup(plaintext) {
    const { jid: group, members } = this.world.random.pick(this.world.peers.groups)
    const accounts = [SUBJECT.account, ...members]
    await this.#do('groupSent', async (work) => {
      // An owner that did not answer may remember that it handed its key out, and never did.
      if (work.stored) this.#inDoubt.add(group)
      const fanOut = async (again) => {
        const effect = { kind: 'groupSent', group, to: this.#devicesOf(accounts) }
        const { result } = await this.#ask('sendGroup', { group, accounts, plaintext, again }, effect)
        const mayBeRefused = this.#losses.sentToGroup(group)
        const lacking = []
        for (const name of effect.to) {
          if (!(await this.#arriveInGroup(name, group, result, plaintext, mayBeRefused))) lacking.push(name)
        }
        return lacking
      }
      const lacking = await fanOut(false)
      if (lacking.length > 0) {
        const forgiven = this.#inDoubt.has(group) || lacking.every((name) => this.#losses.mayFail(name, 'out'))
        this.#mustBeForgiven(forgiven, { failure: 'no-sender-key', message: lacking.join(', ') }, `sent to ${group}`)
        for (const name of lacking) await this.#renewSessionWith(name)
        const stillLacking = await fanOut(true)
        if (stillLacking.length > 0)
          throw new Error(`members ${stillLacking.join(', ')} of ${group} cannot decrypt even after a retry receipt`)
      }
      this.#inDoubt.delete(group)
    })
  }

  /** True if a member could do something with a group message of the device. */
  async #arriveInGroup(name, group, { distribution, ciphertext }, plaintext, mayBeRefused) {
    const key = distribution.find((to) => nameOf(to) === name) ?? null
    const result = await this.world.peers
      .get(name)
      .receiveGroup({ group, author: this.world.peers.subjectJid, distribution: key, ciphertext })
    if (result.failure === 'no-sender-key') return false
    if (result.failure === 'duplicate' && mayBeRefused) this.stats.seenBefore += 1
    else this.#same(result, plaintext, `sent to ${name} in ${group}`)
    return true
  }

  /** A conversation of the device in which nobody knows where the other stands gets a new session, and an empty message to start it. */
  async #renewSessionWith(name) {
    if (!this.#losses.mayFail(name, 'out')) return
    const {
      me: { account, device }
    } = this.world.peers.get(name)
    const { result: copy } = await this.#ask('sendAgain', { account, device, plaintext: Buffer.alloc(1) }, { kind: 'sent', to: [name] })
    await this.#arriveAt({ account, device, ...copy }, Buffer.alloc(1))
    this.#losses.renewed(name)
  }

  // What is not a message.

  async #refuseDuplicate() {
    if (this.#received.size === 0) return
    const [conversation, known] = this.world.random.pick([...this.#received])
    const { command, args, peer } = known
    await this.#do('duplicates', async () => {
      // It may have been lost with its owner, before it could be asked.
      if (this.#received.get(conversation) !== known) return
      const { result } = await this.#ask(command, args)
      if (result.plaintext) throw new LostAcknowledged(`a message of ${peer} decrypts a second time`)
    })
  }

  async #patch() {
    const { random, peers } = this.world
    const { phone } = peers
    const collection = random.pick(COLLECTIONS)
    const change = { collection, chat: phone.addressOf(peers.anyContact(), 0, true), archived: random.next() < 0.5 }
    await this.#do('patches', async (work) => {
      const known = this.#patches.get(collection) ?? newAppState(phone)
      const isKnown = (shown) => isSameState(known, shown)
      const patch = () => this.#ask('appPatch', change, { kind: 'patch', collection })
      let { result: done } = await patch()
      if (!isKnown(done.before)) {
        // The server has another version than this device continues: it refuses the patch, and the device takes the server's state.
        const excused = this.#losses.takeCollection(collection) || work.stored
        if (!excused) throw lostState(collection, known, done.before)
        await this.#ask('resyncAppState', { collection, state: known }, { kind: 'patch', collection })
        ;({ result: done } = await patch())
        if (!isKnown(done.before)) throw new LostAcknowledged(`app state ${collection} is not what was just stored`)
      }
      this.#patches.set(collection, await phoneApplies(phone, collection, known, done))
    })
  }

  async #topUp() {
    const { line, peers } = this.world
    await this.#do('topUps', async () => {
      const { result: upload, answered } = await this.#ask('uploadPreKeys', line.baileys.MIN_PREKEY_COUNT)
      answered.preKeys = upload.preKeys.map(({ id }) => id)
      peers.server.upload(SUBJECT.account, SUBJECT.device, upload)
    })
  }

  async #giveToken(account) {
    const token = this.world.random.bytes(16)
    const timestamp = String(1700000000 + this.stats.messages)
    await this.#do('tokens', async () => {
      await this.#ask('takeToken', { account, token, timestamp }, { kind: 'token', account })
      this.#tokens.set(account, token)
    })
  }

  // Small parts.

  /** A retry receipt of the device: the peer gives its session up, and encrypts in a new one. */
  async #newSessionAtPeer(peer, encrypt) {
    const address = peer.repository.jidToSignalProtocolAddress(peer.addressOf(SUBJECT.account, SUBJECT.device))
    await peer.keys.transaction(() => peer.keys.set({ session: { [address]: null } }), peer.creds.me.id)
    const encrypted = await encrypt()
    this.#losses.renewed(nameOf(peer.me))
    return encrypted
  }

  #mustBeForgiven(isForgiven, { failure, message }, where) {
    if (!isForgiven)
      throw new Error(`message ${this.stats.messages + 1}, ${where}: ${failure}: ${message}, and nothing that was lost explains it`)
    this.stats.retries += 1
  }

  #same(result, plaintext, where) {
    const at = `message ${this.stats.messages + 1}, ${where}`
    if (!result.plaintext) throw new Error(`${at}: ${result.failure}: ${result.message}`)
    if (!result.plaintext.equals(plaintext)) throw new Error(`${at}: other bytes came out than went in`)
  }

  #anyPeer(accounts) {
    const { random, peers } = this.world
    const [, peer] = random.pick(accounts ? peers.of(accounts) : peers.contacts())
    return peer
  }

  #devicesOf(accounts) {
    return this.world.peers.of(accounts).map(([name]) => name)
  }
}
