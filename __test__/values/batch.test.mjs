// Keys, batches and answers: what `keys.get` and `keys.set` make of the objects of Baileys.
//
// Invariant guarded: any id is a key of its own, whatever the network put into it, and a batch is what the caller's object
// was at the moment of the call.

import test from 'node:test'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { random, runSeed } from './arbitrary.mjs'

const require = createRequire(import.meta.url)
const { createCodec } = require('../../lib/codec/values.js')
const { createBatch, decodeKey, walk } = require('../../lib/codec/batch.js')
const { encodeBuffer } = require('../../lib/codec/encode-buffer.js')
const { bufferJsonV7 } = require('../../lib/baileys.js')

const batch = createBatch(createCodec(bufferJsonV7))
const bytesOf = ({ buffer, length }) => Buffer.from(buffer.subarray(0, length))
const entriesOf = (built) => [...batch.readEntries(bytesOf(built))]

/** A core in JavaScript: answers a request of encodeKeys from a batch of encodeSet. */
function core() {
  const map = new Map()
  return {
    map,
    append(built) {
      const bytes = bytesOf(built)
      for (let at = 0; at < bytes.length;) {
        const keyTo = at + 2 + bytes.readUInt16LE(at)
        const key = bytes.toString('hex', at + 2, keyTo)
        const size = bytes.readUInt32LE(keyTo)
        if (size === 0xffffffff) map.delete(key)
        else map.set(key, Buffer.from(bytes.subarray(keyTo + 4, keyTo + 4 + size)))
        at = keyTo + 4 + (size === 0xffffffff ? 0 : size)
      }
    },
    get(type, ids) {
      const request = batch.encodeKeys(type, ids)
      const bytes = bytesOf(request)
      const parts = []
      for (let at = 0; at < bytes.length;) {
        const to = at + 2 + bytes.readUInt16LE(at)
        const value = map.get(bytes.toString('hex', at + 2, to))
        const size = Buffer.alloc(4)
        size.writeUInt32LE(value === undefined ? 0xffffffff : value.length)
        parts.push(size, value ?? Buffer.alloc(0))
        at = to
      }
      const answer = Buffer.concat([...parts, Buffer.from('garbage of an earlier call')])
      return batch.decodeAnswer(ids, request.possible, answer, answer.length - 26)
    }
  }
}

const awkward = [
  '',
  ' ',
  '0',
  '1',
  '-1',
  'a',
  'A',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  '..',
  '../x',
  '/',
  '\\',
  'a/b',
  'a__b',
  'a:b',
  'a-b',
  '\0',
  'a\0b',
  '\ud800',
  '\udc00',
  'x\ud800y',
  '\ud83e\udd8a',
  'é',
  'e\u0301',
  '\ufffd',
  '\ufeff',
  'null',
  'creds',
  'x'.repeat(19),
  'x'.repeat(20),
  'ü'.repeat(300)
]

test('every awkward id is a record of its own', () => {
  const store = core()
  const records = Object.create(null)
  awkward.forEach((id, i) => (records[id] = { i: i + 1, bytes: Buffer.from([i]) }))
  store.append(batch.encodeSet({ session: records }))
  assert.equal(store.map.size, awkward.length)
  const got = store.get('session', awkward)
  assert.equal(Object.getPrototypeOf(got), Object.prototype)
  for (const [i, id] of awkward.entries()) {
    assert.ok(Object.hasOwn(got, id), JSON.stringify(id))
    assert.deepEqual(got[id], { i: i + 1, bytes: Buffer.from([i]) })
  }
})

test('every awkward id comes back from a listing as it was', () => {
  const records = Object.create(null)
  for (const id of awkward) records[id] = 'x'
  const listed = entriesOf(batch.encodeSet({ 'sender-key': records })).map(({ type, id }) => `${type}|${id}`)
  assert.deepEqual(listed.sort(), awkward.map((id) => `sender-key|${id}`).sort())
})

test('an absent id is an own property with the value null, __proto__ included', () => {
  const got = core().get('session', ['a', '__proto__'])
  assert.deepEqual(Object.keys(got), ['a', '__proto__'])
  assert.equal(got.a, null)
  assert.equal(Object.getOwnPropertyDescriptor(got, '__proto__').value, null)
  assert.equal(Object.getPrototypeOf(got), Object.prototype)
})

