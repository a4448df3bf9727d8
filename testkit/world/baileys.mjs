// Loads one line of Baileys for the Signal world, and keeps its crypto library quiet.
//
// Invariant: nothing here knows a version number. What differs between the lines (LID addressing, the module system) is found
// by looking at the loaded module, so that a new release needs no change. libsignal prints whole sessions, private keys
// included, to the console whenever a session is opened or closed: the filter below drops exactly those lines and lets
// everything else through.

const PACKAGES = { v7: 'baileys', 'v6.7': '@whiskeysockets/baileys', v6: 'baileys-v6' }

/** @param {string | object} line `v7`, `v6.7`, `v6`, any package name, or an already imported Baileys module. */
export async function loadLine(line) {
  const name = typeof line === 'string' ? line : 'given'
  const imported = typeof line === 'string' ? await import(PACKAGES[line] ?? line) : line
  // A CommonJS Baileys shows only part of its exports as named ones (`proto` is missing): the default export has all of them.
  const baileys = imported.initAuthCreds && imported.proto ? imported : imported.default
  return { name, baileys, hasLids: 'lidMapping' in trialRepository(baileys) }
}

export const LINES = Object.keys(PACKAGES)

function trialRepository(baileys) {
  const keys = baileys.addTransactionCapability({ get: async () => ({}), set: async () => {} }, silentLogger, transactionOptions(baileys))
  return baileys.DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds: {}, keys }, silentLogger)
}

export const transactionOptions = (baileys) => baileys.DEFAULT_CONNECTION_CONFIG.transactionOpts

const nothing = () => {}
export const silentLogger = {
  level: 'silent',
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
  child: () => silentLogger
}

const CHATTER = [
  'Closing session:',
  'Closing open session in favor',
  'Opening session:',
  'Session already',
  'Removing old closed session:',
  'Decrypted message with closed session',
  'Failed to decrypt message with any known session',
  'Session error:',
  'Migrating session to:'
]
let sessionErrors = []
let installed = false

/** Drops libsignal's console output. Its per-session errors are kept: a failed decryption hides its causes everywhere else. */
export function quietLibsignal() {
  if (installed) return
  installed = true
  for (const level of ['log', 'info', 'warn', 'error']) {
    const print = console[level].bind(console)
    console[level] = (first, ...rest) => {
      if (typeof first !== 'string' || !CHATTER.some((start) => first.startsWith(start))) return print(first, ...rest)
      if (first.startsWith('Session error:')) sessionErrors.push(first)
    }
  }
}

/** The causes libsignal printed since the last call. */
export function takeSessionErrors() {
  const taken = sessionErrors
  sessionErrors = []
  return taken
}

/** Meaning of a failed decryption: `duplicate` (seen before), `no-sender-key` (ask for it with a retry receipt), or `broken`. */
export function classifyFailure(error, causes) {
  const text = [error.message, ...causes].join('\n')
  if (/Key used already or never filled|old counter/.test(text)) return 'duplicate'
  if (/No sender key|No session found to decrypt|No SenderKeyRecord|No session for/i.test(text)) return 'no-sender-key'
  return 'broken'
}
