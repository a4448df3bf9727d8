// Buckets of other systems: all pages, every folder, odd names, servers without the newer listing, and answers that are none.
//
// Invariant guarded: a listing is complete or fails; nothing is written to a source; what is removed is looked for again.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { below, filesIn, LAYOUTS, putAll, writeMultiFile } from '../support/migrations.mjs'
import * as gcs from '../../testkit/stores/gcs.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import * as supabase from '../../testkit/stores/supabase.mjs'
import { hybrid, rejection, scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { further, spread } from '../support/size.mjs'

const [v7] = lines
const KINDS = { supabase, seaweedfs, gcs }
/** More than a page of any listing, in one folder and in all. */
const PLENTY = 1050

let baileys
const servers = {}

before(async () => {
  baileys = await v7.load()
})

after(async () => {
  for (const server of Object.values(servers)) await (await server).stop()
})

async function makeBucket(kind) {
  const server = await (servers[kind] ??= KINDS[kind].start())
  const client = KINDS[kind].connect(server.address)
  return { client, bucket: await client.makeBucket() }
}

/** A session with many pre-keys. */
async function plentiful(t, count = PLENTY) {
  const folder = join(temporaryFolder(t), 'session')
  const more = {
    'pre-key': Object.fromEntries(
      Array.from({ length: count }, (_, n) => [n + 1, { public: Buffer.alloc(32, n), private: randomBytes(32) }])
    )
  }
  const written = await writeMultiFile(baileys, folder, { more })
  return { ...written, files: filesIn(folder) }
}

async function small(t) {
  const folder = join(temporaryFolder(t), 'session')
  return { ...(await writeMultiFile(baileys, folder)), files: filesIn(folder) }
}

const optionsOf = (at, bucket, more) => ({ ...at.replicated, baileys, from: bucket.options.store, ...more })

/** With Google's double, many files in one folder; the listing of Supabase has more of them below. */
const PLENTIFUL = ['gcs']

for (const kind of Object.keys(KINDS)) {
  const [plenty, few] = [PLENTIFUL.includes(kind) ? test : further, kind === 'seaweedfs' ? further : test]
  plenty(`${kind}: more than a thousand files in one folder all arrive, and all go`, async (t) => {
    const at = scene(t)
    const { bucket } = await makeBucket(kind)
    const session = await plentiful(t)
    const other = await small(t)
    await putAll(bucket, [
      ...below('many', LAYOUTS['keys folder'](session.files)),
      ...below('other', other.files),
      ['many/keys/readme.txt', Buffer.from('kept')]
    ])
    const before = await bucket.list()
    assert.ok(before.length > PLENTY)
    const options = optionsOf(at, bucket)
    const report = await hybrid.migrate(options)
    assert.deepEqual(
      report.sessions.map(({ tenantId, status, layout }) => [tenantId, status, layout]),
      [
        ['many', 'migrated', 'keys-folder'],
        ['other', 'migrated', 'flat']
      ]
    )
    assert.equal(report.sessions[0].keys['pre-key'], PLENTY)
    assert.deepEqual(await bucket.list(), before, 'the source is as it was')
    const { state } = await at.openReplicated('many', { baileys, onMissing: 'error' })
    const ids = Object.keys(session.data['pre-key'])
    assert.deepEqual(await state.keys.get('pre-key', ids), session.data['pre-key'])

    const only = { ...report, sessions: report.sessions.slice(0, 1) }
    assert.deepEqual((await hybrid.cleanupMigrated({ ...options, report: only, confirm: true })).totals.removed, 1)
    assert.deepEqual(
      await bucket.list(),
      before.filter((name) => name.startsWith('other/') || name === 'many/keys/readme.txt')
    )
  })

  few(`${kind}: many small sessions, at two depths below a prefix, with names that are none of ours`, async (t) => {
    const at = scene(t)
    const { bucket } = await makeBucket(kind)
    const session = await small(t)
    const users = Array.from({ length: 6 }, (_, n) => `${n}a85f64-5717-4562/+49 151 ${n}${kind === 'supabase' ? '' : ' é€𝄞'}`)
    await putAll(bucket, [
      ...users.flatMap((path) => [...below(`app (1)/live/${path}`, session.files)]),
      ...below('app (1)/other/x/y', session.files),
      ['app (1)/live/readme', Buffer.from('x')]
    ])
    const from = { ...bucket.options.store, prefix: 'app (1)/live' }
    const report = await hybrid.migrate({ ...optionsOf(at, bucket), from, tenantId: '{1}/{2}' })
    assert.deepEqual(
      report.sessions.map(({ path, tenantId, status }) => [path, tenantId, status]),
      users.map((path) => [path, path, 'migrated'])
    )
    assert.equal(report.passedOver, 1)
    assert.equal((await hybrid.migrate({ ...optionsOf(at, bucket), from, tenantId: '{1}/{2}' })).totals.already, users.length)
  })

  few(`${kind}: a bucket that is not there, and one that is empty, are told apart`, async (t) => {
    const at = scene(t)
    const { bucket } = await makeBucket(kind)
    assert.equal((await rejection(hybrid.migrate(optionsOf(at, bucket)))).code, 'NOT_FOUND')
    const gone = { ...bucket.options.store, bucket: `${bucket.name}-gone` }
    assert.equal((await rejection(hybrid.migrate({ ...optionsOf(at, bucket), from: gone }))).code, 'REMOTE_REFUSED')
  })

  few(`${kind}: the sessions may stay in the bucket that they come from`, async (t) => {
    const at = scene(t)
    const { bucket } = await makeBucket(kind)
    const session = await small(t)
    await putAll(bucket, below('tenant', session.files))
    const options = { ...optionsOf(at, bucket), store: bucket.options.store }
    assert.equal((await hybrid.migrate(options)).totals.migrated, 1)
    const again = await hybrid.migrate({ ...options, cleanup: true })
    assert.deepEqual([again.totals.already, again.ours > 2, again.cleanup.totals.removed], [1, true, 1])
    assert.ok((await bucket.list()).every((name) => name.startsWith('v1/')))
    assert.equal((await rejection(hybrid.migrate(options))).code, 'INVALID_OPTION')
    const { state } = await at.open('tenant', { ...at.elsewhere(), store: bucket.options.store, baileys, onMissing: 'error' })
    assert.deepEqual(state.creds.noiseKey, session.creds.noiseKey)
  })
}

test('gcs: a name with an empty part is said to be in the way, and a listing without it works', async (t) => {
  const at = scene(t)
  const { bucket } = await makeBucket('gcs')
  await putAll(bucket, [...below('live/tenant', (await small(t)).files), ['old//creds.json', Buffer.from('{}')]])
  const error = await rejection(hybrid.migrate({ ...optionsOf(at, bucket), tenantId: '{2}' }))
  assert.equal(error.code, 'REMOTE_REFUSED')
  assert.match(error.message, /empty part.*rename or remove/)
  const from = { ...bucket.options.store, prefix: 'live' }
  assert.equal((await hybrid.migrate({ ...optionsOf(at, bucket), from })).totals.migrated, 1)
})

test('supabase: a server that lacks the newer listing in whatever way is listed folder by folder', async (t) => {
  const { client, bucket } = await makeBucket('supabase')
  const session = await plentiful(t)
  await putAll(bucket, [...below('u/deep/down/tenant', session.files), ...below('u/deep/tenant', LAYOUTS['keys folder'](session.files))])
  for (const listV2 of spread(['no-route', 'feature', 'absent', 'tenant'], 2)) {
    const at = scene(t)
    await client.control.settings({ values: { listV2 }, bucket: bucket.name })
    for (const prefix of listV2 === 'no-route' ? spread([undefined, 'u', 'u/deep'], 2) : ['u']) {
      const from = { ...bucket.options.store, prefix }
      const report = await hybrid.migrate({
        ...optionsOf(at, bucket),
        from,
        tenantId: ({ path }) => (prefix ?? 'root') + path,
        dryRun: true
      })
      assert.deepEqual(
        report.sessions.map(({ status, keys }) => [status, keys['pre-key']]),
        [
          ['ready', PLENTY],
          ['ready', PLENTY]
        ],
        `${listV2}, ${prefix}`
      )
    }
  }
})

test('supabase: an older copy that its CDN still serves is not taken for what is stored', async (t) => {
  const [older, newer] = [await small(t), await small(t)]
  for (const reads of [1_000_000, 2]) {
    const at = scene(t)
    const { client, bucket } = await makeBucket('supabase')
    await client.control.settings({ values: { cdn: { reads } }, bucket: bucket.name })
    await putAll(bucket, below('tenant', older.files))
    const look = await hybrid.migrate({ ...optionsOf(at, bucket), dryRun: true })
    assert.equal(look.totals.ready, 1, look.sessions[0].message)
    await putAll(bucket, below('tenant', newer.files))
    const {
      sessions: [found]
    } = await hybrid.migrate(optionsOf(at, bucket))
    if (reads > 2) {
      assert.deepEqual([found.status, found.code], ['failed', 'REMOTE_UNAVAILABLE'])
      assert.match(found.message, /try again in a minute/)
      continue
    }
    assert.deepEqual([found.status, found.sourceChanged], ['migrated', false], found.message)
    const { state } = await at.openReplicated('tenant', { baileys, onMissing: 'error' })
    assert.deepEqual(state.creds.noiseKey, newer.creds.noiseKey)
  }
})

test('supabase: a key without rights to delete leaves the source, and says so', async (t) => {
  const at = scene(t)
  const { client, bucket } = await makeBucket('supabase')
  const session = await small(t)
  await putAll(bucket, below('tenant', session.files))
  const options = optionsOf(at, bucket)
  const report = await hybrid.migrate(options)
  // A policy lets rows be read and not deleted: the server then answers that it removed nothing, and no error.
  await client.control.settings({ values: { policies: { authenticated: ['select'] } }, bucket: bucket.name })
  const { address } = await servers.supabase
  const from = { ...bucket.options.store, key: address.userKey }
  const cleaned = await hybrid.cleanupMigrated({ ...options, from, report, confirm: true })
  assert.deepEqual([cleaned.sessions[0].status, cleaned.sessions[0].code], ['failed', 'REMOTE_REFUSED'])
  assert.equal((await bucket.list()).length, session.files.size)
})
