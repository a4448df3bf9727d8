// Sessions in files of mongoexport: documents as mongo-baileys and others store them, in extended JSON of both kinds.
//
// Invariant guarded: bytes, numbers and closed chains are what Baileys gave to the store; what is no document, and what a store lost, is told.
// mongo-baileys itself writes here, to a collection that keeps what MongoDB would: BSON, by its own library.

import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { aSession, assertArrived, countsOf, fill, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import { hybrid, KEY, rejection, scene } from '../../testkit/processes/sessions.mjs'

const { valueOf } = createRequire(import.meta.url)('../../lib/migrate/databases/values.js')

let app
let baileys
let bson

before(async () => {
  baileys = await lines[0].load()
  app = application('mongo-baileys', 'mongodb', 'uuid', 'bson', '@luoarch/baileys-store-core', 'ioredis')
  bson = app.load('bson')
})

/** A collection by the calls that stores make, in BSON as the driver writes it: what is undefined becomes null. */
function collection() {
  const documents = new Map()
  const key = (id) => JSON.stringify(id)
  const keep = (document) => documents.set(key(document._id), bson.serialize(document, { ignoreUndefined: false }))
  return {
    documents,
    updateOne: async ({ _id }, { $set }) =>
      void keep({ ...(documents.has(key(_id)) ? bson.deserialize(documents.get(key(_id))) : { _id }), ...$set }),
    findOne: async ({ _id }) => (documents.has(key(_id)) ? bson.deserialize(documents.get(key(_id)), { promoteBuffers: true }) : null),
    deleteOne: async ({ _id }) => void documents.delete(key(_id)),
    insert: keep,
    /** Text that mongoexport writes of it. */
    lines: (relaxed = true) =>
      [...documents.values()].map((bytes) => bson.EJSON.stringify(bson.deserialize(bytes, { promoteValues: relaxed }), { relaxed }))
  }
}

function place(t) {
  const at = scene(t)
  const folder = join(at.root, 'export')
  mkdirSync(folder)
  const write = (name, text) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  return { at, folder, write, options: { ...at.local, store: null, baileys } }
}

/** MongoDB takes documents alone: of these families mongo-baileys stores nothing, and prints an error. */
const NO_DOCUMENTS = ['lid-mapping', 'device-list', 'sender-key', 'identity-key']

for (const relaxed of [true, false]) {
  test(`what mongo-baileys stored is read from an export, ${relaxed ? 'relaxed' : 'canonical'}`, async (t) => {
    const { at, write, options } = place(t)
    const auth = collection()
    const written = await fill(baileys, await app.load('mongo-baileys').useMongoDBAuthState(auth), { without: NO_DOCUMENTS })
    const path = write('anna.json', `${auth.lines(relaxed).join('\n')}\n`)
    const before = readFileSync(path)
    const [found] = (await hybrid.migrate({ ...options, from: path })).sessions
    assert.deepEqual([found.tenantId, found.status, found.layout, found.message], ['anna', 'migrated', 'key-records', null])
    assert.deepEqual(found.keys, countsOf(written.data))
    // The driver stores null where a value is undefined, and numbers of 64 bits as it likes.
    const creds = Object.fromEntries(Object.entries(written.creds).map(([name, value]) => [name, value === undefined ? null : value]))
    const { state } = await at.openLocal('anna', { baileys, onMissing: 'error' })
    const plain = (value) => JSON.parse(JSON.stringify(value, baileys.BufferJSON.replacer))
    for (const name of [
      'noiseKey',
      'signedIdentityKey',
      'signedPreKey',
      'registrationId',
      'advSecretKey',
      'me',
      'signalIdentities',
      'routingInfo',
      'nextPreKeyId'
    ])
      assert.deepEqual(plain(state.creds[name]), plain(creds[name]), name)
    const { 'app-state-sync-key': syncKeys, ...rest } = written.data
    await assertArrived(at, baileys, 'anna', { creds: state.creds, data: rest })
    for (const [id, { keyData }] of Object.entries(syncKeys))
      assert.deepEqual(Buffer.from((await state.keys.get('app-state-sync-key', [id]))[id].keyData), Buffer.from(keyData))
    assert.deepEqual(readFileSync(path), before)
  })
}

test('documents of other stores are recognised, in one file or in a folder of them', async (t) => {
  const session = await aSession(baileys)
  const records = recordsOf(baileys, session)
  const text = (value) => JSON.stringify(value, baileys.BufferJSON.replacer)
  const json = (value) => JSON.parse(text(value))
  const escaped = (name) => name.replace(/\//g, '__').replace(/:/g, '-')
  const withTexts = (value) =>
    Buffer.isBuffer(value)
      ? `Buffer:${value.toString('base64')}`
      : Array.isArray(value)
        ? value.map(withTexts)
        : value !== null && typeof value === 'object'
          ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withTexts(member)]))
          : value
  const each = (make) => records.map(([name, value]) => make(name, JSON.parse(value), value))
  const id = () => new bson.ObjectId()
  const shapes = {
    'baileys-mongodb: bytes as texts': {
      documents: records.map(([name, value]) => ({
        _id: escaped(name),
        value: withTexts(JSON.parse(value, baileys.BufferJSON.reviver)),
        createdAt: new Date()
      })),
      file: true
    },
    'baileys-mongo: the key in a field, with colons': {
      documents: [
        ...recordsOf(baileys, session, (type, key) => `${type}:${key}`).map(([name, value]) => ({ _id: id(), key: `anna:${name}`, value })),
        { _id: id(), key: 'anna', value: '' }
      ]
    },
    'a session and a key in fields': { documents: each((key, value) => ({ _id: id(), sessionId: 'anna', key, value, __v: 0 })) },
    'a session and a key in the id, the value spread': {
      documents: each((name, value) => ({ _id: `anna:${name}`, ...(typeof value === 'string' ? { value } : value) }))
    },
    'a session in one document': { documents: [{ _id: id(), sessionId: 'anna', creds: json(session.creds), keys: json(session.data) }] },
    'a session in one document, as text': { documents: [{ _id: 'anna', creds: text(session.creds), keys: text(session.data) }] }
  }
  for (const [what, { documents, file }] of Object.entries(shapes)) {
    const { at, folder, write, options } = place(t)
    const auth = collection()
    documents.forEach((document) => auth.insert(document))
    const all = auth.lines()
    const path = write('anna.jsonl', all.join('\n'))
    const report = await hybrid.migrate({ ...options, from: path })
    assert.deepEqual(
      report.sessions.map(({ tenantId, status, message }) => [tenantId, status, message]),
      [['anna', 'migrated', null]],
      what
    )
    assert.deepEqual(report.sessions[0].keys, countsOf(session.data), what)
    await assertArrived(at, baileys, 'anna', session)
    write('anna.jsonl', `[${all.join(',')}]`)
    for (const from of [path, `mongoexport://${folder}`, { kind: 'mongo-export', path: folder }]) {
      const again = await hybrid.migrate({ ...options, from })
      assert.deepEqual(
        again.sessions.map(({ tenantId, status }) => [tenantId, status]),
        [['anna', 'already']],
        `${what}, ${file}`
      )
    }
  }
})

