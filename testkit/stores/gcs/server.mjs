// The double of Google Cloud Storage, as far as its XML API is used here: buckets, objects and listings over HTTP.
//
// Invariants: what it does not model it refuses with 501, so that no test passes on a header that was ignored. An upload that
// did not arrive whole stores nothing. The order of refusals is the service's: the bearer first, then the bucket, the
// permission, the object.

import { createServer } from 'node:http'
import { once } from 'node:events'
import { Identity } from './identity.mjs'
import { Bucket, askedFor, checkName } from './objects.mjs'
import { Refusal, configuration, listing } from './xml.mjs'

const LISTING = ['list-type', 'prefix', 'delimiter', 'continuation-token', 'max-keys', 'start-after']
const KEPT = ['content-type', 'cache-control', 'content-disposition', 'content-encoding', 'content-language']
const CONDITIONS = ['x-goog-if-metageneration-match', 'x-goog-content-length-range', 'content-md5', 'x-goog-hash']
const UNKNOWN_HEADERS = ['x-goog-copy-source', 'x-goog-encryption-key', ...CONDITIONS]

const decodedPart = (text) => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Refusal(400, 'InvalidURI')
  }
}

export class Server {
  #http
  #buckets = new Map()
  /** Lead of the service's clock over this machine's. */
  clockSkewMs = 0
  now = () => Date.now() + this.clockSkewMs

  constructor(account, ownerToken) {
    this.identity = new Identity(account, ownerToken, this.now)
  }

  async listen() {
    // A connection that the server closes for its age would be a fault that no test asked for.
    this.#http = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, answer) => this.#serve(request, answer))
    this.#http.listen(0, '127.0.0.1')
    await once(this.#http, 'listening')
    // A test that forgets it ends all the same.
    this.#http.unref()
    this.origin = `http://127.0.0.1:${this.#http.address().port}`
  }

  async stop() {
    const closed = once(this.#http, 'close')
    this.#http.close()
    this.#http.closeAllConnections()
    await closed
  }

  async #serve(request, answer) {
    answer.on('error', () => {})
    answer.setHeader('Date', new Date(this.now()).toUTCString())
    const body = await wholeBody(request)
    if (body === null) return
    try {
      const [status, headers, said] = this.#answer(request, body)
      answer.writeHead(status, { 'Content-Length': said.length, ...headers }).end(said)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const said = Buffer.from(error.body)
      answer
        .writeHead(error.status, { 'Content-Type': 'application/xml; charset=UTF-8', 'Content-Length': said.length, ...error.headers })
        .end(said)
    }
  }

  /** Status, headers and body. A body that is not sent, as for HEAD, still has its length told. */
  #answer(request, body) {
    const [path, search = ''] = request.url.split(/\?(.*)/s)
    const query = new URLSearchParams(search)
    if (path === '/token' && request.method === 'POST') {
      // Behind a proxy it has the proxy's address too.
      const audiences = [`${this.origin}/token`, `http://${request.headers.host}/token`]
      const { status, json } = this.identity.exchange(new URLSearchParams(body.toString()), audiences)
      return asJson(status, json)
    }
    if (path === '/computeMetadata/v1/instance/service-accounts/default/token') {
      const isMeant = request.headers['metadata-flavor'] === 'Google'
      return isMeant ? asJson(200, this.identity.issue()) : asJson(403, { error: 'Missing Metadata-Flavor:Google header.' })
    }
    const [, bucketPart, objectPart = ''] = path.match(/^\/([^/]*)(?:\/(.*))?$/s)
    const caller = this.identity.callerOf(request.headers.authorization)
    if (caller === undefined) throw new Refusal(401, 'AuthenticationRequired')
    const bucketName = decodedPart(bucketPart)
    const name = decodedPart(objectPart)
    if (bucketName === '_switch') return this.#switch(caller, name, body)
    const unknown = UNKNOWN_HEADERS.find((header) => header in request.headers)
    if (unknown !== undefined) throw new Refusal(501, 'NotImplemented', unknown)
    return name === '' ? this.#onBucket(request, caller, bucketName, query) : this.#onObject(request, caller, bucketName, name, query, body)
  }

