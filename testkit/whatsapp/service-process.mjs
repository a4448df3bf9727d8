// A small service in a process of its own: one tenant, one socket, what the README says to do about its events, and nothing else.
//
// Invariant: the parent sees what a user of the service would (states, messages), and the process may be killed at any time: it
// holds nothing that the session does not. It reconnects as services do, except after 401 (delete) and 440 (stop).

import { subscribe } from 'node:diagnostics_channel'
import { lines } from '../baileys/lines.mjs'
import { hybrid } from '../processes/sessions.mjs'
import { quietLibsignal, silentLogger } from '../world/baileys.mjs'
import { trust } from './certificates.mjs'
import { deriveKeysAtOnce } from './prompt-keys.mjs'

const { line: name, url, rootKey, tenant, options } = JSON.parse(process.argv[2])
const tell = (event, details = {}) => process.send({ event, ...details })

/** Every host that this process connects to, or looks up, from before Baileys is loaded. */
const hosts = new Set()
subscribe('net.client.socket', ({ socket }) => {
  socket.on('lookup', (error, address, family, host) => hosts.add(host))
  socket.on('connectionAttempt', (address) => hosts.add(address))
})

// Baileys does not wait for all that it begins: what is left over of a socket or a session that ended is no fault.
process.on('unhandledRejection', (error) => {
  if (!error?.isBoom && !['FENCED', 'CLOSED'].includes(error?.code)) throw error
  tell('left over', { message: error.message })
})

quietLibsignal()
deriveKeysAtOnce()
const baileys = await lines.find((line) => line.name === name).load()
trust(baileys, Buffer.from(rootKey, 'hex'))
const { makeWASocket, DisconnectReason } = baileys
let session
let sock

const textOf = ({ message }) => message?.conversation || message?.extendedTextMessage?.text
// A message that could not be decrypted has no content but a reason.
const isMessage = (message) => textOf(message) || message.messageStubParameters?.length > 0

function connect() {
  sock = makeWASocket({ auth: session.state, waWebSocketUrl: url, logger: silentLogger, shouldSyncHistoryMessage: () => false })
  sock.ev.on('creds.update', session.saveCreds)
  sock.ev.on('connection.update', onUpdate)
  sock.ev.on('messages.upsert', ({ messages, type }) => {
    for (const message of messages.filter(isMessage)) {
      const {
        key: { id, remoteJid, fromMe },
        messageStubParameters
      } = message
      tell('message', { id, chat: remoteJid, fromMe, type, text: textOf(message), failure: messageStubParameters?.[0] })
    }
  })
}

async function onUpdate({ connection, qr, lastDisconnect }) {
  if (qr) tell('qr', { qr })
  if (connection === 'open') tell('open', { me: session.state.creds.me })
  if (connection !== 'close') return
  const code = lastDisconnect?.error?.output?.statusCode
  tell('close', { code, message: lastDisconnect?.error?.message })
  if (code === DisconnectReason.loggedOut) {
    await session.delete()
    tell('deleted')
  } else if (code !== DisconnectReason.connectionReplaced && code !== undefined) connect()
}

const commands = {
  open: async () => {
    session = await hybrid.useHybridAuthState(tenant, { ...options, baileys })
    session.on('fenced', () => tell('fenced'))
    return session.status().restored
  },
  connect: () => connect(),
  send: async ({ to, text }) => (await sock.sendMessage(`${to}@s.whatsapp.net`, { text })).key.id,
  flush: () => session.flush(),
  hosts: () => [...hosts],
  // What a store that loses things does to a device.
  forgetSessions: async () => {
    const forgotten = {}
    for await (const id of session.state.keys.listIds('session')) forgotten[id] = null
    await sock.authState.keys.set({ session: forgotten })
  },
  // The way a service ends: the socket first, so that nothing is written after the session is closed.
  close: async () => {
    sock?.ev.removeAllListeners('connection.update')
    await sock?.end()
    await session.close()
  }
}

process.on('message', async ({ id, command, args }) => {
  try {
    process.send({ answers: id, result: await commands[command](args) })
  } catch (error) {
    process.send({ answers: id, error: { code: error.code, message: error.message } })
  }
})
process.on('disconnect', () => process.exit())
tell('ready')
