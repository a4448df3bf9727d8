// The program that is killed: opens several tenants at once, says what it found in them, and writes batch after batch.
//
//   node child-writer.mjs <report file> <JSON: { tenants: [{ id, history, options }], write: boolean }>
//
// The report, a line each: `open <tenant> <lsn> <json>`, `fail <tenant> <code>`, `ack <tenant> <n>`, `rolled <tenant>`.
// On stdout, a letter each: `u` before anything is opened, `w` for each tenant that begins to write, `a` for each batch that was
// acknowledged, `r` for each log that was rewritten.
//
// Invariant: `ack` is in the report, by a synchronous write, only after the promise of that batch resolved. At most WIDTH
// batches of a tenant are on their way at any time.

import { openSync, writeSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import hybrid from '../../index.js'
import { batchOf, dataOf, foldOf, WIDTH } from './child-history.mjs'
import { cheapBaileys } from '../baileys/cheap.mjs'

const [file, json] = process.argv.slice(2)
const { tenants, write } = JSON.parse(json)
const report = openSync(file, 'a')
const say = (line) => writeSync(report, `${line}\n`)

async function one({ id, history, options }) {
  let session
  try {
    session = await hybrid.useHybridAuthState(id, { ...options, baileys: cheapBaileys })
  } catch (error) {
    say(`fail ${id} ${error.code} ${error.message}`)
    return
  }
  const { lsn } = session.status()
  say(`open ${id} ${lsn} ${JSON.stringify(await foldOf(session))}`)
  if (!write) return session.close()

  const commit = async (n) => {
    const batch = batchOf(history, n)
    Object.assign(session.state.creds, batch.creds)
    await (batch.saves ? session.saveCreds() : session.state.keys.set(dataOf(n, batch)))
    say(`ack ${id} ${n}`)
    process.stdout.write('a')
  }
  let logBytes = 0
  process.stdout.write('w')
  for (let n = lsn + 1; ;) {
    const together = 1 + (n % WIDTH)
    await Promise.all(Array.from({ length: together }, (_, i) => commit(n + i)))
    n += together
    const now = session.status().logBytes
    if (now < logBytes) {
      say(`rolled ${id}`)
      process.stdout.write('r')
    }
    logBytes = now
    await breathe()
  }
}

process.stdout.write('u')
await Promise.all(tenants.map(one))
