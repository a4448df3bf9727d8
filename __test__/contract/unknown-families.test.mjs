// Keys of types that Baileys' list does not know: found again after an import as they are found in files, whatever came between.
//
// Invariant guarded: what `useMultiFileAuthState` finds in a folder, a session that took it over finds too, for every type; an export
// that is imported again loses nothing; nothing is filed under a type that it is not of.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { writeMultiFile } from '../support/migrations.mjs'
import { hybrid, scene } from '../../testkit/processes/sessions.mjs'

const baileys = await lines[0].load()

/** Types that there may be one day, or in a fork: some begin like one that there is. */
const UNKNOWN = {
  'username-mapping': { 490301234567: { name: 'a' }, 'b@lid': { name: 'b' } },
  'nct-salt': { main: Buffer.from('salt') },
  'tctoken-sender-ts': { '1@lid': { at: 5 } },
  'session-extra': { 'x.0': { v: 1 } },
  'pre-key-meta': { 5: { used: true } },
  'device-list-index': { 'a/b:c': { v: 2 } }
}

const KNOWN = {
  session: { '1001.0': { version: 'v1', _sessions: {} } },
  'pre-key': { 5: { public: Buffer.from('p'), private: Buffer.from('q') } },
  tctoken: { '1@lid': { token: Buffer.from('t') } }
}

/** Every key as the store of `keys` has it. */
async function found(keys) {
  const all = {}
  for (const [type, records] of Object.entries({ ...UNKNOWN, ...KNOWN })) all[type] = { ...(await keys.get(type, Object.keys(records))) }
  return all
}

/** A folder of Baileys' own with all of them; answers what Baileys finds in it. */
async function folderOfBaileys(folder) {
  await writeMultiFile(baileys, folder)
  const { state } = await baileys.useMultiFileAuthState(folder)
  await state.keys.set({ ...UNKNOWN, ...KNOWN })
  return found(state.keys)
}

for (const mode of ['local', 'replicated']) {
  test(`keys_of_unknown_types_are_found_after_an_import_in_${mode}_mode_as_baileys_finds_them`, async (t) => {
    const at = scene(t)
    const expected = await folderOfBaileys(join(at.directory, 'tenant'))
    const session = await at.open('tenant', { ...at[mode], baileys })
    assert.equal(session.status().restored.source, 'imported')
    assert.deepEqual(await found(session.state.keys), expected)
    assert.deepEqual(
      readdirSync(join(at.directory, 'tenant')).filter((name) => name.endsWith('.json')),
      [],
      'all of it was taken over'
    )
    await session.close()
    for (const options of mode === 'local' ? [at.local] : [at.replicated, at.elsewhere()]) {
      const again = await at.open('tenant', { ...options, baileys })
      assert.deepEqual(await found(again.state.keys), expected, 'opened again')
      await again.close()
    }
  })
}

test('nothing_is_filed_under_a_known_type_that_it_only_begins_like', async (t) => {
  const at = scene(t)
  await folderOfBaileys(join(at.directory, 'tenant'))
  const { state } = await at.openLocal('tenant', { baileys })
  for (const [type, strangers] of [
    ['tctoken', 'sender-ts-1@lid'],
    ['session', 'extra-x.0'],
    ['pre-key', 'meta-5'],
    ['device-list', 'index-a__b-c']
  ]) {
    for await (const id of state.keys.listIds(type)) assert.notEqual(id, strangers)
  }
})

test('an_export_that_is_imported_again_loses_nothing', async (t) => {
  const at = scene(t)
  const first = await at.openLocal('first', { baileys })
  await first.saveCreds()
  await first.state.keys.set({ ...UNKNOWN, ...KNOWN })
  const expected = await found(first.state.keys)
  for (const round of [1, 2, 3]) {
    const from = round === 1 ? first : hybrid
    const folder = join(at.root, `export-${round}`)
    const report =
      round === 1
        ? await from.exportMultiFile(folder)
        : await hybrid.exportMultiFile(`round-${round - 1}`, folder, { ...at.local, baileys })
    assert.deepEqual([report.collisions, report.impossible], [0, 0])
    const { state } = await baileys.useMultiFileAuthState(folder)
    assert.deepEqual(await found(state.keys), expected, 'as Baileys reads the export')
    const session = await at.openLocal(`round-${round}`, { baileys, importFrom: folder })
    assert.deepEqual(await found(session.state.keys), expected, `round ${round}`)
    await session.close()
  }
})

