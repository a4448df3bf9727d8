// Sources of the credentials of a store, and that they stay there.
//
// Invariants guarded: the first source that is there decides, whatever lies behind it; half of one is refused by the names of
// what is missing; the machine is asked only when the caller says so; no refusal and no warning repeats a secret, wherever it
// stands and whatever is wrong with it.

import test from 'node:test'
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { createRequire } from 'node:module'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { declarations } from '../support/declarations.mjs'
import { KEY, ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { sized, spread } from '../support/size.mjs'

const { resolveOptions } = createRequire(import.meta.url)('../../lib/config/options.js')

const NOWHERE = { HOME: '/nowhere' }
const spec = (store, env = {}, options = {}) =>
  resolveOptions('tenant', { store, encryptionKeys: KEY, ...options }, { ...NOWHERE, ...env }).native.store

function refused(what, wrong, ...names) {
  let answer
  try {
    answer = wrong()
  } catch (error) {
    assert.equal(error.code, 'INVALID_OPTION', `${what}: ${error.stack}`)
    for (const name of names) assert.ok(error.message.includes(name), `${what}: "${name}" is not in: ${error.message}`)
    return
  }
  assert.fail(`accepted: ${what} gave ${JSON.stringify(answer)}`)
}

const subsets = (list) => Array.from({ length: 2 ** list.length }, (_, bits) => list.filter((_, i) => bits & (1 << i)))
const pick = (object, names) => Object.fromEntries(names.map((name) => [name, object[name]]))

/** A home with the files of the AWS command line. */
function home(t, credentials, config) {
  const folder = temporaryFolder(t, 'home')
  mkdirSync(join(folder, '.aws'))
  if (credentials !== undefined) writeFileSync(join(folder, '.aws', 'credentials'), credentials)
  if (config !== undefined) writeFileSync(join(folder, '.aws', 'config'), config)
  return { HOME: folder }
}

const NONE = { accessKeyId: null, secretAccessKey: null, sessionToken: null, environment: {}, instanceMetadata: false }
const keys = (who, sessionToken = null) => ({ ...NONE, accessKeyId: `id-${who}`, secretAccessKey: `secret-${who}`, sessionToken })
const pair = (who) => `aws_access_key_id = id-${who}\naws_secret_access_key = secret-${who}\n`

const AT_R2 = { endpoint: 'https://abc.r2.cloudflarestorage.com' }
const IDENTITY = { AWS_WEB_IDENTITY_TOKEN_FILE: '/token', AWS_ROLE_ARN: 'arn:aws:iam::1:role/r' }
const DETAILS = { AWS_ROLE_SESSION_NAME: 'me', AWS_ENDPOINT_URL_STS: 'https://sts' }
const FULL = {
  AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1/credentials',
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/token'
}
const RELATIVE = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials/x' }

/** Every source, in the order in which they are asked: what sets it up, and what the core is then told. */
const sourcesOfS3 = (profile, fallback) => [
  {
    name: 'options',
    fields: { accessKeyId: 'id-own', secretAccessKey: 'secret-own', sessionToken: 'token-own' },
    told: keys('own', 'token-own')
  },
  { name: 'R2', isR2: true, env: { R2_ACCESS_KEY_ID: 'id-r2', R2_SECRET_ACCESS_KEY: 'secret-r2' }, told: keys('r2') },
  {
    name: 'variables',
    env: { AWS_ACCESS_KEY_ID: 'id-env', AWS_SECRET_ACCESS_KEY: 'secret-env', AWS_SESSION_TOKEN: 'token-env' },
    told: keys('env', 'token-env')
  },
  { name: 'web identity', env: { ...IDENTITY, ...DETAILS }, told: { ...NONE, environment: { ...IDENTITY, ...DETAILS } } },
  { name: 'container, relative', env: RELATIVE, told: { ...NONE, environment: RELATIVE } },
  { name: 'container, full', env: FULL, told: { ...NONE, environment: FULL } },
  { name: 'profile', env: { ...profile, AWS_PROFILE: 'named' }, told: keys('named', 'token-named') },
  { name: 'default profile', env: fallback, told: keys('default') },
  { name: 'machine', fields: { instanceMetadata: true }, told: { ...NONE, instanceMetadata: true } }
]

test('the_first_source_of_s3_that_is_there_decides', (t) => {
  const files = home(t, `[default]\n${pair('default')}[named]\n${pair('named')}aws_session_token=token-named\n`)
  const sources = sourcesOfS3(files, files)
  for (const endpoint of [{}, AT_R2]) {
    for (const chosen of subsets(sources)) {
      const store = Object.assign({ kind: 's3', bucket: 'bucket', ...endpoint }, ...chosen.map(({ fields }) => fields))
      const env = Object.assign({}, ...chosen.map(({ env }) => env))
      const first = chosen.find(({ isR2 }) => !isR2 || endpoint === AT_R2)
      const what = `${chosen.map(({ name }) => name).join(', ')} ${endpoint.endpoint}`
      if (first === undefined)
        refused(what, () => spec(store, env), 'store', 'AWS_ACCESS_KEY_ID', 'AWS_PROFILE', 'instanceMetadata', 'accessKeyId')
      else assert.deepEqual(pick(spec(store, env), Object.keys(NONE)), first.told, what)
    }
  }
  assert.deepEqual(spec('s3://bucket', IDENTITY).environment, IDENTITY)
  const own = { kind: 's3', bucket: 'bucket', endpoint: 'https://own.example/' }
  const r2 = { R2_ACCESS_KEY_ID: 'id-r2', R2_SECRET_ACCESS_KEY: 'secret-r2', R2_ENDPOINT: 'https://own.example' }
  assert.equal(spec(own, r2).accessKeyId, 'id-r2', 'an endpoint of R2 under a name of its own')
  refused('keys of R2 go nowhere else', () => spec({ ...own, endpoint: 'https://other.example' }, r2), 'credentials')
})

test('half_of_a_source_of_s3_is_refused_even_where_another_is_whole', (t) => {
  const files = home(t, `[default]\n${pair('default')}`)
  const behind = { ...files, AWS_PROFILE: 'default' }
  const groups = [
    [['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'], ['AWS_SESSION_TOKEN']],
    [['R2_ACCESS_KEY_ID', 'R2_SECRET_ACCESS_KEY'], []],
    [['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN'], []],
    [['AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'], []]
  ]
  for (const [needed, more] of groups) {
    for (const set of subsets([...needed, ...more]).filter((set) => set.length > 0 && !needed.every((name) => set.includes(name)))) {
      const env = { ...behind, ...Object.fromEntries(set.map((name) => [name, 'https://x'])) }
      const missing = needed.filter((name) => !set.includes(name))
      refused(set.join(), () => spec({ kind: 's3', bucket: 'b', ...AT_R2, instanceMetadata: true }, env), ...set, ...missing)
      for (const name of missing)
        refused(`${name} is empty`, () => spec({ kind: 's3', bucket: 'b', ...AT_R2 }, { ...env, [name]: '' }), name)
    }
  }
  const own = ['accessKeyId', 'secretAccessKey', 'sessionToken']
  for (const set of subsets(own).filter((set) => set.length > 0 && !(set.includes(own[0]) && set.includes(own[1])))) {
    const store = { kind: 's3', bucket: 'b', ...Object.fromEntries(set.map((name) => [name, 'x'])) }
    const env = { ...behind, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' }
    refused(set.join(), () => spec(store, env), ...own.slice(0, 2).filter((name) => !set.includes(name)))
  }
  for (const field of own) {
    for (const value of ['', ' ', 'a\nb', 'a\0', null, 7, {}, ...(field === 'secretAccessKey' ? [] : ['a b', 'ä'])]) {
      refused(
        `${field}: ${JSON.stringify(value)}`,
        () => spec({ kind: 's3', bucket: 'b', accessKeyId: 'x', secretAccessKey: 'x', [field]: value }),
        field
      )
    }
  }
  for (const uri of ['http://example.com/', 'ftp://127.0.0.1/', 'nothing', 'http://169.254.169.254/']) {
    refused(uri, () => spec('s3://b', { ...FULL, AWS_CONTAINER_CREDENTIALS_FULL_URI: uri }), 'AWS_CONTAINER_CREDENTIALS_FULL_URI')
  }
  refused('no slash', () => spec('s3://b', { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: 'v2' }), 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')
})

test('profiles_are_read_as_the_command_line_writes_them_and_refused_where_it_is_needed', (t) => {
  const told = (credentials, config, env = {}) => pick(spec('s3://b', { ...home(t, credentials, config), ...env }), Object.keys(NONE))
  const named = { AWS_PROFILE: 'my name' }
  const right = [
    [
      `\uFEFF# c\r\n; c\r\n[default]\r\nAWS_Access_Key_Id=id-x   # c\r\naws_secret_access_key =  secret-x\t; c\r\nregion = r\r\n`,
      undefined,
      {},
      keys('x')
    ],
    [
      `[other]\n${pair('other')}\n[my name]\n${pair('x')}aws_session_token = to=ken\n[my name]\nregion = r`,
      undefined,
      named,
      keys('x', 'to=ken')
    ],
    [undefined, `[profile my name]\n${pair('x')}s3 =\n  aws_access_key_id = nested\n`, named, keys('x')],
    [undefined, `[profile "my name"]\n${pair('x')}`, named, keys('x')],
    [`[my name]\n${pair('x')}`, `[profile my name]\n${pair('y')}aws_session_token = y\nregion = r`, named, keys('x')],
    ['[default]\nregion = r\n[__proto__]\n' + pair('x'), undefined, { AWS_PROFILE: '__proto__' }, keys('x')]
  ]
  for (const [credentials, config, env, expected] of right)
    assert.deepEqual(told(credentials, config, env), expected, `${credentials} ${config}`)

  const beyond = [
    'sso_session = x',
    'sso_start_url = https://x',
    'role_arn = arn:x\nsource_profile = y',
    'credential_process = /bin/x',
    'login_session = x'
  ]
  for (const settings of beyond) {
    const hint = [settings.split(' ')[0], 'aws configure export-credentials --format env']
    for (const text of [settings, `${pair('x')}${settings}`]) {
      refused(settings, () => told(`[my name]\n${text}`, undefined, named), 'AWS_PROFILE', ...hint)
      refused(settings, () => told(undefined, `[profile my name]\n${text}`, named), 'AWS_PROFILE', ...hint)
      refused(settings, () => told(undefined, `[default]\n${text}`), 'default profile', ...hint)
    }
  }
  for (const half of [
    'aws_access_key_id = x',
    'aws_secret_access_key = x',
    'aws_session_token = x',
    'aws_access_key_id = x\naws_secret_access_key ='
  ]) {
    refused(
      half,
      () => told(`[my name]\n${half}`, undefined, named),
      'AWS_PROFILE',
      half.includes('id') ? 'aws_secret_access_key' : 'aws_access_key_id'
    )
    refused(half, () => told(undefined, `[default]\n${half}`), 'default profile')
  }
  refused('not there', () => told(`[default]\n${pair('x')}`, '', named), 'AWS_PROFILE', 'AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE')
  refused('empty', () => told('[my name]\n', '', named), 'AWS_PROFILE', 'no credentials')
  refused('nothing', () => told('[default]\nregion = r', ''), 'AWS_PROFILE', 'instanceMetadata')

  const { HOME } = home(t, `[default]\n${pair('x')}`)
  const files = { AWS_SHARED_CREDENTIALS_FILE: join(HOME, '.aws', 'credentials') }
  assert.equal(spec('s3://b', files).accessKeyId, 'id-x')
  assert.equal(spec('s3://b', { HOME, AWS_SHARED_CREDENTIALS_FILE: '~/.aws/credentials' }).accessKeyId, 'id-x')
  assert.equal(spec('s3://b', { HOME: '', USERPROFILE: HOME }).accessKeyId, 'id-x')
  for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) refused(name, () => spec('s3://b', { [name]: HOME }), name)
})

const jwt = (payload) => ['{}', JSON.stringify(payload), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.')

test('supabase_takes_a_secret_key_with_its_own_address_and_no_public_one', () => {
  const url = 'https://ref.supabase.co'
  const told = (fields, env) => spec({ kind: 'supabase', bucket: 'b', ...fields }, env)
  for (const end of ['', '/', '//', '/storage/v1', '/storage/v1/', '/rest/v1', '/rest/v1/']) {
    for (const start of [url, 'http://127.0.0.1:54321', 'https://host/custom/path']) {
      assert.equal(told({ url: start + end, key: 'k' }).url, start)
      assert.equal(told({}, { SUPABASE_URL: start + end, SUPABASE_SERVICE_KEY: 'k' }).url, start)
    }
  }
  for (const key of ['sb_secret_x', jwt({ role: 'service_role' }), jwt({ role: 'of-mine' }), jwt(null), 'a.b.c', ' k\n']) {
    assert.equal(told({ url, key }).key, key.trim())
  }
  for (const key of ['sb_publishable_x', jwt({ role: 'anon' }), `${jwt({ iss: 'x', role: 'anon' })}\n`]) {
    refused(key, () => told({ url, key }), 'store.key', 'sb_secret_', 'service_role', 'API Keys', 'allowAnonKey')
    refused(key, () => told({}, { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: key }), 'SUPABASE_SERVICE_KEY', 'allowAnonKey')
    refused(key, () => told({}, { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key }), 'SUPABASE_SERVICE_ROLE_KEY')
    assert.equal(told({ url, key, allowAnonKey: true }).key, key.trim())
    assert.equal(told({ allowAnonKey: true }, { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: key }).key, key.trim())
  }
  for (const key of ['', ' ', 'a\nb', 'a b', 'ä', 7, null, {}]) refused(key, () => told({ url, key }), 'store.key')
  for (const wrong of ['', 'ref.supabase.co', 'postgres://h', `${url}?x`, `${url}/storage/v1/s3`, 'https://user:word@h', 7, null]) {
    refused(wrong, () => told({ url: wrong, key: 'k' }), 'store.url')
  }

  const env = { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: 'k', SUPABASE_SERVICE_ROLE_KEY: 'role' }
  assert.equal(told({}, env).key, 'k')
  assert.equal(told({ url: 'https://other.example', key: 'own' }, env).key, 'own')
  refused('an address of its own', () => told({ url: 'https://other.example' }, env), 'store.url', 'store.key')
  refused('a key of its own', () => told({ key: 'k' }, env), 'store.url', 'store.key')
  refused('no key', () => spec('supabase://b', { SUPABASE_URL: url }), 'SUPABASE_URL', 'SUPABASE_SERVICE_KEY')
  refused('no address', () => spec('supabase://b', { SUPABASE_SERVICE_ROLE_KEY: 'k' }), 'SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY')
  refused('nothing', () => spec('supabase://b'), 'store', 'SUPABASE_URL', 'SUPABASE_SERVICE_KEY')
})

test('the_first_source_of_google_that_is_there_decides_and_must_be_whole', (t) => {
  const folder = temporaryFolder(t)
  const account = { type: 'service_account', client_email: 'a@b', private_key: 'pem', private_key_id: '1' }
  const user = { type: 'authorized_user', client_id: 'a', client_secret: 'b', refresh_token: 'c' }
  const file = (name, content) => {
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
    return join(folder, name)
  }
  const [named, ofUser] = [file('named.json', account), file('user.json', user)]
  const nothing = { credentials: null, credentialsFile: null, instanceMetadata: false, anonymous: false }
  const sources = [
    { fields: { credentials: account }, told: { ...nothing, credentials: JSON.stringify(account) } },
    { fields: { credentialsFile: ofUser }, told: { ...nothing, credentialsFile: ofUser } },
    { env: { GOOGLE_APPLICATION_CREDENTIALS: named }, told: { ...nothing, credentialsFile: named } },
    { env: { GOOGLE_CREDENTIALS: JSON.stringify(account) }, told: { ...nothing, credentials: JSON.stringify(account) } },
    { fields: { instanceMetadata: true }, told: { ...nothing, instanceMetadata: true } }
  ]
  for (const chosen of subsets(sources)) {
    const store = Object.assign({ kind: 'gcs', bucket: 'b' }, ...chosen.map(({ fields }) => fields))
    const env = Object.assign({}, ...chosen.map(({ env }) => env))
    const all = ['credentialsFile', 'GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_CREDENTIALS', 'instanceMetadata']
    if (chosen.length === 0) refused('nothing', () => spec(store, env), ...all)
    else if (store.credentials && store.credentialsFile) refused('two', () => spec(store, env), 'credentials', 'credentialsFile')
    else assert.deepEqual(pick(spec(store, env), Object.keys(nothing)), chosen[0].told)
  }
  const text = (value) => [() => spec({ kind: 'gcs', bucket: 'b', credentials: value }), 'store.credentials']
  const written = (value) => [() => spec('gs://b', { GOOGLE_CREDENTIALS: value }), 'GOOGLE_CREDENTIALS']
  const asFile = (value) => [() => spec({ kind: 'gcs', bucket: 'b', credentialsFile: value }), 'store.credentialsFile']
  const asNamed = (value) => [() => spec('gs://b', { GOOGLE_APPLICATION_CREDENTIALS: value }), 'GOOGLE_APPLICATION_CREDENTIALS']
  for (const type of [account, user]) {
    for (const kept of subsets(Object.keys(type)).filter((kept) => kept.length < Object.keys(type).length)) {
      const part = pick(type, kept)
      const isWhole = type === account && Object.keys(account).every((name) => kept.includes(name) || name === 'type')
      const broken = file('broken.json', part)
      for (const [resolve, from] of [asFile(broken), asNamed(broken)]) refused(kept, resolve, from)
      if (isWhole) assert.equal(text(part)[0]().credentials, JSON.stringify(part))
      else
        for (const [resolve, from] of [text(part), text(JSON.stringify(part)), written(JSON.stringify(part))]) refused(kept, resolve, from)
    }
  }
  const changed = [{ type: 'external_account' }, { type: ['service_account'] }, { client_email: 7 }, { private_key: '' }]
  for (const wrong of ['{', '[]', 'null', '"x"', ...changed.map((change) => JSON.stringify({ ...account, ...change }))]) {
    const path = file('wrong.json', wrong)
    for (const [resolve, from] of [text(wrong), written(wrong), asFile(path), asNamed(path)]) refused(wrong, resolve, from)
  }
  for (const [resolve, from] of [text(user), written(JSON.stringify(user))]) refused("a user's, not in a file", resolve, from)
  const circle = {}
  circle.self = circle
  for (const wrong of [7, true, null, '', [], circle, { ...account, x: 1n }]) refused(String(wrong), ...text(wrong))
  for (const wrong of [7, null, '', folder, '/nowhere/x', 'a\0b', {}]) refused(JSON.stringify(wrong), ...asFile(wrong))
})

test('no_refusal_and_no_warning_repeats_what_a_secret_says', (t) => {
  const seed = Number(process.env.TEST_SEED ?? randomInt(2 ** 31))
  t.diagnostic(`TEST_SEED=${seed}`)
  let state = seed
  const random = (below) => Math.floor(((state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31) * below)
  const MARK = 'Zq9SecretZq9'
  const PUBLIC = jwt({ role: 'anon', key: MARK })
  const files = home(
    t,
    `[${MARK}]\naws_access_key_id = ${MARK}\n[default]\naws_secret_access_key = ${MARK}\nrole = ${MARK}`,
    `[profile x]\nrole_arn = ${MARK}`
  )
  const json = join(files.HOME, 'wrong.json')
  writeFileSync(json, `{"private_key":"${MARK}", ${MARK}`)
  const shapes = [
    (m) => m,
    (m) => `${m}\n${m}`,
    (m) => `${m} ${m}`,
    (m) => ({ [m]: m }),
    (m) => [m],
    () => '',
    () => null,
    () => 7,
    () => undefined,
    () => true,
    (m) => `https://${m}:${m}@host`,
    (m) => `https://host/?${m}=${m}`,
    (m) => `http://${m}.example`,
    (m) => `${m}://${m}`,
    (m) => `//${m}`,
    (m) => `s3://${m}:${m}@b`,
    (m) => `s3://b?${m}=${m}`,
    (m) => `supabase://${m}@b#${m}`,
    (m) => `gs://b/${m}/../${m}`,
    (m) => `file://${m}?${m}`,
    (m) => `{"${m}": ${m}`,
    (m) => JSON.stringify({ type: m, private_key: m }),
    () => json,
    () => PUBLIC,
    (m) => `sb_publishable_${m}`,
    (m) => `-----BEGIN CERTIFICATE-----\n${m}\n-----END CERTIFICATE-----`,
    (m) => `-----BEGIN ${m}`,
    () => rootCertificates[0],
    (m) => ({ kind: m }),
    (m) => ({ kind: 's3', bucket: 'b', [m]: m }),
    (m) => `postgres://${m}:${m}@${m}/${m}?${m}=${m}`,
    (m) => `postgres://u:${m}/${m}@h/d`,
    (m) => `postgres://h/d#${m}`,
    (m) => `redis://${m}:${m}@h/${m}`,
    (m) => `rediss://:${m}%zz@h`,
    (m) => `redis://h?${m}=1`,
    (m) => `postgres://${m}@h/d?sslmode=${m}`
  ]
  const fields = {
    s3: ['bucket', 'prefix', 'region', 'endpoint', 'pathStyle', 'accessKeyId', 'secretAccessKey', 'sessionToken', 'instanceMetadata'],
    supabase: ['url', 'key', 'bucket', 'prefix', 'allowAnonKey'],
    gcs: ['bucket', 'prefix', 'credentials', 'credentialsFile', 'endpoint', 'instanceMetadata', 'anonymous'],
    postgres: [
      'connectionString',
      'host',
      'port',
      'database',
      'user',
      'password',
      'sslmode',
      'schema',
      'prefix',
      'maxConnections',
      'notify'
    ],
    redis: ['url', 'host', 'port', 'db', 'username', 'password', 'tls', 'prefix', 'waitReplicas', 'allowVolatile', 'notify'],
    directory: ['path'],
    memory: ['name']
  }
  const variables = new Set(documented())
  const options = [
    'store',
    'mode',
    'encryptionKeys',
    'encryption',
    'caCertificate',
    'allowPublicBucket',
    'maxConcurrentRequests',
    'directory'
  ]
  let refusals = 0
  const attempt = (given, env) => {
    const said = []
    try {
      resolveOptions(
        'tenant',
        { encryptionKeys: KEY, logger: { warn: (...words) => said.push(JSON.stringify(words)) }, ...given },
        { ...files, ...env }
      )
    } catch (error) {
      assert.equal(error.code, 'INVALID_OPTION', error.stack)
      said.push(error.message, error.stack, String(error.cause), JSON.stringify(error))
      refusals++
    }
    const isTold = (text) => /zq9/i.test(text) || text.includes(PUBLIC.split('.')[1])
    assert.deepEqual(said.filter(isTold), [], `TEST_SEED=${seed}`)
  }
  const anyOf = (list) => list[random(list.length)]
  /** Mostly right, so that what comes later is reached as well. */
  const value = (name) => {
    if (random(5) === 0) return anyOf(shapes)(MARK)
    if (/pathStyle|instanceMetadata|anonymous|allowAnonKey/.test(name)) return random(4) > 0
    if (/DATABASE_URL|POSTGRES_URL|SUPABASE_DB_URL|connectionString/.test(name)) return `postgres://u:${MARK}@host/d`
    if (/REDIS_URL|VALKEY_URL/.test(name)) return `redis://:${MARK}@host`
    if (/url|endpoint|URL|ENDPOINT|URI/.test(name)) return `http://host/${MARK}`
    if (/^credentials$|GOOGLE_CREDENTIALS/.test(name))
      return JSON.stringify({ client_email: MARK, private_key: MARK, private_key_id: MARK })
    return name === 'SESSION_BACKUP_STORE'
      ? anyOf(['r2', 'supabase', 'postgres', 'supabase-db', 'redis', `s3://${MARK}`, `postgres://${MARK}/d`])
      : MARK
  }
  const stores = [undefined, 's3://b', 'supabase://b', 'gs://b', 'postgres://h/d', { kind: 'postgres' }, 'redis://h', { kind: 'redis' }]
  for (const shape of shapes) {
    for (const name of options) attempt({ [name]: shape(MARK) }, {})
    const text = shape(MARK)
    for (const name of typeof text === 'string' ? variables : []) {
      for (const store of spread(stores, 2)) attempt({ store }, { [name]: text })
    }
    for (const [kind, names] of Object.entries(fields))
      for (const name of names) attempt({ store: { kind, ...(names.includes('bucket') && { bucket: 'b' }), [name]: shape(MARK) } }, {})
  }
  for (let round = 0; round < sized(1000, 4000); round++) {
    const kind = anyOf(Object.keys(fields))
    const given = fields[kind].filter((name) => name === 'bucket' || random(2))
    const store = { kind, ...Object.fromEntries(given.map((name) => [name, value(name)])) }
    const some = [...variables].filter(() => random(4) === 0).map((name) => [name, value(name)])
    const env = Object.fromEntries(some.filter(([, text]) => typeof text === 'string'))
    attempt(
      { ...(random(3) && { store: random(2) ? store : anyOf(['s3://b', 'supabase://b', 'gs://b', 'postgres://h/d', 'redis://h']) }) },
      env
    )
  }
  assert.ok(refusals > 1000, `${refusals} refusals`)
})

/** The variables that the README and the document on configuration name. */
function documented() {
  const text = ['README.md', 'docs/configuration.md'].map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n')
  return [
    ...text.matchAll(
      /`((?:(?:AWS|GOOGLE|R2|S3|SUPABASE|SESSION|STORAGE|WHATSAPP|NODE|BAILEYS_HYBRID|DATABASE|POSTGRES|REDIS|VALKEY)_[A-Z0-9_]*|PG[A-Z]*)[A-Z0-9])/g
    )
  ].map(([, name]) => name)
}

test('every_variable_that_is_read_is_documented_and_none_is_read_but_from_what_is_given', (t) => {
  const asked = new Set()
  const files = home(t, '', '')
  const look = (env) =>
    new Proxy(
      { ...files, ...env },
      {
        get: (object, name) => (asked.add(name), object[name]),
        getOwnPropertyDescriptor: (object, name) => (asked.add(name), Reflect.getOwnPropertyDescriptor(object, name))
      }
    )
  const identity = { AWS_WEB_IDENTITY_TOKEN_FILE: 'x', AWS_ROLE_ARN: 'x' }
  const databases = ['postgres', 'redis'].flatMap((kind) => [
    [undefined, { SESSION_BACKUP_STORE: kind }],
    [`${kind}://h/1`, {}]
  ])
  const urls = [
    's3://b',
    's3://b?endpoint=https://x.r2.cloudflarestorage.com',
    's3://b?instanceMetadata=true',
    'gs://b',
    'gs://b?instanceMetadata=true'
  ]
  const services = ['s3', 'gcs', 'r2', 'supabase'].map((name) => [undefined, { SESSION_BACKUP_STORE: name, STORAGE_BUCKET: 'b' }])
  const runs = [[undefined, {}], ...services, ...databases, ['s3://b', identity], ['supabase://b', {}], ...urls.map((url) => [url, {}])]
  process.env.SESSION_BACKUP_STORE = 'memory://x'
  t.after(() => delete process.env.SESSION_BACKUP_STORE)
  for (const [store, env] of runs) {
    try {
      assert.notEqual(resolveOptions('tenant', { store, encryptionKeys: KEY }, look(env)).native.store?.kind, 'memory')
    } catch (error) {
      assert.equal(error.code, 'INVALID_OPTION')
    }
  }
  const types = declarations()
  const undocumented = [...asked].filter((name) => !['HOME', 'USERPROFILE'].includes(name) && !documented().includes(name))
  assert.deepEqual(undocumented, [], 'in the README or docs/configuration.md')
  assert.deepEqual(
    [...asked].filter((name) => /^(AWS|GOOGLE|NODE|DATABASE|POSTGRES|REDIS|VALKEY)_|^PG/.test(name) && !types.includes(`\`${name}\``)),
    [],
    'in the declarations'
  )
  assert.ok(asked.size > 30, `${asked.size} asked`)
  assert.equal(
    resolveOptions('tenant', { encryptionKeys: KEY }).native.store.kind,
    'memory',
    'by itself it is that of the process, as it is now'
  )
})
