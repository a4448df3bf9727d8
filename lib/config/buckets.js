'use strict'

// Buckets as the store: S3, Google Cloud Storage and Supabase, from an object, a URL or variables to what the core is told.
//
// Invariants: a key of a Supabase project goes to the address it was given with, and to no other; a key that everybody may know is refused.
// An address at which others can listen is never passed over in silence.

const { awsCredentials } = require('./aws.js')
const { address, first, flag, line, refuse, refuseHalf, token, variable } = require('../checks.js')
const { googleCredentials } = require('./google.js')

const KEYS_OF_S3 = 'pass `accessKeyId` and `secretAccessKey` in a store object, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
const KEYS_OF_GOOGLE = 'pass `credentials` in a store object, or set GOOGLE_APPLICATION_CREDENTIALS'
const KEYS_OF_SUPABASE = 'pass `url` and `key` in a store object, or set SUPABASE_URL and SUPABASE_SERVICE_KEY'

/** Characters that Supabase allows in names. */
const SUPABASE_NAMES = /^[\w/!.*'() &$=@;:+,?-]*$/

/** Names of buckets, by each store's own rules: those of S3 are its older ones, which some servers still go by. */
const BUCKETS_OF_S3 = { form: /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, words: 'letters, digits, hyphens, dots and underscores' }
const BUCKETS_OF_GOOGLE = {
  form: /^[a-z0-9]([a-z0-9._-]{0,220}[a-z0-9])?$/,
  words: 'lower-case letters, digits, hyphens, dots and underscores'
}
const BUCKETS_OF_SUPABASE = { form: /^[\w!.*'() &$=@;:+,?-]{1,100}$/, words: "letters, digits and !-.*'() &$@=;:+,?" }
/** A part of a host name. */
const HOST_PART = /^(?!xn--)(?!.*\.(xn--|\.))[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/

/** The endpoint of a store, and a word to the logger when others can listen. */
function endpointOf(place, { secretsBelong }, warn) {
  const endpoint = address(place, { secretsBelong })
  if (endpoint?.isOpen) {
    warn(`${place.from} is an http: address: credentials, object names and sizes travel unencrypted; encrypted contents stay encrypted`)
  }
  return endpoint
}

/** True for an address of Cloudflare R2. */
function isOfR2(endpoint, env) {
  if (endpoint === null) return false
  const { value } = variable(env, 'R2_ENDPOINT')
  const own = value !== undefined && URL.canParse(value) && new URL(value).origin === endpoint.origin
  return own || endpoint.host.endsWith('.r2.cloudflarestorage.com')
}

function s3({ from, look, place }, { env, http, warn, note }) {
  const given = first(look('endpoint'), variable(env, 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'))
  const endpoint = endpointOf(given, S3, warn)
  const isR2 = isOfR2(endpoint, env)
  // R2's dashboard shows the address with the bucket at its end.
  if (isR2 && endpoint.path === `/${place.bucket}`) endpoint.text = endpoint.origin
  else if (isR2 && endpoint.path !== '') refuse(`${given.from} must end after the host: set the bucket separately`)
  // Regions of AWS mean nothing to R2.
  const region = isR2 ? look('region') : first(look('region'), variable(env, 'AWS_REGION', 'AWS_DEFAULT_REGION'))
  if (region.value !== undefined && !/^[\w.-]{1,64}$/.test(line(region)))
    refuse(`${region.from} must be the name of a region, such as eu-central-1`)
  const pathStyle = look('pathStyle')
  // The certificate of AWS covers one label before its name: a bucket with a dot has two.
  const isInPath = pathStyle.value === undefined ? endpoint !== null || place.bucket.includes('.') : flag(pathStyle)
  if (!isInPath && endpoint?.isIp) refuse(`${pathStyle.from} must be true for a numeric address: the bucket cannot be part of it`)
  if (!isInPath && !HOST_PART.test(place.bucket)) {
    refuse(
      `the bucket of ${from} cannot be part of a host name (lower-case letters, digits, hyphens and dots, up to 63); set \`pathStyle: true\` if that is its name`
    )
  }
  const instanceMetadata = flag(look('instanceMetadata'))
  const regionName = region.value === undefined ? (isR2 ? 'auto' : 'us-east-1') : line(region)
  note('region', regionName, region)
  note('endpoint', endpoint?.text ?? 'that of AWS', given)
  note('pathStyle', isInPath, pathStyle)
  return {
    kind: 's3',
    ...place,
    region: regionName,
    endpoint: endpoint?.text ?? null,
    virtualHosted: !isInPath,
    ...awsCredentials(look, env, { from, isR2, instanceMetadata, note }),
    ...http(S3.authorities)
  }
}

function gcs({ from, look, place }, { env, http, warn, note }) {
  const endpoint = endpointOf(look('endpoint'), GCS, warn)
  note('endpoint', endpoint?.text ?? 'that of Google', look('endpoint'))
  const credentials = googleCredentials(look, env, { from, hasEndpoint: endpoint !== null, note })
  return { kind: 'gcs', ...place, endpoint: endpoint?.text ?? null, ...credentials, ...http(GCS.authorities) }
}

/** The role in a JWT, if it is one. */
function roleOf(key) {
  try {
    return JSON.parse(Buffer.from(key.split('.')[1], 'base64url').toString()).role
  } catch {
    return undefined
  }
}

/** Kind of a key of a Supabase project, as far as that can be seen. */
function kindOf(secret) {
  if (secret.startsWith('sb_publishable_') || roleOf(secret) === 'anon') return 'public'
  return secret.startsWith('sb_secret_') || roleOf(secret) === 'service_role' ? 'secret' : 'unknown'
}

const OF_PROJECT = [['SUPABASE_URL'], ['SUPABASE_SERVICE_KEY', 'SUPABASE_SERVICE_ROLE_KEY', 'SUPABASE_KEY']]

function supabase({ from, look, place }, { env, http, warn, note }) {
  const own = [look('url'), look('key')]
  const isOwn = own.some(({ value }) => value !== undefined)
  const [url, key] = isOwn ? own : OF_PROJECT.map((names) => variable(env, ...names))
  const missing = [url, key].filter(({ value }) => value === undefined).map((place) => place.from)
  if (missing.length === 2) refuse(`${from} needs the address of the project and its secret key: ${KEYS_OF_SUPABASE}`)
  if (missing.length === 1) refuseHalf(missing[0] === url.from ? [key.from] : [url.from], missing, `: ${KEYS_OF_SUPABASE}`)
  const endpoint = endpointOf(url, SUPABASE, warn)
  if (endpoint.path.endsWith('/storage/v1/s3')) {
    refuse(`${url.from} is the S3 endpoint of the project: use it as the \`endpoint\` of an s3 store, or remove its last part`)
  }
  const secret = token(key)
  const kind = kindOf(secret)
  if (!flag(look('allowAnonKey')) && kind === 'public') {
    refuse(
      `${key.from} is a public key (publishable, or anon), with which anybody could do what this package does: use the secret key ` +
        '(sb_secret_…) or the service_role key, both under Settings > API Keys of the project; or, if your policies for row level ' +
        'security allow it, set `allowAnonKey: true` in a store object'
    )
  }
  // The name of this one says nothing, so the key has to.
  if (key.from === 'SUPABASE_KEY' && kind === 'unknown') {
    refuse(
      'SUPABASE_KEY is neither a secret key (sb_secret_…) nor a service_role key; if it belongs to your own server, name it SUPABASE_SERVICE_KEY'
    )
  }
  note('url', endpoint.text, url)
  note('key', `hidden (${kind === 'unknown' ? 'of an unknown kind' : `a ${kind} key`})`, key)
  return {
    kind: 'supabase',
    url: endpoint.text.replace(/\/+(storage|rest)\/v1$/, ''),
    key: secret,
    ...place,
    ...http(SUPABASE.authorities)
  }
}

const S3 = {
  fields: ['bucket', 'prefix', 'region', 'endpoint', 'pathStyle', 'accessKeyId', 'secretAccessKey', 'sessionToken', 'instanceMetadata'],
  parameters: ['region', 'endpoint', 'pathStyle', 'instanceMetadata'],
  secretsBelong: KEYS_OF_S3,
  authorities: ['AWS_CA_BUNDLE'],
  buckets: BUCKETS_OF_S3,
  complete: s3
}

const GCS = {
  fields: ['bucket', 'prefix', 'credentials', 'credentialsFile', 'endpoint', 'instanceMetadata', 'anonymous'],
  buckets: BUCKETS_OF_GOOGLE,
  parameters: ['endpoint', 'instanceMetadata'],
  secretsBelong: KEYS_OF_GOOGLE,
  authorities: [],
  complete: gcs
}

const SUPABASE = {
  fields: ['url', 'key', 'bucket', 'prefix', 'allowAnonKey'],
  parameters: [],
  secretsBelong: KEYS_OF_SUPABASE,
  authorities: [],
  names: SUPABASE_NAMES,
  buckets: BUCKETS_OF_SUPABASE,
  complete: supabase
}

module.exports = { GCS, S3, SUPABASE }
