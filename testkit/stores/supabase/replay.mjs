// Makes the requests of the recording again, and writes their answers down as the recording does.
//
// Invariant: only what cannot be the same twice (ids, times, tokens) is replaced before answers are compared.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'

export const transcript = JSON.parse(readFileSync(new URL('./transcript.json', import.meta.url), 'utf8'))

/** A recorded text that was longer than this is its beginning and its length. */
const LONG = 600
const BEGINNING = 60
const KEPT_HEADERS = [
  'content-type',
  'content-length',
  'etag',
  'cache-control',
  'last-modified',
  'content-range',
  'accept-ranges',
  'content-disposition',
  'x-robots-tag',
  'location',
  'retry-after',
  'allow',
  'connection',
  'transfer-encoding',
  'expires',
  'vary',
  'content-encoding'
]

const VOLATILE = [
  [/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<jwt>'],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?/g, '<iso-time>'],
  [/(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/g, '<http-date>']
]

function normal(text) {
  const plain = VOLATILE.reduce((text, [pattern, mark]) => text.replace(pattern, mark), text)
  const length = [...plain].length
  return length > LONG ? `${[...plain].slice(0, BEGINNING).join('')}...<${length} characters>` : plain
}

function normalJson(value) {
  if (typeof value === 'string') return normal(value)
  if (Array.isArray(value)) return value.map(normalJson)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, normalJson(inner)]))
}

function bodyOf(bytes, type, recorded) {
  if (bytes.length > 4000 && !type.includes('json'))
    return { sha256: createHash('sha256').update(bytes).digest('hex'), length: bytes.length }
  const text = bytes.toString()
  if (!Buffer.from(text).equals(bytes)) return { base64: bytes.toString('base64') }
  // The answer to a HEAD has the type of a body and no body.
  if (!type.includes('json') || text === '') return { text: normal(text) }
  const json = JSON.parse(text)
  // The long ones were shortened when they were recorded: to a number and their ends.
  if (recorded?.json_list_length !== undefined)
    return { json_list_length: json.length, first: normalJson(json[0]), last: normalJson(json.at(-1)) }
  if (recorded?.json_object_lists === undefined) return { json: normalJson(json) }
  const lists = Object.entries(json).filter(([, value]) => Array.isArray(value) && value.length > 0)
  const numbers = Object.entries(json).map(([name, value]) => [name, Array.isArray(value) ? value.length : normalJson(value)])
  return {
    json_object_lists: Object.fromEntries(numbers),
    first: Object.fromEntries(lists.map(([name, [first]]) => [name, normalJson(first)]))
  }
}

/** An answer as it is compared: `{ status, headers, body }`. */
function shown({ status, headers, bytes }, recorded) {
  const body = bodyOf(bytes, headers['content-type'] ?? '', recorded?.body)
  const isJson = !('text' in body || 'base64' in body || 'sha256' in body)
  // The length of a JSON text hangs on what was replaced in it.
  const kept = KEPT_HEADERS.filter((name) => headers[name] !== undefined && !(isJson && name === 'content-length'))
  return { status, headers: Object.fromEntries(kept.map((name) => [name, normal(headers[name])])), body }
}

/** A recorded answer in full: an ordinary connection was left out of it. */
export const recordedAnswer = ({ status, headers = {}, body }) => ({ status, headers: { connection: 'keep-alive', ...headers }, body })

/** `<L*254>` and `<0..1000>` written out. */
const spelled = (text) => text.replace(/<(\w)\*(\d+)>/g, (_, letter, times) => letter.repeat(Number(times)))
const numbered = (count) => Array.from({ length: count }, (_, i) => `many/${String(i).padStart(5, '0')}`)

function bytesOf(body) {
  if (body === undefined) return undefined
  if (body.base64 !== undefined) return Buffer.from(body.base64, 'base64')
  if (body.text !== undefined) return Buffer.from(spelled(body.text))
  const [, last] = body.json.prefixes?.[0]?.match(/^<0\.\.(\d+)>$/) ?? []
  return Buffer.from(JSON.stringify(last === undefined ? body.json : { prefixes: numbered(Number(last) + 1) }))
}

export class Player {
  #agent = new Agent({ keepAlive: true })
  #tokens = new Map()

  constructor({ endpoint, keys }) {
    this.endpoint = new URL(endpoint)
    this.keys = keys
  }

  close() {
    this.#agent.destroy()
  }

  #credentials(auth) {
    const { service } = this.keys
    if (auth === null) return {}
    if (auth === 'service+apikey') return { authorization: `Bearer ${service}`, apikey: service }
    if (auth === 'apikey-only') return { apikey: service }
    if (auth.startsWith('raw:')) return { authorization: auth.slice('raw:'.length).replace('<service>', service) }
    assert.ok(this.keys[auth], `there is no key "${auth}"`)
    return { authorization: `Bearer ${this.keys[auth]}` }
  }

  /** One request, as it is: nothing in its path is tidied up. */
  send(method, path, { auth = 'service', headers = {}, bytes, chunked = false } = {}) {
    const { hostname, port } = this.endpoint
    const length = bytes === undefined || chunked ? {} : { 'content-length': bytes.length }
    const all = { ...this.#credentials(auth), ...headers, ...length, ...(chunked && { 'transfer-encoding': 'chunked' }) }
    return new Promise((resolve, reject) => {
      const sent = httpRequest({ hostname, port, agent: this.#agent, method, path: `/storage/v1${path}`, headers: all }, (response) => {
        const chunks = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(chunks) }))
      })
      sent.on('error', reject)
      sent.end(bytes)
    })
  }

  #pathOf({ path }) {
    return spelled(path).replace(/<token of ([\w-]+)(, tampered)?>/, (_, id, tampered) => {
      const token = this.#tokens.get(id)
      return tampered ? `${token.slice(0, -4)}AAAA` : token
    })
  }

  /** Plays a case; answers what was answered, as it is compared. */
  async play({ id, request, response }) {
    const { method, auth, headers, transfer, body, count, together } = request
    const options = { auth, headers, bytes: bytesOf(body), chunked: transfer === 'chunked' }
    if (count !== undefined) return this.#playMany(request, options, { count, together })
    const answer = await this.send(method, this.#pathOf(request), options)
    const [, token] = answer.bytes.toString().match(/token=([^"&]+)/) ?? []
    if (token) this.#tokens.set(id, token)
    return shown(answer, response)
  }

  /** Many objects, several at a time; recorded was only that all were answered alike. */
  async #playMany({ method, path }, options, { count, together }) {
    const names = numbered(count).map((name) => path.replace('many/NNNNN', name))
    const statuses = new Set()
    const worker = async () => {
      for (let next = names.shift(); next !== undefined; next = names.shift()) statuses.add((await this.send(method, next, options)).status)
    }
    await Promise.all(Array.from({ length: together }, worker))
    return { status: statuses.size === 1 ? [...statuses][0] : -1, headers: { connection: 'keep-alive' }, body: null }
  }
}
