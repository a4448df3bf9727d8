// The status page with a thousand sessions: found, filtered, looked at while it refreshes, and acted on.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { openPage } from '../../testkit/browser/chromium.mjs'
import { scratch } from '../../testkit/base/endings.mjs'
import { TOKEN, exampleFolder, machine, pair, whatsappOf } from '../support/example.mjs'
import { picture, rowWith, shows } from './page.mjs'
import { further } from '../support/size.mjs'

const COUNT = 1000
const MINUTE_MS = 60_000

/** The embedded table as the first version of the example had it, with rows `{ userId, sessionId, status, phone, lastBackupAt }`. */
async function seedTable(disk, rows) {
  const SQL = await createRequire(join(exampleFolder(), 'package.json'))('sql.js')()
  const table = new SQL.Database()
  table.run(`CREATE TABLE whatsapp_sessions (user_id varchar(50) NOT NULL, session_id varchar(50) NOT NULL, status varchar(20) NOT NULL DEFAULT 'new',
    phone varchar(30), last_backup_at datetime, last_connected_at datetime, last_disconnected_at datetime, PRIMARY KEY (user_id, session_id))`)
  table.run('BEGIN')
  for (const { userId, sessionId = 'default', status, phone = null, lastBackupAt = null } of rows) {
    const at = lastBackupAt === null ? null : new Date(lastBackupAt).toISOString().replace('T', ' ').replace('Z', '')
    table.run('INSERT INTO whatsapp_sessions VALUES (?, ?, ?, ?, ?, ?, NULL)', [userId, sessionId, status, phone, at, at])
  }
  table.run('COMMIT')
  mkdirSync(disk, { recursive: true })
  writeFileSync(join(disk, 'sessions.sqlite'), table.export())
}

/** A thousand sessions of which two need somebody, none of them open here. */
function thousand(now = Date.now()) {
  const special = { 417: 'replaced', 803: 'logged_out', 11: 'new' }
  return Array.from({ length: COUNT }, (_, n) => ({
    userId: `shop-${String(n).padStart(4, '0')}`,
    status: special[n] ?? 'disconnected',
    phone: special[n] === 'new' ? null : `49155600${String(n).padStart(4, '0')}`,
    lastBackupAt: special[n] === 'new' ? null : now - n * MINUTE_MS
  }))
}

const namesOf = (page) => page.evaluate(() => [...document.querySelectorAll('tbody tr')].map(({ dataset }) => dataset.session))
const range = (page, text) => page.waitForFunction((text) => document.getElementById('range').textContent === text, text)

/** Resolves when the page has shown what it asked for after now. */
async function refreshed(page) {
  for (let answers = 0; answers < 2; answers++) await page.waitForResponse((response) => response.url().includes('/api/sessions?'))
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)))
}

async function findsAndFilters(page) {
  await range(page, '1–50 of 1,001')
  assert.deepEqual((await namesOf(page)).slice(0, 2), ['shop-0803 / default', 'shop-0417 / default'], 'problems first')
  await page.getByLabel('Search').fill('Shop-099')
  await range(page, '1–10 of 10')
  await page.getByLabel('Search').fill('+49 155 6000 417')
  await range(page, '1–1 of 1')
  assert.deepEqual(await namesOf(page), ['shop-0417 / default'])
  await page.getByLabel('Search').fill('nobody')
  await shows(page, 'No session matches.')
  await page.getByLabel('Search').fill('')
  await page.getByRole('radio', { name: 'Problems' }).press('Space')
  await range(page, '1–2 of 2')
  await page.getByRole('radio', { name: 'Off' }).check({ force: true })
  await range(page, '1–50 of 1,000')
  await page.getByRole('button', { name: 'Next' }).click()
  await range(page, '51–100 of 1,000')
  assert.equal((await namesOf(page)).length, 50)
  await page.reload()
  await range(page, '51–100 of 1,000')
  await page.getByRole('radio', { name: 'All' }).check({ force: true })
  await range(page, '1–50 of 1,001')
}

