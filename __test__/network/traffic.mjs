// Steady traffic of a session, and what must be left of it: batch `n` has LSN `n`, and what is stored after it follows from `n`.
//
// Invariant guarded: every write resolves whatever the network does, what was just set can be read, what waits for the store is
// bounded by the number of keys, and every LSN that was acknowledged can be restored, with exactly the state of that LSN.

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { cheapBaileys, dump } from '../../testkit/baileys/cheap.mjs'
import { atEnd, eventually, KEY, scratch } from '../../testkit/processes/machines.mjs'
import { hybrid } from '../../testkit/processes/sessions.mjs'
import { copyOf, objectsNow } from './places.mjs'

/** So few and so small that a whole story makes no second base by their size. */
const SESSIONS = 8
const SENDERS = 3
/** All keys, and the credentials. */
export const MOST_KEYS = SESSIONS + SENDERS + 1
const MOST_BYTES = MOST_KEYS * 200
const TYPES = ['session', 'sender-key']

/** Time after which a request without an answer is told as an outage, the interval of the checks: no machine may be so slow without one. */
export const usual = {
  baileys: cheapBaileys,
  encryptionKeys: [KEY],
  flushIntervalMs: 100,
  ownershipCheckIntervalMs: 3000,
  closeTimeoutMs: 60_000
}
/** For a wait that the other side ends, however busy the machine is. */
export const patient = { handoverTimeoutMs: 30_000 }

/** Contents of batch `n`: credentials, or values of which some are deletions. Every batch changes something. */
export function batchOf(n) {
  if (n % 7 === 0) return { creds: { generation: n } }
  const sender = n % 5 === 0 ? { 'sender-key': { [n % SENDERS]: n % 2 === 0 ? { n } : null } } : {}
  return { data: { session: { [n % SESSIONS]: { n } }, ...sender } }
}

/** The state after batch `n`, as `dump` has it. */
export function stateAfter(n) {
  const state = { creds: { generation: 0, nextPreKeyId: 0 } }
  for (let at = 1; at <= n; at++) {
    const { creds, data = {} } = batchOf(at)
    Object.assign(state.creds, creds)
    for (const [type, values] of Object.entries(data)) {
      for (const [id, value] of Object.entries(values)) {
        if (value === null) delete state[`${type}/${id}`]
        else state[`${type}/${id}`] = value
      }
    }
  }
  return state
}

/** Writes batch `n`; answers the data of it, if it has some. */
async function commit({ state, saveCreds }, n) {
  const { creds, data } = batchOf(n)
  Object.assign(state.creds, creds)
  await (creds === undefined ? state.keys.set(data) : saveCreds())
  return data ?? {}
}

/** Goes on from where the session is, up to batch `last`. */
export async function writeUpTo(session, last) {
  for (let n = session.status().lsn + 1; n <= last; n++) await commit(session, n)
}

/** A session of `tenant` on a blank machine; closed with the test. */
export async function openOn(t, tenant, options) {
  const session = await hybrid.useHybridAuthState(tenant, { directory: scratch(t), ...usual, ...options })
  atEnd(t, () => session.close({ timeoutMs: 200 }).catch(() => {}))
  return session
}

/** One batch after another, until it is told to stop. */
export class Traffic {
  n = 0
  /** Everything up to here was acknowledged, by an event or by a flush. */
  acknowledged = 0
  /** `degraded`, `recovered`, `fenced` and `error` events, in their order; `at` is the number of batches then. */
  told = []
  /** The longest that a `set` or `saveCreds` took, in milliseconds. */
  longestWrite = 0
  #known = new Map()
  #stopped = false
  #running

  /** `from` is the LSN that the session has. */
  constructor(session, { pauseMs = 8, from = 0 } = {}) {
    this.session = session
    this.n = from
    session.on('backup', ({ lsn }) => {
      this.acknowledged = Math.max(this.acknowledged, lsn)
    })
    for (const name of ['degraded', 'recovered', 'fenced', 'error']) {
      session.on(name, (news) => this.told.push({ name, code: news?.code, message: news?.message, at: this.n }))
    }
    this.#running = this.#run(pauseMs)
    // Its failure is told by whoever waits for it.
    this.#running.catch(() => {})
  }

  async #run(pauseMs) {
    while (!this.#stopped) {
      await this.#step(this.n + 1)
      await pause(pauseMs)
    }
  }

  async #step(n) {
    const { session } = this
    const { keys } = session.state
    const began = performance.now()
    const data = await commit(session, n)
    this.longestWrite = Math.max(this.longestWrite, performance.now() - began)
    this.n = n
    const { lsn, dirtyKeys, dirtyBytes } = session.status()
    assert.equal(lsn, n)
    assert.ok(dirtyKeys <= MOST_KEYS && dirtyBytes <= MOST_BYTES, `${dirtyKeys} keys and ${dirtyBytes} bytes wait for the store`)
    for (const [type, values] of Object.entries(data)) assert.deepEqual({ ...(await keys.get(type, Object.keys(values))) }, values)
  }

  /** The names of what was told since `from`. */
  toldSince(from) {
    return this.told.slice(from).map(({ name }) => name)
  }

  /** Everything up to now is in the store, and is acknowledged. */
  async flush(options) {
    const { n } = this
    await this.session.flush(options)
    this.acknowledged = Math.max(this.acknowledged, n)
  }

  /** No more batches; fails if one of them did. */
  async stop() {
    this.#stopped = true
    await this.#running
  }

  /** Restores from a copy of what the bucket holds at this moment, as if this machine had died. */
  async restoreCopy(t, tenant, bucket) {
    const least = this.acknowledged
    const store = copyOf(t, await objectsNow(bucket, this.#known))
    const { n } = this
    const blank = await openOn(t, tenant, { ...store, takeover: true, onMissing: 'error', ownershipCheckIntervalMs: 600_000 })
    const { lsn } = blank.status()
    assert.ok(lsn >= least, `LSN ${least} was acknowledged, and ${lsn} is what can be restored`)
    assert.ok(lsn <= n, `LSN ${lsn} was never written`)
    assert.deepEqual(await dump(blank, TYPES), stateAfter(lsn))
    await blank.close()
    return lsn
  }

  /** The faults are gone: everything must be stored, and a blank machine take over exactly the last state. */
  async conclude(t, tenant, { bucket, direct }) {
    await this.stop()
    await this.flush()
    await eventually('the session says that the store is well', () => this.session.status().store === 'ok')
    const { n } = this
    const { lsn, dirtyKeys, dirtyBytes, remoteDurableLsn, lagMs } = this.session.status()
    assert.deepEqual(
      { lsn, remoteDurableLsn, dirtyKeys, dirtyBytes, lagMs },
      { lsn: n, remoteDurableLsn: n, dirtyKeys: 0, dirtyBytes: 0, lagMs: 0 }
    )
    assert.equal(await this.restoreCopy(t, tenant, bucket), n)
    const heir = await openOn(t, tenant, { ...direct, ...patient, onMissing: 'error' })
    assert.equal(heir.status().lsn, n)
    assert.deepEqual(heir.status().restored, { source: 'remote', clean: true })
    assert.deepEqual(await dump(heir, TYPES), stateAfter(n))
    await eventually('the former owner is told', () => this.told.at(-1)?.name === 'fenced')
    await heir.close()
  }
}

/** An outage is told once, and so is its end; `told` are the names of what was told. */
export function assertOutages(told, count, what) {
  const expected = Array.from({ length: count }, () => ['degraded', 'recovered']).flat()
  assert.deepEqual(told, expected, what)
}
