// The certificates of WhatsApp's double: a root of its own, the chain that a handshake shows, and how a client is told to trust it.
//
// Invariant: nothing of a client is changed but the one public key that it checks the chain with, and only where there is one:
// Baileys 7 means to verify the chain against `WA_CERT_DETAILS.PUBLIC_KEY`, a member of an exported object; the 6.x lines compare
// the serial number of the issuer (0) and look at no signature, so that they take the double as it is. What Baileys 7 makes of a
// signature that does not fit is told in signatures.mjs: a test that needs a refused certificate takes another serial number.

/** A root key, and what it needs to sign. XEdDSA signatures are Baileys' own: Node has none. */
export class Authority {
  /** @param {object} baileys any line: `Curve` and `proto` are used */
  constructor(baileys) {
    this.baileys = baileys
    this.keys = baileys.Curve.generateKeyPair()
  }

  /** The key that a client must know: 32 bytes. */
  get publicKey() {
    return Buffer.from(this.keys.public)
  }

  /**
   * The chain for a server with the static key `serverKey`.
   * @param {Uint8Array} serverKey
   * @param {{ issuerSerial?: number }} [o] another serial makes a chain that every line refuses
   */
  chainFor(serverKey, { issuerSerial = 0 } = {}) {
    const {
      Curve,
      proto: { CertChain }
    } = this.baileys
    const middle = Curve.generateKeyPair()
    const certify = (details, signer) => {
      const encoded = CertChain.NoiseCertificate.Details.encode(details).finish()
      return { details: encoded, signature: Curve.sign(signer.private, encoded) }
    }
    const [notBefore, notAfter] = [1_600_000_000, 4_000_000_000]
    const intermediate = certify({ serial: 1, issuerSerial, key: middle.public, notBefore, notAfter }, this.keys)
    const leaf = certify({ serial: 2, issuerSerial: 1, key: serverKey, notBefore, notAfter }, middle)
    return Buffer.from(CertChain.encode({ leaf, intermediate }).finish())
  }
}

/**
 * Makes a loaded Baileys trust another root from now on, in this process.
 * @param {object} baileys the namespace
 * @param {Uint8Array} publicKey
 * @returns {() => void} puts the former key back
 */
export function trust(baileys, publicKey) {
  const details = baileys.WA_CERT_DETAILS ?? baileys.default?.WA_CERT_DETAILS
  if (!details?.PUBLIC_KEY) return () => {}
  const former = details.PUBLIC_KEY
  details.PUBLIC_KEY = Buffer.from(publicKey)
  return () => {
    details.PUBLIC_KEY = former
  }
}
