// Shape that the bodies of requests must have, and what the server says of those that do not.
//
// Invariant: a number in quotes is a number, as the real server's validator has it.

import { refuse } from './answers.mjs'

const text = { type: 'string' }

export const SCHEMAS = {
  list: {
    required: ['prefix'],
    properties: {
      prefix: text,
      search: text,
      limit: { type: 'integer', minimum: 1 },
      offset: { type: 'integer', minimum: 0 },
      sortBy: {
        type: 'object',
        required: ['column'],
        properties: {
          column: { ...text, enum: ['name', 'updated_at', 'created_at', 'last_accessed_at'] },
          order: { ...text, enum: ['asc', 'desc'] }
        }
      }
    }
  },
  listV2: {
    properties: {
      prefix: text,
      cursor: text,
      limit: { type: 'integer', minimum: 1 },
      with_delimiter: { type: 'boolean' },
      sortBy: {
        type: 'object',
        required: ['column'],
        properties: { column: { ...text, enum: ['name', 'updated_at', 'created_at'] }, order: { ...text, enum: ['asc', 'desc'] } }
      }
    }
  },
  remove: { required: ['prefixes'], properties: { prefixes: { type: 'array', items: text, minItems: 1 } } },
  move: {
    required: ['bucketId', 'sourceKey', 'destinationKey'],
    properties: { bucketId: text, sourceKey: text, destinationKey: text, destinationBucket: text }
  },
  sign: { required: ['expiresIn'], properties: { expiresIn: { type: 'integer', minimum: 1 } } },
  signMany: {
    required: ['expiresIn', 'paths'],
    properties: { expiresIn: { type: 'integer', minimum: 1 }, paths: { type: 'array', items: text, minItems: 1 } }
  },
  bucket: {
    required: ['name'],
    properties: { id: text, name: text, public: { type: 'boolean' }, allowed_mime_types: { type: 'array', nullable: true, items: text } }
  },
  bucketChange: { properties: { public: { type: 'boolean' }, allowed_mime_types: { type: 'array', nullable: true, items: text } } }
}

/** The value as the type wants it, or `undefined`. */
function coerced(value, type) {
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
    case 'integer': {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
      return Number.isInteger(number) ? number : undefined
    }
    case 'boolean':
      return value === 'true' || value === true ? true : value === 'false' || value === false ? false : undefined
    case 'array':
      return Array.isArray(value) ? value : undefined
    default:
      return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined
  }
}

function check(value, schema, path) {
  const type = schema.type ?? 'object'
  if (value === null && schema.nullable) return null
  const good = coerced(value, type)
  if (good === undefined) refuse('invalidRequest', `${path} must be ${type}`)
  if (schema.minimum !== undefined && good < schema.minimum) refuse('invalidRequest', `${path} must be >= ${schema.minimum}`)
  if (schema.enum && !schema.enum.includes(good)) refuse('invalidRequest', `${path} must be equal to one of the allowed values`)
  if (schema.minItems && good.length < schema.minItems)
    refuse('invalidRequest', `${path} must NOT have fewer than ${schema.minItems} items`)
  if (type === 'array') return good.map((item, i) => check(item, schema.items, `${path}/${i}`))
  if (type !== 'object') return good
  const missing = schema.required?.find((name) => good[name] === undefined)
  if (missing !== undefined) refuse('invalidRequest', `${path} must have required property '${missing}'`)
  const known = Object.entries(schema.properties).filter(([name]) => good[name] !== undefined)
  return { ...good, ...Object.fromEntries(known.map(([name, inner]) => [name, check(good[name], inner, `${path}/${name}`)])) }
}

/** The body of a request, read and checked. */
export function parseBody(bytes, contentType, schema) {
  // A body that could not be read costs the connection.
  const close = { connection: 'close' }
  let value
  if (/^application\/json\b/i.test(contentType ?? '')) {
    if (bytes.length === 0) refuse('unreadableBody', "Body cannot be empty when content-type is set to 'application/json'", close)
    try {
      value = JSON.parse(bytes.toString())
    } catch {
      refuse('unreadableBody', "Body is not valid JSON but content-type is set to 'application/json'", close)
    }
  }
  return check(value, schema, 'body')
}
