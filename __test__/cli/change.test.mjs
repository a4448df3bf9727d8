// Commands that cannot be taken back ask first.

import assert from 'node:assert/strict'
import { readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KEY, OTHER_KEY, SITES, directorySite, plain, privateFile, run, runJson, terminal } from './command.mjs'
import { chosen } from '../support/size.mjs'

const tenantsOf = async (t, at) => (await runJson(t, ['list'], at)).json.tenants

for (const [name, makeSite] of chosen(Object.entries(SITES), ([name]) => name === 'a directory')) {
  test(`delete asks on a terminal, and deletes in ${name} what is confirmed`, async (t) => {
    const at = await makeSite(t)
    for (const tenant of ['anna', 'ben', 'carl']) await at.tenant(tenant)
    const one = terminal(t, ['delete', 'anna'], at)
    await one.printed(/Type anna to continue:/)
    one.type('anna\r')
    const ended = await one.ended
    assert.equal(ended.code, 0, ended.stdout)
    assert.match(plain(ended.stdout), /must then be paired again[^]*anna +deleted/)
    assert.deepEqual(await tenantsOf(t, at), ['ben', 'carl'])
    const gone = await runJson(t, ['verify', 'anna'], at)
    assert.deepEqual([gone.code, gone.json.tenants[0].error.code], [1, 'DELETED'])

    const rest = await runJson(t, ['delete', 'ben', 'carl', '--yes'], at)
    assert.deepEqual([rest.code, rest.json.total, rest.json.failed], [0, 2, 0])
    assert.deepEqual(await tenantsOf(t, at), [])
  })
}

test('delete changes nothing when the answer is another, when the question is interrupted, and when nobody can answer', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  for (const [typed, code, said] of [
    ['yes\r', 130, /error DECLINED: not confirmed\. Nothing was changed; type anna to confirm\./],
    ['\r', 130, /DECLINED/],
    ['\u0003', 130, /INTERRUPTED.*Nothing was changed/],
    ['\u0004', 130, /INTERRUPTED/]
  ]) {
    const asked = terminal(t, ['delete', 'anna'], at)
    await asked.printed(/Type anna to continue:/)
    asked.type(typed)
    const ended = await asked.ended
    assert.equal(ended.code, code, ended.stdout)
    assert.match(plain(ended.stdout), said)
  }
  const { code, json } = await runJson(t, ['delete', 'anna'], at)
  assert.deepEqual([code, json.error.code], [2, 'USAGE'])
  assert.match(json.error.advice, /--yes/)
  assert.deepEqual(await tenantsOf(t, at), ['anna'])
})

test('delete makes no session of a tenant that has none, and no tombstone', async (t) => {
  const at = directorySite(t)
  const { code, json } = await runJson(t, ['delete', 'nobody', '--yes'], at)
  assert.deepEqual([code, json.tenants[0].error.code], [1, 'NOT_FOUND'])
  assert.equal((await run(t, ['delete', '--yes'], at)).code, 2)
})

/** As if nothing of the bucket had been stored for so long. */
function age(folder, days) {
  const then = new Date(Date.now() - days * 86_400_000)
  for (const item of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (item.isFile()) utimesSync(join(item.parentPath ?? item.path, item.name), then, then)
}

test('prune says what is old, and with --apply deletes it, but not what may run', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const session = await at.running('ben')
  age(at.bucket, 10)
  await at.tenant('carl')
  const dry = await run(t, ['prune', '--older-than', '1w', '--inactive-only'], at)
  assert.equal(dry.code, 0, dry.stderr)
  assert.match(dry.stdout, /^anna +would be deleted +10 d ago$/m)
  assert.match(dry.stdout, /^ben +kept: may run/m)
  assert.match(dry.stdout, /2 sessions that old: 1 would be deleted, 1 kept, 0 failed\.\n$/)
  assert.match(dry.stderr, /dry run/)
  assert.deepEqual(await tenantsOf(t, at), ['anna', 'ben', 'carl'])
  assert.equal((await runJson(t, ['prune', '--older-than', '30d'], at)).json.sessions.length, 0)
  const { code, json } = await runJson(t, ['prune', '--older-than', '1w', '--apply'], at)
  assert.deepEqual(
    [code, json.applied, json.sessions.map(({ tenantId, outcome }) => [tenantId, outcome])],
    [
      0,
      true,
      [
        ['anna', 'deleted'],
        ['ben', 'active']
      ]
    ]
  )
  assert.deepEqual(await tenantsOf(t, at), ['ben', 'carl'])
  assert.equal(session.status().life, 'live')
  for (const age of ['30', '0d', 'x', '-3d']) assert.equal((await run(t, ['prune', '--older-than', age], at)).code, 2, age)
})

