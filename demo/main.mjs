// The story of `npm run demo`: a WhatsApp session loses its process, then its disk, then its ownership, and no message.
//
//   node demo/main.mjs [--line v7|v6] [--messages N] [--seed N] [--keep]
//
// Real Baileys code on both sides (pairing, Signal sessions, group keys), no network: the contacts, the phone and WhatsApp's
// key server live in this process, the session under test lives in a child process on this package and is killed with
// SIGKILL.
//
// Invariant: exit code 0 means that every message decrypted to the bytes that were encrypted, that after each restart every
// key acknowledged before was there as acknowledged (after the loss of the disk: as of a flush() that had resolved), that the
// former owner was refused, and that no known key stands readable in the bucket.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { createWorld, SubjectDied, SubjectProcess } from '../testkit/world/world.mjs'
import { listBucket, proveSearch, searchBucket } from './bucket.mjs'
import { count, formatMs, makeNarrator, size } from './narrator.mjs'

const { values: options } = parseArgs({
  options: {
    line: { type: 'string', default: 'v7' },
    messages: { type: 'string', default: '300' },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false }
  }
})
const MESSAGES = Number(options.messages)
const CONTACTS = 4
const SEED = Number(options.seed ?? randomBytes(3).readUIntBE(0, 3))
if (!(MESSAGES >= 40)) throw new Error('--messages: at least 40, or there is no story to tell')

const { say, act, timed } = makeNarrator()
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-demo-'))
const bucket = join(root, 'bucket')
const key = randomBytes(32).toString('hex')
const processes = []
mkdirSync(bucket)

/** A child process with the session: `node` on a machine whose disk is `directory`. */
async function startMachine(directory) {
  const subject = await SubjectProcess.start({
    line: options.line,
    factory: new URL('./subject.mjs', import.meta.url).href,
    args: { tenant: 'demo-tenant', directory, store: pathToFileURL(bucket).href, key }
  })
  processes.push(subject)
  return subject
}

const HOW_IT_ENDED = {
  receive: 'it was on its way to us: WhatsApp had no receipt and delivered it again',
  receiveGroup: 'it was on its way to us from the group: WhatsApp had no receipt and delivered it again',
  send: 'we were about to send it: it never left, and the recipient simply skips its key',
  sendGroup: 'we were about to send it to the group: it never left',
  uploadPreKeys: 'it was an upload of one-time keys: the server never saw them',
  appPatch: 'it was a change of settings: taken from the server again if need be',
  duplicate: 'it was an old message that came a second time',
  takeToken: 'it was a notification: WhatsApp sends it again'
}

async function untilKilled(world) {
  try {
    for (;;) await world.step()
  } catch (error) {
    if (!(error instanceof SubjectDied)) throw error
    return HOW_IT_ENDED[world.undecided.command] ?? `it was ${world.undecided.command}`
  }
}

async function traffic(world, n) {
  const exchange = async () => {
    const before = { ...world.stats }
    await world.run(n)
    return Object.fromEntries(Object.entries(world.stats).map(([name, value]) => [name, value - before[name]]))
  }
  await timed(
    exchange,
    ({ messages, received, sent, groupReceived, groupSent }) =>
      `${count(messages, 'message')}: ${received} received and ${sent} sent one to one, ` +
      `${groupReceived} received and ${groupSent} sent in the group. Each decrypted to the very bytes that were encrypted.`
  )
}

async function comparison(world, subject) {
  await world.swapSubject(subject)
  return world.audit()
}

