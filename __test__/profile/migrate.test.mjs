// Migration of sessions of whatsapp-web.js: zips of the real RemoteAuth and folders of LocalAuth, with profiles of a real Chromium.
//
// Invariants: a client of HybridAuth on a blank disk gets the files that the source holds, byte for byte; the source stays as it was; a
// damaged zip stops no other, and is never a session; what is there already is not written.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { contentsOf, fingerprintsOf, hybrid, rejection, scene, startProcess } from '../../testkit/processes/sessions.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import { optionsOf, whatsappWeb } from '../../testkit/browser/whatsapp-web.mjs'
import { damagedZips, keptOf, makeProfiles, zipOf } from '../../testkit/browser/wwebjs-sessions.mjs'
import { chosen } from '../support/size.mjs'

const { HybridAuth } = whatsappWeb

/** Two profiles, and the zips of RemoteAuth of them. */
let profiles
let zips
let damaged
let server = null

before(async (t) => {
  profiles = await makeProfiles(t)
  zips = { first: await zipOf(t, profiles.first), second: await zipOf(t, profiles.second) }
  damaged = await damagedZips(t, zips.first, profiles.first)
})

after(async () => (await server)?.stop())

function put(folder, files) {
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), bytes)
  }
  return folder
}

/** A bucket for sessions, a source, a folder for temporary files that nobody else writes to, and options of a migration. */
function place(t, files = {}) {
  const at = scene(t)
  const [from, temporary] = [join(at.root, 'source'), join(at.root, 'temporary')]
  for (const folder of [from, temporary]) mkdirSync(folder)
  const before = process.env.TMPDIR
  process.env.TMPDIR = temporary
  atEnd(t, () => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })
  put(from, files)
  return { at, from, options: { ...optionsOf(at), from, layout: 'wwebjs-zip' } }
}

const outcomes = ({ sessions }) =>
  Object.fromEntries(sessions.map(({ tenantId, status, code }) => [tenantId, [status, code].filter(Boolean).join(' ')]))
const tenant = (clientId) => `whatsapp-web.js/${clientId}`

/** The files that a client on a blank machine starts with. */
async function restoredBy(t, at, clientId, name = 'blank') {
  const authStrategy = new HybridAuth({ ...optionsOf(at), clientId, dataPath: join(at.root, name, 'auth'), onMissing: 'error' })
  authStrategy.setup({ options: { puppeteer: {} }, on() {} })
  atEnd(t, () => authStrategy.destroy())
  await authStrategy.beforeBrowserInitialized()
  assert.equal(authStrategy.profile.restored.source, 'remote')
  const { generation } = authStrategy.profile.restored
  const files = fingerprintsOf(authStrategy.profile.path)
  await authStrategy.destroy()
  return { generation, files }
}

test('zips in a folder become sessions that HybridAuth restores byte for byte, and damaged ones are named', async (t) => {
  const { at, from, options } = place(t, {
    'RemoteAuth-a.zip': zips.first,
    'RemoteAuth.zip': zips.second,
    'other/b.zip': zips.second,
    'workspace_1/RemoteAuth-c.zip': zips.first,
    'notes.txt': 'x',
    'a b.zip': 'x',
    ...Object.fromEntries(Object.entries(damaged).map(([fault, bytes]) => [`RemoteAuth-${fault}.zip`, bytes]))
  })
  const before = contentsOf(from)
  const faults = Object.fromEntries(Object.keys(damaged).map((fault) => [tenant(fault), 'damaged LOCAL_CORRUPT']))
  const good = (status) => ({ [tenant('a')]: status, [tenant('.default')]: status, [tenant('b')]: status, [tenant('c')]: status })

  const dry = await hybrid.migrate({ ...options, dryRun: true })
  assert.deepEqual(outcomes(dry), { ...good('ready'), ...faults })
  assert.deepEqual(contentsOf(at.bucket), {})
  assert.deepEqual([dry.passedOver, dry.profiles], [2, { 'wwebjs-zip': 0, 'wwebjs-local': 0 }])

  const report = await hybrid.migrate(options)
  assert.deepEqual(outcomes(report), { ...good('migrated'), ...faults })
  const a = report.sessions.find(({ tenantId }) => tenantId === tenant('a'))
  assert.equal(a.files, Object.keys(keptOf(profiles.first)).length)
  assert.deepEqual([a.sourceChanged, a.layout, a.path, a.warnings], [false, 'wwebjs-zip', 'RemoteAuth-a.zip', []])
  for (const { tenantId, message } of report.sessions.filter(({ status }) => status === 'damaged'))
    assert.match(message, /it was not migrated$/, tenantId)
  for (const fault of Object.keys(damaged))
    assert.equal((await new hybrid.HybridAuth(optionsOf(at)).tenants()).includes(tenant(fault)), false, fault)

  const stored = contentsOf(at.bucket)
  assert.deepEqual(outcomes(await hybrid.migrate(options)), { ...good('already'), ...faults })
  assert.deepEqual(contentsOf(at.bucket), stored)
  assert.deepEqual(contentsOf(from), before)
  assert.deepEqual(readdirSync(tmpdir()), [])

  assert.deepEqual(await restoredBy(t, at, 'a'), { generation: 1, files: keptOf(profiles.first) })
  assert.deepEqual(await restoredBy(t, at, undefined), { generation: 1, files: keptOf(profiles.second) })
})

