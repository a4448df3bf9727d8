// Sources of settings.
//
// Invariant guarded: an option goes before a variable and a variable before the default, for every option; what is misspelt or of the
// wrong kind is refused by name; and a process that nobody told of a store is warned.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { KEY, OTHER_KEY, ROOT, hybrid, rejection, scene, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { spread } from '../support/size.mjs'
import { TEXTS, VALUES, described, refusal, resolved } from './settings.mjs'

const require = createRequire(import.meta.url)
const { KNOWN } = require('../../lib/config/options.js')
const { ownVariable } = require('../../lib/config/variables.js')

const ANONYMOUS = { kind: 'gcs', bucket: 'b', endpoint: 'http://127.0.0.1:1', anonymous: true }

/** Options beside another, so that it can have either value, and counts. */
const beside = (name) => ({
  ...(name === 'store' ? {} : { store: ['allowPublicBucket', 'maxConcurrentRequests'].includes(name) ? ANONYMOUS : 'memory://x' }),
  ...(['encryptionKeys', 'encryption'].includes(name) ? { encryption: name === 'encryption' ? undefined : 'on' } : { encryptionKeys: KEY }),
  ...(name === 'encryption' ? { mode: 'local' } : {})
})

test('every option that a text can hold has a variable of its own, which goes after the option and before the default', () => {
  const without = [
    'fresh',
    'importFrom',
    'takeover',
    'seedFromDisk',
    'ifFree',
    'initAuthCreds',
    'BufferJSON',
    'baileys',
    'logger',
    'onEvent',
    'signal'
  ]
  assert.deepEqual([...TEXTS, 'caCertificate', ...without].sort(), [...KNOWN].sort())
  for (const [name, [one, other, wrong]] of Object.entries(VALUES)) {
    const variable = ownVariable(name)
    const shown = (options, env) => described({ ...beside(name), ...options }, env)
    for (const [text, count] of [one, other].map(([, text, count]) => [text, count])) {
      const { settings, problems } = shown({}, { [variable]: text })
      assert.deepEqual([settings[name], problems], [{ value: count, source: 'variable', from: variable }, []], `${variable}=${text}`)
    }
    const both = shown({ [name]: one[0] }, { [variable]: other[1] })
    assert.deepEqual([both.settings[name], both.problems], [{ value: one[2], source: 'option', from: name }, []])
    assert.equal(shown({}, { [variable]: '' }).settings[name].source, 'default', `${variable} set to nothing`)
    if (wrong === undefined) continue
    const message = refusal(variable, () => resolved({ ...beside(name), ...{ [name]: undefined } }, { [variable]: wrong }))
    assert.ok(message.includes(variable), message)
  }
})

test('what a variable says reaches the core', () => {
  const env = Object.fromEntries(TEXTS.filter((name) => name !== 'encryption').map((name) => [ownVariable(name), VALUES[name][1][1]]))
  const { native, keys, ...rest } = resolved({}, env)
  assert.deepEqual(native, {
    tenantId: 'tenant',
    directory: '/b',
    cloud: false,
    store: { kind: 'memory', name: 'b' },
    flushIntervalMs: 20,
    ownershipCheckIntervalMs: 200,
    refreshIntervalMs: 2000,
    handoverTimeoutMs: 7,
    takeover: false,
    strictLease: true,
    create: false,
    hideTenantIds: true,
    acceptUnencrypted: true,
    fresh: false,
    seedFromDisk: false,
    leaveStore: false
  })
  assert.equal(keys.toString('hex'), OTHER_KEY + KEY)
  assert.deepEqual(rest, {
    directory: '/b',
    cloud: false,
    awaitSync: true,
    closeTimeoutMs: 1,
    flushTimeoutMs: 1,
    importFrom: undefined,
    mayMiss: false,
    logger: undefined,
    onEvent: undefined,
    signal: undefined,
    ifFree: false
  })
})

