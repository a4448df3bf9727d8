// The XML that Cloud Storage's XML API speaks: refusals and listings, written by the double and read by its client.
//
// Invariant: whatever Unicode a name holds comes out of `listed` as it went into `listing`.

const NAMESPACE = 'http://doc.s3.amazonaws.com/2006-03-01'

/** Control characters too: XML has no other way to carry them. */
const escaped = (text) => text.replace(/[&<>"'\u0000-\u001f\u007f-\u009f\ufffe\uffff]/g, (c) => `&#${c.charCodeAt(0)};`)

const unescaped = (text) => text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))

const element = (name, text) => `<${name}>${escaped(String(text))}</${name}>`

/** Words of the service for each request that it refuses. */
const MESSAGES = {
  AccessDenied: 'Access denied.',
  AuthenticationRequired: 'Authentication required.',
  BucketAlreadyOwnedByYou: 'Your previous request to create the named bucket succeeded and you already own it.',
  BucketNotEmpty: 'The bucket you tried to delete is not empty.',
  InvalidArgument: 'Invalid argument.',
  InvalidBucketName: 'The specified bucket is not valid.',
  InvalidRange: 'The requested range cannot be satisfied.',
  InvalidURI: "Couldn't parse the specified URI.",
  MethodNotAllowed: 'The specified method is not allowed against this resource.',
  MissingContentLength: 'You must provide the Content-Length HTTP header.',
  NoSuchBucket: 'The specified bucket does not exist.',
  NoSuchKey: 'The specified key does not exist.',
  NotImplemented: 'A header or query you provided requested a function that is not implemented.',
  PreconditionFailed: 'At least one of the pre-conditions you specified did not hold.',
  SlowDown: 'Please reduce your request rate.'
}

/** A request that is refused. */
export class Refusal extends Error {
  constructor(status, code, details, headers = {}) {
    super(code)
    Object.assign(this, { status, code, details, headers })
  }

  get body() {
    const details = this.details === undefined ? '' : element('Details', this.details)
    return `<?xml version='1.0' encoding='UTF-8'?><Error>${element('Code', this.code)}${element('Message', MESSAGES[this.code])}${details}</Error>`
  }
}

/** One page of a listing. */
export function listing({ bucket, asked, page }) {
  const object = ({ name, generation, modified, etag, size }) =>
    [
      `<Contents>${element('Key', name)}${element('Generation', generation)}${element('MetaGeneration', 1)}`,
      `${element('LastModified', new Date(modified).toISOString())}<ETag>${etag}</ETag>${element('Size', size)}</Contents>`
    ].join('')
  return [
    `<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='${NAMESPACE}'>`,
    element('Name', bucket),
    element('Prefix', asked.prefix),
    asked.delimiter === '' ? '' : element('Delimiter', asked.delimiter),
    asked.startAfter === '' ? '' : element('StartAfter', asked.startAfter),
    asked.token === null ? '' : element('ContinuationToken', asked.token),
    page.next === null ? '' : element('NextContinuationToken', page.next),
    element('KeyCount', page.objects.length + page.prefixes.length),
    element('MaxKeys', asked.maxKeys),
    element('IsTruncated', page.next !== null),
    ...page.objects.map(object),
    ...page.prefixes.map((prefix) => `<CommonPrefixes>${element('Prefix', prefix)}</CommonPrefixes>`),
    '</ListBucketResult>'
  ].join('')
}

/** A setting of a bucket: its rules as XML, or whether it keeps versions. */
export function configuration(setting, value) {
  const name = { lifecycle: 'LifecycleConfiguration', versioning: 'VersioningConfiguration' }[setting]
  const inner = setting === 'lifecycle' ? value : value ? '<Status>Enabled</Status>' : ''
  return `<?xml version='1.0' encoding='UTF-8'?>${inner === '' ? `<${name}/>` : `<${name}>${inner}</${name}>`}`
}

/** Contents of a page, read from its XML: names, common prefixes and the token of the next page. */
export function listed(xml) {
  const texts = (pattern) => [...xml.matchAll(pattern)].map(([, text]) => unescaped(text))
  return {
    names: texts(/<Contents><Key>([^<]*)<\/Key>/g),
    prefixes: texts(/<CommonPrefixes><Prefix>([^<]*)<\/Prefix>/g),
    next: texts(/<NextContinuationToken>([^<]*)<\/NextContinuationToken>/g)[0] ?? null
  }
}

/** The code of a refusal, or null for a body that is none. */
export const codeOf = (xml) => xml.match(/<Code>(\w+)<\/Code>/)?.[1] ?? null