test('a key may take 4096 bytes and not one more', () => {
  const room = 4096 - (1 + 'session'.length + 1)
  const half = (room - 1) / 2
  for (const [id, fits] of [
    ['x'.repeat(room), true],
    ['x'.repeat(room + 1), false],
    ['ü'.repeat(half) + 'x', true],
    ['ü'.repeat(half) + 'xx', false],
    ['\ud800'.repeat(half), true],
    ['\ud800'.repeat(half + 1), false],
    ['x'.repeat(5_000_000), false]
  ]) {
    const store = core()
    if (fits) {
      store.append(batch.encodeSet({ session: { [id]: 'v' } }))
      assert.equal(store.get('session', [id])[id], 'v')
      for (const key of store.map.keys()) assert.ok(key.length / 2 <= 4096 && key.length / 2 >= 4095)
    } else {
      assert.throws(() => batch.encodeSet({ session: { ok: 1, [id]: 'v' } }), { code: 'INVALID_OPTION', message: /"session" is too long/ })
      store.append(batch.encodeSet({ session: { ok: 'there' } }))
      const got = store.get('session', [id, 'ok', id])
      assert.equal(got.ok, 'there', 'the others are still found')
      assert.equal(got[id], null, 'what cannot exist is absent')
    }
  }
})

test('a type takes 1 to 255 bytes', () => {
  assert.equal(batch.encodeSet({ ['t'.repeat(255)]: { a: 1 } }).count, 1)
  for (const type of ['', 't'.repeat(256), 'ü'.repeat(128), '\ud800']) {
    assert.throws(() => batch.encodeSet({ [type]: { a: 1 } }), { code: 'INVALID_OPTION' })
    assert.deepEqual(core().get(type, ['a']), { a: null })
  }
})

test('empty sets, undefined types and empty types are empty batches', () => {
  for (const data of [{}, undefined, null, { session: undefined }, { session: null }, { 'pre-key': {} }]) {
    assert.deepEqual([batch.encodeSet(data).length, batch.encodeSet(data).count, batch.encodeSet(data).urgent], [0, 0, false])
  }
  assert.throws(() => batch.encodeSet({ session: 'text' }), { code: 'INVALID_OPTION' })
})

test('falsy values delete; empty arrays, objects and buffers are values', () => {
  const built = batch.encodeSet({ session: { a: null, b: undefined, c: '', d: 0, e: false, f: NaN, g: [], h: {}, i: Buffer.alloc(0) } })
  const entries = entriesOf(built)
  assert.deepEqual(
    entries.slice(0, 6).map(({ value }) => value),
    [null, null, null, null, null, null]
  )
  assert.deepEqual(
    entries.slice(6).map(({ value }) => value),
    [[], {}, Buffer.alloc(0)]
  )
  assert.equal(built.count, 9)
  assert.deepEqual(
    [...walk(bytesOf(built))].map(({ from, to }) => from === to),
    [true, true, true, true, true, true, false, false, false]
  )
})

test('inherited and hidden members are not part of a set', () => {
  const records = Object.create({ inherited: 'x' }, { hidden: { value: 'x' }, own: { value: 'v', enumerable: true } })
  const data = Object.create({ 'pre-key': { 1: 'x' } }, { session: { value: records, enumerable: true } })
  assert.deepEqual(entriesOf(batch.encodeSet(data)), [{ type: 'session', id: 'own', value: 'v' }])
})

test('only new pre-keys and app state sync keys make a batch urgent', () => {
  const urgent = (data) => batch.encodeSet(data).urgent
  assert.equal(urgent({ 'pre-key': { 1: { private: Buffer.alloc(1) } } }), true)
  assert.equal(urgent({ 'app-state-sync-key': { AA: { keyData: 'AA' } } }), true)
  assert.equal(urgent({ 'pre-key': { 1: null }, session: { a: {} } }), false)
  assert.equal(urgent({ 'pre-key': { 1: null, 2: { private: Buffer.alloc(1) } } }), true)
  assert.equal(batch.encodeCreds({ a: 1 }).urgent, false)
})

test('creds travel in the same batch as keys, under a key that no type can have', () => {
  const creds = { me: { id: 'x' }, noiseKey: { private: Buffer.alloc(32, 1) } }
  const built = batch.encodeSet({ session: { a: { b: 1 } } }, creds)
  assert.equal(built.count, 2)
  assert.deepEqual(entriesOf(built), [
    { type: 'session', id: 'a', value: { b: 1 } },
    { type: null, id: null, value: creds }
  ])
  assert.deepEqual(entriesOf(batch.encodeCreds(creds)), [{ type: null, id: null, value: creds }])
  const store = core()
  store.append(batch.encodeCreds(creds))
  assert.deepEqual([...store.map.keys()], ['00'])
  assert.equal(bytesOf(batch.encodeCredsKey()).toString('hex'), '010000')
  for (const wrong of [null, undefined, 'text', 5]) assert.throws(() => batch.encodeCreds(wrong), { code: 'INVALID_OPTION' })
})

