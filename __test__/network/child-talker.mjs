// The program of the search for secrets: a session that tells everything it can tell, to whoever records its output.
//
//   node child-talker.mjs      (started with an IPC channel; commands come over it, nothing secret is in its arguments)
//
// Invariant: whatever the package hands out for a person to read ends up on stdout: every call of the logger at every level,
// every event, every error with all that can be seen of it, every status.

import { inspect } from 'node:util'
import hybrid from '../../index.js'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'

const EVERYTHING = { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null }
const tell = (...what) => console.log(...what.map((one) => inspect(one, EVERYTHING)))

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']
const logger = Object.fromEntries(LEVELS.map((level) => [level, (...said) => tell(level, ...said)]))
logger.child = () => logger
logger.level = 'trace'

const EVENTS = ['backup', 'restored', 'degraded', 'recovered', 'fenced', 'error']
let session = null
const seen = new Set()

async function open(tenant, options) {
  const usual = { baileys: cheapBaileys, flushIntervalMs: 50, ownershipCheckIntervalMs: 200, logger }
  const opened = await hybrid.useHybridAuthState(tenant, { ...usual, ...options })
  for (const name of EVENTS) {
    opened.on(name, (news) => {
      seen.add(name)
      tell(name, news)
    })
  }
  tell(opened.status())
  return opened
}

const commands = {
  /** The session that goes on. */
  async open(tenant, options) {
    session = await open(tenant, options)
  },
  /** An open that is closed at once, if it succeeds. */
  async tryOpen(tenant, options) {
    const opened = await open(tenant, options)
    await opened.close({ timeoutMs: 500 })
  },
  set: (data) => session.state.keys.set(data),
  get: (type, ids) => session.state.keys.get(type, ids),
  async saveCreds(change) {
    Object.assign(session.state.creds, change)
    await session.saveCreds()
  },
  flush: (options) => session.flush(options),
  close: (options) => session.close(options),
  delete: () => session.delete(),
  status: () => tell(session.status()),
  /** Figures of a scrape, and the summary of a fleet with this session in it. */
  async metrics() {
    const fleet = new hybrid.HybridAuth()
    tell(await fleet.metrics(), fleet.summary())
  },
  end: () => process.exit(),
  /** Resolves when each of these events was told. */
  async told(names) {
    while (!names.every((name) => seen.has(name))) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const name of names) seen.delete(name)
  }
}

process.on('message', async ({ id, command, args = [] }) => {
  try {
    await commands[command](...args)
    process.send({ id, outcome: 'ok' })
  } catch (error) {
    tell(error)
    console.error(error)
    process.send({ id, outcome: error.code ?? error.name })
  }
})
process.on('disconnect', () => process.exit())
