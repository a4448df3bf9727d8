// The declarations of `baileys-hybrid-auth/whatsapp-web`, as the compilers of applications read them beside those of whatsapp-web.js.
//
// Invariants guarded: what the declarations promise compiles with the newest and an old version of whatsapp-web.js; what is wrong does
// not; the service of the guide compiles as it stands there.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { read } from '../docs/repository.mjs'
import { project } from '../support/nest.mjs'
import { ROOT } from '../../testkit/processes/sessions.mjs'
import { packageOf, whatsappWeb } from '../../testkit/browser/whatsapp-web.mjs'
import { chosen } from '../support/size.mjs'

const consumer = `
import { Client, RemoteAuth, type Store } from 'whatsapp-web.js'
import { HybridAuth, HybridAuthError, RemoteAuthStore, openProfile } from 'baileys-hybrid-auth/whatsapp-web'
import type { BackupReport, HybridAuthStrategyOptions, Profile, ProfileEvent, RemoteAuthStoreOptions } from 'baileys-hybrid-auth/whatsapp-web'
import { HybridAuthError as RootError } from 'baileys-hybrid-auth'

const options: HybridAuthStrategyOptions = {
  clientId: 'a', dataPath: 'x', store: 's3://bucket', encryptionKeys: 'hex', backupIntervalMs: 1000, generations: 3, extraPaths: ['Default/Cookies'],
  onFenced: () => {}, onMissing: 'error', logger: console, legacy: new RemoteAuthStore(),
  onEvent: (news: ProfileEvent) => {
    if (news.event === 'error') console.log(news.error.code)
    if (news.event === 'backup') console.log(news.sent, news.generation)
  }
}
export const one = new Client({ authStrategy: new HybridAuth(options) })
export const two = new Client({ authStrategy: new HybridAuth() })
export const taking = (legacy: Store) => new HybridAuth({ legacy })

const given: RemoteAuthStoreOptions = { dataPath: 'x', purge: true, onError: (error, { session }) => console.log(error.code, session), onFenced: ({ session }) => console.log(session) }
const store = new RemoteAuthStore(given)
export const three = new Client({ authStrategy: new RemoteAuth({ store, clientId: 'a', backupSyncIntervalMs: 60_000 }) })

export async function run(strategy: HybridAuth): Promise<number | undefined> {
  const profile: Profile = await openProfile('id', { directory: 'x', store: null })
  profile.attach({ pid: 7 })
  profile.on('backup', ({ sent }: BackupReport) => sent).on('error', (error) => error.code)
  const { generation } = await profile.backup()
  await profile.restoreTo('folder', { generation })
  await profile.close({ timeoutMs: 1, backup: false })
  await store.close()
  const age: number | null | undefined = strategy.profile?.status().ageMs
  return age ?? profile.generation()?.number
}
export const codeOf = (error: unknown) => (error instanceof HybridAuthError && error instanceof RootError ? error.code : undefined)
// @ts-expect-error a profile has no mode
new HybridAuth({ mode: 'cloud' })
// @ts-expect-error no store of RemoteAuth
new HybridAuth({ legacy: 'mongodb://host' })
// @ts-expect-error an option of RemoteAuth
new HybridAuth({ backupSyncIntervalMs: 60_000 })
// @ts-expect-error there is no such event
export const wrong = (profile: Profile) => profile.on('saved', () => {})
`

const NODE_NEXT = { module: 'nodenext', moduleResolution: 'nodenext' }
const WAYS = {
  'an ES module': { file: 'consumer.mts', compiler: 'typescript', compilerOptions: NODE_NEXT },
  CommonJS: { file: 'consumer.cts', compiler: 'typescript', compilerOptions: NODE_NEXT },
  'TypeScript 5 and the resolution of Node 10': {
    file: 'consumer.ts',
    compiler: 'typescript-5',
    compilerOptions: { module: 'commonjs', moduleResolution: 'node10' }
  }
}

function compile({ version, file, text, compiler, compilerOptions }) {
  const folder = join(project(11).folder, `${packageOf(version)}-${compiler}-${file}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, file), text)
  const paths = { 'whatsapp-web.js': [join(ROOT, 'node_modules', packageOf(version), 'index.d.ts')] }
  const types = { typeRoots: [join(ROOT, 'node_modules', '@types')], types: ['node'] }
  const options = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    skipLibCheck: true,
    esModuleInterop: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    paths,
    ...types,
    ...compilerOptions
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: [file] }))
  const { status, stdout } = spawnSync(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin', 'tsc'), '-p', folder], {
    encoding: 'utf8'
  })
  return { status, said: stdout }
}

for (const version of chosen(['1.23.0', '1.34.7'], (version) => version === '1.34.7')) {
  for (const [name, how] of Object.entries(WAYS)) {
    test(`the declarations are right beside whatsapp-web.js ${version} for ${name}`, () => {
      const { status, said } = compile({ version, text: consumer, ...how })
      assert.equal(status, 0, said)
    })
  }
}

test('the service of the guide compiles', () => {
  const [, text] = read('docs/guides/whatsapp-web.md').match(/^```ts\n([\s\S]*?)^```$/m)
  const { status, said } = compile({ version: '1.34.7', file: 'service.mts', text, compiler: 'typescript', compilerOptions: NODE_NEXT })
  assert.equal(status, 0, said)
})

test('every class and function that is declared is there, and nothing else', () => {
  const text = read('whatsapp-web/index.d.ts')
  const declared = [...text.matchAll(/^export (?:class|function) (\w+)/gm)].map(([, name]) => name)
  assert.deepEqual([...declared, 'HybridAuthError'].sort(), Object.keys(whatsappWeb).sort())
  for (const name of ['HybridAuth', 'RemoteAuthStore']) {
    const body = text.slice(text.indexOf(`export class ${name} {`)).split('\n}\n')[0]
    for (const [, method] of body.matchAll(/^ {2}(\w+)\(/gm))
      assert.ok(method === 'constructor' || method in whatsappWeb[name].prototype, `${name}.${method}`)
  }
})
