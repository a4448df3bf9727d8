// HybridAuth under a client that calls it as whatsapp-web.js does, with a real Chromium on a page of pairs.
//
// Invariants: what a client left is what the next one finds, on the same machine and on another; of two instances one browser runs, and
// the other deletes nothing; only a logout deletes. None of the hooks rejects where nobody awaits it: the runner fails a test for that.

import assert from 'node:assert/strict'
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { openBrowser, writePairs } from '../../testkit/browser/profile.mjs'
import { fingerprintsOf, rejection, until } from '../../testkit/processes/sessions.mjs'
import { clients, isLogout, objectsOf, pairsOf, whole } from '../../testkit/browser/whatsapp-web.mjs'
import { further, chosen } from '../support/size.mjs'

/** Starts a client whose session is in the store, with so many pairs. */
async function started(client, count) {
  await client.initialize()
  await writePairs(client.pupPage, { count })
  await client.destroy()
  await client.initialize()
}

test('a client that ends as it should leaves everything to the next machine', async (t) => {
  const { client } = await clients(t)
  const one = client('one')
  await one.initialize()
  await writePairs(one.pupPage, { count: 3 })
  await one.destroy()
  assert.deepEqual(
    one.news.filter((news) => news.startsWith('error')),
    []
  )
  const two = client('two')
  await two.initialize()
  assert.deepEqual(two.authStrategy.profile.restored, {
    source: 'remote',
    clean: true,
    generation: two.authStrategy.profile.restored.generation
  })
  assert.deepEqual(await pairsOf(two), whole(3))
})

further('on the same disk a killed client continues with its folder as it was left', async (t) => {
  const { client, folderOf } = await clients(t)
  const one = client('one')
  await started(one, 2)
  // What came after the last backup is on this disk alone.
  await writePairs(one.pupPage, { count: 3 })
  await one.kill()
  await one.authStrategy.destroy()
  // A volume that another container had: its browser's lock names another host.
  rmSync(join(folderOf('one'), 'SingletonLock'), { force: true })
  symlinkSync('another-host-4711', join(folderOf('one'), 'SingletonLock'))
  const again = client('one')
  await again.initialize()
  assert.equal(again.authStrategy.profile.restored.source, 'local')
  assert.deepEqual(await pairsOf(again), whole(5))
})

test('of two instances the older one loses its browser, and deletes nothing', async (t) => {
  const { client, at, folderOf } = await clients(t)
  const fenced = []
  const one = client('one', { onFenced: () => fenced.push('one') })
  await started(one, 3)
  const browser = one.pupBrowser.process()

  const two = client('two')
  await two.initialize()
  assert.deepEqual(await pairsOf(two), whole(3))
  await until(() => one.events.includes('disconnected FENCED'), 'the end of the older one')
  assert.equal(browser.signalCode ?? browser.exitCode, 'SIGKILL')
  assert.deepEqual(fenced, ['one'])
  assert.ok(existsSync(join(folderOf('one'), 'Default', 'IndexedDB')))
  // WhatsApp tells it of a conflict, and its application logs out and connects again.
  const before = objectsOf(at).filter((name) => /packs|segments|bases/.test(name))
  await one.changeState('CONFLICT')
  await one.authStrategy.logout()
  await one.destroy()
  assert.equal((await rejection(one.initialize())).code, 'FENCED')
  const after = objectsOf(at)
  assert.deepEqual(
    before.filter((name) => !after.includes(name)),
    []
  )
  await writePairs(two.pupPage, { count: 1 })
  await two.destroy()
  const three = client('one')
  await three.initialize()
  assert.deepEqual(await pairsOf(three), whole(4))
  assert.ok(readdirSync(join(folderOf('one'), '..')).some((name) => name.includes('.superseded-')))
})

further('an older instance that is not ready yet loses its browser too', async (t) => {
  const { client } = await clients(t)
  const one = client('one')
  await one.initialize({ isPaired: false })
  const browser = one.pupBrowser.process()
  const two = client('two')
  await two.initialize()
  await until(() => one.events.includes('disconnected FENCED'), 'the end of the older one')
  assert.equal(browser.signalCode ?? browser.exitCode, 'SIGKILL')
})

