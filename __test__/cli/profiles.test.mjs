// Sessions of whatsapp-web.js on the command line: taken over from zips and folders, and written again.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import archives from '../../lib/zip/archive.js'
import profiles from '../../lib/profile/index.js'
import { atEnd } from '../../testkit/base/endings.mjs'
import { contentsOf } from '../../testkit/processes/sessions.mjs'
import { KEY, directorySite, multiFile, run, runJson } from './command.mjs'

const FILES = { 'Default/IndexedDB/pages/1': 'x'.repeat(40_000), 'Default/Local Storage/values/2': 'y' }

/** A site with a tree that has two zips, one of them damaged, and a folder of LocalAuth. */
async function place(t) {
  const at = directorySite(t)
  const tree = join(at.folder, 'tree')
  const local = join(tree, 'auth', 'session-shop-7')
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(local, path)), { recursive: true })
    writeFileSync(join(local, path), text)
  }
  const zip = join(tree, 'RemoteAuth-a.zip')
  await archives.writeZip(
    zip,
    Object.keys(FILES).map((path) => ({ path, source: join(local, path) }))
  )
  writeFileSync(join(tree, 'RemoteAuth-b.zip'), readFileSync(zip).subarray(1))
  return { at, tree, auth: join(tree, 'auth') }
}

const A = 'whatsapp-web.js/a'

test('migrate takes zips over by their layout, and names a damaged one', async (t) => {
  const { at, tree } = await place(t)
  const before = contentsOf(tree)
  const report = join(at.folder, 'report.json')
  const how = ['migrate', tree, '--layout', 'wwebjs-zip']
  const dry = await run(t, [...how, '--dry-run'], at)
  assert.equal(dry.code, 1, dry.stderr)
  assert.match(dry.stdout, /2 sessions: 1 ready, 1 damaged\. Not read: 1 session of whatsapp-web\.js; `--layout wwebjs-local` does\.\n$/)
  assert.deepEqual((await runJson(t, ['list'], at)).json.tenants, [])
  const done = await run(t, [...how, '--report', report], at)
  assert.deepEqual(
    [done.code, done.stdout.match(/^whatsapp-web\.js\/a +migrated +RemoteAuth-a\.zip +wwebjs-zip +0 +2 /m) !== null],
    [1, true],
    done.stdout
  )
  assert.match(done.stdout, /^whatsapp-web\.js\/b: the zip archive is damaged: .*; it was not migrated$/m)
  const again = await runJson(t, [...how, '--only', 'a'], at)
  assert.deepEqual([again.code, again.json.tenants.map(({ tenantId, status }) => [tenantId, status])], [0, [[A, 'already']]])
  assert.deepEqual(contentsOf(tree), before)
  assert.equal(existsSync(join(at.folder, 'sessions')), false)
  const cleanup = await runJson(t, ['migrate', tree, '--cleanup', report, '--apply'], at)
  assert.deepEqual([cleanup.code, cleanup.json.error.code], [2, 'INVALID_OPTION'])
  assert.deepEqual(contentsOf(tree), before)
  assert.equal((await runJson(t, ['verify', A], at)).code, 0)
})

test('migrate without a layout says which one reads what it found', async (t) => {
  const { at, tree } = await place(t)
  const missing = await runJson(t, ['migrate', tree], at)
  assert.deepEqual([missing.code, missing.json.error.code], [1, 'NOT_FOUND'])
  assert.match(missing.json.error.message, /2 sessions of whatsapp-web\.js \(set the layout `wwebjs-zip`\); 1 session .*`wwebjs-local`/)
  await multiFile(join(tree, 'anna'))
  const { code, stdout } = await run(t, ['migrate', tree], at)
  assert.equal(code, 0, stdout)
  assert.match(
    stdout,
    /1 session: 1 migrated\. Not read: 2 sessions of whatsapp-web\.js; `--layout wwebjs-zip` does\. Not read: 1 session of whatsapp-web\.js; `--layout wwebjs-local` does\.\n$/
  )
})

test('export writes a session of whatsapp-web.js as a folder or as a zip, which migrate reads', async (t) => {
  const { at, auth } = await place(t)
  assert.equal((await run(t, ['migrate', auth, '--layout', 'wwebjs-local'], at)).code, 0)
  const to = join(at.folder, 'exported')
  const tenant = 'whatsapp-web.js/shop-7'
  const local = await runJson(t, ['export', tenant, to], at)
  assert.deepEqual(
    [local.code, local.json],
    [0, { ok: true, tenantId: tenant, path: join(to, 'session-shop-7'), format: 'local', generation: 1, files: 2, bytes: 40_001 }]
  )
  assert.deepEqual(contentsOf(join(to, 'session-shop-7')), FILES)
  const zip = await run(t, ['export', tenant, to, '--format', 'zip'], at)
  assert.match(zip.stdout, /^The profile with 2 files, 40\.0 kB, written to .*exported\/RemoteAuth-shop-7\.zip\.\n$/)
  for (const layout of ['wwebjs-zip', 'wwebjs-local']) {
    assert.deepEqual(
      (await runJson(t, ['migrate', to, '--layout', layout], at)).json.tenants.map(({ tenantId, status }) => [tenantId, status]),
      [[tenant, 'already']]
    )
  }
  const again = await runJson(t, ['export', tenant, to], at)
  assert.deepEqual([again.code, again.json.error.code, /--overwrite/.test(again.json.error.message)], [2, 'INVALID_OPTION', true])
  assert.equal((await run(t, ['export', tenant, to, '--overwrite'], at)).code, 0)
  for (const args of [
    ['export', tenant, to, '--local'],
    ['export', 'anna', to, '--format', 'zip'],
    ['export', tenant, to, '--format', 'tar']
  ]) {
    const { code, json } = await runJson(t, args, at)
    assert.deepEqual([code, json.error.code], [2, 'USAGE'], args.join(' '))
  }
  assert.equal((await runJson(t, ['export', 'whatsapp-web.js/none', to], at)).json.error.code, 'NOT_FOUND')
})

test('export leaves a running client alone unless it is told to take the session', async (t) => {
  const { at, auth } = await place(t)
  await run(t, ['migrate', auth, '--layout', 'wwebjs-local'], at)
  const tenant = 'whatsapp-web.js/shop-7'
  const client = await profiles.openProfileSession(tenant, { dataPath: join(at.folder, 'client'), store: at.url, encryptionKeys: [KEY] })
  atEnd(t, () => client.close().catch(() => {}))
  const to = join(at.folder, 'exported')
  const refused = await runJson(t, ['export', tenant, to], at)
  assert.deepEqual([refused.code, refused.json.error.code, existsSync(to) ? readdirSync(to) : []], [4, 'OWNED_ELSEWHERE', []])
  assert.equal((await run(t, ['export', tenant, to, '--takeover'], at)).code, 0)
  assert.deepEqual(contentsOf(join(to, 'session-shop-7')), FILES)
})
