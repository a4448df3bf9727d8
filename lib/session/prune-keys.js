'use strict'

// Removing keys that nobody can be waiting for any more: Baileys makes pre-keys without end and keeps forty closed sessions
// with each contact.
//
// Invariants, for pre-keys: none is removed that the server does not have yet (`firstUnuploadedPreKeyId` and above), none of
// the last `preKeyWindow` ids, none that the caller names, and never the highest one there is, whose absence makes Baileys
// upload again at each connection. For sessions: an open one is never removed, nor the closed ones used last, nor one that was
// closed or used within the given days. Everything else that grows (device lists, who has a sender key, LIDs, tokens) is left
// alone: nothing in it says what may go. It goes in small steps, between which other work has its turn: what one of them reads it
// decides and writes before anything else can run, so that no message comes between. A crash leaves what the steps before it left,
// which is as sound.

const { setImmediate: turn } = require('node:timers/promises')
const { integer, quoted, refuse } = require('../checks.js')
const { DAY } = require('../units.js')

/** Pre-keys that Baileys 7 uploads when it pairs or finds the server empty: the most that it ever hands over at once. */
const UPLOAD = 812
/** The server keeps what could not be delivered for thirty days. */
const LEAST_DAYS = 30
/** Time that a step may take before other work has its turn, in milliseconds. Its findings are then still to be written: half as long again. */
const STEP_MS = 4
/** Bytes of session records that one step looks at, however fast. */
const STEP_BYTES = 128 * 1024
/** Pre-keys that one step removes. */
const PRE_KEYS = 1000
/** Entries of an index that one step takes apart. */
const ENTRIES = 10_000

const DEFAULTS = { dryRun: true, preKeyWindow: 2 * UPLOAD, keepPreKeyIds: [], closedSessionsOlderThanDays: 90, closedSessionsKept: 5 }

const isId = (value) => Number.isSafeInteger(value) && value > 0

function checkOptions(options) {
  if (options === null || typeof options !== 'object') refuse('pruneKeys takes an object of options')
  for (const name of Object.keys(options))
    if (!Object.hasOwn(DEFAULTS, name) && name !== 'onProgress') refuse(`${quoted(name)} is not an option of pruneKeys`)
  const {
    dryRun,
    preKeyWindow,
    keepPreKeyIds,
    closedSessionsOlderThanDays: days,
    closedSessionsKept,
    onProgress
  } = { ...DEFAULTS, ...defined(options) }
  if (typeof dryRun !== 'boolean') refuse('`dryRun` must be true or false')
  if (onProgress !== undefined && typeof onProgress !== 'function') refuse('`onProgress` must be a function')
  const ids = typeof keepPreKeyIds?.[Symbol.iterator] === 'function' && typeof keepPreKeyIds !== 'string' ? [...keepPreKeyIds] : null
  if (ids === null || !ids.every(isId)) refuse('`keepPreKeyIds` must be a list of ids, whole numbers from 1')
  const numbers = (value, name, least, most, what) => integer({ value, from: `\`${name}\`` }, undefined, least, most, what)
  return {
    dryRun,
    onProgress,
    window: preKeyWindow === null ? null : numbers(preKeyWindow, 'preKeyWindow', UPLOAD, 2 ** 24, ' of ids'),
    kept: new Set(ids),
    days: days === null ? null : numbers(days, 'closedSessionsOlderThanDays', LEAST_DAYS, 36_500, ' of days'),
    closedKept: numbers(closedSessionsKept, 'closedSessionsKept', 1, 40, '')
  }
}

/** @returns {any} */
const defined = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

/**
 * The lowest pre-key id that must stay, by the credentials that know of the fewest keys: those in memory may be ahead of those
 * that are stored, and the other way round after a second open.
 */
