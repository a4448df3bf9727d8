// Answers of the server to the `iq` queries of a device.
//
// Invariant: a query that is not in the table gets an error and is counted in `double.unanswered`, so that a test can say that a
// client asked for nothing unknown. Nothing here is made up that a client would keep: lists are empty where the double has nothing.

import { createHash } from 'node:crypto'
import { isSigned } from './signatures.mjs'

const UNKNOWN = { tag: 'error', attrs: { code: '404', text: 'item-not-found' } }
const REFUSED = { tag: 'error', attrs: { code: '406', text: 'not-acceptable' } }

const childrenOf = (node) => (Array.isArray(node?.content) ? node.content : [])
const childOf = (node, tag) => childrenOf(node).find((child) => child.tag === tag)
const bytesOf = (node, tag) => Buffer.from(childOf(node, tag).content)
const numberOf = (node, tag) => {
  const bytes = bytesOf(node, tag)
  return bytes.readUIntBE(0, bytes.length)
}

const bigEndian = (number, length) => {
  const bytes = Buffer.alloc(length)
  bytes.writeUIntBE(number, 0, length)
  return bytes
}

/** A public key in a node, as the server keeps it. */
const readKey = (node) => ({ id: numberOf(node, 'id'), public: bytesOf(node, 'value') })
const readSignedKey = (node) => ({ ...readKey(node), signature: bytesOf(node, 'signature') })

/** True if the identity of a device signed this key, as everybody who writes to it will ask. */
export const isKeyOf = ({ identity }, { public: key, signature }) => isSigned(identity, Buffer.concat([Buffer.from([5]), key]), signature)

const writeKey = (tag, { id, public: value, signature }) => ({
  tag,
  attrs: {},
  content: [
    { tag: 'id', attrs: {}, content: bigEndian(id, 3) },
    { tag: 'value', attrs: {}, content: value },
    ...(signature ? [{ tag: 'signature', attrs: {}, content: signature }] : [])
  ]
})

