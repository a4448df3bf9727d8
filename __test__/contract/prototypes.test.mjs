// Properties that anybody puts on `Object.prototype`, or writes into a foreign file as `__proto__`, are nobody's option.
//
// Invariant guarded: an open, a migration and a description go by what the caller said and by the variables that are set, and a
// file of another system changes nothing but the session that is made of it.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { filesIn, writeMultiFile } from '../support/migrations.mjs'
import { hybrid, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const [v7] = lines

/** A keys.json in each form, with `name` where a family belongs. */
const HOSTILE = {
  'by type': (name) => `{"session":{"1.0":{"a":1}},${JSON.stringify(name)}:{"store":"file:///nowhere","encryption":"off"}}`,
  'by type, first': (name) => `{${JSON.stringify(name)}:{"store":"file:///nowhere"},"session":{"1.0":{"a":1}}}`,
  'as an id': (name) => `{"session":{${JSON.stringify(name)}:{"polluted":true}}}`,
  'as a type and id': (name) => `{${JSON.stringify(`session-${name}`)}:{"polluted":true}}`,
  'in a value': (name) => `{"session":{"1.0":{${JSON.stringify(name)}:{"polluted":true}}}}`
}

test('a hostile keys.json changes no object of this process, and is refused or taken by value', async (t) => {
  const baileys = await v7.load()
  const before = Reflect.ownKeys(Object.prototype)
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    for (const [form, write] of Object.entries(HOSTILE)) {
      const from = temporaryFolder(t, 'source')
      const folder = join(from, 'tenant')
      mkdirSync(folder)
      const session = await writeMultiFile(baileys, join(temporaryFolder(t), 'made'))
      assert.ok(session)
      writeFileSync(join(folder, 'creds.json'), JSON.stringify(session.creds, baileys.BufferJSON.replacer))
      writeFileSync(join(folder, 'keys.json'), write(name))
      const directory = join(temporaryFolder(t), 'target')
      const { sessions } = await hybrid.migrate({ from, directory, mode: 'local', baileys })
      assert.deepEqual(Reflect.ownKeys(Object.prototype), before, `${name} ${form}`)
      assert.equal({}.store ?? {}.polluted, undefined)
      const isType = form.startsWith('by type')
      assert.equal(sessions[0].status, isType ? 'ambiguous' : 'migrated', `${name} ${form}: ${sessions[0].message}`)
      if (isType) assert.ok(!readdirSync(from).includes('target'))
    }
  }
})

test('a folder of files that are called after members of every object is imported by value', async (t) => {
  const baileys = await v7.load()
  const directory = temporaryFolder(t)
  const folder = join(directory, 'tenant')
  const ids = ['__proto__', 'constructor', 'toString']
  await writeMultiFile(baileys, folder, { more: { session: Object.fromEntries([['1001.0', { a: 1 }], ...ids.map((id) => [id, { id }])]) } })
  assert.ok(filesIn(folder).has('session-__proto__.json'))
  const session = await hybrid.useHybridAuthState('tenant', { directory, mode: 'local', baileys })
  const found = await session.state.keys.get('session', ids)
  assert.deepEqual(
    ids.map((id) => found[id]),
    ids.map((id) => ({ id }))
  )
  await session.close()
  assert.equal({}.id, undefined)
})

test('what lies on Object.prototype is no option, no variable and no field of a store', async (t) => {
  const root = temporaryFolder(t)
  const { said, ended } = startProcess(
    t,
    async ({ hybrid, load, args, say }) => {
      const fs = load('node:fs')
      const baileys = await import(args.baileys)
      const given = { directory: `${args.root}/own`, mode: 'local', baileys }
      const put = (name, value) =>
        Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true, enumerable: false })
      const loot = `file://${args.root}/loot`
      fs.mkdirSync(`${args.root}/loot`)
      fs.mkdirSync(`${args.root}/bucket`)
      const all = {
        store: loot,
        mode: 'hybrid',
        encryption: 'off',
        fresh: true,
        takeover: true,
        onMissing: 'error',
        hideTenantIds: true,
        timeoutMs: 'x',
        concurrency: 'x',
        path: `${args.root}/loot`,
        create: true,
        kind: 'memory',
        SESSION_BACKUP_STORE: loot,
        BAILEYS_HYBRID_AUTH_STORE: loot,
        WHATSAPP_SESSION_PATH: `${args.root}/loot`
      }
      for (const [name, value] of Object.entries(all)) put(name, value)
      const local = await hybrid.useHybridAuthState('t', given)
      await local.saveCreds()
      await local.close()
      const fleet = new hybrid.HybridAuth({
        ...given,
        mode: undefined,
        store: { kind: 'directory', path: `${args.root}/bucket` },
        encryptionKeys: '7f'.repeat(32)
      })
      const stored = await fleet.open('s')
      await stored.saveCreds()
      await stored.flush()
      const { mode } = stored.status()
      await fleet.restoreAll({ tenantIds: ['s'] })
      await fleet.shutdown()
      const noKind = await hybrid.useHybridAuthState('k', { ...given, mode: undefined, store: { path: `${args.root}/loot` } }).then(
        () => 'opened',
        ({ code }) => code
      )
      const described = hybrid.describeConfig({ directory: given.directory }, {})
      for (const name of Object.keys(all)) delete Object.prototype[name]
      await say({
        loot: fs.readdirSync(`${args.root}/loot`),
        bucket: fs.readdirSync(`${args.root}/bucket`).length > 0,
        mode,
        noKind,
        settings: [described.settings.mode.value, described.settings.fresh.value]
      })
    },
    { root, baileys: import.meta.resolve('baileys') }
  )
  assert.deepEqual(await said(), { loot: [], bucket: true, mode: 'hybrid', noKind: 'INVALID_OPTION', settings: ['local', false] })
  assert.equal((await ended).stderr, '')
})
