// Values come back exactly as BufferJSON of the installed Baileys would bring them back, for every line and every value.
//
// Invariant guarded: the shortcuts of the codec are taken only where they cannot be told apart from BufferJSON.

import test from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { lines } from '../../testkit/baileys/lines.mjs'
import { arbitrary, bytesOf, random, runSeed, sameValue } from './arbitrary.mjs'
import { sized } from '../support/size.mjs'

const require = createRequire(import.meta.url)
const { createCodec } = require('../../lib/codec/values.js')
const { encodeBuffer } = require('../../lib/codec/encode-buffer.js')
const { bufferJsonV6, bufferJsonV7 } = require('../../lib/baileys.js')

const FUZZED = sized(10_000, 70_000)

const through = (codec, value, type) => {
  const { buffer, length } = encodeBuffer.run(() => codec.encode(value, type))
  return codec.decode(buffer, 0, length)
}

const attempt = (work) => {
  try {
    return { value: work() }
  } catch (error) {
    return { error }
  }
}

/** BufferJSON either gives a value, or throws, or has no text for it, which a store must refuse. */
const expected = ({ replacer, reviver }, value) =>
  attempt(() => {
    const text = JSON.stringify(value, replacer)
    if (text === undefined) throw new TypeError('no JSON form')
    return JSON.parse(text, reviver)
  })

function check(codec, bufferJson, value) {
  const want = expected(bufferJson, value)
  const got = attempt(() => through(codec, value))
  if (want.error) {
    // A value which BufferJSON writes but cannot read (v6 refuses {type: 'Buffer', data: 5}, say) is refused on either side.
    assert.ok(got.error, `${inspect(value)} must be refused`)
    assert.match(got.error.code, /^(INVALID_OPTION|LOCAL_CORRUPT)$/)
  } else if (got.error || !sameValue(want.value, got.value)) {
    assert.fail(`${inspect(value, { depth: 9 })}\nwant ${inspect(want, { depth: 9 })}\ngot  ${inspect(got, { depth: 9 })}`)
  }
}

const deep = (levels, leaf) => {
  let value = leaf
  for (let i = 0; i < levels; i++) value = i % 2 ? { d: value } : [value]
  return value
}

const cycle = {}
cycle.a = cycle
cycle.b = cycle

const shared = { x: 1 }

const edges = [
  '',
  'text',
  'ü',
  '\ud800',
  '\udfff tail',
  '🦊',
  0,
  -0,
  1,
  -1,
  1.5,
  2 ** 53,
  1e21,
  NaN,
  Infinity,
  true,
  false,
  null,
  undefined,
  Symbol('s'),
  () => 1,
  Object.assign(() => 1, { toJSON: () => 2 }),
  1n,
  cycle,
  [cycle],
  [],
  {},
  [[]],
  [{}],
  [undefined],
  [, 1],
  [null],
  { a: undefined },
  { a: undefined, b: Buffer.from([1]) },
  { a: Symbol('s'), b: 1 },
  { toJSON: () => 'custom' },
  { toJSON: () => undefined },
  { toJSON: 5 },
  { a: { toJSON: (key) => key } },
  Buffer.alloc(0),
  Buffer.from([0, 255]),
  new Uint8Array([1, 2, 3]),
  new Uint8Array(100).subarray(10, 20),
  { a: Buffer.alloc(0) },
  { a: new Uint8Array(47) },
  { a: new Uint8Array(48) },
  [Buffer.from('x'), 'x'],
  { type: 'Buffer' },
  { type: 'Buffer', data: 'AQID' },
  { type: 'Buffer', data: [1, 2] },
  { type: 'Buffer', data: '' },
  { type: 'other' },
  { a: { type: 'Buffer', data: 'é' } },
  { buffer: true },
  { buffer: true, data: 'AQID' },
  { buffer: true, value: [1, 2] },
  { buffer: 1 },
  { buffer: Buffer.from([1]) },
  { 0: 5 },
  { 5: 1 },
  { '12abc': 5 },
  { 0: 5, a: 1 },
  { 0: NaN },
  { 0: 5, 1: undefined },
  { 0: 5, 1: 'x' },
  { 0: Buffer.from([1]) },
  { 0: Buffer.from([1]), 1: { 7: 7 } },
  { 1: 300, 0: -1 },
  { '-1': 5 },
  { a: { 3: 3 } },
  [{ 3: 3 }],
  JSON.parse('{"__proto__":{"x":1}}'),
  JSON.parse('{"__proto__":5,"b":{"type":"x"}}'),
  { constructor: 1, hasOwnProperty: 2 },
  { b: 1, a: 2, 1: 3, 0: 4 },
  { '': Buffer.from([1]) },
  { ключ: Buffer.from([1]) },
  { '\ud800': Buffer.from([1]) },
  { k: '\ud800', b: Buffer.from([1]) },
  { ['k'.repeat(19)]: Buffer.from([1]) },
  { ['k'.repeat(20)]: Buffer.from([1]) },
  { ['é'.repeat(40)]: Buffer.from([1]), s: 'é'.repeat(100) },
  { s: 'é'.repeat(5000), b: Buffer.from([1]) },
  { s: 'x'.repeat(20000), b: Buffer.from([1]) },
  { s: 'ü'.repeat(20000), b: Buffer.from([1]) },
  { n: [2 ** 30 - 1, 2 ** 30, -(2 ** 30), -(2 ** 30) - 1, -0, 0.1, NaN, 1732000000000], b: Buffer.from([1]) },
  { t: [true, false, null], b: Buffer.from([1]) },
  new Date(0),
  new Date(NaN),
  new Map([[1, 2]]),
  new Set([1]),
  new Float64Array([1.5]),
  new Uint16Array([300]),
  new Uint8ClampedArray([1]),
  new ArrayBuffer(4),
  new DataView(new ArrayBuffer(4)),
  new String('s'),
  new Number(3),
  new Boolean(false),
  Object.create(null),
  Object.assign(Object.create(null), { a: Buffer.from([1]) }),
  Object.create({ inherited: 1 }),
  Object.assign([1, 2], { extra: 3 }),
  new (class extends Array {})(3),
  {
    get a() {
      return 1
    }
  },
  [shared, shared],
  deep(10, 1),
  deep(63, Buffer.from([1])),
  deep(64, Buffer.from([1])),
  deep(65, Buffer.from([1])),
  deep(66, 1),
  deep(1000, 1),
  { a: new Proxy({ b: 1 }, {}) },
  Buffer.alloc(300_000, 7),
  { b: Buffer.alloc(70_000, 7), k: 'after a large leaf', l: ['é', 'x'.repeat(30)] }
]

