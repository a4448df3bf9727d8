// Machines over a database: children whose sessions are in it, with or without something in between that may be made to fail.
//
// Invariant: what a child wrote down as acknowledged had resolved; a blank machine is one that never saw the tenant.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { atEnd, eventually, KEY, Machine, scratch } from '../processes/machines.mjs'
import { startFaultyProxy } from '../wire/faulty.mjs'
import { startPair } from './pairs.mjs'
import { startPostgres } from './postgres.mjs'
import { startRedis } from './redis.mjs'

/** Databases that are stores. */
export const DATABASES = ['postgres', 'redis']

const START = { postgres: startPostgres, redis: startRedis }

/** The store in a server, reached at another endpoint if there is one. */
export function storeAt({ kind, user, password, database, endpoint }, through = endpoint) {
  const { hostname: host, port } = new URL(through)
  const server = { kind, host, port: Number(port), password }
  return kind === 'postgres' ? { ...server, user, database } : { ...server, username: user, prefix: 'tests' }
}

const TENANT = 'tenant'
const PATIENT = { flushTimeoutMs: 120_000, closeTimeoutMs: 60_000 }

/** Machines with sessions in `store`: `open` starts one, and `heir` opens its tenant with a disk that never saw it. */
export function machinesOver(t, store) {
  const folder = scratch(t)
  const options = { store, mode: 'cloud', encryption: 'on', encryptionKeys: [KEY], ...PATIENT }
  let machines = 0
  const open = async (more = {}) => {
    const machine = await Machine.start(t, join(folder, `machine-${++machines}`))
    machine.opened = await machine.call('open', TENANT, { ...options, ...more })
    return machine
  }
  return { options, open, heir: (more = {}) => open({ takeover: true, ...more }) }
}

/** A server with machines over it, and a proxy between them if it is wanted. */
export async function databaseScene(t, kind, { proxied = false, ...settings } = {}) {
  const server = await START[kind](settings)
  atEnd(t, () => server.stop())
  const proxy = proxied ? await startFaultyProxy(server.endpoint) : null
  if (proxied) atEnd(t, () => proxy.stop())
  return { server, proxy, ...machinesOver(t, storeAt(server, proxy?.endpoint)), direct: storeAt(server) }
}

/** A pair with machines over its one address. */
export async function pairScene(t, kind) {
  const pair = await startPair(kind)
  atEnd(t, () => pair.stop())
  return { pair, ...machinesOver(t, storeAt(pair.current, pair.endpoint)) }
}

/** Number of writes of a label that resolved so far. */
export const acknowledged = ({ notes }, label = 'all') =>
  Number(
    notes
      .filter((line) => line.startsWith(`ack ${label} `))
      .at(-1)
      ?.split(' ')[2] ?? 0
  )

/** Resolves when so many more writes have resolved; fails at once when one was rejected. */
export async function moreWrites(machine, count, label = 'all') {
  const goal = acknowledged(machine, label) + count
  await eventually(`${count} more writes of ${label}`, () => {
    const refusal = machine.notes.find((line) => line.startsWith('refused '))
    if (refusal) throw new Error(`a write was rejected: ${refusal}`)
    return acknowledged(machine, label) >= goal
  })
}

/** Value of a label on a machine. */
export const counted = async (machine, label = 'all') => (await machine.call('get', 'counter', [label]))[label]?.n ?? 0

/** Everything that resolved is on a machine that never saw the tenant, and no more than one write that nobody heard of. */
export async function assertRestores({ heir }, owner, { label = 'all', least = acknowledged(owner, label) } = {}) {
  const blank = await heir()
  assert.equal(blank.opened.restored.source, 'remote')
  const found = await counted(blank, label)
  assert.ok(found >= least, `${least} resolved, ${found} found`)
  assert.ok(found <= acknowledged(owner, label) + 1, 'nothing that was not written')
  // Each write is over two types: none of them was taken apart.
  const { [`${label}-${found % 40}`]: last } = await blank.call('get', 'session', [`${label}-${found % 40}`])
  assert.equal(last.n, found)
  return blank
}
