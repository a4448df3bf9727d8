// `legacy`: the session of a client in another store of RemoteAuth, taken over by HybridAuth at its first start.
//
// Invariants: what the real RemoteAuth of each version saved is what the client starts with; a store that rejects, or a damaged zip, stops
// the start and costs nothing; the other store is never written.

import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from '../../testkit/base/missing.mjs'
import { readPairs } from '../../testkit/browser/profile.mjs'
import { contentsOf, fingerprintsOf, rejection, scene } from '../../testkit/processes/sessions.mjs'
import { SmallClient, objectsOf, optionsOf, whatsappWeb } from '../../testkit/browser/whatsapp-web.mjs'
import { FolderStore, damagedZips, keptOf, makeProfiles, saveWith, zipOf } from '../../testkit/browser/wwebjs-sessions.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { chosen } from '../support/size.mjs'

const { HybridAuth, HybridAuthError, RemoteAuthStore } = whatsappWeb

let profiles
before(async (t) => {
  profiles = await makeProfiles(t)
})

/** A machine whose RemoteAuth had a store, and HybridAuth over the bucket of a scene there. */
function machine(t, at, name = 'one') {
  const dataPath = join(at.root, name, 'auth')
  mkdirSync(dataPath, { recursive: true })
  const start = (options = {}) => {
    const authStrategy = new HybridAuth({ clientId: 'shop-7', dataPath, ...optionsOf(at), ...options })
    authStrategy.setup({ options: { puppeteer: {} }, on() {} })
    atEnd(t, () => authStrategy.destroy())
    return authStrategy
  }
  return { dataPath, folder: join(dataPath, 'RemoteAuth-shop-7'), start }
}

function otherStore(at) {
  return new FolderStore(join(at.root, 'other'))
}

for (const version of chosen(['1.23.0', '1.34.4', '1.34.5', '1.34.6'], (version) => version === '1.34.6')) {
  test(`what RemoteAuth ${version} saved in another store is taken over once, and stays there`, async (t) => {
    const at = scene(t)
    const store = otherStore(at)
    const { dataPath, folder, start } = machine(t, at)
    // Up to 1.34.4, RemoteAuth leaves its zip in the working directory.
    const before = process.cwd()
    process.chdir(dataPath)
    try {
      await saveWith(t, { version, store, dataPath, profile: profiles.first })
    } finally {
      process.chdir(before)
    }
    rmSync(folder, { recursive: true })
    const kept = contentsOf(store.folder)
    store.calls = []
    const one = start({ legacy: store })
    await one.beforeBrowserInitialized()
    assert.deepEqual(one.profile.restored, { source: 'imported', clean: true, generation: null })
    assert.deepEqual(keptOf(folder), keptOf(profiles.first))
    assert.equal(store.calls.filter((call) => call.startsWith('extract')).length, 1)
    await one.destroy()

    store.calls = []
    const again = start({ legacy: store })
    await again.beforeBrowserInitialized()
    assert.equal(again.profile.restored.source, 'local')
    await again.destroy()
    const two = machine(t, at, 'two').start({ legacy: store, onMissing: 'error' })
    await two.beforeBrowserInitialized()
    assert.equal(two.profile.restored.source, 'remote')
    assert.deepEqual(keptOf(two.profile.path), keptOf(profiles.first))
    assert.deepEqual(store.calls, [], 'it is asked once')
    assert.deepEqual(contentsOf(store.folder), kept)
    assert.deepEqual(
      readdirSync(dataPath).filter((name) => /legacy|proof|zip/.test(name)),
      []
    )
  })
}

test('a client with a browser goes on with the session of the other store', async (t) => {
  const at = scene(t)
  const store = otherStore(at)
  const { dataPath, folder } = machine(t, at)
  await saveWith(t, { store, dataPath, profile: profiles.second })
  rmSync(folder, { recursive: true })
  const authStrategy = new HybridAuth({ clientId: 'shop-7', dataPath, ...optionsOf(at), legacy: store })
  const client = new SmallClient(t, { authStrategy, url: profiles.url })
  await client.initialize()
  const { count, isEqual } = await readPairs(client.pupPage)
  assert.deepEqual([count, isEqual], [11, true])
})