function boundOf(credentials, window) {
  const counters = credentials.map((creds) => [creds?.nextPreKeyId, creds?.firstUnuploadedPreKeyId])
  if (!counters.every(([next, first]) => isId(next) && isId(first) && first <= next)) {
    refuse(
      'these credentials do not show which pre-keys the server may still hand out (`nextPreKeyId`, `firstUnuploadedPreKeyId`): nothing was ' +
        'removed; `preKeyWindow: null` skips pre-keys'
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
  const closed = Object.entries(sessions)
    .map(([key, session]) => [key, session?.indexInfo])
    .filter(([, info]) => info?.closed !== -1)
  // A value without a time is not judged, nor is its record.
  if (!closed.every(([, info]) => Number.isFinite(info?.closed) && Number.isFinite(info?.used))) return null
  const byAge = closed.sort(([, a], [, b]) => lastUse(b) - lastUse(a))
  return byAge
    .slice(closedKept)
    .filter(([, info]) => lastUse(info) < before)
    .map(([key]) => key)
}

const closedIn = (record) => Object.values(record?._sessions ?? {}).filter((session) => session?.indexInfo?.closed !== -1).length

/** The record without those sessions, in the same order: it decides which one libsignal takes. */
const recordWithout = (record, dead) => ({
  ...record,
  _sessions: Object.fromEntries(Object.entries(record._sessions).filter(([key]) => !dead.includes(key)))
})

/** Clock of a step, and the turn of other work after it. */
function pacer() {
  let began = performance.now()
  return {
    isOver: () => performance.now() - began >= STEP_MS,
    async pause() {
      await turn()
      began = performance.now()
    }
  }
}

/** The items of a list, some at a time, with a turn for other work between. */
async function* paced(items, pace) {
  let count = 0
  for (const item of items) {
    yield item
    if (++count < ENTRIES && !pace.isOver()) continue
    await pace.pause()
    count = 0
  }
}

/** The index of a type, taken apart some at a time: `[id, bytes]` of each entry as of the call. */
async function indexOf(core, type, pace) {
  const index = []
  for await (const entry of paced(core.index(type), pace)) index.push(entry)
  return index
}

/**
 * Pre-keys that may go, step by step. What is there is looked at once: those that come later have higher ids, and bounds only grow; a
 * lower one, after a new pairing, counts at once.
 */
async function prunePreKeys({ credentials, options: { window, kept }, pace, write }, index, told) {
  const sizes = new Map(index)
  const spent = spentPreKeys([...sizes.keys()], boundOf(credentials(), window), kept)
  const report = { removed: 0, kept: sizes.size, bytes: 0 }
  for (let at = 0; at < spent.length;) {
    const bound = boundOf(credentials(), window)
    const data = Object.create(null)
    const before = at
    for (; at < spent.length && at - before < PRE_KEYS && (at === before || !pace.isOver()); at++) {
      const id = spent[at]
      if (Number(id) >= bound) continue
      data[id] = null
      report.removed++
      report.bytes += sizes.get(id)
    }
    write('pre-key', data)
    told(at - before)
    await pace.pause()
  }
  report.kept -= report.removed
  return report
}

/** Closed sessions that may go, step by step: each step reads, decides and writes without interruption by a message. */
async function pruneSessions({ core, options: { days, closedKept }, now, pace, write }, index, told) {
  const report = { removed: 0, kept: 0, bytes: 0, records: 0 }
  for (let at = 0; at < index.length;) {
    const data = Object.create(null)
    let touched = 0
    let count = 0
    do {
      const [id, bytes] = index[at++]
      touched += bytes
      count++
      const found = core.read('session', id)
      if (found === null) continue
      const dead = deadSessions(found.value, { before: now - days * DAY, closedKept }) ?? []
      report.kept += closedIn(found.value) - dead.length
      if (dead.length === 0) continue
      data[id] = recordWithout(found.value, dead)
      report.removed += dead.length
      report.records++
      report.bytes += found.bytes - core.sizeOf('session', id, data[id])
    } while (at < index.length && touched < STEP_BYTES && !pace.isOver())
    write('session', data)
    told(count)
    await pace.pause()
  }
  return report
}

/**
 * @param core `index(type)`: `[id, bytes]` of each entry as of the call; `read(type, id)`: `{ value, bytes }` of one as it is, or null;
 *   `sizeOf(type, id, value)`; and `append(data)`, which answers a number and is durable when `settled(number)` resolves
 * @param credentials answers those in memory and those that are stored
 */
async function pruneKeys(core, credentials, options = {}) {
  const checked = checkOptions(options)
  const pace = pacer()
  let last = null
  const write = (type, data) => {
    if (!checked.dryRun && Object.keys(data).length > 0) last = core.append({ [type]: data })
  }
  // Refused before anything goes.
  if (checked.window !== null) boundOf(credentials(), checked.window)
  const preKeyIndex = checked.window === null ? [] : await indexOf(core, 'pre-key', pace)
  const sessionIndex = checked.days === null ? [] : await indexOf(core, 'session', pace)
  const total = preKeyIndex.length + sessionIndex.length
  let done = 0
  const told = (count) => {
    done += count
    checked.onProgress?.({ done, total })
  }
  const work = { core, credentials, options: checked, now: Date.now(), pace, write }
  const preKeys = checked.window === null ? { removed: 0, kept: 0, bytes: 0 } : await prunePreKeys(work, preKeyIndex, told)
  told(preKeyIndex.length - done)
  const closedSessions = await pruneSessions(work, sessionIndex, told)
  if (last !== null) await core.settled(last)
  return { dryRun: checked.dryRun, preKeys, closedSessions }
}

module.exports = { pruneKeys, spentPreKeys, boundOf, deadSessions }
