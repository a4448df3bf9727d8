// Sessions of other systems, taken over from the command line.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { startRedis } from '../../testkit/old-stores/redis.mjs'
import { aSession, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import { contentsOf } from '../../testkit/processes/sessions.mjs'
import { SECRET_WORD, SITES, directorySite, multiFile, run, runJson } from './command.mjs'
import { chosen, further } from '../support/size.mjs'

for (const [name, makeSite] of chosen(Object.entries(SITES), ([name]) => name === 'a directory')) {
  test(`import takes one folder over into ${name}, and leaves the folder as it is`, async (t) => {
    const at = await makeSite(t)
    const folder = await multiFile(join(at.folder, 'auth', 'tenant-7'))
    const before = contentsOf(folder)
    const { code, stdout, stderr } = await run(t, ['import', folder], at)
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /^tenant-7 +migrated +\. +flat +2 /m)
    assert.deepEqual(contentsOf(folder), before)
    const named = await runJson(t, ['import', folder, '--tenant-id', 'anna'], at)
    assert.deepEqual(
      named.json.tenants.map(({ tenantId, status }) => [tenantId, status]),
      [['anna', 'migrated']]
    )
    assert.equal((await runJson(t, ['import', folder, '--tenant-id', 'anna'], at)).json.tenants[0].status, 'already')
    assert.deepEqual(
      (await runJson(t, ['verify'], at)).json.tenants.map(({ tenantId, ok }) => [tenantId, ok]),
      [
        ['anna', true],
        ['tenant-7', true]
      ]
    )
  })
}

test('migrate takes a tree over, reports it, and removes what was migrated only with that report and --apply', async (t) => {
  const at = directorySite(t)
  const tree = join(at.folder, 'tree')
  for (const place of ['u1/s1', 'u1/s2', 'u2/s1']) await multiFile(join(tree, place))
  writeFileSync(join(tree, 'u1', 's2', 'session-broken.json'), '{')
  const before = contentsOf(tree)
  const report = join(at.folder, 'migrated.json')
  const how = ['migrate', tree, '--tenant-id', '{1}-{2}']
  const dry = await run(t, [...how, '--dry-run'], at)
  assert.equal(dry.code, 1, dry.stderr)
  assert.match(dry.stdout, /3 sessions: 2 ready, 1 damaged\.\n$/)
  assert.deepEqual((await runJson(t, ['list'], at)).json.tenants, [])
  const done = await run(t, [...how, '--report', report], at)
  assert.equal(done.code, 1)
  assert.match(done.stdout, /^u1-s1 +migrated +u1\/s1 +flat/m)
  assert.match(done.stdout, /^u1-s2: .*damaged/m)
  assert.match(done.stdout, /3 sessions: 2 migrated, 1 damaged\.\n$/)
  assert.deepEqual(contentsOf(tree), before)
  assert.equal(JSON.parse(readFileSync(report, 'utf8')).totals.migrated, 2)

  const asked = await runJson(t, ['migrate', tree, '--cleanup', report], at)
  assert.deepEqual([asked.code, asked.json.applied, asked.json.totals.removable], [0, false, 2])
  assert.deepEqual(contentsOf(tree), before)
  const cleaned = await run(t, ['migrate', tree, '--cleanup', report, '--apply'], at)
  assert.equal(cleaned.code, 0, cleaned.stdout)
  assert.match(cleaned.stdout, /2 sources removed\.\n$/)
  assert.ok(!existsSync(join(tree, 'u1', 's1', 'creds.json')) && existsSync(join(tree, 'u1', 's2', 'creds.json')))
})

test('migrate says what it cannot do before anything is written', async (t) => {
  const at = directorySite(t)
  const empty = join(at.folder, 'nothing-here')
  const missing = await runJson(t, ['migrate', empty], at)
  assert.deepEqual([missing.code, missing.json.error.code], [2, 'INVALID_OPTION'])
  const tree = join(at.folder, 'tree')
  await multiFile(join(tree, 'u1', 's1'))
  const unnamed = await run(t, ['migrate', tree], at)
  assert.equal(unnamed.code, 2)
  assert.match(unnamed.stderr, /`--tenant-id '\{1\}-\{2\}'`/, 'in words of the command line')
  const deep = await runJson(t, ['import', tree, '--tenant-id', 'x'], at)
  assert.deepEqual([deep.code, deep.json.error.code], [2, 'USAGE'])
  for (const args of [['--apply'], ['--layout', 'odd'], ['--cleanup', join(at.folder, 'none.json')]]) {
    const { code, json } = await runJson(t, ['migrate', tree, ...args], at)
    assert.deepEqual([code, json.error.code], [2, 'USAGE'], args[0])
  }
})