test('zips in an S3 bucket, one folder for each workspace, become sessions, and nothing in it changes', async (t) => {
  server = seaweedfs.start()
  const bucket = await seaweedfs.connect((await server).address).makeBucket()
  const at = scene(t)
  const files = {
    'live/workspace_1/RemoteAuth-a.zip': zips.first,
    'live/workspace_2/b.zip': zips.second,
    'live/workspace_3/RemoteAuth-c.zip': damaged.flipped,
    'old/RemoteAuth-d.zip': zips.first
  }
  for (const [name, bytes] of Object.entries(files)) await bucket.put(name, bytes)
  const options = { ...optionsOf(at), from: { ...bucket.options.store, prefix: 'live' }, layout: 'wwebjs-zip' }
  const report = await hybrid.migrate(options)
  assert.deepEqual(outcomes(report), { [tenant('a')]: 'migrated', [tenant('b')]: 'migrated', [tenant('c')]: 'damaged LOCAL_CORRUPT' })
  assert.equal((await hybrid.migrate({ ...options, only: ['a'] })).totals.already, 1)
  assert.deepEqual(await bucket.list(), Object.keys(files).sort())
  for (const [name, bytes] of Object.entries(files)) assert.deepEqual(Buffer.from(await bucket.get(name)), Buffer.from(bytes), name)
  assert.deepEqual(await restoredBy(t, at, 'b'), { generation: 1, files: keptOf(profiles.second) })

  // The sessions may be stored where the zips are.
  const within = await hybrid.migrate({ ...options, from: bucket.options.store, store: bucket.options.store, only: ['d'] })
  assert.deepEqual(outcomes(within), { [tenant('d')]: 'migrated' })
  const again = await hybrid.migrate({ ...options, from: bucket.options.store, store: bucket.options.store, only: ['d'] })
  assert.deepEqual([outcomes(again), again.ours > 3, again.passedOver], [{ [tenant('d')]: 'already' }, true, 0])
  assert.equal((await rejection(hybrid.migrate({ ...options, layout: 'wwebjs-local' }))).code, 'INVALID_OPTION')
})

