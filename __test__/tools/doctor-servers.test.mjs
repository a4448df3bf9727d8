// The doctor over servers: rights, clocks, strangers, and the rules and versions of buckets.
//
// Invariants guarded: what a server does not answer, or answers in a way that is not understood, is `unknown`; each right that is
// missing is named by itself; a rule is judged by what it takes and when.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from '../../testkit/base/missing.mjs'
import { hybrid, KEY, scene } from '../../testkit/processes/sessions.mjs'
import * as gcs from '../../testkit/stores/gcs.mjs'
import * as rclone from '../../testkit/stores/rclone.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import * as supabase from '../../testkit/stores/supabase.mjs'

const DAY = 86_400_000
const started = new Map()
after(async () => {
  for (const server of started.values()) await (await server).stop()
})

/** A fleet over a fresh bucket of a server that is started once. */
async function placeAt(t, store, more) {
  if (!started.has(store)) started.set(store, store.start())
  const { address } = await started.get(store)
  const client = store.connect(address)
  const bucket = await client.makeBucket()
  const at = scene(t, {}, bucket.options)
  return { client, bucket, address, at, options: { ...at.replicated, ...more } }
}
const diagnose = async (options) => Object.fromEntries((await new hybrid.HybridAuth(options).doctor()).map((check) => [check.name, check]))
const outcomes = (checks, names) => Object.fromEntries(names.map((name) => [name, checks[name].outcome]))
const RIGHTS = ['reachable', 'write', 'list', 'read', 'delete', 'list-after-put']
const all = (names, outcome) => Object.fromEntries(names.map((name) => [name, outcome]))

test('every_server_that_is_well_is_told_so', async (t) => {
  for (const store of [seaweedfs, rclone, gcs, supabase]) {
    const { bucket, options } = await placeAt(t, store)
    const checks = await diagnose(options)
    const well = [...RIGHTS, 'clock', 'latency', 'encryption', 'tenant-ids', 'names', 'idle-tenants', 'cost']
    assert.deepEqual(outcomes(checks, well), all(well, 'ok'), store.kind)
    assert.deepEqual(await bucket.list(), [], `${store.kind}: nothing is left behind`)
    for (const { message } of Object.values(checks)) assert.ok(!message.includes(KEY) && !message.includes(bucket.name), message)
  }
})

/** A rule of S3, and what becomes of it: the outcome with an object refreshed every 7 days. */
const rule = (inside) => `<Rule><ID>r</ID>${inside}</Rule>`
const on = '<Status>Enabled</Status>'
const RULES = [
  ['', 'ok'],
  [rule(`${on}<Filter><Prefix></Prefix></Filter><Expiration><Days>30</Days></Expiration>`), 'warning'],
  [rule(`${on}<Filter><Prefix>v1/</Prefix></Filter><Expiration><Days>8</Days></Expiration>`), 'warning'],
  [rule(`${on}<Filter><Prefix>v1/data/</Prefix></Filter><Expiration><Days>7</Days></Expiration>`), 'failed'],
  [rule(`${on}<Filter><Prefix></Prefix></Filter><Expiration><Days>1</Days></Expiration>`), 'failed'],
  [rule(`${on}<Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>1</Days></Expiration>`), 'ok'],
  [rule(`${on}<Filter><Prefix>v1/probe/</Prefix></Filter><Expiration><Days>1</Days></Expiration>`), 'ok'],
  [rule(`<Status>Disabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Days>1</Days></Expiration>`), 'ok']
]

test('rules_of_a_real_s3_server_are_judged_by_what_they_take', async (t) => {
  const { client, bucket, options } = await placeAt(t, seaweedfs)
  for (const [rules, outcome] of RULES) {
    if (rules === '') await (await client.request('DELETE', bucket.name, '', { query: { lifecycle: '' } })).arrayBuffer()
    else
      await (
        await client.ok('PUT', bucket.name, '', {
          query: { lifecycle: '' },
          body: Buffer.from(`<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${rules}</LifecycleConfiguration>`)
        })
      ).arrayBuffer()
    const { lifecycle } = await diagnose(options)
    assert.equal(lifecycle.outcome, outcome, `${rules}: ${lifecycle.message}`)
  }
})

test('versions_of_a_real_s3_server_are_told', async (t) => {
  const { client, bucket, options } = await placeAt(t, seaweedfs)
  assert.equal((await diagnose(options)).versioning.outcome, 'ok')
  const body = Buffer.from(
    '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>'
  )
  await (await client.ok('PUT', bucket.name, '', { query: { versioning: '' }, body })).arrayBuffer()
  assert.equal((await diagnose(options)).versioning.outcome, 'warning')
})

test('a_server_that_does_not_know_rules_is_not_called_free_of_them', async (t) => {
  const { options } = await placeAt(t, rclone)
  const { lifecycle } = await diagnose(options)
  assert.equal(lifecycle.outcome, 'unknown')
})

