// The packages that users would pick instead, and a row per key as an ORM stores it, behind the interface of the benchmark.
//
// Invariant: a rival is used as its README has it; what it prints goes nowhere.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

const FOLDER = fileURLToPath(new URL('../../.cache/rivals/', import.meta.url))
const PACKAGES = { 'redis-baileys': '1.0.1', 'mysql-baileys': '1.5.4' }
const NOTHING = 'npm:empty-npm-package@1.0.0'
const MANIFEST = {
  private: true,
  dependencies: PACKAGES,
  // As in the package itself: what of Baileys an auth state needs.
  overrides: { libsignal: '6.0.0', '@whiskeysockets/eslint-config': NOTHING, 'audio-decode': NOTHING }
}

/** Installs the packages by name and version, unless they are there. */
export function loadRivals() {
  if (!existsSync(FOLDER)) {
    const staging = `${FOLDER.replace(/[/\\]$/, '')}-${process.pid}`
    mkdirSync(staging, { recursive: true })
    writeFileSync(join(staging, 'package.json'), JSON.stringify(MANIFEST))
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps', '--loglevel=error']
    const { status, stderr } = spawnSync('npm', args, { cwd: staging, encoding: 'utf8' })
    if (status !== 0) {
      rmSync(staging, { recursive: true, force: true })
      throw new Error(`the packages to compare with could not be installed:\n${stderr}`)
    }
    renameSync(staging, FOLDER)
  }
  const load = createRequire(join(FOLDER, 'package.json'))
  return Object.fromEntries(Object.keys(PACKAGES).map((name) => [name, load(name)]))
}

/** redis-baileys: a connection per session, a key per value. */
export const redisBaileys = ({ 'redis-baileys': rival }, server) => ({
  name: 'redis-baileys',
  server,
  async open(id) {
    const { state } = await rival.useRedisAuthState({ host: '127.0.0.1', port: server.port, password: server.passwords.operator }, id)
    return { set: (data) => state.keys.set(data), get: (type, ids) => state.keys.get(type, ids), close: async () => {} }
  },
  connections: async () => (await server.ask('CLIENT', 'LIST')).trim().split('\n').length - 1
})

/** mysql-baileys: one connection for all, a row per value. */
export const mysqlBaileys = ({ 'mysql-baileys': rival }, server) => ({
  name: 'mysql-baileys',
  server,
  async open(session) {
    const { state } = await rival.useMySQLAuthState({ ...server.login, session })
    return { set: (data) => state.keys.set(data), get: (type, ids) => state.keys.get(type, ids), close: async () => {} }
  },
  connections: async () => server.connections()
})

const UPSERT = 'insert into auth (session, id, value) values ($1, $2, $3) on conflict (session, id) do update set value = excluded.value'
const replacer = (_, value) =>
  value?.type === 'Buffer' && Array.isArray(value.data) ? { type: 'Buffer', data: Buffer.from(value.data).toString('base64') } : value

/** A row per key with a pool of ten, each `set` of several keys as so many statements at once: what the usual ORM code does. */
export const rowPerKey = (server) => {
  let pool = null
  const connect = async () => {
    if (pool !== null) return
    const { user, password, database, port } = server
    pool = new pg.Pool({ host: '127.0.0.1', port, user, password, database, max: 10 })
    pool.on('error', () => {})
    await pool.query('create table if not exists auth (session text, id text, value jsonb, primary key (session, id))')
  }
  return {
    name: 'a row per key',
    server,
    async open(session) {
      await connect()
      const set = async (data) => {
        const rows = Object.entries(data).flatMap(([type, values]) => Object.entries(values).map(([id, value]) => [`${type}-${id}`, value]))
        await Promise.all(rows.map(([id, value]) => pool.query(UPSERT, [session, id, JSON.stringify(value, replacer)])))
      }
      const get = async (type, ids) => {
        const { rows } = await pool.query('select id, value from auth where session = $1 and id = any($2)', [
          session,
          ids.map((id) => `${type}-${id}`)
        ])
        const found = new Map(rows.map(({ id, value }) => [id, value]))
        return Object.fromEntries(ids.map((id) => [id, found.get(`${type}-${id}`) ?? null]))
      }
      return { set, get, close: async () => {} }
    },
    connections: () => server.connections(),
    end: () => pool?.end()
  }
}