test('the documents of baileys-store-core are read, encrypted or not', async (t) => {
  const { createCryptoService, createCodecService, DEFAULT_SECURITY_CONFIG } = await app.use('@luoarch/baileys-store-core')
  const session = await aSession(baileys)
  for (const enableEncryption of [false, true]) {
    const { at, write, options } = place(t)
    const config = { ...DEFAULT_SECURITY_CONFIG, enableEncryption, enableCompression: enableEncryption, compressionAlgorithm: 'gzip' }
    const crypto = await createCryptoService(config, enableEncryption ? KEY : undefined)
    const codec = createCodecService(config)
    // As its store for MongoDB does with each field.
    const field = async (value) => {
      const { nonce, ciphertext } = await crypto.encrypt(await codec.encode(value))
      return Buffer.concat([nonce, ciphertext]).toString('base64')
    }
    const keys = Object.fromEntries(
      await Promise.all(Object.entries(session.data).map(async ([type, records]) => [type, await field(records)]))
    )
    const document = {
      _id: 'tenant-1',
      version: 3,
      creds: await field(session.creds),
      keys,
      fencingToken: 1,
      updatedAt: new Date(),
      createdAt: new Date(),
      expiresAt: new Date()
    }
    const path = write('sessions.json', bson.EJSON.stringify(document))
    if (enableEncryption) assert.equal((await hybrid.migrate({ ...options, from: path })).sessions[0].code, 'KEY_UNAVAILABLE')
    const [found] = (await hybrid.migrate({ ...options, from: path, ...(enableEncryption && { sourceKey: KEY }) })).sessions
    assert.deepEqual(
      [found.tenantId, found.status, found.layout, found.encrypted, found.message],
      ['tenant-1', 'migrated', 'session-records', enableEncryption, null]
    )
    assert.deepEqual(found.keys, countsOf(session.data))
    await assertArrived(at, baileys, 'tenant-1', session)
  }
})

