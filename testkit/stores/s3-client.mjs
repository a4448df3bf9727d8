// A raw S3 client for tests: what is in a bucket, without the product's own adapter in between.
//
// Invariants: a request is sent once, never repeated behind the caller's back; only a missing object is `null`, everything else
// that is not a success throws; a listing is whole, all of its pages. It goes to the server itself, whatever proxy stands in
// front of it for the code under test: what is made to go wrong there does not go wrong here, and is not counted.

import { createHash, randomBytes } from 'node:crypto'
import { AwsClient } from 'aws4fetch'

/** Most names that one bulk delete takes. */
const BATCH = 1000
/** Generous: a contested conditional write of some servers takes seconds. It only ends a broken run. */
const TIMEOUT_MS = 60_000

const md5 = (bytes) => createHash('md5').update(bytes).digest('base64')
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

// ------------------------------------------------------------------------------------------------------- names and XML

/** Encodes what a URL would take for something else; `encodeURIComponent` leaves five of those that a signature wants encoded. */
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

function encodePath(name) {
  const segments = name.split('/')
  // A URL resolves them, whether they are encoded or not: the request would be for another object.
  if (segments.includes('.') || segments.includes('..')) throw new Error(`cannot be said in a URL: ${name}`)
  return segments.map(encode).join('/')
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const unescape = (text) =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (all, hex, decimal, name) =>
    hex ? String.fromCodePoint(parseInt(hex, 16)) : decimal ? String.fromCodePoint(Number(decimal)) : (ENTITIES[name] ?? all)
  )
const escape = (text) => text.replace(/[&<>"'\t\n\r]/g, (c) => `&#${c.charCodeAt(0)};`)
/** Characters that no XML document can hold, escaped or not. */
const UNSAYABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/

/** Contents of all elements with that name, whatever their namespace is: text, or more elements. */
const insides = (xml, element, inside) =>
  [...xml.matchAll(new RegExp(`<(?:\\w+:)?${element}(?: [^>]*)?>(${inside})</(?:\\w+:)?${element}>`, 'g'))].map(([, found]) => found)
const texts = (xml, element) => insides(xml, element, '[^<]*').map(unescape)
const blocks = (xml, element) => insides(xml, element, '[^]*?')

/** Listed names come encoded as in a form: a space may be a plus sign. */
const decodeListed = (text) => decodeURIComponent(text.replaceAll('+', '%20'))

// ---------------------------------------------------------------------------------------------------------- the client

/** Address of a server that we start, and its one user. An id shorter than those of AWS is refused by some. */
export const madeUpCredentials = () => ({
  region: 'us-east-1',
  accessKeyId: randomBytes(10).toString('hex').toUpperCase(),
  secretAccessKey: randomBytes(20).toString('hex')
})

/** An answer that is no success. `code` is the S3 error code, or '' if there was none. */
export class S3Error extends Error {
  constructor(what, status, body) {
    const code = texts(body, 'Code')[0] ?? ''
    super(`${what}: ${status} ${code} ${texts(body, 'Message')[0] ?? body.slice(0, 200)}`)
    Object.assign(this, { name: 'S3Error', status, code })
  }
}

export class S3Client {
  #aws

  /** `endpoint` is where the code under test is sent, which may be a proxy. */
  constructor(address, { endpoint = address.endpoint } = {}) {
    const { accessKeyId, secretAccessKey, region } = address
    Object.assign(this, { address, endpoint })
    this.#aws = new AwsClient({ accessKeyId, secretAccessKey, region, service: 's3', retries: 0 })
  }

  /** One signed request. Answers the `Response`, whatever its status. */
  async request(method, bucket, name = '', { query = {}, headers = {}, body } = {}) {
    const path = name === '' ? bucket : `${bucket}/${encodePath(name)}`
    const search = Object.entries(query)
      .map(([key, value]) => `${encode(key)}=${encode(value)}`)
      .join('&')
    return this.#aws.fetch(`${this.address.endpoint}/${path}${search && `?${search}`}`, {
      method,
      headers: { ...headers, 'x-amz-content-sha256': sha256(body ?? '') },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS)
    })
  }

  /** The same, but only a success is an answer. */
  async ok(method, bucket, name, options) {
    const response = await this.request(method, bucket, name, options)
    if (response.ok) return response
    throw new S3Error(`${method} ${bucket}/${name ?? ''}`, response.status, await response.text())
  }

  /** Creates a bucket, which must not be there yet. */
  async makeBucket(name = `t-${randomBytes(8).toString('hex')}`) {
    await (await this.ok('PUT', name)).arrayBuffer()
    return this.bucket(name)
  }

  /** A bucket that is there. */
  bucket(name) {
    return new S3Bucket(this, name)
  }
}

