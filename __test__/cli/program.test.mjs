// Rules of every command: help, versions, mistakes, exit codes, where secrets and settings come from, and readers that go
// away.

import assert from 'node:assert/strict'
import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import util from 'node:util'
import {
  KEY,
  OTHER_KEY,
  ROOT,
  SITES,
  SECRET_WORD,
  directorySite,
  keepSecret,
  privateFile,
  run,
  runJson,
  shell,
  temporaryFolder
} from './command.mjs'
import { startProcess } from '../../testkit/processes/sessions.mjs'
import { spread } from '../support/size.mjs'

const require = createRequire(import.meta.url)
const { build } = require('../../cli/program.js')
const { EXIT, CODES } = require('../../cli/exit.js')
const { codes } = require('../../lib/errors.js')
const { SECRET_VARIABLES, URLS } = require('../../cli/mask.js')
const { SESSION_OPTIONS, loadVariables, parseVariables } = require('../../cli/settings.js')

const commands = build(() => {}).commands.filter((command) => command.name() !== 'help')
/** Words that a command must be given, for runs in which it is never reached what they mean. */
const wordsFor = (command) => command.registeredArguments.filter(({ required }) => required).map((_, i) => `word${i}`)

test('every command has help with examples of its own, and takes the options for output', async (t) => {
  for (const command of spread(commands, 6)) {
    const { code, stdout, stderr } = await run(t, [command.name(), '--help'])
    assert.deepEqual([code, stderr], [0, ''], command.name())
    assert.match(stdout, new RegExp(`^Usage: baileys-hybrid-auth ${command.name()} `))
    assert.match(stdout, new RegExp(`Examples:\n  # .+\n  \\$ npx baileys-hybrid-auth ${command.name()}`))
    for (const option of ['--json', '--quiet', '--no-color', '--debug']) assert.ok(stdout.includes(option), `${command.name()} ${option}`)
  }
})

test('no option takes a secret, because arguments can be read by others', () => {
  const valued = commands.flatMap((command) =>
    command.options.filter((option) => option.required || option.optional).map(({ long }) => long)
  )
  assert.deepEqual(
    [...new Set(valued)].filter((name) => /(?<!pre-)key|secret|token|password|credential/.test(name) && !name.endsWith('-file')),
    []
  )
})

test('the program tells its version and its commands, and without a command it is a mistake', async (t) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  for (const flag of ['--version', '-V', '-v'])
    assert.deepEqual(await run(t, [flag]).then(({ code, stdout }) => [code, stdout]), [0, `${version}\n`])
  const help = await run(t, ['--help'])
  for (const command of commands) assert.match(help.stdout, new RegExp(`^  ${command.name()} `, 'm'))
  const none = await run(t, [])
  assert.deepEqual([none.code, none.stdout, none.stderr], [2, '', help.stdout])
})

test('a mistake is one line on stderr and a document with --json, and never shows what may be a secret', async (t) => {
  const mistakes = [
    [['vrify'], /unknown command 'vrify'. Did you mean verify\?/],
    [['verify', '--jason'], /unknown option '--jason'. Did you mean --json\?/],
    [['verify', `--encryption-key=${KEY}`], /unknown option '--encryption-key'/],
    [['verify', '--encryption-key', KEY], /unknown option '--encryption-key'/],
    [[KEY], /unknown command/],
    [['delete'], /missing required argument 'tenants'/],
    [['list', KEY], /too many arguments/],
    [['verify', '--encryption', KEY], /argument '\*\*\*' is invalid/],
    [['verify', '--store'], /argument missing/]
  ]
  for (const [args, said] of mistakes) {
    const { code, stdout, stderr } = await run(t, args)
    assert.deepEqual([code, stdout, stderr.trimEnd().split('\n').length], [2, '', 1], args[0])
    assert.match(stderr, said)
    assert.match(stderr, /^error USAGE: .* See `baileys-hybrid-auth.*--help`\.\n$/)
    const { json } = await runJson(t, args)
    assert.deepEqual([json.ok, json.error.code], [false, 'USAGE'])
  }
})

test('every error code of the package has an exit code of the closed list', () => {
  assert.deepEqual(Object.keys(CODES).sort(), [...codes].sort())
  assert.deepEqual(EXIT, { done: 0, wrong: 1, usage: 2, unreachable: 3, refused: 4, interrupted: 130 })
  for (const [exit] of Object.values(CODES)) assert.ok([1, 2, 3, 4].includes(exit))
})