/** Checks that selection, focus and scroll position stay, also when rows change their order and a code appears above. */
async function keepsWhatIsLookedAt(page, change) {
  const looked = () =>
    page.evaluate(() => {
      const { top } = document.querySelector('tr[data-session="shop-0007 / default"]').getBoundingClientRect()
      return [String(getSelection()), document.activeElement.getAttribute('aria-label'), Math.round(top)]
    })
  await page.evaluate(() => {
    const row = document.querySelector('tr[data-session="shop-0007 / default"]')
    row.querySelector('button').focus({ preventScroll: true })
    getSelection().selectAllChildren(row.firstElementChild)
    scrollTo(0, 333)
  })
  const before = await looked()
  assert.deepEqual(before.slice(0, 2), ['shop-0007 / default\n…0007', 'Connect shop-0007 / default'])
  await change()
  await page.getByRole('img', { name: 'QR code to link a phone to shop-0049 / default' }).waitFor()
  await refreshed(page)
  const after = await looked()
  assert.deepEqual(after.slice(0, 2), before.slice(0, 2))
  assert.ok(Math.abs(after[2] - before[2]) <= 2, `the row went from ${before[2]} to ${after[2]}`)
}

async function acts(page, service, whatsapp) {
  const button = (name, session) => page.getByRole('button', { name: `${name} ${session}`, exact: true })
  await page.getByLabel('Search').fill('anna')
  await range(page, '1–1 of 1')
  await button('Sync', 'anna / shop').click()
  await shows(page, 'anna / shop: everything is in the backup store.')
  await button('Disconnect', 'anna / shop').click()
  await rowWith(page, 'anna / shop', { Connection: 'Disconnected', Owner: 'Not open here' })
  assert.equal(await button('Sync', 'anna / shop').getAttribute('aria-disabled'), 'true')
  await isClosedToOtherPages(page, service)
  await button('Connect', 'anna / shop').click()
  await rowWith(page, 'anna / shop', { Connection: 'Connected' })

  await button('Log out', 'anna / shop').click()
  const dialog = page.getByRole('dialog', { name: 'Log out anna / shop?' })
  await dialog.waitFor()
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Cancel', 'a key that is pressed too often does nothing')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
  await refreshed(page)
  assert.equal((await service.session('anna', 'shop')).status, 'connected')
  await button('Log out', 'anna / shop').click()
  await dialog.getByRole('button', { name: 'Log out' }).click()
  await shows(page, 'anna / shop: deleted.')
  await shows(page, 'No session matches.')
  assert.ok([...whatsapp.devices.values()].every((device) => !device.linked))

  await page.getByLabel('Search').fill('shop-0803')
  await range(page, '1–1 of 1')
  await page.route('**/api/whatsapp/connect', (route) =>
    route.fulfill({ status: 503, contentType: 'application/json', body: '{"code":"REMOTE_UNAVAILABLE","message":"the store is away"}' })
  )
  await button('Connect', 'shop-0803 / default').click()
  await shows(page, 'shop-0803 / default: the store is away (REMOTE_UNAVAILABLE)')
}

/** The browser has the password and would send it along: a page of somebody else still changes nothing. */
async function isClosedToOtherPages(page, service) {
  const server = createServer((_, response) =>
    response.setHeader('content-type', 'text/html').end('<title>another website</title>')
  ).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const other = await page.context().newPage()
  await other.goto(`http://127.0.0.1:${server.address().port}/`)
  const seen = other.waitForResponse((response) => response.request().method() === 'POST')
  await other.evaluate(
    (url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include' }),
    `${service.url}/api/sessions/anna/shop/restore`
  )
  assert.equal((await seen).status(), 401)
  await other.close()
  server.close()
  assert.equal((await service.session('anna', 'shop')).owner, 'not open here')
}

export function stories() {
  further('an_operator_finds_a_session_among_a_thousand_and_acts_on_it', async (t) => {
    const whatsapp = await whatsappOf(t)
    const place = machine(t, { whatsapp, bucket: join(scratch(t), 'bucket') })
    await seedTable(place.disk, thousand())
    const service = await place.boot()
    await pair(service, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    const { page, faults } = await openPage(t, {
      httpCredentials: { username: 'operator', password: TOKEN },
      viewport: { width: 1280, height: 800 }
    })
    await page.goto(service.url)
    await findsAndFilters(page)
    await picture(page, 'thousand')
    await keepsWhatIsLookedAt(page, () => service.post('/api/whatsapp/connect', { userId: 'shop-0049' }, 202))
    assert.equal(await page.getByText('4915560').count(), 0, 'no number as it is')
    await acts(page, service, whatsapp)
    assert.deepEqual(faults, [])
  })
}
