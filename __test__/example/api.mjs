// Answers of the endpoints: to whom they go, and what they never say.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { scratch } from '../../testkit/base/endings.mjs'
import { TOKEN, eventually, machine, pair, whatsappOf } from '../support/example.mjs'
import { KEY } from '../../testkit/processes/sessions.mjs'

const SHOP = { userId: 'anna', sessionId: 'shop' }
const ENDPOINTS = [
  ['GET', '/'],
  ['GET', '/page/page.js'],
  ['GET', '/api/sessions'],
  ['GET', '/api/sessions/anna'],
  ['POST', '/api/sessions/anna/shop/sync'],
  ['POST', '/api/sessions/anna/shop/restore'],
  ['DELETE', '/api/sessions/anna/shop'],
  ['GET', '/api/whatsapp/status/anna'],
  ['POST', '/api/whatsapp/connect'],
  ['POST', '/api/whatsapp/disconnect'],
  ['GET', '/api/whatsapp/qr/anna/shop'],
  ['GET', '/api/whatsapp/qr/anna/shop/picture']
]
const basic = (password) => ({ authorization: `Basic ${Buffer.from(`operator:${password}`).toString('base64')}` })

/** Headers by which a browser names the page that asks. */
const origins = ({ url }) => [
  [{}, false],
  [{ origin: 'null' }, false],
  [{ origin: 'https://evil.example' }, false],
  [{ origin: url, 'sec-fetch-site': 'cross-site' }, false],
  [{ origin: url, 'sec-fetch-site': 'same-site' }, false],
  [{ origin: url, 'sec-fetch-site': 'none' }, false],
  [{ origin: url }, true],
  [{ 'sec-fetch-site': 'same-origin' }, true]
]

/** The status of a request whose headers are all ours, `host` as well. */
const statusOf = (service, method, path, headers) =>
  new Promise((resolve, reject) => {
    const sent = request(service.url + path, { method, headers }, (answer) => resolve(answer.resume().statusCode))
    sent.on('error', reject).end()
  })

async function isGuarded(service) {
  for (const [method, path] of ENDPOINTS) {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: TOKEN }, basic('wrong')]) {
      const { status, headers: answered } = await service.ask(method, path, { headers })
      assert.equal(status, 401, `${method} ${path} with ${JSON.stringify(headers)}`)
      assert.match(answered.get('www-authenticate'), /^Basic /)
    }
    // A browser sends its password along by itself, from any page: it may look, and change something from our own page only.
    for (const [from, isOwn] of origins(service)) {
      const { status } = await service.ask(method, path, { headers: { ...basic(TOKEN), ...from } })
      assert.equal(status === 401, method !== 'GET' && !isOwn, `${method} ${path} from a browser with ${JSON.stringify(from)}`)
    }
  }
  for (const path of ['/api/health', '/health/sessions']) assert.equal((await service.ask('GET', path, { headers: {} })).status, 200, path)
}

const WRONG = [
  ['POST', '/api/whatsapp/connect', {}],
  ['POST', '/api/whatsapp/connect', { userId: '../etc' }],
  ['POST', '/api/whatsapp/connect', { userId: 'anna:shop' }],
  ['POST', '/api/whatsapp/connect', { userId: ['anna'] }],
  ['POST', '/api/whatsapp/connect', { userId: 'anna', sessionId: 'A' }],
  ['POST', '/api/whatsapp/connect', { userId: 'anna', sessionId: 'shop', fresh: true }],
  ['POST', '/api/whatsapp/disconnect', { sessionId: 'shop' }],
  ['GET', '/api/sessions?show=everything'],
  ['GET', '/api/sessions?page=0'],
  ['GET', '/api/sessions?search[]=a'],
  ['GET', '/api/sessions?size=1000000'],
  ['GET', `/api/sessions/${'a'.repeat(51)}`],
  ['GET', '/api/whatsapp/status/%2e%2e%2f'],
  ['GET', '/api/whatsapp/qr/anna/%00'],
  ['POST', '/api/sessions/anna/Shop/sync'],
  ['DELETE', '/api/sessions/anna/_']
]

