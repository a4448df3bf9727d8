// Identity of who asks: service accounts, the token endpoint and the bearer of a request.
//
// Invariant: a bearer counts only while it is valid by the double's clock, and only if the service account's key signed it or
// the double issued it. The limits are those that are documented: an assertion lives an hour at most and names its audience.

import { createPublicKey, generateKeyPair, randomBytes, verify } from 'node:crypto'
import { promisify } from 'node:util'

const HOUR = 3600
/** Seconds that a signer's clock may be ahead. */
const TOLERANCE = 60
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const SCOPES = ['cloud-platform', 'devstorage.full_control', 'devstorage.read_write'].map(
  (name) => `https://www.googleapis.com/auth/${name}`
)
const SHORT_LIVED =
  'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. ' +
  'Check your iat and exp values in the JWT claim.'

/** A new service account, with a key of its own. */
export async function makeAccount() {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  return {
    email: 'sessions@test-project.iam.gserviceaccount.com',
    keyId: randomBytes(20).toString('hex'),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' })
  }
}

/** The key file of `account`, as text, for a service at `origin`. */
export function keyFile(account, origin) {
  return JSON.stringify({
    type: 'service_account',
    project_id: 'test-project',
    private_key_id: account.keyId,
    private_key: account.privateKey,
    client_email: account.email,
    client_id: '100000000000000000001',
    token_uri: `${origin}/token`,
    gcs_base_url: origin
  })
}

/** The same key file for a client that reaches the service at `origin`. */
export const redirected = (text, origin) => JSON.stringify({ ...JSON.parse(text), token_uri: `${origin}/token`, gcs_base_url: origin })

const decoded = (part) => JSON.parse(Buffer.from(part, 'base64url').toString())

export class Identity {
  #account
  #publicKey
  #ownerToken
  #issued = new Map()
  #verified = new Map()

  /** Validity of bearers: those that the double gives out, and those that a client signs itself. */
  tokenLifetimeMs = HOUR * 1000

  constructor(account, ownerToken, now) {
    this.#account = account
    this.#publicKey = createPublicKey(account.privateKey)
    this.#ownerToken = ownerToken
    this.now = now
  }

  /** The email of a caller for what the service says about it. */
  static nameOf(caller) {
    return caller === null ? 'Anonymous caller' : caller.email
  }

  /** Sender of `authorization`: a caller, null for nobody in particular, undefined for a bearer that does not count. */
  callerOf(authorization) {
    if (authorization === undefined) return null
    const bearer = authorization.match(/^Bearer (\S+)$/)?.[1]
    if (bearer === undefined) return undefined
    if (bearer === this.#ownerToken) return { email: 'owner', isOwner: true }
    const issuedAt = this.#issued.get(bearer) ?? this.#selfSigned(bearer)
    if (issuedAt === undefined || this.now() >= issuedAt + this.tokenLifetimeMs) return undefined
    return { email: this.#account.email, isOwner: false }
  }

  /** A bearer that the client signed itself names the scope in place of an audience. */
  #selfSigned(bearer) {
    const claims = this.#claimsOf(bearer)
    if (claims === null || this.#isUntimely(claims) || claims.iss !== this.#account.email || claims.sub !== claims.iss) return undefined
    const scopes = typeof claims.scope === 'string' ? claims.scope.split(' ') : []
    return SCOPES.some((scope) => scopes.includes(scope)) ? claims.iat * 1000 : undefined
  }

  /** The claims of a JWT that the account's key signed, else null. */
  #claimsOf(jwt) {
    if (this.#verified.has(jwt)) return this.#verified.get(jwt)
    const claims = this.#verify(jwt)
    if (claims !== null) this.#verified.set(jwt, claims)
    return claims
  }

  #verify(jwt) {
    const [head, body, signature, more] = jwt.split('.')
    if (signature === undefined || more !== undefined) return null
    try {
      const { alg, kid } = decoded(head)
      if (alg !== 'RS256' || kid !== this.#account.keyId) return null
      const signed = verify('RSA-SHA256', Buffer.from(`${head}.${body}`), this.#publicKey, Buffer.from(signature, 'base64url'))
      return signed ? decoded(body) : null
    } catch {
      return null
    }
  }

  #isUntimely({ iat, exp }) {
    const now = this.now() / 1000
    return !Number.isInteger(iat) || !Number.isInteger(exp) || iat > now + TOLERANCE || exp <= now || exp - iat > HOUR
  }

  /** The token endpoint: an assertion for a bearer. `audiences` are the addresses that this endpoint has. */
  exchange(form, audiences) {
    const refused = (error, text) => ({ status: 400, json: { error, error_description: text } })
    if (form.get('grant_type') !== GRANT) return refused('unsupported_grant_type', `Invalid grant_type: ${form.get('grant_type')}`)
    const claims = this.#claimsOf(form.get('assertion') ?? '')
    if (claims === null) return refused('invalid_grant', 'Invalid JWT Signature.')
    if (claims.iss !== this.#account.email) return refused('invalid_grant', 'Invalid grant: account not found')
    if (this.#isUntimely(claims)) return refused('invalid_grant', SHORT_LIVED)
    if (!audiences.includes(claims.aud)) return refused('invalid_grant', 'Invalid JWT: Failed audience check.')
    const scopes = typeof claims.scope === 'string' ? claims.scope.split(' ') : []
    if (!SCOPES.some((scope) => scopes.includes(scope)))
      return refused('invalid_scope', 'Invalid OAuth scope or ID token audience provided.')
    return { status: 200, json: this.issue() }
  }

  /** A new bearer of the service account. */
  issue() {
    const token = `ya29.${randomBytes(48).toString('base64url')}`
    this.#issued.set(token, this.now())
    return { access_token: token, expires_in: Math.max(1, Math.floor(this.tokenLifetimeMs / 1000)), token_type: 'Bearer' }
  }
}
