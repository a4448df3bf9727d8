// Helpers for the tests of the `store` option: how one is resolved, what the core is told of a Postgres and of a Redis, variables.
//
// Invariant: nothing of the environment of this process is read, and a message that repeats a secret (`Zq9`) fails the test.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { KEY } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { resolveOptions } = require('../../lib/config/options.js')

const NOWHERE = { HOME: '/nowhere' }

export const native = (store, env = {}, options = {}) =>
  resolveOptions('tenant', { store, encryptionKeys: KEY, ...options }, { ...NOWHERE, ...env }).native

export const spec = (...args) => native(...args).store

export function refused(what, wrong, ...names) {
  const said = JSON.stringify(what)
  let error
  try {
    assert.fail(`accepted: ${said} gave ${JSON.stringify(wrong())}`)
  } catch (thrown) {
    error = thrown
  }
  assert.equal(error.code, 'INVALID_OPTION', `${said}: ${error.stack}`)
  for (const name of names) assert.ok(error.message.includes(name), `${said}: "${name}" is not in: ${error.message}`)
  assert.ok(!/Zq9/.test(error.message), `${said}: a secret is in: ${error.message}`)
  return error.message
}

export const subsets = (list) => Array.from({ length: 2 ** list.length }, (_, bits) => list.filter((_, i) => bits & (1 << i)))

const NETWORK = { ca: null, allowPublic: false, maxConcurrentRequests: 64 }

export const POSTGRES = {
  kind: 'postgres',
  host: 'db.example',
  port: 5432,
  database: 'app',
  user: 'me',
  password: 'pw',
  sslmode: 'verify-full',
  schema: 'baileys_hybrid_auth',
  prefix: '',
  maxConnections: 4,
  notify: true,
  ...NETWORK
}

export const REDIS = {
  kind: 'redis',
  host: 'cache.example',
  port: 6379,
  db: 0,
  username: null,
  password: null,
  tls: false,
  verify: true,
  prefix: 'bha',
  waitReplicas: 0,
  allowVolatile: false,
  notify: true,
  ...NETWORK
}

export const PG = { PGUSER: 'me', PGPASSWORD: 'pw' }

export const LIBPQ = { PGHOST: 'db.example', PGDATABASE: 'app', ...PG }

export const URL_OF_PG = 'postgres://me:pw@db.example/app'

export const BUCKETS = {
  r2: { R2_ACCOUNT_ID: 'abc', R2_ACCESS_KEY_ID: 'i', R2_SECRET_ACCESS_KEY: 's', R2_BUCKET_NAME: 'b' },
  supabase: { SUPABASE_URL: 'https://ref.supabase.co', SUPABASE_SERVICE_KEY: 'k' }
}
