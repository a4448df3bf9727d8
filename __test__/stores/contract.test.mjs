// The contract of a store (`src/store/contract.rs`), over servers that this test starts and over doubles of services.
//
// Invariant: every kind of store that a session can be given meets the same list of tests, none of them left out: where a
// store cannot be made to show a behaviour, this file says so by leaving that entry out, and by nothing else.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from '../../testkit/base/missing.mjs'
import { environment, root } from '../../scripts/bootstrap.mjs'
import { startPgBouncer } from '../../testkit/databases/pgbouncer.mjs'
import { isPostgresPublished } from '../../testkit/databases/programs.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { startProxy } from '../../testkit/proxy/proxy.mjs'
import { chosen } from '../support/size.mjs'

const wrong = { key: 'wrong', text: (secret) => secret.replace(/[A-Za-z]/g, (letter) => (letter === 'x' ? 'y' : 'x')) }

/** The same store with a key that opens nothing, as somebody would get it wrong who copies one. */
const WRONG = {
  seaweedfs: ({ spec }) => ({ ...spec, secretAccessKey: wrong.text(spec.secretAccessKey) }),
  rclone: ({ spec }) => ({ ...spec, secretAccessKey: wrong.text(spec.secretAccessKey) }),
  supabase: ({ spec }) => ({ ...spec, key: `${spec.key.slice(0, -8)}AAAAAAAA` }),
  postgres: ({ spec }) => ({ ...spec, password: wrong.text(spec.password) }),
  redis: ({ spec }) => ({ ...spec, password: wrong.text(spec.password) }),
  gcs: ({ spec }) => {
    const account = JSON.parse(spec.credentials)
    return { ...spec, credentials: JSON.stringify({ ...account, client_email: `not-${account.client_email}` }) }
  }
}

/** A bucket that everybody can read, where the server has such a thing. */
const PUBLIC = {
  supabase: async (client) => (await client.makeBucket(undefined, { public: true })).spec,
  gcs: async (client) => {
    const bucket = await client.makeBucket()
    // Contents are for nobody else, but names are: the lesser case.
    await bucket.switch({ allUsers: ['storage.objects.list'] })
    return bucket.spec
  },
  // As where somebody hands a table of his own to the data API of Supabase.
  postgres: async (client, { server }) => {
    const bucket = await client.makeBucket()
    const { name } = bucket
    await server.query(
      `create role anon; grant usage on schema ${name} to anon; grant select on ${name}.objects to anon; alter table ${name}.objects disable row level security`
    )
    return bucket.spec
  }
}

/** A bucket that does not exist: of a database, since its schema would be made. A Redis has no such thing. */
function missing({ spec }) {
  if (spec.kind === 'redis') return undefined
  return spec.kind === 'postgres' ? { ...spec, database: 'never_made' } : { ...spec, bucket: 'never-made' }
}

/** Starts something that gives objects called `long` out in the wrong way, in front of a server. */
async function startHarm({ startProxy: start = startProxy, kind }, endpoint, { cut, drip }) {
  const proxy = await start(endpoint)
  const isWire = proxy.endpoint !== undefined
  proxy.rule(
    isWire
      ? { text: READS[kind], ...(cut ? { fault: 'cut' } : { fault: 'drip', ...drip }) }
      : {
          method: 'GET',
          path: '/long',
          ...(cut ? { fault: 'cut-answer', ending: 'close' } : { fault: 'drip', bytes: drip.bytes, everyMs: drip.ms })
        }
  )
  return proxy
}

/** Requests that read an object called `long`, on the wire of a database. */
const READS = { postgres: /select bytes[^]*long/, redis: /GET[^]*\/long/ }

/** Runs the tests of the core that are the contract, and answers what they printed. */
function contract(entries) {
  return new Promise((resolve) => {
    const env = { ...environment(), STORES_UNDER_TEST: JSON.stringify(entries), RUST_BACKTRACE: '0' }
    const child = spawn('cargo', ['test', '--quiet', '--no-default-features', '--lib', '--', 'store::contract'], { cwd: root, env })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
    child.on('error', (error) => resolve({ status: 1, said: error.message }))
    child.on('close', (status) => resolve({ status, said }))
  })
}

const STORES = [
  { name: 'seaweedfs', kind: 'seaweedfs' },
  { name: 'rclone', kind: 'rclone' },
  { name: 'supabase', kind: 'supabase' },
  // Older servers, which answer the newer listing in one of two ways.
  { name: 'supabase_without_the_newer_listing', kind: 'supabase', settings: { listV2: 'no-route' } },
  { name: 'supabase_that_takes_the_newer_listing_for_a_bucket', kind: 'supabase', settings: { listV2: 'absent' } },
  { name: 'gcs', kind: 'gcs' },
  // By others than the one who wrote the double.
  { name: 'fake_gcs_server', kind: 'fake-gcs' },
  { name: 'postgres', kind: 'postgres' },
  ...['13', '17'].filter(isPostgresPublished).map((version) => ({ name: `postgres_${version}`, kind: 'postgres', settings: { version } })),
  { name: 'postgres_behind_pgbouncer', kind: 'postgres', front: startPgBouncer },
  { name: 'redis', kind: 'redis' },
  { name: 'redis_with_tls', kind: 'redis', settings: { tls: true }, isEncrypted: true },
  { name: 'valkey', kind: 'redis', settings: { program: 'valkey' } }
]

/** One of each protocol. */
const CHEAP = ['rclone', 'supabase', 'gcs', 'postgres', 'redis']

for (const { name, kind, settings, front, isEncrypted = false } of chosen(STORES, ({ name }) => CHEAP.includes(name))) {
  test(`a_store_of_kind_${name}_keeps_the_contract`, async (t) => {
    const store = await import(`../../testkit/stores/${kind}.mjs`)
    const server = await store.start(settings)
    atEnd(t, () => server.stop())
    const fronted = await front?.(server.server)
    if (fronted) atEnd(t, () => fronted.stop())
    const endpoint = fronted?.endpoint ?? server.address.endpoint
    // What passes an encrypted connection cannot be told apart.
    const harmed = async (how) => {
      if (isEncrypted) return undefined
      const proxy = await startHarm(store, endpoint, how)
      atEnd(t, () => proxy.stop())
      return (await store.connect(server.address, { endpoint: proxy.origin }).makeBucket()).spec
    }
    const client = store.connect(server.address, { endpoint })
    const bucket = await client.makeBucket()
    const entry = {
      name,
      store: front ? { ...bucket.spec, notify: false } : bucket.spec,
      // To PgBouncer a wrong password and a wrong database are a fault of the protocol, as much else is.
      wrongCredentials: front ? undefined : WRONG[kind]?.(bucket),
      missingBucket: front ? undefined : missing(bucket),
      truncating: await harmed({ cut: true }),
      slow: await harmed({ drip: { bytes: 1500, ms: 50 } }),
      public: await PUBLIC[kind]?.(client, server),
      anyName: kind !== 'supabase',
      tellsTime: true
    }
    const { status, said } = await contract([entry])
    assert.equal(status, 0, said)
    assert.match(said, /test result: ok\. (1[0-9]|[2-9][0-9]) passed/, 'the contract was found')
  })
}