async function refusesWhatIsNoId(service) {
  for (const [method, path, body] of WRONG) {
    const answer = await service.ask(method, path, { body })
    assert.equal(answer.status, 400, `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`)
  }
  for (const [method, path, body] of [
    ['GET', '/api/whatsapp/qr/nobody/default'],
    ['POST', '/api/sessions/nobody/default/sync'],
    ['POST', '/api/sessions/nobody/default/restore'],
    ['DELETE', '/api/sessions/nobody/default'],
    ['POST', '/api/whatsapp/disconnect', { userId: 'nobody' }]
  ]) {
    assert.equal((await service.ask(method, path, { body })).status, 404, `${method} ${path}`)
  }
  assert.deepEqual(await service.get('/api/sessions/nobody'), { userId: 'nobody', sessions: [] })
}

export function stories() {
  test('the_endpoints_do_what_their_names_say', async (t) => {
    const whatsapp = await whatsappOf(t)
    const place = machine(t, { whatsapp, bucket: join(scratch(t), 'bucket') })
    const service = await place.boot()
    await isGuarded(service)
    await refusesWhatIsNoId(service)
    assert.deepEqual(await service.get('/health/sessions'), { total: 0, backed_up: 0, needs_backup: 0, oldest_backup: null })

    // A code waits for a phone: as text, as the source of an image, and as a picture.
    const answers = []
    await service.post('/api/whatsapp/connect', SHOP, 202)
    const qr = await service.qr('anna', 'shop')
    const code = await service.get('/api/whatsapp/qr/anna/shop')
    assert.equal(code.qr, qr)
    assert.match(code.dataUrl, /^data:image\/png;base64,/)
    const picture = await service.ask('GET', '/api/whatsapp/qr/anna/shop/picture')
    assert.match(picture.headers.get('content-type'), /^image\/svg\+xml/)
    assert.match(picture.body, /^<svg/)
    assert.equal(picture.headers.get('cache-control'), 'no-store')
    const waiting = await service.get('/api/whatsapp/status/anna')
    assert.deepEqual(
      waiting.sessions.map(({ status, qrWaiting }) => [status, qrWaiting]),
      [['waiting_for_scan', true]]
    )
    assert.equal((await service.get('/health/sessions')).total, 0, 'nobody paired it, so there is nothing to lose')
    const { jid } = await whatsapp.scan(qr, { phone: '4915550001' })
    await service.becomes('anna', 'shop', 'connected')
    assert.equal((await service.ask('GET', '/api/whatsapp/qr/anna/shop')).status, 404)
    await pair(service, whatsapp, { userId: 'anna', sessionId: 'default', phone: '4915550002' })

    // Stored, asked for once more, connected once more: nothing changes.
    // What a socket stores in its first moments may come while this is answered: then it is behind again.
    const synced = await eventually(
      () => service.post('/api/sessions/anna/shop/sync'),
      ({ lagMs }) => lagMs === 0,
      'all of it stored'
    )
    assert.deepEqual(synced, { ...SHOP, synced: true, lagMs: 0 })
    const shop = await eventually(
      () => service.session('anna', 'shop'),
      ({ lastBackupAt }) => lastBackupAt !== null,
      'a time of the backup'
    )
    assert.deepEqual([shop.backup, shop.phone, shop.owner, shop.store], ['ok', '4915550001', 'this instance', 'ok'])
    assert.equal((await service.post('/api/sessions/anna/shop/restore')).restored, true)
    assert.equal((await service.post('/api/whatsapp/connect', SHOP, 202)).status, 'connected')
    assert.ok(whatsapp.isOnline(jid))
    const health = await service.get('/api/health')
    assert.deepEqual([health.status, health.cloudStorage, health.database, health.activeSessions], ['ok', 'ok', 'ok', 2])
    const figures = await eventually(
      () => service.get('/health/sessions'),
      ({ backed_up }) => backed_up === 2,
      'two backups'
    )
    assert.deepEqual([figures.total, figures.needs_backup], [2, 0])

    // Without a name it is the user's default session. It lets go, so that any instance may have it, and comes back without a code.
    await service.post('/api/whatsapp/disconnect', { userId: 'anna' })
    const released = await eventually(
      () => service.session('anna', 'default'),
      ({ backup }) => backup === 'ok',
      'its backup noted'
    )
    assert.deepEqual([released.status, released.owner], ['disconnected', 'not open here'])
    assert.equal((await service.post('/api/sessions/anna/default/restore')).restored, true)
    assert.equal((await service.session('anna', 'default')).owner, 'this instance')
    await service.post('/api/whatsapp/connect', { userId: 'anna' }, 202)
    assert.equal((await service.becomes('anna', 'default', 'connected')).qrWaiting, false)

    // Nothing of the keys, in whatever encoding, and nothing of the configuration.
    for (const path of ['/api/sessions', '/api/sessions/anna', '/api/whatsapp/status/anna', '/api/health', '/health/sessions']) {
      answers.push(JSON.stringify(await service.get(path)))
    }
    const secret = new RegExp([KEY, TOKEN, place.disk, 'noiseKey', 'private', 'advSecret', 'registrationId'].join('|'))
    for (const answer of answers) assert.doesNotMatch(answer, secret)
    assert.doesNotMatch(service.said, secret)

    // Deleted is logged out: at WhatsApp, in the table, and for the next start.
    assert.equal((await service.ask('DELETE', '/api/sessions/anna/shop')).status, 204)
    assert.equal(await service.session('anna', 'shop'), undefined)
    await eventually(
      () => whatsapp.connections,
      (open) => open === 1,
      'the end of its socket'
    )
    const isLinked = () => [...whatsapp.devices.values()].some((device) => device.jid === jid && device.linked)
    await eventually(isLinked, (linked) => !linked, 'the end of the linked device')
    assert.equal((await service.ask('POST', '/api/sessions/anna/shop/restore')).status, 409)
  })

  test('without_a_token_no_other_website_reaches_the_service_through_a_browser', async (t) => {
    const whatsapp = await whatsappOf(t)
    const service = await machine(t, { whatsapp, env: { API_TOKEN: '', SESSION_STORAGE_TYPE: 'local' } }).boot()
    const sync = (headers) => statusOf(service, 'POST', '/api/sessions/nobody/default/sync', headers)
    for (const [from, isOwn] of origins(service)) {
      const isProgram = Object.keys(from).length === 0
      assert.equal(await sync(from), isOwn || isProgram ? 404 : 403, JSON.stringify(from))
    }
    // A name that somebody points to this machine is another website.
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example:80']) {
      assert.equal(await statusOf(service, 'GET', '/api/sessions', { host }), 403, host)
      assert.equal(await sync({ host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }), 403, host)
    }
    for (const host of ['localhost', 'LOCALHOST:3000', '127.0.0.1:80', '[::1]:80'])
      assert.equal(await statusOf(service, 'GET', '/', { host }), 200, host)
    assert.equal(await statusOf(service, 'GET', '/api/health', { host: 'probe' }), 200)
  })

  test('without_a_store_no_session_is_called_backed_up', async (t) => {
    const whatsapp = await whatsappOf(t)
    const service = await machine(t, { whatsapp, env: { SESSION_STORAGE_TYPE: 'local' } }).boot()
    await pair(service, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    const { backup, store, lagMs, lastBackupAt } = await service.session('anna', 'shop')
    assert.deepEqual([backup, store, lagMs, lastBackupAt], ['never', 'none', null, null])
    assert.deepEqual(await service.get('/health/sessions'), { total: 1, backed_up: 0, needs_backup: 1, oldest_backup: null })
    assert.equal((await service.get('/api/health')).cloudStorage, 'none')
  })
}
