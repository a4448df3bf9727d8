// The command line where variables say that sessions live in the store alone: every command, beside an owner that goes on.
//
// Invariants guarded: a command that looks ends no owner; one that has no use here says so, with what to do instead, and does
// nothing; nothing is made on the disk of the machine.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, Machine } from '../../testkit/processes/machines.mjs'
import { KEY, OTHER_KEY, directorySite, multiFile, privateFile, run, runJson } from './command.mjs'

/** A store with a live owner of `live`, who writes in another process, and two sessions that ended, all in `cloud` mode. */
async function cloudSite(t) {
  const at = directorySite(t)
  const env = {
    BAILEYS_HYBRID_AUTH_MODE: 'cloud',
    BAILEYS_HYBRID_AUTH_STORE: at.url,
    BAILEYS_HYBRID_AUTH_ENCRYPTION_KEYS: KEY,
    BAILEYS_HYBRID_AUTH_DIRECTORY: at.directory,
    BAILEYS_HYBRID_AUTH_OWNERSHIP_CHECK_INTERVAL_MS: '200'
  }
  const owner = await Machine.start(t, join(at.folder, 'owner'))
  const options = { mode: 'cloud', store: at.url, encryption: 'on', encryptionKeys: [KEY] }
  for (const tenant of ['anna', 'ben']) {
    await owner.call('open', tenant, options)
    await owner.call('saveCreds', { nextPreKeyId: 2, firstUnuploadedPreKeyId: 2 })
    await owner.call('set', { session: { 'a.0': { tenant } } })
    await owner.call('close')
  }
  await owner.call('open', 'live', options)
  await owner.call('saveCreds', { generation: 1 })
  await owner.call('startTraffic', 'owner', 0)
  const acked = () => owner.notes.filter((line) => line.startsWith('ack ')).length
  const goesOn = async (what) => {
    const from = acked()
    await eventually(`the owner goes on after ${what}`, () => acked() > from + 1)
    assert.equal((await owner.call('status')).life, 'live', what)
  }
  await goesOn('its open')
  return { ...at, env, owner, goesOn }
}

