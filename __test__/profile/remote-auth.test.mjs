// The real RemoteAuth of six versions of whatsapp-web.js over RemoteAuthStore, with a profile of a real Chromium.
//
// Invariants: each version stores and restores the same files, wherever it runs and whatever it calls its session; a damaged zip, an
// outage and a second instance cost nothing that was stored; `save` and `delete` never reject.

import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from '../../testkit/base/missing.mjs'
import { contentsOf, fingerprintsOf, rejection, scene, temporaryFolder, until } from '../../testkit/processes/sessions.mjs'
import { VERSIONS, load, optionsOf, whatsappWeb } from '../../testkit/browser/whatsapp-web.mjs'
import { keptOf, makeProfiles } from '../../testkit/browser/wwebjs-sessions.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { chosen, spread } from '../support/size.mjs'

const { RemoteAuthStore } = whatsappWeb
/** A profile with pairs, and the same with more of them: made once by a real browser. */
let profiles
before(async (t) => {
  profiles = await makeProfiles(t)
})

/** A machine with the real RemoteAuth of a version over a store of its own; `options` are those of the store. */
function machine(t, at, version, name, options = {}) {
  const dataPath = join(at.root, name, 'auth')
  mkdirSync(dataPath, { recursive: true })
  const errors = []
  const store = new RemoteAuthStore({
    ...optionsOf(at),
    dataPath,
    onError: (error, { session }) => errors.push(`${session} ${error.code}`),
    ...options
  })
  atEnd(t, () => store.close().catch(() => {}))
  const events = []
  const start = () => {
    const auth = new (load(version).RemoteAuth)({ clientId: 'c1', dataPath, store, backupSyncIntervalMs: 60_000 })
    auth.setup({ options: { puppeteer: {} }, emit: (event) => events.push(event) })
    atEnd(t, () => auth.destroy())
    return auth
  }
  return { dataPath, store, errors, events, start }
}

/** Puts a profile where a browser would have left it. */
function putProfile(auth, profile) {
  rmSync(auth.userDataDir, { recursive: true, force: true })
  cpSync(profile, auth.userDataDir, { recursive: true })
}

/** RemoteAuth's restore ends before its last file is complete. */
const restored = (auth, profile) =>
  until(() => JSON.stringify(keptOf(auth.userDataDir)) === JSON.stringify(keptOf(profile)), 'the restored profile')

/** Runs in another working directory, as a service does. */
function elsewhere(t, folder) {
  const before = process.cwd()
  process.chdir(folder)
  atEnd(t, () => process.chdir(before))
}

const isNewest = (version) => version === VERSIONS.at(-1)

/** Versions that write their zip into the working directory. */
const IN_WORKING_DIRECTORY = ['1.23.0', '1.27.0', '1.34.4']

for (const version of chosen(VERSIONS, isNewest)) {
  test(`RemoteAuth ${version} stores a session and restores it on another machine, from a foreign working directory`, async (t) => {
    const at = scene(t)
    elsewhere(t, temporaryFolder(t, 'elsewhere'))
    const one = machine(t, at, version, 'one')
    const auth = one.start()
    await auth.beforeBrowserInitialized()
    assert.deepEqual(readdirSync(auth.userDataDir), [])
    putProfile(auth, profiles.first)
    await auth.storeRemoteSession({ emit: true })
    assert.deepEqual([one.events, one.errors], [['remote_session_saved'], []])
    putProfile(auth, profiles.second)
    await auth.storeRemoteSession()
    assert.deepEqual(one.errors, [])
    await one.store.close()

    const two = machine(t, at, version, 'two')
    const heir = two.start()
    await heir.beforeBrowserInitialized()
    await restored(heir, profiles.second)
    assert.deepEqual(two.errors, [])
    // Nothing is left of the zips, and nothing private of a session is.
    assert.deepEqual(readdirSync(process.cwd()), [])
    assert.deepEqual(readdirSync(join(two.dataPath, '.bha-remote-auth', 'RemoteAuth-c1')), [])
  })
}

for (const version of chosen(
  VERSIONS.filter((version) => !IN_WORKING_DIRECTORY.includes(version)),
  isNewest
)) {
  test(`RemoteAuth ${version} stores and restores from a working directory that nobody can write to`, async (t) => {
    const at = scene(t)
    const one = machine(t, at, version, 'one')
    const two = machine(t, at, version, 'two')
    elsewhere(t, '/proc')
    const auth = one.start()
    await auth.beforeBrowserInitialized()
    putProfile(auth, profiles.first)
    await auth.storeRemoteSession()
    assert.deepEqual(one.errors, [])
    await one.store.close()
    const heir = two.start()
    await heir.beforeBrowserInitialized()
    await restored(heir, profiles.first)
  })
}

