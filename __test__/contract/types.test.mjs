// The state in the types of the Baileys that is installed, as the compilers of applications read them.
//
// Invariant guarded: with each line of Baileys, under either name, credentials and keys have its types, and the state is what its
// socket takes; without Baileys, and with two that differ, everything compiles as it did.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const anything = `
import { useHybridAuthState, type HybridAuthState, type HybridKeyStore } from 'baileys-hybrid-auth'
export async function use() {
  const session: HybridAuthState = await useHybridAuthState('tenant', { ifFree: true })
  const { state, saveCreds } = session
  const keys: HybridKeyStore = state.keys
  const save: () => Promise<void> = saveCreds
  await keys.set({ session: { a: null } })
  for await (const [id, value] of state.keys.list('pre-key')) console.log(id.length, value.anything)
  console.log((await state.keys.get('a-family-of-my-own', ['1']))['1'].anything)
  state.keys.get('session', ['1']).then((found) => console.log(found['1']))
  console.log(save, state.creds.nextPreKeyId)
  return state
}
`
const withBaileys = (name) => `
import { makeWASocket, makeCacheableSignalKeyStore, type AuthenticationCreds, type AuthenticationState, type SignalDataTypeMap } from '${name}'
import { useHybridAuthState } from 'baileys-hybrid-auth'
export async function use() {
  const { state, saveCreds } = await useHybridAuthState('tenant')
  const auth: AuthenticationState = state
  const creds: AuthenticationCreds = state.creds
  const pair: SignalDataTypeMap['pre-key'] = (await state.keys.get('pre-key', ['1']))['1']
  const socket = makeWASocket({ auth: state })
  makeWASocket({ auth: { creds: state.creds, keys: makeCacheableSignalKeyStore(state.keys, undefined as any) } })
  socket.ev.on('creds.update', saveCreds)
  state.creds.nextPreKeyId = 7
  console.log(auth, creds, pair.public, state.creds.me?.id)
}
`
const STRICT = `
export async function wrong() {
  const { state } = await useHybridAuthState('tenant')
  // @ts-expect-error: a slip in a name
  console.log(state.creds.me?.idd)
  // @ts-expect-error: a value of another type
  state.creds.nextPreKeyId = 'seven'
  // @ts-expect-error: a key pair is no number
  const number: number = (await state.keys.get('pre-key', ['1']))['1']
  return number
}
`

/** Compiles a program beside a copy of the declarations and these packages: name -> folder of node_modules. */
async function compile(
  t,
  program,
  packages,
  { module = 'nodenext', moduleResolution = 'nodenext', compiler = 'typescript', skipLibCheck = true } = {}
) {
  const folder = temporaryFolder(t, 'types')
  const modules = join(folder, 'node_modules')
  const own = join(modules, 'baileys-hybrid-auth')
  mkdirSync(own, { recursive: true })
  for (const name of ['package.json', 'index.d.ts', 'types']) cpSync(join(ROOT, name), join(own, name), { recursive: true })
  mkdirSync(join(modules, '@whiskeysockets'))
  for (const [name, from] of Object.entries({ '@types': '@types', ...packages }))
    symlinkSync(join(ROOT, 'node_modules', from), join(modules, name), 'junction')
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'program.ts'), program)
  const options = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module,
    moduleResolution,
    esModuleInterop: true,
    skipLibCheck,
    types: ['node']
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['program.ts'] }))
  const child = spawn(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin', 'tsc'), '-p', folder], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let stdout = ''
  child.stdout.on('data', (text) => (stdout += text))
  const [code] = await once(child, 'close')
  return { code, stdout }
}

const LINES = {
  'baileys 7': ['baileys', { baileys: 'baileys' }],
  'baileys 6.17': ['baileys', { baileys: 'baileys-v6' }],
  '@whiskeysockets/baileys 6.7': ['@whiskeysockets/baileys', { '@whiskeysockets/baileys': '@whiskeysockets/baileys' }]
}
for (const [line, [name, packages]] of Object.entries(LINES)) {
  test(`with ${line} the state has its types, and a slip in them is an error`, async (t) => {
    const { code, stdout } = await compile(t, withBaileys(name) + STRICT, packages)
    assert.equal(code, 0, stdout)
  })
}

test('the older compiler, from CommonJS with the older way to find modules, reads the same', async (t) => {
  const { code, stdout } = await compile(
    t,
    withBaileys('baileys') + STRICT,
    { baileys: 'baileys' },
    { module: 'commonjs', moduleResolution: 'node10', compiler: 'typescript-5' }
  )
  assert.equal(code, 0, stdout)
})

test('without Baileys, and with two that differ, everything compiles', async (t) => {
  const without = await compile(t, anything, {}, { skipLibCheck: false })
  assert.equal(without.code, 0, without.stdout)
  const both = { baileys: 'baileys', '@whiskeysockets/baileys': '@whiskeysockets/baileys' }
  const sockets = Object.keys(both).map(
    (name, i) => `import { makeWASocket as make${i} } from '${name}'\nuse().then((state) => make${i}({ auth: state }))\n`
  )
  const { code, stdout } = await compile(t, anything + sockets.join(''), both)
  assert.equal(code, 0, stdout)
})
