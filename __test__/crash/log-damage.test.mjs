// A damaged local log: cut off at every length and changed in every byte, through the public door.
//
// Invariant guarded (I12, I17): a cut log opens at exactly the state after some batch, one with a changed bit is a typed error and left
// alone; a bucket that has the history heals it. Never a crash, never a value that was not written.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import hybrid from '../../index.js'
import { cheapBaileys, dump } from '../../testkit/baileys/cheap.mjs'
import { KEY, Machine, OTHER_KEY, scratch } from '../../testkit/processes/machines.mjs'
import { canonical, eachDamage, filesOf, flipped, layOut, Tally } from '../../testkit/base/matrix.mjs'
import { every } from '../support/size.mjs'

const TENANT = 't'
const BATCHES = 26
/** Number of them that the bucket has, where it lags behind. */
const STORED = 10
const TYPES = ['session', 'sender-key', 'lid-mapping']
/** See `docs/format.md`. */
const [HEADER, FRAME_HEAD, LENGTH_AT] = [116, 37, 4]
const TYPED = ['LOCAL_CORRUPT', 'KEY_UNAVAILABLE']

/** Batch `n`: two or three types at once, now and then a deletion; the first and every fifth the credentials. */
function batch(n) {
  if (n === 1 || n % 5 === 0) return { creds: { generation: n } }
  const data = { session: { [n % 7]: { n, ratchet: Buffer.alloc(n % 9, n) } }, 'lid-mapping': { a: `value ${n}` } }
  if (n % 3 === 0) data['sender-key'] = { [n % 2]: { n } }
  if (n % 4 === 0) data.session[(n + 3) % 7] = null
  return { data }
}

/** The state after each batch, as text. */
const STATES = (() => {
  const state = { creds: { generation: 0, nextPreKeyId: 0 } }
  const states = [canonical(state)]
  for (let n = 1; n <= BATCHES; n++) {
    const { data, creds } = batch(n)
    if (creds) state.creds = { ...state.creds, ...creds }
    for (const [type, values] of Object.entries(data ?? {})) {
      for (const [id, value] of Object.entries(values)) {
        if (value === null) delete state[`${type}/${id}`]
        else state[`${type}/${id}`] = value
      }
    }
    states.push(canonical(state))
  }
  return states
})()

/** Remains of a machine that writes all batches and is killed: its disk, and its bucket. */
async function leftBehind(t, options, { stored = BATCHES } = {}) {
  const folder = scratch(t, { quick: true })
  const machine = await Machine.start(t, join(folder, 'disk'))
  const store =
    options.mode === 'local' ? {} : { store: `${pathToFileURL(join(folder, 'bucket')).href}?create=true`, flushIntervalMs: 3_600_000 }
  await machine.call('open', TENANT, { ...options, ...store, isPaired: false })
  for (let n = 1; n <= BATCHES; n++) {
    const { data, creds } = batch(n)
    await (creds ? machine.call('saveCreds', creds) : machine.call('set', data))
    // Credentials do not wait for the interval: what is to stay behind is written after the last flush, without any.
    if (store.store && n === stored) await machine.call('flush')
  }
  const { remoteDurableLsn } = await machine.call('status')
  await machine.kill()
  const disk = filesOf(join(machine.disk, 'sessions'))
  const log = [...disk.keys()].find((name) => name.endsWith('.log'))
  return { disk, log, bytes: disk.get(log), remoteDurableLsn, bucket: store.store && filesOf(join(folder, 'bucket')) }
}

/** End of each frame; the first one is the base. */
function frameEnds(bytes) {
  const ends = []
  for (let at = HEADER; at < bytes.length; ends.push(at)) at += FRAME_HEAD + bytes.readUInt32LE(at + LENGTH_AT)
  return ends
}

/** Opens what lies in `folder`; answers the error's code, or how many batches there are, having checked that they are exact. */
async function openAndJudge(folder, options, where) {
  const common = {
    directory: join(folder, 'disk'),
    baileys: cheapBaileys,
    localDurability: 'os',
    onMissing: 'error',
    closeTimeoutMs: 60_000
  }
  let session
  try {
    session = await hybrid.useHybridAuthState(TENANT, { ...common, ...options })
  } catch (error) {
    assert.ok(error instanceof hybrid.HybridAuthError, `${where}: ${error.stack}`)
    return { code: error.code }
  }
  const { lsn, restored } = session.status()
  const found = canonical(await dump(session, TYPES))
  await session.close()
  assert.equal(found, STATES[lsn], `${where}: LSN ${lsn} is not the state after batch ${lsn}`)
  return { lsn, ...restored }
}

const KINDS = [
  { name: 'plain', localDurability: 'os', keys: { encryption: 'off' } },
  { name: 'sealed', localDurability: 'os', keys: { encryption: 'on', encryptionKeys: [KEY] } },
  { name: 'sealed and synced', localDurability: 'data', keys: { encryption: 'on', encryptionKeys: [KEY] } }
]

