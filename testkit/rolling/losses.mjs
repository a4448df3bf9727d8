// Faults that may occur in conversations after the last writes of an owner were lost, and no further than that.
//
// Invariant: each failure that is forgiven follows from an answered command whose writes lie beyond the LSN with which the next
// owner opened. A conversation that was not touched since then must go on as if nothing had happened, and one that was touched is
// beyond doubt again as soon as both directions have worked, or a new session was made.

export class Losses {
  /** device -> directions of its conversation that may not work: `in` to the subject, `out` from it. */
  #conversations = new Map()
  /** `group device`: the subject may have lost the sender key. */
  #senderKeys = new Set()
  /** group -> how many messages its members have had from the subject, and how many it remembers to have sent. */
  #groups = new Map()
  #collections = new Set()
  #tokens = new Set()
  #preKeys = new Set()

  /** Takes an answered command whose writes are gone. */
  lose({ kind, peer, group, to = [], collection, account, preKeys = [] }) {
    // A session that was made in it is known to the other side only, whoever made it.
    for (const device of peer ? [peer] : to) this.#conversations.set(device, new Set(['in', 'out']))
    if (kind === 'groupReceived') this.#senderKeys.add(`${group} ${peer}`)
    if (kind === 'groupSent') this.#group(group).remembered -= 1
    if (collection) this.#collections.add(collection)
    if (kind === 'token') this.#tokens.add(account)
    for (const id of preKeys) this.#preKeys.add(id)
  }

  mayFail(device, direction) {
    return this.#conversations.get(device)?.has(direction) ?? false
  }

  worked(device, direction) {
    this.#conversations.get(device)?.delete(direction)
  }

  /** A new session was made with that device. */
  renewed(device) {
    this.#conversations.delete(device)
  }

  mayLackSenderKey(group, device) {
    return this.#senderKeys.has(`${group} ${device}`)
  }

  hasSenderKey(group, device) {
    this.#senderKeys.delete(`${group} ${device}`)
  }

  /**
   * Counts a message to a group. One whose key was used before the loss is refused by whoever had that key, as a message that it
   * has seen. Answers whether that may happen to this one.
   */
  sentToGroup(name) {
    const group = this.#group(name)
    group.remembered += 1
    const mayBeRefused = group.remembered <= group.seen
    group.seen = Math.max(group.seen, group.remembered)
    return mayBeRefused
  }

  /** True if the app state may be of an older version than its phone knows; asked once. */
  takeCollection(collection) {
    return this.#collections.delete(collection)
  }

  takeToken(account) {
    return this.#tokens.delete(account)
  }

  /** One-time keys that were uploaded, and are gone. */
  takePreKeys() {
    const taken = this.#preKeys
    this.#preKeys = new Set()
    return taken
  }

  #group(name) {
    if (!this.#groups.has(name)) this.#groups.set(name, { seen: 0, remembered: 0 })
    return this.#groups.get(name)
  }
}