test('a version after another finds the session of the one before it', async (t) => {
  const at = scene(t)
  elsewhere(t, temporaryFolder(t, 'elsewhere'))
  let profile = 'first'
  for (const [n, version] of spread(VERSIONS, 2).entries()) {
    const { store, errors, start } = machine(t, at, version, `machine-${n}`)
    const auth = start()
    await auth.beforeBrowserInitialized()
    if (n > 0) await restored(auth, profiles[profile])
    profile = profile === 'first' ? 'second' : 'first'
    putProfile(auth, profiles[profile])
    await auth.storeRemoteSession()
    assert.deepEqual(errors, [])
    await store.close()
  }
})

/** A version for what is the same in all. */
const LATEST = '1.34.7'

async function stored(t, at, { profile = 'first', ...options } = {}) {
  const one = machine(t, at, LATEST, 'one', options)
  const auth = one.start()
  await auth.beforeBrowserInitialized()
  putProfile(auth, profiles[profile])
  await auth.storeRemoteSession()
  assert.deepEqual(one.errors, [])
  return { ...one, auth, zip: join(one.dataPath, 'RemoteAuth-c1.zip') }
}

test('a damaged or partial zip is reported, and never replaces a good generation', async (t) => {
  const at = scene(t)
  const { store, errors, auth, zip, dataPath } = await stored(t, at)
  await auth.compressSession()
  const whole = readFileSync(zip)
  const flipped = Buffer.from(whole)
  flipped[whole.length >> 1] ^= 1
  for (const bytes of [whole.subarray(0, whole.length >> 1), whole.subarray(0, 10), Buffer.alloc(0), flipped]) {
    writeFileSync(zip, bytes)
    await store.save({ session: 'RemoteAuth-c1' })
  }
  assert.deepEqual(errors, Array(4).fill('RemoteAuth-c1 LOCAL_CORRUPT'))

  // The zip is whole, and the database in it is not, as when a file went away during the copy.
  putProfile(auth, profiles.second)
  const database = join(auth.userDataDir, 'Default/IndexedDB')
  const leveldb = join(
    database,
    readdirSync(database).find((name) => name.endsWith('.leveldb'))
  )
  for (const name of readdirSync(leveldb).filter((name) => name.startsWith('MANIFEST'))) rmSync(join(leveldb, name))
  await auth.storeRemoteSession()
  assert.deepEqual(errors, Array(5).fill('RemoteAuth-c1 LOCAL_CORRUPT'))
  rmSync(zip, { force: true })
  await store.save({ session: 'RemoteAuth-c1' })
  assert.equal(errors.at(-1), 'RemoteAuth-c1 INVALID_OPTION')
  await store.close()

  const heir = machine(t, at, LATEST, 'two').start()
  await heir.beforeBrowserInitialized()
  await restored(heir, profiles.first)
  assert.deepEqual(readdirSync(join(dataPath, '.bha-remote-auth', 'RemoteAuth-c1')), [])
})

test('a zip of an earlier run is not stored over a newer session', async (t) => {
  const at = scene(t)
  const first = await stored(t, at, { profile: 'first' })
  await first.auth.compressSession()
  const old = readFileSync(first.zip)
  putProfile(first.auth, profiles.second)
  await first.auth.storeRemoteSession()
  await first.store.close()
  const folder = temporaryFolder(t, 'elsewhere')
  elsewhere(t, folder)
  writeFileSync(join(folder, 'RemoteAuth-c1.zip'), old)
  const two = machine(t, at, LATEST, 'two')
  assert.equal(await two.store.sessionExists({ session: 'RemoteAuth-c1' }), true)
  await two.store.save({ session: 'RemoteAuth-c1' })
  assert.deepEqual(two.errors, ['RemoteAuth-c1 INVALID_OPTION'])
  const heir = two.start()
  await heir.beforeBrowserInitialized()
  await restored(heir, profiles.second)
})

test('an outage is an error before RemoteAuth deletes its folder, and never a missing session', async (t) => {
  const at = scene(t)
  const { store, dataPath } = await stored(t, at)
  await store.close()
  const away = `${at.bucket}-away`
  renameSync(at.bucket, away)
  const two = machine(t, at, LATEST, 'two')
  const folder = join(two.dataPath, 'RemoteAuth-c1')
  cpSync(profiles.first, folder, { recursive: true })
  const before = fingerprintsOf(folder)
  const failure = await rejection(two.start().beforeBrowserInitialized())
  assert.match(failure.code, /^REMOTE_/)
  assert.deepEqual(fingerprintsOf(folder), before)

  // The machine of the session itself knows that there is one, and cannot restore it.
  const again = machine(t, at, LATEST, 'one')
  assert.equal(again.dataPath, dataPath)
  assert.match((await rejection(again.store.sessionExists({ session: 'RemoteAuth-c1' }))).code, /^REMOTE_/)
  renameSync(away, at.bucket)
  const heir = again.start()
  await until(
    () =>
      heir.beforeBrowserInitialized().then(
        () => true,
        () => false
      ),
    'the store'
  )
  await restored(heir, profiles.first)
})

