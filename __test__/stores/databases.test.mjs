// The databases that other tests run over: that they are what those tests take them for, and leave nothing behind.
//
// Invariant: what a test kills, cuts off or promotes is a real server, found or installed by its name.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import pg from 'pg'
import { test } from '../../testkit/base/missing.mjs'
import { startPair } from '../../testkit/databases/pairs.mjs'
import { startPgBouncer } from '../../testkit/databases/pgbouncer.mjs'
import { readProcessFile, startPostgres } from '../../testkit/databases/postgres.mjs'
import { isPostgresPublished, postgresPrograms, redisProgram } from '../../testkit/databases/programs.mjs'
import { startRedis } from '../../testkit/databases/redis.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { eventually } from '../../testkit/processes/machines.mjs'
import { chosen, further } from '../support/size.mjs'

/** Starts something that is stopped with the test. */
async function started(t, start, ...rest) {
  const server = await start(...rest)
  atEnd(t, () => server.stop())
  return server
}

/** A client of PostgreSQL as the application is one. */
async function client(t, { url, ca = null }) {
  const made = new pg.Client({ connectionString: url, ssl: ca ? { ca } : false })
  made.on('error', () => {})
  await made.connect()
  atEnd(t, () => made.end().catch(() => {}))
  return made
}

const isRunning = (pid) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function isFree(port) {
  const listener = createServer().listen(port, '127.0.0.1')
  await once(listener, 'listening')
  await new Promise((resolve) => listener.close(resolve))
}

/** Ids of the shared memory that is reserved, by any server of the machine. */
const sharedMemory = () =>
  spawnSync('ipcs', ['-m'], { encoding: 'utf8' })
    .stdout.split('\n')
    .map((line) => line.trim().split(/\s+/)[1])
/** The id of the shared memory of a server that runs. */
const segmentOf = (server) => readProcessFile(server).split('\n')[6].trim().split(/\s+/)[1]

const published = [undefined, '13', '17'].filter((version) => version === undefined || isPostgresPublished(version))

for (const version of chosen(published, (version) => version === undefined)) {
  test(`PostgreSQL_${version ?? 'of_the_system'}_knows_its_application_by_password_and_as_no_superuser`, async (t) => {
    const server = await started(t, startPostgres, { version })
    const [{ v }] = await server.query("select current_setting('server_version_num') as v")
    if (version !== undefined) assert.equal(Math.floor(Number(v) / 10_000), Number(version))
    const app = await client(t, server)
    assert.deepEqual((await app.query('select rolsuper, rolreplication from pg_roles where rolname = current_user')).rows, [
      { rolsuper: false, rolreplication: false }
    ])
    await app.query('create schema mine')
    assert.equal(await server.connections(), 1)
    await assert.rejects(client(t, { url: server.url.replace(/%40/, 'x') }), /password authentication failed/)
    await server.terminateConnections()
    await eventually('the connection is gone', async () => (await server.connections()) === 0)
  })
}

test('PostgreSQL_with_a_certificate_is_trusted_by_those_who_have_its_authority_only', async (t) => {
  const server = await started(t, startPostgres, { tls: true })
  const app = await client(t, server)
  assert.equal((await app.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')).rows[0].ssl, true)
  const stranger = new pg.Client({ connectionString: server.url, ssl: true })
  stranger.on('error', () => {})
  await assert.rejects(stranger.connect(), /certificate/)
})

test('PostgreSQL_that_is_killed_starts_again_with_what_it_had_acknowledged_and_leaves_nothing', async () => {
  const server = await startPostgres()
  const { pid, port, place } = server
  const segments = [segmentOf(server)]
  assert.ok(sharedMemory().includes(segments[0]), 'this is how it is found')
  await server.query('create table t (n int)')
  await server.query('insert into t values (1)')
  await server.kill()
  assert.ok(!isRunning(pid))
  await server.start()
  segments.push(segmentOf(server))
  assert.deepEqual(await server.query('select n from t'), [{ n: 1 }])
  server.freeze()
  const late = server.query('select 1 as one')
  assert.equal(await Promise.race([late, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))]), 'nothing')
  server.thaw()
  assert.deepEqual(await late, [{ one: 1 }])
  await server.kill()
  await server.stop()
  assert.deepEqual(
    sharedMemory().filter((id) => segments.includes(id)),
    [],
    'other servers have their own'
  )
  assert.equal(existsSync(place), false)
  await isFree(port)
})

