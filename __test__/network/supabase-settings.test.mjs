// Supabase projects as people set them up: buckets that are missing, public or narrow, keys of every kind, policies with a hole.
//
// Invariant guarded: what cannot work is refused at the open, with what to change and nothing left behind; what can work, works;
// and what is changed under a running session stops the copy and not the session, and is caught up with when it is mended.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe } from 'node:test'
import { test } from '../../testkit/base/missing.mjs'
import { dump } from '../../testkit/baileys/cheap.mjs'
import { atEnd, eventually, scratch } from '../../testkit/processes/machines.mjs'
import { hybrid, rejection } from '../../testkit/processes/sessions.mjs'
import { further } from '../support/size.mjs'
import { signToken } from '../../testkit/stores/supabase/auth.mjs'
import { StorageServer } from '../../testkit/stores/supabase/server.mjs'
import { serverOf } from './places.mjs'
import { assertOutages, openOn, stateAfter, Traffic, usual, writeUpTo } from './traffic.mjs'

const TENANT = 'tenant'
const JSON_ONLY = ['application/json']

/** A fresh bucket; `values` are its own, `settings` those of the server for it. */
async function makeBucket(t, { values = {}, settings = {} } = {}) {
  const { store, address } = await serverOf('supabase')
  const client = store.connect(address)
  const bucket = await client.makeBucket(undefined, values)
  const { control } = client
  await control.settings({ values: settings, bucket: bucket.name })
  atEnd(t, async () => {
    await control.reset({ bucket: bucket.name })
    await bucket.remove()
  })
  const change = {
    bucket: (values) => control.bucket({ id: bucket.name, values }),
    settings: (values) => control.settings({ values, bucket: bucket.name })
  }
  const place = { bucket, direct: bucket.options, address, change }
  return { ...place, as: (key, more) => ({ store: { ...bucket.options.store, key, ...more } }) }
}

/** A server of its own, for what concerns all buckets of one: its clock, and who signs its keys. */
async function ownServer(t) {
  const server = await new StorageServer({ gateway: true }).start()
  atEnd(t, () => server.stop())
  const { store } = await serverOf('supabase')
  const client = store.connect({ endpoint: server.endpoint, key: server.keys.service })
  const bucket = await client.makeBucket()
  return { server, client, bucket, as: (key) => ({ store: { ...bucket.options.store, key } }) }
}

/** A life, and a restore on another machine. */
async function assertWorks(t, options, tenant = TENANT) {
  const session = await openOn(t, tenant, options)
  await writeUpTo(session, 12)
  await session.close()
  const heir = await openOn(t, tenant, { ...options, onMissing: 'error' })
  assert.deepEqual(await dump(heir, ['session', 'sender-key']), stateAfter(12))
  await heir.close()
}

/** The error of an open, after which nothing is in the bucket, and no credentials were made. */
async function refusal(t, { bucket }, options) {
  let made = 0
  const initAuthCreds = () => {
    made += 1
  }
  const error = await rejection(
    hybrid.useHybridAuthState(TENANT, { directory: scratch(t), ...usual, ...bucket.options, ...options, initAuthCreds })
  )
  assert.equal(made, 0)
  return error
}

async function assertRefused(t, place, options, words, code = 'REMOTE_REFUSED') {
  const error = await refusal(t, place, options)
  assert.equal(error.code, code, error.message)
  for (const word of [words].flat()) assert.match(error.message, word)
  return error
}

/** A running session whose bucket is spoilt and mended again. */
async function assertSurvives(t, place, { spoil, mend, words, options = place.bucket.options }) {
  const session = await openOn(t, TENANT, options)
  const traffic = new Traffic(session)
  await eventually('a first backup', () => traffic.acknowledged > 0)
  await spoil()
  const error = await eventually('it is told', () => traffic.told[0])
  assert.deepEqual([error.name, error.code], ['degraded', 'REMOTE_REFUSED'], error.message)
  assert.match(error.message, words)
  assert.equal(session.status().lastError.code, 'REMOTE_REFUSED')
  const { n } = traffic
  await eventually('writes go on', () => traffic.n > n + 50)
  await mend()
  await eventually('it is over', () => traffic.told.length > 1, 90_000)
  assertOutages(traffic.toldSince(0), 1, 'spoilt and mended')
  await traffic.conclude(t, TENANT, place)
}

