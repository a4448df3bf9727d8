// Traces that a session over a database leaves for others to read, searched for its password: where all is well, and where the server, the
// password, the database, the rights or the certificate are wrong.
//
// Invariant guarded: messages, logs and the description of the configuration hold the password in no form, with every character that a
// URL takes for something else.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { startPostgres } from '../../testkit/databases/postgres.mjs'
import { rejection } from '../../testkit/processes/sessions.mjs'
import { found } from './forms.mjs'

const { HybridAuth, describeConfig, useHybridAuthState } = createRequire(import.meta.url)('../../index.js')

const KEY = '7a'.repeat(32)

let server
let secure
before(async () => {
  server = await startPostgres()
  secure = await startPostgres({ tls: true })
})
after(async () => {
  await secure?.stop()
  await server?.stop()
})

/** A logger that writes everything down. */
function recorder() {
  const lines = []
  const note = (...said) =>
    lines.push(said.map((part) => (part instanceof Error ? `${part.stack} ${JSON.stringify(part)}` : JSON.stringify(part))).join(' '))
  const logger = { level: 'trace', trace: note, debug: note, info: note, warn: note, error: note, fatal: note, child: () => logger }
  return { logger, lines }
}

/** Everything that an open leaves, and its outcome. */
async function left(store, more = {}) {
  const { logger, lines } = recorder()
  const options = { mode: 'cloud', store, encryptionKeys: [KEY], baileys: cheapBaileys, logger, ...more }
  lines.push(JSON.stringify(describeConfig(options)))
  const fleet = new HybridAuth(options)
  const opened = await fleet.open('tenant').then(
    (session) => session,
    (error) => error
  )
  if (opened instanceof Error)
    lines.push(String(opened.stack), JSON.stringify(opened), JSON.stringify(Object.getOwnPropertyDescriptors(opened)))
  else {
    await opened.state.keys.set({ counter: { all: { n: 1 } } })
    lines.push(JSON.stringify(opened.status()), JSON.stringify(fleet.traffic()))
  }
  lines.push(JSON.stringify(await fleet.doctor().catch((error) => String(error.stack))))
  await fleet.shutdown({ timeoutMs: 10_000 })
  return { text: lines.join('\n'), outcome: opened instanceof Error ? opened.code : 'ok' }
}

const parts = (of) => ({ kind: 'postgres', host: '127.0.0.1', port: of.port, database: of.database, user: of.user, password: of.password })

const CASES = {
  a_good_connection_string: { make: () => ({ store: { kind: 'postgres', connectionString: server.url } }), outcome: 'ok' },
  good_parts: { make: () => ({ store: parts(server) }), outcome: 'ok' },
  a_wrong_password: { make: () => ({ store: { ...parts(server), password: `${server.password}!` } }), outcome: 'REMOTE_REFUSED' },
  a_database_that_is_missing: { make: () => ({ store: { ...parts(server), database: 'missing' } }), outcome: 'REMOTE_REFUSED' },
  nobody_at_the_port: { make: () => ({ store: { ...parts(server), port: 9 } }), outcome: 'REMOTE_UNAVAILABLE' },
  a_certificate_of_nobody: { make: () => ({ store: { ...parts(secure), sslmode: 'verify-full' } }), outcome: 'REMOTE_REFUSED' },
  a_certificate_of_a_known_authority: {
    make: () => ({ store: { ...parts(secure), sslmode: 'verify-full' }, caCertificate: secure.ca }),
    outcome: 'ok'
  }
}

for (const [name, { make, outcome }] of Object.entries(CASES)) {
  test(`nothing_holds_the_password_with_${name}`, async () => {
    const { store, ...more } = make()
    const secret = store.password ?? server.password
    const told = await left(store, more)
    assert.equal(told.outcome, outcome, told.text)
    assert.deepEqual(found(told.text, { password: secret }), [])
  })
}

test('a_password_in_a_variable_reaches_the_server_and_nothing_else', async () => {
  const variables = { DATABASE_URL: server.url, SESSION_BACKUP_STORE: 'postgres' }
  Object.assign(process.env, variables)
  try {
    const { text, outcome } = await left(undefined)
    assert.equal(outcome, 'ok', text)
    assert.deepEqual(found(text, { password: server.password }), [])
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
  }
})

test('a_connection_string_that_is_wrong_is_refused_without_its_parts', async () => {
  for (const broken of [
    server.url.replace('%2F', '#'),
    server.url.replace(':/', ''),
    `${server.url}?nonsense=1`,
    server.url.replace('%2F', '/')
  ]) {
    const error = await rejection(
      useHybridAuthState('tenant', {
        mode: 'cloud',
        encryptionKeys: [KEY],
        baileys: cheapBaileys,
        store: { kind: 'postgres', connectionString: broken }
      })
    )
    assert.deepEqual(found(`${error.stack} ${JSON.stringify(error)}`, { password: server.password, tail: server.password.slice(-16) }), [])
  }
})
