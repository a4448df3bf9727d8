// The life of a session as a service sees it, end to end: real sockets of every line, the double of WhatsApp's server, a session
// in a directory and a bucket. Everything that is encrypted here is decrypted by somebody else.
//
// Invariant guarded: a machine that has nothing but the bucket goes on as the device that was paired, for the server and for all
// contacts.

import test from 'node:test'
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { scene, until } from '../../testkit/processes/sessions.mjs'
import { Service, whatsAppFor } from '../../testkit/whatsapp/service.mjs'
import { chosen } from '../support/size.mjs'

const PHONE = '4915550000001'
const CONTACT = '4915550000002'
const OTHER = '4915550000003'

/** A session that was shown, scanned, paired and opened. */
async function pairedService(t, line, tenant = 'tenant') {
  const whatsapp = await whatsAppFor(t)
  // A session that is closed is stored, however long that takes here.
  const at = scene(t, { closeTimeoutMs: 60_000 })
  const how = { whatsapp, line: line.name, tenant, options: at.replicated }
  const service = await Service.run(t, how)
  const { qr } = await service.next('qr')
  const { jid } = await whatsapp.scan(qr, { phone: PHONE })
  assert.equal((await service.next('close')).code, 515)
  await service.next('open')
  return { whatsapp, at, how, service, jid }
}

/** A contact writes and gets an answer; both sides read what the other wrote. */
async function talk({ whatsapp, service, jid }, contact, words) {
  const { id, delivered } = await whatsapp.send(jid, `${words}?`, { from: contact })
  const { text, chat } = await service.message(id)
  assert.equal(text, `${words}?`)
  assert.equal(chat, `${contact}@s.whatsapp.net`)
  assert.equal(await service.of(delivered), 'delivered')
  const sent = await service.call('send', { to: contact, text: `${words}!` })
  for (const reader of [contact, PHONE]) {
    const received = await service.of(whatsapp.received(reader))
    assert.equal(received.text, `${words}!`, `read by ${reader}`)
    assert.equal(received.id, sent)
    assert.equal(received.from, jid)
  }
}

const undecryptable = (service) => service.all('message').filter(({ failure }) => failure)

