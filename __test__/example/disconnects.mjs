// The end of a connection: only a logout deletes, nobody is fought over a number, everything else comes back.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DisconnectReason } from 'baileys'
import { test } from '../../testkit/base/missing.mjs'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { eventually, exampleFolder, machine, pair, whatsappOf } from '../support/example.mjs'
import { further } from '../support/size.mjs'

const REACTIONS = {
  loggedOut: 'delete',
  connectionReplaced: 'ask-owner',
  restartRequired: 'reconnect-now',
  connectionClosed: 'reconnect-later',
  connectionLost: 'reconnect-later',
  timedOut: 'reconnect-later',
  badSession: 'reconnect-later',
  multideviceMismatch: 'reconnect-later',
  forbidden: 'reconnect-later',
  unavailableService: 'reconnect-later'
}

const load = (file) => import(pathToFileURL(join(exampleFolder(), 'dist', file)).href)

/** A folder may go while it is being read: then it is read again. */
function namesIn(folder) {
  for (;;) {
    try {
      return readdirSync(folder, { recursive: true }).map(String)
    } catch (error) {
      if (error.code !== 'ENOENT' || !existsSync(folder)) throw error
    }
  }
}

const objectsOf = (bucket, tenant) => {
  const names = namesIn(join(bucket, 'v1'))
  return names.filter((name) => name.startsWith(join('data', tenant, '/')) || name.includes(`claims/${tenant}.`))
}

/** A newer instance that waits for the older one to hand over, however late that notices. */
const PATIENT = { BAILEYS_HYBRID_AUTH_HANDOVER_TIMEOUT_MS: '120000' }

/** The address of a server that hangs up on everybody. */
async function deafServer(t) {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(t, () => server.close())
  return `ws://127.0.0.1:${server.address().port}`
}

