// Zip archives: those of the real archiver and unzipper of whatsapp-web.js, and of Python, are read and written alike; a damaged one
// is never believed, and a dangerous one never extracted.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { scratch } from '../../testkit/base/endings.mjs'
import { contentsOf } from '../../testkit/processes/sessions.mjs'
import { every } from '../support/size.mjs'

const require = createRequire(import.meta.url)
const { openZip, writeZip } = require('../../lib/zip/archive.js')
const { crc32, crc32ByTable } = require('../../lib/zip/checksum.js')
const { endRecords, directoryRecord, localHeader } = require('../../lib/zip/records.js')

/** The archiver and the unzipper that each line of whatsapp-web.js brings. */
const LINES = ['wwebjs-1-34-6', 'wwebjs-1-34-7'].map((name) => {
  const of = createRequire(require.resolve(`${name}/package.json`))
  return { name, archiver: of('archiver'), unzipper: of('unzipper') }
})

/** Files of a profile: empty, small, larger than a chunk, compressible and not. */
const PROFILE = {
  'Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb/000003.log': randomBytes(70_000),
  'Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb/CURRENT': Buffer.from('MANIFEST-000001\n'),
  'Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb/LOCK': Buffer.alloc(0),
  'Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.blob/1/00/5': Buffer.concat([randomBytes(300_000), Buffer.alloc(400_000, 'ab')]),
  'Default/Local Storage/leveldb/000005.ldb': Buffer.alloc(5000, 'x')
}

function put(folder, files = PROFILE) {
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
  }
  return folder
}

const sources = (folder, files = PROFILE) => Object.keys(files).map((path) => ({ path, source: join(folder, path) }))

async function extracted(path, target) {
  const archive = await openZip(path)
  try {
    await archive.verify()
    await archive.extract(target)
  } finally {
    await archive.close()
  }
  return contentsOf(target)
}

/** An archive of the real archiver, as RemoteAuth makes it. */
async function archived(archiver, folder, path) {
  const archive = archiver('zip')
  const out = createWriteStream(path)
  const closed = new Promise((resolve, reject) => out.once('close', () => resolve()).once('error', reject))
  archive.pipe(out)
  archive.directory(folder, false)
  archive.finalize()
  await closed
  return path
}

for (const { name, archiver, unzipper } of LINES) {
  test(`an archive of the archiver of ${name} is extracted byte for byte`, async (t) => {
    const root = scratch(t)
    const folder = put(join(root, 'in'))
    const path = await archived(archiver, folder, join(root, 'a.zip'))
    assert.deepEqual(await extracted(path, join(root, 'out')), contentsOf(folder))
  })

  test(`an archive that is written here is extracted byte for byte by the unzipper of ${name}`, async (t) => {
    const root = scratch(t)
    const folder = put(join(root, 'in'))
    const path = join(root, 'a.zip')
    await writeZip(path, sources(folder))
    await new Promise((resolve, reject) => {
      const extract = unzipper.Extract({ path: join(root, 'out'), concurrency: 10 })
      createReadStream(path)
        .pipe(extract)
        .on('error', reject)
        .on('close', () => resolve())
    })
    assert.deepEqual(contentsOf(join(root, 'out')), contentsOf(folder))
    const directory = await unzipper.Open.file(path)
    assert.deepEqual(directory.files.map(({ path }) => path).sort(), Object.keys(PROFILE).sort())
  })
}

