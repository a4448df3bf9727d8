// Keys are made, and kept out of sight.

import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SITES, directorySite, run, runJson, temporaryFolder } from './command.mjs'

test('keygen prints a new key of 64 hex digits each time, and says on stderr where to put it', async (t) => {
  const [first, second] = [await run(t, ['keygen']), await run(t, ['keygen', '--quiet'])]
  for (const { code, stdout } of [first, second]) assert.deepEqual([code, /^[0-9a-f]{64}\n$/.test(stdout)], [0, true])
  assert.notEqual(first.stdout, second.stdout)
  assert.match(first.stderr, /SESSION_ENCRYPTION_KEY/)
  assert.equal(second.stderr, '')
  assert.match((await runJson(t, ['keygen'])).json.key, /^[0-9a-f]{64}$/)
})

test('keygen writes a file that only its owner can read, never over another, and does not print the key', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'session.key')
  const { code, stdout, stderr } = await run(t, ['keygen', '--out', file])
  assert.equal(code, 0)
  const text = readFileSync(file, 'utf8')
  assert.match(text, /^[0-9a-f]{64}\n$/)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.ok(!(stdout + stderr).includes(text.trim()))
  const again = await runJson(t, ['keygen', '--out', file])
  assert.deepEqual([again.code, again.json.error.code], [2, 'USAGE'])
  assert.equal(readFileSync(file, 'utf8'), text)
  assert.equal((await run(t, ['keygen', '--out', join(folder, 'no', 'where')])).code, 2)
})

test('a key that keygen made opens what was stored with it, from a file', async (t) => {
  const at = directorySite(t)
  const file = join(at.folder, 'session.key')
  await run(t, ['keygen', '--out', file])
  const session = await at.open('anna', { encryptionKeys: readFileSync(file, 'utf8') })
  await session.close()
  const { SESSION_ENCRYPTION_KEY: _, ...env } = at.env
  const { code, stderr } = await run(t, ['verify', '--key-file', file], { env })
  assert.equal(code, 0, stderr)
})

test('config prints what is in effect and where it comes from, and masks secrets', async (t) => {
  const at = await SITES.Supabase(t)
  const { code, stdout, stderr } = await run(t, ['config', '--directory', '/srv/sessions'], at)
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /^SETTING +VALUE +FROM\n/)
  assert.match(stdout, /^directory +\/srv\/sessions +command line$/m)
  assert.match(stdout, new RegExp(`^store +supabase://${at.bucket.name} +.*SUPABASE_URL`, 'm'))
  assert.match(stdout, /^flushIntervalMs +1000 +default$/m)
  assert.match(stdout, /^encryptionKeys +[0-9a-f]{16} +SESSION_ENCRYPTION_KEY$/m)
  const { json } = await runJson(t, ['config'], at)
  assert.deepEqual([json.ok, json.settings.mode.value, json.problems], [true, 'hybrid', []])
})

test('config tells everything that is wrong at once, and ends with 2', async (t) => {
  const env = { SESSION_BACKUP_STORE: 'file:///nonexistent/x', SESSION_ENCRYPTION_KEY: 'too short', SESSION_BACKUP_INTERVAL_MS: 'often' }
  const { code, json } = await runJson(t, ['config'], { env })
  assert.deepEqual([code, json.ok, json.problems.length >= 2], [2, false, true])
  const table = await run(t, ['config'], { env })
  assert.match(table.stdout, /^flushIntervalMs +wrong, see below/m)
  assert.match(table.stdout, /^problem: .*SESSION_BACKUP_INTERVAL_MS/m)
})
