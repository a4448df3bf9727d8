// The files of one session in a source: every layout of the existing systems, and what is damaged, missing or there twice.
//
// Invariant guarded: a session is taken for what it is, whole; where it is not clear what belongs to it, it is named and not guessed.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LAYOUTS, putIn, REPORTED, SOURCE_KEY } from '../support/migrations.mjs'
import { hybrid, KEY, OTHER_KEY, rejection } from '../../testkit/processes/sessions.mjs'
import { CREDS_ONLY, baileys, identities, place } from './places.mjs'

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
