// Sessions in Redis: what redis-baileys, wa-auth-store and baileys-store-core wrote, and the layouts that are copied from one program to
// the next, among thousands of keys of others.
//
// Invariant guarded: every value arrives as it was given to the other store; what belongs to no session is left alone, and what a session
// should have and cannot be read is named.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach } from 'node:test'
import { gzipSync } from 'node:zlib'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { startRedis } from '../../testkit/old-stores/redis.mjs'
import { aSession, assertArrived, countsOf, fill, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import { hybrid, KEY, OTHER_KEY, rejection, scene } from '../../testkit/processes/sessions.mjs'
import { spread } from '../support/size.mjs'

const PASSWORD = 'sécret/p@ss#1'

let app
let baileys
let server
let redis

before(async () => {
  baileys = await lines[0].load()
  app = application('better-sqlite3', 'ioredis', 'redis', 'redis-baileys', 'uuid', 'wa-auth-store', '@luoarch/baileys-store-core')
  server = await startRedis({ password: PASSWORD })
  const Redis = app.load('ioredis')
  redis = new Redis(server.url)
})
afterEach(() => redis?.flushall())
after(async () => {
  await redis?.quit()
  await server?.stop()
})

function place(t, more = {}) {
  const at = scene(t)
  return { at, options: { ...at.local, store: null, baileys, from: server.url, ...more } }
}

/** Everything in the server, to compare it with later. */
async function snapshot() {
  const names = (await redis.keys('*')).sort()
  return JSON.stringify(
    await Promise.all(names.map(async (name) => [name, await redis.dump(name).then((bytes) => bytes?.toString('latin1'))]))
  )
}

/** Silences packages: their output is no result of a test. */
async function quietly(work) {
  const { debug, log, error } = console
  Object.assign(console, { debug() {}, log() {}, error() {} })
  try {
    return await work()
  } finally {
    Object.assign(console, { debug, log, error })
  }
}

test('what redis-baileys wrote is read, two sessions in one server, and nothing in it changes', async (t) => {
  const { at, options } = place(t)
  const { useRedisAuthState } = app.load('redis-baileys')
  const port = Number(new URL(server.url).port)
  const written = {}
  const states = []
  for (const session of ['anna', 'ben']) {
    const state = await useRedisAuthState({ host: '127.0.0.1', port, password: PASSWORD }, session)
    states.push(state)
    written[session] = await fill(baileys, state)
  }
  const before = await snapshot()
  assert.deepEqual((await hybrid.migrate({ ...options, dryRun: true })).totals.ready, 2)
  const report = await hybrid.migrate(options)
  assert.deepEqual(
    report.sessions.map(({ tenantId, status, layout, sourceChanged }) => [tenantId, status, layout, sourceChanged]),
    [
      ['anna', 'migrated', 'key-records', false],
      ['ben', 'migrated', 'key-records', false]
    ]
  )
  assert.deepEqual(report.sessions[0].keys, countsOf(written.anna.data))
  for (const session of ['anna', 'ben']) await assertArrived(at, baileys, session, written[session])
  assert.equal(await snapshot(), before)
  assert.equal((await hybrid.migrate(options)).totals.already, 2)
  // There is no other way to end its connection, and it does not survive the end of the server.
  for (const { deleteSession } of states) await deleteSession()
})

test('what wa-auth-store wrote is read: credentials in a string, keys in a hash', async (t) => {
  const { at, options } = place(t)
  const { BaileysRedisAdapter } = app.load('wa-auth-store')
  const adapter = new BaileysRedisAdapter(server.url)
  const session = await aSession(baileys)
  await adapter.saveCreds('user-7', { creds: session.creds })
  await adapter.setKeys('user-7', session.data)
  await adapter.disconnect()
  const [found] = (await hybrid.migrate(options)).sessions
  assert.deepEqual([found.tenantId, found.status, found.layout, found.message], ['user-7', 'migrated', 'key-hashes', null])
  await assertArrived(at, baileys, 'user-7', session)
})

for (const [what, options] of Object.entries({
  plain: {},
  compressed: { enableCompression: true },
  encrypted: { enableEncryption: true, masterKey: KEY }
})) {
  test(`what baileys-store-core wrote is read: ${what}`, async (t) => {
    const { at, options: migration } = place(t)
    const { useRedisAuthState } = await app.use('@luoarch/baileys-store-core/redis')
    const written = await quietly(async () => {
      const { state, saveCreds, store } = await useRedisAuthState({ redis: { redisUrl: server.url }, sessionId: 'tenant-1', ...options })
      // It overwrites one blob with each call.
      const session = await fill(baileys, { state: { creds: state.creds, keys: { set: async () => {} } }, saveCreds })
      await state.keys.set(session.data)
      await saveCreds()
      await store.disconnect()
      return session
    })
    const isEncrypted = what === 'encrypted'
    if (isEncrypted) {
      const locked = (await hybrid.migrate({ ...migration, sourceKey: OTHER_KEY, dryRun: true })).sessions[0]
      assert.deepEqual([locked.status, locked.code], ['failed', 'KEY_UNAVAILABLE'])
      assert.equal((await hybrid.migrate({ ...migration, dryRun: true })).sessions[0].code, 'KEY_UNAVAILABLE')
    }
    const [found] = (await hybrid.migrate({ ...migration, ...(isEncrypted && { sourceKey: KEY }) })).sessions
    assert.deepEqual(
      [found.tenantId, found.status, found.layout, found.encrypted, found.message],
      ['tenant-1', 'migrated', 'session-records', isEncrypted, null]
    )
    assert.deepEqual(found.keys, countsOf(written.data))
    await assertArrived(at, baileys, 'tenant-1', written)
  })
}

/** Layout -> how it is written: `records` are [name, text]. */
const LAYOUTS = {
  'prefix:creds and prefix:type-id': { lay: (records) => redis.mset(records.flatMap(([name, text]) => [`anna:${name}`, text])) },
  'creds and type-id by themselves': { lay: (records) => redis.mset(records.flat()), tenantId: () => 'anna' },
  'a longer prefix': {
    lay: (records) => redis.mset(records.flatMap(([name, text]) => [`app:prod:wa:anna:${name}`, text])),
    tenantId: '{-1}'
  },
  'dashes for colons': { lay: (records) => redis.mset(records.flatMap(([name, text]) => [`anna-${name}`, text])) },
  'names of files': {
    lay: (records) => redis.mset(records.flatMap(([name, text]) => [`anna:${name.replace(/\//g, '__').replace(/:/g, '-')}.json`, text]))
  },
  'prefix:keys:type:id': {
    lay: (records) => redis.mset(records.flatMap(([name, text]) => [`anna:${name}`, text])),
    nameOf: (type, id) => `keys:${type}:${id}`
  },
  'a hash by session': { lay: (records) => redis.hset('anna', records.flat()), layout: 'key-hashes' },
  'a hash called session:auth': { lay: (records) => redis.hset('anna:auth', records.flat()), layout: 'key-hashes' },
  'a hash called auth:session': { lay: (records) => redis.hset('auth:anna', records.flat()), layout: 'key-hashes' },
  'creds:session and type-id:session': { lay: (records) => redis.mset(records.flatMap(([name, text]) => [`${name}:anna`, text])) },
  'a hash by type': {
    layout: 'key-hashes',
    async lay(_, { creds, data }, text) {
      await redis.set('baileys:session:anna:creds', text(creds))
      for (const [type, records] of Object.entries(data))
        await redis.hset(
          `baileys:session:anna:${type}`,
          Object.entries(records).flatMap(([id, value]) => [id, text(value)])
        )
    }
  },
  'all keys in one string': {
    layout: 'session-records',
    async lay(_, { creds, data }, text) {
      await redis.mset('anna:creds', text(creds), 'anna:keys', text(data))
    }
  },
  'encoded twice': { lay: (records) => redis.mset(records.flatMap(([name, text]) => [`anna:${name}`, JSON.stringify(text)])) }
}

for (const [what, { lay, layout = 'key-records', tenantId, nameOf }] of spread(Object.entries(LAYOUTS), 6)) {
  test(`${what}: it is recognised, and every key arrives`, async (t) => {
    const { at, options } = place(t)
    const session = await aSession(baileys)
    const text = (value) => JSON.stringify(value, baileys.BufferJSON.replacer)
    await lay(recordsOf(baileys, session, nameOf), session, text)
    const report = await hybrid.migrate({ ...options, tenantId })
    assert.deepEqual(
      report.sessions.map((found) => [found.tenantId, found.status, found.layout, found.message]),
      [['anna', 'migrated', layout, null]]
    )
    assert.deepEqual(report.sessions[0].keys, countsOf(session.data))
    assert.deepEqual(report.sessions[0].warnings, [])
    await assertArrived(at, baileys, 'anna', session)
  })
}

test('sessions lie among thousands of keys of others, and a session whose name begins with that of another keeps its keys', async (t) => {
  const { at, options } = place(t)
  const pipeline = redis.pipeline()
  for (let n = 0; n < 3000; n++) pipeline.hset(`bull:send-message:${n}`, { name: 'job', data: '{"x":1}', timestamp: n })
  for (let n = 0; n < 50; n++)
    pipeline
      .zadd(`bull:send-message:delayed-${n}`, n, String(n))
      .lpush(`bull:list-${n}`, 'x')
      .sadd(`tags:${n}`, 'x')
      .set(`sess:${n}`, '{"cookie":{}}')
  pipeline.set('aws:creds', 'AKIA').set('user:1:creds', '{"token":"x"}').hset('user:2', { creds_at: '1' }).xadd('stream', '*', 'a', 'b')
  await pipeline.exec()
  const [one, two] = [await aSession(baileys), await aSession(baileys)]
  await redis.mset(recordsOf(baileys, one).flatMap(([name, text]) => [`wa:${name}`, text]))
  await redis.mset(recordsOf(baileys, two).flatMap(([name, text]) => [`wa:session-2:${name}`, text]))
  const report = await hybrid.migrate({ ...options, tenantId: '{-1}' })
  assert.deepEqual(
    report.sessions.map(({ tenantId, status }) => [tenantId, status]),
    [
      ['wa', 'migrated'],
      ['session-2', 'migrated']
    ]
  )
  assert.deepEqual(
    report.sessions.map(({ keys }) => keys),
    [countsOf(one.data), countsOf(two.data)]
  )
  assert.ok(report.passedOver > 3000)
  await assertArrived(at, baileys, 'wa', one)
  await assertArrived(at, baileys, 'session-2', two)
  const only = await hybrid.migrate({ ...options, from: `${server.url}?match=wa:session-2:*`, tenantId: '{-1}', dryRun: true })
  assert.deepEqual(
    only.sessions.map(({ tenantId, status }) => [tenantId, status]),
    [['session-2', 'already']]
  )
  assert.equal(only.passedOver, 0)
})

test('the hash of Evolution with credentials in it is one session, and one with keys alone is none', async (t) => {
  const { at, options } = place(t)
  const session = await aSession(baileys)
  await redis.hset('evolution:instance:anna', recordsOf(baileys, session).flat())
  const report = await hybrid.migrate({ ...options, tenantId: '{-1}' })
  assert.deepEqual(
    report.sessions.map(({ status, path }) => [status, path]),
    [['migrated', 'evolution:instance:anna']]
  )
  await assertArrived(at, baileys, 'anna', session)
  await redis.hdel('evolution:instance:anna', 'creds')
  assert.equal((await rejection(hybrid.migrate(options))).code, 'NOT_FOUND')
})

test('credentials in a table and keys in a hash or in files are one session, as Evolution has it', async (t) => {
  const { at, options } = place(t)
  const session = await aSession(baileys)
  const [[, creds], ...keys] = recordsOf(baileys, session)
  const path = join(at.root, 'evolution.db')
  const database = new (app.load('better-sqlite3'))(path)
  database.exec('CREATE TABLE Session (id TEXT, sessionId TEXT, creds TEXT, createdAt TEXT)')
  for (const id of ['instance-1', 'instance-2'])
    database.prepare('INSERT INTO Session VALUES (?, ?, ?, ?)').run(`c-${id}`, id, JSON.stringify(creds), '')
  database.close()
  await redis.hset('evolution:instance:instance-1', keys.flat())
  await redis.hset('evolution:other:x-instance-1', keys.flat())
  await redis.set('evolution:instance:instance-2', 'no hash')
  const report = await hybrid.migrate({ ...options, from: path, keysFrom: server.url })
  assert.deepEqual(
    report.sessions.map(({ tenantId, status }) => [tenantId, status]),
    [
      ['instance-1', 'migrated'],
      ['instance-2', 'credsOnly']
    ]
  )
  await assertArrived(at, baileys, 'instance-1', session)
  const folder = join(at.root, 'instances')
  mkdirSync(join(folder, 'instance-2'), { recursive: true })
  for (const [name, text] of keys) writeFileSync(join(folder, 'instance-2', `${name.replace(/\//g, '__').replace(/:/g, '-')}.json`), text)
  const files = await hybrid.migrate({ ...options, from: path, keysFrom: folder, only: ['instance-2'] })
  assert.deepEqual(
    files.sessions.map(({ status, message }) => [status, message]),
    [['migrated', null]]
  )
  await assertArrived(at, baileys, 'instance-2', session)
  await redis.hset('instance-1', keys.flat())
  const [found] = (await hybrid.migrate({ ...options, from: path, keysFrom: server.url })).sessions
  assert.deepEqual([found.status, found.code], ['ambiguous', 'INVALID_OPTION'])
  for (const keysFrom of ['mysql://h/db', 7])
    assert.equal((await rejection(hybrid.migrate({ ...options, from: path, keysFrom }))).code, 'INVALID_OPTION')
  assert.equal((await rejection(hybrid.migrate({ ...options, from: folder, keysFrom: server.url }))).code, 'INVALID_OPTION')
})

test('keys of another type than a string, and values that are none, are damaged and named by type', async (t) => {
  const { options } = place(t)
  const session = await aSession(baileys)
  await redis.mset(recordsOf(baileys, session).flatMap(([name, text]) => [`anna:${name}`, text]))
  await redis.del('anna:pre-key-1')
  await redis.lpush('anna:pre-key-1', 'x')
  await redis.set('anna:session-1001.0', '{"version":"v1","_sess')
  await redis.set('anna:lid-mapping-1001', '{"what"')
  await redis.set('anna:last-seen', 'yesterday')
  await redis.set('anna:status', 'open')
  const [found] = (await hybrid.migrate({ ...options, dryRun: true })).sessions
  assert.deepEqual([found.status, found.code], ['damaged', 'LOCAL_CORRUPT'])
  assert.deepEqual(found.leftOut.damaged, { 'pre-key': 1, session: 1, 'lid-mapping': 1 })
  assert.match(found.message, /truncated/)
  assert.ok(!/1001|v1/.test(found.message))
  assert.equal((await hybrid.migrate({ ...options, dryRun: true, allowDamagedKeys: true })).sessions[0].status, 'ready')
  await redis.del('anna:creds')
  await redis.lpush('anna:creds', 'x')
  const [creds] = (await hybrid.migrate({ ...options, allowDamagedKeys: true })).sessions
  assert.deepEqual([creds.status, creds.code], ['damaged', 'LOCAL_CORRUPT'])
  assert.match(creds.message, /credentials are not a string but a list/)
  await redis.del('anna:creds')
  const error = await rejection(hybrid.migrate(options))
  assert.deepEqual(error.code, 'NOT_FOUND')
  assert.match(error.message, /1 session has keys but no credentials/)
})

test('an empty server, names of several parts and two spellings of one key are told', async (t) => {
  const { options } = place(t)
  assert.match((await rejection(hybrid.migrate(options))).message, /no session in the source.*it is empty/)
  const session = await aSession(baileys)
  await redis.mset(recordsOf(baileys, session).flatMap(([name, text]) => [`app:anna:${name}`, text]))
  const error = await rejection(hybrid.migrate(options))
  assert.equal(error.code, 'INVALID_OPTION')
  assert.match(error.message, /2 parts.*tenantId: '\{-1\}'/)
  await redis.set('app:anna:sender-key-g@g.us--1001--0', '[]')
  const [found] = (await hybrid.migrate({ ...options, tenantId: '{-1}' })).sessions
  assert.deepEqual([found.status, found.code], ['ambiguous', 'INVALID_OPTION'])
  assert.match(found.message, /two records hold the same "sender-key"/)
})

test('a session whose keys come while it is read is reported as changed', async (t) => {
  const { options } = place(t)
  const session = await aSession(baileys)
  await redis.mset(recordsOf(baileys, session).flatMap(([name, text]) => [`anna:${name}`, text]))
  let busy = true
  const writing = (async () => {
    for (let n = 10; busy; n++)
      await redis.set(`anna:pre-key-${n}`, '{"private":{"type":"Buffer","data":"AA=="},"public":{"type":"Buffer","data":"AA=="}}')
  })()
  const [found] = (await hybrid.migrate(options)).sessions
  busy = false
  await writing
  assert.deepEqual([found.status, found.sourceChanged], ['migrated', true])
})

test('a key that another package compressed is named, and gzip is read', async (t) => {
  const { options } = place(t)
  const session = await aSession(baileys)
  const [[, creds], ...keys] = recordsOf(baileys, session)
  const sealed = (text) =>
    JSON.stringify({
      ciphertext: text.toString('base64'),
      nonce: '',
      keyId: 'none',
      schemaVersion: 1,
      timestamp: '2026-01-01T00:00:00.000Z'
    })
  await redis.mset(keys.flatMap(([name, text]) => [`anna:${name}`, text]))
  await redis.set('anna:creds', sealed(gzipSync(creds)))
  assert.equal((await hybrid.migrate({ ...options, dryRun: true })).sessions[0].status, 'ready')
  await redis.set('anna:creds', sealed(createHash('sha512').update(creds).digest()))
  assert.match((await hybrid.migrate({ ...options, dryRun: true })).sessions[0].message, /snappy/)
})

test('a wrong password, an unreachable server and missing rights are typed errors without a secret', async (t) => {
  const { options } = place(t)
  const { port } = new URL(server.url)
  const secret = 'wrong-secret-9'
  await redis.acl('SETUSER', 'blind', 'on', `>${secret}`, '+ping', '+info', '+client')
  const cases = [
    [`redis://:${secret}@127.0.0.1:${port}`, 'REMOTE_REFUSED', /user or the password/],
    [`redis://127.0.0.1:${port}`, 'REMOTE_REFUSED', /user or the password/],
    [`redis://blind:${secret}@127.0.0.1:${port}`, 'REMOTE_REFUSED', /@read and @scan/],
    [`redis://:${secret}@127.0.0.1:1`, 'REMOTE_UNAVAILABLE', /ECONNREFUSED/],
    [`redis://127.0.0.1:${port}?match=`, 'INVALID_OPTION', /match/]
  ]
  const attempt = async (from) => {
    const error = await rejection(hybrid.migrate({ ...options, from }))
    for (const hidden of [secret, PASSWORD, encodeURIComponent(PASSWORD), '127.0.0.1'])
      assert.ok(!error.message.includes(hidden), error.message)
    return error
  }
  for (const driver of ['ioredis', 'redis']) {
    if (driver === 'redis') application('redis')
    for (const [from, code, words] of cases) {
      const error = await attempt(from)
      assert.equal(error.code, code, `${driver}: ${error.message}`)
      assert.match(error.message, words, driver)
    }
  }
})

test('a password can be in the variable that redis-cli takes it from, for both drivers', async (t) => {
  const { options } = place(t)
  const session = await aSession(baileys)
  await redis.hset('anna', recordsOf(baileys, session).flat())
  const from = `redis://127.0.0.1:${new URL(server.url).port}`
  process.env.REDISCLI_AUTH = PASSWORD
  t.after(() => delete process.env.REDISCLI_AUTH)
  for (const driver of ['ioredis', 'redis']) {
    application(driver)
    assert.equal((await hybrid.migrate({ ...options, from, dryRun: true })).totals.ready, 1, driver)
  }
})

test('the driver `redis` reads the same', async (t) => {
  application('redis')
  const { at, options } = place(t)
  const session = await aSession(baileys)
  await redis.hset('hash', recordsOf(baileys, session).flat())
  await redis.mset(recordsOf(baileys, session).flatMap(([name, text]) => [`strings:${name}`, text]))
  const report = await hybrid.migrate(options)
  assert.equal(report.totals.migrated, 2, JSON.stringify(report.sessions.map(({ message }) => message)))
  await assertArrived(at, baileys, 'hash', session)
  await assertArrived(at, baileys, 'strings', session)
})
