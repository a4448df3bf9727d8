'use strict'

// Removing keys that nobody can be waiting for any more: Baileys makes pre-keys without end and keeps forty closed sessions
// with each contact.
//
// Invariants, for pre-keys: none is removed that the server does not have yet (`firstUnuploadedPreKeyId` and above), none of
// the last `preKeyWindow` ids, none that the caller names, and never the highest one there is, whose absence makes Baileys
// upload again at each connection. For sessions: an open one is never removed, nor the closed ones used last, nor one that was
// closed or used within the given days. Everything else that grows (device lists, who has a sender key, LIDs, tokens) is left
// alone: nothing in it says what may go. What goes, goes in one batch, so that a crash leaves all of it or none. Looking for it
// lets other work come between; what was found is then read again, decided and written in one synchronous step, so that no
// message does.

const { setImmediate: turn } = require('node:timers/promises')
const { integer, quoted, refuse } = require('./checks.js')

/** What Baileys 7 uploads when it pairs or finds the server empty: the most that it ever hands over at once. */
const UPLOAD = 812
const DAY = 86_400_000
/** The server keeps what could not be delivered for thirty days. */
const LEAST_DAYS = 30
/** Bytes of entries that one batch may touch, all in one step; what is beyond waits for the next call. */
const LIMIT = 4 * 1024 * 1024
/** Bytes of entries to look at before other work has its turn. */
const SLICE = 512 * 1024

const DEFAULTS = { dryRun: true, preKeyWindow: 2 * UPLOAD, keepPreKeyIds: [], closedSessionsOlderThanDays: 90, closedSessionsKept: 5 }

const isId = (value) => Number.isSafeInteger(value) && value > 0

function checkOptions(options) {
  if (options === null || typeof options !== 'object') refuse('pruneKeys takes an object of options')
  for (const name of Object.keys(options)) if (!Object.hasOwn(DEFAULTS, name)) refuse(`${quoted(name)} is not an option of pruneKeys`)
  const { dryRun, preKeyWindow, keepPreKeyIds, closedSessionsOlderThanDays: days, closedSessionsKept } = { ...DEFAULTS, ...defined(options) }
  if (typeof dryRun !== 'boolean') refuse('`dryRun` must be true or false')
  const ids = typeof keepPreKeyIds?.[Symbol.iterator] === 'function' && typeof keepPreKeyIds !== 'string' ? [...keepPreKeyIds] : null
  if (ids === null || !ids.every(isId)) refuse('`keepPreKeyIds` must be a list of ids, whole numbers from 1')
  const numbers = (value, name, least, most, what) => integer({ value, from: `\`${name}\`` }, undefined, least, most, what)
  return {
    dryRun,
    window: preKeyWindow === null ? null : numbers(preKeyWindow, 'preKeyWindow', UPLOAD, 2 ** 24, ' of ids'),
    kept: new Set(ids),
    days: days === null ? null : numbers(days, 'closedSessionsOlderThanDays', LEAST_DAYS, 36_500, ' of days'),
    closedKept: numbers(closedSessionsKept, 'closedSessionsKept', 1, 40, '')
  }
}

const defined = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

/**
 * The lowest pre-key id that must stay, by the credentials that know of the fewest keys: those in memory may be ahead of those
 * that are stored, and the other way round after a second open.
 */
function boundOf(credentials, window) {
  const counters = credentials.map((creds) => [creds?.nextPreKeyId, creds?.firstUnuploadedPreKeyId])
  if (!counters.every(([next, first]) => isId(next) && isId(first) && first <= next)) {
    refuse(
      'these credentials do not say which pre-keys the server may still hand out (`nextPreKeyId`, `firstUnuploadedPreKeyId`): nothing was ' +
        'removed; `preKeyWindow: null` leaves pre-keys alone'
    )
  }
  return Math.min(...counters.flatMap(([next, first]) => [first, next - window]))
}

/** The ids that may go, of all there are. What is no number is no pre-key of Baileys, and stays. */
function spentPreKeys(ids, bound, kept) {
  const numbers = ids.filter((id) => /^[1-9]\d{0,9}$/.test(id)).map(Number)
  const highest = numbers.reduce((a, b) => Math.max(a, b), 0)
  return numbers.filter((id) => id < bound && id !== highest && !kept.has(id)).map(String)
}

