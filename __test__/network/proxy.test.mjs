// The fault-injecting proxy takes exactly the requests that a rule concerns, passes everything else on unchanged, and tells truly
// what it did.
//
// Invariant guarded: a test through the proxy fails by what its rules say, and by nothing that the proxy does of itself.

import test from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, request as send } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { startProxy } from '../../testkit/proxy/proxy.mjs'
import { scene, startClient } from '../../testkit/proxy/scene.mjs'

test('requests_and_answers_pass_unchanged_with_host_order_and_case_of_headers', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  const body = randomBytes(1 << 20)
  const put = await ask('PUT', '/a%2Fb%20c?x=1&y=%25', { body, headers: { 'X-Mixed-Case': 'Kept', Authorization: 'AWS4 secret' } })
  assert.deepEqual([put.status, put.message, put.text], [200, 'Fine', 'stored'])
  assert.equal(put.rawHeaders.join(), 'X-Case,Kept,Set-Cookie,a=1,Set-Cookie,b=2,Content-Length,6,Connection,keep-alive')
  const [{ rawHeaders, path, body: arrived }] = upstream.seen
  assert.equal(path, '/a%2Fb%20c?x=1&y=%25')
  assert.ok(Buffer.from(arrived, 'latin1').equals(body))
  const value = (name) => rawHeaders[rawHeaders.indexOf(name) + 1]
  assert.deepEqual([value('Host'), value('X-Mixed-Case'), value('Authorization')], [new URL(proxy.origin).host, 'Kept', 'AWS4 secret'])
  const got = await ask('GET', '/a%2Fb%20c?x=1&y=%25')
  assert.ok(got.bytes.equals(body))
  assert.equal(got.port, put.port, 'one connection serves both')
  assert.equal((await ask('HEAD', '/a%2Fb%20c?x=1&y=%25')).headers['content-length'], String(body.length))
  assert.equal((await ask('GET', '/absent')).status, 404)
  assert.equal((await ask('DELETE', '/absent')).status, 404)
  const sums = Object.entries(proxy.counters).map(([method, { requests, bytesUp, bytesDown }]) => [method, requests, bytesUp, bytesDown])
  assert.deepEqual(sums, [
    ['PUT', 1, 1 << 20, 6],
    ['GET', 2, 0, 1 << 20],
    ['HEAD', 1, 0, 0],
    ['DELETE', 1, 0, 0]
  ])
  assert.deepEqual(proxy.connections, { accepted: 1, open: 1 })
})

test('a_body_in_chunks_and_an_answer_in_chunks_stay_in_chunks', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  const request = send(`${proxy.origin}/chunked`, { method: 'PUT' })
  request.write('one,')
  request.end('two')
  const [stored] = await once(request, 'response')
  stored.resume()
  const [{ rawHeaders, body }] = upstream.seen
  const names = rawHeaders.map((word) => word.toLowerCase())
  assert.deepEqual([body, names.includes('transfer-encoding'), names.includes('content-length')], ['one,two', true, false])
  const answer = await ask('GET', '/chunked')
  assert.deepEqual([answer.headers['transfer-encoding'], answer.headers['content-length'], answer.text], ['chunked', undefined, 'one,two'])
})

test('a_rule_takes_its_method_its_path_and_its_share_of_the_count_and_nothing_else', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  const rule = proxy.rule({ method: 'PUT', path: '/seg/é', fault: 'status', status: 503, after: 1, times: 2 })
  const statuses = []
  for (let n = 0; n < 5; n++) statuses.push((await ask('PUT', '/t/seg%2F%C3%A9', { body: 'x' })).status)
  assert.deepEqual(statuses, [200, 503, 503, 200, 200])
  assert.equal(rule.hits, 2)
  assert.equal((await ask('GET', '/t/seg%2F%C3%A9')).status, 200)
  assert.equal((await ask('PUT', '/t/other', { body: 'x' })).status, 200)
  assert.equal(upstream.seen.length, 5)

  const all = proxy.rule({ fault: 'status', status: 418 })
  assert.equal((await ask('GET', '/t/other')).status, 418)
  all.remove()
  assert.equal((await ask('GET', '/t/other')).status, 200)
  for (const [words, path, hit] of [
    [{ path: /\/b$/ }, '/a/b', true],
    [{ path: /\/b$/g }, '/a/b', true],
    [{ path: /^\/b/ }, '/a/b', false],
    [{ pattern: '^/a/.*z$' }, '/a/xyz', true],
    [{ pattern: '^/a/.*z$' }, '/a/xy', false],
    [{ method: ['PUT', 'DELETE'] }, '/x', false],
    [{ method: ['GET', 'DELETE'] }, '/x', true],
    [{ path: 'list-type=2' }, '/b?list-type=2&prefix=x', true]
  ]) {
    const some = proxy.rule({ ...words, fault: 'status', status: 418 })
    for (let twice = 0; twice < 2; twice++) assert.equal((await ask('GET', path)).status === 418, hit, `${JSON.stringify(words)} ${path}`)
    assert.equal(some.hits, hit ? 2 : 0)
    some.remove()
  }
})

test('the_first_rule_that_takes_a_request_decides_and_those_behind_it_do_not_count_it', async (t) => {
  const { proxy, ask } = await scene(t)
  const first = proxy.rule({ fault: 'status', status: 503, times: 1 })
  const second = proxy.rule({ fault: 'status', status: 429, times: 1 })
  assert.deepEqual([(await ask('GET', '/x')).status, (await ask('GET', '/x')).status, (await ask('GET', '/x')).status], [503, 429, 404])
  assert.deepEqual([first.hits, second.hits], [1, 1])
})

