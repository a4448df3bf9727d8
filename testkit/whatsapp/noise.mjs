// The server's side of WhatsApp's transport: Noise_XX_25519_AESGCM_SHA256 with the client's first bytes as prologue, and frames
// with a length of three bytes.
//
// Invariant: written with Node's crypto and from the description of Noise, not with the code of a client, so that a mistake on
// one side does not meet its own mirror image on the other. A frame whose tag does not fit throws.

import { createCipheriv, createDecipheriv, createHash, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto'

const MODE = Buffer.from('Noise_XX_25519_AESGCM_SHA256\0\0\0\0')
const TAG = 16

/** An X25519 key pair. `public` is its 32 bytes. */
export function newKeyPair() {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  return { private: privateKey, public: Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url') }
}

function shared(privateKey, publicBytes) {
  const key = { kty: 'OKP', crv: 'X25519', x: Buffer.from(publicBytes).toString('base64url') }
  return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: 'jwk' }) })
}

function nonce(counter) {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32BE(counter, 8)
  return bytes
}

function seal(key, counter, plaintext, bound) {
  const cipher = createCipheriv('aes-256-gcm', key, nonce(counter)).setAAD(bound)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

function open(key, counter, sealed, bound) {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce(counter)).setAAD(bound).setAuthTag(sealed.subarray(-TAG))
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG)), decipher.final()])
}

/** The handshake of one connection, in the order of its calls: `hello`, `finish`; then `seal` and `open`, frame by frame. */
export class ServerNoise {
  #hash = MODE
  #chain = MODE
  #key = MODE
  #counter = 0

  /** @param {Buffer} prologue what the client sent before its first frame */
  constructor(prologue) {
    this.#mixHash(prologue)
  }

  /**
   * Answers the first message of the client.
   * @returns {{ ephemeral: Buffer, static: Buffer, payload: Buffer }} the parts of a ServerHello
   */
  hello(clientEphemeral, staticKeys, certificate) {
    this.#mixHash(clientEphemeral)
    this.ephemeral = newKeyPair()
    this.#mixHash(this.ephemeral.public)
    this.#mixKey(shared(this.ephemeral.private, clientEphemeral))
    const sealedStatic = this.#encrypt(staticKeys.public)
    this.#mixKey(shared(staticKeys.private, clientEphemeral))
    return { ephemeral: this.ephemeral.public, static: sealedStatic, payload: this.#encrypt(certificate) }
  }

  /** Opens the second message of the client, which proves its static key. */
  finish(sealedStatic, sealedPayload) {
    const clientStatic = this.#decrypt(sealedStatic)
    this.#mixKey(shared(this.ephemeral.private, clientStatic))
    const payload = this.#decrypt(sealedPayload)
    const keys = Buffer.from(hkdfSync('sha256', Buffer.alloc(0), this.#chain, '', 64))
    const [received, sent] = [keys.subarray(0, 32), keys.subarray(32)]
    let [opened, sealed] = [0, 0]
    this.open = (frame) => open(received, opened++, frame, Buffer.alloc(0))
    this.seal = (bytes) => seal(sent, sealed++, bytes, Buffer.alloc(0))
    return { static: clientStatic, payload }
  }

  #mixHash(bytes) {
    this.#hash = createHash('sha256').update(this.#hash).update(bytes).digest()
  }

  #mixKey(secret) {
    const both = Buffer.from(hkdfSync('sha256', secret, this.#chain, '', 64))
    this.#chain = both.subarray(0, 32)
    this.#key = both.subarray(32)
    this.#counter = 0
  }

  #encrypt(plaintext) {
    const sealed = seal(this.#key, this.#counter++, plaintext, this.#hash)
    this.#mixHash(sealed)
    return sealed
  }

  #decrypt(sealed) {
    const plaintext = open(this.#key, this.#counter++, Buffer.from(sealed), this.#hash)
    this.#mixHash(sealed)
    return plaintext
  }
}

export function frame(bytes) {
  const length = Buffer.alloc(3)
  length.writeUIntBE(bytes.length, 0, 3)
  return Buffer.concat([length, bytes])
}

/** Cuts the bytes of a connection into its introduction and its frames, however they arrive. */
export class Frames {
  #bytes = Buffer.alloc(0)
  /** `WA`, 6 and the version of the dictionary, once it has arrived: the prologue of the handshake. */
  prologue = null

  push(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    if (!this.prologue && !this.#introduction()) return []
    const frames = []
    while (this.#bytes.length >= 3) {
      const end = 3 + this.#bytes.readUIntBE(0, 3)
      if (this.#bytes.length < end) break
      frames.push(this.#bytes.subarray(3, end))
      this.#bytes = this.#bytes.subarray(end)
    }
    return frames
  }

  /** A client that was told its edge before names it first: `ED`, 0, 1, three bytes of length, the name. */
  #introduction() {
    const bytes = this.#bytes
    if (bytes.length < 4) return false
    if (bytes.subarray(0, 2).toString() === 'ED') {
      if (bytes.length < 7 || bytes.length < 7 + bytes.readUIntBE(4, 3) + 4) return false
      this.#bytes = bytes.subarray(7 + bytes.readUIntBE(4, 3))
    }
    const prologue = this.#bytes.subarray(0, 4)
    if (prologue.subarray(0, 2).toString() !== 'WA' || prologue[2] !== 6) throw new Error('this is not a client of WhatsApp')
    this.prologue = prologue
    this.#bytes = this.#bytes.subarray(4)
    return true
  }
}
