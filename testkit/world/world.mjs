// A Signal world: one subject whose auth state is under test, its phone, contacts and groups, and a server, without network
// and without sockets.
//
// Invariant: every message is encrypted by one party, decrypted by another with Baileys' own code, and compared byte for
// byte; the first wrong byte throws. The choice of messages follows from the seed; key material is random, as Baileys makes it.
//
// What counts as lost. A message is *acknowledged* once the subject's store calls resolved and its answer reached the world.
// After a restart nothing acknowledged may be missing: the identity, every key that was shown (ledger.mjs), every one-time
// pre-key that the server still holds; and a message acknowledged before must be refused when it comes again. The one command
// that a crash cut short is undecided, and is treated as the network treats it:
//   received message   delivered again; it decrypts, or is refused as a duplicate because the store already had the step
//   received in group  the same; if only the sender key's carrier had been stored, a retry receipt makes the author send again
//   sent message       never left (the recipients skip its key); sent to a group: recipients who lack the sender key ask for it, once
//   pre-key top-up     never reached the server       app-state patch   kept, or resynchronised from the server's state
//   privacy token      the notification comes again

import { COLLECTIONS, isSameState, lostState, newAppState, phoneApplies } from './app-state.mjs'
import { loadLine, quietLibsignal } from './baileys.mjs'
import { Ledger, LostAcknowledged } from './ledger.mjs'
import { memoryState } from './memory-state.mjs'
import { nameOf, Peers, SUBJECT } from './peers.mjs'
import { LocalSubject, SubjectDied, SubjectProcess } from './subject.mjs'
import { fromWire, makeRandom, toWire } from './wire.mjs'

export { LostAcknowledged, SubjectDied, SubjectProcess, loadLine, memoryState }

const COUNTED = [
  'messages',
  'received',
  'sent',
  'groupReceived',
  'groupSent',
  'topUps',
  'patches',
  'tokens',
  'restarts',
  'redelivered',
  'alreadyStored',
  'neverSent',
  'retryReceipts',
  'refusedDuplicates'
]
const [DUPLICATE_EVERY, TOKEN_EVERY, PATCH_EVERY, TOP_UP_EVERY] = [5, 10, 25, 60]

/**
 * Pairs the subject with a new world.
 * @param {object} o
 * @param {string | object} o.line see loadLine
 * @param {number} o.seed
 * @param {number} [o.contacts] each third contact or so has a companion device
 * @param {number} [o.groups]
 * @param {{ state: object, saveCreds: () => Promise<void> } | SubjectProcess} o.subject a fresh auth state, or a process that holds one
 */
export async function createWorld({ line, seed, contacts = 6, groups = 1, subject }) {
  const world = new World(await loadLine(line))
  await world.populate(seed, contacts, groups)
  await world.pairSubject(subject)
  return world
}

/** Goes on with peers that were snapshot elsewhere, and a subject that was paired with them. */
export async function resumeWorld({ line, peers, subject }) {
  const world = new World(await loadLine(line))
  await world.restorePeers(peers)
  await world.swapSubject(subject)
  return world
}

class World {
  constructor(line) {
    quietLibsignal()
    this.line = line
    this.undecided = null
  }

  async populate(seed, contacts, groups) {
    this.random = makeRandom(seed)
    this.peers = new Peers(this.line, this.random)
    this.fields = { tokens: {}, lastReceived: {}, patches: {}, inDoubt: [], identity: null }
    this.stats = Object.fromEntries(COUNTED.map((what) => [what, 0]))
    this.ledger = new Ledger()
    await this.peers.populate(contacts, groups)
    this.appKey = { id: this.random.bytes(6).toString('base64'), keyData: this.random.bytes(32) }
    await this.peers.phone.takeAppStateKeys([this.appKey])
  }

