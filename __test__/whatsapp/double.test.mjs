// The double of WhatsApp's server checks what the server and the phone check, and a client can refuse it: what the other tests of
// this folder say rests on that.

import test from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import WebSocket from 'ws'
import { atEnd } from '../../testkit/base/endings.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { ROOT, scene, startProcess } from '../../testkit/processes/sessions.mjs'
import { trust } from '../../testkit/whatsapp/double.mjs'
import { deriveKeysAtOnce } from '../../testkit/whatsapp/prompt-keys.mjs'
import { isSigned } from '../../testkit/whatsapp/signatures.mjs'
import { Service, whatsAppFor } from '../../testkit/whatsapp/service.mjs'
import { quietLibsignal, silentLogger } from '../../testkit/world/baileys.mjs'
import { memoryState } from '../../testkit/world/memory-state.mjs'
import { chosen } from '../support/size.mjs'

quietLibsignal()
deriveKeysAtOnce()

const PHONE = '4915550000001'
const [v7] = lines

/** A socket in this process; `when` resolves with the first update that `isWanted`, also one that has come already. */
function connect(t, baileys, whatsapp, auth = memoryState(baileys)) {
  const sock = baileys.makeWASocket({ auth: auth.state, waWebSocketUrl: whatsapp.url, logger: silentLogger })
  sock.ev.on('creds.update', auth.saveCreds)
  const updates = []
  const waiting = []
  sock.ev.on('connection.update', (update) => {
    updates.push(update)
    for (const { isWanted, resolve } of waiting) if (isWanted(update)) resolve(update)
  })
  const when = (isWanted) =>
    new Promise((resolve) => {
      const found = updates.find(isWanted)
      if (found) resolve(found)
      else waiting.push({ isWanted, resolve })
    })
  atEnd(t, () => sock.end())
  const closed = async () => {
    const {
      lastDisconnect: { error }
    } = await when(({ connection }) => connection === 'close')
    return { code: error.output?.statusCode, message: error.message }
  }
  return { sock, auth, updates, closed, qr: async () => (await when(({ qr }) => qr)).qr }
}

/** Trusts a double until the test ends. */
function trusting(t, baileys, whatsapp) {
  atEnd(t, trust(baileys, whatsapp.rootKey))
}

/** A QR code with one part changed: 1 is the noise key, 2 the identity, 3 the secret. */
function withOther(qr, part, bytes = Buffer.alloc(32, 7)) {
  const parts = qr.split(',')
  parts[part] = bytes.toString('base64')
  return parts.join(',')
}

