// Chance that can be replayed: numbers from a seed, for the proxy's latencies, shares and garbage.
//
// Invariant: the same seed gives the same numbers, on every machine.

/** A generator of numbers from 0 up to and without 1. */
export function numbersFrom(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296
  }
}

/** `length` bytes that mean nothing. */
export function noiseFrom(seed, length) {
  const next = numbersFrom(seed)
  return Buffer.from(Uint8Array.from({ length }, () => next() * 256))
}