test('rules_of_google_need_a_right_that_is_named', async (t) => {
  const { bucket, options } = await placeAt(t, gcs)
  const without = await diagnose(options)
  for (const name of ['lifecycle', 'versioning']) {
    assert.equal(without[name].outcome, 'unknown')
    assert.match(without[name].message, /storage\.buckets\.get/)
  }
  await bucket.switch({ granted: ['storage.buckets.get'] })
  const outcome = async (lifecycle) => {
    await bucket.switch({ lifecycle })
    return (await diagnose(options)).lifecycle.outcome
  }
  const google = (action, condition) => `<Rule><Action>${action}</Action><Condition>${condition}</Condition></Rule>`
  assert.equal(await outcome(''), 'ok')
  assert.equal(await outcome(google('<Delete/>', '<Age>30</Age>')), 'warning')
  assert.equal(await outcome(google('<Delete/>', '<Age>3</Age>')), 'failed')
  assert.equal(await outcome(google('<Delete/>', '<NumNewerVersions>3</NumNewerVersions>')), 'ok')
  assert.equal(await outcome(google('<Delete/>', '<Age>1</Age><MatchesPrefix>tmp/</MatchesPrefix>')), 'ok')
  assert.equal(await outcome('<Rule>'), 'unknown', 'what is not understood')
  await bucket.switch({ versioning: true, lifecycle: '' })
  assert.equal((await diagnose(options)).versioning.outcome, 'warning')
})

test('a_rule_takes_the_sessions_that_nobody_has_open', async (t) => {
  const { bucket, options } = await placeAt(t, gcs)
  await bucket.switch({ granted: ['storage.buckets.get'] })
  const fleet = new hybrid.HybridAuth(options)
  await fleet.open('open')
  await bucket.switch({ olderMs: 40 * DAY })
  const asleep = await fleet.open('asleep')
  await asleep.close()
  await bucket.switch({ olderMs: 0 })
  const idle = async () => (await diagnose(options))['idle-tenants']
  assert.deepEqual([(await idle()).outcome, (await idle()).count], ['ok', 1], 'no rule takes it')
  const takesAfter = (days) =>
    bucket.switch({ lifecycle: `<Rule><Action><Delete/></Action><Condition><Age>${days}</Age></Condition></Rule>` })
  await takesAfter(30)
  assert.deepEqual([(await idle()).outcome, (await idle()).count], ['failed', 1])
  await takesAfter(60)
  assert.deepEqual([(await idle()).outcome, (await idle()).days], ['ok', 60])
  await bucket.switch({ granted: [] })
  assert.equal((await idle()).outcome, 'warning', 'nobody knows')
  await fleet.shutdown()
})

test('each_right_that_is_missing_is_named', async (t) => {
  const { bucket, options } = await placeAt(t, gcs)
  const denied = {
    'storage.objects.create': {
      write: 'failed',
      read: 'unknown',
      delete: 'unknown',
      'list-after-put': 'unknown',
      latency: 'unknown',
      list: 'ok'
    },
    'storage.objects.list': {
      list: 'failed',
      'list-after-put': 'unknown',
      write: 'ok',
      'tenant-ids': 'unknown',
      names: 'unknown',
      'idle-tenants': 'unknown',
      latency: 'unknown'
    },
    'storage.objects.get': { read: 'failed', write: 'ok', list: 'ok', 'list-after-put': 'ok', delete: 'ok', latency: 'unknown' },
    // To store again is to remove, in terms of rights.
    'storage.objects.delete': { delete: 'failed', write: 'failed', read: 'ok', list: 'ok' }
  }
  for (const [permission, expected] of Object.entries(denied)) {
    await bucket.switch({ denied: [permission] })
    const checks = await diagnose(options)
    assert.deepEqual(outcomes(checks, ['reachable', ...Object.keys(expected)]), { reachable: 'ok', ...expected }, permission)
  }
  await bucket.switch({ denied: Object.keys(denied) })
  const none = await diagnose(options)
  assert.deepEqual(outcomes(none, ['reachable', 'write', 'list', 'read', 'delete', 'private']), {
    reachable: 'ok',
    write: 'failed',
    list: 'failed',
    read: 'unknown',
    delete: 'unknown',
    private: 'unknown'
  })
})

test('strangers_that_can_read_fail_it_unless_allowed', async (t) => {
  for (const permission of ['storage.objects.get', 'storage.objects.list']) {
    const { bucket, options } = await placeAt(t, gcs)
    assert.equal((await diagnose(options)).private.outcome, 'ok')
    await bucket.switch({ allUsers: [permission] })
    assert.equal((await diagnose(options)).private.outcome, 'failed', permission)
    assert.equal((await diagnose({ ...options, allowPublicBucket: true })).private.outcome, 'warning', permission)
  }
})

test('a_bucket_made_public_later_and_a_policy_taken_away_are_noticed', async (t) => {
  const { client, bucket, address, options } = await placeAt(t, supabase)
  const { control } = client
  assert.equal((await diagnose(options)).private.outcome, 'ok')
  await control.bucket({ id: bucket.name, values: { public: true } })
  assert.equal((await diagnose(options)).private.outcome, 'failed')
  await control.settings({ values: { policies: { anon: ['select', 'insert', 'delete'] } }, bucket: bucket.name })
  const { write } = await diagnose({ ...options, store: { ...options.store, key: address.anonKey, allowAnonKey: true } })
  assert.equal(write.outcome, 'failed')
  assert.match(write.message, /again.*UPDATE/)
})

