// Baileys is found where the application has it, in either module system, and never before it is needed.
//
// Invariant guarded: neither a name nor a version of Baileys is built in, and none at all is needed to open a saved session.

import test from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lines } from '../../testkit/baileys/lines.mjs'

const require = createRequire(import.meta.url)
const { HybridAuthError, codes, settle, rethrow } = require('../../lib/errors.js')
const { findBaileys, resolveBaileys, bufferJsonV6, bufferJsonV7 } = require('../../lib/baileys.js')

const lib = fileURLToPath(new URL('../../lib/', import.meta.url))

/** Runs `script` in a process whose package and working directory are a new folder with these packages in node_modules. */
async function elsewhere(t, packages, script) {
  const folder = await fs.realpath(await fs.mkdtemp(join(tmpdir(), 'baileys-')))
  t.after(() => fs.rm(folder, { recursive: true, force: true }))
  await fs.mkdir(join(folder, 'ours'))
  await fs.cp(lib, join(folder, 'ours', 'lib'), { recursive: true })
  for (const [name, files] of Object.entries(packages)) {
    for (const [file, text] of Object.entries(files)) {
      const path = join(folder, 'node_modules', name, file)
      await fs.mkdir(join(path, '..'), { recursive: true })
      await fs.writeFile(path, text)
    }
  }
  const code = `const b = require('./ours/lib/baileys.js'); (async () => { ${script} })().then((x) => process.stdout.write(JSON.stringify(x)))`
  return JSON.parse(execFileSync(process.execPath, ['-e', code], { cwd: folder, encoding: 'utf8' }))
}

const body = (who) => `({ initAuthCreds: () => ({ who: '${who}' }), BufferJSON: { replacer: (k, v) => v, reviver: (k, v) => v } })`
const cjs = (who) => ({ 'package.json': '{"main":"main"}', 'main.js': `module.exports = ${body(who)}` })
const esm = (who, exported) => ({
  'package.json': JSON.stringify({ type: 'module', ...exported }),
  'deep/index.js': `const x = ${body(who)}; export const { initAuthCreds, BufferJSON } = x`
})
const who = 'const found = await b.findBaileys(); return found && found.initAuthCreds().who'

test('it is found under either name, as CommonJS or as a module, with or without an exports map', async (t) => {
  assert.equal(await elsewhere(t, { baileys: cjs('cjs') }, who), 'cjs')
  assert.equal(await elsewhere(t, { '@whiskeysockets/baileys': cjs('scoped') }, who), 'scoped')
  assert.equal(await elsewhere(t, { baileys: esm('main', { main: 'deep/index.js' }) }, who), 'main')
  assert.equal(await elsewhere(t, { baileys: esm('exports', { exports: './deep/index.js' }) }, who), 'exports')
  assert.equal(
    await elsewhere(t, { baileys: esm('import', { exports: { '.': { types: './x', import: './deep/index.js' } } }) }, who),
    'import'
  )
  assert.equal(await elsewhere(t, { baileys: esm('nested', { exports: { import: { default: './deep/index.js' } } }) }, who), 'nested')
})

test('a broken copy, or something else of that name, does not hide a good one', async (t) => {
  const broken = { 'package.json': '{"main":"main.js"}', 'main.js': 'throw new Error("no")' }
  assert.equal(await elsewhere(t, { baileys: broken, '@whiskeysockets/baileys': cjs('good') }, who), 'good')
  const other = { 'package.json': '{"main":"main.js"}', 'main.js': 'module.exports = 5' }
  assert.equal(await elsewhere(t, { baileys: other, '@whiskeysockets/baileys': cjs('good') }, who), 'good')
})

