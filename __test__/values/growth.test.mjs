// The encode buffer grows in the midst of a batch: whatever field is being written just then must not be lost.
//
// Guards a loss that only a process killed over and over showed: one byte of a key went to the buffer that had just been
// replaced, and the whole batch was refused. Every position of every field against the end of the buffer is tried.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const require = createRequire(import.meta.url)
const MODULES = ['encode-buffer', 'tagged', 'values', 'batch'].map((name) => require.resolve(`../../lib/codec/${name}.js`))

/** The encoders as they are right after the package was loaded, with a scratch that has never grown. */
function freshBatch() {
  for (const file of MODULES) delete require.cache[file]
  const { createCodec } = require('../../lib/codec/values.js')
  const { bufferJsonV7 } = require('../../lib/baileys.js')
  return require('../../lib/codec/batch.js').createBatch(createCodec(bufferJsonV7))
}

const INITIAL = 64 * 1024
const tail = {
  session: { '12.0': { version: 'v1', text: 'h\u00e9' }, '\ud800': { odd: true } },
  'pre-key': { 7: { private: Buffer.alloc(32, 1), public: Buffer.alloc(32, 2) }, 8: null },
  'identity-key': { x: Buffer.from('raw') },
  'sender-key-memory': { g: { a: true, n: 1.5, s: 'x'.repeat(40) } }
}

test('a batch that outgrows the buffer at any of its bytes reads back as it was given', () => {
  const creds = { registered: true, none: undefined, noiseKey: { private: Buffer.alloc(32, 3) } }
  const whole = (batch, padding) => batch.encodeSet({ filler: { f: Buffer.alloc(padding, 9) }, ...tail }, creds)
  const probe = whole(freshBatch(), 10)
  // From "the filler just fits" to "everything just fits".
  for (let padding = INITIAL - probe.length - 20; padding < INITIAL; padding++) {
    const batch = freshBatch()
    const { buffer, length } = whole(batch, padding)
    const found = [...batch.readEntries(Buffer.from(buffer.subarray(0, length)))]
    assert.equal(found.length, 8, `padding ${padding}`)
    const of = (type, id) => found.find((entry) => entry.type === type && entry.id === id).value
    assert.equal(of('filler', 'f').length, padding)
    for (const [type, records] of Object.entries(tail)) {
      for (const [id, value] of Object.entries(records)) assert.deepEqual(of(type, id), value, `padding ${padding}: ${type}`)
    }
    assert.deepEqual(of(null, null), { registered: true, noiseKey: { private: Buffer.alloc(32, 3) } }, `padding ${padding}`)
  }
})

test('a request for keys that outgrows the buffer at any of its bytes asks for all of them', () => {
  const { decodeKey } = require('../../lib/codec/batch.js')
  for (let last = 1; last <= 200; last++) {
    const batch = freshBatch()
    const ids = [...Array.from({ length: 21 }, (_, i) => `${i}`.padEnd(3000, 'p')), 'q'.repeat(2300 + last), 'end', 'z']
    const { buffer, length, count } = batch.encodeKeys('session', ids)
    const found = []
    for (let at = 0; at < length;) {
      const size = buffer.readUInt16LE(at)
      found.push(decodeKey(buffer, at + 2, at + 2 + size).id)
      at += 2 + size
    }
    assert.equal(count, ids.length)
    assert.deepEqual(found, ids)
  }
})
