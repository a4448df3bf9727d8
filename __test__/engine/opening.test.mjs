// Sessions while they are being opened: what is told, how one is given up, and what a shutdown does to them.
//
// Invariant guarded: an open that takes its time says for whom and how long at most; whatever ends it before it is done, nothing of
// it stays open, claimed or under way.

import test from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { hybrid, rejection, scene, startProcess, temporaryFolder, unhurried, until } from '../../testkit/processes/sessions.mjs'

const { HybridAuth, HybridAuthError } = hybrid

/** A bucket in which the owner of `tenants` was killed, so that an open waits for it. */
async function withDeadOwner(t, tenants = ['tenant']) {
  const at = scene(t)
  const child = startProcess(t, ownUntilKilled, { options: at.replicated, tenants })
  await child.said()
  await child.kill()
  return at
}

async function ownUntilKilled({ hybrid, args, say }) {
  for (const tenant of args.tenants) {
    const session = await hybrid.useHybridAuthState(tenant, args.options)
    await session.saveCreds()
    await session.flush()
  }
  await say('owned')
  setInterval(() => {}, 1000)
}

const released = (bucket) => readdirSync(bucket, { recursive: true }).filter((name) => String(name).endsWith('.released')).length
const claims = (bucket) => readdirSync(`${bucket}/v1/claims`).filter((name) => /\.\d{20}-[0-9a-f]{32}$/.test(name)).length

test('an open says that it opens, for whom it waits and how long at most, and from where it opened in which time', async (t) => {
  const at = await withDeadOwner(t)
  const events = []
  const lines = []
  const info = (details, message) => lines.push(message)
  const logger = { info, warn: info, error: info }
  const session = await at.open('tenant', { ...at.elsewhere(), handoverTimeoutMs: 600, logger, onEvent: (event) => events.push(event) })
  const heard = []
  session.on('opened', (news) => heard.push(news))
  await until(() => heard.length > 0, 'the event of an open')
  assert.deepEqual(
    events.slice(0, 3).map(({ event, tenantId }) => [event, tenantId]),
    [
      ['opening', 'tenant'],
      ['waiting', 'tenant'],
      ['opened', 'tenant']
    ]
  )
  const [, waiting, opened] = events
  assert.equal(waiting.epoch, 1)
  assert.ok(waiting.atMostMs > 0 && waiting.atMostMs <= 600, `${waiting.atMostMs}`)
  assert.deepEqual([opened.source, opened.clean, opened.shared], ['remote', false, false])
  assert.ok(opened.tookMs >= waiting.atMostMs)
  assert.equal(heard[0].tookMs, opened.tookMs)
  assert.match(
    lines.join('\n'),
    /session opening\nsession waiting up to 0\.\d s for its previous owner \(epoch 1\), which has not released it\nsession opened in \d+\.\d s, restored from the store; its last owner did not end properly/
  )
})

test('status, summary, metrics and figures know what is being opened', async (t) => {
  const at = await withDeadOwner(t)
  const fleet = new HybridAuth({ ...at.elsewhere(), handoverTimeoutMs: 3_600_000 })
  const aborting = new AbortController()
  let isWaiting = false
  const opening = rejection(fleet.open('tenant', { signal: aborting.signal, onEvent: ({ event }) => (isWaiting ||= event === 'waiting') }))
  await until(() => isWaiting, 'the wait')
  assert.deepEqual([fleet.opening(), fleet.list()], [['tenant'], []])
  assert.equal(fleet.status().tenant.life, 'opening')
  const { sessions, byLife } = fleet.summary()
  assert.deepEqual([sessions, byLife.opening], [0, 1])
  const text = await fleet.metrics()
  assert.match(text, /^baileys_hybrid_auth_sessions\{life="opening"\} 1$/m)
  assert.ok(Number(text.match(/^baileys_hybrid_auth_opening_seconds (.*)$/m)[1]) > 0)
  aborting.abort()
  assert.equal((await opening).code, 'ABORTED')
})

