// Lets a client of the 6.x lines have the keys of its transport before anything can answer the last part of its handshake.
//
// Those lines send that part first and derive the keys then, in a thread of the pool; what comes before they have them is dropped,
// and every later node with it, since the two sides then count differently. No network is fast enough to show it, and the pool of
// a busy machine on loopback may take any time. Whoever waits on the server's side only makes it less likely.
//
// Invariant: the keys are those that the pool would have derived, by Node's own HKDF. Between the last part of the handshake and the
// keys there is no turn of the event loop any more, so that no answer can come between.

import { KeyObject, hkdfSync } from 'node:crypto'

let installed = false

/** From now on HKDF is derived at once in this process. Call it in every process that connects to a double. */
export function deriveKeysAtOnce() {
  if (installed) return
  installed = true
  const { subtle } = globalThis.crypto
  const derive = subtle.deriveBits.bind(subtle)
  const value = async (algorithm, key, length) => {
    if (algorithm.name !== 'HKDF') return derive(algorithm, key, length)
    const hash = String(algorithm.hash.name ?? algorithm.hash).replace('-', '')
    return hkdfSync(hash, KeyObject.from(key), algorithm.salt, algorithm.info, length / 8)
  }
  Object.defineProperty(subtle, 'deriveBits', { configurable: true, value })
}
