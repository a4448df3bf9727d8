// A handover while the store refuses the predecessor's objects for a moment.
//
// Invariant guarded (I5, I20, promise 2): what was on its way when the newer claim was seen is part of the handover. If it is
// stored, its successor has it; if it is not, nobody says that the end was clean, and no hole is left behind.

import assert from 'node:assert/strict'
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { eventually, Machine, scratch } from '../support/machines.mjs'

const TENANT = 't'

/** Lets every PUT and LIST of data fail, and those of claims succeed. */
function dataOutage(bucket) {
  const data = join(bucket, 'v1/data', TENANT)
  renameSync(data, `${data}.away`)
  writeFileSync(data, '')
  return () => {
    rmSync(data)
    renameSync(`${data}.away`, data)
  }
}

for (const more of [false, true]) {
  test(`a_segment_that_was_refused_on_its_way_is_handed_over${more ? '_before_what_was_written_after_it' : ''}`, async (t) => {
    const folder = scratch(t)
    const options = { store: pathToFileURL(join(folder, 'bucket')).href, ownershipCheckIntervalMs: 1500 }
    const [older, newer] = [await Machine.start(t, join(folder, 'older')), await Machine.start(t, join(folder, 'newer'))]
    await older.call('open', TENANT, options)
    await older.call('set', { session: { a: { n: 1 } } })
    await older.call('flush')
    // The claim comes first: nobody claims before it has seen that it could restore.
    const opening = newer.call('open', TENANT, options)
    const claims = () => readdirSync(join(folder, 'bucket/v1/claims')).filter((name) => /-[0-9a-f]{32}$/.test(name))
    await eventually('the newer one has claimed', () => claims().length === 2)
    const heal = dataOutage(join(folder, 'bucket'))
    await older.call('set', { session: { a: { n: 2 } } })
    await older.told('degraded')
    if (more) await older.call('set', { session: { b: { n: 3 } } })
    await older.told('fenced')
    heal()
    const opened = await opening
    const last = await eventually('the predecessor has ended', async () => {
      const status = await older.call('status')
      return status.handedOver && status
    })
    assert.equal(opened.lsn, last.lsn, `it says that it handed over everything, and clean is ${opened.restored.clean}`)
    assert.deepEqual(opened.restored, { source: 'remote', clean: true })
    assert.deepEqual(await newer.call('get', 'session', ['a', 'b']), { a: { n: 2 }, b: more ? { n: 3 } : null })
    await newer.call('close')
  })
}
