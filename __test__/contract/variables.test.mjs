// All rules by which variables choose a store, as one table.
//
// Invariant guarded: no two full sets of variables ever make a store silently, whichever they are; an explicit store goes before
// all of them; variables that are there for something else make none.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { KEY, hybrid } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { resolveOptions } = require('../../lib/config/options.js')

/** A full set of variables of each service, the variables by which a message names it, and its bucket. */
const SETS = {
  supabase: {
    env: { SUPABASE_URL: 'https://ref.supabase.co', SUPABASE_SERVICE_KEY: 'k', SUPABASE_BUCKET: 'of-supabase' },
    names: ['SUPABASE_URL'],
    kind: 'supabase'
  },
  r2: {
    env: { R2_ACCOUNT_ID: 'abc', R2_ACCESS_KEY_ID: 'i', R2_SECRET_ACCESS_KEY: 's', R2_BUCKET_NAME: 'of-r2' },
    names: ['R2_BUCKET_NAME'],
    kind: 's3'
  },
  s3: {
    env: { S3_BUCKET: 'of-s3', S3_ACCESS_KEY_ID: 'i', S3_SECRET_ACCESS_KEY: 's' },
    names: ['S3_BUCKET'],
    kind: 's3',
    onlyIfAsked: true
  },
  gcs: {
    env: { STORAGE_BUCKET: 'of-gcs', GOOGLE_CREDENTIALS: '{"client_email":"a","private_key":"b","private_key_id":"c"}' },
    names: ['STORAGE_BUCKET', 'GOOGLE_CREDENTIALS'],
    kind: 'gcs',
    onlyIfAsked: true
  }
}
const AWS = { AWS_ACCESS_KEY_ID: 'i', AWS_SECRET_ACCESS_KEY: 's', AWS_REGION: 'r', AWS_ENDPOINT_URL: 'https://aws.example' }
const ASKING = [{ SESSION_BACKUP_ENABLED: 'true' }, { SESSION_STORAGE_TYPE: 'hybrid' }, { BAILEYS_HYBRID_AUTH_MODE: 'cloud' }]

/** Outcome of variables: the store as `kind bucket`, or null; or the message of the refusal; and the warnings. */
function outcome(env, options = {}) {
  const all = [
    { encryptionKeys: KEY, ...options },
    { HOME: '/nowhere', ...env }
  ]
  const { problems, warnings } = hybrid.describeConfig(...all)
  try {
    const { store } = resolveOptions('tenant', ...all).native
    return { store: store && `${store.kind} ${store.bucket ?? store.path ?? store.name}`, warnings }
  } catch (error) {
    assert.equal(error.code, 'INVALID_OPTION', error.stack)
    assert.deepEqual(problems, [error.message], 'an open and a description say the same')
    return { refused: error.message, warnings }
  }
}
const storeOf = (service) => `${SETS[service].kind} of-${service}`
const names = Object.keys(SETS)
const subsets = names.reduce((sets, name) => [...sets, ...sets.map((set) => [...set, name])], [[]])

test('two stores at once are refused in every pair, and more in every number, by the names of all and with both remedies', () => {
  for (const services of subsets) {
    for (const asking of [{}, ...ASKING]) {
      const env = Object.assign({}, AWS, ...services.map((service) => SETS[service].env), asking)
      const { store, refused } = outcome(env)
      const what = JSON.stringify([services, asking])
      const isWanted = Object.keys(asking).length > 0 || services.some((service) => !SETS[service].onlyIfAsked)
      if (services.length === 0) assert.ok(isWanted ? refused : store === null, what)
      else if (!isWanted) assert.equal(store, null, `${what}: nobody asks for a store`)
      else if (services.length === 1) assert.equal(store, storeOf(services[0]), what)
      else {
        for (const word of ['SESSION_BACKUP_STORE', 'remove', ...services, ...services.flatMap((service) => SETS[service].names)])
          assert.ok(refused?.includes(word), `${what}: ${word} is not in: ${refused}`)
      }
    }
  }
})

test('a store that is named goes before every set of variables, and the option before all', () => {
  const everything = Object.assign({}, AWS, ...names.map((service) => SETS[service].env))
  for (const asking of [{}, ...ASKING]) {
    for (const variable of ['SESSION_BACKUP_STORE', 'BAILEYS_HYBRID_AUTH_STORE']) {
      for (const service of names)
        assert.deepEqual(outcome({ ...everything, ...asking, [variable]: service }), { store: storeOf(service), warnings: [] })
      assert.deepEqual(outcome({ ...everything, ...asking, [variable]: 'memory://named' }), { store: 'memory named', warnings: [] })
    }
    assert.deepEqual(
      outcome({ ...everything, ...asking, BAILEYS_HYBRID_AUTH_STORE: 'memory://own', SESSION_BACKUP_STORE: 'memory://other' }).store,
      'memory own'
    )
    assert.deepEqual(outcome({ ...everything, ...asking }, { store: 'memory://option' }), { store: 'memory option', warnings: [] })
  }
  assert.deepEqual(outcome(everything, { store: null }), { store: null, warnings: [] })
})

