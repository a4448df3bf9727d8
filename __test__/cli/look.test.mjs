// Looking at a store: who has what, and what is in it.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { OTHER_KEY, SITES, directorySite, run, runJson } from './command.mjs'

for (const [name, makeSite] of Object.entries(SITES)) {
  test(`status and list tell what there is in ${name}, and who has it`, async (t) => {
    const at = await makeSite(t)
    for (const tenant of ['anna', 'ben', 'carl']) await at.tenant(tenant)
    await at.running('dora')
    await run(t, ['delete', 'carl', '--yes'], at)
    assert.deepEqual(await run(t, ['list'], at).then(({ code, stdout }) => [code, stdout]), [0, 'anna\nben\ndora\n'])
    const table = await run(t, ['status'], at)
    assert.equal(table.code, 0, table.stderr)
    assert.match(table.stdout, /^TENANT +OWNER +STORED +EPOCH +LSN\nanna +free +\d+ (ms|s|min) ago +1 +\d\n/)
    assert.match(table.stdout, /^dora +in use/m)
    assert.doesNotMatch(table.stdout, /carl/)
    assert.match(table.stdout, /3 tenants: 1 in use, 2 free, 1 deleted\.\n$/)
    const { json } = await runJson(t, ['status', 'anna', 'dora', 'carl'], at)
    assert.deepEqual(json.tenants.map(({ tenantId, owner }) => [tenantId, owner]).sort(), [
      ['anna', 'released'],
      ['carl', 'deleted'],
      ['dora', 'live']
    ])
    assert.ok(Math.abs(Date.now() - Date.parse(json.tenants[0].storedAt)) < 600_000)
    const unknown = await runJson(t, ['status', 'nobody'], at)
    assert.deepEqual([unknown.code, unknown.json.ok, unknown.json.tenants[0].owner], [1, false, 'none'])
    for (const [flags, shown] of [
      [[], 3],
      [['--deleted'], 4]
    ]) {
      const {
        json: { total, totals, omitted, tenants }
      } = await runJson(t, ['status', ...flags], at)
      assert.deepEqual([total, Object.values(totals).reduce((a, b) => a + b), tenants.length, omitted], [4, 4, shown, 4 - shown])
    }
  })

  test(`inspect tells all about a session of ${name}, in the store and on this machine`, async (t) => {
    const at = await makeSite(t)
    await at.tenant('anna')
    const { code, stdout, stderr } = await run(t, ['inspect', 'anna'], at)
    assert.equal(code, 0, stderr)
    const store = [
      /^IN THE STORE$/m,
      /^owner +free$/m,
      /^stored +\d+ \w+ ago \(20/m,
      /^keys +3$/m,
      /^objects +\d bases? of /m,
      /^sealed with +[0-9a-f]{16}$/m
    ]
    const rest = [/^pre-key +1 +\d+ B$/m, /^session +1/m, /ON THIS MACHINE\nnothing\n$/]
    for (const line of [...store, ...rest]) assert.match(stdout, line)
    await run(t, ['restore', 'anna'], at)
    const { json } = await runJson(t, ['inspect', 'anna'], at)
    assert.deepEqual([json.ok, json.store.owner, json.store.contents.keys, json.local.open], [true, 'released', 3, 'nobody'])
  })
}

test('inspect says what is missing, and what is wrong, with the exit code of it', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const unknown = await runJson(t, ['inspect', 'nobody'], at)
  assert.deepEqual([unknown.code, unknown.json.ok, unknown.json.error.code, unknown.json.local], [1, false, 'NOT_FOUND', null])
  assert.match((await run(t, ['inspect', 'nobody'], at)).stdout, /^NOT_FOUND: neither the store nor this machine/m)
  const locked = await runJson(t, ['inspect', 'anna'], { env: { ...at.env, SESSION_ENCRYPTION_KEY: OTHER_KEY } })
  assert.deepEqual([locked.code, locked.json.store.error.code], [4, 'KEY_UNAVAILABLE'])
  assert.match(
    (await run(t, ['inspect', 'anna'], { env: { ...at.env, SESSION_ENCRYPTION_KEY: OTHER_KEY } })).stdout,
    /^KEY_UNAVAILABLE: .* --key-file\.$/m
  )
  const folder = join(at.bucket, 'v1', 'data')
  for (const name of readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /\.(base|seg)$/.test(name))) {
    const bytes = readFileSync(join(folder, name))
    bytes[bytes.length >> 1] ^= 1
    writeFileSync(join(folder, name), bytes)
  }
  const damaged = await runJson(t, ['inspect', 'anna'], at)
  assert.deepEqual([damaged.code, damaged.json.ok, damaged.json.store.error.code], [1, false, 'REMOTE_CORRUPT'])
})
