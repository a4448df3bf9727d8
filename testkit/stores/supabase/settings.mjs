// Behaviour of the server where servers differ: its settings, for all buckets and for single ones.
//
// Invariant: a name that is not a setting is refused, so that a misspelt switch cannot leave a test testing nothing.

const POLICIES = ['select', 'insert', 'update', 'delete', 'buckets.select', 'buckets.insert', 'buckets.update', 'buckets.delete']
const LIST_V2 = ['on', 'no-route', 'feature', 'tenant', 'absent']

const isCount = (value) => Number.isSafeInteger(value) && value >= 0
const isCountOrNull = (value) => value === null || isCount(value)
const isBoolean = (value) => typeof value === 'boolean'

const isCdn = (value) =>
  value === null ||
  (typeof value === 'object' && Object.keys(value).join() === 'reads' && isCount(value.reads)) ||
  (typeof value === 'object' && Object.keys(value).join() === 'ms' && isCount(value.ms))

const isPolicies = (value) =>
  value !== null &&
  typeof value === 'object' &&
  Object.entries(value).every(([role, may]) => ['anon', 'authenticated'].includes(role) && may.every((right) => POLICIES.includes(right)))

/** name: [value of the recorded server, check, whether a bucket can have its own]. */
const KNOWN = {
  // The gateway of hosted projects stands in front: new-style keys are understood.
  gateway: [false, isBoolean, false],
  // The clock of the server, against this machine's.
  clockOffsetMs: [0, Number.isSafeInteger, false],
  // No object is larger, whatever its bucket says.
  fileSizeLimit: [null, isCountOrNull, true],
  // Old versions are removed later, by a queue of jobs (as hosted); without it, at once, and readers can meet the gap.
  queue: [true, isBoolean, true],
  // The next so many readers of an object that was replaced, moved or deleted are told "The resource was not found".
  transient404: [0, isCount, true],
  // A CDN that still serves what it has: for so many reads, or so many milliseconds, after an object changed.
  cdn: [null, isCdn, true],
  listV2: ['on', (value) => LIST_V2.includes(value), true],
  batchLimit: [null, isCountOrNull, true],
  // What row-level security lets a role do; the service role may do everything.
  policies: [{}, isPolicies, true],
  // How long the object itself takes to be stored: between the check for a duplicate and the commit.
  uploadMs: [3, isCount, true],
  // How long it takes to be fetched: between the look at the row and the version that the row named.
  fetchMs: [1, isCount, true],
  // How long a queued job that empties a bucket takes.
  emptyMs: [60_000, isCount, true]
}

export class Settings {
  #all = Object.fromEntries(Object.entries(KNOWN).map(([name, [value]]) => [name, value]))
  #ofBucket = new Map()

  constructor(values = {}) {
    this.set(values)
  }

  /** Changes settings: of all buckets, or of `bucket` alone. */
  set(values, bucket = null) {
    for (const [name, value] of Object.entries(values)) {
      if (!Object.hasOwn(KNOWN, name)) throw new RangeError(`there is no setting "${name}"`)
      const [, isValid, scoped] = KNOWN[name]
      if (!isValid(value)) throw new RangeError(`${name} cannot be ${JSON.stringify(value)}`)
      if (bucket !== null && !scoped) throw new RangeError(`${name} is the same for all buckets`)
    }
    if (bucket === null) Object.assign(this.#all, values)
    else this.#ofBucket.set(bucket, { ...this.#ofBucket.get(bucket), ...values })
  }

  /** Gives a bucket up to the settings of all; without a bucket, gives everything up to the recorded server's. */
  reset(bucket = null) {
    if (bucket !== null) return void this.#ofBucket.delete(bucket)
    this.#ofBucket.clear()
    for (const [name, [value]] of Object.entries(KNOWN)) this.#all[name] = value
  }

  of(bucket) {
    return { ...this.#all, ...this.#ofBucket.get(bucket) }
  }
}
