// Back out: sessions of HybridAuth as folders of LocalAuth and zips of RemoteAuth, read by the real classes of whatsapp-web.js.

import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from '../../testkit/base/missing.mjs'
import { openBrowser, readPairs } from '../../testkit/browser/profile.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { contentsOf, fingerprintsOf, hybrid, rejection, scene, until } from '../../testkit/processes/sessions.mjs'
import { VERSIONS, load, optionsOf, whatsappWeb } from '../../testkit/browser/whatsapp-web.mjs'
import { FolderStore, keptOf, makeProfiles, remoteAuth } from '../../testkit/browser/wwebjs-sessions.mjs'
import { chosen } from '../support/size.mjs'

let profiles
before(async (t) => {
  profiles = await makeProfiles(t)
})

/** A scene whose bucket has the session `shop-7`, and a fleet over it. */
async function place(t) {
  const at = scene(t)
  const from = join(at.root, 'local')
  cpSync(profiles.first, join(from, 'session-shop-7'), { recursive: true })
  cpSync(profiles.second, join(from, 'session'), { recursive: true })
  const { totals } = await hybrid.migrate({ ...optionsOf(at), from, layout: 'wwebjs-local' })
  assert.equal(totals.migrated, 2)
  const fleet = new hybrid.HybridAuth({ ...optionsOf(at), directory: at.directory })
  atEnd(t, () => fleet.shutdown())
  return { at, fleet, to: join(at.root, 'exported') }
}

const TENANT = 'whatsapp-web.js/shop-7'

test('an exported folder is the session of the real LocalAuth, in a browser', async (t) => {
  const { fleet, to } = await place(t)
  const report = await fleet.exportProfile(TENANT, to)
  assert.deepEqual(report, { path: join(to, 'session-shop-7'), format: 'local', generation: 1, files: report.files, bytes: report.bytes })
  const auth = new (load('1.34.7').LocalAuth)({ clientId: 'shop-7', dataPath: to })
  const client = { options: { puppeteer: {} } }
  auth.setup(client)
  await auth.beforeBrowserInitialized()
  assert.equal(client.options.puppeteer.userDataDir, report.path)
  assert.deepEqual(fingerprintsOf(report.path), keptOf(profiles.first))
  const { page } = await openBrowser(t, report.path, profiles.url)
  const { count, isEqual } = await readPairs(page)
  assert.deepEqual([count, isEqual], [6, true])
})

for (const version of chosen(VERSIONS, (version) => version === VERSIONS.at(-1))) {
  test(`an exported zip is the session of the real RemoteAuth ${version}`, async (t) => {
    const { at, fleet, to } = await place(t)
    const report = await fleet.exportProfile(TENANT, to, { format: 'zip' })
    assert.equal(report.path, join(to, 'RemoteAuth-shop-7.zip'))
    assert.deepEqual(readdirSync(to), ['RemoteAuth-shop-7.zip'])
    const store = new FolderStore(to)
    const before = process.cwd()
    mkdirSync(join(at.root, 'elsewhere'))
    process.chdir(join(at.root, 'elsewhere'))
    try {
      const auth = remoteAuth(t, { version, store, dataPath: join(at.root, 'auth') })
      await auth.beforeBrowserInitialized()
      await until(() => JSON.stringify(keptOf(auth.userDataDir)) === JSON.stringify(keptOf(profiles.first)), 'the restored profile')
    } finally {
      process.chdir(before)
    }
  })
}

test('an export and a migration give back the same session', async (t) => {
  const { at, fleet, to } = await place(t)
  await fleet.exportProfile(TENANT, to, { format: 'zip' })
  await fleet.exportProfile('whatsapp-web.js/.default', to, { format: 'zip' })
  assert.deepEqual(readdirSync(to).sort(), ['RemoteAuth-shop-7.zip', 'RemoteAuth.zip'])
  const { totals } = await hybrid.migrate({ ...optionsOf(at), from: to, layout: 'wwebjs-zip' })
  assert.equal(totals.already, 2)
})

test('a session that is there is replaced only if that is asked for, and whole', async (t) => {
  const { fleet, to } = await place(t)
  for (const format of ['local', 'zip']) {
    const { path } = await fleet.exportProfile(TENANT, to, { format })
    const before = contentsOf(to)
    assert.equal((await rejection(fleet.exportProfile(TENANT, to, { format }))).code, 'INVALID_OPTION')
    if (format === 'local') writeFileSync(join(path, 'Default', 'Preferences'), '{}')
    else writeFileSync(path, 'x')
    await fleet.exportProfile(TENANT, to, { format, overwrite: true })
    assert.deepEqual(contentsOf(to), before)
  }
  const browser = await openBrowser(t, join(to, 'session-shop-7'), profiles.url)
  assert.equal((await rejection(fleet.exportProfile(TENANT, to, { overwrite: true }))).code, 'ALREADY_OPEN')
  await browser.close()
})

test('a client of the same process is left alone, and an export that fails leaves nothing', async (t) => {
  const { at, fleet, to } = await place(t)
  const client = new whatsappWeb.HybridAuth({ ...optionsOf(at), clientId: 'shop-7', dataPath: join(at.root, 'auth') })
  client.setup({ options: { puppeteer: {} }, on() {} })
  atEnd(t, () => client.destroy())
  await client.beforeBrowserInitialized()
  const refused = await rejection(fleet.exportProfile(TENANT, join(at.root, 'nothing')))
  assert.match(refused.message, /this process has this tenant open .*: close it there first/)
  assert.equal(client.profile.status().life, 'live')
  for (const [tenantId, code] of [
    ['whatsapp-web.js/none', 'NOT_FOUND'],
    ['shop-7', 'INVALID_OPTION']
  ]) {
    assert.equal((await rejection(fleet.exportProfile(tenantId, join(at.root, 'nothing')))).code, code)
  }
  await fleet.delete('whatsapp-web.js/.default')
  assert.equal((await rejection(fleet.exportProfile('whatsapp-web.js/.default', join(at.root, 'nothing')))).code, 'DELETED')
  assert.deepEqual(existsSync(join(at.root, 'nothing')) ? readdirSync(join(at.root, 'nothing')) : [], [])
  for (const options of [{ format: 'tar' }, { overwrite: 'yes' }])
    assert.equal((await rejection(fleet.exportProfile(TENANT, to, options))).code, 'INVALID_OPTION')
})

test('an export of all tenants includes profiles where their form is said', async (t) => {
  const { at, fleet, to } = await place(t)
  const session = await fleet.open('anna')
  await session.saveCreds()
  await session.close()
  const plain = await fleet.exportAll(join(at.root, 'plain'))
  assert.deepEqual(
    plain.exported.map(({ tenantId }) => tenantId),
    ['anna']
  )
  const all = await fleet.exportAll(to, { profiles: 'zip' })
  assert.deepEqual(
    [all.failed, all.exported.map(({ tenantId, folder }) => [tenantId, folder]).sort()],
    [
      [],
      [
        ['anna', 'anna'],
        ['whatsapp-web.js/.default', 'RemoteAuth.zip'],
        [TENANT, 'RemoteAuth-shop-7.zip']
      ]
    ]
  )
  assert.deepEqual(readdirSync(to).sort(), ['RemoteAuth-shop-7.zip', 'RemoteAuth.zip', 'anna'])
  assert.deepEqual(readFileSync(join(to, 'RemoteAuth.zip')).subarray(0, 2).toString(), 'PK')
  assert.equal((await rejection(fleet.exportAll(to, { profiles: 'tar' }))).code, 'INVALID_OPTION')
})
