// Sessions for tests: a temporary machine with a bucket, option defaults that do not make a test wait, child processes that
// may be killed, and cleaning up after all of it.
//
// Invariant: nothing of the environment reaches a test (options say everything that matters), and nothing that a test opened
// or started outlives it.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { atEnd } from '../base/endings.mjs'

export const hybrid = createRequire(import.meta.url)('../../index.js')

/** The folder of this package. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export const KEY = '7f'.repeat(32)
export const OTHER_KEY = '51'.repeat(32)

/**
 * For sessions of which one hands over to another: what a predecessor may take for that follows from its interval, and a
 * successor waits for it. On a slow machine a handover takes seconds.
 */
export const unhurried = { ownershipCheckIntervalMs: 3000, handoverTimeoutMs: 60_000 }

/** For a session whose status and news are looked at: it asks its store for nothing by itself, and calls no answer late. */
export const still = { ownershipCheckIntervalMs: 600_000 }

/** Variables that sessions look at: no test inherits them. */
const VARIABLES = /^(WHATSAPP_SESSION|SESSION_|SUPABASE_|R2_|AWS_|STORAGE_BUCKET|S3_|GOOGLE_|BAILEYS_HYBRID_AUTH_)/

for (const name of Object.keys(process.env)) if (VARIABLES.test(name)) delete process.env[name]

/** A folder that is gone when the test is. */
export function temporaryFolder(t, what = 'session') {
  const folder = mkdtempSync(join(tmpdir(), `hybrid-auth-${what}-`))
  atEnd(t, () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/**
 * A machine (`directory`), a bucket, and ways to open tenants on them. `open` takes options over the defaults; `elsewhere`
 * gives the options of another machine with the same bucket. The bucket is a folder beside the machine unless `store` gives
 * the options of another one.
 */
export function scene(t, defaults = {}, store = null) {
  const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-scene-'))
  const directory = join(root, 'machine-1')
  const bucket = join(root, 'bucket')
  mkdirSync(bucket, { mode: 0o700 })
  const opened = []
  let machines = 1
  const local = { directory, mode: 'local', localDurability: 'os', ...defaults }
  const replicated = {
    directory,
    ...(store ?? { store: pathToFileURL(bucket).href }),
    encryptionKeys: [KEY],
    flushIntervalMs: 50,
    ownershipCheckIntervalMs: 200,
    closeTimeoutMs: 30_000,
    ...defaults
  }

  async function open(tenant, options) {
    const session = await hybrid.useHybridAuthState(tenant, options)
    opened.push(session)
    return session
  }

  atEnd(t, async () => {
    await Promise.allSettled(opened.map((session) => session.close({ timeoutMs: 200 })))
    rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  })
  return {
    root,
    directory,
    bucket,
    local,
    replicated,
    open,
    openLocal: (tenant, options) => open(tenant, { ...local, ...options }),
    openReplicated: (tenant, options) => open(tenant, { ...replicated, ...options }),
    elsewhere: () => ({ ...replicated, directory: join(root, `machine-${++machines}`) })
  }
}

/** Every file below `folder`: path -> bytes. */
export function contentsOf(folder) {
  const found = {}
  const visit = (at) => {
    for (const item of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, item.name)
      if (item.isDirectory()) visit(path)
      else found[relative(folder, path)] = item.isFile() ? readFileSync(path).toString('latin1') : `(${item.name})`
    }
  }
  visit(folder)
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The same with a digest in place of each content: for comparisons that a person may have to read. */
export function fingerprintsOf(folder) {
  const digest = (content) => createHash('sha256').update(content, 'latin1').digest('hex').slice(0, 16)
  return Object.fromEntries(Object.entries(contentsOf(folder)).map(([path, content]) => [path, digest(content)]))
}

/** Every path below `folder`, itself included, with its permissions in octal. */
export function permissionsOf(folder) {
  const all = [folder, ...readdirSync(folder, { recursive: true }).map((name) => join(folder, name))]
  return all.map((path) => ({
    path: relative(folder, path),
    kind: statSync(path).isDirectory() ? 'folder' : 'file',
    mode: (statSync(path).mode & 0o777).toString(8)
  }))
}

/** Error of a promise; fails when it does not. */
export async function rejection(promise) {
  const failure = await promise.then(
    () => undefined,
    (error) => error
  )
  if (failure === undefined) throw new Error('nothing was rejected')
  return failure
}

/** Waits for an event of a session to be told. A session keeps no process alive, so this does. */
export function told(session, event) {
  return new Promise((resolve) => {
    const awake = setInterval(() => {}, 1000)
    const listener = (news) => {
      clearInterval(awake)
      session.off(event, listener)
      resolve(news)
    }
    session.on(event, listener)
  })
}

/** Asks again until the answer is true: for what other threads do in their own time. The limit only ends a broken run. */
export async function until(isTrue, what) {
  const deadline = performance.now() + 120_000
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`it never came: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/**
 * Runs `work({ hybrid, args, say })` in a Node process of its own; its text is taken, so it sees nothing but its arguments.
 * `say(message)` resolves when this process has the message.
 */
export function startProcess(t, work, args = {}, { cwd = ROOT, packageFolder = ROOT, env = {}, nodeOptions = [] } = {}) {
  const program = `
    import { createRequire } from 'node:module'
    const load = createRequire(${JSON.stringify(join(packageFolder, 'package.json'))})
    const say = (message) => new Promise((resolve) => process.send(message, () => resolve()))
    await (${work})({ load, get hybrid() { return load('./index.js') }, args: ${JSON.stringify(args)}, say })
  `
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_TEST')))
  const child = spawn(process.execPath, [...nodeOptions, '--input-type=module', '-e', program], {
    cwd,
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  const messages = []
  const waiting = []
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  child.on('message', (message) => (waiting.length > 0 ? waiting.shift().resolve(message) : messages.push(message)))
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      for (const { reject } of waiting) reject(new Error(`the process ended (${code ?? signal}) without a word: ${stderr}`))
      waiting.length = 0
      resolve({ code, signal, stdout, stderr })
    })
  })
  const said = () =>
    messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  const kill = () => {
    child.kill('SIGKILL')
    return ended
  }
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) await kill()
  })
  return { child, said, ended, kill }
}

/** A copy of this package in a folder outside of the repository, where no Baileys is installed. */
export function copyPackage(t, { addon = true } = {}) {
  const folder = join(temporaryFolder(t, 'package'), 'baileys-hybrid-auth')
  mkdirSync(folder)
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const names = ['package.json', ...files.filter((name) => existsSync(join(ROOT, name)))]
  if (addon) names.push(...readdirSync(ROOT).filter((name) => name.endsWith('.node')))
  for (const name of names) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  return folder
}
