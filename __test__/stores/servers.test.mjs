// The real S3 servers that other tests run over: that they are what those tests take them for, and leave nothing behind.
//
// Invariant: what is said here of one kind of server is said of each, but for the one thing in which they are meant to differ,
// conditional writes.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from '../../testkit/base/missing.mjs'
import * as rclone from '../../testkit/stores/rclone.mjs'
import { S3Client } from '../../testkit/stores/s3-client.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import { startServer } from '../../testkit/base/server-process.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { chosen } from '../support/size.mjs'

const SERVERS = [
  { name: 'seaweedfs', store: seaweedfs, honoursConditions: true },
  { name: 'rclone', store: rclone, honoursConditions: false },
  { name: 'rclone_in_memory', store: rclone, settings: { inMemory: true }, honoursConditions: false }
]

/** Names that an address, a signature or XML could get wrong. */
const ODD = [
  'a+b',
  'a b',
  'a%2Fb',
  '100%',
  'ü€𝄞',
  'e\u0301',
  '<&>"\'',
  'x=y;z,@:$',
  "!()*~'",
  'q?#',
  'tab\tnew\nline',
  'deep/er/and/deeper'
]
const PLENTY = Array.from({ length: 1100 }, (_, n) => `t/${n % 3}/${String(n).padStart(6, '0')}`)
const byBytes = (names) => [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

async function inParallel(items, work) {
  const rest = items.values()
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const item of rest) await work(item)
    })
  )
}

/** The status of an answer, which is read to its end. */
async function answers(response) {
  await response.arrayBuffer()
  return response.status
}

const status = (expected) => (error) => error.status === expected

const isRunning = (pid) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Sockets that a server leaves outside of its folder, for its ports. */
const sockets = (ports) =>
  readdirSync('/tmp').filter((name) => ports.some((port) => name.startsWith('seaweedfs-') && name.endsWith(`-${port}.sock`)))

async function assertFree(port) {
  const listener = createServer().listen(port, '127.0.0.1')
  await once(listener, 'listening')
  await new Promise((resolve) => listener.close(resolve))
}

/** Everything that a process listens on, as Linux tells it: `[address, port]`, IPv4 as eight hexadecimal digits. */
function listeners(pid) {
  const inodes = new Set()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      inodes.add(readlinkSync(`/proc/${pid}/fd/${fd}`).match(/^socket:\[(\d+)\]$/)?.[1])
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
  }
  const lines = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1))
  const LISTEN = '0A'
  const columns = lines.map((line) => line.trim().split(/\s+/)).filter((column) => column[3] === LISTEN && inodes.has(column[9]))
  return columns.map((column) => column[1].split(':')).map(([address, port]) => [address, parseInt(port, 16)])
}

