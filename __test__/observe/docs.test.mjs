// The code blocks of docs/observability.md run as they stand, but for where they keep their files and which port they take.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { read } from '../docs/repository.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { hybrid, ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { PREFIX } from './scrapes.mjs'

const { FAMILIES } = createRequire(import.meta.url)('../../lib/metrics/families.js')

const blocks = [
  ...read('docs/observability.md').matchAll(/^<!-- runs in __test__\/observe\/docs\.test\.mjs -->\n```js\n([\s\S]*?)^```$/gm)
].map(([, block]) => block)

/** The session that the blocks open: they are of services, and a number was linked before. */
async function link(options) {
  const session = await hybrid.useHybridAuthState('tenant-42', options)
  await session.saveCreds()
  await session.close()
}

/** Runs a block with the places in it replaced; what it says is gathered. */
async function run(t, block, places) {
  const work = temporaryFolder(t, 'document')
  const all = {
    "from 'baileys-hybrid-auth'": `from ${JSON.stringify(pathToFileURL(join(ROOT, 'index.js')).href)}`,
    "'/var/lib/app/sessions'": JSON.stringify(join(work, 'disk')),
    ...places(work)
  }
  let script = block
  for (const [what, by] of Object.entries(all)) {
    assert.equal(script.split(what).length, 2, `"${what}" stands in the block once`)
    script = script.replace(what, by)
  }
  for (const name of ['pino', 'prom-client', '@opentelemetry/sdk-metrics', '@opentelemetry/exporter-metrics-otlp-http']) {
    script = script.replace(`from '${name}'`, `from ${JSON.stringify(import.meta.resolve(name))}`)
  }
  const file = join(work, 'example.mjs')
  writeFileSync(file, script)
  const key = randomBytes(32).toString('hex')
  const env = { ...process.env, SESSION_ENCRYPTION_KEY: key }
  const directory = join(work, 'disk')
  if (block.includes('file:///mnt/bucket'))
    await link({ directory, store: `${pathToFileURL(join(work, 'bucket')).href}?create=true`, encryptionKeys: key })
  else await link({ directory, mode: 'local', encryptionKeys: key })
  const child = spawn(process.execPath, [file], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { text: '' }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said.text += text))
  const ended = new Promise((resolve) => child.on('close', resolve))
  atEnd(t, () => {
    child.kill('SIGKILL')
    return ended
  })
  return { said, ended, child }
}

const bucket = (work) => ({ "'file:///mnt/bucket'": JSON.stringify(`${pathToFileURL(join(work, 'bucket')).href}?create=true`) })

test('every block of JavaScript in the document is one that runs here', () => {
  assert.equal(blocks.length, 4)
  assert.equal(read('docs/observability.md').split('```js\n').length - 1, blocks.length)
})

test('the example with pino logs the backup in the fields that the document shows', async (t) => {
  const { said, ended } = await run(t, blocks[0], bucket)
  assert.equal(await ended, 0, said.text)
  const lines = said.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const shown = JSON.parse(read('docs/observability.md').match(/^```json\n([\s\S]*?)^```$/m)[1])
  const { bytes, ...rest } = shown
  assert.ok(bytes > 0)
  const { pid: _, hostname: __, time: ___, bytes: real, ...line } = lines.find(({ event }) => event === 'backup')
  assert.deepEqual(line, rest)
  assert.ok(real > 0)
})

test('the example with a server answers a scrape', async (t) => {
  // It takes any port and says which: one that was found free before may be taken by then.
  const listen = ".listen(0, '127.0.0.1', function () { console.log(`port ${this.address().port}`) })"
  const { said, ended, child } = await run(t, blocks[1], (work) => ({ ...bucket(work), '.listen(9464)': listen }))
  const port = () => said.text.match(/^port (\d+)$/m)?.[1]
  await new Promise((resolve) => {
    child.stdout.on('data', () => port() && resolve())
    ended.then(resolve)
  })
  assert.ok(port(), said.text)
  const answer = await fetch(`http://127.0.0.1:${port()}/metrics`, { headers: { connection: 'close' } })
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8', said.text)
  assert.match(await answer.text(), /^baileys_hybrid_auth_sessions\{life="live"\} 1$/m)
})

test('the example with a registry of its own prints the metrics', async (t) => {
  const { said, ended } = await run(t, blocks[2], () => ({}))
  assert.equal(await ended, 0, said.text)
  assert.match(said.text, /^# TYPE baileys_hybrid_auth_lag_seconds gauge$/m)
})

test('the example with OpenTelemetry sends every metric to a collector', async (t) => {
  const bodies = []
  const collector = createServer(async (request, response) => {
    bodies.push(JSON.parse(Buffer.concat(await request.toArray())))
    response.setHeader('Content-Type', 'application/json').end('{}')
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  atEnd(t, () => collector.close())
  const { said, ended } = await run(t, blocks[3], () => ({
    'http://127.0.0.1:4318': `http://127.0.0.1:${collector.address().port}`,
    "process.once('SIGTERM'": "setImmediate(() => process.emit('SIGTERM'))\nprocess.once('SIGTERM'"
  }))
  assert.equal(await ended, 0, said.text)
  const metrics = bodies
    .flatMap(({ resourceMetrics }) => resourceMetrics)
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap(({ metrics }) => metrics)
  const names = FAMILIES.flatMap(({ name, type }) => (type === 'histogram' ? [`${name}_count`, `${name}_sum`] : [name]))
  assert.deepEqual([...new Set(metrics.map(({ name }) => name))].sort(), names.map((name) => PREFIX + name).sort())
  const pointsOf = (name) =>
    metrics.filter((metric) => metric.name === PREFIX + name).flatMap(({ gauge, sum }) => (gauge ?? sum).dataPoints)
  const opens = pointsOf('restore_duration_seconds_count').filter(({ attributes }) =>
    attributes.some(({ value }) => value.stringValue === 'local')
  )
  assert.deepEqual(
    opens.map(({ asDouble, asInt }) => Number(asDouble ?? asInt)),
    [1]
  )
})
