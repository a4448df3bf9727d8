// A migration that is killed again and again, at any moment, and run again until it comes to its end.
//
// Invariant guarded: no kill leaves half a session, in the target or in the source: every tenant is there whole or not at all, and
// in the end each is there, equal to its source by value.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { filesIn, putIn, writeMultiFile } from '../support/migrations.mjs'
import { contentsOf, hybrid, scene, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { makeRandom } from '../../testkit/world/wire.mjs'
import { runSeed } from '../values/arbitrary.mjs'
import { sized } from '../support/size.mjs'

const [v7] = lines
const TENANTS = sized(5, 10)
/** Runs that are killed before any tenant is done, after each of them, and so on. */
const KILLS = sized(10, 24)
/** Time for which a run may go on after the word that it is killed for, in milliseconds. */
const LONGEST = 60

/** One run in a process of its own, which says when it begins and what it has done. */
async function run({ hybrid, args, say }) {
  const { options, cleanup } = args
  await say('begun')
  const onProgress = ({ status }) => void say(status)
  if (cleanup) await hybrid.cleanupMigrated({ ...options, report: cleanup, confirm: true, onProgress })
  else await hybrid.migrate({ ...options, onProgress })
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
      sources[`tenant-${n}`] = await writeMultiFile(baileys, folder, {
        more: { 'pre-key': Object.fromEntries(Array.from({ length: 40 }, (_, i) => [i, { n: i }])) }
      })
      putIn(from, `tenant-${n}`, filesIn(folder))
    }
    // Whoever was killed did not release: nobody waits for it here.
    const options = { ...at[mode], ...(mode === 'local' && { store: null }), from, concurrency: 2, handoverTimeoutMs: 0 }
    const before = contentsOf(from)

    /** Each tenant that is there is whole; answers how many are. */
    async function look() {
      const { sessions, totals } = await hybrid.migrate({ ...options, baileys, dryRun: true })
      for (const { tenantId, status, message } of sessions)
        assert.ok(['ready', 'already'].includes(status), `${tenantId}: ${status} ${message}`)
      return totals.already
    }

    /** Kills a run a moment after it said something for the `words`th time. */
    async function killAfter(words, longest, args) {
      const child = startProcess(t, run, { options, ...args })
      for (let n = 0; n <= words; n++) if ((await child.said()) === 'ended') break
      await pause(random.below(longest))
      await child.kill()
    }

    let kills = 0
    let most = 0
    for (; kills < KILLS && most < TENANTS; kills++) {
      // What is there already is told at once: half of the runs are let through that, and every fourth is sure to do new work.
      await killAfter(kills % 4 === 3 ? most + 1 : random.below(2) * (most + random.below(2)), LONGEST)
      const whole = await look()
      assert.ok(whole >= most, 'what was done stays done')
      most = whole
    }
    t.diagnostic(`${kills} kills, ${most} of ${TENANTS} whole by then`)
    assert.deepEqual(contentsOf(from), before, 'the source is as it was')
    assert.ok(most > 0, 'no run came to anything: the kills met no work')
    const report = await hybrid.migrate({ ...options, baileys })
    assert.equal(
      report.totals.migrated + report.totals.already,
      TENANTS,
      JSON.stringify(report.sessions.map(({ status, message }) => [status, message]))
    )
    for (const [tenant, { creds }] of Object.entries(sources)) {
      const session = await at.open(tenant, { ...at[mode], baileys, onMissing: 'error', handoverTimeoutMs: 0 })
      assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey)
      await session.close()
    }

    // And the removal: killed as often, it never leaves credentials that lack a key.
    let removals = 0
    for (; removals < KILLS && readdirSync(from).length > 0; removals++) {
      await killAfter(random.below(3), LONGEST, { cleanup: report })
      for (const tenant of readdirSync(from)) {
        const left = readdirSync(join(from, tenant))
        if (left.includes('creds.json'))
          assert.equal(left.length, filesOf(before, tenant), `${tenant}: credentials without all of their keys`)
      }
    }
    t.diagnostic(`${removals} kills of the removal, ${readdirSync(from).length} sources left`)
    const cleanup = await hybrid.cleanupMigrated({ ...options, baileys, report, confirm: true })
    assert.equal(cleanup.totals.removed + cleanup.totals.gone, TENANTS, JSON.stringify(cleanup.sessions))
    assert.deepEqual(readdirSync(from), [])
  })
}

const filesOf = (contents, tenant) => Object.keys(contents).filter((name) => name.split(/[/\\]/)[0] === tenant).length