for (const line of chosen(lines, (line) => line === v7)) {
  test(`${line.name}: a device refuses a phone that does not have the secret of its QR code, and is not linked`, async (t) => {
    const baileys = await line.load()
    const whatsapp = await whatsAppFor(t)
    trusting(t, baileys, whatsapp)
    const client = connect(t, baileys, whatsapp)
    const qr = await client.qr()
    await assert.rejects(whatsapp.scan(withOther(qr, 3), { phone: PHONE }), /closed the connection/)
    assert.match((await client.closed()).message, /Invalid account signature/)
    assert.equal(whatsapp.devices.size, 0)
    assert.equal(client.auth.state.creds.me, undefined)
    await assert.rejects(whatsapp.scan(qr, { phone: PHONE }), /no connection waits/)
  })

  test(`${line.name}: a phone refuses a QR code that shows other keys than its device`, async (t) => {
    const baileys = await line.load()
    const whatsapp = await whatsAppFor(t)
    trusting(t, baileys, whatsapp)
    const qr = await connect(t, baileys, whatsapp).qr()
    for (const part of [1, 2]) await assert.rejects(whatsapp.scan(withOther(qr, part), { phone: PHONE }), /other keys/)
    assert.match((await whatsapp.scan(qr, { phone: PHONE })).jid, /^4915550000001:1@s\.whatsapp\.net$/)
  })

  test(`${line.name}: the server refuses credentials of strangers with 401`, async (t) => {
    const baileys = await line.load()
    const whatsapp = await whatsAppFor(t)
    trusting(t, baileys, whatsapp)
    const client = connect(t, baileys, whatsapp)
    const { jid, lid } = await whatsapp.scan(await client.qr(), { phone: PHONE })
    assert.equal((await client.closed()).code, 515)
    const claims = {
      'a paired device': jid,
      'another device of the account': jid.replace(':1@', ':2@'),
      'an account that is not there': '4930999:1@s.whatsapp.net'
    }
    for (const [what, id] of Object.entries(claims)) {
      const stranger = memoryState(baileys)
      Object.assign(stranger.state.creds, { ...client.auth.state.creds, noiseKey: stranger.state.creds.noiseKey, me: { id, lid } })
      assert.equal((await connect(t, baileys, whatsapp, stranger).closed()).code, 401, `with another noise key, as ${what}`)
    }
    for (const what of Object.keys(claims).slice(1)) {
      const stranger = memoryState(baileys, client.auth.dump())
      stranger.state.creds.me = { id: claims[what], lid }
      assert.equal((await connect(t, baileys, whatsapp, stranger).closed()).code, 401, `with the right noise key, as ${what}`)
    }
  })

  test(`${line.name}: a client refuses a certificate of another issuer`, async (t) => {
    const baileys = await line.load()
    const whatsapp = await whatsAppFor(t, { issuerSerial: 1 })
    trusting(t, baileys, whatsapp)
    const client = connect(t, baileys, whatsapp)
    assert.deepEqual(await client.closed(), { code: 400, message: 'certification match failed' })
    assert.deepEqual(
      client.updates.filter(({ qr }) => qr),
      []
    )
  })
}

for (const line of chosen(lines, (line) => line === v7)) {
  test(`${line.name}: the double knows a signature of this line, and refuses it for other words, with other bytes and of another key`, async () => {
    const { Curve } = await line.load()
    // Both signs of the Edwards point come up.
    for (let n = 0; n < 20; n++) {
      const [signer, other] = [Curve.generateKeyPair(), Curve.generateKeyPair()]
      const words = Buffer.from(`words ${n}`)
      const signature = Buffer.from(Curve.sign(signer.private, words))
      assert.equal(isSigned(signer.public, words, signature), true)
      assert.equal(isSigned(signer.public, Buffer.from('other words'), signature), false)
      assert.equal(isSigned(other.public, words, signature), false)
      for (const at of [0, 31, 32, 63]) {
        const changed = Buffer.from(signature)
        changed[at] ^= 1
        assert.equal(isSigned(signer.public, words, changed), false, `byte ${at}`)
      }
    }
  })
}

test(`${v7.name}: the chain that the double shows goes back to the root that a client was told to trust, until it is told otherwise`, async (t) => {
  const baileys = await v7.load()
  const whatsapp = await whatsAppFor(t)
  const { CertChain } = baileys.proto
  const serverKey = Buffer.alloc(32, 9)
  const { leaf, intermediate } = CertChain.decode(whatsapp.authority.chainFor(serverKey))
  const [ofLeaf, ofMiddle] = [leaf, intermediate].map(({ details }) => CertChain.NoiseCertificate.Details.decode(details))
  const former = baileys.WA_CERT_DETAILS.PUBLIC_KEY
  const undo = trust(baileys, whatsapp.rootKey)
  assert.ok(isSigned(baileys.WA_CERT_DETAILS.PUBLIC_KEY, intermediate.details, intermediate.signature))
  assert.ok(isSigned(ofMiddle.key, leaf.details, leaf.signature))
  assert.deepEqual(Buffer.from(ofLeaf.key), serverKey)
  assert.equal(ofMiddle.issuerSerial, baileys.WA_CERT_DETAILS.SERIAL)
  undo()
  assert.equal(baileys.WA_CERT_DETAILS.PUBLIC_KEY, former)
  assert.equal(isSigned(former, intermediate.details, intermediate.signature), false)
})

