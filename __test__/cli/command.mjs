// The command line as its users run it: a process of its own, through pipes or on a terminal, with an environment that
// says only what the test says.
//
// Invariants: every run is searched for the secrets of these tests, in everything that it printed; what still runs when a test
// ends is killed by its pid. A terminal is one of `script`, of util-linux: what is typed is sent once what it answers to stands
// on the screen.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { KEY, OTHER_KEY, ROOT, hybrid, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import * as supabase from '../../testkit/stores/supabase.mjs'
import { faultsOf } from './schema.mjs'

export { KEY, OTHER_KEY, ROOT, hybrid, temporaryFolder }

export const MAIN = join(ROOT, 'cli', 'main.js')

/** A word that stands where a secret does: in credentials and in values of a session. */
export const SECRET_WORD = 'open-sesame-hunter2'

const secrets = new Set([KEY, OTHER_KEY, SECRET_WORD])

/** From now on no run may print this. */
export const keepSecret = (secret) => secrets.add(secret)

function searched(what, text) {
  for (const secret of secrets) assert.ok(!text.toLowerCase().includes(secret.toLowerCase()), `${what} prints a secret`)
  return text
}

const environment = (env) => ({ PATH: process.env.PATH, HOME: '/nonexistent', TERM: 'xterm', ...env })

/** Collects what a child prints, and waits for its end. */
function watch(t, child) {
  let stdout = ''
  let stderr = ''
  const waiting = new Set()
  const look = () => {
    for (const wait of waiting) if (wait.pattern.test(stdout + stderr)) wait.resolve(waiting.delete(wait))
  }
  child.stdout?.on('data', (text) => look((stdout += text)))
  child.stderr?.on('data', (text) => look((stderr += text)))
  const ended = once(child, 'close').then(([code, signal]) => {
    for (const { reject, pattern } of waiting)
      reject(new Error(`it ended (${code ?? signal}) and never printed ${pattern}: ${stdout}${stderr}`))
    return { code, signal, stdout: searched('stdout', stdout), stderr: searched('stderr', stderr) }
  })
  // Whoever asks for the end is told; a test that does not ask waits for it all the same.
  ended.catch(() => {})
  const printed = (pattern) =>
    pattern.test(stdout + stderr) ? Promise.resolve() : new Promise((resolve, reject) => waiting.add({ pattern, resolve, reject }))
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended.catch(() => {})
  })
  return { child, ended, printed }
}

