// Options, store URLs and variables under seeded mutation: each combination is resolved or refused, and nothing else happens.
//
// Invariant guarded: whatever is configured, the only thing ever thrown is a HybridAuthError with INVALID_OPTION, its message holds
// no credential, and no prototype is changed. `SEED=<n> node --test __test__/contract/options-fuzz.test.mjs` replays a run.

import test from 'node:test'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { random, runSeed } from '../values/arbitrary.mjs'

const require = createRequire(import.meta.url)
const { resolveOptions } = require('../../lib/config/options.js')
const { HybridAuthError } = require('../../lib/errors.js')

const ROUNDS = 4000
const SECRET = 'hush-8d21f0'
const URLS = [
  's3://bucket/folder?region=eu-central-1&endpoint=https://s3.example:9000&pathStyle=true',
  'gs://bucket/a/b?endpoint=http://127.0.0.1:1',
  'supabase://bucket/prefix',
  'postgres://db.example:6543/app/prefix?sslmode=require&maxConnections=2',
  'rediss://cache.example/2?waitReplicas=1',
  'file:///srv/bucket',
  'memory://name',
  's3://',
  'https://example.com/bucket',
  's3:bucket',
  ''
]
const PIECES = [
  '%',
  '%2f',
  '%00',
  '..',
  '/',
  '//',
  '?',
  '#',
  '@',
  ':',
  ' ',
  '\n',
  '\0',
  'ä',
  '\ud800',
  '[::1]',
  '127.0.0.1:17999#',
  '&',
  '=',
  '__proto__',
  'constructor',
  '\ufeff',
  'x'.repeat(300),
  '$(id)',
  '"',
  "'",
  '\\',
  'https://',
  SECRET
]
const ODD = [
  undefined,
  null,
  NaN,
  Infinity,
  -1,
  0,
  1.5,
  '5000',
  '',
  true,
  false,
  [],
  {},
  Symbol('s'),
  () => 1,
  10n,
  new Date(0),
  Object.create(null),
  JSON.parse('{"__proto__":{"polluted":true}}')
]
const OPTIONS = [
  'directory',
  'mode',
  'encryptionKeys',
  'encryption',
  'flushIntervalMs',
  'localDurability',
  'ownershipCheckIntervalMs',
  'handoverTimeoutMs',
  'refreshIntervalMs',
  'onMissing',
  'onLeaseLost',
  'hideTenantIds',
  'takeover',
  'fresh',
  'importFrom',
  'seedFromDisk',
  'logger',
  'baileys',
  'initAuthCreds',
  'caCertificate',
  'maxConcurrentRequests',
  'allowPublicBucket',
  'acceptUnencrypted',
  'importFrom',
  'misspelt',
  '__proto__',
  'constructor',
  'toString'
]
const FIELDS = [
  'kind',
  'bucket',
  'prefix',
  'region',
  'endpoint',
  'pathStyle',
  'accessKeyId',
  'secretAccessKey',
  'sessionToken',
  'url',
  'key',
  'path',
  'name',
  'credentials',
  'instanceMetadata',
  'connectionString',
  'host',
  'port',
  'database',
  'user',
  'password',
  'sslmode',
  'schema',
  'notify',
  'db',
  'tls',
  'waitReplicas',
  '__proto__',
  'constructor'
]
const VARIABLES = [
  'SESSION_BACKUP_STORE',
  'SESSION_BACKUP_ENABLED',
  'SUPABASE_URL',
  'SUPABASE_SERVICE_KEY',
  'SUPABASE_BUCKET',
  'R2_ACCOUNT_ID',
  'R2_ACCESS_KEY_ID',
  'R2_SECRET_ACCESS_KEY',
  'R2_BUCKET_NAME',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_ENDPOINT_URL',
  'SESSION_ENCRYPTION_KEY',
  'BAILEYS_HYBRID_AUTH_STORE',
  'SESSION_BACKUP_INTERVAL_MS',
  'DATABASE_URL',
  'PGHOST',
  'PGUSER',
  'PGPASSWORD',
  'PGSSLMODE',
  'REDIS_URL',
  'REDIS_HOST',
  'REDIS_PASSWORD'
]

/** The text with up to three pieces put in or cut out; often as it was, so that many configurations are good ones. */
function mutated(rng, text) {
  let out = text
  if (rng.below(2) === 0) return out
  for (let n = rng.below(3); n >= 0; n--) {
    const at = rng.below(out.length + 1)
    const cut = rng.below(4)
    out = out.slice(0, at) + (rng.below(4) === 0 ? '' : rng.pick(PIECES)) + out.slice(at + cut)
  }
  return out
}

const value = (rng) => (rng.below(2) === 0 ? rng.pick(ODD) : mutated(rng, rng.pick(URLS)))

/** An object with own fields of these names, `__proto__` among them. */
const objectOf = (rng, names, count) => Object.fromEntries(Array.from({ length: count }, () => [rng.pick(names), value(rng)]))

function configuration(rng) {
  const options = objectOf(rng, OPTIONS, rng.pick([0, 0, 1, 3]))
  if (rng.below(4) > 0) options.encryptionKeys = 'ab'.repeat(32)
  const store = rng.pick([
    () => mutated(rng, rng.pick(URLS)),
    () => ({
      kind: 'postgres',
      connectionString: mutated(rng, `postgres://u:${SECRET}@h:1/d?sslmode=require`),
      ...objectOf(rng, FIELDS, rng.pick([0, 1]))
    }),
    () => ({ kind: 'redis', url: mutated(rng, `rediss://u:${SECRET}@h:1/2`), ...objectOf(rng, FIELDS, rng.pick([0, 1])) }),
    () => ({
      kind: rng.pick(['s3', 'gcs', 'supabase', 'directory', 'memory', 'ftp']),
      bucket: 'bucket',
      accessKeyId: 'id',
      secretAccessKey: SECRET,
      ...objectOf(rng, FIELDS, rng.pick([0, 1, 3]))
    }),
    () => rng.pick(ODD),
    () => undefined
  ])()
  if (store !== undefined) options.store = store
  const env = { HOME: '/nowhere' }
  for (let n = rng.pick([0, 0, 0, 1, 2]); n > 0; n--) env[rng.pick(VARIABLES)] = mutated(rng, rng.pick([...URLS, SECRET]))
  return [rng.pick(['tenant', 'tenant', 'tenant', '', 'x'.repeat(600), '../up', '\0', undefined, null, 7, {}]), options, env]
}

test('every_configuration_is_resolved_or_refused_with_a_code_and_without_its_secrets', () => {
  const seed = runSeed('options')
  const rng = random(seed)
  const clean = Object.getOwnPropertyNames(Object.prototype)
  let resolved = 0
  for (let round = 0; round < ROUNDS; round++) {
    const given = configuration(rng)
    const said = () => `SEED=${seed}, round ${round}: ${String(given[0])}`
    try {
      resolveOptions(...given)
      resolved++
    } catch (error) {
      assert.ok(error instanceof HybridAuthError, `${said()}: ${error.stack}`)
      assert.equal(error.code, 'INVALID_OPTION', `${said()}: ${error.stack}`)
      assert.ok(!error.message.includes(SECRET), `${said()}: the message holds a credential: ${error.message}`)
    }
    assert.deepEqual(Object.getOwnPropertyNames(Object.prototype), clean, said())
    assert.equal({}.polluted, undefined, said())
  }
  assert.ok(resolved > ROUNDS / 50 && resolved < ROUNDS, `${resolved} of ${ROUNDS} were accepted: neither side was tried`)
})
