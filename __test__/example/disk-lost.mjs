// The story the example is for: numbers are paired, the disk goes, and nobody has to scan anything again.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { eventually, machine, pair, whatsappOf } from '../support/example.mjs'
import { startPostgres } from '../../testkit/databases/postgres.mjs'
import { further } from '../support/size.mjs'

const NUMBERS = [
  { userId: 'anna', sessionId: 'shop', phone: '4915550001' },
  { userId: 'anna', sessionId: 'support', phone: '4915550002' },
  { userId: 'bob', sessionId: 'default', phone: '4915550003' }
]
const FRIEND = '4915559999'

/** A message that arrives and is read: the session's keys are as they were. */
async function isRead(whatsapp, jid, text) {
  const { delivered } = await whatsapp.send(jid, text, { from: FRIEND })
  assert.equal(await delivered, 'delivered', text)
}

async function survives(t, { whatsapp, ...setup }) {
  const place = machine(t, { whatsapp, ...setup })
  const first = await place.boot()
  const jids = []
  for (const number of NUMBERS) jids.push(await pair(first, whatsapp, number))
  for (const jid of jids) await isRead(whatsapp, jid, 'before')
  for (const { userId, sessionId } of NUMBERS) await first.post(`/api/sessions/${userId}/${sessionId}/sync`)
  // One more that nobody paired: it is not connected again, and asks nobody for a phone.
  await first.post('/api/whatsapp/connect', { userId: 'carla' }, 202)
  await first.qr('carla', 'default')
  const ended = await first.end()
  assert.deepEqual(ended, { code: null, signal: 'SIGTERM' }, first.said)
  assert.match(first.said, /shut down \(SIGTERM\): 4 sessions closed, complete in the store/)

  place.wipe()
  const second = await place.boot()
  for (const { userId, sessionId, phone } of NUMBERS) {
    const session = await second.becomes(userId, sessionId, 'connected')
    assert.deepEqual([session.phone, session.owner, session.qrWaiting, session.store], [phone, 'this instance', false, 'ok'])
  }
  for (const jid of jids) {
    await eventually(() => whatsapp.isOnline(jid), Boolean, `${jid} online`)
    await isRead(whatsapp, jid, 'after')
  }
  const isLeft = ({ status, owner }) => owner === 'not open here' && ['new', 'disconnected'].includes(status)
  const carla = await eventually(() => second.session('carla', 'default'), isLeft, 'carla left alone')
  assert.equal(carla.qrWaiting, false)
  await eventually(
    () => whatsapp.connections,
    (open) => open === NUMBERS.length,
    'no socket but those of the three'
  )
  assert.deepEqual(whatsapp.unanswered, [])
  return { second, place }
}

export function stories() {
  test('with_the_embedded_database_a_wiped_disk_costs_nothing', async (t) => {
    const whatsapp = await whatsappOf(t)
    const { second, place } = await survives(t, { whatsapp, bucket: join(scratch(t), 'bucket') })
    const areThree = ({ total, backed_up }) => total === 3 && backed_up === 3
    const figures = await eventually(() => second.get('/health/sessions'), areThree, 'three backups, and nothing of carla')
    assert.equal(figures.needs_backup, 0)
    assert.ok(!Number.isNaN(Date.parse(figures.oldest_backup)))

    // A power cut, and the disk with it.
    await second.end('SIGKILL')
    place.wipe()
    const third = await place.boot()
    for (const { userId, sessionId } of NUMBERS) await third.becomes(userId, sessionId, 'connected')
  })

  further('with_postgresql_a_wiped_disk_costs_nothing_and_the_table_is_kept', async (t) => {
    const whatsapp = await whatsappOf(t)
    const postgres = await startPostgres()
    atEnd(t, () => postgres.stop())
    const bucket = join(scratch(t), 'bucket')
    const { second, place } = await survives(t, { whatsapp, bucket, databaseUrl: postgres.url })
    const isNoted = ({ lastBackupAt, lastConnectedAt }) => lastBackupAt !== null && lastConnectedAt !== null
    await eventually(() => second.session('bob', 'default'), isNoted, 'the times of bob')

    // What a person disconnected stays so, whatever is restarted.
    await second.post('/api/whatsapp/disconnect', { userId: 'anna', sessionId: 'shop' })
    await second.end()
    place.wipe()
    const third = await place.boot()
    await third.becomes('anna', 'support', 'connected')
    await third.becomes('bob', 'default', 'connected')
    assert.equal((await third.session('anna', 'shop')).status, 'disconnected')

    // Two instances on one table, as in a rolling deploy: the older one leaves the row to the newer one.
    const fourth = await machine(t, { whatsapp, bucket, databaseUrl: postgres.url }).boot()
    await fourth.becomes('bob', 'default', 'connected')
    await third.becomes('bob', 'default', 'taken_over')
    await third.end()
    await fourth.end()
    const fifth = await place.boot()
    await fifth.becomes('bob', 'default', 'connected')
    assert.equal((await fifth.session('anna', 'shop')).status, 'disconnected')
  })
}
