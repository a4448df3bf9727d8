// A certificate of a server that is not trusted: the refusal says which rule it breaks, and what to do about it.
//
// Invariant guarded: each way in which a certificate of one's own usually goes wrong has words of its own, the code stays the same, and
// a self-signed certificate works where it is made for a server.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { test } from 'node:test'
import { atEnd } from '../../testkit/base/endings.mjs'
import { makeCertificates, selfSigned } from '../../testkit/tls/certificates.mjs'
import { KEY, hybrid, rejection, temporaryFolder } from '../../testkit/processes/sessions.mjs'

/** Opens over a server with this certificate, which knows no bucket; answers the refusal. */
async function refusal(t, { cert, key }, caCertificate) {
  const server = createServer({ cert, key }, (request, response) => {
    response.writeHead(404, { connection: 'close' })
    response.end('<Error><Code>NoSuchBucket</Code></Error>')
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(t, () => server.close())
  const store = {
    kind: 's3',
    bucket: 'b',
    region: 'x',
    endpoint: `https://127.0.0.1:${server.address().port}`,
    pathStyle: true,
    accessKeyId: 'a',
    secretAccessKey: 'b'
  }
  return rejection(hybrid.useHybridAuthState('t', { directory: temporaryFolder(t), store, encryptionKeys: KEY, caCertificate }))
}

const NAMES = ['127.0.0.1']
const { ca: stranger } = makeCertificates(NAMES)
const itself = (made) => [made, made.cert]
const vouched = (names, how) => (({ ca, ...made }) => [made, ca])(makeCertificates(names, how))

const WRONG = {
  'one of an authority that is used as that of a server': [itself(selfSigned(NAMES)), /CA:TRUE.*basicConstraints=critical,CA:FALSE/],
  'an expired one': [vouched(NAMES, { expired: true }), /expired on \d{4}-\d\d-\d\d: renew/],
  'one for another name': [vouched(['example.com']), /other names.*subjectAltName=IP:127\.0\.0\.1/],
  'one without alternative names': [itself(selfSigned([], { isAuthority: false })), /no subjectAltName.*-addext/],
  'one of an unknown authority': [[vouched(NAMES)[0], stranger], /unknown authority.*`caCertificate`/]
}

for (const [what, [[made, ca], words]] of Object.entries(WRONG)) {
  test(`${what} is refused with the rule that it breaks and the remedy`, async (t) => {
    const { code, message } = await refusal(t, made, ca)
    assert.equal(code, 'REMOTE_REFUSED')
    assert.match(message, words)
  })
}

test('a certificate that a server signed for itself works where it says that it is no authority', async (t) => {
  const { message } = await refusal(t, ...itself(selfSigned(NAMES, { isAuthority: false })))
  assert.match(message, /bucket/)
  assert.doesNotMatch(message, /certificate/)
})
