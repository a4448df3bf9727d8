// A small run through the public surface with the Baileys of line 7, for every Node version we claim.
//
//   node __test__/smoke/smoke.mjs
//
// Invariant: needs nothing but Node, the installed packages and the built addon, so that any Node binary can run it; the last
// line is `N passed, N failed`, and the exit code is not zero when anything failed.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(import.meta.url)
const work = mkdtempSync(join(tmpdir(), 'hybrid-auth-smoke-'))
const options = {
  directory: join(work, 'disk'),
  store: `${pathToFileURL(join(work, 'bucket')).href}?create=true`,
  encryptionKeys: randomBytes(32).toString('hex'),
  ownershipCheckIntervalMs: 200
}
const session = { _sessions: { one: { registrationId: 7, note: 'gr\u00fc\u00df dich' } }, version: 'v1' }
const preKey = { public: randomBytes(32), private: randomBytes(32) }

let esm
let cjs
let baileys
let identity

const checks = {
  'the package is the same from ESM and from CommonJS': async () => {
    esm = await import('../../index.js')
    cjs = require('../../index.js')
    for (const name of ['useHybridAuthState', 'HybridAuth', 'HybridAuthError', 'exportMultiFile', 'describeConfig']) {
      assert.equal(typeof esm[name], 'function', name)
      assert.equal(esm[name], cjs[name], name)
    }
  },
  'Baileys 7 loads': async () => {
    baileys = await import('baileys')
    assert.equal(typeof baileys.initAuthCreds, 'function')
  },
  'a new session is made, written, read and flushed': async () => {
    const { state, saveCreds, flush, close, status } = await esm.useHybridAuthState('smoke', options)
    assert.ok(state.creds.noiseKey.private.length === 32)
    state.creds.me = { id: '4915100000000:1@s.whatsapp.net' }
    await saveCreds()
    await state.keys.set({ session: { 'a.0': session }, 'pre-key': { 1: preKey } })
    assert.deepEqual(await state.keys.get('session', ['a.0', 'b.0']), { 'a.0': session, 'b.0': null })
    await flush()
    const { lsn, remoteDurableLsn, store } = status()
    assert.equal(remoteDurableLsn, lsn)
    assert.equal(store, 'ok')
    identity = Buffer.from(state.creds.noiseKey.private)
    await close()
  },
  'it opens again on the same disk, from CommonJS, and Baileys can use it': async () => {
    const { state, close, status } = await cjs.useHybridAuthState('smoke', options)
    assert.equal(status().restored.source, 'local')
    assert.deepEqual(Buffer.from(state.creds.noiseKey.private), identity)
    const cached = baileys.makeCacheableSignalKeyStore(state.keys)
    assert.deepEqual((await cached.get('pre-key', ['1']))['1'], preKey)
    await close()
  },
  'a blank machine restores it from the bucket': async () => {
    const fleet = new esm.HybridAuth({ ...options, directory: join(work, 'other-disk') })
    const { state, status } = await fleet.open('smoke')
    assert.deepEqual(status().restored, { source: 'remote', clean: true })
    assert.deepEqual(Buffer.from(state.creds.noiseKey.private), identity)
    assert.deepEqual(await state.keys.get('session', ['a.0']), { 'a.0': session })
    assert.deepEqual(await fleet.shutdown(), { closed: 1, failed: [] })
  },
  'errors carry a code': async () => {
    const refused = (error) => error instanceof esm.HybridAuthError && error.code === 'INVALID_OPTION'
    await assert.rejects(esm.useHybridAuthState('', options), refused)
    await assert.rejects(esm.useHybridAuthState('smoke', { ...options, encryptionKeys: 'short' }), refused)
  },
  'after a logout nothing comes back': async () => {
    const { delete: logOut } = await esm.useHybridAuthState('smoke', options)
    await logOut()
    await assert.rejects(esm.useHybridAuthState('smoke', options), (error) => error.code === 'DELETED')
  }
}

let passed = 0
let failed = 0
try {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check()
      passed++
      console.log(`ok - ${name}`)
    } catch (error) {
      failed++
      console.log(`FAILED - ${name}\n${error.stack}`)
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
process.exitCode = failed > 0 ? 1 : 0
console.log(`${passed} passed, ${failed} failed`)
