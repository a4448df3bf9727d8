// The double of Google Cloud Storage lets in whom the service would, and nobody else.
//
// Invariant guarded: a bearer counts only if everything in it is right, every permission can be missing by itself, and a
// refusal has the status and the code of the service.

import test, { after, before } from 'node:test'
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { atEnd } from '../../testkit/base/endings.mjs'
import { startProxy } from '../../testkit/proxy/proxy.mjs'
import * as gcs from '../../testkit/stores/gcs.mjs'
import { callerOf, encoded, now, refused } from '../../testkit/stores/gcs/caller.mjs'

let server, client, caller
before(async () => {
  server = await gcs.start()
  client = gcs.connect(server.address)
  caller = callerOf(server.address)
})
after(() => server.stop())

const ask = (...args) => caller.ask(...args)
const jwt = (...args) => caller.jwt(...args)

const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const wrongTokens = () => ({
  nonsense: 'nonsense',
  'three dots': 'a.b.c',
  'signed by another key': jwt({}, {}, foreign),
  'of another algorithm': jwt({}, { alg: 'none' }),
  'of an unknown key': jwt({}, { kid: 'other' }),
  'of another account': jwt({ iss: 'other@example.com', sub: 'other@example.com' }),
  expired: jwt({ iat: now() - 3601, exp: now() - 1 }),
  'from the future': jwt({ iat: now() + 600, exp: now() + 1200 }),
  'living too long': jwt({ exp: now() + 3700 }),
  'without times': jwt({ iat: undefined, exp: undefined }),
  'without a scope': jwt({ scope: undefined }),
  'with a scope that is too small': jwt({ scope: 'https://www.googleapis.com/auth/devstorage.read_only' }),
  'changed after it was signed': jwt().replace(/\.[^.]+\./, `.${encoded({ iss: caller.key.client_email })}.`)
})