  /** Settings that tests change while the server runs. Only the tests themselves know the owner's token. */
  #switch(caller, bucketName, body) {
    if (!caller?.isOwner) throw new Refusal(403, 'AccessDenied')
    const wanted = JSON.parse(body.toString())
    const target = bucketName === '' ? { clockSkewMs: this, tokenLifetimeMs: this.identity } : null
    const switches = target === null ? this.#bucket(bucketName).switches : null
    for (const [name, value] of Object.entries(wanted)) {
      const holder = target === null ? switches : target[name]
      if (holder === undefined || !(name in holder)) throw new Refusal(400, 'InvalidArgument', `There is no switch ${name}.`)
      holder[name] = value
    }
    return [204, {}, Buffer.alloc(0)]
  }

  #bucket(name) {
    const bucket = this.#buckets.get(name)
    if (bucket === undefined) throw new Refusal(404, 'NoSuchBucket')
    return bucket
  }

  #may(caller, bucket, permission) {
    const { allUsers, denied, granted } = bucket.switches
    if (caller?.isOwner || allUsers.includes(permission) || (caller !== null && granted.includes(permission))) return true
    return caller !== null && permission.startsWith('storage.objects.') && !denied.includes(permission)
  }

  #require(caller, bucket, permission, what = 'object') {
    if (this.#may(caller, bucket, permission)) return
    const who = `${Identity.nameOf(caller)} does not have ${permission} access to the Google Cloud Storage ${what}.`
    throw new Refusal(403, 'AccessDenied', `${who} Permission '${permission}' denied on resource (or it may not exist).`)
  }

  #onBucket({ method }, caller, name, query) {
    if (method === 'PUT') return this.#makeBucket(caller, name)
    const bucket = this.#bucket(name)
    if (method === 'HEAD') {
      this.#require(caller, bucket, 'storage.buckets.get', 'bucket')
      return [200, {}, Buffer.alloc(0)]
    }
    if (method === 'DELETE') {
      this.#require(caller, bucket, 'storage.buckets.delete', 'bucket')
      if (!bucket.isEmpty) throw new Refusal(409, 'BucketNotEmpty')
      this.#buckets.delete(name)
      return [204, {}, Buffer.alloc(0)]
    }
    if (method !== 'GET') throw new Refusal(405, 'MethodNotAllowed')
    const setting = ['lifecycle', 'versioning'].find((setting) => query.has(setting))
    if (setting !== undefined) {
      this.#require(caller, bucket, 'storage.buckets.get', 'bucket')
      return [200, { 'Content-Type': 'application/xml; charset=UTF-8' }, Buffer.from(configuration(setting, bucket.switches[setting]))]
    }
    const unknown = [...query.keys()].find((key) => !LISTING.includes(key))
    if (unknown !== undefined || query.get('list-type') !== '2') throw new Refusal(501, 'NotImplemented', unknown ?? 'list-type')
    this.#require(caller, bucket, 'storage.objects.list', 'bucket')
    const asked = askedFor(query)
    const xml = listing({ bucket: name, asked, page: bucket.page(asked) })
    return [200, { 'Content-Type': 'application/xml; charset=UTF-8', 'Cache-Control': 'private, max-age=0' }, Buffer.from(xml)]
  }

  #makeBucket(caller, name) {
    const refused = `${Identity.nameOf(caller)} does not have storage.buckets.create access to the Google Cloud project.`
    if (!caller?.isOwner) throw new Refusal(403, 'AccessDenied', refused)
    if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/.test(name)) throw new Refusal(400, 'InvalidBucketName', `Invalid bucket name: '${name}'`)
    if (this.#buckets.has(name)) throw new Refusal(409, 'BucketAlreadyOwnedByYou')
    this.#buckets.set(name, new Bucket(name, this.now))
    return [200, {}, Buffer.alloc(0)]
  }

  #onObject(request, caller, bucketName, name, query, body) {
    const { method, headers } = request
    const bucket = this.#bucket(bucketName)
    const unknown = [...query.keys()].find((key) => key !== 'generation')
    if (unknown !== undefined) throw new Refusal(501, 'NotImplemented', unknown)
    checkName(name)
    const condition = headers['x-goog-if-generation-match'] ?? null
    if (condition !== null && !/^\d{1,16}$/.test(condition)) {
      throw new Refusal(400, 'InvalidArgument', `Invalid x-goog-if-generation-match: ${condition}`)
    }
    const ifGeneration = condition === null ? null : Number(condition)
    if (method === 'PUT') {
      this.#require(caller, bucket, 'storage.objects.create')
      // Who may create but not delete cannot replace either.
      if (bucket.find(name) !== null && ifGeneration !== 0) this.#require(caller, bucket, 'storage.objects.delete')
      if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined)
        throw new Refusal(411, 'MissingContentLength')
      const kept = Object.entries(headers).filter(([header]) => KEPT.includes(header) || header.startsWith('x-goog-meta-'))
      const object = bucket.put(name, body, Object.fromEntries(kept), ifGeneration)
      return [200, described(object), Buffer.alloc(0)]
    }
    if (method === 'DELETE') {
      this.#require(caller, bucket, 'storage.objects.delete')
      if (!bucket.delete(name, ifGeneration)) throw missing(bucketName, name)
      return [204, {}, Buffer.alloc(0)]
    }
    if (method !== 'GET' && method !== 'HEAD') throw new Refusal(405, 'MethodNotAllowed')
    this.#require(caller, bucket, 'storage.objects.get')
    const object = bucket.find(name)
    const asked = query.get('generation')
    if (object === null || (asked !== null && asked !== String(object.generation))) {
      // Who may not list is not told what is missing.
      this.#require(caller, bucket, 'storage.objects.list', 'bucket')
      throw missing(bucketName, name)
    }
    return read(object, headers, ifGeneration)
  }
}

