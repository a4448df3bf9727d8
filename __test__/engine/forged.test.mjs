// Somebody can write to the bucket and has no key: objects with the names of claims and tombstones.
//
// Invariant guarded (I21): a name decides nothing before somebody with a key is known to have made it. What nobody made is told, is
// read once, and stays for a person to remove; sessions go on, and open, as if it were not there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hybrid, rejection, until } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const TENANT = 'tenant'
const ENDLESS = `v1/claims/${TENANT}.18446744073709551615-${'f'.repeat(32)}`
const claimsIn = async (bucket) => (await bucket.list()).filter((name) => name.startsWith('v1/claims/'))
/** The highest claim that an owner made. */
const ownClaim = async (bucket) =>
  (await claimsIn(bucket))
    .filter((name) => /-[0-9a-f]{32}$/.test(name) && name !== ENDLESS)
    .sort()
    .at(-1)

test('names_that_nobody_with_a_key_made_stop_no_session_and_keep_nobody_out', async (t) => {
  const at = await storeScene(t)
  const fleet = new hybrid.HybridAuth(at.replicated)
  const session = await fleet.open(TENANT)
  await session.saveCreds()
  await session.flush()
  const errors = []
  session.on('error', (error) => errors.push(error))
  const forged = [ENDLESS, `${ENDLESS}.deleted`, `${await ownClaim(at.bucket)}.deleted`]
  for (const name of forged) await at.bucket.put(name, Buffer.alloc(0))
  await until(() => errors.length === forged.length, 'each of them is told')
  for (const { code, message } of errors) {
    assert.equal(code, 'REMOTE_CORRUPT')
    assert.match(message, /it was made without a key of this session; it is ignored and should be removed/)
    assert.ok(!message.includes(TENANT))
  }
  const gets = () => fleet.traffic().gets
  const [before, lists] = [gets(), fleet.traffic().lists]
  await session.state.keys.set({ session: { a: { n: 1 } } })
  await session.flush()
  await until(() => fleet.traffic().lists > lists + 5, 'a few more checks')
  assert.equal(gets(), before, 'what is known is not read again')
  assert.deepEqual([session.status().life, errors.length], ['live', forged.length])

  const [standing] = await fleet.survey()
  assert.deepEqual([standing.owner, standing.epoch, standing.forged.length], ['live', 1, forged.length])
  const { store } = await fleet.inspect(TENANT)
  assert.deepEqual([store.owner, store.damage.length], ['live', forged.length])
  const names = (await fleet.doctor()).find(({ name }) => name === 'names')
  assert.equal(names.outcome, 'failed')
  assert.match(names.message, /3 objects of 1 tenant made without a key of this store/)

  await session.close()
  for (const options of [at.replicated, at.elsewhere(), { ...at.elsewhere(), takeover: true }]) {
    const heir = await at.open(TENANT, { ...options, onMissing: 'error' })
    assert.deepEqual(await heir.state.keys.get('session', ['a']), { a: { n: 1 } })
    await heir.close()
  }
  const left = await claimsIn(at.bucket)
  for (const name of forged.slice(0, 2)) assert.ok(left.includes(name), 'nothing is removed in silence')

  // A tombstone that an owner made counts.
  const last = await at.openReplicated(TENANT)
  await last.delete()
  assert.equal((await rejection(at.openReplicated(TENANT))).code, 'DELETED')
})

test('an_open_reads_no_more_for_it_where_nothing_was_forged', async (t) => {
  const at = await storeScene(t)
  const first = await at.openReplicated(TENANT)
  await first.saveCreds()
  await first.close()
  const fleet = new hybrid.HybridAuth(at.replicated)
  const before = fleet.traffic()?.gets ?? 0
  await (await fleet.open(TENANT, { onMissing: 'error' })).close()
  // The claim, as ever.
  assert.equal(fleet.traffic().gets - before, 1)
})

test('a_session_that_was_never_encrypted_is_still_one_where_keys_are_configured', async (t) => {
  const at = await storeScene(t)
  const first = await at.openReplicated(TENANT, { encryptionKeys: undefined, encryption: 'off' })
  await first.saveCreds()
  await first.close()
  assert.equal((await rejection(at.open(TENANT, at.elsewhere()))).code, 'KEY_UNAVAILABLE')
  const taken = await at.open(TENANT, { ...at.elsewhere(), acceptUnencrypted: true, onMissing: 'error' })
  assert.equal(taken.state.creds.registrationId, first.state.creds.registrationId)
})
