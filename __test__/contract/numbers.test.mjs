// Numbers that calls are given: limits of time, and how much is done at once.
//
// Invariant guarded: a number counts as it was given or is refused with INVALID_OPTION, and a call that refuses one changes nothing:
// a limit that cannot be meant must not close a session at once, nor leave one open in silence.

import test from 'node:test'
import assert from 'node:assert/strict'
import { hybrid, rejection, scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const { HybridAuthError } = hybrid
const WRONG = [NaN, -1, -Infinity, 3_600_001, 2 ** 32, '5000', '', null, true, {}, [5000], 5000n, Symbol('5000'), () => 5000]
const GOOD = [0, 1.5, 5000, 3_600_000, Infinity, undefined]

const shown = (value) => `${typeof value}: ${String(Array.isArray(value) ? JSON.stringify(value) : value)}`

async function assertRefused(promise, name, what) {
  const error = await rejection(promise)
  assert.ok(error instanceof HybridAuthError, `${what}: ${error}`)
  assert.equal(error.code, 'INVALID_OPTION', what)
  assert.ok(error.message.includes(name), `${what}: ${error.message}`)
}

test('a wrong timeoutMs is refused by flush, close and shutdown, and nothing is closed', async (t) => {
  const at = scene(t)
  const session = await at.openReplicated('tenant')
  await session.saveCreds()
  const fleet = new hybrid.HybridAuth(at.replicated)
  await fleet.open('in-a-fleet')
  for (const timeoutMs of WRONG) {
    await assertRefused(session.flush({ timeoutMs }), 'timeoutMs', `flush ${shown(timeoutMs)}`)
    await assertRefused(session.close({ timeoutMs }), 'timeoutMs', `close ${shown(timeoutMs)}`)
    await assertRefused(fleet.shutdown({ timeoutMs }), 'timeoutMs', `shutdown ${shown(timeoutMs)}`)
  }
  for (const given of [null, 5000, '5000', [], { timeout: 5000 }, { timeoutMS: 5000 }]) {
    await assertRefused(session.flush(given), 'timeoutMs', `flush(${JSON.stringify(given)})`)
    await assertRefused(session.close(given), 'timeoutMs', `close(${JSON.stringify(given)})`)
    await assertRefused(fleet.shutdown(given), 'timeoutMs', `shutdown(${JSON.stringify(given)})`)
  }
  assert.equal(session.status().life, 'live')
  assert.deepEqual(fleet.list(), ['in-a-fleet'])
  await session.saveCreds()
  await fleet.shutdown()
})

test('Infinity is no limit, and a limit may have a fraction', async (t) => {
  const at = scene(t)
  for (const timeoutMs of GOOD.filter((value) => value !== 0 && value !== 1.5)) {
    const session = await at.openReplicated(`tenant-${String(timeoutMs)}`)
    await session.saveCreds()
    await session.flush({ timeoutMs })
    await session.state.keys.set({ session: { a: { v: 1 } } })
    await session.close({ timeoutMs })
    assert.equal(session.status().remoteDurableLsn, 2, shown(timeoutMs))
  }
  for (const timeoutMs of [0, 1.5]) {
    const session = await at.openLocal('on-the-disk')
    await session.flush({ timeoutMs }).catch(({ code }) => assert.equal(code, 'LOCAL_UNAVAILABLE'))
    await session.close({ timeoutMs }).catch(({ code }) => assert.equal(code, 'LOCAL_UNAVAILABLE'))
  }
})

test('the options of an open have the same rule: Infinity for limits of time, text only in variables', async (t) => {
  const at = scene(t)
  for (const name of ['closeTimeoutMs', 'flushTimeoutMs']) {
    for (const value of [...WRONG, 1.5])
      await assertRefused(hybrid.useHybridAuthState('tenant', { ...at.local, [name]: value }), name, `${name} ${shown(value)}`)
    const session = await at.openLocal('tenant', { [name]: Infinity, localDurability: 'data' })
    await session.saveCreds()
    await session.close()
  }
  for (const name of ['flushIntervalMs', 'ownershipCheckIntervalMs', 'handoverTimeoutMs', 'refreshIntervalMs', 'maxConcurrentRequests']) {
    await assertRefused(hybrid.useHybridAuthState('tenant', { ...at.replicated, [name]: '600' }), name, `${name} as text`)
  }
  process.env.BAILEYS_HYBRID_AUTH_CLOSE_TIMEOUT_MS = '1234'
  t.after(() => delete process.env.BAILEYS_HYBRID_AUTH_CLOSE_TIMEOUT_MS)
  assert.equal(hybrid.describeConfig({}).settings.closeTimeoutMs.value, 1234)
})

test('how many at once is checked wherever it is asked, and Infinity is all of them', async (t) => {
  const at = scene(t)
  const fleet = new hybrid.HybridAuth(at.replicated)
  for (const tenantId of ['a', 'b']) await (await fleet.open(tenantId)).saveCreds()
  await fleet.shutdown()
  for (const concurrency of [0, -1, 1.5, NaN, '4', null, true]) {
    await assertRefused(fleet.restoreAll({ concurrency }), 'concurrency', `restoreAll ${shown(concurrency)}`)
    await assertRefused(fleet.exportAll(temporaryFolder(t), { concurrency }), 'concurrency', `exportAll ${shown(concurrency)}`)
    await assertRefused(
      hybrid.migrate({ from: temporaryFolder(t), directory: at.directory, concurrency }),
      'concurrency',
      `migrate ${shown(concurrency)}`
    )
  }
  assert.equal((await fleet.restoreAll({ concurrency: Infinity })).opened.length, 2)
  assert.equal((await fleet.exportAll(`${at.root}/tree`, { concurrency: Infinity })).exported.length, 2)
  await fleet.shutdown()
})
