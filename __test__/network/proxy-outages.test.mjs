// Outages of the whole server behind the proxy, and the end of the proxy itself.
//
// Invariant guarded: while an outage lasts nothing gets through in either direction, and afterwards the same address works.

import test from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { inTime } from '../../testkit/base/in-time.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { isOpen, scene, startClient } from '../../testkit/proxy/scene.mjs'
import { resetSocket } from '../../testkit/base/reset.mjs'

test('while_connections_are_refused_nobody_gets_through_and_afterwards_the_address_is_the_same', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  const { origin } = proxy
  for (let round = 0; round < 3; round++) {
    assert.equal((await ask('PUT', '/x', { body: `${round}` })).status, 200)
    await proxy.outage('refuse')
    for (let attempt = 0; attempt < 2; attempt++) {
      const { error } = await ask('PUT', '/x', { body: 'lost' })
      // The connection that was idle may only be found broken now.
      assert.ok(error === 'ECONNREFUSED' || (attempt === 0 && error === 'ECONNRESET'), error)
    }
    await proxy.heal()
    assert.equal((await ask('GET', '/x')).text, `${round}`)
  }
  assert.equal(proxy.origin, origin)
  assert.equal(upstream.seen.filter(({ body }) => body === 'lost').length, 0)
})

test('while_connections_are_reset_at_once_nobody_gets_through', async (t) => {
  const { proxy, ask } = await scene(t)
  assert.equal((await ask('PUT', '/x', { body: 'x' })).status, 200)
  await proxy.outage('reset')
  const before = proxy.connections.accepted
  for (let attempt = 0; attempt < 3; attempt++) assert.equal((await ask('GET', '/x')).error, 'ECONNRESET')
  assert.ok(proxy.connections.accepted > before, 'they were accepted')
  await proxy.heal()
  assert.equal((await ask('GET', '/x')).text, 'x')
})

test('an_outage_that_hangs_catches_what_is_under_way_and_never_answers_it', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  // Longer than any machine takes from here to the outage; it is waited for in the end.
  const held = proxy.rule({ path: 'held', answerDelayMs: 5000 })
  const waiting = proxy.rule({ path: 'waiting', delayMs: 5000 })
  const underWay = startClient(t, proxy.origin)('PUT', '/held', { body: 'x' })
  const onItsWay = startClient(t, proxy.origin)('PUT', '/waiting', { body: 'x' })
  await eventually('both are there', () => held.hits + waiting.hits === 2 && upstream.kept.has('/held'))
  await proxy.outage('hang')
  const unused = proxy.rule({ path: 'during', fault: 'status', status: 503 })
  const during = ask('PUT', '/during', { body: 'x' })
  await eventually('it is there', () => proxy.trace.length === 3)
  await proxy.idle()
  await proxy.heal()
  assert.equal((await startClient(t, proxy.origin)('GET', '/held')).text, 'x')
  assert.deepEqual([await isOpen(underWay), await isOpen(onItsWay), await isOpen(during)], [true, true, true])
  assert.deepEqual([...upstream.kept.keys()], ['/held'], 'what was not with the server yet never got there')
  assert.deepEqual(
    proxy.trace.slice(0, 3).map(({ fault, status }) => [fault, status]),
    [
      ['outage', null],
      ['outage', null],
      ['outage', null]
    ]
  )
  assert.equal(unused.hits, 0, 'an outage comes before all rules')
  await assert.rejects(proxy.outage('rain'), /rain/)
})

test('one_outage_follows_another', async (t) => {
  const { proxy, ask } = await scene(t)
  for (const how of ['refuse', 'reset', 'refuse', 'hang', 'refuse']) await proxy.outage(how)
  assert.ok(['ECONNREFUSED', 'ECONNRESET'].includes((await ask('GET', '/x')).error))
  await proxy.heal()
  await proxy.heal()
  assert.equal((await ask('GET', '/x')).status, 404)
  await proxy.outage('refuse')
})

test('a_proxy_that_is_stopped_lets_nothing_through_any_more', async (t) => {
  const { upstream, proxy, ask } = await scene(t)
  const rule = proxy.rule({ method: 'PUT', delayMs: 600_000 })
  const waiting = ask('PUT', '/x', { body: 'x' })
  await eventually('the proxy has it', () => rule.hits === 1)
  await proxy.stop()
  assert.equal((await waiting).error, 'ECONNRESET')
  assert.deepEqual([upstream.seen, proxy.connections.open], [[], 0])
  assert.equal((await startClient(t, proxy.origin)('GET', '/x')).error, 'ECONNREFUSED')
})

for (const before of ['idle', 'ending', 'ended', 'reset']) {
  test(`connection_that_is_${before}_is_closed_by_a_reset`, async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const client = connect(server.address().port, '127.0.0.1').resume()
    const gone = new Promise((resolve) => client.on('error', () => {}).once('close', resolve))
    const [socket] = await once(server, 'connection')
    socket.on('error', () => {})
    if (before === 'ending' || before === 'ended') socket.end('all')
    if (before === 'ended') await once(socket, 'finish')
    const closed = once(socket, 'close')
    if (before === 'reset') resetSocket(socket)
    resetSocket(socket)
    await inTime('both sides are closed', Promise.all([closed, gone]), 30_000)
  })
}