  async pairSubject(subject) {
    await this.#attach(subject)
    if (this.fields.identity.me) throw new Error('this auth state is paired already: use swapSubject or resumeWorld')
    await this.#ask('pair')
    const upload = await this.#ask('uploadPreKeys', await this.#ask('initialPreKeys'))
    this.peers.server.upload(SUBJECT.account, SUBJECT.device, upload)
    await this.#ask('takeAppStateKeys', [this.appKey])
    await this.#ask(
      'learnLids',
      this.peers.book.map((_, n) => n).filter((n) => n % 2)
    )
  }

  /** One message, with what else falls due at its number. Returns `{ n, kind, with }`. */
  async step() {
    const n = this.stats.messages + 1
    if (n % DUPLICATE_EVERY === 0) await this.#refuse(this.random.pick(Object.values(this.fields.lastReceived)))
    if (n % PATCH_EVERY === 0) await this.#patch()
    if (n % TOP_UP_EVERY === 0) await this.#topUp()
    if (n % TOKEN_EVERY === 0 && this.line.hasLids) await this.#giveToken()
    const kind = this.#nextKind()
    const partner = await this[`_${kind}`](this.random.bytes(1 + this.random.below(300)))
    this.stats.messages = n
    this.stats[kind] += 1
    return { n, kind, with: partner }
  }

  async run(count) {
    for (let i = 0; i < count; i++) await this.step()
    return this.stats
  }

  /** Goes on with a newly opened auth state, as after a restart: nothing acknowledged may be missing; decides what was undecided. */
  async swapSubject(subject) {
    const interrupted = this.undecided
    const identity = this.fields.identity
    await this.#attach(subject)
    for (const field of ['registrationId', 'identity', 'me']) {
      if (String(this.fields.identity[field]) !== String(identity[field]) && !(field === 'me' && !identity.me)) {
        throw new LostAcknowledged(`the restarted subject has another ${field}`)
      }
    }
    this.stats.restarts += 1
    await this.audit(interrupted?.names)
    for (const envelope of Object.values(this.fields.lastReceived).slice(-6)) await this.#refuse(envelope, interrupted)
    if (interrupted) await this.#decide(interrupted)
    this.undecided = null
  }

  /**
   * Compares everything acknowledged with what the store shows now.
   * @param {Set<string>} [undecidedNames] keys an interrupted command had begun to write
   */
  async audit(undecidedNames = new Set()) {
    this.ledger.settle(await this.subject.call('inspect', this.ledger.names), undecidedNames)
    const onServer = this.peers.server.remaining(SUBJECT.account, SUBJECT.device)
    const stored = await this.subject.call(
      'publicPreKeys',
      onServer.map(({ id }) => String(id))
    )
    const missing = onServer.filter((key, i) => !stored[i]?.equals(key.public))
    if (missing.length) throw new LostAcknowledged(`${missing.length} pre-keys that the server still hands out, first ${missing[0].id}`)
    return { keys: this.ledger.names.length, preKeysOnServer: onServer.length }
  }

  /** Everything but the subject, as JSON. */
  snapshotPeers() {
    const { stats, fields, appKey, undecided } = this
    return JSON.stringify(
      toWire({
        stats,
        appKey,
        fields,
        entries: [...this.ledger.entries],
        random: this.random.state,
        undecided: undecided && { ...undecided, names: [...undecided.names] },
        peers: this.peers.dump()
      })
    )
  }

  async restorePeers(json) {
    const { random, peers, undecided, entries, ...rest } = JSON.parse(json)
    Object.assign(this, fromWire(rest))
    this.random = makeRandom(0)
    this.random.state = random
    this.peers = new Peers(this.line, this.random)
    this.peers.load(peers)
    this.ledger = new Ledger(entries)
    const plain = fromWire(undecided)
    this.undecided = plain && { ...plain, names: new Set(plain.names) }
  }

  // The four kinds of messages. Each returns the name of the party at the other end.

  async _received(plaintext) {
    const [name, peer] = this.random.pick(this.peers.contacts())
    await this.peers.keepPreKeys(peer)
    const { type, ciphertext } = await peer.sendToDevice({ ...SUBJECT, plaintext })
    // Half of the contacts still write under their phone number and name their LID beside it.
    const byNumber = this.line.hasLids && peer.me.account % 2 === 0
    const from = byNumber ? peer.addressOf(peer.me.account, peer.me.device, true) : peer.jid
    const args = { from, alternative: byNumber ? peer.jid : null, type, ciphertext }
    await this.#deliver({ command: 'receive', peer: name, plaintext, args })
    return name
  }

  async _sent(plaintext) {
    const account = this.peers.anyContact()
    const { to, token } = await this.#ask('send', { account, plaintext }, { command: 'send' })
    for (const { account, device, type, ciphertext } of to) {
      const peer = this.peers.get(nameOf({ account, device }))
      this.#same(await peer.receive({ from: this.peers.subjectJid, type, ciphertext }), plaintext, `sent to ${account}:${device}`)
    }
    const given = this.fields.tokens[account]
    if (given && !token?.equals(given)) throw new LostAcknowledged(`the privacy token of contact ${account}`)
    return `contact ${account}`
  }

  async _groupReceived(plaintext) {
    const group = this.random.pick(this.peers.groups)
    const [name, peer] = this.random.pick(this.peers.of(group.members))
    await this.peers.keepPreKeys(peer)
    await this.#deliver(await this.#groupEnvelope(name, group.jid, plaintext))
    return `${name} in ${group.jid}`
  }

  async _groupSent(plaintext) {
    const { jid: group, members } = this.random.pick(this.peers.groups)
    const accounts = [SUBJECT.account, ...members]
    const send = (again) => this.#ask('sendGroup', { group, accounts, plaintext, again }, { command: 'sendGroup', group })
    const lacking = await this.#fanOut(group, accounts, await send(false), plaintext)
    if (lacking.length) {
      if (!this.fields.inDoubt.includes(group)) throw new Error(`members ${lacking.join(', ')} of ${group} never got the sender key`)
      this.stats.retryReceipts += 1
      const stillLacking = await this.#fanOut(group, accounts, await send(true), plaintext)
      if (stillLacking.length) throw new Error(`members ${stillLacking.join(', ')} of ${group} cannot decrypt even after a retry receipt`)
    }
    this.fields.inDoubt = this.fields.inDoubt.filter((jid) => jid !== group)
    return group
  }

  async #fanOut(group, accounts, { distribution, ciphertext }, plaintext) {
    const lacking = []
    for (const [name, peer] of this.peers.of(accounts)) {
      const key = distribution.find((to) => nameOf(to) === name) ?? null
      const result = await peer.receiveGroup({ group, author: this.peers.subjectJid, distribution: key, ciphertext })
      if (result.failure === 'no-sender-key') lacking.push(name)
      else this.#same(result, plaintext, `${name} in ${group}`)
    }
    return lacking
  }

  async #groupEnvelope(name, group, plaintext, again = false) {
    const peer = this.peers.get(name)
    const { distribution, ciphertext } = await peer.sendGroup({ group, device: SUBJECT, plaintext, again })
    const key = distribution[0] ? { type: distribution[0].type, ciphertext: distribution[0].ciphertext } : null
    return { command: 'receiveGroup', peer: name, group, plaintext, args: { group, author: peer.jid, distribution: key, ciphertext } }
  }

  /** A message on its way to the subject. */
  async #deliver(envelope) {
    this.#same(await this.#ask(envelope.command, envelope.args, envelope), envelope.plaintext, `received from ${envelope.peer}`)
    this.fields.lastReceived[`${envelope.peer} ${envelope.group ?? ''}`] = envelope
  }

  // What is not a message.

  async #patch() {
    const collection = this.random.pick(COLLECTIONS)
    const chat = this.peers.phone.addressOf(this.peers.anyContact(), 0, true)
    const change = { collection, chat, archived: this.random.next() < 0.5 }
    const done = await this.#ask('appPatch', change, { command: 'appPatch', collection })
    const known = this.#appStateOfPhone(collection)
    if (!isSameState(known, done.before)) throw lostState(collection, known, done.before)
    this.fields.patches[collection] = await phoneApplies(this.peers.phone, collection, known, done)
    this.stats.patches += 1
  }

  async #topUp() {
    const upload = await this.#ask('uploadPreKeys', this.line.baileys.MIN_PREKEY_COUNT, { command: 'uploadPreKeys' })
    this.peers.server.upload(SUBJECT.account, SUBJECT.device, upload)
    this.stats.topUps += 1
  }

  async #giveToken(account = this.peers.anyContact(), token = this.random.bytes(16)) {
    const timestamp = String(1700000000 + this.stats.messages)
    await this.#ask('takeToken', { account, token, timestamp }, { command: 'takeToken', account, token })
    this.fields.tokens[account] = token
    this.stats.tokens += 1
  }

  /** The network may deliver an acknowledged message again; a store that has its step refuses it. */
  async #refuse(envelope, interrupted) {
    if (!envelope) return
    const result = await this.#ask(envelope.command, envelope.args, interrupted ?? { command: 'duplicate' })
    if (result.plaintext) throw new LostAcknowledged(`a message of ${envelope.peer} decrypts a second time`)
    this.stats.refusedDuplicates += 1
  }

  // After a restart.

  async #decide(interrupted) {
    const { command, peer, group, args, plaintext, collection } = interrupted
    if (command === 'send' || command === 'sendGroup') this.stats.neverSent += 1
    if (command === 'sendGroup') this.fields.inDoubt.push(group)
    if (command === 'takeToken') await this.#giveToken(interrupted.account, interrupted.token)
    if (command === 'appPatch') {
      const shown = await this.#ask('appState', collection, interrupted)
      const known = this.#appStateOfPhone(collection)
      const ahead = shown.version - known.version
      if (ahead !== 0 && ahead !== 1) throw lostState(collection, known, shown)
      if (ahead) await this.#ask('resyncAppState', { collection, state: known }, interrupted)
    }
    if (command !== 'receive' && command !== 'receiveGroup') return
    this.stats.redelivered += 1
    const result = await this.#ask(command, args, interrupted)
    if (result.failure === 'duplicate') this.stats.alreadyStored += 1
    else if (result.failure === 'no-sender-key' && result.distribution?.failure === 'duplicate') {
      this.stats.retryReceipts += 1
      await this.#deliver(await this.#groupEnvelope(peer, group, plaintext, true))
    } else this.#same(result, plaintext, `delivered again from ${peer}`)
  }

  // Small parts.

  #nextKind() {
    const dice = this.random.next()
    if (!this.peers.groups.length) return dice < 0.56 ? 'received' : 'sent'
    if (dice < 0.42) return 'received'
    if (dice < 0.75) return 'sent'
    return dice < 0.95 ? 'groupReceived' : 'groupSent'
  }

  #appStateOfPhone(collection) {
    return this.fields.patches[collection] ?? newAppState(this.line)
  }

  async #attach(given) {
    this.subject = typeof given.call === 'function' ? given : new LocalSubject(this.line, given)
    this.fields.identity = await this.subject.attach(SUBJECT, this.peers.book, (jids) => this.peers.server.bundles(jids))
  }

  async #ask(command, args, undecided = { command }) {
    try {
      const result = await this.subject.call(command, args)
      this.ledger.acknowledge(this.subject.shown)
      return result
    } catch (error) {
      // What an interrupted repair had begun to write is undecided together with what it was repairing.
      this.undecided = { ...undecided, names: new Set([...(undecided.names ?? []), ...this.subject.undecided]) }
      throw error
    }
  }

  #same(result, plaintext, where) {
    const at = `message ${this.stats.messages + 1}, ${where}`
    if (!result.plaintext) throw new Error(`${at}: ${result.failure}: ${result.message}`)
    if (!result.plaintext.equals(plaintext)) throw new Error(`${at}: other bytes came out than went in`)
  }
}
