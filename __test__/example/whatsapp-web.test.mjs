// The example application `examples/whatsapp-web`: installed from the packed package, compiled, started, and driven over HTTP, with a real
// Chromium on a page in the place of web.whatsapp.com.
//
// Invariant: what its README says of a lost disk is so: the session comes back without a code.

import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from '../../testkit/base/missing.mjs'
import { chromiumPath } from '../../testkit/browser/chromium.mjs'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { TOKEN, eventually, exampleFolder, startService } from '../support/example.mjs'
import { BROWSER_ARGS } from '../../testkit/browser/profile.mjs'
import { KEY } from '../../testkit/processes/sessions.mjs'
import { serveWhatsApp } from '../../testkit/browser/whatsapp-web-page.mjs'

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`

/** A browser that takes the page on loopback for WhatsApp's, as the program that the service is told of. */
function browserFor(folder, args) {
  const file = join(folder, 'chromium')
  writeFileSync(file, `#!/bin/sh\nexec ${[chromiumPath(), ...BROWSER_ARGS.slice(1), ...args].map(quoted).join(' ')} "$@"\n`)
  chmodSync(file, 0o755)
  return file
}

/** Ends the browsers whose profiles lie in `disk`: they outlive a service that was killed. */
function killBrowsers(disk) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(disk)) process.kill(Number(pid), 'SIGKILL')
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes(error.code)) throw error
    }
  }
}

test('the service with whatsapp-web.js restores its session on a blank disk, tells of its store, and deletes for good', async (t) => {
  const folder = exampleFolder('whatsapp-web')
  const root = scratch(t)
  const [bucket, disk] = [join(root, 'bucket'), join(root, 'disk')]
  const chromium = browserFor(root, await serveWhatsApp(t, { isScanned: true }))
  atEnd(t, () => killBrowsers(disk))
  mkdirSync(bucket)
  const boot = () => {
    mkdirSync(disk, { recursive: true })
    const settings = {
      CHROMIUM_PATH: chromium,
      RESTORE_ON_START: 'false',
      SESSION_BACKUP_INTERVAL_MS: '1000',
      BAILEYS_HYBRID_AUTH_OWNERSHIP_CHECK_INTERVAL_MS: '500'
    }
    const store = { SESSION_BACKUP_STORE: pathToFileURL(bucket).href, SESSION_ENCRYPTION_KEY: KEY }
    return startService(t, folder, { PORT: '0', HOST: '127.0.0.1', API_TOKEN: TOKEN, DATA_DIR: disk, ...settings, ...store })
  }
  const becomes = (service, isSo, what) =>
    eventually(
      async () => (await service.get('/sessions')).find(({ clientId }) => clientId === 'shop'),
      (found) => found !== undefined && isSo(found),
      `${what}\n${service.said}`
    )

  const first = await boot()
  assert.equal((await first.ask('GET', '/sessions', { headers: {} })).status, 401)
  assert.equal((await first.ask('POST', '/sessions/..%2Fetc')).status, 400)
  await first.post('/sessions/shop', undefined, 202)
  await becomes(first, ({ state }) => state === 'ready', 'ready')
  await becomes(first, ({ lastBackupAt }) => lastBackupAt !== null, 'a first backup')
  assert.match(first.said, /shop: waiting_for_scan/)
  const health = await first.get('/health/r2')
  assert.deepEqual([health.status, health.reachable, health.writable, health.failing, health.backups.length], ['ok', true, true, 0, 1])
  assert.match(await first.get('/metrics'), /^baileys_hybrid_auth_profiles\{browser="running"\} 1$/m)
  assert.doesNotMatch(JSON.stringify([health, await first.get('/health')]), /shop/)

  // A power cut, and the disk with it.
  await first.end('SIGKILL')
  killBrowsers(disk)
  rmSync(disk, { recursive: true, force: true, maxRetries: 5 })

  const second = await boot()
  assert.deepEqual(await second.post('/sessions/restore'), { restored: ['shop'], failed: [] })
  await becomes(second, ({ state }) => state === 'ready', 'ready again')
  assert.doesNotMatch(second.said, /waiting_for_scan/)

  renameSync(bucket, `${bucket}-away`)
  const gone = await second.ask('GET', '/health/r2')
  assert.deepEqual([gone.status, gone.body.status, gone.body.reachable], [503, 'unavailable', false])
  renameSync(`${bucket}-away`, bucket)
  await eventually(
    () => second.ask('GET', '/health/r2'),
    ({ status }) => status === 200,
    'the store'
  )

  assert.equal((await second.ask('DELETE', '/sessions/shop')).status, 204)
  assert.deepEqual(await second.get('/sessions'), [])
  assert.deepEqual(
    readdirSync(bucket, { recursive: true })
      .map(String)
      .filter((name) => /\.(pack|base|seg)$/.test(name)),
    []
  )
  await eventually(
    () => existsSync(join(disk, 'wwebjs', 'RemoteAuth-shop')),
    (isThere) => !isThere,
    'the removal of the folder'
  )
  assert.deepEqual(await second.end(), { code: null, signal: 'SIGTERM' }, second.said)
})