const python = (...args) => {
  const { status, stdout, stderr } = spawnSync('python3', args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
}

test('archives pass to and from the zipfile module of Python', async (t) => {
  const root = scratch(t)
  const folder = put(join(root, 'in'))
  const ours = join(root, 'ours.zip')
  await writeZip(ours, sources(folder))
  python('-m', 'zipfile', '-t', ours)
  python('-m', 'zipfile', '-e', ours, join(root, 'by-python'))
  assert.deepEqual(contentsOf(join(root, 'by-python')), contentsOf(folder))
  const theirs = join(root, 'theirs.zip')
  python('-m', 'zipfile', '-c', theirs, join(folder, 'Default'))
  assert.deepEqual(await extracted(theirs, join(root, 'out')), contentsOf(folder))
})

test('what is written has one form: private, whole and the same for the same files', async (t) => {
  const root = scratch(t)
  const folder = put(join(root, 'in'))
  for (const name of ['a.zip', 'b.zip']) await writeZip(join(root, name), sources(folder))
  assert.deepEqual(readFileSync(join(root, 'a.zip')), readFileSync(join(root, 'b.zip')))
  assert.equal(statSync(join(root, 'a.zip')).mode & 0o777, 0o600)
  await assert.rejects(writeZip(join(root, 'a.zip'), [...sources(folder), { path: 'x', source: join(root, 'missing') }]), {
    code: 'ENOENT'
  })
  assert.deepEqual(readdirSync(root).sort(), ['a.zip', 'b.zip', 'in'])
  assert.deepEqual(readFileSync(join(root, 'a.zip')), readFileSync(join(root, 'b.zip')))
})

/** A small archive with both methods, as `archiver` and as we write it. */
async function samples(t) {
  const root = scratch(t, { quick: true })
  const small = {
    'Default/a': Buffer.from('some text, some text, some text'),
    'Default/b/c': randomBytes(40),
    'Default/empty': Buffer.alloc(0)
  }
  const folder = put(join(root, 'in'), small)
  await writeZip(join(root, 'ours.zip'), sources(folder, small))
  await archived(LINES[1].archiver, folder, join(root, 'theirs.zip'))
  return { root, whole: contentsOf(folder), paths: ['ours.zip', 'theirs.zip'].map((name) => join(root, name)) }
}

/** Extracts what may be damaged: its contents, or the code of the refusal; nothing of a refused one is on the disk. */
async function tried(path, target) {
  try {
    return { contents: await extracted(path, target) }
  } catch (error) {
    assert.equal(existsSync(target), false)
    return { code: error.code }
  }
}

test('an archive that is cut short anywhere is damaged', async (t) => {
  const { root, paths } = await samples(t)
  for (const path of paths) {
    const bytes = readFileSync(path)
    for (let length = bytes.length - 1; length >= 0; length--) {
      truncateSync(path, length)
      assert.deepEqual(await tried(path, join(root, 'out')), { code: 'LOCAL_CORRUPT' }, `${length} of ${bytes.length}`)
    }
  }
})

test('an archive with a flipped bit is rejected, or gives exactly its contents', async (t) => {
  const { root, whole, paths } = await samples(t)
  let n = 0
  const seen = { rejected: 0, same: 0 }
  for (const path of paths) {
    const bytes = readFileSync(path)
    const file = await open(path, 'r+')
    t.after(() => file.close())
    for (const bit of every(5, Array(bytes.length * 8).keys())) {
      const flipped = Buffer.from([bytes[bit >> 3] ^ (1 << (bit & 7))])
      await file.write(flipped, 0, 1, bit >> 3)
      const target = join(root, `out-${n++}`)
      const { contents, code } = await tried(path, target)
      if (code === undefined) assert.deepEqual(contents, whole, `bit ${bit}`)
      else assert.ok(['LOCAL_CORRUPT', 'INVALID_OPTION'].includes(code), `bit ${bit}: ${code}`)
      seen[code === undefined ? 'same' : 'rejected']++
      await file.write(bytes, bit >> 3, 1, bit >> 3)
    }
  }
  assert.ok(seen.rejected > seen.same, JSON.stringify(seen))
})

/** An archive with entries as they are given, whatever they say: `{ path, bytes?, …lies }`. */
function forged(path, entries, { end = {}, patch = () => {} } = {}) {
  const parts = []
  const records = []
  let at = 0
  for (const { bytes = Buffer.from('x'), mode, name, ...lies } of entries) {
    const entry = {
      path: name,
      size: bytes.length,
      stored: bytes.length,
      sum: crc32(bytes),
      at,
      isDeflated: false,
      isLarge: false,
      ...lies
    }
    const header = localHeader(entry)
    parts.push(header, bytes)
    const record = directoryRecord(entry)
    if (mode !== undefined) record.writeUInt32LE((mode << 16) >>> 0, 38)
    records.push(record)
    at += header.length + bytes.length
  }
  const directory = Buffer.concat(records)
  const all = Buffer.concat([...parts, directory, endRecords({ count: entries.length, start: at, size: directory.length, ...end })])
  patch(all, at)
  writeFileSync(path, all)
  return path
}

test('a name that leads out of the folder, or is another one on another system, is rejected', async (t) => {
  const root = scratch(t)
  const names = [
    '../x',
    'a/../../x',
    'a/./x',
    '/etc/x',
    '//x',
    'a//x',
    'C:/x',
    'C:x',
    'a\\..\\x',
    '\\x',
    'a\0b',
    'a\nb',
    '',
    '.',
    '..',
    '/',
    'x:stream'
  ]
  for (const name of names) {
    assert.deepEqual(
      await tried(forged(join(root, 'a.zip'), [{ name: 'good' }, { name }]), join(root, 'out')),
      { code: 'INVALID_OPTION' },
      JSON.stringify(name)
    )
  }
  assert.deepEqual(readdirSync(root), ['a.zip'])
})

test('two entries of one name are rejected, whatever system would take them for one', async (t) => {
  const root = scratch(t)
  const pairs = [
    ['a', 'a'],
    ['a/b', 'A/B'],
    ['caf\u00e9', 'cafe\u0301'],
    ['a', 'a/b'],
    ['a/b', 'a'],
    ['A', 'a/b/c']
  ]
  for (const names of pairs) {
    assert.deepEqual(
      await tried(
        forged(
          join(root, 'a.zip'),
          names.map((name) => ({ name }))
        ),
        join(root, 'out')
      ),
      { code: 'INVALID_OPTION' },
      names.join(' ')
    )
  }
  assert.deepEqual(await tried(forged(join(root, 'a.zip'), [{ name: 'a/b' }, { name: 'a/c' }]), join(root, 'out')), {
    contents: { 'a/b': 'x', 'a/c': 'x' }
  })
})

test('symbolic links, devices, encrypted entries and foreign methods are rejected', async (t) => {
  const root = scratch(t)
  const at = (offset) => (all, start) => all.writeUInt16LE(offset.value, start + offset.at)
  for (const mode of [0o120777, 0o020600, 0o010600, 0o140600, 0o040700]) {
    assert.deepEqual(
      await tried(forged(join(root, 'a.zip'), [{ name: 'a', mode }]), join(root, 'out')),
      { code: 'INVALID_OPTION' },
      mode.toString(8)
    )
  }
  for (const patch of [at({ at: 8, value: 1 }), at({ at: 8, value: 1 << 6 }), at({ at: 10, value: 9 }), at({ at: 34, value: 1 })]) {
    assert.deepEqual(await tried(forged(join(root, 'a.zip'), [{ name: 'a' }], { patch }), join(root, 'out')), { code: 'INVALID_OPTION' })
  }
})

test('sizes that lie are noticed, and a bomb is rejected before it is inflated', async (t) => {
  const root = scratch(t)
  const path = join(root, 'a.zip')
  const deflated = zlib.deflateRawSync(Buffer.alloc(10_000_000))
  const sum = crc32(Buffer.alloc(10_000_000))
  const entry = { name: 'a', bytes: deflated, isDeflated: true, sum, stored: deflated.length }
  const codeOf = async (entries, how, options) => {
    forged(path, entries, how)
    return openZip(path, options).then(
      async (archive) =>
        archive
          .verify()
          .then(
            () => undefined,
            ({ code }) => code
          )
          .finally(archive.close),
      ({ code }) => code
    )
  }
  assert.equal(await codeOf([{ ...entry, size: 10_000_000 }]), undefined)
  assert.equal(await codeOf([{ ...entry, size: 10_000_000 }], {}, { maxBytes: 9_999_999 }), 'INVALID_OPTION')
  for (const size of [0, 100, 9_999_999, 10_000_001]) assert.equal(await codeOf([{ ...entry, size }]), 'LOCAL_CORRUPT', String(size))
  assert.equal(await codeOf([{ ...entry, size: 1_000_000_000 }]), 'INVALID_OPTION')
  assert.equal(await codeOf([{ ...entry, size: 10_000_000, stored: deflated.length - 1 }]), 'LOCAL_CORRUPT')
  assert.equal(
    await codeOf([{ ...entry, size: 10_000_000, bytes: Buffer.concat([deflated, Buffer.from('more')]), stored: deflated.length + 4 }]),
    'LOCAL_CORRUPT'
  )
  assert.equal(await codeOf([{ ...entry, size: 10_000_000, stored: 2 ** 31 }]), 'LOCAL_CORRUPT')
  assert.equal(await codeOf([{ name: 'a', size: 2 }]), 'LOCAL_CORRUPT')
  assert.equal(await codeOf([{ name: 'a', sum: 1 }]), 'LOCAL_CORRUPT')
  assert.equal(await codeOf([{ name: 'a' }, { name: 'b', at: 1 }]), 'INVALID_OPTION')
  assert.equal(await codeOf([{ name: 'a' }], { end: { count: 2 } }), 'LOCAL_CORRUPT')
  assert.equal(await codeOf([{ name: 'a' }, { name: 'b' }], { end: { count: 1 } }), 'LOCAL_CORRUPT')
  assert.equal(await codeOf([{ name: 'a' }], {}, { code: 'REMOTE_CORRUPT' }), undefined)
  assert.equal(await codeOf([{ name: 'a', sum: 1 }], {}, { code: 'REMOTE_CORRUPT' }), 'REMOTE_CORRUPT')
})

test('entries that share bytes are rejected: they are how a small archive holds without end', async (t) => {
  const root = scratch(t)
  const bytes = Buffer.alloc(100, 'x')
  const one = { path: 'aa', size: 100, stored: 100, sum: crc32(bytes), at: 0, isDeflated: false, isLarge: false }
  const header = localHeader(one)
  const directory = Buffer.concat([directoryRecord(one), directoryRecord({ ...one, path: 'bb' })])
  writeFileSync(
    join(root, 'a.zip'),
    Buffer.concat([header, bytes, directory, endRecords({ count: 2, start: header.length + 100, size: directory.length })])
  )
  assert.deepEqual(await tried(join(root, 'a.zip'), join(root, 'out')), { code: 'INVALID_OPTION' })
})

test('more entries than fit into the small form are written and read, here and by Python', async (t) => {
  const root = scratch(t, { quick: true })
  writeFileSync(join(root, 'one'), 'x')
  const path = join(root, 'many.zip')
  const names = Array.from({ length: 70_000 }, (_, n) => `n/${n}`)
  forged(
    path,
    names.map((name) => ({ name }))
  )
  const archive = await openZip(path)
  assert.deepEqual([archive.entries.length, archive.bytes, archive.entries.at(-1).path], [70_000, 70_000, 'n/69999'])
  await archive.close()
  assert.equal(
    python('-c', 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(len(z.infolist()), z.testzip())', path).trim(),
    '70000 None'
  )
})

test('an archive and an entry beyond four gigabytes are read where their numbers say', async (t) => {
  const root = scratch(t)
  const path = join(root, 'large.zip')
  // A hole of a sparse file stands for the bytes in between.
  const far = 5 * 2 ** 30
  const file = await open(path, 'w')
  const large = { path: 'hole', size: far, stored: far, sum: 0, at: 0, isDeflated: false, isLarge: true }
  const header = localHeader(large)
  await file.write(header, 0, header.length, 0)
  const bytes = Buffer.from('behind the hole')
  const small = {
    path: 'small',
    size: bytes.length,
    stored: bytes.length,
    sum: crc32(bytes),
    at: header.length + far,
    isDeflated: false,
    isLarge: false
  }
  const tail = Buffer.concat([localHeader(small), bytes])
  await file.write(tail, 0, tail.length, small.at)
  const directory = Buffer.concat([large, small].map(directoryRecord))
  const start = small.at + tail.length
  const end = Buffer.concat([directory, endRecords({ count: 2, start, size: directory.length })])
  await file.write(end, 0, end.length, start)
  await file.close()
  const archive = await openZip(path)
  assert.deepEqual(archive.entries, [
    { path: 'hole', size: far },
    { path: 'small', size: bytes.length }
  ])
  await archive.close()
  const said = python(
    '-c',
    'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.infolist()[0].file_size, z.read("small").decode())',
    path
  )
  assert.equal(said.trim(), `${far} behind the hole`)
})

test('the checksum of an older Node is that of zlib, in one call and in many', () => {
  assert.equal(crc32ByTable(Buffer.from('123456789')), 0xcbf43926)
  const bytes = randomBytes(100_000)
  assert.equal(crc32ByTable(bytes), crc32(bytes))
  assert.equal(crc32ByTable(bytes.subarray(777), crc32ByTable(bytes.subarray(0, 777))), crc32(bytes))
})
