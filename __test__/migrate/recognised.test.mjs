// What a migration finds in a source: every layout of the existing systems, what belongs to which tenant, and what it refuses to
// guess.
//
// Invariant guarded: no session is taken for another one, none is passed over in silence, and nothing is written before all of
// that is clear.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { lines } from '../../testkit/baileys/lines.mjs'
import { filesIn, LAYOUTS, putIn, REPORTED, SOURCE_KEY, writeMultiFile } from '../support/migrations.mjs'
import { hybrid, KEY, OTHER_KEY, rejection, scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const [v7] = lines
const CREDS_ONLY = (files) => new Map([['creds.json', files.get('creds.json')]])

let baileys

before(async () => {
  baileys = await v7.load()
})

/** A machine, an empty source, and files of as many sessions as are asked for. */
async function place(t, count = 1) {
  const at = scene(t)
  const from = join(at.root, 'source')
  mkdirSync(from)
  const folders = temporaryFolder(t)
  const sessions = []
  for (let n = 0; n < count; n++) {
    const written = await writeMultiFile(baileys, join(folders, String(n)))
    sessions.push({ ...written, files: filesIn(join(folders, String(n))) })
  }
  return { at, from, sessions, options: { ...at.local, store: null, baileys, from } }
}

const identities = async (at, ids) =>
  Object.fromEntries(
    await Promise.all(
      ids.map(async (id) => [id, (await at.openLocal(id, { baileys, onMissing: 'error' })).state.creds.signedIdentityKey.public])
    )
  )

for (const [layout, lay] of Object.entries(LAYOUTS)) {
  test(`${layout}: it is recognised, and every key arrives`, async (t) => {
    const {
      at,
      from,
      sessions: [session],
      options
    } = await place(t)
    putIn(from, 'tenant', lay(session.files))
    const report = await hybrid.migrate({ ...options, sourceKey: SOURCE_KEY })
    const [found] = report.sessions
    assert.equal(found.status, 'migrated', found.message)
    assert.equal(found.layout, REPORTED[layout])
    assert.equal(found.encrypted, layout.startsWith('encrypted'))
    const expected = Object.fromEntries(Object.entries(session.data).map(([type, records]) => [type, Object.keys(records).length]))
    assert.deepEqual(found.keys, expected)
    const { state } = await at.openLocal('tenant', { baileys, onMissing: 'error' })
    assert.deepEqual(state.creds.noiseKey, session.creds.noiseKey)
    for (const [type, records] of Object.entries(session.data)) {
      const stored = await state.keys.get(type, Object.keys(records))
      for (const id of Object.keys(records)) assert.ok(stored[id], `${type} ${id}`)
    }
    assert.deepEqual((await state.keys.get('pre-key', ['1']))['1'], session.data['pre-key'][1])
    assert.deepEqual(Buffer.from((await state.keys.get('sender-key', ['g@g.us::1001::0']))['g@g.us::1001::0']), Buffer.from('[]'))
  })
}

test('all layouts lie in one source, and each is taken for what it is', async (t) => {
  const layouts = Object.entries(LAYOUTS)
  const { from, sessions, options } = await place(t, layouts.length)
  layouts.forEach(([name, lay], n) => putIn(from, name, lay(sessions[n].files)))
  const report = await hybrid.migrate({ ...options, sourceKey: SOURCE_KEY })
  assert.equal(report.totals.migrated, layouts.length, JSON.stringify(report.sessions.map(({ message }) => message)))
  assert.deepEqual(Object.fromEntries(report.sessions.map(({ path, layout }) => [path, layout])), REPORTED)
})

test('keys in a folder are read whether their names were made fit for a file system or not', async (t) => {
  const {
    at,
    from,
    sessions: [session],
    options
  } = await place(t)
  const files = new Map(
    [...session.files].map(([name, bytes]) => [
      name === 'sender-key-g@g.us--1001--0.json' ? 'keys/sender-key-g@g.us::1001::0.json' : name === 'creds.json' ? name : `keys/${name}`,
      bytes
    ])
  )
  assert.ok(files.has('keys/sender-key-g@g.us::1001::0.json'))
  putIn(from, 'tenant', files)
  assert.equal((await hybrid.migrate(options)).totals.migrated, 1)
  const { state } = await at.openLocal('tenant', { baileys })
  assert.ok((await state.keys.get('sender-key', ['g@g.us::1001::0']))['g@g.us::1001::0'])
})

test('a folder by itself is one session, called like the folder', async (t) => {
  const {
    at,
    from,
    sessions: [session],
    options
  } = await place(t)
  putIn(from, 'tenant-7', session.files)
  for (const place of [
    join(from, 'tenant-7'),
    pathToFileURL(join(from, 'tenant-7')),
    { kind: 'directory', path: join(from, 'tenant-7') }
  ]) {
    const report = await hybrid.migrate({ ...options, from: place })
    assert.deepEqual(
      report.sessions.map(({ tenantId, path }) => ({ tenantId, path })),
      [{ tenantId: 'tenant-7', path: '' }]
    )
  }
  assert.ok(await identities(at, ['tenant-7']))
})

test('deep trees are named by a template or a function, and never by a guess', async (t) => {
  const paths = [
    '3fa85f64-5717-4562-b3fc-2c963f66afa6/+49 151 1',
    '3fa85f64-5717-4562-b3fc-2c963f66afa6/+49 151 2',
    'user-2/+49-151-1',
    'user-2/ünïcode'
  ]
  const { at, from, sessions, options } = await place(t, paths.length)
  paths.forEach((path, n) => putIn(from, path, sessions[n].files))
  const unnamed = await rejection(hybrid.migrate(options))
  assert.equal(unnamed.code, 'INVALID_OPTION')
  assert.match(unnamed.message, /2 folders deep.*tenantId/)
  const named = async (tenantId) =>
    (await hybrid.migrate({ ...options, dryRun: true, tenantId })).sessions.map((session) => session.tenantId)
  assert.deepEqual(
    await named('{1}-{2}'),
    paths.map((path) => path.replace('/', '-'))
  )
  assert.deepEqual(await named('{1}/{-1}'), paths)
  assert.deepEqual(
    await named(({ parts: [user, phone] }) => (phone.startsWith('+') ? `${user}:${phone}` : null)),
    paths.slice(0, 3).map((path) => path.replace('/', ':'))
  )
  assert.equal(existsSync(at.directory), false, 'nothing was written')
  const report = await hybrid.migrate({ ...options, tenantId: '{1}-{2}' })
  assert.equal(report.totals.migrated, paths.length)
  // Ids of tenants hold dashes: each is the whole of its folders.
  const ids = paths.map((path) => path.replace('/', '-'))
  const found = await identities(at, ids)
  ids.forEach((id, n) => assert.deepEqual(found[id], sessions[n].creds.signedIdentityKey.public))
})

test('two folders for one tenant are refused before anything is written, and named apart from the message', async (t) => {
  const { at, from, sessions, options } = await place(t, 3)
  putIn(from, 'a-b/c', sessions[0].files)
  putIn(from, 'a/b-c', sessions[1].files)
  putIn(from, 'z/z', sessions[2].files)
  const error = await rejection(hybrid.migrate({ ...options, tenantId: '{1}-{2}' }))
  assert.equal(error.code, 'INVALID_OPTION')
  assert.deepEqual(error.folders, ['a-b/c', 'a/b-c'])
  assert.ok(!error.message.includes('a-b') && !Object.keys(error).includes('folders'))
  assert.equal(existsSync(at.directory), false)
  const report = await hybrid.migrate({ ...options, tenantId: ({ path }) => (path === 'a/b-c' ? null : path.replace('/', '-')) })
  assert.deepEqual([report.totals.migrated, report.leftOut], [2, 1])
})

test('templates and ids that cannot be are refused before anything is written', async (t) => {
  const { at, from, sessions, options } = await place(t, 2)
  putIn(from, 'a', sessions[0].files)
  putIn(from, 'b/c', sessions[1].files)
  const wrong = [
    '{0}',
    '{user}',
    '{1',
    '',
    7,
    '{2}',
    '{-2}',
    'same',
    () => '',
    () => 7,
    () => 'x'.repeat(513),
    () => '\ud800',
    () => 'same'
  ]
  for (const tenantId of wrong) {
    assert.equal((await rejection(hybrid.migrate({ ...options, tenantId }))).code, 'INVALID_OPTION', String(tenantId).slice(0, 20))
  }
  assert.equal(existsSync(at.directory), false)
})

test('keys that lie in more than one way are listed and refused, and taken when it is said which', async (t) => {
  const {
    from,
    sessions: [session, plain],
    options
  } = await place(t, 2)
  putIn(from, 'both', session.files)
  putIn(from, 'both', LAYOUTS['keys folder'](session.files))
  putIn(from, 'plain', plain.files)
  const report = await hybrid.migrate(options)
  const [both, other] = report.sessions
  assert.deepEqual([both.status, both.code, other.status], ['ambiguous', 'INVALID_OPTION', 'migrated'])
  assert.match(both.message, /flat, keys-folder.*layout/)
  const said = await hybrid.migrate({ ...options, layout: 'keys-folder', only: ['both'] })
  assert.deepEqual(said.totals.migrated, 1)
  assert.equal(said.sessions[0].layout, 'keys-folder')
})

test('a keys.json of neither form is refused', async (t) => {
  const contents = {
    mixed: { session: { '1.0': {} }, 'pre-key-1': { a: 1 } },
    list: [1],
    text: 'x',
    strange: { foo: { bar: {} } }
  }
  const { from, sessions, options } = await place(t, 4)
  Object.entries(contents).forEach(([name, content], n) =>
    putIn(from, name, new Map([...CREDS_ONLY(sessions[n].files), ['keys.json', Buffer.from(JSON.stringify(content))]]))
  )
  const report = await hybrid.migrate(options)
  assert.deepEqual(Object.fromEntries(report.sessions.map(({ path, status }) => [path, status])), {
    list: 'damaged',
    mixed: 'ambiguous',
    strange: 'ambiguous',
    text: 'damaged'
  })
})

test('credentials without keys are reported and not migrated, unless that is asked for', async (t) => {
  const forms = {
    none: CREDS_ONLY,
    'empty-folder': (files) => new Map([...CREDS_ONLY(files), ['keys/readme.txt', Buffer.from('')]]),
    'empty-file': (files) => new Map([...CREDS_ONLY(files), ['keys.json', Buffer.from('{}')]])
  }
  const { at, from, sessions, options } = await place(t, 3)
  Object.entries(forms).forEach(([name, lay], n) => putIn(from, name, lay(sessions[n].files)))
  const report = await hybrid.migrate(options)
  assert.equal(report.totals.credsOnly, 3)
  assert.match(report.sessions[0].message, /but no keys.*not decrypt.*allowCredsOnly/)
  assert.equal(existsSync(at.directory), false)
  assert.equal((await hybrid.migrate({ ...options, allowCredsOnly: true })).totals.migrated, 3)
})

test('a copy that lost its pre-keys is migrated with a warning', async (t) => {
  const {
    from,
    sessions: [session],
    options
  } = await place(t)
  const creds = JSON.parse(session.files.get('creds.json'))
  session.files.set('creds.json', Buffer.from(JSON.stringify({ ...creds, nextPreKeyId: 31 })))
  putIn(from, 'tenant', new Map([...session.files].filter(([name]) => !name.startsWith('pre-key-'))))
  const [found] = (await hybrid.migrate(options)).sessions
  assert.equal(found.status, 'migrated')
  assert.match(found.warnings.join(), /no pre-key/)
})

test('damaged files are told from absent ones, and nothing of such a session is written unasked', async (t) => {
  const { at, from, sessions, options } = await place(t, 4)
  const cut = (files, name) => new Map(files).set(name, files.get(name).subarray(0, 20))
  putIn(from, 'creds', cut(sessions[0].files, 'creds.json'))
  putIn(from, 'empty', new Map(sessions[1].files).set('creds.json', Buffer.alloc(0)))
  putIn(from, 'key', cut(sessions[2].files, 'session-1001.0.json'))
  putIn(from, 'whole', sessions[3].files)
  const report = await hybrid.migrate(options)
  assert.deepEqual(Object.fromEntries(report.sessions.map(({ path, status }) => [path, status])), {
    creds: 'damaged',
    empty: 'damaged',
    key: 'damaged',
    whole: 'migrated'
  })
  assert.deepEqual(report.sessions[2].leftOut.damaged, { session: 1 })
  const again = await hybrid.migrate({ ...options, allowDamagedKeys: true })
  assert.deepEqual(Object.fromEntries(again.sessions.map(({ path, status }) => [path, status])), {
    creds: 'damaged',
    empty: 'damaged',
    key: 'migrated',
    whole: 'already'
  })
  assert.ok(!/1001/.test(JSON.stringify(report.sessions.map(({ message, warnings }) => [message, warnings]))))
  assert.deepEqual(await identities(at, ['key']), { key: sessions[2].creds.signedIdentityKey.public })
})

test('an encrypted session needs its key, and what does not decrypt to JSON is refused', async (t) => {
  const { at, from, sessions, options } = await place(t, 4)
  putIn(from, 'right', LAYOUTS['encrypted bytes'](sessions[0].files))
  putIn(from, 'wrong', LAYOUTS['encrypted bytes'](sessions[1].files, OTHER_KEY))
  putIn(from, 'wrong-text', LAYOUTS['encrypted text'](sessions[2].files, OTHER_KEY))
  const damaged = LAYOUTS['encrypted bytes'](sessions[3].files)
  damaged.set('session-1001.0.json', damaged.get('session-1001.0.json').subarray(0, -16))
  putIn(from, 'damaged', damaged)
  const status = async (more) =>
    Object.fromEntries(
      (await hybrid.migrate({ ...options, ...more })).sessions.map(({ path, status, code }) => [path, `${status} ${code}`])
    )
  const locked = 'failed KEY_UNAVAILABLE'
  assert.deepEqual(await status({ dryRun: true }), { damaged: locked, right: locked, wrong: locked, 'wrong-text': locked })
  const found = { damaged: 'damaged LOCAL_CORRUPT', right: 'ready null', wrong: locked, 'wrong-text': locked }
  assert.deepEqual(await status({ dryRun: true, sourceKey: SOURCE_KEY }), found)
  assert.deepEqual(await status({ dryRun: true, sourceKey: Buffer.from(SOURCE_KEY, 'hex') }), found)
  assert.deepEqual(await status({ dryRun: true, encryptionKeys: [KEY, SOURCE_KEY] }), found, 'the keys of the target are tried')
  for (const sourceKey of ['', 'ab', `${SOURCE_KEY}ff`, 'zz'.repeat(32), Buffer.alloc(31), 7]) {
    assert.equal((await rejection(hybrid.migrate({ ...options, sourceKey }))).code, 'INVALID_OPTION')
  }
  assert.equal(existsSync(at.directory), false)
})

test('of two spellings of one key the one that Baileys reads is migrated', async (t) => {
  for (const layout of ['flat', 'keys folder']) {
    const {
      at,
      from,
      sessions: [session],
      options
    } = await place(t)
    const files = LAYOUTS[layout](session.files)
    const folder = layout === 'flat' ? '' : 'keys/'
    files.set(`${folder}sender-key-g@g.us::1001::0.json`, Buffer.from('["of before the name was changed"]'))
    putIn(from, 'tenant', files)
    const [found] = (await hybrid.migrate(options)).sessions
    assert.equal(found.status, 'migrated', found.message)
    const { state } = await at.openLocal('tenant', { baileys, onMissing: 'error' })
    assert.deepEqual((await state.keys.get('sender-key', ['g@g.us::1001::0']))['g@g.us::1001::0'], Buffer.from('[]'))
  }
})

test('what newer versions of Baileys leave of an interrupted write is migrated, and cleaned up with the rest', async (t) => {
  for (const layout of ['flat', 'keys folder']) {
    const {
      at,
      from,
      sessions: [session],
      options
    } = await place(t)
    const files = LAYOUTS[layout](session.files)
    let n = 0
    for (const [name, bytes] of [...files]) {
      // In turn: the file was renamed to its backup; it is torn beside it; it is whole beside an old one and the next one.
      const way = n++ % 3
      files.set(`${name}.bak`, way === 2 ? Buffer.from('{"old":1}') : bytes)
      if (way === 0) files.delete(name)
      if (way === 1) files.set(name, bytes.subarray(0, bytes.length / 2))
      if (way === 2) files.set(`${name}.tmp`, Buffer.from('{"to'))
    }
    putIn(from, 'tenant', files)
    const report = await hybrid.migrate(options)
    assert.equal(report.sessions[0].status, 'migrated', report.sessions[0].message)
    const { state } = await at.openLocal('tenant', { baileys, onMissing: 'error' })
    assert.deepEqual(state.creds.noiseKey, session.creds.noiseKey)
    for (const [type, records] of Object.entries(session.data)) {
      const found = await state.keys.get(type, Object.keys(records))
      for (const id of Object.keys(records)) assert.ok(found[id], `${type} ${id}`)
    }
    const { totals } = await hybrid.cleanupMigrated({ ...at.local, store: null, baileys, from, report, confirm: true })
    assert.equal(totals.removed, 1)
    assert.equal(existsSync(join(from, 'tenant')), false)
  }
})

test('folders of keys without credentials are told, beside a session and where there is none', async (t) => {
  const {
    from,
    sessions: [session, other],
    options
  } = await place(t, 2)
  const keys = new Map([...other.files].filter(([name]) => name !== 'creds.json'))
  putIn(from, 'keys-only', keys)
  assert.match((await rejection(hybrid.migrate(options))).message, /1 folder with keys but without creds\.json/)
  putIn(from, 'tenant', session.files)
  const report = await hybrid.migrate({ ...options, dryRun: true })
  assert.deepEqual([report.totals.ready, report.withoutCreds], [1, 1])
})

test('more files than are searched for single-file sessions are counted, and searched when the layout is asked for', async (t) => {
  const {
    from,
    sessions: [session],
    options
  } = await place(t)
  const others = new Map(Array.from({ length: 1001 }, (_, i) => [`note-${i}.json`, Buffer.from('{}')]))
  putIn(from, 'notes', others)
  const { code, message } = await rejection(hybrid.migrate(options))
  assert.equal(code, 'NOT_FOUND')
  assert.match(message, /1001 \.json files were not searched.*`single-file`/)
  putIn(from, 'tenant', session.files)
  assert.equal((await hybrid.migrate({ ...options, dryRun: true })).unsearched, 1001)
  putIn(from, '.', new Map([['anna.json', Buffer.from(JSON.stringify({ creds: JSON.parse(session.files.get('creds.json')), keys: {} }))]]))
  const asked = await hybrid.migrate({ ...options, layout: 'single-file', dryRun: true, allowCredsOnly: true })
  assert.deepEqual([asked.sessions.length, asked.unsearched], [1, 0])
  rmSync(join(from, 'notes', 'note-1000.json'))
  rmSync(join(from, 'anna.json'))
  assert.equal((await hybrid.migrate({ ...options, dryRun: true })).unsearched, 0)
})

test('an encrypted file of any length is read', async (t) => {
  const {
    from,
    sessions: [session],
    options
  } = await place(t)
  const files = new Map(session.files)
  files.set('session-1.0.json', Buffer.from(JSON.stringify({ filler: 'x'.repeat(9_000_000) })))
  putIn(from, 'tenant', LAYOUTS['encrypted text'](files))
  const [found] = (await hybrid.migrate({ ...options, sourceKey: SOURCE_KEY, dryRun: true })).sessions
  assert.deepEqual([found.status, found.encrypted], ['ready', true], found.message)
})

test('a folder that may not be read is named and passed over', async (t) => {
  const {
    from,
    sessions: [session],
    options
  } = await place(t)
  putIn(from, 'tenant', session.files)
  mkdirSync(join(from, 'lost+found'), { mode: 0o000 })
  // Root reads it all the same.
  const mayNot = await readdir(join(from, 'lost+found')).then(
    () => false,
    () => true
  )
  const report = await hybrid.migrate({ ...options, dryRun: true })
  assert.deepEqual([report.totals.ready, report.unreadable], [1, mayNot ? ['lost+found'] : []])
})

test('what is no session is counted and left alone: links, other files, originals that were set aside', async (t) => {
  const {
    from,
    sessions: [session, aside],
    options
  } = await place(t, 2)
  putIn(from, 'tenant', session.files)
  putIn(from, 'tenant/multi-file-originals-1', aside.files)
  putIn(
    from,
    'elsewhere',
    new Map([
      ['notes.txt', Buffer.from('x')],
      ['session-1.0.json', Buffer.from('{}')]
    ])
  )
  writeFileSync(join(from, 'tenant', 'application.json'), '{}')
  writeFileSync(join(from, 'tenant', 'creds.json.bak'), '{}')
  symlinkSync(join(from, 'tenant'), join(from, 'linked'))
  const report = await hybrid.migrate(options)
  assert.deepEqual(
    report.sessions.map(({ path }) => path),
    ['tenant']
  )
  assert.deepEqual(report.sessions[0].leftOut, { damaged: {}, notUnderstood: 1, otherFiles: 0 })
  assert.match(report.sessions[0].warnings.join(), /1 \.json files are not keys/)
  assert.equal(report.passedOver, 4)
})

test('credentials that are a link are refused by name, and not passed over', async (t) => {
  const {
    from,
    sessions: [session],
    options
  } = await place(t)
  putIn(from, 'tenant', session.files)
  renameSync(join(from, 'tenant', 'creds.json'), join(from, 'elsewhere.json'))
  symlinkSync(join(from, 'elsewhere.json'), join(from, 'tenant', 'creds.json'))
  const [found] = (await hybrid.migrate(options)).sessions
  assert.deepEqual([found.tenantId, found.status, found.code], ['tenant', 'ambiguous', 'INVALID_OPTION'])
  assert.match(found.message, /links are not followed/)
})

test('a source without sessions, or with those of this package, is said to be one', async (t) => {
  const { at, from, options } = await place(t)
  assert.equal((await rejection(hybrid.migrate(options))).code, 'NOT_FOUND')
  const missing = await rejection(hybrid.migrate({ ...options, from: join(from, 'nothing-here') }))
  assert.deepEqual([missing.code, /is not an existing folder/.test(missing.message)], ['INVALID_OPTION', true])
  const session = await at.openReplicated('tenant', { baileys })
  await session.close()
  for (const from of [at.bucket, pathToFileURL(at.bucket)]) {
    const ours = await rejection(hybrid.migrate({ ...options, directory: join(at.root, 'elsewhere'), from }))
    assert.equal(ours.code, 'INVALID_OPTION')
    assert.match(ours.message, /sessions of this package.*`store`/)
  }
})

test('a source that lies where the sessions are to go, or around it, is refused with what to do', async (t) => {
  const {
    at,
    from,
    sessions: [session],
    options
  } = await place(t)
  putIn(from, 'tenant', session.files)
  for (const directory of [from, join(from, 'tenant'), join(from, 'new', 'one'), at.root]) {
    const error = await rejection(hybrid.migrate({ ...options, directory }))
    assert.equal(error.code, 'INVALID_OPTION')
    assert.match(error.message, /is imported when the tenant is opened/)
  }
  assert.equal((await hybrid.migrate({ ...options, directory: `${from}-2` })).totals.migrated, 1)
})

test('options that make no sense are refused before anything is read', async (t) => {
  const { options } = await place(t)
  const wrong = {
    from: undefined,
    layout: 'zip',
    concurrency: 0,
    allowCredsOnly: 1,
    allowDamagedKeys: 'yes',
    only: 'tenant',
    onProgress: 1,
    unknown: 1,
    cleanup: 1,
    dryRun: null
  }
  for (const [name, value] of Object.entries(wrong)) {
    assert.equal((await rejection(hybrid.migrate({ ...options, [name]: value }))).code, 'INVALID_OPTION', name)
  }
  for (const from of [null, 7, '', 'memory://x', 'https://host/x', 's3://bucket']) {
    assert.equal((await rejection(hybrid.migrate({ ...options, from }))).code, 'INVALID_OPTION', String(from))
  }
  assert.equal((await rejection(hybrid.migrate({ ...options, dryRun: true, cleanup: true }))).code, 'INVALID_OPTION')
})
