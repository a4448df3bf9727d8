// A migration that is killed again and again, at any moment, and run again until it comes to its end.
//
// Invariant guarded: no kill leaves half a session, in the target or in the source: every tenant is there whole or not at all, and
// in the end each is there, equal to its source by value.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'node:test'
import { lines } from '../support/baileys-lines.mjs'
import { filesIn, putIn, writeMultiFile } from '../support/migrations.mjs'
import { contentsOf, hybrid, scene, startProcess, temporaryFolder } from '../support/sessions.mjs'
import { makeRandom } from '../support/world/wire.mjs'
import { runSeed } from '../values/arbitrary.mjs'

const [v7] = lines
const TENANTS = 10
const KILLS = 25
/** How long a run may go on after its first word, in milliseconds. */
const LONGEST = 250

/** One run in a process of its own, which says when it begins and what it has done. */
async function run({ hybrid, args, say }) {
  const { options, cleanup } = args
  await say('begun')
  // Holding the process open is the migration's own business; a migration of a kind that needs no new credentials needs no Baileys.
  const report = await hybrid.migrate({ ...options, onProgress: ({ tenantId, status }) => void say(`${tenantId} ${status}`) })
  if (cleanup) await hybrid.cleanupMigrated({ ...options, report, confirm: true })
  await say('ended')
}

for (const mode of ['local', 'replicated']) {
  test(`${mode}: killed at any moment, run again, it ends with every session whole`, async (t) => {
    const random = makeRandom(runSeed(`migration-${mode}`))
    const baileys = await v7.load()
    const at = scene(t)
    const from = join(at.root, 'source')
    mkdirSync(from)
    const sources = {}
    for (let n = 0; n < TENANTS; n++) {
      const folder = join(temporaryFolder(t), 'session')
      sources[`tenant-${n}`] = await writeMultiFile(baileys, folder, { more: { 'pre-key': Object.fromEntries(Array.from({ length: 40 }, (_, i) => [i, { n: i }])) } })
      putIn(from, `tenant-${n}`, filesIn(folder))
    }
    // Whoever was killed did not release: nobody waits for it here.
    const options = { ...at[mode], ...(mode === 'local' && { store: null }), from, concurrency: 2, handoverTimeoutMs: 0 }
    const before = contentsOf(from)

    /** Each tenant that is there is whole; answers how many are. */
    async function look() {
      let whole = 0
      const folders = mode === 'local' ? at.directory : join(at.bucket, 'v1', 'data')
      for (const tenant of Object.keys(sources)) {
        const found = await hybrid.migrate({ ...options, baileys, dryRun: true, only: [tenant] })
        const { status, message } = found.sessions[0]
        assert.ok(['ready', 'already'].includes(status), `${tenant}: ${status} ${message}`)
        if (status === 'already') whole++
      }
      return { whole, folders }
    }

    let kills = 0
    let said = 0
    let most = 0
    for (; kills < KILLS && most < TENANTS; kills++) {
      const child = startProcess(t, run, { options })
      await child.said()
      await pause(random.below(LONGEST / 5))
      const { stdout } = await child.kill()
      said += stdout.length
      const { whole } = await look()
      assert.ok(whole >= most, 'what was done stays done')
      most = whole
    }
    t.diagnostic(`${kills} kills, ${most} of ${TENANTS} whole by then`)
    assert.deepEqual(contentsOf(from), before, 'the source is as it was')
    assert.ok(kills > 1)
    const report = await hybrid.migrate({ ...options, baileys })
    assert.equal(report.totals.migrated + report.totals.already, TENANTS, JSON.stringify(report.sessions.map(({ status, message }) => [status, message])))
    for (const [tenant, { creds }] of Object.entries(sources)) {
      const session = await at.open(tenant, { ...at[mode], baileys, onMissing: 'error', handoverTimeoutMs: 0 })
      assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey)
      await session.close()
    }

    // And the removal: killed as often, it never leaves a session that lacks a part.
    for (let n = 0; n < KILLS && readdirSync(from).length > 0; n++) {
      const child = startProcess(t, run, { options, cleanup: true })
      await child.said()
      await pause(random.below(LONGEST * 2))
      await child.kill()
      for (const tenant of readdirSync(from)) {
        const left = readdirSync(join(from, tenant))
        if (!left.includes('creds.json')) continue
        assert.equal(left.length, filesOf(before, tenant), `${tenant}: credentials without all of their keys`)
      }
    }
    const { cleanup } = { cleanup: await hybrid.cleanupMigrated({ ...options, baileys, report, confirm: true }) }
    assert.equal(cleanup.totals.removed + cleanup.totals.gone, TENANTS, JSON.stringify(cleanup.sessions))
    assert.deepEqual(readdirSync(from), [])
  })
}

const filesOf = (contents, tenant) => Object.keys(contents).filter((name) => name.split(/[/\\]/)[0] === tenant).length
