// A session after its end, as those see it who still hold it, and while it ends.
//
// Invariant guarded: `status()` answers from the first moment to the last and after it, so that a listener which looks at it ends no
// process; what is refused says why the session has ended; who is deleted leaves no readable keys.

import test from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { useMultiFileAuthState } from 'baileys'
import { rejection, scene, still } from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { sceneWith, storeScene } from '../../testkit/stores/scene.mjs'

const uses = {
  get: ({ state }) => state.keys.get('session', ['a']),
  set: ({ state }) => state.keys.set({ session: { a: { v: 1 } } }),
  clear: ({ state }) => state.keys.clear(),
  list: async ({ state }) => {
    for await (const _ of state.keys.list('session')) assert.fail('it lists something')
  },
  saveCreds: ({ saveCreds }) => saveCreds(),
  flush: ({ flush }) => flush(),
  exportMultiFile: (session) => session.exportMultiFile('/nowhere'),
  pruneKeys: (session) => session.pruneKeys()
}

async function assertEnded(session, life, code) {
  assert.equal(session.status().life, life)
  for (const [name, use] of Object.entries(uses))
    assert.equal((await rejection(use(session))).code, code, `${name} of a session that is ${life}`)
  await session.close()
  assert.equal(session.status().life, life)
}

for (const mode of ['openLocal', 'openReplicated']) {
  test(`${mode}: status answers closed after close, and deleted after delete, and so does what is used`, async (t) => {
    const at = scene(t)
    const closed = await at[mode]('closed')
    await closed.saveCreds()
    const closing = closed.close()
    assert.equal(closed.status().life, 'closing')
    await closing
    await assertEnded(closed, 'closed', 'CLOSED')
    const { lsn, remoteDurableLsn, dirtyKeys } = closed.status()
    assert.deepEqual([lsn, remoteDurableLsn, dirtyKeys], [1, mode === 'openLocal' ? null : 1, 0])

    const deleted = await at[mode]('deleted')
    const other = await at[mode]('deleted')
    await deleted.saveCreds()
    await deleted.delete()
    await assertEnded(deleted, 'deleted', 'DELETED')
    assert.equal(other.status().life, 'deleted')
    assert.equal((await rejection(uses.set(other))).code, 'DELETED')
  })
}

test('a close that leaves something behind is a close, and the status says what was wrong', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = sceneWith(t, bucket, { ...still, flushIntervalMs: 3_600_000 })
  const session = await at.openReplicated('tenant')
  const heal = await breakAll()
  await session.saveCreds()
  const error = await rejection(session.close({ timeoutMs: 0 }))
  await heal()
  assert.equal(error.code, 'REMOTE_UNAVAILABLE')
  const { life, lastError, dirtyKeys } = session.status()
  assert.deepEqual([life, lastError.code, dirtyKeys], ['closed', 'REMOTE_UNAVAILABLE', 1])
})

test('fenced is told to a session that is being closed, and it still answers', async (t) => {
  const at = await storeScene(t)
  const older = await at.openReplicated('tenant', { ...still, flushIntervalMs: 3_600_000 })
  await older.saveCreds()
  await older.flush()
  await older.state.keys.set({ session: { late: { v: 1 } } })
  await at.open('tenant', { ...at.elsewhere(), takeover: true })
  const seen = []
  older.on('fenced', () => seen.push(older.status().life))
  await older.close().catch(({ code }) => assert.equal(code, 'FENCED'))
  assert.deepEqual(seen, ['fenced'])
  assert.equal(older.status().life, 'closed')
})

for (const tenantId of ['tenant', 'Tenant@1']) {
  test(`delete leaves nothing of the folder that ${tenantId} original files of its import`, async (t) => {
    const at = scene(t)
    const source = join(at.directory, tenantId)
    const { saveCreds, state } = await useMultiFileAuthState(source)
    await saveCreds()
    await state.keys.set({ session: { a: Buffer.from([1]) } })
    const bystander = join(at.directory, 'bystander', 'multi-file-originals-1')
    mkdirSync(bystander, { recursive: true })
    const session = await at.openLocal(tenantId)
    assert.equal(session.status().restored.source, 'imported')
    assert.ok(readdirSync(source).includes('multi-file-originals-1'))
    await session.delete()
    assert.ok(!existsSync(join(source, 'multi-file-originals-1')))
    assert.ok(existsSync(bystander))
  })
}

test('delete keeps what a folder of the plain id holds beside a session of another tenant', async (t) => {
  const at = scene(t)
  // The folder of `tenantB` is called `tenant_42`, which is an id as well.
  const theirs = await at.openLocal('tenantB')
  await theirs.saveCreds()
  const folder = readdirSync(at.directory)[0]
  const kept = join(at.directory, folder, 'multi-file-originals-1')
  mkdirSync(kept)
  writeFileSync(join(kept, 'creds.json'), '{}')
  const session = await at.openLocal(folder)
  await session.saveCreds()
  await session.delete()
  assert.ok(existsSync(join(kept, 'creds.json')), 'it is the other one’s')
})