test('a save during an outage resolves, and its zip reaches the store later', async (t) => {
  const at = scene(t)
  const { store, errors, auth, dataPath } = await stored(t, at, { flushTimeoutMs: 500 })
  const away = `${at.bucket}-away`
  renameSync(at.bucket, away)
  putProfile(auth, profiles.second)
  await auth.storeRemoteSession()
  assert.equal(errors.length, 1)
  assert.match(errors[0], /^RemoteAuth-c1 REMOTE_/)
  assert.match(readdirSync(join(dataPath, '.bha-remote-auth', 'RemoteAuth-c1')).join(), /^waiting-\d+\.zip$/)
  renameSync(away, at.bucket)
  await store.close()
  assert.deepEqual(readdirSync(join(dataPath, '.bha-remote-auth', 'RemoteAuth-c1')), [])
  const heir = machine(t, at, LATEST, 'two').start()
  await heir.beforeBrowserInitialized()
  await restored(heir, profiles.second)
})

test('a deletion is known everywhere, can be undone for a week, and is final with purge', async (t) => {
  const at = scene(t)
  const one = await stored(t, at)
  await one.auth.disconnect()
  assert.deepEqual(one.errors, [])
  assert.equal(existsSync(one.auth.userDataDir), false)
  assert.equal(await one.store.sessionExists({ session: 'RemoteAuth-c1' }), false)
  await one.store.close()
  const two = machine(t, at, LATEST, 'two')
  assert.equal(await two.store.sessionExists({ session: '/x/RemoteAuth-c1' }), false)
  await two.store.restoreDeleted({ session: 'RemoteAuth-c1' })
  assert.equal(await two.store.sessionExists({ session: 'RemoteAuth-c1' }), true)
  await two.store.close()
  const three = machine(t, at, LATEST, 'three', { purge: true })
  const heir = three.start()
  await heir.beforeBrowserInitialized()
  await restored(heir, profiles.first)
  await heir.logout()
  assert.deepEqual(three.errors, [])
  assert.equal(await three.store.sessionExists({ session: 'RemoteAuth-c1' }), false)
  assert.equal((await rejection(three.store.restoreDeleted({ session: 'RemoteAuth-c1' }))).code, 'NOT_FOUND')
  // A new session can be paired under the same name.
  await heir.beforeBrowserInitialized()
  putProfile(heir, profiles.second)
  await heir.storeRemoteSession()
  assert.deepEqual(three.errors, [])
  await three.store.close()
  const last = machine(t, at, LATEST, 'four').start()
  await last.beforeBrowserInitialized()
  await restored(last, profiles.second)
})

test('an instance that a newer one replaced neither stores nor deletes, and ends no process', async (t) => {
  const at = scene(t)
  const fenced = []
  const one = await stored(t, at, { onFenced: ({ session }) => fenced.push(session) })
  const two = machine(t, at, LATEST, 'two')
  const heir = two.start()
  await heir.beforeBrowserInitialized()
  await restored(heir, profiles.first)
  await until(() => fenced.length > 0, 'the fence')
  const before = contentsOf(join(at.bucket))
  putProfile(one.auth, profiles.second)
  await one.auth.storeRemoteSession()
  // WhatsApp tells the older instance of a conflict, on which RemoteAuth deletes.
  await one.auth.disconnect()
  assert.deepEqual(one.errors, ['RemoteAuth-c1 FENCED', 'RemoteAuth-c1 FENCED'])
  assert.deepEqual(fenced, ['RemoteAuth-c1'])
  assert.deepEqual(
    Object.keys(contentsOf(at.bucket)).filter((name) => !(name in before) && /packs|segments|bases/.test(name)),
    []
  )
  assert.equal((await rejection(one.store.extract({ session: 'RemoteAuth-c1', path: join(one.dataPath, 'x.zip') }))).code, 'FENCED')
  assert.equal(await two.store.sessionExists({ session: 'RemoteAuth-c1' }), true)
})

test('calls at the same time are one after another, and a closed store is an error', async (t) => {
  const at = scene(t)
  const { store, errors, auth } = await stored(t, at)
  await auth.compressSession()
  await Promise.all([
    store.save({ session: 'RemoteAuth-c1' }),
    store.save({ session: 'RemoteAuth-c1' }),
    store.sessionExists({ session: 'RemoteAuth-c1' })
  ])
  assert.deepEqual(errors, ['RemoteAuth-c1 INVALID_OPTION'], 'one zip is stored once')
  await store.close()
  assert.equal((await rejection(store.sessionExists({ session: 'RemoteAuth-c1' }))).code, 'CLOSED')
  await store.save({ session: 'RemoteAuth-c1' })
  assert.equal(errors.at(-1), 'RemoteAuth-c1 CLOSED')
})