const asJson = (status, json) => [status, { 'Content-Type': 'application/json; charset=utf-8' }, Buffer.from(JSON.stringify(json))]

const missing = (bucket, name) => new Refusal(404, 'NoSuchKey', `No such object: ${bucket}/${name}`)

/** The headers that tell what an object is. */
const described = (object) => ({
  ETag: object.etag,
  'x-goog-generation': String(object.generation),
  'x-goog-metageneration': '1',
  'x-goog-hash': `md5=${object.md5}`,
  'x-goog-stored-content-encoding': object.headers['content-encoding'] ?? 'identity',
  'x-goog-stored-content-length': String(object.size)
})

/** The answer to a GET of an object that is there. */
function read(object, headers, ifGeneration) {
  const matches = (tags) => tags.split(',').some((tag) => tag.trim() === '*' || tag.trim() === object.etag)
  if (ifGeneration !== null && ifGeneration !== object.generation)
    throw new Refusal(412, 'PreconditionFailed', 'x-goog-if-generation-match')
  if (headers['if-match'] !== undefined && !matches(headers['if-match'])) throw new Refusal(412, 'PreconditionFailed', 'If-Match')
  const told = {
    'Cache-Control': 'private, max-age=0',
    'Content-Type': 'application/octet-stream',
    ...object.headers,
    ...described(object),
    'Last-Modified': new Date(object.modified).toUTCString(),
    'Accept-Ranges': 'bytes',
    'x-goog-storage-class': 'STANDARD'
  }
  if (headers['if-none-match'] !== undefined && matches(headers['if-none-match'])) return [304, told, Buffer.alloc(0)]
  const [, from, to] = headers.range?.match(/^bytes=(\d*)-(\d*)$/) ?? []
  // A range that cannot be read is as good as none.
  if (from === undefined || (from === '' && to === '')) return [200, told, object.body]
  const start = from === '' ? Math.max(0, object.size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? object.size : Math.min(Number(to) + 1, object.size)
  if (start >= end) throw new Refusal(416, 'InvalidRange', undefined, { 'Content-Range': `bytes */${object.size}` })
  return [206, { ...told, 'Content-Range': `bytes ${start}-${end - 1}/${object.size}` }, object.body.subarray(start, end)]
}

/** The body of a request, or null if it did not arrive whole. */
async function wholeBody(request) {
  const chunks = []
  try {
    for await (const chunk of request) chunks.push(chunk)
  } catch {
    return null
  }
  return Buffer.concat(chunks)
}
