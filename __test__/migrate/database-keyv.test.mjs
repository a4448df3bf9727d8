// Sessions of @rodrigogs/baileys-store, which wraps each value with Keyv: in Redis, MySQL and PostgreSQL, by the adapters of Keyv.
//
// Invariant guarded: what the package was given arrives to the byte, whichever server holds it and however Keyv names it there.

import assert from 'node:assert/strict'
import { after, before, test } from '../../testkit/base/missing.mjs'
import { lines } from '../../testkit/baileys/lines.mjs'
import { asRoot, makeReader, startMariadb } from '../../testkit/old-stores/mariadb.mjs'
import { application } from '../../testkit/old-stores/packages.mjs'
import { startRedis } from '../../testkit/old-stores/redis.mjs'
import { assertArrived, countsOf, fill } from '../../testkit/old-stores/sessions.mjs'
import { startPostgres } from '../../testkit/databases/postgres.mjs'
import { hybrid, scene } from '../../testkit/processes/sessions.mjs'
import { chosen } from '../support/size.mjs'

let app
let baileys
const servers = {}

const START = { redis: startRedis, postgres: startPostgres, mysql: startMariadb }
const KINDS = chosen(Object.keys(START), (kind) => kind === 'redis')

before(async () => {
  baileys = await lines[0].load()
  app = application('@rodrigogs/baileys-store', 'keyv', '@keyv/redis', '@keyv/mysql', '@keyv/postgres', 'ioredis', 'mysql2', 'pg')
  for (const kind of KINDS) servers[kind] = await START[kind]()
  if (servers.mysql) await asRoot(app.load, servers.mysql, ...makeReader('base'))
})
after(async () => {
  for (const server of Object.values(servers)) await server.stop()
})

/** Address at which Keyv stores, and the one that the migration reads. */
const PLACES = {
  redis: () => ({ adapter: new (app.load('@keyv/redis').default)(servers.redis.url), from: servers.redis.url }),
  mysql: () => ({
    adapter: new (app.load('@keyv/mysql').default)(`mysql://root@127.0.0.1:${servers.mysql.root.port}/base`),
    from: servers.mysql.url('base')
  }),
  postgres: () => ({ adapter: new (app.load('@keyv/postgres').default)(servers.postgres.url), from: servers.postgres.url })
}

for (const kind of KINDS) {
  test(`${kind}: what baileys-store wrote through Keyv is read, two sessions in one place`, async (t) => {
    const at = scene(t)
    const { adapter, from } = PLACES[kind]()
    const Keyv = app.load('keyv').default
    const keyv = new Keyv(adapter)
    const { makeKeyvAuthState } = app.load('@rodrigogs/baileys-store')
    const written = {}
    for (const session of ['session-1', 'Zoë']) written[session] = await fill(baileys, await makeKeyvAuthState(keyv, session))
    await keyv.set('session-1:rate-limit', 7)
    const options = { ...at.local, store: null, baileys, from, tenantId: '{-1}' }
    const report = await hybrid.migrate(options)
    assert.deepEqual(report.sessions.map(({ tenantId, status, layout, message }) => [tenantId, status, layout, message]).sort(), [
      ['Zoë', 'migrated', 'key-records', null],
      ['session-1', 'migrated', 'key-records', null]
    ])
    const found = report.sessions.find(({ tenantId }) => tenantId === 'session-1')
    const { 'multi-file': others, ...keys } = found.keys
    assert.deepEqual(keys, countsOf(written['session-1'].data))
    assert.equal(others, 1, 'a key of an unknown kind is kept')
    for (const session of Object.keys(written)) await assertArrived(at, baileys, session, written[session])
    assert.equal((await hybrid.migrate(options)).totals.already, 2)
    await keyv.disconnect()
  })
}