/** Each command that asks the store, called so that it would. */
const asking = commands.filter((command) => command.options.some(({ long }) => long === '--store')).map((command) => command.name())
const COMPLETE = {
  delete: ['delete', 'anna', '--yes'],
  restore: ['restore', 'anna'],
  rekey: ['rekey', 'anna'],
  prune: ['prune', '--older-than', '30d'],
  'prune-keys': ['prune-keys', 'anna']
}
const calling = (name) => COMPLETE[name] ?? [name, ...wordsFor(commands.find((command) => command.name() === name))]
/** Commands that tell of the configuration, or may make sessions on this machine alone. */
const needsNoStore = ['config', 'import', 'migrate']

test('without a store, and with half of one, every command says what to set', async (t) => {
  const cwd = temporaryFolder(t)
  const names = asking.filter((name) => !needsNoStore.includes(name))
  for (const name of spread(names, 2)) {
    const none = await runJson(t, calling(name), { cwd })
    assert.deepEqual([none.code, none.json.error.code], [2, 'USAGE'], name)
    assert.match(none.stderr, /no store is configured\. Use --store <url>, or set SESSION_BACKUP_STORE;/, name)
    const half = await runJson(t, calling(name), { cwd, env: { SUPABASE_URL: 'https://x.example' } })
    assert.deepEqual([half.code, half.json.error.code], [2, 'INVALID_OPTION'], name)
    assert.match(half.stderr, /SUPABASE_SERVICE_KEY/, name)
    const noKey = await runJson(t, calling(name), { cwd, env: { SESSION_BACKUP_STORE: 'file:///nonexistent/x' } })
    assert.deepEqual([noKey.code, noKey.json.error.code], [2, 'INVALID_OPTION'], name)
  }
})

test('a store that cannot be reached is 3, and a key of a project that is wrong is 4', async (t) => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  const { port } = server.address()
  keepSecret('sb_secret_wrong-one-of-some-length')
  const dead = {
    SUPABASE_URL: `http://127.0.0.1:${port}`,
    SUPABASE_SERVICE_KEY: 'sb_secret_wrong-one-of-some-length',
    SESSION_ENCRYPTION_KEY: KEY
  }
  const unreachable = await runJson(t, ['list'], { env: dead })
  assert.deepEqual([unreachable.code, unreachable.json.error.code], [3, 'REMOTE_UNAVAILABLE'])
  const at = await SITES.Supabase(t)
  const refused = await runJson(t, ['list'], { env: { ...at.env, SUPABASE_SERVICE_KEY: 'sb_secret_wrong-one-of-some-length' } })
  assert.deepEqual([refused.code, refused.json.error.code], [4, 'REMOTE_REFUSED'])
  for (const { stderr } of [unreachable, refused]) assert.equal(stderr.trimEnd().split('\n').length, 1)
})

test('options stand over variables, variables over --env-file, and keys come from --key-file', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const file = privateFile(at.folder, 'env', `# where\nexport SESSION_BACKUP_STORE="${at.url}"\nSESSION_ENCRYPTION_KEY=${KEY}\n`)
  assert.deepEqual((await runJson(t, ['verify', '--env-file', file])).json.total, 1)
  const wrong = await run(t, ['verify', '--env-file', file], { env: { SESSION_ENCRYPTION_KEY: OTHER_KEY } })
  assert.equal(wrong.code, 4, wrong.stderr)
  const other = await runJson(t, ['list', '--env-file', file, '--store', 'file:///nonexistent/bucket'])
  assert.notDeepEqual(other.json.tenants, ['anna'])
  const keys = privateFile(at.folder, 'keys', `# the new one first\n${OTHER_KEY}\n${KEY}\n`)
  const rung = await run(t, ['verify', '--store', at.url, '--key-file', keys])
  assert.deepEqual([rung.code, rung.stderr], [0, ''])
  chmodSync(keys, 0o644)
  assert.match((await run(t, ['verify', '--store', at.url, '--key-file', keys])).stderr, /warning: .*chmod 600/)
  // By its short name: some versions of Node look for --env-file themselves, wherever it stands.
  for (const [option, name] of [
    ['-e', '--env-file'],
    ['--key-file', '--key-file']
  ]) {
    const { code, stderr } = await run(t, ['verify', option, join(at.folder, 'none')])
    assert.equal(code, 2, stderr)
    assert.match(stderr, new RegExp(`the file of ${name} cannot be read \\(ENOENT\\)`))
  }
  writeFileSync(keys, `${KEY}x\n`)
  const { code, stderr } = await run(t, ['verify', '--store', at.url, '--key-file', keys])
  assert.deepEqual([code, /64 hex digits/.test(stderr)], [2, true])
})

