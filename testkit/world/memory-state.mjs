// The simplest correct auth state: a map of BufferJSON texts. The peers of a world live on it, and tests use it as the store
// that is known to work.
//
// Invariant: nothing that is handed out aliases what is kept (each value goes through text both ways), and a value read is
// what useMultiFileAuthState would have read.

export function memoryState(baileys, from) {
  const { BufferJSON, initAuthCreds, proto } = baileys
  const values = new Map(from?.values)
  let saved = from?.creds
  const read = (text) => JSON.parse(text, BufferJSON.reviver)
  const creds = saved ? read(saved) : initAuthCreds()
  const nameOf = (type, id) => `${type}\n${id}`

  const keys = {
    get: async (type, ids) => {
      const found = {}
      for (const id of ids) {
        const text = values.get(nameOf(type, id))
        let value = text === undefined ? null : read(text)
        if (value && type === 'app-state-sync-key') value = proto.Message.AppStateSyncKeyData.fromObject(value)
        found[id] = value
      }
      return found
    },
    set: async (data) => {
      for (const [type, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries ?? {})) {
          if (value) values.set(nameOf(type, id), JSON.stringify(value, BufferJSON.replacer))
          else values.delete(nameOf(type, id))
        }
      }
    }
  }
  const saveCreds = async () => {
    saved = JSON.stringify(creds, BufferJSON.replacer)
  }
  const dump = () => ({ creds: saved ?? JSON.stringify(creds, BufferJSON.replacer), values: [...values] })
  return { state: { creds, keys }, saveCreds, dump }
}
