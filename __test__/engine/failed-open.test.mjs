// Opens that fail leave the disk as it was.
//
// Invariants guarded: the store is asked before a folder is made for a session; after an open that failed there is no folder that was not
// there before, also not the `directory`; what was there is still there, and a claim that was made from here stays known.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { hybrid, OTHER_KEY, rejection, scene } from '../../testkit/processes/sessions.mjs'
import { chosen } from '../support/size.mjs'

const open = (id, options) => hybrid.useHybridAuthState(id, options)
/** Everything below a folder; null if it is not there. */
const treeOf = (folder) => (existsSync(folder) ? readdirSync(folder, { recursive: true }).sort() : null)

/** A tenant in the store whose first machine is gone. */
async function storedElsewhere(at, id, options = at.replicated) {
  const session = await open(id, { ...options, directory: join(at.root, 'first machine') })
  await session.saveCreds()
  return session
}

/** Kind of failure -> its code, and what makes an open fail in that way: further options. */
const FAILURES = {
  'store unreachable': [
    'REMOTE_UNAVAILABLE',
    () => ({ store: { kind: 's3', bucket: 'b', endpoint: 'http://127.0.0.1:9', region: 'r', accessKeyId: 'a', secretAccessKey: 's' } })
  ],
  'store missing': ['REMOTE_REFUSED', (at) => ({ store: { kind: 'directory', path: join(at.root, 'nowhere') } })],
  'store missing and to be made where it cannot be': [
    'REMOTE_UNAVAILABLE',
    (at) => {
      writeFileSync(join(at.root, 'file'), '')
      return { store: { kind: 'directory', path: join(at.root, 'file', 'bucket'), create: true } }
    }
  ],
  'store is a file': [
    'REMOTE_UNAVAILABLE',
    (at) => {
      writeFileSync(join(at.root, 'a file'), '')
      return { store: { kind: 'directory', path: join(at.root, 'a file') } }
    }
  ],
  'certificate authority without a certificate': [
    'INVALID_OPTION',
    () => ({ store: 's3://bucket?endpoint=https://127.0.0.1:9&region=r', caCertificate: 'nonsense' })
  ],
  'no session': ['NOT_FOUND', () => ({ onMissing: 'error' })],
  'session deleted': [
    'DELETED',
    async (at) => {
      await (await storedElsewhere(at, 'tenant')).delete()
      return {}
    }
  ],
  'key missing': [
    'KEY_UNAVAILABLE',
    async (at) => {
      await (await storedElsewhere(at, 'tenant')).close()
      return { encryptionKeys: [OTHER_KEY] }
    }
  ],
  'session unencrypted': [
    'KEY_UNAVAILABLE',
    async (at) => {
      await (await storedElsewhere(at, 'tenant', { ...at.replicated, encryption: 'off', encryptionKeys: undefined })).close()
      return {}
    }
  ],
  'data missing': [
    'REMOTE_CORRUPT',
    async (at) => {
      await (await storedElsewhere(at, 'tenant')).close()
      rmSync(join(at.bucket, 'v1', 'data'), { recursive: true })
      return {}
    }
  ],
  'stored under another kind of name': [
    'INVALID_OPTION',
    async (at) => {
      await (await storedElsewhere(at, 'tenant')).close()
      return { hideTenantIds: true }
    }
  ],
  'given up before it began': ['ABORTED', () => ({ signal: AbortSignal.abort() })],
  'import from nowhere': ['INVALID_OPTION', (at) => ({ importFrom: join(at.root, 'not there') })]
}

/** Kinds of failure that are out of reach like another one, and are tried for as long. */
const ALIKE = ['store missing and to be made where it cannot be', 'store is a file']

for (const [kind, [code, prepare]] of chosen(Object.entries(FAILURES), ([kind]) => !ALIKE.includes(kind))) {
  test(`open that fails leaves nothing on the disk: ${kind}`, async (t) => {
    const at = scene(t)
    const options = { ...at.replicated, ...(await prepare(at)), directory: join(at.root, 'deep', 'sessions') }
    const failure = await rejection(open('tenant', options))
    assert.equal(failure.code, code, failure.message)
    assert.equal(treeOf(join(at.root, 'deep')), null)
  })
}

test('open_that_fails_leaves_what_was_there', async (t) => {
  const at = scene(t)
  const directory = join(at.root, 'sessions')
  mkdirSync(join(directory, 'other'), { recursive: true })
  writeFileSync(join(directory, 'other', 'file'), 'kept')
  const before = treeOf(directory)
  for (const store of [{ kind: 'directory', path: join(at.root, 'nowhere') }, at.replicated.store]) {
    await rejection(open('tenant', { ...at.replicated, directory, store, onMissing: 'error' }))
    assert.deepEqual(treeOf(directory), before)
  }
})

test('many_opens_that_fail_at_once_beside_one_that_does_not_are_each_told_why', async (t) => {
  const at = scene(t)
  const directory = join(at.root, 'deep', 'sessions')
  const fleet = new hybrid.HybridAuth({ ...at.replicated, directory })
  const missing = Array.from({ length: 40 }, (_, n) => rejection(fleet.open(`missing-${n}`, { onMissing: 'error' })))
  const there = await fleet.open('there')
  for (const { code } of await Promise.all(missing)) assert.equal(code, 'NOT_FOUND')
  await there.saveCreds()
  await fleet.shutdown()
  assert.deepEqual(
    readdirSync(directory).filter((name) => !name.startsWith('.store-')),
    ['there']
  )
})
