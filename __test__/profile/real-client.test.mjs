// HybridAuth under the real `Client` of whatsapp-web.js, with a real Chromium and a page in the place of web.whatsapp.com.
//
// Invariants: the client gets to `ready`, from its QR code and from a restored profile; what it does on a conflict, on a logout by the
// phone and at its end costs or deletes just what it should.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { chromiumPath } from '../../testkit/browser/chromium.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { BROWSER_ARGS, readPairs, writePairs } from '../../testkit/browser/profile.mjs'
import { contentsOf, scene, temporaryFolder, until } from '../../testkit/processes/sessions.mjs'
import { serveWhatsApp } from '../../testkit/browser/whatsapp-web-page.mjs'
import { killed, load, optionsOf, whatsappWeb } from '../../testkit/browser/whatsapp-web.mjs'
import { further } from '../support/size.mjs'

/** The version that asks for the modules which the page has. */
const VERSIONS = ['1.34.7']

async function clients(t, version) {
  const at = scene(t)
  const args = [...BROWSER_ARGS.slice(1), ...(await serveWhatsApp(t))]
  const { Client } = load(version)
  function client(name) {
    const errors = []
    const onEvent = ({ event, error }) => event === 'error' && errors.push(error.code)
    const authStrategy = new whatsappWeb.HybridAuth({ clientId: 'c1', dataPath: join(at.root, name), ...optionsOf(at), onEvent })
    const client = new Client({
      authStrategy,
      webVersionCache: { type: 'none' },
      puppeteer: { executablePath: chromiumPath(), headless: true, args }
    })
    const events = []
    for (const event of ['qr', 'authenticated', 'ready', 'change_state', 'disconnected', 'auth_failure'])
      client.on(event, (detail) =>
        events.push([event, ...(event === 'disconnected' || event === 'change_state' ? [detail] : [])].join(' '))
      )
    atEnd(t, () => killed(client.pupBrowser))
    atEnd(t, () => authStrategy.destroy())
    return Object.assign(client, { seen: events, errors })
  }
  return { at, client }
}

const call = (client, code) => client.pupPage.evaluate(`window.whatsapp.${code}`)

async function ready(client) {
  await client.initialize()
  await call(client, 'sync()')
  await until(() => client.seen.includes('ready'), 'ready')
}

async function paired(client) {
  await client.initialize()
  await until(() => client.seen.includes('qr'), 'the code')
  await call(client, 'link()')
  await call(client, 'sync()')
  await until(() => client.seen.includes('ready'), 'ready')
}

const hasData = (at) => Object.keys(contentsOf(at.bucket)).some((name) => /packs/.test(name))

for (const version of VERSIONS) {
  test(`the client of ${version} pairs once, and is ready on another machine without a code`, async (t) => {
    const { client } = await clients(t, version)
    const one = client('one')
    await paired(one)
    await writePairs(one.pupPage, { count: 3 })
    await one.destroy()
    assert.deepEqual(one.errors, [])

    const two = client('two')
    await ready(two)
    assert.equal(two.authStrategy.profile.restored.source, 'remote')
    assert.deepEqual(
      two.seen.filter((event) => event === 'qr'),
      []
    )
    assert.deepEqual(await readPairs(two.pupPage), { count: 3, newest: 3, isEqual: true, local: 3 })
    await two.destroy()
  })

  further(`a conflict ends the client of ${version} and deletes nothing; an unlinked device is a logout`, async (t) => {
    const { at, client } = await clients(t, version)
    const one = client('one')
    await paired(one)
    await call(one, `change('CONFLICT')`)
    await until(() => one.seen.includes('disconnected CONFLICT') && one.authStrategy.profile === null, 'the end of the client')
    assert.equal(hasData(at), true)

    const two = client('two')
    await ready(two)
    assert.deepEqual(
      two.seen.filter((event) => event === 'qr'),
      []
    )
    await call(two, `change('UNPAIRED')`)
    await until(() => two.seen.includes('disconnected UNPAIRED') && two.authStrategy.profile === null, 'the end of the client')
    assert.equal(hasData(at), false)
    const three = client('two')
    await three.initialize()
    await until(() => three.seen.includes('qr'), 'the code')
    await three.destroy()
  })

  further(`a logout on the phone keeps the browser of ${version}, shows a code, and the next session is stored`, async (t) => {
    const { at, client } = await clients(t, version)
    const one = client('one')
    await paired(one)
    await writePairs(one.pupPage)
    const browser = one.pupBrowser.process()
    await call(one, 'unlink()').catch(() => {})
    await until(() => one.seen.includes('disconnected LOGOUT') && one.seen.filter((event) => event === 'qr').length === 2, 'the next code')
    assert.equal(browser.exitCode ?? browser.signalCode, null)
    assert.equal(hasData(at), false)
    await call(one, 'link()')
    // The client listens for it some moments after it showed the code.
    await until(async () => {
      await call(one, 'sync()')
      return one.seen.filter((event) => event === 'ready').length > 1
    }, 'ready again')
    await one.destroy()
    assert.deepEqual(one.errors, [])
    assert.equal(hasData(at), true)
    const two = client('two')
    await ready(two)
    assert.deepEqual(
      two.seen.filter((event) => event === 'qr'),
      []
    )
    await two.destroy()
  })
}

test('the clients of older versions start their browser on the prepared profile, and release it at their end', async (t) => {
  for (const version of ['1.23.0', '1.27.0', '1.34.4', '1.34.5', '1.34.6']) {
    const at = scene(t)
    const dataPath = join(temporaryFolder(t), 'auth')
    const authStrategy = new whatsappWeb.HybridAuth({ clientId: 'c1', dataPath, ...optionsOf(at) })
    const args = [...BROWSER_ARGS.slice(1), '--host-resolver-rules=MAP * ~NOTFOUND']
    const client = new (load(version).Client)({
      authStrategy,
      webVersionCache: { type: 'none' },
      puppeteer: { executablePath: chromiumPath(), headless: true, args }
    })
    atEnd(t, () => killed(client.pupBrowser))
    await assert.rejects(client.initialize(), /ERR_NAME_NOT_RESOLVED/)
    assert.ok(existsSync(join(dataPath, 'RemoteAuth-c1', 'Default')), version)
    assert.equal(authStrategy.profile.restored.source, 'fresh')
    await client.destroy()
    assert.equal(authStrategy.profile, null)
  }
})