const dialects = [
  ...(await Promise.all(lines.map(async ({ name, load }) => ({ name, BufferJSON: (await load()).BufferJSON })))),
  { name: 'the pinned 7.x dialect', BufferJSON: bufferJsonV7 },
  { name: 'the pinned 6.x dialect', BufferJSON: bufferJsonV6 }
]

for (const { name, BufferJSON } of dialects) {
  test(`every edge case comes back as ${name} brings it back`, () => {
    const codec = createCodec(BufferJSON)
    for (const value of edges) check(codec, BufferJSON, value)
    for (const value of edges) check(codec, BufferJSON, { nested: [value], beside: Buffer.from([1]) })
  })
}

for (const { name, load } of lines) {
  test(`${FUZZED} random values come back as ${name} brings them back`, async () => {
    const { BufferJSON } = await load()
    const rng = random(runSeed(name))
    const codec = createCodec(BufferJSON)
    for (let i = 0; i < FUZZED; i++) check(codec, BufferJSON, arbitrary(rng))
  })
}

test('the pinned dialects of BufferJSON equal the installed ones', async () => {
  const rng = random(runSeed('pinned dialects'))
  const pinned = [bufferJsonV7, bufferJsonV6, bufferJsonV6]
  for (const [i, { load }] of lines.entries()) {
    const { BufferJSON } = await load()
    for (let n = 0; n < 5000; n++) {
      const value = n < edges.length ? edges[n] : arbitrary(rng)
      const text = attempt(() => JSON.stringify(value, BufferJSON.replacer))
      assert.equal(attempt(() => JSON.stringify(value, pinned[i].replacer)).value, text.value)
      if (text.value === undefined) continue
      const [want, got] = [BufferJSON, pinned[i]].map(({ reviver }) => attempt(() => JSON.parse(text.value, reviver)))
      assert.equal(Boolean(got.error), Boolean(want.error))
      assert.ok(sameValue(got.value, want.value), `${lines[i].name}: ${text.value}`)
    }
  }
})

test('the bytes of each form are these, which other readers rely on', () => {
  const codec = createCodec(bufferJsonV7)
  const hex = (value) => {
    const { buffer, length } = encodeBuffer.run(() => codec.encode(value))
    return buffer.toString('hex', 0, length)
  }
  const text = (kind, json) => Buffer.concat([Buffer.from([kind]), Buffer.from(json)]).toString('hex')
  assert.equal(hex({ a: [1, 'b'] }), text(1, '{"a":[1,"b"]}'))
  assert.equal(hex('\u00e9'), text(2, '"\u00e9"'))
  assert.equal(hex(new Uint8Array([1, 2])), '030102')
  assert.equal(hex([new Date(0)]), text(5, '["1970-01-01T00:00:00.000Z"]'))
  assert.equal(hex({ 0: 1 }), text(5, '{"0":1}'))
  const tagged = (value) => hex([value, Buffer.from([9])]).replace(/^040902(.*)080109$/, '$1')
  for (const [value, bytes] of [
    [null, '00'],
    [false, '02'],
    [true, '03'],
    [0, '0400'],
    [-0, '0400'],
    [-1, '0401'],
    [1, '0402'],
    [64, '048001'],
    [NaN, '00'],
    [2 ** 30 - 1, '04feffffff07'],
    [1 - 2 ** 30, '04fdffffff07'],
    [2 ** 30, '05000000000000d041'],
    [-(2 ** 30), '05000000000000d0c1'],
    [0.5, '05000000000000e03f'],
    ['', '0600'],
    ['ab', '06026162'],
    ['\u00e9', '0702c3a9'],
    [Buffer.alloc(0), '0800'],
    [[], '0900'],
    [{}, '0a00'],
    [{ k: 'v' }, '0a01026b060176'],
    [{ '\u00e9': 1 }, '0a0105c3a90402'],
    ['x'.repeat(128), '068001' + '78'.repeat(128)],
    ['\u00e9'.repeat(64), '078001' + 'c3a9'.repeat(64)],
    [{ ['k'.repeat(64)]: null }, '0a018001' + '6b'.repeat(64) + '00']
  ])
    assert.equal(tagged(value), bytes, inspect(value))
})

