// The double of Google Cloud Storage keeps objects as the service is documented to do, so that tests on it prove something.
//
// Invariant guarded: what a client may rely on (names, order, paging, conditions, whole uploads) holds in the double, and what
// the service refuses the double refuses with the same status and code.

import test, { after, before } from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as dial } from 'node:net'
import * as gcs from '../../testkit/stores/gcs.mjs'
import { callerOf, refused } from '../../testkit/stores/gcs/caller.mjs'
import { listed } from '../../testkit/stores/gcs/xml.mjs'
import { sized } from '../support/size.mjs'

let server, client, caller
before(async () => {
  server = await gcs.start()
  client = gcs.connect(server.address)
  caller = callerOf(server.address)
})
after(() => server.stop())

const ask = (...args) => caller.ask(...args)

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Every page of a listing, as it was asked for. */
async function pages(bucket, query) {
  const found = []
  for (let token = ''; token !== null;) {
    const answer = await ask('GET', `${bucket.name}?list-type=2&${query}${token && `&continuation-token=${encodeURIComponent(token)}`}`)
    assert.equal(answer.status, 200, answer.text)
    const page = listed(answer.text)
    found.push(page)
    token = page.next
  }
  return found
}

const NAMES = [
  'a',
  'a b',
  'a%20b',
  'a+b',
  'a/b',
  'a/b/c',
  'a/bc',
  'a0',
  'ab',
  'A',
  'é',
  'e\u0301',
  '日本/語',
  '😀',
  '\uffee',
  'x&<>"\'',
  'q?r#s',
  'tab\there',
  'z//y',
  '.hidden',
  'n'.repeat(1024)
]

test('every_name_comes_back_as_it_was_given_and_in_the_order_of_its_bytes', async () => {
  const bucket = await client.makeBucket()
  for (const name of NAMES) {
    const put = await ask('PUT', `${bucket.name}/${encodeURIComponent(name)}`, { body: `<${name}>` })
    assert.equal(put.status, 200, put.text)
  }
  const sorted = [...NAMES].sort(byBytes)
  assert.deepEqual(await bucket.list(), sorted)
  assert.notDeepEqual(sorted, [...NAMES].sort(), 'one of the names is in another place by its UTF-16')
  for (const name of NAMES) assert.equal((await bucket.get(name)).toString(), `<${name}>`)
  await bucket.delete([...NAMES, 'never there'])
  assert.deepEqual(await bucket.list(), [])
  await bucket.remove()
  await bucket.remove()
  refused(await ask('GET', `${bucket.name}?list-type=2`), 404, 'NoSuchBucket')
  assert.deepEqual(await (await client.makeBucket(bucket.name)).list(), [], 'made again under the same name it is empty')
})

test('names_that_the_service_does_not_take_are_refused', async () => {
  const bucket = await client.makeBucket()
  for (const name of ['n'.repeat(1025), 'é'.repeat(513), 'a\nb', 'a\rb', '.well-known/acme-challenge/x']) {
    refused(await ask('PUT', `${bucket.name}/${encodeURIComponent(name)}`, { body: 'x' }), 400, 'InvalidArgument')
  }
  refused(await ask('PUT', `${bucket.name}/%ff`, { body: 'x' }), 400, 'InvalidURI')
})

test('a_listing_comes_in_pages_of_a_thousand_without_a_gap_or_a_repetition', async () => {
  const bucket = await client.makeBucket()
  const [full, rest] = [sized(1, 3), 100]
  const lengths = [...Array(full).fill(1000), rest]
  const names = Array.from({ length: 1000 * full + rest }, (_, n) => `p/${String(n).padStart(5, '0')}`)
  const queue = ['o/1', 'p', ...names, 'q/1'].values()
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const name of queue) await bucket.put(name, name)
    })
  )
  const found = await pages(bucket, 'prefix=p%2F')
  assert.deepEqual(
    found.map((page) => page.names.length),
    lengths
  )
  assert.deepEqual(
    found.flatMap((page) => page.names),
    names
  )
  assert.deepEqual(
    (await pages(bucket, 'prefix=p%2F&max-keys=2000')).map((page) => page.names.length),
    lengths
  )
  // What is written and deleted between two pages moves nothing.
  const { next } = found[0]
  await bucket.delete(['p/00000', 'p/00999', 'p/01000'])
  await bucket.put('p/00000-new', 'x')
  const second = listed((await ask('GET', `${bucket.name}?list-type=2&prefix=p%2F&continuation-token=${next}`)).text)
  assert.deepEqual(second.names, names.slice(1001, 2001))
  await bucket.remove()
})