test('a batch is what the object was at the call', () => {
  const live = { session: { a: { n: 1, b: Buffer.from('abc') } } }
  const built = batch.encodeSet(live)
  live.session.late = true
  live.session.a.n = 2
  live.session.a.b.fill(0)
  assert.deepEqual(entriesOf(built), [{ type: 'session', id: 'a', value: { n: 1, b: Buffer.from('abc') } }])
})

test('a set with one value that cannot be stored is refused whole, and the next one is unharmed', () => {
  const cycle = {}
  cycle.self = cycle
  for (const bad of [1n, cycle, () => 1, Symbol('s')]) {
    assert.throws(() => batch.encodeSet({ session: { good: 'x', bad } }), { code: 'INVALID_OPTION' })
    assert.equal(entriesOf(batch.encodeSet({ session: { good: 'x' } })).length, 1)
  }
})

/** Something in so many containers, one in the other. */
const nested = (levels) => {
  let value = { text: '[[{{"\\"[[' }
  for (let i = 1; i < levels; i++) value = i % 2 ? [value] : { d: value }
  return value
}

test('a value that is too deep to be read again is refused when it is set, and one that is not reads back', () => {
  for (const levels of [1025, 1500, 3000, 100_000]) {
    assert.throws(() => batch.encodeSet({ session: { good: 'x', bad: nested(levels) } }), { code: 'INVALID_OPTION' })
    assert.throws(() => batch.encodeCreds({ additionalData: nested(levels) }), { code: 'INVALID_OPTION' })
  }
  const wide = Array.from({ length: 2000 }, () => ({ a: [Symbol('s'), new Date(0)] }))
  for (const value of [nested(1024), wide]) {
    const [entry] = entriesOf(batch.encodeSet({ session: { a: value } }))
    assert.deepEqual(entry.value, JSON.parse(JSON.stringify(value)))
  }
})

test('an answer that is too short, too long or malformed is LOCAL_CORRUPT', () => {
  const value = bytesOf(encodeBuffer.run(() => createCodec(bufferJsonV7).encode({ a: 1 })))
  const size = Buffer.alloc(4)
  size.writeUInt32LE(value.length)
  const answer = Buffer.concat([size, value])
  assert.deepEqual(batch.decodeAnswer(['x'], null, answer, answer.length), { x: { a: 1 } })
  for (let length = 0; length < answer.length; length++) {
    assert.throws(() => batch.decodeAnswer(['x'], null, answer, length), { code: 'LOCAL_CORRUPT' })
  }
  assert.throws(() => batch.decodeAnswer([], null, answer, answer.length), { code: 'LOCAL_CORRUPT' })
})

test('values are revived on the way out, absent ones are not', () => {
  const answer = Buffer.concat([Buffer.from([2, 0, 0, 0, 1, 0x31]), Buffer.from([255, 255, 255, 255])])
  assert.deepEqual(
    batch.decodeAnswer(['a', 'b'], null, answer, answer.length, (value) => value + 1),
    { a: 2, b: null }
  )
})

test('numeric ids, as some callers pass them, are the same as their text', () => {
  const store = core()
  store.append(batch.encodeSet({ 'pre-key': { 5: 'five' } }))
  assert.deepEqual(store.get('pre-key', [5]), { 5: 'five' })
  assert.throws(() => batch.encodeKeys('pre-key', 'ab'), { code: 'INVALID_OPTION' })
})

test('random ids of random types come back as they were', () => {
  const rng = random(runSeed('random ids'))
  const unit = () => rng.pick([rng.below(128), rng.below(0x800), 0xd800 + rng.below(0x800), rng.below(0x10000)])
  const text = (length) => String.fromCharCode(...Array.from({ length }, unit))
  for (let round = 0; round < 300; round++) {
    const type = text(1 + rng.below(20)).toWellFormed()
    const records = Object.create(null)
    for (let i = 0; i < 10; i++) records[text(rng.below(60))] = i + 1
    const store = core()
    store.append(batch.encodeSet({ [type]: records }))
    const ids = Object.keys(records)
    assert.equal(store.map.size, ids.length)
    const got = store.get(type, ids)
    for (const id of ids) assert.equal(got[id], records[id])
    for (const key of store.map.keys()) {
      const { type: back, id } = decodeKey(Buffer.from(key, 'hex'))
      assert.ok(back === type && id in records)
    }
  }
})