for (const { name, store, settings, honoursConditions } of chosen(
  SERVERS.filter(({ store }) => store.runsHere),
  ({ name }) => name === 'rclone'
)) {
  let server
  let client
  before(async () => {
    server = await store.start(settings)
    client = store.connect(server.address)
  })
  after(() => server?.stop())

  test(`${name}_stores_lists_over_several_pages_and_deletes`, async () => {
    const bucket = await client.makeBucket()
    const names = byBytes([...PLENTY, ...ODD, 'empty', 'big'])
    const bytes = (name) =>
      name === 'empty' ? Buffer.alloc(0) : name === 'big' ? Buffer.alloc(16 << 20, 'big') : Buffer.from(`content of ${name}`)
    // rclone keeps prefixes as folders, and answers 500 where two uploads make one of them at once. The package tries again.
    for (const folder of new Set(names.map(dirname))) {
      const first = names.find((name) => dirname(name) === folder)
      await bucket.put(first, bytes(first))
    }
    await inParallel(names, (name) => bucket.put(name, bytes(name)))
    assert.deepEqual(await bucket.list(), names)
    const pages = []
    for await (const page of bucket.pages({ pageSize: 300 })) pages.push(page)
    assert.deepEqual(
      pages.map((page) => page.length),
      [300, 300, 300, names.length - 900]
    )
    assert.deepEqual(byBytes(pages.flat()), names)
    for (const name of [...ODD, 'empty', 'big', PLENTY[1]]) assert.ok((await bucket.get(name)).equals(bytes(name)), name)
    assert.equal(await bucket.get('t/0'), null)
    assert.equal(await bucket.get('never'), null)

    await bucket.put('a+b', 'replaced')
    assert.equal(String(await bucket.get('a+b')), 'replaced')
    await bucket.delete([...PLENTY.slice(1), 'never'])
    assert.deepEqual(await bucket.list(), byBytes([PLENTY[0], ...ODD, 'empty', 'big']))
    assert.equal(await bucket.get(PLENTY[1]), null)
    await bucket.remove()
    await assert.rejects(bucket.list(), status(404))
  })

  test(`${name}_refuses_whoever_does_not_know_the_secret`, async () => {
    const bucket = await client.makeBucket()
    await bucket.put('object', 'x')
    const wrong = [
      { secretAccessKey: server.address.secretAccessKey.replace(/.$/, (c) => (c === '0' ? '1' : '0')) },
      { accessKeyId: 'A'.repeat(20) }
    ]
    for (const credentials of wrong) {
      const stranger = store.connect({ ...server.address, ...credentials })
      const theirs = stranger.bucket(bucket.name)
      await assert.rejects(theirs.list(), status(403))
      await assert.rejects(theirs.get('object'), status(403))
      await assert.rejects(theirs.put('object', 'y'), status(403))
      await assert.rejects(theirs.delete(['object']), status(403))
      await assert.rejects(stranger.makeBucket(), status(403))
    }
    const { endpoint } = server.address
    for (const path of ['', `/${bucket.name}`, `/${bucket.name}/object`])
      assert.ok([400, 403].includes(await answers(await fetch(endpoint + path))), path)
    assert.ok([400, 403].includes(await answers(await fetch(`${endpoint}/${bucket.name}/object`, { method: 'PUT', body: 'y' }))))
    assert.equal(String(await bucket.get('object')), 'x')
    await bucket.remove()
  })

  test(`${name}_says_that_a_bucket_is_missing_and_makes_none`, async () => {
    const missing = client.bucket('never-made')
    for (const work of [() => missing.list(), () => missing.get('x'), () => missing.put('x', 'y'), () => missing.delete(['x'])]) {
      await assert.rejects(work, (error) => error.status === 404 && error.code === 'NoSuchBucket')
    }
    await assert.rejects(missing.remove(), status(404))
    const bucket = await client.makeBucket('came-back')
    await assert.rejects(client.makeBucket('came-back'), status(409))
    await bucket.put('x', 'first life')
    await bucket.remove()
    assert.deepEqual(await (await client.makeBucket('came-back')).list(), [])
    await bucket.remove()
  })

  test(`${name}_${honoursConditions ? 'honours' : 'ignores'}_conditions_of_a_put`, async () => {
    const bucket = await client.makeBucket()
    const create = async (name, body) =>
      answers(await client.request('PUT', bucket.name, name, { headers: { 'if-none-match': '*' }, body }))
    assert.equal(await create('object', 'first'), 200)
    assert.equal(await create('object', 'second'), honoursConditions ? 412 : 200)
    assert.equal(String(await bucket.get('object')), honoursConditions ? 'first' : 'second')
    if (honoursConditions) {
      const contest = await Promise.all(['a', 'b', 'c'].map((body) => create('contested', body)))
      assert.deepEqual(contest.sort(), [200, 412, 412])
    }
    await bucket.remove()
  })

  if (store === rclone && !settings) {
    test('rclone_removes_a_bucket_in_which_an_empty_folder_was_left', async () => {
      const bucket = await client.makeBucket()
      const folder = join(server.address.root, bucket.name)
      mkdirSync(join(folder, 'empty', 'too'), { recursive: true })
      assert.deepEqual(await bucket.list(), [])
      await bucket.remove()
      assert.equal(existsSync(folder), false)
    })
  }

  test(`${name}_gives_a_bucket_as_users_and_as_the_core_name_it`, async () => {
    const proxied = await store.connect(server.address, { endpoint: 'http://127.0.0.1:1' }).makeBucket()
    const { region, accessKeyId, secretAccessKey } = server.address
    const named = { kind: 's3', bucket: proxied.name, endpoint: 'http://127.0.0.1:1', region, accessKeyId, secretAccessKey }
    assert.deepEqual(proxied.options, { store: { ...named, pathStyle: true } })
    assert.equal(region, 'us-east-1')
    const rest = { prefix: '', virtualHosted: false, sessionToken: null, environment: {}, instanceMetadata: false }
    assert.deepEqual(proxied.spec, { ...named, ...rest, ca: null, allowPublic: false, maxConcurrentRequests: 64 })
    assert.deepEqual(JSON.parse(JSON.stringify(server.address)), server.address)
    // The raw client itself does not take the way that may be made to fail.
    await proxied.put('x', 'y')
    assert.deepEqual(await proxied.list(), ['x'])
    await proxied.remove()
  })

  if (process.platform === 'linux') {
    test(`${name}_listens_on_loopback_and_on_no_other_port_than_it_was_given`, () => {
      const LOOPBACK = '0100007F'
      const ports = (list) => list.sort((a, b) => a - b)
      assert.deepEqual(ports(listeners(server.pid).map(([, port]) => port)), ports([...server.address.ports]))
      for (const [address] of listeners(server.pid)) assert.equal(address, LOOPBACK)
    })
  }

  if (store === seaweedfs) {
    test('seaweedfs_was_started_with_its_telemetry_off', () => {
      const { stdout } = spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(server.pid)], { encoding: 'utf8' })
      assert.match(stdout, / -master\.telemetry=false /)
      assert.doesNotMatch(stdout, new RegExp(server.address.secretAccessKey))
    })
  }

  test(`${name}_is_gone_when_it_was_stopped`, async () => {
    const { pid, address } = server
    assert.ok(isRunning(pid))
    await Promise.all([server.stop(), server.stop()])
    assert.equal(isRunning(pid), false)
    for (const port of address.ports) await assertFree(port)
    assert.deepEqual(sockets(address.ports), [])
    await assert.rejects(new S3Client(address).bucket('any').list(), TypeError)
  })
}

