// Every command that docs/cli.md and the help show is run as it stands, in a place that has what it names.
//
// Invariant guarded: nothing is documented that does not work, and what works is documented.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { firstColumn, read, section } from '../docs/repository.mjs'
import { KEY, OTHER_KEY, directorySite, keepSecret, multiFile, plain, privateFile, shell, terminal } from './command.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { startRedis } from '../../testkit/old-stores/redis.mjs'
import { aSession, recordsOf } from '../../testkit/old-stores/sessions.mjs'
import * as supabase from '../../testkit/stores/supabase.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { chosen } from '../support/size.mjs'

const require = createRequire(import.meta.url)
const { build } = require('../../cli/program.js')
const { EXIT, CODES } = require('../../cli/exit.js')
const { SESSION_OPTIONS } = require('../../cli/settings.js')
const { writeZip } = require('../../lib/zip/archive.js')

const commands = build(() => {}).commands.filter((command) => command.name() !== 'help')
const document = read('docs/cli.md')

/** The lines of the blocks of a shell. */
const linesOf = (text) => [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block]) => block.trim().split('\n'))

/** Examples in the help of each command. */
function examplesOf(command) {
  let text = ''
  command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp()
  return [...text.matchAll(/^ {2}\$ (npx .*)$/gm)].map(([, line]) => line)
}

/** A place with everything in it that the examples name. */
async function place(t) {
  const at = directorySite(t)
  for (const tenant of ['tenant-42', 'tenant-43']) await at.tenant(tenant)
  const cwd = join(at.folder, 'project')
  mkdirSync(cwd)
  for (const folder of ['auth/tenant-7', 'auth_sessions/u1/s1', 'baileys_auth_info']) await multiFile(join(cwd, folder))
  const pages = join(cwd, '.wwebjs_auth/session-shop-7/Default/IndexedDB/pages')
  mkdirSync(pages, { recursive: true })
  writeFileSync(join(pages, '1'), 'storage of pages')
  for (const name of ['keys.txt', 'session.key']) privateFile(cwd, name, name === 'keys.txt' ? `${OTHER_KEY}\n${KEY}\n` : KEY)
  privateFile(cwd, '.env', `SESSION_BACKUP_INTERVAL_MS=2000\n`)
  return { ...at, cwd, env: { ...at.env, WHATSAPP_SESSION_PATH: join(cwd, 'whatsapp-sessions') } }
}

/** A bucket of another system, with one session in it, reached by variables. */
async function otherBucket(t, at) {
  const server = await supabase.start()
  atEnd(t, () => server.stop())
  keepSecret(server.address.key)
  const bucket = await supabase.connect(server.address).makeBucket('old-bucket')
  const folder = join(at.cwd, 'auth', 'tenant-7')
  for (const name of ['creds.json', 'session-anna.0.json', 'pre-key-1.json'])
    await bucket.put(`tenant-9/${name}`, readFileSync(join(folder, name)))
  const zip = join(at.cwd, 'shop-8.zip')
  await writeZip(zip, [
    { path: 'Default/IndexedDB/pages/1', source: join(at.cwd, '.wwebjs_auth/session-shop-7/Default/IndexedDB/pages/1') }
  ])
  await bucket.put('live/RemoteAuth-shop-8.zip', readFileSync(zip))
  return { SUPABASE_URL: server.endpoint ?? server.address.endpoint, SUPABASE_SERVICE_KEY: server.address.key }
}

/** The databases of another system, reached by variables and in the working folder, and their drivers. */
async function otherDatabases(t, at) {
  const here = process.cwd()
  const { folder, load } = application('better-sqlite3', 'ioredis')
  process.chdir(here)
  symlinkSync(join(folder, 'node_modules'), join(at.cwd, 'node_modules'), 'junction')
  const server = await startRedis()
  atEnd(t, () => server.stop())
  const session = await aSession(await lines[0].load())
  const [[, creds], ...keys] = recordsOf(await lines[0].load(), session)
  const redis = new (load('ioredis'))(server.url)
  await redis.mset('wa:anna:creds', creds, ...keys.flatMap(([name, text]) => [`wa:anna:${name}`, text]))
  await redis.hset('evolution:instance:one', keys.flat())
  await redis.quit()
  const Database = load('better-sqlite3')
  const write = (name, table, ...rows) => {
    const database = new Database(join(at.cwd, name))
    database.exec(`CREATE TABLE ${table}`)
    for (const row of rows) database.prepare(`INSERT INTO ${table.split(' ')[0]} VALUES (${row.map(() => '?').join(', ')})`).run(...row)
    database.close()
  }
  write(
    'sessions.sqlite',
    'auth (session TEXT, id TEXT, value TEXT)',
    ['ben', 'creds', creds],
    ...keys.map(([name, text]) => ['ben', name, text])
  )
  write('evolution.sqlite', 'Session (sessionId TEXT, creds TEXT)', ['one', JSON.stringify(creds)])
  return { OLD_DATABASE_URL: `sqlite:${join(at.cwd, 'evolution.sqlite')}`, OLD_REDIS_URL: server.url }
}

