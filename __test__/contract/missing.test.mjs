// A tenant without a session: what an open finds, searches and says, and places in which there can be no session.
//
// Invariants guarded: nothing is searched where there is a session; an error names the one call that helps; a session that was never
// paired takes an import; a path that can never contain files is INVALID_OPTION, and nothing waits for it.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { writeMultiFile } from '../support/migrations.mjs'
import { hybrid, rejection, scene, startProcess, temporaryFolder, told } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { whyNoPlace } = require('../../lib/folders.js')
const { metricsText } = require('../../lib/metrics/prometheus.js')
const [v7] = lines
const baileys = await v7.load()

test('not_found_says_how_to_pair_a_new_number_and_that_call_works', async (t) => {
  for (const mode of ['local', 'replicated']) {
    const at = scene(t)
    const missing = await rejection(at.open('tenant', { ...at[mode], onMissing: 'error' }))
    assert.deepEqual([missing.code, missing.folder], ['NOT_FOUND', undefined])
    assert.match(missing.message, /; to pair a new number, open it once with `onMissing: 'create'`$/)
    const both = await rejection(at.open('tenant', { ...at[mode], onMissing: 'error', fresh: true }))
    assert.match(both.message, /`onMissing: 'create'`$/)
    const fleet = new hybrid.HybridAuth({ ...at[mode], onMissing: 'error' })
    const paired = await fleet.open('tenant', { onMissing: 'create' })
    assert.equal(paired.status().restored.source, 'fresh')
    await paired.close()
    // Nobody paired it.
    const blank = await rejection(fleet.open('tenant'))
    assert.equal(blank.code, 'NOT_FOUND')
    assert.match(blank.message, /never paired and is empty.*`onMissing: 'create'`$/)
    const again = await fleet.open('tenant', { onMissing: 'create' })
    await again.saveCreds()
    await again.close()
    await (await fleet.open('tenant')).close()
  }
})

test('not_found_names_a_session_of_baileys_that_was_perhaps_meant', async (t) => {
  const at = scene(t)
  const folder = join(at.directory, 'group', '4915550001111')
  await writeMultiFile(baileys, folder)
  const missing = await rejection(at.openLocal('group/4915550001111', { baileys, onMissing: 'error' }))
  assert.deepEqual([missing.code, missing.folder], ['NOT_FOUND', folder])
  assert.match(
    missing.message,
    /there is a session of `useMultiFileAuthState` in a folder named by the tenant id; to import that session, open with that folder as `importFrom`/
  )
  assert.doesNotMatch(missing.message, /4915/)
  const imported = await at.openLocal('group/4915550001111', { baileys, onMissing: 'error', importFrom: missing.folder })
  assert.equal(imported.status().restored.source, 'imported')
})

test('nothing_beside_is_searched_where_a_tenant_has_a_session_on_the_disk_or_none_may_be_created', async (t) => {
  const at = scene(t)
  const cwd = temporaryFolder(t)
  await writeMultiFile(baileys, join(cwd, 'sessions', 'tenant'))
  for (let n = 0; n < 300; n++) mkdirSync(join(cwd, `other-${n}`))
  const { said } = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      process.chdir(args.cwd)
      const fs = await import('node:fs')
      const searched = { count: 0 }
      for (const name of ['readdir', 'lstat', 'stat', 'access']) {
        const original = fs.promises[name]
        fs.promises[name] = (path, ...rest) => {
          if (path === '.' || path.startsWith(args.cwd)) searched.count++
          return original(path, ...rest)
        }
      }
      const open = async (options) => {
        searched.count = 0
        const opened = await hybrid.useHybridAuthState('tenant', options).catch((error) => error)
        await say([opened.code ?? opened.status().restored.source, searched.count > 0])
        return opened
      }
      const first = await open({ ...args.here, fresh: true })
      await first.saveCreds()
      await first.close()
      await (await open(args.here)).close()
      await (await open({ ...args.there, onMissing: 'error' })).close()
      await open({ ...args.here, directory: args.elsewhere, store: undefined, mode: 'local' })
      await say('done')
    },
    { cwd, here: at.replicated, there: at.elsewhere(), elsewhere: join(at.root, 'third') }
  )
  assert.deepEqual(
    [await said(), await said(), await said()],
    [
      ['fresh', false],
      ['local', false],
      ['remote', false]
    ]
  )
  assert.deepEqual(await said(), ['INVALID_OPTION', true])
})

