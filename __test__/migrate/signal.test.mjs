// A service that runs on another auth state is migrated in mid-conversation, out of every layout and every kind of place: each
// message after it decrypts to the bytes that were encrypted, on the machine of the migration and on a blank one.
//
// Invariant guarded: what a migration makes is the same session to the Signal protocol, for every key that was ever acknowledged.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from '../../testkit/base/missing.mjs'
import { below, filesIn, LAYOUTS, putAll, putIn, REPORTED, SOURCE_KEY } from '../support/migrations.mjs'
import * as gcs from '../../testkit/stores/gcs.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import * as supabase from '../../testkit/stores/supabase.mjs'
import { hybrid, scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { sized } from '../support/size.mjs'
import { createWorld, loadLine } from '../../testkit/world/world.mjs'
import { runSeed } from '../values/arbitrary.mjs'

const seed = runSeed('migrate')
const MESSAGES = sized(20, 50)
/** Keys that a session has by then, at least: 42 to 55 with the older lines, as the seed will have it. */
const MANY = 30
const PATH = 'sessions/3fa85f64-5717/+49 151 é'
const TENANT = '3fa85f64-5717-+49 151 é'
/** Characters that Supabase allows in names. */
const PLAIN_PATH = 'sessions/3fa85f64-5717/+49 151'

const servers = {}

after(async () => {
  for (const server of Object.values(servers)) await (await server).stop()
})

/** Places for the files of the session: each answers what to migrate from. */
const PLACES = {
  async folder(t, files) {
    const root = temporaryFolder(t, 'source')
    putIn(root, PATH, files)
    return { from: root, ids: TENANT }
  },
  supabase: (t, files) => inBucket(supabase, files, PLAIN_PATH),
  seaweedfs: (t, files) => inBucket(seaweedfs, files, PATH),
  gcs: (t, files) => inBucket(gcs, files, PATH)
}

async function inBucket(kind, files, path) {
  const server = await (servers[kind.kind] ??= kind.start())
  const bucket = await kind.connect(server.address).makeBucket()
  await putAll(bucket, below(path, files))
  return { from: bucket.options.store, ids: path.split('/').slice(1).join('-') }
}

/** Each place and each layout at least once, and each line. */
const CASES = [
  ['v7', 'flat', 'folder'],
  ['v6', 'flat', 'folder'],
  ['v7', 'keys folder', 'supabase'],
  ['v6.7', 'keys file by type', 'supabase'],
  ['v6', 'keys file by type and id', 'seaweedfs'],
  ['v7', 'encrypted bytes', 'gcs'],
  ['v6', 'encrypted text', 'gcs']
]

for (const [name, layout, where] of CASES) {
  test(`${name}, ${layout}, ${where}: every message decrypts after the migration, and on a blank machine`, async (t) => {
    const at = scene(t)
    const { baileys } = await loadLine(name)
    const folder = join(at.root, 'old-system')
    const world = await createWorld({ line: name, seed, groups: 2, subject: await baileys.useMultiFileAuthState(folder) })
    await world.run(MESSAGES)
    const files = filesIn(folder)
    assert.ok(files.size > MANY, `${files.size} files`)
    const { from, ids } = await PLACES[where](t, LAYOUTS[layout](files))

    const options = { ...at.replicated, baileys, from, tenantId: '{2}-{3}', sourceKey: SOURCE_KEY }
    const report = await hybrid.migrate(options)
    const [found] = report.sessions
    assert.deepEqual(
      [found.tenantId, found.status, found.layout, found.sourceChanged],
      [ids, 'migrated', REPORTED[layout], false],
      found.message
    )
    assert.equal(
      Object.values(found.keys).reduce((sum, n) => sum + n),
      files.size - 1
    )

    let session = await at.openReplicated(ids, { baileys, onMissing: 'error' })
    await world.swapSubject(session)
    await world.run(MESSAGES)
    await session.close()
    session = await at.open(ids, { ...at.elsewhere(), baileys, onMissing: 'error' })
    assert.equal(session.status().restored.source, 'remote')
    await world.swapSubject(session)
    await world.run(MESSAGES)
    const { keys } = await world.audit()
    assert.ok(keys > MANY, `${keys} keys were compared`)
    assert.equal((await hybrid.migrate(options)).sessions[0].status, 'newer-target')
  })
}

test('and back: the session goes on in a folder of useMultiFileAuthState, out of a tree of all tenants', async (t) => {
  const at = scene(t)
  const { baileys } = await loadLine('v7')
  const folder = join(at.root, 'source', 'a')
  const world = await createWorld({ line: 'v7', seed, groups: 2, subject: await baileys.useMultiFileAuthState(folder) })
  await world.run(MESSAGES)
  await hybrid.migrate({ ...at.replicated, baileys, from: join(at.root, 'source') })
  const session = await at.openReplicated('a', { baileys, onMissing: 'error' })
  await world.swapSubject(session)
  await world.run(MESSAGES)
  await session.close()
  const fleet = new hybrid.HybridAuth({ ...at.replicated, baileys })
  const { exported } = await fleet.exportAll(join(at.root, 'back'))
  assert.deepEqual(
    exported.map(({ tenantId, collisions, impossible }) => [tenantId, collisions, impossible]),
    [['a', 0, 0]]
  )
  await world.swapSubject(await baileys.useMultiFileAuthState(join(at.root, 'back', 'a')))
  await world.run(MESSAGES)
  assert.ok((await world.audit()).keys > MANY)
})
