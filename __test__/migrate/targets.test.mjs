// Migrations to tenants that exist, from a source that is still written, and beside whoever runs a session meanwhile.
//
// Invariant guarded: a session of ours is never overwritten, replaced, claimed or made older by a migration.

import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { lines } from '../../testkit/baileys/lines.mjs'
import { filesIn, putIn, writeMultiFile } from '../support/migrations.mjs'
import { contentsOf, fingerprintsOf, hybrid, rejection, scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const [v7, , v6] = lines
const MODES = ['local', 'replicated']

let baileys

before(async () => {
  baileys = await v7.load()
})

async function place(t, tenants = ['tenant'], line = baileys) {
  const at = scene(t)
  const from = join(at.root, 'source')
  mkdirSync(from)
  const sessions = {}
  for (const tenant of tenants) {
    const folder = join(temporaryFolder(t), 'session')
    sessions[tenant] = { ...(await writeMultiFile(line, folder)), files: filesIn(folder) }
    putIn(from, tenant, sessions[tenant].files)
  }
  const optionsOf = (mode) => ({ ...at[mode], ...(mode === 'local' && { store: null }), baileys: line, from })
  return { at, from, sessions, optionsOf }
}

const statuses = ({ sessions }) => Object.fromEntries(sessions.map(({ tenantId, status }) => [tenantId, status]))

for (const line of [v7, v6]) {
  for (const mode of MODES) {
    test(`${line.name}, ${mode}: a migrated session is the one that was there, and a second run finds it equal`, async (t) => {
      const own = await line.load()
      const { at, sessions, optionsOf } = await place(t, ['a', 'b'], own)
      const report = await hybrid.migrate(optionsOf(mode))
      assert.deepEqual(statuses(report), { a: 'migrated', b: 'migrated' }, JSON.stringify(report.sessions.map(({ message }) => message)))
      for (const session of report.sessions) {
        assert.equal(session.target.lsn, 1, 'it is one batch')
        assert.equal(session.sourceChanged, false)
        assert.deepEqual([session.code, session.message, session.warnings], [null, null, []])
      }
      const again = await hybrid.migrate(optionsOf(mode))
      assert.deepEqual(statuses(again), { a: 'already', b: 'already' })
      assert.deepEqual(
        again.sessions.map(({ digest, identity, target }) => ({ digest, identity, target })),
        report.sessions.map(({ digest, identity, target }) => ({ digest, identity, target }))
      )
      const machine = mode === 'local' ? at.local : at.elsewhere()
      const { state, status } = await at.open('a', { ...machine, baileys: own, onMissing: 'error' })
      assert.deepEqual(status().restored, { source: mode === 'local' ? 'local' : 'remote', clean: true })
      assert.deepEqual(state.creds.noiseKey, sessions.a.creds.noiseKey)
      assert.equal(state.creds.me.id, sessions.a.creds.me.id)
      if (mode === 'replicated')
        assert.equal((await new hybrid.HybridAuth(at.replicated).verify('b')).digest, report.sessions[1].target.digest)
    })
  }
}

for (const mode of MODES) {
  test(`${mode}: a tenant with another identity is a conflict, and is left as it is`, async (t) => {
    const { at, optionsOf } = await place(t, ['taken', 'free'])
    const session = await at.open('taken', { ...at[mode], baileys })
    await session.saveCreds()
    await session.close()
    const report = await hybrid.migrate(optionsOf(mode))
    assert.deepEqual(statuses(report), { free: 'migrated', taken: 'conflict' })
    assert.equal(report.sessions[1].code, 'INVALID_OPTION')
    const { state } = await at.open('taken', { ...at[mode], baileys, onMissing: 'error' })
    assert.deepEqual(state.creds.noiseKey, session.state.creds.noiseKey)
  })

  test(`${mode}: a tenant that has gone on is left alone, and one that has fallen behind its source says so`, async (t) => {
    const { at, from, sessions, optionsOf } = await place(t, ['ahead', 'behind'])
    await hybrid.migrate(optionsOf(mode))
    const session = await at.open('ahead', { ...at[mode], baileys })
    await session.state.keys.set({ 'pre-key': { 1: null }, 'lid-mapping': { new: 'x' } })
    await session.close()
    writeFileSync(join(from, 'behind', 'lid-mapping-new.json'), '"x"')
    const report = await hybrid.migrate(optionsOf(mode))
    assert.deepEqual(statuses(report), { ahead: 'newer-target', behind: 'newer-source' })
    const { state } = await at.open('ahead', { ...at[mode], baileys })
    assert.deepEqual(await state.keys.get('pre-key', ['1', '2']), { 1: null, 2: sessions.ahead.data['pre-key'][2] })
  })

  test(`${mode}: a deleted tenant stays deleted, until pairing it again is allowed`, async (t) => {
    const { at, optionsOf } = await place(t)
    await hybrid.migrate(optionsOf(mode))
    await (await at.open('tenant', { ...at[mode], baileys })).delete()
    const report = await hybrid.migrate(optionsOf(mode))
    if (mode === 'local') return assert.equal(report.sessions[0].status, 'migrated', 'a disk alone keeps no memory of what was deleted')
    assert.deepEqual([report.sessions[0].status, report.sessions[0].code], ['failed', 'DELETED'])
    assert.deepEqual(statuses(await hybrid.migrate({ ...optionsOf(mode), fresh: true })), { tenant: 'migrated' })
    assert.deepEqual(statuses(await hybrid.migrate({ ...optionsOf(mode), fresh: true })), { tenant: 'already' })
  })

  test(`${mode}: a dry run says what would be done, and writes nothing anywhere`, async (t) => {
    const { at, optionsOf } = await place(t, ['a', 'b'])
    await hybrid.migrate({ ...optionsOf(mode), only: ['a'] })
    const before = fingerprintsOf(at.root)
    assert.deepEqual(statuses(await hybrid.migrate({ ...optionsOf(mode), dryRun: true })), { a: 'already', b: 'ready' })
    const after = fingerprintsOf(at.root)
    // Looking at a local session opens it, which writes its log anew.
    const ofOthers = (files) =>
      Object.fromEntries(Object.entries(files).filter(([name]) => mode === 'replicated' || !/^machine-1.a.\d+\.log$/.test(name)))
    assert.deepEqual(ofOthers(after), ofOthers(before))
  })

  test(`${mode}: a multi-file session in the place of the tenant is not swallowed`, async (t) => {
    const { at, optionsOf } = await place(t)
    const inPlace = join(at.directory, 'tenant')
    await writeMultiFile(baileys, inPlace)
    const before = contentsOf(inPlace)
    const report = await hybrid.migrate(optionsOf(mode))
    assert.deepEqual([report.sessions[0].status, report.sessions[0].code], ['failed', 'LOCAL_CORRUPT'])
    assert.deepEqual(contentsOf(inPlace), before)
  })
}

test('a session that runs is looked at without being taken from whoever runs it', async (t) => {
  const { at, optionsOf } = await place(t)
  await hybrid.migrate(optionsOf('replicated'))
  const running = await at.open('tenant', { ...at.elsewhere(), baileys })
  const fenced = []
  running.on('fenced', () => fenced.push(true))
  const { epoch } = running.status()
  assert.deepEqual(statuses(await hybrid.migrate(optionsOf('replicated'))), { tenant: 'already' })
  await running.state.keys.set({ 'lid-mapping': { new: 'x' } })
  await running.flush()
  assert.deepEqual(statuses(await hybrid.migrate(optionsOf('replicated'))), { tenant: 'newer-target' })
  await running.flush()
  assert.deepEqual([fenced, running.status().life, running.status().epoch], [[], 'live', epoch])
  const seen = await new hybrid.HybridAuth({ ...at.replicated, baileys }).verify('tenant')
  assert.equal(seen.epoch, epoch, 'no claim was made')
})

test('a session that another process has open on a disk alone fails by itself', async (t) => {
  const { at, optionsOf } = await place(t, ['busy', 'free'])
  const { startProcess } = await import('../../testkit/processes/sessions.mjs')
  const holder = startProcess(
    t,
    async ({ hybrid, args, say }) => {
      globalThis.session = await hybrid.useHybridAuthState('busy', { ...args, initAuthCreds: () => ({ noiseKey: {} }) })
      await session.saveCreds()
      await say('open')
      setInterval(() => {}, 1000)
    },
    at.local
  )
  assert.equal(await holder.said(), 'open')
  const report = await hybrid.migrate(optionsOf('local'))
  assert.deepEqual(statuses(report), { busy: 'failed', free: 'migrated' })
  assert.equal(report.sessions[0].code, 'ALREADY_OPEN')
})

test('a source that is written while it is read is told, and its files are not removed', async (t) => {
  const { at, from, optionsOf } = await place(t, ['alive', 'still'])
  // A logger is told while the session is open: between reading and the second look.
  let n = 0
  const options = optionsOf('replicated')
  const written = new Promise((resolve) => {
    const write = () => {
      // In one step: a file that is read while it is empty would be a damaged one.
      writeFileSync(join(at.root, 'next'), JSON.stringify(String(++n)))
      renameSync(join(at.root, 'next'), join(from, 'alive', 'lid-mapping-1001.json'))
      if (done) resolve()
      else setImmediate(write)
    }
    let done = false
    setImmediate(write)
    options.onProgress = ({ tenantId }) => (done ||= tenantId === 'alive')
  })
  const report = await hybrid.migrate({ ...options, concurrency: 1, cleanup: true })
  await written
  const [alive, still] = report.sessions
  assert.deepEqual([alive.status, alive.sourceChanged, still.status, still.sourceChanged], ['migrated', true, 'migrated', false])
  assert.match(alive.message, /the old system is still running/)
  assert.deepEqual(
    report.cleanup.sessions.map(({ tenantId, status }) => [tenantId, status]),
    [['still', 'removed']]
  )
  assert.deepEqual(
    Object.keys(contentsOf(from))
      .map((name) => name.split(/[/\\]/)[0])
      .filter((name) => name === 'still'),
    []
  )
  assert.ok(contentsOf(from)[join('alive', 'creds.json')])
})

test('only some tenants, in turn, with word of each', async (t) => {
  const { optionsOf } = await place(t, ['a', 'b', 'c'])
  const told = []
  const report = await hybrid.migrate({
    ...optionsOf('local'),
    only: new Set(['a', 'c', 'nobody']),
    concurrency: 1,
    onProgress: (news) => told.push(news)
  })
  assert.deepEqual(statuses(report), { a: 'migrated', c: 'migrated' })
  assert.deepEqual(report.missing, ['nobody'])
  assert.deepEqual(told, [
    { tenantId: 'a', status: 'migrated', done: 1, total: 2 },
    { tenantId: 'c', status: 'migrated', done: 2, total: 2 }
  ])
  assert.equal(report.totals.migrated, 2)
})

test('a store that cannot be reached, or the wrong key, fails each session and changes none', async (t) => {
  const { at, from, optionsOf } = await place(t, ['a', 'b'])
  await hybrid.migrate({ ...optionsOf('replicated'), only: ['a'] })
  const wrong = await hybrid.migrate({ ...optionsOf('replicated'), encryptionKeys: ['ab'.repeat(32)], only: ['a'] })
  assert.deepEqual([wrong.sessions[0].status, wrong.sessions[0].code], ['failed', 'KEY_UNAVAILABLE'])
  writeFileSync(join(at.root, 'file'), '')
  const gone = await hybrid.migrate({ ...optionsOf('replicated'), store: pathToFileURL(join(at.root, 'file')).href })
  assert.deepEqual(
    gone.sessions.map(({ status }) => status),
    ['failed', 'failed']
  )
  assert.deepEqual(statuses(await hybrid.migrate(optionsOf('replicated'))), { a: 'already', b: 'migrated' })
  rmSync(from, { recursive: true })
})

test('the bucket of the sessions may be the source: what is ours in it is passed over', async (t) => {
  const { at, sessions, optionsOf } = await place(t, ['x'])
  putIn(at.bucket, 'user/phone', sessions.x.files)
  const options = { ...optionsOf('replicated'), from: at.bucket, tenantId: '{2}' }
  assert.deepEqual(statuses(await hybrid.migrate(options)), { phone: 'migrated' })
  const again = await hybrid.migrate({ ...options, cleanup: true })
  assert.deepEqual(statuses(again), { phone: 'already' })
  assert.ok(again.ours > 2)
  assert.equal(again.cleanup.totals.removed, 1)
  const names = Object.keys(contentsOf(at.bucket))
  assert.ok(names.length > 2 && names.every((name) => name.startsWith('v1')))
  assert.equal((await rejection(hybrid.migrate(options))).code, 'INVALID_OPTION')
  assert.equal((await at.openReplicated('phone', { baileys, onMissing: 'error' })).state.creds.me.id, sessions.x.creds.me.id)
})

test('nothing secret is in a report: no key, no contact, no id of a key', async (t) => {
  const { sessions, optionsOf } = await place(t)
  const report = JSON.stringify(await hybrid.migrate(optionsOf('replicated')))
  const { creds } = sessions.tenant
  for (const secret of [
    creds.noiseKey.private,
    creds.signedIdentityKey.private,
    creds.advSecretKey,
    creds.me.id,
    creds.me.name,
    '1001.0',
    'AA/+',
    'g@g.us'
  ]) {
    const forms = typeof secret === 'string' ? [secret] : [secret.toString('base64'), secret.toString('hex')]
    for (const form of forms) assert.ok(!report.includes(form))
  }
})
