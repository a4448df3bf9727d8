// Getting a session out of its store beside its owner: extracted as a folder, and drilled.
//
// Invariants guarded: nothing is claimed; nothing is written before all was verified; a drill is good only if the folder, the
// store and the owner have the same contents, and it tells every way in which they have not.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as baileys from 'baileys'
import { crc32Of } from '../docs/crc32.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { hybrid, OTHER_KEY, rejection } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const fleetOf = (at, more) => new hybrid.HybridAuth({ ...at.replicated, ...more })
const afar = (at, more) => new hybrid.HybridAuth({ ...at.elsewhere(), ...more })

/** A folder for what is temporary, for the time of a test: other processes drill as well. */
function temporaryOf(t, at) {
  const folder = join(at.root, 'temporary')
  mkdirSync(folder)
  for (const name of ['TMPDIR', 'TEMP', 'TMP']) {
    const before = process.env[name]
    process.env[name] = folder
    atEnd(t, () => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  return folder
}

async function openSome(at) {
  const session = await at.openReplicated('tenant')
  session.state.creds.registrationId = 77
  await session.saveCreds()
  await session.state.keys.set({ session: { 'a.0': Buffer.from('s') }, 'lid-mapping': { x: 'y' } })
  await session.flush()
  return session
}

test('a_running_session_is_extracted_and_opens_in_baileys', async (t) => {
  const at = await storeScene(t)
  const session = await openSome(at)
  const folder = join(at.root, 'out')
  const report = await afar(at).extract('tenant', folder)
  const { digest } = await fleetOf(at).verify('tenant')
  assert.deepEqual([report.lsn, report.keys, report.digest, report.written, report.collisions], [session.status().lsn, 3, digest, 2, 0])
  const { state } = await baileys.useMultiFileAuthState(folder)
  assert.equal(state.creds.registrationId, 77)
  assert.deepEqual(await state.keys.get('session', ['a.0']), { 'a.0': Buffer.from('s') })
  assert.equal(session.status().life, 'live')
  await session.saveCreds()

  assert.equal((await rejection(afar(at).extract('tenant', folder))).code, 'INVALID_OPTION', 'a folder that holds a session')
  await afar(at).extract('tenant', folder, { overwrite: true })
  for (const wrong of ['', 7, undefined]) assert.equal((await rejection(afar(at).extract('tenant', wrong))).code, 'INVALID_OPTION')
})

test('nothing_is_extracted_of_what_cannot_be_verified', async (t) => {
  const at = await storeScene(t)
  const session = await openSome(at)
  const folder = join(at.root, 'out')
  const refused = async (code, fleet = afar(at), tenant = 'tenant') => {
    assert.equal((await rejection(fleet.extract(tenant, folder))).code, code)
    assert.equal((await rejection(fleet.drill(tenant, { folder }))).code, code)
    assert.ok(!existsSync(folder), 'nothing was written')
  }
  await refused('NOT_FOUND', afar(at), 'nobody')
  await refused('KEY_UNAVAILABLE', afar(at, { encryptionKeys: [OTHER_KEY] }))
  await refused('INVALID_OPTION', new hybrid.HybridAuth(at.local))
  const [name] = (await at.bucket.list()).filter((name) => name.endsWith('.seg'))
  const bytes = await at.bucket.get(name)
  await at.bucket.put(name, bytes.subarray(1))
  await refused('REMOTE_CORRUPT')
  await at.bucket.put(name, bytes)
  await session.delete()
  await refused('DELETED')
})

test('a_drill_compares_with_the_memory_of_a_session_that_is_open_here', async (t) => {
  const at = await storeScene(t)
  const session = await openSome(at)
  const temporary = temporaryOf(t, at)
  await session.state.keys.set({ session: { late: { n: 1 } } })
  const report = await fleetOf(at).drill('tenant')
  const { lsn, keys, bytes, epoch } = session.status()
  assert.deepEqual(
    [report.ok, report.owner, report.lsn, report.keys, report.bytes, report.epoch, report.folder, report.problems],
    [true, 'memory', lsn, keys, bytes, epoch, null, []]
  )
  assert.equal(new Set(Object.values(report.digests)).size, 1)
  assert.deepEqual(Object.keys(report.ms).sort(), ['compare', 'decode', 'download', 'read', 'write'])
  assert.deepEqual(readdirSync(temporary), [], 'the scratch folder is gone')
  assert.equal(session.status().life, 'live')
})

test('a_drill_compares_with_the_log_of_a_session_that_was_closed_and_of_nothing_elsewhere', async (t) => {
  const at = await storeScene(t)
  await (await openSome(at)).close()
  const here = await fleetOf(at).drill('tenant')
  assert.deepEqual([here.ok, here.owner, here.digests.owner, here.clean], [true, 'log', here.digests.store, true])
  const there = await afar(at).drill('tenant')
  assert.deepEqual([there.ok, there.owner, there.digests.owner], [true, 'elsewhere', null])
  // A log of an owner before the last one says nothing about it.
  const heir = await at.open('tenant', at.elsewhere())
  await heir.flush()
  assert.equal((await fleetOf(at).drill('tenant')).owner, 'elsewhere')
})

test('a_drill_into_a_folder_leaves_a_machine_that_opens', async (t) => {
  const at = await storeScene(t)
  const session = await openSome(at)
  const { lsn } = session.status()
  await session.close()
  const folder = join(at.root, 'drilled')
  const report = await afar(at).drill('tenant', { folder })
  assert.equal(report.folder, folder)
  const opened = await at.open('tenant', { ...at.replicated, directory: folder })
  assert.deepEqual([opened.status().restored.source, opened.status().lsn, opened.state.creds.registrationId], ['local', lsn, 77])
  assert.deepEqual(await opened.state.keys.get('session', ['a.0']), { 'a.0': Buffer.from('s') })
  await opened.close()
  assert.equal((await rejection(afar(at).drill('tenant', { folder }))).code, 'INVALID_OPTION', 'it holds one already')
  assert.equal((await rejection(afar(at).drill('tenant', { folder: '' }))).code, 'INVALID_OPTION')
})

/** The last batch of a plain log says something else of itself, and is as whole as before. See `docs/format.md`. */
function rewriteHistory(log, from, to) {
  const bytes = readFileSync(log)
  const salt = bytes.subarray(32, 64)
  const at = bytes.lastIndexOf(from)
  assert.ok(at > 0)
  bytes.write(to, at)
  const frame = bytes.lastIndexOf('BHAf', at)
  const end = frame + 37 + bytes.readUInt32LE(frame + 4)
  const covered = Buffer.concat([salt, bytes.subarray(frame + 4, frame + 8), bytes.subarray(frame + 12, end)])
  bytes.writeUInt32LE(crc32Of(covered), frame + 8)
  writeFileSync(log, bytes)
}

test('an_owner_that_has_something_else_than_the_store_fails_the_drill', async (t) => {
  const at = await storeScene(t, { encryptionKeys: undefined, encryption: 'off' })
  const session = await openSome(at)
  await session.state.keys.set({ session: { a: { text: 'something' } } })
  await session.close()
  assert.equal((await fleetOf(at).drill('tenant')).ok, true)
  const folder = join(at.directory, 'tenant')
  const log = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.log'))
  )
  rewriteHistory(log, 'something', 'otherwise')
  const report = await fleetOf(at).drill('tenant')
  assert.deepEqual(
    [report.ok, report.owner, report.problems],
    [false, 'log', ['the state in the store differs from the state of its owner']]
  )
  assert.notEqual(report.digests.owner, report.digests.store)
  assert.equal(report.digests.restored, report.digests.store)
})

test('values_that_do_not_decode_fail_the_drill', async (t) => {
  const at = await storeScene(t)
  const session = await at.openReplicated('tenant')
  await session.state.keys.set({ session: { a: { n: 1 } } })
  await session.flush()
  const report = await fleetOf(at).drill('tenant')
  assert.deepEqual([report.ok, report.problems], [false, ['it has no credentials']])
})

test('a_log_that_ends_before_the_store_does_is_not_compared', async (t) => {
  const at = await storeScene(t, { encryptionKeys: undefined, encryption: 'off' })
  const session = await openSome(at)
  await session.close()
  const folder = join(at.directory, 'tenant')
  const log = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.log'))
  )
  const bytes = readFileSync(log)
  // The mark of the end is behind the last batch.
  const batches = bytes.lastIndexOf('BHAf')
  for (const cut of [1, batches - bytes.lastIndexOf('BHAf', batches - 1)]) {
    writeFileSync(log, bytes.subarray(0, batches - cut))
    const report = await fleetOf(at).drill('tenant')
    assert.deepEqual([report.ok, report.owner, report.digests.owner], [true, 'log', null])
  }
})
