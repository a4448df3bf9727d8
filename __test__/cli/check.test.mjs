// Checking what is stored: verify, drill and doctor.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { refusal, startRelay } from '../../testkit/proxy/breaking.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import { KEY, OTHER_KEY, SITES, directorySite, plain, run, runJson, terminal } from './command.mjs'
import { chosen, further } from '../support/size.mjs'

const filesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map(({ name }) => name)
    .sort()

for (const [name, makeSite] of chosen(Object.entries(SITES), ([name]) => name === 'a directory')) {
  test(`verify checks all tenants of ${name}, or those that are named, as a table and as a document`, async (t) => {
    const at = await makeSite(t)
    for (const tenant of ['anna', 'ben']) await at.tenant(tenant)
    const all = await run(t, ['verify'], at)
    assert.equal(all.code, 0, all.stderr)
    assert.match(all.stdout, /^TENANT +RESULT +KEYS +SIZE/)
    assert.match(all.stdout, /^anna +sound +3 +\d/m)
    assert.match(all.stdout, /^ben +sound/m)
    assert.match(all.stdout, /2 tenants checked: all sound\.\n$/)
    assert.equal(all.stderr, '')
    assert.equal((await runJson(t, ['verify', '--all'], at)).json.total, 2)
    assert.equal((await run(t, ['verify', '--all', 'ben'], at)).code, 2)
    const { code, json } = await runJson(t, ['verify', 'ben', 'ben'], at)
    assert.equal(code, 0)
    assert.deepEqual([json.ok, json.total, json.failed], [true, 1, 0])
    assert.deepEqual(
      json.tenants.map(({ tenantId, ok, report }) => [tenantId, ok, report.keys, report.damage]),
      [['ben', true, 3, []]]
    )
  })
}

test('verify fails with 1 for a damaged tenant, and still checks the others', async (t) => {
  const at = directorySite(t)
  for (const tenant of ['anna', 'ben']) await at.tenant(tenant)
  const folder = join(at.bucket, 'v1', 'data')
  for (const name of readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /^anna.*\.(base|seg)$/.test(name))) {
    const bytes = readFileSync(join(folder, name))
    bytes[bytes.length >> 1] ^= 1
    writeFileSync(join(folder, name), bytes)
  }
  const { code, stdout, json } = await runJson(t, ['verify'], at)
  assert.equal(code, 1, stdout)
  assert.deepEqual(
    json.tenants.map(({ tenantId, ok, error }) => [tenantId, ok, error?.code]),
    [
      ['anna', false, 'REMOTE_CORRUPT'],
      ['ben', true, undefined]
    ]
  )
  const table = await run(t, ['verify'], at)
  assert.equal(table.code, 1)
  assert.match(table.stdout, /^anna +REMOTE_CORRUPT/m)
  assert.match(table.stdout, /^anna: REMOTE_CORRUPT: .*runbook|README/m)
  assert.match(table.stdout, /1 not sound/)
})

test('verify says what is wrong with a key, a tenant and a store, each with its exit code', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const wrongKey = await runJson(t, ['verify', 'anna'], { env: { ...at.env, SESSION_ENCRYPTION_KEY: OTHER_KEY } })
  assert.deepEqual([wrongKey.code, wrongKey.json.tenants[0].error.code], [4, 'KEY_UNAVAILABLE'])
  const unknown = await runJson(t, ['verify', 'nobody'], at)
  assert.deepEqual([unknown.code, unknown.json.tenants[0].error.code], [1, 'NOT_FOUND'])
})