test('a_migration_takes_them_too_and_its_cleanup_removes_them', async (t) => {
  const at = scene(t)
  const from = join(at.root, 'source')
  const expected = await folderOfBaileys(join(from, 'tenant'))
  const report = await hybrid.migrate({ from, ...at.local, baileys })
  assert.equal(report.totals.migrated, 1, report.sessions[0].message)
  assert.equal(report.sessions[0].leftOut.notUnderstood, 0)
  const cleaned = await hybrid.cleanupMigrated({ from, report, confirm: true, ...at.local, baileys })
  assert.equal(cleaned.totals.removed, 1)
  assert.ok(!existsSync(join(from, 'tenant')))
  const { state } = await at.openLocal('tenant', { baileys })
  assert.deepEqual(await found(state.keys), expected)
})

test('what_is_set_later_goes_before_an_imported_key_and_a_deleted_one_does_not_come_back', async (t) => {
  const at = scene(t)
  await folderOfBaileys(join(at.directory, 'tenant'))
  const session = await at.openLocal('tenant', { baileys })
  const other = await at.openLocal('tenant', { baileys })
  const { keys } = session.state
  await keys.set({ 'session-extra': { 'x.0': { v: 'new' } }, 'username-mapping': { 'b@lid': null } })
  const check = async (keys) => {
    assert.deepEqual({ ...(await keys.get('session-extra', ['x.0', 'y'])) }, { 'x.0': { v: 'new' }, y: null })
    assert.deepEqual({ ...(await keys.get('username-mapping', ['b@lid', '490301234567'])) }, { 'b@lid': null, 490301234567: { name: 'a' } })
    const listed = []
    for await (const [id, value] of keys.list('username-mapping')) listed.push([id, value])
    assert.deepEqual(listed, [['490301234567', { name: 'a' }]])
  }
  await check(keys)
  await check(other.state.keys)
  await keys.set({ 'session-extra': { 'x.0': null } })
  for (const { state } of [session, other]) assert.equal((await state.keys.get('session-extra', ['x.0']))['x.0'], null)
  await keys.clear()
  for (const { state } of [session, other]) assert.equal((await state.keys.get('nct-salt', ['main'])).main, null)
})

test('a_name_that_an_application_made_up_leads_out_of_no_export', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant', { baileys })
  await session.saveCreds()
  await session.state.keys.set({ 'multi-file': { '../../outside-1.json': { a: 1 }, 'creds.json': { a: 2 }, 'in-1.json': { a: 3 } } })
  const folder = join(at.root, 'exports', 'one')
  mkdirSync(folder, { recursive: true })
  await session.exportMultiFile(folder)
  assert.deepEqual(
    readdirSync(at.root).filter((name) => name.includes('outside')),
    []
  )
  assert.deepEqual(readdirSync(folder).sort(), [
    'creds.json',
    'in-1.json',
    'multi-file-..__..__outside-1.json.json',
    'multi-file-creds.json.json'
  ])
})

test('a_file_beside_a_session_that_is_no_key_or_too_large_for_one_stays_where_it_is', async (t) => {
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  await writeMultiFile(baileys, folder)
  writeFileSync(join(folder, 'application.json'), '{}')
  writeFileSync(join(folder, 'chat-history.json'), JSON.stringify({ text: 'x'.repeat(2 << 20) }))
  const session = await at.openLocal('tenant', { baileys })
  assert.equal(session.status().restored.source, 'imported')
  assert.deepEqual(
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort(),
    ['application.json', 'chat-history.json']
  )
  renameSync(join(folder, 'application.json'), join(at.root, 'application.json'))
})