async function exchange(assertion, { grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer', uri = caller.key.token_uri } = {}) {
  const answer = await fetch(uri, { method: 'POST', body: new URLSearchParams({ grant_type: grant, assertion }) })
  return { status: answer.status, ...(await answer.json()) }
}

test('every_permission_can_be_taken_away_and_is_named_in_the_refusal', async () => {
  const bucket = await client.makeBucket()
  await bucket.put('there', 'x')
  const attempts = {
    'storage.objects.list': [['GET', '?list-type=2']],
    'storage.objects.get': [
      ['GET', '/there'],
      ['HEAD', '/there'],
      ['GET', '/absent']
    ],
    'storage.objects.create': [
      ['PUT', '/new'],
      ['PUT', '/there']
    ],
    'storage.objects.delete': [
      ['DELETE', '/there'],
      ['DELETE', '/absent'],
      ['PUT', '/there']
    ]
  }
  for (const [permission, tries] of Object.entries(attempts)) {
    await bucket.switch({ denied: [permission] })
    for (const [method, path] of tries) {
      const answer = await ask(method, bucket.name + path, method === 'PUT' ? { body: 'y' } : {})
      assert.equal(answer.status, 403, `${permission} ${method} ${path}`)
      if (method === 'HEAD') continue
      refused(answer, 403, 'AccessDenied')
      assert.ok(answer.text.includes(`${caller.key.client_email} does not have ${permission} access`), answer.text)
    }
  }
  // Whoever may not list cannot tell a missing object from one that is kept from him.
  await bucket.switch({ denied: ['storage.objects.list'] })
  refused(await ask('GET', `${bucket.name}/absent`), 403, 'AccessDenied')
  assert.equal((await ask('GET', `${bucket.name}/there`)).status, 200)
  await bucket.switch({ denied: [] })
  refused(await ask('GET', `${bucket.name}/absent`), 404, 'NoSuchKey')
  assert.deepEqual(await bucket.list(), ['there'])
})

test('a_bucket_is_private_until_it_is_made_public', async () => {
  const bucket = await client.makeBucket()
  await bucket.put('k', 'x')
  const statusOf = async (path) => (await ask('GET', bucket.name + path, { bearer: null })).status
  const seen = async () => [await statusOf('/k'), await statusOf('?list-type=2')]
  assert.deepEqual(await seen(), [403, 403])
  await bucket.switch({ allUsers: ['storage.objects.get'] })
  assert.deepEqual(await seen(), [200, 403])
  await bucket.switch({ allUsers: ['storage.objects.get', 'storage.objects.list'] })
  assert.deepEqual(await seen(), [200, 200])
  refused(await ask('PUT', `${bucket.name}/k`, { bearer: null, body: 'y' }), 403, 'AccessDenied')
  refused(await ask('DELETE', `${bucket.name}/k`, { bearer: null }), 403, 'AccessDenied')
})

test('a_bearer_that_the_client_signs_itself_counts_only_if_everything_in_it_is_right', async () => {
  const bucket = await client.makeBucket()
  await bucket.put('k', 'x')
  await bucket.switch({ allUsers: ['storage.objects.get'] })
  assert.equal((await ask('GET', `${bucket.name}/k`)).status, 200)
  for (const [what, bearer] of Object.entries(wrongTokens())) {
    const answer = await ask('GET', `${bucket.name}/k`, { bearer })
    assert.deepEqual([answer.status, answer.code], [401, 'AuthenticationRequired'], `a bearer ${what}, even where anybody may read`)
  }
  const basic = await ask('GET', `${bucket.name}/k`, { bearer: null, headers: { authorization: 'Basic eDp5' } })
  refused(basic, 401, 'AuthenticationRequired')
})

test('the_token_endpoint_gives_a_bearer_for_an_assertion_and_for_nothing_else', async () => {
  const bucket = await client.makeBucket()
  const aud = caller.key.token_uri
  const good = await exchange(jwt({ aud }))
  assert.deepEqual([good.status, good.token_type, good.expires_in], [200, 'Bearer', 3600])
  assert.equal((await ask('GET', `${bucket.name}?list-type=2`, { bearer: good.access_token })).status, 200)
  refused(await ask('GET', `${bucket.name}?list-type=2`, { bearer: `${good.access_token}x` }), 401, 'AuthenticationRequired')

  const errorOf = async (...args) => {
    const { status, error } = await exchange(...args)
    return [status, error]
  }
  assert.deepEqual(await errorOf(jwt({ aud: 'https://elsewhere.example/token' })), [400, 'invalid_grant'])
  assert.deepEqual(await errorOf(jwt({})), [400, 'invalid_grant'], 'without an audience')
  assert.deepEqual(await errorOf(jwt({ aud, scope: 'openid' })), [400, 'invalid_scope'])
  assert.deepEqual(await errorOf(jwt({ aud }), { grant: 'password' }), [400, 'unsupported_grant_type'])
  assert.deepEqual(await errorOf(jwt({ aud, iat: now() - 3601, exp: now() - 1 })), [400, 'invalid_grant'])
  assert.deepEqual(await errorOf(jwt({ aud, exp: now() + 3700 })), [400, 'invalid_grant'])
  assert.deepEqual(await errorOf(jwt({ aud }, {}, foreign)), [400, 'invalid_grant'])
  assert.deepEqual(await errorOf(jwt({ aud, iss: 'other@example.com' })), [400, 'invalid_grant'])
})

test('behind_a_proxy_the_token_endpoint_has_the_address_of_the_proxy', async (t) => {
  const proxy = await startProxy(server.address.endpoint)
  atEnd(t, () => proxy.stop())
  const uri = `${proxy.origin}/token`
  assert.equal((await exchange(jwt({ aud: uri }), { uri })).status, 200)
  assert.equal((await exchange(jwt({ aud: uri }))).error, 'invalid_grant', 'which it does not have for others')
})

test('bearers_run_out_when_their_lifetime_is_made_short', async () => {
  const bucket = await client.makeBucket()
  const { access_token: bearer } = await exchange(jwt({ aud: caller.key.token_uri }))
  const status = async (bearer) => (await ask('GET', `${bucket.name}?list-type=2`, { bearer })).status
  const own = jwt()
  assert.deepEqual([await status(bearer), await status(own)], [200, 200])
  await client.switch({ tokenLifetimeMs: 0 })
  assert.deepEqual([await status(bearer), await status(own)], [401, 401])
  await client.switch({ tokenLifetimeMs: 3_600_000 })
  assert.deepEqual([await status(bearer), await status(own)], [200, 200])
})

test('the_service_has_a_clock_of_its_own', async () => {
  const bucket = await client.makeBucket()
  for (const skew of [3_000_000, 7_200_000, -600_000]) {
    await client.switch({ clockSkewMs: skew })
    const answer = await ask('GET', `${bucket.name}?list-type=2`)
    assert.ok(Math.abs(Date.parse(answer.headers.get('date')) - Date.now() - skew) < 600_000 / 2, 'it is told in every answer')
    assert.equal(answer.status, skew === 3_000_000 ? 200 : 401, `the bearer is judged by it: ${skew}`)
  }
  await client.switch({ clockSkewMs: 0 })
})

test('the_metadata_server_of_an_instance_gives_a_bearer_to_those_who_say_that_they_mean_it', async () => {
  const bucket = await client.makeBucket()
  const at = 'computeMetadata/v1/instance/service-accounts/default/token?audience=x'
  const token = (headers) => ask('GET', at, { bearer: null, headers })
  const { access_token: bearer } = JSON.parse((await token({ 'metadata-flavor': 'Google' })).text)
  assert.equal((await ask('GET', `${bucket.name}?list-type=2`, { bearer })).status, 200)
  assert.equal((await token({})).status, 403)
})

test('switches_are_for_the_owner_and_unknown_ones_are_refused', async () => {
  const bucket = await client.makeBucket()
  refused(await ask('POST', `_switch/${bucket.name}`, { body: '{"denied":[]}' }), 403, 'AccessDenied')
  refused(await ask('POST', '_switch/', { body: '{"clockSkewMs":1}', bearer: null }), 403, 'AccessDenied')
  await assert.rejects(bucket.switch({ dennied: [] }), /InvalidArgument/)
  await assert.rejects(client.switch({ identity: 1 }), /InvalidArgument/)
})
