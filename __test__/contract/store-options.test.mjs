// The `store` option and the variables around it: what the core is told, and what is refused.
//
// Invariant guarded: a store is described in full or refused by the name of what to mend; half of one, or two at once, never
// become a guess. Nothing is opened here: options are resolved, and that is all.

import test from 'node:test'
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { rootCertificates } from 'node:tls'
import { pathToFileURL } from 'node:url'
import { temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { native, refused, spec, subsets } from './databases.mjs'

const HTTP = { ca: null, allowPublic: false, maxConcurrentRequests: 64 }
const AWS = { AWS_ACCESS_KEY_ID: 'an-id', AWS_SECRET_ACCESS_KEY: 'a-secret' }
const S3 = {
  kind: 's3',
  bucket: 'bucket',
  prefix: '',
  region: 'us-east-1',
  endpoint: null,
  virtualHosted: true,
  accessKeyId: 'an-id',
  secretAccessKey: 'a-secret',
  sessionToken: null,
  environment: {},
  instanceMetadata: false,
  ...HTTP
}
const OWN = { accessKeyId: 'i', secretAccessKey: 's', sessionToken: 't' }
const PROJECT = { SUPABASE_URL: 'https://ref.supabase.co', SUPABASE_SERVICE_KEY: 'sb_secret_x' }
const SUPABASE = { kind: 'supabase', url: 'https://ref.supabase.co', key: 'sb_secret_x', bucket: 'bucket', prefix: '', ...HTTP }
const ACCOUNT = { client_email: 'a@b', private_key: 'pem', private_key_id: '1' }
const GOOGLE = { GOOGLE_CREDENTIALS: JSON.stringify(ACCOUNT) }
const GCS = {
  kind: 'gcs',
  bucket: 'bucket',
  prefix: '',
  endpoint: null,
  credentials: JSON.stringify(ACCOUNT),
  credentialsFile: null,
  instanceMetadata: false,
  anonymous: false,
  ...HTTP
}
const R2 = { R2_ACCOUNT_ID: 'abc', R2_ACCESS_KEY_ID: 'an-id', R2_SECRET_ACCESS_KEY: 'a-secret', R2_BUCKET_NAME: 'bucket' }
const OF_R2 = { ...S3, region: 'auto', endpoint: 'https://abc.r2.cloudflarestorage.com', virtualHosted: false }

test('every_kind_is_told_to_the_core_in_full_as_url_and_as_object', () => {
  const cases = [
    ['s3://bucket', S3, AWS],
    [' s3://bucket\n', S3, AWS],
    ['S3://bucket/', S3, AWS],
    [new URL('s3://bucket/a'), { ...S3, prefix: 'a' }, AWS],
    ['s3://bucket/a/b%20%25/', { ...S3, prefix: 'a/b %' }, AWS],
    ['s3://My_Bucket?pathStyle=true', { ...S3, bucket: 'My_Bucket', virtualHosted: false }, AWS],
    [
      's3://bucket?region=eu-west-1&endpoint=https://s3.example:9000/&pathStyle=false',
      { ...S3, region: 'eu-west-1', endpoint: 'https://s3.example:9000' },
      AWS
    ],
    [
      { kind: 's3', bucket: 'bucket', prefix: 'a/b/', region: 'r', endpoint: 'https://h/base/', pathStyle: true, ...OWN },
      { ...S3, prefix: 'a/b', region: 'r', endpoint: 'https://h/base', virtualHosted: false, ...OWN }
    ],
    ['s3://bucket?instanceMetadata=true', { ...S3, accessKeyId: null, secretAccessKey: null, instanceMetadata: true }],
    ['supabase://bucket', SUPABASE, PROJECT],
    ['supabase://bucket/a/b', { ...SUPABASE, prefix: 'a/b' }, PROJECT],
    [{ kind: 'supabase', bucket: 'bucket' }, SUPABASE, PROJECT],
    [
      { kind: 'supabase', url: 'https://own.example', key: 'k', bucket: 'b', prefix: '/p/' },
      { ...SUPABASE, url: 'https://own.example', key: 'k', bucket: 'b', prefix: 'p' },
      PROJECT
    ],
    ['gs://bucket', GCS, GOOGLE],
    ['gs://bucket/a?endpoint=http://127.0.0.1:1', { ...GCS, prefix: 'a', endpoint: 'http://127.0.0.1:1' }, GOOGLE],
    [
      { kind: 'gcs', bucket: 'bucket', prefix: '', credentials: ACCOUNT, endpoint: 'https://e' },
      { ...GCS, endpoint: 'https://e' }
    ],
    [
      { kind: 'gcs', bucket: 'bucket', endpoint: 'http://localhost:1', anonymous: true },
      { ...GCS, credentials: null, endpoint: 'http://localhost:1', anonymous: true }
    ],
    ['file:///a/b', { kind: 'directory', path: resolve('/a/b') }],
    ['file:///a/b?create=true', { kind: 'directory', path: resolve('/a/b'), create: true }],
    ['file:///a/b?create=false', { kind: 'directory', path: resolve('/a/b') }],
    [
      { kind: 'directory', path: '/a/b', create: true },
      { kind: 'directory', path: resolve('/a/b'), create: true }
    ],
    [pathToFileURL(resolve('/a b/#?')), { kind: 'directory', path: resolve('/a b/#?') }],
    [
      { kind: 'directory', path: 'relative' },
      { kind: 'directory', path: resolve('relative') }
    ],
    ['memory://a/b', { kind: 'memory', name: 'a/b' }],
    [
      { kind: 'memory', name: 'a b' },
      { kind: 'memory', name: 'a b' }
    ],
    [null, null, { ...PROJECT, SESSION_BACKUP_STORE: 's3://bucket' }]
  ]
  for (const [store, expected, env] of cases) assert.deepEqual(spec(store, env), expected, String(store?.href ?? JSON.stringify(store)))
  for (const [store, expected, env] of cases.filter(([store]) => typeof store === 'string')) {
    assert.deepEqual(spec(undefined, { ...env, SESSION_BACKUP_STORE: store }), expected, `SESSION_BACKUP_STORE=${store}`)
  }
})

test('bucket_names_and_addresses_are_held_against_the_rules_of_each_store', () => {
  const all = { ...AWS, ...PROJECT, ...GOOGLE }
  const odd = ['a b', 'a%b', 'ä', 'a#', '#', 'a?b', 'a@b', '127.0.0.1:17999#', 'a:b', '"a"', '<a>', '{', '\u202e', 'a'.repeat(300), ' ']
  for (const bucket of odd) {
    for (const kind of ['s3', 'gcs']) {
      for (const more of kind === 's3' ? [{}, { pathStyle: true }, { pathStyle: false, endpoint: 'https://h' }] : [{}]) {
        const said = refused({ kind, bucket, ...more }, () => spec({ kind, bucket, ...more }, all), 'bucket')
        assert.ok(bucket.length < 4 || !said.includes(bucket), said)
      }
    }
  }
  for (const bucket of ['ä', 'a%b', 'a#', '"a"', 'a'.repeat(101)]) refused(bucket, () => spec({ kind: 'supabase', bucket }, all), 'bucket')
  for (const bucket of ['a b', 'a@b', 'a:b', 'a?b']) assert.equal(spec({ kind: 'supabase', bucket }, all).bucket, bucket)
  for (const bucket of ['A', 'a_b', '-a', 'a..b', 'xn--a', 'a-', 'a'.repeat(64)]) {
    refused(bucket, () => spec({ kind: 's3', bucket, pathStyle: false }, all), 'bucket')
  }
  for (const endpoint of ['http://127.0.0.1:17480', 'http://1.2.3', 'http://[::1]:9', 'https://0x7f000001']) {
    refused(endpoint, () => spec({ kind: 's3', bucket: 'b', pathStyle: false, endpoint }, all), 'pathStyle')
    assert.equal(spec({ kind: 's3', bucket: 'b', endpoint }, all).virtualHosted, false)
  }
})

test('urls_that_are_no_store_are_refused_wherever_they_stand', () => {
  const wrong = [
    ['bucket'],
    ['/a/b'],
    ['C:\\bucket', 's3://bucket'],
    ['ftp://bucket', 'ftp'],
    ['https://host/bucket', 'https', 'endpoint'],
    ['gcs://bucket', 'gs://'],
    ['s3:bucket', 'slashes'],
    ['s3:///a', 'bucket', 'empty'],
    ['s3://', 'bucket'],
    ['s3://..', 'bucket'],
    ['s3://a%2Fb', 'bucket', 'slashes'],
    ['s3://a%5Cb', 'slashes'],
    ['s3://a%00', 'control'],
    ['s3://bucket:9000', 'port', 'endpoint'],
    ['s3://bucket#x', '#'],
    ['s3://bucket/%zz', '%25'],
    ['s3://%ff', '%25'],
    ['s3://bucket//a', 'empty'],
    ['s3://bucket/a//b', 'empty'],
    ['s3://bucket/a//', 'empty'],
    ['s3://bucket/../b', '..'],
    ['s3://bucket/a/..', '..'],
    ['s3://bucket/%2e%2e/a', '..'],
    ['s3://bucket/./a', '.'],
    ['s3://bucket/a%2Fb', 'slashes'],
    ['s3://bucket/a%0Ab', 'control'],
    ['s3://bucket/a\\b', 'slashes'],
    ['s3://bucket?endpont=https://h', 'endpont', 'endpoint'],
    ['s3://bucket?region=a&region=b', 'region', 'twice'],
    ['s3://bucket?pathStyle=yes', 'pathStyle', 'true or false'],
    ['s3://bucket?region=', 'region'],
    ['s3://bucket?region=a/b', 'region'],
    ['s3://bucket?endpoint=host:9000', 'endpoint', 'https://'],
    ['s3://bucket?endpoint=host', 'endpoint'],
    ['s3://bucket?endpoint=https://h?x', 'endpoint'],
    ['s3://bucket?endpoint=', 'endpoint'],
    ['s3://bucket?accessKeyId=x', 'credentials', 'AWS_ACCESS_KEY_ID'],
    ['s3://user@bucket', 'credentials'],
    ['s3://user:word@bucket', 'credentials', 'accessKeyId', 'AWS_SECRET_ACCESS_KEY'],
    ['s3://bucket?endpoint=https://user:word@h', 'credentials', 'endpoint'],
    ['supabase://key@bucket', 'credentials', 'SUPABASE_SERVICE_KEY'],
    ['supabase://bucket?key=x', 'credentials', 'SUPABASE_SERVICE_KEY'],
    ['supabase://bucket?region=x', 'region', 'none'],
    ['supabase://bucket/a~b', 'character'],
    ['supabase://bucket/%C3%A4', 'character'],
    ['gs://user:word@bucket', 'credentials', 'GOOGLE_APPLICATION_CREDENTIALS'],
    ['gs://bucket?region=x', 'region'],
    ['file:///a?token=x', 'credentials'],
    ['file:///a?x=y', 'x'],
    ['file:///a?create=yes', 'create'],
    ['file:///a#b', '#'],
    ['file://host/share', 'three slashes'],
    ['memory://user:word@name', 'credentials'],
    ['memory://'],
    ['memory://name?x=y', 'x']
  ]
  const all = { ...AWS, ...PROJECT, ...GOOGLE }
  for (const [store, ...names] of wrong) {
    refused(store, () => spec(store, all), 'store', ...names)
    refused(store, () => spec(undefined, { ...all, SESSION_BACKUP_STORE: store }), 'SESSION_BACKUP_STORE', ...names)
  }
})

test('objects_that_are_no_store_are_refused_by_the_name_of_the_field', () => {
  const base = { s3: { bucket: 'b' }, supabase: { bucket: 'b' }, gcs: { bucket: 'b' }, directory: { path: '/a' }, memory: { name: 'a' } }
  const notText = [7, null, {}, [], true]
  const wrong = [
    ...[7, true, [], ['s3://bucket'], new Map(), () => 's3://bucket', Symbol('s3')].map((store) => [store]),
    ...[undefined, null, 'azure', 'S3', 'gs', 'r2', 'toString', ['s3'], 7].map((kind) => [{ kind, bucket: 'b' }, 'kind', 'supabase']),
    ...Object.entries(base).map(([kind, fields]) => [{ kind, ...fields, regoin: 'x' }, 'regoin', kind]),
    ...['s3', 'supabase', 'gcs'].flatMap((kind) => [
      ...[undefined, '', '.', '..', 'a/b', 'a\\b', 'a\0', 'a\nb', '\ud800', ...notText].map((bucket) => [{ kind, bucket }, 'bucket']),
      ...['//', 'a//b', '//a', 'a//', '..', 'a/../b', './a', 'a\\b', 'a\n', ...notText].map((prefix) => [
        { kind, bucket: 'b', prefix },
        'prefix'
      ])
    ]),
    ...['', 'a\0b', undefined, ...notText].flatMap((value) => [
      [{ kind: 'directory', path: value }, 'path'],
      [{ kind: 'memory', name: value }, 'name']
    ]),
    ...['', 'a/b', 'a b', ...notText].map((region) => [{ kind: 's3', bucket: 'b', region }, 'region']),
    ...['', 'h', 'h:1', 'ftp://h', 'https://', 'https://h#', 'https://h/?a', ...notText].flatMap((endpoint) =>
      ['s3', 'gcs'].map((kind) => [{ kind, bucket: 'b', endpoint }, 'endpoint'])
    ),
    ...['true', 1, null, ''].flatMap((flag) => [
      [{ kind: 's3', bucket: 'b', pathStyle: flag }, 'pathStyle'],
      [{ kind: 's3', bucket: 'b', instanceMetadata: flag }, 'instanceMetadata'],
      [{ kind: 'gcs', bucket: 'b', instanceMetadata: flag }, 'instanceMetadata'],
      [{ kind: 'gcs', bucket: 'b', anonymous: flag }, 'anonymous'],
      [{ kind: 'supabase', bucket: 'b', allowAnonKey: flag }, 'allowAnonKey']
    ]),
    [{ kind: 'gcs', bucket: 'b', anonymous: true }, 'anonymous', 'endpoint'],
    [{ kind: 'gcs', bucket: 'b', anonymous: true, endpoint: 'https://e', credentials: ACCOUNT }, 'anonymous', 'credentials']
  ]
  for (const [store, ...names] of wrong) refused(store ?? null, () => spec(store, { ...AWS, ...PROJECT, ...GOOGLE }), 'store', ...names)
  assert.deepEqual(
    spec({ kind: 's3', bucket: 'bucket', region: undefined, endpoint: undefined, pathStyle: undefined, accessKeyId: undefined }, AWS),
    S3
  )
})

test('region_endpoint_and_addressing_follow_option_variable_and_server', () => {
  const regions = [
    [{}, undefined],
    [{ AWS_DEFAULT_REGION: 'default-1' }, 'default-1'],
    [{ AWS_DEFAULT_REGION: 'default-1', AWS_REGION: 'own-1' }, 'own-1']
  ]
  const endpoints = [
    [{}, null],
    [{ AWS_ENDPOINT_URL: 'https://any' }, 'https://any'],
    [{ AWS_ENDPOINT_URL: 'https://any', AWS_ENDPOINT_URL_S3: 'https://own/' }, 'https://own']
  ]
  const hosts = [undefined, 'https://minio.example:9000', 'https://abc.eu.r2.cloudflarestorage.com']
  for (const [named, region] of regions) {
    for (const [reached, endpoint] of endpoints) {
      for (const host of hosts) {
        for (const asked of [undefined, 'asked-1']) {
          for (const pathStyle of [undefined, true, false]) {
            for (const bucket of ['bucket', 'dotted.bucket']) {
              const found = spec({ kind: 's3', bucket, region: asked, endpoint: host, pathStyle }, { ...AWS, ...named, ...reached })
              const where = host ?? endpoint
              const isR2 = where?.includes('r2.cloudflarestorage.com')
              assert.equal(found.endpoint, where)
              assert.equal(found.region, asked ?? (isR2 ? 'auto' : (region ?? 'us-east-1')))
              assert.equal(found.virtualHosted, !(pathStyle ?? (where !== null || bucket.includes('.'))))
            }
          }
        }
      }
    }
  }
  assert.deepEqual(spec('s3://bucket?endpoint=https://abc.r2.cloudflarestorage.com/bucket', AWS), OF_R2)
  refused('another bucket', () => spec('s3://bucket?endpoint=https://abc.r2.cloudflarestorage.com/other', AWS), 'endpoint')
  for (const name of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3']) refused(name, () => spec('s3://bucket', { ...AWS, [name]: 'h:1' }), name)
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) refused(name, () => spec('s3://bucket', { ...AWS, [name]: 'a/b' }), name)
})

test('variables_of_services_make_one_whole_store_or_none_or_are_refused', () => {
  const more = {
    SUPABASE_SERVICE_ROLE_KEY: 'role-key',
    SUPABASE_BUCKET: 'of-supabase',
    STORAGE_BUCKET: 'shared',
    R2_ENDPOINT: 'https://own.example'
  }
  const values = { ...PROJECT, ...R2, ...more }
  let [made, none, halves, doubles] = [0, 0, 0, 0]
  for (const names of subsets(Object.keys(values))) {
    const env = Object.fromEntries(names.map((name) => [name, values[name]]))
    const has = (...some) => some.some((name) => name in env)
    const bucketOfR2 = env.R2_BUCKET_NAME ?? env.STORAGE_BUCKET
    const services = {
      supabase: {
        isMeant: has('SUPABASE_URL', 'SUPABASE_SERVICE_KEY', 'SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_BUCKET'),
        missing: [['SUPABASE_URL'], ['SUPABASE_SERVICE_KEY', 'SUPABASE_SERVICE_ROLE_KEY']].filter((names) => !has(...names)).flat(),
        spec: {
          ...SUPABASE,
          key: env.SUPABASE_SERVICE_KEY ?? 'role-key',
          bucket: env.SUPABASE_BUCKET ?? env.STORAGE_BUCKET ?? 'whatsapp-sessions'
        }
      },
      r2: {
        isMeant: has('R2_ACCOUNT_ID', 'R2_ENDPOINT', 'R2_ACCESS_KEY_ID', 'R2_SECRET_ACCESS_KEY', 'R2_BUCKET_NAME'),
        missing: [['R2_ACCOUNT_ID', 'R2_ENDPOINT'], ['R2_ACCESS_KEY_ID'], ['R2_SECRET_ACCESS_KEY'], ['R2_BUCKET_NAME', 'STORAGE_BUCKET']]
          .filter((names) => !has(...names))
          .flat(),
        spec: { ...OF_R2, bucket: bucketOfR2, endpoint: env.R2_ENDPOINT ?? OF_R2.endpoint }
      }
    }
    for (const wanted of [undefined, 'supabase', 'r2']) {
      // Variables of AWS are everywhere: they neither make a store, nor change one that others make.
      const all = {
        ...env,
        ...AWS,
        AWS_REGION: 'eu-west-1',
        AWS_ENDPOINT_URL: 'https://elsewhere',
        ...(wanted && { SESSION_BACKUP_STORE: wanted })
      }
      const meant = wanted ? [services[wanted]] : Object.values(services).filter(({ isMeant }) => isMeant)
      const full = meant.filter((service) => service.missing.length === 0)
      const half = full.length === 0 && meant[0]
      if (half) {
        refused(all, () => spec(undefined, all), ...half.missing)
        halves++
      } else if (full.length === 2) {
        refused(all, () => spec(undefined, all), 'SUPABASE_URL', 'R2_ACCESS_KEY_ID', 'SESSION_BACKUP_STORE')
        doubles++
      } else {
        assert.deepEqual(spec(undefined, all), full[0]?.spec ?? null, JSON.stringify(all))
        meant.length === 0 ? none++ : made++
        const insisting = { ...all, SESSION_BACKUP_ENABLED: 'true' }
        if (meant.length === 0) refused(insisting, () => spec(undefined, insisting), 'SESSION_BACKUP_ENABLED', 'SESSION_BACKUP_STORE')
        else assert.deepEqual(spec(undefined, insisting), full[0].spec)
      }
      for (const off of ['false', '0', 'no', 'off', ' FALSE ']) assert.equal(spec(undefined, { ...all, SESSION_BACKUP_ENABLED: off }), null)
      assert.equal(spec(undefined, all, { mode: 'local' }), null)
      assert.equal(spec(undefined, { ...all, SESSION_STORAGE_TYPE: 'local', SESSION_BACKUP_ENABLED: 'true' }), null)
      assert.deepEqual(spec('memory://x', { ...all, SESSION_BACKUP_ENABLED: 'false' }), { kind: 'memory', name: 'x' })
    }
  }
  assert.ok(made > 100 && none > 1 && halves > 1000 && doubles > 10, `${made} ${none} ${halves} ${doubles}`)
})

test('the_switches_around_a_store_take_what_they_know_and_refuse_the_rest', () => {
  for (const word of ['maybe', '2', 'enabled', ' '])
    refused(word, () => spec(undefined, { SESSION_BACKUP_ENABLED: word }), 'SESSION_BACKUP_ENABLED')
  for (const type of ['CLOUD', 's3', 'r2', 'supabase', 'gcs', 'LOCAL']) {
    refused(
      type,
      () => spec(undefined, { ...PROJECT, SESSION_STORAGE_TYPE: type }),
      'SESSION_STORAGE_TYPE',
      'local, hybrid',
      'SESSION_BACKUP_STORE'
    )
  }
  refused('hybrid', () => spec(undefined, { SESSION_STORAGE_TYPE: 'hybrid' }), 'SESSION_STORAGE_TYPE', 'SESSION_BACKUP_STORE')
  refused(
    'hybrid',
    () => spec(undefined, { ...PROJECT, SESSION_STORAGE_TYPE: 'hybrid', SESSION_BACKUP_ENABLED: 'no' }),
    'SESSION_BACKUP_ENABLED'
  )
  assert.deepEqual(spec(undefined, { ...PROJECT, SUPABASE_BUCKET: 'bucket', SESSION_STORAGE_TYPE: 'hybrid' }), SUPABASE)
  assert.deepEqual(spec(undefined, { ...PROJECT, SUPABASE_BUCKET: 'bucket', SESSION_STORAGE_TYPE: 'cloud' }), SUPABASE)
  refused('cloud', () => spec(undefined, { SESSION_STORAGE_TYPE: 'cloud' }), 'SESSION_STORAGE_TYPE', 'SESSION_BACKUP_STORE')
  refused('no keys', () => spec(undefined, PROJECT, { encryptionKeys: undefined }), 'SUPABASE_URL', 'encryptionKeys')
  refused('in local mode', () => spec('s3://', {}, { mode: 'local' }), 'store')
  assert.equal(spec('s3://bucket', {}, { mode: 'local' }), null)
  refused('R2_ACCOUNT_ID', () => spec(undefined, { ...R2, R2_ACCOUNT_ID: 'a.b' }), 'R2_ACCOUNT_ID')
  refused('R2_ENDPOINT', () => spec(undefined, { ...R2, R2_ENDPOINT: 'abc.r2.cloudflarestorage.com' }), 'R2_ENDPOINT')
  const empty = Object.keys({ ...R2, ...PROJECT, SESSION_BACKUP_STORE: '', SESSION_BACKUP_ENABLED: '' }).map((name) => [name, ''])
  assert.equal(spec(undefined, Object.fromEntries(empty)), null)

  const interval = (env, store = 'memory://x') => native(store, env).flushIntervalMs
  for (const value of ['1000', '300000', '3600000']) assert.equal(interval({ SESSION_BACKUP_INTERVAL: value }), Number(value))
  for (const value of ['0', '1', '300', '999', '3600001', '5m', '-1', '1e3']) {
    refused(value, () => interval({ SESSION_BACKUP_INTERVAL: value }), 'SESSION_BACKUP_INTERVAL', 'milliseconds')
  }
  assert.equal(interval({ SESSION_BACKUP_INTERVAL: '0' }, null), 1000)
  assert.equal(interval({ SESSION_BACKUP_INTERVAL: '5000', SESSION_BACKUP_INTERVAL_MS: '10' }), 10)
})

test('requests_public_buckets_and_authorities_reach_every_store_behind_http_and_no_other', (t) => {
  const folder = temporaryFolder(t)
  const file = (name, text) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const [one, two, three] = rootCertificates
  const pem = (...texts) => texts.map((text) => `${text.trim()}\n`).join('')
  const secret = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'
  const own = file('own.pem', `a comment\r\n${one}\n${secret}${two}`)
  const [node, aws, empty] = [file('node.pem', two), file('aws.pem', three), file('empty.pem', secret)]
  for (const [store, env] of [
    ['s3://bucket', AWS],
    ['supabase://bucket', PROJECT],
    ['gs://bucket', GOOGLE]
  ]) {
    const ca = (variables, options) => spec(store, { ...env, ...variables }, options).ca
    assert.equal(ca({}), null)
    assert.equal(ca({}, { caCertificate: own }), pem(one, two))
    assert.equal(ca({ NODE_EXTRA_CA_CERTS: node, AWS_CA_BUNDLE: aws }, { caCertificate: one }), pem(one))
    assert.equal(ca({ NODE_EXTRA_CA_CERTS: node }), pem(two))
    assert.equal(ca({ NODE_EXTRA_CA_CERTS: node, AWS_CA_BUNDLE: aws }), store === 's3://bucket' ? pem(three) : pem(two))
    for (const wrong of [empty, join(folder, 'missing.pem'), folder]) {
      refused(wrong, () => ca({}, { caCertificate: wrong }), 'caCertificate')
      refused(wrong, () => ca({ NODE_EXTRA_CA_CERTS: wrong }), 'NODE_EXTRA_CA_CERTS')
      if (store === 's3://bucket') refused(wrong, () => ca({ AWS_CA_BUNDLE: wrong }), 'AWS_CA_BUNDLE')
    }
    for (const allowPublic of [true, false]) assert.equal(spec(store, env, { allowPublicBucket: allowPublic }).allowPublic, allowPublic)
    for (const [given, count] of [
      [1, 1],
      [1024, 1024]
    ])
      assert.equal(spec(store, env, { maxConcurrentRequests: given }).maxConcurrentRequests, count)
  }
  for (const store of ['memory://x', 'file:///a', null]) {
    const told = spec(store, { NODE_EXTRA_CA_CERTS: empty, AWS_CA_BUNDLE: empty }, { allowPublicBucket: true, maxConcurrentRequests: 7 })
    assert.equal(Object.keys(told ?? {}).length, store === null ? 0 : 2)
    refused(store, () => spec(store, {}, { caCertificate: empty }), 'caCertificate')
  }
})

test('an_http_address_of_another_machine_is_told_to_the_logger_once', () => {
  const stores = (address) => [
    [`s3://b?endpoint=${address}`, { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' }, 'endpoint'],
    ['s3://b', { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_ENDPOINT_URL: address }, 'AWS_ENDPOINT_URL'],
    [{ kind: 'gcs', bucket: 'b', endpoint: address, anonymous: true }, {}, 'store.endpoint'],
    [{ kind: 'supabase', url: address, key: 'k', bucket: 'b' }, {}, 'store.url']
  ]
  const hear = (store, env) => {
    const heard = []
    const logger = { warn: (details, message) => heard.push(message) }
    for (let tenant = 0; tenant < 3; tenant++) spec(store, env, { logger })
    spec(store, env)
    return heard
  }
  for (const address of [
    'http://minio:9000',
    'http://10.0.0.1',
    'http://[fd00::1]:1',
    'http://127.example.com',
    'http://localhost.example.com'
  ]) {
    for (const [store, env, from] of stores(address)) {
      const heard = hear(store, env)
      assert.equal(heard.length, 1, address)
      assert.ok(heard[0].includes(from) && heard[0].includes('http:'), heard[0])
    }
  }
  for (const address of [
    'https://minio:9000',
    'http://localhost:1',
    'http://a.localhost',
    'http://127.0.0.1:9000',
    'http://127.9.8.7',
    'http://[::1]:1'
  ]) {
    for (const [store, env] of stores(address)) assert.deepEqual(hear(store, env), [], address)
  }
})