test('only a mode that is said cuts a session from its store: an option or a variable, but not a store that is missing', () => {
  const said = [
    [{ mode: 'local' }, {}],
    [{}, { SESSION_STORAGE_TYPE: 'local' }],
    [{}, { BAILEYS_HYBRID_AUTH_MODE: 'local' }]
  ]
  for (const [options, env] of said) assert.equal(resolved(options, env).native.leaveStore, true)
  for (const [options, env] of [
    [{}, {}],
    [{ store: null }, {}],
    [{}, { SESSION_BACKUP_ENABLED: 'false' }]
  ])
    assert.equal(resolved(options, env).native.leaveStore, false)
})

test('a variable of its own goes before the names that services use', () => {
  const env = {
    WHATSAPP_SESSION_PATH: '/theirs',
    SESSION_BACKUP_STORE: 'memory://theirs',
    SESSION_ENCRYPTION_KEY: OTHER_KEY,
    SESSION_BACKUP_INTERVAL: '5000'
  }
  const ours = { directory: '/ours', store: 'memory://ours', encryptionKeys: KEY, flushIntervalMs: '10' }
  const own = Object.fromEntries(Object.entries(ours).map(([name, value]) => [ownVariable(name), value]))
  const values = (env) => Object.keys(ours).map((name) => described({}, env).settings[name].value)
  assert.deepEqual(values(env), ['/theirs', 'memory://theirs', ['495f50ee9dc00f20'], 5000])
  assert.deepEqual(values({ ...env, ...own }), ['/ours', 'memory://ours', ['b4b16711355b45d6'], 10])
  assert.equal(resolved({}, { ...env, ...own, SESSION_BACKUP_ENABLED: 'false' }).native.store, null)
})

test('a variable that begins like ours and is none is refused, with the nearest that is one', () => {
  const misspelt = {
    BAILEYS_HYBRID_AUTH_FLUSH_INTERVAL: 'BAILEYS_HYBRID_AUTH_FLUSH_INTERVAL_MS',
    BAILEYS_HYBRID_AUTH_ENCRYPTION_KEY: 'BAILEYS_HYBRID_AUTH_ENCRYPTION_KEYS',
    BAILEYS_HYBRID_AUTH_DIR: 'BAILEYS_HYBRID_AUTH_DIRECTORY',
    BAILEYS_HYBRID_AUTH_HIDETENANTIDS: 'BAILEYS_HYBRID_AUTH_HIDE_TENANT_IDS',
    BAILEYS_HYBRID_AUTH_ONMISSING: 'BAILEYS_HYBRID_AUTH_ON_MISSING'
  }
  for (const [name, meant] of Object.entries(misspelt)) {
    const message = refusal(name, () => resolved({}, { [name]: 'x' }))
    assert.ok(message.includes(`${name} is unknown`) && message.endsWith(`closest known one is ${meant}`), message)
    assert.doesNotThrow(() => resolved({}, { [name]: '' }))
  }
  for (const option of ['fresh', 'importFrom', 'takeover', 'seedFromDisk', 'ifFree']) {
    assert.match(
      refusal(option, () => resolved({}, { [`BAILEYS_HYBRID_AUTH_${option.replace(/[A-Z]/g, '_$&').toUpperCase()}`]: 'true' })),
      new RegExp(`\`${option}\` applies to a single open`)
    )
  }
  assert.match(
    refusal('logger', () => resolved({}, { BAILEYS_HYBRID_AUTH_LOGGER: 'pino' })),
    /`logger` can only be given as an option/
  )
  const secret = refusal('a secret', () => resolved({}, { [`BAILEYS_HYBRID_AUTH_${KEY}`]: 'x' }))
  assert.ok(!secret.includes(KEY), secret)
  assert.doesNotThrow(() => resolved({}, { BAILEYS_MASTER_KEY: 'of another package', BAILEYS_LOG: 'x' }))
  assert.deepEqual(described({}, { BAILEYS_MASTER_KEY: KEY }).settings.encryptionKeys.value, [])
})

