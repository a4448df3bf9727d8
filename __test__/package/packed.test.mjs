// The package as it is published: packed, installed into an empty project, required, imported, type-checked, and started on a
// machine without its native part.
//
// Invariant guarded: what users install works without this repository around it, in both module systems; importing it costs
// nothing and cannot fail; and what is missing is named.

import test, { before } from 'node:test'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { packForThisMachine } from '../../scripts/pack.mjs'
import { ROOT, copyPackage, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const addon = readdirSync(ROOT).find((name) => name.endsWith('.node'))
const platform = addon.split('.').at(-2)
const EXPORTS = ['HybridAuth', 'HybridAuthError', 'cleanupMigrated', 'describeConfig', 'exportMultiFile', 'migrate', 'useHybridAuthState']

let scene
const project = () => join(scene, 'project')

function npm(args, cwd) {
  const quiet = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  const { status, stdout, stderr } = spawnSync('npm', [...args, ...quiet], { cwd, encoding: 'utf8', shell: process.platform === 'win32' })
  assert.equal(status, 0, `npm ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

function node(args, cwd = project(), env = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', env: { ...process.env, ...env } })
  assert.equal(status, 0, `${stdout}${stderr}`)
  return stdout.trim()
}

/** Names of the packages that this one brings along, and of those that they bring. */
function packagesOf(folder, found = new Set()) {
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    if (!found.has(name)) packagesOf(join(ROOT, 'node_modules', name), found.add(name))
  }
  return found
}
const brought = [...packagesOf(ROOT)].sort()

before(() => {
  scene = mkdtempSync(join(tmpdir(), 'hybrid-auth-packed-'))
  process.once('exit', () => rmSync(scene, { recursive: true, force: true }))
  mkdirSync(project())
  writeFileSync(join(project(), 'package.json'), '{"name":"project","private":true}')
  // Those brought along as well, so that nothing is asked of a registry.
  const folders = brought.map((name) => join(ROOT, 'node_modules', name))
  const packed = folders.map((folder) => join(scene, npm(['pack', '--pack-destination', scene], folder).trim().split('\n').at(-1)))
  npm(['install', ...packForThisMachine(scene), ...packed], project())
})

test('the packed package holds what it needs and nothing of the workshop', () => {
  const installed = readdirSync(join(project(), 'node_modules', 'baileys-hybrid-auth'), { recursive: true }).map(String)
  for (const name of [
    'index.js',
    'index.d.ts',
    'binding.js',
    'LICENSE',
    join('cli', 'schema.sql'),
    join('lib', 'session', 'session.js'),
    join('types', 'session.d.ts')
  ])
    assert.ok(installed.includes(name), name)
  const strange = installed.filter((name) => /\.node$|\.rs$|\.toml$|__test__|node_modules|\.mjs$|^demo|^src|^scripts|^\./.test(name))
  assert.deepEqual(strange, [])
  const { dependencies, scripts = {} } = JSON.parse(
    readFileSync(join(project(), 'node_modules', 'baileys-hybrid-auth', 'package.json'), 'utf8')
  )
  // For the command line alone, as the test of what an import loads shows.
  assert.deepEqual(Object.keys(dependencies), ['cli-progress', 'commander', 'picocolors', 'string-width'])
  for (const hook of ['preinstall', 'install', 'postinstall']) assert.equal(scripts[hook], undefined)
  assert.deepEqual(
    readdirSync(join(project(), 'node_modules'))
      .filter((name) => !name.startsWith('.'))
      .sort(),
    ['baileys-hybrid-auth', `baileys-hybrid-auth-${platform}`, ...brought].sort()
  )
})

test('its command runs by npx in an empty project', () => {
  const quiet = ['--offline', '--no-install', '--loglevel=error']
  const npx = (...args) =>
    spawnSync('npx', [...quiet, 'baileys-hybrid-auth', ...args], { cwd: project(), encoding: 'utf8', shell: process.platform === 'win32' })
  const made = npx('keygen')
  assert.deepEqual([made.status, /^[0-9a-f]{64}\n$/.test(made.stdout)], [0, true], made.stderr)
  const store = `${pathToFileURL(join(scene, 'bucket')).href}?create=true`
  writeFileSync(join(project(), 'session.key'), made.stdout, { mode: 0o600 })
  const listed = npx('list', '--store', store, '--key-file', 'session.key', '--json')
  assert.deepEqual(JSON.parse(listed.stdout), { ok: true, tenants: [] }, listed.stderr)
})

const useIt = `
  const session = await useHybridAuthState('tenant', { directory: process.argv.at(-1), mode: 'local', initAuthCreds: () => ({ name: 'new' }) })
  await session.state.keys.set({ session: { a: { v: Buffer.from('v') } } })
  console.log((await session.state.keys.get('session', ['a'])).a.v.toString(), session.state.creds.name)
  await session.close()
`

test('it is required, and works', (t) => {
  const names = node(['-p', "Object.keys(require('baileys-hybrid-auth')).sort().join()"])
  assert.equal(names, EXPORTS.join())
  const program = join(project(), 'required.cjs')
  writeFileSync(program, `const { useHybridAuthState } = require('baileys-hybrid-auth')\n;(async () => {${useIt}})()`)
  assert.equal(node([program, temporaryFolder(t)]), 'v new')
})

test('it is imported with its names, and works', (t) => {
  const program = join(project(), 'imported.mjs')
  writeFileSync(
    program,
    `import whole, { ${EXPORTS.join(', ')} } from 'baileys-hybrid-auth'
    if (whole.useHybridAuthState !== useHybridAuthState || !(new HybridAuthError('CLOSED', '') instanceof Error)) throw new Error('two copies')
    ${useIt}`
  )
  assert.equal(node([program, temporaryFolder(t)]), 'v new')
})

test('importing it loads no addon, reads no variable and starts nothing', () => {
  const program = join(project(), 'quiet.cjs')
  writeFileSync(
    program,
    `
    const read = []
    process.env = new Proxy(process.env, { get: (env, name) => { if (typeof name === 'string') read.push(name); return env[name] } })
    const listeners = process.eventNames().length
    const { HybridAuth } = require('baileys-hybrid-auth')
    new HybridAuth({})
    const native = Object.keys(require.cache).filter((name) => name.endsWith('.node') || name.endsWith('binding.js'))
    const libraries = process.report.getReport().sharedObjects.filter((name) => name.includes('baileys-hybrid-auth'))
    const brought = Object.keys(require.cache).filter((name) => !/baileys-hybrid-auth.(index\\.js$|lib[^\\w])/.test(name) && name !== __filename)
    console.log(JSON.stringify({ read, brought, native, libraries, listeners: process.eventNames().length - listeners, active: process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap') }))
  `
  )
  assert.deepEqual(JSON.parse(node([program])), { read: [], brought: [], native: [], libraries: [], listeners: 0, active: [] })
})

test('where the native part is missing, opening a session names the package to install', async (t) => {
  const packageFolder = copyPackage(t, { addon: false })
  const child = startProcess(t, openWithoutAddon, {}, { packageFolder, cwd: packageFolder })
  const { loaded, code, message, name } = await child.said()
  assert.deepEqual(loaded.sort(), EXPORTS)
  assert.ok(message.includes(`baileys-hybrid-auth-${platform}`), message)
  assert.deepEqual([name, code], ['HybridAuthError', 'INTERNAL'])
  assert.equal((await child.ended).code, 0)
})

async function openWithoutAddon({ hybrid, say }) {
  const { name, code, message } = await hybrid
    .useHybridAuthState('tenant', { mode: 'local', initAuthCreds: () => ({}) })
    .catch((error) => error)
  await say({ loaded: Object.keys(hybrid), name, code, message })
}

const consumer = `
import { useHybridAuthState, exportMultiFile, describeConfig, HybridAuth, HybridAuthError } from 'baileys-hybrid-auth'
import type { ConfigDescription, HybridAuthOptions, SessionStatus, HybridAuthErrorCode, HybridAuthState, PruneKeysReport } from 'baileys-hybrid-auth'

const options: HybridAuthOptions = {
  directory: './sessions', store: new URL('file:///bucket'), encryptionKeys: [new Uint8Array(32), 'hex'], onMissing: 'error', localDurability: 'data',
  logger: { warn: (details, message) => console.warn(details, message) }
}
export async function run(): Promise<SessionStatus> {
  const { state, saveCreds, status, on, flush }: HybridAuthState = await useHybridAuthState('tenant', options)
  on('fenced', () => {})
  on('backup', ({ lsn, bytes }) => console.log(lsn + bytes))
  on('degraded', (error) => console.log(error.code satisfies HybridAuthErrorCode))
  for await (const [id, value] of state.keys.list('session')) console.log(id.length, value)
  const found: Record<string, any> = await state.keys.get('session', ['a'])
  await state.keys.set({ session: found })
  await saveCreds()
  await flush({ timeoutMs: 1 })
  const fleet = new HybridAuth(options)
  const { closed }: { closed: number } = await fleet.shutdown()
  const { written } = await exportMultiFile('tenant', './folder', { ...options, overwrite: true })
  const { preKeys, closedSessions }: PruneKeysReport = await fleet.pruneKeys('tenant', { dryRun: false, keepPreKeyIds: new Set([1]), preKeyWindow: null })
  const config: ConfigDescription = describeConfig(options, { HOME: '/nowhere' })
  console.log(closed + written + preKeys.removed, closedSessions.removed, String(config), config.settings['store']?.from, config.problems.length)
  await useHybridAuthState({ sessionId: 'tenant', ...options })
  return status()
}
export const codeOf = (error: unknown) => (error instanceof HybridAuthError ? error.code : undefined)
// @ts-expect-error there is no such event
export const wrong = (session: HybridAuthState) => session.on('bakcup', () => {})
// @ts-expect-error there is no such mode
export const options2: HybridAuthOptions = { mode: 'cloudy' }
`

const withBaileys = `
import { makeWASocket, makeCacheableSignalKeyStore, type AuthenticationState } from 'baileys'
import { useHybridAuthState } from 'baileys-hybrid-auth'
export async function connect() {
  const { state, saveCreds } = await useHybridAuthState('tenant')
  const auth: AuthenticationState = state
  const sock = makeWASocket({ auth: { creds: auth.creds, keys: makeCacheableSignalKeyStore(state.keys) } })
  sock.ev.on('creds.update', saveCreds)
}
export const sessionOf = (tenantId: string) => useHybridAuthState(tenantId)
export const stateOf = async (tenantId: string) => (await sessionOf(tenantId)).state
export const noiseKeyOf = async (tenantId: string) => (await stateOf(tenantId)).creds.noiseKey.public.length
// @ts-expect-error there are no such credentials
export const wrong = async (tenantId: string) => (await stateOf(tenantId)).creds.noisyKey
`

function typeCheck(file, text, compilerOptions, { compiler = 'typescript' } = {}) {
  const folder = join(project(), `types-${compiler}-${file}`)
  mkdirSync(folder)
  writeFileSync(join(folder, file), text)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { strict: true, skipLibCheck: false, noEmit: true, target: 'es2022', ...compilerOptions },
      files: [file]
    })
  )
  const { status, stdout } = spawnSync(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin', 'tsc'), '-p', folder], {
    encoding: 'utf8'
  })
  assert.equal(status, 0, stdout)
}

const types = { typeRoots: [join(ROOT, 'node_modules', '@types')], types: ['node'] }

test('the declarations are right for ES modules and for CommonJS under NodeNext', () => {
  typeCheck('consumer.mts', consumer, { module: 'nodenext', moduleResolution: 'nodenext', ...types })
  typeCheck('consumer.cts', consumer, { module: 'nodenext', moduleResolution: 'nodenext', ...types })
})

test('the declarations are right for bundlers, and need no types of Node', () => {
  typeCheck('consumer.ts', consumer, { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'], types: [] })
})

test('the declarations are right for the resolution of Node 10, with TypeScript 5', () => {
  const compilerOptions = { module: 'commonjs', moduleResolution: 'node10', lib: ['es2022', 'dom'], types: [] }
  typeCheck('consumer.ts', consumer, compilerOptions, { compiler: 'typescript-5' })
})

test('the state has the types of the installed Baileys, and a library can export a function that returns it', (t) => {
  const installed = join(project(), 'node_modules', 'baileys')
  symlinkSync(join(ROOT, 'node_modules', 'baileys'), installed, 'junction')
  t.after(() => rmSync(installed))
  typeCheck('baileys.mts', withBaileys, {
    module: 'nodenext',
    moduleResolution: 'nodenext',
    skipLibCheck: true,
    declaration: true,
    ...types
  })
})

test('the packages of all platforms are described alike', () => {
  const { version, napi } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const folders = readdirSync(join(ROOT, 'npm'))
  assert.equal(folders.length, napi.targets.length)
  for (const folder of folders) {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'npm', folder, 'package.json'), 'utf8'))
    assert.deepEqual([manifest.name, manifest.version], [`baileys-hybrid-auth-${folder}`, version])
    assert.deepEqual(manifest.files, [manifest.main])
    assert.ok(existsSync(join(ROOT, 'npm', folder, 'README.md')))
    assert.ok(readFileSync(join(ROOT, 'binding.js'), 'utf8').includes(`'${manifest.name}'`), manifest.name)
  }
})
