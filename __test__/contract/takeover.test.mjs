// Never a new identity beside a session that is there: what plainly was meant is named with the call that takes it over, and what
// is left of a damaged folder is taken over or refused.
//
// Invariant guarded: an open makes a new WhatsApp identity only where no session of `useMultiFileAuthState` plainly lies, or where
// a new one is asked for by name; a refusal makes no session and touches no file of another.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { writeMultiFile } from '../support/migrations.mjs'
import { contentsOf, rejection, scene, startProcess, temporaryFolder, told } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { isListed } = require('../../lib/multi-file/names.js')
const [v7] = lines
const baileys = await v7.load()

/** The three calls that a newcomer makes beside the folder of the examples. */
const CALLS = {
  its_name_as_tenant: ['auth_info_baileys', {}],
  its_path_as_tenant: ['./auth_info_baileys', {}],
  its_path_as_directory: ['tenant', { directory: 'auth_info_baileys' }]
}

for (const [call, [tenant, options]] of Object.entries(CALLS)) {
  test(`an_open_with_${call}_names_the_call_that_takes_the_session_over`, async (t) => {
    const cwd = temporaryFolder(t)
    const { creds } = await writeMultiFile(baileys, join(cwd, 'auth_info_baileys'))
    const before = contentsOf(join(cwd, 'auth_info_baileys'))
    const { said } = startProcess(
      t,
      async ({ hybrid, args, say }) => {
        process.chdir(args.cwd)
        const given = { mode: 'local', baileys: await import(args.baileys), ...args.options }
        const { code, message, folder } = await hybrid.useHybridAuthState(args.tenant, given).catch((error) => error)
        await say({ code, message, folder })
        const session = await hybrid.useHybridAuthState(args.tenant, { ...given, importFrom: './auth_info_baileys' })
        await say({ ...session.status().restored, me: session.state.creds.me.id })
        await session.close()
        const again = await hybrid.useHybridAuthState(args.tenant, { ...given, importFrom: './auth_info_baileys' })
        await say({ ...again.status().restored, me: again.state.creds.me.id })
        await again.close()
        const other = await hybrid.useHybridAuthState('a-second-tenant', given)
        await say(other.status().restored.source)
        await other.close()
      },
      { cwd, tenant, options, baileys: import.meta.resolve('baileys') }
    )
    const refused = await said()
    assert.equal(refused.code, 'INVALID_OPTION')
    assert.match(refused.message, options.directory ? /with that folder as `importFrom`/ : /`importFrom: '\.\/auth_info_baileys'`/)
    assert.equal(refused.folder, join(cwd, 'auth_info_baileys'))
    assert.deepEqual(await said(), { source: 'imported', clean: true, me: creds.me.id })
    assert.deepEqual(await said(), { source: 'local', clean: true, me: creds.me.id })
    assert.equal(await said(), 'fresh')
    const aside = contentsOf(join(cwd, 'auth_info_baileys', 'multi-file-originals-1'))
    assert.deepEqual(aside, before, 'the originals are as they were')
  })
}

test('a_new_identity_is_not_created_beside_the_folders_that_code_for_files_makes_of_an_id', async (t) => {
  const cwd = temporaryFolder(t)
  for (const folder of ['sessions/4915550001111', 'auth_info_shop', '.data/42']) await writeMultiFile(baileys, join(cwd, folder))
  const { said } = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      process.chdir(args.cwd)
      const given = { mode: 'local', directory: 'elsewhere', baileys: await import(args.baileys) }
      for (const tenant of ['4915550001111', 'shop', '42', '2', 'hop', 'undefined', 'null', '[object Object]']) {
        const opened = await hybrid.useHybridAuthState(tenant, given).catch(({ code, message, folder }) => ({ code, message, folder }))
        await say(opened.code === undefined ? opened.status().restored.source : opened)
        await opened.close?.()
      }
      const named = await hybrid.useHybridAuthState('undefined', { ...given, fresh: true })
      await named.saveCreds()
      await named.close()
      const again = await hybrid.useHybridAuthState('undefined', given)
      await say(again.status().restored.source)
      await again.close()
    },
    { cwd, baileys: import.meta.resolve('baileys') }
  )
  for (const folder of ['sessions/4915550001111', 'auth_info_shop', '.data/42']) {
    const refused = await said()
    assert.deepEqual([refused.code, refused.folder], ['INVALID_OPTION', join(cwd, folder)])
    assert.match(refused.message, /open with that folder as `importFrom`/)
    assert.doesNotMatch(refused.message, /4915|shop|42/)
  }
  assert.deepEqual([await said(), await said()], ['fresh', 'fresh'])
  for (let count = 0; count < 3; count++) {
    const refused = await said()
    assert.equal(refused.code, 'INVALID_OPTION')
    assert.match(refused.message, /Check the variable that the id comes from/)
  }
  assert.equal(await said(), 'local')
})