test('tenant ids follow a pattern, two of one name are an error, and what is no client id is refused', async (t) => {
  const { at, options } = place(t, { 'workspace_1/RemoteAuth-a.zip': zips.first, 'workspace_2/RemoteAuth-a.zip': zips.second })
  const clash = await rejection(hybrid.migrate(options))
  assert.deepEqual([clash.code, clash.folders], ['INVALID_OPTION', ['workspace_1/RemoteAuth-a.zip', 'workspace_2/RemoteAuth-a.zip']])
  assert.deepEqual(contentsOf(at.bucket), {})
  for (const tenantId of ['{1}/{2}', 'whatsapp-web.js/{1}/{2}', 'browser-profile/', () => 'a b']) {
    assert.equal((await rejection(hybrid.migrate({ ...options, tenantId }))).code, 'INVALID_OPTION')
  }
  assert.equal((await rejection(hybrid.migrate({ ...options, tenantId: '{1}-{2}', only: ['a b'] }))).code, 'INVALID_OPTION')
  const skipped = await hybrid.migrate({
    ...options,
    tenantId: ({ path, parts, layout }) => (path.includes('_2/') ? null : `browser-profile/${parts.join('.')}-${layout}`),
    dryRun: true
  })
  assert.deepEqual([outcomes(skipped), skipped.leftOut], [{ 'browser-profile/workspace_1.a-wwebjs-zip': 'ready' }, 1])
  const report = await hybrid.migrate({ ...options, tenantId: '{1}-{-1}', only: ['workspace_2-a', tenant('x')] })
  assert.deepEqual([outcomes(report), report.missing], [{ [tenant('workspace_2-a')]: 'migrated' }, [tenant('x')]])
  assert.deepEqual(await restoredBy(t, at, 'workspace_2-a'), { generation: 1, files: keptOf(profiles.second) })
})

test('a session that is there is not written, and a deleted one is made anew only where that is asked for', async (t) => {
  const { at, from, options } = place(t, { 'RemoteAuth-a.zip': zips.first, 'RemoteAuth-b.zip': zips.first, 'RemoteAuth-c.zip': zips.first })
  await hybrid.migrate(options)
  put(from, { 'RemoteAuth-a.zip': zips.second })
  // Somebody used it since.
  const client = new HybridAuth({ ...optionsOf(at), clientId: 'b', dataPath: join(at.root, 'one', 'auth') })
  client.setup({ options: { puppeteer: {} }, on() {} })
  await client.beforeBrowserInitialized()
  rmSync(client.profile.path, { recursive: true })
  cpSync(profiles.second, client.profile.path, { recursive: true })
  await client.destroy()
  await new hybrid.HybridAuth(optionsOf(at)).delete(tenant('c'))
  const stored = contentsOf(at.bucket)
  const report = await hybrid.migrate(options)
  assert.deepEqual(outcomes(report), {
    [tenant('a')]: 'conflict INVALID_OPTION',
    [tenant('b')]: 'newer-target',
    [tenant('c')]: 'failed DELETED'
  })
  assert.deepEqual(contentsOf(at.bucket), stored)
  assert.deepEqual(outcomes(await hybrid.migrate({ ...options, only: ['c'], fresh: true })), { [tenant('c')]: 'migrated' })
  assert.deepEqual((await restoredBy(t, at, 'c')).files, keptOf(profiles.first))
  assert.deepEqual((await restoredBy(t, at, 'b')).files, keptOf(profiles.second))
})

test('a session that RemoteAuthStore keeps as deleted is not brought back by a migration', async (t) => {
  const { at, options } = place(t, { 'RemoteAuth-a.zip': zips.first })
  await hybrid.migrate(options)
  const store = new whatsappWeb.RemoteAuthStore({ ...optionsOf(at), dataPath: join(at.root, 'one') })
  await store.delete({ session: 'RemoteAuth-a' })
  await store.close()
  assert.deepEqual(outcomes(await hybrid.migrate(options)), { [tenant('a')]: 'failed DELETED' })
  assert.deepEqual(outcomes(await hybrid.migrate({ ...options, fresh: true })), { [tenant('a')]: 'migrated' })
})

test('a dangerous zip is refused by name, and nothing of it is written', async (t) => {
  const { at, from, options } = place(t, { 'RemoteAuth-a.zip': zips.first })
  // The name of an entry, changed in its header and in the directory.
  const bytes = Buffer.from(zips.first)
  for (let n = bytes.indexOf('Default/'); n !== -1; n = bytes.indexOf('Default/', n + 1)) bytes.write('../../x/', n)
  put(from, { 'RemoteAuth-evil.zip': bytes })
  const report = await hybrid.migrate(options)
  assert.deepEqual(outcomes(report), { [tenant('a')]: 'migrated', [tenant('evil')]: 'damaged INVALID_OPTION' })
  assert.deepEqual([readdirSync(tmpdir()), existsSync(join(at.root, 'x'))], [[], false])
  assert.equal((await new hybrid.HybridAuth(optionsOf(at)).tenants()).length, 1)
})

