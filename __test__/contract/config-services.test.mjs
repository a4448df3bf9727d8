// Variables of existing services as the source of settings: the stores that they make, and their interval.
//
// Invariant guarded: a store that is half, double or of the wrong kind is refused by the names of the variables, and none is made where
// none was asked for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KEY, OTHER_KEY } from '../../testkit/processes/sessions.mjs'
import { described, refusal, resolved } from './settings.mjs'

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
