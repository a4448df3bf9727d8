// The connection handler of the guide, with real sessions and sockets that end when they are told to.
//
// Invariant guarded: whoever copies it reconnects when the session is good, and never when that would throw another one out or bring
// back a dead account.

import test from 'node:test'
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DisconnectReason } from 'baileys'
import { hybrid, rejection, scene, temporaryFolder, until } from '../../testkit/processes/sessions.mjs'
import { read, root } from './repository.mjs'

const sockets = []

/** A socket as far as the guide uses one. */
globalThis.makeSocketOfTheGuide = ({ auth }) => {
  const socket = { auth, ev: new EventEmitter(), ended: false, end: () => (socket.ended = true) }
  socket.close = (statusCode) =>
    socket.ev.emit('connection.update', { connection: 'close', lastDisconnect: { error: { output: { statusCode } } } })
  sockets.push(socket)
  return socket
}

async function guide(t) {
  const [, block] = read('docs/guides/connection.md').match(/^```js\n([\s\S]*?)^```$/m)
  const text = block
    .replace(
      "import { DisconnectReason, makeWASocket } from 'baileys'",
      `import { DisconnectReason } from 'baileys'\nconst makeWASocket = globalThis.makeSocketOfTheGuide`
    )
    .replace("'baileys-hybrid-auth'", JSON.stringify(pathToFileURL(join(root, 'index.js')).href))
    .replaceAll("from 'baileys'", `from ${JSON.stringify(import.meta.resolve('baileys'))}`)
  const file = join(temporaryFolder(t), 'guide.mjs')
  writeFileSync(file, text)
  sockets.length = 0
  return (await import(pathToFileURL(file).href)).run
}

test('it connects again with the same state when the session is good, and stores what the sockets change', async (t) => {
  const at = scene(t)
  const end = await (await guide(t))('tenant', { ...at.local, onMissing: 'create' })
  sockets[0].auth.creds.me = { id: 'paired' }
  sockets[0].ev.emit('creds.update', {})
  sockets[0].close(DisconnectReason.restartRequired)
  assert.equal(sockets.length, 2)
  sockets[1].close(DisconnectReason.timedOut)
  await until(() => sockets.length === 3, 'another socket')
  assert.equal(sockets[2].auth, sockets[0].auth)
  await end()
  assert.ok(sockets[2].ended)
  sockets[2].close(DisconnectReason.timedOut)
  const again = await at.openLocal('tenant', { onMissing: 'error' })
  assert.equal(again.state.creds.me.id, 'paired')
  assert.equal(sockets.length, 3)
})

test('it does not connect again where another program has the account, and lets go of the session', async (t) => {
  const at = scene(t)
  await (
    await guide(t)
  )('tenant', { ...at.local, onMissing: 'create' })
  sockets[0].ev.emit('creds.update', {})
  sockets[0].close(DisconnectReason.connectionReplaced)
  assert.ok(sockets[0].ended)
  assert.equal(sockets.length, 1)
  await (await at.openLocal('tenant', { onMissing: 'error' })).close()
})

test('it deletes an account that was logged out', async (t) => {
  const at = scene(t)
  await (
    await guide(t)
  )('tenant', { ...at.replicated, onMissing: 'create', fresh: true })
  sockets[0].ev.emit('creds.update', {})
  sockets[0].close(DisconnectReason.loggedOut)
  const fleet = new hybrid.HybridAuth(at.replicated)
  await until(async () => (await fleet.survey()).some(({ owner }) => owner === 'deleted'), 'the deletion')
  assert.equal((await rejection(at.openReplicated('tenant'))).code, 'DELETED')
  assert.equal(sockets.length, 1)
})

test('it ends when a newer instance runs the account', async (t) => {
  const at = scene(t)
  await (
    await guide(t)
  )('tenant', { ...at.replicated, onMissing: 'create', fresh: true })
  sockets[0].ev.emit('creds.update', {})
  await at.open('tenant', { ...at.elsewhere(), onMissing: 'create' })
  await until(() => sockets[0].ended, 'its end')
  assert.equal(sockets.length, 1)
})

test('a session that is missing is an error, and no new identity', async (t) => {
  const at = scene(t)
  const run = await guide(t)
  assert.equal((await rejection(run('tenant', at.local))).code, 'NOT_FOUND')
  assert.equal(sockets.length, 0)
})