test('where nothing says whether there is a store, a process is warned once, whatever the number of loggers and tenants', async (t) => {
  const root = temporaryFolder(t)
  // Logs that are not encrypted are not taken where there are keys.
  const folderOf = (env, options) => join(root, (options?.encryptionKeys ?? env.SESSION_ENCRYPTION_KEY) ? 'sealed' : 'sessions')
  const heard = (env, options) => startProcess(t, openAndHear, { directory: folderOf(env, options), options }, { env }).said()
  const warned = await heard({})
  assert.equal(warned.length, 1, JSON.stringify(warned))
  assert.match(warned[0], /no store is configured.*SESSION_BACKUP_STORE.*mode: 'local'/)
  const store = `${pathToFileURL(join(root, 'bucket')).href}?create=true`
  const said = [
    [{}, { mode: 'local' }],
    [{}, { store: null }],
    [{ SESSION_STORAGE_TYPE: 'local' }, {}],
    [{ SESSION_BACKUP_ENABLED: 'false' }, {}],
    [{}, { store, encryptionKeys: KEY }],
    [{ SESSION_BACKUP_STORE: store, SESSION_ENCRYPTION_KEY: KEY }, {}]
  ]
  for (const [env, options] of spread(said, 3)) assert.deepEqual(await heard(env, options), [], JSON.stringify([env, options]))
})

async function openAndHear({ hybrid, args, say }) {
  const heard = []
  await (await hybrid.useHybridAuthState('silent', { directory: args.directory, ...args.options })).close()
  for (const tenant of ['one', 'two', 'three']) {
    const logger = { warn: ({ event }, message) => event === 'fresh' || heard.push(message) }
    const session = await hybrid.useHybridAuthState(tenant, { directory: args.directory, logger, ...args.options })
    await session.close()
  }
  await say(heard)
}

test('the document names every variable beside its option, and its example runs', (t) => {
  const text = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `(\w+)` \|.*\| `(BAILEYS_HYBRID_AUTH_\w+)`[^|]*\|$/gm)]
  assert.deepEqual(
    rows.map(([, name, variable]) => [name, variable]).sort(),
    [...TEXTS, 'caCertificate'].map((name) => [name, ownVariable(name)]).sort()
  )
  const [block] = [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, block]) => block)
  const script = block.replace("'baileys-hybrid-auth'", JSON.stringify(pathToFileURL(join(ROOT, 'index.js')).href))
  assert.notEqual(script, block)
  const file = join(temporaryFolder(t), 'example.mjs')
  writeFileSync(file, script)
  const run = (env) => execFileSync(process.execPath, [file], { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' })
  assert.match(run({ SESSION_BACKUP_ENABLED: 'no' }), /^store +- +default$/m)
  assert.throws(
    () => run({ SESSION_ENCRYPTION_KEY: 'short' }),
    (error) => error.status === 1 && error.stdout.includes('- SESSION_ENCRYPTION_KEY: each key')
  )
  assert.match(text, /`BAILEYS_MASTER_KEY` belongs to another package/)
})

test('a call with one object, with the tenant in it as sessionId, opens the same session', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant')
  await session.saveCreds()
  const same = await hybrid.useHybridAuthState({ sessionId: 'tenant', ...at.local, onMissing: 'error' })
  assert.deepEqual(same.state.creds.noiseKey, session.state.creds.noiseKey)
  await same.close()
  await session.close()
  for (const wrong of [{}, { sessionId: 7 }, { sessionId: '' }]) {
    assert.match((await rejection(hybrid.useHybridAuthState({ ...at.local, ...wrong }))).message, /tenant id/)
  }
  assert.match((await rejection(hybrid.useHybridAuthState({ sessionId: 'x', hybrid: {} }))).message, /`hybrid` is not an option/)
})
