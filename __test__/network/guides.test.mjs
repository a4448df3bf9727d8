// The rights that the guides tell people to give are those that are used: each is needed, and no other is.
//
// Invariant guarded: a policy for S3 is held against every request of sessions that live, end, come back and are deleted, by the
// rules of the service, as far as the policy uses them; the permissions for Google, and the policies in SQL for Supabase, are
// held against the doubles, which know each right by itself.

import assert from 'node:assert/strict'
import { test } from '../../testkit/base/missing.mjs'
import { all, read, section } from '../docs/repository.mjs'
import { dump } from '../../testkit/baileys/cheap.mjs'
import { atEnd } from '../../testkit/processes/machines.mjs'
import { rejection } from '../../testkit/processes/sessions.mjs'
import { KINDS, makePlace, serverOf } from './places.mjs'
import { openOn, stateAfter, usual, writeUpTo } from './traffic.mjs'

const TENANT = 'tenant'

/** A session that lives, comes back on another machine, is stored again, and is deleted. */
async function life(t, options) {
  const session = await openOn(t, TENANT, options)
  await writeUpTo(session, 12)
  await session.flush()
  await session.close()
  const heir = await openOn(t, TENANT, { ...options, onMissing: 'error' })
  assert.deepEqual(await dump(heir, ['session', 'sender-key']), stateAfter(12))
  await writeUpTo(heir, 20)
  await heir.flush()
  await heir.delete()
}