test('a_refusal_for_a_session_that_lies_beside_holds_no_id_and_ends_with_what_is_asked_for', async (t) => {
  const at = scene(t)
  await writeMultiFile(baileys, join(at.directory, 'group', '4915550001111'))
  const refused = await rejection(at.openLocal('group/4915550001111', { baileys }))
  assert.equal(refused.code, 'INVALID_OPTION')
  assert.doesNotMatch(refused.message, /4915/)
  assert.equal((await rejection(at.openLocal('group/4915550001111', { baileys, onMissing: 'error' }))).code, 'NOT_FOUND')
  const fresh = await at.openLocal('group/4915550001111', { baileys, fresh: true })
  assert.equal(fresh.status().restored.source, 'fresh')
  await fresh.saveCreds()
  await fresh.close()
  // What there is of the tenant goes before what lies beside.
  const again = await at.openLocal('group/4915550001111', { baileys })
  assert.equal(again.status().restored.source, 'local')
  assert.ok(existsSync(join(at.directory, 'group', '4915550001111', 'creds.json')))
})

test('import_from_is_refused_where_it_holds_no_session_or_another_one_than_the_tenant_has', async (t) => {
  const at = scene(t)
  const from = join(at.root, 'old')
  mkdirSync(from)
  assert.match((await rejection(at.openLocal('tenant', { baileys, importFrom: from }))).message, /`importFrom` contains no session/)
  await writeMultiFile(baileys, from)
  const replicated = await at.openReplicated('tenant', { baileys, importFrom: from, onMissing: 'error' })
  assert.equal(replicated.status().restored.source, 'imported')
  await replicated.close()
  assert.match((await rejection(at.openLocal('other', { baileys, importFrom: from }))).message, /was already imported/)
  await writeMultiFile(baileys, from)
  const before = contentsOf(from)
  assert.equal((await rejection(at.openReplicated('tenant', { baileys, importFrom: from }))).code, 'LOCAL_CORRUPT')
  assert.deepEqual(contentsOf(from), before)
  assert.equal(
    (await rejection(at.open('tenant', { ...at.replicated, directory: undefined, mode: 'cloud', baileys, importFrom: from }))).code,
    'INVALID_OPTION'
  )
  for (const importFrom of ['', 7, null, 'a\0b'])
    assert.equal((await rejection(at.openLocal('x', { baileys, importFrom }))).code, 'INVALID_OPTION')
})

/** States in which a program that writes through `.tmp` and `.bak` may leave a file, from the file as it was. */
const LEFT = {
  renamed_to_bak: (file) => renameSync(file, `${file}.bak`),
  renamed_to_bak_with_the_next_one_torn: (file) => {
    renameSync(file, `${file}.bak`)
    writeFileSync(`${file}.tmp`, '{"noiseKey":')
  },
  torn_beside_its_backup: (file) => {
    cpSync(file, `${file}.bak`)
    truncateSync(file, 20)
  },
  emptied_beside_its_backup: (file) => {
    cpSync(file, `${file}.bak`)
    truncateSync(file, 0)
  }
}

for (const [way, leave] of Object.entries(LEFT)) {
  test(`a_folder_whose_files_were_${way}_is_taken_over_whole`, async (t) => {
    const at = scene(t)
    const folder = join(at.directory, 'tenant')
    const { creds, data } = await writeMultiFile(baileys, folder)
    const names = readdirSync(folder)
    for (const name of names) leave(join(folder, name))
    const before = contentsOf(folder)
    const session = await at.openReplicated('tenant', { baileys, onMissing: 'error' })
    assert.deepEqual(session.status().restored, { source: 'imported', clean: true })
    assert.deepEqual(session.state.creds.noiseKey, creds.noiseKey)
    for (const [type, records] of Object.entries(data)) {
      const found = await session.state.keys.get(type, Object.keys(records))
      for (const id of Object.keys(records)) assert.ok(found[id], `${type} ${id}`)
    }
    assert.deepEqual(contentsOf(join(folder, 'multi-file-originals-1')), before, 'all of it is set aside, copies too')
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes('.json')),
      []
    )
    await session.close()
    const again = await at.openReplicated('tenant', { baileys })
    assert.equal(again.status().restored.source, 'local')
  })
}

test('keys_without_credentials_are_refused_with_their_number_and_nothing_is_touched', async (t) => {
  for (const damage of ['gone', 'bak is torn', 'tmp is torn']) {
    const at = scene(t)
    const folder = join(at.directory, 'tenant')
    await writeMultiFile(baileys, folder)
    rmSync(join(folder, 'creds.json'))
    if (damage !== 'gone') writeFileSync(join(folder, `creds.json.${damage.slice(0, 3)}`), '{"noiseKey"')
    const before = contentsOf(folder)
    const refused = await rejection(at.openLocal('tenant', { baileys }))
    assert.equal(refused.code, 'LOCAL_CORRUPT', damage)
    assert.match(refused.message, /creds\.json/)
    const left = contentsOf(folder)
    for (const [name, bytes] of Object.entries(before)) assert.equal(left[name], bytes)
    assert.deepEqual(
      Object.keys(left).filter((name) => name.endsWith('.log')),
      []
    )
  }
})

