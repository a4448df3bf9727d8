// The documents of the example, done as they are written: the commands of its README, its tables, and its Dockerfile.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from '../../testkit/base/missing.mjs'
import { all, firstColumn, read, section } from '../docs/repository.mjs'
import { atEnd, scratch } from '../../testkit/base/endings.mjs'
import { TRUST, environmentFor, eventually, exampleFolder, whatsappOf } from '../support/example.mjs'
import { KEY, ROOT } from '../../testkit/processes/sessions.mjs'
import { further } from '../support/size.mjs'

const HERE = 'examples/nestjs'
const readme = read(`${HERE}/README.md`)
const dockerfile = read(`${HERE}/Dockerfile`)
const blocksOf = (text) => all(text, /^```sh\n([\s\S]*?)^```$/gm).map((block) => block.trim().split('\n'))

/** A program with everything it starts, which is ended with it. */
function start(t, program, args, options) {
  const child = spawn(program, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const run = { child, said: '', ended: once(child, 'close') }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (run.said += text))
  run.signal = (signal) => {
    try {
      process.kill(-child.pid, signal)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
    return run.ended
  }
  atEnd(t, () => run.signal('SIGKILL'))
  return run
}

/** The application for one story: its `npm start` compiles it anew, under the hands of whoever starts it just then. */
function ownFolder(t) {
  const [from, to] = [exampleFolder(), join(scratch(t), 'nestjs')]
  cpSync(from, to, { recursive: true, filter: (path) => path !== join(from, 'node_modules') })
  symlinkSync(join(from, 'node_modules'), join(to, 'node_modules'))
  return to
}

/** The port that a service took, once it is ready. */
async function portOf(service) {
  const isSaid = (said) => said.includes('ready after') || service.child.exitCode !== null
  const said = await eventually(() => service.said, isSaid, 'the start')
  return said.match(/listening on http:\S+:(\d+),/)?.[1] ?? assert.fail(said)
}

/** The words of an instruction in the form that no shell reads. */
const exec = (name) => JSON.parse(dockerfile.match(new RegExp(`^${name} (\\[.*\\])$`, 'm'))[1])

/** Lays the last stage out as its COPY lines say. What npm installs is linked: it is large. */
function layOut(root) {
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
  let workdir = '/'
  for (const [, instruction, rest] of last.matchAll(/^(WORKDIR|COPY) (.*)$/gm)) {
    if (instruction === 'WORKDIR') {
      workdir = rest
      mkdirSync(join(root, workdir), { recursive: true })
      continue
    }
    const words = rest.split(' ')
    assert.equal(words.shift(), '--from=build')
    const to = join(root, workdir, words.pop())
    for (const word of words) {
      const from = word.replace('/package/', '')
      if (from === 'node_modules/') linkDependencies(to)
      else if (from.endsWith('node_modules/')) linkModules(to)
      else if (from.startsWith('*'))
        for (const name of readdirSync(ROOT)) name.endsWith('.node') && symlinkSync(join(ROOT, name), join(to, name))
      else if (from.includes('/dist/')) cpSync(join(exampleFolder(), 'dist'), to, { recursive: true })
      else cpSync(join(ROOT, from), from.endsWith('/') ? to : join(to, from.split('/').at(-1)), { recursive: true })
    }
  }
  return { folder: join(root, workdir), last }
}

/** Dependencies of the package itself, and nothing that only its development needs. */
function linkDependencies(to) {
  const { packages } = JSON.parse(read('package-lock.json'))
  for (const [path, { dev }] of Object.entries(packages)) {
    if (path === '' || dev || /node_modules\/.*node_modules/.test(path) || !existsSync(join(ROOT, path))) continue
    const name = path.slice('node_modules/'.length)
    mkdirSync(dirname(join(to, name)), { recursive: true })
    symlinkSync(join(ROOT, path), join(to, name))
  }
}

function linkModules(to) {
  mkdirSync(to)
  const from = join(exampleFolder(), 'node_modules')
  for (const name of readdirSync(from)) if (!name.startsWith('baileys-hybrid-auth')) symlinkSync(join(from, name), join(to, name))
  // As npm links a package that lies in a folder.
  symlinkSync('../../..', join(to, 'baileys-hybrid-auth'))
}

export function stories() {
  further('a_person_gets_from_the_readme_to_a_connected_number', async (t) => {
    const [run, ask] = blocksOf(section(readme, '## Run it')).sort(([a], [b]) => (a.startsWith('npm') ? -1 : b.startsWith('npm') ? 1 : 0))
    assert.deepEqual(run, ['npm run build', `cd ${HERE}`, 'npm install', 'npm start'])
    assert.ok('build' in JSON.parse(read('package.json')).scripts)

    // Installed it is, with the packed package; what is left is `npm start`, with nothing configured.
    const whatsapp = await whatsappOf(t)
    const folder = ownFolder(t)
    const env = environmentFor(
      { PORT: '0', WA_WEB_SOCKET_URL: whatsapp.url, NODE_OPTIONS: `--import=${pathToFileURL(TRUST).href}` },
      whatsapp
    )
    const service = start(t, 'npm', ['start'], { cwd: folder, env })
    let port = await portOf(service)
    // Nothing is configured: nobody else is answered, and what that is good for is said.
    const told = [/listening on http:\/\/127\.0\.0\.1:/, /API_TOKEN is not set/, /a directory is the bucket, unencrypted/]
    // The lines come one by one, and the first of them is what was waited for.
    await eventually(
      () => service.said,
      (said) => told.every((line) => line.test(said)),
      'what is not configured'
    )

    const curl = (command) => {
      const { status, stdout, stderr } = spawnSync(
        'sh',
        ['-c', command.replace('curl ', 'curl --silent --show-error ').replace(':3000', `:${port}`)],
        { encoding: 'utf8' }
      )
      assert.equal(status, 0, `${command}: ${stderr}${service.said}`)
      return JSON.parse(stdout)
    }
    const [connect, qr, sessions, figures] = ask
    assert.equal(curl(connect).sessionId, 'shop')
    const { qr: code } = await eventually(
      () => curl(qr),
      ({ qr }) => qr !== undefined,
      'a code'
    )
    await whatsapp.scan(code, { phone: '4915550001' })
    await eventually(
      () => curl(sessions).sessions[0].status,
      (status) => status === 'connected',
      'connected'
    )
    await eventually(
      () => curl(figures).backed_up,
      (count) => count === 1,
      'a backup'
    )
    // While the table is being written there is one more.
    const kept = () => readdirSync(join(folder, 'data')).sort()
    assert.deepEqual(await eventually(kept, (names) => names.length === 3, 'the table written'), ['bucket', 'sessions', 'sessions.sqlite'])
    await service.signal('SIGTERM')
    assert.match(service.said, /1 session closed, complete in the store/)

    // The disk is lost as the README has it: all but the bucket.
    const [, lost] = readme.match(/remove (`data\/sessions` and `data\/sessions\.sqlite`)/)
    for (const name of all(lost, /`([^`]+)`/g)) rmSync(join(folder, name), { recursive: true })
    const again = start(t, 'npm', ['start'], { cwd: folder, env })
    port = await portOf(again)
    await eventually(
      () => again.said,
      (said) => said.includes('anna:shop: connected') || again.child.exitCode !== null,
      'connected again'
    )
    assert.equal(curl(sessions).sessions[0].status, 'connected')
    await again.signal('SIGTERM')
  })

  test('the_readme_has_every_endpoint_every_variable_and_every_file_that_it_names', () => {
    const sources = readdirSync(join(ROOT, HERE, 'src'), { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('.ts'))
    const routes = sources
      .filter((name) => name.endsWith('.controller.ts'))
      .flatMap((name) => {
        const text = read(join(HERE, 'src', name))
        const prefix = text.match(/@Controller\('?([^')]*)'?\)/)[1]
        const ways = [...text.matchAll(/@(Get|Post|Delete)\('?([^')]*)'?\)/g)]
        return ways.map(([, method, path]) => `${method.toUpperCase()} /${[prefix, path].filter(Boolean).join('/')}`)
      })
    assert.ok(routes.length > 10, String(routes))
    assert.deepEqual(firstColumn(section(readme, '## Endpoints')), routes.sort())

    const config = read(`${HERE}/src/config.ts`)
    const variables = [...new Set(all(config, /env\.([A-Z_]+)/g))]
    assert.deepEqual(
      all(section(readme, '## Configuration'), /^\| (`.+?`) \|/gm)
        .flatMap((cell) => all(cell, /`(\w+)`/g))
        .sort(),
      variables.sort()
    )
    for (const file of firstColumn(section(readme, '## Copy it'))) assert.ok(existsSync(join(ROOT, HERE, file)), file)
    assert.equal(JSON.parse(read(`${HERE}/package.json`)).dependencies['baileys-hybrid-auth'], 'file:../..')
  })

  test('the_image_starts_node_without_a_shell_and_hands_it_signals', () => {
    assert.deepEqual(exec('ENTRYPOINT'), ['tini', '--'])
    const { scripts } = JSON.parse(read(`${HERE}/package.json`))
    assert.equal(exec('CMD').join(' '), scripts.start)
    assert.match(dockerfile, /^STOPSIGNAL SIGTERM$/m)
    assert.match(dockerfile, /^USER node$/m)
    const [build, run] = blocksOf(section(readme, '## Deploy it'))[0]
    assert.ok(dockerfile.startsWith(`# ${build}`), build)
    const seconds = Number(run.match(/--stop-timeout (\d+)/)[1])
    assert.ok(seconds > 8, 'more than `shutdownTimeoutMs`')
    for (const name of all(run, / -e (\w+)/g)) assert.ok(readme.includes(`\`${name}\``), name)
  })

  test('what_the_image_holds_is_enough_to_run_and_to_end_by_a_signal', async (t) => {
    const whatsapp = await whatsappOf(t)
    const root = scratch(t)
    const { folder, last } = layOut(root)
    const set = Object.fromEntries(
      all(last, /^ENV (.*)$/gm)
        .join(' ')
        .split(' ')
        .map((pair) => pair.split('='))
    )
    const bucket = `${pathToFileURL(join(root, 'bucket')).href}?create=true`
    const given = {
      ...set,
      DATA_DIR: join(root, set.DATA_DIR),
      PORT: '0',
      HOST: '127.0.0.1',
      API_TOKEN: 'token',
      SESSION_BACKUP_STORE: bucket,
      SESSION_ENCRYPTION_KEY: KEY
    }
    const [program, ...args] = exec('CMD')
    const service = start(t, program, args, { cwd: folder, env: environmentFor({ ...given, WA_WEB_SOCKET_URL: whatsapp.url }, whatsapp) })
    const port = await portOf(service)
    const headers = { authorization: 'Bearer token', 'content-type': 'application/json', connection: 'close' }
    const connected = await fetch(`http://127.0.0.1:${port}/api/whatsapp/connect`, { method: 'POST', headers, body: '{"userId":"anna"}' })
    assert.equal(connected.status, 202, service.said)

    const [health, ...rest] = JSON.parse(last.match(/^HEALTHCHECK CMD (\[.*\])$/m)[1])
    const check = (env) => spawnSync(health, rest, { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' }).status
    assert.equal(check({ PORT: String(port) }), 0)
    service.child.kill('SIGTERM')
    assert.deepEqual(await service.ended, [null, 'SIGTERM'], service.said)
    assert.match(service.said, /shut down \(SIGTERM\): 1 session closed, complete in the store/)
    assert.notEqual(check({ PORT: String(port) }), 0)
  })
}