const like = (pattern, text) => new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`).test(text)
const listOf = (value) => (Array.isArray(value) ? value : [value])

/** True if a policy allows a request; what it uses of the language and is not known here fails. */
function allows(policy, { action, resource, context }) {
  assert.deepEqual(Object.keys(policy).sort(), ['Statement', 'Version'])
  return policy.Statement.some((statement) => {
    const { Effect, Action, Resource, Condition = {}, ...rest } = statement
    assert.deepEqual([Effect, rest], ['Allow', {}])
    const isMet = Object.entries(Condition).every(([operator, keys]) => {
      assert.equal(operator, 'StringLike')
      return Object.entries(keys).every(
        ([key, patterns]) => context[key] !== undefined && listOf(patterns).some((pattern) => like(pattern, context[key]))
      )
    })
    return isMet && listOf(Action).includes(action) && listOf(Resource).some((pattern) => like(pattern, resource))
  })
}

/** A request at an S3 server, in the words of policies. */
function asAction({ method, path }) {
  const { pathname, searchParams } = new URL(path, 'http://host')
  const [, , ...name] = pathname.split('/').map(decodeURIComponent)
  const key = name.join('/')
  const arn = 'arn:aws:s3:::my-sessions'
  if (key === '' && method === 'GET') {
    assert.deepEqual(
      [...searchParams.keys()].filter(
        (name) => !['list-type', 'prefix', 'delimiter', 'continuation-token', 'start-after', 'max-keys', 'encoding-type'].includes(name)
      ),
      [],
      path
    )
    return { action: 's3:ListBucket', resource: arn, context: { 's3:prefix': searchParams.get('prefix') ?? undefined } }
  }
  const action = { GET: 's3:GetObject', PUT: 's3:PutObject', DELETE: 's3:DeleteObject' }[method]
  assert.ok(
    action !== undefined && key !== '' && [...searchParams.keys()].every((name) => name === 'x-id'),
    `${method} ${path} is none of the four`
  )
  return { action, resource: `${arn}/${key}`, context: {} }
}

const without = (policy, action) => ({
  ...policy,
  Statement: policy.Statement.map((statement) => ({ ...statement, Action: listOf(statement.Action).filter((name) => name !== action) }))
})

test('the_policies_for_s3_allow_each_request_of_a_session_and_no_action_can_be_left_out', async (t) => {
  const policies = [...section(read('docs/guides/s3.md'), '## 2. The rights').matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, text]) =>
    JSON.parse(text)
  )
  assert.equal(policies.length, 2)
  const place = await makePlace(t, KINDS[0])
  const { store } = place.bucket.options
  const requestsOf = async (prefix) => {
    const from = place.proxy.trace.length
    await life(t, { store: { ...store, ...(prefix && { prefix }) } })
    // The probe asks for its object without credentials, to be refused: no policy is asked about that.
    return place.proxy.trace
      .slice(from)
      .filter(({ status }) => status !== 403)
      .map(asAction)
  }
  const [own, shared] = policies
  const [bare, production, other] = [await requestsOf(), await requestsOf('production'), await requestsOf('staging')]
  for (const [policy, requests] of [
    [own, bare],
    [own, production],
    [shared, production]
  ]) {
    assert.ok(requests.length > 20)
    assert.deepEqual(
      requests.filter((request) => !allows(policy, request)),
      []
    )
    const actions = policy.Statement.flatMap(({ Action }) => Action)
    assert.deepEqual([...actions].sort(), ['s3:DeleteObject', 's3:GetObject', 's3:ListBucket', 's3:PutObject'])
    for (const action of actions)
      assert.ok(
        requests.some((request) => !allows(without(policy, action), request)),
        `${action} is used`
      )
  }
  for (const requests of [bare, other])
    assert.deepEqual(
      requests.filter((request) => allows(shared, request)),
      [],
      'nothing outside of its folder'
    )
})

test('the_permissions_for_google_are_enough_and_each_is_needed', async (t) => {
  const [permissions] = all(read('docs/guides/gcs.md'), /--permissions=(\S+)/g).map((list) => list.split(','))
  const { store, address } = await serverOf('gcs')
  const client = store.connect(address)
  const opened = async (denied) => {
    const bucket = await client.makeBucket()
    atEnd(t, () => bucket.remove())
    await bucket.switch({ denied })
    return bucket.options
  }
  const others = ['update', 'getIamPolicy', 'setIamPolicy', 'restore', 'overrideUnlockedRetention', 'setRetention', 'move'].map(
    (name) => `storage.objects.${name}`
  )
  await life(t, await opened(others))
  for (const permission of permissions) {
    const options = await opened([permission])
    const error = await rejection(openOn(t, TENANT, { ...options, handoverTimeoutMs: usual.handoverTimeoutMs }))
    assert.equal(error.code, 'REMOTE_REFUSED', `${permission}: ${error.message}`)
  }
  assert.equal(permissions.length, 4)
})

test('the_policies_for_a_public_key_of_supabase_are_enough_and_each_is_needed', async (t) => {
  const text = read('docs/guides/supabase.md')
  const policies = [...text.matchAll(/create policy "([^"]+)" on storage\.objects for (\w+) to (\w+)/g)].map(([, , right, role]) => [
    right,
    role
  ])
  assert.deepEqual(
    policies.map(([, role]) => role),
    ['anon', 'anon', 'anon', 'anon']
  )
  const rights = policies.map(([right]) => right)
  const { store, address } = await serverOf('supabase')
  const client = store.connect(address)
  const withRights = async (anon) => {
    const bucket = await client.makeBucket()
    await client.control.settings({ values: { policies: { anon } }, bucket: bucket.name })
    atEnd(t, async () => {
      await client.control.reset({ bucket: bucket.name })
      await bucket.remove()
    })
    return { bucket, options: { store: { ...bucket.options.store, key: address.anonKey, allowAnonKey: true } } }
  }
  const { bucket, options } = await withRights(rights)
  await life(t, options)
  const names = await bucket.list()
  assert.ok(names.length > 0 && names.every((name) => name.startsWith('v1/')), `the policies say "v1/%": ${names}`)
  for (const right of rights) {
    const error = await rejection(openOn(t, TENANT, (await withRights(rights.filter((other) => other !== right))).options))
    assert.equal(error.code, 'REMOTE_REFUSED', `${right}: ${error.message}`)
  }
})
