// The folders of a source: which of them are sessions, what belongs to which tenant, and what is refused.
//
// Invariant guarded: no session is taken for another one, none is passed over in silence, and nothing is written before all of
// that is clear.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { putIn } from '../support/migrations.mjs'
import { hybrid, rejection } from '../../testkit/processes/sessions.mjs'
import { baileys, identities, place } from './places.mjs'

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