test('prefix_delimiter_start_and_page_length_agree_with_a_listing_made_by_hand', async () => {
  const bucket = await client.makeBucket()
  const inOrder = (names) => names.sort(byBytes)
  const names = inOrder(['a', 'a/', 'a/~', 'a/é', 'a/1', 'a/2', 'a/b/1', 'a/b/2', 'a/c', 'a0', 'aé/1', 'b/1', 'b/2', 'c'])
  for (const name of names) await bucket.put(name, 'x')
  for (const prefix of ['', 'a', 'a/', 'a/b', 'a/b/', 'aé', 'b/1', 'x']) {
    for (const delimiter of ['', '/', 'é/']) {
      for (const startAfter of ['', 'a', 'a/2', 'a/b/1', 'b/', 'zz']) {
        const wanted = names.filter((name) => name.startsWith(prefix) && byBytes(name, startAfter) > 0)
        const entries = new Set(
          wanted.map((name) => {
            const end = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length)
            return end < 0 ? name : `${name.slice(0, end + delimiter.length)} `
          })
        )
        for (const maxKeys of [1, 3, 1000]) {
          const query = new URLSearchParams({ prefix, delimiter, 'start-after': startAfter, 'max-keys': maxKeys })
          const found = await pages(bucket, query)
          const got = found.flatMap((page) => inOrder([...page.names, ...page.prefixes.map((name) => `${name} `)]))
          assert.deepEqual(got, [...entries], `${query}`)
          for (const page of found.slice(0, -1)) assert.equal(page.names.length + page.prefixes.length, maxKeys, `${query}`)
        }
      }
    }
  }
  for (const query of ['max-keys=-1', 'max-keys=x', 'continuation-token=%25', 'continuation-token=abc']) {
    refused(await ask('GET', `${bucket.name}?list-type=2&${query}`), 400, 'InvalidArgument')
  }
})

test('pages_can_be_made_shorter_than_the_client_asks_for', async () => {
  const bucket = await client.makeBucket()
  for (const name of ['a', 'b', 'c', 'd', 'e']) await bucket.put(name, name)
  await bucket.switch({ pageSize: 2 })
  assert.deepEqual(
    (await pages(bucket, '')).map((page) => page.names),
    [['a', 'b'], ['c', 'd'], ['e']]
  )
})

test('an_object_is_described_by_its_headers', async () => {
  const bucket = await client.makeBucket()
  const told = { 'content-type': 'text/x', 'x-goog-meta-who': 'me', 'cache-control': 'no-store' }
  const put = await ask('PUT', `${bucket.name}/k`, { body: 'hello', headers: told })
  assert.equal(put.headers.get('etag'), '"5d41402abc4b2a76b9719d911017c592"')
  assert.match(put.headers.get('x-goog-generation'), /^\d{16}$/)
  for (const method of ['GET', 'HEAD']) {
    const { status, headers, text } = await ask(method, `${bucket.name}/k`)
    assert.deepEqual([status, text, headers.get('content-length')], [200, method === 'GET' ? 'hello' : '', '5'])
    assert.deepEqual(
      [headers.get('content-type'), headers.get('x-goog-meta-who'), headers.get('cache-control')],
      ['text/x', 'me', 'no-store']
    )
    for (const name of ['etag', 'x-goog-generation', 'x-goog-hash']) assert.equal(headers.get(name), put.headers.get(name))
    assert.ok(Math.abs(Date.parse(headers.get('last-modified')) - Date.parse(headers.get('date'))) < 600_000)
  }
  assert.equal((await ask('GET', `${bucket.name}/k?generation=${put.headers.get('x-goog-generation')}`)).text, 'hello')
  refused(await ask('GET', `${bucket.name}/k?generation=1`), 404, 'NoSuchKey')
})