test('what is migrated comes out again, equal, beside a service that runs it', async (t) => {
  const at = directorySite(t)
  const folder = await multiFile(join(at.folder, 'auth', 'anna'))
  await run(t, ['import', folder], at)
  const { code, stdout, stderr } = await run(t, ['restore', '--all', '--to', join(at.folder, 'copy')], at)
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /^anna +written +.*copy\/anna +3 /m)
  const copied = contentsOf(join(at.folder, 'copy', 'anna'))
  for (const [name, text] of Object.entries(contentsOf(folder))) assert.deepEqual(JSON.parse(copied[name]), JSON.parse(text), name)
  const again = await runJson(t, ['restore', 'anna', '--to', join(at.folder, 'copy')], at)
  assert.deepEqual([again.code, again.json.tenants[0].error.code], [2, 'INVALID_OPTION'])
  assert.equal((await run(t, ['restore', 'anna', '--to', join(at.folder, 'copy'), '--overwrite'], at)).code, 0)
  for (const args of [['--takeover', '--to', 'x'], ['--overwrite']]) assert.equal((await run(t, ['restore', 'anna', ...args], at)).code, 2)
})

further('import takes the single file of old versions, and both names of the option for the tenant', async (t) => {
  const at = directorySite(t)
  const { initAuthCreds, BufferJSON } = await import('baileys')
  const file = (name) => {
    const path = join(at.folder, name)
    writeFileSync(
      path,
      JSON.stringify(
        { creds: initAuthCreds(), keys: { preKeys: { 1: { public: Buffer.from('p'), private: Buffer.from('q') } } } },
        BufferJSON.replacer
      )
    )
    return path
  }
  const imported = await runJson(t, ['import', file('anna.json')], at)
  assert.deepEqual(
    imported.json.tenants.map(({ tenantId, status, layout }) => [tenantId, status, layout]),
    [['anna', 'migrated', 'single-file']],
    imported.stderr
  )
  const former = await runJson(t, ['import', file('other.json'), '--tenant', 'ben'], at)
  assert.deepEqual([former.code, former.json.tenants[0].tenantId], [0, 'ben'])
  const migrated = await runJson(
    t,
    ['migrate', at.folder, '--tenant', 'x-{-1}', '--only', 'x-anna', '--dry-run', '--directory', join(at.folder, '..', 'elsewhere')],
    at
  )
  assert.deepEqual(
    migrated.json.tenants.map(({ tenantId }) => tenantId),
    ['x-anna'],
    migrated.stderr
  )
  const both = await runJson(t, ['import', file('other.json'), '--tenant', 'a', '--tenant-id', 'b'], at)
  assert.deepEqual([both.code, both.json.error.code], [2, 'USAGE'])
})

test('migrate takes sessions out of a database over, and says no password', async (t) => {
  const at = directorySite(t)
  const { folder: cwd, load } = application('ioredis')
  const server = await startRedis({ password: SECRET_WORD })
  t.after(() => server.stop())
  const baileys = await lines[0].load()
  const session = await aSession(baileys)
  const redis = new (load('ioredis'))(server.url)
  await redis.mset(
    recordsOf(baileys, session).flatMap(([name, text]) => [`wa:anna:${name}`, text]),
    'wa:ben:pre-key-1',
    '{}'
  )
  await redis.quit()
  const place = (url) => ({ ...at, cwd, env: { ...at.env, OLD_REDIS_URL: url } })
  const how = ['migrate', 'env:OLD_REDIS_URL', '--tenant-id', '{-1}']
  const done = await run(t, how, place(`${server.url}?match=wa:*`))
  assert.equal(done.code, 0, done.stdout + done.stderr)
  assert.match(done.stdout, /^anna +migrated +wa:anna +key-records +18 +19 /m)
  assert.match(done.stdout, /Skipped, because they have keys and no credentials: 1 session\.\n$/)
  assert.equal((await runJson(t, [...how, '--layout', 'key-hashes'], place(server.url))).json.error.code, 'NOT_FOUND')
  assert.equal((await runJson(t, how, place(server.url.replace(SECRET_WORD, 'wrong')))).json.error.code, 'REMOTE_REFUSED')
  assert.match((await run(t, how, place('mysql://db.internal/bot'))).stderr, /npm install mysql2/)
  for (const args of [
    ['migrate', server.url],
    ['migrate', '.', '--and-from', server.url],
    ['migrate', 'env:NOT_SET']
  ]) {
    const refused = await runJson(t, args, { ...at, cwd })
    assert.deepEqual([refused.code, refused.json.error.code], [2, 'USAGE'], refused.stdout)
  }
})