async function main() {
  const began = performance.now()
  const firstDisk = join(root, 'disk-of-machine-1')
  console.log('A WhatsApp session loses its process, then its disk, then its owner, and no message.')
  console.log(`(Baileys ${options.line}, about ${MESSAGES} messages, seed ${SEED}; no network, real cryptography.)`)

  act('A phone links a new device')
  let machine = await timed(
    () => startMachine(firstDisk),
    () => 'A process started with an empty disk and an empty bucket, and made a new session.'
  )
  const world = await timed(
    () => createWorld({ line: options.line, seed: SEED, contacts: CONTACTS, groups: 1, subject: machine }),
    ({ server, book }) =>
      `Paired: ${count(server.remaining(0, 12).length, 'one-time key')} generated, stored and uploaded. ` +
      `We have ${count(CONTACTS, 'contact')} on ${count(book.slice(1).flatMap(({ devices }) => devices).length, 'device')}, and a group.`
  )

  act('Ordinary traffic')
  await traffic(world, Math.floor(MESSAGES * 0.4))
  const busy = await machine.call('status')
  say(`Write ${busy.lsn} is on the disk, write ${busy.remoteDurableLsn} is in the bucket: the copy runs at most about a second behind.`)

  act('The process is killed in the middle of its work (SIGKILL), the disk stays')
  const unprotected = machine
  const killTimer = setTimeout(() => unprotected.kill(), 400)
  const fate = await untilKilled(world)
  clearTimeout(killTimer)
  await unprotected.ended
  say(`Killed at message ${world.stats.messages + 1}. ${fate[0].toUpperCase()}${fate.slice(1)}.`)
  machine = await timed(
    () => startMachine(firstDisk),
    () => 'Started again on the same disk.'
  )
  await timed(
    () => comparison(world, machine),
    ({ keys }) => `${count(keys, 'acknowledged key')} compared: none missing, none old, though nobody had asked for a flush.`
  )
  await traffic(world, Math.floor(MESSAGES * 0.2))

  act('The process is killed and its disk is gone')
  const before = await machine.call('status')
  const behind = before.lsn - before.remoteDurableLsn
  const atStake = behind ? `that would be the last ${count(behind, 'write')}` : 'that would be nothing'
  say(`What only the disk has dies with the disk: at this moment ${atStake}. Hence flush() first, as close() does at an orderly end.`)
  const flushed = await timed(
    () => machine.call('flush'),
    ({ lsn, remoteDurableLsn }) =>
      `flush(): all ${count(lsn, 'write')} so far can be restored from the bucket (write ${remoteDurableLsn} is there).`
  )
  if (flushed.remoteDurableLsn < flushed.lsn) throw new Error('flush() resolved before everything was in the bucket')
  await machine.call('armCrash', { moment: 'during', calls: 1 })
  const secondFate = await untilKilled(world)
  await machine.ended
  rmSync(firstDisk, { recursive: true })
  if (existsSync(firstDisk)) throw new Error('the session directory is still there')
  say('Killed at the first write after it, and the whole session directory deleted.')
  say(`The one message in the making: ${secondFate}.`)

  act('A blank machine, with nothing but the bucket')
  const secondDisk = join(root, 'disk-of-machine-2')
  machine = await timed(
    () => startMachine(secondDisk),
    () => 'Opened the same tenant: no QR code, the session came out of the bucket. (The wait makes sure that the old machine is gone.)'
  )
  const { restored } = await machine.call('status')
  if (restored.source !== 'remote') throw new Error(`the blank machine's session is ${restored.source}, not from the bucket`)
  await timed(
    () => comparison(world, machine),
    ({ keys }) => `${count(keys, 'key')} compared with what flush() had confirmed: none missing, none old.`
  )
  await traffic(world, Math.floor(MESSAGES * 0.2))

  act('A second process takes the session over while the first one lives')
  await machine.call('flush')
  const former = machine
  machine = await timed(
    () => startMachine(join(root, 'disk-of-machine-3')),
    () => 'Machine 3 opened the tenant and is its owner now; machine 2 still runs.'
  )
  const refusal = await timed(
    () => refusalOf(former),
    (code) => `Machine 2 tried to write and was refused: ${code}. Two owners would corrupt every conversation.`
  )
  if (refusal !== 'FENCED') throw new Error(`the former owner's write was answered with ${refusal}, not FENCED`)
  await timed(
    () => comparison(world, machine),
    ({ keys }) => `${count(keys, 'key')} compared at the new owner: none missing, none old.`
  )
  await traffic(world, Math.max(20, MESSAGES - world.stats.messages))
  const secrets = await machine.call('secrets', world.ledger.names)
  await timed(
    () => machine.call('close'),
    () => 'Closed: flushed, released for the next owner.'
  )
  await former.kill()

  act('What is in the bucket')
  const { objects, bytes } = listBucket(bucket)
  say(`${count(objects.length, 'object')}, ${size(bytes)}.`)
  proveSearch(bucket, secrets[0])
  const numbers = world.peers.book.flatMap(({ pn, lid }) => [pn, lid])
  await timed(
    () => searchBucket(bucket, secrets, numbers),
    ({ needles, hits }) =>
      `Searched all names and bodies for ${count(secrets.length, 'private key')} and ${count(numbers.length, 'number')} of contacts, ` +
      `in ${count(needles, 'spelling')}: ${hits} found. (The same search does find a planted key.)`
  )
  if (searchBucket(bucket, secrets, numbers).hits) throw new Error('key material stands readable in the bucket')

  act('The balance')
  const { messages, restarts, redelivered, alreadyStored, neverSent, retryReceipts, refusedDuplicates } = world.stats
  const again = `${redelivered} delivered again (${alreadyStored} had been stored already)`
  say(
    `${count(messages, 'message')} exchanged and compared, over ${count(restarts, 'restart')}: ` +
      'a kill, a kill with the disk lost, a takeover.'
  )
  say(
    `Caught in the middle by the kills: ${again}, ${neverSent} never sent, ${count(retryReceipts, 'retry receipt')}. ` +
      `${refusedDuplicates} old messages delivered a second time were recognised as old.`
  )
  say('Acknowledged and lost: nothing.')
  say(`Finished in ${formatMs(performance.now() - began)}.`)
}

/** The code with which a former owner's write is refused. Until it has learned of its successor it may still write locally. */
async function refusalOf(former) {
  const deadline = performance.now() + 5000
  let answer
  do {
    answer = await former.call('tryToWrite')
    if (answer !== 'written') return answer
    await new Promise((resolve) => setTimeout(resolve, 100))
  } while (performance.now() < deadline)
  return answer
}

try {
  await main()
} catch (error) {
  console.error(`\nThe demo failed (seed ${SEED}): ${error.stack}`)
  process.exitCode = 1
} finally {
  await Promise.all(processes.map((subject) => subject.kill()))
  if (options.keep) console.log(`\nKept: ${root}`)
  else rmSync(root, { recursive: true, force: true })
}
