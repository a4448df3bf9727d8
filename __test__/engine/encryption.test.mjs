// Keys and names: rotation, wrong and missing keys, switching encryption on, and hidden tenant ids.
//
// Invariant guarded: without the key nothing opens and nothing changes, here or in the store, so that a mistake in the
// configuration of one instance costs no session; and the bucket learns no contents, nor the tenant where ids are hidden.

import test from 'node:test'
import assert from 'node:assert/strict'
import { contentsOf, fingerprintsOf, KEY, OTHER_KEY, rejection } from '../../testkit/processes/sessions.mjs'
import { fingerprintsIn, textsIn } from '../../testkit/stores/contents.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const SECRET = 'a message key that must not be readable anywhere'

async function store(at, options, tenant = 'tenant') {
  const session = await at.openReplicated(tenant, options)
  session.state.creds.me = { id: '490301234567:1@s.whatsapp.net', name: 'Somebody' }
  await session.saveCreds()
  await session.state.keys.set({
    session: { '490307654321.0': { key: SECRET } },
    'identity-key': { '490307654321.0': Buffer.from(SECRET) }
  })
  await session.close()
  return session
}

const holds = async (session) => {
  assert.equal(session.state.creds.me.name, 'Somebody')
  assert.deepEqual((await session.state.keys.get('session', ['490307654321.0']))['490307654321.0'], { key: SECRET })
}

test('keys are rotated by putting the new one first, and the old one can go after two opens', async (t) => {
  const at = await storeScene(t)
  await store(at, { encryptionKeys: KEY })
  for (const machine of [at.replicated, at.elsewhere()]) {
    for (let round = 0; round < 2; round++) {
      const session = await at.open('tenant', { ...machine, encryptionKeys: [OTHER_KEY, KEY], onMissing: 'error' })
      await holds(session)
      await session.state.keys.set({ 'device-list': { 1: [String(round)] } })
      await session.close()
    }
  }
  const withNewAlone = await at.open('tenant', { ...at.elsewhere(), encryptionKeys: OTHER_KEY, onMissing: 'error' })
  await holds(withNewAlone)
  await withNewAlone.close()
  const withOldAlone = await rejection(at.open('tenant', { ...at.elsewhere(), encryptionKeys: KEY }))
  assert.equal(withOldAlone.code, 'KEY_UNAVAILABLE')
})

test('on the machine that holds the log, a wrong or missing key changes nothing here and nothing in the store', async (t) => {
  const at = await storeScene(t)
  await store(at, { encryptionKeys: KEY })
  const [bucket, directory] = [await fingerprintsIn(at.bucket), fingerprintsOf(at.directory)]
  for (const keys of [{ encryptionKeys: OTHER_KEY }, { encryption: 'off', encryptionKeys: undefined }]) {
    assert.equal((await rejection(at.openReplicated('tenant', keys))).code, 'KEY_UNAVAILABLE')
    assert.deepEqual(await fingerprintsIn(at.bucket), bucket)
    assert.deepEqual(fingerprintsOf(at.directory), directory)
  }
  await holds(await at.openReplicated('tenant', { onMissing: 'error' }))
})

test('on a blank machine, a wrong or missing key changes nothing in the store', async (t) => {
  const at = await storeScene(t)
  await store(at, { encryptionKeys: KEY })
  const bucket = await fingerprintsIn(at.bucket)
  for (const keys of [{ encryptionKeys: OTHER_KEY }, { encryption: 'off', encryptionKeys: undefined }]) {
    assert.equal((await rejection(at.open('tenant', { ...at.elsewhere(), ...keys }))).code, 'KEY_UNAVAILABLE')
    assert.deepEqual(await fingerprintsIn(at.bucket), bucket)
  }
  await holds(await at.open('tenant', { ...at.elsewhere(), onMissing: 'error' }))
})

test('an instance with a wrong key does not take the session from the one that runs', async (t) => {
  const at = await storeScene(t)
  const running = await at.openReplicated('tenant')
  await running.saveCreds()
  await running.flush()
  const wrong = { ...at.elsewhere(), encryptionKeys: OTHER_KEY, takeover: true }
  assert.equal((await rejection(at.open('tenant', wrong))).code, 'KEY_UNAVAILABLE')
  for (let i = 0; i < 3; i++) {
    await running.state.keys.set({ session: { [i]: { i } } })
    await running.flush()
  }
  assert.equal(running.status().life, 'live')
})

test('a local session is sealed by its key as well', async (t) => {
  const at = await storeScene(t)
  const session = await at.openLocal('tenant', { encryptionKeys: KEY })
  await session.state.keys.set({ session: { a: { key: SECRET } } })
  await session.close()
  const before = contentsOf(at.directory)
  for (const content of Object.values(before)) assert.ok(!content.includes(SECRET))
  for (const keys of [{ encryptionKeys: OTHER_KEY }, {}]) {
    assert.equal((await rejection(at.openLocal('tenant', keys))).code, 'KEY_UNAVAILABLE')
    assert.deepEqual(contentsOf(at.directory), before)
  }
})

