// A Baileys device on this package, for the Signal world: one process that opens its session whenever it is told to, as an
// application does that runs on two machines in turn.
//
// Invariant: `state.creds` is one object for as long as the process lives, which is what the world's device holds on to; each
// open fills it with what the session has.

import hybrid from '../../index.js'

export default async function subject({ tenant, options }, { baileys }) {
  let session
  let fenced = false
  const creds = {}

  async function reopen() {
    const opened = await hybrid.useHybridAuthState(tenant, { ...options, baileys })
    fenced = false
    opened.on('fenced', () => {
      fenced = true
    })
    session = opened
    for (const name of Object.keys(creds)) delete creds[name]
    Object.assign(creds, session.state.creds)
    return session.status()
  }

  await reopen()
  return {
    state: {
      creds,
      keys: {
        get: (type, ids) => session.state.keys.get(type, ids),
        // New pre-keys take the credentials of the moment with them.
        set: (data) => {
          Object.assign(session.state.creds, creds)
          return session.state.keys.set(data)
        }
      }
    },
    saveCreds: () => {
      Object.assign(session.state.creds, creds)
      return session.saveCreds()
    },
    commands: {
      reopen,
      status: () => session.status(),
      isFenced: () => fenced,
      close: () => session.close(),
      tryToWrite: () =>
        session.state.keys.set({ session: { '0.0': { late: true } } }).then(
          () => 'written',
          (error) => error.code
        )
    }
  }
}