export function stories() {
  test('every_reason_that_baileys_has_is_answered_and_only_a_logout_deletes', async () => {
    const { reactionTo } = await load('whatsapp/disconnects.js')
    const reasons = Object.keys(DisconnectReason).filter((name) => Number.isNaN(Number(name)))
    assert.deepEqual(reasons.sort(), Object.keys(REACTIONS).sort())
    for (const reason of reasons) assert.equal(reactionTo(DisconnectReason[reason]), REACTIONS[reason], reason)
    assert.equal(reactionTo(undefined), 'reconnect-later')
    assert.deepEqual(Object.values(REACTIONS).filter((reaction) => reaction === 'delete').length, 1)
  })

  test('waiting_grows_to_a_minute_and_never_ends', async () => {
    const { waitAfter } = await load('whatsapp/disconnects.js')
    const longest = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => waitAfter(failures, () => 1))
    assert.deepEqual(longest, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
    assert.deepEqual(
      [1, 100].map((failures) => waitAfter(failures, () => 0)),
      [500, 30_000]
    )
  })

  test('what_is_left_over_of_a_socket_that_ended_does_not_end_the_service_and_a_fault_does', async () => {
    const { isRemainder } = await load('common/unhandled-rejections.js')
    const { HybridAuthError } = createRequire(join(exampleFolder(), 'package.json'))('baileys-hybrid-auth')
    const boom = Object.assign(new Error('Connection Closed'), { isBoom: true, output: { statusCode: 428 } })
    for (const error of [boom, ...['FENCED', 'CLOSED', 'DELETED', 'LEASE_LOST'].map((code) => new HybridAuthError(code, 'ended'))])
      assert.ok(isRemainder(error), error.message)
    const faults = [
      new TypeError('x is not a function'),
      new HybridAuthError('LOCAL_CORRUPT', 'damaged'),
      { isBoom: true },
      'FENCED',
      undefined
    ]
    for (const fault of faults) assert.ok(!isRemainder(fault), String(fault))
  })

  test('a_session_comes_back_after_a_restart_of_the_server_and_after_a_cut_cable', async (t) => {
    const whatsapp = await whatsappOf(t)
    const service = await machine(t, { whatsapp, bucket: join(scratch(t), 'bucket') }).boot()
    const jid = await pair(service, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    const ways = {
      'a restart (503)': () => whatsapp.restart(jid),
      'a restart (500)': () => whatsapp.restart(jid, { code: 500 }),
      'a cut cable': () => whatsapp.drop(jid)
    }
    for (const [name, end] of Object.entries(ways)) {
      await eventually(() => whatsapp.isOnline(jid), Boolean, `online before ${name}`)
      const connections = () => service.said.split('anna:shop: connected').length - 1
      const before = connections()
      await end()
      await eventually(connections, (count) => count > before, `back after ${name}`)
      await service.becomes('anna', 'shop', 'connected')
    }
    const { qrWaiting, lastDisconnectedAt } = await service.session('anna', 'shop')
    assert.equal(qrWaiting, false)
    assert.ok(lastDisconnectedAt !== null)
  })

  further('a_number_that_was_removed_on_the_phone_is_deleted_everywhere_and_can_be_paired_anew', async (t) => {
    const whatsapp = await whatsappOf(t)
    const bucket = join(scratch(t), 'bucket')
    const place = machine(t, { whatsapp, bucket })
    const service = await place.boot()
    const gone = await pair(service, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    const kept = await pair(service, whatsapp, { userId: 'anna', sessionId: 'support', phone: '4915550002' })
    await service.post('/api/sessions/anna/shop/sync')
    assert.ok(objectsOf(bucket, 'anna_3ashop').some((name) => name.includes('data')))
    await whatsapp.logout(gone)
    await service.becomes('anna', 'shop', 'logged_out')
    await eventually(
      () => objectsOf(bucket, 'anna_3ashop').filter((name) => name.includes('data')),
      (left) => left.length === 0,
      'an empty bucket'
    )
    assert.equal(existsSync(join(place.disk, 'sessions', 'anna_3ashop', 'creds.json')), false)
    assert.equal((await service.session('anna', 'support')).status, 'connected')

    // A dead session stays dead, whatever is restarted.
    await service.end()
    place.wipe()
    const second = await place.boot()
    await second.becomes('anna', 'support', 'connected')
    assert.ok(whatsapp.isOnline(kept))
    assert.notEqual((await second.session('anna', 'shop'))?.status, 'connected')
    await pair(second, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
  })

  further('a_session_that_was_replaced_by_a_stranger_is_not_fought_over', async (t) => {
    const whatsapp = await whatsappOf(t)
    const service = await machine(t, { whatsapp, bucket: join(scratch(t), 'bucket') }).boot()
    const jid = await pair(service, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    await whatsapp.replace(jid)
    const { problem, owner } = await service.becomes('anna', 'shop', 'replaced')
    assert.match(problem, /another program uses the same credentials/)
    assert.equal(owner, 'this instance')
    assert.equal(whatsapp.isOnline(jid), false)
    assert.equal(service.said.split('anna:shop: connected').length - 1, 1)
    // A person decides, and the same session goes on.
    await service.post('/api/whatsapp/connect', { userId: 'anna', sessionId: 'shop' }, 202)
    await service.becomes('anna', 'shop', 'connected')
  })

  further('in_a_rolling_deploy_the_newer_instance_takes_over_and_the_older_one_stays_away', async (t) => {
    const whatsapp = await whatsappOf(t)
    const bucket = join(scratch(t), 'bucket')
    const older = await machine(t, { whatsapp, bucket }).boot()
    const jid = await pair(older, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    const newer = await machine(t, { whatsapp, bucket, env: PATIENT }).boot()
    await newer.becomes('anna', 'shop', 'connected')
    const { owner, qrWaiting } = await older.becomes('anna', 'shop', 'taken_over')
    assert.deepEqual([owner, qrWaiting], ['a newer instance', false])
    assert.equal((await newer.session('anna', 'shop')).owner, 'this instance')
    await eventually(
      () => whatsapp.connections,
      (open) => open === 1,
      'the end of the older socket'
    )
    const { delivered } = await whatsapp.send(jid, 'to the newer one', { from: '4915559999' })
    assert.equal(await delivered, 'delivered')

    const { signal } = await older.end()
    assert.equal(signal, 'SIGTERM')
    await newer.post('/api/sessions/anna/shop/sync')
    assert.equal((await newer.session('anna', 'shop')).status, 'connected')
    assert.doesNotMatch(older.said, /not connected again|logged out/)
  })

  further('a_session_that_was_taken_over_is_left_even_if_the_newer_instance_cannot_connect_it', async (t) => {
    const whatsapp = await whatsappOf(t)
    const bucket = join(scratch(t), 'bucket')
    const older = await machine(t, { whatsapp, bucket }).boot()
    const jid = await pair(older, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    const nowhere = await deafServer(t)
    const newer = await machine(t, { whatsapp, bucket, env: { ...PATIENT, WA_WEB_SOCKET_URL: nowhere } }).boot()
    await older.becomes('anna', 'shop', 'taken_over')
    await eventually(
      () => whatsapp.isOnline(jid),
      (isOnline) => !isOnline,
      'the end of the socket'
    )
    const { status, owner } = await newer.becomes('anna', 'shop', 'reconnecting')
    assert.deepEqual([status, owner], ['reconnecting', 'this instance'])
    // A person may take it back.
    await older.post('/api/whatsapp/connect', { userId: 'anna', sessionId: 'shop' }, 202)
    await older.becomes('anna', 'shop', 'connected')
    await newer.becomes('anna', 'shop', 'taken_over')
  })
}
