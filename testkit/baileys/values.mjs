// Real values, made by Baileys and libsignal themselves: credentials, sessions with a history, sender keys with skipped messages.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const libsignal = createRequire(require.resolve('baileys'))('libsignal')

const { keyhelper, ProtocolAddress, SessionBuilder, SessionCipher, SessionRecord } = libsignal

/** A libsignal store whose sessions pass through `keep`, as they would through an auth state. */
function party(name, keep) {
  const identity = keyhelper.generateIdentityKeyPair()
  const signed = keyhelper.generateSignedPreKey(identity, 1)
  const preKey = keyhelper.generatePreKey(7)
  const sessions = new Map()
  return {
    address: new ProtocolAddress(name, 0),
    identity,
    signed,
    preKey,
    sessions,
    loadSession: async (id) => (sessions.has(id) ? SessionRecord.deserialize(keep(sessions.get(id))) : undefined),
    storeSession: async (id, record) => void sessions.set(id, record.serialize()),
    isTrustedIdentity: () => true,
    loadPreKey: async () => preKey.keyPair,
    removePreKey: async () => {},
    loadSignedPreKey: () => signed.keyPair,
    getOurRegistrationId: () => 1,
    getOurIdentity: () => identity
  }
}

/** Mutes libsignal, which prints whole sessions when it closes one. */
async function quietly(work) {
  const { info, warn, error } = console
  Object.assign(console, { info() {}, warn() {}, error() {} })
  try {
    return await work()
  } finally {
    Object.assign(console, { info, warn, error })
  }
}

/**
 * Two parties who talk, lose messages, and start over now and then. Answers every session value that was stored on the way;
 * each load goes through `keep(value)`, so the conversation breaks if that loses anything.
 */
export function conversation(keep, turns = 12) {
  return quietly(async () => {
    const alice = party('1001', keep)
    const bob = party('2002', keep)
    const values = []
    const open = () =>
      new SessionBuilder(alice, bob.address).initOutgoing({
        identityKey: bob.identity.pubKey,
        registrationId: 1,
        signedPreKey: { keyId: 1, publicKey: bob.signed.keyPair.pubKey, signature: bob.signed.signature },
        preKey: { keyId: 7, publicKey: bob.preKey.keyPair.pubKey }
      })
    const send = async (from, to, text) => {
      const { type, body } = await new SessionCipher(from, to.address).encrypt(Buffer.from(text))
      return { type, body: Buffer.from(body, 'binary') }
    }
    const receive = async (to, from, { type, body }) => {
      const cipher = new SessionCipher(to, from.address)
      return String(type === 3 ? await cipher.decryptPreKeyWhisperMessage(body) : await cipher.decryptWhisperMessage(body))
    }
    for (let turn = 0; turn < turns; turn++) {
      if (turn % 4 === 0) await open()
      const late = await send(alice, bob, `late ${turn}`)
      const first = await receive(bob, alice, await send(alice, bob, `to bob ${turn}`))
      const answer = await receive(alice, bob, await send(bob, alice, `to alice ${turn}`))
      const delayed = await receive(bob, alice, late)
      if (`${first}|${answer}|${delayed}` !== `to bob ${turn}|to alice ${turn}|late ${turn}`) throw new Error('the conversation broke')
      for (const side of [alice, bob]) for (const record of side.sessions.values()) values.push(structuredClone(record))
    }
    return values
  })
}

/** A store of sender-key records for the group classes of one line, through `keep`. */
function groupStore({ SenderKeyRecord }, senderKeys, keep, values) {
  const records = new Map()
  return {
    loadSenderKey: async (name) => {
      const stored = records.get(String(name))
      if (stored === undefined) return new SenderKeyRecord()
      const value = keep(stored)
      return senderKeys === 'array' ? new SenderKeyRecord(value) : SenderKeyRecord.deserialize(value)
    },
    storeSenderKey: async (name, record) => {
      const value = senderKeys === 'array' ? record.serialize() : Buffer.from(JSON.stringify(record.serialize()), 'utf8')
      values.push(value)
      records.set(String(name), value)
    }
  }
}