test('of two zips under two names the newer one counts, and is never passed over if it is damaged', async (t) => {
  const at = scene(t)
  const store = otherStore(at)
  const { dataPath, folder, start } = machine(t, at)
  const [older, newer] = [join(at.root, 'older'), join(at.root, 'newer')]
  cpSync(profiles.first, older, { recursive: true })
  cpSync(profiles.second, newer, { recursive: true })
  const dated = async (profile, date) => {
    const zip = await zipOf(t, profile)
    // The date of each entry, in the directory.
    for (let n = zip.indexOf('PK\x01\x02', 0, 'latin1'); n !== -1; n = zip.indexOf('PK\x01\x02', n + 1, 'latin1'))
      zip.writeUInt32LE(date, n + 12)
    return zip
  }
  const [bare, path] = ['RemoteAuth-shop-7', folder]
  for (const [name, other] of [
    [bare, path],
    [path, bare]
  ]) {
    writeFileSync(store.pathOf(name), await dated(newer, 0x5c216000))
    writeFileSync(store.pathOf(other), await dated(older, 0x5c215fff))
    const fresh = machine(t, scene(t), 'fresh')
    const one = fresh.start({ legacy: store })
    // The path is that of the other machine, of which this one knows nothing.
    await one.beforeBrowserInitialized()
    assert.deepEqual(keptOf(one.profile.path), keptOf(name === bare ? profiles.second : profiles.first))
    await one.destroy()
    const here = start({ legacy: store, store: `file://${join(at.root, `bucket-${name === bare}`)}?create=true` })
    await here.beforeBrowserInitialized()
    assert.deepEqual(keptOf(folder), keptOf(profiles.second))
    await here.destroy()
    rmSync(folder, { recursive: true, force: true })
    rmSync(join(dataPath, '.bha'), { recursive: true, force: true })
  }
  const whole = readFileSync(store.pathOf(path))
  whole[whole.length >> 1] ^= 1
  writeFileSync(store.pathOf(bare), whole)
  writeFileSync(store.pathOf(path), await dated(older, 0x5c215fff))
  assert.equal((await rejection(start({ legacy: store }).beforeBrowserInitialized())).code, 'LOCAL_CORRUPT')
})

test('a damaged zip in the other store stops the start, and the session comes when it is repaired', async (t) => {
  const at = scene(t)
  const store = otherStore(at)
  const { dataPath, folder, start } = machine(t, at)
  await saveWith(t, { store, dataPath, profile: profiles.first })
  rmSync(folder, { recursive: true })
  const place = store.pathOf(folder)
  const whole = readFileSync(place)
  for (const [fault, bytes] of Object.entries(await damagedZips(t, whole, profiles.first))) {
    writeFileSync(place, bytes)
    const failure = await rejection(start({ legacy: store }).beforeBrowserInitialized())
    assert.deepEqual([failure instanceof HybridAuthError, failure.code], [true, 'LOCAL_CORRUPT'], fault)
    assert.equal(existsSync(folder), false, fault)
    assert.deepEqual(readFileSync(place), Buffer.from(bytes), fault)
  }
  writeFileSync(place, whole)
  const one = start({ legacy: store })
  await one.beforeBrowserInitialized()
  assert.deepEqual(keptOf(folder), keptOf(profiles.first))
})

test('a store that rejects, or writes nothing, stops the start with a typed error that holds none of its words', async (t) => {
  const at = scene(t)
  const store = otherStore(at)
  const { dataPath, folder, start } = machine(t, at)
  await saveWith(t, { store, dataPath, profile: profiles.first })
  rmSync(folder, { recursive: true })
  const away = `${store.folder}-away`
  renameSync(store.folder, away)
  const outage = await rejection(start({ legacy: store }).beforeBrowserInitialized())
  assert.deepEqual([outage.code, outage.cause.code, outage.message.includes(store.folder)], ['REMOTE_UNAVAILABLE', 'ENOENT', false])
  renameSync(away, store.folder)
  class Silent extends FolderStore {
    async extract() {}
  }
  assert.equal((await rejection(start({ legacy: new Silent(store.folder) }).beforeBrowserInitialized())).code, 'LOCAL_CORRUPT')
  class Throwing extends FolderStore {
    extract() {
      throw 'mongodb://user:hunter2@host'
    }
  }
  const thrown = await rejection(start({ legacy: new Throwing(store.folder) }).beforeBrowserInitialized())
  assert.deepEqual([thrown.code, thrown.message.includes('hunter2')], ['REMOTE_UNAVAILABLE', false])
  assert.equal(existsSync(folder), false)
  const one = start({ legacy: store })
  await one.beforeBrowserInitialized()
  assert.deepEqual(keptOf(folder), keptOf(profiles.first))
})

