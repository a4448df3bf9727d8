// Removing a source after its migration.
//
// Invariant guarded: nothing is removed that is not, at that moment, in the target by value; what is left of an interrupted
// removal is never a session; and nothing outside of what was migrated is touched.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { filesIn, LAYOUTS, putIn, SOURCE_KEY, writeMultiFile } from '../support/migrations.mjs'
import { contentsOf, hybrid, rejection, scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const [v7] = lines

let baileys

before(async () => {
  baileys = await v7.load()
})

async function migrated(t, { mode = 'replicated', lay = (files) => files, more = {} } = {}) {
  const at = scene(t)
  const from = join(at.root, 'source')
  mkdirSync(from)
  const folder = join(temporaryFolder(t), 'session')
  const written = await writeMultiFile(baileys, folder)
  putIn(from, 'user/tenant', lay(filesIn(folder)))
  putIn(from, 'user', new Map([['notes.txt', Buffer.from('kept')]]))
  const options = { ...at[mode], ...(mode === 'local' && { store: null }), baileys, from, sourceKey: SOURCE_KEY }
  const report = await hybrid.migrate({ ...options, tenantId: '{2}', ...more })
  assert.equal(report.totals.migrated, 1, report.sessions[0].message)
  const clean = async (more) =>
    (await hybrid.cleanupMigrated({ ...options, report: JSON.parse(JSON.stringify(report)), ...more })).sessions[0]
  return { at, from, options, report, clean, written }
}

const put = (from, name, text) => writeFileSync(join(from, 'user', 'tenant', name), text)

for (const [layout, lay] of Object.entries(LAYOUTS)) {
  test(`${layout}: what was migrated goes when that is confirmed, and nothing else does`, async (t) => {
    const { at, from, clean } = await migrated(t, { lay })
    put(from, 'mystery.json', '{}')
    const before = contentsOf(from)
    const asked = await clean()
    assert.deepEqual([asked.status, asked.files > 1], ['removable', true])
    assert.deepEqual(contentsOf(from), before, 'nothing goes unconfirmed')
    const done = await clean({ confirm: true })
    assert.deepEqual([done.status, done.files], ['removed', asked.files])
    assert.deepEqual(contentsOf(from), { [join('user', 'notes.txt')]: 'kept', [join('user', 'tenant', 'mystery.json')]: '{}' })
    assert.equal((await clean({ confirm: true })).status, 'gone')
    assert.ok((await at.openReplicated('tenant', { baileys, onMissing: 'error' })).state.creds.me)
  })
}

test('on a disk alone it is the same, and folders that are empty then go too', async (t) => {
  const { from, clean } = await migrated(t, { mode: 'local', lay: LAYOUTS['keys folder'] })
  assert.equal((await clean({ confirm: true })).status, 'removed')
  assert.deepEqual(readdirSync(join(from, 'user')), ['notes.txt'])
})

test('a removal that was interrupted before its folders went is finished by the next one', async (t) => {
  for (const layout of ['flat', 'keys folder']) {
    const { from, clean } = await migrated(t, { mode: 'local', lay: LAYOUTS[layout] })
    const folder = join(from, 'user', 'tenant')
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) rmSync(join(entry.parentPath ?? entry.path, entry.name))
    assert.equal((await clean()).status, 'gone')
    assert.ok(existsSync(folder), `${layout}: nothing goes unconfirmed`)
    assert.equal((await clean({ confirm: true })).status, 'gone')
    assert.deepEqual(readdirSync(join(from, 'user')), ['notes.txt'], layout)
  }
})

test('a source that was written since is kept', async (t) => {
  const changes = {
    'a key that is new': (from) => put(from, 'lid-mapping-new.json', '"x"'),
    'a key that is another': (from) => put(from, 'lid-mapping-1001.json', '"x"'),
    'a key that is gone': (from) => rmSync(join(from, 'user', 'tenant', 'lid-mapping-1001.json')),
    'a key that is damaged': (from) => put(from, 'lid-mapping-1001.json', '"x')
  }
  for (const [what, change] of Object.entries(changes)) {
    const { from, clean } = await migrated(t)
    change(from)
    const before = contentsOf(from)
    const answer = await clean({ confirm: true, allowMovedOn: true })
    assert.deepEqual([answer.status, answer.code], ['source-changed', 'INVALID_OPTION'], what)
    assert.deepEqual(contentsOf(from), before)
  }
})

