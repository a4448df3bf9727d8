// Ends of a process with a session open: by itself, by process.exit, by an exception, or with the store gone.
//
// Invariant guarded: a session keeps nothing alive and installs nothing on `process`; what resolved before the end is on the
// disk, however abrupt the end; and a close that cannot reach the store says so in time and leaves the rest to the next open.

import test from 'node:test'
import assert from 'node:assert/strict'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { hybrid, rejection, scene, startProcess, until } from '../../testkit/processes/sessions.mjs'
import { chosen } from '../support/size.mjs'

const modes = ['local', 'replicated']

for (const mode of modes) {
  test(`${mode}: a process with an open session ends by itself, and nothing was put on process`, async (t) => {
    const at = scene(t)
    const child = startProcess(t, openAndLeave, { options: at[mode] })
    const { listeners } = await child.said()
    assert.deepEqual(listeners, [])
    const { code, signal, stderr } = await child.ended
    assert.deepEqual([code, signal, stderr], [0, null, ''])
    const { state } = await at.open('tenant', { ...at[mode], onMissing: 'error' })
    assert.deepEqual((await state.keys.get('session', ['a'])).a, { v: 1 })
  })
}

async function openAndLeave({ hybrid, args, say }) {
  await import('baileys') // its logger listens for the exit: that is not ours
  const before = process.eventNames().flatMap((name) => process.listeners(name))
  const session = await hybrid.useHybridAuthState('tenant', args.options)
  session.on('backup', () => {})
  await session.saveCreds()
  await session.state.keys.set({ session: { a: { v: 1 } } })
  const after = process.eventNames().filter((name) => process.listeners(name).some((listener) => !before.includes(listener)))
  await say({ listeners: after.map(String).filter((name) => name !== 'internalMessage') })
}

const abruptEnds = {
  'process.exit()': { code: 0, end: () => process.exit(0) },
  'an uncaught exception': {
    code: 1,
    end: () => {
      throw new Error('on purpose')
    }
  },
  'an unhandled rejection': {
    code: 1,
    end: () => {
      Promise.reject(new Error('on purpose'))
      return new Promise(() => {})
    }
  },
  'process.abort()': { signal: 'SIGABRT', end: () => process.abort() }
}

for (const [name, { code = null, signal = null, end }] of Object.entries(abruptEnds)) {
  test(`${name} right after a resolved set loses nothing`, async (t) => {
    for (const mode of chosen(modes, (mode) => mode === 'replicated')) {
      const at = scene(t)
      const work = `async (context) => { await (${writeMany})(context); await (${end})() }`
      const child = startProcess(t, work, { options: at[mode] }, { env: { NODE_OPTIONS: '' }, cwd: at.root })
      const last = await child.said()
      const ended = await child.ended
      assert.deepEqual([ended.code, ended.signal], [code, signal], ended.stderr)
      const { state } = await at.open('tenant', { ...at[mode], onMissing: 'error' })
      assert.deepEqual((await state.keys.get('session', [String(last)]))[last], { v: last })
      assert.deepEqual((await state.keys.get('identity-key', ['x'])).x, Buffer.from([last]))
    }
  })
}

async function writeMany({ hybrid, args, say }) {
  const { state, saveCreds } = await hybrid.useHybridAuthState('tenant', args.options)
  await saveCreds()
  await say(100)
  for (let i = 0; i <= 100; i++) await state.keys.set({ session: { [i]: { v: i } }, 'identity-key': { x: Buffer.from([i]) } })
}

/**
 * No check of ownership comes while the bucket is taken away, which takes two steps: a session that saw no bucket in between, and
 * nothing in its way, would fill it again.
 */
const unchecked = { ownershipCheckIntervalMs: 600_000 }

test('close with the store gone keeps its deadline and says what it could not do; the next open sends the rest', async (t) => {
  const at = scene(t)
  const session = await at.openReplicated('tenant', unchecked)
  await session.saveCreds()
  await session.flush()
  renameSync(at.bucket, `${at.bucket}-away`)
  writeFileSync(at.bucket, 'in the way')
  await session.state.keys.set({ session: { unsent: { v: 1 } } })
  const error = await rejection(session.close({ timeoutMs: 100 }))
  assert.equal(error.code, 'REMOTE_UNAVAILABLE')
  assert.match(error.message, /next open/)
  assert.equal((await rejection(session.saveCreds())).code, 'CLOSED')
  await session.close()

  assert.equal((await rejection(at.openReplicated('tenant', { flushTimeoutMs: 1 }))).code, 'REMOTE_UNAVAILABLE')
  rmSync(at.bucket)
  renameSync(`${at.bucket}-away`, at.bucket)
  const next = await at.openReplicated('tenant', { onMissing: 'error' })
  assert.equal(next.status().restored.source, 'local')
  await next.flush()
  await next.close()
  const blank = await at.open('tenant', { ...at.elsewhere(), onMissing: 'error' })
  assert.deepEqual((await blank.state.keys.get('session', ['unsent'])).unsent, { v: 1 })
})

test('a process that only waits for close ends when the deadline does', async (t) => {
  const at = scene(t)
  const child = startProcess(t, closeWithStoreGone, { options: { ...at.replicated, ...unchecked }, bucket: at.bucket })
  assert.equal(await child.said(), 'REMOTE_UNAVAILABLE')
  assert.equal((await child.ended).code, 0)
})

async function closeWithStoreGone({ hybrid, args, say }) {
  const fs = await import('node:fs')
  const session = await hybrid.useHybridAuthState('tenant', args.options)
  await session.saveCreds()
  await session.flush()
  fs.renameSync(args.bucket, `${args.bucket}-away`)
  fs.writeFileSync(args.bucket, 'in the way')
  await session.state.keys.set({ session: { a: { v: 1 } } })
  await say(
    await session.close({ timeoutMs: 150 }).then(
      () => 'closed',
      (error) => error.code
    )
  )
}

test('a shutdown names the tenants whose rest is only here', async (t) => {
  const at = scene(t)
  const fleet = new hybrid.HybridAuth({ ...at.replicated, ...unchecked })
  for (const tenant of ['a', 'b']) await (await fleet.open(tenant)).saveCreds()
  await Promise.all(['a', 'b'].map((tenant) => fleet.get(tenant).flush()))
  renameSync(at.bucket, `${at.bucket}-away`)
  writeFileSync(at.bucket, 'in the way')
  await fleet.get('a').state.keys.set({ session: { x: { v: 1 } } })
  const { failed } = await fleet.shutdown({ timeoutMs: 100 })
  const a = failed.find(({ tenantId }) => tenantId === 'a')
  assert.equal(a?.error.code, 'REMOTE_UNAVAILABLE')
  await until(() => fleet.list().length === 0, 'an empty list')
})