test('the table of single rules', () => {
  const { supabase, r2, s3, gcs } = Object.fromEntries(names.map((name) => [name, SETS[name].env]))
  const own = { BAILEYS_HYBRID_AUTH_STORE: 'memory://own' }
  const off = { SESSION_BACKUP_ENABLED: 'false' }
  const local = { SESSION_STORAGE_TYPE: 'local' }
  const without = (env, ...gone) => Object.fromEntries(Object.entries(env).filter(([name]) => !gone.includes(name)))
  const halfSupabase = without(supabase, 'SUPABASE_SERVICE_KEY')
  const none = 'no store is configured'
  for (const [env, expected, ...warned] of [
    // What others put there makes no store.
    [AWS, null, none],
    [{ ...AWS, AWS_PROFILE: 'p' }, null, none],
    [{ GOOGLE_CREDENTIALS: '{}' }, null, none],
    [{ STORAGE_BUCKET: 'b' }, null, none],
    [s3, null, 'S3_BUCKET takes effect with SESSION_BACKUP_STORE=s3'],
    [gcs, null, 'STORAGE_BUCKET takes effect with SESSION_BACKUP_STORE=gcs'],
    // Half of a set alone is a slip.
    [halfSupabase, /SUPABASE_SERVICE_KEY \(or SUPABASE_SERVICE_ROLE_KEY\) is not.*SESSION_BACKUP_ENABLED=false/],
    [without(r2, 'R2_SECRET_ACCESS_KEY'), /R2_SECRET_ACCESS_KEY is not/],
    [{ ...halfSupabase, ...without(r2, 'R2_BUCKET_NAME') }, /SUPABASE_SERVICE_KEY/],
    [{ ...halfSupabase, ...s3 }, /SUPABASE_SERVICE_KEY/],
    [{ ...s3, S3_SECRET_ACCESS_KEY: '', ...ASKING[0] }, /S3_SECRET_ACCESS_KEY/],
    // Half of one beside a full one is for something else, and is told.
    [{ ...halfSupabase, ...r2 }, storeOf('r2'), 'SUPABASE_URL and SUPABASE_BUCKET are set.*this incomplete store is ignored, r2 is used'],
    [{ ...halfSupabase, SUPABASE_ANON_KEY: 'a', ...r2 }, storeOf('r2'), 'SUPABASE_ANON_KEY is a public key'],
    [{ ...halfSupabase, ...s3, ...ASKING[0] }, storeOf('s3'), 's3 is used'],
    [{ ...supabase, R2_ACCOUNT_ID: 'abc' }, storeOf('supabase'), 'R2_ACCOUNT_ID is set.*supabase is used'],
    // A bucket of S3 that nobody could sign for, and one of the shared name, are no second store.
    [{ ...supabase, S3_BUCKET: 'pictures' }, storeOf('supabase')],
    [{ ...supabase, S3_BUCKET: 'pictures', S3_ACCESS_KEY_ID: 'i', ...AWS, ...ASKING[0] }, storeOf('supabase')],
    [{ ...supabase, ...AWS, ...ASKING[1] }, storeOf('supabase')],
    [{ ...without(supabase, 'SUPABASE_BUCKET'), STORAGE_BUCKET: 'shared' }, 'supabase shared'],
    // A bucket of S3 with any of the credentials of AWS is.
    ...[
      AWS,
      { AWS_PROFILE: 'p' },
      { AWS_WEB_IDENTITY_TOKEN_FILE: 'f', AWS_ROLE_ARN: 'a' },
      { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/x' }
    ].map((signing) => [{ ...supabase, S3_BUCKET: 'pictures', ...signing }, /two stores.*S3_BUCKET/]),
    // Forbidden, and local.
    [{ ...supabase, ...r2, ...off }, null],
    [{ ...supabase, ...r2, ...local }, null],
    [{ ...halfSupabase, ...local }, null],
    [{ ...supabase, ...own, ...off }, null, 'BAILEYS_HYBRID_AUTH_STORE is not used: SESSION_BACKUP_ENABLED'],
    [{ ...own, ...local }, null, 'BAILEYS_HYBRID_AUTH_STORE is not used: SESSION_STORAGE_TYPE is local'],
    [{ ...own, BAILEYS_HYBRID_AUTH_MODE: 'local' }, null, 'BAILEYS_HYBRID_AUTH_STORE is not used: BAILEYS_HYBRID_AUTH_MODE is local'],
    [{ SESSION_BACKUP_STORE: 'memory://theirs', ...off }, null],
    // Empty is unset, everywhere.
    [
      {
        ...supabase,
        R2_ACCOUNT_ID: '',
        R2_ACCESS_KEY_ID: '',
        SESSION_BACKUP_ENABLED: '',
        BAILEYS_HYBRID_AUTH_STORE: '',
        SESSION_BACKUP_STORE: '',
        SESSION_STORAGE_TYPE: ''
      },
      storeOf('supabase')
    ],
    [{ SESSION_BACKUP_STORE: 'memory://theirs', BAILEYS_HYBRID_AUTH_STORE: '' }, 'memory theirs']
  ]) {
    const { store, refused, warnings } = outcome(env)
    const what = `${JSON.stringify(env)}: ${refused ?? store} ${warnings}`
    if (expected instanceof RegExp) assert.match(refused ?? '', expected, what)
    else assert.equal(refused ?? store, expected, what)
    assert.equal(warnings.length, warned.length, what)
    for (const [i, words] of warned.entries()) assert.match(warnings[i], new RegExp(words), what)
  }
  assert.deepEqual(outcome({ ...own }, { mode: 'local' }), { store: null, warnings: [] }, 'an option overrides silently')
})