test('without a session anywhere a new profile begins, unless that is forbidden', async (t) => {
  const at = scene(t)
  const store = otherStore(at)
  const { folder, start } = machine(t, at)
  for (let n = 0; n < 2; n++) {
    assert.equal((await rejection(start({ legacy: store, onMissing: 'error' }).beforeBrowserInitialized())).code, 'NOT_FOUND')
    assert.equal(existsSync(folder), false)
  }
  const one = start({ legacy: store })
  await one.beforeBrowserInitialized()
  assert.equal(one.profile.restored.source, 'fresh')
})

test('with `onMissing: error` the session of the other store is taken over, since it is none that is new', async (t) => {
  const at = scene(t)
  const store = otherStore(at)
  const { dataPath, folder, start } = machine(t, at)
  await saveWith(t, { store, dataPath, profile: profiles.first })
  rmSync(folder, { recursive: true })
  const one = start({ legacy: store, onMissing: 'error' })
  await one.beforeBrowserInitialized()
  assert.equal(one.profile.restored.source, 'imported')
  assert.deepEqual(keptOf(folder), keptOf(profiles.first))
})

test('a profile on the disk goes before the other store, and a logout ends the session for both', async (t) => {
  const at = scene(t)
  const store = otherStore(at)
  const { dataPath, folder, start } = machine(t, at)
  await saveWith(t, { store, dataPath, profile: profiles.first })
  rmSync(folder, { recursive: true })
  cpSync(profiles.second, join(dataPath, 'session-shop-7'), { recursive: true })
  store.calls = []
  const one = start({ legacy: store })
  await one.beforeBrowserInitialized()
  assert.deepEqual(keptOf(folder), keptOf(profiles.second))
  await one.logout()
  await one.destroy()
  const two = machine(t, at, 'two').start({ legacy: store })
  await two.beforeBrowserInitialized()
  assert.equal(two.profile.restored.source, 'fresh')
  assert.deepEqual(store.calls, [])
})

test('a RemoteAuthStore over another bucket is such a store', async (t) => {
  const [at, old] = [scene(t), scene(t)]
  const { dataPath, folder, start } = machine(t, at)
  const store = new RemoteAuthStore({ ...optionsOf(old), dataPath: join(old.root, 'auth') })
  atEnd(t, () => store.close())
  await saveWith(t, { version: '1.34.7', store, dataPath: join(old.root, 'auth'), profile: profiles.first })
  const one = start({ legacy: store })
  await one.beforeBrowserInitialized()
  assert.deepEqual(fingerprintsOf(folder), keptOf(profiles.first))
  await one.destroy()
  assert.ok(objectsOf(at).some((name) => name.endsWith('.pack')))
  assert.deepEqual(readdirSync(dataPath).sort(), ['.bha', 'RemoteAuth-shop-7'])
})

test('a client that ends while the other store is asked releases everything', async (t) => {
  const at = scene(t)
  const { start } = machine(t, at)
  let asked = () => {}
  const isAsked = new Promise((resolve) => (asked = () => resolve()))
  class Hanging extends FolderStore {
    sessionExists() {
      asked()
      return new Promise(() => {})
    }
  }
  const one = start({ legacy: new Hanging(join(at.root, 'other')) })
  const failure = rejection(one.beforeBrowserInitialized())
  await isAsked
  await one.destroy()
  assert.equal((await failure).code, 'ABORTED')
  const two = machine(t, at, 'two').start()
  await two.beforeBrowserInitialized()
  assert.equal(two.profile.restored.source, 'fresh')
})

test('an option that is no store of RemoteAuth is an error', () => {
  for (const legacy of [null, 'mongodb://host', {}, { sessionExists() {} }, { extract() {} }])
    assert.throws(() => new HybridAuth({ legacy }), { code: 'INVALID_OPTION', message: /`legacy`/ })
})
