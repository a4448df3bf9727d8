// The module over sessions that keep nothing on the disk.
//
// Invariant guarded: what resolved before an application ends is in the store when it has ended, and the service says of such a
// session what is true of it.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { cloudScene } from '../support/clouds.mjs'
import { MAJORS, linesOf, nest, own, startApplication } from '../support/nest.mjs'

for (const major of MAJORS) {
  const { common, core, hybridAuth } = nest(major)

  test(`nest ${major}: the_module_works_in_cloud_mode_and_ends_with_everything_in_the_store`, async (t) => {
    const at = await cloudScene(t)
    const { lines, logger } = linesOf()
    const backups = []
    const module = hybridAuth.HybridAuthModule.forRoot({
      ...at.cloud,
      baileys: cheapBaileys,
      shutdownTimeoutMs: 60_000,
      onBackup: (info) => backups.push(info.tenantId)
    })
    const application = await startApplication(t, { common, core }, { logger, imports: [module] })
    const auth = application.get(hybridAuth.HybridAuthService)
    const { state, saveCreds } = await auth.initialize('tenant')
    await saveCreds()
    await state.keys.set({ session: { a: { v: 1 } } })
    assert.equal(await auth.backupToSupabase('tenant'), true)
    const {
      backed_up,
      total,
      sessions: [{ state: health, lagMs }]
    } = await auth.getSessionHealth('tenant')
    assert.deepEqual({ backed_up, total, health, lagMs }, { backed_up: 1, total: 1, health: 'ok', lagMs: 0 })
    await state.keys.set({ session: { last: { v: 2 } } })
    await application.close()
    assert.ok(
      own(lines).some(({ text }) => /1 session closed, complete in the store/.test(text)),
      JSON.stringify(own(lines))
    )
    assert.ok(backups.includes('tenant'))
    assert.equal(existsSync(at.directory), false, 'nothing was made on the disk')
    const elsewhere = await at.open('tenant', { ...at.elsewhere(), baileys: cheapBaileys, onMissing: 'error' })
    assert.deepEqual(elsewhere.status().restored, { source: 'remote', clean: true })
    assert.deepEqual(await elsewhere.state.keys.get('session', ['a', 'last']), { a: { v: 1 }, last: { v: 2 } })
  })
}
