// Malformed bytes are a typed error or another valid value, never a crash, a hang or a look outside their range.
//
// Invariant guarded: the decoders trust neither a length nor a count, so a damaged record costs that record alone.

import test from 'node:test'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { lines } from '../../testkit/baileys/lines.mjs'
import { arbitrary, bytesOf, random, runSeed } from './arbitrary.mjs'
import { conversation, otherFamilies, pairedCreds } from '../../testkit/baileys/values.mjs'

const require = createRequire(import.meta.url)
const { HybridAuthError } = require('../../lib/errors.js')
const { createCodec } = require('../../lib/codec/values.js')
const { createBatch, decodeKey } = require('../../lib/codec/batch.js')
const { encodeBuffer } = require('../../lib/codec/encode-buffer.js')

const line = await lines[0].load()
const codec = createCodec(line.BufferJSON)
const batch = createBatch(codec)

const encoded = (value) => {
  const { buffer, length } = encodeBuffer.run(() => codec.encode(value))
  return Buffer.from(buffer.subarray(0, length))
}

/** Bytes in the midst of others: a decoder that looks outside its range would see SECRET. */
function embed(bytes) {
  const secret = Buffer.from('SECRET'.repeat(30))
  return { buffer: Buffer.concat([secret, bytes, secret]), from: secret.length, to: secret.length + bytes.length }
}

const asText = (_, value) => (value?.type === 'Buffer' && Array.isArray(value.data) ? Buffer.from(value.data).toString('latin1') : value)
const holdsSecret = (value) => (JSON.stringify(value, asText) ?? '').includes('SECRETSEC')

function survives(bytes) {
  const { buffer, from, to } = embed(bytes)
  try {
    assert.ok(!holdsSecret(codec.decode(buffer, from, to)))
  } catch (error) {
    if (!(error instanceof HybridAuthError)) throw error
    assert.equal(error.code, 'LOCAL_CORRUPT')
    assert.equal(error.cause, undefined, 'a cause would quote key material')
  }
}

const samples = async () => {
  const sessions = await conversation((value) => value, 2)
  return [
    ...Object.values(otherFamilies()).flatMap((records) => Object.values(records)),
    sessions[sessions.length - 1],
    pairedCreds(line),
    { list: [1, -1, 1e300, null, true, 'é'.repeat(20), 'x'.repeat(200)], b: Buffer.alloc(60, 1), ключ: [[[{}]]] }
  ].map(encoded)
}

test('every truncation of an encoding is refused or another value', async () => {
  for (const bytes of await samples()) for (let length = 0; length < bytes.length; length++) survives(bytes.subarray(0, length))
})

test('every truncation of a tagged encoding is refused', async () => {
  for (const bytes of await samples()) {
    if (bytes[0] !== 4) continue
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => codec.decode(bytes, 0, length), { code: 'LOCAL_CORRUPT' })
    }
  }
})

test('every flip of a bit in an encoding is refused or another value', async () => {
  for (const bytes of await samples()) {
    // Long texts are alike all along: their first kilobyte is flipped throughout.
    for (let i = 0; i < Math.min(bytes.length, 1024); i++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(bytes)
        damaged[i] ^= 1 << bit
        survives(damaged)
      }
    }
  }
})

test('random bytes behind every kind are refused or a value', () => {
  const rng = random(runSeed('random bytes'))
  for (let i = 0; i < 40_000; i++) {
    const bytes = bytesOf(rng, 1 + rng.below(40))
    bytes[0] = rng.below(7)
    if (bytes[0] === 4) for (let n = 1; n < bytes.length; n++) if (rng.next() < 0.7) bytes[n] = rng.below(12)
    survives(bytes)
  }
})

test('a tower of containers is refused, not followed to the end of the stack', () => {
  for (const container of [9, 10]) {
    const levels = 200_000
    const unit = container === 9 ? [9, 1] : [10, 1, 0]
    const bytes = Buffer.alloc(1 + levels * unit.length)
    bytes[0] = 4
    for (let i = 0; i < levels; i++) bytes.set(unit, 1 + i * unit.length)
    assert.throws(() => codec.decode(bytes), { code: 'LOCAL_CORRUPT', message: /nested/ })
  }
})

test('lengths and counts beyond the value are refused before anything is allocated', () => {
  for (const tag of [6, 7, 8, 9, 10]) {
    const bytes = Buffer.from([4, tag, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3])
    assert.throws(() => codec.decode(bytes), { code: 'LOCAL_CORRUPT' })
  }
  assert.throws(() => codec.decode(Buffer.from([4, 4, 0x80, 0x80, 0x80, 0x80, 0x80, 0])), { code: 'LOCAL_CORRUPT', message: /too long/ })
  assert.throws(() => codec.decode(Buffer.from([4, 4, 0xff, 0xff, 0xff, 0xff, 0x1f])), { code: 'LOCAL_CORRUPT', message: /too long/ })
})

test('numbers that JSON does not have, unknown tags and kinds, and trailing bytes are refused', () => {
  const nan = Buffer.from([4, 5, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f])
  for (const bytes of [nan, [4, 1], [4, 11], [0], [6, 1], [255], [4, 0, 0], [4], [1], []]) {
    assert.throws(() => codec.decode(Buffer.from(bytes)), { code: 'LOCAL_CORRUPT' })
  }
})

test('a __proto__ key in damaged bytes becomes a member, not a prototype', () => {
  const key = Buffer.from('__proto__')
  const value = codec.decode(Buffer.concat([Buffer.from([4, 10, 1, key.length << 1]), key, Buffer.from([10, 0])]))
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.deepEqual(Object.keys(value), ['__proto__'])
})

test('every truncation and flip of a batch is refused or another batch', () => {
  const rng = random(runSeed('batches'))
  for (let round = 0; round < 6; round++) {
    const { buffer, length } = batch.encodeSet({
      session: { '1001.0': { deep: 'é' }, '\ud800': 'lone', gone: null },
      'pre-key': { 1: { private: bytesOf(rng, 32) } },
      tctoken: { x: [1].concat(JSON.parse(JSON.stringify(arbitrary(random(round))) ?? '1') ?? 1) }
    })
    const bytes = Buffer.from(buffer.subarray(0, length))
    const read = (b) => {
      try {
        for (const { type, id } of batch.readEntries(b)) assert.ok(type === null || (typeof type === 'string' && typeof id === 'string'))
      } catch (error) {
        assert.equal(error.code, 'LOCAL_CORRUPT', error.stack)
      }
    }
    for (let i = 0; i < bytes.length; i++) {
      read(bytes.subarray(0, i))
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Buffer.from(bytes)
        damaged[i] ^= 1 << bit
        read(damaged)
      }
    }
  }
})

test('malformed keys are refused', () => {
  for (const bytes of [[], [0, 0], [1], [1, 97], [5, 97, 0], [1, 97, 2, 98], [1, 97, 1, 98], [1, 0xff, 0, 98], [1, 97, 0, 0xff]]) {
    assert.throws(() => decodeKey(Buffer.from(bytes)), { code: 'LOCAL_CORRUPT' }, String(bytes))
  }
})
