// The program of a Machine: opens sessions of this package and does what the parent says, one command after another. Traffic
// goes on beside the commands, as it does in an application.
//
//   node child-session.mjs <directory of the sessions> <file of notes>      (started by Machine, over IPC)
//
// Invariant: traffic writes a note only after its `set` resolved, and with a synchronous write.

import { openSync, writeSync } from 'node:fs'
import hybrid from '../../index.js'
import { cheapBaileys, dump } from '../baileys/cheap.mjs'

const [directory, notesFile] = process.argv.slice(2)
/** Folder in which a session without a disk looks for what another mode left. */
process.env.WHATSAPP_SESSION_PATH = directory
const notes = openSync(notesFile, 'a')
const note = (text) => writeSync(notes, `${text}\n`)

let session
let traffic = null

function watch(opened) {
  const tell = (name) => (news) => {
    process.send({ event: { name, code: news?.code, lsn: news?.lsn, at: traffic?.n } })
    note(`event ${name}`)
  }
  for (const name of ['backup', 'restored', 'degraded', 'recovered', 'serverChanged', 'fenced', 'error']) opened.on(name, tell(name))
}

/** One small batch after another, each over two types, until it is told to stop or a write is refused. */
async function runTraffic(label, pauseMs) {
  const { keys } = session.state
  const own = { n: 0, stopped: false, refusal: null }
  traffic = own
  while (!own.stopped && own.refusal === null) {
    const n = own.n + 1
    try {
      await keys.set({ session: { [`${label}-${n % 40}`]: { n } }, counter: { [label]: { n } } })
      own.n = n
      note(`ack ${label} ${n}`)
    } catch (error) {
      own.refusal = error.code
      note(`refused ${label} ${n} ${error.code}`)
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

const commands = {
  ready: () => null,
  async open(tenant, { isPaired = true, ...options }) {
    const place = options.mode === 'cloud' ? {} : { directory }
    const usual = {
      ...place,
      baileys: cheapBaileys,
      encryption: 'off',
      ownershipCheckIntervalMs: 100,
      flushIntervalMs: 20,
      closeTimeoutMs: 60_000
    }
    session = await hybrid.useHybridAuthState(tenant, { ...usual, ...options })
    watch(session)
    const status = session.status()
    // As Baileys does: keys without credentials are no session.
    if (isPaired && status.restored.source === 'fresh') await session.saveCreds()
    return status
  },
  set: (data) => session.state.keys.set(data),
  async setMany(batches) {
    for (const data of batches) await session.state.keys.set(data)
  },
  get: (type, ids) => session.state.keys.get(type, ids),
  dump: (types) => dump(session, types),
  saveCreds(change) {
    Object.assign(session.state.creds, change)
    return session.saveCreds()
  },
  startTraffic(label, pauseMs = 1) {
    runTraffic(label, pauseMs)
  },
  stopTraffic() {
    traffic.stopped = true
    return { n: traffic.n, refusal: traffic.refusal }
  },
  traffic: () => ({ n: traffic.n, refusal: traffic.refusal }),
  flush: (options) => session.flush(options),
  close: (options) => session.close(options),
  delete: () => session.delete(),
  status: () => session.status(),
  note
}

let turn = Promise.resolve()
process.on('message', ({ id, command, args }) => {
  turn = turn.then(async () => {
    try {
      process.send({ id, result: await commands[command](...args) })
    } catch (error) {
      process.send({ id, error: { code: error.code ?? error.name, message: error.message } })
    }
  })
})
process.on('disconnect', () => process.exit())
