// Sessions for migrations out of databases: written by the packages of other stores, and compared with what they were given.
//
// Invariant: values are those of Baileys and libsignal; what arrived is read through the `get` of this package, and compared to the byte.

import assert from 'node:assert/strict'
import { appStateSyncKey, conversation, groupTalk, otherFamilies, pairedCreds } from '../baileys/values.mjs'
import { lines } from '../baileys/lines.mjs'

const [line] = lines

/** A key of each family, with sessions of a conversation and the sender keys of a group. */
export async function signalData(baileys) {
  const sessions = await conversation((value) => value, 6)
  const group = await groupTalk(await line.loadGroup(), line.senderKeys, (value) => value)
  return {
    ...otherFamilies(),
    session: { '1001.0': sessions.at(-1), '100000000733103_1.12': sessions[0] },
    'sender-key': { 'g@g.us::1001::0': Buffer.from('[]'), '120363000000000001@g.us::1001_1::0': group.values.at(-1) },
    'app-state-sync-key': { 'AA/+': appStateSyncKey(baileys), AAAAAOPQ: appStateSyncKey(baileys) }
  }
}

/** Pairs the session of a store of another package, and fills it as Baileys does; families in `without` are left out. */
export async function fill(baileys, { state, saveCreds }, { without = [] } = {}) {
  const { ...creds } = pairedCreds(baileys)
  Object.assign(state.creds, creds)
  await saveCreds()
  const data = Object.fromEntries(Object.entries(await signalData(baileys)).filter(([type]) => !without.includes(type)))
  await state.keys.set(data)
  return { creds: state.creds, data }
}

/** The number of keys by type, as a report has it. */
export const countsOf = (data) => Object.fromEntries(Object.entries(data).map(([type, records]) => [type, Object.keys(records).length]))

/** All records of a session as a store that works on names has them: [name, text]. */
export function recordsOf(baileys, { creds, data }, nameOf = (type, id) => `${type}-${id}`) {
  const text = (value) => JSON.stringify(value, baileys.BufferJSON.replacer)
  const keys = Object.entries(data).flatMap(([type, records]) =>
    Object.entries(records).map(([id, value]) => [nameOf(type, id), text(value)])
  )
  return [['creds', text(creds)], ...keys]
}

/** A session that no package wrote: for the layouts that are copied from one program to the next. */
export const aSession = async (baileys) => ({ creds: pairedCreds(baileys), data: await signalData(baileys) })

/** Every value of a session is in the tenant, as Baileys would read it out of its own files. */
export async function assertArrived(at, baileys, tenantId, { creds, data }) {
  const { BufferJSON } = baileys
  const plain = (value) => JSON.parse(JSON.stringify(value, BufferJSON.replacer))
  const { state } = await at.openLocal(tenantId, { baileys, onMissing: 'error' })
  assert.deepEqual(plain(state.creds), plain(creds))
  assert.ok(Buffer.isBuffer(state.creds.noiseKey.private) && Buffer.isBuffer(state.creds.routingInfo))
  for (const [type, records] of Object.entries(data)) {
    const stored = await state.keys.get(type, Object.keys(records))
    for (const [id, value] of Object.entries(records)) {
      assert.deepEqual(plain(stored[id]), plain(value), `${type} ${id}`)
      if (value instanceof Uint8Array) assert.deepEqual(Buffer.from(stored[id]), Buffer.from(value), `${type} ${id}`)
    }
  }
  for (const [id, value] of Object.entries(data['app-state-sync-key'] ?? {})) {
    assert.deepEqual(Buffer.from((await state.keys.get('app-state-sync-key', [id]))[id].keyData), Buffer.from(value.keyData))
  }
  for (const [id, { _sessions }] of Object.entries(data.session ?? {})) {
    const stored = (await state.keys.get('session', [id]))[id]
    for (const [base, { _chains }] of Object.entries(_sessions)) {
      for (const [name, { chainKey }] of Object.entries(_chains))
        assert.equal(stored._sessions[base]._chains[name].chainKey.key, chainKey.key, 'a closed chain has no key, not null')
    }
  }
}
