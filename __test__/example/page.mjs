// The status page, as a person sees it in a browser.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { test } from '../../testkit/base/missing.mjs'
import { openPage } from '../../testkit/browser/chromium.mjs'
import { scratch } from '../../testkit/base/endings.mjs'
import { TOKEN, eventually, machine, pair, whatsappOf } from '../support/example.mjs'

/** Cells of a session's row, by the heading of their column: their first line, and all of it as `… in full`. */
const rowOf = (page, name) =>
  page.evaluate((name) => {
    const headings = [...document.querySelectorAll('thead th')].map(({ textContent }) => textContent)
    const row = [...document.querySelectorAll('tbody tr')].find(({ dataset }) => dataset.session === name)
    if (row === undefined) return undefined
    const texts = [...row.children].map((cell, n) => [headings[n], cell.innerText.trim().replace(/\s*\n\s*/g, '\n')])
    return Object.fromEntries(
      texts.flatMap(([heading, text]) => [
        [heading, text.split('\n')[0]],
        [`${heading} in full`, text]
      ])
    )
  }, name)

const figuresOf = (page) =>
  page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll('dl.figures > div')].map((div) => [div.children[0].innerText, div.children[1].innerText])
    )
  )

/** Waits until the page shows it by itself, without being loaded again. */
export const shows = (page, text) => page.waitForFunction((text) => document.body.innerText.includes(text), text)

/** The row of a session, once it is as it should be: the page is some seconds old, and the table behind it a moment. */
export function rowWith(page, name, expected) {
  const isSo = (row) => row !== undefined && Object.entries(expected).every(([heading, text]) => row[heading] === text)
  return eventually(() => rowOf(page, name), isSo, `${name}: ${JSON.stringify(expected)}`)
}

/** Does something to the files of a service between two steps of it. */
async function meanwhile({ child }, work) {
  child.kill('SIGSTOP')
  const stateOf = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').match(/\) (\S)/)[1]
  await eventually(stateOf, (state) => state === 'T', 'the service stopped')
  work()
  child.kill('SIGCONT')
}

/** For whoever wants to look: `SCREENSHOTS=folder`. */
export async function picture(page, name) {
  const folder = process.env.SCREENSHOTS
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

export function stories() {
  test('a_person_sees_every_session_its_owner_lag_and_backup_and_the_code_to_scan', async (t) => {
    const whatsapp = await whatsappOf(t)
    const bucket = join(scratch(t), 'bucket')
    const service = await machine(t, { whatsapp, bucket, env: { BACKUP_OVERDUE_AFTER_MS: '1000' } }).boot()
    const { page, faults } = await openPage(t, {
      httpCredentials: { username: 'operator', password: TOKEN },
      viewport: { width: 1280, height: 800 }
    })
    await page.goto(service.url)
    await shows(page, 'No sessions yet')
    assert.equal(await page.title(), 'WhatsApp sessions')

    await pair(service, whatsapp, { userId: 'anna', sessionId: 'shop', phone: '4915550001' })
    await pair(service, whatsapp, { userId: 'anna', sessionId: 'support', phone: '4915550002' })
    await pair(service, whatsapp, { userId: 'bob', sessionId: 'default', phone: '4915550003' })
    await service.post('/api/sessions/anna/shop/sync')
    await service.post('/api/whatsapp/disconnect', { userId: 'anna', sessionId: 'support' })
    await shows(page, 'Not open here')
    const shop = await rowWith(page, 'anna / shop', { Connection: 'Connected', Backup: 'Backed up' })
    assert.equal(shop['Session in full'], 'anna / shop\n…0001')
    assert.equal(shop['Owner in full'], 'This instance\nepoch 1')
    assert.match(shop['Backup in full'], /^Backed up\n(.* ago|just now)(\n\d+ ms behind)?$/)
    await rowWith(page, 'anna / support', { Connection: 'Disconnected', Owner: 'Not open here', Backup: 'Backed up' })
    await rowWith(page, 'bob / default', { Connection: 'Connected' })

    // A code appears by itself, and what is drawn is a code that a phone can scan now.
    await service.post('/api/whatsapp/connect', { userId: 'carla' }, 202)
    await shows(page, 'Waiting for a phone')
    const code = page.getByRole('img', { name: 'QR code to link a phone to carla / default' })
    await code.waitFor()
    await page.waitForFunction(() => document.querySelector('#codes img').naturalWidth > 0)
    await picture(page, 'code')
    await whatsapp.scan(await service.qr('carla', 'default'), { phone: '4915550004' })
    await page.waitForFunction(() => document.querySelector('#waiting').hidden)
    await service.becomes('carla', 'default', 'connected')
    const figures = { 'Need attention': '0', Connected: '3 of 4', 'Backed up': '4 of 4 paired', 'Backup store': 'OK' }
    await eventually(
      () => figuresOf(page),
      (shown) => isDeepStrictEqual(shown, figures),
      'the fourth number'
    )

    // The store goes away: the page says so, and the numbers stay connected.
    await meanwhile(service, () => {
      renameSync(bucket, `${bucket}-away`)
      writeFileSync(bucket, 'not a directory')
    })
    await whatsapp.send((await service.session('anna', 'shop')).phone + '@s.whatsapp.net', 'to store something', { from: '4915559999' })
    await shows(page, 'Backup store unavailable: sessions keep running.')
    const waiting = await rowWith(page, 'anna / shop', { Connection: 'Connected', Backup: 'Overdue' })
    assert.match(waiting['Backup in full'], /\n\d+\.\d s behind\nBackup store unavailable$/)
    const refused = await service.ask('POST', '/api/whatsapp/connect', { body: { userId: 'dora' } })
    assert.deepEqual([refused.status, refused.body.code], [503, 'REMOTE_UNAVAILABLE'])
    await shows(page, 'dora')
    await rowWith(page, 'dora / default', { Owner: 'Not open here', 'Backup in full': 'Nothing to back up' })
    await picture(page, 'outage')
    await meanwhile(service, () => {
      rmSync(bucket)
      renameSync(`${bucket}-away`, bucket)
    })
    await page.waitForFunction(() => document.getElementById('alarm').textContent === '')

    // On a phone in the dark nothing is cut off, and a reader that does not see has names for everything.
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.setViewportSize({ width: 390, height: 800 })
    await picture(page, 'phone')
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(width <= 390, `${width} px wide`)
    assert.equal(await page.getByRole('table').count(), 1)
    assert.equal(await page.getByRole('rowheader').count(), 5)
    assert.equal(await page.getByRole('columnheader').count(), 5)
    assert.equal(await page.getByRole('row').count(), 6)
    assert.equal(await page.getByRole('cell').count(), 20)

    // The service is gone: what is on the page is old, says so and looks so, and nothing can be asked for.
    await service.end()
    await shows(page, 'Can’t reach the service')
    assert.match(await page.locator('#alarm').innerText(), /Showing data from \d\d:\d\d:\d\d\.$/)
    // It fades: the colours go within a moment.
    await page.waitForFunction(() => getComputedStyle(document.querySelector('#live')).filter.includes('grayscale(1)'))
    await page.getByRole('button', { name: 'Log out anna / shop' }).click()
    assert.equal(await page.getByRole('dialog').count(), 0)
    await picture(page, 'stale')
    assert.deepEqual(faults, [])
  })
}