describe('supabase settings', { concurrency: 100 }, () => {
  test('bucket_that_is_missing_is_said_to_be', async (t) => {
    const place = await makeBucket(t)
    const store = { ...place.bucket.options.store, bucket: 'no-such-bucket' }
    await assertRefused(t, place, { store }, [/no such bucket/, /dashboard/])
  })

  test('public_bucket_is_refused_unless_it_is_allowed', async (t) => {
    const place = await makeBucket(t, { values: { public: true } })
    await assertRefused(t, place, {}, [/public/, /private/, /`allowPublicBucket: true`/])
    assert.deepEqual(await place.bucket.list(), [])
    await assertWorks(t, { ...place.bucket.options, allowPublicBucket: true })
    // What was allowed once is not allowed to others.
    await assertRefused(t, place, {}, /public/)
    await place.change.bucket({ public: false })
    await assertWorks(t, place.bucket.options, 'other-tenant')
  })

  test('bucket_that_takes_some_types_only_is_worked_with_where_that_is_possible', async (t) => {
    for (const types of [
      JSON_ONLY,
      ['text/plain'],
      ['text/*'],
      ['image/*'],
      ['image/png', 'image/jpeg'],
      ['application/octet-stream'],
      ['*/*']
    ]) {
      const place = await makeBucket(t, { values: { allowed_mime_types: types } })
      await assertWorks(t, place.bucket.options)
    }
    const place = await makeBucket(t, { values: { allowed_mime_types: ['application/pdf'] } })
    await assertRefused(t, place, {}, [/types/, /add application\/octet-stream/])
    assert.deepEqual(await place.bucket.list(), [])
    await place.change.bucket({ allowed_mime_types: ['application/pdf', 'application/octet-stream'] })
    await assertWorks(t, place.bucket.options)
  })

  test('types_that_are_narrowed_under_a_running_session_are_adapted_to', async (t) => {
    const place = await makeBucket(t)
    const traffic = new Traffic(await openOn(t, TENANT, place.bucket.options))
    for (const types of [JSON_ONLY, ['text/plain'], ['application/octet-stream'], JSON_ONLY, null]) {
      await place.change.bucket({ allowed_mime_types: types })
      await traffic.flush()
    }
    assert.deepEqual(traffic.told, [])
    await traffic.conclude(t, TENANT, place)
  })

  further('types_that_allow_nothing_of_ours_stop_the_copy_of_a_running_session_only', async (t) => {
    const place = await makeBucket(t)
    await assertSurvives(t, place, {
      spoil: () => place.change.bucket({ allowed_mime_types: ['application/pdf'] }),
      mend: () => place.change.bucket({ allowed_mime_types: null }),
      words: /add application\/octet-stream/
    })
  })

  test('object_over_the_limit_of_the_bucket_travels_in_parts_and_opens_everywhere', async (t) => {
    const place = await makeBucket(t, { values: { file_size_limit: 20_000 } })
    const warned = []
    const none = () => {}
    const logger = { trace: none, debug: none, info: none, error: none, warn: (_, line) => warned.push(line) }
    logger.child = () => logger
    const session = await openOn(t, TENANT, place.bucket.options)
    const told = []
    for (const name of ['degraded', 'recovered', 'error', 'repaired'])
      session.on(name, (news) => told.push({ name, code: news.code, message: news.message }))
    await writeUpTo(session, 12)
    const noise = randomBytes(40_000)
    await session.state.keys.set({ history: { long: { noise } } })
    await session.flush()
    await session.state.keys.set({ history: { short: { n: 1 } } })
    await session.close()
    assert.deepEqual(told, [])
    for (let again = 0; again < 3; again++) {
      const heir = await openOn(t, TENANT, { ...place.bucket.options, logger })
      assert.deepEqual({ ...(await heir.state.keys.get('history', ['long', 'short'])) }, { long: { noise }, short: { n: 1 } })
      assert.deepEqual([heir.status().baseRefused, heir.status().store], [null, 'ok'])
      await heir.close()
      // Told once by each open, to the log.
      assert.match(
        warned
          .splice(0)
          .filter((line) => line.includes('up to 20000'))
          .join('|'),
        /^[^|]*travels in parts[^|]*$/
      )
    }
  })

  further('limit_that_leaves_no_room_for_parts_stops_the_copy_of_a_running_session_only', async (t) => {
    const place = await makeBucket(t, { values: { file_size_limit: 4_000 } })
    const session = await openOn(t, TENANT, place.bucket.options)
    const told = []
    for (const name of ['degraded', 'recovered', 'error'])
      session.on(name, (news) => told.push({ name, code: news.code, message: news.message }))
    const noise = randomBytes(40_000)
    await session.state.keys.set({ history: { long: { noise } } })
    await eventually('it is told', () => told.length > 0)
    const error = await rejection(session.flush({ timeoutMs: 1000 }))
    assert.equal(error.code, 'REMOTE_UNAVAILABLE')
    assert.match(error.message, /file size limit/)
    await session.state.keys.set({ history: { short: { n: 1 } } })
    assert.deepEqual(
      told.map(({ name, code }) => [name, code]),
      [['degraded', 'REMOTE_REFUSED']]
    )
    assert.match(told[0].message, /raise the file size limit of the bucket/)
    // A blank machine has what was acknowledged before.
    await place.change.bucket({ file_size_limit: null })
    await eventually('it is over', () => told.length > 1, 90_000)
    assert.equal(told[1].name, 'recovered')
    await session.flush()
    await session.close()
    const heir = await openOn(t, TENANT, place.bucket.options)
    assert.deepEqual({ ...(await heir.state.keys.get('history', ['long', 'short'])) }, { long: { noise }, short: { n: 1 } })
    await heir.close()
  })

  test('limit_that_leaves_no_room_for_parts_is_said_by_an_open', async (t) => {
    const place = await makeBucket(t)
    const session = await openOn(t, TENANT, place.bucket.options)
    await session.state.keys.set({ history: { long: { noise: randomBytes(40_000) } } })
    await session.close()
    await place.change.bucket({ file_size_limit: 4_000 })
    await assertRefused(t, place, {}, /raise the file size limit/)
    await place.change.settings({ fileSizeLimit: 4_000 })
    await place.change.bucket({ file_size_limit: null })
    await assertRefused(t, place, {}, /file size limit of the bucket and of the project/)
  })

  test('public_key_is_refused_before_anything_is_sent', async (t) => {
    const place = await makeBucket(t)
    const { control } = (await serverOf('supabase')).store.connect(place.address)
    for (const key of [place.address.anonKey, place.address.publishableKey]) {
      await assertRefused(t, place, place.as(key), [/public key/, /`allowAnonKey: true`/], 'INVALID_OPTION')
    }
    assert.equal((await control.counts({ bucket: place.bucket.name })).requests, 0)
  })

  for (const [name, role] of [
    ['anonKey', 'anon'],
    ['publishableKey', 'anon'],
    ['userKey', 'authenticated']
  ]) {
    test(`policy_that_is_missing_for_the_${name}_is_named`, async (t) => {
      const all = ['select', 'insert', 'update', 'delete']
      for (const missing of [['select'], ['insert'], ['update'], ['delete'], all]) {
        const place = await makeBucket(t, { settings: { policies: { [role]: all.filter((right) => !missing.includes(right)) } } })
        const { message } = await assertRefused(t, place, place.as(place.address[name], { allowAnonKey: true }), /key/)
        // Where everything is missing, the first that is needed is what is found out.
        const found = missing.filter((right) => message.includes(right.toUpperCase()))
        assert.ok(found.length > 0, `without ${missing}: ${message}`)
        assert.deepEqual(
          (await place.bucket.list()).filter((name) => !name.startsWith('v1/probe/')),
          []
        )
      }
      const place = await makeBucket(t, { settings: { policies: { [role]: all } } })
      await assertWorks(t, place.as(place.address[name], { allowAnonKey: true }))
    })
  }

  test('policies_that_are_taken_away_stop_the_copy_of_a_running_session_only', async (t) => {
    const all = ['select', 'insert', 'update', 'delete']
    const place = await makeBucket(t, { settings: { policies: { anon: all } } })
    await assertSurvives(t, place, {
      options: place.as(place.address.anonKey, { allowAnonKey: true }),
      spoil: () => place.change.settings({ policies: { anon: ['select', 'delete'] } }),
      mend: () => place.change.settings({ policies: { anon: all } }),
      words: /INSERT, UPDATE and SELECT/
    })
  })

  test('secret_key_of_the_new_style_works_and_a_wrong_one_is_refused', async (t) => {
    const place = await makeBucket(t)
    await assertWorks(t, place.as(place.address.secretKey))
    await assertRefused(t, place, place.as(`${place.address.secretKey.slice(0, -1)}x`), /key/)
  })

  test('service_key_that_is_forged_expired_or_of_an_unknown_role_is_refused', async (t) => {
    const { server, bucket, as } = await ownServer(t)
    const { service, badsig, expired, unknown_role: unknownRole } = server.keys
    const wrong = [
      [badsig, /not one of this project/],
      [expired, /has expired/],
      [service.slice(0, -2), /not one of this project/],
      ['eyJhbGciOiJIUzI1NiJ9.e30.x', /not one of this project/],
      ['not-a-key', /not a whole key/],
      [`"${service}"`, /key/],
      [`${server.keys.secret}0`, /not one of this project, or was revoked/]
    ]
    for (const [key, words] of wrong) {
      const { message } = await assertRefused(t, { bucket }, as(key), words)
      assert.doesNotMatch(message, /policy/)
    }
    // A role that the database does not know is a failure of the server's own; it is given up as well.
    const error = await refusal(t, { bucket }, as(unknownRole))
    assert.equal(error.code, 'REMOTE_REFUSED', error.message)
    assert.match(error.message, /role in the key/)
    assert.deepEqual(await bucket.list(), [])
    await assertWorks(t, bucket.options)
  })

  test('key_that_expires_under_a_running_session_stops_the_copy_and_a_new_one_goes_on_with_it', async (t) => {
    const { server, client, bucket, as } = await ownServer(t)
    const claims = { iss: 'supabase', role: 'service_role', exp: Math.floor(Date.now() / 1000) + 300 }
    const directory = scratch(t)
    const session = await openOn(t, TENANT, { ...as(signToken(claims, server.secret)), directory })
    const traffic = new Traffic(session)
    await eventually('a first backup', () => traffic.acknowledged > 0)
    // Ten minutes pass, for the server: less than what is taken for a clock that is wrong.
    await client.control.settings({ values: { clockOffsetMs: 600_000 } })
    const error = await eventually('it is told', () => traffic.told[0])
    assert.deepEqual([error.name, error.code], ['degraded', 'REMOTE_REFUSED'])
    assert.match(error.message, /the key has expired/)
    const { n } = traffic
    await eventually('writes go on', () => traffic.n > n + 50)
    await traffic.stop()
    assertOutages([...traffic.toldSince(0), 'recovered'], 1, 'told once')
    const left = await rejection(session.close({ timeoutMs: 300 }))
    assert.equal(left.code, 'REMOTE_UNAVAILABLE')
    const again = await openOn(t, TENANT, { ...bucket.options, directory })
    assert.deepEqual([again.status().lsn, again.status().restored], [traffic.n, { source: 'local', clean: true }])
    await again.close()
    const heir = await openOn(t, TENANT, bucket.options)
    assert.deepEqual(await dump(heir, ['session', 'sender-key']), stateAfter(traffic.n))
    await heir.close()
  })

  test('clock_that_is_far_off_is_refused_and_stops_only_the_copy_of_a_running_session', async (t) => {
    const { client, bucket } = await ownServer(t)
    const clock = (clockOffsetMs) => client.control.settings({ values: { clockOffsetMs } })
    for (const hours of [-1, 1]) {
      await clock(hours * 3_600_000)
      await assertRefused(t, { bucket }, {}, [/clock/, /minutes/])
    }
    await clock(0)
    // So far that every key has expired for the server.
    const century = 100 * 365 * 86_400_000
    await assertSurvives(t, { bucket, direct: bucket.options }, { spoil: () => clock(century), mend: () => clock(0), words: /clock/ })
  })
})
