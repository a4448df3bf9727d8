// The contract of a store (`src/store/contract.rs`), over servers that this test starts and over doubles of services.
//
// Invariant: every kind of store that a session can be given meets the same list of tests, none of them left out: where a
// store cannot be made to show a behaviour, this file says so by leaving that entry out, and by nothing else.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { environment, root } from '../../scripts/bootstrap.mjs'
import { startProxy } from '../support/proxy.mjs'

const wrong = { key: 'wrong', text: (secret) => secret.replace(/[A-Za-z]/g, (letter) => (letter === 'x' ? 'y' : 'x')) }

/** The same store with a key that opens nothing, as somebody would get it wrong who copies one. */
const WRONG = {
  seaweedfs: ({ spec }) => ({ ...spec, secretAccessKey: wrong.text(spec.secretAccessKey) }),
  rclone: ({ spec }) => ({ ...spec, secretAccessKey: wrong.text(spec.secretAccessKey) }),
  supabase: ({ spec }) => ({ ...spec, key: `${spec.key.slice(0, -8)}AAAAAAAA` }),
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
  }
}

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
  { name: 'fake_gcs_server', kind: 'fake-gcs' }
]

for (const { name, kind, settings } of STORES) {
  test(`a_store_of_kind_${name}_keeps_the_contract`, async (t) => {
    const store = await import(`../support/stores/${kind}.mjs`)
    const server = await store.start(settings)
    t.after(() => server.stop())
    const { endpoint } = server.address
    const through = async (rule) => {
      const proxy = await startProxy(endpoint)
      t.after(() => proxy.stop())
      proxy.rule({ method: 'GET', path: '/long', ...rule })
      return proxy.origin
    }
    const client = store.connect(server.address)
    const bucket = await client.makeBucket()
    const at = async (origin) => (await store.connect(server.address, { endpoint: origin }).makeBucket()).spec
    const entry = {
      name,
      store: bucket.spec,
      wrongCredentials: WRONG[kind]?.(bucket),
      missingBucket: { ...bucket.spec, bucket: 'never-made' },
      truncating: await at(await through({ fault: 'cut-answer', ending: 'close' })),
      slow: await at(await through({ fault: 'drip', bytes: 1500, everyMs: 50 })),
      public: await PUBLIC[kind]?.(client),
      anyName: kind !== 'supabase',
      tellsTime: true
    }
    const { status, said } = await contract([entry])
    assert.equal(status, 0, said)
    assert.match(said, /test result: ok\. (1[0-9]|[2-9][0-9]) passed/, 'the contract was found')
  })
}