test('a nonce may begin with any byte, as JSON or gzip data do too', () => {
  const key = randomBytes(32)
  const nonces = Array.from({ length: 256 }, (_, first) => Buffer.concat([Buffer.of(first), randomBytes(11)]))
  nonces.push(Buffer.from('1f8b0800000000000003abad', 'hex'), Buffer.from('{"a":1,"b":2'))
  for (const nonce of nonces) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    const sealed = Buffer.concat([nonce, cipher.update('{"is":"read"}'), cipher.final(), cipher.getAuthTag()]).toString('base64')
    const read = (keys) => valueOf(sealed, { type: 'session', keys, what: 'the record' })
    assert.deepEqual(read([randomBytes(32), key]), { value: { is: 'read' }, encrypted: true }, nonce.toString('hex'))
    // Two bytes of gzip cannot be told from a nonce without a key.
    if (nonce[0] !== 0x1f) assert.throws(() => read([]), { code: 'KEY_UNAVAILABLE' }, nonce.toString('hex'))
  }
  const record = { ciphertext: Buffer.alloc(32).toString('base64'), nonce: '-', keyId: 'key-1' }
  assert.throws(() => valueOf(JSON.stringify(record), { type: 'session', keys: [key], what: 'the record' }), { code: 'KEY_UNAVAILABLE' })
})

test('a damaged line, a dump, documents of something else and keys without credentials are told', async (t) => {
  const { write, folder, options } = place(t)
  const session = await aSession(baileys)
  const all = recordsOf(baileys, session).map(([_id, value]) => JSON.stringify({ _id, value: JSON.parse(value) }))
  const fails = async (name, text) => {
    const error = await rejection(hybrid.migrate({ ...options, from: write(name, text) }))
    return `${error.code}: ${error.message}`
  }
  assert.match(await fails('cut.json', all.join('\n').slice(0, -5)), /INVALID_OPTION.*mongoexport writes/)
  assert.match(await fails('half.json', all.slice(1).join('\n')), /NOT_FOUND.*1 session has keys but no credentials/)
  assert.match(await fails('other.json', '{"_id":"1","name":"x","price":3}\n{"_id":"2"}'), /NOT_FOUND.*2 records are of something else/)
  assert.match(
    (await rejection(hybrid.migrate({ ...options, from: `mongoexport://${join(folder, 'nix.json')}` }))).message,
    /not an existing file/
  )
  writeFileSync(join(folder, 'dump.bson'), bson.serialize({ _id: 'creds' }))
  assert.match((await rejection(hybrid.migrate({ ...options, from: `mongoexport://${join(folder, 'dump.bson')}` }))).message, /mongodump/)
  const [found] = (
    await hybrid.migrate({
      ...options,
      from: write('damaged.json', [`{"_id":"creds","value":{"noiseKey":1}}`, ...all.slice(1)].join('\n'))
    })
  ).sessions
  assert.deepEqual([found.status, found.code], ['damaged', 'LOCAL_CORRUPT'])
})