test('folders of LocalAuth become sessions; one on which a browser runs is refused, and all stay as they were', async (t) => {
  const { at, from, options } = place(t)
  cpSync(profiles.first, join(from, 'session-a'), { recursive: true })
  cpSync(profiles.second, join(from, 'deep', 'session'), { recursive: true })
  cpSync(profiles.first, join(from, 'session-busy'), { recursive: true })
  cpSync(profiles.first, join(from, 'session-moved'), { recursive: true })
  cpSync(profiles.first, join(from, 'Profile 1'), { recursive: true })
  mkdirSync(join(from, 'session-empty', 'Default'), { recursive: true })
  // A process whose command line names the folder, as that of a browser does.
  const browser = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', `--user-data-dir=${join(from, 'session-busy')}`], {
    stdio: 'ignore'
  })
  atEnd(t, () => browser.kill('SIGKILL'))
  for (const name of ['session-a', 'session-busy', 'session-moved']) rmSync(join(from, name, 'SingletonLock'), { force: true })
  symlinkSync(`${hostname()}-${browser.pid}`, join(from, 'session-busy', 'SingletonLock'))
  symlinkSync('another-host-4711', join(from, 'session-moved', 'SingletonLock'))
  const before = fingerprintsOf(from)
  const local = { ...options, layout: 'wwebjs-local' }
  const expected = (status) => ({
    [tenant('a')]: status,
    [tenant('.default')]: status,
    [tenant('moved')]: status,
    [tenant('busy')]: 'failed ALREADY_OPEN'
  })
  assert.deepEqual(outcomes(await hybrid.migrate({ ...local, dryRun: true })), expected('ready'))
  assert.deepEqual(contentsOf(at.bucket), {})
  const report = await hybrid.migrate(local)
  assert.deepEqual(outcomes(report), expected('migrated'))
  assert.deepEqual(report.sessions.find(({ tenantId }) => tenantId === tenant('moved')).warnings.length, 1)
  assert.ok(report.passedOver > 0)
  const stored = contentsOf(at.bucket)
  assert.deepEqual(outcomes(await hybrid.migrate(local)), expected('already'))
  assert.deepEqual(contentsOf(at.bucket), stored)
  assert.deepEqual(fingerprintsOf(from), before)
  assert.deepEqual(await restoredBy(t, at, 'a'), { generation: 1, files: keptOf(profiles.first) })
  assert.deepEqual(await restoredBy(t, at, undefined), { generation: 1, files: keptOf(profiles.second) })

  // One folder by itself is the session of its name.
  const one = await hybrid.migrate({ ...local, from: join(from, 'session-a') })
  assert.deepEqual([outcomes(one), one.sessions[0].path, one.passedOver], [{ [tenant('a')]: 'already' }, '', 0])
})

test('a folder of LocalAuth whose database is not whole is damaged, and one with a torn end of a log is not', async (t) => {
  const { at, from, options } = place(t)
  for (const name of ['session-torn', 'session-lacking']) cpSync(profiles.first, join(from, name), { recursive: true })
  const databaseOf = (name) => {
    const folder = join(from, name, 'Default', 'IndexedDB')
    return join(
      folder,
      readdirSync(folder).find((item) => item.endsWith('.leveldb'))
    )
  }
  const log = join(
    databaseOf('session-torn'),
    readdirSync(databaseOf('session-torn')).find((item) => item.endsWith('.log'))
  )
  const whole = readFileSync(log)
  writeFileSync(log, Buffer.concat([whole, Buffer.from([1, 2, 3])]))
  rmSync(join(databaseOf('session-lacking'), 'CURRENT'))
  const report = await hybrid.migrate({ ...options, layout: 'wwebjs-local' })
  assert.deepEqual(outcomes(report), { [tenant('torn')]: 'migrated', [tenant('lacking')]: 'damaged LOCAL_CORRUPT' })
  assert.deepEqual((await restoredBy(t, at, 'torn')).files, keptOf(profiles.first))
  assert.equal(readFileSync(log).length, whole.length + 3)
})

