// One WhatsApp device without its socket: Baileys' own Signal code on an auth state, with the store calls of relayMessage and
// handleMessage.
//
// Invariant: all reading and writing goes through the wrappers that makeWASocket puts around `auth.keys`, in the order in
// which the installed line of Baileys does it. One deliberate difference: Baileys hands a ciphertext to the socket inside its
// transaction, before the store has the ratchet step; here a method returns only after every store call has resolved, because
// "acknowledged" must mean something to a test.

import { silentLogger, takeSessionErrors, classifyFailure, transactionOptions } from './baileys.mjs'

/** Number of messages for which a device list stays cached; Baileys keeps it five minutes. */
const DEVICE_LIST_LIFE = 300
const TOKEN_INDEX = '__index'

export class Device {
  /**
   * @param {object} o
   * @param {{ baileys: object, hasLids: boolean }} o.line
   * @param {{ state: object, saveCreds: () => Promise<void> }} o.auth
   * @param {{ account: number, device: number }} o.me
   * @param {{ pn: string, lid: string, devices: number[] }[]} o.book
   * @param {(jids: string[]) => Promise<object[]>} o.fetchBundles asks the key server
   */
  constructor({ line, auth, me, book, fetchBundles }) {
    const { baileys, hasLids } = line
    Object.assign(this, { baileys, hasLids, me, book, fetchBundles })
    this.creds = auth.state.creds
    this.saveCreds = auth.saveCreds
    this.keys = baileys.addTransactionCapability(auth.state.keys, silentLogger, transactionOptions(baileys))
    const lidsFor = async (pns) => pns.map((pn) => ({ pn, lid: `${this.#accountOf(pn).lid}@lid` }))
    this.repository = baileys.DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds: this.creds, keys: this.keys }, silentLogger, lidsFor)
    this.deviceLists = new Map()
    this.sends = 0
  }

  /** The address by which others know this device: its LID where the line has LIDs, else its phone number. */
  get jid() {
    return this.addressOf(this.me.account, this.me.device)
  }

  addressOf(account, device, byPhoneNumber = !this.hasLids) {
    const { pn, lid } = this.book[account]
    return `${byPhoneNumber ? pn : lid}${device ? `:${device}` : ''}@${byPhoneNumber ? 's.whatsapp.net' : 'lid'}`
  }

  /** creds.update as makeWASocket does it. Baileys does not wait for saveCreds; a result that is reported must, so we do. */
  async updateCreds(update) {
    Object.assign(this.creds, update)
    await this.saveCreds()
  }

  async pair() {
    const { proto } = this.baileys
    const accountSignatureKey = Buffer.alloc(32, 2)
    const [accountSignature, deviceSignature] = [Buffer.alloc(64, 1), Buffer.alloc(64, 3)]
    const details = Buffer.alloc(12, 7)
    const account = proto.ADVSignedDeviceIdentity.create({ details, accountSignature, accountSignatureKey, deviceSignature })
    const me = { id: this.addressOf(this.me.account, this.me.device, true), name: `account ${this.me.account}` }
    if (this.hasLids) me.lid = this.jid
    const signalIdentities = [this.baileys.createSignalIdentity(me.id, accountSignatureKey)]
    await this.updateCreds({ account, me, signalIdentities, platform: 'android', registered: true })
  }

  /** uploadPreKeys of the socket, ending where it hands the node to the server. */
  async uploadPreKeys(count) {
    const { getNextPreKeysNode, getBinaryNodeChild, getBinaryNodeChildren, getBinaryNodeChildBuffer, getBinaryNodeChildUInt } = this.baileys
    const saves = []
    const node = await this.keys.transaction(async () => {
      const { update, node } = await getNextPreKeysNode({ creds: this.creds, keys: this.keys }, count)
      saves.push(this.updateCreds(update))
      return node
    }, this.creds.me.id)
    await Promise.all(saves)
    const keyOf = (n) => ({ id: getBinaryNodeChildUInt(n, 'id', 3), public: Buffer.from(getBinaryNodeChildBuffer(n, 'value')) })
    const signed = getBinaryNodeChild(node, 'skey')
    return {
      registrationId: this.creds.registrationId,
      identity: Buffer.from(this.creds.signedIdentityKey.public),
      signedPreKey: { ...keyOf(signed), signature: Buffer.from(getBinaryNodeChildBuffer(signed, 'signature')) },
      preKeys: getBinaryNodeChildren(getBinaryNodeChild(node, 'list'), 'key').map(keyOf)
    }
  }

  /** sendMessage to one account: every device of that account and our own other devices get a ciphertext of their own. */
  async send({ account, plaintext }) {
    this.sends += 1
    const sent = { to: [], token: null }
    await this.keys.transaction(async () => {
      const recipients = await this.#devicesOf([this.me.account, account], true)
      await this.#assertSessions(recipients.map(({ jid }) => jid))
      sent.to = await Promise.all(recipients.map((device) => this.#encryptTo(device, plaintext)))
      if (this.hasLids) sent.token = await this.#takeToken(account)
    }, this.creds.me.id)
    return sent
  }

  /** A message to one device only: how the peers of a world write to the subject. */
  async sendToDevice({ account, device, plaintext }) {
    const jid = this.addressOf(account, device)
    return this.keys.transaction(async () => {
      await this.#assertSessions([jid])
      return this.#encryptTo({ account, device, jid }, plaintext)
    }, this.creds.me.id)
  }

  /** Takes a new bundle of a device and begins a session with it, in place of the one there is. */
  async beginSession({ account, device }) {
    await this.keys.transaction(() => this.#assertSessions([this.addressOf(account, device)], true), this.creds.me.id)
  }

  /** handleMessage for a 1:1 message. `alternative` is the sender's LID when `from` is its phone number. */
  async receive({ from, alternative, type, ciphertext }) {
    return this.#attempt(async () => {
      const jid = await this.#decryptionAddress(from, alternative)
      return this.repository.decryptMessage({ jid, type, ciphertext })
    })
  }

  /**
   * sendMessage to a group. Members who lack our sender key get it first, in a message of their own.
   * @param {{ group: string, accounts?: number[], device?: object, plaintext: Buffer, again?: boolean }} o `again`: a retry receipt came,
   *   so forget who has the key, as sendMessagesAgain does
   */
  async sendGroup({ group, accounts, device, plaintext, again }) {
    this.sends += 1
    if (again) await this.keys.set({ 'sender-key-memory': { [group]: null } })
    const sent = { distribution: [], ciphertext: null }
    await this.keys.transaction(async () => {
      const { [group]: memory } = await this.keys.get('sender-key-memory', [group])
      const known = memory || {}
      const recipients = device
        ? [{ ...device, jid: this.addressOf(device.account, device.device) }]
        : await this.#devicesOf(accounts, false)
      const encrypted = await this.repository.encryptGroupMessage({ group, meId: this.jid, data: plaintext })
      const lacking = recipients.filter(({ jid }) => !known[jid])
      for (const { jid } of lacking) known[jid] = true
      if (lacking.length) {
        await this.#assertSessions(lacking.map(({ jid }) => jid))
        const { Message } = this.baileys.proto
        const item = { groupId: group, axolotlSenderKeyDistributionMessage: encrypted.senderKeyDistributionMessage }
        const body = Buffer.from(Message.encode(Message.fromObject({ senderKeyDistributionMessage: item })).finish())
        sent.distribution = await Promise.all(lacking.map((recipient) => this.#encryptTo(recipient, body)))
      }
      sent.ciphertext = Buffer.from(encrypted.ciphertext)
      await this.keys.set({ 'sender-key-memory': { [group]: known } })
    }, this.creds.me.id)
    return sent
  }

  /** handleMessage for a group message: the sender key, if one comes along, then the message. Each part fails for itself, as in Baileys. */
  async receiveGroup({ group, author, alternative, distribution, ciphertext }) {
    let key = null
    if (distribution) {
      key = await this.receive({ from: author, alternative, ...distribution })
      if (key.plaintext) {
        const { senderKeyDistributionMessage: item } = this.baileys.proto.Message.decode(key.plaintext)
        await this.repository.processSenderKeyDistributionMessage({ item, authorJid: author })
      }
    }
    const message = await this.#attempt(() => this.repository.decryptGroupMessage({ group, authorJid: author, msg: ciphertext }))
    return { ...message, distribution: key && { failure: key.failure ?? null, message: key.message } }
  }

  /** The phone shares its app-state keys with a new companion device. */
  async takeAppStateKeys(shared) {
    const { AppStateSyncKeyData } = this.baileys.proto.Message
    await this.keys.transaction(async () => {
      for (const { id, keyData } of shared) {
        const fingerprint = { rawId: 7, currentIndex: 1, deviceIndexes: [0, 1] }
        const value = AppStateSyncKeyData.fromObject({ keyData, fingerprint, timestamp: 1700000000000 })
        await this.keys.set({ 'app-state-sync-key': { [id]: value } })
      }
    }, this.creds.me.id)
    await this.updateCreds({ myAppStateKeyId: shared.at(-1).id })
  }

  appStateKey = async (id) => (await this.keys.get('app-state-sync-key', [id]))[id]

  async appState(collection) {
    const { [collection]: stored } = await this.keys.get('app-state-sync-version', [collection])
    return stored ?? this.baileys.newLTHashState()
  }

  /** appPatch: archive a chat, mute it, and so on. */
  async appPatch({ collection, chat, archived }) {
    return this.keys.transaction(async () => {
      const before = await this.appState(collection)
      const change = {
        type: collection,
        index: ['archive', chat],
        syncAction: { timestamp: 1700000000, archiveChatAction: { archived } },
        apiVersion: 3,
        operation: this.baileys.proto.SyncdMutation.SyncdOperation.SET
      }
      const { patch, state } = await this.baileys.encodeSyncdPatch(change, this.creds.myAppStateKeyId, before, this.appStateKey)
      await this.keys.set({ 'app-state-sync-version': { [collection]: state } })
      const bytes = Buffer.from(this.baileys.proto.SyncdPatch.encode(patch).finish())
      const summary = ({ version, hash }) => ({ version, hash: Buffer.from(hash) })
      return { before: summary(before), patch: bytes, ...summary(state) }
    }, this.creds.me.id)
  }

  /** resyncAppState with a snapshot: the server's state takes the place of ours. */
  async resyncAppState({ collection, state }) {
    await this.keys.transaction(() => this.keys.set({ 'app-state-sync-version': { [collection]: state } }), this.creds.me.id)
  }

  /** A history sync names the LIDs of contacts. */
  async learnLids(accounts) {
    if (!this.hasLids) return
    const pairs = accounts.map((account) => ({ pn: this.addressOf(account, 0, true), lid: this.addressOf(account, 0) }))
    await this.repository.lidMapping.storeLIDPNMappings(pairs)
  }

  /** A privacy-token notification of a contact. */
  async takeToken({ account, token, timestamp }) {
    const jid = this.addressOf(account, 0)
    const { [jid]: known } = await this.keys.get('tctoken', [jid])
    await this.keys.set({ tctoken: { [jid]: { ...known, token, timestamp }, ...(await this.#tokenIndexWith(jid)) } })
  }

  close() {
    this.repository.close?.()
  }

  #accountOf(jid) {
    const user = jid.split('@')[0].split(':')[0]
    return this.book.find(({ pn, lid }) => pn === user || lid === user)
  }

  async #attempt(work) {
    takeSessionErrors()
    try {
      return { plaintext: Buffer.from(await work()) }
    } catch (error) {
      return { failure: classifyFailure(error, takeSessionErrors()), message: error.message }
    }
  }

  async #encryptTo({ account, device, jid }, data) {
    const { type, ciphertext } = await this.repository.encryptMessage({ jid, data })
    return { account, device, type, ciphertext: Buffer.from(ciphertext) }
  }

  async #decryptionAddress(from, alternative) {
    if (!this.hasLids || from.endsWith('@lid')) return from
    const mapped = await this.repository.lidMapping.getLIDForPN(from)
    if (!mapped && alternative) {
      await this.repository.lidMapping.storeLIDPNMappings([{ lid: alternative, pn: from }])
      await this.repository.migrateSession(from, alternative)
    }
    return mapped || from
  }

  /** getUSyncDevices. A fresh list makes a line with LIDs open a new session with every LID it learns, as the original does. */
  async #devicesOf(accounts, byPhoneNumber) {
    const isFresh = (account) => this.sends - this.deviceLists.get(`${account}/${byPhoneNumber}`) < DEVICE_LIST_LIFE
    const stale = accounts.filter((account) => !isFresh(account))
    if (stale.length) {
      if (this.hasLids && byPhoneNumber) {
        await this.learnLids(stale)
        await this.#assertSessions(
          stale.map((account) => this.addressOf(account, 0)),
          true
        )
      }
      const userOf = (account) => (byPhoneNumber ? this.book[account].pn : this.book[account].lid)
      const lists = Object.fromEntries(stale.map((account) => [userOf(account), this.book[account].devices.map(String)]))
      if (this.hasLids) await this.keys.set({ 'device-list': lists })
      for (const account of stale) this.deviceLists.set(`${account}/${byPhoneNumber}`, this.sends)
    }
    return accounts.flatMap((account) =>
      this.book[account].devices
        .filter((device) => account !== this.me.account || device !== this.me.device)
        .map((device) => ({ account, device, jid: this.addressOf(account, device, byPhoneNumber || !this.hasLids) }))
    )
  }

  async #assertSessions(jids, force = false) {
    const lacking = []
    for (const jid of jids) {
      if (force || !(await this.#hasSession(jid))) lacking.push(jid)
    }
    if (!lacking.length) return
    const wanted = this.hasLids ? lacking.map((jid) => this.#asLid(jid)) : lacking
    const { encodeBigEndian, xmppSignedPreKey, xmppPreKey } = this.baileys
    const users = (await this.fetchBundles(wanted)).map(({ jid, registrationId, identity, signedPreKey, preKey }) => ({
      tag: 'user',
      attrs: { jid },
      content: [
        { tag: 'registration', attrs: {}, content: encodeBigEndian(registrationId) },
        { tag: 'identity', attrs: {}, content: identity },
        xmppSignedPreKey({ keyId: signedPreKey.id, keyPair: { public: signedPreKey.public }, signature: signedPreKey.signature }),
        ...(preKey ? [xmppPreKey({ public: preKey.public }, preKey.id)] : [])
      ]
    }))
    const list = { tag: 'list', attrs: {}, content: users }
    await this.baileys.parseAndInjectE2ESessions({ tag: 'iq', attrs: {}, content: [list] }, this.repository)
  }

  async #hasSession(jid) {
    if (this.repository.validateSession) return (await this.repository.validateSession(jid)).exists
    const address = this.repository.jidToSignalProtocolAddress(jid)
    return Boolean((await this.keys.get('session', [address]))[address])
  }

  #asLid(jid) {
    const device = Number(jid.split('@')[0].split(':')[1] ?? 0)
    return this.addressOf(this.book.indexOf(this.#accountOf(jid)), device)
  }

  /** The token that goes out with a 1:1 message; the first message to a contact also notes that ours was issued. */
  async #takeToken(account) {
    const jid = this.addressOf(account, 0)
    const { [jid]: entry } = await this.keys.get('tctoken', [jid])
    if (entry?.senderTimestamp === undefined) {
      const issued = { token: Buffer.alloc(0), ...entry, senderTimestamp: 1700000000 }
      await this.keys.set({ tctoken: { [jid]: issued, ...(await this.#tokenIndexWith(jid)) } })
    }
    return entry?.token?.length ? Buffer.from(entry.token) : null
  }

  async #tokenIndexWith(jid) {
    const { [TOKEN_INDEX]: index } = await this.keys.get('tctoken', [TOKEN_INDEX])
    const known = index?.token?.length ? JSON.parse(Buffer.from(index.token).toString()) : []
    return { [TOKEN_INDEX]: { token: Buffer.from(JSON.stringify([...new Set([...known, jid])])) } }
  }
}
