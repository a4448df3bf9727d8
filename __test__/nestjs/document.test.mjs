// The application of docs/nestjs.md: its files are compiled unchanged, in the templates that `nest new` makes. It pairs with a double of
// WhatsApp's server, reports its health, ends by a signal, and connects again from an empty disk.
//
// Invariant: a user has one Baileys, so only one is installed here; with two, the types of the state are `any` and hide errors.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { firstColumn, read } from '../docs/repository.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { project } from '../support/nest.mjs'
import { KEY, ROOT, temporaryFolder, until } from '../../testkit/processes/sessions.mjs'
import { whatsAppFor } from '../../testkit/whatsapp/service.mjs'
import { chosen } from '../support/size.mjs'

const chapter = read('docs/nestjs.md')
const files = Object.fromEntries([...chapter.matchAll(/^```ts\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(([, name, text]) => [name, text]))

/** Baileys as installed in a project: one line of it. */
const one = { without: ['@whiskeysockets', 'baileys-v6'] }

/** Loaded before the application: prints the port that the system chose, and connects sockets to the double. */
const preload = ({ url, rootKey }) => `
  import { Server } from 'node:net'
  import * as baileys from ${JSON.stringify(import.meta.resolve('baileys'))}
  import { trust } from ${JSON.stringify(new URL('../../testkit/whatsapp/certificates.mjs', import.meta.url).href)}
  import { deriveKeysAtOnce } from ${JSON.stringify(new URL('../../testkit/whatsapp/prompt-keys.mjs', import.meta.url).href)}
  import { silentLogger } from ${JSON.stringify(new URL('../../testkit/world/baileys.mjs', import.meta.url).href)}
  deriveKeysAtOnce()
  trust(baileys, Buffer.from('${rootKey.toString('hex')}', 'hex'))
  Object.assign(baileys.DEFAULT_CONNECTION_CONFIG, { waWebSocketUrl: '${url}', logger: silentLogger, shouldSyncHistoryMessage: () => false })
  const { emit } = Server.prototype
  Server.prototype.emit = function (event, ...args) {
    if (event === 'listening') process.stderr.write(\`the port is \${this.address().port}.\n\`)
    return emit.call(this, event, ...args)
  }
`

/**
 * Files of `nest new` (@nestjs/schematics 11.1.0, and 12.0.6 with ES modules): the whole `compilerOptions` of its tsconfig.json, strict,
 * but for `types`, which name the test runner of the template, and `baseUrl`, which is its own folder and nothing here is found by.
 */
const COMMON = {
  module: 'nodenext',
  moduleResolution: 'nodenext',
  resolvePackageJsonExports: true,
  esModuleInterop: true,
  isolatedModules: true,
  declaration: true,
  removeComments: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  allowSyntheticDefaultImports: true,
  target: 'ES2023',
  sourceMap: true,
  outDir: './dist',
  incremental: true,
  skipLibCheck: true
}
const TEMPLATES = [
  {
    name: 'nest 11, CommonJS',
    major: 11,
    manifest: {},
    compilers: ['typescript-5'],
    compilerOptions: {
      ...COMMON,
      strictNullChecks: true,
      forceConsistentCasingInFileNames: true,
      noImplicitAny: true,
      strictBindCallApply: true,
      noFallthroughCasesInSwitch: true
    }
  },
  {
    name: 'nest 12, ES modules',
    major: 12,
    manifest: { type: 'module' },
    compilers: ['typescript-5', 'typescript'],
    compilerOptions: { ...COMMON, rootDir: './src', strict: true, strictPropertyInitialization: false }
  },
  {
    name: 'nest 12, CommonJS',
    major: 12,
    manifest: {},
    compilers: ['typescript'],
    compilerOptions: { ...COMMON, rootDir: './src', strict: true, strictPropertyInitialization: false }
  }
]

/** The application in a folder of the project, laid out as `nest new` does; compiled by each compiler in turn. */
function build({ name, major, manifest, compilers, compilerOptions }) {
  const folder = join(project(major, one).folder, name.replace(/\W+/g, '-'))
  mkdirSync(join(folder, 'src'), { recursive: true })
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, 'src', file), text)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'application', private: true, ...manifest }))
  const types = { typeRoots: [join(ROOT, 'node_modules', '@types')], types: ['node'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...compilerOptions, ...types }, include: ['src'] }))
  for (const compiler of compilers) {
    rmSync(join(folder, 'dist'), { recursive: true, force: true })
    rmSync(join(folder, 'tsconfig.tsbuildinfo'), { force: true })
    const compiled = spawnSync(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin', 'tsc'), '-p', folder], { encoding: 'utf8' })
    assert.equal(compiled.status, 0, `${compiler}: ${compiled.stdout}${compiled.stderr}`)
  }
  return { folder, main: join(folder, 'dist', 'main.js') }
}