test('encryption can be switched on for a session that was stored in the clear, when told so', async (t) => {
  const at = await storeScene(t)
  const off = { encryption: 'off', encryptionKeys: undefined }
  await store(at, off)
  assert.ok((await at.bucket.list()).length > 0)
  assert.equal((await rejection(at.open('tenant', at.elsewhere()))).code, 'KEY_UNAVAILABLE')
  const machine = at.elsewhere()
  const session = await at.open('tenant', { ...machine, acceptUnencrypted: true, onMissing: 'error' })
  await holds(session)
  await session.close()
  const sealed = await at.open('tenant', { ...machine, onMissing: 'error' })
  await holds(sealed)
})

test('a local log that is not encrypted is taken where keys are configured only when told so, once', async (t) => {
  const at = await storeScene(t)
  const session = await at.openLocal('tenant')
  await session.saveCreds()
  await session.close()
  const before = contentsOf(at.directory)
  const keyed = { encryptionKeys: KEY }
  const refused = await rejection(at.openLocal('tenant', keyed))
  assert.equal(refused.code, 'KEY_UNAVAILABLE')
  assert.match(refused.message, /the local log is not encrypted although keys are configured; pass `acceptUnencrypted: true` once/)
  assert.deepEqual(contentsOf(at.directory), before)
  for (const options of [{ ...keyed, acceptUnencrypted: true }, keyed]) {
    const taken = await at.openLocal('tenant', { ...options, onMissing: 'error' })
    assert.equal(taken.state.creds.registrationId, session.state.creds.registrationId)
    await taken.close()
  }
})

test('a history without encryption that somebody lays above an encrypted one is not taken, whatever is accepted', async (t) => {
  const [at, elsewhere] = [await storeScene(t), await storeScene(t)]
  await store(at, { encryptionKeys: KEY })
  // More opens than the session had: its claims are higher.
  for (let epoch = 0; epoch < 4; epoch++) {
    const forger = await elsewhere.openReplicated('tenant', { encryption: 'off', encryptionKeys: undefined })
    forger.state.creds.me = { id: '49111:1@s.whatsapp.net', name: 'Forger' }
    await forger.saveCreds()
    await forger.close()
  }
  for (const name of await elsewhere.bucket.list()) await at.bucket.put(name, await elsewhere.bucket.get(name))
  const errors = []
  const onEvent = ({ event, error }) => event === 'error' && errors.push(error.message)
  const taken = await at.open('tenant', {
    ...at.elsewhere(),
    encryptionKeys: KEY,
    acceptUnencrypted: true,
    takeover: true,
    onMissing: 'error',
    onEvent
  })
  await holds(taken)
  await taken.state.keys.set({ 'device-list': { 1: ['2'] } })
  await taken.flush()
  assert.ok(
    errors.some((message) => /it was made without a key of this session/.test(message)),
    String(errors)
  )
  await taken.close()
  await holds(await at.open('tenant', { ...at.elsewhere(), encryptionKeys: KEY, onMissing: 'error' }))
})

test('neither the bucket nor the directory shows contents, contacts or keys', async (t) => {
  const at = await storeScene(t)
  const { state } = await store(at, { encryptionKeys: KEY })
  const needles = [SECRET, 'Somebody', '490301234567', '490307654321', 'identity-key', 'device-list', KEY]
  for (const bytes of [state.creds.noiseKey.private, state.creds.signedIdentityKey.private, Buffer.from(KEY, 'hex')]) {
    needles.push(...['latin1', 'hex', 'base64'].map((encoding) => bytes.toString(encoding)))
  }
  for (const contents of [await textsIn(at.bucket), contentsOf(at.directory)]) {
    assert.ok(Object.keys(contents).length > 0)
    for (const [name, content] of Object.entries(contents)) {
      for (const needle of needles) assert.ok(!name.includes(needle) && !content.includes(needle), name)
    }
  }
})

test('hidden tenant ids stand nowhere in the bucket, and a blank machine restores all the same', async (t) => {
  const at = await storeScene(t)
  const tenant = 'tenant-490301234567'
  const hidden = { hideTenantIds: true }
  await store(at, hidden, tenant)
  await store(at, { hideTenantIds: false }, 'shown')
  const escaped = ['490301234567', 'tenant', Buffer.from(tenant).toString('base64'), Buffer.from(tenant).toString('hex')]
  const seen = Object.entries(await textsIn(at.bucket))
  assert.ok(
    seen.some(([name]) => name.includes('shown')),
    'the search finds what is shown'
  )
  for (const [name, content] of seen) for (const needle of escaped) assert.ok(!name.includes(needle) && !content.includes(needle), name)
  const blank = await at.open(tenant, { ...at.elsewhere(), ...hidden, onMissing: 'error' })
  await holds(blank)
  await blank.close()
  const rotated = { encryptionKeys: [OTHER_KEY, KEY], ...hidden, onMissing: 'error' }
  await holds(await at.open(tenant, { ...at.elsewhere(), ...rotated }))
})