test('an open that is given up by its signal is rejected at once, and leaves nothing open or claimed', async (t) => {
  for (const reason of [undefined, new Error('the user went away')]) {
    const at = await withDeadOwner(t)
    const aborting = new AbortController()
    let isWaiting = false
    const fleet = new HybridAuth({ ...at.elsewhere(), handoverTimeoutMs: 1500 })
    const opening = fleet.open('tenant', { signal: aborting.signal, onEvent: ({ event }) => (isWaiting ||= event === 'waiting') })
    await until(() => isWaiting, 'the wait')
    aborting.abort(reason)
    const error = await rejection(opening)
    assert.ok(error instanceof HybridAuthError)
    assert.equal(error.code, 'ABORTED')
    assert.deepEqual([fleet.list(), fleet.opening()], [[], ['tenant']], 'what was under way was not waited for')
    await until(() => fleet.opening().length === 0, 'its end')
    // It would wait for an hour for an owner that did not release.
    const again = await at.open('tenant', { ...at.elsewhere(), handoverTimeoutMs: 3_600_000 })
    assert.deepEqual(again.status().restored, { source: 'remote', clean: true })
  }
  const at = scene(t)
  const error = await rejection(hybrid.useHybridAuthState('tenant', { ...at.local, signal: AbortSignal.abort() }))
  assert.equal(error.code, 'ABORTED')
  for (const signal of [null, {}, 'x', { aborted: true }]) {
    assert.equal((await rejection(hybrid.useHybridAuthState('tenant', { ...at.local, signal }))).code, 'INVALID_OPTION')
    assert.equal((await rejection(new HybridAuth(at.local).open('tenant', { signal }))).code, 'INVALID_OPTION')
  }
})

test('a shutdown ends what is being opened, and a restoreAll under way stops', async (t) => {
  const at = scene(t)
  const ids = Array.from({ length: 20 }, (_, i) => `tenant-${i}`)
  const before = new HybridAuth(at.replicated)
  for (const id of ids) await (await before.open(id)).saveCreds()
  await before.shutdown()

  const fleet = new HybridAuth(at.replicated)
  let isFirst = true
  let down
  const restoring = fleet.restoreAll({
    concurrency: 4,
    onProgress() {
      if (isFirst) down = fleet.shutdown()
      isFirst = false
    }
  })
  const { opened, failed } = await restoring
  assert.deepEqual((await down).failed, [])
  assert.deepEqual([fleet.list(), fleet.opening(), fleet.status()], [[], [], {}])
  assert.equal(opened.length + failed.length, ids.length)
  assert.ok(failed.length > ids.length / 2)
  assert.deepEqual([...new Set(failed.map(({ error }) => error.code))], ['CLOSED'])
  assert.equal(released(at.bucket), claims(at.bucket), 'all that was claimed is released')

  const late = rejection(fleet.open('tenant-0'))
  await fleet.shutdown()
  assert.equal((await late).code, 'CLOSED')
  assert.deepEqual([fleet.list(), fleet.opening()], [[], []])
  await (await fleet.open('tenant-0')).close()
})

test('a shutdown does not wait longer than it may for what is being opened, and names it', async (t) => {
  const at = await withDeadOwner(t)
  const fleet = new HybridAuth({ ...at.elsewhere(), handoverTimeoutMs: 3000 })
  let isWaiting = false
  const opening = rejection(fleet.open('tenant', { onEvent: ({ event }) => (isWaiting ||= event === 'waiting') }))
  await until(() => isWaiting, 'the wait')
  const { closed, failed } = await fleet.shutdown({ timeoutMs: 10 })
  assert.equal((await opening).code, 'CLOSED')
  assert.deepEqual([closed, failed.map(({ tenantId, error }) => [tenantId, error.code])], [0, [['tenant', 'REMOTE_UNAVAILABLE']]])
  await until(() => released(at.bucket) > 0, 'the release')
})

