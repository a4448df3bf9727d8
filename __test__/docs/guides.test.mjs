// The guides: every block in them is run, or read by what it is for.
//
// Invariant: a block of a language that no check here knows fails, so that nothing stands in a guide unlooked at. What needs an
// account is parsed; which rights are needed is tried in `__test__/network/guides.test.mjs`.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import { load as parseYaml } from 'js-yaml'
import typescript from 'typescript-5'
import { KEY, ROOT, scene, startProcess, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { read, root } from './repository.mjs'

const { transpileModule } = typescript

const NAMES = readdirSync(join(root, 'docs/guides')).filter((name) => name.endsWith('.md'))
const blocksOf = (name) =>
  [...read(`docs/guides/${name}`).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({ name, language, text }))
const blocks = NAMES.flatMap(blocksOf)
const blockOf = (name, language, marker) => {
  const found = blocksOf(`${name}.md`).filter((block) => block.language === language && block.text.includes(marker))
  assert.equal(found.length, 1, `${name}: one block of ${language} with "${marker}"`)
  return found[0].text
}

/** Each line is a table, or a setting with a number or a text: all of TOML that is needed here. */
function checkToml(text) {
  for (const line of text.trim().split('\n')) assert.match(line, /^(\[\w+\]|\w+ = (\d+|"[^"\\]*")|)$/, line)
}

/** The instructions are known, and what is started gets the signals. */
function checkDockerfile(text) {
  const lines = text.trim().split('\n')
  for (const line of lines) assert.match(line, /^(FROM|WORKDIR|COPY|RUN|ENV|VOLUME|USER|CMD) \S/, line)
  assert.deepEqual(JSON.parse(lines.at(-1).replace('CMD ', '')), ['node', 'main.js'])
}

const parses = (program, args, input) => {
  const { status, stderr } = spawnSync(program, args, { input, encoding: 'utf8' })
  assert.equal(status, 0, `${stderr}\n${input}`)
}

const CHECKS = {
  sh: (text) => parses('bash', ['-n'], text),
  js: (text) => parses(process.execPath, ['--input-type=module', '--check', '-'], text),
  json: (text) => JSON.parse(text),
  yaml: (text) => assert.equal(typeof parseYaml(text), 'object'),
  toml: checkToml,
  dockerfile: checkDockerfile,
  // Compiled with its packages in `__test__/profile/types.test.mjs`.
  ts: (text) =>
    assert.deepEqual(transpileModule(text, { reportDiagnostics: true, compilerOptions: { experimentalDecorators: true } }).diagnostics, []),
  sql: (text) => assert.match(text.trim(), /;$/)
}

test('every block of every guide is of a language that is checked, and passes', () => {
  assert.deepEqual(NAMES.sort(), [
    'connection.md',
    'gcs.md',
    'platforms.md',
    'postgres.md',
    'r2.md',
    'redis.md',
    's3.md',
    'security.md',
    'supabase.md',
    'whatsapp-web.md'
  ])
  assert.ok(blocks.length >= 20, `${blocks.length} blocks`)
  for (const { name, language, text } of blocks) {
    assert.ok(Object.hasOwn(CHECKS, language), `${name}: ${language}`)
    CHECKS[language](text)
  }
  for (const name of NAMES)
    assert.equal(
      (read(`docs/guides/${name}`).match(/^```/gm) ?? []).length,
      2 * blocksOf(name).length,
      `${name}: no block without a language`
    )
})

/** Answer of `describeConfig` in a shell in which these lines were run; gcloud writes a key where it is asked for one. */
function configAfter(t, lines, env = {}) {
  const folder = temporaryFolder(t)
  const account = { type: 'service_account', client_email: 'a@b', private_key: 'pem', private_key_id: '1' }
  writeFileSync(join(folder, 'a-key.json'), JSON.stringify(account))
  const script = [
    'set -eu',
    'gcloud() { case "$*" in *"keys create key.json"*) cp a-key.json key.json ;; *) exit 64 ;; esac; }',
    lines,
    'export SESSION_ENCRYPTION_KEY',
    `exec "$NODE" -e 'process.stdout.write(JSON.stringify(require(process.argv[1]).describeConfig()))' "$INDEX"`
  ].join('\n')
  const inherited = { PATH: process.env.PATH, HOME: folder, NODE: process.execPath, INDEX: join(ROOT, 'index.js') }
  return JSON.parse(execFileSync('bash', ['-c', script], { cwd: folder, env: { ...inherited, ...env }, encoding: 'utf8' }))
}

test('the variables of each guide make a whole store, and nothing is wrong with them', (t) => {
  const places = [
    ['supabase', 'SUPABASE_SERVICE_KEY', 'supabase://whatsapp-sessions', {}],
    ['s3', 'AWS_ACCESS_KEY_ID', 's3://my-sessions/production', {}],
    ['r2', 'R2_ACCOUNT_ID', 's3://whatsapp-sessions', {}],
    ['gcs', 'instanceMetadata=true', 'gs://my-sessions/production', {}],
    ['gcs', 'keys create', 'gs://my-sessions/production', { SESSION_ENCRYPTION_KEY: KEY }],
    ['postgres', 'STORE=postgres', 'postgres://db.example.com/app', {}],
    ['postgres', 'SUPABASE_DB_URL=', 'postgres://aws-0-eu-central-1.pooler.supabase.com/postgres', {}],
    ['redis', 'REDIS_URL=', 'rediss://cache.example.com/0', {}]
  ]
  for (const [name, marker, store, env] of places) {
    // What stands for a secret is three dots, which no key can be.
    const lines = blockOf(name, 'sh', marker)
      .replaceAll('sb_secret_…', 'sb_secret_x')
      .replaceAll("'…'", "'abc'")
      .replace('YOUR-PROJECT', 'ref')
    const { settings, problems, warnings } = configAfter(t, lines, env)
    assert.deepEqual(
      [settings.store.value, settings.mode.value, problems, warnings],
      [store, 'hybrid', [], []],
      `${name}: ${JSON.stringify(settings)}`
    )
    assert.equal(settings.encryptionKeys.value.length, 1)
  }
})

test('the line that rotates a key puts a new one before the old one', (t) => {
  const before = configAfter(t, '', { SESSION_ENCRYPTION_KEY: KEY, SESSION_BACKUP_STORE: 'memory://x' }).settings.encryptionKeys.value
  const { settings, problems } = configAfter(t, blockOf('security', 'sh', '$SESSION_ENCRYPTION_KEY"'), {
    SESSION_ENCRYPTION_KEY: KEY,
    SESSION_BACKUP_STORE: 'memory://x'
  })
  assert.deepEqual([problems, settings.encryptionKeys.value.length, settings.encryptionKeys.value[1]], [[], 2, before[0]])
})

test('the lines that wait for a signal store and release everything, and end the process', async (t) => {
  const block = blockOf('platforms', 'js', 'fleet.shutdown')
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const at = scene(t)
    const linked = await at.openReplicated('tenant-42')
    await linked.saveCreds()
    await linked.close()
    const file = join(at.root, 'main.mjs')
    const script = block.replace("'baileys-hybrid-auth'", JSON.stringify(pathToFileURL(join(ROOT, 'index.js')).href))
    writeFileSync(file, `${script}\nawait fleet.get('tenant-42').saveCreds()\nsetInterval(() => {}, 1000)\nglobalThis.isReady()\n`)
    const env = { WHATSAPP_SESSION_PATH: at.directory, SESSION_BACKUP_STORE: at.replicated.store, SESSION_ENCRYPTION_KEY: KEY }
    const child = startProcess(t, runGuide, { file: pathToFileURL(file).href }, { env })
    assert.equal(await child.said(), 'ready')
    child.child.kill(signal)
    assert.deepEqual(await child.ended.then(({ code, stderr }) => [code, stderr]), [0, ''])
    const heir = await at.open('tenant-42', { ...at.elsewhere(), onMissing: 'error' })
    assert.deepEqual(heir.status().restored, { source: 'remote', clean: true })
    await heir.close()
  }
})

async function runGuide({ args, say }) {
  globalThis.isReady = () => say('ready')
  await import(args.file)
}

test('the times in the table leave two seconds, and the files give the time that it says', () => {
  const rows = [...read('docs/guides/platforms.md').matchAll(/^\| (\w[\w ]*) \| (SIG\w+)[^|]*\| ([^|]*) \| ([^|]*) \| (\d+)([^|]*) \|/gm)]
  const table = Object.fromEntries(
    rows.map(([, name, signal, time, , timeout, how]) => [
      name,
      { signal, seconds: Number(time.match(/[\d.]+/)[0]), timeout: Number(timeout), hasFile: how.includes('file below') }
    ])
  )
  assert.deepEqual(Object.keys(table), ['Railway', 'Render', 'Heroku', 'Cloud Run', 'Fly', 'Docker', 'Kubernetes', 'PM2', 'systemd'])
  const fly = Number(blockOf('platforms', 'toml', 'kill_timeout').match(/kill_timeout = (\d+)/)[1])
  const folder = { exports: {} }
  new Function('module', blockOf('platforms', 'js', 'ecosystem'))(folder)
  const [{ kill_timeout: pm2, exec_mode: mode }] = folder.exports.apps
  const given = { Fly: fly, PM2: pm2 / 1000 }
  for (const [name, { seconds, timeout, hasFile }] of Object.entries(table)) {
    assert.equal(hasFile, name in given, name)
    assert.ok(timeout <= (given[name] ?? seconds) * 1000 - 2000, `${name}: ${timeout} ms of ${given[name] ?? seconds} s`)
  }
  assert.equal(mode, 'fork')
  assert.match(blockOf('platforms', 'toml', 'kill_signal'), /kill_signal = "SIGTERM"/)
  const [deployment, compose] = [
    parseYaml(blockOf('platforms', 'yaml', 'kind: Deployment')),
    parseYaml(blockOf('platforms', 'yaml', 'stop_grace_period'))
  ]
  assert.equal(deployment.spec.template.spec.terminationGracePeriodSeconds, table.Kubernetes.seconds)
  assert.deepEqual([deployment.spec.replicas, deployment.spec.strategy.type], [1, 'Recreate'])
  assert.deepEqual(deployment.spec.selector.matchLabels, deployment.spec.template.metadata.labels)
  assert.equal(compose.services.whatsapp.stop_grace_period, '30s')
})

test('the policies in SQL let a public key at the objects of sessions, and at nothing else', async (t) => {
  const database = await PGlite.create()
  t.after(() => database.close())
  // As much of Supabase's schema as policies on objects can see.
  await database.exec(`
    create role anon; create role authenticated; create schema storage;
    create table storage.buckets (id text primary key, name text, public boolean, file_size_limit bigint, allowed_mime_types text[]);
    create table storage.objects (id serial primary key, bucket_id text, name text, version text);
    alter table storage.objects enable row level security;
    grant usage on schema storage to anon, authenticated;
    grant all on storage.objects to anon, authenticated;
    grant usage on sequence storage.objects_id_seq to anon, authenticated;
  `)
  for (const { text } of blocksOf('supabase.md').filter(({ language }) => language === 'sql')) await database.exec(text)
  const {
    rows: [bucket]
  } = await database.query('select * from storage.buckets')
  assert.deepEqual(
    [bucket.id, bucket.public, Number(bucket.file_size_limit), bucket.allowed_mime_types],
    ['whatsapp-sessions', false, 50 * 1024 * 1024, null]
  )
  await database.exec(
    `insert into storage.objects (bucket_id, name, version) values ('avatars', 'v1/face.png', 'a'), ('whatsapp-sessions', 'other/file', 'a')`
  )

  const as = async (role, sql, values) => {
    await database.exec(`set role ${role}`)
    try {
      return await database.query(sql, values)
    } finally {
      await database.exec('reset role')
    }
  }
  const insert = 'insert into storage.objects (bucket_id, name, version) values ($1, $2, $3)'
  await as('anon', insert, ['whatsapp-sessions', 'v1/claims/tenant.0', 'a'])
  for (const [place, name] of [
    ['avatars', 'v1/x'],
    ['whatsapp-sessions', 'x'],
    ['whatsapp-sessions', 'v2/x']
  ]) {
    await assert.rejects(as('anon', insert, [place, name, 'a']), /row-level security/, `${place}/${name}`)
  }
  await assert.rejects(as('authenticated', insert, ['whatsapp-sessions', 'v1/x', 'a']), /row-level security/)
  assert.deepEqual((await as('anon', 'select name from storage.objects')).rows, [{ name: 'v1/claims/tenant.0' }])
  assert.equal((await as('anon', `update storage.objects set version = 'b'`)).affectedRows, 1)
  await assert.rejects(as('anon', `update storage.objects set name = 'elsewhere'`), /row-level security/)
  assert.equal((await as('anon', 'delete from storage.objects')).affectedRows, 1)
  assert.equal((await database.query('select 1 from storage.objects')).rows.length, 2, 'what is not of sessions is still there')
})
