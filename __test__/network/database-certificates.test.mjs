// A certificate of a database that is not trusted: the refusal says which rule it breaks, as for every other store.
//
// Invariants guarded: a Postgres is asked for encryption in its own way before it shows a certificate; one that has none, or answers
// nothing, costs the refusal only its better words. Real servers show each certificate.

import assert from 'node:assert/strict'
import { chownSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { startPostgres } from '../../testkit/databases/postgres.mjs'
import { startRedis } from '../../testkit/databases/redis.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { makeCertificates, selfSigned } from '../../testkit/tls/certificates.mjs'
import { KEY } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { explained } = require('../../lib/session/refusals.js')
const { resolveOptions } = require('../../lib/config/options.js')

/** Message of the core about every certificate that it does not trust. */
const PLAIN = "the store's certificate is not trusted; pass the authority that signed it as `caCertificate`"

/** Message of an open over this store, whose core did not trust the certificate. */
async function message(store, options = {}) {
  const { native } = resolveOptions('tenant', { encryptionKeys: KEY, store, ...options }, {})
  return (await explained({ code: 'REMOTE_REFUSED', message: PLAIN }, native)).message
}

const NAMES = ['127.0.0.1', 'localhost']
const { ca: stranger } = makeCertificates(NAMES)
const CASES = {
  'one of an authority that is used as that of a server': [selfSigned(NAMES), 'cert', /CA:TRUE.*basicConstraints=critical,CA:FALSE/],
  'an expired one': [makeCertificates(NAMES, { expired: true }), 'ca', /expired on \d{4}-\d\d-\d\d: renew/],
  'one for another name': [makeCertificates(['example.com']), 'ca', /other names.*subjectAltName=IP:127\.0\.0\.1/],
  'one without alternative names': [selfSigned([], { isAuthority: false }), 'cert', /no subjectAltName.*-addext/],
  'one of an unknown authority': [makeCertificates(NAMES), null, /unknown authority.*`caCertificate`/]
}

test('a certificate of a Postgres that is not trusted is refused with the rule that it breaks and the remedy', async (t) => {
  const server = await startPostgres({ tls: true })
  atEnd(t, () => server.stop())
  const store = (more) => ({
    kind: 'postgres',
    host: '127.0.0.1',
    port: server.port,
    database: 'd',
    user: 'u',
    password: 'Zq9',
    sslmode: 'verify-full',
    ...more
  })
  const give = (name, text) => {
    const file = join(server.place, 'data', name)
    writeFileSync(file, text, { mode: 0o600 })
    if (server.osUser !== null) chownSync(file, server.osUser.uid, server.osUser.gid)
  }
  for (const [what, [made, trusted, words]] of Object.entries(CASES)) {
    await server.end()
    give('server.crt', made.cert)
    give('server.key', made.key)
    await server.start()
    const said = await message(store(), { caCertificate: trusted === null ? stranger : made[trusted] })
    assert.match(said, words, what)
    assert.ok(!said.includes('Zq9'))
  }
  const good = makeCertificates(NAMES)
  await server.end()
  give('server.crt', good.cert)
  give('server.key', good.key)
  await server.start()
  for (const [more, options] of [
    [{}, { caCertificate: good.ca }],
    [{ sslmode: 'require' }, {}],
    [{ sslmode: 'disable' }, {}]
  ]) {
    assert.equal(await message(store(more), options), PLAIN, JSON.stringify(more))
  }
})

test('a certificate of a Redis that is not trusted is refused with the rule that it breaks and the remedy', async (t) => {
  const server = await startRedis({ tls: true })
  atEnd(t, () => server.stop())
  const store = (more) => ({ kind: 'redis', host: '127.0.0.1', port: server.port, password: 'Zq9', tls: true, ...more })
  assert.match(await message(store(), { caCertificate: stranger }), /unknown authority.*`caCertificate`/)
  assert.equal(await message(store({ tls: 'no-verify' })), PLAIN)
})

test('a server without encryption, one that says nothing and one that is not there leave the words of the core', async (t) => {
  const plain = await startPostgres()
  atEnd(t, () => plain.stop())
  const answering = async (answer) => {
    const server = createServer((socket) => socket.on('error', () => {}) && answer(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    atEnd(t, () => server.close())
    return server.address().port
  }
  const silent = await answering(() => {})
  const ports = [
    plain.port,
    await answering((socket) => socket.end()),
    await answering((socket) => socket.once('data', () => socket.end('Sorry')))
  ]
  for (const port of ports)
    assert.equal(await message({ kind: 'postgres', host: '127.0.0.1', port, database: 'd', user: 'u', sslmode: 'verify-full' }), PLAIN)
  for (const port of [ports[1], silent]) assert.equal(await message({ kind: 'redis', host: '127.0.0.1', port, tls: true }), PLAIN)
})