const TABLE = {
  // Keys of Signal.
  'get encrypt count': ({ keys, device }) => [{ tag: 'count', attrs: { value: String(keys.remaining(device.account, device.id).length) } }],

  'set encrypt registration': ({ node, keys, device }) => {
    const preKeys = childrenOf(childOf(node, 'list')).map(readKey)
    const identity = bytesOf(node, 'identity')
    const signedPreKey = readSignedKey(childOf(node, 'skey'))
    if (!identity.equals(device.identity) || !isKeyOf(device, signedPreKey)) return [REFUSED]
    keys.upload(device.account, device.id, { registrationId: numberOf(node, 'registration'), identity, signedPreKey, preKeys })
    return []
  },

  'set encrypt rotate': ({ node, keys, device }) => {
    const signedPreKey = readSignedKey(childOf(childOf(node, 'rotate'), 'skey'))
    if (!isKeyOf(device, signedPreKey)) return [REFUSED]
    keys.devices.get(`${device.account}:${device.id}`).signedPreKey = signedPreKey
    return []
  },

  'get encrypt digest': ({ keys, device }) => {
    const { registrationId, identity, signedPreKey, preKeys } = keys.devices.get(`${device.account}:${device.id}`)
    const ids = [...preKeys.values()].map(({ id }) => ({ tag: 'id', attrs: {}, content: bigEndian(id, 3) }))
    const hash = createHash('sha1').update(identity).update(signedPreKey.public).update(signedPreKey.signature)
    for (const key of preKeys.values()) hash.update(key.public)
    return [
      {
        tag: 'digest',
        attrs: {},
        content: [
          { tag: 'registration', attrs: {}, content: bigEndian(registrationId, 4) },
          { tag: 'type', attrs: {}, content: Buffer.from([5]) },
          { tag: 'identity', attrs: {}, content: identity },
          writeKey('skey', signedPreKey),
          { tag: 'list', attrs: {}, content: ids },
          { tag: 'hash', attrs: {}, content: hash.digest() }
        ]
      }
    ]
  },

  'get encrypt key': ({ node, keys, people }) => {
    const users = childrenOf(childOf(node, 'key')).map(({ attrs: { jid } }) => {
      if (!people.hasKeys(jid)) return { tag: 'user', attrs: { jid }, content: [UNKNOWN] }
      const [{ registrationId, identity, signedPreKey, preKey }] = keys.bundles([jid])
      return {
        tag: 'user',
        attrs: { jid },
        content: [
          { tag: 'registration', attrs: {}, content: bigEndian(registrationId, 4) },
          { tag: 'type', attrs: {}, content: Buffer.from([5]) },
          { tag: 'identity', attrs: {}, content: identity },
          writeKey('skey', signedPreKey),
          ...(preKey ? [writeKey('key', preKey)] : [])
        ]
      }
    })
    return [{ tag: 'list', attrs: {}, content: users }]
  },

  // Who is who.
  'get usync usync': ({ node, people }) => {
    const usync = childOf(node, 'usync')
    const wanted = new Set(childrenOf(childOf(usync, 'query')).map(({ tag }) => tag))
    const users = childrenOf(childOf(usync, 'list')).map((user) => {
      const number = childOf(user, 'contact')?.content
      const jid = user.attrs.jid ?? `${String(number).replace(/\D/g, '')}@s.whatsapp.net`
      const account = people.find(jid)
      const parts = []
      if (wanted.has('contact')) parts.push({ tag: 'contact', attrs: { type: account < 0 ? 'out' : 'in' } })
      if (wanted.has('devices') && account >= 0) {
        // Clients pass over a linked device without a key index.
        const attrsOf = (id) => ({ id: String(id), ...(id ? { 'key-index': String(id) } : {}) })
        const devices = people.book[account].devices.map((id) => ({ tag: 'device', attrs: attrsOf(id) }))
        parts.push({ tag: 'devices', attrs: {}, content: [{ tag: 'device-list', attrs: {}, content: devices }] })
      }
      if (wanted.has('lid') && account >= 0 && jid.endsWith('@s.whatsapp.net')) {
        parts.push({ tag: 'lid', attrs: { val: people.lidOf(account, 0) } })
      }
      return { tag: 'user', attrs: { jid }, content: parts }
    })
    return [{ tag: 'usync', attrs: usync.attrs, content: [{ tag: 'list', attrs: {}, content: users }] }]
  },

  // What a client asks when it opens, and what keeps it open.
  'get w:p ping': () => [],
  'set passive active': async ({ double, device }) => {
    await double.mail.greet(device)
    return []
  },
  'set passive passive': () => [],
  'get abt props': () => [{ tag: 'props', attrs: { protocol: '1', hash: 'double' }, content: [] }],
  'get w props': () => [{ tag: 'props', attrs: { protocol: '2', hash: 'double' }, content: [] }],
  'get blocklist': () => [{ tag: 'list', attrs: {}, content: [] }],
  'get privacy privacy': () => [
    { tag: 'privacy', attrs: {}, content: [{ tag: 'category', attrs: { name: 'readreceipts', value: 'all' } }] }
  ],
  'set privacy tokens': () => [],
  'set urn:xmpp:whatsapp:dirty clean': () => [],
  'w:stats add': () => [],

  // App state: nobody else changed anything. A patch is taken and counted.
  'set w:sync:app:state sync': ({ node, device }) => {
    const collections = childrenOf(childOf(node, 'sync')).map(({ attrs: { name, version }, content }) => {
      const patched = Array.isArray(content) && content.length > 0
      device.appState[name] = Math.max(device.appState[name] ?? 0, Number(version) + (patched ? 1 : 0))
      return { tag: 'collection', attrs: { name, version: String(device.appState[name]) }, content: [] }
    })
    return [{ tag: 'sync', attrs: {}, content: collections }]
  },

  // The device unlinks itself.
  'set md remove-companion-device': () => []
}

/** Work that follows an answer. */
const THEN = {
  'set passive active': (double, device, connection) => double.mail.open(device, connection),
  'set md remove-companion-device': (double, device) => double.unlink(device)
}

/** Answers `node` of a device, or of a connection that is not logged in (`device` is null). */
export async function answerQuery(node, connection, double) {
  const { device } = connection
  const { type, xmlns, id } = node.attrs
  const first = childrenOf(node)[0]?.tag
  const name = [type, xmlns, first].filter(Boolean).join(' ')
  const answer = device ? TABLE[name] : undefined
  const reply = { tag: 'iq', attrs: { from: 's.whatsapp.net', type: 'result', id } }
  if (answer) reply.content = await answer({ node, double, device, people: double.people, keys: double.people.keys })
  else {
    double.unanswered.push(name)
    reply.content = [{ tag: 'error', attrs: { code: '501', text: 'feature-not-implemented' } }]
  }
  if (reply.content[0]?.tag === 'error') reply.attrs.type = 'error'
  await connection.send(reply)
  if (reply.attrs.type === 'result') await THEN[name]?.(double, device, connection)
}