/** A process that starts a server and then does `next`; `folder` is its folder for temporary files. */
function starter(t, kind, next) {
  // Short, because a socket lies in it.
  const folder = mkdtempSync(join(tmpdir(), 's-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const module = new URL(`../../testkit/stores/${kind}.mjs`, import.meta.url)
  const code = `
    const server = await (await import(${JSON.stringify(module.href)})).start()
    process.stdout.write(JSON.stringify({ pid: server.pid, ports: server.address.ports }) + '\\n', () => { ${next} })`
  const env = { ...process.env, TMPDIR: folder }
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  return { child, folder, ended: once(child, 'exit'), told: once(child.stdout, 'data').then(([line]) => JSON.parse(line)) }
}

const ENDINGS = {
  is_killed: { next: 'setInterval(() => {}, 1000)', end: (child) => child.kill('SIGKILL'), how: [null, 'SIGKILL'] },
  is_interrupted: { next: 'setInterval(() => {}, 1000)', end: (child) => child.kill('SIGINT'), how: [null, 'SIGINT'] },
  fails: { next: 'process.exit(3)', end() {}, how: [3, null] },
  comes_to_its_end: { next: '', end() {}, how: [0, null] }
}

/** Endings of a server: the same for all, though what they leave is not. */
const OUTLIVING = [
  [rclone, Object.keys(ENDINGS)],
  [seaweedfs, ['is_killed']]
]

for (const [store, endings] of chosen(
  OUTLIVING.filter(([store]) => store.runsHere),
  ([store]) => store === rclone
)) {
  test(`${store.kind}_does_not_outlive_a_process`, { concurrency: true, timeout: 600_000 }, async (t) => {
    await Promise.all(
      endings.map((ending) =>
        t.test(`that_${ending}`, async (t) => {
          const { next, end, how } = ENDINGS[ending]
          const { child, folder, ended, told } = starter(t, store.kind, next)
          const { pid, ports } = await told
          end(child)
          assert.deepEqual(await ended, how)
          await eventually('the end of the server', () => !isRunning(pid))
          await eventually('the end of its files', () => readdirSync(folder).length === 0 && sockets(ports).length === 0)
          for (const port of ports) await assertFree(port)
        })
      )
    )
  })
}

// -------------------------------------------------------------------------------------------------------- any server at all

/** A program that listens on a port, or ends where it is taken. */
const LISTENER = "require('node:net').createServer().listen(Number(process.argv[1]), '127.0.0.1', () => console.log('listening'))"
const listen = (port) => ({
  program: process.execPath,
  args: ['-e', LISTENER, String(port)],
  ready: ({ log }) => log.includes('listening') && { port }
})

test('a_server_whose_port_was_taken_is_started_again', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const tried = []
  const folders = []
  const { server, address } = await startServer('listener', (folder) => {
    folders.push(folder)
    tried.push(tried.length < 2 ? other.address().port : 0)
    return listen(tried.at(-1))
  })
  t.after(() => server.stop())
  assert.deepEqual(tried, [other.address().port, other.address().port, 0])
  assert.deepEqual(address, { port: 0 })
  assert.deepEqual(
    folders.map((folder) => existsSync(folder)),
    [false, false, true]
  )
})

test('a_server_that_cannot_start_is_an_error_with_its_last_words', async () => {
  const folders = []
  const start = startServer('hopeless', (folder) => {
    folders.push(folder)
    return { program: process.execPath, args: ['-e', "console.error('no disk'); process.exit(1)"], ready: () => null }
  })
  await assert.rejects(start, /hopeless did not start: it ended at once\nno disk/)
  assert.equal(folders.length, 5)
  assert.deepEqual(
    folders.filter((folder) => existsSync(folder)),
    []
  )
  const plan = () => ({ program: join(tmpdir(), 'no-such-program'), args: [], ready: () => null })
  await assert.rejects(startServer('nothing', plan), /nothing did not start/)
})

test('a_server_that_does_not_end_when_it_is_told_to_is_killed', async () => {
  const code = "process.on('SIGTERM', () => console.log('told')); setInterval(() => {}, 1000); console.log('listening')"
  const plan = () => ({ program: process.execPath, args: ['-e', code], ready: ({ log }) => log.includes('listening') })
  const { server } = await startServer('stubborn', plan)
  await server.stop()
  assert.equal(server.child.signalCode, 'SIGKILL')
  assert.equal(isRunning(server.pid), false)
})
