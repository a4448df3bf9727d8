// This package over each kind of store, behind the interface of the benchmark: sessions without a disk, at default settings.
//
// Invariant: all sessions of a store are of one process, as in a service.

import { createRequire } from 'node:module'
import { cheapBaileys } from '../../testkit/baileys/cheap.mjs'

const { useHybridAuthState } = createRequire(import.meta.url)('../../index.js')

export const KEY = '3d'.repeat(32)
const silent = { level: 'silent', trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

/** Options of a session over `store`. */
export const optionsOf = (store) => ({ ...store, mode: 'cloud', encryptionKeys: [KEY], baileys: cheapBaileys, logger: silent })

/** `store` are the options that name it; `connections` asks its server. */
export const ours = (name, store, { server = null, connections = null, end = null } = {}) => ({
  name,
  isOurs: true,
  store,
  server,
  connections,
  end,
  async open(id) {
    const session = await useHybridAuthState(id, { ...optionsOf(store), takeover: true })
    return {
      set: (data) => session.state.keys.set(data),
      get: (type, ids) => session.state.keys.get(type, ids),
      close: () => session.close()
    }
  }
})
