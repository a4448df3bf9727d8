// Identity of who is asking, and what row-level security lets them do: JSON web tokens signed with HS256, and the gateway of hosted projects
// that makes them out of new-style keys.
//
// Invariants: a request has the role its token names and no other; a new-style key in `Authorization` is no token. What a role may
// not see is, for it, not there: only a write is ever refused as forbidden.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Refusal, json, refuse } from './answers.mjs'

/** The roles the database knows. */
const ROLES = ['service_role', 'authenticated', 'anon']
const SINCE = 1_700_000_000
const UNTIL = 4_102_444_800

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const mac = (text, secret) => createHmac('sha256', secret).update(text).digest()

export function signToken(claims, secret) {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${text}.${mac(text, secret).toString('base64url')}`
}

/** The claims of a token, or the reason it is refused, in the words of the server. */
export function verifyToken(token, secret, now) {
  const parts = token.split('.')
  if (parts.length !== 3) return { reason: 'Invalid Compact JWS' }
  let header, claims
  try {
    header = JSON.parse(Buffer.from(parts[0], 'base64url').toString())
    claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString())
  } catch {
    return { reason: 'Invalid Compact JWS' }
  }
  if (header?.alg !== 'HS256') return { reason: '"alg" (Algorithm) Header Parameter value not allowed' }
  const wanted = mac(`${parts[0]}.${parts[1]}`, secret)
  const given = Buffer.from(parts[2], 'base64url')
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return { reason: 'signature verification failed' }
  if (typeof claims.exp === 'number' && claims.exp * 1000 <= now) return { reason: '"exp" claim timestamp check failed' }
  return { claims }
}

/** One key of every kind, good and bad, for a server with this secret. */
export function makeKeys(secret) {
  const lasting = { iat: SINCE, exp: UNTIL }
  const project = { iss: 'supabase', ref: 'dummyproject', ...lasting }
  const person = { sub: '317eadce-631a-4429-a0bb-f19a7a517b4a', aud: 'authenticated', ...lasting }
  return {
    service: signToken({ role: 'service_role', ...project }, secret),
    anon: signToken({ role: 'anon', ...project }, secret),
    user: signToken({ role: 'authenticated', ...person }, secret),
    badsig: signToken({ role: 'service_role', ...lasting }, `${secret}-not`),
    expired: signToken({ role: 'service_role', iat: SINCE, exp: SINCE + 10 }, secret),
    unknown_role: signToken({ role: 'nobody_role', ...lasting }, secret),
    secret: `sb_secret_${randomBytes(16).toString('hex')}`,
    publishable: `sb_publishable_${randomBytes(16).toString('hex')}`
  }
}

/**
 * Headers as the gateway of a hosted project passes them on: a new-style key in `apikey` becomes the token of its role, unless
 * there is an `Authorization` already. It never looks into `Authorization`.
 */
export function throughGateway(headers, keys) {
  const { apikey, authorization } = headers
  if (authorization !== undefined || !apikey?.startsWith('sb_')) return headers
  if (apikey === keys.secret) return { ...headers, authorization: `Bearer ${keys.service}` }
  if (apikey === keys.publishable) return { ...headers, authorization: `Bearer ${keys.anon}` }
  throw new Refusal(json({ message: 'Invalid API key', hint: 'Double check your Supabase API key.' }, 401))
}

const tokenIn = (authorization) => authorization.replace(/^Bearer\s+/i, '')

/**
 * The role of a request. `lenient` is the plain download route: there, whoever has no good token is nobody (`null`) and not
 * refused.
 */
export function roleOf(headers, { secret, now, lenient = false }) {
  if (headers.authorization === undefined) {
    if (lenient) return null
    refuse('invalidRequest', "headers must have required property 'authorization'")
  }
  const { claims, reason } = verifyToken(tokenIn(headers.authorization), secret, now)
  if (reason !== undefined) {
    if (lenient) return null
    refuse('unauthorized', reason)
  }
  const role = claims.role ?? 'anon'
  // Not a refusal but a failure: the role is set in the database, which does not know it.
  if (!ROLES.includes(role)) refuse('unknownRole')
  return role
}

// Rights

const ROW_REFUSED = 'new row violates row-level security policy'

export const may = ({ settings, role }, bucket, ...rights) =>
  role === 'service_role' || rights.every((right) => settings.of(bucket).policies[role]?.includes(right))

export function requireWrite(context, bucket, ...rights) {
  if (!may(context, bucket, ...rights)) refuse('unauthorized', ROW_REFUSED)
}

/** The row, for who may see it. */
export function visibleRow(context, bucket, name) {
  const row = bucket.rows.get(name)
  return row && may(context, bucket.id, 'select') ? row : refuse('objectMissing')
}