test('a_folder_beside_that_has_none_of_the_tenant_costs_one_look_and_one_that_has_is_found_behind_many', async (t) => {
  const at = scene(t)
  const cwd = temporaryFolder(t)
  for (let n = 0; n < 150; n++) mkdirSync(join(cwd, `other-${n}`))
  await writeMultiFile(baileys, join(cwd, 'zz', 'linked'))
  symlinkSync(join(cwd, 'zz', 'linked'), join(cwd, 'zz', 'pointed'))
  const { said } = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      process.chdir(args.cwd)
      const fs = await import('node:fs')
      const looks = []
      for (const name of ['readdir', 'lstat', 'stat', 'access', 'open', 'readFile']) {
        const original = fs.promises[name]
        fs.promises[name] = (path, ...rest) => {
          if (/other-\d/.test(path)) looks.push(path)
          return original(path, ...rest)
        }
      }
      for (const tenant of ['nobody', 'linked', 'pointed']) {
        looks.length = 0
        const opened = await hybrid.useHybridAuthState(tenant, args.here).catch((error) => error)
        await say([opened.code ?? opened.status().restored.source, looks.length <= 150])
      }
    },
    { cwd, here: at.replicated }
  )
  assert.deepEqual(await said(), ['fresh', true])
  assert.deepEqual(
    [await said(), await said()],
    [
      ['INVALID_OPTION', true],
      ['INVALID_OPTION', true]
    ]
  )
})

test('a_new_identity_is_no_failed_open_in_the_metrics', async (t) => {
  const at = scene(t)
  const failures = async () => Number((await metricsText()).match(/open_failures_total\{code="NOT_FOUND"\} (\d+)/)[1])
  const before = await failures()
  await at.openReplicated('tenant')
  await at.openLocal('other', { directory: join(at.root, 'other') })
  assert.equal(await failures(), before)
  await rejection(at.openLocal('third', { onMissing: 'error' }))
  assert.equal(await failures(), before + 1)
})

for (const mode of ['local', 'replicated']) {
  test(`a_${mode}_session_that_was_created_and_never_paired_takes_an_import`, async (t) => {
    const at = scene(t)
    const open = (options) => at.open('tenant', { ...at[mode], baileys, ...options })
    await (await open({ fresh: true })).close()
    const from = join(at.root, 'auth_info_baileys')
    const { creds } = await writeMultiFile(baileys, from)
    const session = await open({ importFrom: from })
    assert.deepEqual(session.status().restored, { source: 'imported', clean: true })
    assert.equal((await told(session, 'opened')).source, 'imported')
    assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey)
    assert.ok((await session.state.keys.get('session', ['1001.0']))['1001.0'])
    assert.ok(existsSync(join(from, 'multi-file-originals-1', 'creds.json')) && !existsSync(join(from, 'creds.json')))
    await session.close()
    const again = await open({ onMissing: 'error' })
    assert.deepEqual(again.state.creds.noiseKey, creds.noiseKey)
    await again.close()
  })

  test(`a_${mode}_session_that_was_created_and_never_paired_is_no_target_that_a_migration_stops_at`, async (t) => {
    const at = scene(t)
    await (await at.open('tenant', { ...at[mode], baileys, fresh: true })).close()
    const { creds } = await writeMultiFile(baileys, join(at.root, 'old', 'tenant'))
    for (const [dryRun, status] of [
      [true, 'ready'],
      [false, 'migrated'],
      [false, 'already']
    ]) {
      const { sessions } = await hybrid.migrate({ ...at[mode], baileys, from: join(at.root, 'old'), dryRun })
      assert.deepEqual(
        sessions.map((session) => session.status),
        [status]
      )
    }
    const session = await at.open('tenant', { ...at[mode], baileys, onMissing: 'error' })
    assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey)
    await session.close()
  })
}

test('a_session_that_was_created_and_never_paired_is_no_reason_for_a_second_identity_beside_one_of_baileys', async (t) => {
  const at = scene(t)
  await (await at.openLocal('a/b', { baileys, fresh: true })).close()
  await writeMultiFile(baileys, join(at.directory, 'a', 'b'))
  assert.equal((await rejection(at.openLocal('a/b', { baileys }))).code, 'INVALID_OPTION')
  const session = await at.openLocal('a/b', { baileys, importFrom: join(at.directory, 'a', 'b') })
  assert.equal(session.status().restored.source, 'imported')
})