for (const [name, onProgress] of Object.entries({
  throws: () => {
    throw new Error('no')
  },
  rejects: async () => {
    throw new Error('no')
  }
})) {
  test(`an onProgress that ${name} leaves nothing open`, async (t) => {
    const at = scene(t)
    const fleet = new HybridAuth(at.local)
    const ids = Array.from({ length: 12 }, (_, i) => `tenant-${i}`)
    for (const id of ids) await (await fleet.open(id)).saveCreds()
    await fleet.shutdown()
    const error = await rejection(fleet.restoreAll({ tenantIds: ids, concurrency: 3, onProgress }))
    assert.deepEqual([error.code, error.cause.message], ['INVALID_OPTION', 'no'])
    assert.deepEqual([fleet.list(), fleet.opening()], [[], []])
    await assert.rejects(fleet.exportAll(temporaryFolder(t), { tenantIds: ids, onProgress }), { code: 'INVALID_OPTION' })
    assert.deepEqual([fleet.list(), fleet.opening()], [[], []])
  })
}

test('restoreAll opens what the directory has where there is no store', async (t) => {
  const at = scene(t)
  const ids = ['plain', 'With Capitals', 'ü@s.whatsapp.net', '_h', 'con', 'gone']
  const fleet = new HybridAuth(at.local)
  for (const id of ids) await (await fleet.open(id)).saveCreds()
  await fleet.delete('gone')
  await fleet.shutdown()
  const left = ids.filter((id) => id !== 'gone').sort()
  assert.deepEqual(await fleet.tenants(), left)
  const { opened, failed } = await fleet.restoreAll()
  assert.deepEqual([opened.sort(), failed], [left, []])
  await fleet.shutdown()
  assert.deepEqual(await new HybridAuth({ ...at.local, directory: `${at.root}/nothing` }).tenants(), [])
  await (await fleet.open('long'.repeat(40))).saveCreds()
  await fleet.shutdown()
  assert.deepEqual(await fleet.tenants(), left, 'a folder does not tell an id that is too long for its name, and stops no other')
})

test('ifFree opens what nobody runs, and ends nobody', async (t) => {
  const at = scene(t)
  const [one, two] = [
    { ...at.replicated, ...unhurried },
    { ...at.elsewhere(), ...unhurried }
  ]
  const owner = startProcess(t, ownUntilTold, { options: one })
  await owner.said()
  const error = await rejection(hybrid.useHybridAuthState('tenant', { ...two, ifFree: true }))
  assert.equal(error.code, 'OWNED_ELSEWHERE')
  assert.equal((await rejection(new HybridAuth(two).open('tenant', { ifFree: true }))).code, 'OWNED_ELSEWHERE')
  owner.child.send('write')
  assert.equal(await owner.said(), 'live')
  owner.child.send('close')
  assert.equal(await owner.said(), 'closed')

  const session = await at.open('tenant', { ...two, ifFree: true, onMissing: 'error' })
  const shared = await at.open('tenant', { ...two, ifFree: true })
  assert.equal(shared.status().epoch, session.status().epoch)
  await shared.close()
  await session.close()

  // Killed on this machine: its folder knows its claim, and that it ended.
  const dead = startProcess(t, ownUntilTold, { options: two })
  await dead.said()
  await dead.kill()
  assert.equal((await rejection(at.open('tenant', { ...one, ifFree: true }))).code, 'OWNED_ELSEWHERE')
  assert.equal((await at.open('tenant', { ...two, ifFree: true })).status().life, 'live')
  assert.equal((await at.open('brand-new', { ...two, ifFree: true })).status().restored.source, 'fresh')
  assert.equal((await at.openLocal('on-the-disk', { ifFree: true })).status().life, 'live')
})

async function ownUntilTold({ hybrid, args, say }) {
  const session = await hybrid.useHybridAuthState('tenant', args.options)
  await session.saveCreds()
  await session.flush()
  process.on('message', async (message) => {
    if (message === 'close') {
      await session.close()
      await say('closed')
      process.exit(0)
    }
    await session.state.keys.set({ session: { a: { v: 1 } } })
    await session.flush()
    await say(session.status().life)
  })
  await say('owned')
}
