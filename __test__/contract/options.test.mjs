// Options and environment variables: every wrong value is refused by name, and no refusal repeats a secret.
//
// Invariant guarded: a mistake in the configuration is found at the open, before anything is made on the disk or in the
// store, with a message that says which option to mend and holds neither a key nor the tenant id.

import test from 'node:test'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { KEY, OTHER_KEY, hybrid, rejection, scene, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const TENANT = 'tenant-that-nobody-may-read-490301234567'
const SECRETS = [KEY, OTHER_KEY, KEY.slice(0, 16), TENANT, '490301234567', Buffer.from(KEY, 'hex').toString('base64')]
const shortKey = KEY.slice(2)

/** option -> wrong values; the message must name the option. */
const wrongValues = {
  directory: ['', 7, null, {}, ['/tmp']],
  store: [
    '',
    'not a url',
    '/var/lib/bucket',
    7,
    {},
    'ftp://host/path',
    `https://${KEY}@host/bucket`,
    'file://host/share',
    'file:///a%2Fb',
    's3://',
    `s3://${KEY}@bucket`,
    { kind: 'ftp' },
    { kind: 'directory' }
  ],
  mode: ['', 'remote', 'HYBRID', 7, true, null],
  encryptionKeys: [
    '',
    'short',
    shortKey,
    `${KEY}00`,
    `${shortKey}zz`,
    7,
    {},
    null,
    [],
    [KEY, 'short'],
    [KEY, KEY],
    [KEY, KEY.toUpperCase()],
    new Uint8Array(31),
    Buffer.alloc(33),
    [[KEY]],
    [Buffer.alloc(16)]
  ],
  encryption: ['', 'aes', true, false, null, 0],
  flushIntervalMs: [-1, 1.5, NaN, Infinity, '50', '1s', '-1', '', null, true, {}, 3_600_001],
  localDurability: ['', 'disk', true, null, 0],
  ownershipCheckIntervalMs: [0, 49, -1, 'soon', null, 600_001, 1e9],
  handoverTimeoutMs: [-1, 0.1, 'never', null, Infinity],
  closeTimeoutMs: [-1, 'x', null, 3_600_001],
  flushTimeoutMs: [-1, 'x', null, 3_600_001],
  onMissing: ['', 'fail', true, null],
  onLeaseLost: ['', 'ignore', false, null],
  hideTenantIds: ['true', 1, 0, null, ''],
  fresh: ['yes', 1, null],
  takeover: ['yes', 1, null],
  seedFromDisk: ['yes', 1, null],
  importFrom: ['', 1, null, 'a\0b'],
  acceptUnencrypted: ['yes', 1, null],
  allowPublicBucket: ['true', 1, null],
  maxConcurrentRequests: [0, -1, 1025, 1.5, 'many', null, '', true],
  caCertificate: ['', 7, null, {}, ['x'], '/nowhere/at/all.pem', 'a\nb', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
  initAuthCreds: ['x', {}, 7],
  BufferJSON: [{}, { replacer() {} }, 'x', 7],
  logger: ['x', {}, { info() {} }, 7, null, console.log]
}

function assertDiscreet(error, what) {
  const said = `${error.message}\n${error.stack}\n${error.cause?.stack ?? ''}\n${JSON.stringify(error)}`
  for (const secret of SECRETS) assert.ok(!said.includes(secret), `${what}: the message repeats a secret: ${error.message}`)
}

test('every wrong value of every option is refused with the name of the option', async (t) => {
  const at = scene(t)
  const store = { store: pathToFileURL(at.bucket).href, encryptionKeys: KEY }
  for (const [name, values] of Object.entries(wrongValues)) {
    for (const value of values) {
      const what = `${name}: ${typeof value === 'function' ? 'a function' : String(JSON.stringify(value) ?? value)}`
      const error = await rejection(
        hybrid
          .useHybridAuthState(TENANT, { directory: at.directory, ...store, [name]: value })
          .then((session) => session.close().then(() => assert.fail(`${what} was accepted`)))
      )
      assert.equal(error.code, 'INVALID_OPTION', `${what}: ${error.message}`)
      assert.ok(error instanceof hybrid.HybridAuthError, what)
      assert.ok(error.message.includes(name), `${what}: ${error.message}`)
      assertDiscreet(error, what)
    }
  }
  assert.equal(existsSync(at.directory), false, 'nothing was made on the disk')
  assert.equal(existsSync(join(at.bucket, 'v1')), false, 'nothing was made in the store')
})

test('tenant ids that are no text, or too long, are refused', async (t) => {
  const at = scene(t)
  for (const wrong of [undefined, null, '', 7, {}, ['a'], '\ud800', 'x'.repeat(513), 'ä'.repeat(257)]) {
    const error = await rejection(at.openLocal(wrong))
    assert.equal(error.code, 'INVALID_OPTION', String(wrong))
    assert.match(error.message, /tenant id/)
  }
  for (const good of ['x'.repeat(512), '..', '.', 'con', 'a/b', 'nul\0byte', '🦊', '__proto__', 'creds.json']) {
    const session = await at.openLocal(good)
    await session.saveCreds()
    await session.close()
    const again = await at.openLocal(good, { onMissing: 'error' })
    assert.deepEqual(again.state.creds.noiseKey, session.state.creds.noiseKey)
  }
})

test('options that nobody knows are refused by name, as are options that are no object', async (t) => {
  const at = scene(t)
  const misspelt = await rejection(at.openLocal(TENANT, { encryptionKey: KEY }))
  assert.deepEqual([misspelt.code, /`encryptionKey` is not an option/.test(misspelt.message)], ['INVALID_OPTION', true])
  assertDiscreet(misspelt, 'misspelt')
  for (const wrong of [null, 'x', 7, true])
    assert.equal((await rejection(hybrid.useHybridAuthState(TENANT, wrong))).code, 'INVALID_OPTION', String(wrong))
})

test('options that contradict each other are refused', async (t) => {
  const at = scene(t)
  const { directory } = at
  const store = pathToFileURL(at.bucket).href
  const contradictions = [
    [{ encryption: 'off', encryptionKeys: KEY }, /encryption.*encryptionKeys/],
    [{ mode: 'hybrid' }, /hybrid.*store/],
    [{ mode: 'cloud' }, /cloud.*store/],
    [{ directory: undefined, mode: 'cloud', store }, /encryptionKeys/],
    [{ mode: 'cloud', store, encryption: 'off' }, /`directory` does not apply.*`mode` is cloud/],
    [{ directory: undefined, mode: 'cloud', store, encryption: 'off', localDurability: 'os' }, /`localDurability` does not apply.*cloud/],
    [{ directory: undefined, mode: 'cloud', store, encryption: 'off', seedFromDisk: true }, /`seedFromDisk` does not apply.*hybrid/],
    [{ store }, /encryptionKeys/],
    [{ store, encryption: 'off', hideTenantIds: true }, /hideTenantIds.*encryptionKeys/]
  ]
  for (const [options, message] of contradictions) {
    const error = await rejection(hybrid.useHybridAuthState(TENANT, { directory, ...options }))
    assert.equal(error.code, 'INVALID_OPTION')
    assert.match(error.message, message)
    assertDiscreet(error, String(message))
  }
})

test('right values in every spelling are taken', async (t) => {
  const at = scene(t)
  const spellings = [
    { encryptionKeys: KEY },
    { encryptionKeys: ` ${KEY.toUpperCase()}\n` },
    { encryptionKeys: [KEY, OTHER_KEY] },
    { encryptionKeys: Buffer.from(KEY, 'hex') },
    { encryptionKeys: [new Uint8Array(Buffer.from(KEY, 'hex'))] },
    { store: pathToFileURL(at.bucket) },
    { flushIntervalMs: 50, ownershipCheckIntervalMs: 200 },
    { closeTimeoutMs: Infinity, flushTimeoutMs: 0 },
    { flushIntervalMs: undefined, store: at.replicated.store, logger: undefined }
  ]
  for (const spelling of spellings) {
    const session = await at.openReplicated('tenant', spelling)
    await session.saveCreds()
    await session.close()
  }
})

test('the environment configures a session, and options go before it', async (t) => {
  const root = temporaryFolder(t)
  const variables = {
    WHATSAPP_SESSION_PATH: join(root, 'sessions'),
    SESSION_STORAGE_PATH: join(root, 'ignored'),
    SESSION_BACKUP_STORE: `${pathToFileURL(join(root, 'bucket')).href}?create=true`,
    SESSION_ENCRYPTION_KEY: KEY,
    SESSION_BACKUP_INTERVAL_MS: '40',
    SESSION_STORAGE_TYPE: 'hybrid'
  }
  const told = (env, args = {}) => startProcess(t, openAndTell, args, { env }).said()
  assert.deepEqual(await told(variables), { store: 'ok', life: 'live' })
  assert.ok(existsSync(join(root, 'sessions', 'tenant')) && existsSync(join(root, 'bucket', 'v1')) && !existsSync(join(root, 'ignored')))
  assert.deepEqual(await told({ ...variables, SESSION_STORAGE_TYPE: 'local', WHATSAPP_SESSION_PATH: '' }), { store: 'none', life: 'live' })
  assert.ok(existsSync(join(root, 'ignored', 'tenant')))
  assert.deepEqual(await told(variables, { options: { directory: join(root, 'mine'), mode: 'local' } }), { store: 'none', life: 'live' })
  assert.ok(existsSync(join(root, 'mine', 'tenant')))

  for (const [name, value] of [
    ['SESSION_ENCRYPTION_KEY', shortKey],
    ['SESSION_BACKUP_INTERVAL_MS', 'often'],
    ['SESSION_STORAGE_TYPE', 's3'],
    ['SESSION_BACKUP_STORE', 'bucket']
  ]) {
    const { code, message } = await told({ ...variables, [name]: value })
    assert.equal(code, 'INVALID_OPTION')
    assert.ok(message.includes(name), message)
    assertDiscreet({ message, stack: '' }, name)
  }
})

test('a variable switches to cloud without a change of the code, and what that has no use for is said once', async (t) => {
  const root = temporaryFolder(t)
  const variables = {
    SESSION_STORAGE_TYPE: 'cloud',
    SESSION_BACKUP_STORE: `${pathToFileURL(join(root, 'bucket')).href}?create=true`,
    SESSION_ENCRYPTION_KEY: KEY,
    SESSION_BACKUP_INTERVAL: '30',
    WHATSAPP_SESSION_PATH: join(root, 'by-variable')
  }
  const work = async ({ hybrid, args, say }) => {
    const warnings = []
    const logger = { warn: ({ event }, message) => event === 'fresh' || warnings.push(message) }
    const modes = []
    for (const tenant of ['a', 'b', 'a']) {
      const session = await hybrid.useHybridAuthState(tenant, { ...args.options, logger })
      await session.saveCreds()
      modes.push(session.status().mode)
      await session.close()
    }
    await say({ modes, warnings })
  }
  const told = (options) => startProcess(t, work, { options }, { env: variables }).said()
  const modes = ['cloud', 'cloud', 'cloud']
  assert.deepEqual(await told({}), { modes, warnings: [] })
  const said = ['`directory` is not used: SESSION_STORAGE_TYPE is cloud, which keeps nothing on the disk']
  assert.deepEqual(await told({ directory: join(root, 'by-option') }), { modes, warnings: said })
  assert.ok(!existsSync(join(root, 'by-option')) && !existsSync(join(root, 'by-variable')))
})

async function openAndTell({ hybrid, args, say }) {
  const answer = await hybrid.useHybridAuthState('tenant', args.options).then(
    async (session) => {
      await session.saveCreds()
      const { store, life } = session.status()
      await session.close()
      return { store, life }
    },
    ({ code, message }) => ({ code, message })
  )
  await say(answer)
}

test('refusals of every kind keep keys, contents and tenant ids to themselves', async (t) => {
  const at = scene(t)
  const session = await at.openReplicated(TENANT)
  await session.saveCreds()
  const errors = [
    await rejection(session.state.keys.set({ session: { [TENANT]: 10n } })),
    await rejection(session.state.keys.set({ 'sender-key': { [TENANT.padEnd(5000, 'x')]: 1 } })),
    await rejection(at.openReplicated(TENANT, { store: `${at.replicated.store}-other` })),
    await rejection(session.exportMultiFile(''))
  ]
  await session.close()
  errors.push(
    await rejection(session.saveCreds()),
    await rejection(at.openReplicated(TENANT, { encryptionKeys: OTHER_KEY })),
    await rejection(at.open(TENANT, { ...at.elsewhere(), encryptionKeys: OTHER_KEY })),
    await rejection(at.open(TENANT, { ...at.elsewhere(), store: pathToFileURL(join(at.root, 'empty')).href, onMissing: 'error' })),
    await rejection(session.exportMultiFile(join(at.root, 'x')))
  )
  for (const error of errors) assertDiscreet(error, error.code)
})