test('every command answers where variables say cloud, and none that looks ends a live owner', async (t) => {
  const at = await cloudSite(t)
  const expect = async (args, code, pattern, how = at) => {
    const { stdout, stderr, code: ended } = await run(t, args, how)
    assert.equal(ended, code, `${args.join(' ')}: ${stdout}${stderr}`)
    assert.match(stdout + stderr, pattern, args.join(' '))
  }
  await expect(['config'], 0, /^mode +cloud +BAILEYS_HYBRID_AUTH_MODE$/m)
  await expect(['status'], 0, /^live +in use[^]*3 tenants: 1 in use, 2 free, 0 deleted\./m)
  await expect(['list'], 0, /^anna\nben\nlive\n$/)
  await expect(['inspect', 'live'], 0, /^owner +in use$[^]*ON THIS MACHINE\nnothing\n$/m)
  await expect(['inspect', 'anna', '--local'], 1, /^nothing$/m)
  await expect(['verify'], 0, /3 tenants checked: all sound\./)
  await expect(['drill'], 0, /^live +restored .* not available$[^]*3 restores drilled: all good\./m)
  // How fast the store is here is another matter.
  await expect(['doctor'], 0, /^latency +(ok|warning) +.*in `cloud` mode each write waits for a PUT and a LIST/m)
  await at.goesOn('what looks')

  const copy = join(at.folder, 'copy')
  await expect(['restore', '--all', '--to', copy], 0, /3 tenants written\./)
  assert.deepEqual(JSON.parse(readFileSync(join(copy, 'anna', 'session-a.0.json'))), { tenant: 'anna' })
  for (const args of [
    ['restore', 'anna'],
    ['restore', '--all'],
    ['restore', 'live', '--takeover']
  ]) {
    await expect(
      args,
      2,
      /^error USAGE: mode cloud keeps nothing on a machine: .* `verify` and `drill` check them, and --to writes folders\.$/m
    )
  }
  const source = await multiFile(join(at.folder, 'from', 'mia'))
  for (const args of [
    ['import', source],
    ['migrate', join(at.folder, 'from')],
    ['migrate', join(at.folder, 'from'), '--dry-run']
  ]) {
    await expect(args, 2, /^error INVALID_OPTION: sessions are not migrated in `mode: 'cloud'`.*BAILEYS_HYBRID_AUTH_MODE=hybrid/m)
  }
  for (const args of [
    ['export', 'live', join(at.folder, 'x')],
    ['delete', 'live', '--yes'],
    ['prune-keys', 'live'],
    ['rekey', 'live']
  ]) {
    await expect(args, 4, /OWNED_ELSEWHERE: .* --takeover/)
  }
  await expect(['prune', '--older-than', '1h', '--apply'], 0, /No session is that old\./)
  await at.goesOn('what refuses')
  assert.ok(!existsSync(join(at.folder, 'x')))

  await expect(['export', 'anna', join(at.folder, 'out')], 0, /The credentials and 1 key written/)
  await expect(['prune-keys', 'anna', '--apply'], 0, /1 tenant pruned\./)
  await expect(['delete', 'anna', '--yes'], 0, /1 tenant deleted\./)
  const keys = privateFile(at.folder, 'keys.txt', `${OTHER_KEY}\n${KEY}\n`)
  await expect(['rekey', 'ben', '--key-file', keys], 0, /^ben +re-encrypted/m)
  await expect(['verify', 'ben'], 0, /all sound/, { env: { ...at.env, BAILEYS_HYBRID_AUTH_ENCRYPTION_KEYS: OTHER_KEY } })
  await expect(['delete', 'live', '--yes', '--takeover'], 0, /1 tenant deleted\./)
  await at.owner.told('fenced')
  const { n } = await eventually('the traffic is refused', async () => {
    const traffic = await at.owner.call('traffic')
    return traffic.refusal === 'FENCED' && traffic
  })
  assert.ok(n > 0)
  assert.ok(!existsSync(at.directory), 'nothing was made on this machine')
})

test('what only another mode can do is done with the variable that the message names', async (t) => {
  const at = await cloudSite(t)
  const source = await multiFile(join(at.folder, 'from', 'mia'))
  const hybrid = { env: { ...at.env, BAILEYS_HYBRID_AUTH_MODE: 'hybrid' } }
  const { code, json } = await runJson(t, ['import', source], hybrid)
  assert.deepEqual([code, json.tenants[0].status], [0, 'migrated'])
  assert.match((await run(t, ['drill', 'mia'], at)).stdout, /^mia +restored .* the same$/m)

  // The log that this left has its key for ever: the command says so.
  const keys = privateFile(at.folder, 'keys.txt', `${OTHER_KEY}\n${KEY}\n`)
  const sealed = await run(t, ['rekey', 'mia', '--key-file', keys], at)
  assert.equal(sealed.code, 1, sealed.stderr)
  assert.match(sealed.stdout, /^mia: another mode left a log of it on this machine: move its folder away/m)
  const folders = readdirSync(at.directory).filter((name) => !name.startsWith('.store-'))
  assert.deepEqual(folders, ['mia'])
  await at.goesOn('all of it')
})

test('a mode without a store, and an option without a use, are said in words of the command line', async (t) => {
  const at = await cloudSite(t)
  const { BAILEYS_HYBRID_AUTH_STORE, ...env } = at.env
  const { code, stderr } = await run(t, ['status'], { env })
  assert.equal(code, 2)
  assert.match(stderr, /^error INVALID_OPTION: BAILEYS_HYBRID_AUTH_MODE is cloud and needs a `--store`/)
  const folder = join(at.folder, 'unused')
  const warned = await run(t, ['verify', 'ben', '--directory', folder], at)
  assert.equal(warned.code, 0, warned.stderr)
  assert.match(warned.stderr, /^warning: `--directory` is not used: BAILEYS_HYBRID_AUTH_MODE is cloud/m)
  assert.ok(!existsSync(folder))
})