test('a source that is written during the migration is reported', async (t) => {
  const { from, options } = place(t, { 'RemoteAuth-a.zip': zips.first })
  cpSync(profiles.first, join(from, 'session-b'), { recursive: true })
  // It is read by then, and its session is not made yet.
  const write = (work) => ({ onEvent: ({ event }) => (event === 'opening' ? work() : undefined) })
  const zip = await hybrid.migrate({ ...options, ...write(() => put(from, { 'RemoteAuth-a.zip': zips.second })) })
  const local = await hybrid.migrate({
    ...options,
    layout: 'wwebjs-local',
    ...write(() => put(from, { 'session-b/Default/IndexedDB/more': 'x' }))
  })
  const gone = await hybrid.migrate({ ...options, tenantId: 'c', ...write(() => rmSync(join(from, 'RemoteAuth-a.zip'))) })
  for (const {
    sessions: [session]
  } of [zip, local, gone]) {
    assert.deepEqual([session.status, session.sourceChanged], ['migrated', true], session.tenantId)
    assert.match(session.message, /the source was written during the migration/)
  }
})

test('a migration that is killed at any moment is done by the next one', async (t) => {
  const names = ['a', 'b', 'c', 'd']
  const { at, from, options } = place(t, Object.fromEntries(names.map((name) => [`RemoteAuth-${name}.zip`, zips.first])))
  const before = contentsOf(from)
  const work = async ({ hybrid, args, say }) => {
    await hybrid.migrate({
      ...args,
      onEvent: ({ event, tenantId }) => void say(`${event} ${tenantId}`),
      onProgress: ({ tenantId }) => void say(`done ${tenantId}`)
    })
  }
  for (const moment of chosen(['opening', 'opened', 'done'], (moment) => moment === 'done')) {
    const { said, kill } = startProcess(t, work, { ...options, concurrency: 1 }, { env: { TMPDIR: at.root } })
    while (!(await said()).startsWith(moment));
    await kill()
  }
  const report = await hybrid.migrate(options)
  assert.deepEqual([report.totals.already + report.totals.migrated, report.totals.already > 0], [4, true], JSON.stringify(outcomes(report)))
  for (const name of names) assert.deepEqual(await restoredBy(t, at, name, name), { generation: 1, files: keptOf(profiles.first) })
  assert.deepEqual(contentsOf(from), before)
})

test('the other layouts name the one that reads sessions of whatsapp-web.js', async (t) => {
  const { from, at, options } = place(t, { 'RemoteAuth-a.zip': zips.first, 'x/b.zip': zips.first })
  cpSync(profiles.first, join(from, 'session-a'), { recursive: true })
  const { layout, ...auto } = options
  const missing = await rejection(hybrid.migrate({ ...auto, directory: at.directory }))
  assert.equal(missing.code, 'NOT_FOUND')
  assert.match(
    missing.message,
    /2 sessions of whatsapp-web\.js \(set the layout `wwebjs-zip`\); 1 session of whatsapp-web\.js \(set the layout `wwebjs-local`\)/
  )
  await hybrid.migrate(options)
  const report = await hybrid.migrate({ ...options, dryRun: true })
  assert.deepEqual(report.profiles, { 'wwebjs-zip': 0, 'wwebjs-local': 1 })
  assert.equal((await rejection(hybrid.migrate({ ...options, from: join(from, 'session-a') }))).code, 'NOT_FOUND')
})

test('what a migration of profiles cannot do is an error before anything is read', async (t) => {
  const { from, at, options } = place(t, { 'RemoteAuth-a.zip': zips.first })
  const wrong = [{ cleanup: true }, { store: null }, { mode: 'local' }, { from: join(at.root, 'none') }, { layout: 'wwebjs' }]
  for (const more of wrong)
    assert.equal((await rejection(hybrid.migrate({ ...options, ...more }))).code, 'INVALID_OPTION', JSON.stringify(more))
  const report = await hybrid.migrate({ ...options, mode: 'cloud', directory: at.directory })
  assert.deepEqual([outcomes(report), existsSync(at.directory)], [{ [tenant('a')]: 'migrated' }, false])
  const refused = await rejection(hybrid.cleanupMigrated({ ...options, layout: undefined, from, report, confirm: true }))
  assert.deepEqual([refused.code, existsSync(join(from, 'RemoteAuth-a.zip'))], ['INVALID_OPTION', true])
})