test('a_range_is_answered_exactly', async () => {
  const bucket = await client.makeBucket()
  await bucket.put('k', '0123456789')
  await bucket.put('empty', '')
  const of = async (range, name = 'k') => {
    const { status, text, headers } = await ask('GET', `${bucket.name}/${name}`, { headers: { range } })
    return [status, status === 416 ? '' : text, headers.get('content-range')]
  }
  assert.deepEqual(await of('bytes=0-0'), [206, '0', 'bytes 0-0/10'])
  assert.deepEqual(await of('bytes=3-5'), [206, '345', 'bytes 3-5/10'])
  assert.deepEqual(await of('bytes=8-99'), [206, '89', 'bytes 8-9/10'])
  assert.deepEqual(await of('bytes=7-'), [206, '789', 'bytes 7-9/10'])
  assert.deepEqual(await of('bytes=-3'), [206, '789', 'bytes 7-9/10'])
  assert.deepEqual(await of('bytes=-99'), [206, '0123456789', 'bytes 0-9/10'])
  assert.deepEqual(await of('bytes=10-'), [416, '', 'bytes */10'])
  assert.deepEqual(await of('bytes=0-0', 'empty'), [416, '', 'bytes */0'])
  assert.deepEqual(await of('lines=1-2'), [200, '0123456789', null])
})

test('of_any_number_of_creators_of_one_name_exactly_one_wins', async () => {
  const bucket = await client.makeBucket()
  for (let round = 0; round < 5; round++) {
    const create = (n) => ask('PUT', `${bucket.name}/${round}`, { body: `${n}`, headers: { 'x-goog-if-generation-match': '0' } })
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => create(n)))
    const winners = answers.flatMap(({ status }, n) => (status === 200 ? [n] : []))
    assert.equal(winners.length, 1)
    assert.equal((await bucket.get(`${round}`)).toString(), `${winners[0]}`)
    for (const answer of answers.filter(({ status }) => status !== 200)) refused(answer, 412, 'PreconditionFailed')
  }
})

test('a_condition_on_the_generation_holds_for_put_get_and_delete', async () => {
  const bucket = await client.makeBucket()
  const generation = async (body) => (await ask('PUT', `${bucket.name}/k`, { body })).headers.get('x-goog-generation')
  const old = await generation('one')
  const current = await generation('two')
  assert.ok(Number(current) > Number(old))
  const match = (value) => ({ headers: { 'x-goog-if-generation-match': value } })
  for (const method of ['PUT', 'GET', 'DELETE']) {
    refused(await ask(method, `${bucket.name}/k`, match(old)), 412, 'PreconditionFailed')
    refused(await ask(method, `${bucket.name}/k`, match('abc')), 400, 'InvalidArgument')
  }
  refused(await ask('DELETE', `${bucket.name}/absent`, match(old)), 412, 'PreconditionFailed')
  assert.equal((await ask('GET', `${bucket.name}/k`, match(current))).text, 'two')
  assert.equal((await ask('DELETE', `${bucket.name}/k`, match(current))).status, 204)
  refused(await ask('DELETE', `${bucket.name}/k`), 404, 'NoSuchKey')
  refused(await ask('GET', `${bucket.name}/k`), 404, 'NoSuchKey')
  await bucket.put('k', 'three')
  const etag = (await ask('GET', `${bucket.name}/k`)).headers.get('etag')
  assert.equal((await ask('GET', `${bucket.name}/k`, { headers: { 'if-none-match': etag } })).status, 304)
  refused(await ask('GET', `${bucket.name}/k`, { headers: { 'if-match': '"other"' } }), 412, 'PreconditionFailed')
})

