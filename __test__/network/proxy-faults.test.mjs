// Each fault of the proxy does what it is called, at every place where it can.
//
// Invariant guarded: a test that says "the store had it, the client did not learn of it" means that, and one that says "the
// store never heard of it" means that too.

import test from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as send } from 'node:http'
import { connect } from 'node:net'
import { eventually } from '../../testkit/processes/machines.mjs'
import { isOpen, scene, startClient } from '../../testkit/proxy/scene.mjs'

test('a_status_is_answered_with_its_headers_and_body_on_a_connection_that_goes_on', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  proxy.rule({ method: 'PUT', fault: 'status', status: 429, headers: { 'Retry-After': 3 }, body: 'slow down', times: 1 })
  proxy.rule({ method: 'PUT', fault: 'status', status: 503, committed: true, times: 1 })
  const throttled = await ask('PUT', '/x', { body: 'one' })
  assert.deepEqual([throttled.status, throttled.headers['retry-after'], throttled.text, upstream.seen.length], [429, '3', 'slow down', 0])
  const lied = await ask('PUT', '/x', { body: 'two' })
  assert.deepEqual([lied.status, lied.text, upstream.kept.get('/x').toString()], [503, '', 'two'], 'the server behind has it')
  const after = await ask('GET', '/x')
  assert.deepEqual([after.text, after.port], ['two', throttled.port])
  const told = proxy.trace.map(({ fault, status, upstream }) => [fault, status, upstream])
  assert.deepEqual(told, [
    ['status', 429, null],
    ['status', 503, 200],
    [null, 200, 200]
  ])
})

test('a_reset_before_the_server_has_the_request_and_one_after_it', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  assert.equal((await ask('GET', '/x')).status, 404)
  proxy.rule({ method: 'PUT', fault: 'reset', times: 1 })
  proxy.rule({ method: 'PUT', fault: 'reset', committed: true, times: 1 })
  assert.equal((await ask('PUT', '/x', { body: 'one' })).error, 'ECONNRESET')
  assert.equal(upstream.kept.has('/x'), false)
  assert.equal((await ask('PUT', '/x', { body: 'two' })).error, 'ECONNRESET')
  assert.equal(upstream.kept.get('/x').toString(), 'two')
  assert.equal((await ask('GET', '/x')).text, 'two', 'the next connection is sound')
  const told = proxy.trace.slice(1, 3).map(({ fault, status, upstream }) => [fault, status, upstream])
  assert.deepEqual(told, [
    ['reset', null, null],
    ['reset', null, 200]
  ])
})

test('a_request_that_hangs_is_never_answered_whether_the_server_had_it_or_not', async (t) => {
  const { upstream, proxy } = await scene(t)
  proxy.rule({ method: 'PUT', path: 'before', fault: 'hang' })
  proxy.rule({ method: 'PUT', path: 'after', fault: 'hang', committed: true })
  const before = startClient(t, proxy.origin)('PUT', '/before', { body: 'x' })
  const after = startClient(t, proxy.origin)('PUT', '/after', { body: 'x' })
  await eventually('both are there', () => proxy.trace.length === 2)
  await proxy.idle()
  assert.deepEqual([...upstream.kept.keys()], ['/after'])
  assert.deepEqual([await isOpen(before), await isOpen(after)], [true, true])
  assert.equal(proxy.connections.open, 2, 'half-open: the connections stay')
  assert.equal((await startClient(t, proxy.origin)('GET', '/after')).text, 'x', 'others are served')
  await proxy.stop()
  assert.deepEqual([(await before).error, (await after).error], ['ECONNRESET', 'ECONNRESET'])
})

test('an_answer_is_cut_at_every_place_with_an_end_or_a_reset', async (t) => {
  const { proxy, ask } = await scene(t)
  for (const path of ['/plain', '/chunked']) {
    await ask('PUT', path, { body: '0123456789' })
    for (const ending of ['close', 'reset']) {
      for (let bytes = 0; bytes <= 11; bytes++) {
        const rule = proxy.rule({ method: 'GET', fault: 'cut-answer', bytes, ending, times: 1 })
        const got = await ask('GET', path)
        const where = `${path} ${ending} ${bytes}`
        assert.equal(got.error, 'ECONNRESET', where)
        assert.equal(rule.hits, 1)
        assert.equal(got.bytes?.toString() ?? '', '0123456789'.slice(0, Math.min(bytes, 9)), `${where}: never whole`)
      }
    }
    assert.equal((await ask('GET', path)).text, '0123456789')
  }
  proxy.rule({ fault: 'cut-answer', times: 2 })
  assert.equal((await ask('GET', '/plain')).bytes.toString(), '01234', 'half of it unless told')
  assert.equal((await ask('GET', '/absent')).error, 'ECONNRESET', 'an answer without a body is cut before its head')
})

