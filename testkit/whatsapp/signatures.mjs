// Signatures of X25519 keys (XEdDSA), checked.
//
// Invariant: not the code of a client. `Curve.verify` of the installed lines answers true for every signature of 64 bytes, because
// it waits for an exception where libsignal 6.0.0 answers false; the double would see nothing that it looks for.

import { createPublicKey, verify } from 'node:crypto'

const P = 2n ** 255n - 19n

const fromBytes = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
const toBytes = (number) => Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse()

function power(base, exponent) {
  let result = 1n
  for (let bits = exponent, square = base % P; bits > 0n; bits >>= 1n, square = (square * square) % P) {
    if (bits & 1n) result = (result * square) % P
  }
  return result
}

/** The Ed25519 form of a key: `y = (u - 1) / (u + 1)`; which of the two points it is, the signature says. */
function edwards(publicKey, sign) {
  const u = fromBytes(publicKey) & (2n ** 255n - 1n)
  const bytes = toBytes(((u - 1n + P) * power(u + 1n, P - 2n)) % P)
  bytes[31] |= sign
  return bytes
}

/** True if `signature` (64 bytes) of `message` was made with the private key of `publicKey` (32 bytes). */
export function isSigned(publicKey, message, signature) {
  if (signature?.length !== 64 || publicKey?.length !== 32) return false
  const bare = Buffer.from(signature)
  const sign = bare[63] & 0x80
  bare[63] &= 0x7f
  const key = { kty: 'OKP', crv: 'Ed25519', x: edwards(publicKey, sign).toString('base64url') }
  return verify(null, message, createPublicKey({ key, format: 'jwk' }), bare)
}
