// The switches of the double of Supabase Storage: what other tests turn to make it go wrong, or be another of the servers that
// there are.
//
// Invariant: a switch changes what it says and nothing else, for its bucket only, and from any process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, start } from '../../testkit/stores/supabase.mjs'

async function serve(t, settings) {
  const server = await start(settings)
  t.after(() => server.stop())
  const client = connect(server.address)
  const bucket = await client.makeBucket()
  return { server, client, bucket, control: client.control, address: server.address }
}

/** Asks as a client would, not as an observer; answers `{ status, headers, body }`. */
async function ask({ endpoint, key }, method, path, { json, bytes, headers = {}, as = { authorization: `Bearer ${key}` } } = {}) {
  const type = json ? { 'content-type': 'application/json' } : bytes ? { 'content-type': 'application/octet-stream' } : {}
  const response = await fetch(`${endpoint}/storage/v1${path}`, {
    method,
    headers: { ...as, ...type, ...headers },
    body: json ? JSON.stringify(json) : bytes
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: /json/.test(response.headers.get('content-type')) ? JSON.parse(text) : text
  }
}

const upload = (address, bucket, name, text, more) =>
  ask(address, 'POST', `/object/${bucket.name}/${name}`, { bytes: Buffer.from(text), ...more })
const read = (address, bucket, name, more) => ask(address, 'GET', `/object/authenticated/${bucket.name}/${name}`, more)
const list = (address, bucket, more) => ask(address, 'POST', `/object/list-v2/${bucket.name}`, { json: { prefix: '' }, ...more })
const remove = (address, bucket, names, more) => ask(address, 'DELETE', `/object/${bucket.name}`, { json: { prefixes: names }, ...more })

const upsert = { headers: { 'x-upsert': 'true' } }
/** Grounds of a refusal: the HTTP status, the status in the body, and the code. */
const said = ({ status, body }) => [status, body.statusCode, body.code].join(' ')

test('raw_client_finds_what_it_put_and_only_that', async (t) => {
  const { client, bucket } = await serve(t)
  const names = Array.from({ length: 2005 }, (_, i) => `a/${String(i).padStart(5, '0')}`)
  await Promise.all(names.map((name) => bucket.put(name, Buffer.from(name))))
  await bucket.put('A +&=@:;,$', Buffer.alloc(0))
  assert.deepEqual(await bucket.list(), ['A +&=@:;,$', ...names])
  assert.deepEqual(await bucket.get('a/00007'), Buffer.from('a/00007'))
  assert.deepEqual(await bucket.get('A +&=@:;,$'), Buffer.alloc(0))
  assert.equal(await bucket.get('a/never'), null)
  await bucket.delete([...names.slice(0, 1500), 'never'])
  assert.equal((await bucket.list()).length, 506)
  const other = await client.makeBucket('by-name')
  assert.deepEqual([other.name, await other.list()], ['by-name', []])
  await bucket.remove()
  assert.equal(await bucket.get('a/01600').catch(({ message }) => message.split(':')[1].trim()), '400 NoSuchBucket')
})

test('gateway_turns_new_style_keys_into_roles_and_never_looks_into_authorization', async (t) => {
  const { address, bucket, control } = await serve(t)
  const { secretKey, publishableKey, key } = address
  const as = (headers) => upload(address, bucket, 'x', 'x', { ...upsert, as: headers }).then(said)
  assert.equal(await as({ apikey: secretKey }), '200  ')
  assert.equal(await as({ apikey: publishableKey }), '400 403 AccessDenied')
  assert.equal(await as({ apikey: key, authorization: `Bearer ${key}` }), '200  ')
  assert.equal(await as({ apikey: key }), '400 400 InvalidRequest')
  assert.equal(await as({ apikey: `${secretKey}0` }), '401  ')
  for (const headers of [{ authorization: `Bearer ${secretKey}` }, { authorization: `Bearer ${secretKey}`, apikey: secretKey }]) {
    const { status, body } = await upload(address, bucket, 'x', 'x', { as: headers })
    assert.deepEqual([status, body.statusCode, body.message], [400, '403', 'Invalid Compact JWS'])
  }
  await control.settings({ values: { gateway: false } })
  assert.equal(await as({ apikey: secretKey }), '400 400 InvalidRequest')
})

test('buckets_can_be_public_and_limit_types_and_sizes', async (t) => {
  const { address, client, control } = await serve(t)
  const bucket = await client.makeBucket('narrow', { allowed_mime_types: ['application/json'], file_size_limit: 4 })
  assert.equal(said(await upload(address, bucket, 'x', '{}')), '400 415 InvalidMimeType')
  const json = { headers: { 'content-type': 'application/json' } }
  assert.equal(said(await upload(address, bucket, 'x', '12345', json)), '400 413 EntityTooLarge')
  assert.equal((await upload(address, bucket, 'x', '1234', json)).status, 200)
  assert.equal(said(await read(address, bucket, 'x', { as: {} })), '400 400 InvalidRequest')
  const open = () => ask(address, 'GET', `/object/public/${bucket.name}/x`, { as: {} })
  assert.equal(said(await open()), '400 404 NoSuchBucket')
  await control.bucket({ id: bucket.name, values: { public: true, allowed_mime_types: null } })
  assert.equal((await open()).status, 200)
  assert.equal((await upload(address, bucket, 'y', '1')).status, 200)
  await control.settings({ values: { fileSizeLimit: 3 }, bucket: bucket.name })
  assert.equal(said(await upload(address, bucket, 'z', '1234')), '400 413 EntityTooLarge')
})

test('policies_let_a_role_do_what_they_name_and_nothing_else', async (t) => {
  const { address, bucket, control } = await serve(t)
  await bucket.put('there', Buffer.from('x'))
  const as = { authorization: `Bearer ${address.anonKey}` }
  /** Outcome of each operation under these policies. */
  const under = async (anon) => {
    await control.settings({ values: { policies: { anon } }, bucket: bucket.name })
    await bucket.put('there', Buffer.from('x'))
    await bucket.delete(['new', 'moved'])
    const move = { bucketId: bucket.name, sourceKey: 'there', destinationKey: 'moved' }
    const answers = [
      await upload(address, bucket, 'new', 'x', { as }),
      await upload(address, bucket, 'there', 'y', { as, ...upsert }),
      await read(address, bucket, 'there', { as }),
      await ask(address, 'POST', '/object/move', { json: move, as })
    ].map(({ status, body }) => (status === 200 ? 'yes' : body.code))
    await bucket.put('there', Buffer.from('x'))
    const { objects } = (await list(address, bucket, { as })).body
    return [...answers, objects.length > 0, (await remove(address, bucket, ['there'], { as })).body.length]
  }
  assert.deepEqual(await under([]), ['AccessDenied', 'AccessDenied', 'NoSuchKey', 'NoSuchKey', false, 0])
  assert.deepEqual(await under(['insert']), ['yes', 'AccessDenied', 'NoSuchKey', 'NoSuchKey', false, 0])
  assert.deepEqual(await under(['select']), ['AccessDenied', 'AccessDenied', 'yes', 'NoSuchKey', true, 0])
  assert.deepEqual(await under(['select', 'delete']), ['AccessDenied', 'AccessDenied', 'yes', 'NoSuchKey', true, 1])
  assert.deepEqual(await under(['select', 'insert']), ['yes', 'AccessDenied', 'yes', 'NoSuchKey', true, 0])
  assert.deepEqual(await under(['select', 'update']), ['AccessDenied', 'AccessDenied', 'yes', 'yes', true, 0])
  assert.deepEqual(await under(['select', 'insert', 'update', 'delete']), ['yes', 'yes', 'yes', 'yes', true, 1])
  const bucketAs = () => ask(address, 'GET', `/bucket/${bucket.name}`, { as }).then(said)
  assert.equal(await bucketAs(), '400 404 NoSuchBucket')
  await control.settings({ values: { policies: { anon: ['buckets.select'] } }, bucket: bucket.name })
  assert.equal(await bucketAs(), '200  ')
})

test('second_list_can_be_missing_in_every_way_there_is', async (t) => {
  const { address, client, bucket, control } = await serve(t)
  const neighbour = await client.makeBucket()
  const ways = {
    'no-route': '404 404 InvalidRequest',
    feature: '400 409 FeatureNotEnabled',
    tenant: '400  ',
    absent: '400 404 NoSuchBucket',
    on: '200  '
  }
  for (const [listV2, answer] of Object.entries(ways)) {
    await control.settings({ values: { listV2 }, bucket: bucket.name })
    assert.equal(said(await list(address, bucket)), answer, listV2)
    assert.equal(said(await list(address, neighbour)), '200  ', 'another bucket')
    assert.equal((await ask(address, 'POST', `/object/list/${bucket.name}`, { json: { prefix: '' } })).status, 200)
    assert.deepEqual(await bucket.list(), [], 'an observer is not limited')
  }
})

test('batch_remove_can_be_limited', async (t) => {
  const { address, bucket, control } = await serve(t)
  const names = Array.from({ length: 1001 }, (_, i) => `n${i}`)
  await control.settings({ values: { batchLimit: 1000 } })
  assert.equal(said(await remove(address, bucket, names)), '400 400 InvalidRequest')
  assert.equal((await remove(address, bucket, names.slice(1))).status, 200)
})

test('cdn_serves_what_it_had_for_a_while_to_readers_and_never_to_lists', async (t) => {
  const { address, bucket, control } = await serve(t, { cdn: { reads: 2 } })
  const text = async (more) => (await read(address, bucket, 'x', more)).body
  await upload(address, bucket, 'x', 'old')
  assert.equal(await text(), 'old')
  await upload(address, bucket, 'x', 'newer', upsert)
  const sizeListed = (await list(address, bucket)).body.objects[0].metadata.size
  assert.deepEqual([sizeListed, await text(), await text(), await text()], [5, 'old', 'old', 'newer'])
  assert.deepEqual(
    (await control.requests({ route: 'download' })).map(({ stale }) => stale),
    [false, true, true, false]
  )
  // What nobody read is not in the CDN, and what is gone is still served.
  await upload(address, bucket, 'unread', 'old')
  await upload(address, bucket, 'unread', 'new', upsert)
  assert.equal((await read(address, bucket, 'unread')).body, 'new')
  await remove(address, bucket, ['x'])
  assert.equal(await bucket.get('x'), null)
  const refused = await read(address, bucket, 'x', { as: { authorization: 'Bearer not-a-jwt' } })
  const blind = await read(address, bucket, 'x', { as: { authorization: `Bearer ${address.anonKey}` } })
  assert.deepEqual(
    [said(refused), said(blind), await text(), await text()],
    ['400 403 AccessDenied', '400 404 NoSuchKey', 'newer', 'newer']
  )
  assert.equal(said(await read(address, bucket, 'x')), '400 404 NoSuchKey')
})

test('readers_of_what_just_changed_can_be_told_that_it_is_gone', async (t) => {
  const { address, bucket, control } = await serve(t)
  await upload(address, bucket, 'x', 'old')
  await upload(address, bucket, 'still', 'still')
  await control.settings({ values: { transient404: 2 }, bucket: bucket.name })
  const gone = ['400', 'Not found', 'The resource was not found']
  const errorOf = async (name) => {
    const { status, body } = await read(address, bucket, name)
    return status === 200 ? body : [String(status), body.error, body.message]
  }
  await upload(address, bucket, 'x', 'new', upsert)
  assert.deepEqual([await errorOf('x'), await errorOf('still'), await errorOf('x'), await errorOf('x')], [gone, 'still', gone, 'new'])
  await remove(address, bucket, ['x'])
  const info = await ask(address, 'GET', `/object/info/authenticated/${bucket.name}/x`)
  assert.deepEqual([info.body.error, await errorOf('x'), await errorOf('x')], ['not_found', gone, gone])
  assert.deepEqual(await errorOf('x'), ['400', 'not_found', 'Object not found'])
})

test('reader_overtaken_by_a_remove_is_told_that_it_is_gone', async (t) => {
  const { address, bucket, control } = await serve(t)
  await upload(address, bucket, 'x', 'old')
  const id = await control.hold({ at: 'download', bucket: bucket.name, path: '/x$' })
  const late = read(address, bucket, 'x')
  await control.gathered({ id, count: 1 })
  await remove(address, bucket, ['x'])
  await control.release({ id })
  assert.deepEqual((await late).body.error, 'Not found')
})

test('faults_come_by_count_and_pattern_before_or_after_the_request_took_effect', async (t) => {
  const { address, client, bucket, control } = await serve(t)
  const neighbour = await client.makeBucket()
  const statuses = async (name, times) => {
    const got = []
    for (let n = 0; n < times; n++) got.push(said(await upload(address, bucket, name, 'x', upsert)))
    return got
  }
  const passing = {
    'lock-timeout': '400 503 LockTimeout',
    'resource-locked': '400 423 ResourceLocked',
    'connection-limit': '400 503 DatabaseConnectionLimit',
    'slow-down': '429 429 SlowDown',
    'database-timeout': '544 544 DatabaseTimeout',
    'database-down': '500 500 InternalError',
    'gateway-502': '502  '
  }
  for (const [answer, answered] of Object.entries(passing)) {
    await control.fault({ method: 'POST', route: 'upload', path: `^/object/${bucket.name}/f-`, times: 2, after: 1, answer })
    assert.deepEqual(await statuses('f-x', 4), ['200  ', answered, answered, '200  '], answer)
  }
  const refused = await ask(address, 'GET', '/nope')
  assert.equal(refused.status, 404)
  await control.fault({ bucket: bucket.name, answer: 'too-many-requests', retryAfter: 7 })
  assert.equal((await list(address, neighbour)).status, 200)
  const limited = await list(address, bucket)
  assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '7'])

  // The request took effect, and the client is told that it did not, or nothing.
  await control.fault({ route: 'upload', when: 'after', answer: 'lock-timeout' })
  await control.fault({ route: 'remove', when: 'after', answer: 'reset' })
  await control.fault({ route: 'upload', path: '/before$', answer: 'reset' })
  assert.deepEqual(await statuses('after', 1), ['400 503 LockTimeout'])
  assert.deepEqual(await bucket.get('after'), Buffer.from('x'))
  await assert.rejects(remove(address, bucket, ['after']), TypeError)
  assert.equal(await bucket.get('after'), null)
  await assert.rejects(upload(address, bucket, 'before', 'x'), TypeError)
  assert.equal(await bucket.get('before'), null)

  const id = await control.fault({ route: 'list-v2', times: null, answer: { status: 418, headers: { 'x-odd': '1' }, body: { odd: true } } })
  const odd = await list(address, bucket)
  assert.deepEqual([odd.status, odd.headers.get('x-odd'), odd.body, (await list(address, bucket)).status], [418, '1', { odd: true }, 418])
  assert.deepEqual(await bucket.list(), ['f-x'], 'an observer meets no fault')
  assert.deepEqual((await control.faults()).at(-1), { id, bucket: null, hits: 2, left: null })
  await control.clearFaults({ id })
  assert.equal((await list(address, bucket)).status, 200)
})

