// The seam to whatsapp-web.js: the hooks that its versions call, the options of a strategy, and the names of sessions.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { scratch } from '../../testkit/base/endings.mjs'
import { VERSIONS, load, packageOf, whatsappWeb } from '../../testkit/browser/whatsapp-web.mjs'

const require = createRequire(import.meta.url)
const { tenantOf } = require('../../lib/profile-tenants.js')
const { sessionIn } = require('../../whatsapp-web/names.js')
const { HybridAuth, HybridAuthError, RemoteAuthStore } = whatsappWeb

const HOOKS = [
  'setup',
  'beforeBrowserInitialized',
  'afterBrowserInitialized',
  'onAuthenticationNeeded',
  'getAuthEventPayload',
  'afterAuthReady',
  'disconnect',
  'destroy',
  'logout'
]
const functionsOf = ({ prototype }) =>
  Object.getOwnPropertyNames(prototype).filter(
    (name) => name !== 'constructor' && typeof Object.getOwnPropertyDescriptor(prototype, name).value === 'function'
  )

for (const version of VERSIONS) {
  test(`whatsapp-web.js ${version} calls the nine hooks of an auth strategy, and nothing else of it`, () => {
    const base = require(`${packageOf(version)}/src/authStrategies/BaseAuthStrategy.js`)
    assert.deepEqual(functionsOf(base).sort(), [...HOOKS].sort())
    const client = readFileSync(join(require.resolve(`${packageOf(version)}/package.json`), '../src/Client.js'), 'utf8')
    const called = new Set([...client.matchAll(/this\.authStrategy\.(\w+)/g)].map(([, name]) => name))
    assert.deepEqual([...called].sort(), [...HOOKS].sort())
    assert.doesNotMatch(client, /instanceof \w*Auth\b/)
  })

  test(`a client of whatsapp-web.js ${version} takes the strategy as it is`, (t) => {
    const authStrategy = new HybridAuth({ clientId: 'shop-7', dataPath: scratch(t) })
    const client = new (load(version).Client)({ authStrategy })
    assert.equal(client.authStrategy, authStrategy)
    assert.equal(authStrategy.client, client)
  })
}

test('the strategy has the nine hooks, under the names by which the package is imported and required', async () => {
  for (const hook of HOOKS) assert.equal(typeof HybridAuth.prototype[hook], 'function', hook)
  const named = await import('baileys-hybrid-auth/whatsapp-web')
  assert.deepEqual([named.HybridAuth, named.RemoteAuthStore, named.HybridAuthError], [HybridAuth, RemoteAuthStore, HybridAuthError])
  assert.equal(typeof named.openProfile, 'function')
  assert.equal(require('baileys-hybrid-auth/whatsapp-web'), whatsappWeb)
})

test('a wrong option is an error that names it', () => {
  for (const clientId of ['a b', 'a/b', '../a', 'a.b', 'ä', 7, {}, 'a\n'])
    assert.throws(() => new HybridAuth({ clientId }), { code: 'INVALID_OPTION', message: /`clientId`/ })
  for (const clientId of ['a', 'A-1_b', undefined, null, '']) new HybridAuth({ clientId })
  const wrong = { backupSyncIntervalMs: 60_000, rmMaxRetries: 4, store: { sessionExists() {} }, onFenced: 'x', dataPath: 7 }
  for (const [name, value] of Object.entries(wrong))
    assert.throws(() => new HybridAuth({ [name]: value }), { code: 'INVALID_OPTION', message: new RegExp(name) })
  for (const given of [null, 'x']) assert.throws(() => new HybridAuth(given), { code: 'INVALID_OPTION' })
  for (const [name, value] of Object.entries({ purge: 'yes', onError: 1, onFenced: 1, dataPath: 7, generations: 1 })) {
    assert.throws(() => new RemoteAuthStore({ [name]: value }), { code: 'INVALID_OPTION', message: new RegExp(name) })
  }
})

test('a place of a profile that is not ours to choose is an error before anything is opened', async (t) => {
  const authStrategy = new HybridAuth({ dataPath: scratch(t), store: 'memory://unused' })
  for (const puppeteer of [{ userDataDir: scratch(t) }, { browserWSEndpoint: 'ws://127.0.0.1:1' }, { browserURL: 'http://127.0.0.1:1' }]) {
    authStrategy.setup({ options: { puppeteer }, on() {} })
    await assert.rejects(authStrategy.beforeBrowserInitialized(), {
      code: 'INVALID_OPTION',
      message: new RegExp(Object.keys(puppeteer)[0])
    })
  }
})

test('a session is known by the last part of its name, and its tenant is that of its client id', () => {
  for (const session of ['RemoteAuth-c1', '/data/x/RemoteAuth-c1', 'data/RemoteAuth-c1', 'C:\\data\\RemoteAuth-c1']) {
    assert.deepEqual(sessionIn(session), { name: 'RemoteAuth-c1', clientId: 'c1', tenantId: 'whatsapp-web.js/c1' })
  }
  assert.deepEqual(sessionIn('/data/RemoteAuth'), { name: 'RemoteAuth', clientId: null, tenantId: tenantOf(null) })
  assert.notEqual(tenantOf(null), tenantOf('default'))
  for (const session of ['', 'session-c1', 'RemoteAuth-', 'RemoteAuth-a.b', 'RemoteAuth-c1/', 'RemoteAuthc1', undefined, 7]) {
    assert.throws(() => sessionIn(session), { code: 'INVALID_OPTION' }, String(session))
  }
})