test('what_the_double_does_not_model_is_refused_and_not_ignored', async () => {
  const bucket = await client.makeBucket()
  await bucket.put('k', 'x')
  for (const [method, path, headers] of [
    ['PUT', 'k', { 'x-goog-copy-source': 'a/b' }],
    ['PUT', 'k', { 'x-goog-if-metageneration-match': '1' }],
    ['PUT', 'k', { 'content-md5': 'AAAA' }],
    ['POST', 'k?uploads', {}],
    ['PUT', 'k?partNumber=1&uploadId=x', {}],
    ['GET', '?list-type=1', {}],
    ['GET', '', {}],
    ['GET', '?list-type=2&encoding-type=url', {}],
    ['GET', '?acl', {}]
  ])
    refused(await ask(method, `${bucket.name}/${path}`, { headers, body: method === 'PUT' ? 'y' : undefined }), 501, 'NotImplemented')
  refused(await ask('POST', `${bucket.name}/k`, { body: 'y' }), 405, 'MethodNotAllowed')
  assert.equal((await bucket.get('k')).toString(), 'x')
})

test('an_upload_that_is_cut_short_stores_nothing', async () => {
  const bucket = await client.makeBucket()
  await bucket.put('k', 'old')
  const { hostname, port } = new URL(server.address.endpoint)
  for (const name of ['k', 'new']) {
    const socket = dial(port, hostname)
    await once(socket, 'connect')
    socket.end(`PUT /${bucket.name}/${name} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${caller.jwt()}\r\nContent-Length: 10\r\n\r\nhalf`)
    socket.resume()
    await once(socket, 'close')
  }
  assert.deepEqual(await bucket.list(), ['k'])
  assert.equal((await bucket.get('k')).toString(), 'old')
})

test('one_name_takes_one_write_in_a_while_when_that_is_switched_on', async () => {
  const bucket = await client.makeBucket()
  await bucket.switch({ sameNameMs: 600_000 })
  assert.equal((await ask('PUT', `${bucket.name}/a`, { body: '1' })).status, 200)
  refused(await ask('PUT', `${bucket.name}/a`, { body: '2' }), 429, 'SlowDown')
  refused(await ask('DELETE', `${bucket.name}/a`), 429, 'SlowDown')
  assert.equal((await ask('PUT', `${bucket.name}/b`, { body: '1' })).status, 200, 'another name is not concerned')
  assert.equal((await bucket.get('a')).toString(), '1')
  await bucket.switch({ sameNameMs: 0 })
  assert.equal((await ask('PUT', `${bucket.name}/a`, { body: '3' })).status, 200)
})

test('a_bucket_is_missing_for_every_operation', async () => {
  for (const [method, rest] of [
    ['GET', '?list-type=2'],
    ['GET', '/k'],
    ['PUT', '/k'],
    ['DELETE', '/k']
  ]) {
    const path = `gone-bucket${rest}`
    refused(await ask(method, path), 404, 'NoSuchBucket')
    refused(await ask(method, path, { bearer: null }), 404, 'NoSuchBucket')
  }
  refused(await ask('PUT', 'made-by-account'), 403, 'AccessDenied')
})

test('a_client_of_a_proxy_is_told_to_go_through_it_and_the_test_itself_is_not', async () => {
  const endpoint = 'http://127.0.0.1:9'
  const bucket = await gcs.connect(JSON.parse(JSON.stringify(server.address)), { endpoint }).makeBucket('through-a-proxy')
  await bucket.put('k', 'x')
  assert.deepEqual([bucket.name, await bucket.list()], ['through-a-proxy', ['k']])
  assert.deepEqual([bucket.spec.endpoint, bucket.options.store.endpoint], [endpoint, endpoint])
  const { token_uri: token, gcs_base_url: base, private_key: own } = JSON.parse(bucket.spec.credentials)
  assert.deepEqual([token, base, own], [`${endpoint}/token`, endpoint, caller.key.private_key])
  assert.deepEqual(JSON.parse(JSON.stringify(bucket.spec)), bucket.spec)
  assert.deepEqual(JSON.parse(JSON.stringify(bucket.options)), bucket.options)
  await bucket.remove()
})
