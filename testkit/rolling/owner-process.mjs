// The program of an Owner: a WhatsApp service that runs one device on this package, in the middle of a rolling deploy. It starts,
// waits to be told to open the session, works, and on SIGTERM closes it and exits.
//
//   node owner-process.mjs <file of notes> <JSON { line, tenant, deaf }>      (started by Owner, over IPC)
//
//   parent to child   { id, command, args }, and { bundles: n, list } in answer to a question
//   child to parent   { id, result, lsn } or { id, error }, { fenced: true }, and { bundles: n, jids } as a question
//
// Invariants: what became of a write is noted, with a synchronous write of its own, in the same turn of the event loop in which it
// resolved: no SIGKILL takes it back, and no event that is told to this process can come in between. A note of an attempt goes
// first, so that a write is known about even if the process died before it could note the outcome. All times are those of the
// machine's monotonic clock, which all processes share.
//
// `deaf` makes a service that will not hear that somebody else owns the session: what is refused it keeps for itself, and goes on.

import { openSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import hybrid from '../../index.js'
import { loadLine, quietLibsignal } from '../world/baileys.mjs'
import { inspect } from '../world/ledger.mjs'
import { SubjectHost } from '../world/subject.mjs'
import { fromWire, toWire } from '../world/wire.mjs'

quietLibsignal()
const [notesFile, text] = process.argv.slice(2)
const { line: lineName, tenant, deaf = false } = JSON.parse(text)
const notes = openSync(notesFile, 'a')
const now = () => Number(process.hrtime.bigint() / 1000n)
const note = (what, details = {}) => writeSync(notes, `${JSON.stringify({ what, at: now(), ...details })}\n`)
const say = (message) => process.send(message)

const line = await loadLine(lineName)
let fleet = null
let session = null
let host = null
/** The command under way, and the code with which a write of it was refused: Baileys takes some of those for bad messages. */
let current = null
let refusal = null

const CREDS = 'creds'
const namesIn = (data) => Object.entries(data).flatMap(([type, entries]) => Object.keys(entries ?? {}).map((id) => `${type}\n${id}`))
const holdsNewPreKeys = (data) => Object.values(data['pre-key'] ?? {}).some(Boolean)

let writes = 0
/** Number that a deaf service kept for itself. */
let kept = 0

/** Notes a write: what it was about to change, and the LSN and the digests of what the store showed right after it. */
async function noted(names, write) {
  const attempt = ++writes
  const command = current
  note('attempt', { write: attempt, names, command })
  const before = session.status().lsn
  const writing = write()
  // The write is applied, or refused, before the call returns; so these are the values at its LSN, whoever writes next.
  const lsn = session.status().lsn
  const showing = Promise.all(byType(names).map((some) => inspect(session, line.baileys, some)))
  showing.catch(() => {})
  try {
    await writing
    note('set', { write: attempt, lsn, changed: lsn > before, command, shown: Object.assign({}, ...(await showing)) })
  } catch (error) {
    if (deaf && error.code === 'FENCED') return note('set', { write: attempt, lsn: before + ++kept, changed: true, command, shown: {} })
    refusal = error.code
    note('refused', { write: attempt, code: error.code, command })
    throw error
  }
}

/** One list for each type: `inspect` asks for one type after another, and between two of them somebody could write. */
function byType(names) {
  const groups = new Map()
  for (const name of names) {
    const [type] = name.split('\n')
    groups.set(type, [...(groups.get(type) ?? []), name])
  }
  return [...groups.values()]
}

const set = (data) => {
  // New pre-keys take the credentials of the moment with them.
  const names = [...namesIn(data), ...(holdsNewPreKeys(data) ? [CREDS] : [])]
  return noted(names, () => session.state.keys.set(data))
}

const get = async (type, ids) => {
  try {
    return await session.state.keys.get(type, ids)
  } catch (error) {
    refusal = error.code
    throw error
  }
}

const questions = new Map()
let nextQuestion = 1
function fetchBundles(jids) {
  const bundles = nextQuestion++
  return new Promise((resolve) => {
    questions.set(bundles, resolve)
    say({ bundles, jids })
  })
}

const EVENTS = ['backup', 'restored', 'degraded', 'recovered', 'fenced', 'error']

async function open(options) {
  note('opening')
  fleet = new hybrid.HybridAuth({ ...options, baileys: line.baileys })
  session = await fleet.open(tenant)
  const { epoch, lsn, restored } = session.status()
  note('opened', { epoch, lsn, restored })
  for (const name of EVENTS) {
    session.on(name, (news) => {
      if (deaf && name === 'fenced') return
      note(name, { lsn: news?.lsn, clean: news?.clean, source: news?.source, code: news?.code })
      if (name === 'fenced') say({ fenced: true })
    })
  }
  const auth = {
    state: { creds: session.state.creds, keys: { get, set } },
    saveCreds: () => noted([CREDS], () => session.saveCreds())
  }
  host = new SubjectHost({ line, auth, fetchBundles, onIntent: () => {}, extra: { flush, sendAgain } })
  return { epoch, lsn, restored }
}

async function flush() {
  const { lsn } = session.status()
  try {
    await session.flush()
  } catch (error) {
    refusal = error.code
    throw error
  }
  note('flushed', { lsn })
}

/** A retry receipt came: the session with that device is given up, and the message goes out in a new one. */
async function sendAgain({ account, device, plaintext }) {
  const { repository, keys, creds } = host.device
  const address = repository.jidToSignalProtocolAddress(host.device.addressOf(account, device))
  await keys.transaction(() => keys.set({ session: { [address]: null } }), creds.me.id)
  return host.device.sendToDevice({ account, device, plaintext })
}

/** Generous: it only ends the haunting of an owner that never learns. */
const HAUNT_MS = 120_000

/** Writes as an owner that has not heard of its successor would, until it is refused. */
async function haunt({ names }) {
  const deadline = performance.now() + HAUNT_MS
  for (let accepted = 0; ; accepted++) {
    if (performance.now() > deadline) return { accepted, code: null }
    try {
      await set({ session: Object.fromEntries(names.map((name) => [name, { haunted: accepted }])) })
    } catch (error) {
      return { accepted, code: error.code }
    }
    await pause(5)
  }
}

const describe = (error) => ({ message: error.message, code: error.code, stack: error.stack })
const lsnNow = () => {
  try {
    return session.status().lsn
  } catch {
    return null
  }
}

/** From now on it does what it is asked, and nobody hears of it. */
let isCutOff = false
const cutOff = async () => {
  isCutOff = true
}

async function run({ id, command, args }) {
  current = id
  refusal = null
  try {
    const { result } = await host.run(command, fromWire(args))
    if (isCutOff) return
    if (refusal !== null) throw Object.assign(new Error('a write was refused meanwhile'), { code: refusal })
    say({ id, result: toWire(result ?? null), lsn: lsnNow() })
  } catch (error) {
    say({ id, error: { ...describe(error), code: refusal ?? error.code } })
  } finally {
    current = null
  }
}

/** Commands that do not wait for those of the device. */
const aside = { open, haunt, cutOff }

let queue = Promise.resolve()
process.on('message', (message) => {
  if (message.bundles) {
    questions.get(message.bundles)(fromWire(message.list))
    questions.delete(message.bundles)
    return
  }
  const { id, command, args } = message
  if (command in aside)
    aside[command](fromWire(args)).then(
      (result) => say({ id, result }),
      (error) => say({ id, error: describe(error) })
    )
  else queue = queue.then(() => run(message))
})

process.once('SIGTERM', async () => {
  note('closing')
  const { failed } = fleet === null ? { failed: [] } : await fleet.shutdown()
  note('closed', { failed: failed.map(({ error }) => error.code) })
  process.exit(0)
})
// Nobody waits for the `saveCreds` of an event. A service must hear its refusal all the same, or it ends with it.
process.on('unhandledRejection', (error) => {
  if (error?.code !== 'FENCED' && error?.code !== 'CLOSED') throw error
})
process.on('disconnect', () => process.exit())
say({ booted: true })
