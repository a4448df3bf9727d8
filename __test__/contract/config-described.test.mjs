// Answers of `describeConfig` of the settings of an open.
//
// Invariant guarded: it says what an open would do, whatever is wrong, and where each value comes from; and never a secret.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { KEY, OTHER_KEY, rejection, scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { TEXTS, VALUES, described, refusal, resolved } from './settings.mjs'

const require = createRequire(import.meta.url)
const { KNOWN } = require('../../lib/config/options.js')
const { ownVariable } = require('../../lib/config/variables.js')

const STORE = { store: 'memory://x', encryptionKeys: KEY }

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
