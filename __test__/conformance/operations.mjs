// Seeded operations on an auth state: the ten types of Baileys with values as Baileys makes them, types that only a fork or a
// bridge knows, deletions in every falsy shape, and questions about what is and is not there.
//
// Invariant: two auth states that are given the same operations are given equal values, but never the same objects; ids that
// share a file name in a multi-file folder do not occur together, because there the original mixes them up.

import { pairedCreds } from '../../testkit/baileys/values.mjs'
import { bytesOf } from '../values/arbitrary.mjs'

const GROUPS = ['120363000000000001@g.us', '1001-1500000000@g.us', '120363000000000002@g.us']
const COLLECTIONS = ['critical_block', 'critical_unblock_low', 'regular_high', 'regular_low', 'regular']
const FALSY = [null, undefined, '', 0, false]

const base64 = (rng, length) => bytesOf(rng, length).toString('base64')
const digits = (rng, length) => Array.from({ length }, () => rng.below(10)).join('')
const contact = (rng) => `1000000000${10 + rng.below(8)}`
const several = (rng, most, make) => Array.from({ length: rng.below(most + 1) }, make)

/** A session record as libsignal serialises it: base64 key material, -1, dates beyond 32 bits, an explicit undefined. */
function sessionRecord(rng) {
  const chain = () => ({
    chainKey: { counter: rng.below(5) - 1, key: rng.next() < 0.4 ? undefined : base64(rng, 32) },
    chainType: 1 + rng.below(2),
    messageKeys: Object.fromEntries(several(rng, 4, () => [rng.below(2000), base64(rng, 32)]))
  })
  const session = () => ({
    registrationId: rng.below(16384),
    currentRatchet: {
      ephemeralKeyPair: { pubKey: base64(rng, 33), privKey: base64(rng, 32) },
      lastRemoteEphemeralKey: base64(rng, 33),
      previousCounter: rng.below(100),
      rootKey: base64(rng, 32)
    },
    indexInfo: {
      baseKey: base64(rng, 33),
      baseKeyType: 1 + rng.below(2),
      closed: rng.next() < 0.5 ? -1 : 1732000000000 + rng.below(1e9),
      used: 1732000000000 + rng.below(1e9),
      created: 1732000000000 + rng.below(1e9),
      remoteIdentityKey: base64(rng, 33)
    },
    _chains: Object.fromEntries(several(rng, 3, () => [base64(rng, 33), chain()])),
    ...(rng.next() < 0.3 && { pendingPreKey: { signedKeyId: 1, baseKey: base64(rng, 33), preKeyId: rng.below(800) } })
  })
  return { _sessions: Object.fromEntries(several(rng, 4, () => [base64(rng, 33), session()])), version: 'v1' }
}

/** A sender-key record: structures in an array, or JSON in bytes; a new one is empty and must be kept all the same. */
function senderKey(rng, senderKeys) {
  const bytes = (length) => (senderKeys === 'array' ? bytesOf(rng, length) : base64(rng, length))
  const record = several(rng, 3, () => ({
    senderKeyId: rng.below(2 ** 31),
    senderChainKey: { iteration: rng.below(2000), seed: bytes(32) },
    senderSigningKey: { public: bytes(33), private: bytes(32) },
    senderMessageKeys: []
  }))
  return senderKeys === 'array' ? record : Buffer.from(JSON.stringify(record))
}

function appStateVersion(rng) {
  const received = bytesOf(rng, 96)
  const macs = several(rng, 12, () => [base64(rng, 32), { valueMac: received.subarray(rng.below(64)).subarray(0, 32) }])
  return { version: rng.below(5), hash: bytesOf(rng, 128), indexValueMap: Object.fromEntries(macs) }
}