test('a_database_does_not_outlive_a_process_that_is_killed', async () => {
  // The child would say to nobody that there are none.
  for (const find of [postgresPrograms, redisProgram]) find()
  const url = (path) => JSON.stringify(fileURLToPath(new URL(`../../testkit/databases/${path}`, import.meta.url)))
  const program = `
    const { startPostgres } = await import(${url('postgres.mjs')})
    const { startRedis } = await import(${url('redis.mjs')})
    const servers = [await startPostgres(), await startRedis()]
    process.send(servers.map(({ pid, place }) => ({ pid, place })))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [servers] = await once(child, 'message')
  child.kill('SIGKILL')
  for (const { pid, place } of servers) {
    await eventually('the server is gone', () => !isRunning(pid))
    await eventually('its data is gone', () => !existsSync(place))
  }
})

further('PgBouncer_gives_each_transaction_a_connection_and_keeps_few', async (t) => {
  const server = await started(t, startPostgres)
  const bouncer = await started(t, startPgBouncer, server, { poolSize: 2 })
  const clients = await Promise.all(Array.from({ length: 12 }, () => client(t, bouncer)))
  const backends = await Promise.all(clients.map(async (one) => (await one.query('select pg_backend_pid() as pid')).rows[0].pid))
  assert.ok(new Set(backends).size <= 2)
  assert.ok((await server.connections()) <= 2)
})

for (const program of chosen(['redis', 'valkey'], (program) => program === 'redis')) {
  test(`${program}_knows_its_application_by_password_and_keeps_what_it_acknowledged_when_it_is_killed`, async (t) => {
    const server = await started(t, startRedis, { program })
    const app = new Redis(server.url, { retryStrategy: null })
    app.on('error', () => {})
    atEnd(t, () => app.disconnect())
    await app.set('a', '1')
    assert.equal(await server.connections(), 1)
    await assert.rejects(app.call('FLUSHALL'), /NOPERM/)
    const stranger = new Redis(server.port, { retryStrategy: null, lazyConnect: true, enableReadyCheck: false })
    stranger.on('error', () => {})
    atEnd(t, () => stranger.disconnect())
    await stranger.connect()
    await assert.rejects(stranger.get('a'), /NOAUTH/)
    await server.kill()
    await server.start()
    assert.equal(await server.ask('GET', 'a'), '1')
    await server.end()
    await server.startEmpty()
    assert.equal(await server.ask('GET', 'a'), null)
  })
}

test('Redis_with_a_certificate_is_trusted_by_those_who_have_its_authority_only', async (t) => {
  const server = await started(t, startRedis, { tls: true })
  assert.equal(await server.ask('PING'), 'PONG')
  const stranger = new Redis(server.url, { retryStrategy: null, lazyConnect: true })
  stranger.on('error', () => {})
  await assert.rejects(stranger.connect())
})

further('a_failover_of_PostgreSQL_loses_the_tail_and_is_told_by_its_log_before_its_control_file', async (t) => {
  const pair = await started(t, startPair, 'postgres')
  await pair.current.query('create table t (n int)')
  await pair.current.query('insert into t values (1)')
  await pair.loseTail()
  await pair.current.query('insert into t values (2)')
  const through = () => client(t, { url: pair.current.url.replace(/:\d+\//, `:${pair.port}/`) })
  const before = await through()
  const incarnation = 'select left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline'
  assert.equal((await before.query(incarnation)).rows[0].timeline, '00000001')
  await pair.failover()
  await assert.rejects(before.query('select 1'))
  // The control file has the new timeline only after a checkpoint: whoever asks it meets the old one for a while.
  assert.equal((await (await through()).query(incarnation)).rows[0].timeline, '00000002')
  assert.deepEqual(await pair.current.query('select n from t'), [{ n: 1 }])
})

test('a_failover_of_Redis_loses_the_tail_and_is_told_by_its_replication_id', async (t) => {
  const pair = await started(t, startPair, 'redis')
  await pair.current.ask('SET', 'kept', '1')
  const before = await pair.current.info('master_replid')
  await pair.loseTail()
  await pair.current.ask('SET', 'lost', '1')
  await pair.failover()
  assert.notEqual(await pair.current.info('master_replid'), before)
  assert.deepEqual([await pair.current.ask('GET', 'kept'), await pair.current.ask('GET', 'lost')], ['1', null])
})