for (const line of chosen(lines, (line) => line === lines[0])) {
  test(`${line.name}: a new session shows a QR code, is paired, restarts with 515, and opens`, async (t) => {
    const { whatsapp, service, jid, how } = await pairedService(t, line)
    assert.deepEqual(service.restored, { source: 'fresh', clean: true })
    assert.deepEqual(service.told.map(({ event, code }) => code ?? event).slice(0, 4), ['ready', 'qr', 515, 'open'])
    assert.equal(service.all('open')[0].me.id, jid)
    assert.ok(whatsapp.isOnline(jid))
    await talk({ whatsapp, service, jid }, CONTACT, 'before')
    await service.close()
    await until(() => !whatsapp.isOnline(jid), 'the end of its connection')
    const again = await Service.run(t, how)
    await again.next('open')
    assert.deepEqual(again.restored, { source: 'local', clean: true })
    await talk({ whatsapp, service: again, jid }, CONTACT, 'after')
    assert.deepEqual(await again.call('hosts'), ['127.0.0.1'], 'nothing leaves this machine')
    assert.deepEqual(whatsapp.unanswered, [])
    assert.deepEqual(whatsapp.failures, [])
  })

  test(`${line.name}: a restart of the server and a cut connection are survived by connecting again`, async (t) => {
    const { whatsapp, service, jid } = await pairedService(t, line)
    await talk({ whatsapp, service, jid }, CONTACT, 'before')
    await whatsapp.restart()
    assert.equal((await service.next('close')).code, 503)
    await service.next('open')
    whatsapp.drop(jid)
    assert.equal((await service.next('close')).code, 428)
    await service.next('open')
    await talk({ whatsapp, service, jid }, CONTACT, 'after')
    await whatsapp.replace(jid)
    assert.equal((await service.next('close')).code, 440)
    assert.deepEqual(undecryptable(service), [])
  })

  test(`${line.name}: a session that was closed opens from the bucket on a blank disk, without a QR code, and reads and writes on`, async (t) => {
    const { whatsapp, at, how, service, jid } = await pairedService(t, line)
    await talk({ whatsapp, service, jid }, CONTACT, 'before')
    await service.close()
    rmSync(at.directory, { recursive: true })
    const meanwhile = await whatsapp.send(jid, 'meanwhile', { from: CONTACT })
    const first = await whatsapp.send(jid, 'who are you?', { from: OTHER })
    const restored = await Service.run(t, how)
    assert.deepEqual(restored.restored, { source: 'remote', clean: true })
    await restored.next('open')
    assert.equal((await restored.message(meanwhile.id)).text, 'meanwhile')
    assert.equal((await restored.message(first.id)).text, 'who are you?')
    await talk({ whatsapp, service: restored, jid }, CONTACT, 'after')
    await talk({ whatsapp, service: restored, jid }, OTHER, 'hello')
    assert.equal(restored.all('message').filter(({ id }) => id === meanwhile.id).length, 1)
    assert.deepEqual(restored.all('qr'), [])
    assert.deepEqual(undecryptable(restored), [])
    assert.deepEqual(whatsapp.unanswered, [])
    assert.deepEqual(whatsapp.failures, [])
  })

  test(`${line.name}: a process that was killed and lost its disk is the same device after a restore, with nothing undecryptable`, async (t) => {
    const { whatsapp, at, how, service, jid } = await pairedService(t, line)
    await talk({ whatsapp, service, jid }, CONTACT, 'before')
    await service.call('flush')
    await service.kill()
    rmSync(at.directory, { recursive: true })
    const { id } = await whatsapp.send(jid, 'are you there?', { from: CONTACT })
    const restored = await Service.run(t, how)
    assert.deepEqual(restored.restored, { source: 'remote', clean: false })
    assert.equal((await restored.message(id)).text, 'are you there?')
    await talk({ whatsapp, service: restored, jid }, CONTACT, 'after')
    assert.deepEqual(restored.all('qr'), [])
    assert.deepEqual(undecryptable(restored), [])
  })

  test(`${line.name}: a device that was unlinked on the phone is told 401, deletes its session, and cannot come back`, async (t) => {
    const { whatsapp, how, service, jid } = await pairedService(t, line)
    await whatsapp.logout(jid)
    assert.equal((await service.next('close')).code, 401)
    await service.next('deleted')
    await assert.rejects(service.call('open'), { code: 'DELETED' })
    const other = await Service.start(t, how)
    await assert.rejects(other.call('open'), { code: 'DELETED' })
    const fresh = await Service.run(t, { ...how, options: { ...how.options, fresh: true } })
    const { qr } = await fresh.next('qr')
    const second = await whatsapp.scan(qr, { phone: PHONE })
    assert.notEqual(second.jid, jid)
    await fresh.next('open')
    await talk({ whatsapp, service: fresh, jid: second.jid }, CONTACT, 'again')
  })

  test(`${line.name}: a newer instance on another machine takes the session over, and the older one is fenced and told 440`, async (t) => {
    const { whatsapp, at, how, service, jid } = await pairedService(t, line)
    await talk({ whatsapp, service, jid }, CONTACT, 'before')
    // The older one hands over at its next look at the store: how late that is on a busy machine is not what is tried.
    const newer = await Service.run(t, { ...how, options: { ...at.elsewhere(), handoverTimeoutMs: 60_000 } })
    assert.deepEqual(newer.restored, { source: 'remote', clean: true })
    await newer.next('open')
    assert.equal((await service.next('close')).code, 440)
    await service.next('fenced')
    await talk({ whatsapp, service: newer, jid }, CONTACT, 'after')
    assert.deepEqual(undecryptable(newer), [])
  })
}
