// The phone's side of app state: it applies each patch of the subject to its own copy.
//
// Invariant: the patch's MACs are checked with the shared key, and the phone's hash after it must be the subject's hash; so a
// version that the subject's store lost or mixed up shows at the next patch.

import { LostAcknowledged } from './ledger.mjs'

export const COLLECTIONS = ['regular_high', 'regular_low', 'regular']

/** True if the subject shows the state that its phone knows. */
export const isSameState = (known, shown) => shown.version === known.version && shown.hash.equals(known.hash)

/** Error for a subject that shows another one. */
export const lostState = (collection, known, shown) =>
  new LostAcknowledged(`app state ${collection}: version ${known.version} became ${shown.version}`)

export const newAppState = ({ baileys }) => baileys.newLTHashState()

/**
 * @param {import('./device.mjs').Device} phone
 * @param {string} collection
 * @param {{ version: number, hash: Buffer, indexValueMap: object }} known the phone's state before
 * @param {{ patch: Buffer, version: number, hash: Buffer }} done what the subject reported
 * @returns the phone's state after
 */
export async function phoneApplies(phone, collection, known, done) {
  const { proto, decodeSyncdPatch } = phone.baileys
  const patch = proto.SyncdPatch.decode(done.patch)
  patch.version = { version: done.version }
  const { hash, indexValueMap } = await decodeSyncdPatch(patch, collection, known, phone.appStateKey, () => {}, true)
  if (!Buffer.from(hash).equals(done.hash)) throw new Error(`the phone disagrees about app state ${collection}`)
  const entries = Object.entries(indexValueMap).map(([index, { valueMac }]) => [index, { valueMac: Buffer.from(valueMac) }])
  return { version: done.version, hash: Buffer.from(hash), indexValueMap: Object.fromEntries(entries) }
}