test('a conflict and a lost connection delete nothing', async (t) => {
  const { client, at } = await clients(t)
  for (const [n, state] of ['CONFLICT', 'UNLAUNCHED', 'PROXYBLOCK', 'TOS_BLOCK', 'SMB_TOS_BLOCK', 'DEPRECATED_VERSION'].entries()) {
    const one = client(n % 2 === 0 ? 'one' : 'two')
    await one.initialize()
    assert.deepEqual(await pairsOf(one), whole(n), state)
    await writePairs(one.pupPage)
    await one.changeState(state)
    assert.deepEqual(
      one.news.filter((news) => news.startsWith('error')),
      [],
      state
    )
  }
  assert.equal(isLogout(at), false)
})

for (const state of chosen(['UNPAIRED', 'UNPAIRED_IDLE'], (state) => state === 'UNPAIRED')) {
  test(`the state ${state} is a logout: nothing comes back, and the next start pairs anew`, async (t) => {
    const { client, at, folderOf } = await clients(t)
    const one = client('one')
    await started(one, 2)
    await one.changeState(state)
    assert.equal(isLogout(at), true, objectsOf(at).join())
    await until(() => !existsSync(folderOf('one')), 'the removal of the folder')
    assert.equal((await rejection(client('two', { onMissing: 'error' }).initialize())).code, 'DELETED')
    const two = client('two')
    await two.initialize({ isPaired: false })
    assert.equal(two.authStrategy.profile.restored.source, 'fresh')
    assert.deepEqual(await pairsOf(two), whole(0))
  })
}

test('a logout from the phone leaves the browser alone, and the session that is paired next is stored', async (t) => {
  const { client, at, folderOf } = await clients(t)
  const one = client('one')
  await started(one, 2)
  const browser = one.pupBrowser.process()
  const before = lstatSync(join(folderOf('one'), 'SingletonLock')).ino
  await one.loggedOutByPhone()
  assert.deepEqual(
    one.news.filter((news) => news.startsWith('error')),
    []
  )
  assert.equal(isLogout(at), true)
  assert.equal(browser.exitCode ?? browser.signalCode, null)
  assert.equal(lstatSync(join(folderOf('one'), 'SingletonLock')).ino, before)
  assert.deepEqual(await pairsOf(one), whole(2))
  await one.ready()
  await writePairs(one.pupPage, { count: 3 })
  await one.destroy()
  const two = client('two')
  await two.initialize()
  assert.deepEqual(await pairsOf(two), whole(5))
})

further('a logout from the phone before anything was ready leaves the browser alone too', async (t) => {
  const { client, folderOf } = await clients(t)
  const one = client('one')
  await one.initialize({ isPaired: false })
  await writePairs(one.pupPage)
  const before = lstatSync(join(folderOf('one'), 'SingletonLock')).ino
  await one.loggedOutByPhone()
  assert.equal(lstatSync(join(folderOf('one'), 'SingletonLock')).ino, before)
  await one.ready()
  await writePairs(one.pupPage)
  await one.destroy()
  const two = client('two')
  await two.initialize()
  assert.deepEqual(await pairsOf(two), whole(2))
})

test('a logout by the application ends with a new session on the next start of the same client', async (t) => {
  const { client, at, folderOf } = await clients(t)
  const one = client('one')
  await started(one, 2)
  await one.logout()
  assert.equal(isLogout(at), true)
  await one.initialize({ isPaired: false })
  assert.deepEqual(await pairsOf(one), whole(0))
  assert.ok(existsSync(folderOf('one')))
  await one.ready()
  await writePairs(one.pupPage)
  await one.destroy()
  const two = client('two')
  await two.initialize()
  assert.deepEqual(await pairsOf(two), whole(1))
})

