// The part of WhatsApp's server that a Signal world needs: who has which devices, and one-time pre-keys to open sessions
// with.
//
// Invariant: a one-time pre-key is handed out once. What is left here for the subject is what the subject must still have in
// its store.

import { fromWire, toWire } from './wire.mjs'

const GROUP_SIZE = 5
const COMPANION_DEVICE = 7
const numbered = (prefix, n) => `${prefix}${String(n).padStart(6, '0')}`

/** The accounts of a world: number 0 is the subject's, with a phone and the subject; every third contact or so has a companion device. */
export function makeBook(random, contacts, subjectDevice) {
  return Array.from({ length: contacts + 1 }, (_, n) => {
    const second = n === 0 ? [subjectDevice] : random.next() < 0.3 ? [COMPANION_DEVICE] : []
    return { pn: numbered('49155500', n), lid: numbered('1000000007', n), devices: [0, ...second] }
  })
}

export function makeGroups(groups, contacts) {
  const members = Array.from({ length: Math.min(contacts, GROUP_SIZE) }, (_, n) => n + 1)
  return Array.from({ length: groups }, (_, n) => ({ jid: `${numbered('120363', n)}@g.us`, members }))
}

export class KeyServer {
  /** @param {{ pn: string, lid: string, devices: number[] }[]} book the accounts, by phone number and by LID */
  constructor(book) {
    this.book = book
    this.devices = new Map()
  }

  /** Takes what getNextPreKeysNode uploads: the identity, the signed pre-key, and further one-time pre-keys. */
  upload(account, device, { registrationId, identity, signedPreKey, preKeys }) {
    const name = `${account}:${device}`
    const known = this.devices.get(name)
    const waiting = new Map(known?.preKeys)
    for (const key of preKeys) waiting.set(key.id, key)
    this.devices.set(name, { registrationId, identity, signedPreKey, preKeys: waiting })
  }

  remaining(account, device) {
    return [...this.devices.get(`${account}:${device}`).preKeys.values()]
  }

  /** @param {string[]} jids device addresses in either form @returns one bundle for each */
  bundles(jids) {
    return jids.map((jid) => {
      const [user, deviceText] = jid.split('@')[0].split(':')
      const account = this.book.findIndex(({ pn, lid }) => pn === user || lid === user)
      const device = this.devices.get(`${account}:${deviceText ?? 0}`)
      if (!device) throw new Error(`no such device: ${jid}`)
      const { value: preKey } = device.preKeys.values().next()
      if (preKey) device.preKeys.delete(preKey.id)
      const { registrationId, identity, signedPreKey } = device
      return { jid, registrationId, identity, signedPreKey, preKey: preKey ?? null }
    })
  }

  dump() {
    return toWire([...this.devices].map(([name, device]) => [name, { ...device, preKeys: [...device.preKeys] }]))
  }

  load(dump) {
    this.devices = new Map(fromWire(dump).map(([name, device]) => [name, { ...device, preKeys: new Map(device.preKeys) }]))
  }
}