export class S3Bucket {
  #client

  constructor(client, name) {
    const {
      endpoint,
      address: { region, accessKeyId, secretAccessKey }
    } = client
    this.#client = client
    this.name = name
    this.options = { store: { kind: 's3', bucket: name, endpoint, region, pathStyle: true, accessKeyId, secretAccessKey } }
    this.spec = {
      kind: 's3',
      bucket: name,
      prefix: '',
      region,
      endpoint,
      virtualHosted: false,
      accessKeyId,
      secretAccessKey,
      sessionToken: null,
      environment: {},
      instanceMetadata: false,
      ca: null,
      allowPublic: false,
      maxConcurrentRequests: 64
    }
  }

  /** All names, sorted by bytes. */
  async list() {
    const pages = []
    for await (const page of this.pages()) pages.push(page)
    return pages.flat().sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }

  /** The names as the server gives them, page by page, each of at most `pageSize`. */
  async *pages({ pageSize = 1000 } = {}) {
    let token
    do {
      const query = {
        'list-type': '2',
        'encoding-type': 'url',
        'max-keys': String(pageSize),
        ...(token && { 'continuation-token': token })
      }
      const xml = await (await this.#client.ok('GET', this.name, '', { query })).text()
      const names = blocks(xml, 'Contents').map((entry) => texts(entry, 'Key')[0])
      yield texts(xml, 'EncodingType')[0] === 'url' ? names.map(decodeListed) : names
      const next = texts(xml, 'NextContinuationToken')[0]
      if (texts(xml, 'IsTruncated')[0] !== 'true') return
      if (!next || next === token) throw new Error(`the listing of ${this.name} does not go on, and is not whole`)
      token = next
    } while (true)
  }

  async get(name) {
    const response = await this.#client.request('GET', this.name, name)
    if (response.ok) return Buffer.from(await response.arrayBuffer())
    const error = new S3Error(`GET ${this.name}/${name}`, response.status, await response.text())
    if (error.status === 404 && error.code === 'NoSuchKey') return null
    throw error
  }

  async put(name, bytes) {
    await (await this.#client.ok('PUT', this.name, name, { body: Buffer.from(bytes) })).arrayBuffer()
  }

  async delete(names) {
    const sayable = names.filter((name) => !UNSAYABLE.test(name))
    for (const name of names.filter((name) => UNSAYABLE.test(name))) await (await this.#client.ok('DELETE', this.name, name)).arrayBuffer()
    for (let from = 0; from < sayable.length; from += BATCH) {
      const objects = sayable.slice(from, from + BATCH).map((name) => `<Object><Key>${escape(name)}</Key></Object>`)
      const body = Buffer.from(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects.join('')}</Delete>`)
      const headers = { 'content-type': 'application/xml', 'content-md5': md5(body) }
      const response = await this.#client.ok('POST', this.name, '', { query: { delete: '' }, headers, body })
      const [refused] = blocks(await response.text(), 'Error')
      if (refused) throw new S3Error(`delete in ${this.name}: ${texts(refused, 'Key')[0]}`, response.status, refused)
    }
  }

  /** Empties and removes the bucket. Somebody may still be writing: then it is emptied again, a few times. */
  async remove() {
    for (let left = 5; ; left--) {
      await this.delete(await this.list())
      const response = await this.#client.request('DELETE', this.name)
      const body = await response.text()
      if (response.ok) return
      const error = new S3Error(`DELETE ${this.name}`, response.status, body)
      if (error.code !== 'BucketNotEmpty' || left === 0) throw error
    }
  }
}
