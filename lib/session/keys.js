'use strict'

// `state.keys`: the bag of closures that Baileys calls for every message.
//
// Invariants: each `get` and each `set` is one synchronous native call inside an async function. What `set` receives is
// encoded before it returns to the caller, and what `get` answers is a fresh copy: nothing is shared with the store. A `set`
// that holds new pre-keys carries the credentials of that moment, because `nextPreKeyId` and the pre-keys must never part.

const { walkIndex } = require('../codec/batch.js')
const { ask } = require('../core.js')
const { unreadable } = require('../errors.js')
const { createWholeFiles } = require('../multi-file/whole-files.js')
const { turn } = require('../turn.js')

const holdsNewPreKeys = (data) => {
  const preKeys = data?.['pre-key']
  return Boolean(preKeys) && Object.values(preKeys).some(Boolean)
}

function takesCreds(data) {
  try {
    return holdsNewPreKeys(data)
  } catch (error) {
    throw unreadable('what was given', error)
  }
}

/**
 * @param {object} session
 * @param {typeof import('../../binding.js')} session.binding the native functions
 * @param {(native: Function, ...args: any[]) => any} session.call
 * @param {number} session.handle
 * @param {ReturnType<typeof import('../codec/batch.js').createBatch>} session.batch
 * @param {{creds: () => object | undefined, done: (creds: object) => void}} session.capture the credentials that a batch with new pre-keys
 *   takes along, and who is told that it did
 * @param {(value: any) => any} session.reviveAppStateSyncKey
 * @param {(lsn: number) => Promise<void>} session.settled resolves when a write may resolve
 */
function createKeys({ binding, call, handle, batch, capture, reviveAppStateSyncKey, settled }) {
  const whole = createWholeFiles((type) => call(binding.index, handle, type))
  const reviver = (type) => (type === 'app-state-sync-key' ? reviveAppStateSyncKey : undefined)

  const find = (type, ids) => {
    const request = batch.encodeKeys(type, ids)
    return ask(binding, handle, request, (buffer, length) => batch.decodeAnswer(ids, request.possible, buffer, length, reviver(type)), call)
  }

  const get = async (type, ids) => {
    const found = find(type, ids)
    if (whole.isAny()) whole.fill(type, ids, found, (names) => find(whole.type, names))
    const others = turn()
    if (others !== undefined) await others
    return found
  }

  const set = async (data) => {
    const creds = takesCreds(data) ? capture.creds() : undefined
    const { buffer, length, count, urgent } = batch.encodeSet(whole.isAny() ? whole.replaced(data) : data, creds)
    if (count === 0) return
    const lsn = call(binding.append, handle, buffer, length, urgent)
    if (creds) capture.done(creds)
    await settled(lsn)
  }

  const clear = async () => settled(call(binding.clear, handle))

  async function* list(type) {
    const revive = reviver(type)
    const entries = call(binding.entries, handle, String(type))
    for (const { id, value } of batch.readEntries(entries)) yield [id, revive ? revive(value) : value]
    for (const { id, name } of whole.of(type)) {
      const value = find(whole.type, [name])[name]
      if (value !== null) yield [id, value]
    }
  }

  async function* listIds(type) {
    for (const { id } of walkIndex(call(binding.index, handle, String(type)))) yield id
    for (const { id } of whole.of(type)) yield id
  }

  return { get, set, clear, list, listIds }
}

module.exports = { createKeys }