test('copies_beside_a_session_of_ours_are_the_rest_of_a_move_and_stop_nothing', async (t) => {
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  await writeMultiFile(baileys, folder)
  const first = await at.openLocal('tenant', { baileys })
  first.state.creds.nextPreKeyId = 77
  await first.saveCreds()
  await first.close()
  cpSync(join(folder, 'multi-file-originals-1', 'creds.json'), join(folder, 'creds.json.bak'))
  cpSync(join(folder, 'multi-file-originals-1', 'pre-key-1.json'), join(folder, 'pre-key-1.json.bak'))
  const second = await at.openLocal('tenant', { baileys })
  assert.equal(second.state.creds.nextPreKeyId, 77)
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('.json')),
    [],
    'a program of before would start from them'
  )
})

test('keys_in_a_folder_of_their_own_are_taken_over_and_those_in_one_file_are_not_left_behind', async (t) => {
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  await writeMultiFile(baileys, folder)
  mkdirSync(join(folder, 'keys'))
  for (const name of readdirSync(folder).filter((name) => name.endsWith('.json') && name !== 'creds.json'))
    renameSync(join(folder, name), join(folder, 'keys', name))
  const session = await at.openLocal('tenant', { baileys })
  assert.ok((await session.state.keys.get('session', ['1001.0']))['1001.0'])
  assert.ok(existsSync(join(folder, 'multi-file-originals-1', 'keys')) && !existsSync(join(folder, 'keys')))

  const other = join(at.directory, 'other')
  mkdirSync(other)
  cpSync(join(folder, 'multi-file-originals-1', 'creds.json'), join(other, 'creds.json'))
  writeFileSync(join(other, 'keys.json'), '{"session":{"1.0":{"a":1}}}')
  assert.match((await rejection(at.openLocal('other', { baileys }))).message, /keys\.json.*migrate/)
})

test('credentials_without_one_key_are_taken_over_and_told', async (t) => {
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  await writeMultiFile(baileys, folder)
  for (const name of readdirSync(folder).filter((name) => name !== 'creds.json')) rmSync(join(folder, name))
  const session = await at.openLocal('tenant', { baileys })
  assert.match((await told(session, 'error')).message, /but no keys/)
})

test('damaged_credentials_say_what_they_are', async (t) => {
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  await writeMultiFile(baileys, folder)
  const whole = readFileSync(join(folder, 'creds.json'))
  const damages = {
    'it is empty': Buffer.alloc(0),
    'only zeros': Buffer.alloc(64),
    'byte order mark': Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), whole]),
    'UTF-16': Buffer.from(whole.toString(), 'utf16le'),
    truncated: whole.subarray(0, 100),
    base64: Buffer.from(whole.toString('base64')),
    'not text': Buffer.concat([Buffer.from([0x80, 0x81]), whole]),
    'Baileys credentials': Buffer.from('{"a":1}')
  }
  for (const [words, bytes] of Object.entries(damages)) {
    writeFileSync(join(folder, 'creds.json'), bytes)
    const { code, message } = await rejection(at.openLocal('tenant', { baileys }))
    assert.equal(code, 'LOCAL_CORRUPT')
    assert.ok(message.startsWith('creds.json is damaged') && message.includes(words), `${words}: ${message}`)
  }
})

test('of_two_spellings_of_one_key_the_one_that_baileys_reads_wins', async (t) => {
  const at = scene(t)
  const folder = join(at.directory, 'tenant')
  await writeMultiFile(baileys, folder)
  writeFileSync(join(folder, 'sender-key-1-2@g.us::55::0.json'), '["old"]')
  writeFileSync(join(folder, 'sender-key-1-2@g.us--55--0.json'), '["in use"]')
  writeFileSync(join(folder, 'sender-key-9@g.us::1::0.json'), '["only one"]')
  const session = await at.openLocal('tenant', { baileys })
  const found = await session.state.keys.get('sender-key', ['1-2@g.us::55::0', '9@g.us::1::0'])
  assert.deepEqual(Object.values(found), [['in use'], ['only one']])
})

test('a_folder_counts_only_under_exactly_the_name_that_is_listed', async (t) => {
  const root = temporaryFolder(t)
  mkdirSync(join(root, 'Shop-A'))
  mkdirSync(join(root, 'caf\u00e9'))
  assert.equal(await isListed(join(root, 'Shop-A')), true)
  // As a disk that ignores case and forms of Unicode answers: the name opens, and is not the one that is listed.
  for (const name of ['shop-a', 'SHOP-A', 'cafe\u0301']) assert.equal(await isListed(join(root, name)), false, name)
  assert.equal(await isListed(join(root, 'gone', 'tenant')), false)
})