test('log_counts_requests_of_clients_by_bucket_and_keeps_no_contents', async (t) => {
  const { address, client, bucket, control } = await serve(t)
  const neighbour = await client.makeBucket()
  const since = await control.newest()
  await upload(address, bucket, 'secret-name', 'secret-content')
  await read(address, bucket, 'secret-name')
  await read(address, bucket, 'missing')
  await upload(address, neighbour, 'x', 'y')
  const { bytesOut, ...counted } = await control.counts({ bucket: bucket.name })
  assert.deepEqual(counted, { requests: 3, bytesIn: 14, routes: { upload: 1, download: 2 }, statuses: { 200: 2, 400: 1 } })
  assert.ok(bytesOut > 14)
  assert.equal((await control.counts()).requests, 4)
  const [first, ...rest] = await control.requests({ since, bucket: bucket.name })
  const { n, bytesOut: answered, ...entry } = first
  const about = { method: 'POST', path: `/object/${bucket.name}/secret-name`, route: 'upload', bucket: bucket.name, role: 'service_role' }
  assert.deepEqual(entry, { ...about, status: 200, bytesIn: 14, fault: null, stale: false })
  assert.ok(n > since && answered > 0)
  assert.deepEqual(
    rest.map(({ status }) => status),
    [200, 400]
  )
  assert.doesNotMatch(JSON.stringify(await control.requests()), new RegExp(`secret-content|${address.key}`))
  await control.forget({ bucket: bucket.name })
  assert.deepEqual([(await control.counts({ bucket: bucket.name })).requests, (await control.counts()).requests], [0, 1])
})

