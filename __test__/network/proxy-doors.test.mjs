// The other doors of the test network: a forward proxy, as the environment names one, and HTTPS with an authority of its own.
//
// Invariant guarded: what a client asked the forward proxy for is written down truly and leads to no other machine; and a
// certificate is trusted by those who were given the authority, for the names in it, while it is valid, and by nobody else.

import test from 'node:test'
import assert from 'node:assert/strict'
import { request as send } from 'node:http'
import { request as sendSecurely } from 'node:https'
import { once } from 'node:events'
import { connect as secure } from 'node:tls'
import { atEnd } from '../../testkit/base/endings.mjs'
import { startForwardProxy, startProxy } from '../../testkit/proxy/proxy.mjs'
import { startTls } from '../../testkit/tls/https.mjs'
import { startUpstream } from '../../testkit/proxy/scene.mjs'

/** Status and text of an answer, or the code of the error. */
async function outcome(request, body) {
  request.end(body)
  try {
    const [answer] = await once(request, 'response')
    const chunks = []
    for await (const chunk of answer) chunks.push(chunk)
    return `${answer.statusCode} ${Buffer.concat(chunks)}`
  } catch (error) {
    return error.code
  }
}

async function forwarding(t, hosts) {
  const forward = await startForwardProxy({ hosts })
  atEnd(t, () => forward.stop())
  return forward
}

/** A request to the URL `url` in the form that a forward proxy gets. */
const through = (forward, method, url, headers = {}) => {
  const { hostname, port } = new URL(forward.origin)
  return send({ hostname, port, method, path: url, headers: { Host: new URL(url).host, ...headers }, agent: false })
}

test('a_forward_proxy_leads_to_where_it_is_told_and_writes_it_down', async (t) => {
  const upstream = await startUpstream(t)
  const forward = await forwarding(t, { 'store.invalid:80': new URL(upstream.origin).host })
  assert.equal(await outcome(through(forward, 'PUT', 'http://store.invalid/a%2Fb?x=%25', { 'Content-Length': 4 }), 'body'), '200 stored')
  assert.equal(await outcome(through(forward, 'GET', 'http://store.invalid/a%2Fb?x=%25')), '200 body')
  assert.equal(await outcome(through(forward, 'GET', `${upstream.origin}/a%2Fb?x=%25`)), '200 body', 'this machine needs no entry')
  assert.deepEqual(forward.targets, [
    { method: 'PUT', host: 'store.invalid', path: '/a%2Fb?x=%25' },
    { method: 'GET', host: 'store.invalid', path: '/a%2Fb?x=%25' },
    { method: 'GET', host: new URL(upstream.origin).host, path: '/a%2Fb?x=%25' }
  ])
  const [{ path, rawHeaders }] = upstream.seen
  assert.deepEqual([path, rawHeaders[rawHeaders.indexOf('Host') + 1]], ['/a%2Fb?x=%25', 'store.invalid'])
})

test('a_forward_proxy_leaves_this_machine_for_nobody', async (t) => {
  const forward = await forwarding(t)
  assert.equal(await outcome(through(forward, 'GET', 'http://store.invalid/x')), '502 ')
  assert.equal(await outcome(through(forward, 'GET', 'http://192.0.2.1/x')), '502 ')
  const { hostname, port } = new URL(forward.origin)
  assert.equal(await outcome(send({ hostname, port, path: '/no-proxy-form', agent: false })), '400 ')
  const tunnel = send({ hostname, port, method: 'CONNECT', path: 'store.invalid:443', agent: false }).end()
  const [answer] = await once(tunnel, 'connect')
  assert.equal(answer.statusCode, 502)
  assert.deepEqual(forward.targets.at(-1), { method: 'CONNECT', host: 'store.invalid:443', path: null })
})

test('a_tunnel_carries_https_to_a_name_that_exists_only_here', async (t) => {
  const upstream = await startUpstream(t)
  const door = await startTls(upstream.origin, { names: ['store.invalid'] })
  atEnd(t, () => door.stop())
  const forward = await forwarding(t, { 'store.invalid:443': new URL(door.origin).host })
  const { hostname, port } = new URL(forward.origin)
  const tunnel = send({ hostname, port, method: 'CONNECT', path: 'store.invalid:443', agent: false }).end()
  const [answer, socket] = await once(tunnel, 'connect')
  assert.equal(answer.statusCode, 200)
  const createConnection = () => secure({ socket, servername: 'store.invalid', ca: door.ca })
  const request = sendSecurely({ host: 'store.invalid', method: 'PUT', path: '/x', headers: { 'Content-Length': 1 }, createConnection })
  assert.equal(await outcome(request, 'x'), '200 stored')
  assert.equal(upstream.kept.get('/x').toString(), 'x')
  assert.deepEqual(forward.targets, [{ method: 'CONNECT', host: 'store.invalid:443', path: null }])
})

test('https_is_trusted_with_the_authority_for_the_right_name_and_time_only', async (t) => {
  const upstream = await startUpstream(t)
  const door = await startTls(upstream.origin)
  const other = await startTls(upstream.origin)
  const named = await startTls(upstream.origin, { names: ['store.invalid'] })
  const expired = await startTls(upstream.origin, { expired: true })
  for (const { stop } of [door, other, named, expired]) atEnd(t, stop)
  const get = (at, ca) => outcome(sendSecurely(`${at.origin}/absent`, { ca, agent: false }))
  assert.equal(await get(door, door.ca), '404 ')
  assert.equal(await get(door, [other.ca, door.ca]), '404 ')
  assert.equal(door.handshakes, 2)
  assert.equal(await get(door, other.ca), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  assert.equal(await get(door), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  assert.equal(await get(named, named.ca), 'ERR_TLS_CERT_ALTNAME_INVALID')
  assert.equal(await get(expired, expired.ca), 'CERT_HAS_EXPIRED')
  assert.equal(upstream.seen.length, 2)
  assert.equal(upstream.seen[0].rawHeaders.includes(new URL(door.origin).host), true, 'the host is the one that the client named')
})

test('faults_reach_through_https_as_they_are', async (t) => {
  const upstream = await startUpstream(t)
  const proxy = await startProxy(upstream.origin)
  const door = await startTls(proxy.origin)
  atEnd(t, () => proxy.stop())
  atEnd(t, () => door.stop())
  const ask = (method, body = '') => {
    const headers = { 'Content-Length': body.length }
    return outcome(sendSecurely(`${door.origin}/x`, { method, ca: door.ca, agent: false, headers }), body)
  }
  assert.equal(await ask('PUT', 'x'), '200 stored')
  proxy.rule({ fault: 'reset', committed: true, times: 1 })
  assert.equal(await ask('PUT', 'y'), 'ECONNRESET')
  assert.equal(upstream.kept.get('/x').toString(), 'y')
  proxy.rule({ fault: 'cut-answer', bytes: 0, times: 1 })
  assert.equal(await ask('GET'), 'ECONNRESET')
  await proxy.outage('refuse')
  assert.equal(await ask('GET'), 'ECONNRESET')
  await proxy.heal()
  assert.equal(await ask('GET'), '200 y')
})
