// One bucket of the double: its objects, who may do what with them, and how fast.
//
// Invariants: strongly consistent, as the service is: every call is one step, and a listing that starts after it shows it. A
// precondition is compared in the same step that stores, so that of any number of creators of one name exactly one wins.
// Names are ordered by their UTF-8 bytes.

import { createHash } from 'node:crypto'
import { Refusal } from './xml.mjs'

/** No listing has longer pages. */
const MAX_PAGE = 1000
const MAX_NAME = 1024

/** A string whose UTF-16 order is the order of the name's bytes. */
const bytesOf = (name) => Buffer.from(name, 'utf8').toString('latin1')
const nameOf = (bytes) => Buffer.from(bytes, 'latin1').toString('utf8')

/** The first string behind all that start with `bytes`. No byte of UTF-8 is 0xff. */
const raised = (bytes) => bytes.slice(0, -1) + String.fromCharCode(bytes.charCodeAt(bytes.length - 1) + 1)

let lastGeneration = 0

/** The first index whose name is not below `bytes`. */
function indexOf(names, bytes) {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (names[middle] < bytes) low = middle + 1
    else high = middle
  }
  return low
}

/** Refuses what the service takes for no name of an object. */
export function checkName(name) {
  const { length } = Buffer.from(name)
  const said = `The maximum object length is ${MAX_NAME} characters, but got a name with ${length} characters.`
  if (length > MAX_NAME) throw new Refusal(400, 'InvalidArgument', said)
  const reserved = name === '.' || name === '..' || name.startsWith('.well-known/acme-challenge/')
  if (reserved || /[\r\n]/.test(name)) throw new Refusal(400, 'InvalidArgument', 'Invalid object name.')
}

/** The page of a listing that a client asked for, from its query. */
export function askedFor(query) {
  const said = query.get('max-keys')
  if (said !== null && !/^\d{1,9}$/.test(said)) throw new Refusal(400, 'InvalidArgument', `Invalid max-keys: ${said}`)
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    startAfter: query.get('start-after') ?? '',
    token: query.get('continuation-token'),
    maxKeys: Math.min(said === null ? MAX_PAGE : Number(said), MAX_PAGE)
  }
}

export class Bucket {
  #objects = new Map()
  #names = []
  #written = new Map()

  /** Settings that tests may change while it is in use; see `switch` in the client. */
  switches = {
    /** Permissions of everybody, with or without credentials: `storage.objects.get`, `storage.objects.list`. */
    allUsers: [],
    /** Permissions beyond objects that the service account has here. */
    granted: [],
    /** Its rules, as XML, and whether it keeps versions; nothing is done about either. */
    lifecycle: '',
    versioning: false,
    /** Permissions that the service account does not have here. */
    denied: [],
    /** Age that listings add to what is stored from now on. */
    olderMs: 0,
    /** Time in which one name may not be written or deleted again; the service says 1000. */
    sameNameMs: 0,
    /** Longest page, if shorter than the service's. */
    pageSize: MAX_PAGE
  }

  constructor(name, now) {
    this.name = name
    this.now = now
  }

  get isEmpty() {
    return this.#objects.size === 0
  }

  find(name) {
    return this.#objects.get(bytesOf(name)) ?? null
  }

  /** Stores; `ifGeneration` is what the name must have now, 0 for nothing, null for no condition. */
  put(name, body, headers, ifGeneration) {
    this.#mutate(name, ifGeneration)
    const now = this.now()
    // Microseconds in the service, and never twice the same.
    lastGeneration = Math.max(lastGeneration + 1, now * 1000)
    const digest = createHash('md5').update(body).digest()
    const [md5, etag] = [digest.toString('base64'), `"${digest.toString('hex')}"`]
    const object = { name, body, headers, generation: lastGeneration, modified: now - this.switches.olderMs, md5, etag, size: body.length }
    const bytes = bytesOf(name)
    if (!this.#objects.has(bytes)) this.#names.splice(indexOf(this.#names, bytes), 0, bytes)
    this.#objects.set(bytes, object)
    return object
  }

  /** Answers whether there was anything to delete. */
  delete(name, ifGeneration) {
    if (!this.find(name) && ifGeneration === null) return false
    this.#mutate(name, ifGeneration)
    const bytes = bytesOf(name)
    this.#names.splice(indexOf(this.#names, bytes), 1)
    return this.#objects.delete(bytes)
  }

  #mutate(name, ifGeneration) {
    const { sameNameMs } = this.switches
    const at = performance.now()
    if (sameNameMs > 0 && at - (this.#written.get(name) ?? -Infinity) < sameNameMs) {
      const which = `The object ${this.name}/${name} exceeded the rate limit for object mutation operations (create, update, and delete).`
      throw new Refusal(429, 'SlowDown', `${which} Please reduce your request rate.`)
    }
    if (ifGeneration !== null && ifGeneration !== (this.find(name)?.generation ?? 0)) {
      throw new Refusal(412, 'PreconditionFailed', 'x-goog-if-generation-match')
    }
    if (sameNameMs > 0) this.#written.set(name, at)
  }

  /** One page: objects and common prefixes count alike, in the order of bytes. */
  page({ prefix, delimiter, startAfter, token, maxKeys }) {
    const limit = Math.min(maxKeys, this.switches.pageSize)
    const found = { objects: [], prefixes: [], next: null }
    const within = bytesOf(prefix)
    const cut = bytesOf(delimiter)
    const last = token === null ? null : this.#readToken(token)
    const first = [within, last ?? '', startAfter === '' ? '' : `${bytesOf(startAfter)}\0`].sort().at(-1)
    let entry = null
    for (let index = indexOf(this.#names, first); index < this.#names.length && this.#names[index].startsWith(within);) {
      const bytes = this.#names[index]
      const end = cut === '' ? -1 : bytes.indexOf(cut, within.length)
      const group = end < 0 ? null : bytes.slice(0, end + cut.length)
      // The names of a group are neighbours.
      index = group === null ? index + 1 : indexOf(this.#names, raised(group))
      // The entry that the page before ended with.
      if ((group ?? bytes) === last) continue
      if (found.objects.length + found.prefixes.length === limit) {
        found.next = entry === null ? null : Buffer.from(JSON.stringify([nameOf(entry)])).toString('base64url')
        break
      }
      entry = group ?? bytes
      if (group === null) found.objects.push(this.#objects.get(bytes))
      else found.prefixes.push(nameOf(group))
    }
    return found
  }

  #readToken(token) {
    try {
      const [name] = JSON.parse(Buffer.from(token, 'base64url').toString())
      return bytesOf(name)
    } catch {
      throw new Refusal(400, 'InvalidArgument', 'Invalid continuation token.')
    }
  }
}