test('without any Baileys a saved session can be read, and only a fresh one is refused', async (t) => {
  const answer = await elsewhere(
    t,
    {},
    `const found = await b.findBaileys()
     const r = await b.resolveBaileys({})
     let code, message
     try { r.initAuthCreds() } catch (error) { code = error.code; message = error.message }
     const key = r.appStateSyncKeyFromObject({ keyData: 'AQID', timestamp: '5' })
     return { found, code, message, bytes: Buffer.isBuffer(key.keyData) && key.keyData.length, same: r.BufferJSON === b.bufferJsonV7 }`
  )
  assert.deepEqual({ ...answer, message: '' }, { found: null, code: 'INVALID_OPTION', message: '', bytes: 3, same: true })
  assert.match(answer.message, /neither baileys nor @whiskeysockets\/baileys is installed: pass `baileys: await import\('your-fork'\)`/)
  const broken = { 'package.json': '{"main":"main.js"}', 'main.js': 'throw new Error("no")' }
  const message = await elsewhere(
    t,
    { baileys: broken },
    'try { (await b.resolveBaileys()).initAuthCreds() } catch (error) { return error.message + error.cause.message }'
  )
  assert.match(message, /cannot be loaded \(no\): pass `baileys: .*no$/)
})

test('it is not imported when our modules are loaded', () => {
  const code = `for (const m of ['errors','codec/encode-buffer','codec/tagged','codec/values','codec/batch','baileys','multi-file/write']) require('./' + m + '.js')
    process.stdout.write(String(Object.keys(require.cache).filter((file) => file.includes('node_modules')).length))`
  assert.equal(execFileSync(process.execPath, ['-e', code], { cwd: lib, encoding: 'utf8' }), '0')
})

for (const { name, load } of lines) {
  test(`${name}: its namespace can be passed in, as import gives it`, async () => {
    const line = await load()
    const resolved = await resolveBaileys({ baileys: line })
    assert.equal(resolved.initAuthCreds, line.initAuthCreds)
    assert.equal(resolved.BufferJSON, line.BufferJSON)
    const key = resolved.appStateSyncKeyFromObject({ keyData: 'AQID' })
    assert.ok(key instanceof line.proto.Message.AppStateSyncKeyData)
  })
}

test('6.17 as import gives it, with proto on the default export only, is understood', async () => {
  const raw = await import('baileys-v6')
  assert.equal(raw.proto, undefined)
  const { appStateSyncKeyFromObject } = await resolveBaileys({ baileys: raw })
  assert.ok(appStateSyncKeyFromObject({ keyData: 'AQID' }) instanceof raw.default.proto.Message.AppStateSyncKeyData)
})

test('the installed copy is the one that the application imports, and is looked for once', async () => {
  const { initAuthCreds } = await import('baileys')
  assert.equal((await findBaileys()).initAuthCreds, initAuthCreds)
  assert.equal(await findBaileys(), await findBaileys())
})

test('a namespace that is still being imported is waited for, and one that cannot be imported is named', async () => {
  const resolved = await resolveBaileys({ baileys: import('baileys-v6') })
  assert.equal(resolved.initAuthCreds, (await import('baileys-v6')).default.initAuthCreds ?? (await import('baileys-v6')).initAuthCreds)
  const rejected = { code: 'INVALID_OPTION', message: /`baileys` cannot be imported: .*no-such-fork/ }
  await assert.rejects(resolveBaileys({ baileys: import('no-such-fork') }), rejected)
  const none = { code: 'INVALID_OPTION', message: /^baileys must be the namespace of a Baileys package: `baileys: await import/ }
  for (const wrong of ['baileys', {}, () => {}, Promise.resolve({}), Promise.resolve('baileys')])
    await assert.rejects(resolveBaileys({ baileys: wrong }), none)
})

test('options come before what is installed', async () => {
  const initAuthCreds = () => 'mine'
  const resolved = await resolveBaileys({ initAuthCreds, BufferJSON: bufferJsonV6 })
  assert.deepEqual([resolved.initAuthCreds, resolved.BufferJSON], [initAuthCreds, bufferJsonV6])
  await assert.rejects(resolveBaileys({ BufferJSON: {} }), { code: 'INVALID_OPTION' })
  await assert.rejects(resolveBaileys({ initAuthCreds: 'x' }), { code: 'INVALID_OPTION' })
  assert.notEqual(bufferJsonV6.reviver, bufferJsonV7.reviver)
})

test('an outcome of the core is its value, or throws what it says', () => {
  for (const value of ['x', 0, null, undefined, { lsn: 1 }, ['a']]) assert.equal(settle(value), value)
  assert.throws(
    () => settle({ code: 'FENCED', message: 'a newer owner exists' }),
    (error) => {
      assert.ok(error instanceof HybridAuthError && error instanceof Error)
      assert.deepEqual([error.name, error.code, error.message], ['HybridAuthError', 'FENCED', 'a newer owner exists'])
      assert.ok(!Object.hasOwn(error, 'cause'))
      return true
    }
  )
})

test('a native error keeps a code of the list, and any other is a defect of ours', () => {
  const native = Object.assign(new Error('disk full'), { code: 'LOCAL_UNAVAILABLE' })
  assert.throws(() => rethrow(native), { name: 'HybridAuthError', code: 'LOCAL_UNAVAILABLE', message: 'disk full', cause: native })
  assert.throws(() => rethrow(Object.assign(new Error('panic'), { code: 'GenericFailure' })), { code: 'INTERNAL', message: 'panic' })
  const ours = new HybridAuthError('CLOSED', 'closed')
  assert.throws(
    () => rethrow(ours),
    (error) => error === ours
  )
  assert.throws(() => rethrow('text'), { code: 'INTERNAL' })
  assert.ok(Object.isFrozen(codes) && new Set(codes).size === codes.length)
  assert.equal(new HybridAuthError('NO_SUCH_CODE', 'x').code, 'INTERNAL')
})