for (const [name, makeSite] of chosen(Object.entries(SITES), ([name]) => name === 'a directory')) {
  test(`rekey seals the sessions of ${name} with the first key, after which the older one opens nothing`, async (t) => {
    const at = await makeSite(t)
    for (const tenant of ['anna', 'ben']) await at.tenant(tenant)
    const session = await at.running('carl')
    const keys = privateFile(at.folder, 'keys', `${OTHER_KEY}\n${KEY}\n`)
    const first = await runJson(t, ['rekey', '--all', '--key-file', keys], at)
    assert.equal(first.code, 4, first.stderr)
    assert.deepEqual(
      first.json.tenants.map(({ tenantId, ok, error }) => [tenantId, ok, error?.code]),
      [
        ['anna', true, undefined],
        ['ben', true, undefined],
        ['carl', false, 'OWNED_ELSEWHERE']
      ]
    )
    assert.equal(first.json.unneeded, null, 'not known while one was not looked at')
    const taken = await runJson(t, ['rekey', 'carl', '--takeover', '--key-file', keys], at)
    assert.deepEqual([taken.code, taken.json.tenants[0].complete], [0, true], taken.stdout)
    await session.flush().catch(() => {})
    assert.equal(session.status().life, 'fenced')
    const all = await run(t, ['rekey', '--all', '--key-file', keys], at)
    assert.equal(all.code, 0, all.stdout)
    assert.match(
      all.stdout,
      /3 tenants re-encrypted\. No longer needed by the store and this machine: [0-9a-f]{16}\. Logs on the disks of other machines are not seen\.\n$/
    )
    const sealed = await run(t, ['verify'], at)
    assert.equal(sealed.code, 4, 'the older key alone opens nothing')
    const only = privateFile(at.folder, 'only', OTHER_KEY)
    assert.equal((await run(t, ['verify', '--key-file', only], at)).code, 0)
  })
}

for (const [name, makeSite] of chosen(Object.entries(SITES), ([name]) => name === 'a directory')) {
  test(`prune-keys says which keys of ${name} nobody waits for, and with --apply removes them`, async (t) => {
    const at = await makeSite(t)
    const session = await at.open('anna', { initAuthCreds: () => ({ nextPreKeyId: 2001, firstUnuploadedPreKeyId: 2001 }) })
    await session.saveCreds()
    await session.state.keys.set({ 'pre-key': Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [n + 1, { n }])) })
    const running = await run(t, ['prune-keys', 'anna', '--apply'], at)
    assert.equal(running.code, 4, running.stdout)
    await session.close()
    const dry = await run(t, ['prune-keys', '--all'], at)
    assert.equal(dry.code, 0, dry.stdout + dry.stderr)
    assert.match(dry.stdout, /^anna +checked +376 +1,624 +0 +0 /m)
    assert.match(dry.stderr, /dry run/)
    const { json } = await runJson(t, ['prune-keys', 'anna', '--pre-key-window', '900', '--apply'], at)
    assert.deepEqual([json.ok, json.applied, json.tenants[0].preKeys.removed], [true, true, 1100])
    assert.equal((await runJson(t, ['inspect', 'anna'], at)).json.store.contents.types['pre-key'].keys, 900)
    const few = await runJson(t, ['prune-keys', 'anna', '--pre-key-window', '10'], at)
    assert.deepEqual([few.code, few.json.tenants[0].error.code], [2, 'INVALID_OPTION'])
    assert.match(few.json.tenants[0].error.message, /`--pre-key-window`/)
    assert.equal((await run(t, ['prune-keys', 'anna', '--pre-key-window', 'many'], at)).code, 2)
  })
}
