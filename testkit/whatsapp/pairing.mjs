// Scan of a QR code by a phone, and what the server passes on of it.
//
// Invariant: both sides prove themselves. The phone signs the device's identity with the key of its account and seals that with
// the secret of the QR code, which the server never sees; the device answers with a signature of its own, which is checked here.

import { createHmac } from 'node:crypto'
import { isSigned } from './signatures.mjs'

const ACCOUNT_SIGNATURE = Buffer.from([6, 0])
const DEVICE_SIGNATURE = Buffer.from([6, 1])

/** The parts of a QR code; newer lines put an address before it and a platform after it. */
export function readQr(qr) {
  const [ref, noiseKey, identityKey, secret] = qr.slice(qr.indexOf('#') + 1).split(',')
  if (!secret) throw new Error('this is not the QR code of a linked device')
  const bytes = (text) => Buffer.from(text, 'base64')
  return { ref, noiseKey: bytes(noiseKey), identityKey: bytes(identityKey), secret: bytes(secret) }
}

/**
 * Message that the phone hands to the server for a device.
 * @param {object} o
 * @param {object} o.baileys
 * @param {{ public: Uint8Array, private: Uint8Array }} o.accountKeys the phone's identity
 * @param {{ identityKey: Buffer, secret: Buffer }} o.qr
 * @param {number} o.keyIndex
 */
export function signDevice({ baileys: { proto, Curve }, accountKeys, qr, keyIndex }) {
  const timestamp = Math.floor(Date.now() / 1000)
  const details = proto.ADVDeviceIdentity.encode({ rawId: 1, timestamp, keyIndex }).finish()
  const accountSignature = Curve.sign(accountKeys.private, Buffer.concat([ACCOUNT_SIGNATURE, details, qr.identityKey]))
  const identity = { details, accountSignatureKey: accountKeys.public, accountSignature }
  const signed = proto.ADVSignedDeviceIdentity.encode(identity).finish()
  const hmac = createHmac('sha256', qr.secret).update(signed).digest()
  return { details, sealed: Buffer.from(proto.ADVSignedDeviceIdentityHMAC.encode({ details: signed, hmac }).finish()) }
}

/** The node that tells the device of its pairing. */
export const pairSuccess = ({ sealed, jid, lid, platform }) => ({
  tag: 'pair-success',
  attrs: {},
  content: [
    { tag: 'device-identity', attrs: {}, content: sealed },
    { tag: 'device', attrs: { jid, lid } },
    { tag: 'platform', attrs: { name: platform } }
  ]
})

/** Checks the device's answer to `pairSuccess`; throws when it is not signed by the device whose identity was in the QR code. */
export function checkDevice({ baileys: { proto, getBinaryNodeChild }, answer, details, accountKeys, qr }) {
  const sign = getBinaryNodeChild(answer, 'pair-device-sign')
  const identity = getBinaryNodeChild(sign, 'device-identity')
  if (!identity) throw new Error('the device did not sign its identity')
  const { deviceSignature } = proto.ADVSignedDeviceIdentity.decode(identity.content)
  const signed = Buffer.concat([DEVICE_SIGNATURE, details, qr.identityKey, accountKeys.public])
  if (!isSigned(qr.identityKey, signed, deviceSignature)) throw new Error('the signature of the device does not fit its identity')
}