test('on a terminal there is a bar while tenants are checked, and colours that NO_COLOR and --no-color take away', async (t) => {
  const at = directorySite(t)
  for (const tenant of ['anna', 'ben', 'carl']) await at.tenant(tenant)
  const seen = await terminal(t, ['verify'], at).ended
  assert.equal(seen.code, 0, seen.stdout)
  assert.match(plain(seen.stdout), /verify █+ 3\/3|verify [█░]+ \d\/3/)
  assert.match(seen.stdout, /\u001b\[32msound/)
  for (const [args, env] of [
    [['--no-color'], {}],
    [[], { NO_COLOR: '1' }]
  ]) {
    const { stdout } = await terminal(t, ['verify', '--quiet', ...args], { env: { ...at.env, ...env } }).ended
    assert.doesNotMatch(stdout, /\u001b\[3/)
    assert.doesNotMatch(stdout, /█/)
    assert.match(stdout, /sound/)
  }
})

for (const [name, makeSite] of chosen(Object.entries(SITES), ([name]) => name === 'a directory')) {
  test(`drill restores sessions of ${name} and compares them, beside an owner, claiming nothing`, async (t) => {
    const at = await makeSite(t)
    await at.tenant('anna')
    const session = await at.running('ben')
    const { code, stdout, stderr } = await run(t, ['drill'], at)
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /^anna +restored +3 /m)
    assert.match(stdout, /2 restores drilled: all good\.\n$/)
    assert.equal(session.status().life, 'live')
    const { json } = await runJson(t, ['drill', 'anna'], at)
    assert.deepEqual([json.ok, json.total, json.tenants[0].report.keys, json.tenants[0].report.problems], [true, 1, 3, []])
    assert.match(json.tenants[0].report.digests.restored, /^[0-9a-f]{64}$/)
    const unknown = await runJson(t, ['drill', 'nobody'], at)
    assert.deepEqual([unknown.code, unknown.json.tenants[0].error.code], [1, 'NOT_FOUND'])
  })

  test(`doctor looks at ${name}`, async (t) => {
    const at = await makeSite(t)
    await at.tenant('anna')
    const { code, stdout, stderr } = await run(t, ['doctor'], at)
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /^reachable +ok/m)
    const { json } = await runJson(t, ['doctor'], at)
    assert.equal(json.ok, true)
    assert.ok(json.checks.length > 10 && json.checks.every(({ name, outcome, message }) => name && message && json.totals[outcome] > 0))
  })
}

test('doctor fails with 1 for a bucket that it finds something wrong with, and with 3 for one that is not reached', async (t) => {
  const at = await SITES.Supabase(t)
  await at.server.control.bucket({ id: at.bucket.name, values: { public: true } })
  const open = await runJson(t, ['doctor'], at)
  assert.deepEqual([open.code, open.json.checks.find(({ name }) => name === 'private').outcome], [1, 'failed'])
  await at.server.stop()
  const gone = await runJson(t, ['doctor'], at)
  assert.deepEqual([gone.code, gone.json.ok], [3, false])
})

test('doctor --contract tries the store in a folder of its own and leaves nothing there', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const before = filesIn(at.bucket)
  const { code, json } = await runJson(t, ['doctor', '--contract'], at)
  assert.equal(code, 0, JSON.stringify(json))
  const tried = json.checks.filter(({ name }) => name.startsWith('contract-'))
  assert.ok(tried.length > 10 && tried.every(({ outcome }) => outcome === 'ok'))
  assert.deepEqual(filesIn(at.bucket), before)
  const { stdout } = await run(t, ['doctor', '--contract'], at)
  assert.match(stdout, /^contract-clean +ok/m)
})

further('doctor --contract fails with 1 for a store that lacks a behaviour', async (t) => {
  const server = await seaweedfs.start()
  t.after(() => server.stop())
  const relay = await startRelay(server.address.endpoint)
  t.after(() => relay.stop())
  const bucket = await seaweedfs.connect(server.address, { endpoint: relay.origin }).makeBucket()
  relay.flaw = ({ method, name }, forward) => (method === 'PUT' && name.length > 200 ? refusal(400, 'KeyTooLongError') : forward())
  const { accessKeyId, secretAccessKey } = server.address
  const env = {
    SESSION_BACKUP_STORE: `s3://${bucket.name}?endpoint=${relay.origin}&region=us-east-1`,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    SESSION_ENCRYPTION_KEY: KEY
  }
  const { code, json } = await runJson(t, ['doctor', '--contract'], { env })
  assert.deepEqual(
    [code, json.ok, json.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)],
    [1, false, ['contract-names']]
  )
})

test('doctor looks at a folder of browser profiles that is named', async (t) => {
  const at = directorySite(t)
  const { code, json } = await runJson(t, ['doctor', '--profiles', at.folder], at)
  assert.equal(code, 0)
  const names = json.checks.map(({ name }) => name).filter((name) => name.startsWith('profile-'))
  assert.deepEqual(names, ['profile-locks', 'profile-links', 'profile-space', 'profile-disk', 'profile-stop'])
})
