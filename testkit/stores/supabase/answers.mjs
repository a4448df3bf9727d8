// Refusals of the storage server: every error it has, in one table.
//
// Invariant: nearly every refusal is an HTTP 400 with the real status as a string in the body; whoever decides by the HTTP
// status alone decides wrongly, here as there.

/** name: [HTTP status, `statusCode`, `code`, `error`, `message`]; `%s` in a message is filled in. */
const ERRORS = {
  objectMissing: [400, '404', 'NoSuchKey', 'not_found', 'Object not found'],
  // The row was found, and the version it named was gone when it was fetched: the object was just replaced or deleted.
  versionGone: [400, '404', 'NoSuchKey', 'Not found', 'The resource was not found'],
  bucketMissing: [400, '404', 'NoSuchBucket', 'Bucket not found', 'Bucket not found'],
  relatedMissing: [400, '404', 'InvalidRequest', 'InvalidRequest', 'The related resource does not exist'],
  keyExists: [400, '409', 'KeyAlreadyExists', 'Duplicate', 'The resource already exists'],
  destinationExists: [400, '409', 'ResourceAlreadyExists', 'Duplicate', 'The resource already exists'],
  bucketExists: [400, '409', 'BucketAlreadyExists', 'Duplicate', 'The resource already exists'],
  bucketNotEmpty: [400, '409', 'ResourceNotEmpty', 'ResourceNotEmpty', 'The bucket you tried to delete is not empty'],
  bucketName: [400, '400', 'InvalidBucketName', 'Invalid Input', 'Bucket name invalid'],
  unauthorized: [400, '403', 'AccessDenied', 'Unauthorized', '%s'],
  unknownRole: [500, '500', 'DatabaseError', 'DatabaseError', 'database error, code: 22023'],
  invalidKey: [400, '400', 'InvalidKey', 'InvalidKey', 'Invalid key: %s'],
  keyTooLong: [400, '400', 'S3Error', 'Your key is too long.', 'KeyTooLongError'],
  dotSegment: [400, '400', 'S3Error', 'Invalid Request', 'InvalidRequest'],
  invalidRequest: [400, '400', 'InvalidRequest', 'Error', '%s'],
  unreadableBody: [400, '400', 'InvalidRequest', 'FastifyError', '%s'],
  tooManyNames: [400, '400', 'InvalidRequest', 'InvalidRequest', 'Bulk object requests are limited to %s objects per request.'],
  invalidParameter: [400, '400', 'InvalidParameter', 'InvalidParameter', 'Invalid Parameter %s'],
  invalidToken: [400, '400', 'InvalidJWT', 'InvalidJWT', '%s'],
  invalidSignature: [400, '400', 'InvalidSignature', 'InvalidSignature', 'Invalid signature'],
  tooLarge: [400, '413', 'EntityTooLarge', 'Payload too large', 'The object exceeded the maximum allowed size'],
  mimeType: [400, '415', 'InvalidMimeType', 'invalid_mime_type', 'mime type %s is not supported'],
  featureOff: [400, '409', 'FeatureNotEnabled', 'FeatureNotEnabled', 'The feature %s is not enabled for this resource'],
  routeMissing: [404, '404', 'InvalidRequest', 'Not Found', 'Route %s not found'],
  // Errors that pass.
  lockTimeout: [400, '503', 'LockTimeout', 'acquiring_lock_timeout', 'acquiring lock timeout'],
  resourceLocked: [400, '423', 'ResourceLocked', 'ResourceLocked', 'The resource is locked'],
  connectionLimit: [
    400,
    '503',
    'DatabaseConnectionLimit',
    'DatabaseConnectionLimit',
    'The database has reached its maximum number of connections. Please try again later.'
  ],
  readOnly: [400, '503', 'DatabaseReadOnly', 'DatabaseReadOnly', 'The database is currently in read-only mode. Please try again later.'],
  tooManyConnections: [429, '429', 'SlowDown', 'too_many_connections', 'Too many connections issued to the database'],
  databaseTimeout: [544, '544', 'DatabaseTimeout', 'DatabaseTimeout', 'The connection to the database timed out'],
  internal: [500, '500', 'InternalError', 'Internal', 'Internal Server Error'],
  backendGone: [500, '500', 'S3Error', 'connect ECONNREFUSED <address>', 'Error'],
  backendWrite: [500, '500', 'S3Error', 'We encountered an internal error, please try again.', 'InternalError']
}

const JSON_TYPE = 'application/json; charset=utf-8'

export const json = (value, status = 200, headers = {}) => ({
  status,
  headers: { 'content-type': JSON_TYPE, ...headers },
  body: Buffer.from(JSON.stringify(value))
})

/** The answer of an error of the table. */
export function errorAnswer(name, detail = '', headers = {}) {
  if (!Object.hasOwn(ERRORS, name)) throw new RangeError(`there is no error "${name}"`)
  const [status, statusCode, code, error, message] = ERRORS[name]
  return json({ statusCode, error, message: message.replace('%s', () => detail), code }, status, headers)
}

/** Thrown by a route; the server turns it into its answer. */
export class Refusal extends Error {
  constructor(answer) {
    super(answer.body.toString())
    this.answer = answer
  }
}

export const refuse = (name, detail, headers) => {
  throw new Refusal(errorAnswer(name, detail, headers))
}

/** Below /object the server answers in its own words, elsewhere in its framework's. */
export function routeMissing(method, path) {
  const route = `${method}:${path}`
  if (path.startsWith('/object')) return errorAnswer('routeMissing', route, { 'content-type': 'application/json' })
  return json({ message: `Route ${route} not found`, error: 'Not Found', statusCode: 404 }, 404)
}

/** A request target that does not decode. */
export const badTarget = (path) =>
  json({ error: 'Bad Request', code: 'FST_ERR_BAD_URL', message: `'${path}' is not a valid url component`, statusCode: 400 }, 400)

const page = (status, text) => ({
  status,
  headers: { 'content-type': 'text/html; charset=UTF-8' },
  body: Buffer.from(`<!DOCTYPE html>\n<html><head><title>${status}: ${text}</title></head><body>${text}</body></html>\n`)
})

/** Faults by name: what passes, and what goes on until somebody mends it. */
export const FAULTS = {
  'lock-timeout': () => errorAnswer('lockTimeout'),
  'resource-locked': () => errorAnswer('resourceLocked'),
  'connection-limit': () => errorAnswer('connectionLimit'),
  'read-only': () => errorAnswer('readOnly'),
  'too-many-requests': ({ retryAfter = 1 }) => json({ message: 'Too many requests' }, 429, { 'retry-after': String(retryAfter) }),
  'slow-down': () => errorAnswer('tooManyConnections'),
  'database-timeout': () => errorAnswer('databaseTimeout'),
  'database-down': () => errorAnswer('internal'),
  'backend-down-write': () => errorAnswer('backendWrite'),
  'backend-down-read': () => errorAnswer('internal'),
  'backend-down-remove': () => errorAnswer('backendGone'),
  'version-gone': () => errorAnswer('versionGone'),
  'gateway-502': () => page(502, 'Bad gateway'),
  'gateway-503': () => page(503, 'Service unavailable'),
  'gateway-522': () => page(522, 'Connection timed out')
}