test('a program that is started with the preload trusts the root in the variable, and without the variable that of WhatsApp', async (t) => {
  const key = 'ab'.repeat(32)
  const nodeOptions = ['--import', new URL('../../testkit/whatsapp/trust.mjs', import.meta.url).href]
  const program = async ({ say }) => {
    const { WA_CERT_DETAILS } = await import('baileys')
    await say(Buffer.from(WA_CERT_DETAILS.PUBLIC_KEY).toString('hex'))
    process.disconnect()
  }
  const trusts = (env) => startProcess(t, program, {}, { cwd: ROOT, env, nodeOptions }).said()
  assert.equal(await trusts({ WHATSAPP_DOUBLE_ROOT: key }), key)
  const { WA_CERT_DETAILS } = await v7.load()
  assert.equal(await trusts({ WHATSAPP_DOUBLE_ROOT: '' }), Buffer.from(WA_CERT_DETAILS.PUBLIC_KEY).toString('hex'))
})

test('what is no client of WhatsApp is cut, and the double goes on', async (t) => {
  const whatsapp = await whatsAppFor(t)
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n'),
    Buffer.from([87, 65, 6, 9, 0, 0, 1, 0]),
    Buffer.from([87, 65, 6, 3, 0, 0, 2, 255, 255])
  ]) {
    const socket = new WebSocket(whatsapp.url)
    await once(socket, 'open')
    socket.send(bytes)
    await once(socket, 'close')
  }
  assert.equal(whatsapp.failures.length, 3)
  assert.match(whatsapp.failures[0].message, /not a client/)
  assert.match(whatsapp.failures[1].message, /no dictionary of version 9/)
  const baileys = await v7.load()
  trusting(t, baileys, whatsapp)
  assert.ok(await connect(t, baileys, whatsapp).qr())
})

for (const line of chosen(lines, (line) => line === v7)) {
  test(`${line.name}: a device whose session with a contact is gone cannot read it, and says so`, async (t) => {
    const whatsapp = await whatsAppFor(t)
    const service = await Service.run(t, { whatsapp, line: line.name, tenant: 'tenant', options: scene(t).replicated })
    const { jid } = await whatsapp.scan((await service.next('qr')).qr, { phone: PHONE })
    await service.next('open')
    const first = await whatsapp.send(jid, 'first', { from: '4915550000002' })
    await service.message(first.id)
    // An answer, so that the contact stops to send what opens a session anew.
    await service.call('send', { to: '4915550000002', text: 'answer' })
    await service.of(whatsapp.received('4915550000002'))
    await service.call('forgetSessions')
    const second = await whatsapp.send(jid, 'second', { from: '4915550000002' })
    assert.equal(await service.of(second.delivered), 'retry')
    const { text, failure } = await service.message(second.id)
    assert.equal(text, undefined)
    assert.ok(failure)
  })
}

// The 6.x lines keep 30 one-time keys at the server; 7 keeps hundreds.
for (const line of chosen(lines.slice(1), (line) => line === lines[1])) {
  test(`${line.name}: a device whose one-time keys run out is told so and uploads more, and every contact can write to it`, async (t) => {
    const whatsapp = await whatsAppFor(t)
    const service = await Service.run(t, { whatsapp, line: line.name, tenant: 'tenant', options: scene(t).replicated })
    const { jid } = await whatsapp.scan((await service.next('qr')).qr, { phone: PHONE })
    await service.next('open')
    const { account, id: device } = whatsapp.deviceAt(jid)
    const left = () => whatsapp.people.keys.remaining(account, device).map(({ id }) => id)
    const before = left()
    const newest = before.at(-1)
    for (let n = 0; left().at(-1) === newest; n++) {
      assert.ok(n < before.length, 'the device uploaded nothing')
      const { id, delivered } = await whatsapp.send(jid, `message ${n}`, { from: String(4915550001000 + n) })
      await service.message(id)
      assert.equal(await service.of(delivered), 'delivered')
    }
  })
}