for (const template of chosen(TEMPLATES, ({ name }) => name === 'nest 12, CommonJS')) {
  test(`the application of the document compiles, pairs, answers, and connects again from an empty disk: ${template.name}`, async (t) => {
    assert.deepEqual(Object.keys(files).sort(), ['app.module.ts', 'health.controller.ts', 'main.ts', 'whatsapp.service.ts'])
    const { folder, main } = build(template)
    const work = temporaryFolder(t, 'document')
    const whatsapp = await whatsAppFor(t)
    writeFileSync(join(work, 'preload.mjs'), preload(whatsapp))
    const env = {
      ...process.env,
      NO_COLOR: '1',
      PORT: '0',
      SESSION_BACKUP_STORE: `${pathToFileURL(join(work, 'bucket')).href}?create=true`,
      SESSION_ENCRYPTION_KEY: KEY
    }
    const start = (disk, ...args) => {
      const node = ['--import', pathToFileURL(join(work, 'preload.mjs')).href, main, ...args]
      const child = spawn(process.execPath, node, {
        cwd: folder,
        env: { ...env, WHATSAPP_SESSION_PATH: join(work, disk) },
        stdio: ['ignore', 'pipe', 'pipe']
      })
      const application = {
        child,
        said: '',
        ended: new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })))
      }
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (application.said += text))
      atEnd(t, () => {
        child.kill('SIGKILL')
        return application.ended
      })
      return application
    }

    const seen = (application, isTrue, what) =>
      until(() => isTrue() || application.child.exitCode !== null, `${what}; it said ${application.said}`)
    const online = (application, jid) => seen(application, () => whatsapp.isOnline(jid), 'the connection')

    // A session that is not there is an error, and no new identity.
    const unpaired = start('disk')
    await seen(unpaired, () => /NOT_FOUND|no session/.test(unpaired.said), 'the refusal')
    assert.match(unpaired.said, /NOT_FOUND/)
    unpaired.child.kill('SIGKILL')
    await unpaired.ended

    const application = start('disk', '--pair')
    await seen(application, () => application.said.includes('scan this code: '), 'the code')
    const [, qr] = application.said.match(/scan this code: (\S+)/) ?? assert.fail(application.said)
    const { jid } = await whatsapp.scan(qr, { phone: '4915550000001' })
    await online(application, jid)
    await seen(application, () => application.said.includes('tenant-42: in the bucket at'), 'the backup')
    const [, port] = application.said.match(/the port is (\d+)\./) ?? assert.fail(application.said)
    const get = async (path) => (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })).json()
    assert.equal((await get('/health')).info.sessions.status, 'up')
    assert.equal((await get('/health/sessions')).total, 1)
    application.child.kill('SIGTERM')
    assert.deepEqual(await application.ended, { code: null, signal: 'SIGTERM' }, application.said)
    assert.match(application.said, /shut down \(SIGTERM\): 1 session closed, complete in the store/)

    const elsewhere = start('another-disk')
    await online(elsewhere, jid)
    await seen(elsewhere, () => elsewhere.said.includes('tenant-42: connected'), 'the news of it')
    assert.match(elsewhere.said, /restored from the store/)
    assert.doesNotMatch(elsewhere.said, /scan this code|without|may be missing/)
  })
}

test('the_document_names_every_option_of_the_module_and_every_method_it_takes_over', () => {
  const types = read('nestjs/index.d.ts')
  const between = (from, to) => types.slice(types.indexOf(from), types.indexOf(to, types.indexOf(from)))
  const own = `${between('export interface HybridAuthModuleOptions', '\n}')}${between('export interface HybridAuthModulePlacement', '\n}')}`
  const options = [...own.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name)
  const [table, named] = chapter.split('| you call |')
  assert.deepEqual(firstColumn(table), options.sort())
  const replaced = between('  initialize(', '  health(')
  const methods = [...replaced.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name)
  assert.ok(methods.length >= 12, String(methods))
  for (const name of methods) assert.match(named, new RegExp(`[\`, ]${name}[(\`]`))
})