/** Base keys of the closed sessions in a record that may go; null for a value that is not what libsignal writes. */
function deadSessions(record, { before, closedKept }) {
  const sessions = record?._sessions
  if (record?.version !== 'v1' || sessions === null || typeof sessions !== 'object') return null
  const lastUse = ({ closed, used }) => Math.max(closed, used)
  const closed = Object.entries(sessions).map(([key, session]) => [key, session?.indexInfo]).filter(([, info]) => info?.closed !== -1)
  // What lacks a time is not judged, and nor is the record it stands in.
  if (!closed.every(([, info]) => Number.isFinite(info?.closed) && Number.isFinite(info?.used))) return null
  const byAge = closed.sort(([, a], [, b]) => lastUse(b) - lastUse(a))
  return byAge.slice(closedKept).filter(([, info]) => lastUse(info) < before).map(([key]) => key)
}

const closedIn = (record) => Object.values(record?._sessions ?? {}).filter((session) => session?.indexInfo?.closed !== -1).length

/** The record without those sessions, in the same order: it decides which one libsignal takes. */
const recordWithout = (record, dead) => ({ ...record, _sessions: Object.fromEntries(Object.entries(record._sessions).filter(([key]) => !dead.includes(key))) })

/**
 * What goes, and what it is worth.
 * @param core `{ sizes(type), entries(type), sizeOf(type, id, value) }`: `[id, bytes]` and `[id, value, bytes]` of each entry
 * @returns `{ data, report }`, `data` as `keys.set` takes it
 */
function plan(core, credentials, { window, kept, days, closedKept }, now, limit = LIMIT) {
  // Ids come from the network: none may be looked up on an ordinary object.
  const data = { 'pre-key': Object.create(null), session: Object.create(null) }
  const preKeys = { removed: 0, kept: 0, bytes: 0 }
  const closedSessions = { removed: 0, kept: 0, bytes: 0, records: 0 }
  let [touched, complete] = [0, true]
  /** Whether an entry still fits into the batch. */
  const fits = (bytes) => {
    if (touched + bytes > limit) complete = false
    else touched += bytes
    return complete
  }

  if (window !== null) {
    const sizes = new Map(core.sizes('pre-key'))
    const spent = spentPreKeys([...sizes.keys()], boundOf(credentials, window), kept)
    for (const id of spent) {
      if (!fits(sizes.get(id))) break
      data['pre-key'][id] = null
      preKeys.removed++
      preKeys.bytes += sizes.get(id)
    }
    preKeys.kept = sizes.size - preKeys.removed
  }
  if (days !== null) {
    for (const [id, record, bytes] of core.entries('session')) {
      const dead = deadSessions(record, { before: now - days * DAY, closedKept })
      closedSessions.kept += closedIn(record)
      if (dead === null || dead.length === 0 || !fits(bytes)) continue
      data.session[id] = recordWithout(record, dead)
      closedSessions.removed += dead.length
      closedSessions.kept -= dead.length
      closedSessions.records++
      closedSessions.bytes += bytes - core.sizeOf('session', id, data.session[id])
    }
  }
  return { data, report: { complete, preKeys, closedSessions } }
}

/** Ids of the records that have sessions to lose, and how many closed ones there are in all. */
async function look(core, { days, closedKept }, now) {
  const ids = []
  let [closed, seen] = [0, 0]
  for (const [id, record, bytes] of core.entries('session')) {
    closed += closedIn(record)
    if (deadSessions(record, { before: now - days * DAY, closedKept })?.length > 0) ids.push(id)
    seen += bytes
    if (seen < SLICE) continue
    seen = 0
    await turn()
  }
  return { ids, closed }
}

/**
 * @param core as for `plan`, with `entries(type)` as of the call and `some(type, ids)` the same of some as they are when each is
 *   reached; and `append(data)`, which answers a number and is durable when `settled(number)` resolves
 * @param credentials answers those in memory and those that are stored
 */
async function pruneKeys(core, credentials, options = {}) {
  const checked = checkOptions(options)
  const now = Date.now()
  const found = checked.days === null ? { ids: [], closed: 0 } : await look(core, checked, now)
  const { data, report } = plan({ ...core, entries: (type) => core.some(type, found.ids) }, credentials(), checked, now)
  report.closedSessions.kept = found.closed - report.closedSessions.removed
  const isEmpty = report.preKeys.removed === 0 && report.closedSessions.removed === 0
  if (!checked.dryRun && !isEmpty) await core.settled(core.append(data))
  return { dryRun: checked.dryRun, ...report }
}

module.exports = { pruneKeys, plan, spentPreKeys, boundOf, deadSessions }
