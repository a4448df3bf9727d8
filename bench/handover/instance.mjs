// The program of an instance in `bench/handover.mjs`: opens the session and writes until it is refused or told to stop.
//
// Invariant: a write counts as resolved at the time by the clock right after its promise did.

import { randomBytes } from 'node:crypto'
import hybrid from '../../index.js'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'

const PAUSE_MS = 20
const LARGE_EVERY = 1000 / PAUSE_MS
const value = 'v'.repeat(100)
const resolved = []
let session
let writing
let stopped = false

/** Once a second a value has `large` bytes, if that is not 0. */
const valueOf = (n, large) => (large > 0 && n % LARGE_EVERY === 0 ? randomBytes(large) : value)

async function write(label, large = 0) {
  while (!stopped) {
    try {
      await session.state.keys.set({ session: { [`${label}-${resolved.length}`]: { value: valueOf(resolved.length, large) } } })
    } catch (error) {
      return { refusedAt: Date.now(), code: error.code }
    }
    resolved.push(Date.now())
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  return {}
}

const commands = {
  async open(options) {
    session = await hybrid.useHybridAuthState('one-number', { baileys: cheapBaileys, encryptionKeys: '5a'.repeat(32), ...options })
    session.on('error', () => {})
  },
  write(label, large) {
    writing = write(label, large)
  },
  written: async () => ({ ...(await writing), resolved }),
  async stop() {
    stopped = true
    await writing
  },
  async read(label, count) {
    const names = Array.from({ length: count }, (_, n) => `${label}-${n}`)
    const found = await session.state.keys.get('session', names)
    return names.map((name, n) => (found[name] ? n : -1)).filter((n) => n >= 0)
  },
  close: () =>
    session.close({ timeoutMs: 120_000 }).then(
      () => 'resolves',
      ({ code, message }) => `${code}: ${message}`
    )
}

process.on('message', async ({ id, command, rest }) => process.send({ id, answer: (await commands[command](...rest)) ?? null }))
process.on('disconnect', () => process.exit())
