// Opens the demo's WhatsApp session in a child process, with this package where useMultiFileAuthState would stand.
//
// Invariant: this is all that an application writes. Everything else of the demo treats the session as any other Baileys auth
// state.

import hybrid from '../index.js'

export default async function open({ tenant, directory, store, key }, { baileys }) {
  const { state, saveCreds, flush, close, status } = await hybrid.useHybridAuthState(tenant, {
    directory,
    store,
    encryptionKeys: [key],
    // Half a second instead of five, so that a machine that vanished is given up quickly: the demo has little patience.
    ownershipCheckIntervalMs: 500,
    // Two lines of Baileys are installed side by side here; an application has one, which is found by itself.
    baileys
  })
  return {
    state,
    saveCreds,
    commands: {
      status: () => status(),
      flush: async () => {
        await flush()
        return status()
      },
      close: () => close(),
      tryToWrite: () => {
        const session = { '0.0': { written: 'by an owner that does not know better' } }
        return state.keys.set({ session }).then(
          () => 'written',
          (error) => error.code ?? error.message
        )
      },
      secrets: async (names) => secretsOf(state, names)
    }
  }
}

/** Private key material that must not be readable in the bucket, as the bytes one would look for. */
async function secretsOf({ creds, keys }, names) {
  const found = [creds.noiseKey, creds.signedIdentityKey, creds.signedPreKey.keyPair].map((pair) => pair.private)
  found.push(Buffer.from(creds.advSecretKey, 'base64'))
  const idsOf = (type) => names.filter((name) => name.startsWith(`${type}\n`)).map((name) => name.slice(type.length + 1))
  for (const preKey of Object.values(await keys.get('pre-key', idsOf('pre-key')))) {
    if (preKey) found.push(preKey.private)
  }
  for (const session of Object.values(await keys.get('session', idsOf('session')))) {
    for (const { currentRatchet } of Object.values(session?._sessions ?? {})) {
      found.push(Buffer.from(currentRatchet.rootKey, 'base64'), Buffer.from(currentRatchet.ephemeralKeyPair.privKey, 'base64'))
    }
  }
  return found.map((bytes) => Buffer.from(bytes))
}
