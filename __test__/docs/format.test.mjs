// docs/format.md is true: a reader written from it alone reads what the package writes, on the disk and in the bucket.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { crc32Of } from './crc32.mjs'
import { hiddenTag, readEntries, readLog, readObject, readValue, visibleTag } from './format-reader.mjs'

const { useHybridAuthState } = createRequire(import.meta.url)('../../index.js')
const NAME = /^(\d{20}-[0-9a-f]{32})\.(?:(\d{20})-)?(\d{20})-([0-9a-f]{16})\.(base|seg)$/
const KINDS = { '': 1, live: 2, released: 3, deleted: 4, base: 5, seg: 6, leaving: 7 }
const TENANT = 'Kunde 7'
const ESCAPED = '_4bunde_207'

const values = {
  session: { 'plain.0': { a: 1, text: 'ascii' }, 'wide.0': { text: 'gr\u00fc\u00df' }, 'lone\ud800.0': { b: true } },
  'pre-key': { 1: { public: randomBytes(32), private: randomBytes(32), n: [-5, 2 ** 31, 0.5, null, true, false, 'x\u00e9'] } },
  'sender-key': { 'g::1': randomBytes(40) }
}

/** A session that wrote, flushed and closed; its directory and its bucket. */
async function written(t, options) {
  const work = mkdtempSync(join(tmpdir(), 'hybrid-auth-format-'))
  t.after(() => rmSync(work, { recursive: true, force: true }))
  const bucket = join(work, 'bucket')
  const session = await useHybridAuthState(TENANT, {
    directory: join(work, 'disk'),
    store: `${pathToFileURL(bucket).href}?create=true`,
    ...options
  })
  await session.saveCreds()
  for (const [type, records] of Object.entries(values)) {
    await session.state.keys.set({ [type]: records })
    await session.flush()
  }
  await session.state.keys.set({ session: { 'plain.0': null } })
  await session.flush()
  const { lsn } = session.status()
  await session.close()
  const objects = readdirSync(bucket, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name)
      return {
        folder: path.slice(bucket.length + 1, -entry.name.length - 1).replaceAll('\\', '/'),
        name: entry.name,
        bytes: readFileSync(path)
      }
    })
  return { disk: join(work, 'disk', ESCAPED), objects, lsn: BigInt(lsn) }
}

/** Section 6: what a header says of the boot of this machine. */
function bootMark() {
  if (process.platform !== 'linux') return 0
  const id = readFileSync('/proc/sys/kernel/random/boot_id')
  return createHash('sha256').update('bha/v2/boot').update(id).digest().readUInt16LE(0) || 1
}

function checkLog(disk, key, lsn) {
  const names = readdirSync(disk).sort()
  assert.deepEqual(
    names.filter((name) => !/^\d{20}\.log$/.test(name)),
    ['claims', 'lock']
  )
  const log = readLog(
    readFileSync(
      join(
        disk,
        names.find((name) => name.endsWith('.log'))
      )
    ),
    key
  )
  assert.deepEqual(log.tag, visibleTag(TENANT))
  const claims = `${log.claim}\n`
  const sum = crc32Of(Buffer.from(claims)).toString(16).padStart(8, '0')
  assert.equal(readFileSync(join(disk, 'claims'), 'utf8'), `${claims}${sum}\n`)
  const end = log.frames.pop()
  assert.deepEqual([end.kind, end.lsn, end.synced, end.entries], [3, lsn, lsn, []], 'closed when the store had everything')
  assert.deepEqual([log.version, log.boot], [2, bootMark()])
  assert.deepEqual(
    log.frames.map(({ kind }) => kind),
    [1, ...Array(log.frames.length - 1).fill(2)]
  )
  assert.deepEqual(
    log.frames.map((frame) => frame.lsn),
    log.frames.map((_, i) => log.start + BigInt(i))
  )
  assert.equal(log.frames.at(-1).lsn, lsn)
  assert.equal(new Set([...log.frames, end].map(({ counter }) => counter)).size, log.frames.length + 1)
  const entries = log.frames.flatMap((frame) => frame.entries)
  for (const [type, records] of Object.entries(values)) {
    for (const [id, value] of Object.entries(records)) {
      const found = entries.find((entry) => entry.type === type && entry.id === id)
      assert.deepEqual(readValue(found.value), value, `${type} ${JSON.stringify(id)}`)
    }
  }
  assert.deepEqual(
    entries.filter(({ value }) => value === null).map(({ id }) => id),
    ['plain.0']
  )
  assert.ok(
    entries.some(({ type }) => type === null),
    'the credentials'
  )
}