test('a source is kept when its tenant is gone, or is another, or is damaged, or lost a record', async (t) => {
  const losses = {
    'its tenant was deleted': async ({ at }) => (await at.openReplicated('tenant', { baileys })).delete(),
    'the bucket and the disk were emptied': async ({ at }) =>
      [at.bucket, at.directory].forEach((folder) => rmSync(folder, { recursive: true })),
    'another identity is in its place': async ({ at }) => {
      await (await at.openReplicated('tenant', { baileys })).delete()
      const session = await at.openReplicated('tenant', { baileys, fresh: true })
      await session.saveCreds()
      for (let n = 0; n < 5; n++) await session.state.keys.set({ 'lid-mapping': { n: String(n) } })
      await session.close()
    },
    'the store is damaged': async ({ at }) => {
      for (const name of readdirSync(join(at.bucket, 'v1', 'data', 'tenant')))
        writeFileSync(join(at.bucket, 'v1', 'data', 'tenant', name), 'x')
    }
  }
  for (const [what, lose] of Object.entries(losses)) {
    const place = await migrated(t)
    await lose(place)
    const before = contentsOf(place.from)
    for (const allowMovedOn of [false, true]) {
      const answer = await place.clean({ confirm: true, allowMovedOn })
      assert.ok(['missing', 'failed'].includes(answer.status) && answer.code !== null, `${what}: ${answer.status}`)
      assert.deepEqual(contentsOf(place.from), before, what)
    }
  }
})

test('a tenant that has gone on is said to, and the source goes only when that is allowed', async (t) => {
  const { at, from, clean } = await migrated(t)
  const session = await at.openReplicated('tenant', { baileys })
  await session.state.keys.set({ 'pre-key': { 1: null } })
  await session.close()
  assert.equal((await clean({ confirm: true })).status, 'moved-on')
  assert.ok(existsSync(join(from, 'user', 'tenant', 'creds.json')))
  assert.equal((await clean({ confirm: true, allowMovedOn: true })).status, 'removed')
  assert.deepEqual(Object.keys(contentsOf(from)), [join('user', 'notes.txt')])
})

test('new records in the tenant do not keep the source: everything in it is still there by value', async (t) => {
  const { at, clean } = await migrated(t)
  const session = await at.openReplicated('tenant', { baileys })
  await session.state.keys.set({ 'lid-mapping': { new: 'x' } })
  await session.close()
  assert.equal((await clean({ confirm: true })).status, 'removed')
})

test('a removal that was interrupted is finished, and was no session meanwhile', async (t) => {
  const { at, from, options, clean } = await migrated(t)
  rmSync(join(from, 'user', 'tenant', 'creds.json'))
  assert.equal((await rejection(hybrid.migrate({ ...options, tenantId: '{2}' }))).code, 'NOT_FOUND')
  put(from, 'lid-mapping-1001.json', '"x"')
  assert.equal((await clean({ confirm: true })).status, 'missing', 'each record of the rest is compared')
  put(from, 'lid-mapping-1001.json', '"2002"')
  assert.equal((await clean({ confirm: true })).status, 'removed')
  assert.deepEqual(Object.keys(contentsOf(from)), [join('user', 'notes.txt')])
  assert.ok((await at.openReplicated('tenant', { baileys, onMissing: 'error' })).state.creds.me)
})

test('damaged key files that were left out are kept', async (t) => {
  const lay = (files) => new Map(files).set('session-9.0.json', Buffer.from('{"cut'))
  const { from, clean } = await migrated(t, { lay, more: { allowDamagedKeys: true } })
  assert.equal((await clean({ confirm: true })).status, 'removed')
  assert.deepEqual(Object.keys(contentsOf(from)), [join('user', 'notes.txt'), join('user', 'tenant', 'session-9.0.json')])
})

test('the report of a dry run, a damaged one, and one that leads out of the source are refused', async (t) => {
  const { options, report, from } = await migrated(t)
  const [session] = report.sessions
  const wrong = [
    undefined,
    null,
    {},
    { ...report, version: 2 },
    { ...report, dryRun: true },
    ...['..', '../source', 'user/../user/tenant', '/etc', 'user//tenant', 'user\\tenant', 7].map((path) => ({
      ...report,
      sessions: [{ ...session, path }]
    })),
    ...['tenantId', 'path', 'layout', 'digest', 'identity'].map((field) => ({ ...report, sessions: [{ ...session, [field]: undefined }] }))
  ]
  for (const report of wrong)
    assert.equal((await rejection(hybrid.cleanupMigrated({ ...options, report, confirm: true }))).code, 'INVALID_OPTION')
  for (const more of [{ confirm: 1 }, { concurrency: 0 }, { from: undefined }, { unknown: 1 }]) {
    assert.equal((await rejection(hybrid.cleanupMigrated({ ...options, report, ...more }))).code, 'INVALID_OPTION')
  }
  assert.ok(existsSync(join(from, 'user', 'tenant', 'creds.json')))
})
