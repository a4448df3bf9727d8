// Values as Baileys makes them, for the benchmark: sizes and shapes count, contents do not.

import { randomBytes } from 'node:crypto'

const b64 = (length) => randomBytes(length).toString('base64')
const pair = () => ({ private: randomBytes(32), public: randomBytes(32) })

/** A Signal session with `closed` old sub-sessions, as libsignal serialises it: base64 strings, numbers, an undefined key. */
export function session(closed = 1) {
  const sessions = {}
  for (let i = 0; i <= closed; i++) {
    sessions[b64(33)] = {
      registrationId: 12345,
      currentRatchet: {
        ephemeralKeyPair: { pubKey: b64(33), privKey: b64(32) },
        lastRemoteEphemeralKey: b64(33),
        previousCounter: 3,
        rootKey: b64(32)
      },
      indexInfo: {
        baseKey: b64(33),
        baseKeyType: 2,
        closed: i === closed ? -1 : 1700000000000 + i,
        used: 1700000000000,
        created: 1690000000000,
        remoteIdentityKey: b64(33)
      },
      _chains: {
        [b64(33)]: { chainKey: { counter: 4, key: b64(32) }, chainType: 1, messageKeys: {} },
        [b64(33)]: { chainKey: { counter: 9, key: undefined }, chainType: 2, messageKeys: { 2: b64(32), 5: b64(32), 6: b64(32) } },
        [b64(33)]: { chainKey: { counter: 1, key: b64(32) }, chainType: 2, messageKeys: {} }
      }
    }
  }
  return { _sessions: sessions, version: 'v1' }
}

const indexValueMap = (count) => Object.fromEntries(Array.from({ length: count }, () => [b64(32), { valueMac: randomBytes(32) }]))

/** type -> [maker of a value, maker of an id] */
export const kinds = {
  session: [() => session(), (n) => `1000000${n}.${n % 4}`],
  'pre-key': [pair, (n) => String(n + 1)],
  'sender-key': [
    () =>
      Buffer.from(
        JSON.stringify([
          {
            senderKeyId: 1,
            senderChainKey: { iteration: 7, seed: b64(32) },
            senderSigningKey: { public: b64(33) },
            senderMessageKeys: Array.from({ length: 8 }, (_, i) => ({ iteration: i, seed: b64(32) }))
          }
        ])
      ),
    (n) => `12036300000000${n}@g.us::1000000${n}::${n % 4}`
  ],
  'sender-key-memory': [
    () => Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`1000000${i}:${i % 4}@s.whatsapp.net`, true])),
    (n) => `12036300000000${n}@g.us`
  ],
  'app-state-sync-version': [
    () => ({ version: 12, hash: randomBytes(128), indexValueMap: indexValueMap(200) }),
    (n) => ['critical_block', 'regular_high', 'regular_low', 'regular', 'critical_unblock_low'][n % 5]
  ],
  'lid-mapping': [() => String(100000000000000 + Math.floor(Math.random() * 1e12)), (n) => `44770090${n}`],
  'device-list': [() => ['0', '12', '33'], (n) => `44770090${n}`],
  tctoken: [() => ({ token: randomBytes(40), timestamp: '1700000000' }), (n) => `44770090${n}@lid`],
  'identity-key': [() => randomBytes(33), (n) => `1000000${n}.0`]
}

export const preKeys = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [String(i + 1), pair()]))