/** The claim in the body of `.live`, as names write it. */
const birthOf = (body) => `${String(body.readBigUInt64LE(0)).padStart(20, '0')}-${body.toString('hex', 8, 24)}`

function checkObjects(objects, key, tenantName, tag, lsn) {
  const read = objects.map(({ folder, name, bytes }) => ({ folder, name, ...readObject(bytes, key) }))
  assert.equal(new Set(read.map(({ counter }) => counter)).size, read.length, 'a counter is used once')
  const claims = read.filter(({ folder }) => folder === 'v1/claims')
  for (const { name, kind, claim, previous, body } of claims) {
    assert.ok(name.startsWith(`${tenantName}.`), name)
    const [text, mark = ''] = name.slice(tenantName.length + 1).split('.')
    assert.deepEqual([text, KINDS[mark]], [claim, kind])
    if (kind === 1) assert.equal(body.readBigUInt64LE(0), 1234n, 'the check interval')
    else if (kind === 2) assert.equal(birthOf(body), claim, 'the session began under it')
    else assert.equal(body.length, 0)
    if (kind === 3) assert.deepEqual([previous.claim, previous.lsn], [claim, lsn])
  }
  assert.deepEqual(claims.map(({ kind }) => kind).sort(), [1, 2, 3])
  assert.equal(claims.find(({ kind }) => kind === 1).counter, 0n)
  const data = read.filter(({ folder }) => folder === `v1/data/${tenantName}`).sort((a, b) => Number(a.last - b.last))
  assert.equal(claims.length + data.length, read.length, 'every object has one of the forms')
  let point = null
  for (const object of data) {
    const [, claim, first, last, digest, kind] = object.name.match(NAME)
    assert.deepEqual([object.claim, object.kind, object.first, object.last], [claim, KINDS[kind], BigInt(first ?? last), BigInt(last)])
    assert.equal(object.digest.toString('hex', 0, 8), digest)
    assert.deepEqual(object.tag, tag)
    if (kind === 'seg')
      assert.deepEqual([object.previous, object.first], [point, point.lsn + 1n], 'a segment continues the point before it')
    point = { claim, lsn: object.last, digest: object.digest }
    if (object.body) readEntries(object.body)
  }
  assert.equal(data[0].kind, 5)
  assert.ok(data.length > 2)
  assert.deepEqual(claims.find(({ kind }) => kind === 3).previous, point, 'the release names the end')
}

test('what is sealed is as the document says, byte for byte', async (t) => {
  const key = randomBytes(32)
  const { disk, objects, lsn } = await written(t, { encryptionKeys: [key], ownershipCheckIntervalMs: 1234 })
  checkLog(disk, key, lsn)
  checkObjects(objects, key, ESCAPED, visibleTag(TENANT), lsn)
})

test('what is not encrypted is as the document says, byte for byte', async (t) => {
  const { disk, objects, lsn } = await written(t, { encryption: 'off', ownershipCheckIntervalMs: 1234 })
  checkLog(disk, null, lsn)
  checkObjects(objects, null, ESCAPED, visibleTag(TENANT), lsn)
})

test('hidden tenants are named by the oldest key', async (t) => {
  const [primary, oldest] = [randomBytes(32), randomBytes(32)]
  const {
    disk,
    objects: stored,
    lsn
  } = await written(t, { encryptionKeys: [primary, oldest], hideTenantIds: true, ownershipCheckIntervalMs: 1234 })
  const isMark = ({ folder }) => folder === 'v1/names'
  for (const { name, bytes } of stored.filter(isMark)) {
    assert.deepEqual([name, bytes.toString()], [hiddenTag(oldest, '').toString('hex'), 'BHAn'])
  }
  const objects = stored.filter((object) => !isMark(object))
  const tag = hiddenTag(oldest, TENANT)
  checkLog(disk, primary, lsn)
  checkObjects(objects, primary, `_t${tag.toString('hex')}`, tag, lsn)
})

test('the checksum of the reader is the one of zlib', () => {
  assert.equal(crc32Of(Buffer.from('123456789')), 0xcbf43926)
})
