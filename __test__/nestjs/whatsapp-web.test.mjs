// Clients of whatsapp-web.js in an application of NestJS: strategies of the module, with a real Chromium.
//
// Invariants guarded: a strategy has the settings and the callbacks of the module; what a client left is in the store when the application
// has ended; a profile whose backups fail is a matter of health.

import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { linesOf, nest, own, startApplication } from '../support/nest.mjs'
import { servePage, writePairs } from '../../testkit/browser/profile.mjs'
import { KEY, rejection, scene, until } from '../../testkit/processes/sessions.mjs'
import { SmallClient, pairsOf, whole } from '../../testkit/browser/whatsapp-web.mjs'

const { common, core, hybridAuth } = nest(11)
const { HybridAuthModule, HybridAuthService } = hybridAuth

test('client_of_the_module_is_backed_up_ended_with_the_application_and_found_by_the_next_one', async (t) => {
  const at = scene(t)
  const url = await servePage(t)
  async function start(name, options = {}) {
    const { lines, logger } = linesOf()
    const module = HybridAuthModule.forRoot({
      store: at.replicated.store,
      encryptionKeys: [KEY],
      directory: join(at.root, name, 'sessions'),
      shutdownTimeoutMs: 60_000,
      ...options
    })
    const application = await startApplication(t, { common, core }, { logger, imports: [module] })
    const auth = application.get(HybridAuthService)
    const client = new SmallClient(t, { authStrategy: auth.whatsappWeb('shop-7', { dataPath: join(at.root, name, 'auth') }), url })
    return { application, auth, client, told: () => own(lines).map(({ level, text }) => `${level}: ${text}`) }
  }
  const backups = []
  const events = []
  const one = await start('one', {
    onBackup: (info) => void backups.push(info),
    onEvent: ({ event, tenantId }) => events.push(`${event} ${tenantId}`)
  })
  const none = { open: 0, running: 0, neverBackedUp: 0, failing: 0, failingForMs: 0, oldestBackupMs: null }
  assert.deepEqual(one.auth.health().profiles, none)
  await one.client.initialize()
  await writePairs(one.client.pupPage, { count: 3 })
  assert.deepEqual(one.auth.health().profiles, { ...none, open: 1, running: 1, neverBackedUp: 1 })
  const { generation } = await one.client.authStrategy.profile.backup()
  await until(() => backups.length > 0, 'the news of a backup')
  assert.deepEqual([backups[0].tenantId, backups[0].lsn], ['whatsapp-web.js/shop-7', generation])
  assert.ok(events.includes('opened whatsapp-web.js/shop-7'), events.join())
  const { profiles, healthy, sessions } = one.auth.health()
  assert.ok(healthy && sessions === 0 && profiles.oldestBackupMs >= 0 && profiles.neverBackedUp === 0)
  assert.deepEqual(
    (await one.auth.survey()).map(({ tenantId }) => tenantId),
    ['whatsapp-web.js/shop-7']
  )

  // Away for a moment, and unhealthy for who has no patience.
  const away = `${at.bucket}-away`
  renameSync(at.bucket, away)
  await writePairs(one.client.pupPage, { count: 2 })
  assert.match((await rejection(one.client.authStrategy.profile.backup())).code, /^REMOTE_/)
  const ill = one.auth.health({ degradedForMs: 0, tenantIds: true })
  assert.deepEqual([ill.healthy, ill.profiles.failing, ill.profiles.tenantIds], [false, 1, { failing: ['whatsapp-web.js/shop-7'] }])
  assert.equal(one.auth.health().healthy, true)
  renameSync(away, at.bucket)

  const browser = one.client.pupBrowser.process()
  await one.application.close()
  assert.notEqual(browser.exitCode ?? browser.signalCode, null)
  assert.equal(one.client.authStrategy.profile, null)
  assert.deepEqual(
    one.told().filter((line) => line.includes('not stored')),
    []
  )
  assert.deepEqual(one.auth.health().profiles, none)
  assert.equal(
    (() => {
      try {
        one.auth.whatsappWeb('other')
      } catch (error) {
        return error.code
      }
    })(),
    'CLOSED'
  )

  const two = await start('two', { onMissing: 'error' })
  await two.client.initialize()
  assert.equal(two.client.authStrategy.profile.restored.source, 'remote')
  assert.deepEqual(await pairsOf(two.client), whole(5))
  await two.application.close()
})
