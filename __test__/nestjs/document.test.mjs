// The application of docs/nestjs.md: its files are compiled as they stand, started, asked, and ended by a signal.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { firstColumn, read } from '../docs/repository.mjs'
import { atEnd } from '../support/endings.mjs'
import { project } from '../support/nest.mjs'
import { KEY, ROOT, hybrid, temporaryFolder, until } from '../support/sessions.mjs'

const chapter = read('docs/nestjs.md')
const files = Object.fromEntries([...chapter.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(([, name, text]) => [name, text]))

/** Loaded before the application, which listens where the system has a port for it, and does not say where that is. */
const tellPort = `
  const { Server } = require('node:net')
  const { emit } = Server.prototype
  Server.prototype.emit = function (event, ...args) {
    if (event === 'listening') process.stderr.write(\`the port is \${this.address().port}.\n\`)
    return emit.call(this, event, ...args)
  }
`

test('the_application_of_the_document_compiles_answers_and_leaves_its_session_in_the_store', async (t) => {
  assert.deepEqual(Object.keys(files).sort(), ['app.module.ts', 'health.controller.ts', 'main.ts', 'whatsapp.service.ts'])
  const folder = join(project(11).folder, 'readme')
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const decorators = { experimentalDecorators: true, emitDecoratorMetadata: true }
  const compilerOptions = { strict: true, target: 'es2022', module: 'commonjs', moduleResolution: 'node10', ...decorators }
  const types = { skipLibCheck: true, typeRoots: [join(ROOT, 'node_modules', '@types')], types: ['node'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...compilerOptions, ...types }, files: Object.keys(files) }))
  const compiled = spawnSync(process.execPath, [join(ROOT, 'node_modules', 'typescript-5', 'bin', 'tsc'), '-p', folder], { encoding: 'utf8' })
  assert.equal(compiled.status, 0, compiled.stdout)

  const work = temporaryFolder(t, 'readme')
  writeFileSync(join(work, 'tell-port.cjs'), tellPort)
  const env = {
    ...process.env,
    NO_COLOR: '1',
    PORT: '0',
    WHATSAPP_SESSION_PATH: join(work, 'disk'),
    SESSION_BACKUP_STORE: `${pathToFileURL(join(work, 'bucket')).href}?create=true`,
    SESSION_ENCRYPTION_KEY: KEY
  }
  const child = spawn(process.execPath, ['--require', join(work, 'tell-port.cjs'), join(folder, 'main.js')], { cwd: dirname(folder), env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
  atEnd(t, () => {
    child.kill('SIGKILL')
    return ended
  })
  await until(() => said.includes('UPDATE sessions SET last_backup_at') || child.exitCode !== null, 'the backup')
  const [, port] = said.match(/the port is (\d+)\./) ?? assert.fail(said)
  const get = async (path) => (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })).json()
  assert.equal((await get('/health')).info.sessions.status, 'up')
  assert.equal((await get('/health/sessions')).backed_up, 1)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, { code: null, signal: 'SIGTERM' }, said)
  assert.match(said, /shut down \(SIGTERM\): 1 session closed, complete in the store/)

  const options = { directory: join(work, 'another-disk'), store: `${pathToFileURL(join(work, 'bucket')).href}?create=true`, encryptionKeys: KEY, onMissing: 'error' }
  const session = await hybrid.useHybridAuthState('tenant-42', options)
  assert.deepEqual(session.status().restored, { source: 'remote', clean: true })
  await session.close()
})

test('the_document_names_every_option_of_the_module_and_every_method_it_takes_over', () => {
  const types = read('nestjs/index.d.ts')
  const between = (from, to) => types.slice(types.indexOf(from), types.indexOf(to, types.indexOf(from)))
  const own = `${between('export interface HybridAuthModuleOptions', '\n}')}${between('export interface HybridAuthRootOptions', '\n}')}`
  const options = [...own.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name)
  const [table, named] = chapter.split('| you call |')
  assert.deepEqual(firstColumn(table), options.sort())
  const replaced = between('  initialize(', '  health(')
  const methods = [...replaced.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name)
  assert.ok(methods.length >= 12, String(methods))
  for (const name of methods) assert.match(named, new RegExp(`[\`, ]${name}[(\`]`))
})
