// Work of one WhatsApp account for its store: the calls of each message and the sizes of their values, as recorded from Baileys 7
// over 10,000 messages of an account with 100 contacts.
//
// Invariant: the same seed gives the same calls with the same values, on every machine. What is made is held against what was
// recorded in `recorded`; the calls of a message were recorded as means, so their distribution around them is not.

import { createCipheriv, createHash } from 'node:crypto'
import { numbersFrom } from '../../testkit/base/random.mjs'

/** The record, for the comparison; bytes are those of JSON. */
export const recorded = { keys: 1808, stateBytes: 1_750_000, setsPerMessage: 1.15, valuesPerMessage: 2.27, bytesPerMessage: 13_400 }

/** JSON bytes of a value: the smallest, then the 50th, 90th, 99th and 100th percentile of those that were written. */
const SIZES = {
  session: [1100, 4366, 25_610, 37_295, 45_272],
  'app-state-sync-version': [33_000, 65_976, 76_800, 79_176, 79_440],
  'sender-key': [330, 619, 4531, 11_307, 13_543],
  'sender-key-memory': [1000, 1108, 1168, 1168, 1168],
  tctoken: [120, 123, 2269, 2885, 2973]
}
const AT = [0, 0.5, 0.9, 0.99, 1]
/** A value at rest is smaller than one that is written: whatever is written more often has grown more. */
const AT_REST = 0.7

/** Number of keys of each type after 10,000 messages. */
const KEYS = {
  'pre-key': 749,
  session: 137,
  'sender-key': 400,
  'sender-key-memory': 10,
  'app-state-sync-version': 5,
  'app-state-sync-key': 4,
  tctoken: 101,
  'device-list': 147,
  'lid-mapping': 202,
  'identity-key': 53
}
/** Bytes of JSON of the credentials. */
const CREDS = 2879

/** Bytes that mean nothing, as many as one likes. */
function noiseOf(seed) {
  const cipher = createCipheriv('aes-128-ctr', createHash('sha256').update(String(seed)).digest().subarray(0, 16), Buffer.alloc(16))
  let [ready, at] = [Buffer.alloc(0), 0]
  return (length) => {
    if (at + length > ready.length) [ready, at] = [cipher.update(ZEROS), 0]
    return ready.subarray(at, (at += length))
  }
}

/** As many bytes as are made at a time, more than any value has. */
const ZEROS = Buffer.alloc(1 << 16)

/** For `JSON.stringify`: as Baileys writes bytes. */
export const asJson = (_, value) =>
  value?.type === 'Buffer' ? { type: 'Buffer', data: Buffer.from(value.data).toString('base64') } : value
/** Size of a value as Baileys writes it to a file. */
export const jsonBytes = (value) => JSON.stringify(value, asJson).length

export class Account {
  #next
  #noise

  /** `name` makes accounts differ, `seed` runs. */
  constructor(seed, name) {
    const mixed = createHash('sha256').update(`${seed} ${name}`).digest()
    this.#next = numbersFrom(mixed.readUInt32LE(0))
    this.#noise = noiseOf(mixed.toString('hex'))
    const idsOf = (type, count) => Array.from({ length: count }, (_, at) => this.#idOf(type, at))
    this.keys = Object.fromEntries(Object.entries(KEYS).map(([type, count]) => [type, idsOf(type, count)]))
  }

  #idOf(type, at) {
    const user = 200_000_000_000_000 + at * 7919
    if (type === 'session' || type === 'identity-key') return `${user}_1.${at % 4}`
    if (type === 'sender-key') return `1203630${String(at % 10).padStart(11, '0')}@g.us::${user}_1::0`
    if (type === 'sender-key-memory') return `1203630${String(at).padStart(11, '0')}@g.us`
    if (type === 'app-state-sync-version') return ['critical_block', 'regular_high', 'regular_low', 'regular', 'critical_unblock_low'][at]
    if (type === 'app-state-sync-key') return `AAAAA${String(at).padStart(3, '0')}`
    return type === 'tctoken' ? `${user}@lid` : String(type === 'pre-key' ? at + 64 : user)
  }