/** Starts the command with pipes. */
export function start(t, args, { env = {}, cwd = ROOT, main = MAIN } = {}) {
  return watch(t, spawn(process.execPath, [main, ...args], { cwd, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** Runs the command with pipes: `{ code, stdout, stderr }`. */
export const run = (t, args, how) => start(t, args, how).ended

/** The same with --json, whose document is `json`, and is as the schema says. */
export async function runJson(t, args, how) {
  const ended = await run(t, [...args, '--json'], how)
  const json = JSON.parse(ended.stdout)
  assert.deepEqual(faultsOf(args[0], json), [], `${args.join(' ')}: ${ended.stdout}`)
  return { ...ended, json }
}

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`

/** Starts a line of the shell, in which `$CLI` is the command, through pipes. */
export function shell(t, line, { env = {}, cwd = ROOT } = {}) {
  const text = line.replaceAll('$CLI', `${quoted(process.execPath)} ${quoted(MAIN)}`)
  return watch(t, spawn('bash', ['-c', text], { cwd, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] })).ended
}

/** Starts the command on a terminal. `type` presses keys. What is on the screen is `stdout` in the end. */
export function terminal(t, args, { env = {}, cwd = ROOT, columns = 120 } = {}) {
  const line = [process.execPath, MAIN, ...args].map(quoted).join(' ')
  const child = spawn('script', ['--quiet', '--flush', '--return', '--command', `stty cols ${columns}; exec ${line}`, '/dev/null'], {
    cwd,
    env: environment({ SHELL: '/bin/sh', ...env }),
    stdio: ['pipe', 'pipe', 'pipe']
  })
  return { ...watch(t, child), type: (text) => child.stdin.write(text) }
}

/** Text of a screen without colours and movements. */
export const plain = (text) => text.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '').replaceAll('\r', '')

/** A file that only this user can read. */
export function privateFile(folder, name, text) {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, name)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

/** Credentials that say which pre-keys the server may hand out. */
const initAuthCreds = () => ({ generation: 0, nextPreKeyId: 2, firstUnuploadedPreKeyId: 2 })

const QUICK = { localDurability: 'os', flushIntervalMs: 0, ownershipCheckIntervalMs: 200, handoverTimeoutMs: 0 }

/** The keys of a tenant, as each of them writes them. */
export const contentOf = (tenant) => ({
  session: { [`${tenant}.0`]: { secret: SECRET_WORD, tenant } },
  'pre-key': { 1: { secret: SECRET_WORD } }
})

/** A machine that wrote sessions to a store, and the environment of another that sees the store. */
function site(t, folder, store, env) {
  const machine = { directory: join(folder, 'machine'), store, encryptionKeys: [KEY], baileys: cheapBaileys, initAuthCreds, ...QUICK }
  const opened = []
  atEnd(t, () => Promise.allSettled(opened.map((session) => session.close({ timeoutMs: 500 }))))
  async function open(tenant, options = {}) {
    const session = await hybrid.useHybridAuthState(tenant, { ...machine, ...options })
    opened.push(session)
    return session
  }
  return {
    folder,
    store,
    directory: join(folder, 'other-machine'),
    env: { ...env, SESSION_ENCRYPTION_KEY: KEY, WHATSAPP_SESSION_PATH: join(folder, 'other-machine') },
    machine,
    open,
    /** A session that ended properly. */
    async tenant(tenant) {
      const session = await open(tenant)
      await session.saveCreds()
      await session.state.keys.set(contentOf(tenant))
      await session.close()
    },
    /** A session that runs on. */
    async running(tenant) {
      const session = await open(tenant)
      await session.saveCreds()
      await session.state.keys.set(contentOf(tenant))
      await session.flush()
      return session
    }
  }
}

/** A folder that Baileys itself wrote. */
export async function multiFile(folder) {
  const { useMultiFileAuthState } = await import('baileys')
  mkdirSync(folder, { recursive: true })
  const { state, saveCreds } = await useMultiFileAuthState(folder)
  await saveCreds()
  const bytes = (text) => Buffer.from(text)
  await state.keys.set({
    session: { 'anna.0': { secret: SECRET_WORD } },
    'pre-key': { 1: { public: bytes('p'), private: bytes(SECRET_WORD) } }
  })
  return folder
}

/** A folder as the store. */
export function directorySite(t) {
  const folder = temporaryFolder(t, 'cli')
  const bucket = join(folder, 'bucket')
  mkdirSync(bucket)
  const url = pathToFileURL(bucket).href
  return { ...site(t, folder, url, { SESSION_BACKUP_STORE: url }), bucket, url }
}

/** A bucket of a Supabase project, reached as services reach it: by variables. */
export async function supabaseSite(t) {
  const folder = temporaryFolder(t, 'cli')
  const server = await supabase.start()
  atEnd(t, () => server.stop())
  keepSecret(server.address.key)
  const bucket = await supabase.connect(server.address).makeBucket()
  const { endpoint, key } = server.address
  const env = { SUPABASE_URL: endpoint, SUPABASE_SERVICE_KEY: key, SUPABASE_BUCKET: bucket.name }
  return { ...site(t, folder, { kind: 'supabase', url: endpoint, key, bucket: bucket.name }, env), bucket, server }
}

export const SITES = { 'a directory': directorySite, Supabase: supabaseSite }
