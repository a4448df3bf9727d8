// Messages between the two processes of a world, and what a snapshot of the peers is made of: plain JSON, bytes as
// base64.
//
// Invariant: fromWire(toWire(x)) deep-equals x for plain data with Buffers in it, and nothing else is ever sent.

const BYTES = '$bytes'

export function toWire(value) {
  if (value instanceof Uint8Array) return { [BYTES]: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  if (Array.isArray(value)) return value.map(toWire)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toWire(inner)]))
}

export function fromWire(value) {
  if (Array.isArray(value)) return value.map(fromWire)
  if (value === null || typeof value !== 'object') return value
  if (typeof value[BYTES] === 'string') return Buffer.from(value[BYTES], 'base64')
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fromWire(inner)]))
}

/** The seeded generator (mulberry32) behind every choice of a world. Its whole state is one number, so that a snapshot can carry it. */
export function makeRandom(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    below: (n) => Math.floor(next() * n),
    pick: (list) => list[Math.floor(next() * list.length)],
    bytes: (n) => Buffer.from(Array.from({ length: n }, () => Math.floor(next() * 256))),
    get state() {
      return state
    },
    set state(value) {
      state = value >>> 0
    }
  }
}