/** type -> how an id and a value of it are made. */
const families = {
  'pre-key': [(rng) => String(1 + rng.below(40)), (rng) => ({ private: bytesOf(rng, 32), public: bytesOf(rng, 32) })],
  session: [(rng) => `${contact(rng)}${rng.pick(['', '_1', '_128'])}.${rng.below(3)}`, sessionRecord],
  'sender-key': [(rng) => `${rng.pick(GROUPS)}::${contact(rng)}_1::${rng.below(3)}`, (rng, line) => senderKey(rng, line.senderKeys)],
  'sender-key-memory': [
    (rng) => rng.pick(GROUPS),
    (rng) => Object.fromEntries(several(rng, 6, () => [`${contact(rng)}:${rng.below(9)}@s.whatsapp.net`, true]))
  ],
  'app-state-sync-key': [
    (rng) => Buffer.from([0, 0, 251, 239, rng.below(6), 255]).toString('base64'),
    (rng, line) => syncKey(rng, line.baileys)
  ],
  'app-state-sync-version': [(rng) => rng.pick(COLLECTIONS), appStateVersion],
  'lid-mapping': [(rng) => contact(rng) + rng.pick(['', '_reverse']), (rng) => digits(rng, 15)],
  'device-list': [(rng) => contact(rng), (rng) => several(rng, 4, () => String(rng.below(40)))],
  tctoken: [
    (rng) => rng.pick([`${contact(rng)}@lid`, '__index']),
    (rng) => ({
      token: bytesOf(rng, rng.below(20)),
      ...(rng.next() < 0.5 && { timestamp: '1732000000' }),
      ...(rng.next() < 0.5 && { senderTimestamp: 1732000000 })
    })
  ],
  'identity-key': [(rng) => `${contact(rng)}.${rng.below(3)}`, (rng) => new Uint8Array(bytesOf(rng, 33))],
  'bridge-room': [(rng) => `room ${rng.below(9)} äö🦊`, (rng) => plain(rng)],
  'bridge-cursor': [
    (rng) => `c${rng.below(9)}`,
    (rng) => rng.pick([1, -1.5, 1e15, true, 'text', 'Zoë', [], {}, [null], Buffer.from('raw')])
  ]
}

const syncKey = (rng, { proto }) =>
  proto.Message.AppStateSyncKeyData.fromObject({
    keyData: bytesOf(rng, 32),
    fingerprint: { rawId: rng.below(2 ** 31), currentIndex: rng.below(5), deviceIndexes: [0, rng.below(9)] },
    timestamp: 1732000000000 + rng.below(1e9)
  })

function plain(rng, depth = 0) {
  const kind = rng.below(depth > 2 ? 5 : 8)
  if (kind === 0) return rng.pick(['', 'text', 'Zoë 🦊', 'x'.repeat(300), '\ud83e'])
  if (kind === 1) return rng.pick([0, -0, -1, 2 ** 40, 0.1, NaN, Infinity])
  if (kind === 2) return rng.pick([true, false, null, undefined])
  if (kind === 3) return bytesOf(rng, rng.below(9))
  if (kind === 4) return new Date(1732000000000)
  if (kind === 5) return several(rng, 4, () => plain(rng, depth + 1))
  return Object.fromEntries(several(rng, 4, () => [rng.pick(['a', 'b', 'type', 'data', '7x', 'ключ']), plain(rng, depth + 1)]))
}

/** The same operations twice: `make()` gives each auth state its own objects, from the same seed. The last one stores a value of each type. */
export function makeOperations(random, seed, line, { count, types = Object.keys(families) }) {
  const ids = new Map(types.map((type) => [type, new Set()]))
  const idOf = (rng, type) => {
    const id = families[type][0](rng)
    ids.get(type).add(id)
    return id
  }
  const steps = []
  for (let n = 0; n < count; n++) {
    const step = seed + n * 7919
    const rng = random(step)
    const dice = rng.next()
    if (dice < 0.5) {
      steps.push({ kind: 'set', make: () => dataFrom(random(step), line, types, idOf) })
      steps.at(-1).make() // so that `ids` knows them all
    } else if (dice < 0.9) {
      const type = rng.pick(types)
      steps.push({ kind: 'get', type, ids: [...new Set([...several(rng, 6, () => idOf(rng, type)), 'missing'])] })
    } else if (dice < 0.95) {
      steps.push({ kind: 'saveCreds', make: () => ({ ...pairedCreds(line.baileys), ...progress(random(step)) }) })
    } else steps.push({ kind: 'reopen' })
  }
  steps.push({ kind: 'set', make: () => oneOfEach(random(seed + count * 7919), line, types, idOf) })
  steps.at(-1).make()
  return { steps, ids }
}

const progress = (rng) => ({
  nextPreKeyId: rng.below(900),
  accountSyncCounter: rng.below(9),
  lastPropHash: rng.next() < 0.5 ? undefined : 'hash',
  additionalData: { note: 'Zoë', bytes: bytesOf(rng, 5) }
})

function oneOfEach(rng, line, types, idOf) {
  const value = (type) => families[type][1](rng, line) || value(type)
  return Object.fromEntries(types.map((type) => [type, { [idOf(rng, type)]: value(type) }]))
}

function dataFrom(rng, line, types, idOf) {
  rng.next()
  const data = {}
  for (let i = 1 + rng.below(4); i > 0; i--) {
    const type = rng.pick(types)
    const records = (data[type] ??= {})
    for (let j = rng.below(5); j > 0; j--) {
      const id = idOf(rng, type)
      records[id] = rng.next() < 0.2 ? rng.pick(FALSY) : families[type][1](rng, line)
    }
    if (rng.next() < 0.05) data[type] = undefined
  }
  return data
}
