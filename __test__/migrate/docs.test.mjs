// Every block of docs/migration.md runs as it stands, but for where it keeps its files, against the systems that it is written for.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { after, before, test } from '../../testkit/base/missing.mjs'
import archives from '../../lib/zip/archive.js'
import { read, root, section } from '../docs/repository.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { startRedis } from '../../testkit/old-stores/redis.mjs'
import { aSession, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import { declarations } from '../support/declarations.mjs'
import { below, filesIn, LAYOUTS, putAll, putIn, SOURCE_KEY, writeMultiFile } from '../support/migrations.mjs'
import * as gcs from '../../testkit/stores/gcs.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import * as supabase from '../../testkit/stores/supabase.mjs'
import { hybrid, KEY, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const text = read('docs/migration.md')
const servers = {}
const used = new Set()

let baileys

before(async () => {
  baileys = await lines[0].load()
})

after(async () => {
  for (const server of Object.values(servers)) await (await server).stop()
})

/** The one block under a heading. */
function blockOf(heading) {
  const blocks = [
    ...section(text, heading)
      .split('\n## ')[0]
      .matchAll(/^```js\n([\s\S]*?)^```$/gm)
  ].map(([, block]) => block)
  assert.equal(blocks.length, 1, heading)
  used.add(blocks[0])
  return blocks[0]
}

function replaceOnce(text, what, by) {
  assert.equal(text.split(what).length, 2, `"${what}" stands in the block once`)
  return text.replace(what, by)
}

/** A working folder with the variables of a service, and a way to run blocks in it. */
async function place(t) {
  const work = temporaryFolder(t, 'migration')
  const env = {
    ...process.env,
    WHATSAPP_SESSION_PATH: join(work, 'state'),
    SESSION_BACKUP_STORE: `${pathToFileURL(join(work, 'bucket')).href}?create=true`,
    SESSION_ENCRYPTION_KEY: KEY
  }
  async function run(block, replaced = {}, more = {}) {
    let script = replaceOnce(block, "'baileys-hybrid-auth'", JSON.stringify(pathToFileURL(join(root, 'index.js')).href))
    for (const [what, by] of Object.entries(replaced)) script = replaceOnce(script, what, by)
    const file = join(work, 'block.mjs')
    writeFileSync(file, script)
    return (await promisify(execFile)(process.execPath, [file], { cwd: work, env: { ...env, ...more } })).stdout
  }
  const options = { directory: join(work, 'state'), store: env.SESSION_BACKUP_STORE, encryptionKeys: [KEY], baileys }
  return { work, run, options, source: join(work, 'source') }
}

async function session(t) {
  const folder = join(temporaryFolder(t), 'session')
  return { ...(await writeMultiFile(baileys, folder)), files: filesIn(folder) }
}

async function makeBucket(kind, name) {
  const server = await (servers[kind.kind] ??= kind.start())
  return { address: server.address, bucket: await kind.connect(server.address).makeBucket(name) }
}

const inSource = (source) => ({ "'/srv/app/sessions'": JSON.stringify(source) })

test('plain folders: looked at, migrated, removed, and exported again', async (t) => {
  const { work, run, options, source } = await place(t)
  const one = await session(t)
  putIn(source, 'tenant-1', one.files)
  putIn(source, 'tenant-2', new Map([['creds.json', (await session(t)).files.get('creds.json')]]))
  assert.match(
    await run(blockOf('## Look first'), inSource(source)),
    /^ready tenant-1 tenant-1 \ncredsOnly tenant-2 tenant-2 the source has credentials/
  )
  assert.equal(existsSync(options.directory), false)
  const done = await run(blockOf('## Do it'), inSource(source))
  assert.match(done, /tenant-1 migrated/)
  assert.match(done, /migrated: 1,[^]*credsOnly: 1/)
  assert.match(await run(blockOf('## Remove the source'), inSource(source)), /^tenant-1 removed \n/)
  assert.deepEqual(readdirSync(source), ['tenant-2'])
  assert.match(
    await run(blockOf('## Back again'), { "'/srv/app/exported'": JSON.stringify(join(work, 'exported')) }),
    /^tenant-1 tenant-1\n$/
  )
  const { state } = await baileys.useMultiFileAuthState(join(work, 'exported', 'tenant-1'))
  assert.deepEqual(state.creds.noiseKey, one.creds.noiseKey)
})

test('a tree by user and session', async (t) => {
  const { run, source } = await place(t)
  for (const path of ['user-1/a', 'user-1/b', 'user-2/a']) putIn(source, path, (await session(t)).files)
  assert.match(await run(blockOf('## Tenant ids'), inSource(source)), /migrated: 3/)
})

test('in place: the folder that was used before is taken over by opening the tenant', async (t) => {
  const { options } = await place(t)
  const { creds, files } = await session(t)
  putIn(options.directory, 'tenant', files)
  const { state, close } = await hybrid.useHybridAuthState('tenant', { ...options, onMissing: 'error' })
  assert.deepEqual(state.creds.noiseKey, creds.noiseKey)
  await close()
  assert.match(text, /`<directory>\/<tenant id>`/)
})

test('Supabase Storage: creds alone are told from whole copies; by user and session', async (t) => {
  const { address, bucket } = await makeBucket(supabase, 'whatsapp-sessions')
  t.after(() => bucket.remove())
  const variables = { SUPABASE_URL: address.endpoint, SUPABASE_SERVICE_KEY: address.key }
  const [whole, creds] = [await session(t), await session(t)]
  await putAll(bucket, [...below('tenant-1', LAYOUTS['keys folder'](whole.files)), ['tenant-2/creds.json', creds.files.get('creds.json')]])
  const first = await place(t)
  assert.match(
    await first.run(blockOf('## From Supabase Storage, with NestJS'), {}, variables),
    /^tenant-1 migrated \ntenant-2 credsOnly the source has credentials/
  )
  await bucket.delete(await bucket.list())
  await putAll(bucket, below('user/session', whole.files))
  const second = await place(t)
  assert.equal(await second.run(blockOf('## From Supabase Storage, by user and session'), {}, variables), 'user-session migrated \n')
})

test('Google Cloud Storage, encrypted', async (t) => {
  const { run, work } = await place(t)
  const { address, bucket } = await makeBucket(gcs, 'whatzai-whatsapp-sessions')
  await putAll(bucket, below('sessions/user-1/+49151', LAYOUTS['encrypted bytes']((await session(t)).files)))
  const file = join(work, 'key.json')
  writeFileSync(file, address.credentials)
  const block = blockOf('## From Google Cloud Storage, encrypted')
  const replaced = {
    "'gs://whatzai-whatsapp-sessions/sessions'": JSON.stringify(
      `gs://whatzai-whatsapp-sessions/sessions?endpoint=${encodeURIComponent(address.endpoint)}`
    )
  }
  const variables = { GOOGLE_APPLICATION_CREDENTIALS: file, OLD_SESSION_ENCRYPTION_KEY: SOURCE_KEY }
  assert.equal(await run(block, replaced, { ...variables, OLD_SESSION_ENCRYPTION_KEY: KEY }), 'user-1-+49151 failed KEY_UNAVAILABLE\n')
  assert.equal(await run(block, replaced, variables), 'user-1-+49151 migrated \n')
})

test('an S3 bucket', async (t) => {
  const { run } = await place(t)
  const { address, bucket } = await makeBucket(seaweedfs, 'old-sessions')
  await putAll(bucket, below('tenant', LAYOUTS['keys file by type']((await session(t)).files)))
  const variables = {
    OLD_ENDPOINT: address.endpoint,
    OLD_ACCESS_KEY_ID: address.accessKeyId,
    OLD_SECRET_ACCESS_KEY: address.secretAccessKey
  }
  assert.match(await run(blockOf('## From R2 or S3'), {}, variables), /migrated: 1/)
})

/** An application with drivers, in the folder of the service. */
function installDrivers(work) {
  const here = process.cwd()
  const app = application('better-sqlite3', 'ioredis')
  process.chdir(here)
  symlinkSync(join(app.folder, 'node_modules'), join(work, 'node_modules'), 'junction')
  return app.load
}

test('a database, and the two of Evolution', async (t) => {
  const { run, work } = await place(t)
  const load = installDrivers(work)
  const server = await startRedis()
  t.after(() => server.stop())
  const redis = new (load('ioredis'))(server.url)
  const [[, creds], ...keys] = recordsOf(baileys, await aSession(baileys))
  await redis.mset('anna:creds', creds, ...keys.flatMap(([name, text]) => [`anna:${name}`, text]))
  assert.equal(await run(blockOf('## From a database'), {}, { OLD_DATABASE_URL: server.url }), 'anna ready key-records \n')
  const file = join(work, 'evolution.db')
  const database = new (load('better-sqlite3'))(file)
  database.exec('CREATE TABLE Session (id TEXT, sessionId TEXT, creds TEXT)')
  database.prepare('INSERT INTO Session VALUES (?, ?, ?)').run('1', 'instance-1', JSON.stringify(creds))
  database.close()
  await redis.hset('evolution:instance:instance-1', keys.flat())
  await redis.quit()
  const variables = { OLD_DATABASE_URL: pathToFileURL(file).href.replace('file:', 'sqlite:'), OLD_REDIS_URL: server.url }
  assert.match(await run(blockOf('## From Evolution API'), {}, variables), /migrated: 1/)
})

test('zips of whatsapp-web.js in an S3 bucket', async (t) => {
  const { run, work } = await place(t)
  const { address, bucket } = await makeBucket(seaweedfs, 'old-bucket')
  const [file, zip] = [join(work, 'file'), join(work, 'a.zip')]
  writeFileSync(file, 'storage of pages')
  await archives.writeZip(zip, [{ path: 'Default/IndexedDB/pages/1', source: file }])
  await putAll(bucket, [
    ['live/workspace_1/RemoteAuth-shop-7.zip', readFileSync(zip)],
    ['live/workspace_1/shop-8.zip', readFileSync(zip).subarray(1)]
  ])
  const from = `s3://old-bucket/live?${new URLSearchParams({ endpoint: address.endpoint, region: address.region, pathStyle: 'true' })}`
  const variables = { AWS_ACCESS_KEY_ID: address.accessKeyId, AWS_SECRET_ACCESS_KEY: address.secretAccessKey }
  const printed = await run(blockOf('## Sessions of whatsapp-web.js'), { "'s3://old-bucket/live'": JSON.stringify(from) }, variables)
  assert.match(printed, /^whatsapp-web\.js\/shop-7 migrated {2}\nwhatsapp-web\.js\/shop-8 damaged LOCAL_CORRUPT the zip archive is damaged/)
})

test('no block is left out, and every status that there is is explained', () => {
  assert.deepEqual(
    [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, , block]) => block).filter((block) => !used.has(block)),
    []
  )
  const { STATUSES } = createRequire(import.meta.url)('../../lib/migrate/index.js')
  const rows = [
    ...section(text, '## Do it')
      .split('\n## ')[0]
      .matchAll(/^\| `([\w-]+)` \|/gm)
  ].map(([, name]) => name)
  assert.deepEqual(rows.sort(), [...STATUSES].sort())
  const types = declarations()
  const named = types.slice(types.indexOf('export type MigrationStatus ='), types.indexOf('export interface MigratedSession'))
  assert.deepEqual([...named.matchAll(/\| '([\w-]+)'/g)].map(([, name]) => name).sort(), [...STATUSES].sort())
})
