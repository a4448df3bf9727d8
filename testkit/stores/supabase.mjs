// Supabase Storage, as a server for tests: a double of its REST API, and the raw client that looks into it.
//
// Invariant: the raw client looks on: what is switched to go wrong for clients does not go wrong for it, and it is not counted.
// It goes to the server itself, whatever proxy stands in front of it for others.

import { randomBytes } from 'node:crypto'
import { rawRequest } from './raw-request.mjs'
import { remoteControl } from './supabase/control.mjs'
import { OBSERVER, StorageServer } from './supabase/server.mjs'

export const kind = 'supabase'

const MOST_NAMES = 1000

/**
 * Starts the server in this process. `settings` are those of `supabase/settings.mjs`; unless told otherwise there is a gateway in
 * front, as at hosted projects. It does not keep its process alive, unless it is told to with `ref`.
 */
export async function start({ ref = false, ...settings } = {}) {
  const server = await new StorageServer({ gateway: true, ...settings }).start({ ref })
  const { service, anon, user, secret, publishable } = server.keys
  return {
    kind,
    address: {
      kind,
      endpoint: server.endpoint,
      key: service,
      anonKey: anon,
      userKey: user,
      secretKey: secret,
      publishableKey: publishable
    },
    /** The switches, as `connect(address).control` has them for other processes. */
    control: server.control,
    stop: () => server.stop()
  }
}

const pathOf = (name) => name.split('/').map(encodeURIComponent).join('/')
const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))

export function connect(address, { endpoint = address.endpoint } = {}) {
  const { key } = address

  /** One request; what the server refuses is an error with its words in it, but for the codes in `but`. */
  async function call(method, path, { json, bytes, headers = {}, but = [] } = {}) {
    const {
      ok,
      status,
      bytes: body
    } = await rawRequest(`${address.endpoint}/storage/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        apikey: key,
        [OBSERVER]: 'yes',
        ...(json && { 'content-type': 'application/json' }),
        ...headers
      },
      body: json ? JSON.stringify(json) : bytes
    })
    if (ok) return body
    const { code, message } = JSON.parse(body.toString())
    if (but.includes(code)) return null
    throw new Error(`${method} ${path}: ${status} ${code}: ${message}`)
  }
  const answered = async (...request) => JSON.parse((await call(...request)).toString())

  class Bucket {
    constructor(name) {
      this.name = name
    }

    get options() {
      return { store: { kind, url: endpoint, key, bucket: this.name } }
    }

    get spec() {
      return { kind, url: endpoint, key, bucket: this.name, prefix: '', ca: null, allowPublic: false, maxConcurrentRequests: 64 }
    }

    async list() {
      const names = []
      for (let cursor = ''; ;) {
        const page = await answered('POST', `/object/list-v2/${this.name}`, {
          json: { prefix: '', limit: MOST_NAMES, ...(cursor && { cursor }) }
        })
        names.push(...page.objects.map(({ name }) => name))
        if (!page.hasNext) return names.sort(byBytes)
        cursor = page.nextCursor
      }
    }

    get(name) {
      return call('GET', `/object/authenticated/${this.name}/${pathOf(name)}`, { but: ['NoSuchKey'] })
    }

    async put(name, bytes, { contentType = 'application/octet-stream' } = {}) {
      await call('POST', `/object/${this.name}/${pathOf(name)}`, { bytes, headers: { 'x-upsert': 'true', 'content-type': contentType } })
    }

    async delete(names) {
      for (let at = 0; at < names.length; at += MOST_NAMES) {
        await call('DELETE', `/object/${this.name}`, { json: { prefixes: names.slice(at, at + MOST_NAMES) } })
      }
    }

    /** Empties and removes the bucket. Somebody may still be writing: then it is emptied again, a few times. */
    async remove() {
      for (let left = 5; ; left--) {
        await this.delete(await this.list())
        const removed = await call('DELETE', `/bucket/${this.name}`, { but: left > 0 ? ['ResourceNotEmpty'] : [] })
        if (removed !== null) return
      }
    }
  }

  return {
    /** The switches of the server. */
    control: remoteControl(address.endpoint),
    /** `values`: `public`, `file_size_limit`, `allowed_mime_types`. */
    async makeBucket(name = `bucket-${randomBytes(8).toString('hex')}`, values = {}) {
      await call('POST', '/bucket', { json: { id: name, name, public: false, ...values } })
      return new Bucket(name)
    },
    /** A bucket that is there already, or is not. */
    bucket: (name) => new Bucket(name)
  }
}