test('a_misspelt_rule_is_refused_and_so_is_chance_without_a_seed', async (t) => {
  const { proxy } = await scene(t)
  for (const wrong of [
    { fault: 'resett' },
    { fault: 'reset', commited: true },
    { fault: 'delay', bytes: 1 },
    { pattern: '(' },
    { fault: 'reset', share: 0.5 },
    { delayMs: [0, 10] },
    { answerDelayMs: [0, 10] }
  ]) {
    assert.throws(() => proxy.rule(wrong), Error, JSON.stringify(wrong))
  }
  proxy.rule({ fault: 'reset', share: 0.5, seed: 1 }).remove()
})

test('chance_is_the_same_for_the_same_seed_and_another_for_another', async (t) => {
  const run = async (seed) => {
    const { proxy, ask } = await scene(t, { seed })
    proxy.rule({ fault: 'status', status: 503, share: 0.5 })
    const statuses = []
    for (let n = 0; n < 40; n++) statuses.push((await ask('GET', '/x')).status)
    return statuses.join()
  }
  const [one, again, other] = [await run(1), await run(1), await run(2)]
  assert.equal(one, again)
  assert.notEqual(one, other)
  assert.ok(one.includes('503') && one.includes('404'))
})

test('a_server_that_is_gone_or_breaks_off_is_a_broken_connection_and_not_a_status', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  const breaking = createServer((request, response) => {
    response.writeHead(200, { 'Content-Length': 10 }).write('01234')
    setTimeout(() => response.destroy(), 20)
  })
  breaking.listen(0, '127.0.0.1')
  await once(breaking, 'listening')
  atEnd(t, () => new Promise((resolve) => breaking.close(resolve)))
  const other = await startProxy(`http://127.0.0.1:${breaking.address().port}`)
  atEnd(t, () => other.stop())
  assert.equal((await startClient(t, other.origin)('GET', '/x')).error, 'ECONNRESET')

  upstream.server.closeAllConnections()
  await new Promise((resolve) => upstream.server.close(resolve))
  assert.equal((await ask('GET', '/x')).error, 'ECONNRESET')
  assert.match(proxy.trace.at(-1).fault, /^upstream ECONN/)
})

test('a_trace_tells_what_happened_and_no_secret_unless_it_is_asked_to', async (t) => {
  const file = join(scratch(t), 'trace')
  const { proxy, ask } = await scene(t, { traceFile: file })
  await ask('PUT', '/x', { body: 'the body', headers: { Authorization: 'Bearer hush' } })
  proxy.rule({ fault: 'reset', times: 1 })
  await ask('GET', '/x', { headers: { Authorization: 'Bearer hush' } })
  await proxy.idle()
  const lines = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(lines, JSON.parse(JSON.stringify(proxy.trace)))
  assert.deepEqual(
    lines.map(({ method, path }) => `${method} ${path}`),
    ['PUT /x', 'GET /x']
  )
  assert.deepEqual(Object.keys(lines[0]), ['at', 'method', 'path', 'status', 'upstream', 'fault', 'left', 'bytesUp', 'bytesDown'])
  assert.deepEqual([lines[0].status, lines[0].bytesUp, lines[0].bytesDown, lines[1].status, lines[1].fault], [200, 8, 6, null, 'reset'])
  assert.ok(!readFileSync(file, 'utf8').includes('hush') && !readFileSync(file, 'utf8').includes('the body'))

  const all = await scene(t, { traceAll: true })
  await all.ask('PUT', '/x', { body: 'the body', headers: { Authorization: 'Bearer hush' } })
  const [{ requestHead, answerHead }] = all.proxy.trace
  assert.ok(requestHead.startsWith('PUT /x HTTP/1.1\r\n') && requestHead.includes('Authorization: Bearer hush\r\n'))
  assert.ok(answerHead.startsWith('HTTP/1.1 200 Fine\r\n') && answerHead.includes('X-Case: Kept\r\n'))
  assert.ok(!JSON.stringify(all.proxy.trace).includes('the body'))
})

test('a_client_that_leaves_in_the_middle_of_its_upload_sends_nothing', async (t) => {
  const { upstream, proxy } = await scene(t)
  const request = send(`${proxy.origin}/x`, { method: 'PUT', headers: { 'Content-Length': 10 } })
  request.on('error', () => {})
  request.write('half', () => request.destroy())
  await eventually('the proxy notices', () => proxy.trace[0]?.left)
  await proxy.idle()
  assert.deepEqual([upstream.seen, upstream.torn], [[], []])
})

test('requests_side_by_side_do_not_get_in_each_others_way', async (t) => {
  const { upstream, proxy } = await scene(t)
  proxy.rule({ path: 'odd', fault: 'reset', committed: true })
  const clients = Array.from({ length: 20 }, () => startClient(t, proxy.origin))
  await Promise.all(
    clients.map(async (ask, c) => {
      for (let n = 0; n < 10; n++) {
        const path = `/${n % 2 ? 'odd' : 'even'}/${c}/${n}`
        const put = await ask('PUT', path, { body: path })
        assert.deepEqual([put.status, put.error], n % 2 ? [undefined, 'ECONNRESET'] : [200, undefined])
      }
    })
  )
  assert.equal(upstream.kept.size, 200)
  for (const [path, body] of upstream.kept) assert.equal(body.toString(), path)
})