  #text(bytes) {
    return this.#noise(bytes).toString('base64')
  }
  #pick(list) {
    return list[Math.floor(this.#next() * list.length)]
  }
  #chance(share) {
    return this.#next() < share
  }

  #sizeOf(type) {
    const sizes = SIZES[type]
    const lot = this.#next()
    const above = AT.findIndex((at) => at > lot)
    const share = (lot - AT[above - 1]) / (AT[above] - AT[above - 1])
    return sizes[above - 1] * (sizes[above] / sizes[above - 1]) ** share
  }

  // ------------------------------------------------------------------------------------------------------------ values

  /** One of up to 41 states with one device: the open one, and those that were closed and are kept. */
  #sessionState(at) {
    const pair = { pubKey: this.#text(33), privKey: this.#text(32) }
    const chain = (counter, chainType) => ({ chainKey: { counter, key: this.#text(32) }, chainType, messageKeys: {} })
    return {
      registrationId: 12_345,
      currentRatchet: { ephemeralKeyPair: pair, lastRemoteEphemeralKey: this.#text(33), previousCounter: 3, rootKey: this.#text(32) },
      indexInfo: {
        baseKey: this.#text(33),
        baseKeyType: 2,
        closed: at === 0 ? -1 : 1_700_000_000_000 + at,
        used: 1_700_000_000_000,
        created: 1_690_000_000_000,
        remoteIdentityKey: this.#text(33)
      },
      _chains: { [this.#text(33)]: chain(4, 1), [this.#text(33)]: chain(9, 2), [this.#text(33)]: chain(1, 2) }
    }
  }

  #value(type, share = 1) {
    const size = type in SIZES ? this.#sizeOf(type) * share : 0
    // Bytes of one entry of each kind, measured once on what is made here.
    const some = (each, make) => Object.fromEntries(Array.from({ length: Math.max(1, Math.round(size / each)) }, (_, at) => make(at)))
    switch (type) {
      case 'session':
        return { _sessions: some(1109, (at) => [this.#text(33), this.#sessionState(at)]), version: 'v1' }
      case 'app-state-sync-version':
        return { version: 12, hash: this.#noise(128), indexValueMap: some(136, () => [this.#text(32), { valueMac: this.#noise(32) }]) }
      // As bytes, of which JSON makes four thirds.
      case 'sender-key':
        return Buffer.from(JSON.stringify([{ senderKeyId: 1, seeds: this.#text(Math.round(size * 0.53)) }]))
      case 'sender-key-memory':
        return some(36, (at) => [`2000000000${at}:${at % 4}@s.whatsapp.net`, true])
      case 'tctoken':
        return { token: this.#noise(Math.round(size * 0.75) - 50), timestamp: '1700000000' }
      case 'pre-key':
        return { private: this.#noise(32), public: this.#noise(32) }
      case 'identity-key':
        return this.#noise(33)
      case 'app-state-sync-key':
        return { keyData: this.#noise(32), fingerprint: { rawId: 7, currentIndex: 0, deviceIndexes: [0, 1] }, timestamp: '1700000000' }
      case 'device-list':
        return this.#chance(0.3) ? ['0', '12'] : ['0']
      default:
        return this.#text(12).slice(0, 15)
    }
  }

  /** Changes the credentials as some events do. */
  touch(creds) {
    creds.accountSyncCounter = (creds.accountSyncCounter ?? 0) + 1
    creds.rest ??= this.#text(Math.round((CREDS - 100) * 0.75))
  }

  // -------------------------------------------------------------------------------------------------------------- calls

  /** The whole state after 10,000 messages, as batches: pairing's pre-keys, then the rest. */
  state() {
    const { 'pre-key': preKeys, ...others } = this.keys
    const values = (type, ids) => Object.fromEntries(ids.map((id) => [id, this.#value(type, AT_REST)]))
    return [
      { 'pre-key': values('pre-key', preKeys) },
      Object.fromEntries(Object.entries(others).map(([type, ids]) => [type, values(type, ids)]))
    ]
  }

  #fresh(type, count = 1) {
    const ids = Array.from({ length: count }, () => this.#pick(this.keys[type]))
    return Object.fromEntries(ids.map((id) => [id, this.#value(type)]))
  }

  /** Sessions with contacts; with `own`, also the one with the account's own phone, which every message that is sent changes. */
  #sessions(count, own = false) {
    const sessions = this.#fresh('session', count)
    return own ? { ...sessions, [this.keys.session[0]]: this.#value('session') } : sessions
  }

  #receive() {
    const set = { session: this.#sessions(1) }
    // A new contact uses up a pre-key.
    if (this.#chance(0.0147)) {
      set['pre-key'] = { [this.#pick(this.keys['pre-key'])]: null }
      set['identity-key'] = this.#fresh('identity-key')
    }
    const also = this.#chance(0.75) ? [{ get: ['lid-mapping', [this.#pick(this.keys['lid-mapping'])]] }] : []
    return [{ get: ['session', Object.keys(set.session)] }, ...also, { set }]
  }

  #send() {
    const set = { session: this.#sessions(this.#chance(0.3) ? 2 : 1, true) }
    if (this.#chance(0.3)) set['device-list'] = this.#fresh('device-list', this.#chance(0.5) ? 2 : 1)
    const asked = ['device-list', 'tctoken', ...(this.#chance(0.5) ? ['lid-mapping'] : [])]
    return [
      ...asked.map((type) => ({ get: [type, [this.#pick(this.keys[type])]] })),
      { get: ['session', Object.keys(set.session)] },
      { set }
    ]
  }

  #groupReceive() {
    const chain = this.#fresh('sender-key')
    const calls = [{ get: ['sender-key', Object.keys(chain)] }, { get: ['lid-mapping', [this.#pick(this.keys['lid-mapping'])]] }]
    if (this.#chance(0.6))
      calls.push({ set: this.#chance(0.63) ? { 'sender-key': this.#fresh('sender-key') } : { session: this.#sessions(1) } })
    return [...calls, { set: { 'sender-key': chain } }]
  }

  #groupSend() {
    const set = {
      'sender-key': this.#fresh('sender-key'),
      'sender-key-memory': this.#fresh('sender-key-memory'),
      session: this.#sessions(1),
      'device-list': this.#fresh('device-list', 6)
    }
    return [...['sender-key', 'sender-key-memory', 'device-list'].map((type) => ({ get: [type, Object.keys(set[type])] })), { set }]
  }

  /** The calls of the next message, in their order: `{ get: [type, ids] }`, `{ set }` or `{ save: true }`. */
  message() {
    // 42 % are received, 33 % sent, 20 % received in a group, 5 % sent to one.
    const lot = this.#next()
    const calls = lot < 0.42 ? this.#receive() : lot < 0.75 ? this.#send() : lot < 0.95 ? this.#groupReceive() : this.#groupSend()
    // Changes of app state, tokens and credentials come with some messages.
    const also = (type) => calls.push({ get: [type, [this.#pick(this.keys[type])]] }, { set: { [type]: this.#fresh(type) } })
    if (this.#chance(1 / 50)) also('app-state-sync-version')
    if (this.#chance(1 / 50)) also('tctoken')
    if (this.#chance(77 / 10_000)) calls.push({ save: true })
    return calls
  }
}