test('clock_of_the_server_can_be_off', async (t) => {
  const { address, bucket } = await serve(t, { clockOffsetMs: 2 * 365 * 86_400_000 })
  const year = new Date().getUTCFullYear()
  await upload(address, bucket, 'x', 'x')
  const { headers } = await read(address, bucket, 'x')
  for (const name of ['date', 'last-modified']) assert.ok(new Date(headers.get(name)).getUTCFullYear() > year, name)
})

test('misspelt_switch_is_refused_and_a_reset_gives_everything_up', async (t) => {
  const { server, address, bucket, control } = await serve(t)
  await assert.rejects(control.settings({ values: { transient_404: 1 } }), /there is no setting "transient_404"/)
  await assert.rejects(control.settings({ values: { listV2: 'off' } }), /listV2 cannot be "off"/)
  await assert.rejects(control.settings({ values: { gateway: true }, bucket: bucket.name }), /the same for all buckets/)
  await assert.rejects(control.fault({ methods: 'GET' }), /there is no "methods"/)
  await assert.rejects(control.fault({ answer: 'lock' }), /there is no fault "lock"/)
  await assert.rejects(control.hold({ at: 'list' }), /there is no point "list"/)
  assert.throws(() => server.control.settings({ values: { cdn: { days: 1 } } }), /cdn cannot be/)
  await control.settings({ values: { listV2: 'feature' }, bucket: bucket.name })
  await control.fault({ bucket: bucket.name, times: null, answer: 'database-down' })
  await control.reset({ bucket: bucket.name })
  assert.equal(said(await list(address, bucket)), '200  ')
})