for (const { name, localDurability, keys } of KINDS) {
  test(`a_${name.replaceAll(' ', '_')}_log_cut_at_any_length_gives_the_batches_that_are_whole`, async (t) => {
    const { disk, log, bytes } = await leftBehind(t, { mode: 'local', localDurability, ...keys })
    const ends = frameEnds(bytes)
    assert.equal(ends.length, BATCHES + 1, 'a base and one frame per batch')
    const tally = new Tally()
    const count = await eachDamage(scratch(t, { quick: true }), every(7, Array(bytes.length + 1).keys()), async (length, folder) => {
      const damaged = bytes.subarray(0, length)
      layOut(join(folder, 'disk'), new Map(disk).set(log, damaged))
      const { code, lsn } = await openAndJudge(folder, { mode: 'local', ...keys }, `cut to ${length}`)
      const whole = ends.filter((end) => end <= length).length - 1
      // A base without anything in it is a session that was never paired, and none to go on with.
      const refused = whole < 0 ? 'LOCAL_CORRUPT' : whole === 0 ? 'NOT_FOUND' : undefined
      assert.deepEqual({ code, lsn }, { code: refused, lsn: refused === undefined ? whole : undefined }, `cut to ${length}`)
      if (code === 'LOCAL_CORRUPT') assert.deepEqual(readFileSync(join(folder, 'disk', log)), damaged, 'a refused log is left alone')
      tally.add(code ?? 'a prefix')
    })
    t.diagnostic(`${count} lengths: ${tally}`)
  })

  test(`a_${name.replaceAll(' ', '_')}_log_with_a_bit_changed_in_any_byte_is_refused_and_left_alone`, async (t) => {
    const { disk, log, bytes } = await leftBehind(t, { mode: 'local', localDurability, ...keys })
    const tally = new Tally()
    const count = await eachDamage(scratch(t, { quick: true }), every(7, bytes.keys()), async (at, folder) => {
      const damaged = flipped(bytes, at)
      layOut(join(folder, 'disk'), new Map(disk).set(log, damaged))
      const { code, lsn } = await openAndJudge(folder, { mode: 'local', ...keys }, `byte ${at}`)
      assert.ok(TYPED.includes(code), `byte ${at}: ${code ?? `opened at LSN ${lsn}`}`)
      assert.deepEqual(readFileSync(join(folder, 'disk', log)), damaged, 'a refused log is left alone')
      tally.add(code)
    })
    t.diagnostic(`${count} bytes: ${tally}`)
  })
}

test('a_sealed_log_without_its_key_is_not_called_damage', async (t) => {
  const { disk, log, bytes } = await leftBehind(t, { mode: 'local', encryption: 'on', encryptionKeys: [KEY] })
  const folder = join(scratch(t), 'trial')
  layOut(join(folder, 'disk'), disk)
  for (const keys of [{ encryption: 'off' }, { encryptionKeys: [OTHER_KEY] }]) {
    assert.deepEqual(await openAndJudge(folder, { mode: 'local', ...keys }, 'wrong key'), { code: 'KEY_UNAVAILABLE' })
    assert.deepEqual(readFileSync(join(folder, 'disk', log)), bytes)
  }
  const { lsn } = await openAndJudge(folder, { mode: 'local', encryptionKeys: [OTHER_KEY, KEY] }, 'rotated key')
  assert.equal(lsn, BATCHES)
})

const DAMAGES = (bytes) => [
  ...Array.from(bytes.keys(), (at) => ({ where: `byte ${at}`, damaged: flipped(bytes, at), at })).filter(
    ({ at }) => at < HEADER || at % 5 === 0
  ),
  ...Array.from(bytes.keys(), (at) => ({ where: `cut to ${at}`, damaged: bytes.subarray(0, at), at })).filter(({ at }) => at % 5 === 0)
]

for (const localDurability of ['os', 'data']) {
  test(`a_damaged_log_at_level_${localDurability}_is_set_aside_and_an_intact_bucket_restores_everything`, async (t) => {
    const keys = { encryption: 'on', encryptionKeys: [KEY] }
    const { disk, log, bytes, bucket } = await leftBehind(t, { localDurability, ...keys })
    const count = await eachDamage(scratch(t, { quick: true }), every(7, DAMAGES(bytes)), async ({ where, damaged }, folder) => {
      layOut(join(folder, 'disk'), new Map(disk).set(log, damaged))
      layOut(join(folder, 'bucket'), bucket)
      const store = `${pathToFileURL(join(folder, 'bucket')).href}?create=true`
      assert.deepEqual(await openAndJudge(folder, { store, ...keys }, where), { lsn: BATCHES, source: 'remote', clean: false }, where)
      const aside = [...filesOf(join(folder, 'disk'))].filter(([name]) => /\.(quarantine|unsent)$/.test(name))
      assert.deepEqual(
        aside.map(([, content]) => content),
        [damaged],
        `${where}: the damaged log is kept for a person to look at`
      )
    })
    t.diagnostic(`${count} damages healed from the bucket`)
  })

  test(`a_damaged_log_at_level_${localDurability}_ahead_of_its_bucket_never_falls_behind_the_bucket`, async (t) => {
    const keys = { encryption: 'off' }
    const left = await leftBehind(t, { localDurability, ...keys }, { stored: STORED })
    const { disk, log, bytes, bucket } = left
    const tally = new Tally()
    const count = await eachDamage(scratch(t, { quick: true }), every(7, DAMAGES(bytes)), async ({ where, damaged }, folder) => {
      layOut(join(folder, 'disk'), new Map(disk).set(log, damaged))
      layOut(join(folder, 'bucket'), bucket)
      const store = `${pathToFileURL(join(folder, 'bucket')).href}?create=true`
      const { code, lsn, source, clean } = await openAndJudge(folder, { store, ...keys }, where)
      // What was changed and not cut is all there, or a person has to look.
      if (code) assert.equal(code, 'LOCAL_CORRUPT', where)
      else if (where.startsWith('byte') && lsn !== BATCHES) assert.ok(lsn === BATCHES - 1 && !clean, `${where}: LSN ${lsn}`)
      else assert.ok(lsn >= left.remoteDurableLsn, `${where}: LSN ${lsn} from ${source}, the bucket has ${left.remoteDurableLsn}`)
      tally.add(code ?? source)
    })
    t.diagnostic(`the bucket has ${left.remoteDurableLsn} of ${BATCHES}; ${count} damages: ${tally}`)
  })
}