test('a_cut_ends_the_connection_as_it_was_told_to', async (t) => {
  const { proxy, ask } = await scene(t)
  await ask('PUT', '/x', { body: '0123456789' })
  const { hostname, port } = new URL(proxy.origin)
  const endOf = async (ending) => {
    const rule = proxy.rule({ method: 'GET', fault: 'cut-answer', bytes: 4, ending, times: 1 })
    const socket = connect(Number(port), hostname)
    let [said, end] = ['', null]
    socket.on('data', (data) => {
      said += data
    })
    socket.on('end', () => {
      end = 'end'
    })
    socket.on('error', ({ code }) => {
      end = code
    })
    socket.write('GET /x HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => socket.once('close', resolve))
    assert.equal(rule.hits, 1)
    assert.ok(said.endsWith('\r\n\r\n0123'), said)
    return end
  }
  for (let attempt = 0; attempt < 5; attempt++) assert.equal(await endOf('close'), 'end')
  // Node takes a reset for an end if it comes to read no sooner than both are there.
  await eventually('a reset that is seen as one', async () => (await endOf('reset')) === 'ECONNRESET')
})

test('an_upload_is_cut_at_every_place_and_the_server_never_takes_it_for_whole', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  for (const [bytes, arrived] of [
    [0, 0],
    [1, 1],
    [9, 9],
    [10, 9],
    [99, 9],
    [undefined, 5]
  ]) {
    proxy.rule({ method: 'PUT', fault: 'cut-upload', ...(bytes === undefined ? {} : { bytes }), times: 1 })
    assert.equal((await ask('PUT', `/x${bytes}`, { body: '0123456789' })).error, 'ECONNRESET')
    const found = await eventually('the server notices', () => upstream.torn.find(({ path }) => path === `/x${bytes}`))
    assert.equal(found.bytes, arrived)
  }
  proxy.rule({ method: 'PUT', fault: 'cut-upload', times: 1 })
  assert.equal((await ask('PUT', '/empty', { body: '' })).error, 'ECONNRESET')
  await proxy.idle()
  assert.deepEqual(upstream.seen, [], 'nothing ever arrived whole')
  assert.equal((await ask('PUT', '/x', { body: 'y' })).status, 200)
})

test('an_answer_drips_in_pieces_and_arrives_whole', async (t) => {
  const { proxy, ask } = await scene(t)
  await ask('PUT', '/x', { body: '0123456789' })
  proxy.rule({ method: 'GET', fault: 'drip', bytes: 3, everyMs: 50 })
  const pieces = []
  const request = send(`${proxy.origin}/x`)
  request.end()
  const [answer] = await once(request, 'response')
  for await (const chunk of answer) pieces.push(chunk.toString())
  assert.equal(pieces.join(''), '0123456789')
  // Two pieces may be read as one, but none is read in two, and not all of them are.
  assert.ok(pieces.length > 1 && pieces.slice(0, -1).every(({ length }) => length % 3 === 0), pieces.join(' '))
})

test('every_bit_of_an_answer_can_be_flipped_and_only_that_one', async (t) => {
  const { proxy, ask } = await scene(t)
  const body = 'abc'
  await ask('PUT', '/x', { body })
  for (let at = 0; at < 24; at++) {
    proxy.rule({ fault: 'flip', at: at >> 3, bit: at & 7, times: 1 })
    const wanted = Buffer.from(body)
    wanted[at >> 3] ^= 1 << (at & 7)
    const { status, bytes, headers } = await ask('GET', '/x')
    assert.deepEqual([status, bytes, headers['content-length']], [200, wanted, '3'])
  }
  proxy.rule({ fault: 'flip', at: -1, times: 1 })
  assert.equal((await ask('GET', '/x')).text, 'abb')
  proxy.rule({ fault: 'flip', at: 3, times: 1 })
  assert.equal((await ask('GET', '/x')).text, '`bc', 'a place behind the end is counted round')
})

test('garbage_has_the_length_of_the_answer_and_is_the_same_for_the_same_seed', async (t) => {
  const { proxy, ask } = await scene(t)
  for (const length of [1, 2, 3, 4, 5, 1001]) {
    const body = Buffer.alloc(length, 'x')
    await ask('PUT', '/x', { body })
    const rule = proxy.rule({ method: 'GET', fault: 'garbage', seed: 5 })
    const [one, again] = [(await ask('GET', '/x')).bytes, (await ask('GET', '/x')).bytes]
    rule.remove()
    assert.ok(one.equals(again) && one.length === length && !one.equals(body))
  }
})

test('a_request_is_delivered_twice_and_either_answer_is_told', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  proxy.rule({ method: 'PUT', fault: 'twice', times: 1 })
  assert.equal((await ask('PUT', '/x', { body: 'one' })).text, 'stored')
  assert.deepEqual(
    upstream.seen.map(({ method, path, body }) => `${method} ${path} ${body}`),
    ['PUT /x one', 'PUT /x one']
  )
  // The second delivery comes when the client has gone on long ago, on any machine.
  proxy.rule({ method: 'PUT', fault: 'twice', gapMs: 5000, answer: 'first', times: 1 })
  assert.equal((await ask('PUT', '/x', { body: 'old' })).text, 'stored')
  assert.equal((await ask('PUT', '/x', { body: 'new' })).text, 'stored')
  assert.equal(upstream.kept.get('/x').toString(), 'new')
  await proxy.idle()
  assert.equal(upstream.kept.get('/x').toString(), 'old', 'a delayed packet undoes a write')
})

test('delays_add_up_beside_a_fault_and_a_request_on_its_way_arrives_without_its_client', async (t) => {
  const { upstream, proxy, ask } = await scene(t, { seed: 3 })
  const everywhere = proxy.rule({ delayMs: [0, 20], answerDelayMs: [0, 20] })
  const burst = proxy.rule({ fault: 'status', status: 503, times: 1 })
  assert.deepEqual([(await ask('GET', '/x')).status, (await ask('GET', '/x')).status], [503, 404])
  assert.deepEqual([everywhere.hits, burst.hits, proxy.trace.map(({ fault }) => fault)], [2, 1, ['status', 'delay']])
  everywhere.remove()

  const slow = proxy.rule({ method: 'PUT', delayMs: 5000 })
  const answer = ask('PUT', '/late', { body: 'x' })
  await eventually('the proxy has it', () => slow.hits === 1)
  ask.last.destroy()
  await answer
  assert.equal(upstream.kept.has('/late'), false)
  await proxy.idle()
  assert.equal(upstream.kept.get('/late').toString(), 'x')
  assert.deepEqual([proxy.trace.at(-1).left, proxy.trace.at(-1).status, proxy.trace.at(-1).upstream], [true, null, 200])
})
