// The one file of old versions of Baileys, `{ creds, keys }`: an open never makes a new identity beside it, and a migration finds it.
//
// Invariant guarded: where such a file plainly lies, whole or damaged, the open names the call that takes it over, and touches
// nothing; a migration reads it whole, under the name of the file, and proves it before it is removed.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { putIn, writeMultiFile } from '../support/migrations.mjs'
import { contentsOf, hybrid, rejection, scene, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { appStateSyncKey, pairedCreds } from '../../testkit/baileys/values.mjs'
import { chosen, spread } from '../support/size.mjs'

const [v7] = lines
const baileys = await v7.load()

/** The text of such a file, with a session of its own. */
function single(more = {}) {
  const creds = pairedCreds(baileys)
  const keys = {
    preKeys: { 1: { private: Buffer.from('p'), public: Buffer.from('q') } },
    sessions: { '1001.0': { version: 'v1', _sessions: {} } },
    appStateSyncKeys: { 'AA/+': appStateSyncKey(baileys) },
    ...more
  }
  return { creds, text: JSON.stringify({ creds, keys }, baileys.BufferJSON.replacer, 2) }
}

/** The calls that a newcomer makes beside the file, below a folder in which `auth_info.json` lies. */
const CALLS = {
  its_name_as_tenant: ['auth_info.json', {}, /`importFrom: '\.\/auth_info\.json'`/],
  its_path_as_tenant: ['./auth_info.json', {}, /`importFrom: '\.\/auth_info\.json'`/],
  its_name_without_the_ending: ['auth_info', {}, /`importFrom: '\.\/auth_info\.json'`/],
  its_path_as_directory: ['tenant', { directory: 'auth_info.json' }, /that file as `importFrom`.*/],
  a_directory_in_which_it_has_the_name_of_the_tenant: ['auth_info', { directory: '.' }, /`importFrom: '\.\/auth_info\.json'`/],
  a_directory_in_which_it_is_the_tenant: ['auth_info.json', { directory: '.' }, /`importFrom: '\.\/auth_info\.json'`/]
}

for (const [call, [tenant, options, words]] of spread(Object.entries(CALLS), 4)) {
  // Damaged where it is found by its name, whole where by its place.
  for (const damage of chosen([false, true], (damage) => damage === call.startsWith('its_name'))) {
    test(`an_open_with_${call}_names_the_call_that_takes_the_${damage ? 'damaged_' : ''}file_over`, async (t) => {
      const cwd = temporaryFolder(t)
      const { creds, text } = single()
      writeFileSync(join(cwd, 'auth_info.json'), damage ? text.slice(0, -20) : text)
      const { said } = startProcess(
        t,
        async ({ hybrid, args, say }) => {
          process.chdir(args.cwd)
          const given = { mode: 'local', baileys: await import(args.baileys), ...args.options }
          const refused = await hybrid.useHybridAuthState(args.tenant, given).catch((error) => error)
          await say({ code: refused.code, message: refused.message, folder: refused.folder })
          const taken = { ...given, directory: 'sessions', importFrom: 'auth_info.json' }
          const session = await hybrid.useHybridAuthState(args.tenant, taken).catch((error) => error)
          if (session.code) return say(session.code)
          await say({ ...session.status().restored, me: session.state.creds.me.id })
          await session.close()
        },
        { cwd, tenant, options, baileys: import.meta.resolve('baileys') }
      )
      const refused = await said()
      assert.equal(refused.code, 'INVALID_OPTION', refused.message)
      assert.match(refused.message, words)
      assert.match(refused.message, /`useSingleFileAuthState`/)
      assert.equal(refused.folder, join(cwd, 'auth_info.json'))
      if (damage) assert.equal(await said(), 'LOCAL_CORRUPT')
      else assert.deepEqual(await said(), { source: 'imported', clean: true, me: creds.me.id })
    })
  }
}

test('other_files_of_the_name_of_a_tenant_stop_nothing', async (t) => {
  const at = scene(t)
  mkdirSync(at.directory, { recursive: true })
  for (const [tenant, content] of Object.entries({ empty: '', json: '{"creds":{}}', list: '[]', text: 'noiseKey' })) {
    writeFileSync(join(at.directory, `${tenant}.json`), content)
    assert.equal((await at.openLocal(tenant, { baileys })).status().restored.source, 'fresh')
  }
})

test('a_migration_finds_single_files_beside_folders_imports_them_and_cleans_them_up', async (t) => {
  const at = scene(t)
  const from = join(at.root, 'old')
  mkdirSync(join(from, 'below'), { recursive: true })
  const [anna, bob] = [single({ strange: { 1: 2 } }), single()]
  writeFileSync(join(from, 'anna.json'), anna.text)
  writeFileSync(join(from, 'below', 'bob.json'), bob.text)
  writeFileSync(join(from, 'torn.json'), single().text.slice(0, -20))
  writeFileSync(join(from, 'settings.json'), '{"a":1}')
  await writeMultiFile(baileys, join(from, 'carl'))
  const options = { ...at.local, store: null, baileys, from, tenantId: ({ parts }) => parts.join('-') }
  const before = contentsOf(from)
  const report = await hybrid.migrate(options)
  const found = Object.fromEntries(report.sessions.map(({ path, layout, status, tenantId }) => [path, [layout, status, tenantId]]))
  assert.deepEqual(found, {
    'anna.json': ['single-file', 'migrated', 'anna'],
    'below/bob.json': ['single-file', 'migrated', 'below-bob'],
    carl: ['flat', 'migrated', 'carl'],
    'torn.json': ['single-file', 'damaged', 'torn']
  })
  assert.equal(report.sessions.find(({ path }) => path === 'anna.json').leftOut.notUnderstood, 1)
  assert.equal(report.passedOver, 1)
  assert.deepEqual(contentsOf(from), before)
  const session = await at.openLocal('anna', { baileys, onMissing: 'error' })
  assert.deepEqual(session.state.creds.noiseKey, anna.creds.noiseKey)
  assert.deepEqual((await session.state.keys.get('pre-key', ['1']))['1'].private, Buffer.from('p'))
  await session.close()
  assert.equal((await hybrid.migrate(options)).totals.already, 3)

  const cleaned = await hybrid.cleanupMigrated({
    ...at.local,
    store: null,
    baileys,
    from,
    report: JSON.parse(JSON.stringify(report)),
    confirm: true
  })
  assert.equal(cleaned.totals.removed, 3, JSON.stringify(cleaned.sessions))
  assert.deepEqual(Object.keys(contentsOf(from)).sort(), ['settings.json', 'torn.json'])
})

test('a_single_file_that_was_written_after_its_migration_is_kept', async (t) => {
  const at = scene(t)
  const from = join(at.root, 'old')
  mkdirSync(from)
  const file = join(from, 'anna.json')
  writeFileSync(file, single().text)
  const options = { ...at.local, store: null, baileys, from }
  const report = await hybrid.migrate(options)
  writeFileSync(file, readFileSync(file, 'utf8').replace('"v1"', '"v2"'))
  const cleaned = await hybrid.cleanupMigrated({ ...options, report, confirm: true })
  assert.deepEqual([cleaned.totals['source-changed'], existsSync(file)], [1, true])
})

test('a_migration_takes_one_file_as_its_source_an_encrypted_one_and_what_a_layout_asks_for', async (t) => {
  const { createCipheriv } = await import('node:crypto')
  const at = scene(t)
  const from = join(at.root, 'old')
  mkdirSync(from)
  const { creds, text } = single()
  writeFileSync(join(from, 'anna.json'), text)
  await writeMultiFile(baileys, join(from, 'carl'))
  const options = { ...at.local, store: null, baileys }
  const one = await hybrid.migrate({ ...options, from: join(from, 'anna.json'), dryRun: true })
  assert.deepEqual(
    one.sessions.map(({ tenantId, status }) => [tenantId, status]),
    [['anna', 'ready']]
  )
  const asked = await hybrid.migrate({ ...options, from, layout: 'single-file', dryRun: true })
  assert.deepEqual(
    asked.sessions.map(({ tenantId }) => tenantId),
    ['anna']
  )
  const folders = await hybrid.migrate({ ...options, from, layout: 'flat', dryRun: true })
  assert.deepEqual(
    folders.sessions.map(({ tenantId }) => tenantId),
    ['carl']
  )

  const key = '3c'.repeat(32)
  const cipher = createCipheriv('aes-256-cbc', Buffer.from(key, 'hex'), Buffer.alloc(16, 7))
  const sealed = Buffer.concat([Buffer.alloc(16, 7), cipher.update(text), cipher.final()])
  const other = join(at.root, 'sealed')
  mkdirSync(other)
  putIn(other, '', new Map([['dora.json', sealed]]))
  const report = await hybrid.migrate({ ...options, from: other, sourceKey: key })
  assert.deepEqual(
    report.sessions.map(({ tenantId, status, encrypted }) => [tenantId, status, encrypted]),
    [['dora', 'migrated', true]]
  )
  assert.deepEqual((await at.openLocal('dora', { baileys, onMissing: 'error' })).state.creds.noiseKey, creds.noiseKey)
  const none = await rejection(hybrid.migrate({ ...options, from: join(at.root, 'nowhere') }))
  assert.equal(none.code, 'INVALID_OPTION')
})