/** Paths that can never contain a file on Linux, and what each is called. */
const NEVER = {
  '/proc/x': /file system of the kernel \(proc\)/,
  '/proc/self/x/y': /\(proc\)/,
  '/sys/x': /\(sysfs\)/,
  '/dev/null/x': /below a device/,
  '/dev/null': /is a device/
}

test(
  'a_place_that_can_never_contain_files_is_a_mistake_that_says_what_to_set_and_nothing_waits_for_it',
  { skip: process.platform !== 'linux' && 'the paths are those of Linux' },
  async (t) => {
    const at = scene(t)
    const session = await at.openLocal('tenant')
    await session.saveCreds()
    for (const [directory, words] of Object.entries(NEVER)) {
      const fleet = new hybrid.HybridAuth({ ...at.local, directory })
      for (const options of [at.local, at.replicated, { ...at.local, onMissing: 'error' }, { ...at.local, fresh: true }]) {
        const { code, message } = await rejection(at.open('another', { ...options, directory }))
        assert.equal(code, 'INVALID_OPTION', `${directory}: ${message}`)
        assert.match(message, words)
        assert.match(message, /set `directory` \(WHATSAPP_SESSION_PATH\) to a folder on a disk$/)
      }
      assert.equal((await rejection(fleet.delete('another'))).code, 'INVALID_OPTION')
      assert.equal((await rejection(session.exportMultiFile(directory))).code, 'INVALID_OPTION', directory)
      const tree = await new hybrid.HybridAuth(at.local).exportAll(directory).catch((error) => error)
      assert.equal(tree.code, 'INVALID_OPTION', directory)
      assert.ok(
        ['INVALID_OPTION', 'NOT_FOUND'].includes((await rejection(hybrid.migrate({ ...at.local, baileys, from: directory }))).code),
        directory
      )
    }
  }
)

test('a_place_with_an_obstacle_names_it_and_how_to_remove_it', async (t) => {
  const root = temporaryFolder(t)
  writeFileSync(join(root, 'file'), 'mine')
  const why = (path) => whyNoPlace(path, '`directory`', 'choose another')
  assert.deepEqual(why(join(root, 'file')), {
    code: 'LOCAL_UNAVAILABLE',
    message: '`directory` is a file: move the file away, or choose another'
  })
  assert.deepEqual(why(join(root, 'file', 'a', 'b')), {
    code: 'LOCAL_UNAVAILABLE',
    message: '`directory` is below a file: move the file away, or choose another'
  })
  assert.equal(why(join(root, 'new', 'folder')), null)
  symlinkSync(join(root, 'nowhere'), join(root, 'dangling'))
  symlinkSync(join(root, 'loop'), join(root, 'loop'))
  assert.match(why(join(root, 'dangling')).message, /is a symbolic link to a missing folder: create that folder/)
  assert.match(why(join(root, 'loop', 'a')).message, /symbolic link that leads to itself/)
  for (const directory of [join(root, 'x'.repeat(300)), 'a\0b']) {
    const { code, message } = await rejection(hybrid.useHybridAuthState('tenant', { directory, mode: 'local' }))
    assert.equal(code, 'INVALID_OPTION')
    assert.match(message, /^`directory` (is too long|must be the path of a directory)/)
  }
  if (process.getuid?.() === 0 || process.platform === 'win32') return
  chmodSync(root, 0o500)
  assert.match(why(join(root, 'new')).message, /not writable for the user of this process: change its owner or its mode/)
  chmodSync(root, 0o700)
})

test('a_tilde_that_no_shell_replaced_is_refused_wherever_a_path_is_configured', async (t) => {
  const at = scene(t)
  for (const path of ['~/sessions', '~', '~\\sessions']) {
    for (const options of [
      { directory: path },
      { importFrom: path },
      { mode: 'hybrid', encryption: 'off', store: { kind: 'directory', path } }
    ]) {
      const { code, message } = await rejection(at.open('tenant', { ...at.local, ...options }))
      assert.equal(code, 'INVALID_OPTION', JSON.stringify(options))
      assert.match(message, /begins with `~`, which only a shell replaces: write the home directory/)
    }
    assert.equal((await rejection(hybrid.migrate({ ...at.local, baileys, from: path }))).code, 'INVALID_OPTION')
  }
  assert.ok(!existsSync('~'))
  const session = await at.open('tenant', { directory: join(temporaryFolder(t), '~x', '~'), mode: 'local' })
  await session.close()
})
