// The switches of the server, for the process that has it and, over HTTP, for any other.
//
// Invariant: both have the same names and take the same one argument. A switch for one bucket leaves the others alone, so that
// test files can share a server.

import { rawRequest } from '../raw-request.mjs'

export const CONTROL_PATH = '/__control'

export class Control {
  #settings
  #storage
  #faults
  #holds
  #log

  constructor({ settings, storage, faults, holds, log }) {
    this.#settings = settings
    this.#storage = storage
    this.#faults = faults
    this.#holds = holds
    this.#log = log
  }

  /** Changes settings (see settings.mjs), of all buckets or of one; answers what now holds. */
  settings({ values = {}, bucket = null } = {}) {
    this.#settings.set(values, bucket)
    return this.#settings.of(bucket)
  }

  /** Changes a bucket: `public`, `allowed_mime_types`, `file_size_limit`. */
  bucket({ id, values }) {
    this.#storage.changeBucket(id, values)
    return this.#storage.requireBucket(id).row
  }

  /** Makes a fault (see faults.mjs); answers its id. */
  fault(rule) {
    return this.#faults.add(rule)
  }

  faults() {
    return this.#faults.report()
  }

  /** Clears one fault, those of a bucket, or all. */
  clearFaults({ id, bucket } = {}) {
    this.#faults.clear({ id, bucket })
    return null
  }

  /** Holds requests at a point (see faults.mjs); answers the id of the hold. */
  hold(rule) {
    return this.#holds.add(rule)
  }

  async gathered({ id, count = 1 }) {
    await this.#holds.gathered(id, count)
    return null
  }

  release({ id }) {
    this.#holds.release(id)
    return null
  }

  /** The last requests that fit `{ bucket, method, route, status, path, since }`. */
  requests(filter = {}) {
    return this.#log.entries(filter)
  }

  newest() {
    return this.#log.newest
  }

  counts({ bucket } = {}) {
    return this.#log.counts({ bucket })
  }

  forget({ bucket } = {}) {
    this.#log.forget({ bucket })
    return null
  }

  /** Everything that was switched, for a bucket or for all, is as it was; the log is empty. */
  reset({ bucket } = {}) {
    this.#settings.reset(bucket ?? null)
    this.#faults.clear({ bucket })
    this.#holds.clear({ bucket })
    this.#log.forget({ bucket })
    return null
  }
}

const OPERATIONS = Object.getOwnPropertyNames(Control.prototype).filter((name) => name !== 'constructor')

/** Regular expressions travel as their source. */
const plain = (key, value) => (value instanceof RegExp ? value.source : value)

/** Answers a `POST` of `{ op, args }`. */
export async function answerControl(control, text) {
  try {
    const { op, args } = JSON.parse(text)
    if (!OPERATIONS.includes(op)) throw new RangeError(`there is no operation "${op}"`)
    return { status: 200, value: { result: await control[op](args) } }
  } catch (error) {
    return { status: 400, value: { error: error.message } }
  }
}

/** The switches of a server that another process has. */
export function remoteControl(endpoint) {
  const call = async (op, args = {}) => {
    const { bytes } = await rawRequest(new URL(CONTROL_PATH, endpoint), { method: 'POST', body: JSON.stringify({ op, args }, plain) })
    const { result, error } = JSON.parse(bytes.toString())
    if (error !== undefined) throw new RangeError(error)
    return result
  }
  return Object.fromEntries(OPERATIONS.map((op) => [op, (args) => call(op, args)]))
}