test('what is decoded shares nothing with the buffer it came from', () => {
  const codec = createCodec(bufferJsonV7)
  for (const value of [Buffer.from('abc'), { a: Buffer.from('abc'), b: Buffer.alloc(100, 1), s: 'text' }]) {
    const { buffer, length } = encodeBuffer.run(() => codec.encode(value))
    const copy = Buffer.from(buffer.subarray(0, length))
    const decoded = codec.decode(copy)
    copy.fill(0xee)
    assert.ok(sameValue(decoded, value))
  }
})

test('what is encoded is copied at once, so a later change of the value does not reach it', () => {
  const codec = createCodec(bufferJsonV7)
  const value = { bytes: Buffer.from('abc'), list: [1] }
  const { buffer, length } = encodeBuffer.run(() => codec.encode(value))
  value.bytes.fill(0)
  value.list.push(2)
  assert.deepEqual(codec.decode(buffer, 0, length), { bytes: Buffer.from('abc'), list: [1] })
})

test('the scratch shrinks back after a huge value', () => {
  const codec = createCodec(bufferJsonV7)
  const built = encodeBuffer.run(() => codec.encode(Buffer.alloc(9_000_000, 1)))
  assert.equal(built.length, 9_000_001)
  assert.ok(encodeBuffer.bytes.length <= 4 * 1024 * 1024)
  assert.equal(codec.decode(built.buffer, 0, built.length).length, 9_000_000)
  encodeBuffer.run(() => codec.encode(Buffer.alloc(3_000_000)))
  assert.ok(encodeBuffer.bytes.length <= 4 * 1024 * 1024)
})

test('a value that calls the store while it is being encoded is refused, and the next batch is whole', () => {
  const codec = createCodec(bufferJsonV7)
  const greedy = { toJSON: () => encodeBuffer.run(() => codec.encode(1)) }
  assert.throws(() => encodeBuffer.run(() => codec.encode(greedy)), { code: 'INVALID_OPTION' })
  assert.deepEqual(through(codec, { fine: Buffer.from('x') }), { fine: Buffer.from('x') })
})

test('a wide cycle is refused at once instead of being walked for ever', () => {
  const codec = createCodec(bufferJsonV7)
  const node = {}
  for (let i = 0; i < 50; i++) node[`k${i}`] = node
  assert.throws(() => through(codec, node), { code: 'INVALID_OPTION' })
})

test('bytes of every small length survive, as views into larger buffers too', () => {
  const codec = createCodec(bufferJsonV7)
  const rng = random(7)
  for (let length = 0; length < 300; length++) {
    const large = bytesOf(rng, length + 20)
    const view = large.subarray(9, 9 + length)
    assert.deepEqual(through(codec, { v: view }), { v: Buffer.from(view) })
    assert.deepEqual(through(codec, new Uint8Array(view)), Buffer.from(view))
  }
})

test('a runtime without the undocumented Buffer methods writes and reads the same bytes', () => {
  const program = `
    const names = process.argv[1] === 'without' ? ['latin1Slice', 'utf8Slice', 'utf8Write'] : []
    const methods = names.map((name) => [name, Buffer.prototype[name]])
    for (const name of names) delete Buffer.prototype[name]
    const { createCodec } = require('./codec/values.js')
    const { encodeBuffer } = require('./codec/encode-buffer.js')
    for (const [name, method] of methods) Buffer.prototype[name] = method // Node itself needs them
    const codec = createCodec(require('./baileys.js').bufferJsonV7)
    for (const value of ['x', 'é', { a: 'é'.repeat(70), b: Buffer.from([1]), ['k'.repeat(70)]: 'v'.repeat(200) }, new Date(0), { c: '🦊' }]) {
      const { buffer, length } = encodeBuffer.run(() => codec.encode(value))
      console.log(buffer.toString('hex', 0, length), JSON.stringify(codec.decode(buffer, 0, length)))
    }`
  const cwd = fileURLToPath(new URL('../../lib/', import.meta.url))
  const [plain, without] = ['with', 'without'].map((how) => execFileSync(process.execPath, ['-e', program, how], { cwd, encoding: 'utf8' }))
  assert.equal(without, plain)
})