test('a client that ends at once releases everything, at whatever moment', async (t) => {
  const { client } = await clients(t)
  for (const wait of [0, 5, 50, 500]) {
    const one = client('one')
    const started = one.initialize().then(
      () => 'started',
      ({ code, message }) => code ?? message
    )
    await new Promise((resolve) => setTimeout(resolve, wait))
    const ended = one.destroy()
    await Promise.all([started, ended])
    await one.destroy()
    assert.equal(one.authStrategy.profile, null)
  }
  const two = client('two')
  await two.initialize()
  assert.deepEqual(await pairsOf(two), whole(0))
})

test('a client that waits for its QR code backs nothing up', async (t) => {
  const { client, at } = await clients(t)
  const one = client('one')
  await one.initialize({ isPaired: false })
  await one.destroy()
  assert.deepEqual(
    objectsOf(at).filter((name) => name.includes('packs')),
    []
  )
  await one.initialize({ isPaired: false })
  await one.ready()
  await writePairs(one.pupPage)
  await one.destroy()
  assert.ok(objectsOf(at).some((name) => name.includes('packs')))
})

further('a profile of LocalAuth is adopted, and stays where it is', async (t) => {
  const { client, url, dataPathOf } = await clients(t)
  const original = join(dataPathOf('one'), 'session-shop-7')
  mkdirSync(dataPathOf('one'), { recursive: true })
  const browser = await openBrowser(t, original, url)
  await writePairs(browser.page, { count: 4 })
  const running = client('one')
  assert.equal((await rejection(running.initialize())).code, 'ALREADY_OPEN')
  await browser.close()
  const before = fingerprintsOf(original)
  const one = client('one')
  await one.initialize()
  assert.equal(one.authStrategy.profile.restored.source, 'imported')
  assert.deepEqual(await pairsOf(one), whole(4))
  await writePairs(one.pupPage)
  await one.destroy()
  assert.deepEqual(fingerprintsOf(original), before)
  const again = client('one')
  await again.initialize()
  assert.deepEqual(await pairsOf(again), whole(5))
  // A logout ends it, though the original is still there.
  await again.logout()
  await again.authStrategy.destroy()
  const last = client('one')
  await last.initialize({ isPaired: false })
  assert.deepEqual(await pairsOf(last), whole(0))
})

test('a folder that a logout could not remove is not taken for a session', async (t) => {
  const { client, url, folderOf } = await clients(t)
  const one = client('one')
  await one.initialize()
  await one.destroy()
  const copy = `${folderOf('one')}-copy`
  cpSync(folderOf('one'), copy, { recursive: true })
  const two = client('one')
  await two.initialize()
  await two.logout()
  await until(() => !existsSync(folderOf('one')), 'the removal of the folder')
  cpSync(copy, folderOf('one'), { recursive: true })
  const browser = await openBrowser(t, folderOf('one'), url)
  await writePairs(browser.page)
  await browser.close()
  const last = client('one')
  await last.initialize({ isPaired: false })
  assert.equal(last.authStrategy.profile.restored.source, 'fresh')
  assert.deepEqual(await pairsOf(last), whole(0))
})

test('a profile of RemoteAuth that is there is adopted as it is', async (t) => {
  const { client, url, folderOf, dataPathOf } = await clients(t)
  mkdirSync(dataPathOf('one'), { recursive: true })
  const browser = await openBrowser(t, folderOf('one'), url)
  await writePairs(browser.page, { count: 2 })
  await browser.close()
  cpSync(folderOf('one'), join(dataPathOf('one'), 'session-shop-7'), { recursive: true })
  const one = client('one')
  await one.initialize()
  assert.equal(one.authStrategy.profile.restored.source, 'imported')
  assert.deepEqual(await pairsOf(one), whole(2))
})

test('an outage at the start is an error, and deletes nothing', async (t) => {
  const { client, at, folderOf } = await clients(t)
  const one = client('one', { store: 'file:///nowhere/at/all' })
  mkdirSync(join(folderOf('one'), 'Default', 'IndexedDB'), { recursive: true })
  assert.match((await rejection(one.initialize())).code, /^(REMOTE_|INVALID_OPTION)/)
  assert.ok(existsSync(join(folderOf('one'), 'Default', 'IndexedDB')))
  assert.deepEqual(objectsOf(at), [])
})
