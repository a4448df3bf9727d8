// Where settings come from, and what is told about them.
//
// Invariant guarded: an option goes before a variable and a variable before the default, for every option; what is misspelt,
// half, double or of the wrong kind is refused by name; and `describeConfig` says of all this what an open would do, and never
// a secret.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { pathToFileURL } from 'node:url'
import { KEY, OTHER_KEY, ROOT, hybrid, rejection, scene, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { spread } from '../support/size.mjs'

const require = createRequire(import.meta.url)
const { resolveOptions, KNOWN } = require('../../lib/config/options.js')
const { ownVariable } = require('../../lib/config/variables.js')
const { describeConfig } = hybrid

const HOME = { HOME: '/nowhere' }
const resolved = (options = {}, env = {}) => resolveOptions('tenant', options, { ...HOME, ...env })
const described = (options = {}, env = {}) => describeConfig(options, { ...HOME, ...env })
const STORE = { store: 'memory://x', encryptionKeys: KEY }
const ANONYMOUS = { kind: 'gcs', bucket: 'b', endpoint: 'http://127.0.0.1:1', anonymous: true }

function refusal(what, work) {
  let value
  try {
    value = work()
  } catch (error) {
    assert.equal(error.code, 'INVALID_OPTION', `${what}: ${error.stack}`)
    return error.message
  }
  return assert.fail(`${what} was accepted: ${JSON.stringify(value)}`)
}

/** option -> [as an option, in a variable, as it counts], two of each; and a text that is wrong in a variable. */
const VALUES = {
  directory: [
    ['/a', '/a', '/a'],
    ['/b', '/b', '/b']
  ],
  store: [['memory://a', 'memory://a', 'memory://a'], ['memory://b', 'memory://b', 'memory://b'], 'nothing'],
  mode: [['local', 'local', 'local'], ['hybrid', 'hybrid', 'hybrid'], 'both'],
  encryptionKeys: [
    [[KEY], KEY, ['b4b16711355b45d6']],
    [[OTHER_KEY, KEY], `${OTHER_KEY}, ${KEY}\n`, ['495f50ee9dc00f20', 'b4b16711355b45d6']],
    'short'
  ],
  encryption: [['on', 'on', 'on'], ['off', 'off', 'off'], 'none'],
  flushIntervalMs: [[10, '10', 10], [20, '20', 20], '1s'],
  localDurability: [['os', 'os', 'os'], ['data', 'data', 'data'], 'disk'],
  ownershipCheckIntervalMs: [[100, '100', 100], [200, '200', 200], '1'],
  handoverTimeoutMs: [[0, '0', 0], [7, '7', 7], '-1'],
  refreshIntervalMs: [[1000, '1000', 1000], [2000, '2000', 2000], '7d'],
  closeTimeoutMs: [[0, '0', 0], [1, '1', 1], 'x'],
  flushTimeoutMs: [[0, '0', 0], [1, '1', 1], 'x'],
  onMissing: [['create', 'create', 'create'], ['error', 'error', 'error'], 'fail'],
  onLeaseLost: [['continue', 'continue', 'continue'], ['stop', 'stop', 'stop'], 'wait'],
  hideTenantIds: [[false, 'no', false], [true, ' TRUE ', true], '2'],
  acceptUnencrypted: [[false, '0', false], [true, '1', true], 'maybe'],
  allowPublicBucket: [[false, 'off', false], [true, 'on', true], 'ja'],
  maxConcurrentRequests: [[1, '1', 1], [2, '2', 2], '0']
}
const TEXTS = Object.keys(VALUES)

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

test('stores that are half, double or of the wrong kind are refused by the names of the variables', () => {
  const anon = `h.${Buffer.from('{"role":"anon"}').toString('base64url')}.s`
  const service = anon.replace(
    Buffer.from('{"role":"anon"}').toString('base64url'),
    Buffer.from('{"role":"service_role"}').toString('base64url')
  )
  const url = { SUPABASE_URL: 'https://ref.supabase.co' }
  const r2 = { R2_ACCOUNT_ID: 'abc', R2_ACCESS_KEY_ID: 'i', R2_SECRET_ACCESS_KEY: 's', R2_BUCKET_NAME: 'b' }
  const s3 = { S3_BUCKET: 'b', S3_ACCESS_KEY_ID: 'i', S3_SECRET_ACCESS_KEY: 's' }
  const google = { STORAGE_BUCKET: 'b', GOOGLE_CREDENTIALS: '{"client_email":"a","private_key":"b","private_key_id":"c"}' }
  const wrong = [
    [url, 'SUPABASE_URL', 'SUPABASE_SERVICE_KEY'],
    [{ SUPABASE_SERVICE_KEY: 'k' }, 'SUPABASE_SERVICE_KEY', 'SUPABASE_URL'],
    [{ SUPABASE_KEY: service }, 'SUPABASE_KEY', 'SUPABASE_URL'],
    [{ SUPABASE_ANON_KEY: anon }, 'SUPABASE_ANON_KEY', 'SUPABASE_URL', 'SUPABASE_SERVICE_KEY', 'public'],
    [{ ...url, SUPABASE_ANON_KEY: anon }, 'SUPABASE_ANON_KEY', 'SUPABASE_SERVICE_KEY', 'public'],
    [{ ...url, SUPABASE_PUBLISHABLE_KEY: 'sb_publishable_x' }, 'SUPABASE_PUBLISHABLE_KEY', 'SUPABASE_SERVICE_KEY', 'public'],
    [
      { SESSION_BACKUP_STORE: 'supabase', ...url, SUPABASE_ANON_KEY: anon },
      'SESSION_BACKUP_STORE',
      'SUPABASE_ANON_KEY',
      'SUPABASE_SERVICE_KEY'
    ],
    ...['SUPABASE_SERVICE_KEY', 'SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_KEY'].flatMap((name) => [
      [{ ...url, [name]: anon }, name, 'public key', 'service_role'],
      [{ ...url, [name]: 'sb_publishable_x' }, name, 'public key']
    ]),
    [{ ...url, SUPABASE_KEY: 'some-text' }, 'SUPABASE_KEY', 'sb_secret_', 'service_role'],
    [{ ...url, SUPABASE_SERVICE_KEY: 'k', ...r2 }, 'SUPABASE_URL', 'R2_BUCKET_NAME', 'two stores'],
    [{ SESSION_BACKUP_ENABLED: 'true', ...s3, ...google }, 'S3_BUCKET', 'STORAGE_BUCKET', 'two stores', 's3 or gcs', 'remove'],
    [{ SESSION_BACKUP_STORE: 's3' }, 'SESSION_BACKUP_STORE', 'S3_BUCKET'],
    [{ SESSION_BACKUP_STORE: 'gcs' }, 'SESSION_BACKUP_STORE', 'STORAGE_BUCKET'],
    [{ SESSION_BACKUP_STORE: 'gcs', STORAGE_BUCKET: 'b' }, 'STORAGE_BUCKET', 'GOOGLE_APPLICATION_CREDENTIALS'],
    [{ BAILEYS_HYBRID_AUTH_STORE: 's3' }, 'BAILEYS_HYBRID_AUTH_STORE', 'S3_BUCKET'],
    [{ SESSION_BACKUP_STORE: 's3', S3_BUCKET: 'b' }, 'S3_BUCKET', 'credentials'],
    [{ SESSION_BACKUP_STORE: 's3', S3_BUCKET: 'b', S3_ACCESS_KEY_ID: 'i' }, 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'],
    [{ SESSION_BACKUP_STORE: 's3', S3_BUCKET: 'b', S3_SECRET_KEY: 'i' }, 'S3_SECRET_KEY', 'S3_ACCESS_KEY_ID'],
    [{ SESSION_BACKUP_STORE: 's3', ...s3, S3_ENDPOINT: 'host:9000' }, 'S3_ENDPOINT', 'https://'],
    [{ SESSION_BACKUP_STORE: 's3', ...s3, S3_FORCE_PATH_STYLE: 'sometimes' }, 'S3_FORCE_PATH_STYLE', 'true'],
    [{ SESSION_STORAGE_TYPE: 'hybrid' }, 'SESSION_STORAGE_TYPE', 'store'],
    [{ SESSION_BACKUP_ENABLED: 'true' }, 'SESSION_BACKUP_ENABLED', 'SESSION_BACKUP_STORE']
  ]
  for (const [env, ...names] of wrong) {
    const message = refusal(JSON.stringify(env), () => resolved({ encryptionKeys: KEY }, env))
    for (const name of names) assert.ok(message.includes(name), `${JSON.stringify(env)}: "${name}" is not in: ${message}`)
    assert.deepEqual(described({ encryptionKeys: KEY }, env).problems, [message])
    assert.ok(!message.includes(anon) && !message.includes(service))
  }
  for (const key of ['SESSION_ENCRYPTION_KEY', 'BAILEYS_HYBRID_AUTH_ENCRYPTION_KEYS']) {
    for (const text of [
      'x',
      KEY.slice(1),
      `${KEY}0`,
      `${KEY},`,
      `,${KEY}`,
      `${KEY},${KEY}`,
      `${KEY} ${OTHER_KEY}`,
      `${KEY};${OTHER_KEY}`,
      Buffer.from(KEY, 'hex').toString('base64')
    ]) {
      const message = refusal(text, () => resolved({ store: 'memory://x' }, { [key]: text }))
      assert.ok(message.startsWith(key) && !message.includes(KEY.slice(0, 8)), message)
    }
  }
  assert.equal(resolved({ encryptionKeys: KEY }, { ...url, SUPABASE_KEY: service }).native.store.key, service)
  assert.equal(
    resolved({ encryptionKeys: KEY }, { ...url, SUPABASE_KEY: 'sb_secret_x', SUPABASE_ANON_KEY: anon }).native.store.key,
    'sb_secret_x'
  )
  assert.equal(resolved({ encryptionKeys: KEY }, { ...url, SUPABASE_KEY: 'sb_secret_x', SUPABASE_SERVICE_KEY: 'k' }).native.store.key, 'k')
})

test('the variables called S3 and those of Google make a store only where one is asked for', () => {
  const s3 = {
    S3_BUCKET: 'b',
    S3_ENDPOINT: 'http://minio:9000',
    S3_REGION: 'r',
    S3_ACCESS_KEY_ID: 'i',
    S3_SECRET_ACCESS_KEY: 's',
    S3_FORCE_PATH_STYLE: 'false'
  }
  const others = {
    S3_BUCKET_NAME: 'b',
    S3_ENDPOINT_URL: 'http://minio:9000',
    S3_REGION: 'r',
    S3_ACCESS_KEY: 'i',
    S3_SECRET_KEY: 's',
    S3_FORCE_PATH_STYLE: '0'
  }
  const google = { STORAGE_BUCKET: 'b', GOOGLE_CREDENTIALS: '{"client_email":"a","private_key":"b","private_key_id":"c"}' }
  const asking = [{ SESSION_BACKUP_ENABLED: 'yes' }, { SESSION_STORAGE_TYPE: 'hybrid' }]
  const store = (env, options) => resolved({ encryptionKeys: KEY, ...options }, env).native.store
  const aws = { AWS_REGION: 'elsewhere', AWS_ACCESS_KEY_ID: 'aws', AWS_SECRET_ACCESS_KEY: 'aws', AWS_ENDPOINT_URL: 'https://elsewhere' }
  for (const variables of [s3, others]) {
    for (const asked of [...asking, { SESSION_BACKUP_STORE: 's3' }, { BAILEYS_HYBRID_AUTH_STORE: ' S3 ' }]) {
      const { kind, bucket, endpoint, region, accessKeyId, secretAccessKey, virtualHosted } = store({ ...aws, ...variables, ...asked })
      assert.deepEqual(
        [kind, bucket, endpoint, region, accessKeyId, secretAccessKey, virtualHosted],
        ['s3', 'b', 'http://minio:9000', 'r', 'i', 's', true]
      )
    }
    assert.equal(store(variables), null)
    assert.match(described({}, variables).warnings[0], /S3_BUCKET(_NAME)? takes effect with SESSION_BACKUP_STORE=s3/)
  }
  assert.deepEqual(
    [store({ ...aws, S3_BUCKET: 'b', SESSION_BACKUP_STORE: 's3' })].map(({ region, accessKeyId }) => [region, accessKeyId]),
    [['elsewhere', 'aws']]
  )
  assert.equal(store({ STORAGE_BUCKET: 'shared', ...aws, SESSION_BACKUP_STORE: 's3' }).bucket, 'shared')
  for (const asked of [...asking, { SESSION_BACKUP_STORE: 'gcs' }]) assert.equal(store({ ...google, ...asked }).kind, 'gcs')
  assert.equal(store(google), null)
  const project = { SUPABASE_URL: 'https://ref.supabase.co', SUPABASE_SERVICE_KEY: 'k' }
  for (const asked of [...asking, {}]) {
    for (const other of [s3, google])
      assert.match(
        refusal('two stores', () => store({ ...other, ...project, ...asked })),
        /two stores, supabase .* (s3|gcs) /
      )
  }
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

test('a store that is named and forbidden is said to be unused, and only then', () => {
  const own = { BAILEYS_HYBRID_AUTH_STORE: 's3://bucket' }
  for (const [env, options, count] of [
    [{ ...own, SESSION_BACKUP_ENABLED: 'false' }, {}, 1],
    [{ ...own, SESSION_BACKUP_ENABLED: 'false' }, { store: null }, 0],
    [{ SESSION_BACKUP_STORE: 's3://bucket', SESSION_BACKUP_ENABLED: 'false' }, {}, 0],
    [{ SESSION_BACKUP_ENABLED: 'false' }, {}, 0]
  ]) {
    const { warnings, settings } = described(options, env)
    const said = warnings.filter((text) => /BAILEYS_HYBRID_AUTH_STORE is not used: SESSION_BACKUP_ENABLED/.test(text))
    assert.deepEqual([said.length, settings.mode.value], [count, 'local'], JSON.stringify([env, options]))
  }
})

test('what is described is what an open does, for every pair of wrong settings and for right ones', () => {
  const wrong = [
    ...Object.entries(VALUES)
      .filter(([, [, , text]]) => text !== undefined)
      .map(([name, [, , text]]) => [{}, { [ownVariable(name)]: text }]),
    ...['initAuthCreds', 'BufferJSON', 'logger', 'baileys'].map((name) => [{ [name]: 7 }, {}]),
    ...['fresh', 'takeover', 'seedFromDisk'].map((name) => [{ [name]: 7 }, {}]),
    [{ directory: '' }, {}],
    [{ caCertificate: '/nowhere.pem' }, {}],
    [{ nonsense: 1 }, {}],
    [{}, { BAILEYS_HYBRID_AUTH_X: '1' }],
    [{ encryption: 'off' }, {}],
    [{ encryptionKeys: undefined }, {}],
    [{ encryptionKeys: undefined, encryption: 'off', hideTenantIds: true }, {}],
    [{}, { SESSION_BACKUP_INTERVAL: '5' }],
    [{ store: 's3://b' }, {}],
    [{ store: 'gs://b' }, {}],
    [{ store: 'supabase://b' }, {}],
    [{ store: { kind: 'x' } }, {}]
  ]
  /** A wrong setting that another one takes the place of does no harm. */
  const without = (name) => (name in VALUES ? { [name]: undefined } : {})
  const cases = wrong.flatMap((one, i) => [
    one,
    ...wrong.slice(i + 1).map((other) => [
      { ...one[0], ...other[0] },
      { ...one[1], ...other[1] }
    ])
  ])
  let refused = 0
  for (const [options, env] of cases) {
    const cleared = Object.keys(env).flatMap((variable) => TEXTS.filter((name) => ownVariable(name) === variable))
    const given = { ...STORE, ...Object.assign({}, ...cleared.map(without)), ...options }
    const { problems, settings } = described(given, env)
    let message = null
    try {
      resolved(given, env)
    } catch (error) {
      message = error.message
    }
    const what = JSON.stringify([options, env])
    if (message !== null) {
      assert.ok(problems.includes(message), `${what}: ${message} is not in ${JSON.stringify(problems)}`)
      refused++
    } else {
      // What is checked only once Baileys is looked for.
      assert.ok(
        problems.every((problem) => /^(initAuthCreds|BufferJSON|baileys) must/.test(problem)),
        `${what}: ${problems}`
      )
    }
    assert.deepEqual(
      Object.keys(settings)
        .filter((name) => !name.startsWith('store.'))
        .sort(),
      [...KNOWN].sort()
    )
    for (const [name, { problem, value }] of Object.entries(settings))
      assert.ok(
        problem === undefined ||
          (problems.includes(problem) && value === null) ||
          ['initAuthCreds', 'BufferJSON', 'baileys', 'logger'].includes(name),
        name
      )
  }
  assert.ok(refused > 300 && refused > cases.length * 0.9, `${refused} of ${cases.length}`)
  assert.deepEqual(
    described({}, { SESSION_BACKUP_ENABLED: 7, SESSION_BACKUP_STORE: {}, BAILEYS_HYBRID_AUTH_X: undefined }).problems,
    [],
    'what is no text is not set'
  )
  for (const given of [null, 7, 'x']) assert.deepEqual(described(given).problems, ['the options must be an object'])
})

/** Every kind of store, and ways to name it: options and variables. */
const KINDS_OF_STORES = [
  [
    'none',
    [{ store: null }, {}],
    [{}, { SESSION_BACKUP_ENABLED: 'false' }],
    [{ mode: 'local', store: 's3://b' }, {}],
    [{}, { SESSION_STORAGE_TYPE: 'local', SESSION_BACKUP_STORE: 'gcs' }]
  ],
  [
    'directory',
    [{ store: 'file:///b' }, {}],
    [{ store: { kind: 'directory', path: '/b' } }, {}],
    [{}, { SESSION_BACKUP_STORE: 'file:///b' }]
  ],
  [
    'memory',
    [{ store: 'memory://b' }, {}],
    [{ store: { kind: 'memory', name: 'b' } }, {}],
    [{}, { BAILEYS_HYBRID_AUTH_STORE: 'memory://b' }]
  ],
  [
    's3',
    [{ store: 's3://b' }, {}],
    [{ store: { kind: 's3', bucket: 'b' } }, {}],
    ...['s3', 'r2', 's3://b'].map((named) => [{}, { SESSION_BACKUP_STORE: named }])
  ],
  [
    'gcs',
    [{ store: 'gs://b' }, {}],
    [{ store: { kind: 'gcs', bucket: 'b' } }, {}],
    ...['gcs', 'gs://b'].map((named) => [{}, { SESSION_BACKUP_STORE: named }])
  ],
  [
    'supabase',
    [{ store: 'supabase://b' }, {}],
    [{ store: { kind: 'supabase', bucket: 'b' } }, {}],
    ...['supabase', 'supabase://b'].map((named) => [{}, { SESSION_BACKUP_STORE: named }])
  ],
  [
    'postgres',
    [{ store: 'postgres://h/d' }, {}],
    [{ store: { kind: 'postgres' } }, {}],
    ...['postgres', 'supabase-db', 'postgres://h/d'].map((named) => [{}, { SESSION_BACKUP_STORE: named }])
  ],
  [
    'redis',
    [{ store: 'rediss://h' }, {}],
    [{ store: { kind: 'redis' } }, {}],
    ...['redis', 'valkey', 'rediss://h'].map((named) => [{}, { SESSION_BACKUP_STORE: named }])
  ]
]
/** Kind -> the fields that are shown of it, and the variables that may be their source. */
const SHOWN_OF = {
  s3: [['credentials', 'endpoint', 'pathStyle', 'region'], /^(AWS|S3|R2)_/],
  gcs: [['credentials', 'endpoint'], /^GOOGLE_/],
  supabase: [['key', 'url'], /^SUPABASE_/],
  postgres: [['maxConnections', 'notify', 'password', 'schema', 'sslmode', 'user'], /^(PG|DATABASE_URL)/],
  redis: [['allowVolatile', 'notify', 'password', 'prefix', 'tls', 'username', 'waitReplicas'], /^(REDIS|SESSION_BACKUP_STORE)/]
}

test('a setting of a store is shown as what the core is told, and only where the store in effect has a use for it', (t) => {
  const folder = temporaryFolder(t)
  /** A file with so many certificates that its number says which one it is. */
  const bundle = (count) => {
    const file = join(folder, `${count}.pem`)
    writeFileSync(file, rootCertificates.slice(0, count).join('\n'))
    return file
  }
  // Those of every kind at once, as a machine may have them.
  const everything = {
    AWS_ACCESS_KEY_ID: 'i',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_REGION: 'r',
    AWS_ENDPOINT_URL: 'https://aws.example',
    STORAGE_BUCKET: 'b',
    S3_ENDPOINT: 'https://s3.example',
    S3_REGION: 'r',
    S3_ACCESS_KEY_ID: 'i',
    S3_SECRET_ACCESS_KEY: 's',
    S3_FORCE_PATH_STYLE: 'true',
    R2_ACCOUNT_ID: 'abc',
    R2_ACCESS_KEY_ID: 'i',
    R2_SECRET_ACCESS_KEY: 's',
    SUPABASE_URL: 'https://ref.supabase.co',
    SUPABASE_SERVICE_KEY: 'k',
    GOOGLE_CREDENTIALS: '{"client_email":"a","private_key":"b","private_key_id":"c"}',
    DATABASE_URL: 'postgres://u:pw@h/d',
    PGUSER: 'u',
    PGSSLMODE: 'verify-full',
    REDIS_URL: 'rediss://:pw@h',
    REDIS_PASSWORD: 'pw'
  }
  const own = ownVariable('caCertificate')
  const places = { AWS_CA_BUNDLE: 1, NODE_EXTRA_CA_CERTS: 2, [own]: 3, caCertificate: 4 }
  const given = (names, value) => ({
    options: names.includes('caCertificate') ? { caCertificate: value('caCertificate') } : {},
    env: Object.fromEntries(names.filter((name) => name !== 'caCertificate').map((name) => [name, value(name)]))
  })
  const subsets = Object.keys(places).reduce((sets, name) => [...sets, ...sets.map((set) => [...set, name])], [[]])
  const limits = [{}, { allowPublicBucket: true, maxConcurrentRequests: 7 }]
  let counted = 0
  for (const [kind, ...namings] of KINDS_OF_STORES) {
    const [fields, source] = SHOWN_OF[kind] ?? [[], null]
    for (const [options, env] of namings) {
      for (const names of subsets) {
        for (const limit of limits) {
          const ca = given(names, (name) => bundle(places[name]))
          const all = [
            { encryptionKeys: KEY, ...options, ...limit, ...ca.options },
            { ...everything, ...env, ...ca.env }
          ]
          const { settings, problems } = described(...all)
          const { store } = resolved(...all).native
          const what = JSON.stringify([kind, options, env, names, limit])
          assert.deepEqual(problems, [], what)
          assert.equal(store?.kind ?? 'none', kind)

          const count = store?.ca ? store.ca.split('BEGIN').length - 1 : 0
          const counts = Object.keys(places).find((name) => places[name] === count) ?? null
          // What is our own is named, though it counts for nothing here; what is for others is not.
          const named = counts ?? ['caCertificate', own].find((name) => names.includes(name)) ?? null
          const from = named === null ? 'default' : named === 'caCertificate' ? 'option' : 'variable'
          assert.deepEqual(
            settings.caCertificate,
            { value: count === 0 ? null : `certificates (${count})`, source: from, from: named },
            what
          )
          if (count > 0) counted++

          const limitFrom = (name) => (name in limit ? { source: 'option', from: name } : { source: 'default', from: null })
          assert.deepEqual(settings.allowPublicBucket, { value: store?.allowPublic ?? null, ...limitFrom('allowPublicBucket') }, what)
          assert.deepEqual(
            settings.maxConcurrentRequests,
            { value: store?.maxConcurrentRequests ?? null, ...limitFrom('maxConcurrentRequests') },
            what
          )

          const shown = Object.entries(settings).filter(([name]) => name.startsWith('store.'))
          assert.deepEqual(shown.map(([name]) => name.slice('store.'.length)).sort(), fields, what)
          for (const [name, { from, source: kindOf }] of shown) {
            if (kindOf === 'variable') for (const variable of from.split(', ')) assert.match(variable, source, `${what}: ${name}`)
          }
        }
      }
      for (const name of Object.keys(places)) {
        const ca = given([name], () => join(folder, 'missing.pem'))
        const all = [
          { encryptionKeys: KEY, ...options, ...ca.options },
          { ...everything, ...env, ...ca.env }
        ]
        const { settings, problems } = described(...all)
        const isOwn = name === 'caCertificate' || name === own
        const isUsed = isOwn || (fields.length > 0 && (name !== 'AWS_CA_BUNDLE' || kind === 's3'))
        const what = JSON.stringify([kind, options, env, name])
        if (isUsed) assert.deepEqual(problems, [refusal(what, () => resolved(...all))])
        else assert.deepEqual([problems, settings.caCertificate], [[], { value: null, source: 'default', from: null }], what)
        assert.deepEqual(
          [settings.caCertificate.problem, settings.caCertificate.from],
          isUsed ? [problems[0], name] : [undefined, null],
          what
        )
      }
    }
  }
  assert.ok(counted > 100, `${counted} with authorities`)
})

test('the interval of existing services is shown only where something waits for it', () => {
  const env = { SESSION_BACKUP_INTERVAL: '60000', SESSION_ENCRYPTION_KEY: KEY }
  const shown = (options) => described(options, env).settings.flushIntervalMs
  assert.deepEqual(shown({ store: 'memory://x' }), { value: 60_000, source: 'variable', from: 'SESSION_BACKUP_INTERVAL' })
  for (const options of [{ store: null }, { mode: 'local', store: 'memory://x' }, { mode: 'cloud', store: 'memory://x' }]) {
    assert.deepEqual(shown(options), { value: 1000, source: 'default', from: null })
    assert.equal(resolved(options, env).native.flushIntervalMs, 1000)
    assert.deepEqual(described(options, { ...env, SESSION_BACKUP_INTERVAL: '5' }).problems, [])
  }
})

test('a described key has the id that an error names, and no secret is described', async (t) => {
  const at = scene(t)
  await (await at.openReplicated('tenant', { encryptionKeys: OTHER_KEY })).close()
  const { message } = await rejection(at.openReplicated('tenant', { encryptionKeys: KEY }))
  const [id] = described({ encryptionKeys: OTHER_KEY }).settings.encryptionKeys.value
  assert.ok(message.includes(id), `${id} is not in: ${message}`)

  const secret = (what) => `q9${what}zq9`
  const home = temporaryFolder(t)
  const file = join(home, 'google.json')
  writeFileSync(
    file,
    JSON.stringify({ type: 'service_account', client_email: secret('mail'), private_key: secret('pem'), private_key_id: secret('id') })
  )
  const cases = [
    [{}, { SUPABASE_URL: 'https://ref.supabase.co', SUPABASE_SERVICE_KEY: secret('key') }, 'store.key', 'SUPABASE_SERVICE_KEY'],
    [{ store: { kind: 'supabase', bucket: 'b', url: 'https://u', key: secret('key') } }, {}, 'store.key', 'store.key'],
    [
      { store: 's3://b' },
      { AWS_ACCESS_KEY_ID: secret('id'), AWS_SECRET_ACCESS_KEY: secret('key'), AWS_SESSION_TOKEN: secret('token') },
      'store.credentials',
      'AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN'
    ],
    [
      { store: { kind: 's3', bucket: 'b', accessKeyId: secret('id'), secretAccessKey: secret('key') } },
      {},
      'store.credentials',
      'store.accessKeyId, store.secretAccessKey'
    ],
    [
      { store: 's3://b' },
      { AWS_WEB_IDENTITY_TOKEN_FILE: 'f', AWS_ROLE_ARN: secret('arn') },
      'store.credentials',
      'AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN'
    ],
    [{ store: 's3://b?instanceMetadata=true' }, {}, 'store.credentials', 'store: the parameter instanceMetadata'],
    [{ store: 'gs://b' }, { GOOGLE_APPLICATION_CREDENTIALS: file }, 'store.credentials', 'GOOGLE_APPLICATION_CREDENTIALS'],
    [{ store: { kind: 'gcs', bucket: 'b', credentials: readFileSync(file, 'utf8') } }, {}, 'store.credentials', 'store.credentials'],
    [{ store: { kind: 'gcs', bucket: 'b', endpoint: 'http://localhost:1', anonymous: true } }, {}, 'store.credentials', 'store.anonymous']
  ]
  for (const [options, env, name, from] of cases) {
    const config = described({ encryptionKeys: [KEY, OTHER_KEY], ...options }, env)
    assert.deepEqual([config.problems, config.settings[name].from], [[], from], JSON.stringify(config.settings[name]))
    const said = `${config}\n${JSON.stringify(config)}`
    for (const hidden of ['zq9', KEY.slice(0, 12), OTHER_KEY.slice(0, 12)]) assert.ok(!said.includes(hidden), `${hidden} in ${said}`)
  }
})

test('the table has a line for each setting, with its value and where it comes from, and the problems below', () => {
  const lines = String(described({ flushIntervalMs: 5 }, { SESSION_BACKUP_STORE: 'memory://x', SESSION_ENCRYPTION_KEY: 'x' })).split('\n')
  const line = (name) => lines.find((text) => text.startsWith(`${name} `)).split(/ {2,}/)
  assert.deepEqual(line('flushIntervalMs'), ['flushIntervalMs', '5', 'option flushIntervalMs'])
  assert.deepEqual(line('store'), ['store', 'memory://x', 'variable SESSION_BACKUP_STORE'])
  assert.deepEqual(line('closeTimeoutMs'), ['closeTimeoutMs', '10000', 'default'])
  assert.deepEqual(line('encryptionKeys'), ['encryptionKeys', '(see below)', 'variable SESSION_ENCRYPTION_KEY'])
  assert.match(lines[lines.indexOf('problems') + 1], /^- SESSION_ENCRYPTION_KEY: each key/)
  assert.equal(String(described(STORE)).includes('problems'), false)
})

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