test('every option for sessions reaches the package', async (t) => {
  const at = directorySite(t)
  const said = {
    '--store': [at.url, 'store'],
    '--directory': ['/srv/sessions', 'directory'],
    '--encryption': ['off', 'encryption'],
    '--accept-unencrypted': [null, 'acceptUnencrypted'],
    '--hide-tenant-ids': [null, 'hideTenantIds'],
    '--allow-public-bucket': [null, 'allowPublicBucket'],
    '--ca-certificate': ['/nonexistent/ca.pem', 'caCertificate'],
    '--env-file': [privateFile(at.folder, 'env', `SESSION_BACKUP_STORE=${at.url}\n`), 'store'],
    '--key-file': [privateFile(at.folder, 'keys', KEY), 'encryptionKeys']
  }
  assert.deepEqual(Object.keys(said).sort(), SESSION_OPTIONS.map(([flags]) => flags.match(/--[\w-]+/)[0]).sort())
  for (const [flag, [value, option]] of Object.entries(said)) {
    const { json } = await runJson(t, ['config', flag, ...(value === null ? [] : [value])])
    assert.equal(json.settings[option].source, flag === '--env-file' ? 'variable' : 'option', flag)
  }
})

test('stores without encryption, and those that hide tenant ids, are worked on as they are', async (t) => {
  const at = directorySite(t)
  await (await at.open('anna', { encryptionKeys: undefined, encryption: 'off' })).close()
  assert.equal((await runJson(t, ['verify', '--store', at.url, '--encryption', 'off'])).json.total, 1)
  const hidden = directorySite(t)
  await (await hidden.open('anna', { hideTenantIds: true })).close()
  const { code, json } = await runJson(t, ['list'], hidden)
  assert.deepEqual([code, json.error.code], [2, 'INVALID_OPTION'])
  assert.match((await run(t, ['status', '--hide-tenant-ids'], hidden)).stdout, /^\(hidden\) .* +free/m)
  assert.equal((await run(t, ['verify', 'anna', '--hide-tenant-ids'], hidden)).code, 0)
})

test('a file of variables is read alike by every Node', () => {
  const text = `A=1\n B = two words # comment\nexport C="x # y"\nD='a"b'\n# E=1\nF=\nG="two\\nlines"\nH=\`tick\`\r\nI="over\nlines"\nJ=a=b\n`
  assert.deepEqual(parseVariables(text), { ...util.parseEnv(text) })
  assert.equal(parseVariables(text).I, 'over\nlines')
})

test('a reader that goes away is no failure', async (t) => {
  const at = directorySite(t)
  for (let n = 0; n < 3; n++) await at.tenant(`tenant-${n}`)
  for (const line of ['$CLI list | head -n 1', '$CLI verify --json | head -c 1', '$CLI --help | head -n 1', '$CLI verify | true']) {
    const { code, stderr } = await shell(t, `set -o pipefail; ${line}`, at)
    assert.deepEqual([code, stderr], [0, ''], line)
  }
})

test('errors of the innards are one line, with a stack only for --debug, and without secrets even then', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const args = ['restore', 'anna', '--directory', '/proc/nowhere']
  const short = await run(t, args, at)
  assert.doesNotMatch(short.stdout + short.stderr, /^\s+at /m)
  const env = { ...at.env, SESSION_ENCRYPTION_KEY: `${KEY}0` }
  keepSecret(`${KEY}0`)
  const long = await run(t, ['list', '--debug'], { env })
  assert.equal(long.code, 2)
  assert.match(long.stderr, /^\s+at /m)
})

test('a secret that stands where none belongs is not repeated', async (t) => {
  const at = directorySite(t)
  const pasted = await run(t, ['verify', KEY, KEY.toUpperCase()], at)
  assert.equal(pasted.code, 1)
  assert.match(pasted.stdout, /^\*\*\* +NOT_FOUND/m)
  assert.match((await runJson(t, ['status', KEY], at)).stdout, /"tenantId": "\*\*\*"/)
  for (const url of [
    `s3://user:${SECRET_WORD}@bucket`,
    `https://${SECRET_WORD}:${SECRET_WORD}@host.example/x`,
    `s3://bucket?secretKey=${SECRET_WORD}`
  ]) {
    const { code, stderr } = await run(t, ['list', '--store', url, '--debug'], at)
    assert.equal(code, 2, stderr)
  }
})

