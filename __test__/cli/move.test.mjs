// Sessions that move: restored to a machine, and exported to a folder.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SITES, contentOf, directorySite, run, runJson } from './command.mjs'
import { chosen, further } from '../support/size.mjs'

for (const [name, makeSite] of chosen(Object.entries(SITES), ([name]) => name === 'a directory')) {
  test(`restore brings all sessions of ${name} to this machine and leaves them released`, async (t) => {
    const at = await makeSite(t)
    for (const tenant of ['anna', 'ben']) await at.tenant(tenant)
    const { code, stdout, stderr } = await run(t, ['restore', '--all'], at)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^anna +restored +the store +3/m)
    assert.match(stdout, /2 tenants restored\.\n$/)
    const folders = readdirSync(at.directory).filter((name) => !name.startsWith('.store-'))
    assert.deepEqual(folders.sort(), ['anna', 'ben'])
    const again = await runJson(t, ['restore', 'anna'], at)
    assert.deepEqual(
      again.json.tenants.map(({ tenantId, ok, source, clean }) => [tenantId, ok, source, clean]),
      [['anna', true, 'local', true]]
    )
    const session = await at.open('anna')
    assert.deepEqual(await session.state.keys.get('session', ['anna.0']), contentOf('anna').session)
  })
}

test('a session that runs elsewhere is not restored, exported or deleted from here, unless it is taken over', async (t) => {
  const at = directorySite(t)
  const session = await at.running('anna')
  const folder = join(at.folder, 'exported')
  for (const args of [
    ['restore', 'anna'],
    ['export', 'anna', folder],
    ['delete', 'anna', '--yes']
  ]) {
    const { code, stdout, stderr } = await run(t, args, at)
    assert.equal(code, 4, args[0])
    assert.match(stdout + stderr, /OWNED_ELSEWHERE: .* --takeover/, args[0])
    assert.equal(session.status().life, 'live')
    await session.saveCreds()
    await session.flush()
  }
  assert.ok(!existsSync(folder))
  const taken = await runJson(t, ['restore', 'anna', '--takeover'], at)
  assert.equal(taken.code, 0, taken.stderr)
  await session.flush().catch(() => {})
  assert.equal(session.status().life, 'fenced')
})

test('a session that a process of this machine has open stays with it, whatever is said', async (t) => {
  const at = directorySite(t)
  const session = await at.running('anna')
  for (const args of [
    ['restore', 'anna'],
    ['export', 'anna', join(at.folder, 'x')],
    ['delete', 'anna', '--yes'],
    ['rekey', 'anna'],
    ['prune-keys', 'anna']
  ]) {
    const { code, stdout, stderr } = await run(t, [...args, '--takeover', '--directory', at.machine.directory], at)
    assert.equal(code, 4, stdout)
    assert.match(stdout + stderr, /ALREADY_OPEN: .* --directory\./, args[0])
  }
  await session.flush()
  assert.equal(session.status().life, 'live')
})

further('restore of a session that a process of this machine has open says that there is nothing to restore', async (t) => {
  const at = directorySite(t)
  const session = await at.running('anna')
  for (const more of [[], ['--takeover']]) {
    const { code, json } = await runJson(t, ['restore', 'anna', '--directory', at.machine.directory, ...more], at)
    const { error } = json.tenants[0]
    assert.deepEqual([code, error.code], [4, 'ALREADY_OPEN'])
    assert.match(error.advice, /nothing to restore; for a copy use --to/)
  }
  const elsewhere = await runJson(t, ['restore', 'anna'], at)
  assert.deepEqual([elsewhere.code, elsewhere.json.tenants[0].error.code], [4, 'OWNED_ELSEWHERE'])
  assert.match(elsewhere.json.tenants[0].error.advice, /--to .*--takeover/)
  assert.equal((await run(t, ['restore', 'anna', '--to', join(at.folder, 'copy')], at)).code, 0, 'a copy beside it')
  await session.flush()
  assert.equal(session.status().life, 'live')
})

test('export writes a folder of useMultiFileAuthState, and not over another one', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const folder = join(at.folder, 'auth', 'anna')
  const { code, stdout, stderr } = await run(t, ['export', 'anna', folder], at)
  assert.equal(code, 0, stderr)
  assert.match(stdout, /The credentials and 2 keys written to/)
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'session-anna.0.json'))), contentOf('anna').session['anna.0'])
  const again = await runJson(t, ['export', 'anna', folder], at)
  assert.equal(again.code, 2, again.stdout)
  assert.equal(again.json.error.code, 'INVALID_OPTION')
  assert.equal((await runJson(t, ['export', 'anna', folder, '--overwrite'], at)).json.written, 2)
  const unknown = await runJson(t, ['export', 'nobody', join(at.folder, 'x')], at)
  assert.deepEqual([unknown.code, unknown.json.error.code], [1, 'NOT_FOUND'])
})

test('restore wants to be told which tenants', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  for (const args of [['restore'], ['restore', 'anna', '--all']]) {
    const { code, json } = await runJson(t, args, at)
    assert.deepEqual([code, json.error.code], [2, 'USAGE'])
  }
})

test('a session that is on this machine alone is looked at and exported with --local', async (t) => {
  const at = directorySite(t)
  const session = await at.open('anna', { store: null, directory: at.directory })
  await session.saveCreds()
  await session.state.keys.set(contentOf('anna'))
  await session.close()
  const { code, json } = await runJson(t, ['inspect', 'anna', '--local'], at)
  assert.deepEqual([code, json.ok, json.store, json.local.open], [0, true, null, 'nobody'])
  assert.match((await run(t, ['inspect', 'anna', '--local'], at)).stdout, /^ON THIS MACHINE\nopen +by no process\n/)
  const folder = join(at.folder, 'exported')
  const exported = await run(t, ['export', 'anna', folder, '--local'], at)
  assert.equal(exported.code, 0, exported.stderr)
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'session-anna.0.json'))), contentOf('anna').session['anna.0'])
  assert.equal((await run(t, ['export', 'nobody', join(at.folder, 'x'), '--local'], at)).code, 1)
})
