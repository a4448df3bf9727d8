// The example applications for tests: each installed once per test process as a team would install it, with the packed package, and
// started as a process of its own; that of Baileys against the double of WhatsApp.
//
// Invariants: it sees nothing of this process's environment that configures sessions; a service that a test started is ended
// when the test is; a disk is a folder, and wiping it removes everything that is in it.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { atEnd } from '../../testkit/base/endings.mjs'
import { KEY, ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { startWhatsApp } from '../../testkit/whatsapp/double.mjs'

export const TRUST = fileURLToPath(new URL('../../testkit/whatsapp/trust.mjs', import.meta.url))
export const TOKEN = 'a-token-for-tests'

/** Generous: it only ends a broken run. */
export const PATIENCE_MS = 180_000

function npm(args, cwd) {
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  const { status, stdout, stderr } = spawnSync('npm', [...args, ...quiet], { cwd, encoding: 'utf8', shell: process.platform === 'win32' })
  assert.equal(status, 0, `npm ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout.trim().split('\n').at(-1)
}

function install(name) {
  const source = join(ROOT, 'examples', name)
  const scene = mkdtempSync(join(tmpdir(), 'hybrid-auth-example-'))
  process.once('exit', () => rmSync(scene, { recursive: true, force: true, maxRetries: 5 }))
  const addon = readdirSync(ROOT).find((name) => name.endsWith('.node'))
  const platform = addon.split('.').at(-2)
  const native = join(scene, 'native')
  cpSync(join(ROOT, 'npm', platform), native, { recursive: true })
  cpSync(join(ROOT, addon), join(native, addon))
  const [pack, nativePack] = [ROOT, native].map((folder) => join(scene, npm(['pack', '--pack-destination', scene], folder)))

  const folder = join(scene, name)
  const isOurs = (path) => !/[\\/](node_modules|dist|data)$/.test(path.slice(source.length))
  cpSync(source, folder, { recursive: true, filter: isOurs })
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  Object.assign(manifest.dependencies, { 'baileys-hybrid-auth': `file:${pack}`, [`baileys-hybrid-auth-${platform}`]: `file:${nativePack}` })
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  npm(['install'], folder)
  npm(['run', 'build'], folder)
  return folder
}

const installed = new Map()

/** The folder of an application, compiled and ready to be started. */
export function exampleFolder(name = 'nestjs') {
  if (!installed.has(name)) installed.set(name, install(name))
  return installed.get(name)
}

/** Asks until the answer is true, for as long as it may take on a busy machine; fails with what there is then. */
export async function eventually(ask, isTrue, what) {
  let answer
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until;) {
    answer = await ask()
    if (isTrue(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`it never came: ${what}; last: ${JSON.stringify(answer)}`)
}

/** One run of the service. */
class Service {
  said = ''

  constructor(child) {
    this.child = child
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (this.said += text))
    this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  }

  /** Its address: it takes any port that is free, and logs it. */
  get url() {
    return this.said.match(/listening on (http:\S+),/)[1]
  }

  /** Its answer: `{ status, body, headers }`. */
  async ask(method, path, { body, headers = { authorization: `Bearer ${TOKEN}` } } = {}) {
    const json = body === undefined ? {} : { body: JSON.stringify(body) }
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await fetch(this.url + path, { method, headers: { connection: 'close', ...type, ...headers }, ...json })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.startsWith('application/json')
    return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text }
  }

  /** The body of an answer that is as it should be. */
  async get(path) {
    const { status, body } = await this.ask('GET', path)
    assert.equal(status, 200, `GET ${path}: ${status} ${JSON.stringify(body)}\n${this.said}`)
    return body
  }

  async post(path, body, expected = 200) {
    const answer = await this.ask('POST', path, { body })
    assert.equal(answer.status, expected, `POST ${path}: ${answer.status} ${JSON.stringify(answer.body)}\n${this.said}`)
    return answer.body
  }

  /** One session, as `GET /api/sessions` shows it. */
  async session(userId, sessionId) {
    return (await this.get(`/api/sessions/${userId}`)).sessions.find((session) => session.sessionId === sessionId)
  }

  /** The session, once it is that; of a connection, also the table is told, which is a moment later. */
  async becomes(userId, sessionId, status) {
    const isSo = (session) => session?.status === status && (status !== 'connected' || session.phone !== null)
    return eventually(() => this.session(userId, sessionId), isSo, `${userId}/${sessionId} ${status}`)
  }

  /** The code that waits for a phone. */
  async qr(userId, sessionId) {
    const ask = () => this.ask('GET', `/api/whatsapp/qr/${userId}/${sessionId}`)
    const { body } = await eventually(ask, ({ status }) => status === 200, `a code for ${userId}/${sessionId}`)
    return body.qr
  }

  /** Ends it as a platform does, or as a power cut would. */
  async end(signal = 'SIGTERM') {
    this.child.kill(signal)
    return this.ended
  }
}

/** The environment of a program that trusts the double, if `TRUST` is imported; of ours it has what configures no session. */
export const environmentFor = (given, whatsapp) => ({
  ...inherited(),
  WHATSAPP_DOUBLE_ROOT: Buffer.from(whatsapp.rootKey).toString('hex'),
  ...given
})

const inherited = () => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_'))),
  NO_COLOR: '1'
})

/** Starts the application in `folder` with these variables; resolves when it listens. `imports` are modules that it loads before its own. */
export async function startService(t, folder, env, imports = []) {
  const args = [
    ...imports.flatMap((file) => ['--import', pathToFileURL(file).href]),
    '--preserve-symlinks',
    join(folder, 'dist', 'main.js')
  ]
  const child = spawn(process.execPath, args, { cwd: folder, env: { ...inherited(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const service = new Service(child)
  atEnd(t, () => service.end('SIGKILL'))
  await eventually(
    () => service.said,
    (said) => said.includes('ready after') || child.exitCode !== null,
    'the start'
  )
  assert.equal(child.exitCode, null, service.said)
  return service
}

/**
 * A machine that runs the service: `boot()` starts it, `wipe()` empties its disk. Several machines share a bucket, and a database
 * if there is a `databaseUrl`.
 */
export function machine(t, { whatsapp, bucket, databaseUrl, env = {} }) {
  const folder = exampleFolder()
  const disk = join(temporaryFolder(t, 'example-disk'), 'data')

  async function boot() {
    mkdirSync(disk, { recursive: true })
    const given = {
      PORT: '0',
      HOST: '127.0.0.1',
      API_TOKEN: TOKEN,
      DATA_DIR: disk,
      WA_WEB_SOCKET_URL: whatsapp.url,
      ...(bucket === undefined ? {} : { SESSION_BACKUP_STORE: `${pathToFileURL(bucket).href}?create=true`, SESSION_ENCRYPTION_KEY: KEY }),
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
      ...env
    }
    return startService(t, folder, environmentFor(given, whatsapp), [TRUST])
  }

  const wipe = () => rmSync(disk, { recursive: true, force: true, maxRetries: 5 })
  return { boot, wipe, disk }
}

/** WhatsApp's server, until the test ends. */
export async function whatsappOf(t) {
  const whatsapp = await startWhatsApp()
  atEnd(t, () => whatsapp.stop())
  return whatsapp
}

/** Connects a session and lets a phone scan its code. Answers the address of the linked device. */
export async function pair(service, whatsapp, { userId, sessionId, phone }) {
  await service.post('/api/whatsapp/connect', { userId, sessionId }, 202)
  const { jid } = await whatsapp.scan(await service.qr(userId, sessionId), { phone })
  await service.becomes(userId, sessionId, 'connected')
  return jid
}