/** Variables that are named like secrets and hold none: ids, and paths of files. */
const NO_SECRETS = [
  'AWS_ACCESS_KEY_ID',
  'R2_ACCESS_KEY_ID',
  'S3_ACCESS_KEY_ID',
  'S3_ACCESS_KEY',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'
].concat([
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_SHARED_CREDENTIALS_FILE',
  'GOOGLE_APPLICATION_CREDENTIALS'
])

test('every variable of the package that holds a secret is known to be one', () => {
  const sources = readdirSync(join(ROOT, 'lib'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(join(ROOT, 'lib', name), 'utf8'))
  const names = new Set(
    sources.flatMap((text) =>
      [...text.matchAll(/'([A-Z][A-Z0-9]*_[A-Z0-9_]*(?:KEY|SECRET|TOKEN|CREDENTIALS|PASSWORD)[A-Z_]*|[A-Z]+PASSWORD)'/g)].map(
        ([, name]) => name
      )
    )
  )
  for (const code of codes) names.delete(code)
  assert.ok(names.size > 8, [...names].join())
  assert.deepEqual(
    [...names].filter((name) => !SECRET_VARIABLES.includes(name) && !NO_SECRETS.includes(name)),
    []
  )
})

test('a password in the URL of a database is masked, as it stands there and decoded, and an ordinary word is not', async (t) => {
  const ofDatabases = ['postgres.js', 'redis.js'].map((name) => readFileSync(join(ROOT, 'lib', 'config', name), 'utf8')).join('\n')
  assert.deepEqual([...new Set(ofDatabases.match(/\b[A-Z]+(?:_[A-Z]+)?_URL\b/g))].sort(), [...URLS].sort())
  const at = directorySite(t)
  const password = 'hush@8d21f0/ü'
  for (const form of [password, encodeURIComponent(password)]) keepSecret(form)
  for (const name of URLS) {
    const env = {
      ...at.env,
      [name]: `${name.includes('REDIS') || name.includes('VALKEY') ? 'rediss' : 'postgres'}://me:${encodeURIComponent(password)}@h/1`
    }
    const { stdout } = await run(t, ['status', password, encodeURIComponent(password)], { env })
    assert.equal(stdout.match(/^\*\*\* /gm)?.length, 2, `${name}: ${stdout}`)
  }
  const env = { ...at.env, PGPASSWORD: 'postgres', DATABASE_URL: 'postgres://postgres:postgres@localhost/app' }
  const { json } = await runJson(t, ['config', '--store', 'postgres://localhost/app'], { env })
  assert.deepEqual([json.settings.store.value, json.settings['store.password'].value], ['postgres://localhost/app', 'hidden'])
})

test('what a tenant is called cannot move the cursor of who looks at it', async (t) => {
  const at = directorySite(t)
  const name = 'anna\u001b[2J\u202e'
  await at.tenant(name)
  const { stdout } = await run(t, ['verify'], at)
  assert.match(stdout, /anna\\u001b\[2J\\u202e +sound/)
  assert.doesNotMatch(stdout, /\u001b|\u202e/)
  assert.deepEqual((await runJson(t, ['list'], at)).json.tenants, [name])
})

test('the package itself loads nothing of the command line', async (t) => {
  const child = startProcess(t, async ({ load, hybrid, say }) => {
    new hybrid.HybridAuth({})
    await say(Object.keys(load.cache))
  })
  const loaded = (await child.said()).map((file) => relative(ROOT, file))
  assert.ok(loaded.includes(join('lib', 'fleet', 'fleet.js')))
  assert.deepEqual(
    loaded.filter((file) => !/^(index\.js$|lib[\\/])/.test(file)),
    []
  )
})

test('a file of variables adds to the environment, and never stands above it', (t) => {
  const folder = temporaryFolder(t)
  const cases = [
    // What the environment says, the file, and what then counts of the file.
    [{}, 'SESSION_BACKUP_STORE=file:///two\n', { SESSION_BACKUP_STORE: 'file:///two' }],
    [{ SESSION_BACKUP_STORE: 'file:///one' }, 'SESSION_BACKUP_STORE=file:///two\n', {}],
    [{ SESSION_BACKUP_STORE: 'file:///one' }, 'BAILEYS_HYBRID_AUTH_STORE=file:///two\n', {}],
    [{ BAILEYS_HYBRID_AUTH_STORE: 'file:///one' }, 'SESSION_BACKUP_STORE=file:///two\n', {}],
    [
      { SESSION_STORAGE_PATH: '/one' },
      'WHATSAPP_SESSION_PATH=/two\nSESSION_BACKUP_STORE=file:///two\n',
      { SESSION_BACKUP_STORE: 'file:///two' }
    ],
    [{ BAILEYS_HYBRID_AUTH_STORE: '' }, 'BAILEYS_HYBRID_AUTH_STORE=file:///two\n', { BAILEYS_HYBRID_AUTH_STORE: 'file:///two' }],
    [{ BAILEYS_HYBRID_AUTH_STORE: '' }, 'SESSION_BACKUP_STORE=file:///two\n', { SESSION_BACKUP_STORE: 'file:///two' }],
    [{}, '\ufeffSESSION_BACKUP_STORE=file:///two\r\nOTHER=1\r\n', { SESSION_BACKUP_STORE: 'file:///two', OTHER: '1' }],
    [{ OTHER: '0' }, 'OTHER=1\n', {}]
  ]
  for (const [i, [before, text, added]] of cases.entries()) {
    const env = { ...before }
    loadVariables(privateFile(folder, `env-${i}`, text), env)
    assert.deepEqual(env, { ...before, ...added }, JSON.stringify([before, text]))
  }
})

test('a file of variables never chooses another store than the environment does', async (t) => {
  const at = directorySite(t)
  await at.tenant('anna')
  const supabase = { SUPABASE_URL: 'https://ref.supabase.co', SUPABASE_SERVICE_KEY: 'sb_secret_x' }
  const file = (name, text) => privateFile(at.folder, name, text)
  const of = (text, env) => runJson(t, ['config', '-e', file('env', text)], { env: { SESSION_ENCRYPTION_KEY: KEY, ...env } })
  for (const chosen of [`SESSION_BACKUP_STORE=${at.url}`, `BAILEYS_HYBRID_AUTH_STORE=${at.url}`, 'SESSION_BACKUP_ENABLED=false']) {
    const { code, json } = await of(`${chosen}\n`, supabase)
    assert.deepEqual([code, json.error?.code], [2, 'USAGE'], chosen)
    for (const word of ['SUPABASE_URL', chosen.split('=')[0], '--env-file'])
      assert.ok(json.error.message.includes(word), json.error.message)
  }
  // The same store, no store yet, and one that the command line names.
  assert.equal((await of('SESSION_BACKUP_STORE=supabase\n', supabase)).code, 0)
  assert.equal(
    (await of(`SESSION_BACKUP_STORE=${at.url}\n`, { SUPABASE_URL: supabase.SUPABASE_URL })).json.settings.store.source,
    'variable'
  )
  assert.equal(
    (
      await runJson(t, ['config', '--store', at.url, '-e', file('env', 'SESSION_BACKUP_STORE=memory://x\n')], {
        env: { SESSION_ENCRYPTION_KEY: KEY, ...supabase }
      })
    ).code,
    0
  )
  // Two sets, one in each place, are two stores.
  const r2 = 'R2_ACCOUNT_ID=abc\nR2_ACCESS_KEY_ID=i\nR2_SECRET_ACCESS_KEY=s\nR2_BUCKET_NAME=b\n'
  assert.match((await of(r2, supabase)).json.problems[0], /two stores, supabase .* r2 /)
})

test('a command that needs a store says which setting keeps it without one', async (t) => {
  const at = directorySite(t)
  for (const [args, env, words] of [
    [[], { SESSION_BACKUP_STORE: at.url, SESSION_BACKUP_ENABLED: 'false' }, 'SESSION_BACKUP_ENABLED forbids a store'],
    [['--store', at.url], { SESSION_STORAGE_TYPE: 'local' }, 'SESSION_STORAGE_TYPE is local'],
    [[], {}, 'no store is configured']
  ]) {
    const { code, json } = await runJson(t, ['list', ...args], { env: { SESSION_ENCRYPTION_KEY: KEY, ...env } })
    assert.deepEqual([code, json.error.code], [2, 'USAGE'])
    assert.ok(json.error.message.startsWith(words), json.error.message)
  }
})
