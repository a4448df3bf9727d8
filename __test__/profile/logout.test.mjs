// Logouts that the store did not take at once: they are made up for in the background, and never end what was paired since.
//
// Invariants: a logout is in the store as soon as that can be reached, while its profile is open; one that was withdrawn deletes nothing;
// the folder of a deleted profile goes, and nothing keeps the process alive.

import assert from 'node:assert/strict'
import { existsSync, renameSync } from 'node:fs'
import { test } from '../../testkit/base/missing.mjs'
import { writePairs } from '../../testkit/browser/profile.mjs'
import { rejection, until } from '../../testkit/processes/sessions.mjs'
import { clients, isLogout, objectsOf, pairsOf, whole } from '../../testkit/browser/whatsapp-web.mjs'

/** A client whose session is in the store, and that store out of reach until `back()`. */
async function outage(t) {
  const all = await clients(t)
  const { at, client } = all
  const one = client('one')
  await one.initialize()
  await writePairs(one.pupPage, { count: 2 })
  await one.destroy()
  await one.initialize()
  const away = `${at.bucket}-away`
  return { ...all, one, leave: () => renameSync(at.bucket, away), back: () => renameSync(away, at.bucket) }
}

const failures = ({ news }) => news.filter((told) => told.startsWith('error'))

test('logout_during_an_outage_reaches_the_store_when_that_is_back', async (t) => {
  const { one, at, client, folderOf, leave, back } = await outage(t)
  leave()
  assert.match((await rejection(one.logout())).code, /^REMOTE_/)
  back()
  assert.equal(isLogout(at), false)
  await until(() => isLogout(at), 'the logout in the store')
  await until(() => !existsSync(folderOf('one')), 'the removal of the folder')
  await until(() => one.authStrategy.profile === null, 'the end of the profile')
  assert.equal((await rejection(client('two', { onMissing: 'error' }).initialize())).code, 'DELETED')
  // The same client pairs anew.
  await one.initialize({ isPaired: false })
  assert.deepEqual(await pairsOf(one), whole(0))
})

test('end_of_a_client_tries_a_logout_once_more', async (t) => {
  const { one, at, client, leave, back } = await outage(t)
  leave()
  one.emit('change_state', 'UNPAIRED')
  await one.authStrategy.disconnect()
  assert.equal(failures(one).length, 1, failures(one).join())
  back()
  await one.authStrategy.destroy()
  assert.equal(isLogout(at), true, objectsOf(at).join())
  assert.equal((await rejection(client('two', { onMissing: 'error' }).initialize())).code, 'DELETED')
})

test('session_that_is_paired_in_the_same_browser_ends_a_logout_that_waits', async (t) => {
  const { one, at, client, leave, back } = await outage(t)
  const browser = one.pupBrowser.process()
  leave()
  await one.loggedOutByPhone()
  assert.equal(failures(one).length, 1, failures(one).join())
  // Paired again before the store is back: what waits must not delete it.
  await one.ready()
  back()
  await writePairs(one.pupPage)
  await one.authStrategy.profile.backup()
  assert.equal(browser.exitCode ?? browser.signalCode, null)
  await one.destroy()
  assert.equal(isLogout(at), false, objectsOf(at).join())
  const two = client('two')
  await two.initialize()
  assert.deepEqual(await pairsOf(two), whole(3))
})
