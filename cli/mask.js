'use strict'

// Secrets are not printed, whatever text they have got into.
//
// Invariant: a text is masked as a whole, right before it is written; masking knows the values of this run, not their
// shapes, because digests look like keys.

/** Variables that hold a secret by themselves. Those that name a file are none. */
const SECRET_VARIABLES = [
  'SESSION_ENCRYPTION_KEY',
  'BAILEYS_HYBRID_AUTH_ENCRYPTION_KEYS',
  'SUPABASE_KEY',
  'SUPABASE_SERVICE_KEY',
  'SUPABASE_SERVICE_ROLE_KEY',
  'SUPABASE_ANON_KEY',
  'SUPABASE_PUBLISHABLE_KEY',
  'R2_SECRET_ACCESS_KEY',
  'S3_SECRET_ACCESS_KEY',
  'S3_SECRET_KEY',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'PGPASSWORD',
  'REDIS_PASSWORD',
  'GOOGLE_CREDENTIALS'
]

/** Variables that hold a URL with a password in it. */
const URLS = ['DATABASE_URL', 'POSTGRES_URL', 'SUPABASE_DB_URL', 'REDIS_URL', 'VALKEY_URL']

/** Passwords that are words of every message, and open nothing that they should not. */
const WORDS = ['postgres', 'password']

/** Shorter ones would take ordinary words out of the text, and open nothing. */
const SHORTEST = 8

const MASK = '***'

/** A name and password in a URL. */
const USER_INFO = /(\/\/)[^\s/@:]*:[^\s/@]*@/g

/** Fields of Google's credentials that are secret. */
const SECRET_FIELDS = ['private_key', 'private_key_id', 'client_secret', 'refresh_token']

function within(text) {
  try {
    const fields = JSON.parse(text)
    return SECRET_FIELDS.map((name) => fields[name]).filter((value) => typeof value === 'string')
  } catch {
    return []
  }
}

/** The password in a URL, as it stands there and decoded. */
function passwordIn(text) {
  const found = text.match(/^[^:]+:\/\/[^/?#:]*:([^/?#]*)@/)?.[1]
  if (!found) return []
  try {
    return [found, decodeURIComponent(found)]
  } catch {
    return [found]
  }
}

/** The secrets in these variables, and the parts of those that hold several. */
function secretsOf(env) {
  const inUrls = URLS.flatMap((name) => passwordIn(env[name]?.trim() ?? ''))
  const alone = SECRET_VARIABLES.flatMap((name) => {
    const text = env[name]?.trim()
    if (!text) return []
    if (name.includes('ENCRYPTION_KEY')) return text.split(/[\s,;]+/)
    return [text, ...within(text)]
  })
  return [...alone, ...inUrls].filter((text) => !WORDS.includes(text))
}

function masking() {
  const secrets = new Set()
  return {
    add(texts) {
      for (const text of texts) {
        if (text.length < SHORTEST) continue
        // As it is, as JSON writes it, in an address, and for keys in either case of their digits.
        for (const form of [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]) secrets.add(form)
        if (/^[0-9a-f]+$/i.test(text)) secrets.add(text.toLowerCase()).add(text.toUpperCase())
      }
    },
    apply(text) {
      let masked = text.replace(USER_INFO, `$1${MASK}@`)
      // The long ones first: a short one may be a part of them.
      for (const secret of [...secrets].sort((a, b) => b.length - a.length)) masked = masked.replaceAll(secret, MASK)
      return masked
    }
  }
}

module.exports = { SECRET_VARIABLES, URLS, secretsOf, masking }