/** True for a line that names one of these. */
const ofDatabases = (line) => /OLD_|sessions\.sqlite/.test(line)

/** Preparation of an example, so that it finds what it names: a line -> the lines before it. */
function before(line) {
  if (line.includes('--cleanup')) return ["npx baileys-hybrid-auth migrate ./auth_sessions --tenant-id '{1}-{2}' --report migrated.json"]
  return line.includes('export whatsapp-web.js/') ? ['npx baileys-hybrid-auth migrate ./.wwebjs_auth --layout wwebjs-local'] : []
}

/** True if a person has to answer. */
const asks = (line) => /baileys-hybrid-auth delete/.test(line) && !line.includes('--yes')

async function runLine(t, at, line) {
  if (!asks(line)) return shell(t, `set -o pipefail; ${line.replace('npx baileys-hybrid-auth', '$CLI')}`, at)
  const [, ...args] = line.replace('npx ', '').split(' ')
  const asked = terminal(t, args, at)
  await asked.printed(/to continue:/)
  asked.type('tenant-42\r')
  return asked.ended
}

/** One that looks, one that changes sessions, and one that needs no store. */
const CHEAP = ['list', 'delete', 'keygen']

for (const command of chosen(commands, (command) => CHEAP.includes(command.name()))) {
  test(`what the help of ${command.name()} shows works`, async (t) => {
    const examples = examplesOf(command)
    assert.ok(examples.length > 0)
    for (const line of examples) {
      // Another place for each: they change things.
      const at = await place(t)
      if (line.includes('old-bucket')) Object.assign(at.env, await otherBucket(t, at))
      if (ofDatabases(line)) Object.assign(at.env, await otherDatabases(t, at))
      if (line.includes('keygen --out')) at.cwd = join(at.folder)
      for (const earlier of before(line)) assert.equal((await runLine(t, at, earlier)).code, 0, earlier)
      const { code, stdout, stderr } = await runLine(t, at, line)
      assert.equal(code, 0, `${line}\n${plain(stdout)}${stderr}`)
    }
  })

  test(`${command.name()} --json prints one document, and nothing else on stdout`, async (t) => {
    const at = await place(t)
    const line = examplesOf(command).find((line) => !asks(line) && !/[|>]|--json/.test(line))
    const { code, stdout, stderr } = await runLine(t, at, `${line} --json`)
    assert.equal(code, 0, stderr)
    assert.equal(JSON.parse(stdout).ok, true, `${line} ${stdout}`)
    assert.doesNotMatch(stdout, /\u001b/)
  })
}

test('the blocks of docs/cli.md work one after another', async (t) => {
  const at = await place(t)
  const blocks = linesOf(document)
  const other = await otherBucket(t, at)
  const lines = chosen(blocks, (line) => !ofDatabases(line))
  if (lines.some(ofDatabases)) Object.assign(at.env, await otherDatabases(t, at))
  for (const line of lines) {
    const { code, stdout, stderr } = await runLine(t, line.includes('old-bucket') ? { ...at, env: { ...at.env, ...other } } : at, line)
    assert.equal(code, 0, `${line}\n${plain(stdout)}${stderr}`)
    // What follows needs both keys, as a service does in the middle of a rotation.
    if (line.includes('rekey')) at.env = { ...at.env, SESSION_ENCRYPTION_KEY: `${OTHER_KEY},${KEY}` }
  }
  for (const command of commands)
    assert.ok(
      blocks.some((line) => line.startsWith(`npx baileys-hybrid-auth ${command.name()}`)),
      command.name()
    )
})

test('docs/cli.md names every command, every option for sessions, every exit code and every code of an error', () => {
  const names = commands.map((command) => command.name()).sort()
  assert.deepEqual(firstColumn(section(document, '## Commands')), names)
  const on = section(document, '## What it works on')
  for (const [flags] of SESSION_OPTIONS) assert.ok(on.includes(`\`${flags.match(/--[\w-]+/)[0]}\``), flags)
  const rows = [...section(document, '## Exit codes').matchAll(/^\| (\d+) \| [^|]+ \|([^|]*)\|$/gm)].map(([, code, codes]) => [
    Number(code),
    codes.match(/[A-Z_]{4,}/g) ?? []
  ])
  assert.deepEqual(
    rows.map(([code]) => code),
    Object.values(EXIT)
  )
  const documented = Object.fromEntries(rows)
  const own = { [EXIT.usage]: ['USAGE'], [EXIT.interrupted]: ['INTERRUPTED', 'DECLINED'] }
  for (const exit of Object.values(EXIT)) {
    const codes = Object.entries(CODES)
      .filter(([, [code]]) => code === exit)
      .map(([name]) => name)
    assert.deepEqual(documented[exit].sort(), [...codes, ...(own[exit] ?? [])].sort(), String(exit))
  }
})
