// Seeded values and the comparison that BufferJSON fidelity needs.
//
// `sameValue` is stricter than deepStrictEqual (key order, Buffer against Uint8Array, -0) and fast enough for a fuzz loop.

/** A seeded generator (mulberry32): same seed, same values, on every machine. */
export function random(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (n) => Math.floor(next() * n)
  return { next, below, pick: (list) => list[below(list.length)] }
}

/** The seed of this run: SEED from the environment, else the time. Printed, so that a failure can be replayed. */
export function runSeed(what) {
  const seed = process.env.SEED === undefined ? Date.now() % 4294967296 : Number(process.env.SEED)
  console.log(`${what}: SEED=${seed}`)
  return seed
}

export const bytesOf = (rng, length) => Buffer.from(Array.from({ length }, () => rng.below(256)))

const KEYS = [
  'type',
  'data',
  'buffer',
  'value',
  'toJSON',
  '__proto__',
  'constructor',
  'a',
  'b',
  '',
  '0',
  '1',
  '2',
  '12abc',
  'ключ',
  '\ud800',
  'a\0b'
]
const STRINGS = [
  '',
  'Buffer',
  'plain',
  'ü',
  '🦊',
  '\ud83e',
  'AQID',
  '"\\\n\u2028',
  'x'.repeat(19),
  'x'.repeat(20),
  'é'.repeat(64),
  'y'.repeat(127),
  'z'.repeat(128)
]
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  255,
  256,
  2 ** 30 - 1,
  2 ** 30,
  -(2 ** 30),
  -(2 ** 30) - 1,
  2 ** 31,
  1732000000000,
  0.5,
  1e300,
  NaN,
  Infinity,
  -Infinity
]

class Plain {
  constructor(value) {
    this.value = value
  }
}

/** Values that nothing but BufferJSON itself treats right. */
const odd = (rng, depth) =>
  rng.pick([
    () => undefined,
    () => Symbol('s'),
    () => () => 1,
    () => new Date(0),
    () => new Date(NaN),
    () => new Map([[1, 2]]),
    () => new Set([1]),
    () => new Plain(arbitrary(rng, depth + 1)),
    () => {
      const answer = arbitrary(rng, depth + 1)
      return { toJSON: () => answer }
    },
    () => Object.assign(Object.create(null), { k: arbitrary(rng, depth + 1) }),
    () => Object.assign([1, 2], { extra: 1 }),
    () => new Array(3),
    () => new Float64Array([1, 2]),
    () => new Uint16Array([1, 300]),
    () => new Uint8ClampedArray([1, 2]),
    () => new ArrayBuffer(2),
    () => new DataView(new ArrayBuffer(2)),
    () => new String('boxed'),
    () => new Number(7),
    () => new Boolean(false),
    () => ({ type: 'Buffer', data: rng.pick(['AQID', [1, 2], '', undefined, 5]) }),
    () => ({ buffer: true, data: 'AQID', value: [1] }),
    () => ({ 0: 5, 1: rng.pick([300, -1, NaN, 'x', undefined]) }),
    () => 10n,
    () => Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true }, hidden: { value: 3 } })
  ])()

const binary = (rng) =>
  rng.pick([
    () => bytesOf(rng, rng.below(70)),
    () => new Uint8Array(bytesOf(rng, rng.below(70))),
    () => bytesOf(rng, 64).subarray(3, 3 + rng.below(60)),
    () => Buffer.alloc(0),
    () => new Uint8Array(new SharedArrayBuffer(3))
  ])()

/** Any value, mostly the plain data that Baileys stores, sometimes nothing of the kind. */
export function arbitrary(rng, depth = 0) {
  const kind = rng.below(100)
  if (kind < 3) return odd(rng, depth)
  if (kind < 25) return rng.pick(STRINGS)
  if (kind < 45) return rng.pick(NUMBERS)
  if (kind < 52) return rng.pick([true, false, null])
  if (kind < 65) return binary(rng)
  if (depth > 4) return 'deep'
  const size = rng.below(5)
  if (kind < 78) return Array.from({ length: size }, () => arbitrary(rng, depth + 1))
  const object = {}
  for (let i = 0; i < size; i++) {
    const key = rng.next() < 0.9 ? rng.pick(KEYS) : `k${rng.below(1000)}`
    Object.defineProperty(object, key, { value: arbitrary(rng, depth + 1), enumerable: true, configurable: true, writable: true })
  }
  return object
}

/** Same class, same content, same order of keys. */
export function sameValue(a, b) {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  if (Buffer.isBuffer(a)) return a.equals(b)
  const keys = Object.keys(a)
  const others = Object.keys(b)
  if (keys.length !== others.length || (Array.isArray(a) && a.length !== b.length)) return false
  return keys.every((key, i) => key === others[i] && sameValue(a[key], b[key]))
}