/**
 * A group in which messages arrive out of order. Answers the texts in the order of arrival, null for one that could not be
 * read, and every sender-key value stored on the way.
 */
export async function groupTalk(group, senderKeys, keep) {
  const values = []
  const name = new group.SenderKeyName('120363000000000001@g.us', { id: '1001_1', deviceId: 0, toString: () => '1001_1.0' })
  const [mine, theirs] = [0, 1].map(() => groupStore(group, senderKeys, keep, values))
  const announced = await new group.GroupSessionBuilder(mine).create(name)
  const bytes = announced.serialize()
  await new group.GroupSessionBuilder(theirs).process(name, new group.SenderKeyDistributionMessage(null, null, null, null, bytes))
  const sent = []
  for (let i = 0; i < 6; i++) sent.push(await new group.GroupCipher(mine, name).encrypt(Buffer.from(`message ${i}`)))
  const texts = []
  for (const i of [0, 3, 5, 1, 4, 2]) {
    texts.push(await new group.GroupCipher(theirs, name).decrypt(sent[i]).then(String, () => null))
  }
  return { texts, values }
}

/** A paired set of credentials: what `initAuthCreds` gives, and what pairing adds to it. */
export function pairedCreds({ initAuthCreds, proto }) {
  const account = proto.ADVSignedDeviceIdentity.fromObject({
    details: Buffer.from('details'),
    accountSignatureKey: Buffer.alloc(32, 1),
    accountSignature: Buffer.alloc(64, 2),
    deviceSignature: Buffer.alloc(64, 3)
  })
  return {
    ...initAuthCreds(),
    account,
    me: { id: '1001:3@s.whatsapp.net', name: 'Zoë 🦊', lid: '2002:3@lid' },
    signalIdentities: [{ identifier: { name: '1001:3@s.whatsapp.net', deviceId: 0 }, identifierKey: Buffer.alloc(33, 5) }],
    platform: 'android',
    registered: true,
    myAppStateKeyId: 'AAAAAOPQ',
    lastAccountSyncTimestamp: 1732000000,
    routingInfo: Buffer.from([8, 2, 8, 5]),
    processedHistoryMessages: [{ key: { id: '3A', fromMe: true, remoteJid: '1001@s.whatsapp.net' }, messageTimestamp: 1732000001 }]
  }
}

/** The app state sync key as it reaches `set`: a protobuf message with a Long inside. */
export const appStateSyncKey = ({ proto }) =>
  proto.Message.AppStateSyncKeyData.fromObject({
    keyData: Buffer.alloc(32, 9),
    fingerprint: { rawId: 7, currentIndex: 1, deviceIndexes: [0, 1] },
    timestamp: 1732000000123
  })

/** One value of each of the other families. */
export const otherFamilies = () => ({
  'pre-key': {
    1: { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) },
    2: { private: Buffer.alloc(32, 3), public: Buffer.alloc(32, 4) }
  },
  'sender-key-memory': { '120363000000000001@g.us': { '1001:3@s.whatsapp.net': true, '1001@s.whatsapp.net': true } },
  'app-state-sync-version': {
    critical_block: {
      version: 3,
      hash: Buffer.alloc(128, 6),
      indexValueMap: { 'zz+/': { valueMac: Buffer.alloc(64, 8).subarray(-32) }, aa: { valueMac: Buffer.alloc(32) } }
    },
    regular_low: { version: 0, hash: Buffer.alloc(128), indexValueMap: {} }
  },
  'lid-mapping': { 1001: '2002', '2002_reverse': '1001' },
  'device-list': { 1001: ['0', '12'], 1002: [] },
  tctoken: { '2002@lid': { token: Buffer.alloc(0), timestamp: '1732000000' }, __index: { token: Buffer.from('["2002@lid"]') } },
  'identity-key': { '1001.0': new Uint8Array(33).fill(5) }
})
