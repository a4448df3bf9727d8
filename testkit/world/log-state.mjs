// A small auth state that survives SIGKILL, to check the world itself: memory plus a log file, one synchronous append per
// call. Its default export is a factory for SubjectProcess; `lie` makes it a store that acknowledges what it has not yet
// written.
//
// Invariant (without `lie`): a call is in the file, whole, before its promise resolves; a torn last line is dropped on
// opening.

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { memoryState } from './memory-state.mjs'

/** @param {{ file: string, lie?: number }} o `lie`: how many calls may be acknowledged before they are written */
export default async function openLogState({ file, lie = 0 }, { baileys }) {
  const { BufferJSON } = baileys
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  lines.pop()
  const dump = { values: new Map() }
  for (const line of lines) {
    const { creds, values } = JSON.parse(line)
    if (creds) dump.creds = creds
    for (const [name, text] of values ?? []) text === null ? dump.values.delete(name) : dump.values.set(name, text)
  }
  const { state, saveCreds } = memoryState(baileys, dump)

  const pending = []
  const append = (record) => {
    pending.push(JSON.stringify(record) + '\n')
    while (pending.length > lie) appendFileSync(file, pending.shift())
  }
  const set = async (data) => {
    const values = Object.entries(data).flatMap(([type, entries]) =>
      Object.entries(entries ?? {}).map(([id, value]) => [`${type}\n${id}`, value ? JSON.stringify(value, BufferJSON.replacer) : null])
    )
    append({ values })
    await state.keys.set(data)
  }
  return {
    state: { creds: state.creds, keys: { get: state.keys.get, set } },
    saveCreds: async () => {
      append({ creds: JSON.stringify(state.creds, BufferJSON.replacer) })
      await saveCreds()
    }
  }
}