test('a_clock_that_is_wrong_fails_it', async (t) => {
  const { client, options } = await placeAt(t, gcs)
  try {
    await client.switch({ clockSkewMs: 20.5 * 60_000 })
    const { clock } = await diagnose(options)
    assert.equal(clock.outcome, 'failed')
    assert.match(clock.message, /20 minutes/)
  } finally {
    await client.switch({ clockSkewMs: 0 })
  }
})

test('supabase_keeps_no_rules_and_no_versions', async (t) => {
  const { options } = await placeAt(t, supabase)
  assert.deepEqual(
    outcomes(await diagnose(options), ['lifecycle', 'versioning', 'private']),
    all(['lifecycle', 'versioning', 'private'], 'ok')
  )
})

test('a_bucket_that_is_not_there_and_a_server_that_is_not_there_are_not_reached', async (t) => {
  const { options } = await placeAt(t, seaweedfs)
  const elsewhere = { ...options.store, bucket: 'nowhere-at-all' }
  const missing = await diagnose({ ...options, store: elsewhere })
  assert.deepEqual(outcomes(missing, RIGHTS), { ...all(RIGHTS, 'unknown'), reachable: 'failed' })
  assert.match(missing.reachable.message, /bucket/)
  const silent = await diagnose({ ...options, store: { ...options.store, endpoint: 'http://127.0.0.1:9' } })
  assert.deepEqual(outcomes(silent, RIGHTS), { ...all(RIGHTS, 'unknown'), reachable: 'failed' })
})

test('wrong_credentials_are_no_missing_server', async (t) => {
  const { options } = await placeAt(t, seaweedfs)
  const checks = await diagnose({ ...options, store: { ...options.store, secretAccessKey: 'x'.repeat(40) } })
  assert.deepEqual(outcomes(checks, ['reachable', 'write', 'list']), { reachable: 'ok', write: 'failed', list: 'failed' })
})

test('limit_for_the_size_of_an_object_is_told_and_held_against_the_sessions', async (t) => {
  const { client, bucket, options } = await placeAt(t, supabase)
  const limit = async () => (await diagnose(options))['size-limit']
  const set = (bytes) => client.control.bucket({ id: bucket.name, values: { file_size_limit: bytes } })
  assert.deepEqual([(await limit()).outcome, (await limit()).limit], ['ok', undefined], 'there is none')
  const fleet = new hybrid.HybridAuth(options)
  const session = await fleet.open('large')
  await session.state.keys.set({ history: { long: { noise: randomBytes(40_000) } } })
  await session.close()
  const [{ baseBytes }] = await fleet.survey()
  const again = await fleet.open('large')
  await again.close()
  const [{ baseBytes: large }] = await fleet.survey()
  assert.ok(baseBytes > 0 && large > 40_000, `${baseBytes}, ${large}`)
  for (const [bytes, outcome, words] of [
    [large * 2, 'ok', /the largest session has/],
    [Math.ceil(large * 1.1), 'warning', /1 session near that/],
    [large - 1, 'warning', /1 session larger than that, which travel in parts/],
    [8000, 'failed', /no room for a session/]
  ]) {
    await set(bytes)
    const found = await limit()
    assert.deepEqual([found.outcome, found.limit], [outcome, bytes], found.message)
    assert.match(found.message, words)
  }
  // The lower one of the two limits counts.
  await set(large * 2)
  await client.control.settings({ values: { fileSizeLimit: 30_000 } })
  t.after(() => client.control.settings({ values: { fileSizeLimit: null } }))
  assert.deepEqual([(await limit()).outcome, (await limit()).limit], ['warning', 30_000])
  // A base that is in parts has the size of its parts.
  await (await fleet.open('large')).close()
  assert.ok((await bucket.list()).some((name) => name.endsWith('.part')))
  const [{ baseBytes: parts }] = await fleet.survey()
  assert.ok(parts >= large && parts < large * 1.1, `${parts}, ${large}`)
})

test('store_that_does_not_tell_its_limit_is_not_called_free_of_one', async (t) => {
  for (const store of [gcs, rclone]) {
    const { options } = await placeAt(t, store)
    const found = (await diagnose(options))['size-limit']
    assert.deepEqual([found.outcome, found.limit], ['unknown', undefined], store.kind)
  }
  // A role that may not look at buckets.
  const { client, bucket, address, options } = await placeAt(t, supabase)
  const anon = ['select', 'insert', 'update', 'delete']
  await client.control.settings({ values: { policies: { anon } }, bucket: bucket.name })
  const found = (await diagnose({ ...options, store: { ...options.store, key: address.anonKey, allowAnonKey: true } }))['size-limit']
  assert.equal(found.outcome, 'unknown', found.message)
  assert.match(found.message, /storage\.buckets/)
})
